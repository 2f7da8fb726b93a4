"""Those who clean, roll back and verify, while others write: each in a thread, by calls or by the queue of clusters."""

import random
import threading
from collections.abc import Callable
from typing import Any

from django.db import OperationalError, connections

from cleanup import exceptions
from cleanup.models import Hold, Result, RollbackPoint, Run, Verification
from cleanup.services import DatabaseCleanupService
from cleanup.services.errors import classify
from tests.reliability.ledger import Ledger
from tests.support import dirty_database
from tests.support.clusters import Fleet

NOTHING_TO_DO = object()
#: Seconds until someone looks again who has found nothing to do.
PAUSE = 0.1

#: What a merge, or someone between two merges, may leave behind for a moment. Nothing else may be found, ever.
DUPLICATES = {"several_roots", "same_named_siblings"}
HARMLESS = {"guards_missing", "names_alike"}


class Staff:
    """Those who do it in this process."""

    def __init__(self, database: str, ledger: Ledger, *, guarded: bool) -> None:
        self.database = database
        self.ledger = ledger
        self.guarded = guarded
        self.rng = random.Random("staff")
        self.service = DatabaseCleanupService(using=database)

    def threads(self) -> list[Callable[[threading.Event], None]]:
        return [self.looped(action) for action in self.actions()]

    def actions(self) -> list[Callable[[], object]]:
        """Return what they do, all at once."""
        return [self.clean_all, self.clean_one, self.roll_back, self.verify]

    def looped(self, action: Callable[[], object]) -> Callable[[threading.Event], None]:
        """Return a loop over an action, which returns NOTHING_TO_DO if there is a moment to wait."""

        def loop(stop: threading.Event) -> None:
            try:
                while not stop.is_set() and not self.ledger.faults:
                    if action() is NOTHING_TO_DO:
                        stop.wait(PAUSE)
                    else:
                        self.ledger.count(action.__name__)
            except Exception as error:  # noqa: BLE001  # it fails the test
                self.ledger.fault(f"{action.__name__}: {error!r}")
            finally:
                connections[self.database].close()

        return loop

    def clean_all(self) -> None:
        report = self.service.cleanup_all_duplicate_folders()
        for result in report.results:
            if result.status == Result.Status.FAILED:
                self.ledger.refused("clean_all", result.error_code)
        if report.status != Run.Status.COMPLETED:
            self.ledger.fault(f"a run ended as {report.status}: {report.status_reason}")

    def clean_one(self) -> None:
        application = self.rng.choice(sorted(dirty_database.applications(self.database)))
        try:
            self.service.consolidate_duplicate_folders(application)
        except exceptions.Held:
            self.ledger.refused("clean_one", "held")
        except exceptions.ApplicationError as error:
            self.ledger.refused("clean_one", str(error))

    def roll_back(self) -> object:
        point, application = self.some_point()
        if point is None:
            return NOTHING_TO_DO
        try:
            self.service.rollback_cleanup(point, skip_conflicts=self.rng.random() < 0.5)
        except exceptions.Refused as error:
            self.ledger.refused("roll_back", error.code)
        except OperationalError as error:
            if classify(error).kind != "transient":
                raise
            self.ledger.refused("roll_back", classify(error).code)
        else:
            self.ledger.count("rolled_back")
            Hold.objects.using(self.database).filter(application_key=application).delete()

    def some_point(self) -> tuple[Any, str]:
        """Return one of the newest rollback points, and its application; None: there is none."""
        live = RollbackPoint.objects.using(self.database).filter(status=RollbackPoint.Status.LIVE)
        points = list(live.order_by("-id").values_list("uuid", "application_key")[:20])
        return self.rng.choice(points) if points else (None, "")

    def verify(self) -> None:
        self.assess(self.service.verify_cleanup_integrity()["counts"])

    def assess(self, counts: dict[str, int]) -> None:
        """Find fault with a verification that has found something torn."""
        allowed = HARMLESS if self.guarded else HARMLESS | DUPLICATES
        found = {code: number for code, number in counts.items() if number and code not in allowed}
        if found:
            self.ledger.fault(f"verification found {found}")


class QueuedStaff(Staff):
    """Those who have the clusters do it."""

    def __init__(self, database: str, ledger: Ledger, clusters: Fleet, *, guarded: bool) -> None:
        super().__init__(database, ledger, guarded=guarded)
        self.clusters = clusters

    def actions(self) -> list[Callable[[], object]]:
        return [self.clean_all, self.roll_back, self.roll_back_run, self.verify]

    def clean_all(self) -> None:
        run = self.ended(self.service.start_cleanup(started_by="staff"))
        if run.status != Run.Status.COMPLETED:
            self.ledger.fault(f"a run ended as {run.status}: {run.status_reason}")
        self.count_failures("clean_all", run)

    def roll_back(self) -> object:
        point, _ = self.some_point()
        return self.undo("roll_back", point) if point else NOTHING_TO_DO

    def roll_back_run(self) -> object:
        """One of the newest cleanups, whole."""
        live = RollbackPoint.objects.using(self.database).filter(status=RollbackPoint.Status.LIVE)
        runs = list(live.order_by("-id").values_list("run", flat=True)[:20])
        return self.undo("roll_back_run", self.rng.choice(runs)) if runs else NOTHING_TO_DO

    def undo(self, name: str, rollback_id: Any) -> None:
        """Have it rolled back, and let the next cleanup have the applications again."""
        try:
            run = self.service.start_rollback(rollback_id, skip_conflicts=self.rng.random() < 0.5)
        except exceptions.CleanupError as error:
            self.ledger.refused(name, error.code)
            return
        run = self.ended(run)
        if run.status != Run.Status.COMPLETED:
            self.ledger.fault(f"a rollback ended as {run.status}: {run.status_reason}")
        self.count_failures(name, run)
        Hold.objects.using(self.database).all().delete()

    def verify(self) -> None:
        verification = self.service.start_verification()
        rows = Verification.objects.using(self.database).filter(pk=verification.pk)
        done = self.clusters.wait_until(rows.exclude(ended_at=None).first, seconds=120)
        if done.error:
            self.ledger.fault(f"a verification could not be done: {done.error}")
        self.assess(done.counts)

    def ended(self, run: Run) -> Run:
        """Return the run when it has ended."""
        runs = Run.objects.using(self.database).filter(pk=run.pk)
        return self.clusters.wait_until(runs.exclude(status__in=Run.IN_PROGRESS).first, seconds=120)

    def count_failures(self, name: str, run: Run) -> None:
        """Put down why applications could not be done, and how many could."""
        for result in Result.objects.using(self.database).filter(run=run):
            if result.status == Result.Status.FAILED:
                self.ledger.refused(name, result.error_code)
            elif result.status == Result.Status.COMPLETED:
                self.ledger.count(f"{name}: applications")
