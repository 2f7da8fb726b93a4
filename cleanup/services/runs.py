"""Runs: the durable worklist, claims under a lease, the work, and how it ends.

Note [Claim, then work]. A claim is a transaction of its own: it sets lease, token and worker by the database's clock
and counts the attempt before the work, so that a worker that is killed has been counted. The work is another
transaction: the results are locked and their token checked, so a task delivered twice does nothing twice. A batch that
fails is done again one by one; a result whose last attempt did not end is claimed alone; after the last attempt it is
failed and set aside.
"""

import json
import logging
import os
import platform
import random
import resource
import signal
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any

from django.db import IntegrityError, connections, transaction
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Now
from django.utils import timezone

import cleanup
from cleanup import conf, journal, queries
from cleanup.backends import Backend, backend_for
from cleanup.exceptions import (
    Busy,
    CleanupError,
    ForeignDatabase,
    Frozen,
    LeaseLost,
    NotResumable,
    PreflightFailed,
    RollbackConflict,
)
from cleanup.models import Control, Result, RollbackPoint, Run, SnapshotLayout
from cleanup.references import ReferenceMap, blocking_rows, discover
from cleanup.services.consolidation import Consolidation, Inclusion
from cleanup.services.errors import Classified, classify
from cleanup.services.reports import FolderCleanupResult, Progress
from cleanup.services.rollback import PointOutcome, Undo

logger = logging.getLogger(__name__)

FIRST_BATCH = 20


@dataclass(frozen=True, slots=True)
class Options:
    """What a run was asked for, kept on the run."""

    applications: tuple[str, ...] | None = None
    max_applications: int | None = None
    batch_size: int | None = None
    include_held: bool = False
    include_large: bool = False
    skip_conflicts: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """Who starts something, from where, and why."""

    name: str = ""
    how: str = "service"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One application's outcome, ready to be recorded."""

    status: str
    code: str = ""
    kind: str = ""
    message: str = ""
    point: int | None = None
    folders_removed: int = 0
    files_moved: int = 0
    child_folders_merged: int = 0
    references_moved: int = 0
    details: str = "{}"
    """JSON."""


# Starting.


def refuse_if_frozen(*, using: str) -> None:
    """Raise Frozen while the freeze switch is on."""
    control = Control.objects.using(using).filter(frozen=True).first()
    if control is not None:
        raise Frozen(reason=control.reason or "no reason given")


def ready_references(*, using: str) -> ReferenceMap:
    """Discover all references. Raises PreflightFailed where something could not be moved."""
    references = discover(using=using)
    problems = [*references.problems, *blocking_rows(using=using, references=references)]
    if problems:
        raise PreflightFailed(problems)
    return references


def create_cleanup(*, using: str, options: Options, actor: Actor, takes_slot: bool = True) -> Run:
    """Write a cleanup run and its worklist. Raises Busy when another one is active."""
    try:
        with transaction.atomic(using=using):
            run = _create(using=using, kind=Run.Kind.CLEANUP, options=options, actor=actor, takes_slot=takes_slot)
            _fill_worklist(run, using=using, options=options)
            _count_worklist(run, using=using)
    except IntegrityError:
        active = active_cleanup(using=using)
        if active is None:
            raise
        raise Busy(run_id=active.pk) from None
    return run


def create_rollback(*, using: str, source: Run, options: Options, actor: Actor) -> Run:
    """Write a run that rolls back every live point of another run."""
    with transaction.atomic(using=using):
        run = _create(
            using=using, kind=Run.Kind.ROLLBACK, options=options, actor=actor, takes_slot=False, source=source
        )
        points = RollbackPoint.objects.using(using).filter(run=source, status=RollbackPoint.Status.LIVE)
        # Pages by key: a run may hold a million points.
        after = 0
        while page := list(points.filter(sequence__gt=after).order_by("sequence")[:5000]):
            Result.objects.using(using).bulk_create(
                Result(run=run, application_key=point.application_key, point=point) for point in page
            )
            after = page[-1].sequence
        _count_worklist(run, using=using)
    return run


def _create(
    *, using: str, kind: str, options: Options, actor: Actor, takes_slot: bool, source: Run | None = None
) -> Run:
    return Run.objects.using(using).create(
        kind=kind,
        takes_slot=takes_slot,
        source_run=source,
        correlation_id=uuid.uuid4().hex,
        started_by=actor.name,
        started_how=actor.how,
        reason=actor.reason,
        options=asdict(options),
        settings={
            "different_roots": conf.different_roots(),
            "differing_columns": conf.differing_columns(),
            "triggers": conf.triggers(),
            "collisions": dict(conf.collisions()),
        },
        code_version=cleanup.__version__,
        database_identity=backend_for(using=using).identity(),
    )


def _fill_worklist(run: Run, *, using: str, options: Options) -> None:
    """Write one result per affected application, the worst ones if there is a limit, or per named application."""
    if options.applications is not None:
        Result.objects.using(using).bulk_create(
            Result(run=run, application_key=key) for key in dict.fromkeys(options.applications)
        )
        return
    backend = backend_for(using=using)
    fields = [field for field in Result._meta.concrete_fields if not field.primary_key]
    constants = {str(field.column): field.get_default() for field in fields if field.column != "application_key"}
    constants["run_id"] = run.pk
    if options.max_applications is None:
        affected, params = queries.affected_sql(using=using)
    else:
        affected, params = queries.worst_sql(using=using, limit=options.max_applications)
    columns = ", ".join(backend.quote(column) for column in constants)
    connection = connections[using]
    values = [
        field.get_db_prep_save(constants[str(field.column)], connection)
        for field in fields
        if field.column in constants
    ]
    backend.execute(
        f"INSERT INTO {backend.quote(Result._meta.db_table)} (application_key, {columns})"
        f" SELECT application_key, {', '.join(['%s'] * len(constants))} FROM ({affected}) AS affected",
        [*values, *params],
    )


def _count_worklist(run: Run, *, using: str) -> None:
    run.total_applications = Result.objects.using(using).filter(run=run).count()
    run.save(using=using, update_fields=["total_applications"])


def active_cleanup(*, using: str) -> Run | None:
    """Return the cleanup run that holds the database's one slot."""
    return (
        Run.objects.using(using)
        .filter(kind=Run.Kind.CLEANUP, takes_slot=True, status__in=Run.ACTIVE)
        .order_by("-created_at")
        .first()
    )


def reopen(*, using: str, run: Run, retry_failed: bool, adopt: bool = False) -> None:
    """Make an interrupted run workable again. Raises NotResumable, ForeignDatabase or Busy."""
    identity = backend_for(using=using).identity()
    if run.database_identity != identity:
        if not adopt:
            raise ForeignDatabase(run_id=run.pk)
        run.database_identity = identity
    results = Result.objects.using(using).filter(run=run)
    has_failed = results.filter(status=Result.Status.FAILED).exists()
    again = retry_failed and has_failed and run.status == Run.Status.COMPLETED
    if run.status not in Run.RESUMABLE and not again:
        raise NotResumable(run_id=run.pk, status=run.get_status_display())
    with transaction.atomic(using=using):
        if retry_failed:
            results.filter(status=Result.Status.FAILED).update(
                status=Result.Status.PENDING, attempts=0, alone=True, error_code="", error_class="", error_message=""
            )
        _release_dead(results)
        run.status, run.status_reason, run.ended_at = Run.Status.PENDING, "", None
        try:
            with transaction.atomic(using=using):
                run.save(using=using, update_fields=["status", "status_reason", "ended_at", "database_identity"])
        except IntegrityError:
            active = active_cleanup(using=using)
            raise Busy(run_id=active.pk if active else run.pk) from None


def _release_dead(results: Any) -> None:
    """End the leases of workers of this machine whose process is gone; others run out by themselves."""
    for worker in results.filter(status=Result.Status.IN_PROGRESS).values_list("worker", flat=True).distinct():
        host, _, rest = worker.partition(":")
        process = rest.partition(":")[0]
        if host == platform.node() and process.isdigit() and not _is_alive(int(process)):
            results.filter(status=Result.Status.IN_PROGRESS, worker=worker).update(lease_expires_at=Now())


def _is_alive(process: int) -> bool:
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# Working.


class Worker:
    """Works one run to its end, or until it is told to stop. One connection, one thread."""

    def __init__(
        self,
        *,
        using: str,
        run: Run,
        references: ReferenceMap,
        batch_size: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.using = using
        self.run = run
        self.backend: Backend = backend_for(using=using)
        self.name = f"{platform.node()}:{os.getpid()}:{threading.get_ident() % 100_000}"
        self.most = batch_size or run.options.get("batch_size") or conf.batch_size()
        self.size = min(FIRST_BATCH, self.most) if batch_size is None else self.most
        self.progress = progress
        self.stop_reason = ""
        self.last = deque[bool](maxlen=conf.failure_window())
        self.done = 0
        self.failed = 0
        self.folders = 0
        self.files = 0
        self.task: Task = (
            CleanupTask(using=using, run=run, references=references)
            if run.kind == Run.Kind.CLEANUP
            else RollbackTask(using=using, run=run, references=references)
        )

    def work(self) -> None:
        """Claim and work until nothing is left, the run is paused or cancelled, or a signal asks to stop."""
        started = time.monotonic()
        runs = Run.objects.using(self.using).filter(pk=self.run.pk)
        runs.filter(status=Run.Status.PENDING).update(status=Run.Status.RUNNING)
        runs.filter(started_at=None).update(started_at=Now())
        totals = results_of(using=self.using, run=self.run).aggregate(
            done=Count("pk", filter=~Q(status__in=Result.OPEN)),
            failed=Count("pk", filter=Q(status=Result.Status.FAILED)),
            folders=Sum("folders_removed"),
            files=Sum("files_moved"),
        )
        self.done, self.failed = totals["done"], totals["failed"]
        self.folders, self.files = totals["folders"] or 0, totals["files"] or 0
        self._report()
        try:
            with self._signals():
                while claimed := self._claim():
                    self._work(claimed)
                    self._report()
            self._finish()
        finally:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            runs.update(peak_memory_bytes=peak, seconds_worked=F("seconds_worked") + (time.monotonic() - started))
            self.run.refresh_from_db(using=self.using)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let the first SIGINT or SIGTERM finish the batch and pause, and the second one abort."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(number: int, _frame: FrameType | None) -> None:
            if self.stop_reason:
                raise KeyboardInterrupt
            self.stop_reason = f"interrupted by {signal.Signals(number).name}"

        previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _report(self) -> None:
        if self.progress is not None:
            self.progress(
                Progress(self.run.pk, self.done, self.run.total_applications, self.folders, self.files, self.failed)
            )

    # Claim.

    def _claim(self) -> list[Result]:
        with transaction.atomic(using=self.using):
            # Taken first: on SQLite a transaction that writes must not begin by reading.
            Run.objects.using(self.using).filter(pk=self.run.pk).update(heartbeat_at=Now())
            status, reason = self._ordered()
            if status is not None:
                Run.objects.using(self.using).filter(pk=self.run.pk, status__in=Run.ACTIVE).update(
                    status=status, status_reason=reason
                )
                return []
            return self._claim_rows()

    def _ordered(self) -> tuple[str | None, str]:
        """Return the status that the run is to take instead of going on, and why."""
        if self.stop_reason:
            return Run.Status.PAUSED, self.stop_reason
        control = Control.objects.using(self.using).filter(frozen=True).first()
        if control is not None:
            return Run.Status.PAUSED, f"frozen: {control.reason}"
        status, reason = Run.objects.using(self.using).values_list("status", "status_reason").get(pk=self.run.pk)
        if status == Run.Status.RUNNING:
            return None, ""
        return (Run.Status.PAUSED if status == Run.Status.PAUSING else status), reason

    def _claim_rows(self) -> list[Result]:
        results = results_of(using=self.using, run=self.run).order_by("application_key")
        if connections[self.using].features.has_select_for_update_skip_locked:
            results = results.select_for_update(skip_locked=True, of=("self",))
        pending = results.filter(status=Result.Status.PENDING)
        rows = list(pending.filter(alone=False)[: self.size]) or list(pending[:1])
        if not rows:
            rows = self._expired(results)
        if not rows:
            return []
        token = uuid.uuid4()
        Result.objects.using(self.using).filter(pk__in=[row.pk for row in rows]).update(
            status=Result.Status.IN_PROGRESS,
            lease_token=token,
            lease_expires_at=Now() + conf.lease(),
            attempts=F("attempts") + 1,
            worker=self.name,
            started_at=Now(),
        )
        for row in rows:
            row.lease_token, row.attempts = token, row.attempts + 1
        return rows

    def _expired(self, results: Any) -> list[Result]:
        """Return one result whose worker was lost, and fail those that lost too many."""
        expired = results.filter(status=Result.Status.IN_PROGRESS, lease_expires_at__lte=Now())
        exhausted = [row.pk for row in expired.filter(attempts__gte=conf.max_attempts())[:1000]]
        Result.objects.using(self.using).filter(pk__in=exhausted).update(
            status=Result.Status.FAILED,
            error_code="attempts",
            error_class="data",
            error_message="Its worker ended before the work did, at every attempt.",
            ended_at=Now(),
        )
        rows = list(expired.exclude(pk__in=exhausted)[:1])
        for row in rows:
            row.alone = True
        Result.objects.using(self.using).filter(pk__in=[row.pk for row in rows]).update(alone=True)
        return rows

    # Work.

    def _work(self, rows: Sequence[Result]) -> None:
        began = time.monotonic()
        try:
            outcomes = self._transaction(rows)
        except Exception as error:  # noqa: BLE001  # the worklist's edge: whatever it is, it is recorded
            self._after_error()
            if len(rows) > 1:
                logger.warning("run %s: a batch of %d failed and is done one by one", self.run.pk, len(rows))
                for row in rows:
                    if not self._work_alone(row):
                        break
                return
            self._fail(rows[0], classify(error), error)
            return
        except BaseException:
            self._release(rows)
            raise
        self._count(outcomes)
        self._adapt(time.monotonic() - began, len(rows))

    def _work_alone(self, row: Result) -> bool:
        try:
            self._count(self._transaction([row]))
        except Exception as error:  # noqa: BLE001  # as above
            self._after_error()
            return self._fail(row, classify(error), error)
        except BaseException:
            self._release([row])
            raise
        return True

    def _transaction(self, rows: Sequence[Result]) -> list[Outcome]:
        with transaction.atomic(using=self.using):
            self.backend.pin(session_name=f"cleanup {str(self.run.pk)[:8]} {self.name}")
            token = rows[0].lease_token
            held = (
                Result.objects.using(self.using)
                .filter(pk__in=[row.pk for row in rows], lease_token=token, status=Result.Status.IN_PROGRESS)
                .update(lease_expires_at=Now() + conf.lease())
            )
            if held != len(rows):
                raise LeaseLost
            outcomes = self.task.perform(rows)
            self._record(rows, outcomes)
        return outcomes

    def _record(self, rows: Sequence[Result], outcomes: Sequence[Outcome]) -> None:
        names = (
            ("status", "status"),
            ("error_code", "code"),
            ("error_class", "kind"),
            ("error_message", "message"),
            ("point", "point"),
            ("folders_removed", "folders_removed"),
            ("files_moved", "files_moved"),
            ("child_folders_merged", "child_folders_merged"),
            ("references_moved", "references_moved"),
            ("details", "details"),
        )
        fields = {field.name: field for field in Result._meta.concrete_fields}
        columns = [(str(fields[n].column), str(fields[n].db_type(connections[self.using]))) for n, _ in names]
        values = [
            [row.pk, *(getattr(outcome, name) for _, name in names)]
            for row, outcome in zip(rows, outcomes, strict=True)
        ]
        self.backend.update_many(Result._meta.db_table, "id", columns, values, now="ended_at")

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self.done += 1
            failed = outcome.status == Result.Status.FAILED
            self.failed += failed
            self.last.append(failed)
            self.folders += outcome.folders_removed
            self.files += outcome.files_moved
        self._stop_on_failures()

    def _stop_on_failures(self) -> None:
        if len(self.last) == self.last.maxlen and sum(self.last) * 2 > len(self.last):
            self._end(Run.Status.STOPPED, f"{sum(self.last)} of the last {len(self.last)} applications failed")

    def _adapt(self, seconds: float, rows: int) -> None:
        """Let the next batch take about the target time; doubling at most, since applications differ."""
        target = conf.target_transaction_ms() / 1000
        wanted = int(rows * target / max(seconds, 0.001))
        self.size = max(1, min(self.most, wanted, self.size * 2))

    # When something fails.

    def _after_error(self) -> None:
        connections[self.using].close_if_unusable_or_obsolete()

    def _fail(self, row: Result, error: Classified, exception: Exception) -> bool:
        """Record a failed attempt, and tell whether the worker may go on with others."""
        log = logger.warning if isinstance(exception, CleanupError) else logger.exception
        log("run %s: application %s: %s", self.run.pk, row.application_key, error.message)
        own = Result.objects.using(self.using).filter(
            pk=row.pk, lease_token=row.lease_token, status=Result.Status.IN_PROGRESS
        )
        description: dict[str, Any] = {
            "error_code": error.code,
            "error_class": error.kind,
            "error_message": error.message,
        }
        if isinstance(exception, RollbackConflict):
            limit = conf.list_limit()
            description["details"] = {"conflicts": [conflict.as_json() for conflict in exception.conflicts[:limit]]}
        if error.kind == "system":
            own.update(status=Result.Status.PENDING, attempts=F("attempts") - 1, **description)
            self._end(Run.Status.PAUSED, error.message)
            return False
        if error.kind == "transient" and row.attempts < conf.max_attempts():
            own.update(status=Result.Status.PENDING, alone=True, **description)
            # Jitter, so that two who collided do not collide again.
            time.sleep(min(2.0, 0.05 * 2**row.attempts) * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
            return True
        own.update(status=Result.Status.FAILED, ended_at=Now(), **description)
        self._count([Outcome(Result.Status.FAILED)])
        return True

    def _release(self, rows: Sequence[Result]) -> None:
        """Give the rows back after an abort; if even that fails, their lease runs out."""
        try:
            self._after_error()
            Result.objects.using(self.using).filter(
                pk__in=[row.pk for row in rows], lease_token=rows[0].lease_token, status=Result.Status.IN_PROGRESS
            ).update(status=Result.Status.PENDING, attempts=F("attempts") - 1)
            self._end(Run.Status.PAUSED, "aborted")
        except Exception:  # noqa: BLE001  # what matters is the abort, which goes on
            logger.warning("run %s: the aborted batch could not be given back; its lease will run out", self.run.pk)

    def _end(self, status: str, reason: str) -> None:
        Run.objects.using(self.using).filter(pk=self.run.pk, status__in=Run.ACTIVE).update(
            status=status, status_reason=reason, ended_at=Now() if status == Run.Status.STOPPED else None
        )

    def _finish(self) -> None:
        runs = Run.objects.using(self.using).filter(pk=self.run.pk, status=Run.Status.RUNNING)
        if not results_of(using=self.using, run=self.run).filter(status__in=Result.OPEN).exists():
            runs.update(status=Run.Status.COMPLETED, status_reason="", ended_at=Now())
        elif runs.exists():
            self._end(
                Run.Status.PAUSED, "applications are still claimed by a worker that is gone; its lease will run out"
            )


# What a run does with a batch.


class Task:
    """One kind of work on claimed results; performs inside the worker's transaction."""

    def perform(self, rows: Sequence[Result]) -> list[Outcome]:
        """Do the work and return the outcomes in the order of the rows."""
        raise NotImplementedError


class CleanupTask(Task):
    """Merges applications."""

    def __init__(self, *, using: str, run: Run, references: ReferenceMap) -> None:
        self.run = run
        self.consolidation = Consolidation(using=using, references=references)
        self.include = Inclusion(
            held=bool(run.options.get("include_held")), large=bool(run.options.get("include_large"))
        )
        self.layout: SnapshotLayout = journal.write_layout(
            using=using,
            backend=self.consolidation.backend,
            references=references,
            parent_column=self.consolidation.tables.folder_parent,
            folder_key=self.consolidation.key_column,
        )

    def perform(self, rows: Sequence[Result]) -> list[Outcome]:
        """Merge the applications of the rows."""
        decisions = self.consolidation.examine([row.application_key for row in rows], include=self.include, lock=True)
        results, points = self.consolidation.apply(
            decisions, layout=self.layout, run=self.run, created_by=self.run.started_by, now=timezone.now()
        )
        return [self._outcome(result, points) for result in results]

    def _outcome(self, result: FolderCleanupResult, points: dict[str, RollbackPoint]) -> Outcome:
        point = points.get(result.application_id)
        return Outcome(
            status=result.status,
            code=result.error_code,
            kind="data" if result.status == Result.Status.FAILED else "",
            message=result.error_message,
            point=point.sequence if point else None,
            folders_removed=result.folders_removed,
            files_moved=result.files_moved,
            child_folders_merged=result.child_folders_merged,
            references_moved=result.references_moved,
            details=json.dumps(dict(result.details)),
        )


class RollbackTask(Task):
    """Undoes points."""

    def __init__(self, *, using: str, run: Run, references: ReferenceMap) -> None:
        self.run = run
        self.undo = Undo(using=using, references=references)

    def perform(self, rows: Sequence[Result]) -> list[Outcome]:
        """Undo the points of the rows."""
        points = self.undo.lock([row.point_id for row in rows if row.point_id is not None])
        self.undo.check(points)
        now = timezone.now()
        skip = bool(self.run.options.get("skip_conflicts"))
        outcomes = self.undo.undo(points, skip_conflicts=skip, now=now)
        self.undo.close(outcomes, reason=self.run.reason, by=self.run.started_by, now=now)
        by_point = {outcome.point.sequence: outcome for outcome in outcomes}
        return [self._outcome(by_point[row.point_id]) for row in rows if row.point_id is not None]

    def _outcome(self, outcome: PointOutcome) -> Outcome:
        return Outcome(
            status=Result.Status.COMPLETED,
            point=outcome.point.sequence,
            references_moved=outcome.references_restored,
            files_moved=outcome.files_restored,
            details=json.dumps(outcome.as_json()),
        )


def results_of(*, using: str, run: Run) -> Any:
    """Return the run's results."""
    return Result.objects.using(using).filter(run=run)
