"""The bounded looks at rows by which columns that hold folders' keys are known: SQL and nothing else.

Note [A bounded sample]. Of each table at most ``ROWS`` rows are read: the first, and as many from anywhere (on SQLite
the last), so that old and new rows are among them; values of many kilobytes are not. A column that is empty in all of
these is not seen. The sample is the same at every look.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db.backends.base.base import BaseDatabaseWrapper

from cleanup.backends.catalogue import TableName, quoted
from cleanup.backends.conditions import Condition

#: Rows of a table that are looked at.
ROWS = 1000

#: Rows of a reference that are looked at for values that no folder has.
COUNTED_ROWS = 100_000

#: Bytes of a value, as it is stored, beyond which it is left alone.
LONGEST = 32_768

UUID = "[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"

Form = Literal["value", "list", "document", "bytes"]
KeyKind = Literal["uuid", "integer", "text"]


@dataclass(frozen=True, slots=True)
class Probed:
    """A column to look at."""

    name: str
    kind: str
    form: Form


@dataclass(frozen=True, slots=True)
class ProbedTable:
    """A table with the columns to look at."""

    name: TableName
    columns: tuple[Probed, ...]
    bytes: int | None = None
    rowid: bool = True
    """On SQLite: its last rows can be found."""


@dataclass(frozen=True, slots=True)
class Hits:
    """What the sample of one column holds."""

    table: int
    column: int
    cells: int
    """Values in which something may be a key."""
    hits: int
    """Those of them in which a folder's key is."""
    distinct: int
    """Different possible keys."""
    distinct_hits: int
    greatest_hit: int
    """Of numbers: the greatest key that is hit."""
    mentions: int
    """Hits in the midst of other text."""


class ProbeSql(ABC):
    """The looks in one dialect, at keys of one kind."""

    def __init__(
        self, connection: BaseDatabaseWrapper, folders: TableName, key: str, kind: KeyKind, *, spelled: bool
    ) -> None:
        self.connection = connection
        self.folders = folders
        self.kind = kind
        self.spelled = spelled
        """Keys are UUIDs in a column of text."""
        self.key = f"lower(replace(f.{quoted(key)}, '-', ''))" if spelled else f"f.{quoted(key)}"

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute a statement without parameters."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    @abstractmethod
    def limit(self) -> None:
        """Bound what the statements of this transaction may cost."""

    def key_lengths(self) -> tuple[int, int]:
        """Return the length of the shortest key as text, of a thousand, and the greatest key if it is a number."""
        greatest = f"(SELECT max({self.key}) FROM {self.folders.quoted} AS f)" if self.kind == "integer" else "0"
        ((shortest, highest),) = self.fetch(
            f"SELECT min(length(CAST(k AS {self._text}))), {greatest}"
            f" FROM (SELECT {self.key} AS k FROM {self.folders.quoted} AS f LIMIT {ROWS}) AS keys"
        )
        return shortest or 0, highest or 0

    def probe(self, tables: Sequence[ProbedTable]) -> list[Hits]:
        """Look at the samples of several tables together; where any hit is telling, count only columns with hits."""
        columns = {(number, place) for number, table in enumerate(tables) for place in range(len(table.columns))}
        if self.kind == "uuid":
            join = f"JOIN {self.folders.quoted} AS f ON {self.key} = {self._as_key('t.token')}"
            found = self.fetch(f"{self._samples(tables, columns)} SELECT DISTINCT tab, col FROM tokens AS t {join}")
            columns = {(number, place) for number, place in found}
        if not columns:
            return []
        found = self.fetch(
            f"{self._samples(tables, columns)}, hits AS (\n    SELECT t.*, {self.key} AS hit FROM tokens AS t"
            f" LEFT JOIN {self.folders.quoted} AS f ON {self.key} = {self._as_key('t.token')}\n), {self._counted}"
        )
        return [Hits(*row) for row in found]

    def _samples(self, tables: Sequence[ProbedTable], columns: Collection[tuple[int, int]]) -> str:
        """Take the samples that some of the columns, by their places, are in, and what may be keys in these."""
        samples = [
            f"s{number} AS MATERIALIZED (\n    {self._sample(tables[number])}\n)"
            for number in sorted({number for number, _ in columns})
        ]
        tokens = [self._tokens(number, place, tables[number].columns[place]) for number, place in sorted(columns)]
        listed = "\n    UNION ALL ".join(tokens)
        own = next((number for number, _ in columns if tables[number].name == self.folders), None)
        return (
            f"WITH {', '.join(samples)}, found(tab, col, cell, token, amid) AS (\n    {listed}\n), tokens AS (\n"
            f"    SELECT t.* FROM found AS t {'' if own is None else self._but_own_keys(own)}\n)"
        )

    def _but_own_keys(self, number: int) -> str:
        """Leave out the key of the very folder that names it: a copy of its key, as a slug may be, is no reference."""
        return (
            f"WHERE NOT EXISTS (SELECT 1 FROM s{number} AS o"
            f" WHERE t.tab = {number} AND o.cell = t.cell AND o.own_key = {self._as_key('t.token')})"
        )

    def _sampled(self, table: ProbedTable, columns: Sequence[str]) -> str:
        """List what is selected of a table, known as f: columns, and of folders their keys."""
        named = [f"{column} AS c{place}" for place, column in enumerate(columns)]
        return ", ".join([*named, f"{self.key} AS own_key"] if table.name == self.folders else named)

    @property
    def _counted(self) -> str:
        """Count by column: cells, and unless any hit is telling, different values."""
        cells = (
            "cells AS (\n    SELECT tab, col, cell, max(CASE WHEN hit IS NOT NULL THEN 1 ELSE 0 END) AS hit,"
            " max(CASE WHEN hit IS NOT NULL AND amid THEN 1 ELSE 0 END) AS amid FROM hits GROUP BY tab, col, cell\n)"
        )
        if self.kind == "uuid":
            return (
                f"{cells} SELECT tab, col, count(*), sum(hit), 0, 0, 0, sum(amid) FROM cells"
                f" GROUP BY tab, col ORDER BY tab, col"
            )
        greatest = "coalesce(max(hit), 0)" if self.kind == "integer" else "0"
        return (
            f"{cells}, held AS (\n    SELECT tab, col, count(DISTINCT token) AS tokens, count(DISTINCT hit) AS keys,"
            f" {greatest} AS greatest FROM hits GROUP BY tab, col\n)"
            f" SELECT tab, col, count(*), sum(hit), tokens, keys, greatest, sum(amid) FROM cells"
            f" JOIN held USING (tab, col) GROUP BY tab, col, tokens, keys, greatest ORDER BY tab, col"
        )

    def missing(self, table: TableName, column: str, matching: str) -> tuple[int, int]:
        """Return how many rows hold something in a column, and in how many of them it is no folder's key.

        ``matching`` compares the column ``x.column`` with the key ``d.key``. Of a large table, of its first rows.
        """
        name = quoted(column)
        ((rows, missing),) = self.fetch(
            f"SELECT count(*), count(*) - count(CASE WHEN EXISTS"
            f" (SELECT 1 FROM {self.folders.quoted} AS d WHERE {matching}) THEN 1 END)"
            f" FROM (SELECT x.{name} FROM {table.quoted} AS x WHERE x.{name} IS NOT NULL LIMIT {COUNTED_ROWS}) AS x"
        )
        return rows, missing

    def kinds(self, table: TableName, column: str, beside: str, *, hits: bool) -> list[str | None]:
        """Return the most common values of a column beside one that is filled, as text, ten at most.

        With ``hits``, beside one that holds a folder's key.
        """
        plain = "lower(replace(CAST({} AS " + self._text + "), '-', ''))"
        among = ""
        if hits:
            key, value = plain.format(self.key), plain.format("sampled.key")
            among = f" WHERE {value} IN (SELECT {key} FROM {self.folders.quoted} AS f)"
        found = self.fetch(
            f"SELECT kind FROM (SELECT CAST(x.{quoted(column)} AS {self._text}) AS kind, x.{quoted(beside)} AS key"
            f" FROM {table.quoted} AS x WHERE x.{quoted(beside)} IS NOT NULL LIMIT {COUNTED_ROWS}) AS sampled{among}"
            f" GROUP BY kind ORDER BY count(*) DESC, kind LIMIT 10"
        )
        return [kind for (kind,) in found]

    def any_row(self, table: TableName, column: str, condition: Condition | None) -> bool:
        """Return whether some row that meets the condition holds something in a column."""
        tests = [f"x.{quoted(column)} IS NOT NULL"]
        if condition is not None:
            tests.append(condition.literal("x", vendor=self.connection.vendor).replace("%%", "%"))
        return bool(self.fetch(f"SELECT 1 FROM {table.quoted} AS x WHERE {' AND '.join(tests)} LIMIT 1"))

    _text: str

    @abstractmethod
    def _sample(self, table: ProbedTable) -> str:
        """Select the sample of a table: a number of each row, ``cell``, and the columns as ``c0``, ``c1`` ..."""

    @abstractmethod
    def _tokens(self, number: int, place: int, column: Probed) -> str:
        """Select what may be a key in one column of a sample."""

    @abstractmethod
    def _as_key(self, token: str) -> str:
        """Spell a token as the folder's key is."""


def in_chunks(tables: Sequence[ProbedTable], *, size: int = 40) -> Iterator[Sequence[ProbedTable]]:
    """Yield the tables so many at a time: few statements, none of them with more parts than a database takes."""
    for start in range(0, len(tables), size):
        yield tables[start : start + size]
