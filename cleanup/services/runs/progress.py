"""The progress of a process's workers on a run: reported, logged, and watched for failures."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from django.db.models import F

from cleanup import conf
from cleanup.models import Result, Run
from cleanup.services.results import Progress
from cleanup.services.runs.lifecycle import results_of
from cleanup.services.runs.totals import Ended

logger = logging.getLogger(__name__)

#: Seconds to wait for what others hold before checking again.
WAIT_SECONDS = 0.2


class RunProgress:
    """The counts that the workers of one process share."""

    def __init__(self, *, using: str, run: Run, report: Callable[[Progress], None] | None = None) -> None:
        self.using = using
        self.run = run
        self.done = self.failed = self.held = self.skipped = self.folders = self.files = 0
        self._last = deque[bool](maxlen=conf.failure_window())
        self._report_to = report
        self._counted = threading.Condition()

    def start_from(self, counted: Mapping[str, int]) -> None:
        """Start from the totals of the run."""
        self.done, self.failed = counted["done_applications"], counted["failed_applications"]
        self.held, self.skipped = counted["held_applications"], counted["skipped_applications"]
        self.folders, self.files = counted["folders_removed"], counted["files_moved"]
        self._report()

    def recall_failures(self) -> None:
        """Load the results for the failure ratio: a time box may be too short to fill it."""
        ended = results_of(using=self.using, run=self.run).filter(ended_at__gte=F("run__resumed_at"))
        statuses = list(ended.order_by("-ended_at").values_list("status", flat=True)[: self._last.maxlen])
        self._last.extend(status == Result.Status.FAILED for status in reversed(statuses))

    def count(self, outcomes: Sequence[Ended]) -> None:
        """Add outcomes, and report."""
        with self._counted:
            for outcome in outcomes:
                failed = outcome.status == Result.Status.FAILED
                self.done += 1
                self.failed += failed
                self.held += outcome.status == Result.Status.HELD
                self.skipped += outcome.status == Result.Status.SKIPPED
                self._last.append(failed)
                self.folders += outcome.folders_removed
                self.files += outcome.files_moved
            self._report()
            self._counted.notify_all()

    def too_many_failures(self) -> str:
        """Describe how many of the last applications failed if it is more than half of them; empty if it is not."""
        with self._counted:
            failed, last = sum(self._last), len(self._last)
        too_many = last == self._last.maxlen and failed * 2 > last
        return f"{failed} of the last {last} applications failed" if too_many else ""

    def wait(self, *, seen: int) -> None:
        """Wait a moment for what others hold, or until this process has done more than before."""
        with self._counted:
            self._counted.wait_for(lambda: self.done != seen, timeout=WAIT_SECONDS)

    def log_end(self, *, seconds: float) -> None:
        """Log the state of the run as this process leaves it."""
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

    def _report(self) -> None:
        if self._report_to is not None:
            numbers = (self.done, self.run.total_applications, self.folders, self.files)
            self._report_to(Progress(self.run.pk, *numbers, self.failed, self.held, self.skipped))
