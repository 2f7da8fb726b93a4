"""What a connection to SQLite keeps of the schema is what the schema is now, whichever connection changed it."""

import contextlib
import sqlite3

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from cleanup import backends
from tests.support import databases
from tests.support.trees import execute

pytestmark = pytest.mark.only("sqlite")


def there(using: str) -> set[str]:
    return set(backends.database(using=using).catalogue.resolve_all(["one", "two"]))


class UndoneError(Exception):
    """Ends a transaction."""


class TestKeptSchema:
    def test_is_read_once(self, database):
        there(database)
        with CaptureQueriesContext(connections[database]) as captured:
            there(database)
        assert [query["sql"] for query in captured] == []

    def test_is_read_again_when_another_process_has_changed_it(self, scratch_database):
        before = there(scratch_database)
        with contextlib.closing(sqlite3.connect(connections[scratch_database].settings_dict["NAME"])) as other:
            other.execute("CREATE TABLE one (id)")
        assert (before, there(scratch_database)) == (set(), {"one"})

    def test_is_not_taken_from_a_transaction_that_was_undone(self, scratch_database):
        there(scratch_database)
        with contextlib.suppress(UndoneError), transaction.atomic(using=scratch_database):
            execute(scratch_database, "CREATE TABLE one (id)")
            within = there(scratch_database)
            raise UndoneError
        after = there(scratch_database)
        execute(scratch_database, "CREATE TABLE two (id)")  # which gives the schema the version of the one undone
        assert (within, after, there(scratch_database)) == ({"one"}, set(), {"two"})

    def test_is_that_of_the_file_that_is_open(self, scratch_database):
        execute(scratch_database, "CREATE TABLE one (id)")
        before = there(scratch_database)
        with databases.migrated(scratch_database):
            execute(scratch_database, "CREATE TABLE two (id)")  # the same version in another file
            other = there(scratch_database)
        assert (before, other, there(scratch_database)) == ({"one"}, {"two"}, {"one"})
