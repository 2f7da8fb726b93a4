"""Locks and reads of the mapped tables.

Invariant: every method is a constant number of statements whatever the number of folders and rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from cleanup.backends.catalogue import ForeignKey, Table
from cleanup.backends.changes import Keys, Owner, RowCount, Target
from cleanup.backends.folders import live_condition
from cleanup.backends.query import Query, block, joined, quote
from cleanup.backends.session import Room
from cleanup.folder_tables import FolderTables, KeyColumn
from cleanup.planning import FolderRow


class Reading(Room, ABC):
    """One connection's reads."""

    @abstractmethod
    def serialize(self, tables: FolderTables, application: str) -> None:
        """Let one transaction after the other make folders of an application, and after a merge, not within one.

        A transaction that goes on with an older snapshot than what the one before it did (REPEATABLE READ) fails here
        with a serialization failure, since it would not see those folders. Writers of files are not waited for.
        """

    # Applications and folders.

    @abstractmethod
    def lock_applications(self, tables: FolderTables, keys: Sequence[str]) -> set[str]:
        """Lock applications in key order, and return those that exist."""

    def count_folders(self, tables: FolderTables, keys: Sequence[str]) -> dict[str, int]:
        """Return the number of folders of the applications that exist, by application."""
        counted = self.fetch(
            block(
                """
                SELECT {application}, count(f.{folder})
                  FROM {applications} AS a
                  LEFT JOIN {folders} AS f ON f.{owner} = a.{key}
                 WHERE {among}
                 GROUP BY a.{key}
                """,
                application=self._key(f"a.{quote(tables.application_key.column)}"),
                folder=quote(tables.folder_key.column),
                applications=self.model_table(tables.application_table),
                folders=self.model_table(tables.folder_table),
                owner=quote(tables.folder_application),
                key=quote(tables.application_key.column),
                among=self._among(tables.application_key, f"a.{quote(tables.application_key.column)}", keys),
            )
        )
        return {self._spelling(tables.application_key, key): count for key, count in counted}

    @abstractmethod
    def read_parents(
        self, tables: FolderTables, keys: Sequence[str], *, lock: bool
    ) -> Iterator[tuple[str, str, str | None]]:
        """Yield (application, folder, parent) of applications, in no order; locked in key order."""

    @abstractmethod
    def read_folders(
        self,
        tables: FolderTables,
        keys: Sequence[str],
        *,
        lock: bool,
        columns: Sequence[str] = (),
        near: Sequence[str] | None = None,
    ) -> dict[str, list[FolderRow]]:
        """Read the folders of applications, by application, with further columns as cells; locked in key order.

        With ``near`` only root folders, the folders so named by their keys, and what lies directly in any of these.
        """

    def _applications(self, tables: FolderTables, keys: Sequence[str], *, lock: str = "") -> Query:
        key = quote(tables.application_key.column)
        return block(
            """
            SELECT {application}
              FROM {applications}
             WHERE {among}
            {lock}
            """,
            application=self._key(key),
            applications=self.model_table(tables.application_table),
            among=self._among(tables.application_key, key, keys),
            lock=lock and f" ORDER BY {key} {lock}",
        )

    def _parents(self, tables: FolderTables, keys: Sequence[str], *, lock: str = "") -> Query:
        owner, folder, parent = map(quote, (tables.folder_application, tables.folder_key.column, tables.folder_parent))
        return block(
            """
            SELECT {columns}
              FROM {folders}
             WHERE {among}
            {lock}
            """,
            columns=", ".join(map(self._key, (owner, folder, parent))),
            folders=self.model_table(tables.folder_table),
            among=self._among(tables.application_key, owner, keys),
            lock=lock and f" ORDER BY {folder} {lock}",
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
        """Return the query of application, folder, parent, name, age, live and further columns.

        The database ranks ages: "infinity" and dates before Christ are no Python datetimes.
        """
        owner, folder, parent = map(quote, (tables.folder_application, tables.folder_key.column, tables.folder_parent))
        among = self._among(tables.application_key, owner, keys)
        return block(
            """
            SELECT {keys}, {name},
                   row_number() OVER (ORDER BY {ages}), {cells}
              FROM (
                    -- The lock is taken in a subquery: a window function may not stand beside it.
                    SELECT *
                      FROM {folders}
                     WHERE {among}
                       {nearby}
                    {lock}
                   ) AS locked
            """,
            keys=", ".join(map(self._key, (owner, folder, parent))),
            name=self._cell(quote(tables.folder_name)),
            ages=self._ages(quote(tables.folder_created), tables.folder_key),
            cells=joined(", ", [live_condition(tables, prefix=""), *(self._cell(quote(name)) for name in columns)]),
            folders=self.model_table(tables.folder_table),
            among=among,
            nearby="" if near is None else self._nearby(tables, near, among),
            lock=lock and f" ORDER BY {folder} {lock}",
        )

    def _nearby(self, tables: FolderTables, near: Sequence[str], among: Query) -> Query:
        folder, parent = quote(tables.folder_key.column), quote(tables.folder_parent)
        return block(
            """
            AND ({parent} IS NULL
                 OR {folder_is_near}
                 OR {parent_is_near}
                 OR {parent} IN (SELECT {folder} FROM {folders} WHERE {among} AND {parent} IS NULL))
            """,
            parent=parent,
            folder_is_near=self._among(tables.folder_key, folder, near, name="near"),
            parent_is_near=self._among(tables.folder_key, parent, near, name="near"),
            folder=folder,
            folders=self.model_table(tables.folder_table),
            among=among,
        )

    # Rows that a change would move.

    def count_rows(self, targets: Sequence[Target]) -> list[RowCount]:
        """Count the rows that hold an old value of their target, in one statement."""
        counted = self.fetch_each(
            block(
                "SELECT given.point, count(*) FROM {matches} GROUP BY given.point",
                matches=self.matching(target, number=number),
            )
            for number, target in enumerate(targets)
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

    # What differs between databases.

    @abstractmethod
    def _key(self, expression: str) -> str:
        """Return a key as ``_spelling`` takes it."""

    @abstractmethod
    def _cell(self, expression: str) -> str:
        """Return the cell of a value."""

    @abstractmethod
    def _ages(self, created: str, key: KeyColumn) -> str:
        """Return the order of folders from the oldest to the youngest."""

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
