"""Eight people, two cleaners, someone who rolls back and a verifier, all at once, on PostgreSQL.

First without guards, so that duplicates come about as fast as they are merged; then, after a cleanup, with them. No
file is lost, no error but the documented ones reaches a writer, no verification finds anything torn at any moment, and
at the end there are no duplicates. `--concurrency-seconds` says how long it goes on.
"""

import random
import threading
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import OperationalError, connections

from cleanup import exceptions
from cleanup.models import Hold, Result, RollbackPoint, Run
from cleanup.services import DatabaseCleanupService
from cleanup.services.errors import classify
from tests.reliability.concurrent_users import Ledger, Person
from tests.support import dirty_database
from tests.support.model_roles import File

pytestmark = pytest.mark.slow

PEOPLE = 8
APPLICATIONS = 6
#: What a merge, or someone between two merges, may leave behind for a moment. Nothing else may be found, ever.
DUPLICATES = {"several_roots", "same_named_siblings"}
HARMLESS = {"guards_missing", "names_alike"}


class Staff:
    """Those who clean, roll back and verify, each in a thread."""

    def __init__(self, database: str, ledger: Ledger, *, guarded: bool) -> None:
        self.database = database
        self.ledger = ledger
        self.guarded = guarded
        self.rng = random.Random("staff")
        self.service = DatabaseCleanupService(using=database)

    def threads(self) -> list[Callable[[threading.Event], None]]:
        return [self.looped(action) for action in (self.clean_all, self.clean_one, self.roll_back, self.verify)]

    def looped(self, action: Callable[[], None]) -> Callable[[threading.Event], None]:
        """Return a loop over an action."""

        def loop(stop: threading.Event) -> None:
            try:
                while not stop.is_set() and not self.ledger.faults:
                    action()
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

    def roll_back(self) -> None:
        live = RollbackPoint.objects.using(self.database).filter(status=RollbackPoint.Status.LIVE)
        points = list(live.order_by("-id").values_list("uuid", "application_key")[:20])
        if not points:
            return
        point, application = self.rng.choice(points)
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

    def verify(self) -> None:
        counts = self.service.verify_cleanup_integrity()["counts"]
        allowed = HARMLESS if self.guarded else HARMLESS | DUPLICATES
        found = {code: number for code, number in counts.items() if number and code not in allowed}
        if found:
            self.ledger.fault(f"verification found {found}")


def together(workers: list[Callable[[threading.Event], None]], *, seconds: float) -> None:
    """Have all of them work for so long."""
    stop = threading.Event()
    threads = [threading.Thread(target=worker, args=[stop]) for worker in workers]
    for thread in threads:
        thread.start()
    stop.wait(seconds)
    stop.set()
    for thread in threads:
        thread.join()


@pytest.mark.only("postgresql")
@pytest.mark.timeout(0)
@pytest.mark.mapped_models("people write to the mapped tables")
def test_nobody_loses_anything(scratch_database, request, capsys):
    seconds = request.config.getoption("concurrency_seconds")
    database, ledger = scratch_database, Ledger()
    dirty_database.make(database, applications=APPLICATIONS, roots=3)
    ledger.files = files(database)
    anchored = dict(File.objects.using(database).values_list("pk", "folder__name"))
    service = DatabaseCleanupService(using=database)
    people = [Person(database, number, ledger) for number in range(PEOPLE)]

    together(
        [*(person.work for person in people), *Staff(database, ledger, guarded=False).threads()], seconds=seconds / 2
    )
    assert ledger.faults == []
    Hold.objects.using(database).all().delete()
    assert service.cleanup_all_duplicate_folders().failed_cleanups == 0
    call_command("migrate", "cleanup_guards", database=database, verbosity=0)
    together(
        [*(person.work for person in people), *Staff(database, ledger, guarded=True).threads()], seconds=seconds / 2
    )

    if seconds > 8:
        with capsys.disabled():
            print(f"\n{dict(ledger.actions)}\n{dict(ledger.refusals)}")
    assert ledger.faults == []
    assert files(database) == ledger.files
    assert dict(File.objects.using(database).filter(pk__in=anchored).values_list("pk", "folder__name")) == anchored
    assert service.cleanup_all_duplicate_folders().total_applications == 0
    report = service.verify_cleanup_integrity()
    assert report["verification_passed"]
    assert {code for code, number in report["counts"].items() if number} <= {"names_alike"}


def files(database: str) -> dict[str, tuple]:
    """Return of each file what no one changes."""
    rows = File.objects.using(database).values_list("pk", "filename", "file_size", "application")
    return {str(pk): tuple(rest) for pk, *rest in rows}
