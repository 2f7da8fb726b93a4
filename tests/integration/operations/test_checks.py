"""Checks in this process, and those that are stored."""

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from cleanup.services import DatabaseCleanupService
from cleanup.services.operations import stored_checks
from tests.support.trees import tree

#: By which the statements that read the catalogue are known.
CATALOGUE = ("pg_class", "pg_attribute")


class Statements(CaptureQueriesContext):
    """The statements of a block, by what is known about them."""

    @property
    def of_transactions(self) -> list[str]:
        return [query["sql"] for query in self if query["sql"].startswith("BEGIN")]

    @property
    def others(self) -> list[str]:
        return [query["sql"] for query in self if not query["sql"].startswith(("BEGIN", "COMMIT"))]

    @property
    def of_the_catalogue(self) -> list[str]:
        return [sql for sql in self.others if any(word in sql for word in CATALOGUE)]


def statements(using: str) -> Statements:
    return Statements(connections[using])


class TestCheck:
    @pytest.fixture(autouse=True)
    def verified(self, database) -> None:
        """Let it rely on a verification."""
        tree(database, "Loan, Loan")
        DatabaseCleanupService(using=database).verify_cleanup_integrity()

    def test_takes_few_statements(self, database):
        with statements(database) as found:
            DatabaseCleanupService(using=database).check()
        assert len(found.others) <= 7

    @pytest.mark.only("postgresql")
    def test_takes_three_transactions(self, database):
        """For the verification, for what waits, and for the folders."""
        with statements(database) as found:
            DatabaseCleanupService(using=database).check()
        assert len(found.of_transactions) <= 3


@pytest.mark.only("postgresql")  # SQLite's catalogue is kept until it changes
class TestStoredCheck:
    @pytest.fixture(autouse=True)
    def known(self, database) -> None:
        """Have the references in the cache of what is only shown."""
        stored_checks.check_and_store(using=database)

    def test_reads_no_catalogue_if_nothing_can_arrive_late(self, database):
        tree(database, "Loan, Loan")
        with statements(database) as found:
            stored_checks.check_and_store(using=database)
        assert found.of_the_catalogue == []

    def test_reads_it_once_something_was_merged(self, database):
        tree(database, "Loan, Loan")
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        with statements(database) as found:
            stored_checks.check_and_store(using=database)
        assert found.of_the_catalogue != []
