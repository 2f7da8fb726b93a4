"""What a purge removed."""

from dataclasses import dataclass, field, fields
from datetime import datetime

from cleanup.services.results.document import OPTIONAL, Document


@dataclass(frozen=True, slots=True)
class PurgedHistory(Document):
    """The history that was removed, or would be: what ended before a day, in rows."""

    before: datetime
    runs: int
    checks: int
    verifications: int
    scheduled_runs: int
    alerts: int
    request_keys: int
    """Idempotency keys, with their answers."""

    @property
    def rows(self) -> dict[str, int]:
        """Return how many rows of each kind."""
        return {declared.name: getattr(self, declared.name) for declared in fields(self)[1:]}


@dataclass(frozen=True, slots=True)
class PurgeReport(Document):
    """The expired rollback points whose snapshot rows were removed, or would be."""

    preview: bool
    points: int
    applications: int
    snapshot_rows: int
    rows_described: int
    """Rows of other tables that these could have restored."""
    kept_unverified: int
    """Expired, but the newest of an application, and no verification has passed since."""
    oldest: datetime | None
    """When it was written."""
    newest: datetime | None
    history: PurgedHistory | None = field(default=None, metadata=OPTIONAL)
