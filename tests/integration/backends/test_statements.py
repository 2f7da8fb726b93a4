"""What the two databases' statements do to rows of every kind: read, journal, change, remove, bring back."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from time import sleep

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanup import backends
from cleanup.backends.catalogue import ForeignKey, Table, TableName
from cleanup.backends.changes import (
    Forwarding,
    Images,
    Keys,
    Replaced,
    Restoration,
    RowConflict,
    RowCount,
    StructureTable,
    Target,
    UndoTarget,
    ValueChange,
    ValueChanges,
)
from cleanup.backends.collisions import Change, CheckedTable
from cleanup.backends.conditions import Condition
from cleanup.backends.forest import Scope
from cleanup.backends.query import Query
from cleanup.exceptions import CountMismatch, UnkeyedRows
from cleanup.folder_tables import folder_tables
from cleanup.models import RemovedFolder, RollbackPoint, SnapshotRow, SnapshotSchema
from cleanup.services.merging.collisions import Places
from tests.support.trees import assert_tree, dump, execute, fetch, is_postgresql, key_type, new_key, raw, tree

STEP = 3


def keys(*rows: tuple[int, tuple[str, ...]]) -> Keys:
    """Write rows, each a point and the cells of a key, column by column."""
    return Keys([point for point, _ in rows], tuple(zip(*(cells for _, cells in rows), strict=True)))


class Workbench:
    """The backend of one database, and plain words for what it wants to be given."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.backend = backends.database(using=alias)
        self.postgresql = is_postgresql(alias)

    def make(self, *statements: str) -> None:
        """Execute statements: ``$uuid`` and ``$serial`` are column types, ``$deferred`` ends a foreign key."""
        for statement in statements:
            execute(
                self.alias,
                statement.replace("$uuid", key_type(self.alias))
                .replace("$serial", "bigserial PRIMARY KEY" if self.postgresql else "integer PRIMARY KEY")
                .replace("$deferred", "DEFERRABLE INITIALLY DEFERRED"),
            )

    def table(self, name: str) -> Table:
        catalogue = backends.database(using=self.alias).catalogue
        found = catalogue.resolve(name)
        return catalogue.describe([found])[found]

    def foreign_keys(self, name: str) -> list[ForeignKey]:
        catalogue = backends.database(using=self.alias).catalogue
        return list(catalogue.foreign_keys_of([catalogue.resolve(name)]))

    def text(self, value: str) -> str:
        """Spell the cell of a text."""
        return self.backend.cells.text_cell(value)

    def number(self, value: int) -> str:
        """Spell the cell of an integer."""
        return str(value) if self.postgresql else f"i:{value}"

    def point(self) -> int:
        """Write the header that snapshot rows need."""
        schema, _ = SnapshotSchema.objects.using(self.alias).get_or_create(
            digest="d", defaults={"format_version": 1, "document": "{}"}
        )
        now = datetime(2026, 1, 1, tzinfo=UTC)
        point = RollbackPoint.objects.using(self.alias).create(
            application_key="a", kind="cleanup", schema=schema, created_at=now, expires_at=now
        )
        return point.id

    def target(self, name: str, columns: str | Sequence[str], *pairs: ValueChange, **options) -> Target:
        table = self.table(name)
        columns = (columns,) if isinstance(columns, str) else tuple(columns)
        return Target(table, columns, table.row_key or (), ValueChanges.of(pairs, width=len(columns)), **options)

    def pair(self, point: int, old: object, new: object, rank: int = 1) -> ValueChange:
        """Spell a change of one column."""
        return ValueChange(point, (self.cell(old),), (self.cell(new),), rank)

    def cell(self, value: object) -> str:
        return self.number(value) if isinstance(value, int) else self.text(str(value))

    def move(self, *targets: Target, step: int = STEP) -> list[RowCount]:
        with transaction.atomic(using=self.alias):
            self.backend.pin()
            moved = self.backend.merging.move(targets, step=step)
            self.backend.check_deferred_constraints()
        return moved

    def remove(self, name: str, rows: list[tuple[int, tuple[str, ...]]], *, step: int = STEP, **options):
        table = self.table(name)
        with transaction.atomic(using=self.alias):
            self.backend.pin()
            removed = self.backend.merging.remove(table, table.row_key, keys(*rows), step=step, **options)
            self.backend.check_deferred_constraints()
        return removed

    def undo(self, *targets: Target | UndoTarget, points: Sequence[int], step: int = STEP):
        wanted = [
            UndoTarget(target.table, target.columns, target.key) if isinstance(target, Target) else target
            for target in targets
        ]
        with transaction.atomic(using=self.alias):
            self.backend.pin()
            done = self.backend.undoing.restore_moved(wanted, points=points, step=step)
            self.backend.check_deferred_constraints()
        return done

    def stored_columns(self, table: Table) -> list[str]:
        return [column.name for column in table.columns if not column.generated]

    def conflicts(self, name: str, *, points: Sequence[int], step: int = STEP, left_out=()) -> list[RowConflict]:
        with transaction.atomic(using=self.alias):
            done = self._restore(
                name, foreign_keys=self.foreign_keys(name), points=points, step=step, left_out=left_out
            )
            assert not (done.conflicts and done.restored)
            transaction.set_rollback(True, using=self.alias)
        return list(done.conflicts)

    def restore(self, name: str, *, points: Sequence[int], step: int = STEP, left_out=(), rows=None) -> list[RowCount]:
        with transaction.atomic(using=self.alias):
            done = self._restore(name, foreign_keys=(), points=points, step=step, left_out=left_out, rows=rows)
            self.backend.check_deferred_constraints()
        assert not done.conflicts
        return list(done.restored)

    def _restore(self, name: str, *, foreign_keys, **options) -> Restoration:
        table = self.table(name)
        self.backend.pin()
        images = Images(table, self.stored_columns(table), table.row_key, **options)
        return self.backend.undoing.restore_images(images, foreign_keys=foreign_keys)

    def removed(self, name: str, *rows: int) -> int:
        """Remove rows by their number, and return the point that has them."""
        point = self.point()
        self.remove(name, [(point, (self.number(row),)) for row in rows])
        return point

    def collisions(self, target: Target, unique: str | None = None) -> list[tuple]:
        """Return number of the row and whether it is a twin, of those that a unique key has no place for."""
        uniques = [u for u in target.table.uniques if u.name == unique or (unique is None and not u.primary)]
        assert len(uniques) == 1
        # A twin is told by all columns, but a key of its own that does not move.
        own = () if set(target.key) & set(target.columns) else target.key
        compared = tuple(column.name for column in target.table.columns if column.name not in own)
        judged = CheckedTable(
            target.table,
            target.key,
            (Change(target, target.columns),),
            tuple(uniques),
            compared=compared,
        )
        with transaction.atomic(using=self.alias):
            self.backend.pin()
            losing = list(Places(self.backend.collisions.met([judged])).losing())
        return sorted(
            (row.point, *map(self.backend.cells.cell_text, row.key), other.body == mine.body)
            for row, ((mine, other),) in losing
        )

    def swallow(self, name: str, event: str) -> None:
        """Have a trigger of the host keep rows of a table from being changed, or inserted, and say nothing."""
        if self.postgresql:
            body = "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
            self.make(body, f"CREATE TRIGGER t BEFORE {event} ON {name} FOR EACH ROW EXECUTE FUNCTION swallow()")
        else:
            self.make(f"CREATE TRIGGER t BEFORE {event} ON {name} BEGIN SELECT RAISE(IGNORE); END")

    def plans(self, work: Callable[[], object]) -> list[list[str]]:
        """Return the plan of each statement that is given parameters, one by one."""
        statements = []

        def note(execute, sql, params, many, context):
            statements.append((sql, params))
            return execute(sql, params, many, context)

        with connections[self.alias].execute_wrapper(note):
            work()
        explain, place = ("EXPLAIN", 0) if self.postgresql else ("EXPLAIN QUERY PLAN", 3)
        plans = []
        for sql, params in statements:
            if params and not isinstance(params, tuple):
                with connections[self.alias].cursor() as cursor:
                    cursor.execute(f"{explain} {sql}", params)
                    plans.append([row[place] for row in cursor.fetchall()])
        return plans

    def rows(self, name: str) -> list[str]:
        """Return a table's rows as exact text."""
        return dump(self.alias)[name]


@pytest.fixture
def bench(scratch_database) -> Workbench:
    return Workbench(scratch_database)


@pytest.fixture
def notes(bench) -> str:
    bench.make(
        "CREATE TABLE notes (id $serial, folder text, body text)",
        "CREATE INDEX notes_folder ON notes (folder)",
        "INSERT INTO notes (folder, body) VALUES ('a', '1'), ('a', '2'), ('b', '3'), ('s', '4'), (NULL, '5')",
    )
    return "notes"


@pytest.fixture
def cards(bench) -> str:
    bench.make(
        "CREATE TABLE cards (id $serial, folder text, code text, parent bigint REFERENCES cards)",
        "INSERT INTO cards (folder, code, parent)"
        " VALUES ('a', 'x', NULL), ('a', 'y', 1), ('b', 'X', 2), ('b', NULL, 1)",
    )
    return "cards"


class TestMove:
    def moved(self, bench, notes, point: int) -> Target:
        target = bench.target(notes, "folder", bench.pair(point, "a", "s"), bench.pair(point, "b", "s"))
        bench.move(target)
        return target

    def test_counts_the_rows_by_point(self, bench, notes):
        one, two = bench.point(), bench.point()
        moved = bench.move(bench.target(notes, "folder", bench.pair(one, "a", "s"), bench.pair(two, "b", "s")))
        assert sorted((c.point, c.rows) for c in moved) == [(one, 2), (two, 1)]
        assert fetch(bench.alias, "SELECT folder, count(*) FROM notes GROUP BY 1 ORDER BY 2") == [(None, 1), ("s", 4)]

    def test_writes_one_snapshot_row_for_the_changes_of_a_point(self, bench, notes):
        self.moved(bench, notes, bench.point())
        ((count, changes),) = SnapshotRow.objects.using(bench.alias).values_list("row_count", "changes")
        to = [bench.text("s")]
        assert count == 3
        assert sorted(json.loads(changes), key=lambda change: change["from"]) == [
            {"from": [bench.text("a")], "to": to, "keys": [[bench.number(1), bench.number(2)]]},
            {"from": [bench.text("b")], "to": to, "keys": [[bench.number(3)]]},
        ]

    def test_writes_at_most_a_thousand_rows_into_a_snapshot_row(self, bench, notes):
        execute(
            bench.alias,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
            " INSERT INTO notes (folder) SELECT CASE WHEN i > 500 THEN 'a' ELSE 'b' END FROM n",
        )
        point = bench.point()
        target = self.moved(bench, notes, point)
        rows = SnapshotRow.objects.using(bench.alias).order_by("-row_count").values_list("row_count", "changes")
        assert [count for count, _ in rows] == [1000, 503]
        lengths = [sorted(len(change["keys"][0]) for change in json.loads(changes)) for _, changes in rows]
        assert lengths == [[1000], [2, 501]]
        undone = bench.undo(target, points=[point])
        assert ([c.rows for c in undone.restored], undone.conflicts) == ([1503], [])

    def test_fills_the_snapshot_rows_of_points_whose_rows_alternate(self, bench, notes):
        execute(
            bench.alias,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1600)"
            " INSERT INTO notes (folder) SELECT CASE WHEN i %% 2 = 0 THEN 'a' ELSE 'b' END FROM n",
        )
        bench.move(bench.target(notes, "folder", *(bench.pair(bench.point(), folder, "s") for folder in "ab")))
        rows = SnapshotRow.objects.using(bench.alias).order_by("row_count").values_list("row_count", flat=True)
        assert list(rows) == [801, 802]

    def test_does_nothing_where_nothing_matches(self, bench, notes):
        before = bench.rows(notes)
        assert bench.move(bench.target(notes, "folder", bench.pair(bench.point(), "nowhere", "s"))) == []
        assert (bench.rows(notes), SnapshotRow.objects.using(bench.alias).count()) == (before, 0)

    def test_leaves_rows_that_are_spared(self, bench, notes):
        target = bench.target(
            notes, "folder", bench.pair(bench.point(), "a", "s"), spare=[bench.number(1), bench.number(4)]
        )
        assert [c.rows for c in bench.move(target)] == [1]

    def test_moves_only_what_the_condition_admits(self, bench):
        bench.make(
            "CREATE TABLE marks (id $serial, kind integer, object text)",
            "CREATE INDEX marks_object ON marks (kind, object)",
            "INSERT INTO marks (kind, object) VALUES (1, 'a'), (2, 'a'), (3, 'a')",
        )
        target = bench.target(
            "marks", "object", bench.pair(bench.point(), "a", "s"), condition=Condition.of({"kind": [1, 3]})
        )
        bench.move(target)
        assert fetch(bench.alias, "SELECT kind, object FROM marks ORDER BY 1") == [(1, "s"), (2, "a"), (3, "s")]

    @pytest.mark.parametrize("indexed", [True, False])
    def test_thousands_of_rows_share_a_few_snapshot_rows(self, bench, indexed):
        bench.make("CREATE TABLE many (id $serial, folder text)")
        if indexed:
            bench.make("CREATE INDEX many_folder ON many (folder)")
        execute(
            bench.alias,
            "INSERT INTO many (folder) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)"
            " SELECT CASE WHEN i / 5 * 5 = i THEN 'b' ELSE 'a' END FROM n",
        )
        before = bench.rows("many")
        point = bench.point()
        target = self.moved(bench, "many", point)
        counts = SnapshotRow.objects.using(bench.alias).values_list("row_count", flat=True)
        assert sorted(counts) == [500, 1000, 1000]
        assert [c.rows for c in bench.undo(target, points=[point]).restored] == [2500]
        assert bench.rows("many") == before

    def test_names_may_hold_anything(self, bench):
        bench.make(
            'CREATE TABLE "odd %% ""one""" (id $serial, "fol ""der"" %%s {0}" text)',
            'INSERT INTO "odd %% ""one""" ("fol ""der"" %%s {0}") VALUES (\'a\'), (\'%%s\')',
        )
        name, column = 'odd % "one"', 'fol "der" %s {0}'
        table = TableName("public" if bench.postgresql else "", name)
        described = backends.database(using=bench.alias).catalogue.describe([table])[table]
        point, select = bench.point(), f"SELECT * FROM {bench.backend.relation(table)} ORDER BY id"
        before = fetch(bench.alias, select)
        target = Target(
            described,
            (column,),
            ("id",),
            ValueChanges.of([bench.pair(point, "a", "%s"), bench.pair(point, "%s", "b")], width=1),
        )
        assert [c.rows for c in bench.move(target)] == [2]
        assert list(bench.undo(target, points=[point]).conflicts) == []
        assert fetch(bench.alias, select) == before

    def test_moves_a_column_of_the_key(self, bench):
        bench.make(
            "CREATE TABLE shares (folder text NOT NULL, person integer NOT NULL, level text,"
            " PRIMARY KEY (folder, person))",
            "INSERT INTO shares VALUES ('a', 1, 'x'), ('a', 2, 'y'), ('b', 3, 'z')",
        )
        point, before = bench.point(), bench.rows("shares")
        target = self.moved(bench, "shares", point)
        assert fetch(bench.alias, "SELECT DISTINCT folder FROM shares") == [("s",)]
        assert list(bench.undo(target, points=[point]).conflicts) == []
        assert bench.rows("shares") == before

    def test_copies_several_columns(self, bench):
        bench.make(
            "CREATE TABLE filed (id $serial, folder text, tenant integer)",
            "CREATE INDEX filed_folder ON filed (folder)",
            "INSERT INTO filed (folder, tenant) VALUES ('a', 1), ('a', 2)",
        )
        point, before = bench.point(), bench.rows("filed")
        pair = ValueChange(point, (bench.text("a"), bench.number(1)), (bench.text("s"), bench.number(7)))
        target = bench.target("filed", ("folder", "tenant"), pair)
        bench.move(target)
        assert fetch(bench.alias, "SELECT folder, tenant FROM filed ORDER BY id") == [("s", 7), ("a", 2)]
        bench.undo(target, points=[point])
        assert bench.rows("filed") == before

    def test_keeps_whole_rows_where_triggers_may_change_more_of_them(self, bench, notes):
        target = bench.target(notes, "folder", bench.pair(bench.point(), "b", "s"), images=True)
        bench.move(target)
        (row,) = SnapshotRow.objects.using(bench.alias).values_list("images", flat=True)
        (((before, after),),) = json.loads(row)
        image = [bench.number(3), bench.text("b"), bench.text("3")]
        # SQLite has no statement that returns what triggers have made of rows.
        assert (before, after) == (image, [image[0], bench.text("s"), image[2]] if bench.postgresql else None)

    @pytest.mark.only("sqlite")
    def test_a_row_that_two_pairs_want_is_refused(self, bench, notes):
        before, point = bench.rows(notes), bench.point()
        target = bench.target(notes, "folder", bench.pair(point, "a", "s"), bench.pair(point, "a", "t"))
        with pytest.raises(CountMismatch):
            bench.move(target)
        assert bench.rows(notes) == before

    @pytest.mark.only("sqlite")
    def test_rows_with_an_empty_key_are_refused(self, bench):
        bench.make(
            "CREATE TABLE loose (id text PRIMARY KEY, folder text)",
            "INSERT INTO loose VALUES (NULL, 'a'), (NULL, 'a'), ('k', 'a')",
        )
        with pytest.raises(UnkeyedRows) as caught:
            bench.move(bench.target("loose", "folder", bench.pair(bench.point(), "a", "s")))
        assert caught.value.count == 2


class TestMoveInOneStep:
    """A key that holds the folder, and a table that copies that key: both change together."""

    @pytest.fixture(params=["", "ON UPDATE CASCADE", "DEFERRABLE INITIALLY DEFERRED"])
    def tables(self, bench, request) -> None:
        bench.make(
            "CREATE TABLE shelves (folder text NOT NULL, place integer NOT NULL, PRIMARY KEY (folder, place))",
            "CREATE TABLE books (id $serial, folder text, place integer,"
            f" FOREIGN KEY (folder, place) REFERENCES shelves {request.param})",
            "CREATE INDEX books_shelf ON books (folder, place)",
            "INSERT INTO shelves VALUES ('a', 1), ('a', 2), ('b', 3), ('s', 9)",
            "INSERT INTO books (folder, place) VALUES ('a', 1), ('a', 2), ('b', 3), ('s', 9)",
        )

    @pytest.mark.parametrize("order", [("shelves", "books"), ("books", "shelves")])
    def test_changes_together_and_back(self, bench, tables, order):
        before = bench.rows("shelves"), bench.rows("books")
        point = bench.point()
        pairs = bench.pair(point, "a", "s"), bench.pair(point, "b", "s")
        targets = [bench.target(name, "folder", *pairs) for name in order]
        assert sorted((c.table.name, c.rows) for c in bench.move(*targets)) == [("books", 3), ("shelves", 3)]
        assert fetch(bench.alias, "SELECT DISTINCT folder FROM books") == [("s",)]
        done = bench.undo(*targets, points=[point])
        assert (list(done.conflicts), sorted(c.rows for c in done.restored)) == ([], [3, 3])
        assert (bench.rows("shelves"), bench.rows("books")) == before


class TestRestoreMoved:
    @pytest.fixture
    def moved(self, bench) -> tuple[Target, int]:
        bench.make(
            "CREATE TABLE notes (id $serial, folder text, body text)",
            "INSERT INTO notes (folder) VALUES ('a'), ('a'), ('b')",
        )
        point = bench.point()
        target = bench.target("notes", "folder", bench.pair(point, "a", "s"), bench.pair(point, "b", "s"))
        bench.move(target)
        return target, point

    def outcome(self, bench, moved) -> tuple[int, list[tuple[str, str, str]]]:
        target, point = moved
        done = bench.undo(target, points=[point])
        assert {c.point for c in done.conflicts} <= {point}
        conflicts = sorted((c.code, *map(bench.backend.cells.cell_text, c.key), c.column) for c in done.conflicts)
        return sum(c.rows for c in done.restored), conflicts

    def test_other_columns_may_have_changed(self, bench, moved):
        execute(bench.alias, "UPDATE notes SET body = 'new'")
        assert self.outcome(bench, moved) == (3, [])

    def test_a_newer_value_stays(self, bench, moved):
        execute(bench.alias, "UPDATE notes SET folder = 'elsewhere' WHERE id = 2")
        assert self.outcome(bench, moved) == (2, [("changed", "2", "folder")])
        assert fetch(bench.alias, "SELECT folder FROM notes ORDER BY id") == [("a",), ("elsewhere",), ("b",)]

    def test_a_newer_null_stays(self, bench, moved):
        execute(bench.alias, "UPDATE notes SET folder = NULL WHERE id = 3")
        assert self.outcome(bench, moved) == (2, [("changed", "3", "folder")])

    def test_a_row_that_is_back_already_is_fine(self, bench, moved):
        execute(bench.alias, "UPDATE notes SET folder = 'a' WHERE id = 1")
        assert self.outcome(bench, moved) == (2, [])

    def test_a_row_that_is_gone_is_a_conflict(self, bench, moved):
        execute(bench.alias, "DELETE FROM notes WHERE id = 1")
        assert self.outcome(bench, moved) == (2, [("row_missing", "1", "")])

    def test_the_old_value_must_exist(self, bench, moved):
        bench.make("CREATE TABLE places (id text PRIMARY KEY)", "INSERT INTO places VALUES ('b')")
        target, point = moved
        target = UndoTarget(target.table, target.columns, target.key, (bench.table("places"), ("id",)))
        done = bench.undo(target, points=[point])
        assert [c.rows for c in done.restored] == [1]
        assert [(c.code, c.column) for c in done.conflicts] == [("missing_target", "folder")] * 2

    def test_a_newer_value_is_told_where_the_old_one_exists(self, bench, moved):
        bench.make("CREATE TABLE places (id text PRIMARY KEY)", "INSERT INTO places VALUES ('b')")
        execute(bench.alias, "UPDATE notes SET folder = 'elsewhere' WHERE id = 3")
        target, point = moved
        target = UndoTarget(target.table, target.columns, target.key, (bench.table("places"), ("id",)))
        done = bench.undo(target, points=[point])
        told = {bench.backend.cells.cell_text(c.key[0]): c.code for c in done.conflicts}
        assert (told, list(done.restored)) == ({"1": "missing_target", "2": "missing_target", "3": "changed"}, [])

    def test_the_old_value_must_exist_in_all_its_columns(self, bench):
        first, second = str(new_key()), str(new_key())
        bench.make(
            "CREATE TABLE halls (folder $uuid NOT NULL, tenant integer NOT NULL, PRIMARY KEY (folder, tenant))",
            "CREATE TABLE filed (id $serial, folder $uuid, tenant integer)",
        )
        old = raw(bench.alias, first)
        execute(bench.alias, "INSERT INTO filed (folder, tenant) VALUES (%s, 1), (%s, 2)", old, old)
        execute(bench.alias, "INSERT INTO halls VALUES (%s, 2)", old)
        point, key = bench.point(), folder_tables().folder_key
        pairs = [
            ValueChange(
                point,
                (bench.backend.cells.key_cell(key, first), bench.number(tenant)),
                (bench.backend.cells.key_cell(key, second), bench.number(tenant + 2)),
            )
            for tenant in (1, 2)
        ]
        target = bench.target("filed", ("folder", "tenant"), *pairs)
        bench.move(target)
        must_exist = (bench.table("halls"), ("folder", "tenant"))
        done = bench.undo(UndoTarget(target.table, target.columns, target.key, must_exist), points=[point])
        assert [c.rows for c in done.restored] == [1]
        assert [(c.code, c.key) for c in done.conflicts] == [("missing_target", (bench.number(1),))]

    def test_the_old_value_exists_however_it_is_spelled(self, bench):
        known, gone = str(new_key()), str(new_key())
        bench.make("CREATE TABLE places (id $uuid PRIMARY KEY)", "CREATE TABLE notes (id $serial, about varchar(36))")
        execute(bench.alias, "INSERT INTO places VALUES (%s)", raw(bench.alias, known))
        execute(bench.alias, "INSERT INTO notes (about) VALUES (%s), (%s)", known, gone)
        point = bench.point()
        target = bench.target("notes", "about", bench.pair(point, known, "s"), bench.pair(point, gone, "s"))
        bench.move(target)
        must_exist = (bench.table("places"), ("id",))
        done = bench.undo(UndoTarget(target.table, target.columns, target.key, must_exist), points=[point])
        assert [c.rows for c in done.restored] == [1]
        assert [(c.code, c.key) for c in done.conflicts] == [("missing_target", (bench.number(2),))]

    def test_a_row_that_a_trigger_keeps_as_it_is_is_refused(self, bench, moved):
        target, point = moved
        bench.swallow("notes", "UPDATE")
        with pytest.raises(CountMismatch) as caught:
            bench.undo(target, points=[point])
        assert (caught.value.moved, caught.value.journaled) == (0, 3)
        assert fetch(bench.alias, "SELECT DISTINCT folder FROM notes") == [("s",)]

    def test_only_the_points_asked_for(self, bench, moved):
        target, _ = moved
        other = bench.point()
        bench.move(bench.target("notes", "folder", bench.pair(other, "s", "t")))
        done = bench.undo(target, points=[other])
        assert [(c.point, c.rows) for c in done.restored] == [(other, 3)]
        assert fetch(bench.alias, "SELECT DISTINCT folder FROM notes") == [("s",)]

    def test_the_first_format_can_be_read_still(self, bench):
        """One change a row, by column; here the changed column is part of the key."""
        bench.make(
            "CREATE TABLE links (slot integer NOT NULL, folder text NOT NULL, tenant integer,"
            " PRIMARY KEY (slot, folder))",
            "INSERT INTO links VALUES (1, 's', 2), (2, 's', 2), (3, 's', 5)",
        )
        point = bench.point()
        text, number = bench.text, bench.number
        SnapshotRow.objects.using(bench.alias).create(
            point_id=point,
            kind="moved",
            step=STEP,
            table=str(bench.table("links").name),
            row_count=3,
            changes=json.dumps({"folder": [text("a"), text("s")], "tenant": [None, number(2)]}),
            keys=json.dumps({"slot": [number(1), number(2), number(3)], "folder": [text("a")] * 3}),
        )
        target = UndoTarget(bench.table("links"), ("folder", "tenant"), ("slot", "folder"), form=1)
        undone = bench.undo(target, points=[point])
        assert [c.rows for c in undone.restored] == [2]
        assert [(c.code, c.key) for c in undone.conflicts] == [("changed", (number(3), text("a")))]
        assert fetch(bench.alias, "SELECT * FROM links ORDER BY slot") == [(1, "a", None), (2, "a", None), (3, "s", 5)]

    @pytest.mark.parametrize("told", [2, 4])
    def test_a_journal_that_holds_other_than_it_says_is_refused(self, bench, told):
        bench.make("CREATE TABLE filed (id $serial, folder text)")
        execute(bench.alias, "INSERT INTO filed (folder) VALUES ('a'), ('a'), ('a')")
        point = bench.point()
        target = bench.target("filed", "folder", bench.pair(point, "a", "s"))
        bench.move(target)
        with pytest.raises(CountMismatch):
            bench.undo(UndoTarget(target.table, target.columns, target.key, rows=told), points=[point])
        bench.remove("filed", [(point, (bench.number(row),)) for row in (1, 2, 3)])
        with pytest.raises(CountMismatch):
            bench.restore("filed", points=[point], rows=told)
        assert fetch(bench.alias, "SELECT * FROM filed") == []
        bench.restore("filed", points=[point], rows=3)
        bench.undo(UndoTarget(target.table, target.columns, target.key, rows=3), points=[point])
        assert fetch(bench.alias, "SELECT folder FROM filed") == [("a",)] * 3

    @pytest.mark.only("postgresql")
    def test_finds_rows_by_their_key_however_many_the_planner_takes_arrays_to_be(self, bench):
        bench.make("CREATE TABLE many (id $serial, folder text)")
        execute(bench.alias, "INSERT INTO many (folder) SELECT 'f' || i / 10 FROM generate_series(1, 200000) AS i")
        execute(bench.alias, "ANALYZE many")
        point = bench.point()
        target = bench.target("many", "folder", *(bench.pair(point, f"f{n}", "f0") for n in range(1, 21)))
        bench.move(target)
        bench.remove("many", [(point, (str(row),)) for row in range(1, 201)], step=STEP + 1)
        undo = UndoTarget(target.table, target.columns, target.key, rows=200)

        def work() -> None:
            bench.restore("many", points=[point], step=STEP + 1, rows=200)
            bench.undo(undo, points=[point])

        plans = [line for plan in bench.plans(work) for line in plan]
        assert sum("many_pkey" in line for line in plans) >= 2
        assert [line for line in plans if "Seq Scan on many" in line] == []

    def test_a_column_that_had_the_other_value_already_is_restored_with_it(self, bench):
        bench.make(
            "CREATE TABLE filed (id $serial, folder text, tenant integer)",
            "INSERT INTO filed (folder, tenant) VALUES ('a', 1)",
        )
        point = bench.point()
        target = bench.target(
            "filed",
            ("folder", "tenant"),
            ValueChange(point, (bench.text("a"), bench.number(1)), (bench.text("s"), bench.number(2))),
        )
        bench.move(target)
        execute(bench.alias, "UPDATE filed SET tenant = 1")
        assert [c.rows for c in bench.undo(target, points=[point]).restored] == [1]
        assert fetch(bench.alias, "SELECT folder, tenant FROM filed") == [("a", 1)]

    def test_a_column_that_has_its_null_again_already_is_restored_with_it(self, bench):
        bench.make(
            "CREATE TABLE filed (id $serial, folder text, tenant integer)",
            "INSERT INTO filed (folder, tenant) VALUES ('a', NULL)",
        )
        point = bench.point()
        # Today no reference with a null in it is moved, so this is written by hand.
        SnapshotRow.objects.using(bench.alias).create(
            point_id=point,
            kind="moved",
            step=STEP,
            table=str(bench.table("filed").name),
            row_count=1,
            changes=json.dumps(
                [
                    {
                        "from": [bench.text("a"), None],
                        "to": [bench.text("s"), bench.number(2)],
                        "keys": [[bench.number(1)]],
                    }
                ]
            ),
        )
        execute(bench.alias, "UPDATE filed SET folder = 's'")
        target = UndoTarget(bench.table("filed"), ("folder", "tenant"), ("id",))
        assert [c.rows for c in bench.undo(target, points=[point]).restored] == [1]
        assert fetch(bench.alias, "SELECT folder, tenant FROM filed") == [("a", None)]


#: A column's type, and literals of values that a careless copy would change.
POSTGRESQL_TYPES = {
    "json": ["""'{"b" :1,"a": [ ],  "b":2}'""", r"""'{"n": "\u0000"}'""", "'null'"],
    "jsonb": ["""'{"b": 1.50, "a": null}'""", "'1e400'"],
    "bytea": [r"'\x00ff5c'", "''"],
    "numeric": ["'NaN'", "'Infinity'", "1.10", "12345678901234567890.123456789000"],
    "numeric(20,4)": ["1.1"],
    "real": ["'NaN'", "'-Infinity'", "1.1", "'-0'"],
    "float8": ["0.1::float8 + 0.2", "5e-324", "1.7976931348623157e308", "'-0'", "'NaN'"],
    "timestamptz": ["'infinity'", "'-infinity'", "'4713-01-01 00:00:00+00 BC'", "'2024-03-31 02:30:00.123456+02'"],
    "timestamp": ["'infinity'", "'0044-03-15 12:00:00 BC'"],
    "timestamp(0)": ["'2024-01-01 10:00:01'"],
    "date": ["'infinity'", "'0001-01-01 BC'"],
    "time": ["'24:00:00'", "'01:02:03.000004'"],
    "timetz": ["'01:02:03+05:30'"],
    "interval": ["'1 year -2 mons 3 days -04:05:06.7'", "'-00:00:00.000001'"],
    "interval day to second": ["'3 days 04:05:06'"],
    "money": ["'-1234.56'"],
    "boolean": ["true", "false"],
    "smallint": ["-32768"],
    "bigint": ["9223372036854775807"],
    "oid": ["4294967295"],
    "char(5)": ["'a b'"],
    "varchar(255)": ["''", "' blank '"],
    '"char"': ["'x'"],
    "name": ["'a name'"],
    "text": [r"E'tab\tquote\'\"backslash\\ %s {0} \x01 \u202e \U0001F600 e\u0301'", "''", "'null'", "'{}'"],
    "bit(5)": ["B'00101'"],
    "bit varying": ["B'001'"],
    "uuid": ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"],
    "inet": ["'192.168.0.1/24'", "'::1'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08-00-2b-01-02-03'"],
    "point": ["'(0.1,-2)'"],
    "polygon": ["'((0,0),(1,1),(1,0))'"],
    "circle": ["'<(1,2),3>'"],
    "int4range": ["'[1,5)'", "'empty'", "'(,3]'"],
    "tstzrange": ["'[2024-01-01 00:00+02, infinity)'"],
    "int4multirange": ["'{[1,3), [5,9)}'"],
    "integer[]": ["'[2:3]={1,2}'", "'{{1,2},{3,NULL}}'", "'{}'"],
    "text[]": ["""ARRAY['a,b', 'NULL', NULL, '"', '', E'\\\\']"""],
    "json[]": ["""ARRAY['{"a" : 1}'::json]"""],
    "float8[]": ["'[0:1]={0.1,NaN}'"],
    "tsvector": ["'fat:2A rat:3'"],
    "tsquery": ["'fat & !rat'"],
    "jsonpath": ["'$.a[*] ? (@ > 1)'"],
    "pg_lsn": ["'16/B374D848'"],
    "mood": ["'so so'"],
    "positive": ["7"],
    "pair": ["ROW('a \"b\", c', NULL)"],
    "pair[]": ["ARRAY[ROW('x', 1)::pair]"],
}


@pytest.mark.only("postgresql")
class TestPostgresqlTypes:
    def test_every_value_comes_back_as_it_was(self, bench):
        bench.make(
            "CREATE TYPE mood AS ENUM ('so so', 'fine')",
            "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
            "CREATE TYPE pair AS (name text, number integer)",
        )
        columns = ", ".join(f'"{kind}" {kind}' for kind in POSTGRESQL_TYPES).replace('""char""', '"quoted char"')
        bench.make(f"CREATE TABLE kinds (id integer PRIMARY KEY, {columns})", "INSERT INTO kinds (id) VALUES (0)")
        longest = max(map(len, POSTGRESQL_TYPES.values()))
        for row in range(longest):
            values = ", ".join(literals[min(row, len(literals) - 1)] for literals in POSTGRESQL_TYPES.values())
            with connections[bench.alias].cursor() as cursor:
                cursor.execute(f"INSERT INTO kinds VALUES ({row + 1}, {values})")
        before = bench.rows("kinds")
        point = bench.point()
        # The host's session may have settings of its own.
        execute(bench.alias, "SET intervalstyle = iso_8601")
        execute(bench.alias, "SET bytea_output = escape")
        execute(bench.alias, "SET extra_float_digits = -15")
        bench.remove("kinds", [(point, (str(row),)) for row in range(longest + 1)])
        assert bench.rows("kinds") == []
        assert bench.conflicts("kinds", points=[point]) == []
        bench.restore("kinds", points=[point])
        for setting in ("intervalstyle", "bytea_output", "extra_float_digits"):
            execute(bench.alias, f"RESET {setting}")
        assert bench.rows("kinds") == before

    def test_generated_columns_are_made_again_and_identities_kept(self, bench):
        bench.make(
            "CREATE TABLE counted (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " number integer GENERATED BY DEFAULT AS IDENTITY, net integer,"
            " gross integer GENERATED ALWAYS AS (net * 2) STORED)",
            "INSERT INTO counted (net) VALUES (5), (6), (NULL)",
        )
        before = bench.rows("counted")
        point = bench.point()
        bench.remove("counted", [(point, ("1",)), (point, ("3",))])
        assert bench.conflicts("counted", points=[point]) == []
        bench.restore("counted", points=[point])
        assert bench.rows("counted") == before

    def test_a_moved_column_of_any_type_comes_back(self, bench):
        bench.make(
            "CREATE TABLE dated (id bigint PRIMARY KEY, at timestamptz, amount numeric)",
            "INSERT INTO dated VALUES (1, 'infinity', 'NaN'), (2, '0044-03-15 BC', 1.10)",
        )
        before = bench.rows("dated")
        point = bench.point()
        target = bench.target(
            "dated",
            ("at", "amount"),
            ValueChange(point, ("infinity", "NaN"), ("-infinity", "0")),
            ValueChange(point, ("0044-03-15 00:00:00+00 BC", "1.10"), ("1970-01-01 00:00:00+00", None)),
        )
        assert [c.rows for c in bench.move(target)] == [2]
        assert list(bench.undo(target, points=[point]).conflicts) == []
        assert bench.rows("dated") == before


SQLITE_VALUES = [
    "NULL",
    "0",
    "1",
    "1.0",
    "'1'",
    "x'31'",
    "'1.0'",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "0.1 + 0.2",
    "5e-324",
    "1.7976931348623157e308",
    "9e999",
    "-9e999",
    "''",
    "x''",
    "x'00ff'",
    "CAST(x'610062' AS TEXT)",
    "CAST(x'ff41' AS TEXT)",
    "CAST(x'eda080' AS TEXT)",
    "'t:1'",
    "'null'",
    "'[1]'",
    "'quote'' \" \\ %s {0}'",
    "char(1, 9, 10, 127, 133, 8238, 128512)",
    "'e' || char(769)",
]


@pytest.mark.only("sqlite")
class TestSqliteValues:
    @pytest.mark.parametrize("kind", ["", "INTEGER", "REAL", "TEXT", "NUMERIC", "BLOB", "uuid", "datetime"])
    def test_every_value_comes_back_with_its_storage_class(self, bench, kind):
        bench.make(f"CREATE TABLE kinds (id integer PRIMARY KEY, value {kind})")
        with connections[bench.alias].cursor() as cursor:
            cursor.execute(f"INSERT INTO kinds (value) VALUES {', '.join(f'({value})' for value in SQLITE_VALUES)}")
        before = bench.rows("kinds")
        point = bench.point()
        bench.remove("kinds", [(point, (f"i:{row + 1}",)) for row in range(len(SQLITE_VALUES))])
        assert bench.conflicts("kinds", points=[point]) == []
        bench.restore("kinds", points=[point])
        assert bench.rows("kinds") == before

    @given(
        st.lists(
            st.one_of(
                st.none(),
                st.integers(-(2**63), 2**63 - 1),
                st.floats(allow_nan=False),
                st.text(st.characters(exclude_categories=["Cs"])),
                st.binary(),
            )
        )
    )
    @settings(max_examples=50)
    def test_any_value_comes_back(self, bench, values):
        bench.make("DROP TABLE IF EXISTS kinds", "CREATE TABLE kinds (id integer PRIMARY KEY, value)")
        for value in values:
            execute(bench.alias, "INSERT INTO kinds (value) VALUES (%s)", value)
        before = bench.rows("kinds")
        point = bench.point()
        bench.remove("kinds", [(point, (f"i:{row + 1}",)) for row in range(len(values))])
        bench.restore("kinds", points=[point])
        assert bench.rows("kinds") == before

    def test_a_class_of_its_own_is_told_from_a_newer_value(self, bench):
        bench.make("CREATE TABLE loose (id integer PRIMARY KEY, folder)", "INSERT INTO loose (folder) VALUES (1), (1)")
        point = bench.point()
        target = bench.target("loose", "folder", bench.pair(point, 1, 2))
        bench.move(target)
        execute(bench.alias, "UPDATE loose SET folder = 2.0 WHERE id = 1")
        done = bench.undo(target, points=[point])
        assert ([c.code for c in done.conflicts], [c.rows for c in done.restored]) == (["changed"], [1])

    @pytest.mark.parametrize("indexed", [True, False])
    def test_an_equal_value_of_another_class_moves_and_comes_back(self, bench, indexed):
        bench.make(
            "CREATE TABLE loose (id integer PRIMARY KEY, folder)",
            "INSERT INTO loose (folder) VALUES (1), (1.0), ('1')",
        )
        if indexed:
            bench.make("CREATE INDEX loose_folder ON loose (folder)")
        before = bench.rows("loose")
        point = bench.point()
        target = bench.target("loose", "folder", bench.pair(point, 1, 2))
        assert [c.rows for c in bench.move(target)] == [2]
        assert list(bench.undo(target, points=[point]).conflicts) == []
        assert bench.rows("loose") == before

    @pytest.mark.parametrize("kind", ["TEXT", "NUMERIC", "REAL", "INTEGER", ""])
    @pytest.mark.parametrize("cells", [("i:1", "i:2"), ("t:1", "t:2")])
    @pytest.mark.parametrize("indexed", [True, False])
    def test_what_a_column_makes_of_a_value_is_known_again(self, bench, kind, cells, indexed):
        bench.make(f"CREATE TABLE loose (id integer PRIMARY KEY, folder {kind})")
        if indexed:
            bench.make("CREATE INDEX loose_folder ON loose (folder)")
        old = 1 if cells[0] == "i:1" else "1"
        execute(bench.alias, "INSERT INTO loose (folder) VALUES (%s)", old)
        before = bench.rows("loose")
        point = bench.point()
        target = bench.target("loose", "folder", ValueChange(point, cells[:1], cells[1:]))
        assert [c.rows for c in bench.move(target)] == [1]
        done = bench.undo(target, points=[point])
        assert (list(done.conflicts), bench.rows("loose")) == ([], before)

    def test_a_collation_makes_no_other_key_equal(self, bench):
        bench.make(
            "CREATE TABLE loose (id integer PRIMARY KEY, folder text COLLATE NOCASE)",
            "CREATE INDEX loose_folder ON loose (folder)",
            "INSERT INTO loose (folder) VALUES ('a'), ('A')",
        )
        assert [c.rows for c in bench.move(bench.target("loose", "folder", bench.pair(bench.point(), "a", "s")))] == [1]

    def test_tables_without_rowid_and_generated_columns(self, bench):
        bench.make(
            "CREATE TABLE bare (a text, b integer, folder text, twice integer GENERATED ALWAYS AS (b * 2) VIRTUAL,"
            " thrice integer AS (b * 3) STORED, PRIMARY KEY (a, b)) WITHOUT ROWID",
            "INSERT INTO bare VALUES ('x', 1, 'a'), ('x', 2, 'a'), ('y', 1, 'b')",
        )
        before = bench.rows("bare")
        point = bench.point()
        target = bench.target("bare", "folder", bench.pair(point, "a", "s"))
        bench.move(target)
        bench.remove("bare", [(point, ("t:x", "i:1"))], step=STEP + 1)
        bench.restore("bare", points=[point], step=STEP + 1)
        bench.undo(target, points=[point])
        assert bench.rows("bare") == before

    def test_rows_come_back_in_a_strict_table(self, bench):
        bench.make(
            "CREATE TABLE strict (id integer PRIMARY KEY, folder text, value any) STRICT",
            "INSERT INTO strict VALUES (1, 'a', '007'), (2, 'a', 7.0), (3, 'b', x'00')",
        )
        before = bench.rows("strict")
        point = bench.point()
        bench.remove("strict", [(point, (f"i:{row}",)) for row in (1, 2, 3)])
        bench.restore("strict", points=[point])
        assert bench.rows("strict") == before

    @pytest.mark.parametrize("analysed", [True, False])
    def test_an_index_on_the_reference_is_used(self, bench, analysed):
        bench.make(
            "CREATE TABLE many (id integer PRIMARY KEY, folder text)", "CREATE INDEX many_folder ON many (folder)"
        )
        execute(
            bench.alias,
            "INSERT INTO many (folder) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 5000) SELECT 'f' || (i / 5) FROM n",
        )
        if analysed:
            execute(bench.alias, "ANALYZE")
        point = bench.point()
        target = bench.target("many", "folder", bench.pair(point, "f1", "f2"), bench.pair(point, "f3", "f4"))
        plans = bench.plans(lambda: (bench.move(target), bench.backend.reading.count_rows([target])))
        assert [line for plan in plans for line in plan if line.startswith(("SCAN t", "SCAN many"))] == []
        assert sum(any("SEARCH t USING" in line and "many_folder" in line for line in plan) for plan in plans) == 3

    def test_without_an_index_the_table_is_read_once(self, bench):
        bench.make("CREATE TABLE many (id integer PRIMARY KEY, folder text)")
        point = bench.point()
        target = bench.target("many", "folder", bench.pair(point, "f1", "f2"), bench.pair(point, "f3", "f4"))
        execute(bench.alias, "INSERT INTO many (folder) VALUES ('f1')")
        plans = bench.plans(lambda: bench.move(target))
        assert all(any("SEARCH given USING AUTOMATIC" in line for line in plan) for plan in plans if "SCAN t" in plan)
        assert sum("SCAN t" in plan for plan in plans) == 2

    def test_undo_finds_rows_by_their_key(self, bench):
        bench.make("CREATE TABLE many (id text PRIMARY KEY NOT NULL, folder text)")
        execute(bench.alias, "INSERT INTO many VALUES ('1', 'a')")
        point = bench.point()
        target = bench.target("many", "folder", bench.pair(point, "a", "s"))
        bench.move(target)
        plans = bench.plans(lambda: bench.undo(target, points=[point]))
        assert [line for plan in plans for line in plan if line == "SCAN t"] == []


class TestReplaceCells:
    """Rows are given with what was read of them: what has changed since is not written over."""

    def replaced(self, bench, *changes: tuple[int, str, str]) -> list[Replaced]:
        return [
            Replaced(bench.point(), (bench.number(row),), (bench.text(old),), (bench.text(new),))
            for row, old, new in changes
        ]

    def journaled(self, bench, notes, rows: list[Replaced]) -> list[RowCount]:
        with transaction.atomic(using=bench.alias):
            bench.backend.pin()
            return bench.backend.merging.replace_cells(bench.table(notes), ("id",), ("folder",), rows, step=STEP)

    def unjournaled(self, bench, notes, rows: list[Replaced]) -> None:
        with transaction.atomic(using=bench.alias):
            bench.backend.pin()
            bench.backend.merging.set_cells(bench.table(notes), ("id",), ("folder",), rows)

    def test_can_be_undone(self, bench, notes):
        before, rows = bench.rows(notes), self.replaced(bench, (1, "a", "x"), (3, "b", "y"))
        points = [row.point for row in rows]
        assert [(c.point, c.rows) for c in self.journaled(bench, notes, rows)] == [(point, 1) for point in points]
        assert fetch(bench.alias, "SELECT folder FROM notes ORDER BY id LIMIT 3") == [("x",), ("a",), ("y",)]
        bench.undo(bench.target(notes, "folder"), points=points)
        assert bench.rows(notes) == before

    def test_without_a_journal_leaves_no_snapshot_row(self, bench, notes):
        self.unjournaled(bench, notes, self.replaced(bench, (1, "a", "x"), (3, "b", "y")))
        assert fetch(bench.alias, "SELECT folder FROM notes ORDER BY id LIMIT 3") == [("x",), ("a",), ("y",)]
        assert not SnapshotRow.objects.using(bench.alias).exists()

    @pytest.mark.parametrize("change", ["journaled", "unjournaled"])
    def test_of_a_row_that_was_changed_since_is_refused(self, bench, notes, change):
        before, rows = bench.rows(notes), self.replaced(bench, (1, "a", "x"), (3, "other", "y"))
        with pytest.raises(CountMismatch):
            getattr(self, change)(bench, notes, rows)
        assert bench.rows(notes) == before


class TestJournal:
    """A trigger of the host's on the journal, which keeps rows out of it."""

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(
                lambda bench, notes, point: bench.move(bench.target(notes, "folder", bench.pair(point, "a", "s"))),
                id="move",
            ),
            pytest.param(
                lambda bench, notes, point: bench.remove(notes, [(point, (bench.number(1),))]),
                id="remove",
            ),
            pytest.param(
                lambda bench, notes, point: bench.backend.merging.replace_cells(
                    bench.table(notes),
                    ("id",),
                    ("folder",),
                    [Replaced(point, (bench.number(1),), (bench.text("a"),), (bench.text("s"),))],
                    step=STEP,
                ),
                id="replace_cells",
            ),
        ],
    )
    def test_that_does_not_take_a_change_prevents_it(self, bench, notes, change):
        before, point = bench.rows(notes), bench.point()
        bench.swallow("cleanup_snapshotrow", "INSERT")
        with suppress(CountMismatch), transaction.atomic(using=bench.alias):
            change(bench, notes, point)
        assert bench.rows(notes) == before

    def test_that_does_not_take_what_another_program_changed_is_noticed(self, bench, notes):
        rows = [Replaced(bench.point(), (bench.number(1),), (bench.text("s"),), (bench.text("a"),))]
        bench.swallow("cleanup_snapshotrow", "INSERT")
        with pytest.raises(CountMismatch):
            bench.backend.merging.journal_cells(bench.table(notes), ("id",), ("folder",), rows, step=STEP)


class TestInsertRows:
    def insert(self, bench, *rows: tuple[int, str, str], step: int | None) -> None:
        cells = [(point, (bench.text(hall), bench.text(seat), None)) for point, hall, seat in rows]
        with transaction.atomic(using=bench.alias):
            bench.backend.pin()
            bench.backend.merging.insert_rows(bench.table("seats"), ("hall", "seat", "note"), cells, step=step)

    @pytest.fixture(autouse=True)
    def seats(self, bench) -> None:
        bench.make(
            "CREATE TABLE seats (hall text NOT NULL, seat text NOT NULL, note text, PRIMARY KEY (hall, seat))",
        )

    def test_keeps_their_images_by_point(self, bench):
        one, two = bench.point(), bench.point()
        self.insert(bench, (one, "a", "1"), (two, "a", "2"), (two, "b", "1"), step=STEP)
        rows = SnapshotRow.objects.using(bench.alias).order_by("point", "kind").values_list("point", "kind", "images")
        a, b, first, second = map(bench.text, ("a", "b", "1", "2"))
        assert [(point, kind, sorted(json.loads(images))) for point, kind, images in rows] == [
            (one, "inserted", [[a, first, None]]),
            (two, "inserted", [[a, second, None], [b, first, None]]),
        ]

    def test_without_a_step_journals_nothing(self, bench):
        self.insert(bench, (bench.point(), "a", "1"), step=None)
        assert fetch(bench.alias, "SELECT * FROM seats") == [("a", "1", None)]
        assert not SnapshotRow.objects.using(bench.alias).exists()

    @pytest.mark.parametrize("step", [STEP, None])
    def test_that_a_trigger_swallows_are_refused(self, bench, step):
        bench.swallow("seats", "INSERT")
        with pytest.raises(CountMismatch):
            self.insert(bench, (bench.point(), "a", "1"), step=step)

    def test_are_journaled_though_another_program_inserts_them(self, bench):
        point = bench.point()
        execute(bench.alias, "INSERT INTO seats (hall, seat) VALUES ('a', '1'), ('a', '2'), ('b', '1')")
        self.journal(bench, point, "1", "2")
        ((count, images),) = SnapshotRow.objects.using(bench.alias).values_list("row_count", "images")
        assert (count, len(json.loads(images))) == (2, 2)

    def journal(self, bench, point: int, *seats: str) -> None:
        rows = keys(*((point, (bench.text("a"), bench.text(seat))) for seat in seats))
        with transaction.atomic(using=bench.alias):
            bench.backend.pin()
            bench.backend.merging.journal_inserted(bench.table("seats"), ("hall", "seat"), rows, step=STEP)

    def test_are_not_journaled_if_they_are_not_there(self, bench):
        execute(bench.alias, "INSERT INTO seats (hall, seat) VALUES ('a', '1')")
        with pytest.raises(CountMismatch):
            self.journal(bench, bench.point(), "1", "2")


class TestDropRows:
    def drop(self, bench, notes, *rows: int) -> None:
        given = keys(*((0, (bench.number(row),)) for row in rows))
        with transaction.atomic(using=bench.alias):
            bench.backend.pin()
            bench.backend.merging.drop_rows(bench.table(notes), ("id",), given)

    def test_journals_nothing(self, bench, notes):
        self.drop(bench, notes, 1, 3)
        assert fetch(bench.alias, "SELECT id FROM notes ORDER BY id") == [(2,), (4,), (5,)]
        assert not SnapshotRow.objects.using(bench.alias).exists()

    def test_of_a_row_that_is_not_there_is_refused(self, bench, notes):
        before = bench.rows(notes)
        with pytest.raises(CountMismatch):
            self.drop(bench, notes, 1, 99)
        assert bench.rows(notes) == before


class TestRemove:
    def test_rows_come_back_in_any_order_of_reference(self, bench, cards):
        before = bench.rows(cards)
        point = bench.removed(cards, 1, 2, 3, 4)
        assert bench.rows(cards) == []
        assert bench.conflicts(cards, points=[point]) == []
        assert [(c.point, c.table.name, c.rows) for c in bench.restore(cards, points=[point])] == [(point, "cards", 4)]
        assert bench.rows(cards) == before

    def test_counts_by_point(self, bench, cards):
        one, two = bench.point(), bench.point()
        removed = bench.remove(cards, [(one, (bench.number(3),)), (two, (bench.number(4),))])
        assert sorted((c.point, c.rows) for c in removed) == [(one, 1), (two, 1)]
        assert [c.point for c in bench.restore(cards, points=[two])] == [two]

    def test_a_row_that_is_not_there_is_refused(self, bench, cards):
        before = bench.rows(cards)
        with pytest.raises(CountMismatch):
            bench.remove(cards, [(bench.point(), (bench.number(4),)), (bench.point(), (bench.number(99),))])
        assert bench.rows(cards) == before

    def test_a_row_still_referenced_is_refused(self, bench, cards):
        before = bench.rows(cards)
        with pytest.raises(IntegrityError):
            bench.remove(cards, [(bench.point(), (bench.number(1),))])
        assert bench.rows(cards) == before

    def test_records_where_folders_went(self, bench, cards):
        point = bench.point()
        removed = ["3", "4"] if bench.postgresql else ["three", "four"]  # there a cell is what the product spells
        execute(bench.alias, "UPDATE cards SET code = %s WHERE id = 3", '%, "\\ and more')
        rows = [(point, (bench.number(3),)), (point, (bench.number(4),))]
        bench.remove(cards, rows, forwarding=Forwarding(removed, ["one", "two"], "code", 5))
        found = RemovedFolder.objects.using(bench.alias).values_list("folder_key", "survivor_key", "name", "point")
        assert sorted(found) == sorted([(removed[0], "one", '%, "\\', point), (removed[1], "two", "", point)])

    def test_more_than_a_thousand_rows(self, bench):
        bench.make("CREATE TABLE many (id $serial, body text)")
        execute(
            bench.alias,
            "INSERT INTO many (body) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2100)"
            " SELECT 'row' FROM n",
        )
        before = bench.rows("many")
        point = bench.removed("many", *range(1, 2101))
        assert sorted(SnapshotRow.objects.using(bench.alias).values_list("row_count", flat=True)) == [100, 1000, 1000]
        bench.restore("many", points=[point])
        assert bench.rows("many") == before

    def test_a_key_of_several_columns(self, bench):
        bench.make(
            "CREATE TABLE seats (hall text NOT NULL, number integer NOT NULL, PRIMARY KEY (hall, number))",
            "INSERT INTO seats VALUES ('a', 1), ('a', 2), ('b', 1)",
        )
        before = bench.rows("seats")
        point = bench.point()
        bench.remove("seats", [(point, (bench.text(hall), bench.number(1))) for hall in ("a", "b")])
        assert fetch(bench.alias, "SELECT hall, number FROM seats") == [("a", 2)]
        bench.restore("seats", points=[point])
        assert bench.rows("seats") == before

    def test_a_table_of_very_many_columns(self, bench):
        columns = ", ".join(f"c{number} text" for number in range(250))
        bench.make(
            f"CREATE TABLE wide (id $serial, {columns})",
            "INSERT INTO wide (c0, c98, c99, c100, c249) VALUES ('[', ']', ',', '\"]', '][')",
        )
        before = bench.rows("wide")
        point = bench.removed("wide", 1)
        bench.restore("wide", points=[point])
        assert bench.rows("wide") == before


class TestImageConflicts:
    """What stands in the way of a row's return."""

    def found(self, bench, name: str, point: int, **options) -> list[tuple]:
        conflicts = bench.conflicts(name, points=[point], **options)
        assert {(c.point, c.table.name) for c in conflicts} <= {(point, name)}
        return sorted((c.code, *map(bench.backend.cells.cell_text, c.key), c.column) for c in conflicts)

    def test_none_for_rows_whose_places_are_free(self, bench, cards):
        point = bench.removed(cards, 3, 4)
        assert self.found(bench, cards, point) == []

    def test_a_row_of_that_key(self, bench, cards):
        point = bench.removed(cards, 3, 4)
        execute(bench.alias, "INSERT INTO cards (id, folder) VALUES (3, 'new')")
        assert self.found(bench, cards, point) == [("row_exists", "3", "")]

    def test_not_the_same_row(self, bench, cards):
        before = bench.rows(cards)
        point = bench.removed(cards, 3, 4)
        execute(bench.alias, "INSERT INTO cards (id, folder, code, parent) VALUES (3, 'b', 'X', 2)")
        assert self.found(bench, cards, point) == []
        assert [c.rows for c in bench.restore(cards, points=[point])] == [1]
        assert bench.rows(cards) == before

    def test_a_row_it_points_at_is_gone(self, bench, cards):
        point = bench.removed(cards, 2, 3)
        execute(bench.alias, "DELETE FROM cards WHERE id = 4")
        execute(bench.alias, "DELETE FROM cards WHERE id = 1")
        assert self.found(bench, cards, point) == [("missing_target", "2", "parent")]

    def test_a_row_it_points_at_is_left_out_itself(self, bench, cards):
        point = bench.removed(cards, 2, 3)
        left_out = [(bench.number(2),)]
        assert self.found(bench, cards, point, left_out=left_out) == [("missing_target", "3", "parent")]

    def test_none_of_rows_that_are_left_out(self, bench, cards):
        point = bench.removed(cards, 3, 4)
        execute(bench.alias, "INSERT INTO cards (id, folder) VALUES (3, 'new')")
        left_out = [(bench.number(3),)]
        assert self.found(bench, cards, point, left_out=left_out) == []
        assert [c.rows for c in bench.restore(cards, points=[point], left_out=left_out)] == [1]
        assert fetch(bench.alias, "SELECT folder FROM cards WHERE id >= 3 ORDER BY id") == [("new",), ("b",)]

    def test_a_foreign_key_of_several_columns(self, bench):
        bench.make(
            "CREATE TABLE halls (house integer NOT NULL, name text NOT NULL, PRIMARY KEY (house, name))",
            "CREATE TABLE seats (id $serial, house integer, hall text, FOREIGN KEY (house, hall) REFERENCES halls)",
            "INSERT INTO halls VALUES (1, 'a'), (1, 'b')",
            "INSERT INTO seats (house, hall) VALUES (1, 'a'), (1, 'b'), (1, NULL)",
        )
        point = bench.removed("seats", 1, 2, 3)
        execute(bench.alias, "DELETE FROM halls WHERE name = 'a'")
        assert self.found(bench, "seats", point) == [("missing_target", "1", "house+hall")]

    def test_a_foreign_key_of_all_columns(self, bench):
        bench.make(
            "CREATE TABLE halls (house integer NOT NULL, name text NOT NULL, PRIMARY KEY (house, name))",
            "CREATE TABLE keys (house integer NOT NULL, hall text NOT NULL, PRIMARY KEY (house, hall),"
            " FOREIGN KEY (house, hall) REFERENCES halls)",
            "INSERT INTO halls VALUES (1, 'a'), (1, 'b')",
            "INSERT INTO keys VALUES (1, 'a'), (1, 'b')",
        )
        point = bench.point()
        bench.remove("keys", [(point, (bench.number(1), bench.text(hall))) for hall in "ab"])
        execute(bench.alias, "DELETE FROM halls WHERE name = 'a'")
        assert self.found(bench, "keys", point) == [("missing_target", "1", "a", "house+hall")]

    def test_a_row_it_points_at_is_none_that_comes_back_in_another_table(self, bench):
        bench.make(
            "CREATE TABLE places (id integer PRIMARY KEY)",
            "CREATE TABLE signs (id integer PRIMARY KEY, place integer REFERENCES places)",
            "INSERT INTO places VALUES (1)",
            "INSERT INTO signs VALUES (1, 1)",
        )
        point = bench.removed("signs", 1)
        execute(bench.alias, "DELETE FROM places")
        assert self.found(bench, "signs", point) == [("missing_target", "1", "place")]

    def test_a_key_of_several_columns_is_all_of_them(self, bench):
        bench.make(
            "CREATE TABLE links (slot integer NOT NULL, folder text NOT NULL, code text UNIQUE,"
            " PRIMARY KEY (slot, folder))",
            "INSERT INTO links VALUES (1, 'a', 'x'), (1, 'b', 'y'), (2, 'a', 'z')",
        )
        point = bench.point()
        bench.remove("links", [(point, (bench.number(1), bench.text("a")))])
        assert self.found(bench, "links", point) == []
        execute(bench.alias, "UPDATE links SET code = 'x' WHERE folder = 'b'")
        assert self.found(bench, "links", point) == [("unique_taken", "1", "a", "code")]
        execute(bench.alias, "UPDATE links SET code = 'y' WHERE folder = 'b'")
        assert [c.rows for c in bench.restore("links", points=[point])] == [1]
        assert fetch(bench.alias, "SELECT * FROM links ORDER BY slot, folder") == [
            (1, "a", "x"),
            (1, "b", "y"),
            (2, "a", "z"),
        ]

    def test_a_unique_place_that_the_database_computes_is_its_own_to_judge(self, bench):
        kind = "STORED" if bench.postgresql else "VIRTUAL"
        bench.make(
            "CREATE TABLE words (low text PRIMARY KEY)",
            "INSERT INTO words VALUES ('a'), ('low')",
            f"CREATE TABLE tags (id $serial, word text,"
            f" low text GENERATED ALWAYS AS (lower(word)) {kind} REFERENCES words)",
            "CREATE UNIQUE INDEX one ON tags (low)",
            # SQLite takes the name of a column that there is not to be a text.
            "INSERT INTO tags (word) VALUES ('A'), ('LOW')",
        )
        before, point = bench.rows("tags"), bench.removed("tags", 1)
        assert self.found(bench, "tags", point) == []
        bench.restore("tags", points=[point])
        assert bench.rows("tags") == before

    def test_a_row_that_a_trigger_swallows_is_refused(self, bench, cards):
        point = bench.removed(cards, 3, 4)
        bench.swallow(cards, "INSERT")
        with pytest.raises(CountMismatch) as caught:
            bench.restore(cards, points=[point])
        assert (caught.value.moved, caught.value.journaled) == (0, 2)

    @pytest.mark.parametrize(
        ("unique", "taker", "taken"),
        [
            pytest.param("(folder, code)", "('b', 'X')", True, id="plain"),
            pytest.param("(folder, code)", "('b', 'x')", False, id="plain_of_another_value"),
            pytest.param("(folder, lower(code))", "('b', 'x')", True, id="expression"),
            pytest.param("(folder, lower(code))", "('b', 'y')", False, id="expression_of_another_value"),
            pytest.param("(folder) WHERE code = 'X'", "('b', 'X')", True, id="partial"),
            pytest.param("(folder) WHERE code LIKE 'X%%'", "('b', 'Y')", False, id="partial_outside"),
            pytest.param("(code) WHERE code IS NOT NULL", "('z', 'X')", True, id="partial_not_null"),
            pytest.param("(folder, code)", "('b', NULL)", False, id="nulls_are_distinct"),
        ],
    )
    def test_a_unique_place_is_taken(self, bench, cards, unique, taker, taken):
        bench.make("UPDATE cards SET folder = 'c' WHERE id = 4", f"CREATE UNIQUE INDEX one ON cards {unique}")
        point = bench.removed(cards, 3)
        execute(bench.alias, f"INSERT INTO cards (id, folder, code) SELECT 9, v.* FROM (VALUES {taker}) AS v")
        codes = [(code, key) for code, key, _ in self.found(bench, cards, point)]
        assert codes == ([("unique_taken", "3")] if taken else [])

    @pytest.mark.only("postgresql", since=15)
    def test_a_unique_place_of_a_null(self, bench, cards):
        bench.make("CREATE UNIQUE INDEX one ON cards (folder, code) NULLS NOT DISTINCT")
        point = bench.removed(cards, 4)
        execute(bench.alias, "INSERT INTO cards (id, folder) VALUES (9, 'b')")
        assert self.found(bench, cards, point) == [("unique_taken", "4", "folder+code")]

    @pytest.mark.only("sqlite")
    def test_a_unique_place_by_a_collation(self, bench, cards):
        bench.make("CREATE UNIQUE INDEX one ON cards (folder, code COLLATE NOCASE)")
        point = bench.removed(cards, 3)
        execute(bench.alias, "INSERT INTO cards (id, folder, code) VALUES (9, 'b', 'x')")
        assert self.found(bench, cards, point) == [("unique_taken", "3", "folder+code")]

    @pytest.mark.only("sqlite")
    def test_unique_places_are_looked_up_by_their_index(self, bench, cards):
        # The second, for the foreign key's own look at the table when a row is inserted.
        bench.make("CREATE UNIQUE INDEX one ON cards (folder, code)", "CREATE INDEX two ON cards (parent)")
        point = bench.removed(cards, 3)
        plans = bench.plans(lambda: bench.conflicts(cards, points=[point]))
        assert [line for plan in plans for line in plan if line.startswith("SCAN cards")] == []


class TestCollidingRows:
    """Rows that would find their place in a unique key taken, if they moved."""

    @pytest.fixture
    def tags(self, bench) -> str:
        bench.make("CREATE TABLE tags (id $serial, folder text, tag text, note text)")
        return "tags"

    def fill(self, bench, *rows: tuple) -> None:
        for row in rows:
            execute(bench.alias, "INSERT INTO tags (folder, tag, note) VALUES (%s, %s, %s)", *row)

    def found(self, bench, unique: str) -> list[tuple]:
        bench.make(f"CREATE UNIQUE INDEX one ON tags {unique}")
        pairs = [bench.pair(0, "b", "s", 1), bench.pair(0, "c", "s", 2), bench.pair(1, "x", "y", 1)]
        target = bench.target("tags", "folder", *pairs)
        indexed = bench.collisions(target)
        assert bench.collisions(replace(target, table=replace(target.table, indexes=()))) == indexed
        return [(point, int(key), twin) for point, key, twin in indexed]

    def test_none_where_all_differ(self, bench, tags):
        self.fill(bench, ("s", "1", ""), ("b", "2", ""), ("c", "3", ""), ("x", "1", ""))
        assert self.found(bench, "(folder, tag)") == []

    def test_the_row_of_the_survivor_stays(self, bench, tags):
        self.fill(bench, ("b", "1", "n"), ("s", "1", "n"))
        assert self.found(bench, "(folder, tag)") == [(0, 1, True)]

    def test_else_that_of_the_earlier_folder(self, bench, tags):
        self.fill(bench, ("c", "1", "n"), ("b", "1", "other"))
        assert self.found(bench, "(folder, tag)") == [(0, 1, False)]

    def test_each_beyond_the_first(self, bench, tags):
        self.fill(bench, ("c", "1", "n"), ("b", "1", "n"), ("s", "1", "m"), ("x", "1", "n"), ("y", "1", "n"))
        assert self.found(bench, "(folder, tag)") == [(0, 1, False), (0, 2, False), (1, 4, True)]

    def test_one_row_for_a_folder(self, bench, tags):
        self.fill(bench, ("c", "1", "n"), ("b", "2", "n"))
        assert self.found(bench, "(folder)") == [(0, 1, False)]

    def test_nulls_are_distinct(self, bench, tags):
        self.fill(bench, ("b", None, "n"), ("s", None, "n"))
        assert self.found(bench, "(folder, tag)") == []

    @pytest.mark.only("postgresql", since=15)
    def test_unless_they_are_not(self, bench, tags):
        self.fill(bench, ("b", None, "n"), ("s", None, "n"))
        assert self.found(bench, "(folder, tag) NULLS NOT DISTINCT") == [(0, 1, True)]

    def test_partial(self, bench, tags):
        self.fill(bench, ("b", "1", "n"), ("s", "1", "n"), ("b", "2%", "n"), ("s", "2%", "n"))
        assert self.found(bench, "(folder, tag) WHERE tag LIKE '2%%'") == [(0, 3, True)]

    def test_partial_over_the_moving_column(self, bench, tags):
        self.fill(bench, ("b", "1", "n"), ("s", "1", "n"), ("x", "1", "n"), ("y", "1", "n"))
        assert self.found(bench, "(folder, tag) WHERE folder <> 's'") == [(1, 3, True)]

    def test_expression(self, bench, tags):
        self.fill(bench, ("b", "A", "n"), ("s", "a", "n"), ("c", "b", "n"))
        assert self.found(bench, "(folder, lower(tag))") == [(0, 1, False)]

    @pytest.mark.only("sqlite")
    def test_collation(self, bench, tags):
        self.fill(bench, ("b", "A", "n"), ("s", "a", "n"), ("c", "b", "n"))
        assert self.found(bench, "(folder, tag COLLATE NOCASE)") == [(0, 1, False)]

    def test_a_column_of_the_key(self, bench):
        bench.make(
            "CREATE TABLE shares (folder text NOT NULL, person integer NOT NULL, PRIMARY KEY (folder, person))",
            "INSERT INTO shares VALUES ('b', 1), ('c', 1), ('c', 2), ('s', 2)",
        )
        target = bench.target("shares", "folder", bench.pair(0, "b", "s", 1), bench.pair(0, "c", "s", 2))
        name = next(unique.name for unique in target.table.uniques if unique.primary)
        assert bench.collisions(target, name) == [(0, "c", "1", True), (0, "c", "2", True)]

    def test_within_the_condition(self, bench):
        bench.make(
            "CREATE TABLE marks (id $serial, kind integer, object text)",
            "CREATE UNIQUE INDEX one ON marks (kind, object)",
            "INSERT INTO marks (kind, object) VALUES (1, 'b'), (1, 's'), (2, 'b'), (2, 's'), (3, 'b')",
        )
        target = bench.target("marks", "object", bench.pair(0, "b", "s"), condition=Condition.of({"kind": [1, 3]}))
        assert bench.collisions(target) == [(0, "1", True)]


class TestCounts:
    def test_rows_of_several_targets(self, bench, notes, cards):
        targets = [
            bench.target(notes, "folder", bench.pair(0, "a", "s"), bench.pair(1, "b", "s")),
            bench.target(cards, "folder", bench.pair(1, "a", "s")),
            bench.target(cards, "parent", bench.pair(0, 99, 1)),
        ]
        counted = bench.backend.reading.count_rows(targets)
        found = sorted((c.point, c.table.name, c.rows) for c in counted)
        assert found == [(0, "notes", 2), (1, "cards", 2), (1, "notes", 1)]

    def test_nothing_asked(self, bench):
        assert bench.backend.reading.count_rows([]) == []

    def test_rows_that_reference_others(self, bench, cards):
        table, inbound = bench.table(cards), bench.foreign_keys(cards)
        rows = keys((7, (bench.number(1),)), (7, (bench.number(3),)))
        assert bench.backend.reading.rows_referencing(table, ("id",), rows, inbound) == {7: 2}
        assert bench.backend.reading.rows_referencing(table, ("id",), rows, inbound * 2) == {7: 4}
        assert bench.backend.reading.rows_referencing(table, ("id",), rows, []) == {}


class TestFolders:
    """The statements that know the folder tables."""

    def folders(self, bench, *applications: str, **options):
        tables = folder_tables()
        with transaction.atomic(using=bench.alias):
            bench.backend.pin()
            return dict(bench.backend.reading.read_folders(tables, applications, lock=True, **options))

    def test_are_read_as_planning_wants_them(self, bench):
        made = tree(bench.alias, "a:A/{b:B, c:C}")
        records = self.folders(bench, made.application)[made.application]
        rows = {r.key: (r.parent, r.name, r.age, r.live) for r in records}
        assert rows == {
            made["a"]: (None, "A", 1, True),
            made["b"]: (made["a"], "B", 2, True),
            made["c"]: (made["a"], "C", 3, True),
        }

    def test_come_by_application(self, bench):
        made = [tree(bench.alias, "A, B"), tree(bench.alias, "A"), tree(bench.alias, "")]
        found = self.folders(bench, *(each.application for each in made))
        assert {key: len(records) for key, records in found.items()} == {
            made[0].application: 2,
            made[1].application: 1,
        }

    def test_are_ranked_by_age_and_key(self, bench):
        made = tree(bench.alias, "none:N@-, same:A@3, second:A@3, older:A@1, last:N@-")
        records = self.folders(bench, made.application)[made.application]
        ages = {r.key: r.age for r in records}
        assert sorted(made.keys, key=lambda label: ages[made[label]]) == ["older", "same", "second", "none", "last"]

    @pytest.mark.only("postgresql")
    def test_are_ranked_whatever_the_time(self, bench):
        made = tree(bench.alias, "last:A@-, late:A, late_too:A, early:A, first:A")
        for label, time in (("late", "infinity"), ("early", "0044-03-15 BC"), ("first", "-infinity")):
            execute(bench.alias, "UPDATE folders SET created_at = %s::timestamptz WHERE id = %s", time, made[label])
        ages = {r.key: r.age for r in self.folders(bench, made.application)[made.application]}
        assert sorted(made.keys, key=lambda label: ages[made[label]]) == ["first", "early", "late_too", "late", "last"]

    @pytest.mark.only("sqlite")
    def test_names_that_are_no_text_are_names_of_their_own(self, bench):
        made = tree(bench.alias, "a:A, b:B, c:C")
        for label, name in (("a", "CAST(x'ff' AS TEXT)"), ("b", "x'ff'")):
            execute(bench.alias, f"UPDATE folders SET name = {name} WHERE id = %s", raw(bench.alias, made[label]))
        names = {r.name for r in self.folders(bench, made.application)[made.application]}
        assert len(names) == 3

    def test_further_columns_come_as_cells(self, bench):
        made = tree(bench.alias, "a:A")
        (record,) = self.folders(bench, made.application, columns=("name", "updated_at"))[made.application]
        assert record.cells == (bench.text("A"), None)

    def test_trashed_ones_are_told(self, bench, settings):
        settings.CLEANUP_FOLDER_LIVE = {"updated_at": None}
        made = tree(bench.alias, "a:A, b:B")
        key = raw(bench.alias, made["b"])
        execute(bench.alias, "UPDATE folders SET updated_at = '2024-01-01' WHERE id = %s", key)
        records = self.folders(bench, made.application)[made.application]
        assert {r.key: r.live for r in records} == {made["a"]: True, made["b"]: False}

    def test_applications_that_exist(self, bench):
        made = tree(bench.alias, "A")
        asked = [made.application, str(new_key())]
        with transaction.atomic(using=bench.alias):
            assert bench.backend.reading.lock_applications(folder_tables(), asked) == {made.application}

    def test_are_counted(self, bench):
        one, two = tree(bench.alias, "A/B, C"), tree(bench.alias, "")
        counts = bench.backend.reading.count_folders(
            folder_tables(), [one.application, two.application, str(new_key())]
        )
        assert counts == {one.application: 3, two.application: 0}

    def test_know_the_applications_of_their_files(self, bench):
        one, two = tree(bench.alias, "a:A(2), b:B(1)"), tree(bench.alias, "")
        execute(
            bench.alias,
            "UPDATE files SET application_id = %s WHERE folder_id = %s",
            raw(bench.alias, two.application),
            raw(bench.alias, one["a"]),
        )
        tables = folder_tables()
        pairs = [self.change(bench, 5, one["a"], one["b"])]
        target = bench.target("files", "folder_id", *pairs)
        owners = list(bench.backend.reading.owners([(target, "application_id")] * 2, tables.application_key))
        assert owners == [(target.table.name, 5, two.application, 2)] * 2

    def change(self, bench, point: int, old: str, new: str) -> ValueChange:
        key = folder_tables().folder_key
        return ValueChange(
            point, (bench.backend.cells.key_cell(key, old),), (bench.backend.cells.key_cell(key, new),), 1
        )

    def nested(self, bench, point: int, *folders: tuple[str, str]) -> list[RowCount]:
        key, table = folder_tables().folder_key, bench.table("folders")
        cell = bench.backend.cells.key_cell
        rows = [(point, cell(key, folder), None, cell(key, parent)) for folder, parent in folders]
        with transaction.atomic(using=bench.alias):
            bench.backend.pin()
            return bench.backend.merging.nest(table, "id", "parent_id", rows, step=STEP)

    def test_roots_are_nested_and_return(self, bench):
        made = tree(bench.alias, "a:A, b:B/C, d:D")
        before, point = bench.rows("folders"), bench.point()
        counted = self.nested(bench, point, (made["b"], made["a"]), (made["d"], made["a"]))
        assert [(c.point, c.rows) for c in counted] == [(point, 2)]
        assert_tree(bench.alias, made, "a:A/{b:B/C, d:D}")
        done = bench.undo(bench.target("folders", "parent_id"), points=[point])
        assert [c.rows for c in done.restored] == [2]
        assert bench.rows("folders") == before

    def test_what_is_no_root_is_not_nested(self, bench):
        made = tree(bench.alias, "a:A/b:B, c:C")
        with pytest.raises(CountMismatch):
            self.nested(bench, bench.point(), (made["b"], made["c"]))
        assert_tree(bench.alias, made, "a:A/b:B, c:C")

    def test_keys_go_there_and_back(self, bench):
        key, given = folder_tables().folder_key, str(new_key())
        assert bench.backend.cells.cell_text(bench.backend.cells.key_cell(key, given)) == raw(bench.alias, given)


def belonging(bench: Workbench, application: str) -> Query:
    """Return the condition of an application's folder."""
    return bench.backend.folders(folder_tables()).folder_belongs("t", application)


class TestStructure:
    """What a point taken by hand has seen."""

    @pytest.fixture
    def taken(self, bench):
        made = tree(bench.alias, "a:A/{b:B, c:C}")
        tree(bench.alias, "Other")
        structure = StructureTable(bench.table("folders"), belonging(bench, made.application))
        point = bench.point()
        with transaction.atomic(using=bench.alias):
            bench.backend.pin()
            count = bench.backend.merging.take_structure(structure, point=point, step=0)
        assert count == 3
        return made, structure, point

    def differences(self, bench, taken, limit: int = 10) -> list[tuple[str, str]]:
        made, structure, point = taken
        with transaction.atomic(using=bench.alias):
            bench.backend.pin()
            rows = bench.backend.undoing.structure_differences(
                structure,
                Images(structure.table, bench.stored_columns(structure.table), ("id",), points=[point], step=None),
                limit=limit,
            )
        labels = {raw(bench.alias, key): label for label, key in made.keys.items()}
        assert {(c.point, c.table.name) for c in rows} <= {(point, "folders")}
        return sorted((c.code, labels.get(bench.backend.cells.cell_text(c.key[0]), "new")) for c in rows)

    def test_nothing_differs_at_first(self, bench, taken):
        assert self.differences(bench, taken) == []

    def test_each_difference_is_named(self, bench, taken):
        made, _, _ = taken
        execute(bench.alias, "UPDATE folders SET name = 'b' WHERE id = %s", raw(bench.alias, made["b"]))
        execute(bench.alias, "DELETE FROM folders WHERE id = %s", raw(bench.alias, made["c"]))
        tree(bench.alias, "New", application=made.application)
        assert self.differences(bench, taken) == [("changed", "b"), ("extra", "new"), ("row_missing", "c")]

    def test_a_difference_is_named_whichever_column_it_is_in(self, bench):
        bench.make(
            "CREATE TABLE sheets (title text, slot integer, side integer, owner $uuid, PRIMARY KEY (slot, side))"
        )
        owner = str(new_key())
        for side in (1, 2):
            row = (side, raw(bench.alias, owner))
            execute(bench.alias, "INSERT INTO sheets (title, slot, side, owner) VALUES ('a', 1, %s, %s)", *row)
        belongs = bench.backend.folders(folder_tables()).within(Scope(keys=(owner,)), 't."owner"')
        structure, point = StructureTable(bench.table("sheets"), belongs), bench.point()
        with transaction.atomic(using=bench.alias):
            bench.backend.pin()
            bench.backend.merging.take_structure(structure, point=point, step=0)
            execute(bench.alias, "UPDATE sheets SET title = 'b' WHERE side = 2")
            rows = bench.backend.undoing.structure_differences(
                structure,
                Images(
                    structure.table, ["title", "slot", "side", "owner"], ("slot", "side"), points=[point], step=None
                ),
                limit=10,
            )
        assert [(row.code, row.key) for row in rows] == [("changed", (bench.number(1), bench.number(2)))]

    def test_no_more_than_asked_for(self, bench, taken):
        execute(bench.alias, "UPDATE folders SET name = 'changed'")
        assert len(self.differences(bench, taken, limit=2)) == 2

    def test_an_application_without_rows_stores_nothing(self, bench):
        structure = StructureTable(bench.table("folders"), belonging(bench, str(new_key())))
        taken = bench.backend.merging.take_structure(structure, point=bench.point(), step=0)
        assert (taken, SnapshotRow.objects.using(bench.alias).count()) == (0, 0)


@pytest.mark.only("postgresql")
class TestLateWaits:
    """A wait that begins late in a transaction is short, whichever statement it begins in."""

    @pytest.mark.parametrize(
        "action",
        [
            pytest.param(
                lambda bench, *_: list(bench.backend.reading.read_parents(folder_tables(), [], lock=True)),
                id="read_parents",
            ),
            pytest.param(lambda bench, *_: bench.backend.reading.lock_folders(folder_tables(), []), id="lock_folders"),
            pytest.param(
                lambda bench, *_: list(bench.backend.reading.read_folders(folder_tables(), [], lock=True)),
                id="read_folders",
            ),
            pytest.param(lambda bench, target, _: bench.backend.merging.move([target], step=STEP + 1), id="move"),
            pytest.param(
                lambda bench, target, _: bench.backend.merging.nest(target.table, "id", "folder", [], step=STEP),
                id="nest",
            ),
            pytest.param(
                lambda bench, target, _: bench.backend.merging.set_cells(target.table, ("id",), ("folder",), []),
                id="set_cells",
            ),
            pytest.param(
                lambda bench, target, _: bench.backend.merging.insert_rows(target.table, ("folder",), [], step=None),
                id="insert_rows",
            ),
            pytest.param(
                lambda bench, target, point: bench.backend.merging.drop_rows(
                    target.table, ("id",), keys((point, ("1",)))
                ),
                id="drop_rows",
            ),
            pytest.param(
                lambda bench, target, point: bench.backend.merging.remove(
                    target.table, ("id",), keys((point, ("1",))), step=STEP
                ),
                id="remove",
            ),
            pytest.param(
                lambda bench, target, point: bench.backend.undoing.restore_moved(
                    [UndoTarget(target.table, target.columns, target.key)], points=[point], step=STEP
                ),
                id="restore_moved",
            ),
            pytest.param(
                lambda bench, target, point: bench.backend.undoing.restore_images(
                    Images(target.table, ["id", "folder"], ("id",), points=[point], step=STEP), foreign_keys=()
                ),
                id="restore_images",
            ),
            pytest.param(
                lambda bench, *_: bench.backend.reading.lock_applications(folder_tables(), []), id="applications"
            ),
            pytest.param(lambda bench, *_: bench.backend.check_deferred_constraints(), id="constraints"),
            pytest.param(
                lambda bench, *_: backends.database(using=bench.alias).limit_lock_wait(), id="of_another_backend"
            ),
        ],
    )
    def test_are_short(self, bench, settings, action):
        self.assert_short(bench, settings, action, first="applications")

    def test_are_short_after_a_lock_of_rows(self, bench, settings):
        def action(bench, *_):
            bench.backend.reading.lock_applications(folder_tables(), [])

        self.assert_short(bench, settings, action, first="rows")

    def assert_short(self, bench, settings, action, *, first):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 200
        bench.make("CREATE TABLE filed (id $serial, folder text)")
        execute(bench.alias, "INSERT INTO filed (folder) VALUES ('a'), ('a'), ('a')")
        point = bench.point()
        target = bench.target("filed", "folder", bench.pair(point, "a", "s"))
        bench.move(target)
        bench.remove("filed", [(point, (bench.number(3),))])
        with transaction.atomic(using=bench.alias):
            bench.backend.pin()
            if first == "applications":
                bench.backend.reading.lock_applications(folder_tables(), [])
            else:
                bench.backend.merging.move([target], step=STEP + 2)
            assert fetch(bench.alias, "SHOW lock_timeout") == [("200ms",)]
            sleep(0.3)
            action(bench, target, point)
            assert fetch(bench.alias, "SHOW lock_timeout") == [("50ms",)]


class TestOwnTables:
    def test_many_rows_are_updated_at_once(self, bench):
        points = [bench.point() for _ in range(3)]
        columns = [("reason", "text"), ("exact", "bool"), ("created_by", "varchar(255)")]
        rows = [[points[0], "one", True, "me"], [points[2], "three %s", None, ""]]
        bench.backend.update_many("cleanup_rollbackpoint", "id", columns, rows, now="ended_at")
        found = RollbackPoint.objects.using(bench.alias).order_by("id")
        assert list(found.values_list("reason", "exact", "created_by")) == [
            ("one", True, "me"),
            ("", None, ""),
            ("three %s", None, ""),
        ]
        ended = list(found.values_list("ended_at", flat=True))
        assert ended[1] is None
        assert all(abs((timezone.now() - at).total_seconds()) < 60 for at in (ended[0], ended[2]))

    def test_the_identity_is_that_of_the_database(self, bench):
        identity = bench.backend.identity()
        assert identity == backends.database(using=bench.alias).identity()
        assert len(identity) <= 255
        assert identity.startswith(f"{connections[bench.alias].vendor}:")

    def test_a_new_connection_knows_the_functions(self, bench, notes):
        backend = bench.backend
        connections[bench.alias].close()
        target = bench.target(notes, "folder", bench.pair(0, "a", "s"))
        assert [c.rows for c in backend.reading.count_rows([target])] == [2]
