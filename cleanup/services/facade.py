"""The facade: one object per database alias with every verb that a program needs.

It holds no state but the alias. A verb that changes something opens its own transaction, or joins the caller's.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import DatabaseError, IntegrityError, InterfaceError, transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from cleanup import backends, conf, exceptions, queries
from cleanup.backends.pinning import batch, pinned_verbs
from cleanup.exceptions import ApplicationError, CleanupError, Held, InvalidKey, UnknownObject, UsageError
from cleanup.folder_tables import folder_tables
from cleanup.models import ConsistencyCheck, Control, Hold, Result, RollbackPoint, Run, Verification
from cleanup.references import ReferenceMap, schema_changes
from cleanup.references.readiness import ready_references
from cleanup.services import origin
from cleanup.services.alerting import alerts
from cleanup.services.arguments import LARGEST, checked_arguments
from cleanup.services.background import clusters, dispatch
from cleanup.services.concurrency.retry import retry_lock_conflicts
from cleanup.services.errors import RUN_AT_WORK, broken_guard, classify
from cleanup.services.folders import structure
from cleanup.services.folders.structure import FolderPlace, FolderStructure
from cleanup.services.integrity import consistency_check, freshness
from cleanup.services.merging.collision_policies import add_policies, with_those_in_force
from cleanup.services.merging.decisions import Inclusion
from cleanup.services.merging.forecast import Forecaster
from cleanup.services.monitoring import status
from cleanup.services.preflight import report as preflight_service
from cleanup.services.results import (
    JSON,
    CleanupReport,
    Conflict,
    Copy,
    FolderCleanupResult,
    Progress,
    RollbackData,
    RollbackResult,
)
from cleanup.services.retention import history, points
from cleanup.services.rollback.manual_points import take_point
from cleanup.services.rollback.outcome import PointOutcome
from cleanup.services.rollback.points import find_point
from cleanup.services.rollback.undo import Undo
from cleanup.services.runs import lifecycle, wait_limit
from cleanup.services.runs.not_restored import LeftBehind, left_behind
from cleanup.services.runs.worker import Team

#: Rollback points read together.
PAGE = 200

_ERRORS = {
    error.code: error
    for error in vars(exceptions).values()
    if isinstance(error, type) and issubclass(error, CleanupError)
}


@checked_arguments(but=("name",))  # of a folder, which is judged with its length and its characters
@pinned_verbs(but=("get_or_create_folder_structure", "get_or_create_folder"))  # they pin where they change something
class DatabaseCleanupService:
    """Find, merge, undo and verify on one database alias."""

    def __init__(self, *, using: str = "default") -> None:
        self.using = using

    # Looking.

    def find_applications_with_duplicate_folders(self) -> Iterator[tuple[str, int]]:
        """Yield (application id, number of live root folders) where there is more than one, in key order, streamed.

        Ids are text, whatever the key of your model is: compare them with ``str(application.pk)``.
        """
        return queries.applications_with_duplicate_roots(using=self.using)

    def verify_cleanup_integrity(self, application_id: Any = None, *, started_by: str = "") -> JSON:
        """Verify one application or the whole database (stored then). Raises UnknownObject and InvalidKey.

        Rollback points that were written before a verification that passes count as verified.
        """
        answer = consistency_check.verify(
            using=self.using, application_id=application_id, started_by=_name(started_by), now=timezone.now()
        )
        if application_id is None:
            alerts.evaluate_quietly(using=self.using)
        return answer

    def check(self) -> JSON:
        """Return the consistency check's JSON: duplicates, the latest verification, whether cleanup is needed."""
        return consistency_check.examine(using=self.using, now=timezone.now(), verify=self.verify_cleanup_integrity)

    def status(self) -> JSON:
        """Return the status JSON."""
        return status.status(using=self.using)

    def preflight(self) -> JSON:
        """Say yes or no before anything is risked: ``ok``, ``problems``, ``identity``, ``estimate`` and details."""
        return preflight_service.preflight(using=self.using)

    def resolve_folder(self, folder_id: Any) -> str | None:
        """Return the folder that a removed folder's id leads to now, following later merges; None if unknown.

        Raises InvalidKey.
        """
        return structure.resolve_folder(using=self.using, folder_id=folder_id)

    # Making.

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
        dry_run: bool = False,  # noqa: FBT001, FBT002  # as first described, callers may pass it by place
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
        self._check_numbers(max_applications=max_applications, batch_size=batch_size, workers=workers)
        options = lifecycle.Options(
            applications=self._existing_applications(applications),
            max_applications=max_applications,
            batch_size=batch_size,
            include_held=include_held,
            include_large=include_large,
        )
        if dry_run:
            return self._dry_run(options, all_results=all_results, progress=progress)
        lifecycle.refuse_if_frozen(using=self.using)
        lifecycle.refuse_if_busy(using=self.using)
        references = schema_changes.ready(using=self.using, probe="now")
        run = lifecycle.create_cleanup(using=self.using, options=options, actor=_actor(started_by, started_how, reason))
        self._work(run, references, workers=workers, batch_size=batch_size, progress=progress)
        return self.report(run.pk, all_results=all_results)

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
        """Merge one application; zeros where nothing is to do.

        ``plan_hash`` is that of the preview that was confirmed: another plan is not carried out. Takes no slot: it may
        run beside the active run, serialised by the application's lock. Raises UnknownObject, InvalidKey, Held, Frozen,
        StalePlan, PreflightFailed and the ApplicationErrors.
        """
        run, references = self._start_consolidation(
            application_id,
            include=Inclusion(held=include_held, large=include_large),
            plan_hash=plan_hash,
            actor=_actor(started_by, started_how, reason),
        )
        self._work(run, references)
        return self._only_result(run)

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
        run, _ = self._start_consolidation(
            application_id,
            include=Inclusion(held=include_held, large=include_large),
            plan_hash=plan_hash,
            actor=_actor(started_by, started_how, reason),
        )
        return run

    def finish_consolidation(self, run_id: Any) -> FolderCleanupResult:
        """Merge what ``start_consolidation`` has written a run for; of a run that is over, return what came of it.

        Raises as ``consolidate_duplicate_folders``.
        """
        run = self._run(run_id)
        if not run.is_over:
            self.resume(run.pk)
        return self._only_result(run)

    def _start_consolidation(
        self, application_id: Any, *, include: Inclusion, plan_hash: str | None, actor: lifecycle.Actor
    ) -> tuple[Run, ReferenceMap]:
        key = self._existing_application(application_id)
        lifecycle.refuse_if_frozen(using=self.using)
        references = schema_changes.ready(using=self.using, probe="lately")
        options = lifecycle.Options(
            applications=(key,), include_held=include.held, include_large=include.large, plan_hash=plan_hash
        )
        run = lifecycle.create_cleanup(using=self.using, options=options, actor=actor, exclusive=False)
        return run, references

    def _only_result(self, run: Run) -> FolderCleanupResult:
        """Return the result of a run of one application. Raises Held and the ApplicationErrors."""
        (result,) = self.report(run.pk).results
        if result.status == Result.Status.HELD:
            raise Held(result.error_message, application_id=result.application_id)
        if result.status not in (Result.Status.COMPLETED, Result.Status.ROLLED_BACK):
            error = _ERRORS.get(result.error_code, ApplicationError)
            raise error(result.error_message, application_id=result.application_id)
        return result

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
        """Go on with a run that was interrupted. Raises UnknownObject, NotResumable, ForeignDatabase, Frozen, Busy.

        ``adopt`` accepts a run that was started on another database, of which this is a copy.
        """
        self._check_numbers(batch_size=batch_size, workers=workers)
        run = self._run(run_id)
        lifecycle.refuse_if_frozen(using=self.using)
        references = schema_changes.ready(using=self.using, probe=lifecycle.probing(run))
        lifecycle.reopen(using=self.using, run=run, retry_failed=retry_failed, adopt=adopt)
        self._work(run, references, workers=workers, batch_size=batch_size, progress=progress)
        if run.kind == Run.Kind.ROLLBACK:
            return self._rollback_report(run)
        return self.report(run.pk, all_results=all_results)

    def pause(self, run_id: Any = None, *, reason: str = "", by: str = "") -> JSON:
        """Ask the workers of the active cleanup run, or of the named run, to stop after their batch.

        Raises UnknownObject, InvalidKey and NotPausable.
        """
        run = self._active_or_named(run_id)
        lifecycle.pause(using=self.using, run=run, reason=_reason("paused", reason, by=_name(by)))
        return status.progress_of(run, worked=lifecycle.alive(using=self.using, run=run))

    def cancel(self, run_id: Any = None, *, reason: str = "", by: str = "") -> JSON:
        """End the active cleanup run, or the named run, for good; what it has done stays done.

        Raises UnknownObject, InvalidKey and NotPausable.
        """
        run = self._active_or_named(run_id)
        lifecycle.cancel(using=self.using, run=run, reason=_reason("cancelled", reason, by=_name(by)))
        return status.progress_of(run, worked=lifecycle.alive(using=self.using, run=run))

    def _active_or_named(self, run_id: Any) -> Run:
        if run_id is not None:
            return self._run(run_id)
        run = lifecycle.active_cleanup(using=self.using)
        if run is None:
            raise UnknownObject("No cleanup run is active.", what="run", key="active")
        return run

    def _work(
        self,
        run: Run,
        references: ReferenceMap,
        *,
        workers: int = 1,
        batch_size: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        team = Team(
            using=self.using,
            run=run,
            references=references,
            workers=workers,
            batch_size=batch_size,
            progress=progress,
        )
        try:
            team.work()
        except BaseException as error:
            vars(error)[RUN_AT_WORK] = run
            raise
        finally:
            if run.exclusive or run.kind == Run.Kind.ROLLBACK:  # nobody waits for news of a single application
                with suppress(DatabaseError, InterfaceError):  # it must not hide what has ended the work
                    if clusters.alive(using=self.using) and not origin.is_at_rest(using=self.using):
                        freshness.renew(using=self.using)
                alerts.evaluate_quietly(using=self.using)

    def _check_numbers(self, **numbers: int | None) -> None:
        for name, number in numbers.items():
            if number is not None and not 1 <= number <= LARGEST:
                limit = "at least 1" if number < 1 else f"at most {LARGEST}"
                raise UsageError(f"{name} must be {limit}, not {number}.")
        if (numbers.get("workers") or 1) > 1 and backends.database(using=self.using).one_writer:
            raise UsageError("SQLite has one writer at a time, so further workers would only wait. Use one worker.")

    def report(self, run_id: Any, *, all_results: bool = False) -> CleanupReport:
        """Return the report of a cleanup run, as far as it has come. Raises UnknownObject and InvalidKey."""
        run = self._run(run_id)
        results = lifecycle.results_of(using=self.using, run=run)
        totals = results.aggregate(
            successful=Count("pk", filter=Q(status__in=[Result.Status.COMPLETED, Result.Status.ROLLED_BACK])),
            failed=Count("pk", filter=Q(status=Result.Status.FAILED)),
            held=Count("pk", filter=Q(status=Result.Status.HELD)),
            skipped=Count("pk", filter=Q(status=Result.Status.SKIPPED)),
            folders=Sum("folders_removed"),
            files=Sum("files_moved"),
            children=Sum("child_folders_merged"),
        )
        listed = results.select_related("point").order_by("application_key")
        if not all_results:
            listed = listed[: conf.list_limit()]
        shown = tuple(_as_result(row) for row in listed.iterator(chunk_size=1000))
        policies: dict[str, Any] = {}
        for result in shown:
            add_policies(policies, result.details)
        return CleanupReport(
            run_id=run.pk,
            dry_run=False,
            status=run.status,
            status_reason=run.status_reason,
            total_applications=run.total_applications,
            successful_cleanups=totals["successful"],
            failed_cleanups=totals["failed"],
            held_applications=totals["held"],
            skipped_applications=totals["skipped"],
            total_folders_removed=totals["folders"] or 0,
            total_files_moved=totals["files"] or 0,
            total_child_folders_merged=totals["children"] or 0,
            start_time=run.started_at or run.created_at,
            end_time=run.ended_at,
            results=shown,
            results_left_out=max(0, run.total_applications - len(shown)),
            collision_policies=with_those_in_force(policies),
            rollback_points=self._live(run).count(),
        )

    def _dry_run(
        self, options: lifecycle.Options, *, all_results: bool, progress: Callable[[Progress], None] | None
    ) -> CleanupReport:
        start_time = timezone.now()
        references = ready_references(using=self.using, probe="now")
        forecaster = Forecaster(
            using=self.using,
            references=references,
            session_name="cleanup dry run",
            include=Inclusion(held=options.include_held, large=options.include_large),
            compare=True,
        )
        keys: Iterator[str]
        if options.applications is not None:
            named = sorted(set(options.applications))
            keys, total = iter(named), len(named)
        elif options.max_applications is not None:
            worst = queries.worst_applications(
                using=self.using, limit=options.max_applications, cleanable=lifecycle.cleanable(options)
            )
            keys, total = iter(sorted(worst)), len(worst)
        else:
            total = queries.count_affected(using=self.using)
            keys = (found.application_id for found in queries.affected_applications(using=self.using))
        tally = _Tally(all_results=all_results)
        for page in forecaster.pages(keys):
            for _, result in page:
                tally.add(result)
            if progress is not None:
                progress(tally.progress(total))
        return tally.report(start_time=start_time, end_time=timezone.now())

    # In the background.

    def cluster_alive(self) -> bool:
        """Tell whether a cluster is there to work in the background: one of its workers has done a task of late."""
        return clusters.alive(using=self.using)

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
        """Write a cleanup run as ``cleanup_all_duplicate_folders`` does, and have it worked by the clusters.

        Not ``in_background``, it waits for ``resume``, and no cluster is needed. Raises NoCluster, PreflightFailed,
        Busy, Frozen, UnknownObject, InvalidKey, UsageError.
        """
        self._check_numbers(max_applications=max_applications, batch_size=batch_size)
        options = lifecycle.Options(
            applications=self._existing_applications(applications),
            max_applications=max_applications,
            batch_size=batch_size,
            include_held=include_held,
            include_large=include_large,
        )
        lifecycle.refuse_if_frozen(using=self.using)
        lifecycle.refuse_if_busy(using=self.using)
        if in_background:
            clusters.require_alive(using=self.using)
        ready_references(using=self.using, probe="now")
        start = dispatch.start_cleanup if in_background else lifecycle.create_cleanup
        return start(using=self.using, options=options, actor=_actor(started_by, started_how, reason))

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
        """Write a run that undoes a rollback point, or every live point of a run; have it worked by the clusters.

        Not ``in_background``, it waits for ``resume``, and no cluster is needed. What a single point would conflict
        with is told at once, unless it is too large. Raises NoCluster, and as ``rollback_cleanup``.
        """
        key = _uuid(rollback_id)
        lifecycle.refuse_if_frozen(using=self.using)
        point = find_point(using=self.using, rollback_id=key)
        source = None if point else self._rollback_source(key)
        if in_background:
            clusters.require_alive(using=self.using)
        if point is not None and wait_limit.is_large_undo(using=self.using, rollback_id=key):
            points = RollbackPoint.objects.using(self.using).filter(pk=point.pk)
            self._refuse_impossible(points, self._undo(), as_copies=as_copies)
        elif point is not None:
            (outcome,) = self._previews([point], as_copies=as_copies)
            if outcome.conflicts and not skip_conflicts:
                raise exceptions.RollbackConflict(count=len(outcome.conflicts), conflicts=tuple(outcome.conflicts))
        elif source is not None:
            self._refuse_impossible(self._live(source), self._undo(), as_copies=as_copies)
        start = dispatch.start_rollback if in_background else lifecycle.create_rollback
        return start(
            using=self.using,
            source=source,
            point=point,
            options=lifecycle.Options(skip_conflicts=skip_conflicts, as_copies=as_copies),
            actor=_actor(started_by, started_how, reason),
        )

    def start_resume(
        self, run_id: Any, *, retry_failed: bool = False, adopt: bool = False, started_by: str = ""
    ) -> Run:
        """Have the clusters go on with a run that was interrupted. Raises NoCluster, and as ``resume``."""
        run = self._run(run_id)
        lifecycle.refuse_if_frozen(using=self.using)
        clusters.require_alive(using=self.using)
        ready_references(using=self.using, probe=lifecycle.probing(run))
        dispatch.start_resume(run, using=self.using, retry_failed=retry_failed, adopt=adopt, by=_name(started_by))
        return run

    def start_check(self, *, started_by: str = "", started_how: str = "service") -> ConsistencyCheck:
        """Write a consistency check that is still to be done, and have a cluster do it. Raises NoCluster."""
        clusters.require_alive(using=self.using)
        return dispatch.start_check(using=self.using, actor=_actor(started_by, started_how, ""))

    def start_verification(self, *, started_by: str = "") -> Verification:
        """Write a verification that is still to be done, and have a cluster do it. Raises NoCluster."""
        clusters.require_alive(using=self.using)
        return dispatch.start_verification(using=self.using, actor=_actor(started_by, "service", ""))

    # Undoing.

    def create_rollback_point(self, application_id: Any, *, reason: str = "", created_by: str = "") -> UUID:
        """Store the application's whole folder structure and return the id of the point.

        Raises UnknownObject and InvalidKey.
        """
        key = self._existing_application(application_id)

        def work(references: ReferenceMap) -> UUID:
            with batch(backends.database(using=self.using)):
                point = take_point(
                    using=self.using,
                    references=references,
                    application_id=key,
                    reason=_storable(reason),
                    created_by=_name(created_by),
                    now=timezone.now(),
                )
            return point.id

        return schema_changes.adapting(work, references=partial(schema_changes.read, using=self.using))

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
        self._check_numbers(workers=workers)
        key = _uuid(rollback_id)
        lifecycle.refuse_if_frozen(using=self.using)
        point = find_point(using=self.using, rollback_id=key)
        if point is not None:
            return self._roll_back_point(
                point, skip_conflicts=skip_conflicts, as_copies=as_copies, reason=reason, by=started_by
            )
        source = self._rollback_source(key)
        references = self._ready_to_undo()
        undo = Undo(using=self.using, references=references)
        self._refuse_impossible(self._live(source), undo, as_copies=as_copies)
        run = lifecycle.create_rollback(
            using=self.using,
            source=source,
            options=lifecycle.Options(skip_conflicts=skip_conflicts, as_copies=as_copies),
            actor=_actor(started_by, started_how, reason),
        )
        self._work(run, references, workers=workers, progress=progress)
        return self._rollback_report(run)

    def preview_rollback(self, rollback_id: Any, *, as_copies: bool = False) -> RollbackResult:
        """Tell what rolling back would restore, its conflicts, and what would come back as a copy.

        Changes nothing. Raises as ``rollback_cleanup``.

        It is the rollback itself in a transaction that is undone, so it takes its locks for a moment. Of a run, each
        point is looked at by itself, or with those that have to be undone before it.
        """
        key = _uuid(rollback_id)
        point = find_point(using=self.using, rollback_id=key)
        if point is not None:
            outcomes = self._previews([point], as_copies=as_copies)
            return _as_rollback_result(key, outcomes, status="preview")
        source = self._rollback_source(key)
        outcomes = self._previews(_in_pages(self._live(source)), as_copies=as_copies, source=source)
        behind = left_behind(using=self.using, source=source)
        return _as_rollback_result(key, outcomes, status="preview", behind=behind)

    def _refuse_impossible(self, points: QuerySet[RollbackPoint], undo: Undo, *, as_copies: bool) -> None:
        """Raise UnreadableJournal or Guarded where that is what one of the points would meet."""
        undo.refuse_unreadable(points)
        if not as_copies:
            undo.guards.refuse(_in_pages(points))

    def _live(self, source: Run) -> QuerySet[RollbackPoint]:
        return RollbackPoint.objects.using(self.using).filter(run=source, status=RollbackPoint.Status.LIVE)

    def _previews(
        self, points: Iterable[RollbackPoint], *, as_copies: bool, source: Run | None = None
    ) -> list[PointOutcome]:
        undo = self._undo()
        outcomes = []
        for point in points:
            try:
                outcomes.append(self._preview(undo, point, as_copies=as_copies, source=source))
            except exceptions.SchemaChanged:
                undo = self._undo()
                outcomes.append(self._preview(undo, point, as_copies=as_copies, source=source))
        return outcomes

    def _ready_to_undo(self) -> ReferenceMap:
        return schema_changes.ready(using=self.using, probe="not")

    def _undo(self) -> Undo:
        return Undo(using=self.using, references=self._ready_to_undo())

    def _preview(self, undo: Undo, point: RollbackPoint, *, as_copies: bool, source: Run | None = None) -> PointOutcome:
        """Look at a point; with further ones of its run, where these changed the same rows later."""
        points = [point]
        while True:
            preview = partial(self._preview_once, undo, points, as_copies=as_copies)
            try:
                return retry_lock_conflicts(preview, using=self.using)
            except exceptions.SharedRows as error:
                known = [one.sequence for one in points]
                others = self._live(source).select_related("schema") if source else RollbackPoint.objects.none()
                found = list(others.filter(sequence__in=error.later).exclude(sequence__in=known))
                if not found:
                    raise
                points += found

    def _preview_once(self, undo: Undo, points: Sequence[RollbackPoint], *, as_copies: bool) -> PointOutcome:
        """Return what undoing the first of the points would do, which the others need."""
        with _forbidden_as_conflict(undo), transaction.atomic(using=self.using):
            with batch(undo.tables.backend):
                outcomes = undo.undo(
                    points, skip_conflicts=True, as_copies=as_copies, now=timezone.now(), latest_first=len(points) > 1
                )
            transaction.set_rollback(True, using=self.using)  # not sooner: the caller gets its settings back first
        return next(outcome for outcome in outcomes if outcome.point == points[0])

    def _roll_back_point(
        self, point: RollbackPoint, *, skip_conflicts: bool, reason: str, by: str, as_copies: bool = False
    ) -> RollbackResult:
        now = timezone.now()

        def work(references: ReferenceMap) -> list[PointOutcome]:
            undo = Undo(using=self.using, references=references)
            return retry_lock_conflicts(partial(roll_back, undo), using=self.using)

        def roll_back(undo: Undo) -> list[PointOutcome]:
            with _forbidden_as_conflict(undo), batch(undo.tables.backend, session_name="cleanup rollback"):
                points = undo.lock([point.sequence])
                outcomes = undo.undo(points, skip_conflicts=skip_conflicts, as_copies=as_copies, now=now, by=by)
                undo.close(outcomes, reason=_storable(reason), by=_name(by), now=now)
            return outcomes

        return _as_rollback_result(
            point.id, schema_changes.adapting(work, references=self._ready_to_undo), status="rolled_back"
        )

    def _rollback_source(self, key: UUID) -> Run:
        source = Run.objects.using(self.using).filter(pk=key, kind=Run.Kind.CLEANUP).first()
        if source is None:
            raise UnknownObject(what="rollback point or cleanup run", key=key)
        points = RollbackPoint.objects.using(self.using).filter(run=source)
        if not points.filter(status=RollbackPoint.Status.LIVE).exists():
            last = points.order_by("-ended_at").first()
            if last is None:
                raise exceptions.Refused(f"Run {key} changed nothing, so there is nothing to roll back.")
            if last.status == RollbackPoint.Status.PURGED:
                raise exceptions.PointExpired(rollback_id=key, at=last.ended_at)
            raise exceptions.AlreadyRolledBack(rollback_id=key, at=last.ended_at)
        return source

    def rollback_point(self, rollback_id: Any) -> RollbackData:
        """Return the view of a rollback point. Raises UnknownObject and InvalidKey."""
        key = _uuid(rollback_id, what="a rollback point")
        point = RollbackPoint.objects.using(self.using).filter(id=key).first()
        if point is None:
            raise UnknownObject(what="rollback point", key=key)
        return RollbackData.of(point)

    def rollback_report(self, run_id: Any) -> RollbackResult:
        """Return the report of a rollback run, as far as it has come. Raises UnknownObject and InvalidKey."""
        return self._rollback_report(self._run(run_id))

    def _rollback_report(self, run: Run) -> RollbackResult:
        results = lifecycle.results_of(using=self.using, run=run)
        totals = results.aggregate(
            successful=Count("pk", filter=Q(status=Result.Status.COMPLETED)),
            failed=Count("pk", filter=Q(status=Result.Status.FAILED)),
        )
        folders = files = references = 0
        conflicts: list[JSON] = []
        copies: list[JSON] = []
        copied = 0
        inexact: dict[str, None] = {}
        for details in results.order_by("pk").values_list("details", flat=True).iterator(chunk_size=1000):
            folders += details.get("folders_restored", 0)
            files += details.get("files_restored", 0)
            references += details.get("references_restored", 0)
            found = details.get("conflicts", [])
            conflicts += found
            as_copies = details.get("copies", [])
            copied += len(as_copies) + details.get("copies_left_out", 0)
            copies += as_copies[: max(0, conf.list_limit() - len(copies))]
            # Older versions have not written it.
            inexact |= dict.fromkeys(details.get("inexact", []))
            inexact |= {name: None for name, several in {"conflicts": found, "copies": as_copies}.items() if several}
        behind = LeftBehind()
        if run.source_run is not None:
            behind = left_behind(using=self.using, source=run.source_run, by=run)
        inexact |= _inexact_of(behind)
        if totals["failed"]:
            inexact["failed"] = None
        if totals["successful"] + totals["failed"] < run.total_applications:
            inexact["unfinished"] = None
        limit = conf.list_limit()
        return RollbackResult(
            rollback_id=run.source_run_id or run.pk,
            status=run.status,
            folders_restored=folders,
            files_restored=files,
            references_restored=references,
            conflicts=tuple(Conflict(**conflict) for conflict in conflicts[:limit]),
            conflicts_left_out=max(0, len(conflicts) - limit),
            copies=tuple(Copy(**copy) for copy in copies),
            copies_left_out=copied - len(copies),
            exact=not inexact,
            inexact=tuple(inexact),
            expired=behind.expired,
            not_restored=behind.listed,
            not_restored_left_out=behind.left_out,
            run_id=run.pk,
            total_applications=run.total_applications,
            successful=totals["successful"],
            failed=totals["failed"],
        )

    # Keeping.

    def purge(self, *, preview: bool = False) -> JSON:
        """Remove the snapshot rows of expired points, and old history, in small transactions; a preview only counts."""
        now = timezone.now()
        purged = points.purge(using=self.using, preview=preview, now=now)
        return {**purged, "history": history.purge(using=self.using, preview=preview, now=now)}

    def hold(self, application_id: Any, *, reason: str = "", created_by: str = "") -> None:
        """Leave this application alone from now on. Raises UnknownObject and InvalidKey."""
        key = self._existing_application(application_id)
        Hold.objects.using(self.using).update_or_create(
            application_key=key, defaults={"reason": _storable(reason), "created_by": _name(created_by)}
        )

    def release(self, application_id: Any) -> None:
        """End the hold. Raises UnknownObject where there is none."""
        key = folder_tables().application_key.text(application_id)
        deleted, _ = Hold.objects.using(self.using).filter(application_key=key).delete()
        if not deleted:
            raise UnknownObject(what="hold of application", key=key)

    def freeze(self, *, reason: str, changed_by: str = "") -> None:
        """Stop all claiming, enqueueing and inline merging until unfrozen."""
        self._set_frozen(frozen=True, reason=reason, changed_by=changed_by)

    def unfreeze(self, *, changed_by: str = "") -> None:
        """Allow cleaning again."""
        self._set_frozen(frozen=False, reason="", changed_by=changed_by)

    def _set_frozen(self, *, frozen: bool, reason: str, changed_by: str) -> None:
        Control.objects.using(self.using).update_or_create(
            pk=1,
            defaults={
                "frozen": frozen,
                "reason": _storable(reason),
                "changed_by": _name(changed_by),
                "changed_at": timezone.now(),
            },
        )

    # Finding things by id.

    def _existing_applications(self, keys: Sequence[Any] | None) -> tuple[str, ...] | None:
        return None if keys is None else tuple(self._existing_application(key) for key in keys)

    def _existing_application(self, application_id: Any) -> str:
        key = folder_tables().application_key.text(application_id)
        if not queries.application_exists(using=self.using, application_id=key):
            raise UnknownObject(what="application", key=key)
        return key

    def _run(self, run_id: Any) -> Run:
        key = _uuid(run_id, what="a run")
        run = Run.objects.using(self.using).filter(pk=key).first()
        if run is None:
            raise UnknownObject(what="run", key=key)
        return run


def _in_pages(points: QuerySet[RollbackPoint]) -> Iterator[RollbackPoint]:
    """Yield points with their snapshot schemas, in the order of writing."""
    ordered, after = points.select_related("schema").order_by("sequence"), 0
    while page := list(ordered.filter(sequence__gt=after)[:PAGE]):
        yield from page
        after = page[-1].sequence


class _Tally:
    """The totals of a dry run, and its results up to the cap."""

    def __init__(self, *, all_results: bool) -> None:
        self.limit = None if all_results else conf.list_limit()
        self.results: list[FolderCleanupResult] = []
        self.total = self.folders = self.files = self.children = 0
        self.statuses: Counter[str] = Counter()
        self.policies: dict[str, Any] = {}

    def add(self, result: FolderCleanupResult) -> None:
        self.total += 1
        self.statuses[result.status] += 1
        self.folders += result.folders_removed
        self.files += result.files_moved
        self.children += result.child_folders_merged
        add_policies(self.policies, result.details)
        if self.limit is None or len(self.results) < self.limit:
            self.results.append(result)

    def progress(self, total: int) -> Progress:
        return Progress(
            None,
            self.total,
            total,
            self.folders,
            self.files,
            failed=self.statuses[Result.Status.FAILED],
            held=self.statuses[Result.Status.HELD],
            skipped=self.statuses[Result.Status.SKIPPED],
        )

    def report(self, *, start_time: datetime, end_time: datetime) -> CleanupReport:
        return CleanupReport(
            run_id=None,
            dry_run=True,
            status=Run.Status.COMPLETED,
            status_reason="",
            total_applications=self.total,
            successful_cleanups=self.statuses[Result.Status.COMPLETED],
            failed_cleanups=self.statuses[Result.Status.FAILED],
            held_applications=self.statuses[Result.Status.HELD],
            skipped_applications=self.statuses[Result.Status.SKIPPED],
            total_folders_removed=self.folders,
            total_files_moved=self.files,
            total_child_folders_merged=self.children,
            start_time=start_time,
            end_time=end_time,
            results=tuple(self.results),
            results_left_out=self.total - len(self.results),
            collision_policies=with_those_in_force(self.policies),
        )


@contextmanager
def _forbidden_as_conflict(undo: Undo) -> Iterator[None]:
    """Tell of a constraint that forbids what was to be restored, and that no comparison had foreseen, as a conflict.

    Raises Guarded where it is a guard.
    """
    try:
        yield
    except IntegrityError as error:
        guard = broken_guard(error)
        if guard is not None:
            raise undo.guards.refusal(guard) from error
        message = f"{classify(error).message} Nothing was restored."
        raise exceptions.RollbackConflict(message, count=1, conflicts=()) from error


def _as_result(row: Result) -> FolderCleanupResult:
    return FolderCleanupResult(
        application_id=row.application_key,
        status=row.status,
        folders_removed=row.folders_removed,
        files_moved=row.files_moved,
        child_folders_merged=row.child_folders_merged,
        references_moved=row.references_moved,
        error_code=row.error_code,
        error_message=row.error_message,
        rollback_id=row.point.id if row.point else None,
        details=row.details,
    )


def _inexact_of(behind: LeftBehind) -> dict[str, None]:
    spoiling = {"expired": behind.expired, "already_rolled_back": behind.changed}
    return {name: None for name, number in spoiling.items() if number}


def _as_rollback_result(
    rollback_id: UUID,
    outcomes: Sequence[PointOutcome],
    *,
    status: str,
    behind: LeftBehind = LeftBehind(),  # noqa: B008  # a tuple of nothing
) -> RollbackResult:
    conflicts = [conflict for outcome in outcomes for conflict in (*outcome.conflicts, *outcome.differences)]
    copies = [copy for outcome in outcomes for copy in outcome.copies]
    inexact = dict.fromkeys(name for outcome in outcomes for name in outcome.inexact) | _inexact_of(behind)
    limit = conf.list_limit()
    return RollbackResult(
        rollback_id=rollback_id,
        status=status,
        folders_restored=sum(outcome.folders_restored for outcome in outcomes),
        files_restored=sum(outcome.files_restored for outcome in outcomes),
        references_restored=sum(outcome.references_restored for outcome in outcomes),
        conflicts=tuple(conflicts[:limit]),
        conflicts_left_out=max(0, len(conflicts) - limit),
        copies=tuple(copies[:limit]),
        copies_left_out=max(0, len(copies) - limit),
        exact=not inexact,
        inexact=tuple(inexact),
        expired=behind.expired,
        not_restored=behind.listed,
        not_restored_left_out=behind.left_out,
        total_applications=len(outcomes),
        successful=len(outcomes),
    )


def _reason(what: str, reason: str, *, by: str) -> str:
    """Return why a run is paused or cancelled, and by whom."""
    if not by:
        return _storable(reason) or f"{what} by request"
    return f"{what} by {by}: {_storable(reason)}" if reason else f"{what} by {by}"


def _storable(text: str) -> str:
    """Replace what no database can hold: NUL, and halves of surrogate pairs."""
    return text.encode(errors="replace").decode().replace("\x00", "?")


def _name(text: str) -> str:
    """Return a person's name as it fits the columns for it."""
    return _storable(text)[:255]


def _actor(name: str, how: str, reason: str) -> lifecycle.Actor:
    return lifecycle.Actor(_name(name), how, _storable(reason))


def _uuid(value: Any, *, what: str = "a rollback point or run") -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError:
        raise InvalidKey(value=value, what=what) from None
