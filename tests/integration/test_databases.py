import re
import subprocess
import sys
import threading

import pytest
from django.contrib.auth.models import Group
from django.db import connections
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import IntegerField

from tests import ROOT
from tests.integration.test_readme import environment_of
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


class TestMigratedDatabase:
    DEFINITIONS = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'",
        "postgresql": """
            SELECT format('%s.%s', c.relname, a.attnum),
                   format('%I %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                          pg_get_expr(d.adbin, c.oid))
              FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
              LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
             WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
            UNION ALL
            SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
            UNION ALL
            SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
             WHERE NOT starts_with(indexrelid::regclass::text, 'pg_')
        """,
    }
    MIGRATE = """
import django; django.setup()
from django.core.management import call_command
for target in [], ["cleanup_guards", "zero"]:
    call_command("migrate", *target, verbosity=0)
"""

    def definitions(self, using: str) -> list[tuple[str, str]]:
        with connections[using].cursor() as cursor:
            cursor.execute(self.DEFINITIONS[connections[using].vendor])
            # The mark that the mapped tables bear names the file.
            return sorted((name, re.sub(r" in \w{16} ", "", sql or "")) for name, sql in cursor.fetchall())

    def test_is_as_in_a_process_without_what_makes_migrations_quick(self, blank_database):
        environment = {**environment_of(databases.url_of(blank_database)), "DJANGO_SETTINGS_MODULE": "tests.settings"}
        command = [sys.executable, "-c", self.MIGRATE]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment)
        assert done.returncode == 0, done.stderr
        migrated = self.definitions(blank_database)
        with databases.migrated(blank_database):
            assert self.definitions(blank_database) == migrated
        assert len(migrated) > 100


class TestModelsOfMigrations:
    def test_have_their_names_from_the_state_whatever_a_field_was_called(self):
        state = ProjectState()
        state.add_model(ModelState("some", "Thing", [("old", IntegerField(primary_key=True))]))
        state.models["some", "thing"].fields["old"].set_attributes_from_name("old")
        state.rename_field("some", "thing", "old", "new")
        assert state.apps.get_model("some", "thing")._meta.get_field("new").column == "new"

    def test_are_not_changed_by_what_is_done_to_those_of_an_equal_state(self):
        field = IntegerField(primary_key=True)
        first, second = ProjectState(), ProjectState()
        for state in (first, second):
            state.add_model(ModelState("some", "Thing", [("key", field)]))
            assert state.apps.get_model("some", "thing")._meta.pk.name == "key"
        first.rename_field("some", "thing", "key", "other")
        assert [state.apps.get_model("some", "thing")._meta.pk.name for state in (first, second)] == ["other", "key"]


class TestScratchDatabase:
    def test_is_migrated(self, scratch_database):
        assert "auth_group" in connections[scratch_database].introspection.table_names()

    def test_is_not_the_shared_one(self, scratch_database):
        execute(scratch_database, "CREATE TABLE stray (id integer)")
        assert databases.schema(scratch_database) != databases._schemas[scratch_database]


class TestBlankDatabase:
    def test_has_no_table(self, blank_database):
        assert connections[blank_database].introspection.table_names() == []
