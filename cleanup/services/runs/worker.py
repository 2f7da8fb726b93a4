"""A worker: claims results under a lease, processes them, and records their outcomes.

Note [Claim, then work]. A claim is a transaction of its own: it sets lease, token and worker by the database's clock
and counts the attempt before the work, so that a worker that is killed has been counted. The work is another
transaction: the results are locked and their token checked, so a task delivered twice does nothing twice. A batch that
fails is repeated one by one; a result whose last attempt did not end is claimed alone; after the last attempt it is
failed and set aside. Any number of workers, in threads, processes or machines, may share a run.

A single worker has two threads; see Note [Overlapping batches] in ``cleanup.services.concurrency.pipeline``.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from cleanup import backends, conf, correlation, signals
from cleanup.exceptions import LeaseLost, RollbackConflict, SchemaChanged, SharedRows
from cleanup.folder_tables import folder_tables
from cleanup.models import Result, Run
from cleanup.references import ReferenceMap
from cleanup.references.schema_changes import TablesLocked
from cleanup.retry_limits import TRANSIENT_RETRIES
from cleanup.services import origin
from cleanup.services.concurrency.pipeline import ALONE, BatchAbandoned, Pipeline, PipelineSlot
from cleanup.services.concurrency.retry import back_off, reconnect, retry_connected
from cleanup.services.errors import Classified, classify, is_anticipated
from cleanup.services.runs import table_waits
from cleanup.services.runs.claims import Claims
from cleanup.services.runs.current_references import CurrentReferences
from cleanup.services.runs.lifecycle import release_dead, results_of
from cleanup.services.runs.pacing import Pacing
from cleanup.services.runs.progress import RunProgress
from cleanup.services.runs.signs_of_life import SignsOfLife
from cleanup.services.runs.stop_requests import StopRequests
from cleanup.services.runs.tasks import Claimed, CleanupTask, Outcome, RepairTask, RollbackTask, Task

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: By the kind of a run.
TASKS: dict[str, Callable[..., Task]] = {
    Run.Kind.CLEANUP: CleanupTask,
    Run.Kind.REPAIR: RepairTask,
    Run.Kind.ROLLBACK: RollbackTask,
}


@dataclass(kw_only=True, eq=False)
class Worker:
    """Processes batches of one run. One connection, one thread."""

    using: str
    run: Run
    claims: Claims
    pacing: Pacing
    references: CurrentReferences
    stop_requests: StopRequests
    progress: RunProgress
    signs: SignsOfLife
    pipeline: Pipeline | None
    lost: Collection[str]
    """Workers of this process without a connection, whose claims others may take."""
    _map: ReferenceMap = field(init=False)
    _task: Task = field(init=False)
    _began: float = field(init=False, default=0.0)
    """When the last transaction had its slot, by the monotonic clock."""
    _waits_for_tables: bool = field(init=False)
    """Whether a table was locked by a change of its definition when it was last written, here or by another worker."""

    def __post_init__(self) -> None:
        self.name = self.claims.worker
        self.backend: backends.Database = backends.database(using=self.using)
        self._waits_for_tables = self.run.waiting_for == table_waits.TABLES_LOCKED
        self._use_current_references()

    def _use_current_references(self) -> None:
        self._map = self.references.map
        self._task = TASKS[self.run.kind](using=self.using, run=self.run, references=self._map)

    def process(self) -> None:
        """Process batches until nothing is left or the run is told to stop; wait for what others still hold."""
        with correlation.bound(worker=self.name):
            while True:
                self.pacing.renew()
                # A worker that finds the database free claims a batch, however short its time: each one makes progress.
                if not self._process_next() or not self.pacing.has_time():
                    return

    def _process_next(self) -> bool:
        """Process a batch, or wait for what others hold; return whether to continue."""
        done = self.progress.done
        if not self.pacing.wait_for_database() or (claimed := self._retry(self.claim)) is None:
            return False
        if claimed:
            self.process_batch(claimed)
            return True
        results = results_of(using=self.using, run=self.run)
        if not results.filter(status__in=Result.OPEN).exists() or not self.pacing.wait_for_others(seen=done):
            return False
        release_dead(results, lost=self.lost)
        return True

    def claim(self) -> list[Claimed] | None:
        """Return the claimed results, none if there is nothing to claim, and None if the run must not continue.

        Raises ForeignDatabase, and has written nothing, if the connection now leads to a copy.
        """
        with transaction.atomic(using=self.using):
            # A claim that a crash of the server undoes was of work that it undoes as well.
            self.backend.commit_asynchronously()
            # First: on SQLite a transaction that writes must not begin by reading. Elsewhere a batch's end is a sign,
            # and the run's row would be locked until the claim's end.
            if self.backend.one_writer or self.signs.are_due():
                self.signs.give()
            origin.require_own(self.run, using=self.using)
            self.claims.release_lost()
            size = self.pacing.batch_size()
            if not self.stop_requests.stopped_by and (claimed := self.claims.claim_next(size)):
                return claimed
            if (reason := self.stop_requests.reason_to_stop()) is None:
                return self.claims.claim(size)
            self._move_run(Run.Status.PAUSED, status_reason=reason)
            return None

    # A batch.

    def process_batch(self, rows: Sequence[Claimed]) -> None:
        """Process what was claimed, and record what came of it or went wrong."""
        try:
            outcomes = self._process_together(rows)
        except BatchAbandoned:
            self.claims.give_back(rows)
            return
        except (SchemaChanged, TablesLocked) as error:
            self._adapt_to_tables(error, rows)
            return
        except Exception as error:  # noqa: BLE001  # the worklist's edge: whatever it is, it is recorded
            reconnect(self.using)
            if len(rows) > 1 or isinstance(error, SharedRows):
                self._process_one_by_one(rows)
            else:
                self._fail(rows[0], classify(error), error)
            return
        except BaseException:
            self.claims.give_back(rows)
            raise
        self._count(outcomes)
        seconds = time.monotonic() - self._began
        logger.debug(
            "a batch of %d applications is done",
            len(rows),
            extra={"event": "batch_done", "applications": len(rows), "seconds": round(seconds, 3)},
        )
        self.pacing.adapt(seconds, len(rows))
        self.pacing.rest(seconds)

    def _process_together(self, rows: Sequence[Claimed]) -> list[Outcome]:
        """Process results in one transaction, when the pipeline has a slot for it."""
        if self._map is not self.references.map:
            self._retry(self._use_current_references)
        if self.pipeline is None:
            self._began = time.monotonic()
            return self._process_in_slot(rows, ALONE)
        with self.pipeline.slot() as slot:
            if self.stop_requests.stopped_by:  # told so while the slot was waited for
                raise BatchAbandoned
            self._began = time.monotonic()
            return self._process_in_slot(rows, slot)

    def _process_in_slot(self, rows: Sequence[Claimed], slot: PipelineSlot) -> list[Outcome]:
        with transaction.atomic(using=self.using):
            # Not durable yet, unless others are told of it: what a crash of the server undoes is work and its record
            # alike, and is done again. The run's end waits for the disk, and so for all of it.
            self.backend.pin(
                session_name=f"cleanup {str(self.run.pk)[:8]} {self.name}",
                durable=signals.has_receivers(folder_tables().folder),
            )
            self.claims.lock(rows)
            outcomes = self._task.perform(rows, slot)
            self.claims.record(rows, outcomes)
        return outcomes

    def _process_one_by_one(self, rows: Sequence[Claimed]) -> None:
        logger.warning(
            "a batch of %d failed and is done one by one",
            len(rows),
            extra={"event": "batch_failed", "applications": len(rows)},
        )
        joined: set[int] = set()
        try:
            for row in rows:
                self.pacing.renew()
                if not self.pacing.has_time() or self.stop_requests.are_to_stop():
                    break
                if row.pk in joined:
                    continue
                try:
                    joined |= self._process_with_needed(row)
                except BatchAbandoned:
                    break
                except (SchemaChanged, TablesLocked) as error:
                    self._adapt_to_tables(error, [row])
                    break
                except Exception as error:  # noqa: BLE001  # as above
                    reconnect(self.using)
                    self._fail(row, classify(error), error)
        finally:
            self.claims.give_back(rows)  # those that were not got to

    def _process_with_needed(self, row: Claimed) -> set[int]:
        """Process one result, if need be with others of the run whose points changed the same rows; return which.

        Raises what stood in the way; BatchAbandoned where another worker is processing one of them.
        """
        together = [row]
        while True:
            try:
                outcomes = self._process_together(together)
            except SharedRows as error:
                reconnect(self.using)
                points = {*error.later, *(one.point_id for one in together[1:])}
                others = self.claims.claim_points(row, points)
                if len(others) < len(together):  # not of this run, or failed in it
                    self.claims.give_back(others)
                    raise
                together = [replace(one, joined=True) for one in (row, *others)]
            except Exception:
                reconnect(self.using)
                self.claims.give_back(together[1:])
                raise
            else:
                self._count(outcomes)
                return {one.pk for one in together}

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        if self._waits_for_tables:
            self._waits_for_tables = False
            self._retry(lambda: table_waits.end(self.run, using=self.using))
        self.references.note_batch()
        self.signs.note()
        self.progress.count(outcomes)
        if reason := self.progress.too_many_failures():
            self._move_run(Run.Status.STOPPED, status_reason=reason, paused_by_error=False, ended_at=Now())

    # When something fails.

    def _adapt_to_tables(self, error: SchemaChanged | TablesLocked, rows: Sequence[Claimed]) -> None:
        """Give back what is not to blame, and wait, or use the references of today; pause if these forbid it."""
        reconnect(self.using)
        self.claims.start_over()
        try:
            if isinstance(error, TablesLocked):
                self._wait_for_tables()
            else:
                self._read_tables_again()
        except SchemaChanged as obstacle:
            reason = str(obstacle)
            self.claims.give_back(rows, error_code=obstacle.code, error_class="system", error_message=reason)
            self._move_run(Run.Status.PAUSED, status_reason=reason, paused_by_error=True)
        else:
            self.claims.give_back(rows)

    def _read_tables_again(self) -> None:
        """Use the references of today, unless tables are locked; raises SchemaChanged if these forbid the run."""
        try:
            self._retry(lambda: self.references.read_again(instead_of=self._map))
        except TablesLocked:
            self._wait_for_tables()

    def _wait_for_tables(self) -> None:
        """Wait a moment; raises SchemaChanged when that has taken too long."""
        self._waits_for_tables = True
        if self._retry(lambda: table_waits.is_too_long(self.run, using=self.using)):
            table_waits.end(self.run, using=self.using)
            raise SchemaChanged(table_waits.LOCKED_TOO_LONG)
        back_off(TRANSIENT_RETRIES)

    def _fail(self, row: Claimed, error: Classified, exception: Exception) -> None:
        """Record a failed attempt, and let it be repeated if that may help."""
        self._log_failure(row, error, exception)
        if isinstance(exception, LeaseLost):  # another worker does it, and records the outcome
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
            self.claims.requeue(row, attempts=F("attempts") - 1, **description)
            self._move_run(Run.Status.PAUSED, status_reason=error.message, paused_by_error=True)
        elif error.kind == "transient" and row.attempts < conf.max_attempts():
            self.claims.requeue(row, isolated=True, **description)
            back_off(row.attempts)
        elif self._retry(lambda: self.claims.fail(row, **description)):
            self._count([Outcome(Result.Status.FAILED)])

    def _log_failure(self, row: Claimed, error: Classified, exception: Exception) -> None:
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

    def _move_run(self, status: Run.Status, **changes: Any) -> None:
        Run.objects.using(self.using).filter(pk=self.run.pk).move_to(status, **changes)

    def _retry(self, action: Callable[[], T]) -> T:
        return retry_connected(action, using=self.using)
