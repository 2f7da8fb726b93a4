"""What the services return: plain values, and the one JSON form of each.

The JSON is the same from command line, service and API. Lists are capped; what is left out is counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RootFolder:
    """The root folder that stays where an application has several."""

    folder_id: str
    name: str

    def as_json(self) -> JSON:
        """Return the JSON form."""
        return {"folder_id": self.folder_id, "name": self.name}


@dataclass(frozen=True, slots=True)
class FolderCleanupResult:
    """What came of one application; of a dry run, what would come."""

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
    """``moved`` and ``removed``: rows by table; ``differing_columns``: columns by number of folders (dry run)."""
    root_folder: RootFolder | None = None
    """Of a dry run, where there are several root folders: the one that would stay."""

    def as_json(self) -> JSON:
        """Return the JSON form."""
        return {
            "application_id": self.application_id,
            "status": str(self.status),
            "folders_removed": self.folders_removed,
            "files_moved": self.files_moved,
            "child_folders_merged": self.child_folders_merged,
            "references_moved": self.references_moved,
            "error_code": self.error_code,
            "error_message": self.error_message,
            "rollback_id": None if self.rollback_id is None else str(self.rollback_id),
            "details": dict(self.details),
            "root_folder": None if self.root_folder is None else self.root_folder.as_json(),
        }


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """A run's totals and its results (capped unless all were asked for)."""

    run_id: UUID | None
    dry_run: bool
    status: str
    """The run's status; ``completed`` for a dry run."""
    status_reason: str
    total_applications: int
    successful_cleanups: int
    failed_cleanups: int
    """Failed and refused applications."""
    held_applications: int
    """On hold."""
    skipped_applications: int
    """Left alone: too large, or not there."""
    total_folders_removed: int
    total_files_moved: int
    total_child_folders_merged: int
    start_time: datetime
    end_time: datetime | None
    results: tuple[FolderCleanupResult, ...]
    results_left_out: int = 0
    collision_policies: Mapping[str, Any] = field(default_factory=dict)
    """What to set as CLEANUP_COLLISIONS so that applications that were refused for collisions can be cleaned up."""
    rollback_points: int = 0
    """Those of the run that are live: what can still be rolled back."""

    @property
    def set_aside(self) -> int:
        """Return how many were held or skipped."""
        return self.held_applications + self.skipped_applications

    def as_json(self) -> JSON:
        """Return the JSON form."""
        return {
            "run_id": None if self.run_id is None else str(self.run_id),
            "dry_run": self.dry_run,
            "status": str(self.status),
            "status_reason": self.status_reason,
            "total_applications": self.total_applications,
            "successful_cleanups": self.successful_cleanups,
            "failed_cleanups": self.failed_cleanups,
            "set_aside": self.set_aside,
            "held_applications": self.held_applications,
            "skipped_applications": self.skipped_applications,
            "total_folders_removed": self.total_folders_removed,
            "total_files_moved": self.total_files_moved,
            "total_child_folders_merged": self.total_child_folders_merged,
            "start_time": self.start_time.isoformat(),
            "end_time": None if self.end_time is None else self.end_time.isoformat(),
            "results": [result.as_json() for result in self.results],
            "results_left_out": self.results_left_out,
            "collision_policies": dict(self.collision_policies),
            "rollback_points": self.rollback_points,
        }


@dataclass(frozen=True, slots=True)
class Conflict:
    """One value that a rollback would have overwritten, or one row that it cannot restore."""

    code: str
    """``changed``, ``row_missing``, ``row_exists``, ``missing_target``, ``unique_taken``, ``refused`` or ``extra``."""
    application_id: str
    table: str
    key: str
    column: str = ""
    constraint: str = ""
    """What stands in the way: the name of a constraint, a unique index or a trigger's function."""

    def as_json(self) -> JSON:
        """Return the JSON form."""
        return {
            "code": self.code,
            "application_id": self.application_id,
            "table": self.table,
            "key": self.key,
            "column": self.column,
            "constraint": self.constraint,
        }


@dataclass(frozen=True, slots=True)
class Copy:
    """One folder that did not come back as it was, because it would have been a duplicate."""

    application_id: str
    folder_id: str
    renamed: bool
    """It bears another name than before; which one is left to the folder itself."""
    parent_id: str | None = None
    """The folder that it lies in, where that is another one than before."""

    def as_json(self) -> JSON:
        """Return the JSON form."""
        return {
            "application_id": self.application_id,
            "folder_id": self.folder_id,
            "renamed": self.renamed,
            "parent_id": self.parent_id,
        }


@dataclass(frozen=True, slots=True)
class NotRestored:
    """One application of a run whose rollback point is not rolled back with the run."""

    application_id: str
    rollback_id: UUID
    code: str
    """``expired``: it cannot be brought back any more. ``already_rolled_back``: it was, before."""

    def as_json(self) -> JSON:
        """Return the JSON form."""
        return {
            "application_id": self.application_id,
            "rollback_id": str(self.rollback_id),
            "code": self.code,
        }


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """What a rollback did; true unless it is a preview or it failed."""

    rollback_id: UUID
    """The rollback point or the run that was asked for."""
    status: str
    """``rolled_back``, ``preview``, ``conflict`` (preview only), or of a run the rollback run's status."""
    folders_restored: int = 0
    files_restored: int = 0
    references_restored: int = 0
    """Rows of other tables than files."""
    conflicts: tuple[Conflict, ...] = ()
    conflicts_left_out: int = 0
    copies: tuple[Copy, ...] = ()
    """Folders that came back as copies."""
    copies_left_out: int = 0
    exact: bool = True
    """Every row that the cleanup changed is what it was."""
    inexact: tuple[str, ...] = ()
    """Why not: ``conflicts``, ``copies``, ``differences``, ``triggers`` and ``hook`` (what they write is not compared),

    ``expired``, ``already_rolled_back`` (and not exactly, or cleaned again), ``failed``, ``unfinished``.
    """
    expired: int = 0
    """Applications of a run that cannot be brought back any more."""
    not_restored: tuple[NotRestored, ...] = ()
    """The points of a run that are left as they are."""
    not_restored_left_out: int = 0
    run_id: UUID | None = None
    """The rollback run, where a whole run was rolled back."""
    total_applications: int = 1
    successful: int = 0
    failed: int = 0

    def __bool__(self) -> bool:
        return self.status in ("rolled_back", "completed") and not self.failed

    def as_json(self) -> JSON:
        """Return the JSON form."""
        return {
            "rollback_id": str(self.rollback_id),
            "status": str(self.status),
            "folders_restored": self.folders_restored,
            "files_restored": self.files_restored,
            "references_restored": self.references_restored,
            "conflicts": [conflict.as_json() for conflict in self.conflicts],
            "conflicts_left_out": self.conflicts_left_out,
            "copies": [copy.as_json() for copy in self.copies],
            "copies_left_out": self.copies_left_out,
            "exact": self.exact,
            "inexact": list(self.inexact),
            "expired": self.expired,
            "not_restored": [point.as_json() for point in self.not_restored],
            "not_restored_left_out": self.not_restored_left_out,
            "run_id": None if self.run_id is None else str(self.run_id),
            "total_applications": self.total_applications,
            "successful": self.successful,
            "failed": self.failed,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """A sign of life from a run, for whoever shows it."""

    run_id: UUID | None
    done: int
    total: int
    folders_removed: int
    files_moved: int
    failed: int
    held: int = 0
    skipped: int = 0
