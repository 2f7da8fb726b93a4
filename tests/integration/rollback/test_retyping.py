"""Columns that a deploy has changed between a cleanup and its rollback: refused, naming them, before anything changes.

A retyped column of SQLite is a table that was written down again: here its text is, which is as much.
"""

import re

import pytest
from django.db import connections

from cleanup import exceptions
from cleanup.models import Run
from cleanup.services import DatabaseCleanupService
from tests.support import databases
from tests.support.trees import dump, execute, fetch, is_postgresql, label, named, raw, sql, tree

COLUMNS = ("price", "at", "note", "other")


@pytest.fixture
def merged(database):
    """Yield two merged applications with columns of many types, as they were and the run that merged them.

    Behind the alias stands a database for this test alone.
    """
    with databases.prepared(database, merge, start=databases.scratch_copy) as outcome:
        databases.adopt(database)
        yield outcome


def merge(database: str) -> tuple:
    for name, kind in zip(COLUMNS, ("integer", "varchar(40)", "varchar(20)", "varchar(20)"), strict=True):
        execute(database, f"ALTER TABLE :folders ADD COLUMN {name} {kind}")
    made = [tree(database, "A(1), gone:A(1)"), tree(database, "A(1), gone:A(1)")]
    execute(database, "UPDATE :folders SET price = 1250, at = 'noon', note = 'words', other = 'others'")
    was = dump(database)
    run = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
    return made, was, run


def retype(database: str, column: str, kind: str, using: str = "") -> None:
    """Give a column of folders another type."""
    if is_postgresql(database):
        execute(database, f"ALTER TABLE :folders ALTER {column} TYPE {kind} USING {using or column}")
        return
    ((text,),) = fetch(database, "SELECT sql FROM sqlite_master WHERE name = %s", named(":folders"))
    declared = re.sub(rf"\b{column} \w+( *\([^)]*\))?", f"{column} {kind}", text)
    with connections[database].cursor() as cursor:
        ((version,),) = cursor.execute("PRAGMA schema_version").fetchall()
        cursor.execute("PRAGMA writable_schema = ON")
        cursor.execute("UPDATE sqlite_master SET sql = %s WHERE name = %s", [declared, named(":folders")])
        cursor.execute(f"PRAGMA schema_version = {version + 1}")
        cursor.execute("PRAGMA writable_schema = OFF")
    connections[database].close()


def refused(database: str, undone, **options) -> str:
    """Have a rollback refuse and change nothing, and return why."""
    before = dump(database, own=True)
    with pytest.raises(exceptions.UnreadableJournal) as caught:
        DatabaseCleanupService(using=database).rollback_cleanup(undone, **options)
    assert dump(database, own=True) == before
    return str(caught.value)


RETYPED = {
    "cents_to_euros": ("price", "integer", "numeric(10,2)", "price / 100.0"),
    "numbers_to_text": ("price", "integer", "varchar(20)", ""),
    "text_to_number": ("note", "varchar(20)", "integer", "length(note)"),
    "shorter": ("note", "varchar(20)", "varchar(6)", ""),
}


#: Each way to undo at least once, and all of them for one column.
OPTIONS = {
    "cents_to_euros": ({}, {"skip_conflicts": True}, {"as_copies": True}),
    "numbers_to_text": ({},),
    "text_to_number": ({"skip_conflicts": True},),
    "shorter": ({"as_copies": True},),
}


class TestRetypedColumn:
    @pytest.mark.parametrize("kind", RETYPED)
    def test_is_refused_with_both_types(self, database, merged, kind, subtests):
        column, then, now, using = RETYPED[kind]
        retype(database, column, now, using)
        _, _, run = merged
        spelled = {
            name: name.replace("varchar", "character varying") if is_postgresql(database) else name
            for name in (then, now)
        }
        expected = (
            f"column {label(database, ':folders')}.{column} was of type {spelled[then]} and is of type"
            f" {spelled[now]} now."
        )
        for options in OPTIONS[kind]:
            for undone in (run.results[0].rollback_id, run.run_id):
                with subtests.test(undone=undone, **options):
                    # SQLite spells the usual types in capitals.
                    assert expected.lower() in refused(database, undone, **options).lower()
        assert not Run.objects.using(database).filter(kind="rollback").exists()

    def test_is_refused_to_a_preview(self, database, merged):
        retype(database, "price", "numeric(10,2)", "price / 100.0")
        for undone in (merged[2].results[0].rollback_id, merged[2].run_id):
            with pytest.raises(exceptions.UnreadableJournal, match="price"):
                DatabaseCleanupService(using=database).preview_rollback(undone)

    def test_that_every_value_fits_is_no_obstacle(self, database, merged):
        for column, kind in (("price", "bigint"), ("note", "varchar(30)"), ("other", "text")):
            retype(database, column, kind)
        _, was, run = merged
        assert DatabaseCleanupService(using=database).rollback_cleanup(run.run_id).exact
        assert dump(database) == was

    def test_is_refused_to_a_point_taken_by_hand(self, database, merged):
        (one, _), _, _ = merged
        point = DatabaseCleanupService(using=database).create_rollback_point(one.application)
        tree(database, "B", application=one.application)
        DatabaseCleanupService(using=database).consolidate_duplicate_folders(one.application)
        retype(database, "price", "numeric(10,2)", "price / 100.0")
        assert "folders.price" in refused(database, point).replace(named(":folders"), "folders")

    def test_is_no_obstacle_where_no_value_of_it_was_journaled(self, scratch_database):
        execute(scratch_database, f"CREATE TABLE memo (id integer PRIMARY KEY, about {_key(scratch_database)}, n text)")
        made = tree(scratch_database, "A, gone:A")
        gone = raw(scratch_database, made["gone"])
        execute(scratch_database, "INSERT INTO memo VALUES (1, %s, 'x')", gone)
        point = DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders(made.application)
        execute(scratch_database, "ALTER TABLE memo RENAME COLUMN n TO m")
        assert DatabaseCleanupService(using=scratch_database).rollback_cleanup(point.rollback_id).exact


def _key(database: str) -> str:
    return sql(database, "char(32) REFERENCES :folders" if not is_postgresql(database) else "uuid REFERENCES :folders")


class TestRenamedColumn:
    def test_is_told_by_its_new_name(self, database, merged):
        execute(database, "ALTER TABLE :folders RENAME COLUMN note TO remark")
        assert "note is named remark now" in refused(database, merged[2].run_id)

    def test_is_refused_where_two_have_swapped_names(self, database, merged):
        for old, new in (("note", "x"), ("other", "note"), ("x", "other")):
            execute(database, f"ALTER TABLE :folders RENAME COLUMN {old} TO {new}")
        assert "note is named other now" in refused(database, merged[2].run_id, skip_conflicts=True)

    def test_can_be_renamed_back(self, database, merged):
        for old, new in (("note", "x"), ("x", "note")):
            execute(database, f"ALTER TABLE :folders RENAME COLUMN {old} TO {new}")
        assert DatabaseCleanupService(using=database).rollback_cleanup(merged[2].run_id).exact


@pytest.mark.only("postgresql")
class TestTypeOfTheHost:
    def test_is_refused_where_a_label_was_renamed(self, scratch_database):
        execute(scratch_database, "CREATE TYPE mood AS ENUM ('good', 'bad')")
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN mood mood DEFAULT 'bad'")
        made = tree(scratch_database, "A, gone:A")
        done = DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders(made.application)
        execute(scratch_database, "ALTER TYPE mood ADD VALUE 'middling'")
        execute(scratch_database, "ALTER TYPE mood RENAME VALUE 'bad' TO 'worse'")
        assert "mood is not defined as it was" in refused(scratch_database, done.rollback_id)

    def test_may_have_further_labels(self, scratch_database):
        execute(scratch_database, "CREATE TYPE mood AS ENUM ('good', 'bad')")
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN mood mood[] DEFAULT '{bad}'")
        made = tree(scratch_database, "A, gone:A")
        was = dump(scratch_database)
        done = DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders(made.application)
        execute(scratch_database, "ALTER TYPE mood ADD VALUE 'middling'")
        DatabaseCleanupService(using=scratch_database).rollback_cleanup(done.rollback_id)
        assert dump(scratch_database) == was


def compute(database: str, table: str, column: str, expression: str) -> None:
    """Add a column that the database computes."""
    kept = "STORED" if is_postgresql(database) else "VIRTUAL"
    execute(database, f"ALTER TABLE {table} ADD COLUMN {column} text GENERATED ALWAYS AS ({expression}) {kept}")


def store(database: str, table: str, column: str) -> None:
    """Make a plain column of one that the database computes."""
    execute(database, f"ALTER TABLE {table} DROP COLUMN {column}")
    execute(database, f"ALTER TABLE {table} ADD COLUMN {column} text")


class TestComputedColumn:
    def test_that_is_stored_now_is_refused_where_rows_return(self, scratch_database):
        compute(scratch_database, ":folders", "loud", "upper(name)")
        made = tree(scratch_database, "A, gone:A")
        done = DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders(made.application)
        store(scratch_database, ":folders", "loud")
        assert "loud was computed by the database and is stored now" in refused(scratch_database, done.rollback_id)

    def test_that_is_stored_now_is_refused_where_it_was_computed_from_what_moved(self, scratch_database, memo):
        point = memo("'to ' || CAST(about AS text)")
        store(scratch_database, "memo", "said")
        assert "memo.said was computed by the database" in refused(scratch_database, point)

    def test_that_is_stored_now_is_no_obstacle_where_it_was_computed_from_what_stayed(self, scratch_database, memo):
        point = memo("upper(n)")
        store(scratch_database, "memo", "said")
        assert DatabaseCleanupService(using=scratch_database).rollback_cleanup(point).exact

    def test_that_is_gone_is_no_obstacle(self, scratch_database, memo):
        point = memo("'to ' || CAST(about AS text)")
        execute(scratch_database, "ALTER TABLE memo DROP COLUMN said")
        assert DatabaseCleanupService(using=scratch_database).rollback_cleanup(point).exact

    @pytest.fixture
    def memo(self, scratch_database):
        """Return a function that merges a folder that a memo is about, and returns the point."""

        def merge(expression: str):
            key = _key(scratch_database)
            execute(scratch_database, f"CREATE TABLE memo (id integer PRIMARY KEY, about {key}, n text)")
            compute(scratch_database, "memo", "said", expression)
            made = tree(scratch_database, "A, gone:A")
            gone = raw(scratch_database, made["gone"])
            execute(scratch_database, "INSERT INTO memo (id, about, n) VALUES (1, %s, 'x')", gone)
            service = DatabaseCleanupService(using=scratch_database)
            return service.consolidate_duplicate_folders(made.application).rollback_id

        return merge


class TestKey:
    def test_that_no_longer_tells_rows_apart_is_refused(self, scratch_database):
        key = _key(scratch_database)
        execute(scratch_database, f"CREATE TABLE memo (id integer NOT NULL, about {key}, n text)")
        execute(scratch_database, "CREATE UNIQUE INDEX memo_ids ON memo (id)")
        made = tree(scratch_database, "A, gone:A")
        execute(scratch_database, "INSERT INTO memo VALUES (1, %s, 'x')", raw(scratch_database, made["gone"]))
        was = dump(scratch_database)
        point = DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders(made.application)
        execute(scratch_database, "DROP INDEX memo_ids")
        execute(scratch_database, "INSERT INTO memo SELECT id, about, 'another' FROM memo")
        assert "memo are recorded by id, and no unique key" in refused(scratch_database, point.rollback_id)
        execute(scratch_database, "DELETE FROM memo WHERE n = 'another'")
        execute(scratch_database, "CREATE UNIQUE INDEX memo_numbers ON memo (id)")
        assert DatabaseCleanupService(using=scratch_database).rollback_cleanup(point.rollback_id).exact
        assert dump(scratch_database) == was
