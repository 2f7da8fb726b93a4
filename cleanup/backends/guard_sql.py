"""The guards as SQL: what forbids them, what makes them, and how to tell that one is there.

Invariants: nothing here writes; a guard is recognised by what it does, under whatever name. Statements have no
parameters, for DDL takes none.

Note [Recognition]. A unique index stands for a guard if it forbids all that the guard forbids: its parts are among the
guard's columns and its conditions are among the guard's, or say that one of its parts is not null, which a unique index
lets pass anyway. Its collation does not matter, for names that are equal by code point are equal under any. An index of
our own name must say exactly what the settings ask for now. What has our name and is about other columns, or another
kind of thing, is the host's: it stands for nothing, and is never touched.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cleanup.backends.base import Backend
from cleanup.backends.catalogue import TableName, quoted
from cleanup.backends.finding_sql import BLANKS
from cleanup.backends.folder_sql import (
    FolderSql,
    Looseness,
    PostgresFolderSql,
    Query,
    SqliteFolderSql,
    is_postgresql,
)
from cleanup.folder_tables import FolderTables
from cleanup.guard_names import (
    FILES_BY_FOLDER,
    FOLDER_KEY,
    FOLDERS_BY_APPLICATION,
    FOLDERS_BY_PARENT,
    TRIGGERS,
    VALIDATED_BY,
    Guard,
)

#: A btree entry holds 2,704 bytes: the name, two keys and headers.
LONGEST_NAME_BYTES = 2_600

_TOKEN = re.compile(
    r"""\s+|(?P<string>'(?:[^']|'')*')|"(?P<quoted>(?:[^"]|"")*)"|(?P<word>\w+)|(?P<other>::|<>|!=|.)"""
)
_KEYWORDS = frozenset({"and", "or", "is", "not", "null", "true", "false", "collate"})


@dataclass(frozen=True, slots=True)
class Standing:
    """A guard, or a supporting index, as it is found in the database."""

    name: str
    table: TableName
    ours: bool
    """It bears our name."""
    whole: bool = True
    """It is there completely and holds for all rows; else it is a leftover, outdated or not validated."""
    usable: bool = True
    """New rows are held to it as they should be."""


@dataclass(frozen=True, slots=True)
class _Index:
    table: TableName
    name: str
    unique: bool
    valid: bool
    parts: tuple[str, ...]
    predicate: str | None


@dataclass(frozen=True, slots=True)
class _ForeignKey:
    table: TableName
    name: str
    pairs: frozenset[tuple[str, str]]
    target: TableName
    validated: bool


def literal(value: Any, *, postgresql: bool) -> str:
    """Spell a value in SQL that has no parameters."""
    if isinstance(value, bool):
        return str(value).lower() if postgresql else str(int(value))
    if isinstance(value, int | float):
        return str(value)
    escaped = str(value).replace("'", "''").replace("%", "%%")
    return f"'{escaped}'"


def conditions_of(predicate: str | None) -> frozenset[tuple[str, ...]] | None:
    """Return the conditions that AND joins, each in one spelling whoever wrote it; None if it is more than that."""
    if predicate is None:
        return frozenset()
    found: list[list[str]] = [[]]
    for word in _spelled(predicate):
        if word == "<or>":
            return None
        if word == "<and>":
            found.append([])
        else:
            found[-1].append(word)
    return frozenset(_one_way(condition) for condition in found)


def _one_way(condition: list[str]) -> tuple[str, ...]:
    match condition:
        case [column, "=", "<true>"] | [column, "<is>", "<true>"]:
            return (column,)
        case [column, "=", "<false>"] | [column, "<is>", "<false>"]:
            return ("<not>", column)
        case _:
            return tuple(condition)


def _spelled(sql: str) -> Iterator[str]:
    """Yield tokens without parentheses, casts and the quotes of identifiers; keywords in angle brackets."""
    casting = False
    for match in _TOKEN.finditer(sql):
        kind, text = match.lastgroup, match.group()
        if kind is None or text in "()":
            continue
        if text == "::":
            casting = True
            continue
        keyword = kind == "word" and text.lower() in _KEYWORDS
        if casting and not keyword and kind in {"word", "quoted"}:
            continue
        casting = False
        if keyword:
            yield f"<{text.lower()}>"
        elif kind == "quoted":
            yield match["quoted"].replace('""', '"')
        else:
            yield "<>" if text == "!=" else text


def _predicate_of(create_index: str) -> str | None:
    """Return what follows WHERE in a CREATE INDEX statement."""
    depth = 0
    for match in _TOKEN.finditer(create_index):
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        if match.lastgroup == "word" and match.group().lower() == "where" and not depth:
            return create_index[match.end() :]
    return None


def _column_of(part: str) -> str | None:
    """Return the column that a key part is, its cast and collation apart; None for any other expression."""
    tokens = list(_spelled(part))
    if "<collate>" in tokens:
        tokens = tokens[: tokens.index("<collate>")]
    return tokens[0] if len(tokens) == 1 else None


class GuardSql(FolderSql):
    """What enforcing the guards needs to know and to say; what differs between databases is in the subclasses."""

    def __init__(
        self,
        backend: Backend,
        tables: FolderTables,
        *,
        folders: TableName,
        files: TableName,
        loose_files: Looseness = "",
    ) -> None:
        super().__init__(backend, tables, loose_files=loose_files)
        self.folder_table, self.file_table = folders, files
        self.folders, self.files = self.relation(folders), self.relation(files)
        self.file_key = backend.quote(tables.file_key.column)
        self.file_folder = backend.quote(tables.file_folder)
        self.file_owner = backend.quote(tables.file_application)

    def relation(self, table: TableName) -> str:
        """Quote a table's name as DDL takes it."""
        return self.backend.relation(table)

    # What forbids a guard.

    def offenders(self, guard: Guard) -> Query:
        """Select the key of each application, folder or file by which a guard is violated."""
        if guard in (Guard.ONE_ROOT, Guard.ONE_NAME):
            return self._duplicated(guard)
        if guard == Guard.FILE_APPLICATION:
            key = self.text(self.tables.file_key, f"f.{self.file_key}")
            condition = self._astray(f"f.{self.file_folder}", f"f.{self.file_owner}", of_file=True)
            return Query(f"SELECT {key} AS offender FROM {self.files} AS f WHERE {condition}")
        key = self.text(self.tables.folder_key, f"f.{self.folder_key}")
        if guard == Guard.PARENT_APPLICATION:
            broken = Query(self._astray(f"f.{self.parent}", f"f.{self.owner}"))
        elif guard == Guard.OWN_PARENT:
            broken = Query(f"f.{self.parent} = f.{self.folder_key} AND ") + self.live("f.")
        else:
            broken = Query(f"{self.trimmed(f'f.{self.name}')} = '' AND ") + self.live("f.")
        return Query(f"SELECT {key} AS offender FROM {self.folders} AS f WHERE ") + broken

    def _duplicated(self, guard: Guard) -> Query:
        owner = self.text(self.tables.application_key, "g.application")
        if guard == Guard.ONE_ROOT:
            place, grouped = f"f.{self.parent} IS NULL", ""
        else:
            place, grouped = f"f.{self.parent} IS NOT NULL", f", f.{self.parent}, {self.bytewise(f'f.{self.name}')}"
        return (
            Query(
                f"SELECT DISTINCT {owner} AS offender FROM (SELECT f.{self.owner} AS application"
                f" FROM {self.folders} AS f WHERE {place} AND f.{self.owner} IS NOT NULL AND "
            )
            + self.live("f.")
            + Query(f" GROUP BY f.{self.owner}{grouped} HAVING count(*) > 1) AS g")
        )

    def _astray(self, folder: str, owner: str, *, of_file: bool = False) -> str:
        named = self.folder_of_file(folder) if of_file else folder
        return (
            f"{folder} IS NOT NULL AND {owner} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {self.folders} AS p"
            f" WHERE p.{self.folder_key} = {named} AND p.{self.owner} = {owner})"
        )

    def too_long_names(self) -> Query | None:
        """Select the folders whose names no index can hold, where there is such a limit."""
        return None

    def trimmed(self, expression: str) -> str:
        """Cut white space from both ends of a text."""
        raise NotImplementedError

    # What makes a guard.

    def unique_index(self, guard: Guard) -> tuple[str, str]:
        """Return key parts and predicate (empty: none) of a guard that is a unique index."""
        conditions = list(self.live_conditions(""))
        if guard == Guard.ONE_ROOT:
            return self.owner, " AND ".join([f"{self.parent} IS NULL", *conditions])
        parts = (self.parent, self.owner, self.indexed_name())
        return ", ".join(parts), " AND ".join([f"{self.parent} IS NOT NULL", f"{self.owner} IS NOT NULL", *conditions])

    def indexed_name(self) -> str:
        """Return the key part that compares names by code point."""
        raise NotImplementedError

    def live_conditions(self, prefix: str) -> Iterator[str]:
        """Yield the conditions of a live folder, without parameters."""
        postgresql = is_postgresql(self.backend.connection)
        for column, value in (self.tables.live or {}).items():
            test = "IS NULL" if value is None else f"= {literal(value, postgresql=postgresql)}"
            yield f"{prefix}{self.backend.quote(column)} {test}"

    def make(self, guard: Guard) -> list[str]:
        """Return the statements that put a guard in place where nothing of it is."""
        raise NotImplementedError

    def drop(self, guard: Guard) -> list[str]:
        """Return the statements that lift a guard of our own name."""
        raise NotImplementedError

    # The supporting indexes.

    def supporting(self) -> dict[str, tuple[TableName, tuple[str, ...], bool]]:
        """Return table, columns and uniqueness of the supporting indexes, by name."""
        tables = self.tables
        return {
            FOLDERS_BY_PARENT: (self.folder_table, (tables.folder_parent,), False),
            FOLDERS_BY_APPLICATION: (self.folder_table, (tables.folder_application,), False),
            FILES_BY_FOLDER: (self.file_table, (tables.file_folder,), False),
        }

    def create_index(self, name: str, table: TableName, columns: str, *, unique: bool, where: str = "") -> str:
        """Return a CREATE INDEX statement."""
        kind = "UNIQUE INDEX" if unique else "INDEX"
        what = f"{self.concurrently}{self.backend.quote(name)} ON {self.relation(table)} ({columns})"
        return f"CREATE {kind} {what} WHERE {where}" if where else f"CREATE {kind} {what}"

    concurrently = ""

    def drop_index(self, table: TableName, name: str, *, if_exists: bool = False) -> str:
        """Return a DROP INDEX statement; an index lies in its table's schema."""
        existing = "IF EXISTS " if if_exists else ""
        return f"DROP INDEX {self.concurrently}{existing}{self.relation(TableName(table.schema, name))}"

    def support_standing(self) -> dict[str, Standing]:
        """Return what stands for each supporting index, if anything does."""
        found: dict[str, Standing] = {}
        indexes = self._indexes()
        for name, (table, columns, unique) in self.supporting().items():
            for index in indexes:
                # An index of our name that is not valid is left over from a build that failed.
                ours = index.name == name and self._serves(replace(index, valid=True), columns, unique=unique)
                if index.table == table and (ours or self._serves(index, columns, unique=unique)):
                    standing = Standing(name=index.name, table=table, ours=ours, whole=index.valid, usable=index.valid)
                    if name not in found or standing.whole > found[name].whole:
                        found[name] = standing
        return found

    def _serves(self, index: _Index, columns: Sequence[str], *, unique: bool) -> bool:
        parts = [_column_of(part) for part in index.parts]
        if index.predicate is not None or not index.valid:
            return False
        return index.unique and set(parts) == set(columns) if unique else parts[: len(columns)] == list(columns)

    # What there is.

    def others_of_name(self, name: str, table: TableName) -> list[str]:
        """Return what has the name of a guard of ``table``, or of a supporting index, and is the host's."""
        raise NotImplementedError

    def table_of(self, guard: Guard) -> TableName:
        """Return the table that a guard belongs to."""
        return self.file_table if guard == Guard.FILE_APPLICATION else self.folder_table

    def standing(self) -> dict[Guard, Standing]:
        """Return what stands for each guard, if anything does; one that holds for all rows before any other."""
        found: dict[Guard, Standing] = {}
        for guard, standing in self._standings():
            if guard not in found or _rank(standing) > _rank(found[guard]):
                found[guard] = standing
        return found

    def _standings(self) -> Iterator[tuple[Guard, Standing]]:
        for index in self._indexes():
            for guard in (Guard.ONE_ROOT, Guard.ONE_NAME):
                if (standing := self._as_index(guard, index)) is not None:
                    yield guard, standing
        for key in self._foreign_keys():
            for guard, table, column, owner in (
                (
                    Guard.PARENT_APPLICATION,
                    self.folder_table,
                    self.tables.folder_parent,
                    self.tables.folder_application,
                ),
                (Guard.FILE_APPLICATION, self.file_table, self.tables.file_folder, self.tables.file_application),
            ):
                pairs = {(column, self.tables.folder_key.column), (owner, self.tables.folder_application)}
                if key.table == table and key.target == self.folder_table and key.pairs == pairs:
                    yield guard, Standing(key.name, table, ours=key.name == guard, whole=key.validated)
        yield from self._rules()

    def _as_index(self, guard: Guard, index: _Index) -> Standing | None:
        if index.table != self.folder_table or not index.unique:
            return None
        columns = {self.tables.folder_application}
        needed = conditions_of(self.unique_index(guard)[1].replace("%%", "%")) or frozenset()
        if guard == Guard.ONE_NAME:
            columns |= {self.tables.folder_parent, self.tables.folder_name}
        parts = {_column_of(part) for part in index.parts}
        conditions = conditions_of(index.predicate)
        if index.name == guard:
            usable = conditions == needed and index.valid
            return Standing(guard, index.table, ours=True, whole=usable, usable=usable) if parts == columns else None
        implied = {(column, "<is>", "<not>", "<null>") for column in parts if column is not None}
        covers = parts <= columns and conditions is not None and conditions <= needed | implied
        return Standing(index.name, index.table, ours=False) if covers and index.valid else None

    def _indexes(self) -> list[_Index]:
        raise NotImplementedError

    def _foreign_keys(self) -> list[_ForeignKey]:
        raise NotImplementedError

    def _rules(self) -> Iterator[tuple[Guard, Standing]]:
        """Yield the guards that are neither indexes nor foreign keys."""
        raise NotImplementedError


def _rank(standing: Standing) -> tuple[bool, bool, bool]:
    return standing.whole, standing.usable, standing.ours


_PG_INDEXES = """
SELECT tn.nspname::text, t.relname::text, c.relname::text, i.indisunique, i.indisvalid AND i.indisready,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, place, true) FROM generate_series(1, i.indnkeyatts) AS place
              ORDER BY place), pg_get_expr(i.indpred, i.indrelid)
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_class AS t ON t.oid = i.indrelid JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
 WHERE (tn.nspname::text, t.relname::text) IN ((%s, %s), (%s, %s)) AND NOT i.indisexclusion AND i.indislive
 ORDER BY 1, 2, 3
"""

_PG_CONSTRAINTS = """
SELECT sn.nspname::text, s.relname::text, k.conname::text, k.contype::text, k.convalidated,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS p(number, place)
               JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = p.number ORDER BY p.place),
       tn.nspname::text, t.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS p(number, place)
               JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = p.number ORDER BY p.place),
       pg_get_expr(k.conbin, k.conrelid)
  FROM pg_constraint AS k
  JOIN pg_class AS s ON s.oid = k.conrelid JOIN pg_namespace AS sn ON sn.oid = s.relnamespace
  LEFT JOIN pg_class AS t ON t.oid = k.confrelid LEFT JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
 WHERE (sn.nspname::text, s.relname::text) IN ((%s, %s), (%s, %s)) AND k.contype IN ('f', 'c')
 ORDER BY 1, 2, 3
"""

_PG_CONSTRAINT_OF_NAME = """
SELECT format('%%s: %%s', k.conrelid::regclass, pg_get_constraintdef(k.oid))
  FROM pg_constraint AS k
 WHERE k.conrelid = to_regclass(%s) AND k.conname = %s
"""

_PG_RELATION_OF_NAME = """
SELECT coalesce(pg_get_indexdef(i.indexrelid), c.oid::regclass::text)
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
 WHERE n.nspname = %s AND c.relname = %s
"""


class PostgresGuardSql(PostgresFolderSql, GuardSql):
    """PostgreSQL's words."""

    concurrently = "CONCURRENTLY "

    def too_long_names(self) -> Query | None:
        key = self.text(self.tables.folder_key, f"f.{self.folder_key}")
        return Query(
            f"SELECT {key} AS offender FROM {self.folders} AS f WHERE f.{self.parent} IS NOT NULL"
            f" AND f.{self.owner} IS NOT NULL AND octet_length(f.{self.name}::text) > {LONGEST_NAME_BYTES} AND "
        ) + self.live("f.")

    def trimmed(self, expression: str) -> str:
        ((encoding,),) = self.backend.fetch("SELECT current_setting('server_encoding')")
        blanks = BLANKS if encoding == "UTF8" else "".join(filter(str.isascii, BLANKS))
        escaped = "".join(f"\\u{ord(blank):04X}" for blank in blanks)
        return f"btrim({expression}::text, E'{escaped}')"

    def indexed_name(self) -> str:
        # As text, for citext ignores the collation.
        ((kind,),) = self.backend.fetch(
            "SELECT t.typname::text FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid"
            " WHERE a.attrelid = to_regclass(%s) AND a.attname = %s",
            [self.folder_table.quoted, self.tables.folder_name],
        )
        return f'({self.name}::text) COLLATE "C"' if kind == "citext" else f'{self.name} COLLATE "C"'

    def supporting(self) -> dict[str, tuple[TableName, tuple[str, ...], bool]]:
        tables = self.tables
        # What the composite foreign keys refer to.
        key = (self.folder_table, (tables.folder_key.column, tables.folder_application), True)
        return {FOLDER_KEY: key, **super().supporting()}

    def make(self, guard: Guard) -> list[str]:
        name = self.backend.quote(guard)
        if guard in (Guard.ONE_ROOT, Guard.ONE_NAME):
            parts, where = self.unique_index(guard)
            return [self.create_index(guard, self.folder_table, parts, unique=True, where=where)]
        if guard in (Guard.PARENT_APPLICATION, Guard.FILE_APPLICATION):
            of_folder = (self.folders, self.parent, self.owner)
            of_file = (self.files, self.file_folder, self.file_owner)
            table, column, owner = of_folder if guard == Guard.PARENT_APPLICATION else of_file
            key = f"FOREIGN KEY ({column}, {owner}) REFERENCES {self.folders} ({self.folder_key}, {self.owner})"
            return [f"ALTER TABLE {table} ADD CONSTRAINT {name} {key} DEFERRABLE INITIALLY DEFERRED NOT VALID"]
        is_other = f"{self.parent} <> {self.folder_key}"
        rule = is_other if guard == Guard.OWN_PARENT else f"{self.trimmed(self.name)} <> ''"
        live = " AND ".join(self.live_conditions(""))
        rule = f"{rule} OR NOT ({live})" if live else rule
        return [f"ALTER TABLE {self.folders} ADD CONSTRAINT {name} CHECK ({rule}) NOT VALID", *self.validate(guard)]

    def validate(self, guard: Guard) -> list[str]:
        """Return the statement that has a constraint hold for the rows that are there."""
        table = self.relation(self.table_of(guard))
        return [f"ALTER TABLE {table} VALIDATE CONSTRAINT {self.backend.quote(guard)}"]

    def drop(self, guard: Guard) -> list[str]:
        if guard in (Guard.ONE_ROOT, Guard.ONE_NAME):
            return [self.drop_index(self.folder_table, guard)]
        table = self.relation(self.table_of(guard))
        return [f"ALTER TABLE {table} DROP CONSTRAINT {self.backend.quote(guard)}"]

    @property
    def _named(self) -> list[str]:
        return [self.folder_table.schema, self.folder_table.name, self.file_table.schema, self.file_table.name]

    def _indexes(self) -> list[_Index]:
        return [
            _Index(TableName(schema, table), name, unique, valid, tuple(parts), predicate)
            for schema, table, name, unique, valid, parts, predicate in self.backend.fetch(_PG_INDEXES, self._named)
        ]

    def _foreign_keys(self) -> list[_ForeignKey]:
        return [
            _ForeignKey(
                TableName(schema, table),
                name,
                frozenset(zip(columns, target_columns, strict=True)),
                TableName(target_schema, target),
                validated,
            )
            for schema, table, name, kind, validated, columns, target_schema, target, target_columns, _ in (
                self.backend.fetch(_PG_CONSTRAINTS, self._named)
            )
            if kind == "f"
        ]

    def _rules(self) -> Iterator[tuple[Guard, Standing]]:
        parent, key = self.tables.folder_parent, self.tables.folder_key.column
        found = self.backend.fetch(_PG_CONSTRAINTS, self._named)
        for schema, table, name, kind, validated, columns, *_, expression in found:
            if kind != "c" or TableName(schema, table) != self.folder_table:
                continue
            if name in (Guard.OWN_PARENT, Guard.BLANK_NAME):
                about = {parent, key} if name == Guard.OWN_PARENT else {self.tables.folder_name}
                if about <= set(columns):
                    yield Guard(name), Standing(name, self.folder_table, ours=True, whole=validated)
            elif tuple(_spelled(expression)) in ((parent, "<>", key), (key, "<>", parent)):
                yield Guard.OWN_PARENT, Standing(name, self.folder_table, ours=False, whole=validated)

    def others_of_name(self, name: str, table: TableName) -> list[str]:
        if name in (Guard.PARENT_APPLICATION, Guard.FILE_APPLICATION, Guard.OWN_PARENT, Guard.BLANK_NAME):
            return [row[0] for row in self.backend.fetch(_PG_CONSTRAINT_OF_NAME, [table.quoted, name])]
        return [row[0] for row in self.backend.fetch(_PG_RELATION_OF_NAME, [table.schema, name])]


_SQLITE_INDEXES = """
SELECT m.name, l.name, l."unique", x.name, x.coll, i.sql
  FROM sqlite_master AS m JOIN pragma_index_list(m.name) AS l JOIN pragma_index_xinfo(l.name) AS x
  LEFT JOIN sqlite_master AS i ON i.type = 'index' AND i.name = l.name
 WHERE m.type = 'table' AND x."key" = 1 AND m.name IN (%s, %s) ORDER BY m.name, l.name, x.seqno
"""
_SQLITE_FOREIGN_KEYS = """
SELECT m.name, k.id, k."table", k."from", k."to"
  FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS k
 WHERE m.type = 'table' AND m.name IN (%s, %s) ORDER BY m.name, k.id, k.seq
"""


class SqliteGuardSql(SqliteFolderSql, GuardSql):
    """SQLite's words: what is no index is a trigger, for a constraint would mean to write the table anew."""

    def relation(self, table: TableName) -> str:
        # Within CREATE TRIGGER and after ON, a table has no schema.
        return self.backend.quote(table.name)

    def trimmed(self, expression: str) -> str:
        return f"trim({expression}, char({', '.join(str(ord(blank)) for blank in BLANKS)}))"

    def indexed_name(self) -> str:
        return f"{self.name} COLLATE BINARY"

    def make(self, guard: Guard) -> list[str]:
        if guard in (Guard.ONE_ROOT, Guard.ONE_NAME):
            parts, where = self.unique_index(guard)
            return [self.create_index(guard, self.folder_table, parts, unique=True, where=where)]
        return list(self._triggers(guard).values())

    def drop(self, guard: Guard) -> list[str]:
        if guard in (Guard.ONE_ROOT, Guard.ONE_NAME):
            return [self.drop_index(self.folder_table, guard)]
        kept = set(self._of_host(guard))
        return [f"DROP TRIGGER IF EXISTS {self.backend.quote(name)}" for name in self._triggers(guard).keys() - kept]

    def others_of_name(self, name: str, table: TableName) -> list[str]:  # names are unique in the whole file
        found = [
            row[0]
            for row in self.backend.fetch("SELECT coalesce(sql, name) FROM sqlite_master WHERE name = %s", [name])
        ]
        return [*found, *(self._of_host(Guard(name)).values() if name in set(Guard) else ())]

    def _of_host(self, guard: Guard) -> dict[str, str]:
        """Return the triggers that have names of the guard's and do not do what it does, with their SQL."""
        if guard in (Guard.ONE_ROOT, Guard.ONE_NAME):
            return {}
        ours, there = self._triggers(guard), self._there()
        return {name: there[name] for name in ours if name in there and _raises(guard) not in there[name]}

    def _there(self) -> dict[str, str]:
        return dict(self.backend.fetch("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))

    # Note [Triggers]. They fire after the row, and look at both ends, so that rows of one statement may come in any
    # order: a folder before its parent, when removed folders are restored.

    def _triggers(self, guard: Guard) -> dict[str, str]:
        key, parent, owner = self.folder_key, self.parent, self.owner
        if guard == Guard.PARENT_APPLICATION:
            broken = f"{self._other_folder(parent, owner)} OR {self._stray(self.folders, parent, owner)}"
            return self._pair(guard, "", self.folders, (key, parent, owner), broken)
        if guard == Guard.FILE_APPLICATION:
            folder, file_owner = self.file_folder, self.file_owner
            of_file = self._other_folder(folder, file_owner, named=self.folder_of_file(f"NEW.{folder}"))
            own = self._pair(guard, "", self.files, (folder, file_owner), of_file)
            broken = self._stray(self.files, folder, file_owner, named=self.folder_of_file(f"c.{folder}"))
            return own | self._pair(guard, "_folder", self.folders, (key, owner), broken)
        live = "".join(f" AND {condition}" for condition in self.live_conditions("NEW."))
        of_live = [self.backend.quote(column) for column in self.tables.live or {}]
        if guard == Guard.OWN_PARENT:
            return self._pair(guard, "", self.folders, (key, parent, *of_live), f"NEW.{parent} = NEW.{key}{live}")
        broken = f"{self.trimmed(f'NEW.{self.name}')} = ''{live}"
        return self._pair(guard, "", self.folders, (self.name, *of_live), broken)

    def _other_folder(self, column: str, owner: str, *, named: str = "") -> str:
        """Test whether the new row's folder is another application's."""
        return (
            f"(NEW.{owner} IS NOT NULL AND EXISTS (SELECT 1 FROM {self.folders} AS p"
            f" WHERE p.{self.folder_key} = {named or f'NEW.{column}'} AND p.{self.owner} IS NOT NEW.{owner}))"
        )

    def _stray(self, table: str, column: str, owner: str, *, named: str = "") -> str:
        """Test whether rows in the new folder are another application's."""
        return (
            f"EXISTS (SELECT 1 FROM {table} AS c WHERE {named or f'c.{column}'} = NEW.{self.folder_key}"
            f" AND c.{owner} IS NOT NULL AND c.{owner} IS NOT NEW.{self.owner})"
        )

    def _pair(self, guard: Guard, what: str, table: str, columns: Sequence[str], broken: str) -> dict[str, str]:
        found = {}
        for event, of in (("insert", ""), ("update", f" OF {', '.join(dict.fromkeys(columns))}")):
            name = f"{guard}{what}_{event}"
            found[name] = (
                f"CREATE TRIGGER {self.backend.quote(name)} AFTER {event.upper()}{of} ON {table}"
                f" WHEN {broken} BEGIN SELECT {_raises(guard)}; END"
            )
        return found

    def _indexes(self) -> list[_Index]:
        indexes: dict[tuple[str, str], _Index] = {}
        tables = [self.folder_table.name, self.file_table.name]
        for table, name, unique, column, _, sql in self.backend.fetch(_SQLITE_INDEXES, tables):
            before = indexes.get((table, name))
            parts = (*(before.parts if before else ()), quoted(column) if column else "")
            predicate = _predicate_of(sql or "")
            indexes[table, name] = _Index(
                TableName("", table), name, bool(unique), valid=True, parts=parts, predicate=predicate
            )
        return list(indexes.values())

    def _foreign_keys(self) -> list[_ForeignKey]:
        keys: dict[tuple[str, int], _ForeignKey] = {}
        tables = [self.folder_table.name, self.file_table.name]
        for table, number, target, column, target_column in self.backend.fetch(_SQLITE_FOREIGN_KEYS, tables):
            before = keys.get((table, number))
            pairs = (before.pairs if before else frozenset()) | {(column, target_column or "")}
            keys[table, number] = _ForeignKey(
                TableName("", table), f"{table}_fk{number}", pairs, TableName("", target), validated=True
            )
        return list(keys.values())

    def _rules(self) -> Iterator[tuple[Guard, Standing]]:
        there = self._there()
        if not TRIGGERS & set(there):
            return
        for guard in (Guard.PARENT_APPLICATION, Guard.FILE_APPLICATION, Guard.OWN_PARENT, Guard.BLANK_NAME):
            wanted = {name: sql.replace("%%", "%") for name, sql in self._triggers(guard).items()}
            if any(_raises(guard) in there.get(name, "") for name in wanted):
                same = all(there.get(name) == sql for name, sql in wanted.items())
                # Nothing in the catalogue says that older rows were looked at.
                whole = same and guard not in VALIDATED_BY
                yield guard, Standing(guard, self.folder_table, ours=True, whole=whole, usable=same)


def _raises(guard: Guard) -> str:
    """Return what all triggers of a guard do, and no others."""
    return f"RAISE(ABORT, '{guard}')"


def guard_sql(
    backend: Backend, tables: FolderTables, *, folders: TableName, files: TableName, loose_files: Looseness = ""
) -> GuardSql:
    """Return the statements in the backend's dialect."""
    dialect = PostgresGuardSql if is_postgresql(backend.connection) else SqliteGuardSql
    return dialect(backend, tables, folders=folders, files=files, loose_files=loose_files)
