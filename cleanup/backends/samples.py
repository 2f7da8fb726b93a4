"""A bounded sample of the folder table's values: what its columns hold, and how a child's relate to its parent's.

Invariants: nothing is written or locked. Rows are taken from both ends of the folder key, by its index, so that the
time does not grow with the table; what is read of a value is bounded as well.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from cleanup.backends.catalogue import Table
from cleanup.backends.folders import FolderSql
from cleanup.backends.query import Query, block, joined, quote
from cleanup.backends.references import Reference

#: Characters of a value that are read.
LONGEST = 1000

#: Folders and files of one folder that are counted.
MOST_COUNTED = 10_000

#: Rows searched for those with a parent, as a multiple of those that are wanted.
_BREADTH = 20


class SampleSql(ABC):
    """The statements on one connection's folder table."""

    def __init__(self, sql: FolderSql, folders: Table) -> None:
        self.sql = sql
        self.folders = sql.session.relation(folders.name)
        #: The table itself, in the slots of a block.
        self._table = {"folders": self.folders, "parent": sql.held_parent}
        self.name = folders.name

    def values(self, column: str, *, rows: int, most: int) -> dict[str | None, int]:
        """Return the most frequent values of a column, as text, with how often each occurs in the sample."""
        sampled = self._both_ends(
            """
            SELECT *
              FROM (SELECT f.{folder_key} AS folder, {value} AS value
                      FROM {folders} AS f
                     ORDER BY f.{folder_key} {direction}
                     LIMIT {half}) AS {end}
            """,
            value=self._text(f"f.{quote(column)}"),
            half=rows // 2,
        )
        found = self.sql.fetch(
            block(
                """
                SELECT value, count(*)
                  FROM (
                    {sampled}
                  ) AS sampled
                 GROUP BY value
                 ORDER BY count(*) DESC, value
                 LIMIT {most}
                """,
                sampled=sampled,
                most=most,
            )
        )
        return {self._read(value): count for value, count in found}

    def families(self, columns: Sequence[str], *, rows: int, only_live: bool = False) -> list[tuple[str | None, ...]]:
        """Return folders with a parent: key, parent, name, parent's name, then each column's value and the parent's.

        Everything is text; keys are as the product spells them.
        """
        key, names = self.sql.tables.folder_key, [self.sql.name, *map(quote, columns)]
        children = self._both_ends(
            """
            SELECT *
              FROM (SELECT f.{folder_key} AS folder, f.{parent} AS parent, {values}
                      FROM (SELECT * FROM {folders} AS t ORDER BY t.{folder_key} {direction} LIMIT {breadth}) AS f
                     WHERE f.{parent} IS NOT NULL AND f.{parent} <> f.{folder_key} AND {live}
                     LIMIT {half}) AS {end}
            """,
            live=self.sql.live("f.") if only_live else "true",
            values=", ".join(f"{self._text(f'f.{name}')} AS c{place}" for place, name in enumerate(names)),
            breadth=rows * _BREADTH,
            half=rows // 2,
        )
        found = self.sql.fetch(
            self.sql.block(
                """
                SELECT {child}, {parent_key}, {pairs}
                  FROM (
                    {children}
                  ) AS c
                  JOIN {folders} AS p ON p.{folder_key} = c.parent
                """,
                child=self.sql.text(key, "c.folder"),
                parent_key=self.sql.text(key, "c.parent"),
                pairs=", ".join(f"c.c{place}, {self._text(f'p.{name}')}" for place, name in enumerate(names)),
                children=children,
                folders=self.folders,
            )
        )
        return [(*keys, *map(self._read, values)) for *keys, values in ((*row[:2], row[2:]) for row in found)]

    def contents(self, columns: Sequence[str], *, rows: int) -> list[tuple[int, int, tuple[str | None, ...]]]:
        """Return of some folders how many folders and files lie right in each, and its columns' values as text."""
        sampled = self._both_ends(
            """
            SELECT *
              FROM (SELECT f.{folder_key} AS folder, {values}
                      FROM {folders} AS f
                     ORDER BY f.{folder_key} {direction}
                     LIMIT {half}) AS {end}
            """,
            values=", ".join(f"{self._text(f'f.{quote(name)}')} AS c{place}" for place, name in enumerate(columns)),
            half=rows // 2,
        )
        within = {"folders": f"c.{self._table['parent']} = s.folder AND c.{self.sql.folder_key} <> s.folder"}
        if self.sql.tables.file is not None:
            within["files"] = self.sql.files_of(f"c.{self.sql.file_folder}", "s.folder")
        counted = [
            block(
                "(SELECT count(*) FROM (SELECT 1 FROM {table} AS c WHERE {within} LIMIT {most}) AS c)",
                table=table,
                within=within[what],
                most=MOST_COUNTED,
            )
            if what in within
            else Query("0")
            for what, table in (("folders", self.folders), ("files", self.sql.files))
        ]
        found = self.sql.fetch(
            block(
                """
                SELECT {counted}, {values}
                  FROM (
                    {sampled}
                  ) AS s
                """,
                counted=joined(", ", counted),
                values=", ".join(f"s.c{place}" for place in range(len(columns))),
                sampled=sampled,
            )
        )
        return [(of_folders, of_files, tuple(map(self._read, values))) for of_folders, of_files, *values in found]

    def any_row(self, reference: Reference, *, mark: str = "", unset: Collection[str] = ()) -> bool:
        """Return whether a row refers to a folder and, if ``mark`` is a column, holds something not ``unset`` in it."""
        conditions = [f"x.{quote(column)} IS NOT NULL" for column in reference.columns]
        if reference.condition is not None:
            conditions.append(reference.condition.literal("x", vendor=self.sql.session.vendor))
        if mark:
            texts = ", ".join(f"'{text}'" for text in unset)
            conditions.append(f"lower(CAST(x.{quote(mark)} AS text)) NOT IN ({texts})")
        return bool(
            self.sql.fetch(
                block(
                    "SELECT 1 FROM {table} AS x WHERE {conditions} LIMIT 1",
                    table=self.sql.session.relation(reference.table),
                    conditions=" AND ".join(conditions),
                )
            )
        )

    def _both_ends(self, text: str, **slots: str | int | Query) -> Query:
        """Take rows from both ends of the folder key."""
        ends = (("lowest", "ASC"), ("highest", "DESC"))
        return joined(
            "\nUNION\n",
            [self.sql.block(text, **self._table, end=end, direction=direction, **slots) for end, direction in ends],
        )

    def enum_labels(self) -> dict[str, list[str]]:
        """Return the labels of each column of an enumerated type."""
        return {}

    def _read(self, value: str | None) -> str | None:
        """Return the text of a value that ``_text`` selects."""
        return value

    @abstractmethod
    def _text(self, expression: str) -> str:
        """Return the beginning of a value as text."""
