"""Runs in lists."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from cleanup.services.results.document import OPTIONAL, Document


@dataclass(frozen=True, slots=True)
class ListedRun(Document):
    """A run in a list: what, when, by whom, what it came to, and until when it can be undone."""

    run_id: UUID
    kind: str
    """``cleanup``, ``rollback`` or ``repair``."""
    status: str
    status_reason: str
    source_run_id: UUID | None
    """Of a rollback: the run that it rolls back."""
    started_by: str
    started_how: str
    """``shell``, ``service``, ``api``, ``admin`` or ``schedule``."""
    reason: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    total_applications: int
    successful_applications: int
    """Done, and neither failed nor left alone."""
    failed_applications: int
    held_applications: int
    """On hold."""
    skipped_applications: int
    """Left alone: too large, or missing."""
    folders_removed: int
    files_moved: int
    undoable_until: datetime | None
    """Until when all that can still be undone of it can be; null: nothing can."""
    rollback_id: UUID | None = field(default=None, metadata=OPTIONAL)
    """In a list of one application's runs: its rollback point."""


@dataclass(frozen=True, slots=True)
class RunList(Document):
    """Runs, the newest first."""

    results: tuple[ListedRun, ...]
    results_left_out: int
    """Older runs that match, too."""
