"""Eight clerks of another program on its own tables, and two clusters that clean, roll back and verify from the queue.

The tables are those that another program made by plain SQL: foreign keys that are checked at once, a column that refers
to folders without an index. First without guards, then with them. Whatever a clerk was told is committed is there at
the end, or merged as the undo records have it; a cleanup of what they left is undone to the byte.
`--concurrency-seconds` says how long it goes on.
"""

from collections.abc import Iterator

import pytest
from django.core.management import call_command

from cleanup.models import Hold
from cleanup.services import DatabaseCleanupService
from tests.benchmarks import adopted
from tests.reliability.concurrent_users import Clerk, together
from tests.reliability.ledger import Ledger, figures, unaccounted, unaccounted_of_other_tables, unjournaled
from tests.reliability.staff import QueuedStaff
from tests.support import dirty_database
from tests.support.clusters import Fleet, fleet
from tests.support.trees import dump, execute

pytestmark = [
    pytest.mark.only("postgresql"),
    pytest.mark.slow,
    pytest.mark.timeout(0),
    pytest.mark.mapped_models("clerks write to the mapped tables"),
]

CLERKS = 8
APPLICATIONS = 6


@pytest.fixture
def adopted_database(blank_database) -> str:
    """Make tables as another program does, fill and adopt them."""
    execute(blank_database, adopted.TABLES + adopted.INDEXES)
    dirty_database.make(blank_database, applications=APPLICATIONS, roots=3)
    for app in ("cleanup", "auth", "django_q"):
        call_command("migrate", app, database=blank_database, fake_initial=True, verbosity=0)
    return blank_database


@pytest.fixture
def clusters(adopted_database) -> Iterator[Fleet]:
    with fleet(adopted_database, CLEANUP_TREE_HOOK=None) as made:
        both = [made.start(), made.start()]
        made.wait_until(lambda: all("running" in cluster.log.read_text() for cluster in both))
        made.wake()
        yield made


def assert_undone_to_the_byte(database: str, staff: QueuedStaff) -> None:
    """Have the clusters clean up what people left, and undo it."""
    before = dump(database)
    run = staff.ended(staff.service.start_cleanup())
    assert (run.status, run.failed_applications) == ("completed", 0)
    assert staff.service.verify_cleanup_integrity()["verification_passed"]
    if run.total_applications:
        undone = staff.ended(staff.service.start_rollback(run.pk))
        assert staff.service.rollback_report(undone.pk).exact
    assert dump(database) == before


def test_nothing_is_lost_on_tables_of_another_program(adopted_database, clusters, request, capsys):
    seconds = request.config.getoption("concurrency_seconds")
    database, ledger = adopted_database, Ledger()
    ledger.take_over(database)
    service = DatabaseCleanupService(using=database)
    clerks = [Clerk(database, number, ledger) for number in range(CLERKS)]

    def work(*, guarded: bool) -> QueuedStaff:
        staff = QueuedStaff(database, ledger, clusters, guarded=guarded)
        together([*(clerk.work for clerk in clerks), *staff.threads()], seconds=seconds / 2)
        assert ledger.faults == []
        Hold.objects.using(database).all().delete()
        return staff

    staff = work(guarded=False)
    assert_undone_to_the_byte(database, staff)
    Hold.objects.using(database).all().delete()
    assert staff.ended(service.start_cleanup()).failed_applications == 0
    call_command("migrate", "cleanup_guards", database=database, verbosity=0)
    work(guarded=True)

    if seconds > 8:
        with capsys.disabled():
            print(f"\n{ledger.figures()}\n{figures(database)}")
    assert unaccounted(database, ledger) == []
    assert unaccounted_of_other_tables(database, ledger) == []
    assert unjournaled(database) == []
    assert service.cleanup_all_duplicate_folders().total_applications == 0
    report = service.verify_cleanup_integrity()
    assert report["verification_passed"]
    assert {code for code, number in report["counts"].items() if number} <= {"names_alike"}
