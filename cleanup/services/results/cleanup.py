"""The outcome of cleanups."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from cleanup.services.results.document import Document, FolderId


@dataclass(frozen=True, slots=True)
class RootFolder(Document):
    """A root folder that stays if an application has duplicates of it."""

    folder_id: FolderId
    name: str


@dataclass(frozen=True, slots=True)
class FolderCleanupResult(Document):
    """The outcome for one application; for a dry run, the expected outcome."""

    application_id: str
    status: str
    """``completed``, ``failed``, ``skipped``, ``held``, ``rolled_back``, ``pending`` or ``in_progress``."""
    folders_removed: int = 0
    files_moved: int = 0
    child_folders_merged: int = 0
    references_moved: int = 0
    """Rows of all tables that were re-pointed, files and child folders included."""
    error_code: str = ""
    error_message: str = ""
    rollback_id: UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """``moved`` and ``removed``: rows by table; ``differing_columns``: columns by number of folders;
    ``widening``: people and groups that would newly see files, by table (both of a dry run)."""
    root_folder: RootFolder | None = None
    """For a dry run, if there are several root folders: the one that would stay; the oldest of ``root_folders``."""
    root_folders: tuple[RootFolder, ...] = ()
    """For a dry run, the root folders that would take in others; several if ``CLEANUP_DIFFERENT_ROOTS`` is ``keep``."""


@dataclass(frozen=True, slots=True)
class CleanupReport(Document):
    """A run's totals and its results (capped unless all were requested)."""

    run_id: UUID | None
    dry_run: bool
    status: str
    """The run's status; ``completed`` for a dry run."""
    status_reason: str
    total_applications: int
    successful_cleanups: int
    failed_cleanups: int
    """Failed and refused applications."""
    set_aside: int = field(init=False)
    """Held or skipped."""
    held_applications: int
    """On hold."""
    skipped_applications: int
    """Left alone: too large, or missing."""
    total_folders_removed: int
    total_files_moved: int
    total_child_folders_merged: int
    total_rows_moved: Mapping[str, int]
    """Rows that were re-pointed, by table, files and child folders included."""
    start_time: datetime
    end_time: datetime | None
    results: tuple[FolderCleanupResult, ...]
    results_left_out: int = 0
    collision_policies: Mapping[str, Any] = field(default_factory=dict)
    """What to set as CLEANUP_COLLISIONS so that applications that were refused for collisions can be cleaned up."""
    rollback_points: int = 0
    """The live points of the run, which can still be rolled back."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "set_aside", self.held_applications + self.skipped_applications)


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of a run, for showing its progress."""

    run_id: UUID | None
    done: int
    total: int
    folders_removed: int
    files_moved: int
    failed: int
    held: int = 0
    skipped: int = 0
