"""People who would newly see files are counted before folders are merged, and refused if a setting says so."""

import pytest

from cleanup.exceptions import ApplicationError
from cleanup.services import DatabaseCleanupService
from cleanup.services.merging.preview import preview
from tests.integration.merging.test_collisions import make
from tests.support.trees import assert_tree, execute, raw, tree

SHARES = (
    "CREATE TABLE folder_shares (id integer PRIMARY KEY, folder_id $key NOT NULL REFERENCES :folders, user_id integer)"
)


@pytest.fixture
def service(scratch_database) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=scratch_database)


@pytest.fixture
def grant(scratch_database):
    """Share folders with people."""

    def share(folder: str, *people: int, table: str = "folder_shares", column: str = "user_id") -> None:
        for person in people:
            key = raw(scratch_database, folder)
            number = person + 100 * share.made
            execute(
                scratch_database, f"INSERT INTO {table} (id, folder_id, {column}) VALUES ({number}, '{key}', {person})"
            )
            share.made += 1

    share.made = 1
    return share


def widening(service: DatabaseCleanupService) -> dict[str, int]:
    (result,) = service.cleanup_all_duplicate_folders(dry_run=True).results
    return {table.rpartition(".")[2]: number for table, number in result.details.get("widening", {}).items()}


class TestPeople:
    def test_who_see_one_of_two_folders_are_counted_once(self, scratch_database, service, grant):
        make(scratch_database, SHARES)
        loan = tree(scratch_database, "Loan/{one:Docs(1), two:Docs(1), a:Notes(1), b:Notes(1)}")
        grant(loan["one"], 1, 2)
        grant(loan["two"], 2, 3)
        grant(loan["a"], 3)
        assert widening(service) == {"folder_shares": 2}
        shown = preview(using=scratch_database, application_id=loan.application)
        assert list(shown.widening.values()) == [2]

    def test_who_see_both_are_not(self, scratch_database, service, grant):
        make(scratch_database, SHARES)
        loan = tree(scratch_database, "Loan/{one:Docs(1), two:Docs(1)}")
        grant(loan["one"], 1)
        grant(loan["two"], 1)
        assert widening(service) == {}

    def test_who_would_see_an_empty_folder_are_not(self, scratch_database, service, grant):
        make(scratch_database, SHARES)
        loan = tree(scratch_database, "Loan/{one:Docs(1), two:Docs}")
        grant(loan["one"], 1)
        assert widening(service) == {}
        grant(loan["two"], 2)
        assert widening(service) == {"folder_shares": 1}

    def test_are_found_in_tables_that_a_setting_names(self, scratch_database, service, grant, settings):
        make(
            scratch_database,
            "CREATE TABLE seen_by (id integer PRIMARY KEY, folder_id $key NOT NULL REFERENCES :folders, desk integer)",
        )
        loan = tree(scratch_database, "Loan/{one:Docs(1), two:Docs(1)}")
        grant(loan["one"], 1, table="seen_by", column="desk")
        assert widening(service) == {}
        settings.CLEANUP_GRANTS = {"seen_by": ["desk"]}
        assert widening(service) == {"seen_by": 1}


class TestRefusal:
    def test_leaves_the_application_to_a_person(self, scratch_database, service, grant, settings):
        settings.CLEANUP_WIDENING = "refuse"
        make(scratch_database, SHARES)
        loan = tree(scratch_database, "Loan/{one:Docs(1), two:Docs(1)}")
        other = tree(scratch_database, "Loan/{Docs(1), Docs(1)}")
        grant(loan["one"], 1)
        planned = service.cleanup_all_duplicate_folders(dry_run=True)
        done = service.cleanup_all_duplicate_folders()
        assert {result.application_id: result.error_code for result in planned.results} == {
            str(loan.application): "widens",
            str(other.application): "",
        }
        assert [(r.application_id, r.status, r.error_code) for r in done.results] == [
            (r.application_id, r.status, r.error_code) for r in planned.results
        ]
        assert_tree(scratch_database, loan, "Loan/{Docs(1), Docs(1)}")
        assert_tree(scratch_database, other, "Loan/Docs(2)")
        with pytest.raises(ApplicationError, match="who would newly see files"):
            service.consolidate_duplicate_folders(loan.application)
