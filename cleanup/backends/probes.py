"""The SQL of the bounded samples by which columns that hold folders' keys are found.

Note [A bounded sample]. Of each table at most ``ROWS`` rows are read: the first, and as many from anywhere (on SQLite
the last), so that old and new rows are among them; values of many kilobytes are skipped. A column that is empty in all
of these is not seen. The sample is the same every time.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cleanup.backends.catalogue import TableName
from cleanup.backends.conditions import Condition
from cleanup.backends.query import Query, block, joined, quote
from cleanup.backends.session import Session

#: Rows of a table that are examined.
ROWS = 1000

#: Rows of a reference that are examined for values that no folder has.
COUNTED_ROWS = 100_000

#: Stored bytes of a value beyond which it is skipped.
LONGEST = 32_768

#: With underscores where labels of an ``ltree`` may hold no hyphens.
UUID = "[0-9a-f]{8}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{12}"

Form = Literal["value", "list", "document", "bytes"]
KeyKind = Literal["uuid", "integer", "text"]


@dataclass(frozen=True, slots=True)
class Probed:
    """A column to examine."""

    name: str
    kind: str
    form: Form


@dataclass(frozen=True, slots=True)
class ProbedTable:
    """A table with the columns to examine."""

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
    """Hits within other text."""


class ProbeSql(ABC):
    """The samples in one dialect, for keys of one kind."""

    def __init__(self, session: Session, folders: TableName, key: str, kind: KeyKind, *, spelled: bool) -> None:
        self.session = session
        self.folder_table = folders
        self.folders = session.relation(folders)
        self.kind = kind
        self.spelled = spelled
        """Keys are UUIDs in a column of text."""
        self.key = f"lower(replace(f.{quote(key)}, '-', ''))" if spelled else f"f.{quote(key)}"

    @abstractmethod
    def limit(self) -> None:
        """Limit the cost of this transaction's statements."""

    def key_lengths(self) -> tuple[int, int]:
        """Return the length of the shortest key as text, of a thousand, and the greatest key if it is a number."""
        ((shortest, greatest),) = self.session.fetch(
            block(
                """
                SELECT min(length(CAST(k AS text))), {greatest}
                  FROM (SELECT {key} AS k FROM {folders} AS f LIMIT {rows}) AS keys
                """,
                greatest=f"(SELECT max({self.key}) FROM {self.folders} AS f)" if self.kind == "integer" else "0",
                key=self.key,
                folders=self.folders,
                rows=ROWS,
            )
        )
        return shortest or 0, greatest or 0

    def probe(self, tables: Sequence[ProbedTable]) -> list[Hits]:
        """Examine the samples of several tables together; if any hit is conclusive, count only columns with hits."""
        columns = {(number, place) for number, table in enumerate(tables) for place in range(len(table.columns))}
        if self.kind == "uuid":
            columns = set(self.session.fetch(self._hit_columns(tables, columns)))
        return [Hits(*row) for row in self.session.fetch(self._hits(tables, columns))] if columns else []

    def _hit_columns(self, tables: Sequence[ProbedTable], columns: Collection[tuple[int, int]]) -> Query:
        return block(
            """
            WITH {tokens}
            SELECT DISTINCT tab, col
              FROM tokens AS t
              JOIN {folder}
            """,
            tokens=self._tokens_of(tables, columns),
            folder=self._folder_of_token,
        )

    def _hits(self, tables: Sequence[ProbedTable], columns: Collection[tuple[int, int]]) -> Query:
        counted = self.kind != "uuid"  # any hit of a UUID is conclusive
        return block(
            """
            WITH {tokens}, hits AS (
                SELECT t.*, {key} AS hit
                  FROM tokens AS t
                  LEFT JOIN {folder}
            ), cells AS (
                SELECT tab, col, cell, max(CASE WHEN hit IS NOT NULL THEN 1 ELSE 0 END) AS hit,
                       max(CASE WHEN hit IS NOT NULL AND amid THEN 1 ELSE 0 END) AS amid
                  FROM hits
                 GROUP BY tab, col, cell
            ), held AS (
                SELECT tab, col, {distinct_tokens} AS tokens, {distinct_keys} AS keys, {greatest} AS greatest
                  FROM hits
                 GROUP BY tab, col
            )
            SELECT tab, col, count(*), sum(hit), tokens, keys, greatest, sum(amid)
              FROM cells
              JOIN held USING (tab, col)
             GROUP BY tab, col, tokens, keys, greatest
             ORDER BY tab, col
            """,
            tokens=self._tokens_of(tables, columns),
            key=self.key,
            folder=self._folder_of_token,
            distinct_tokens="count(DISTINCT token)" if counted else "0",
            distinct_keys="count(DISTINCT hit)" if counted else "0",
            greatest="coalesce(max(hit), 0)" if self.kind == "integer" else "0",
        )

    @property
    def _folder_of_token(self) -> str:
        return f"{self.folders} AS f ON {self.key} = {self._as_key('t.token')}"

    def _tokens_of(self, tables: Sequence[ProbedTable], columns: Collection[tuple[int, int]]) -> Query:
        """Take the samples that some of the columns, by their places, are in, and what may be keys in these."""
        samples = [
            block("s{number} AS MATERIALIZED (\n    {sample}\n)", number=number, sample=self._sample(tables[number]))
            for number in sorted({number for number, _ in columns})
        ]
        tokens = [self._tokens(number, place, tables[number].columns[place]) for number, place in sorted(columns)]
        own = [number for number, _ in columns if tables[number].name == self.folder_table]
        return block(
            """
            {samples}, found(tab, col, cell, token, amid) AS (
                {tokens}
            ), tokens AS (
                SELECT t.*
                  FROM found AS t
                 {but_own_keys}
            )
            """,
            samples=joined(", ", samples),
            tokens=joined("\nUNION ALL\n", tokens),
            but_own_keys=self._but_own_keys(own[0]) if own else "",
        )

    def _but_own_keys(self, number: int) -> Query:
        """Leave out a folder's own key: a copy of its key, as a slug may be, is not a reference."""
        return block(
            """
            WHERE NOT EXISTS (SELECT 1
                                FROM s{number} AS o
                               WHERE t.tab = {number} AND o.cell = t.cell AND o.own_key = {token})
            """,
            number=number,
            token=self._as_key("t.token"),
        )

    def _sample(self, table: ProbedTable) -> Query:
        """Select the sample of a table: a number of each row, ``cell``, and the columns as ``c0``, ``c1`` ..."""
        return block(
            """
            SELECT row_number() OVER () AS cell, x.*
              FROM (SELECT {columns} FROM {table} AS f LIMIT {rows}) AS x
            """,
            columns=self._columns(table),
            table=self.session.relation(table.name),
            rows=ROWS,
        )

    def _columns(self, table: ProbedTable) -> str:
        """List what is selected of a table, known as f: columns, and of folders their keys."""
        named = [f"{self._cell(column)} AS c{place}" for place, column in enumerate(table.columns)]
        return ", ".join([*named, f"{self.key} AS own_key"] if table.name == self.folder_table else named)

    def missing(self, table: TableName, column: str, matching: str, *, none: str = "") -> tuple[int, int]:
        """Return how many rows hold something in a column, and in how many of them it is not a folder's key.

        ``matching`` compares the column ``x.column`` with the key ``d.key``; ``none`` tests whether it names none, as
        null does. Of a large table, of its first rows.
        """
        ((rows, missing),) = self.session.fetch(
            block(
                """
                SELECT count(*),
                       count(*) - count(CASE WHEN EXISTS (SELECT 1 FROM {folders} AS d WHERE {matching}) THEN 1 END)
                  FROM (SELECT x.{column} FROM {table} AS x WHERE x.{column} IS NOT NULL {named} LIMIT {rows}) AS x
                """,
                folders=self.folders,
                matching=matching,
                column=quote(column),
                table=self.session.relation(table),
                named=none and f"AND NOT ({none})",
                rows=COUNTED_ROWS,
            )
        )
        return rows, missing

    def kinds(self, table: TableName, column: str, beside: str, *, hits: bool) -> list[str | None]:
        """Return the most common values of a column beside one that is filled, as text, ten at most.

        With ``hits``, beside one that holds a folder's key.
        """
        digits = "lower(replace(CAST({} AS text), '-', ''))".format
        among = f"WHERE {digits('sampled.key')} IN (SELECT {digits(self.key)} FROM {self.folders} AS f)"
        found = self.session.fetch(
            block(
                """
                SELECT kind
                  FROM (SELECT CAST(x.{column} AS text) AS kind, x.{beside} AS key
                          FROM {table} AS x
                         WHERE x.{beside} IS NOT NULL
                         LIMIT {rows}) AS sampled
                 {among}
                 GROUP BY kind
                 ORDER BY count(*) DESC, kind
                 LIMIT 10
                """,
                column=quote(column),
                beside=quote(beside),
                table=self.session.relation(table),
                rows=COUNTED_ROWS,
                among=among if hits else "",
            )
        )
        return [kind for (kind,) in found]

    def kinds_of_keys(self, table: TableName, column: str, beside: str) -> list[tuple[str, int, int, int]]:
        """Return, of the most common values of a column, as text, what the column beside it holds in such rows.

        That is how many different values, how many of these are folders' keys, and the greatest such key.
        """
        return self.session.fetch(
            block(
                """
                SELECT kind, count(DISTINCT token), count(DISTINCT hit), coalesce(max(hit), 0)
                  FROM (SELECT t.kind, t.token, {key} AS hit
                          FROM (SELECT CAST(x.{column} AS text) AS kind, CAST(x.{beside} AS text) AS token
                                  FROM {table} AS x
                                 WHERE x.{beside} IS NOT NULL AND x.{column} IS NOT NULL
                                 LIMIT {rows}) AS t
                          LEFT JOIN {folder}) AS told
                 GROUP BY kind
                 ORDER BY count(*) DESC, kind
                 LIMIT 10
                """,
                key=self.key,
                column=quote(column),
                beside=quote(beside),
                table=self.session.relation(table),
                folder=self._folder_of_token,
                rows=10 * ROWS,
            )
        )

    def any_row(self, table: TableName, column: str, condition: Condition | None) -> bool:
        """Return whether some row that meets the condition holds something in a column."""
        return bool(
            self.session.fetch(
                block(
                    "SELECT 1 FROM {table} AS x WHERE x.{column} IS NOT NULL AND {condition} LIMIT 1",
                    table=self.session.relation(table),
                    column=quote(column),
                    condition=condition.sql("x", vendor=self.session.vendor) if condition else "1 = 1",
                )
            )
        )

    def _cell(self, column: Probed) -> str:
        """Return the part of a column that is examined."""
        return quote(column.name)

    @abstractmethod
    def _tokens(self, number: int, place: int, column: Probed) -> Query:
        """Select what may be a key in one column of a sample."""

    @abstractmethod
    def _as_key(self, token: str) -> str:
        """Spell a token as the folder's key is."""


def in_chunks(tables: Sequence[ProbedTable], *, size: int = 40) -> Iterator[Sequence[ProbedTable]]:
    """Yield the tables in chunks: few statements, none of them with more parts than a database accepts."""
    for start in range(0, len(tables), size):
        yield tables[start : start + size]
