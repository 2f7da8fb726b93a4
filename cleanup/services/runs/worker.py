"""Workers: claims under a lease, the work, and how a run ends.

Note [Claim, then work]. A claim is a transaction of its own: it sets lease, token and worker by the database's clock
and counts the attempt before the work, so that a worker that is killed has been counted. The work is another
transaction: the results are locked and their token checked, so a task delivered twice does nothing twice. A batch that
fails is done again one by one; a result whose last attempt did not end is claimed alone; after the last attempt it is
failed and set aside. Any number of workers, in threads, processes or machines, may share a run.

A worker alone has two threads; see Note [Overlapping batches] in ``cleanup.services.concurrency.pipeline``.
"""

import logging
import os
import platform
import resource
import signal
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import replace
from types import FrameType
from typing import Any, Protocol, TypeVar

from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.models import F, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from cleanup import backends, conf, correlation, journal, signals
from cleanup.backends.pinning import pinning
from cleanup.exceptions import CleanupError, LeaseLost, RollbackConflict, SchemaChanged, SharedRows
from cleanup.folder_tables import folder_tables
from cleanup.models import Control, Result, Run, SnapshotSchema
from cleanup.models.operations import RunQuerySet
from cleanup.references import ReferenceMap, schema_changes
from cleanup.references.readiness import Probe
from cleanup.references.schema_changes import TablesLocked
from cleanup.services import origin
from cleanup.services.concurrency.pipeline import ALONE, BatchAbandoned, Pipeline, PipelineSlot
from cleanup.services.concurrency.retry import PATIENCE, back_off, retry
from cleanup.services.concurrency.throttling import Throttle
from cleanup.services.errors import Classified, classify, is_anticipated, is_lost
from cleanup.services.results import Progress
from cleanup.services.runs import totals
from cleanup.services.runs.late_arrivals import LateArrivals
from cleanup.services.runs.lifecycle import release_dead, results_of
from cleanup.services.runs.signs_of_life import Signs
from cleanup.services.runs.tasks import Claimed, CleanupTask, Outcome, RollbackTask, Task

logger = logging.getLogger(__name__)

#: Applications in a worker's first batch; later ones aim at the target time.
FIRST_BATCH = 20

#: Seconds between looks at a run whose last applications are being worked elsewhere.
WAIT_SECONDS = 0.2

T = TypeVar("T")


class Piece(Protocol):
    """A part of a run that a team works at, when others go on with the rest; asked in the first worker's thread."""

    def goes_on(self) -> bool:
        """Tell whether to claim another batch."""

    def waits(self) -> bool:
        """Tell whether to wait for what others hold; pauses before it says yes."""

    def stop(self) -> None:
        """End it after the batch, for a signal says so."""


class Team:
    """The workers of one process on one run: what they share, and how the run starts and ends for them."""

    def __init__(
        self,
        *,
        using: str,
        run: Run,
        references: ReferenceMap,
        workers: int = 1,
        batch_size: int | None = None,
        progress: Callable[[Progress], None] | None = None,
        piece: Piece | None = None,
    ) -> None:
        self.using = using
        self.run = run
        self.piece = piece
        self.references = references
        # Points are undone in the order of their numbers, and that is the order of the changes of a row that two
        # applications share only if one worker makes them.
        self.workers = workers if references.in_any_order else 1
        workers = self.workers
        self.batch_size = batch_size
        self.progress = progress
        self.stop_reason = ""
        self.throttle = Throttle(using=using, run_id=run.pk)
        alone = workers == 1 and piece is None
        self.pipeline = Pipeline() if alone and self._has_time_for_two() and self._in_any_order() else None
        self.last = deque[bool](maxlen=conf.failure_window())
        self.done = self.failed = self.held = self.skipped = self.folders = self.files = 0
        self._counted = threading.Condition()
        self._reading = threading.Lock()
        self.read_again = 0
        """Times in a row that the references were read again and no batch was done by them."""
        self.signs = Signs(using=using, run=run)
        self._errors: list[BaseException] = []
        self._lost: list[str] = []
        """Workers of this process that lost their connection and did not get another."""
        self._ended = 0
        """Threads beside the first whose workers ended otherwise."""

    def _has_time_for_two(self) -> bool:
        """Tell whether a second thread would find work, and the database bears it."""
        return (
            self.run.total_applications > FIRST_BATCH
            and conf.duty_cycle() == 1  # who rests between batches is to leave the database alone
            and connections[self.using].features.has_select_for_update_skip_locked  # SQLite has one writer
        )

    def _in_any_order(self) -> bool:
        """Tell whether no batch needs what another one, which may not be committed, does or undoes."""
        if not self.references.in_any_order:
            return False
        if self.run.kind == Run.Kind.CLEANUP:
            return True
        backend, mapped = backends.database(using=self.using), folder_tables()
        now = journal.schema_digest(backend=backend, references=self.references, mapped=mapped)
        return not SnapshotSchema.objects.using(self.using).exclude(digest=now).exists()  # of today's references

    def _probe(self) -> Probe:
        """Return whether rows are looked at when the tables were changed; what undoes need not know them."""
        return "now" if self.run.kind == Run.Kind.CLEANUP else "not"

    def read_references(self, *, instead_of: ReferenceMap) -> None:
        """Go on by the references of today, unless another worker has read them. See Note [A deploy during a run].

        Raises CleanupError where the run cannot go on by these; it says what has changed.
        """
        with self._reading:
            if self.references is not instead_of:
                return
            self.read_again += 1
            if self.read_again > schema_changes.ATTEMPTS:
                raise SchemaChanged("tables are changed over and over")
            try:
                references, problems = schema_changes.examine(using=self.using, probe=self._probe())
            except CleanupError as error:
                raise SchemaChanged(f"tables were changed meanwhile: {error}") from error
            changed = schema_changes.tell(self.references, references)
            if problems:
                raise SchemaChanged(f"tables were changed meanwhile: {changed}. {' '.join(map(str, problems))}")
            self.references = references
            if self.pipeline is not None and not self._in_any_order():
                self.pipeline.overlapping = False

    def work(self) -> None:
        """Work until nothing is left, the run is paused or cancelled, or a signal asks to stop.

        With several workers each has a thread and a connection of its own; the first one is this thread.
        """
        with correlation.bound(correlation_id=self.run.correlation_id, run=str(self.run.pk)), self.signs.kept():
            self._work()

    def _work(self) -> None:
        started = time.monotonic()
        runs = Run.objects.using(self.using).filter(pk=self.run.pk)
        began = runs.move_to(Run.Status.RUNNING)
        runs.filter(started_at=None).update(started_at=Now())
        self._recall(totals.sums(using=self.using, run=self.run))
        if began:
            runs.update(resumed_at=Now(), heartbeat_at=Now(), done_when_resumed=F("done_applications"))
        elif self.piece is not None:
            self._recall_last()
        logger.info(
            "a %s of %d applications is worked",
            self.run.kind,
            self.run.total_applications,
            extra={"event": "run_worked"},
        )
        threads = [
            threading.Thread(target=copy_context().run, args=(self._in_thread,), name=f"worker-{n}")
            for n in range(1, 2 if self.pipeline else self.workers)
        ]
        try:
            with self._signals():
                for thread in threads:
                    thread.start()
                try:
                    self._work_first(alone=not threads or self.pipeline is not None)
                except BaseException as error:
                    self.stop_reason = self.stop_reason or "aborted"
                    if self.pipeline:
                        self.pipeline.over = True
                    if self.piece is None:
                        self._abort(error)
                    raise
                finally:
                    for thread in threads:
                        thread.join()
            if self._errors:
                if self.piece is None:
                    self._abort(self._errors[0])
                raise self._errors[0]
            self._finish()
        finally:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            with suppress(DatabaseError, InterfaceError):  # it must not hide what has ended the work
                runs.update(peak_memory_bytes=peak, seconds_worked=F("seconds_worked") + (time.monotonic() - started))
                self.run.refresh_from_db(using=self.using)
            self._log_end(time.monotonic() - started)

    def _work_first(self, *, alone: bool) -> None:
        """Work in this thread; where it loses its connection, the others go on, and it raises only if none is left."""
        worker = Worker(self)
        try:
            worker.work()
        except (DatabaseError, InterfaceError) as error:
            if alone or not is_lost(error):
                raise
            self._leave_to_others(worker.name, error)
            with self._counted:
                self._counted.wait_for(lambda: len(self._lost) + self._ended >= self.workers)
            if len(self._lost) == self.workers:
                raise

    def _leave_to_others(self, worker: str, error: BaseException) -> None:
        """Note that a worker is without a connection, so that others take what it has claimed."""
        logger.warning(
            "a worker lost its connection and ends: %s",
            classify(error).message,
            extra={"event": "worker_lost", "code": classify(error).code},
        )
        with self._counted:
            self._lost.append(worker)
            self._counted.notify_all()

    def release_lost(self, results: QuerySet[Result]) -> None:
        """End the leases of the workers of this process that are without a connection."""
        if self._lost:
            claimed = results.filter(status=Result.Status.IN_PROGRESS, worker__in=self._lost)
            claimed.update(lease_expires_at=Now())

    def _log_end(self, seconds: float) -> None:
        logger.info(
            "the run is %s: %d of %d applications done, %d failed, %d held, %d skipped",
            self.run.status,
            self.done,
            self.run.total_applications,
            self.failed,
            self.held,
            self.skipped,
            extra={
                "event": "run_left",
                "status": self.run.status,
                "applications": self.done,
                "failed": self.failed,
                "held": self.held,
                "skipped": self.skipped,
                "folders_removed": self.folders,
                "files_moved": self.files,
                "seconds": round(seconds, 3),
            },
        )

    def _abort(self, error: BaseException) -> None:
        """Say on the run that nobody works it, if the database can still be told."""
        try:
            connections[self.using].close_if_unusable_or_obsolete()
            Run.objects.using(self.using).filter(pk=self.run.pk).move_to(
                Run.Status.PAUSED, status_reason="aborted", paused_by_error=not isinstance(error, KeyboardInterrupt)
            )
        except (DatabaseError, InterfaceError):
            logger.warning("the run could not be marked as paused; it can be resumed all the same")

    def _in_thread(self) -> None:
        name, lost = threading.current_thread().name, False
        try:
            with pinning(using=self.using):
                if self.pipeline and not self._has_a_second_connection():
                    return
                worker = Worker(self)
                name = worker.name
                worker.work()
        except BaseException as error:  # noqa: BLE001  # raised again by the first thread
            lost = is_lost(error)
            if lost:
                self._leave_to_others(name, error)
            else:
                self.stop_reason = self.stop_reason or "a worker of the same process failed"
                self._errors.append(error)
        finally:
            connections[self.using].close()
            with self._counted:
                self._ended += not lost
                self._counted.notify_all()

    def _has_a_second_connection(self) -> bool:
        """Open the connection that nobody has asked for; the work goes on without it.

        One that does not see the run is of no use: its caller commits later, or works in a schema of his own.
        """
        with suppress(DatabaseError, InterfaceError):
            if Run.objects.using(self.using).filter(pk=self.run.pk).exists():
                return True
        logger.info("there is no second connection to be had: batches do not overlap", extra={"event": "no_turns"})
        return False

    def _recall(self, counted: Mapping[str, int]) -> None:
        """Start from what earlier workers have done."""
        self.done, self.failed = counted["done_applications"], counted["failed_applications"]
        self.held, self.skipped = counted["held_applications"], counted["skipped_applications"]
        self.folders, self.files = counted["folders_removed"], counted["files_moved"]
        self._report()

    def _recall_last(self) -> None:
        """Take over what the failure ratio is taken of: a piece may be too short to fill it."""
        ended = results_of(using=self.using, run=self.run).filter(ended_at__gte=F("run__resumed_at"))
        ended = ended.order_by("-ended_at")
        statuses = list(ended.values_list("status", flat=True)[: self.last.maxlen])
        self.last.extend(status == Result.Status.FAILED for status in reversed(statuses))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let the first SIGINT or SIGTERM finish the batch and pause, and the second one abort."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(number: int, _frame: FrameType | None) -> None:
            if self.piece is not None:
                self.piece.stop()
                return
            if self.stop_reason:
                raise KeyboardInterrupt
            self.stop_reason = f"interrupted by {signal.Signals(number).name}"

        previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def count(self, outcomes: Sequence[Outcome]) -> bool:
        """Add outcomes to the totals, and tell whether too many of the last ones failed."""
        with self._counted:
            for outcome in outcomes:
                failed = outcome.status == Result.Status.FAILED
                self.done += 1
                self.failed += failed
                self.held += outcome.status == Result.Status.HELD
                self.skipped += outcome.status == Result.Status.SKIPPED
                self.last.append(failed)
                self.folders += outcome.folders_removed
                self.files += outcome.files_moved
            self.read_again = 0
            self._report()
            self._counted.notify_all()
            return len(self.last) == self.last.maxlen and sum(self.last) * 2 > len(self.last)

    def share(self, size: int) -> int:
        """Return what one of several workers may take of what is left, so that all end at about the same time."""
        left = self.run.total_applications - self.done
        return size if self.workers == 1 else min(size, max(FIRST_BATCH, left // (2 * self.workers)))

    def wait(self, *, seen: int) -> None:
        """Wait a moment for what others hold, or until more is done in this process than was seen to be."""
        with self._counted:
            self._counted.wait_for(lambda: self.done != seen, timeout=WAIT_SECONDS)

    def _report(self) -> None:
        if self.progress is not None:
            self.progress(
                Progress(
                    self.run.pk,
                    self.done,
                    self.run.total_applications,
                    self.folders,
                    self.files,
                    self.failed,
                    self.held,
                    self.skipped,
                )
            )

    def _finish(self) -> None:
        if results_of(using=self.using, run=self.run).filter(status__in=Result.OPEN).exists():
            return
        runs = Run.objects.using(self.using).filter(pk=self.run.pk)
        if self.run.kind == Run.Kind.CLEANUP and runs.claimable().exists():
            LateArrivals(using=self.using, references=self.references).sweep(run=self.run)
        self._recall(totals.recount(using=self.using, run=self.run))
        runs.move_to(Run.Status.COMPLETED, status_reason="", ended_at=Now())


def _listed(results: QuerySet[Result]) -> list[Claimed]:
    return [Claimed(*row) for row in results.values_list("pk", "application_key", "point_id", "attempts")]


class Worker:
    """Claims and works batches of one run. One connection, one thread."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.using = team.using
        self.run = team.run
        self.backend: backends.Database = backends.database(using=team.using)
        self.name = f"{platform.node()}:{os.getpid()}:{threading.get_ident() % 100_000}"
        self.most = team.batch_size or team.run.options.get("batch_size") or conf.batch_size()
        self.size = min(FIRST_BATCH, self.most)
        self.last_key: str | None = None
        self.began = 0.0
        """When the last transaction had its turn, by the monotonic clock."""
        self.waits_for_tables: float | None = None
        """Since when a table is locked by who changes its definition, by the monotonic clock."""
        self._take_references()

    def _take_references(self) -> None:
        """Work by the team's references from now on."""
        task = CleanupTask if self.run.kind == Run.Kind.CLEANUP else RollbackTask
        self.references = self.team.references
        self.task: Task = task(using=self.using, run=self.run, references=self.references)

    def work(self) -> None:
        """Work until nothing is left or the run is told to stop; wait for what others still hold."""
        with correlation.bound(worker=self.name):
            self._work_on()

    def _work_on(self) -> None:
        while self._goes_on():
            done = self.team.done
            # Whoever finds the way free makes a claim, however short its time is: each piece brings the run forward.
            if not self._yield_way() or (claimed := self._patiently(self._claim)) is None:
                break
            if claimed:
                self._work(claimed)
            elif not results_of(using=self.using, run=self.run).filter(status__in=Result.OPEN).exists():
                return
            elif self._waits(done):
                release_dead(results_of(using=self.using, run=self.run))
                self.team.release_lost(results_of(using=self.using, run=self.run))
            else:
                return

    def _goes_on(self) -> bool:
        return self.team.piece is None or self.team.piece.goes_on()

    def _waits(self, done: int) -> bool:
        if self.team.piece is not None:
            return self.team.piece.waits()
        self.team.wait(seen=done)
        return True

    def _beat(self) -> None:
        """Give the run a sign of life."""
        self.team.signs.given()
        Run.objects.using(self.using).filter(pk=self.run.pk).update(heartbeat_at=Now())

    # Yielding.

    def _yield_way(self) -> bool:
        """Wait, holding nothing, while the database is under pressure; pause the run when that takes too long.

        Returns False when a piece of work is over before the pressure is: the next one looks again.
        """
        runs = Run.objects.using(self.using).filter(pk=self.run.pk)
        throttle = self.team.throttle
        waiting = False
        while True:
            if self._patiently(lambda: throttle.look(self.backend)):
                self._patiently(lambda: self._tell_pressure(runs))
            if not throttle.reason:
                break
            waiting = True
            if self._is_to_stop() or self._patiently(lambda: self._lost_patience(runs)):
                break
            if not self._goes_on():
                return False
            time.sleep(WAIT_SECONDS)
        if waiting and throttle.reason:
            runs.update(waiting_for="")
        return True

    def _tell_pressure(self, runs: RunQuerySet) -> None:
        """Write to the run what was seen, where that is news, and that its worker lives."""
        reason, probes = self.team.throttle.reason, self.team.throttle.probes
        since = Coalesce("waiting_since", Now()) if reason else None
        runs.update(probes=probes, heartbeat_at=Now(), waiting_for=reason, waiting_since=since)

    def _lost_patience(self, runs: RunQuerySet) -> bool:
        impatient = runs.filter(waiting_since__lte=Now() - conf.throttle_patience())
        return bool(
            impatient.move_to(
                Run.Status.PAUSED,
                status_reason=f"the database has been under pressure for too long: {self.team.throttle.reason}",
                paused_by_error=True,
                waiting_since=None,
            )
        )

    def _pace(self, seconds: float) -> None:
        """Leave the rest of the time to others, after so many seconds of work; a request to stop ends the rest."""
        share = conf.duty_cycle()
        until = time.monotonic() + seconds * (1 / share - 1)
        while not self.team.stop_reason and self._goes_on() and (left := until - time.monotonic()) > 0:
            if self.team.signs.are_due():
                self._patiently(self._beat)
            time.sleep(min(left, WAIT_SECONDS))

    # Claim.

    def _claim(self) -> list[Claimed] | None:
        """Return the claimed results, none if there is nothing to claim, and None if the run is not to go on.

        Raises ForeignDatabase, and has written nothing, where the connection leads to a copy now.
        """
        with transaction.atomic(using=self.using):
            # A claim that a crash of the server undoes was of work that it undoes as well.
            self.backend.commit_lazily()
            # Taken first: on SQLite a transaction that writes must not begin by reading.
            self._beat()
            origin.require_own(self.run, using=self.using)
            if (reason := self._reason_to_stop()) is None:
                return self._claim_rows()
            Run.objects.using(self.using).filter(pk=self.run.pk).move_to(Run.Status.PAUSED, status_reason=reason)
            return None

    def _reason_to_stop(self) -> str | None:
        """Return why the run is to be paused, or has been paused or ended; None while applications may be claimed."""
        if self.team.stop_reason:
            return self.team.stop_reason
        frozen = Control.objects.frozen().values("reason")[:1]
        status, reason, why = (
            Run.objects.using(self.using).values_list("status", "status_reason", Subquery(frozen)).get(pk=self.run.pk)
        )
        if why is not None:
            return f"frozen: {why}" if why.strip() else "frozen"
        return None if status in Run.CLAIMABLE else str(reason)

    def _is_to_stop(self) -> bool:
        return self._patiently(self._reason_to_stop) is not None

    def _claim_rows(self) -> list[Claimed]:
        # In key order, for locality; undone the other way round, for an image may name a folder that went after it.
        order, beyond = ("", "gt") if self.run.kind == Run.Kind.CLEANUP else ("-", "lt")
        results = results_of(using=self.using, run=self.run).order_by(f"{order}application_key")
        if connections[self.using].features.has_select_for_update_skip_locked:
            results = results.select_for_update(skip_locked=True, of=("self",))
        pending = results.filter(status=Result.Status.PENDING)
        rows: list[Claimed] = []
        size = self.team.share(self.size)
        if self.last_key is not None:
            # From where we were: the index entries of what is done already are skipped, not read again at each claim.
            ahead = pending.filter(**{f"application_key__{beyond}": self.last_key}, isolated=False)
            rows = _listed(ahead[:size])
        rows = rows or _listed(pending.filter(isolated=False)[:size]) or _listed(pending[:1])
        if not rows:
            rows = self._expired(results)
        if not rows:
            return []
        self.last_key = rows[-1].application_key
        token = uuid.uuid4()
        Result.objects.using(self.using).filter(pk__in=[row.pk for row in rows]).update(
            status=Result.Status.IN_PROGRESS,
            lease_token=token,
            lease_expires_at=Now() + conf.lease(),
            attempts=F("attempts") + 1,
            worker=self.name,
            started_at=Now(),
        )
        return [replace(row, lease_token=token, attempts=row.attempts + 1) for row in rows]

    def _expired(self, results: QuerySet[Result]) -> list[Claimed]:
        """Return one result whose worker was lost, and fail those that lost too many."""
        expired = results.filter(status=Result.Status.IN_PROGRESS, lease_expires_at__lte=Now())
        exhausted = list(expired.filter(attempts__gte=conf.max_attempts()).values_list("pk", flat=True)[:1000])
        Result.objects.using(self.using).filter(pk__in=exhausted).update(
            status=Result.Status.FAILED,
            error_code="attempts",
            error_class="data",
            error_message="Its worker ended before the work did, at every attempt.",
            ended_at=Now(),
        )
        if exhausted:
            totals.add(using=self.using, run=self.run, outcomes=[Outcome(Result.Status.FAILED)] * len(exhausted))
        rows = _listed(expired.exclude(pk__in=exhausted)[:1])
        Result.objects.using(self.using).filter(pk__in=[row.pk for row in rows]).update(isolated=True)
        return rows

    # Work.

    def _work(self, rows: Sequence[Claimed]) -> None:
        try:
            outcomes = self._transaction(rows)
        except BatchAbandoned:
            self._give_back(rows)
            return
        except (SchemaChanged, TablesLocked) as error:
            self._after_deploy(error, rows)
            return
        except Exception as error:  # noqa: BLE001  # the worklist's edge: whatever it is, it is recorded
            self._after_error()
            if len(rows) > 1 or isinstance(error, SharedRows):
                self._one_by_one(rows)
            else:
                self._fail(rows[0], classify(error), error)
            return
        except BaseException:
            self._give_back(rows)
            raise
        self._count(outcomes)
        seconds = time.monotonic() - self.began
        logger.debug(
            "a batch of %d applications is done",
            len(rows),
            extra={"event": "batch_done", "applications": len(rows), "seconds": round(seconds, 3)},
        )
        self._adapt(seconds, len(rows))
        self._pace(seconds)

    def _one_by_one(self, rows: Sequence[Claimed]) -> None:
        logger.warning(
            "a batch of %d failed and is done one by one",
            len(rows),
            extra={"event": "batch_failed", "applications": len(rows)},
        )
        joined: set[int] = set()
        try:
            for row in rows:
                if not self._goes_on() or self._is_to_stop():
                    break
                if row.pk in joined:
                    continue
                try:
                    joined |= self._with_what_it_needs(row)
                except BatchAbandoned:
                    break
                except (SchemaChanged, TablesLocked) as error:
                    self._after_deploy(error, [row])
                    break
                except Exception as error:  # noqa: BLE001  # as above
                    self._after_error()
                    self._fail(row, classify(error), error)
        finally:
            self._give_back(rows)  # those that were not got to

    def _with_what_it_needs(self, row: Claimed) -> set[int]:
        """Do one result, if need be with others of the run whose points changed the same rows; return which.

        Raises what stood in the way; BatchAbandoned where another worker is doing one of them.
        """
        together = [row]
        while True:
            try:
                outcomes = self._transaction(together)
            except SharedRows as error:
                self._after_error()
                others = self._claim_points(row, {*error.later, *(one.point_id for one in together[1:])})
                if len(others) < len(together):  # not of this run, or failed in it
                    if others:
                        self._give_back(others)
                    raise
                together = [replace(one, joined=True) for one in (row, *others)]
            except Exception:
                self._after_error()
                if len(together) > 1:
                    self._give_back(together[1:])
                raise
            else:
                self._count(outcomes)
                return {one.pk for one in together}

    def _claim_points(self, row: Claimed, points: Collection[int | None]) -> list[Claimed]:
        """Claim those results, ours or nobody's, that undo points; with the lease of the row that needs them."""
        others = results_of(using=self.using, run=self.run).filter(point__in=points).exclude(pk=row.pk)
        with transaction.atomic(using=self.using):
            if others.filter(status=Result.Status.IN_PROGRESS).exclude(lease_token=row.lease_token).exists():
                self._return(row, status=Result.Status.PENDING, attempts=F("attempts") - 1, isolated=True)
                back_off(1)
                raise BatchAbandoned
            free = others.filter(status=Result.Status.PENDING)
            free.update(
                status=Result.Status.IN_PROGRESS,
                lease_token=row.lease_token,
                lease_expires_at=Now() + conf.lease(),
                attempts=F("attempts") + 1,
                worker=self.name,
                started_at=Now(),
            )
        claimed = _listed(others.filter(status=Result.Status.IN_PROGRESS, lease_token=row.lease_token))
        return [replace(one, lease_token=row.lease_token) for one in claimed]

    def _after_deploy(self, error: SchemaChanged | TablesLocked, rows: Sequence[Claimed]) -> None:
        """Give back what is not to blame, and wait, or work by the references of today; pause if these forbid it."""
        self._after_error()
        self.last_key = None
        try:
            if isinstance(error, TablesLocked):
                self._wait_for_tables()
            else:
                self._patiently(lambda: self.team.read_references(instead_of=self.references))
        except SchemaChanged as obstacle:
            self._give_back(rows, error_code=obstacle.code, error_class="system", error_message=str(obstacle))
            self._end(Run.Status.PAUSED, str(obstacle))
        else:
            self._give_back(rows)

    def _wait_for_tables(self) -> None:
        """Wait a moment; raises SchemaChanged when that has taken too long."""
        now = time.monotonic()
        since = self.waits_for_tables = self.waits_for_tables or now
        if now - since > conf.throttle_patience().total_seconds():
            raise SchemaChanged("a table has been locked for too long by a session that changes its definition")
        back_off(PATIENCE)

    def _transaction(self, rows: Sequence[Claimed]) -> list[Outcome]:
        if self.references is not self.team.references:
            self._patiently(self._take_references)
        if self.team.pipeline is None:
            self.began = time.monotonic()
            return self._in_turn(rows, ALONE)
        with self.team.pipeline.slot() as slot:
            if self._is_to_stop():  # told so while the turn was waited for
                raise BatchAbandoned
            self.began = time.monotonic()
            return self._in_turn(rows, slot)

    def _in_turn(self, rows: Sequence[Claimed], slot: PipelineSlot) -> list[Outcome]:
        with transaction.atomic(using=self.using):
            # Not durable yet, unless others are told of it: what a crash of the server undoes is work and its record
            # alike, and is done again. The run's end waits for the disk, and so for all of it.
            self.backend.pin(
                session_name=f"cleanup {str(self.run.pk)[:8]} {self.name}",
                durable=signals.somebody_listens(folder_tables().folder),
            )
            # Locked until the work is committed, they cannot be claimed meanwhile, even if the lease runs out.
            held = Result.objects.using(self.using).filter(
                pk__in=[row.pk for row in rows], lease_token=rows[0].lease_token, status=Result.Status.IN_PROGRESS
            )
            if len(held.select_for_update(of=("self",)).order_by("pk").values_list("pk")) != len(rows):
                raise LeaseLost
            outcomes = self.task.perform(rows, slot)
            self._record(rows, outcomes)
            totals.add(using=self.using, run=self.run, outcomes=outcomes)
        return outcomes

    def _record(self, rows: Sequence[Claimed], outcomes: Sequence[Outcome]) -> None:
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
        self.waits_for_tables = None
        if self.team.count(outcomes):
            last = self.team.last
            self._end(Run.Status.STOPPED, f"{sum(last)} of the last {len(last)} applications failed")

    def _adapt(self, seconds: float, rows: int) -> None:
        """Let the next batch take about the target time; doubling at most, since applications differ."""
        target = conf.target_transaction_ms() / 1000
        wanted = int(rows * target / max(seconds, 0.001))
        self.size = max(1, min(self.most, wanted, self.size * 2))

    # When something fails.

    def _after_error(self) -> None:
        connections[self.using].close_if_unusable_or_obsolete()

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do again what fails for a moment."""
        return retry(action, attempts=PATIENCE + 1, before_retry=self._after_error)

    def _fail(self, row: Claimed, error: Classified, exception: Exception) -> None:
        """Record a failed attempt."""
        log = logger.warning if is_anticipated(exception) else logger.exception
        log(
            "application %s: %s",
            row.application_key,
            error.message,
            extra={
                "event": "application_failed",
                "application": row.application_key,
                "code": error.code,
                "sqlstate": getattr(exception.__cause__, "sqlstate", None),
                "error_class": error.kind,
                "attempt": row.attempts,
            },
        )
        if isinstance(exception, LeaseLost):  # somebody else does it, and records what comes of it
            return
        description: dict[str, Any] = {
            "error_code": error.code,
            "error_class": error.kind,
            "error_message": error.message,
        }
        if isinstance(exception, RollbackConflict):
            limit = conf.list_limit()
            description["details"] = {"conflicts": [conflict.as_json() for conflict in exception.conflicts[:limit]]}
        if error.kind == "system":
            self._return(row, status=Result.Status.PENDING, attempts=F("attempts") - 1, **description)
            self._end(Run.Status.PAUSED, error.message)
        elif error.kind == "transient" and row.attempts < conf.max_attempts():
            self._return(row, status=Result.Status.PENDING, isolated=True, **description)
            back_off(row.attempts)
        elif self._patiently(lambda: self._end_as_failed(row, **description)):
            self._count([Outcome(Result.Status.FAILED)])

    def _return(self, row: Claimed, **changes: Any) -> None:
        """End our lease of a result, if it is still ours."""
        self._patiently(lambda: self._own(row).update(**changes))

    def _end_as_failed(self, row: Claimed, **description: Any) -> bool:
        """Set a result aside, if it is still ours; return whether it was."""
        with transaction.atomic(using=self.using):
            ours = self._own(row).update(status=Result.Status.FAILED, ended_at=Now(), **description)
            if ours:
                totals.add(using=self.using, run=self.run, outcomes=[Outcome(Result.Status.FAILED)])
        return bool(ours)

    def _own(self, row: Claimed) -> QuerySet[Result]:
        return Result.objects.using(self.using).filter(
            pk=row.pk, lease_token=row.lease_token, status=Result.Status.IN_PROGRESS
        )

    def _give_back(self, rows: Sequence[Claimed], **description: str) -> None:
        """Let others claim what is ours still, uncharged; if even that fails, the lease runs out."""
        if not rows:
            return
        try:
            self._after_error()
            Result.objects.using(self.using).filter(
                pk__in=[row.pk for row in rows], lease_token=rows[0].lease_token, status=Result.Status.IN_PROGRESS
            ).update(status=Result.Status.PENDING, attempts=F("attempts") - 1, **description)
        except (DatabaseError, InterfaceError):  # what matters is the abort, which goes on
            logger.warning("the aborted batch could not be given back; its lease will run out")

    def _end(self, status: Run.Status, reason: str) -> None:
        Run.objects.using(self.using).filter(pk=self.run.pk).move_to(
            status,
            status_reason=reason,
            paused_by_error=status == Run.Status.PAUSED,
            ended_at=Now() if status == Run.Status.STOPPED else None,
        )
