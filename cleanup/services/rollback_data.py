"""What a rollback point is, as a plain value: the view of a point, for callers in Python."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from cleanup.models import RollbackPoint
from cleanup.services.results import JSON


@dataclass(frozen=True, slots=True)
class RollbackData:
    """A rollback point, as it was when it was read; ``rollback_cleanup(rollback_id)`` carries it out."""

    rollback_id: UUID
    application_id: str
    kind: str
    """``cleanup``, or ``manual`` where it was taken by hand."""
    status: str
    """``live``, ``rolled_back`` or ``purged``."""
    run_id: UUID | None
    created_at: datetime
    created_by: str
    reason: str
    expires_at: datetime
    verified_at: datetime | None
    ended_at: datetime | None
    ended_by: str
    ended_reason: str
    exact: bool | None
    """Of a rolled-back point: everything was restored as it was."""
    outcome: dict[str, Any]
    """Of a rolled-back point: counts restored, conflicts skipped."""

    def as_json(self) -> JSON:
        """Return the JSON form, which is the API's."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def data_of(point: RollbackPoint) -> RollbackData:
    """Return the view of a point."""
    return RollbackData(
        rollback_id=point.id,
        application_id=point.application_key,
        kind=str(point.kind),
        status=str(point.status),
        run_id=point.run_id,
        created_at=point.created_at,
        created_by=point.created_by,
        reason=point.reason,
        expires_at=point.expires_at,
        verified_at=point.verified_at,
        ended_at=point.ended_at,
        ended_by=point.ended_by,
        ended_reason=point.ended_reason,
        exact=point.exact,
        outcome=dict(point.outcome),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
