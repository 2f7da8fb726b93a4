"""SQLite's catalogue, read through its pragmas as table-valued functions: one statement for all tables.

What no pragma reports (the text of expressions, predicates and triggers) is read from the stored SQL by tokens. Names
of tables and columns are compared without regard to the case of ASCII letters, as SQLite does.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper

from cleanup import conf
from cleanup.backends import catalogue
from cleanup.backends.catalogue import (
    Action,
    Check,
    Column,
    ForeignKey,
    PlacedColumn,
    Table,
    TableName,
    Trigger,
    UniqueKey,
)
from cleanup.backends.query import quote, quoted
from cleanup.guard_names import TRIGGERS

_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master"

#: Pragmas read the columns of ordinary tables; a virtual table's module may not be there.
_ORDINARY = "m.type = 'table' AND upper(substr(ltrim(m.sql), 1, 14)) <> 'CREATE VIRTUAL'"

_COLUMNS = f"""
SELECT m.name, c.name, c.type, c."notnull", c.hidden, c.pk, c.cid + 1
  FROM sqlite_master m JOIN pragma_table_xinfo(m.name) c
 WHERE {_ORDINARY} ORDER BY m.name, c.cid
"""

_FOREIGN_KEYS = f"""
SELECT m.name, k.id, k."table", k."from", k."to", k.on_delete, k.on_update
  FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) k
 WHERE {_ORDINARY} ORDER BY m.name, k.id, k.seq
"""

_INDEXES = f"""
SELECT m.name, l.name, l."unique", l.origin, l.partial, x.name, x.coll
  FROM sqlite_master m JOIN pragma_index_list(m.name) l JOIN pragma_index_xinfo(l.name) x
 WHERE {_ORDINARY} AND x."key" = 1 AND m.name IN (SELECT value FROM json_each(%(names)s))
 ORDER BY m.name, l.name, x.seqno
"""

_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))"""
    r"""|(?P<string>'(?:[^']|'')*')"""
    r"""|(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])"""
    r"""|(?P<word>[^\W\d][\w$]*)"""
    r"""|(?P<other>\d[\w.]*|.)""",
    re.DOTALL,
)


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Read:
    """What a connection has read of a schema."""

    raw: object
    """Django's connection may have opened another one since, to another file."""
    version: tuple[Any, ...]
    parts: dict[object, Any] = field(default_factory=dict)


_read: MutableMapping[BaseDatabaseWrapper, _Read] = WeakKeyDictionary()


class Catalogue(catalogue.Catalogue):
    """The catalogue behind one connection to SQLite 3.35 or newer: a statement per subject.

    Read once per instance, and again by the next instance only if the schema has changed.
    """

    def _once(self, part: object, read: Callable[[], T]) -> T:
        """Return a part of the schema, as this connection has read it since the schema last changed.

        Every change gives the schema another version, for all connections and for good; but within a transaction it may
        yet be undone, and the next change get the same version. There nothing is kept, or taken from what was.
        """
        self._connection.ensure_connection()
        raw = self._connection.connection
        if raw.in_transaction:
            return read()
        with self._connection.wrap_database_errors:
            # What is temporary belongs to the connection, and hides what has the same name.
            version = tuple(raw.execute(f"PRAGMA {which}.schema_version").fetchone() for which in ("main", "temp"))
        known = _read.get(self._connection)
        if known is None or known.raw is not raw or known.version != version:
            known = _read[self._connection] = _Read(raw, version)
        if part not in known.parts:
            known.parts[part] = read()
        return cast("T", known.parts[part])

    @cached_property
    def _schema(self) -> list[tuple[str, str, str, str | None]]:
        return self._once("schema", lambda: self._fetch(_SCHEMA))

    @cached_property
    def _kinds(self) -> dict[TableName, str]:
        """Every table and view with its kind; ``shadow``: a virtual table keeps its rows in it."""
        kinds = {
            TableName("", name): "virtual" if _words(sql or "")[1:2] == ("VIRTUAL",) else kind
            for kind, name, _, sql in self._schema
            if kind in {"table", "view"}
        }
        shadows = tuple(f"{table.name}_" for table, kind in kinds.items() if kind == "virtual")
        return {table: "shadow" if table.name.startswith(shadows) else kind for table, kind in kinds.items()}

    @cached_property
    def _names(self) -> dict[str, TableName]:
        return {_fold(table.name): table for table in self._kinds}

    @cached_property
    def _columns(self) -> dict[TableName, list[tuple[Column, int]]]:
        """The columns of every ordinary table, each with its place in the primary key, from 1 (0: none)."""
        return self._once("columns", self._read_columns)

    def _read_columns(self) -> dict[TableName, list[tuple[Column, int]]]:
        columns = {}
        for name, rows in groupby(self._fetch(_COLUMNS), key=lambda row: row[0]):
            table = TableName("", name)
            group = list(rows)
            never_null = self._key_is_never_null(table, group)
            columns[table] = [
                (
                    Column(
                        column,
                        kind,
                        not_null=bool(not_null) or (bool(place) and never_null),
                        generated=hidden in {2, 3},
                        number=number,
                        base=affinity(kind),
                    ),
                    place,
                )
                for _, column, kind, not_null, hidden, place, number in group
            ]
            if any(column.generated for column, _ in columns[table]):
                columns[table] = self._with_expressions(table, columns[table])
        return columns

    def _with_expressions(self, table: TableName, columns: list[tuple[Column, int]]) -> list[tuple[Column, int]]:
        """Add what generated columns are computed from."""
        names = [column.name for column, _ in columns]
        expressions = {
            _fold(name): expression
            for name, keyword, expression in _table_parts(self._tables_sql.get(table.name, ""))
            if keyword == "AS"
        }
        return [
            (
                replace(
                    column,
                    expression=(expression := expressions.get(_fold(column.name), "")),
                    computed_from=frozenset(_mentioned(expression, names)),
                )
                if column.generated
                else column,
                place,
            )
            for column, place in columns
        ]

    @cached_property
    def _tables_sql(self) -> dict[str, str]:
        return {name: sql or "" for kind, name, _, sql in self._schema if kind == "table"}

    def _checks(self, table: TableName) -> Iterator[Check]:
        names = [column.name for column, _ in self._columns.get(table, ())]
        for name, keyword, expression in _table_parts(self._tables_sql.get(table.name, "")):
            if keyword == "CHECK":
                yield Check(name or "CHECK", tuple(_mentioned(expression, names)), expression)

    def _key_is_never_null(self, table: TableName, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Return whether the primary key is the rowid, or the table has no rowid: otherwise SQLite allows nulls."""
        key_types = [kind for _, _, kind, _, _, place, _ in rows if place]
        return [kind.upper() for kind in key_types] == ["INTEGER"] or table in self._without_rowid

    @cached_property
    def _without_rowid(self) -> frozenset[TableName]:
        return frozenset(
            TableName("", name)
            for kind, name, _, sql in self._schema
            if kind == "table" and "WITHOUT" in (tail := _words(sql or "", after_last=")")) and "ROWID" in tail
        )

    def resolve_all(self, names: Iterable[str]) -> dict[str, TableName]:
        spelled = {name: _fold(name.strip('"')) for name in names}
        return {name: self._names[folded] for name, folded in spelled.items() if folded in self._names}

    def column_names(self, tables: Iterable[TableName]) -> dict[TableName, dict[str, str]]:
        return {table: self._spelled[table] for table in tables if table in self._spelled}

    @cached_property
    def _spelled(self) -> dict[TableName, dict[str, str]]:
        return self._once("spelled", self._read_spelled)

    def _read_spelled(self) -> dict[TableName, dict[str, str]]:
        return {
            table: {_fold(column.name): column.name for column, _ in columns}
            for table, columns in self._columns.items()
        }

    def column_spelling(self, column: str) -> str:
        return _fold(column)

    def foreign_keys(self) -> Sequence[ForeignKey]:
        return self._foreign_keys

    @cached_property
    def _foreign_keys(self) -> tuple[ForeignKey, ...]:
        ((enforced,),) = self._fetch("PRAGMA foreign_keys")
        return self._once(("foreign keys", enforced), lambda: self._read_foreign_keys(enforced=bool(enforced)))

    def _read_foreign_keys(self, *, enforced: bool) -> tuple[ForeignKey, ...]:
        keys = []
        for (name, number), rows in groupby(self._fetch(_FOREIGN_KEYS), key=lambda row: (row[0], row[1])):
            key = self._foreign_key(TableName("", name), number, list(rows), enforced=enforced)
            if key is not None:
                keys.append(key)
        return tuple(keys)

    def _foreign_key(
        self, table: TableName, number: int, rows: Sequence[tuple[Any, ...]], *, enforced: bool
    ) -> ForeignKey | None:
        _, _, target_name, _, _, on_delete, on_update = rows[0]
        target = self._names.get(_fold(target_name))
        if target is None or target not in self._columns:
            return None
        primary = [column.name for column, place in sorted(self._columns[target], key=_place) if place]
        own, other = self._spelled[table], self._spelled[target]
        columns = [own[_fold(row[3])] for row in rows]
        # Without a column list a foreign key means the primary key; one of another width matches nothing.
        named = [row[4] for row in rows]
        targets = primary if None in named else [other.get(_fold(column), column) for column in named]
        if len(targets) != len(columns):
            return None
        return ForeignKey(
            name=f"{table.name}_fk{number}",
            table=table,
            columns=tuple(columns),
            target=target,
            target_columns=tuple(targets),
            on_delete=cast("Action", on_delete.lower()),
            on_update=cast("Action", on_update.lower()),
            deferrable=True,  # by PRAGMA defer_foreign_keys
            enforced=enforced,
        )

    def describe(self, tables: Iterable[TableName]) -> dict[TableName, Table]:
        wanted = sorted(set(tables) & set(self._kinds))
        ordinary = [table for table in wanted if table in self._columns]
        indexes = self._read_indexes(ordinary)
        estimates = self._estimate(ordinary)
        described = {}
        for table in wanted:
            serving = tuple(index.plain_columns for index in indexes.get(table, ()) if index.serves_equality)
            described[table] = Table(
                name=table,
                columns=tuple(column for column, _ in self._columns.get(table, ())),
                uniques=tuple(self._uniques(table, indexes.get(table, ()))),
                checks=tuple(self._checks(table)),
                triggers=tuple(self._triggers(table)),
                indexed_columns=frozenset(columns[0] for columns in serving),
                indexes=serving,
                estimated_rows=estimates.get(table, 0),
                kind=self._kinds[table],
            )
        return _with_key_indexes(described)

    def describe_columns(self, tables: Iterable[TableName]) -> dict[TableName, Table]:
        return {
            table: Table(name=table, columns=tuple(column for column, _ in self._columns.get(table, ())))
            for table in set(tables) & set(self._kinds)
        }

    def _read_indexes(self, tables: Sequence[TableName]) -> dict[TableName, list["_Index"]]:
        if not tables:
            return {}
        sql = {name: text for kind, name, _, text in self._schema if kind == "index"}
        names = json.dumps([table.name for table in tables])
        rows = self._once(("indexes", names), lambda: self._fetch(_INDEXES, names=names))
        indexes: dict[TableName, list[_Index]] = {}
        for (table_name, name), group in groupby(rows, key=lambda row: (row[0], row[1])):
            parts = list(group)
            table = TableName("", table_name)
            _, _, unique, origin, partial, _, _ = parts[0]
            indexes.setdefault(table, []).append(
                _Index(
                    name=name,
                    unique=bool(unique),
                    primary=origin == "pk",
                    partial=bool(partial),
                    columns=tuple(row[5] for row in parts),
                    collations=tuple(row[6] for row in parts),
                    sql=sql.get(name) or "",
                )
            )
        return indexes

    def _uniques(self, table: TableName, indexes: Sequence["_Index"]) -> Iterator[UniqueKey]:
        columns = self._columns.get(table, [])
        primary = tuple(column.name for column, place in sorted(columns, key=_place) if place)
        if primary:
            key = UniqueKey(f"{table.name}_pkey", primary, tuple(quoted(column) for column in primary), primary=True)
            index = next((index for index in indexes if index.primary), None)
            if index is not None and set(index.collations) != {"BINARY"}:
                key = replace(index.as_unique_key(primary), name=key.name, primary=True)
            yield key
        for index in indexes:
            if index.unique and not index.primary:
                yield index.as_unique_key([column.name for column, _ in columns])

    def _triggers(self, table: TableName) -> Iterator[Trigger]:
        for kind, name, table_name, sql in self._schema:
            # Our guards are constraints in all but form.
            if kind == "trigger" and name not in TRIGGERS and _fold(table_name) == _fold(table.name):
                event, columns = _trigger_event(sql or "")
                spelled = {_fold(column.name): column.name for column, _ in self._columns.get(table, ())}
                yield Trigger(
                    name, table, frozenset({event}), frozenset(spelled.get(_fold(column), column) for column in columns)
                )

    def _estimate(self, tables: Sequence[TableName]) -> dict[TableName, int]:
        """Count rows, but no further than what counts as a large table; beyond, the largest rowid is as good."""
        if not tables:
            return {}
        limit = conf.large_table() + 1
        selects = []
        for table in tables:
            counted = f"(SELECT count(*) FROM (SELECT 1 FROM {quote(table.name)} LIMIT {limit}))"
            beyond = "0" if table in self._without_rowid else f"(SELECT max(rowid) FROM {quote(table.name)})"
            selects.append(f"CASE WHEN {counted} < {limit} THEN {counted} ELSE max({limit}, {beyond}) END")
        counts = [
            count
            for start in range(0, len(selects), 500)
            for count in self._fetch(f"SELECT {', '.join(selects[start : start + 500])}")[0]
        ]
        return dict(zip(tables, counts, strict=True))

    def all_columns(self, *, containing: Collection[str] | None = None) -> Sequence[PlacedColumn]:
        # One pattern for all the words: there are as many columns as in the whole database.
        words = () if containing is None else sorted(re.escape(word.lower()) for word in containing)
        contains = re.compile("|".join(words)).search
        return [
            PlacedColumn(
                table,
                column,
                base=column.type,
                sole_key=bool(place) and sum(number > 0 for _, number in columns) == 1,
                rowid=table not in self._without_rowid,
                shadow=self._kinds[table] == "shadow",
            )
            for table, columns in self._columns.items()
            for column, place in columns
            if containing is None or (words and contains(column.name.lower()))
        ]


@dataclass(frozen=True, slots=True)
class _Index:
    """An index by its key parts; a part without a column name is an expression."""

    name: str
    unique: bool
    primary: bool
    partial: bool
    columns: tuple[str | None, ...]
    collations: tuple[str, ...]
    sql: str

    @property
    def plain_columns(self) -> tuple[str, ...]:
        """The plain columns before the first expression."""
        leading: list[str] = []
        for column in self.columns:
            if column is None:
                break
            leading.append(column)
        return tuple(leading)

    @property
    def serves_equality(self) -> bool:
        """Return whether equality on the leading columns can use this index."""
        if not self.plain_columns or self.collations[0] != "BINARY":
            return False
        if not self.partial:
            return True
        _, predicate = _index_parts(self.sql)
        words = [text for _, text in _tokens(predicate or "") if text not in "()"]
        column, rest = words[:1], [word.upper() for word in words[1:]]
        is_not_null = rest in (["IS", "NOT", "NULL"], ["NOTNULL"], ["NOT", "NULL"])
        return is_not_null and _fold(_unquote(column[0])) == _fold(self.plain_columns[0])

    def as_unique_key(self, table_columns: Sequence[str]) -> UniqueKey:
        """Return it as a unique key; the columns of expressions and predicate are those whose names occur there."""
        simple = not self.partial and None not in self.columns and set(self.collations) == {"BINARY"}
        texts, predicate = _index_parts(self.sql)
        columns = [column for column in self.columns if column is not None]
        parts = []
        for place, (column, collation) in enumerate(zip(self.columns, self.collations, strict=True)):
            if column is None:
                parts.append(texts[place])
            else:
                parts.append(quoted(column) if collation == "BINARY" else f"{quoted(column)} COLLATE {collation}")
        if not simple:
            columns += _mentioned(" ".join([*texts, predicate or ""]), table_columns)
        return UniqueKey(
            name=self.name,
            columns=tuple(dict.fromkeys(columns)),
            parts=tuple(parts),
            predicate=predicate,
            simple=simple,
        )


def _with_key_indexes(described: dict[TableName, Table]) -> dict[TableName, Table]:
    """Add the index of a primary key if none is listed for it (the rowid, or WITHOUT ROWID)."""
    complete = {}
    for name, table in described.items():
        keys = tuple(unique.columns for unique in table.uniques if unique.primary)
        indexes = tuple(dict.fromkeys(table.indexes + keys))
        complete[name] = replace(table, indexes=indexes, indexed_columns=frozenset(columns[0] for columns in indexes))
    return complete


def _fold(name: str) -> str:
    """Lower ASCII letters, and only those, as SQLite does when it compares names."""
    if name.isascii():
        return name.lower()
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


@lru_cache(maxsize=1024)
def affinity(declared: str) -> str:
    """Return how a column of that declared type stores values (Datatypes In SQLite, 3.1)."""
    kind = declared.upper()
    if "INT" in kind:
        return "INTEGER"
    if any(word in kind for word in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in kind or not kind:
        return "BLOB"
    return "REAL" if any(word in kind for word in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


def _place(entry: tuple[Column, int]) -> int:
    return entry[1]


@lru_cache(maxsize=1024)  # the same few definitions are read over and over
def _tokens(sql: str) -> tuple[tuple[int, str], ...]:
    """Split SQL into tokens with their positions, without blanks and comments."""
    return tuple((match.start(), match.group()) for match in _TOKEN.finditer(sql) if match.lastgroup != "blank")


@lru_cache(maxsize=1024)
def _words(sql: str, *, after_last: str = "") -> tuple[str, ...]:
    """Return the tokens in upper case, or only those after the last one of a kind."""
    words = tuple(text.upper() for _, text in _tokens(sql))
    if after_last in words:
        return words[len(words) - words[::-1].index(after_last) :]
    return words


def _unquote(token: str) -> str:
    if token[:1] in {'"', "`"}:
        return token[1:-1].replace(token[0] * 2, token[0])
    return token[1:-1] if token[:1] == "[" else token


def _mentioned(expression: str, columns: Iterable[str]) -> list[str]:
    """Return the columns that an expression names."""
    names = {_fold(_unquote(text)) for _, text in _tokens(expression)}
    return [column for column in columns if _fold(column) in names]


#: What begins a constraint of a table instead of a column.
_OF_TABLE = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"})


def _table_parts(sql: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, keyword and text of each ``CHECK (text)`` and ``AS (text)`` of a CREATE TABLE statement.

    The name is that of the column, or of the constraint if it has one.
    """
    tokens = _tokens(sql)
    depth, column, named, keyword, begin = 0, "", "", "", 0
    first = True  # of a definition
    for place, (position, text) in enumerate(tokens):
        word = text.upper()
        if text == ")" and depth == 2 and keyword:
            yield (named or column), keyword, sql[begin:position].strip()
            keyword = named = ""
        depth += {"(": 1, ")": -1}.get(text, 0)
        if depth == 1 and text in {"(", ","}:
            first, column, named = True, "", ""
        elif depth == 1 and first:
            column, first = "" if word in _OF_TABLE else _unquote(text), False
        if depth == 1 and word == "CONSTRAINT" and place + 1 < len(tokens):
            named = _unquote(tokens[place + 1][1])
        if text == "(" and depth == 2 and tokens[place - 1][1].upper() in {"CHECK", "AS"}:
            keyword, begin = tokens[place - 1][1].upper(), position + 1
            if keyword == "AS":
                named = ""


def _index_parts(sql: str) -> tuple[list[str], str | None]:
    """Return the texts of the key parts (without a direction) and of the predicate of a CREATE INDEX statement."""
    tokens = _tokens(sql)
    start = next((place for place, (_, text) in enumerate(tokens) if text.upper() == "ON"), len(tokens)) + 2
    parts: list[str] = []
    depth, begin = 0, 0
    for place in range(start, len(tokens)):
        position, text = tokens[place]
        depth += {"(": 1, ")": -1}.get(text, 0)
        if text == "(" and depth == 1:
            begin = position + 1
        elif (text == "," and depth == 1) or (text == ")" and depth == 0):
            parts.append(re.sub(r"\s+(ASC|DESC)\s*$", "", sql[begin:position].strip(), flags=re.IGNORECASE))
            begin = position + 1
        if text == ")" and depth == 0:
            rest = tokens[place + 1 :]
            predicate = sql[rest[0][0] + len("WHERE") :].strip() if rest and rest[0][1].upper() == "WHERE" else None
            return parts, predicate
    return parts, None


def _trigger_event(sql: str) -> tuple[str, list[str]]:
    """Return the event of a CREATE TRIGGER statement, and the columns of UPDATE OF."""
    tokens = [text for _, text in _tokens(sql)]
    words = [text.upper() for text in tokens]
    place = words.index("TRIGGER") + 1
    if words[place : place + 3] == ["IF", "NOT", "EXISTS"]:
        place += 3
    place += 3 if words[place + 1] == "." else 1
    while words[place] not in {"INSERT", "UPDATE", "DELETE"}:
        place += 1
    event = words[place].lower()
    columns: list[str] = []
    if words[place + 1] == "OF":
        end = words.index("ON", place)
        columns = [_unquote(text) for text in tokens[place + 2 : end] if text != ","]
    return event, columns
