"""The workers of one process on one run: how they share it, and how the run begins and ends for them."""

import logging
import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context

from django.db import DatabaseError, InterfaceError, connections
from django.db.models import Exists, F
from django.db.models.functions import Coalesce, Now

from cleanup import conf, correlation
from cleanup.backends.pinning import pinning
from cleanup.models import Result, Run
from cleanup.models.operations import RunQuerySet
from cleanup.references import ReferenceMap
from cleanup.services.concurrency.throttling import Throttle
from cleanup.services.errors import classify, is_lost
from cleanup.services.results import Progress
from cleanup.services.runs import pacing, reports, totals
from cleanup.services.runs.claims import Claims
from cleanup.services.runs.current_references import CurrentReferences
from cleanup.services.runs.late_arrivals import LateArrivals
from cleanup.services.runs.lifecycle import results_of
from cleanup.services.runs.pacing import Pacing, TimeBox
from cleanup.services.runs.progress import RunProgress
from cleanup.services.runs.signs_of_life import SignsOfLife
from cleanup.services.runs.stop_requests import StopRequests
from cleanup.services.runs.worker import Worker

logger = logging.getLogger(__name__)


class Team:
    """Creates the workers, gives them what they share, and ends the run when nothing is left."""

    def __init__(
        self,
        *,
        using: str,
        run: Run,
        references: ReferenceMap,
        workers: int = 1,
        batch_size: int | None = None,
        progress: Callable[[Progress], None] | None = None,
        time_box: TimeBox | None = None,
    ) -> None:
        self.using = using
        self.run = run
        self.time_box = time_box
        # Points are undone in the order of their numbers, and that is the order of the changes of a row that two
        # applications share only if one worker makes them.
        independent = references.applications_are_independent and run.kind != Run.Kind.REPAIR
        self.workers = workers if independent else 1
        self.batch_size = batch_size
        self.references = CurrentReferences(using=using, run=run, references=references)
        self.throttle = Throttle(using=using, run_id=run.pk)
        self.stop_requests = StopRequests(using=using, run=run)
        self.progress = RunProgress(using=using, run=run, report=progress)
        self.signs = SignsOfLife(using=using, run=run)
        self.pipeline = self.references.make_pipeline() if self._has_time_for_two() else None
        self._left = threading.Condition()
        self._errors: list[BaseException] = []
        self._lost: list[str] = []
        """Workers of this process that lost their connection and got no other."""
        self._ended = 0
        """Threads other than the first whose workers ended in another way."""

    def _has_time_for_two(self) -> bool:
        """Return whether a second thread of the one worker would find work, and the database can take it."""
        return (
            self.workers == 1
            and self.time_box is None
            and self.run.total_applications > pacing.FIRST_BATCH
            and conf.duty_cycle() == 1  # a worker that rests between batches must leave the database alone
            and connections[self.using].features.has_select_for_update_skip_locked  # SQLite has one writer
        )

    def worker(self) -> Worker:
        """Return a worker for this thread."""
        name = f"{platform.node()}:{os.getpid()}:{threading.get_ident() % 100_000}"
        pace = Pacing(
            using=self.using,
            run=self.run,
            throttle=self.throttle,
            stop_requests=self.stop_requests,
            progress=self.progress,
            signs=self.signs,
            time_box=self.time_box,
            workers=self.workers,
            most=self.batch_size or self.run.options.get("batch_size") or conf.batch_size(),
        )
        return Worker(
            using=self.using,
            run=self.run,
            claims=Claims(using=self.using, run=self.run, worker=name),
            pacing=pace,
            references=self.references,
            stop_requests=self.stop_requests,
            progress=self.progress,
            signs=self.signs,
            pipeline=self.pipeline,
            lost=self._lost,
        )

    def work(self) -> None:
        """Work until nothing is left, the run is paused or cancelled, or a signal asks to stop.

        With several workers each has a thread and a connection of its own; the first one is this thread.
        """
        started = time.monotonic()
        with correlation.bound(correlation_id=self.run.correlation_id, run=str(self.run.pk)), self.signs.kept():
            self._begin()
            try:
                with self.stop_requests.on_signals(self.time_box.end if self.time_box else None):
                    self._process_in_threads()
                if self._errors:
                    self._abort(self._errors[0])
                    raise self._errors[0]
                self._complete()
            finally:
                self._leave(time.monotonic() - started)

    def _runs(self) -> RunQuerySet:
        return Run.objects.using(self.using).filter(pk=self.run.pk)

    def _begin(self) -> None:
        began = self._runs().move_to(
            Run.Status.RUNNING,
            started_at=Coalesce("started_at", Now()),
            resumed_at=Now(),
            heartbeat_at=Now(),
            done_when_resumed=F("done_applications"),
        )
        self.progress.start_from(totals.sums(using=self.using, run=self.run))
        if not began and self.time_box is not None:
            self.progress.recall_failures()
        logger.info(
            "processing a %s of %d applications",
            self.run.kind,
            self.run.total_applications,
            extra={"event": "run_worked"},
        )

    def _complete(self) -> None:
        """Complete the run, if nothing is left to claim and no one has paused or ended it."""
        is_left = Exists(results_of(using=self.using, run=self.run).filter(status__in=Result.OPEN))
        run = self._runs().filter(~is_left).only("status").first()
        if run is None:
            return
        if run.is_claimable and self.run.kind == Run.Kind.CLEANUP:
            LateArrivals(using=self.using, references=self.references.map).sweep(run=self.run)
        self.progress.start_from(totals.recount(using=self.using, run=self.run))
        undo = self.run.kind == Run.Kind.ROLLBACK
        kept = {"restored": reports.add_up_restored(self.run, using=self.using)} if undo else {}
        self._runs().move_to(Run.Status.COMPLETED, status_reason="", ended_at=Now(), **kept)

    def _abort(self, error: BaseException) -> None:
        """Record that no one is processing the run, if the database can be reached; others continue a time box."""
        if self.time_box is not None:
            return
        try:
            connections[self.using].close_if_unusable_or_obsolete()
            by_error = not isinstance(error, KeyboardInterrupt)
            self._runs().move_to(Run.Status.PAUSED, status_reason="aborted", paused_by_error=by_error)
        except (DatabaseError, InterfaceError):
            logger.warning("the run could not be marked as paused; it can be resumed all the same")

    def _leave(self, seconds: float) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        with suppress(DatabaseError, InterfaceError):  # it must not hide the error that ended the work
            self._runs().update(peak_memory_bytes=peak, seconds_worked=F("seconds_worked") + seconds)
            self.run.refresh_from_db(using=self.using)
        self.progress.log_end(seconds=seconds)

    # Threads.

    def _process_in_threads(self) -> None:
        threads = [
            threading.Thread(target=copy_context().run, args=(self._process_in_thread,), name=f"worker-{n}")
            for n in range(1, 2 if self.pipeline else self.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            self._process_first(alone=not threads or self.pipeline is not None)
        except BaseException as error:
            self.stop_requests.stop("aborted")
            if self.pipeline:
                self.pipeline.over = True
            self._abort(error)
            raise
        finally:
            for thread in threads:
                thread.join()

    def _process_first(self, *, alone: bool) -> None:
        """Work in this thread; if it loses its connection, the others continue, and it raises only if none is left."""
        worker = self.worker()
        try:
            worker.process()
        except (DatabaseError, InterfaceError) as error:
            if alone or not is_lost(error):
                raise
            self._leave_to_others(worker.name, error)
            with self._left:
                self._left.wait_for(lambda: len(self._lost) + self._ended >= self.workers)
            if len(self._lost) == self.workers:
                raise

    def _process_in_thread(self) -> None:
        name, lost = threading.current_thread().name, False
        try:
            with pinning(using=self.using):
                if self.pipeline and not self._has_a_second_connection():
                    return
                worker = self.worker()
                name = worker.name
                worker.process()
        except BaseException as error:  # noqa: BLE001  # raised again by the first thread
            lost = is_lost(error)
            if lost:
                self._leave_to_others(name, error)
            else:
                self.stop_requests.stop("a worker of the same process failed")
                self._errors.append(error)
        finally:
            connections[self.using].close()
            with self._left:
                self._ended += not lost
                self._left.notify_all()

    def _leave_to_others(self, worker: str, error: BaseException) -> None:
        """Record that a worker has no connection, so that others take what it has claimed."""
        logger.warning(
            "a worker lost its connection and ends: %s",
            classify(error).message,
            extra={"event": "worker_lost", "code": classify(error).code},
        )
        with self._left:
            self._lost.append(worker)
            self._left.notify_all()

    def _has_a_second_connection(self) -> bool:
        """Open the optional second connection; the work continues without it.

        One that does not see the run is useless: its caller commits later, or works in a different schema.
        """
        with suppress(DatabaseError, InterfaceError):
            if self._runs().exists():
                return True
        logger.info("no second connection is available: batches do not overlap", extra={"event": "no_overlap"})
        return False
