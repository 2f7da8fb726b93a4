"""A bounded look at the folder table's values: what its columns hold, and how a child's relate to its parent's.

Invariants: nothing is written or locked. Rows are taken from both ends of the folder key, by its index, so that the
time does not grow with the table; what is read of a value is bounded as well.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from cleanup.backends.catalogue import Table
from cleanup.backends.folders import FolderSql
from cleanup.backends.query import Query, quote

#: Characters of a value that are read.
LONGEST = 1000

#: Rows looked through for those with a parent, as a multiple of those that are wanted.
_BREADTH = 20


class SampleSql(ABC):
    """The statements on one connection's folder table."""

    def __init__(self, sql: FolderSql, folders: Table) -> None:
        self.sql = sql
        self.relation = sql.session.relation(folders.name)
        self.name = folders.name

    def values(self, column: str, *, rows: int, most: int) -> dict[str | None, int]:
        """Return the most frequent values of a column, as text, with how often each occurs in the sample."""
        key, value = self.sql.folder_key, self._text(f"f.{quote(column)}")
        slices = [
            f"""
            SELECT * FROM (
                SELECT f.{key} AS folder, {value} AS value
                  FROM {self.relation} AS f
                 ORDER BY f.{key} {direction} LIMIT {rows // 2}
            ) AS {end}"""
            for end, direction in _ENDS
        ]
        found = self.sql.fetch(
            Query(f"""
            SELECT value, count(*)
              FROM ({" UNION ".join(slices)}) AS sampled
             GROUP BY value
             ORDER BY count(*) DESC, value
             LIMIT {most}""")
        )
        return {self._read(value): count for value, count in found}

    def families(self, columns: Sequence[str], *, rows: int) -> list[tuple[str | None, ...]]:
        """Return folders with a parent: key, parent, name, parent's name, then each column's value and the parent's.

        Everything is text; keys are as the product spells them.
        """
        sql = self.sql
        tables = sql.tables
        cut = ", ".join(f"{self._text(f'f.{quote(column)}')} AS c{place}" for place, column in enumerate(columns))
        slices = [
            f"""
            SELECT * FROM (
                SELECT f.{sql.folder_key} AS folder, f.{sql.parent} AS parent,
                       {self._text(f"f.{sql.name}")} AS name, {cut}
                  FROM (SELECT * FROM {self.relation} AS t ORDER BY t.{sql.folder_key} {direction}
                         LIMIT {rows * _BREADTH}) AS f
                 WHERE f.{sql.parent} IS NOT NULL AND f.{sql.parent} <> f.{sql.folder_key}
                 LIMIT {rows // 2}
            ) AS {end}"""
            for end, direction in _ENDS
        ]
        pairs = ", ".join(f"c.c{place}, {self._text(f'p.{quote(column)}')}" for place, column in enumerate(columns))
        found = sql.fetch(
            Query(f"""
            SELECT {sql.text(tables.folder_key, "c.folder")}, {sql.text(tables.folder_key, "c.parent")},
                   c.name, {self._text(f"p.{sql.name}")}, {pairs}
              FROM ({" UNION ".join(slices)}) AS c
              JOIN {self.relation} AS p ON p.{sql.folder_key} = c.parent""")
        )
        return [(*keys, *map(self._read, values)) for *keys, values in ((*row[:2], row[2:]) for row in found)]

    def enum_labels(self) -> dict[str, list[str]]:
        """Return the labels of each column of an enumerated type."""
        return {}

    def _read(self, value: str | None) -> str | None:
        """Return the text of a value that ``_text`` selects."""
        return value

    @abstractmethod
    def _text(self, expression: str) -> str:
        """Return the beginning of a value as text."""


_ENDS = (("lowest", "ASC"), ("highest", "DESC"))
