"""Eight people, two cleaners, someone who rolls back and a verifier, all at once, on PostgreSQL.

First without guards, so that duplicates come about as fast as they are merged; then, after a cleanup, with them. No
file is lost, no error but the documented ones reaches a writer, no verification finds anything torn at any moment, and
at the end there are no duplicates. `--concurrency-seconds` says how long it goes on.
"""

import pytest
from django.core.management import call_command

from cleanup.models import Hold
from cleanup.services import DatabaseCleanupService
from tests.reliability.concurrent_users import Person, together
from tests.reliability.ledger import Ledger, unaccounted
from tests.reliability.staff import Staff
from tests.support import dirty_database
from tests.support.model_roles import File

pytestmark = pytest.mark.slow

PEOPLE = 8
APPLICATIONS = 6


@pytest.mark.only("postgresql")
@pytest.mark.timeout(0)
@pytest.mark.mapped_models("people write to the mapped tables")
def test_nobody_loses_anything(scratch_database, request, capsys):
    seconds = request.config.getoption("concurrency_seconds")
    database, ledger = scratch_database, Ledger()
    dirty_database.make(database, applications=APPLICATIONS, roots=3)
    ledger.take_over(database)
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
            print(f"\n{ledger.figures()}")
    assert ledger.faults == []
    assert unaccounted(database, ledger) == []
    assert dict(File.objects.using(database).filter(pk__in=anchored).values_list("pk", "folder__name")) == anchored
    assert service.cleanup_all_duplicate_folders().total_applications == 0
    report = service.verify_cleanup_integrity()
    assert report["verification_passed"]
    assert {code for code, number in report["counts"].items() if number} <= {"names_alike"}
