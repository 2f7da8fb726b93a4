"""SQLite: rows are journaled by one statement and changed by the next; cells are storage class and value.

Note [Storage classes]. A cell is ``i:`` and decimal digits, ``r:`` and a hexadecimal float, ``t:`` and the text, ``x:``
and the bytes of a text that is no valid text or holds NUL, ``b:`` and the bytes of a blob; NULL is None. Two
functions that are registered on each connection encode and decode; JSON's own numbers and texts lose digits and NULs.

Note [Affinity]. A column may convert what is written to it (42 becomes '42'). Old values are journaled as they were
found, so that they come back exactly; a new value is recognised in the form it was given in and in the converted one.
"""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from cleanup.backends.base import (
    NO_NAME,
    NOTHING_INSTEAD,
    ROWS_PER_SNAPSHOT_ROW,
    Backend,
    Cell,
    Counted,
    Forwarding,
    ImageLink,
    Instead,
    Keys,
    Part,
    Replaced,
    Restoration,
    RowConflict,
    StructureTable,
    Target,
    UndoTarget,
)
from cleanup.backends.catalogue import ForeignKey, Table, TableName, UniqueKey
from cleanup.backends.conditions import Statement
from cleanup.backends.sqlite_catalogue import affinity
from cleanup.exceptions import CountMismatch, DatabaseUnusable, UnkeyedRows
from cleanup.folder_tables import FolderTables, KeyColumn
from cleanup.planning import FolderRow

#: UPDATE ... FROM of 3.33, RETURNING and MATERIALIZED of 3.35.
_OLDEST = (3, 35)

#: json_array takes this many arguments at least, however SQLite was built.
_ARGUMENTS = 100

_COLLATION = re.compile(r"""\sCOLLATE\s+("[^"]+"|\w+)\s*$""", re.IGNORECASE)

#: The connection, by its wrapper, that the functions were last registered on.
_prepared: "WeakKeyDictionary[BaseDatabaseWrapper, Any]" = WeakKeyDictionary()


class SqliteBackend(Backend):
    """SQLite 3.35 and newer."""

    encoding: ClassVar[str] = "sqlite-class"

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise DatabaseUnusable(
                problem=f"SQLite {sqlite3.sqlite_version} is too old.", remedy="Use a Python with SQLite 3.35 or newer."
            )
        super().__init__(connection)

    def fetch(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self._prepare()
        return super().fetch(sql, params)

    def fetch_in_pieces(self, sql: str, params: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        self._prepare()
        return super().fetch_in_pieces(sql, params)

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        # The driver counts the rows of statements that begin with UPDATE or DELETE, not of those that begin with WITH.
        self._prepare()
        return super().execute(sql, params)

    def _prepare(self) -> None:
        self.connection.ensure_connection()
        raw = self.connection.connection
        if _prepared.get(self.connection) is raw:
            return
        ((encoding,),) = raw.execute("PRAGMA encoding").fetchall()
        encode, decode = _codec(encoding)
        raw.create_function("cleanup_encode", 2, encode, deterministic=True)
        raw.create_function("cleanup_decode", 1, decode, deterministic=True)
        raw.create_function("cleanup_name", 2, _searched_name, deterministic=True)
        _prepared[self.connection] = raw

    def relation(self, name: TableName) -> str:
        """Quote a table's name with its schema, or a table that is named like one of our CTEs would be hidden by it."""
        return f'"main".{self.quote(name.name)}'

    # Transactions.

    def begin(self) -> None:
        pass

    def pin(self, *, session_name: str = "", writing: bool = True, durable: bool = True) -> None:
        # There is one writer, and nothing to set: in an immediate transaction the lock is held already, else the
        # caller's first write takes it.
        self._prepare()

    def limit_wait(self) -> None:
        """Nothing: there is one writer at a time."""

    def catalogue_digest(self, tables: Collection[TableName]) -> str:
        # Changed by every change of the schema, and read in the snapshot that the transaction has. If another one is
        # committed after it, this transaction cannot write.
        ((version,),) = self.fetch('PRAGMA "main".schema_version')
        return str(version)

    def hold_catalogue(self, tables: Collection[TableName], *, written: Sequence[Table]) -> str:
        return self.catalogue_digest(tables)

    def commit_lazily(self) -> None:
        pass  # PRAGMA synchronous is the connection's, and cannot change within a transaction

    def serialize(self, tables: FolderTables, application: str) -> None:
        # There is one writer, and this changes nothing but to become it, now: after a look it would be too late.
        self.execute("UPDATE cleanup_structurelock SET taken_at = taken_at WHERE application_key = %s", [application])

    def force_constraints(self) -> None:
        # Foreign keys that were not checked by their statement are checked by COMMIT; asked for earlier, SQLite would
        # read whole tables.
        pass

    def identity(self) -> str:
        ((file,),) = self.fetch("SELECT file FROM pragma_database_list WHERE name = 'main'")
        if not file:
            return f"sqlite:{self.connection.settings_dict['NAME']}"
        path = Path(file).resolve()
        return f"sqlite:{path}:{path.stat().st_ino}"

    # Cells.

    def key_cell(self, key: KeyColumn, value: str) -> str:
        if key.is_uuid:
            return "t:" + value.replace("-", "").lower()
        raw = key.raw(value, connection=self.connection)
        return f"i:{raw}" if isinstance(key.field, models.IntegerField) else self.text_cell(raw)

    def text_cell(self, text: str) -> str:
        return "x:" + text.encode().hex() if "\x00" in text else "t:" + text

    def number_cell(self, number: int) -> str:
        return f"i:{number}"

    def cell_text(self, cell: Cell) -> str:
        if cell is None:
            return "NULL"
        return str(float.fromhex(cell[2:])) if cell.startswith("r:") else cell[2:]

    # Own tables.

    def clock(self) -> str:
        # As Django's Now() does.
        return "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"

    # Reading.

    def lock_applications(self, tables: FolderTables, keys: Sequence[str]) -> set[str]:
        key = self.quote(tables.application_key.column)
        rows = self.fetch(
            f"SELECT {key} FROM {self.model_table(tables.application_table)} WHERE {key} IN {_LISTED}",
            [self._key_list(tables.application_key, keys)],
        )
        return {self._spelling(tables.application_key, value) for (value,) in rows}

    def count_folders(self, tables: FolderTables, keys: Sequence[str]) -> dict[str, int]:
        key = self.quote(tables.application_key.column)
        rows = self.fetch(
            f"SELECT a.{key}, count(f.{self.quote(tables.folder_key.column)})"
            f" FROM {self.model_table(tables.application_table)} AS a"
            f" LEFT JOIN {self.model_table(tables.folder_table)} AS f"
            f" ON f.{self.quote(tables.folder_application)} = a.{key} WHERE a.{key} IN {_LISTED} GROUP BY a.{key}",
            [self._key_list(tables.application_key, keys)],
        )
        return {self._spelling(tables.application_key, value): count for value, count in rows}

    def read_parents(
        self, tables: FolderTables, keys: Sequence[str], *, lock: bool
    ) -> Iterator[tuple[str, str, str | None]]:
        key, parent, application = (
            self.quote(column) for column in (tables.folder_key.column, tables.folder_parent, tables.folder_application)
        )
        of_application, of_folder = tables.application_key, tables.folder_key
        for owner, folder, above in self.fetch_in_pieces(
            f"SELECT {application}, {key}, {parent} FROM {self.model_table(tables.folder_table)}"
            f" WHERE {application} IN {_LISTED}",
            [self._key_list(of_application, keys)],
        ):
            parent_key = None if above is None else self._spelling(of_folder, above)
            yield self._spelling(of_application, owner), self._spelling(of_folder, folder), parent_key

    def read_folders(
        self,
        tables: FolderTables,
        keys: Sequence[str],
        *,
        lock: bool,
        columns: Sequence[str] = (),
        near: Sequence[str] | None = None,
    ) -> dict[str, list[FolderRow]]:
        key, parent, application, name, created = (
            self.quote(column)
            for column in (
                tables.folder_key.column,
                tables.folder_parent,
                tables.folder_application,
                tables.folder_name,
                tables.folder_created,
            )
        )
        live, live_params = self.live_condition(tables, prefix="")
        extra = "".join(f", {_encoded(self.quote(column))}" for column in columns)
        within, nearby = f"{application} IN {_LISTED}", ""
        listed, around = self._key_list(tables.application_key, keys), self._key_list(tables.folder_key, near or ())
        if near is not None:
            nearby = (
                f" AND ({parent} IS NULL OR {key} IN {_LISTED} OR {parent} IN {_LISTED} OR {parent} IN"
                f" (SELECT {key} FROM {self.model_table(tables.folder_table)} WHERE {within} AND {parent} IS NULL))"
            )
        rows = self.fetch_in_pieces(
            f"SELECT {application}, {key}, {parent}, {_encoded(name)},"
            f" row_number() OVER (ORDER BY {created} IS NULL, {created} COLLATE BINARY, {key} COLLATE BINARY),"
            f" {live}{extra} FROM {self.model_table(tables.folder_table)} WHERE {within}{nearby}",
            [*live_params, *([listed] if near is None else [listed, around, around, listed])],
        )
        folders: dict[str, list[FolderRow]] = {}
        of_application, of_folder = tables.application_key, tables.folder_key
        for application_key, folder_key, parent_key, folder_name, age, is_live, *cells in rows:
            row = FolderRow(
                self._spelling(of_folder, folder_key),
                None if parent_key is None else self._spelling(of_folder, parent_key),
                _name(folder_name),
                age,
                bool(is_live),
                tuple(cells),
            )
            folders.setdefault(self._spelling(of_application, application_key), []).append(row)
        return folders

    def _spelling(self, key: KeyColumn, value: Any) -> str:
        text = str(value)
        if key.is_uuid and len(text) == 32:
            text = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".lower()
        return text

    def _key_list(self, key: KeyColumn, keys: Iterable[str]) -> str:
        return _json([self.key_cell(key, value) for value in keys])

    def _count_rows(self, target: Target) -> Statement:
        matches, match_params = self._matches(target)
        sql = f"WITH {self._pairs(target)} SELECT m.point, count(*) FROM {matches} GROUP BY m.point"
        return sql, [self._pair_list(target), *match_params]

    def _count_repeated(self, targets: Sequence[Target]) -> Statement:
        parts: list[str] = []
        params: list[Any] = []
        for target in targets:
            matches, match_params = self._matches(target)
            row = _json_array([_encoded(f"t.{self.quote(column)}") for column in target.key])
            parts.append(
                f"SELECT * FROM (WITH {self._pairs(target)} SELECT m.point AS point, {row} AS row FROM {matches})"
            )
            params += [self._pair_list(target), *match_params]
        sql = f"""
            SELECT point, count(*) - count(DISTINCT row)
              FROM ({" UNION ALL ".join(parts)}) AS matched
             GROUP BY point HAVING count(*) > count(DISTINCT row)
            """
        return sql, params

    def count_journaled(
        self, table: Table, label: str, key: tuple[str, ...], *, points: Sequence[int]
    ) -> list[Counted]:
        first, *others = [f"json_extract(c.value, '$.keys[{place}]')" for place in range(len(key))]
        cells = ["k.value", *(f"json_extract({keys}, '$[' || k.key || ']')" for keys in others)]
        rows = self.fetch(
            f"""
            SELECT s.point_id, count(DISTINCT {_json_array(cells)})
              FROM cleanup_snapshotrow AS s, json_each(s.changes) AS c, json_each({first}) AS k
             WHERE s.kind = 'moved' AND s."table" = %s AND s.point_id IN (SELECT value FROM json_each(%s))
             GROUP BY s.point_id
            """,
            [label, _json(points)],
        )
        return [Counted(point, table.name, count) for point, count in rows]

    def matching(self, target: Target) -> tuple[str, str, list[Any]]:
        """Return the pairs ``m`` of a target as a CTE, their join with its rows ``t``, and the parameters of both."""
        matches, params = self._matches(target)
        return self._pairs(target), matches, [self._pair_list(target), *params]

    def listed(self, rows: Sequence[Sequence[str]], columns: Sequence[tuple[str, str]]) -> Statement:
        names = [f"json_extract(value, '$[{place}]') AS {self.quote(name)}" for place, (name, _) in enumerate(columns)]
        return f"SELECT {', '.join(names)} FROM json_each(%s)", [_json([list(row) for row in rows])]

    def rows_referencing(
        self, table: Table, key: tuple[str, ...], rows: Keys, inbound: Sequence[ForeignKey]
    ) -> dict[int, int]:
        selects = []
        for foreign_key in inbound:
            joined = " AND ".join(
                f"r.{self.quote(own)} = t.{self.quote(other)}"
                for own, other in zip(foreign_key.columns, foreign_key.target_columns, strict=True)
            )
            selects.append(
                f"SELECT m.point FROM m CROSS JOIN {self.relation(table.name)} AS t"
                f" ON {self._same_key(key, 't', 'm')} JOIN {self.relation(foreign_key.table)} AS r ON {joined}"
            )
        if not selects:
            return {}
        return dict(
            self.fetch(
                f"WITH m AS MATERIALIZED ({self._key_rows(table, key)})"
                f" SELECT point, count(*) FROM ({' UNION ALL '.join(selects)}) GROUP BY point",
                [_json(list(zip(rows.points, *rows.columns, strict=True)))],
            )
        )

    def _owners(self, target: Target, column: str) -> Statement:
        matches, match_params = self._matches(target)
        application = f"t.{self.quote(column)}"
        sql = (
            f"WITH {self._pairs(target)} SELECT m.point, {application}, count(*)"
            f" FROM {matches} WHERE {application} IS NOT NULL GROUP BY m.point, {application}"
        )
        return sql, [self._pair_list(target), *match_params]

    # Writing, journaled.

    def move(self, targets: Sequence[Target], *, step: int) -> list[Counted]:
        for target in targets:
            self._refuse_null_keys(target)
        # All is journaled before anything changes: the key of one target may hold the columns of another.
        counts = [self._journal_moves(target, step) for target in targets]
        if len(targets) > 1:
            self._defer_foreign_keys()
        for number in self._referencing_first([target.table for target in targets]):
            target, journaled = targets[number], counts[number].total()
            moved = self._update(target) if journaled else 0
            if moved != journaled:
                raise CountMismatch(table=str(target.table.name), moved=moved, journaled=journaled)
        return [
            Counted(point, target.table.name, rows)
            for target, counted in zip(targets, counts, strict=True)
            for point, rows in counted.items()
        ]

    def _refuse_null_keys(self, target: Target) -> None:
        """Refuse rows without a key: a primary key that is not the rowid may hold nulls here."""
        nullable = [column for column in target.key if not target.table.column(column).not_null]
        if not nullable:
            return
        matches, params = self._matches(target)
        is_null = " OR ".join(f"t.{self.quote(column)} IS NULL" for column in nullable)
        ((count,),) = self.fetch(
            f"WITH {self._pairs(target)} SELECT count(*) FROM {matches} WHERE {is_null}",
            [self._pair_list(target), *params],
        )
        if count:
            raise UnkeyedRows(count=count, table=str(target.table.name))

    def _journal_moves(self, target: Target, step: int) -> Counter[int]:
        matches, match_params = self._matches(target)
        width = range(len(target.columns))
        # The value that is there, not the one that was looked for: they may differ in their storage class.
        olds = ", ".join(
            f"{_encoded(f't.{self.quote(column)}')} AS o{place}" for place, column in enumerate(target.columns)
        )
        news = ", ".join(f"m.n{place} AS n{place}" for place in width)
        keys = ", ".join(
            f"{_encoded(f't.{self.quote(column)}')} AS k{place}" for place, column in enumerate(target.key)
        )
        change = ", ".join(["point", *(f"o{place}" for place in width), *(f"n{place}" for place in width)])
        first, second = ([f"{cell}{place}" for place in width] for cell in ("o", "n"))
        lists = ", ".join(f"json_group_array(k{place}) AS k{place}" for place in range(len(target.key)))
        key_lists = _json_array([f"json(k{place})" for place in range(len(target.key))])
        # The row as a trigger leaves it is not read back: what is before is what counts for looking things up.
        image, images = "", "NULL"
        if target.images:
            image = f", {self._image(target.table)} AS image"
            lists += ", json_group_array(json_array(json(image), NULL)) AS images"
            images = "json_group_array(json(images))"
        # Twice aggregated: the rows of one change, then the changes of one point.
        return self._journal(
            f"changes, images) WITH {self._pairs(target)}, moved AS MATERIALIZED ("
            f"SELECT m.point AS point, {olds}, {news}, {keys}{image} FROM {matches})"
            f" SELECT point, 'moved', %s, %s, sum(row_count), json_group_array(json_object("
            f"'from', {_json_array(first)}, 'to', {_json_array(second)}, 'keys', {key_lists})), {images}"
            f" FROM (SELECT {change}, chunk, count(*) AS row_count, {lists} FROM (SELECT *,"
            f" (row_number() OVER (PARTITION BY point ORDER BY {change}) - 1) / {ROWS_PER_SNAPSHOT_ROW} AS chunk"
            f" FROM moved) GROUP BY {change}, chunk) GROUP BY point, chunk",
            [self._pair_list(target), *match_params, step, str(target.table.name)],
        )

    def _journal(self, rest: str, params: Sequence[Any]) -> Counter[int]:
        """Insert snapshot rows, selected from the sixth column on, and return the rows they speak of by point."""
        counts: Counter[int] = Counter()
        for point, rows in self.fetch(
            f'INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, {rest}'
            f" RETURNING point_id, row_count",
            params,
        ):
            counts[point] += rows
        return counts

    def _update(self, target: Target) -> int:
        relation = self.relation(target.table.name)
        assignments = ", ".join(f"{self.quote(column)} = m.v{place}" for place, column in enumerate(target.columns))
        news = ", ".join(f"{_decoded(f'm.n{place}')} AS v{place}" for place in range(len(target.columns)))
        condition, params = self._condition(target)
        if self._is_indexed(target):
            source = f"(WITH {self._pairs(target)} SELECT m.*, {news} FROM m) AS m"
            return self.execute(
                f"UPDATE {relation} AS t SET {assignments} FROM {source} WHERE {condition}",
                [self._pair_list(target), *params],
            )
        # UPDATE ... FROM lets no one say which table is read first. Without an index that must be the target, or the
        # whole table is read for every pair; so the rows are found beforehand.
        matches, params = self._matches(target)
        keys = ", ".join(f"t.{self.quote(column)} AS d{place}" for place, column in enumerate(target.key))
        source = f"(WITH {self._pairs(target)} SELECT {keys}, {news} FROM {matches}) AS m"
        return self.execute(
            f"UPDATE {relation} AS t SET {assignments} FROM {source} WHERE {self._same_key(target.key, 't', 'm')}",
            [self._pair_list(target), *params],
        )

    def _defer_foreign_keys(self) -> None:
        # Ends with the transaction. Switched off sooner, SQLite would forget the violations that it still has to check.
        self.execute("PRAGMA defer_foreign_keys = ON")

    def _referencing_first(self, tables: Sequence[Table]) -> list[int]:
        """Order tables so that ON UPDATE CASCADE finds nothing left to do and the counts stay true."""
        if len(tables) == 1:
            return [0]
        by_name = {table.name.name.lower(): number for number, table in enumerate(tables)}
        references = {
            number: {
                by_name[name.lower()]
                for (name,) in self.fetch('SELECT "table" FROM pragma_foreign_key_list(%s)', [table.name.name])
                if by_name.get(name.lower(), number) != number
            }
            for number, table in enumerate(tables)
        }
        ordered: list[int] = []
        while references:
            referenced = set().union(*references.values())
            chosen = next((number for number in references if number not in referenced), min(references))
            ordered.append(chosen)
            del references[chosen]
        return ordered

    def replace_cells(
        self, table: Table, key: tuple[str, ...], column: str, rows: Sequence[Replaced], *, step: int
    ) -> list[Counted]:
        names = ["point", "old", "new", *(f"k{place}" for place in range(len(key)))]
        cells = ", ".join(f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(names))
        values = ", ".join(
            [f"{_decoded('q.new')} AS v0", *(f"{_decoded(f'q.k{place}')} AS d{place}" for place in range(len(key)))]
        )
        source = f"(WITH q AS MATERIALIZED (SELECT {cells} FROM json_each(%s)) SELECT q.*, {values} FROM q) AS m"
        relation, now = self.relation(table.name), _encoded(f"t.{self.quote(column)}")
        condition = f"{self._same_key(key, 't', 'm')} AND {now} IS m.old"
        keys = ", ".join(f"{_encoded(f't.{self.quote(name)}')} AS c{place}" for place, name in enumerate(key))
        lists = ", ".join(f"json_group_array(c{place}) AS c{place}" for place in range(len(key)))
        listed = _json([[row.point, row.old, row.new, *row.key] for row in rows])
        counts = self._journal(
            f"changes) SELECT point, 'moved', %s, %s, sum(row_count), json_group_array(json_object("
            f"'from', json_array(old), 'to', json_array(new),"
            f" 'keys', {_json_array([f'json(c{place})' for place in range(len(key))])}))"
            f" FROM (SELECT point, chunk, old, new, count(*) AS row_count, {lists} FROM (SELECT m.point AS point,"
            f" m.old AS old, m.new AS new, {keys},"
            f" (row_number() OVER (PARTITION BY m.point) - 1) / {ROWS_PER_SNAPSHOT_ROW} AS chunk"
            f" FROM {source} CROSS JOIN {relation} AS t ON {condition}) GROUP BY point, chunk, old, new)"
            f" GROUP BY point, chunk",
            [step, str(table.name), listed],
        )
        moved = self.execute(
            f"UPDATE {relation} AS t SET {self.quote(column)} = m.v0 FROM {source} WHERE {condition}", [listed]
        )
        return self._counted(table, counts, moved, expected=len(rows))

    def _counted(self, table: Table, counts: Counter[int], changed: int, *, expected: int) -> list[Counted]:
        if not changed == counts.total() == expected:
            wrong = counts.total() if changed == expected else changed
            raise CountMismatch(table=str(table.name), moved=expected, journaled=wrong)
        return [Counted(point, table.name, rows) for point, rows in counts.items()]

    def remove(
        self,
        table: Table,
        key: tuple[str, ...],
        rows: Keys,
        *,
        step: int,
        forwarding: Forwarding | None = None,
    ) -> list[Counted]:
        relation = self.relation(table.name)
        listed = _json(list(zip(rows.points, *rows.columns, strict=True)))
        counts = self._journal(
            f"images) WITH m AS MATERIALIZED ({self._key_rows(table, key)}), gone AS (SELECT m.point AS point,"
            f" {self._image(table)} AS image, (row_number() OVER (PARTITION BY m.point) - 1) / {ROWS_PER_SNAPSHOT_ROW}"
            f" AS chunk FROM m CROSS JOIN {relation} AS t ON {self._same_key(key, 't', 'm')})"
            f" SELECT point, 'removed', %s, %s, count(*), json_group_array(json(image)) FROM gone"
            f" GROUP BY point, chunk",
            [listed, step, str(table.name)],
        )
        if forwarding is not None:
            addresses = zip(rows.points, *rows.columns, forwarding.removed, forwarding.survivors, strict=True)
            self.execute(
                f"INSERT INTO cleanup_removedfolder (folder_key, survivor_key, name, point_id)"
                f" SELECT m.removed, m.survivor, cleanup_name({_encoded(f't.{self.quote(forwarding.name)}')}, %s),"
                f" m.point FROM ({self._key_rows(table, key, 'removed', 'survivor')}) AS m CROSS JOIN {relation} AS t"
                f" ON {self._same_key(key, 't', 'm')}",
                [forwarding.longest, _json(list(addresses))],
            )
        own = ", ".join(self.quote(column) for column in key)
        given = ", ".join(f"d{place}" for place in range(len(key)))
        removed = self.execute(
            f"DELETE FROM {relation} WHERE ({own}) IN (SELECT {given} FROM ({self._key_rows(table, key)}))", [listed]
        )
        return self._counted(table, counts, removed, expected=len(rows))

    def take_structure(
        self, structure: StructureTable, *, point: int, application: str, key: KeyColumn, step: int
    ) -> int:
        table = structure.table
        return self._journal(
            f"images) SELECT %s, 'structure', %s, %s, count(*), json_group_array(json(image)) FROM (SELECT"
            f" {self._image(table)} AS image, (row_number() OVER () - 1) / {ROWS_PER_SNAPSHOT_ROW} AS chunk"
            f" FROM {self.relation(table.name)} AS t WHERE t.{self.quote(structure.application)} = {_decoded('%s')})"
            f" GROUP BY chunk",
            [point, step, str(table.name), *[self.key_cell(key, application)] * 3],
        ).total()

    # Undo.

    def restore_moved(self, targets: Sequence[UndoTarget], *, points: Sequence[int], step: int) -> Restoration:
        restored: list[Counted] = []
        conflicts: list[RowConflict] = []
        expected = []
        for target in targets:
            table = target.table.name
            verdicts, params = self._verdicts(target, points=points, step=step)
            keys = _json_array([f"k{place}" for place in range(len(target.key))])
            news = _json_array([f"n{place}" for place in range(len(target.columns))])
            rows = self.fetch(
                f"WITH {verdicts} SELECT point, verdict, count(*), NULL, NULL FROM v"
                f" WHERE verdict IN ('restore', 'same') GROUP BY point, verdict"
                f" UNION ALL SELECT point, verdict, 1, {keys}, {news} FROM v WHERE verdict NOT IN ('restore', 'same')",
                params,
            )
            self._require_all(target.table, sum(row[2] for row in rows), target.rows)
            expected.append(sum(count for _, verdict, count, *_ in rows if verdict == "restore"))
            for point, verdict, count, cells, given in rows:
                if verdict == "restore":
                    restored.append(Counted(point, table, count))
                elif verdict != "same":
                    column = "+".join(target.columns) if verdict != "row_missing" else ""
                    key, new = (tuple(json.loads(found)) for found in (cells, given))
                    conflicts.append(RowConflict(point, table, verdict, key, column, target.columns, new))
        if len(targets) > 1:
            self._defer_foreign_keys()
        for number in self._referencing_first([target.table for target in targets]):
            if expected[number]:
                self._restore(targets[number], points=points, step=step, expected=expected[number])
        return Restoration(restored, conflicts)

    def _restore(self, target: UndoTarget, *, points: Sequence[int], step: int, expected: int) -> None:
        verdicts, params = self._verdicts(target, points=points, step=step)
        assignments = ", ".join(f"{self.quote(column)} = m.v{place}" for place, column in enumerate(target.columns))
        changed = self.execute(
            f"UPDATE {self.relation(target.table.name)} AS t SET {assignments}"
            f" FROM (WITH {verdicts} SELECT * FROM v WHERE verdict = 'restore') AS m"
            f" WHERE {self._same_key(target.key, 't', 'm')}",
            params,
        )
        if changed != expected:
            raise CountMismatch(table=str(target.table.name), moved=changed, journaled=expected)

    def _verdicts(self, target: UndoTarget, *, points: Sequence[int], step: int) -> tuple[str, list[Any]]:
        """Return CTEs, the last of which is ``v``: the moved rows, what to do with each and why.

        ``k0`` ... are the journaled key cells, ``d0`` ... the values of the key now, ``v0`` ... the old values.
        """
        width = range(len(target.columns))
        changes, change_params = self._changes(target)
        cells = ", ".join(
            f"json_extract(e.value, '$.from[{place}]') AS o{place}, json_extract(e.value, '$.to[{place}]') AS n{place}"
            for place in width
        )
        key_lists = ", ".join(
            f"json_extract(e.value, '$.keys[{place}]') AS keys{place}" for place in range(len(target.key))
        )
        # See Note [Affinity]: a new value counts as ours in either form.
        news = [
            _applied(_decoded(f"s.n{place}"), target.table.column(column).type)
            for place, column in enumerate(target.columns)
        ]
        values = ", ".join(
            f"{_decoded(f's.o{place}')} AS v{place}, {_decoded(f's.n{place}')} AS w{place},"
            f" {_encoded(news[place])} AS x{place}"
            for place in width
        )
        keys = ", ".join(
            ("e.value" if not place else f"json_extract(c.keys{place}, '$[' || e.key || ']')") + f" AS k{place}"
            for place in range(len(target.key))
        )
        key_values = ", ".join(
            (f"q.w{target.columns.index(column)}" if column in target.columns else _decoded(f"q.k{place}"))
            + f" AS d{place}"
            for place, column in enumerate(target.key)
        )
        now = [_encoded(f"t.{self.quote(column)}") for column in target.columns]
        is_old = [f"{cell} IS j.o{place}" for place, cell in enumerate(now)]
        either = " AND ".join(
            f"(coalesce({cell} IN (j.n{place}, j.x{place}, j.o{place}), 0)"
            f" OR {cell} IS NULL AND (j.n{place} IS NULL OR j.o{place} IS NULL))"
            for place, cell in enumerate(now)
        )
        back, back_params = self._returned(target, points)
        snapshots, of_part, part_params = _within(target.part, [f"q.k{place}" for place in range(len(target.key))])
        of_part = of_part.replace(" AND ", " WHERE ", 1)
        sql = (
            f"{back}c AS MATERIALIZED (SELECT s.*, {values} FROM (SELECT s.point_id AS point, {cells}, {key_lists}"
            f" FROM cleanup_snapshotrow AS s, json_each({changes}) AS e WHERE s.kind = 'moved' AND s.step = %s"
            f' AND s."table" = %s AND s.point_id IN (SELECT value FROM json_each(%s)){snapshots}) AS s)'
            f", j AS MATERIALIZED (SELECT q.*, {key_values} FROM (SELECT c.*, {keys} FROM c, json_each(c.keys0) AS e)"
            f" AS q{of_part})"
            # A key that was journaled is not null, so a null key says that the row is gone.
            f", v AS MATERIALIZED (SELECT j.*, CASE WHEN t.{self.quote(target.key[0])} IS NULL THEN 'row_missing'"
            f" WHEN {' AND '.join(is_old)} THEN 'same'{self._missing_target(target)}"
            f" WHEN {either} THEN 'restore' ELSE 'changed' END AS verdict"
            f" FROM j LEFT JOIN {self.relation(target.table.name)} AS t ON {self._same_key(target.key, 't', 'j')})"
        )
        return sql, [*back_params, *change_params, step, target.table.journaled_as, _json(points), *part_params]

    def _changes(self, target: UndoTarget) -> tuple[str, list[Any]]:
        """Return the JSON array of a snapshot row's changes; the first format had one change a row, by column."""
        if target.form > 1:
            return "s.changes", []
        before, after = (", ".join(_member("s.changes", place=f"$[{side}]") for _ in target.columns) for side in (0, 1))
        keys = ", ".join(f"json({_member('s.keys')})" for _ in target.key)
        sql = (
            f"json_array(json_object('from', json_array({before}), 'to', json_array({after}),"
            f" 'keys', json_array({keys})))"
        )
        return sql, [*target.columns, *target.columns, *target.key]

    def _missing_target(self, target: UndoTarget) -> str:
        if target.must_exist is None:
            return ""
        folders, columns = target.must_exist
        spellings = [[f"j.v{place}" for place in range(len(columns))]]
        if len(columns) == 1 and folders.column(columns[0]).type.lower() in {"char(32)", "uuid"}:
            # A generic foreign key may spell it otherwise than the folder itself.
            spellings.append(["lower(replace(j.v0, '-', ''))"])
        listed = ", ".join(f"f.{self.quote(column)}" for column in columns)
        source = f"SELECT {listed} FROM {self.relation(folders.name)} AS f"
        if target.returned is not None:
            source = f"SELECT f.__point, {listed} FROM returned AS f"
            spellings = [["j.point", *values] for values in spellings]
        there = " OR ".join(f"({', '.join(values)}) IN ({source})" for values in spellings)
        return f" WHEN j.o0 IS NOT NULL AND NOT ({there}) THEN 'missing_target'"

    def _returned(self, target: UndoTarget, points: Sequence[int]) -> tuple[str, list[Any]]:
        """Return the CTEs up to ``returned``, with a comma after them: the removed rows that are back, by point."""
        if target.must_exist is None or target.returned is None:
            return "", []
        (table, columns), returned = target.must_exist, target.returned
        images, params = self._images(
            table, returned.columns, returned.identity, points=points, step=returned.step, left_out=()
        )
        same = " AND ".join(
            f"f.{self.quote(column)} {'IS' if place else '='} i.{self.quote(column)}"
            for place, column in enumerate(returned.identity)
        )
        listed = ", ".join(f"f.{self.quote(column)}" for column in columns)
        sql = (
            f"{images}, returned AS MATERIALIZED (SELECT i.__point, {listed} FROM images AS i"
            f" CROSS JOIN {self.relation(table.name)} AS f ON {same}), "
        )
        return sql, params

    def _image_conflicts(
        self,
        table: Table,
        columns: Sequence[str],
        key: tuple[str, ...],
        *,
        points: Sequence[int],
        step: int,
        foreign_keys: Sequence[ForeignKey],
        left_out: Collection[tuple[Cell, ...]],
        instead: Instead,
        part: Part | None,
    ) -> list[RowConflict]:
        images, image_params = self._images(
            table, columns, key, points=points, step=step, left_out=left_out, instead=instead, part=part
        )
        selects = [
            (
                f"SELECT i.__point, 'row_exists', i.__key, '', '' FROM images AS i"
                f" CROSS JOIN {self.relation(table.name)} AS t ON {self._same_columns(key)}"
                f" WHERE {self._differs(columns)}"
            )
        ]
        params: list[str] = []
        for unique in table.uniques:
            if set(unique.columns) != set(key) and set(unique.columns) <= set(columns):
                selects.append(self._unique_taken(table, key, unique))
                params += ["+".join(unique.columns), unique.name]
        for foreign_key in foreign_keys:
            if set(foreign_key.columns) <= set(columns):
                selects.append(self._target_missing(table, columns, key, foreign_key))
                params += ["+".join(foreign_key.columns), foreign_key.name]
        rows = self.fetch(f"WITH {images} {' UNION ALL '.join(selects)}", [*image_params, *params])
        return [
            RowConflict(point, table.name, code, tuple(json.loads(cells)), column, constraint=name)
            for point, code, cells, column, name in rows
        ]

    def _unique_taken(self, table: Table, key: tuple[str, ...], unique: UniqueKey) -> str:
        listed = ", ".join(
            [
                *(f"{self.quote(column)} AS __k{place}" for place, column in enumerate(key)),
                *(f"({part}) AS __u{place}".replace("%", "%%") for place, part in enumerate(unique.parts)),
            ]
        )
        where = f" WHERE ({unique.predicate})".replace("%", "%%") if unique.predicate else ""
        equal = " AND ".join(
            f"b.__u{place} = a.__u{place} COLLATE {_collation(part)}" for place, part in enumerate(unique.parts)
        )
        itself = " AND ".join(f"b.__k{place} = a.__k{place}" for place in range(len(key)))
        return (
            f"SELECT a.__point, 'unique_taken', a.__key, %s, %s"
            f" FROM (SELECT __point, __key, {listed} FROM images{where}) AS a"
            f" CROSS JOIN (SELECT {listed} FROM {self.relation(table.name)}{where}) AS b"
            f" ON {equal} AND NOT ({itself})"
        )

    def _target_missing(
        self, table: Table, columns: Sequence[str], key: tuple[str, ...], foreign_key: ForeignKey
    ) -> str:
        pairs = list(zip(foreign_key.columns, foreign_key.target_columns, strict=True))
        there = " AND ".join(f"f.{self.quote(other)} = i.{self.quote(own)}" for own, other in pairs)
        given = " AND ".join(f"i.{self.quote(own)} IS NOT NULL" for own, _ in pairs)
        among = ""
        if foreign_key.target == table.name and {other for _, other in pairs} <= set(columns):
            owns = ", ".join(f"i.{self.quote(own)}" for own, _ in pairs)
            others = ", ".join(self.quote(other) for _, other in pairs)
            among = f" AND ({owns}) NOT IN (SELECT {others} FROM images)"
        return (
            f"SELECT i.__point, 'missing_target', i.__key, %s, %s FROM images AS i WHERE {given}"
            f" AND NOT EXISTS (SELECT 1 FROM {self.relation(table.name)} AS t WHERE {self._same_columns(key)})"
            f" AND NOT EXISTS (SELECT 1 FROM {self.relation(foreign_key.target)} AS f WHERE {there}){among}"
        )

    def restore_images(
        self,
        table: Table,
        columns: Sequence[str],
        key: tuple[str, ...],
        *,
        points: Sequence[int],
        step: int,
        foreign_keys: Sequence[ForeignKey],
        left_out: Collection[tuple[Cell, ...]],
        instead: Instead,
        rows: int | None = None,
        part: Part | None = None,
    ) -> Restoration:
        conflicts = self._image_conflicts(
            table,
            columns,
            key,
            points=points,
            step=step,
            foreign_keys=foreign_keys,
            left_out=left_out,
            instead=instead,
            part=part,
        )
        if conflicts:
            return Restoration([], conflicts)
        images, params = self._images(
            table, columns, key, points=points, step=step, left_out=left_out, instead=instead, part=part
        )
        relation = self.relation(table.name)
        listed = ", ".join(self.quote(column) for column in columns)
        absent = f"FROM images AS i WHERE NOT EXISTS (SELECT 1 FROM {relation} AS t WHERE {self._same_columns(key)})"
        ((journaled,),) = self.fetch(f"WITH {images} SELECT count(*) FROM images", params)
        self._require_all(table, journaled + len(left_out), rows)
        counts = self.fetch(f"WITH {images} SELECT i.__point, count(*) {absent} GROUP BY i.__point", params)
        expected = sum(count for _, count in counts)
        inserted = 0
        if expected:
            inserted = self.execute(
                f"INSERT INTO {relation} ({listed}) SELECT {listed} FROM (WITH {images} SELECT i.* {absent})", params
            )
        if inserted != expected:
            raise CountMismatch(table=str(table.name), moved=inserted, journaled=expected)
        return Restoration([Counted(point, table.name, count) for point, count in counts], [])

    def image_links(
        self,
        table: Table,
        columns: Sequence[str],
        key: tuple[str, ...],
        *,
        points: Sequence[int],
        step: int,
        foreign_key: ForeignKey,
    ) -> Iterator[ImageLink]:
        images, params = self._images(table, columns, key, points=points, step=step, left_out=())
        relation = self.relation(table.name)
        pairs = list(zip(foreign_key.columns, foreign_key.target_columns, strict=True))
        needs = " AND ".join(f"f.{self.quote(other)} = i.{self.quote(own)}" for own, other in pairs)
        there = " AND ".join(f"t.{self.quote(other)} = i.{self.quote(own)}" for own, other in pairs)
        rows = self.fetch_in_pieces(
            f"""
            WITH {images}
            SELECT i.__point, i.__key, f.__key
              FROM images AS i
              JOIN images AS f ON {needs}
             WHERE NOT EXISTS (SELECT 1 FROM {relation} AS t WHERE {self._same_columns(key)})
               AND NOT EXISTS (SELECT 1 FROM {relation} AS t WHERE {there})
            """,
            params,
        )
        column = "+".join(foreign_key.columns)
        for point, own, other in rows:
            yield ImageLink(point, tuple(json.loads(own)), tuple(json.loads(other)), column)

    def check_now(self, table: Table, *, apart_from: Collection[TableName] = ()) -> None:
        pass  # only foreign keys can be deferred, and they are checked by COMMIT

    def structure_differences(
        self,
        structure: StructureTable,
        columns: Sequence[str],
        key: tuple[str, ...],
        *,
        point: int,
        application: str,
        application_key: KeyColumn,
        limit: int,
    ) -> list[RowConflict]:
        table = structure.table
        relation = self.relation(table.name)
        images, params = self._images(table, columns, key, points=[point], step=None, left_out=())
        first = f"t.{self.quote(key[0])}"
        row_key = _json_array([_encoded(f"t.{self.quote(column)}") for column in key])
        own = ", ".join(f"t.{self.quote(column)}" for column in key)
        stored = ", ".join(self.quote(column) for column in key)
        rows = self.fetch(
            f"WITH {images} SELECT CASE WHEN {first} IS NULL THEN 'row_missing' ELSE 'changed' END, i.__key"
            f" FROM images AS i LEFT JOIN {relation} AS t ON {self._same_columns(key)}"
            f" WHERE {first} IS NULL OR {self._differs(columns)}"
            f" UNION ALL SELECT 'extra', {row_key} FROM {relation} AS t"
            f" WHERE t.{self.quote(structure.application)} = {_decoded('%s')}"
            f" AND ({own}) NOT IN (SELECT {stored} FROM images) LIMIT %s",
            [*params, *[self.key_cell(application_key, application)] * 3, limit],
        )
        return [RowConflict(point, table.name, code, tuple(json.loads(cells))) for code, cells in rows]

    # Fragments.

    def _images(
        self,
        table: Table,
        columns: Sequence[str],
        key: tuple[str, ...],
        *,
        points: Sequence[int],
        step: int | None,
        left_out: Collection[tuple[Cell, ...]],
        instead: Instead = NOTHING_INSTEAD,
        part: Part | None = None,
    ) -> tuple[str, list[Any]]:
        """Return the CTEs up to ``images``: the removed rows as rows of the table again.

        With ``__point``, ``__image`` (the JSON array of their cells) and ``__key`` (that of their key's cells).
        """
        listed = ", ".join(
            f"{_decoded(f'''json_extract(q.__image, '$[{place}]')''')} AS {self.quote(column)}"
            for place, column in enumerate(columns)
        )
        key_cells = [f"json_extract(e.value, '$[{columns.index(column)}]')" for column in key]
        kind, step_condition = ("structure", "") if step is None else ("removed", " AND s.step = %s")
        params: list[Any] = [_json([list(cells) for cells in left_out])] if left_out else []
        params += [table.journaled_as, _json(points), *([] if step is None else [step])]
        leaving = without = others = ""
        image = "e.value"
        if instead.cells:
            changes = "".join(
                f", '$[{columns.index(column)}]', json_extract(w.value, '$[{place + 1}]')"
                for place, column in enumerate(instead.columns)
            )
            others = f" LEFT JOIN json_each(%s) AS w ON json_extract(w.value, '$[0]') = {key_cells[0]}"
            image = f"CASE WHEN w.value IS NULL THEN e.value ELSE json_set(e.value{changes}) END"
            params.insert(1 if left_out else 0, _json([[own, *cells] for own, cells in instead.cells.items()]))
        if left_out:
            cells = ", ".join(f"json_extract(value, '$[{place}]') AS k{place}" for place in range(len(key)))
            leaving = f"left_out AS MATERIALIZED (SELECT {cells} FROM json_each(%s)), "
            same = " AND ".join(f"l.k{place} IS {cell}" for place, cell in enumerate(key_cells))
            without = f" AND NOT EXISTS (SELECT 1 FROM left_out AS l WHERE {same})"
        snapshots, of_part, part_params = _within(part, key_cells)
        params += part_params
        sql = (
            f"{leaving}images AS MATERIALIZED (SELECT q.*, {listed} FROM (SELECT s.point_id AS __point,"
            f" {image} AS __image, {_json_array(key_cells)} AS __key FROM cleanup_snapshotrow AS s,"
            f" json_each(s.images) AS e{others} WHERE s.kind = '{kind}' AND"
            f' s."table" = %s AND s.point_id IN (SELECT value FROM json_each(%s)){step_condition}{without}'
            f"{snapshots}{of_part}) AS q)"
        )
        return sql, params

    def _differs(self, columns: Sequence[str]) -> str:
        return " OR ".join(
            f"{_encoded(f't.{self.quote(column)}')} IS NOT json_extract(i.__image, '$[{place}]')"
            for place, column in enumerate(columns)
        )

    def _same_columns(self, key: tuple[str, ...]) -> str:
        return " AND ".join(f"t.{self.quote(column)} = i.{self.quote(column)}" for column in key)

    def _same_key(self, key: tuple[str, ...], table: str, rows: str) -> str:
        return " AND ".join(f"{table}.{self.quote(column)} = {rows}.d{place}" for place, column in enumerate(key))

    def _image(self, table: Table) -> str:
        return _json_array(
            [_encoded(f"t.{self.quote(column.name)}") for column in table.columns if not column.generated]
        )

    def _key_rows(self, table: Table, key: tuple[str, ...], *texts: str) -> str:
        """Return the SELECT of ``point`` and the key's values ``d0`` ... from a JSON array of arrays of cells.

        Texts that come after the cells get the names ``texts``.
        """
        values = [f"{_decoded(f'''json_extract(value, '$[{place + 1}]')''')} AS d{place}" for place in range(len(key))]
        values += [f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(texts, len(key) + 1)]
        return f"SELECT json_extract(value, '$[0]') AS point, {', '.join(values)} FROM json_each(%s)"

    def _pairs(self, target: Target) -> str:
        """Return the CTE ``m``: point, rank, and for each column ``o`` and ``n``, the old and new cell.

        ``d`` and ``e`` are their values as the column would hold them.
        """
        width = len(target.columns)
        names = ["point", "rank", *(f"o{place}" for place in range(width)), *(f"n{place}" for place in range(width))]
        cells = ", ".join(f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(names))
        values = ", ".join(
            f"{_applied(_decoded(f'q.{cell}{place}'), target.table.column(column).type)} AS {value}{place}"
            for place, column in enumerate(target.columns)
            for cell, value in (("o", "d"), ("n", "e"))
        )
        return f"m AS MATERIALIZED (SELECT q.*, {values} FROM (SELECT {cells} FROM json_each(%s)) AS q)"

    def _pair_list(self, target: Target) -> str:
        pairs = target.pairs
        return _json(list(zip(pairs.points, pairs.ranks, *pairs.olds, *pairs.news, strict=True)))

    def _matches(self, target: Target) -> tuple[str, list[Any]]:
        """Return the join of ``m`` with the target's rows ``t`` that hold one of its old values.

        By the index on the column where there is one; otherwise the table is read once, and the pairs by an index
        that SQLite makes for the statement, which it can only where the column's affinity is out of the way.
        """
        condition, params = self._condition(target)
        relation = f"{self.relation(target.table.name)} AS t"
        first, second = ("m", relation) if self._is_indexed(target) else (relation, "m")
        return f"{first} CROSS JOIN {second} ON {condition}", params

    def _is_indexed(self, target: Target) -> bool:
        kinds = target.condition.columns if target.condition else ()
        return any(
            index[0] in target.columns or (index[0] in kinds and len(index) > 1 and index[1] in target.columns)
            for index in target.table.indexes
        )

    def _condition(self, target: Target) -> tuple[str, list[Any]]:
        plus = "" if self._is_indexed(target) else "+"
        parts = [
            f"{plus}t.{self.quote(column)} = m.d{place} COLLATE BINARY" for place, column in enumerate(target.columns)
        ]
        params: list[Any] = []
        if target.condition:
            kind, params = target.condition.sql("t", vendor="sqlite")
            parts.append(kind)
        if target.spare:
            parts.append(f"t.{self.quote(target.key[0])} NOT IN {_LISTED}")
            params.append(_json(target.spare))
        return " AND ".join(parts), params


def _codec(encoding: str) -> tuple[Callable[[str, Any], Cell], Callable[[Cell], Any]]:
    """Return the functions that encode and decode cells in a database of that text encoding."""
    codec = {"UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}.get(encoding, "utf-8")

    def encode(storage_class: str, value: Any) -> Cell:
        if value is None:
            return None
        if storage_class == "text":
            try:
                text = value.decode(codec)
            except UnicodeDecodeError:
                return "x:" + str(value.hex())
            return "x:" + str(value.hex()) if "\x00" in text else "t:" + str(text)
        if storage_class == "integer":
            return f"i:{value}"
        return "r:" + float(value).hex() if storage_class == "real" else "b:" + bytes(value).hex()

    def decode(cell: Cell) -> Any:
        if cell is None:
            return None
        storage_class, value = cell[:2], cell[2:]
        if storage_class == "t:":
            return value
        if storage_class == "i:":
            return int(value)
        return float.fromhex(value) if storage_class == "r:" else bytes.fromhex(value)

    return encode, decode


def _encoded(value: str) -> str:
    """Return the cell of a value; a text goes over as its bytes, for it may be no valid text."""
    return (
        f"cleanup_encode(typeof({value}), CASE typeof({value}) WHEN 'text' THEN CAST({value} AS BLOB) ELSE {value} END)"
    )


def _decoded(cell: str) -> str:
    """Return the value of a cell. A placeholder stands three times in it."""
    return (
        f"CASE substr({cell}, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode({cell}) AS TEXT) ELSE cleanup_decode({cell}) END"
    )


#: The values of a JSON array of cells.
_LISTED = f"(SELECT {_decoded('value')} FROM json_each(%s))"


def _applied(value: str, declared: str) -> str:
    """Return a value as a column of that declared type would hold it: SQLite's rules of affinity.

    A comparison with CAST(x AS NUMERIC) tells whether the whole text is a number.
    """
    stored = affinity(declared)
    if stored == "TEXT":
        return (
            f"(SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END"
            f" FROM (SELECT {value} AS a))"
        )
    if stored == "BLOB":
        return value
    number = "REAL" if stored == "REAL" else "NUMERIC"
    return (
        f"(SELECT CASE WHEN typeof(a) IN ('text', 'integer') AND CAST(a AS {number}) = a THEN CAST(a AS {number})"
        f" ELSE a END FROM (SELECT {value} AS a))"
    )


def _within(part: Part | None, cells: Sequence[str]) -> tuple[str, str, list[Any]]:
    """Return what restricts snapshot rows, and rows known by the cells of their key, to a part; and the parameters."""
    if part is None:
        return "", "", []
    given = ", ".join(f"json_extract(value, '$[{place}]')" for place in range(len(cells)))
    rows = f" AND ({', '.join(cells)}) IN (SELECT {given} FROM json_each(%s))"
    return " AND s.id IN (SELECT value FROM json_each(%s))", rows, [_json(part.snapshots), _json(part.keys)]


def _member(document: str, *, place: str | None = None) -> str:
    """Return a member of a JSON object by a name given as parameter (a path could not hold every name)."""
    value = "c.value" if place is None else f"json_extract(c.value, '{place}')"
    return f"(SELECT {value} FROM json_each({document}) AS c WHERE c.key = %s)"


def _json_array(cells: Sequence[str]) -> str:
    """Return the JSON array of cells, however many there are."""
    if len(cells) <= _ARGUMENTS:
        return f"json_array({', '.join(cells)})"
    parts = [
        # Cells are quoted texts or null, so brackets are at the ends alone.
        f"trim(json_array({', '.join(cells[start : start + _ARGUMENTS])}), '[]')"
        for start in range(0, len(cells), _ARGUMENTS)
    ]
    return "('[' || " + " || ',' || ".join(parts) + " || ']')"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _name(cell: Cell) -> str:
    """Return a folder's name from its cell; one that is no text gets a name that no text has."""
    return cell[2:] if cell is not None and cell.startswith("t:") else NO_NAME + (cell or "")


def _searched_name(cell: Cell, longest: int) -> str:
    """Return the beginning of a folder's name, to be searched by; what is no text is not."""
    name = _name(cell)
    return "" if name.startswith(NO_NAME) else name[:longest]


def _collation(part: str) -> str:
    """Return the collation that a part of a unique key names at its end."""
    named = _COLLATION.search(part)
    return named[1] if named else "BINARY"
