"""Files that tell no application, and have no name: they belong where their folder does."""

from io import StringIO

import pytest
from django.core.management import call_command

from cleanup.guard_names import Guard
from cleanup.guards.guard_ddl import guard_sql_of
from cleanup.models import RollbackPoint
from cleanup.services import DatabaseCleanupService
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import assert_tree, dump, label, missing_key, tree, unchecked


@pytest.fixture(autouse=True)
def fields(settings):
    settings.CLEANUP_FILE_FIELDS = {**getattr(settings, "CLEANUP_FILE_FIELDS", {}), "application": None, "name": None}


@pytest.fixture
def service(database):
    return DatabaseCleanupService(using=database)


def counts(report: dict) -> dict[str, int]:
    return {code: number for code, number in report["counts"].items() if number and code != "guards_missing"}


class TestMerge:
    def test_moves_them(self, database, service):
        made = tree(database, "Loan/Docs(x.txt), Loan/Docs(y.txt, z.txt)")
        was = dump(database)
        (forecast,) = service.cleanup_all_duplicate_folders(dry_run=True).results
        result = service.consolidate_duplicate_folders(made.application)
        assert (forecast.files_moved, forecast.details) == (result.files_moved, result.details)
        assert result.files_moved == 2
        assert_tree(database, made, "Loan/Docs(3)")
        service.rollback_cleanup(result.rollback_id)
        assert dump(database) == was

    def test_moves_those_that_say_another_application(self, database, service):
        made, other = tree(database, "Loan, gone:Loan"), tree(database, "Loan(theirs.txt)")
        File.objects.using(database).update(folder=made["gone"])
        service.consolidate_duplicate_folders(made.application)
        assert_tree(database, made, "Loan(1)")
        assert other.folders == 1


class TestPreflight:
    def test_finds_no_obstacle(self, service):
        report = service.preflight()
        assert (report["ok"], report["problems"]) == (True, [])


class TestVerification:
    def test_says_nothing_of_their_application(self, database, service):
        made = tree(database, "Loan(x.txt, y.txt)")
        with unchecked(database):
            File.objects.using(database).filter(pk=made["x.txt"]).update(application=missing_key(Application))
            File.objects.using(database).filter(pk=made["y.txt"]).update(folder=None)
        assert counts(service.verify_cleanup_integrity()) == {}
        assert counts(service.verify_cleanup_integrity(made.application)) == {}

    def test_names_those_whose_folder_is_missing(self, database, service):
        made = tree(database, "Loan(x.txt)")
        with unchecked(database):
            File.objects.using(database).update(folder=missing_key(Folder))
        report = service.verify_cleanup_integrity()
        assert (counts(report), report["orphaned_files"]) == ({"file_of_missing_folder": 1}, 1)
        (finding,) = [one for one in report["findings"] if one["code"] != "guards_missing"]
        assert (finding["object_key"], finding["application_id"]) == (made["x.txt"], None)
        assert finding["hint"].startswith("SELECT")


class TestPointTakenByHand:
    def test_stores_them_by_their_folder(self, database, service):
        made = tree(database, "Loan(x.txt), Loan(y.txt)")
        was = dump(database)
        point = service.create_rollback_point(made.application)
        service.consolidate_duplicate_folders(made.application)
        File.objects.using(database).filter(pk=made["x.txt"]).delete()
        result = service.rollback_cleanup(point)
        assert dump(database) != was
        assert [(c.code, c.table, c.key) for c in result.conflicts] == [
            ("row_missing", label(database, ":files"), made["x.txt"])
        ]
        assert RollbackPoint.objects.using(database).get(uuid=point).status == "rolled_back"


class TestGuards:
    def test_leave_theirs_out(self, scratch_database):
        tree(scratch_database, "Loan(x.txt)")
        call_command("migrate", "cleanup_guards", database=scratch_database, verbosity=0, stdout=StringIO())
        assert set(guard_sql_of(using=scratch_database).standing()) == set(Guard) - {Guard.FILE_APPLICATION}
        report = DatabaseCleanupService(using=scratch_database).verify_cleanup_integrity()
        assert (report["verification_passed"], counts(report), report["counts"].get("guards_missing", 0)) == (
            True,
            {},
            0,
        )
