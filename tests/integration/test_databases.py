import threading

import pytest
from django.contrib.auth.models import Group
from django.db import connections

from cleanup.models import AutomationState
from tests.support import databases


def execute(using: str, sql: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute(sql)


class TestWipe:
    def test_removes_rows(self, database):
        Group.objects.using(database).create(name="a")
        databases.wipe(database)
        assert not Group.objects.using(database).filter(name="a").exists()

    def test_removes_rows_that_dangle(self, scratch_database):
        with connections[scratch_database].constraint_checks_disabled():
            execute(scratch_database, "CREATE TABLE host (id integer PRIMARY KEY, parent integer)")
            execute(scratch_database, "INSERT INTO host VALUES (1, 99)")
        databases.wipe(scratch_database)
        assert "host" not in databases.filled_tables(scratch_database)

    def test_restores_the_rows_that_migrations_made(self, scratch_database, monkeypatch):
        monkeypatch.setattr(databases, "_schemas", {})
        monkeypatch.setattr(databases, "_initial_rows", {})
        execute(scratch_database, "CREATE TABLE control (id integer, note varchar(20), at timestamp)")
        execute(
            scratch_database, "INSERT INTO control VALUES (1, 'it''s, \"so\"', '2024-01-01 10:00:00'), (2, NULL, NULL)"
        )
        databases.remember(scratch_database)
        execute(scratch_database, "UPDATE control SET note = 'changed'")
        databases.wipe(scratch_database)
        with connections[scratch_database].cursor() as cursor:
            cursor.execute("SELECT note FROM control ORDER BY id")
            assert cursor.fetchall() == [('it\'s, "so"',), (None,)]


class TestSharedDatabase:
    def test_shows_its_rows_to_other_connections(self, database):
        Group.objects.using(database).create(name="a")
        seen = []

        def look() -> None:
            seen.append(Group.objects.using(database).filter(name="a").count())
            connections[database].close()

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert seen == [1]

    def test_is_the_only_one_a_test_may_query(self, database):
        (other,) = set(databases.ALIASES.values()) - {database}
        with pytest.raises(AssertionError, match="not allowed"):
            Group.objects.using(other).exists()

    def test_reports_whoever_changes_its_schema(self, database):
        execute(database, "CREATE TABLE stray (id integer)")
        with pytest.raises(AssertionError, match="stray"):
            databases.assert_schema_unchanged(database)
        execute(database, "DROP TABLE stray")
        with pytest.raises(AssertionError, match="stray"):
            databases.assert_schema_unchanged(database)

    def test_returns_to_what_migrations_made(self, database):
        before = databases.rows(database)
        Group.objects.using(database).create(name="a")
        AutomationState.objects.using(database).all().delete()
        databases.return_to_start(database)
        assert databases.rows(database) == before != {}

    def test_returns_to_rows_that_were_changed(self, database):
        before = databases.rows(database)
        assert AutomationState.objects.using(database).update(started=True) == 1
        databases.return_to_start(database)
        assert databases.rows(database) == before

    def test_notices_ddl_where_it_returns(self, database):
        execute(database, "CREATE TABLE stray (id integer)")
        with pytest.raises(AssertionError, match=r"new .*stray"):
            databases.return_to_start(database)
        execute(database, "DROP TABLE stray")
        with pytest.raises(AssertionError, match=r"gone .*stray"):
            databases.return_to_start(database)


class TestScratchDatabase:
    def test_is_migrated(self, scratch_database):
        assert "auth_group" in connections[scratch_database].introspection.table_names()

    def test_is_not_the_shared_one(self, scratch_database):
        execute(scratch_database, "CREATE TABLE stray (id integer)")
        assert databases.schema(scratch_database) != databases._schemas[scratch_database]


class TestBlankDatabase:
    def test_has_no_table(self, blank_database):
        assert connections[blank_database].introspection.table_names() == []
