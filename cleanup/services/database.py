"""The facade: one object per database alias with every verb that a program needs.

It opens no transaction of its own and holds no state but the alias; the verbs it calls say who owns what.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

from cleanup.services.reports import JSON, CleanupReport, FolderCleanupResult, Progress, RollbackResult


class DatabaseCleanupService:
    """Find, merge, undo and verify on one database alias."""

    def __init__(self, *, using: str = "default") -> None:
        self.using = using

    def find_applications_with_duplicate_folders(self) -> Iterator[tuple[str, int]]:
        """Yield (application id, number of live root folders) where there is more than one, in key order, streamed."""
        raise NotImplementedError

    def create_rollback_point(self, application_id: Any, *, reason: str = "", created_by: str = "") -> UUID:
        """Store the application's whole folder structure and return the id of the point. Raises UnknownObject."""
        raise NotImplementedError

    def rollback_cleanup(
        self,
        rollback_id: Any,
        *,
        skip_conflicts: bool = False,
        reason: str = "",
        started_by: str = "",
        started_how: str = "service",
        progress: Callable[[Progress], None] | None = None,
    ) -> RollbackResult:
        """Undo a rollback point, or every point of a run; the result is true.

        Raises UnknownObject, InvalidKey, AlreadyRolledBack, PointExpired, Superseded, RollbackConflict (with
        ``.conflicts``), UnreadableJournal, Frozen, Busy.
        """
        raise NotImplementedError

    def preview_rollback(self, rollback_id: Any) -> RollbackResult:
        """Tell what rolling back would restore and its conflicts; changes nothing. Raises as ``rollback_cleanup``."""
        raise NotImplementedError

    def consolidate_duplicate_folders(
        self, application_id: Any, *, include_held: bool = False, include_large: bool = True, reason: str = ""
    ) -> FolderCleanupResult:
        """Merge one application; zeros where nothing is to do. Raises UnknownObject, InvalidKey, Held, Frozen,

        PreflightFailed and the ApplicationErrors.
        """
        raise NotImplementedError

    def cleanup_all_duplicate_folders(
        self,
        dry_run: bool = False,
        *,
        applications: Sequence[Any] | None = None,
        max_applications: int | None = None,
        batch_size: int | None = None,
        include_held: bool = False,
        include_large: bool = False,
        reason: str = "",
        started_by: str = "",
        started_how: str = "service",
        all_results: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> CleanupReport:
        """Clean up every affected application, or the named ones, or the worst ``max_applications``.

        A dry run writes nothing and takes no row lock; its totals are those the cleanup would have.
        Raises PreflightFailed, Busy, Frozen, UnknownObject, InvalidKey.
        """
        raise NotImplementedError

    def resume(
        self,
        run_id: Any,
        *,
        retry_failed: bool = False,
        batch_size: int | None = None,
        all_results: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> CleanupReport | RollbackResult:
        """Go on with a run that was interrupted. Raises UnknownObject, NotResumable, ForeignDatabase, Frozen."""
        raise NotImplementedError

    def verify_cleanup_integrity(self, application_id: Any = None) -> JSON:
        """Verify one application or the whole database (stored then)."""
        raise NotImplementedError

    def check(self) -> JSON:
        """Return the consistency check's JSON: duplicates, the latest verification, whether cleanup is needed."""
        raise NotImplementedError

    def status(self) -> JSON:
        """Return the status JSON."""
        raise NotImplementedError

    def preflight(self) -> JSON:
        """Say yes or no before anything is risked: ``ok``, ``problems``, ``identity``, ``estimate`` and details."""
        raise NotImplementedError

    def purge(self, *, preview: bool = False) -> JSON:
        """Remove the snapshot rows of expired points, in small transactions; a preview only counts."""
        raise NotImplementedError

    def hold(self, application_id: Any, *, reason: str = "", created_by: str = "") -> None:
        """Leave this application alone from now on."""
        raise NotImplementedError

    def release(self, application_id: Any) -> None:
        """End the hold. Raises UnknownObject where there is none."""
        raise NotImplementedError

    def freeze(self, *, reason: str, changed_by: str = "") -> None:
        """Stop all claiming, enqueueing and inline merging until unfrozen."""
        raise NotImplementedError

    def unfreeze(self, *, changed_by: str = "") -> None:
        """Allow cleaning again."""
        raise NotImplementedError

    def resolve_folder(self, folder_id: Any) -> str | None:
        """Return the folder that a removed folder's id leads to now, following later merges; None if unknown."""
        raise NotImplementedError
