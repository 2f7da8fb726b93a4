"""Pacing: how much a worker takes at once, and when it waits, rests, or leaves the rest to others."""

import time
from dataclasses import dataclass, field
from typing import Protocol

from django.db.models.functions import Coalesce, Now

from cleanup import backends, conf
from cleanup.models import Run
from cleanup.models.operations import RunQuerySet
from cleanup.services.concurrency.retry import retry_connected
from cleanup.services.concurrency.throttling import Throttle
from cleanup.services.runs.progress import RunProgress
from cleanup.services.runs.signs_of_life import SignsOfLife
from cleanup.services.runs.stop_requests import StopRequests
from cleanup.services.runs.table_waits import NO_OTHER_WAIT

#: Applications in a worker's first batch; later ones aim at the target time.
FIRST_BATCH = 20

#: Seconds between checks while resting or waiting for the database.
WAIT_SECONDS = 0.2


class TimeBox(Protocol):
    """A bounded time of work on a run that others continue; used in the first worker's thread."""

    def renew(self) -> None:
        """Renew the lease behind the time box if it is due."""

    def has_time(self) -> bool:
        """Return whether there is time for another batch."""

    def wait(self) -> bool:
        """Wait a moment for what others hold; return False at once if others will take care of it."""

    def end(self) -> None:
        """End it after the batch, because of a signal."""


@dataclass(kw_only=True, eq=False)
class Pacing:
    """The pace of one worker."""

    using: str
    run: Run
    throttle: Throttle
    stop_requests: StopRequests
    progress: RunProgress
    signs: SignsOfLife
    time_box: TimeBox | None
    workers: int
    most: int
    """Applications in a batch."""
    _size: int = field(init=False)

    def __post_init__(self) -> None:
        self._size = min(FIRST_BATCH, self.most)

    # The time box.

    def renew(self) -> None:
        """Between batches: renew the lease of the worker's time."""
        if self.time_box is not None:
            self.time_box.renew()

    def has_time(self) -> bool:
        """Return whether there is time for another batch."""
        return self.time_box is None or self.time_box.has_time()

    def wait_for_others(self, *, seen: int) -> bool:
        """Wait a moment for what others hold, or until more than ``seen`` is done; return False to leave it to them."""
        if self.time_box is not None:
            return self.time_box.wait()
        self.progress.wait(seen=seen)
        return True

    # The size of batches.

    def batch_size(self) -> int:
        """Return how much to claim: towards the end a share of the rest, so that all workers finish together."""
        left = self.run.total_applications - self.progress.done
        return self._size if self.workers == 1 else min(self._size, max(FIRST_BATCH, left // (2 * self.workers)))

    def adapt(self, seconds: float, rows: int) -> None:
        """Adapt the next batch to the target time; at most doubling, because applications differ."""
        target = conf.target_transaction_ms() / 1000
        wanted = int(rows * target / max(seconds, 0.001))
        self._size = max(1, min(self.most, wanted, self._size * 2))

    # Yielding to others.

    def wait_for_database(self) -> bool:
        """Wait, holding nothing, while the database is under pressure; pause the run when that takes too long.

        Returns False if the time is up before the pressure is over: the next worker checks again.
        """
        runs, backend = Run.objects.using(self.using).filter(pk=self.run.pk), backends.database(using=self.using)
        waiting = False
        while True:
            if retry_connected(lambda: self.throttle.look(backend), using=self.using):
                retry_connected(lambda: self._tell_pressure(runs), using=self.using)
            if not self.throttle.reason:
                break
            waiting = True
            if self.stop_requests.are_to_stop() or retry_connected(lambda: self._lost_patience(runs), using=self.using):
                break
            self.renew()
            if not self.has_time():
                return False
            time.sleep(WAIT_SECONDS)
        if waiting and self.throttle.reason:
            runs.update(waiting_for="")
        return True

    def _tell_pressure(self, runs: RunQuerySet) -> None:
        """Write the figures to the run if they are new, and that its worker lives."""
        reason, probes = self.throttle.reason, self.throttle.probes
        waits = {"waiting_for": reason, "waiting_since": Coalesce("waiting_since", Now())} if reason else NO_OTHER_WAIT
        runs.update(probes=probes, heartbeat_at=Now(), **waits)

    def _lost_patience(self, runs: RunQuerySet) -> int:
        return runs.filter(waiting_since__lte=Now() - conf.throttle_patience()).move_to(
            Run.Status.PAUSED,
            status_reason=f"the database has been under pressure for too long: {self.throttle.reason}",
            paused_by_error=True,
            waiting_since=None,
        )

    def rest(self, seconds: float) -> None:
        """Leave the rest of the time to others, after so many seconds of work; a request to stop ends the rest."""
        until = time.monotonic() + seconds * (1 / conf.duty_cycle() - 1)
        while not self.stop_requests.stopped_by and (left := until - time.monotonic()) > 0:
            self.renew()
            if not self.has_time():
                break
            if self.signs.are_due():
                retry_connected(self.signs.give, using=self.using)
            time.sleep(min(left, WAIT_SECONDS))
