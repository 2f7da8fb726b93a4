"""Rollback points, and the outcome of rollbacks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from cleanup.models import RollbackPoint
from cleanup.services.results.document import ApplicationId, Document, FolderId


@dataclass(frozen=True, slots=True)
class Conflict(Document):
    """One value that a rollback would have overwritten, or one row that it cannot restore."""

    code: str
    """``changed``, ``row_missing``, ``row_exists``, ``missing_target``, ``unique_taken``, ``refused``,

    ``extra`` or ``in_use``.
    """
    application_id: str
    table: str
    key: str
    column: str = ""
    constraint: str = ""
    """What prevents it: the name of a constraint, a unique index or a trigger's function."""


@dataclass(frozen=True, slots=True)
class Copy(Document):
    """One folder that did not come back as it was, because it would have been a duplicate."""

    application_id: ApplicationId
    folder_id: FolderId
    renamed: bool
    """It has a different name than before; see the folder itself for the name."""
    parent_id: FolderId | None = None
    """The folder that it lies in, if that is a different one than before."""


@dataclass(frozen=True, slots=True)
class NotRestored(Document):
    """One application of a run whose rollback point is not rolled back with the run."""

    application_id: str
    rollback_id: UUID
    code: str
    """``expired``: it can no longer be restored. ``already_rolled_back``: it was restored before."""


@dataclass(frozen=True, slots=True)
class RollbackResult(Document):
    """What a rollback did; true unless it is a preview or it failed."""

    rollback_id: UUID
    """The requested rollback point or run."""
    status: str
    """``rolled_back``, ``preview``, ``conflict`` (preview only), or for a run the rollback run's status."""
    folders_restored: int = 0
    files_restored: int = 0
    references_restored: int = 0
    """Rows of tables other than files."""
    folders_moved_back: int = 0
    """Those of them that are folders, which were moved and go back into the folder they lay in."""
    conflicts: tuple[Conflict, ...] = ()
    conflicts_left_out: int = 0
    copies: tuple[Copy, ...] = ()
    """Folders that came back as copies."""
    copies_left_out: int = 0
    exact: bool = True
    """Every row that the cleanup changed is as it was."""
    inexact: tuple[str, ...] = ()
    """Why not: ``conflicts``, ``copies``, ``differences``, ``triggers`` and ``hook`` (what they write is not compared),

    ``expired``, ``already_rolled_back`` (and not exactly, or cleaned again), ``failed``, ``unfinished``.
    """
    expired: int = 0
    """Applications of a run that can no longer be restored."""
    not_restored: tuple[NotRestored, ...] = ()
    """The points of a run that are left as they are."""
    not_restored_left_out: int = 0
    run_id: UUID | None = None
    """The rollback run, if a whole run was rolled back."""
    total_applications: int = 1
    successful: int = 0
    failed: int = 0
    on_hold: bool = False
    """What was rolled back is on hold now, or the next cleanup would do it again; a repair is not repeated."""

    def __bool__(self) -> bool:
        return self.status in ("rolled_back", "completed") and not self.failed


@dataclass(frozen=True, slots=True)
class RollbackData(Document):
    """A rollback point, as it was when it was read; ``rollback_cleanup(rollback_id)`` carries it out."""

    rollback_id: UUID
    application_id: str
    kind: str
    """``cleanup``, or ``manual`` if it was taken by hand."""
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
    outcome: Mapping[str, Any]
    """Of a rolled-back point: counts restored, conflicts skipped."""

    @classmethod
    def of(cls, point: RollbackPoint) -> "RollbackData":
        """Return the view of a point."""
        return cls(
            rollback_id=point.uuid,
            application_id=point.application_key,
            kind=point.kind,
            status=point.status,
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
            outcome=point.outcome,
        )


@dataclass(frozen=True, slots=True)
class UndoScript(Document):
    """A script that was written, which undoes a rollback point or a run by the database's own shell."""

    rollback_id: UUID
    """The requested rollback point or run."""
    database: str
    """``postgresql`` or ``sqlite``: what the script is for."""
    applications: int
    rows: Mapping[str, int]
    """How many rows it restores, by table."""
    guards: tuple[str, ...] = ()
    """Guards in force that forbid what it restores: it refuses to run until they are lifted."""
    inexact: tuple[str, ...] = ()
    """What may have written more than it undoes: ``triggers`` of your own, a tree ``hook`` of your own."""
    expired: int = 0
    """Applications of a run that can no longer be restored."""
