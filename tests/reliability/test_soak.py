"""Days in an office whose clusters are killed, and whose server crashes and is replaced by its standby.

At the end of each day nothing is lost, rows moved are rows recorded, and alerts were about something; after the last
one, a dump that is restored elsewhere is the same database, rests until it is adopted, and has its cleanup undone to
the byte. `--soak-days` says how many days go by, `--soak-day-seconds` how long each takes.
"""

from collections.abc import Iterator

import pytest
from django.core.management import call_command

from cleanup.models import Alert, Hold
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService, origin
from tests import pgserver
from tests.benchmarks import adopted
from tests.reliability import office
from tests.reliability.ledger import figures
from tests.support import databases, dirty_database
from tests.support.clusters import fleet
from tests.support.failover import failover
from tests.support.trees import dump, execute

pytestmark = [
    pytest.mark.only("postgresql"),
    pytest.mark.slow,
    pytest.mark.waits,
    pytest.mark.timeout(0),
    pytest.mark.mapped_models("clerks write to the mapped tables"),
]

APPLICATIONS = 6


@pytest.fixture
def in_office(blank_database) -> Iterator[office.Office]:
    """Have tables of another program on a server with a standby, adopted, and two clusters."""
    binaries = pgserver.find_compiling_binaries()
    if binaries is None:
        pytest.skip("No PostgreSQL with the just-in-time compiler is installed: apt-get install postgresql")
    with failover(binaries=binaries) as servers, databases.elsewhere(blank_database, servers):
        execute(blank_database, adopted.TABLES + adopted.INDEXES)
        dirty_database.make(blank_database, applications=APPLICATIONS, roots=3)
        for app in ("cleanup", "auth", "django_q"):
            call_command("migrate", app, database=blank_database, fake_initial=True, verbosity=0)
        with fleet(blank_database, **office.SETTINGS) as clusters:
            yield office.Office(blank_database, servers, clusters)


def assert_dump_is_whole(database: str, servers: object) -> None:
    """Restore a dump, which rests until it is adopted; have its duplicates merged there, and that undone."""
    before = dump(database)
    with databases.restored_dump(database, binaries=servers.primary.binaries):
        assert dump(database) == before
        assert origin.copied(using=database) is not None
        AutomatedCleanupService(using=database).adopt_database()
        service = DatabaseCleanupService(using=database)
        report = service.cleanup_all_duplicate_folders(include_held=True)
        assert report.failed_cleanups == 0
        assert service.verify_cleanup_integrity()["verification_passed"]
        assert service.rollback_cleanup(report.run_id).exact
        assert dump(database) == before


def test_weeks_in_an_office(in_office, request, capsys):
    days, seconds = (request.config.getoption(name) for name in ("soak_days", "soak_day_seconds"))
    database = in_office.database
    for day in range(days):
        in_office.day(seconds=seconds)
        if seconds > 4:
            with capsys.disabled():
                print(f"\nday {day + 1}: {dict(in_office.events)}\n{figures(database)}")
    if seconds > 4:
        with capsys.disabled():
            print(f"\n{in_office.ledger.figures()}")
    assert_dump_is_whole(database, in_office.servers)

    Hold.objects.using(database).all().delete()
    service = DatabaseCleanupService(using=database)
    assert service.cleanup_all_duplicate_folders().failed_cleanups == 0
    AutomatedCleanupService(using=database).run_consistency_check()
    assert service.verify_cleanup_integrity()["verification_passed"]
    in_office.assert_true()
    assert not Alert.objects.using(database).filter(state__in=Alert.UNRESOLVED).exists()
