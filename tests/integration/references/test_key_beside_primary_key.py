"""A folder table whose primary key is a number of its own, while everything refers to the mapped key beside it."""

from collections.abc import Iterator
from functools import partial

import pytest
from django.core.management import call_command

from cleanup.exceptions import RollbackConflict
from cleanup.services import DatabaseCleanupService
from tests.integration.guards.test_migrations import MAPPED, create
from tests.support import databases
from tests.support.trees import assert_tree, dump, execute, is_postgresql, tree

MESS = "Loan/Docs(a.txt), Loan/{Docs(b.txt), Photos(c.jpg)}, Archive/Docs(d.txt)"


_UNIQUE = {
    "alone": "UNIQUE (id), FOREIGN KEY (parent_id) REFERENCES folders (id)",
    "with the application": "UNIQUE (id, application_id)",
}


def make(database: str, unique: str) -> None:
    create(database, "customer_applications", "files")
    number, key, time = (
        ("bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "uuid", "timestamptz")
        if is_postgresql(database)
        else ("integer PRIMARY KEY", "char(32)", "datetime")
    )
    execute(
        database,
        f"CREATE TABLE folders (num {number}, id {key} NOT NULL, name varchar(255) NOT NULL,"
        f" parent_id {key}, application_id {key} NOT NULL, created_at {time}, updated_at {time},"
        f" UNIQUE (name, parent_id, application_id), {unique})",
    )
    call_command("migrate", "cleanup", database=database, fake_initial=True, verbosity=0)


MAKE = {name: partial(make, unique=unique) for name, unique in _UNIQUE.items()}


@pytest.fixture(params=MAKE)
def beside(request, database) -> Iterator[str]:
    """Yield a database for this test alone."""
    with databases.prepared(database, MAKE[request.param], start=databases.blank):
        databases.adopt(database)
        yield database


@pytest.mark.mapped_models("makes their tables itself")
class TestKeyBesideThePrimaryKey:
    @pytest.mark.parametrize("roots", ["merge", "nest"])
    def test_is_merged_and_undone_exactly(self, beside, settings, roots):
        settings.CLEANUP_DIFFERENT_ROOTS = roots
        loan = tree(beside, MESS)
        before = {name: rows for name, rows in dump(beside).items() if name in MAPPED}
        service = DatabaseCleanupService(using=beside)
        assert service.preflight()["problems"] == []
        foreseen = service.cleanup_all_duplicate_folders(dry_run=True)
        report = service.cleanup_all_duplicate_folders()
        assert (report.successful_cleanups, report.failed_cleanups) == (1, 0)
        assert report.total_folders_removed == foreseen.total_folders_removed
        merged = {"merge": "Loan/{Docs(a.txt, b.txt, d.txt), Photos(c.jpg)}"}
        nested = {"nest": "Loan/{Docs(a.txt, b.txt), Photos(c.jpg), Archive/Docs(d.txt)}"}
        assert_tree(beside, loan, (merged | nested)[roots])
        assert service.verify_cleanup_integrity()["verification_passed"]
        assert service.rollback_cleanup(report.run_id).exact
        assert {name: rows for name, rows in dump(beside).items() if name in before} == before

    def test_is_no_difference_between_folders(self, beside, settings):
        settings.CLEANUP_DIFFERING_COLUMNS = "refuse"
        loan = tree(beside, "Loan, Loan")
        assert DatabaseCleanupService(using=beside).consolidate_duplicate_folders(loan.application).folders_removed == 1

    def test_comes_back_beside_what_was_filed_since(self, beside):
        loan = tree(beside, "old:Loan/kept:Docs(a.txt), new:Loan/gone:Docs(b.txt)")
        service = DatabaseCleanupService(using=beside)
        point = service.consolidate_duplicate_folders(loan.application).rollback_id
        execute(beside, "UPDATE files SET folder_id = (SELECT id FROM folders WHERE parent_id IS NULL)")
        with pytest.raises(RollbackConflict):
            service.rollback_cleanup(point)
        assert service.rollback_cleanup(point, skip_conflicts=True).folders_restored == 2

    @pytest.mark.parametrize("beside", ["with the application"], indirect=True)
    def test_that_two_folders_have_is_refused(self, beside):
        loan, other = tree(beside, "Loan/Docs, Loan/Docs"), tree(beside, "Case")
        service = DatabaseCleanupService(using=beside)
        copied = "INSERT INTO folders (id, name, application_id) SELECT f.id, f.name, a.application_id"
        twice = "FROM folders AS f CROSS JOIN (SELECT application_id FROM folders WHERE name = 'Case') AS a"
        execute(beside, f"{copied} {twice} WHERE f.name = 'Docs' AND f.num = (SELECT max(num) FROM folders) - 1")
        (problem,) = service.preflight()["problems"]
        assert (problem["code"], problem["column"]) == ("unkeyed", "id")
        assert (loan.application, other.application) != (None, None)
