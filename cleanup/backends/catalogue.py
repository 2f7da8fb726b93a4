"""What a database's catalogue says about tables, in one form for every vendor.

Plain data, read by the catalogues of the two databases and used by everything that writes to tables that Django may not
know. A table is identified by schema and name; on SQLite the schema is the empty string.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from django.db.backends.base.base import BaseDatabaseWrapper

from cleanup.backends.query import quoted

Action = Literal["no action", "restrict", "cascade", "set null", "set default"]


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table by schema (empty on SQLite) and name, unquoted.

    Its text is its label, in reports and in the journal: a part that holds a dot or a quote is quoted, so that no two
    tables share one.
    """

    schema: str
    name: str

    def __str__(self) -> str:
        parts = (self.schema, self.name) if self.schema else (self.name,)
        return ".".join(quoted(part) if "." in part or '"' in part else part for part in parts)

    @property
    def unquoted(self) -> str:
        """The label as older journals spelled it: two tables may share it."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def quoted(self) -> str:
        """The name as SQL writes it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}" if self.schema else quoted(self.name)


def mentions(expression: str, column: str) -> bool:
    """Return whether an expression may name a column; a literal that looks like it also counts."""
    bare = rf"(?<![\w\"$]){re.escape(column)}(?![\w\"$])"
    return quoted(column) in expression or re.search(bare, expression, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``type`` is the database's full spelling (``format_type`` on PostgreSQL, as declared on SQLite)."""

    name: str
    type: str
    not_null: bool = False
    generated: bool = False
    identity: bool = False
    updatable: bool = True
    """The current role may update it."""
    number: int = field(default=0, compare=False)
    """Its position in the table, which a rename does not change (``attnum``; ``cid`` on SQLite, counted from 1)."""
    definition: str = ""
    """What a type of the host's own consists of: labels of an enum, attributes of a row, base type of a domain."""
    casts_out: bool = False
    """A cast to text is not its text form (PostgreSQL): the host defined its own, or it would strip spaces."""
    casts_in: bool = False
    """A cast from text does not read its text form (PostgreSQL): the host defined its own."""
    collation: str = ""
    """As SQL, if it is not that of the type (PostgreSQL)."""
    expression: str = ""
    """What a generated column is computed from; other columns are unqualified."""
    computed_from: frozenset[str] = frozenset()
    """The columns that the expression names."""
    base: str = ""
    """The underlying type, if it differs: the base type of a domain (for an array of a domain, the array of that type)
    on PostgreSQL, the storage that SQLite derives from the declared type."""

    @property
    def stored_type(self) -> str:
        """The type by which values are compared and cast."""
        return self.base or self.type


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A primary key, unique constraint or unique index.

    ``columns`` are all columns that it uses, also in key expressions and predicate; ``parts`` is the SQL of each key
    part as the database spells it (bare column names, unquoted relation). ``simple``: plain columns, no predicate.
    """

    name: str
    columns: tuple[str, ...]
    parts: tuple[str, ...]
    predicate: str | None = None
    primary: bool = False
    simple: bool = True
    nulls_distinct: bool = True
    deferrable: bool = False
    operators: tuple[str, ...] = ()
    """The operators by which parts are compared (PostgreSQL); if not given, and on SQLite, by equality."""


#: The name of the check that some partition accepts a row.
PARTITIONS = "partitions"


@dataclass(frozen=True, slots=True)
class Check:
    """A condition that each row must meet, with all columns that it uses."""

    name: str
    columns: tuple[str, ...]
    expression: str
    predicate: str | None = None
    """The rows that it binds: those of one partition."""
    validated: bool = True
    """No row breaks it; otherwise one that does can't be changed in any column."""

    def binds(self, changed: Set[str]) -> bool:
        """Return whether a row may break it when these of its columns change."""
        return not self.validated or not changed.isdisjoint(self.columns)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key; ``enforced`` is false if its triggers are disabled (or, on SQLite, the pragma is off)."""

    name: str
    table: TableName
    columns: tuple[str, ...]
    target: TableName
    target_columns: tuple[str, ...]
    on_delete: Action
    on_update: Action
    deferrable: bool = False
    """It can be deferred to the end of the transaction (on SQLite every foreign key can)."""
    enforced: bool = True
    match_full: bool = False
    validated: bool = True
    """It also holds for the rows that existed before it."""
    exempt: str = ""
    """The SQL literal of a value that names no row."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger of the host (never one that implements a constraint), or a rule, then named ``rule X``."""

    name: str
    table: TableName
    events: frozenset[str]
    """Lower-case: insert, update, delete."""
    columns: frozenset[str] = frozenset()
    """The columns whose update fires it; empty: any update does."""
    always: bool = False
    """It fires even if triggers are bypassed."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table, as far as the product needs to know it."""

    name: TableName
    columns: tuple[Column, ...]
    uniques: tuple[UniqueKey, ...] = ()
    exclusions: tuple[UniqueKey, ...] = ()
    """Exclusion constraints: two rows may not fulfil all operators at once."""
    checks: tuple[Check, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    indexed_columns: frozenset[str] = frozenset()
    """Columns that lead some valid index that equality on them can use."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """The key columns of those indexes, as far as they are plain."""
    element_indexed_columns: frozenset[str] = frozenset()
    """Columns of arrays that some valid index can search for elements."""
    privileges: frozenset[str] = frozenset({"select", "insert", "update", "delete"})
    """What the current role may do; ``update``: with one column at least."""
    row_security: bool = False
    """Row level security is on and binds the current role."""
    inheritance_children: tuple[TableName, ...] = ()
    """Children by plain inheritance; partitions are not listed."""
    partition_of: TableName | None = None
    """The topmost partitioned table that this one is a partition of."""
    estimated_rows: int = 0
    kind: str = "table"
    """``table``, ``partitioned``, ``view``, ``foreign`` ..."""
    identified_by: str = ""
    """The column that identifies its rows in place of a key: that of folders, by which everything refers to them."""
    label: str = field(default="", compare=False)
    """Its label in the current journal, if not its name."""
    oid: int = field(default=0, compare=False)
    """While it is the same, so are the columns of the same ``number``; 0 on SQLite."""

    @property
    def journaled_as(self) -> str:
        """Its label in snapshot rows."""
        return self.label or str(self.name)

    @property
    def row_key(self) -> tuple[str, ...] | None:
        """The columns that identify a row: the primary key, else a unique key over columns that are never null."""
        if self.identified_by:
            return (self.identified_by,)
        required = {column.name for column in self.columns if column.not_null}
        for unique in sorted(self.uniques, key=lambda unique: (not unique.primary, len(unique.columns), unique.name)):
            if unique.primary or (unique.simple and not unique.deferrable and required.issuperset(unique.columns)):
                return unique.columns
        return None

    def dependent(self, columns: Iterable[str]) -> frozenset[str]:
        """Return columns with the generated ones that are computed from them."""
        found = set(columns)
        while further := {c.name for c in self.columns if c.computed_from & found} - found:
            found |= further
        return frozenset(found)

    def column(self, name: str) -> Column:
        """Return the column of that name. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class PlacedColumn:
    """A column of any table, described or not."""

    table: TableName
    column: Column
    base: str
    """Its type behind domains, or that of an array's elements, without a length; on SQLite as declared."""
    array: bool = False
    sole_key: bool = False
    """It is the primary key, by itself."""
    readable: bool = True
    """The current role may read it."""
    bytes: int | None = None
    """Size of the table; None: not known."""
    compound: bool = False
    """Its values, or the elements of its arrays, are made of others: a row type, or a range type of the host's own."""
    rowid: bool = True
    """On SQLite: the table has one."""
    shadow: bool = False
    """On SQLite: a virtual table, such as an index of texts, keeps its rows in it."""


@dataclass(frozen=True, slots=True)
class Published:
    """One table in one publication."""

    table: TableName
    whole: TableName
    """The topmost table that it is a partition of, or itself."""
    publication: str
    updates: bool
    deletes: bool
    full: bool
    """The whole row is the replica identity."""
    identity: frozenset[str]
    """Columns of the replica identity; empty if there is none, or it is the whole row."""
    filter_columns: frozenset[str] = frozenset()
    """The columns that the row filter uses."""
    listed_columns: frozenset[str] | None = None
    """The list of columns that are published; None if all are."""


class Catalogue(ABC):
    """Reads one database's catalogue. Every call is one statement or a small constant number of them."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection

    def _fetch(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params)
            return list(cursor.fetchall())

    def resolve(self, name: str) -> TableName | None:
        """Return the table that an unquoted ``name`` or ``schema.name`` means to the current role, or None."""
        return self.resolve_all([name]).get(name)

    @abstractmethod
    def resolve_all(self, names: Iterable[str]) -> dict[str, TableName]:
        """Resolve many names; those that mean no table are missing from the answer."""

    def schemas_with(self, names: Sequence[str]) -> list[str]:
        """Return the schemas in which there is a table of each of the names; empty if there are no schemas."""
        return []

    def partition_key(self, table: TableName) -> str:
        """Return how a table is partitioned, such as ``HASH (id)``; empty if it is not."""
        return ""

    @abstractmethod
    def column_names(self, tables: Iterable[TableName]) -> dict[TableName, dict[str, str]]:
        """Return the columns of tables: from a spelling as ``column_spelling`` makes it to the database's own."""

    @abstractmethod
    def column_spelling(self, column: str) -> str:
        """Spell a column so that two spellings of one column are equal."""

    def topmost(self, table: TableName) -> TableName:
        """Return the topmost partitioned table that a table is a partition of, or itself."""
        return table

    @abstractmethod
    def foreign_keys(self) -> Sequence[ForeignKey]:
        """Return every foreign key of the database whose two tables exist, one per constraint."""

    def foreign_keys_to(self, tables: Iterable[TableName]) -> Sequence[ForeignKey]:
        """Return every foreign key that references one of the tables, or a partition of one, as one to the table."""
        asked = {self.topmost(table): table for table in tables}
        return tuple(
            replace(key, target=asked[root])
            for key in self.foreign_keys()
            if (root := self.topmost(key.target)) in asked
        )

    def foreign_keys_of(self, tables: Iterable[TableName]) -> Sequence[ForeignKey]:
        """Return every foreign key that one of the tables, or a partition of one, owns."""
        asked = {self.topmost(table) for table in tables}
        return tuple(key for key in self.foreign_keys() if self.topmost(key.table) in asked)

    @abstractmethod
    def describe(self, tables: Iterable[TableName]) -> dict[TableName, Table]:
        """Return the tables that exist, by name."""

    @abstractmethod
    def describe_columns(self, tables: Iterable[TableName]) -> dict[TableName, Table]:
        """Return the tables that exist, by name, with their columns alone: a third of what ``describe`` takes."""

    @abstractmethod
    def all_columns(self, *, containing: Collection[str] | None = None) -> Sequence[PlacedColumn]:
        """Return the columns of every table of all schemas but the system's, by table, in their order.

        Partitions are left out. ``containing`` limits them to names that contain one of these, in any case.
        """

    def may_bypass_triggers(self) -> bool:
        """Return whether the current role can keep triggers from firing within its own transaction."""
        return False

    def materialized_views(self, tables: Iterable[TableName]) -> Sequence[TableName]:
        """Return the materialized views that are computed from any of the tables, directly or through other views."""
        return ()

    def published(self) -> Sequence[Published]:
        """Return every table whose updates or deletes are published, once for each publication; one statement."""
        return ()
