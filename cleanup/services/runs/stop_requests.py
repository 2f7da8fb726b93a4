"""The orders of a process's workers: to continue, or to stop, and why."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from django.db.models import Subquery

from cleanup.models import FreezeSwitch, Run
from cleanup.services.concurrency.retry import retry_connected


class StopRequests:
    """The orders of a run: from its row, the freeze switch, and this process."""

    def __init__(self, *, using: str, run: Run) -> None:
        self.using = using
        self.run = run
        self.stopped_by = ""
        """Why the workers of this process must stop: a signal, or an error."""

    def stop(self, reason: str) -> None:
        """Make the workers of this process stop after their batch; the first reason is kept."""
        self.stopped_by = self.stopped_by or reason

    def reason_to_stop(self) -> str | None:
        """Return why the run must be paused, or has been paused or ended; None while applications may be claimed."""
        if self.stopped_by:
            return self.stopped_by
        frozen = FreezeSwitch.objects.frozen().values("reason")[:1]
        status, reason, why = (
            Run.objects.using(self.using).values_list("status", "status_reason", Subquery(frozen)).get(pk=self.run.pk)
        )
        if why is not None:
            return f"frozen: {why}" if why.strip() else "frozen"
        return None if status in Run.CLAIMABLE else str(reason)

    def are_to_stop(self) -> bool:
        """Return whether there is a reason to stop."""
        return retry_connected(self.reason_to_stop, using=self.using) is not None

    @contextmanager
    def on_signals(self, end_time_box: Callable[[], None] | None) -> Iterator[None]:
        """Let the first SIGINT or SIGTERM finish the batch and pause, and the second one abort.

        If others continue the run, a signal only ends the time of this process.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(number: int, _frame: FrameType | None) -> None:
            if end_time_box is not None:
                end_time_box()
                return
            if self.stopped_by:
                raise KeyboardInterrupt
            self.stop(f"interrupted by {signal.Signals(number).name}")

        previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
