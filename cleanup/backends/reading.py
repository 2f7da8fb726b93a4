"""Locks and reads of the mapped tables.

Invariant: every method is a constant number of statements whatever the number of folders and rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from cleanup.backends.catalogue import ForeignKey, Table, TableName
from cleanup.backends.changes import Cell, Keys, Owner, RowCount, Target
from cleanup.backends.folders import FolderSql
from cleanup.backends.forest import Scope
from cleanup.backends.query import Query, block, joined, quote
from cleanup.backends.session import Room
from cleanup.backends.tree_columns import ClosureTable
from cleanup.folder_tables import FileTable, FolderTables, KeyColumn, Ownership
from cleanup.forests import Forest, ForestMaker
from cleanup.packing import GrowingTexts, Numbers, PackedTexts
from cleanup.planning import FolderRow


class Reading(Room, ABC):
    """One connection's reads."""

    @abstractmethod
    def serialize(self, tables: FolderTables, application: str) -> None:
        """Let one transaction after the other make folders of an application, and after a merge, not within one.

        A transaction that goes on with an older snapshot than what the one before it did (REPEATABLE READ) fails here
        with a serialization failure, since it would not see those folders. Writers of files are not waited for.
        """

    @abstractmethod
    def sql(self, tables: FolderTables) -> FolderSql:
        """Return the words of the mapped tables."""

    # Applications and folders.

    @abstractmethod
    def lock_applications(self, tables: FolderTables, keys: Sequence[str]) -> set[str]:
        """Lock applications in key order, and return those that exist."""

    def count_folders(self, tables: FolderTables, keys: Sequence[str]) -> dict[str, int]:
        """Return the number of folders of the applications that exist, by application."""
        sql = self.sql(tables)
        scope = Scope(keys=tuple(keys))
        counted = self.fetch(
            sql.block(
                """
                SELECT {application}, count(f.folder)
                  FROM {units} AS a
                  LEFT JOIN {members} AS f ON f.application = a.{application_key}
                 WHERE {within}
                 GROUP BY a.{application_key}
                """,
                application=self._key(f"a.{sql.application_key}"),
                members=sql.members(scope),
                within=sql.within(scope, f"a.{sql.application_key}"),
            )
        )
        return {self._spelling(tables.application_key, key): count for key, count in counted}

    @abstractmethod
    def lock_folders(self, tables: FolderTables, keys: Sequence[str]) -> None:
        """Lock the folders of applications in key order."""

    @abstractmethod
    def read_parents(
        self, tables: FolderTables, keys: Sequence[str], *, lock: bool, many: bool = False
    ) -> Iterator[tuple[str, str, str | None]]:
        """Yield (application, folder, parent) of applications, in no order; locked in key order.

        If there are ``many``, they are fetched in pieces.
        """

    def read_folders(
        self,
        tables: FolderTables,
        keys: Sequence[str],
        *,
        lock: bool,
        columns: Sequence[str] = (),
        near: Sequence[str] | None = None,
        many: bool = False,
    ) -> Iterator[tuple[str, list[FolderRow]]]:
        """Yield applications with their folders, one after the other, with further columns as cells.

        All are read, and locked in key order, before the first. With ``near`` only root folders, the folders so named
        by their keys, and what lies directly in any of these. If there are ``many``, they are fetched in pieces.
        """
        for application, rows in self._read_each(tables, keys, lock=lock, columns=columns, near=near, many=many):
            yield application, list(rows)

    def read_forests(self, tables: FolderTables, keys: Sequence[str], *, lock: bool) -> Iterator[tuple[str, Forest]]:
        """Yield applications with their folders as ``read_folders`` does, packed: there may be a million."""
        for application, rows in self._read_each(tables, keys, lock=lock, columns=(), near=None, many=True):
            yield application, self._taken_in(rows, self._packed_keys(tables)).forest()

    def forest_maker(self, tables: FolderTables, application: str) -> ForestMaker:
        """Return a maker that has taken in the folders of an application, few or a million, and takes in others."""
        for owner, rows in self._read_each(tables, [application], lock=False, columns=(), near=None, many=True):
            if owner == application:
                return self._taken_in(rows, self.numbers(tables))
        return ForestMaker(self.numbers(tables))

    def _taken_in(self, rows: Iterator[FolderRow], keys: Numbers) -> ForestMaker:
        maker = ForestMaker(keys)
        for row in rows:
            maker.add(row.key, row.parent, row.name, row.age - 1, live=row.live)
        return maker

    def numbers(self, tables: FolderTables) -> GrowingTexts:
        """Return numbers for keys of folders, few or very many."""
        return GrowingTexts(partial(self._packed_keys, tables))

    def _packed_keys(self, tables: FolderTables) -> PackedTexts:  # others depend on it
        return PackedTexts()

    @abstractmethod
    def _read_each(
        self,
        tables: FolderTables,
        keys: Sequence[str],
        *,
        lock: bool,
        columns: Sequence[str],
        near: Sequence[str] | None,
        many: bool,
    ) -> Iterator[tuple[str, Iterator[FolderRow]]]:
        """Yield applications, each with its folders one by one, before the next; ages begin with 1."""

    def read_cells(
        self, tables: FolderTables, keys: Sequence[str], columns: Sequence[str]
    ) -> dict[str, tuple[Cell, ...]]:
        """Return the cells of folders, by their keys."""
        return self._cells_of(tables.folder_table, tables.folder_key, keys, columns)

    def read_file_cells(
        self, file: FileTable, keys: Sequence[str], columns: Sequence[str]
    ) -> dict[str, tuple[Cell, ...]]:
        """Return the cells of files, by their keys."""
        return self._cells_of(file.table, file.key, keys, columns)

    def _cells_of(
        self, table: str, key: KeyColumn, keys: Sequence[str], columns: Sequence[str]
    ) -> dict[str, tuple[Cell, ...]]:
        rows = self.fetch(
            block(
                """
                SELECT {keys}, {cells}
                  FROM {table}
                 WHERE {among}
                """,
                keys=self._key(quote(key.column)),
                cells=", ".join(self._cell(quote(name)) for name in columns),
                table=self.model_table(table),
                among=self._among(key, quote(key.column), keys),
            )
        )
        return {self._spelling(key, value): tuple(cells) for value, *cells in rows}

    def held_parents(self, tables: FolderTables, folders: Sequence[Cell]) -> dict[Cell, Cell]:
        """Return what the parent columns of folders hold that is not null, as cells by the cells of their keys.

        Nothing if a root's is always null.
        """
        if tables.root_parent is None:
            return {}
        keys = [tables.folder_key.text(self.cells.cell_text(folder)) for folder in folders]
        sql = self.sql(tables)
        held = self.fetch(
            sql.block(
                "SELECT {cells} FROM {folders} AS f WHERE f.{held_parent} IS NOT NULL AND {among}",
                cells=", ".join(self._cell(f"f.{column}") for column in (sql.folder_key, sql.held_parent)),
                among=self._among(tables.folder_key, f"f.{sql.folder_key}", keys),
            )
        )
        return dict(held)

    def _lock_each(self, tables: FolderTables, keys: Sequence[str], *, lock: str = "") -> set[str]:
        """Lock applications, and what stands in their place, and return those that exist."""
        found = [] if tables.ownership == Ownership.TREE else self.fetch(self._applications(tables, keys, lock=lock))
        if tables.ownership in (Ownership.SHARED, Ownership.TREE):
            found += self.fetch(self._tree_roots(tables, keys, lock=lock))
        return {self._spelling(tables.application_key, key) for (key,) in found}

    def _applications(self, tables: FolderTables, keys: Sequence[str], *, lock: str = "") -> Query:
        sql = self.sql(tables)
        return sql.block(
            """
            SELECT {application}
              FROM {applications}
             WHERE {within}
            {lock}
            """,
            application=self._key(sql.application_key),
            within=sql.within(Scope(keys=tuple(keys)), sql.application_key),
            lock=lock and f" ORDER BY {sql.application_key} {lock}",
        )

    def _tree_roots(self, tables: FolderTables, keys: Sequence[str], *, lock: str = "") -> Query:
        sql = self.sql(tables)
        return sql.block(
            """
            SELECT {key}
              FROM {folders} AS f
             WHERE {within} AND {is_tree}
            {lock}
            """,
            key=self._key(f"f.{sql.folder_key}"),
            within=sql.within(Scope(keys=tuple(keys)), f"f.{sql.folder_key}"),
            is_tree=sql.is_tree("f"),
            lock=lock and f" ORDER BY f.{sql.folder_key} {lock}",
        )

    def _parents(self, tables: FolderTables, keys: Sequence[str], *, lock: str = "") -> Query:
        sql = self.sql(tables)
        return block(
            """
            SELECT {keys}
              FROM (
                {owned}
                   ) AS locked
            """,
            keys=", ".join(map(self._key, (sql.owner, sql.folder_key, sql.parent))),
            owned=sql.owned_and_locked(keys, lock=lock),
        )

    def _folders(
        self,
        tables: FolderTables,
        keys: Sequence[str],
        *,
        columns: Sequence[str],
        near: Sequence[str] | None,
        lock: str = "",
    ) -> Query:
        """Return the query of application, folder, parent, name, rank, live and further columns, by application.

        The database ranks folders: "infinity" and dates before Christ are no Python datetimes.
        """
        sql = self.sql(tables)
        return block(
            """
            SELECT {keys}, {name},
                   row_number() OVER (PARTITION BY {grouped} ORDER BY {preference}), {cells}
              FROM (
                    -- The lock is taken in a subquery: a window function may not stand beside it.
                    {owned}
                   ) AS locked
             ORDER BY {grouped}
            """,
            keys=", ".join(map(self._key, (sql.owner, sql.folder_key, sql.parent))),
            name=self._cell(sql.name),
            grouped=self._grouped(tables.application_key, f"locked.{sql.owner}"),
            preference=sql.preference("locked"),
            cells=joined(", ", [sql.live(""), *(self._cell(quote(name)) for name in columns)]),
            owned=sql.owned_and_locked(keys, lock=lock, nearby=self._nearby(sql, near, keys)),
        )

    def _nearby(self, sql: FolderSql, near: Sequence[str] | None, keys: Sequence[str]) -> Query:
        if near is None:
            return Query("")
        of_folders = sql.tables.folder_key
        scope = Scope(keys=tuple(keys))
        return sql.block(
            """
            AND (f.{parent} IS NULL
                 OR {folder_is_near}
                 OR {parent_is_near}
                 OR f.{parent} IN (SELECT r.{folder_key} FROM {roots} AS r WHERE {of_root} AND r.{parent} IS NULL))
            """,
            folder_is_near=self._among(of_folders, f"f.{sql.folder_key}", near, name="near"),
            parent_is_near=self._among(of_folders, f"f.{sql.parent}", near, name="near"),
            roots=sql.owned_roots(scope),
            of_root=sql.within(scope, f"r.{sql.owner}"),
        )

    def read_trees(
        self, tables: FolderTables, keys: Sequence[str], columns: Sequence[str]
    ) -> Iterator[tuple[str, str, str | None, tuple[Cell, ...]]]:
        """Yield (application, folder, parent, cells of columns) of all that lies below the roots of applications.

        The application is that of the root, whomever a folder below it belongs to.
        """
        for owner, folder, parent, *cells in self.fetch_in_pieces(self._trees(tables, keys, columns)):
            above = None if parent is None else self._spelling(tables.folder_key, parent)
            application = self._spelling(tables.application_key, owner)
            yield application, self._spelling(tables.folder_key, folder), above, tuple(cells)

    def _trees(self, tables: FolderTables, keys: Sequence[str], columns: Sequence[str]) -> Query:
        sql = self.sql(tables)
        scope = Scope(keys=tuple(keys))
        return sql.block(
            """
            WITH RECURSIVE below AS (
                -- No root lies in a cycle, nor leads to one.
                SELECT r.{owner} AS application, r.{folder_key} AS folder
                  FROM {roots} AS r
                 WHERE r.{parent} IS NULL AND {within}
                 UNION ALL
                SELECT b.application, f.{folder_key}
                  FROM below AS b
                  JOIN {folders} AS f ON {is_child}
            )
            SELECT {application}, {key}, {parent_key}, {cells}
              FROM below AS b
              JOIN {folders} AS f ON f.{folder_key} = b.folder
            """,
            roots=sql.owned_roots(scope),
            within=sql.within(scope, f"r.{sql.owner}"),
            is_child=sql.is_child("f", "b.folder"),
            application=self._key("b.application"),
            key=self._key(f"f.{sql.folder_key}"),
            parent_key=self._key(f"f.{sql.parent}"),
            cells=", ".join(self._cell(f"f.{quote(column)}") for column in columns),
        )

    def read_closure(
        self, table: Table, columns: ClosureTable, key: tuple[str, ...], tables: FolderTables, folders: Sequence[str]
    ) -> Iterator[tuple[tuple[str, ...], str, str, Cell]]:
        """Yield (key cells, ancestor, descendant, cell of the depth) of a closure table's rows about folders."""
        ancestor, descendant = f"t.{quote(columns.ancestor)}", f"t.{quote(columns.descendant)}"
        of_folder = tables.folder_key
        rows = self.fetch_in_pieces(
            block(
                """
                SELECT {above}, {below}, {depth}, {cells}
                  FROM {table} AS t
                 WHERE {among}
                """,
                above=self._key(ancestor),
                below=self._key(descendant),
                depth="NULL" if columns.depth is None else self._cell(f"t.{quote(columns.depth)}"),
                cells=", ".join(self._cell(f"t.{quote(column)}") for column in key),
                table=self.relation(table.name),
                among=self._among(of_folder, descendant, folders),
            )
        )
        for above, below, depth, *cells in rows:
            yield tuple(cells), self._spelling(of_folder, above), self._spelling(of_folder, below), depth

    def greatest(self, table: Table, column: str) -> int:
        """Return the greatest number in a column, or 0."""
        ((number,),) = self.fetch(
            block("SELECT max({column}) FROM {table}", column=quote(column), table=self.relation(table.name))
        )
        return int(number or 0)

    # Rows that a change would move.

    def count_rows(self, targets: Sequence[Target]) -> list[RowCount]:
        """Count the rows that hold an old value of their target, in one statement."""
        ctes, matching = self._matching_all(targets)
        counted = self.fetch_each(
            (
                block("SELECT given.point, count(*) FROM {matches} GROUP BY given.point", matches=matches)
                for matches in matching
            ),
            ctes=ctes,
        )
        return [RowCount(point, targets[number].table.name, rows) for number, point, rows in counted]

    def count_repeated(self, groups: Sequence[Sequence[Target]]) -> list[RowCount]:
        """Count, of the rows of targets of one table each, how often a row was counted that had been already."""
        counted = self.fetch_each(self._repeated(targets, number) for number, targets in enumerate(groups))
        return [RowCount(point, groups[number][0].table.name, rows) for number, point, rows in counted]

    def _repeated(self, targets: Sequence[Target], number: int) -> Query:
        matched = [
            block(
                "SELECT given.point AS point, {key} AS row FROM {matches}",
                key=self._row_key(target),
                matches=self.matching(target, number=f"{number}_{place}"),
            )
            for place, target in enumerate(targets)
        ]
        return block(
            """
            SELECT point, count(*) - count(DISTINCT row)
              FROM (
                {matched}
              ) AS matched
             GROUP BY point
            HAVING count(*) > count(DISTINCT row)
            """,
            matched=joined("\nUNION ALL\n", matched),
        )

    @abstractmethod
    def matching(self, target: Target, *, number: int | str) -> Query:
        """Return the join of a target's pairs ``given`` with its rows ``t`` that hold one of the old values."""

    def _matching_all(self, targets: Sequence[Target]) -> tuple[list[Query], list[Query]]:
        """Return CTEs, if any, and for each target such a join, which may use them; overridden if targets can share."""
        return [], [self.matching(target, number=number) for number, target in enumerate(targets)]

    @abstractmethod
    def listed(self, rows: Sequence[Sequence[str]], columns: Sequence[tuple[str, str]]) -> Query:
        """Return a query that gives rows of texts; ``columns`` are names and types."""

    def rows_referencing(
        self, table: Table, key: tuple[str, ...], rows: Keys, inbound: Sequence[ForeignKey]
    ) -> dict[int, int]:
        """Count the rows that reference rows of ``table`` by the foreign keys ``inbound``, by the point of each."""
        if not inbound:
            return {}
        referencing = [
            block(
                """
                SELECT given.point
                  FROM {rows}
                  JOIN {referencing} AS r ON {joined}
                """,
                rows=self._rows_of_keys(table, key, rows),
                referencing=self.relation(foreign_key.table),
                joined=" AND ".join(
                    f"r.{quote(own)} = t.{quote(other)}"
                    for own, other in zip(foreign_key.columns, foreign_key.target_columns, strict=True)
                ),
            )
            for foreign_key in inbound
        ]
        return dict(
            self.fetch(
                block(
                    """
                    SELECT point, count(*)
                      FROM (
                        {referencing}
                      ) AS r
                     GROUP BY point
                    """,
                    referencing=joined("\nUNION ALL\n", referencing),
                )
            )
        )

    def owners(self, targets: Sequence[tuple[Target, str]], key: KeyColumn) -> Iterator[Owner]:
        """Yield the applications that targets' rows belong to, by the column given with each."""
        counted = self.fetch_each(
            block(
                """
                SELECT given.point, {application}, count(*)
                  FROM {matches}
                 WHERE t.{column} IS NOT NULL
                 GROUP BY given.point, t.{column}
                """,
                application=self._key(f"t.{quote(column)}"),
                column=quote(column),
                matches=self.matching(target, number=number),
            )
            for number, (target, column) in enumerate(targets)
        )
        for number, point, value, rows in counted:
            yield Owner(targets[number][0].table.name, point, self._spelling(key, value), rows)

    def with_rows(self, tables: Sequence[TableName]) -> set[TableName]:
        """Return those tables that have rows at all."""
        exist = (block("EXISTS (SELECT * FROM {table})", table=self.relation(table)) for table in tables)
        ((*found,),) = self.fetch(block("SELECT {exist}", exist=joined(", ", exist)))
        return {table for table, has_rows in zip(tables, found, strict=True) if has_rows}

    def principals(self, target: Target, who: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return the points of a target's rows, with cells of the columns that say to whom they grant something."""
        ctes, (matches,) = self._matching_all([target])
        granted = block(
            """
            SELECT DISTINCT given.point, {who}
              FROM {matches}
            """,
            who=", ".join(self._cell(f"t.{quote(column)}") for column in who),
            matches=matches,
        )
        return [row[1:] for row in self.fetch_each([granted], ctes=ctes)]

    # What differs between databases.

    @abstractmethod
    def _key(self, expression: str) -> str:
        """Return a key as ``_spelling`` takes it."""

    @abstractmethod
    def _cell(self, expression: str) -> str:
        """Return the cell of a value."""

    @abstractmethod
    def _grouped(self, key: KeyColumn, expression: str) -> str:
        """Return an expression that is the same exactly for keys of one spelling."""

    @abstractmethod
    def _among(self, key: KeyColumn, expression: str, keys: Sequence[str], *, name: str = "keys") -> Query:
        """Return the test whether a column is one of ``keys``, which become the parameter ``name``."""

    @abstractmethod
    def _row_key(self, target: Target) -> str:
        """Return one value that identifies a row ``t`` of a target."""

    @abstractmethod
    def _rows_of_keys(self, table: Table, key: tuple[str, ...], rows: Keys) -> Query:
        """Return the join of keys ``given`` with their rows ``t``."""

    def _spelling(self, key: KeyColumn, value: Any) -> str:
        """Spell a key that a query has given as the product does."""
        return str(value)
