"""The facade: one object per database alias with every verb that a program needs.

It holds no state but the alias. A verb that changes something opens its own transaction, or joins the caller's.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from cleanup import queries
from cleanup.backends.pinning import pinned_verbs
from cleanup.models import ConsistencyCheck, Run, Verification
from cleanup.services import freeze, holds
from cleanup.services.arguments import checked_arguments
from cleanup.services.background import clusters
from cleanup.services.folders import structure
from cleanup.services.folders.structure import FolderPlace, FolderStructure
from cleanup.services.monitoring import run_list, status
from cleanup.services.operations import checks, cleanups, control, repairs, rollbacks, stored_checks
from cleanup.services.preflight import report as preflight_service
from cleanup.services.results import (
    JSON,
    CleanupReport,
    FolderCleanupResult,
    Progress,
    RepairReport,
    RollbackData,
    RollbackResult,
    UndoScript,
)
from cleanup.services.retention import purge
from cleanup.services.rollback import export, preview
from cleanup.services.rollback import roll_back as one_point
from cleanup.services.runs import dry_run as dry_runs
from cleanup.services.runs import reports
from cleanup.services.runs.lifecycle import Actor, Options


@checked_arguments()
@pinned_verbs()
class CleanupReads:
    """The verbs that change nothing."""

    def __init__(self, *, using: str = "default") -> None:
        self.using = using

    def find_applications_with_duplicate_folders(self) -> Iterator[tuple[str, int]]:
        """Yield (application id, number of live root folders) where there are duplicates of these, in key order.

        Ids are text, whatever the key of your model is: compare them with ``str(application.pk)``.
        """
        return queries.applications_with_duplicate_roots(using=self.using)

    def status(self) -> JSON:
        """Return the status JSON."""
        return status.status(using=self.using).as_json()

    def runs(
        self,
        *,
        application_id: Any = None,
        status: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> JSON:
        """Return the newest runs, with their ids, what they came to, and until when each can be undone.

        Raises InvalidKey and UsageError.
        """
        return run_list.list_runs(
            using=self.using, application_id=application_id, status=status, since=since, limit=limit
        ).as_json()

    def preflight(self) -> JSON:
        """Return whether a cleanup could run: ``ok``, ``problems``, ``identity``, ``estimate`` and details."""
        return preflight_service.preflight(using=self.using).as_json()

    def resolve_folder(self, folder_id: Any) -> str | None:
        """Return the folder that a removed folder's id leads to now, following later merges; None if unknown.

        Raises InvalidKey.
        """
        return structure.resolve_folder(using=self.using, folder_id=folder_id)

    def cluster_alive(self) -> bool:
        """Return whether a cluster is running background work: one of its workers has done a task recently."""
        return clusters.alive(using=self.using)

    def report(self, run_id: Any, *, all_results: bool = False) -> CleanupReport:
        """Return the report of a cleanup run, as far as it has come. Raises UnknownObject and InvalidKey."""
        run = reports.find_run(using=self.using, run_id=run_id)
        return reports.cleanup_report(run, using=self.using, all_results=all_results)

    def rollback_report(self, run_id: Any) -> RollbackResult:
        """Return the report of a rollback run, as far as it has come. Raises UnknownObject and InvalidKey."""
        return reports.rollback_report(reports.find_run(using=self.using, run_id=run_id), using=self.using)

    def rollback_point(self, rollback_id: Any) -> RollbackData:
        """Return the view of a rollback point. Raises UnknownObject and InvalidKey."""
        return one_point.view(using=self.using, rollback_id=rollback_id)

    def preview_rollback(self, rollback_id: Any, *, as_copies: bool = False) -> RollbackResult:
        """Return what rolling back would restore, its conflicts, and what would come back as a copy.

        Changes nothing. Raises as ``rollback_cleanup``.

        It is the rollback itself in a transaction that is rolled back, so it takes its locks for a moment. The points
        of a run are previewed one by one, or with those that have to be undone first.
        """
        return preview.preview(using=self.using, rollback_id=rollback_id, as_copies=as_copies)


@checked_arguments(but=("name",))  # of a folder, which is checked with its length and its characters
@pinned_verbs(but=("get_or_create_folder_structure", "get_or_create_folder"))  # they pin if they change something
class DatabaseCleanupService(CleanupReads):
    """Find, merge, undo and verify on one database alias."""

    # Checking.

    def verify_cleanup_integrity(self, application_id: Any = None, *, started_by: str = "") -> JSON:
        """Verify one application or the whole database (stored then). Raises UnknownObject and InvalidKey.

        Rollback points that were written before a verification that passes count as verified.
        """
        return checks.verify(using=self.using, application_id=application_id, started_by=started_by).as_json()

    def check(self) -> JSON:
        """Return the consistency check's JSON: duplicates, the latest verification, whether cleanup is needed."""
        return checks.check(using=self.using).as_json()

    # Creating.

    def get_or_create_folder_structure(self, application_id: Any) -> FolderStructure:
        """Give an application its root folder and its standard folders; joins the caller's transaction.

        Raises as ``folders.get_or_create_folder_structure`` does.
        """
        return structure.get_or_create_folder_structure(using=self.using, application_id=application_id)

    def get_or_create_folder(self, application_id: Any, name: str, *, parent_id: Any = None) -> FolderPlace:
        """Give an application the folder of that name in a folder of its own, or in its root folder.

        Raises as ``folders.get_or_create_folder`` does.
        """
        return structure.get_or_create_folder(
            using=self.using, application_id=application_id, name=name, parent_id=parent_id
        )

    # Cleaning.

    def cleanup_all_duplicate_folders(
        self,
        dry_run: bool = False,  # noqa: FBT001, FBT002  # as first described, callers may pass it by position
        *,
        applications: Sequence[Any] | None = None,
        max_applications: int | None = None,
        batch_size: int | None = None,
        workers: int = 1,
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
        Raises PreflightFailed, Busy, Frozen, UnknownObject, InvalidKey, UsageError.
        """
        options = _scope(applications, max_applications, batch_size, held=include_held, large=include_large)
        how: dict[str, Any] = {"workers": workers, "all_results": all_results, "progress": progress}
        if dry_run:
            return dry_runs.report(using=self.using, options=options, **how)
        actor = Actor(started_by, started_how, reason)
        return cleanups.clean_up(using=self.using, options=options, actor=actor, **how)

    def consolidate_duplicate_folders(
        self,
        application_id: Any,
        *,
        include_held: bool = False,
        include_large: bool = True,
        plan_hash: str | None = None,
        reason: str = "",
        started_by: str = "",
        started_how: str = "service",
    ) -> FolderCleanupResult:
        """Merge one application; zeros if there is nothing to do.

        ``plan_hash`` is that of the preview that was confirmed: another plan is not carried out. Takes no slot: it may
        run beside the active run, serialised by the application's lock. Raises UnknownObject, InvalidKey, Held, Frozen,
        StalePlan, PreflightFailed and the ApplicationErrors.
        """
        return cleanups.consolidate(
            using=self.using,
            application_id=application_id,
            options=Options(include_held=include_held, include_large=include_large),
            plan_hash=plan_hash,
            actor=Actor(started_by, started_how, reason),
        )

    def start_consolidation(
        self,
        application_id: Any,
        *,
        include_held: bool = False,
        include_large: bool = True,
        plan_hash: str | None = None,
        reason: str = "",
        started_by: str = "",
        started_how: str = "service",
    ) -> Run:
        """Write the run by which one application is merged, for ``finish_consolidation``.

        Raises UnknownObject, InvalidKey, Frozen and PreflightFailed.
        """
        return cleanups.start_consolidation(
            using=self.using,
            application_id=application_id,
            options=Options(include_held=include_held, include_large=include_large),
            plan_hash=plan_hash,
            actor=Actor(started_by, started_how, reason),
        )

    def finish_consolidation(self, run_id: Any) -> FolderCleanupResult:
        """Merge what ``start_consolidation`` has written a run for; for a run that is over, return its outcome.

        Raises as ``consolidate_duplicate_folders``.
        """
        return cleanups.finish_consolidation(using=self.using, run_id=run_id)

    def resume(
        self,
        run_id: Any,
        *,
        retry_failed: bool = False,
        adopt: bool = False,
        batch_size: int | None = None,
        workers: int = 1,
        all_results: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> CleanupReport | RollbackResult:
        """Resume a run that was interrupted. Raises UnknownObject, NotResumable, ForeignDatabase, Frozen, Busy.

        ``adopt`` accepts a run that was started on another database, of which this is a copy.
        """
        return control.resume(
            using=self.using,
            run_id=run_id,
            retry_failed=retry_failed,
            adopt=adopt,
            batch_size=batch_size,
            workers=workers,
            all_results=all_results,
            progress=progress,
        )

    def pause(self, run_id: Any = None, *, reason: str = "", by: str = "") -> JSON:
        """Ask the workers of the active cleanup run, or of the named run, to stop after their batch.

        Raises UnknownObject, InvalidKey and NotPausable.
        """
        return control.pause(using=self.using, run_id=run_id, reason=reason, paused_by=by).as_json()

    def cancel(self, run_id: Any = None, *, reason: str = "", by: str = "") -> JSON:
        """End the active cleanup run, or the named run, for good; what it has done stays done.

        Raises UnknownObject, InvalidKey and NotPausable.
        """
        return control.cancel(using=self.using, run_id=run_id, reason=reason, cancelled_by=by).as_json()

    # Repairing.

    def repair(
        self,
        code: str,
        *,
        dry_run: bool = False,
        applications: Sequence[Any] | None = None,
        batch_size: int | None = None,
        include_held: bool = False,
        include_large: bool = False,
        reason: str = "",
        started_by: str = "",
        started_how: str = "service",
        all_results: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> RepairReport:
        """Take away what a verification finds by one code, everywhere or in the named applications, reversibly.

        A dry run writes nothing and says in sentences what would change. Raises NotRepairable, PreflightFailed, Frozen,
        UnknownObject, InvalidKey and UsageError.
        """
        options = _scope(applications, None, batch_size, held=include_held, large=include_large, repair=code)
        if dry_run:
            return repairs.dry_run(using=self.using, options=options, all_results=all_results)
        actor = Actor(started_by, started_how, reason)
        return repairs.repair(
            using=self.using, options=options, actor=actor, all_results=all_results, progress=progress
        )

    def start_repair(
        self,
        code: str,
        *,
        applications: Sequence[Any] | None = None,
        batch_size: int | None = None,
        include_held: bool = False,
        include_large: bool = False,
        reason: str = "",
        started_by: str = "",
        started_how: str = "service",
        in_background: bool = True,
    ) -> Run:
        """Write a repair run as ``repair`` does, and have the clusters process it.

        If not ``in_background``, it waits for ``resume``, and no cluster is needed. Raises NoCluster, and as
        ``repair``.
        """
        options = _scope(applications, None, batch_size, held=include_held, large=include_large, repair=code)
        actor = Actor(started_by, started_how, reason)
        return repairs.start(using=self.using, options=options, actor=actor, in_background=in_background)

    def name_groups(self, application_id: Any) -> list[JSON]:
        """Return folders side by side whose names look the same, in groups, and what was decided about them.

        Raises UnknownObject, InvalidKey and PreflightFailed.
        """
        return [group.as_json() for group in repairs.name_groups(using=self.using, application_id=application_id)]

    def approve_names(self, application_id: Any, folder_id: Any, *, stays: bool = False, decided_by: str = "") -> JSON:
        """Let the group that a folder is in be merged by ``repair("names_alike")``.

        The name that stays is that of the folder, or else the one that most rows use. Raises NotRepairable, and as
        ``name_groups``.
        """
        decided: dict[str, Any] = {"approve": True, "stays": stays, "decided_by": decided_by}
        return repairs.decide_names(
            using=self.using, application_id=application_id, folder_id=folder_id, **decided
        ).as_json()

    def dismiss_names(self, application_id: Any, folder_id: Any, *, decided_by: str = "") -> JSON:
        """Leave the group that a folder is in as it is: it is no finding any more. Raises as ``name_groups``."""
        decided: dict[str, Any] = {"approve": False, "stays": False, "decided_by": decided_by}
        return repairs.decide_names(
            using=self.using, application_id=application_id, folder_id=folder_id, **decided
        ).as_json()

    # In the background.

    def start_cleanup(
        self,
        *,
        applications: Sequence[Any] | None = None,
        max_applications: int | None = None,
        batch_size: int | None = None,
        include_held: bool = False,
        include_large: bool = False,
        reason: str = "",
        started_by: str = "",
        started_how: str = "service",
        in_background: bool = True,
    ) -> Run:
        """Write a cleanup run as ``cleanup_all_duplicate_folders`` does, and have the clusters process it.

        If not ``in_background``, it waits for ``resume``, and no cluster is needed. Raises NoCluster, PreflightFailed,
        Busy, Frozen, UnknownObject, InvalidKey, UsageError.
        """
        options = _scope(applications, max_applications, batch_size, held=include_held, large=include_large)
        actor = Actor(started_by, started_how, reason)
        return cleanups.start(using=self.using, options=options, actor=actor, in_background=in_background)

    def start_rollback(
        self,
        rollback_id: Any,
        *,
        skip_conflicts: bool = False,
        as_copies: bool = False,
        reason: str = "",
        started_by: str = "",
        started_how: str = "service",
        in_background: bool = True,
    ) -> Run:
        """Write a run that undoes a rollback point, or every live point of a run; have the clusters process it.

        If not ``in_background``, it waits for ``resume``, and no cluster is needed. What a single point would conflict
        with is reported at once, unless it is too large. Raises NoCluster, and as ``rollback_cleanup``.
        """
        return rollbacks.start(
            using=self.using,
            rollback_id=rollback_id,
            options=Options(skip_conflicts=skip_conflicts, as_copies=as_copies),
            actor=Actor(started_by, started_how, reason),
            in_background=in_background,
        )

    def start_resume(
        self, run_id: Any, *, retry_failed: bool = False, adopt: bool = False, started_by: str = ""
    ) -> Run:
        """Have the clusters resume a run that was interrupted. Raises NoCluster, and as ``resume``."""
        return control.start_resume(
            using=self.using, run_id=run_id, retry_failed=retry_failed, adopt=adopt, started_by=started_by
        )

    def start_check(self, *, started_by: str = "", started_how: str = "service") -> ConsistencyCheck:
        """Queue a consistency check for a cluster. Raises NoCluster."""
        return stored_checks.start_check(using=self.using, actor=Actor(started_by, started_how))

    def start_verification(self, *, started_by: str = "") -> Verification:
        """Queue a verification for a cluster. Raises NoCluster."""
        return stored_checks.start_verification(using=self.using, actor=Actor(started_by))

    # Undoing.

    def create_rollback_point(self, application_id: Any, *, reason: str = "", created_by: str = "") -> UUID:
        """Store the application's whole folder structure and return the id of the point.

        Raises UnknownObject and InvalidKey.
        """
        return one_point.take(using=self.using, application_id=application_id, reason=reason, created_by=created_by)

    def rollback_cleanup(
        self,
        rollback_id: Any,
        *,
        skip_conflicts: bool = False,
        as_copies: bool = False,
        workers: int = 1,
        reason: str = "",
        started_by: str = "",
        started_how: str = "service",
        progress: Callable[[Progress], None] | None = None,
    ) -> RollbackResult:
        """Undo a rollback point, or every live point of a cleanup run; the result is true.

        With ``as_copies`` folders that would be duplicates again, which guards forbid, come back under other names.
        Raises UnknownObject, InvalidKey, AlreadyRolledBack, PointExpired, Superseded, RollbackConflict (with
        ``.conflicts``), WouldDetach, Guarded, UnreadableJournal, Frozen, PreflightFailed, and database errors: in a
        transaction of the caller lock conflicts; in one of its own, if they persist.
        """
        return rollbacks.roll_back(
            using=self.using,
            rollback_id=rollback_id,
            options=Options(skip_conflicts=skip_conflicts, as_copies=as_copies),
            actor=Actor(started_by, started_how, reason),
            workers=workers,
            progress=progress,
        )

    def export_undo(self, rollback_id: Any, *, write: Callable[[str], object]) -> UndoScript:
        """Write a script that undoes a rollback point or a run without this program, in pieces of text.

        For psql, or for SQLite's shell. Raises as ``rollback_cleanup`` does without options, but Guarded, and
        Unscriptable.
        """
        return export.export(using=self.using, rollback_id=rollback_id, write=write)

    # Keeping.

    def purge(self, *, preview: bool = False) -> JSON:
        """Remove the snapshot rows of expired points, and old history, in small transactions; a preview only counts."""
        return purge.purge(using=self.using, preview=preview).as_json()

    def hold(self, application_id: Any, *, reason: str = "", created_by: str = "") -> None:
        """Leave this application alone from now on. Raises UnknownObject and InvalidKey."""
        holds.hold(using=self.using, application_id=application_id, reason=reason, created_by=created_by)

    def release(self, application_id: Any) -> None:
        """End the hold. Raises UnknownObject if there is none."""
        holds.release(using=self.using, application_id=application_id)

    def freeze(self, *, reason: str, changed_by: str = "") -> None:
        """Stop all claiming, enqueueing and inline merging until unfrozen."""
        freeze.freeze(using=self.using, reason=reason, changed_by=changed_by)

    def unfreeze(self, *, changed_by: str = "") -> None:
        """Allow cleaning again."""
        freeze.unfreeze(using=self.using, changed_by=changed_by)


def _scope(
    applications: Sequence[Any] | None,
    max_applications: int | None,
    batch_size: int | None,
    *,
    held: bool,
    large: bool,
    repair: str = "",
) -> Options:
    named = None if applications is None else tuple(applications)
    return Options(named, max_applications, batch_size, include_held=held, include_large=large, repair=repair)


#: The service of the default database; ``DatabaseCleanupService(using=alias)`` serves another.
cleanup_service = DatabaseCleanupService()
