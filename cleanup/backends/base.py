"""The statements that change mapped tables, and the exact text form of their values, one class per vendor.

Invariants: every method is a constant number of statements whatever the number of folders and rows; every identifier
is quoted here; every value is a parameter; nothing here opens or ends a transaction.

Note [Cells]. A cell is one column's value as text, from which the same value can be restored: PostgreSQL's own text
form under pinned settings, on SQLite the storage class and the value. NULL is None. Keys, changes and images in the
journal are made of cells, and cells are compared as text.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from cleanup.backends.catalogue import ForeignKey, Table, TableName
from cleanup.backends.conditions import Condition, Statement
from cleanup.exceptions import CountMismatch
from cleanup.folder_tables import FolderTables, KeyColumn
from cleanup.planning import FolderRow

Cell = str | None

#: The name that a folder without one is planned by; no text is like it.
NO_NAME = "\x00"

#: Where an error keeps the tables of the statement that met it.
STATEMENT_TABLES = "statement_tables"

#: A table in a statement, as ``relation`` and ``model_table`` spell it.
_NAMED_TABLE = re.compile(r'(?:FROM|JOIN|UPDATE|INTO|ONLY)\s+((?:"[^"]+"\.)?"[^"]+")')
_OWN_TABLE = re.compile(r"(?:^|\.)cleanup_")

#: Rows whose keys share one snapshot row.
ROWS_PER_SNAPSHOT_ROW = 1000


class Pair(NamedTuple):
    """One change of values: the cells before and after, in the order of the target's columns."""

    point: int
    """Sequence of the rollback point that journals it."""
    old: tuple[str, ...]
    new: tuple[Cell, ...]
    rank: int = 0
    """Place of the removed folder in survivor order, from 1; the survivor has 0."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Many of them, column by column: a change has the same place in every list."""

    points: Sequence[int]
    olds: tuple[Sequence[str], ...]
    news: tuple[Sequence[Cell], ...]
    ranks: Sequence[int]

    @classmethod
    def of(cls, changes: Sequence[Pair], *, width: int) -> "Pairs":
        """Return changes of so many columns."""
        places = range(width)
        return cls(
            [pair.point for pair in changes],
            tuple([pair.old[place] for pair in changes] for place in places),
            tuple([pair.new[place] for pair in changes] for place in places),
            [pair.rank for pair in changes],
        )

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True)
class Target:
    """Columns of one table that change together from old to new: one reference, as the statements need it."""

    table: Table
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """The row key; may contain some of ``columns``."""
    pairs: Pairs
    condition: Condition | None = None
    """What rows must be like to be changed; None: all that hold an old value."""
    images: bool = False
    """Triggers of the host fire on this table: journal the whole rows before and after as well."""
    spare: Sequence[Cell] = ()
    """Keys of rows of this table to leave as they are (single-column key): they are about to be removed."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows moved or removed, by rollback point and table."""

    point: int
    table: TableName
    rows: int


class Replaced(NamedTuple):
    """A row, by the cells of its key, of which one column takes another value."""

    point: int
    key: tuple[str, ...]
    old: Cell
    new: Cell


class Owner(NamedTuple):
    """An application to which rows of a table belong."""

    table: TableName
    point: int
    application: str
    rows: int


@dataclass(frozen=True, slots=True)
class Keys:
    """Rows by the cells of their keys, column by column, each with the rollback point that journals it."""

    points: Sequence[int]
    columns: tuple[Sequence[str], ...]

    def __len__(self) -> int:
        return len(self.points)


class Forwarding(NamedTuple):
    """Where removed folders went: keys in the product's spelling, column by column."""

    removed: Sequence[str]
    survivors: Sequence[str]
    name: str
    """The column with the name that they are searched by."""
    longest: int
    """Characters of it that are kept."""


@dataclass(frozen=True, slots=True)
class Returned:
    """Rows that a step has removed, as far as they are back: the very rows, not others that have their values."""

    step: int
    columns: Sequence[str]
    """The layout's, in its order."""
    identity: tuple[str, ...]
    """The columns by which a row is the one it was."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the rows of a step in one table."""

    snapshots: Sequence[int]
    """The snapshot rows that tell of them."""
    keys: Sequence[tuple[Cell, ...]]


@dataclass(frozen=True, slots=True)
class UndoTarget:
    """Columns of one table whose moves are to be undone."""

    table: Table
    columns: tuple[str, ...]
    key: tuple[str, ...]
    must_exist: tuple[Table, tuple[str, ...]] | None = None
    """Table and columns that the old values must be found in, where some of its rows were not restored."""
    returned: "Returned | None" = None
    """And of that table no others than these rows."""
    form: int = 2
    """Format of the snapshot rows; see Note [Form of the journal] in ``cleanup.journal``."""
    rows: int | None = None
    """How many rows the journal says have moved, where that is known."""
    part: Part | None = None
    """Undo the moves of these rows alone."""


@dataclass(frozen=True, slots=True)
class Instead:
    """Cells that removed rows come back with in place of their own, in a table with a key of one column."""

    columns: tuple[str, ...] = ()
    cells: Mapping[Cell, tuple[Cell, ...]] = field(default_factory=dict)
    """By key cell, in the order of ``columns``."""


#: Every row comes back as it was.
NOTHING_INSTEAD = Instead()


@dataclass(frozen=True, slots=True)
class StructureTable:
    """A table whose rows belong to an application by a column of their own."""

    table: Table
    application: str


@dataclass(frozen=True, slots=True)
class RowConflict:
    """One row that was not restored, and why (codes of ``reports.Conflict``)."""

    point: int
    table: TableName
    code: str
    key: tuple[Cell, ...]
    column: str = ""
    columns: tuple[str, ...] = ()
    """Of a row that moved: the columns that the cleanup gave new values."""
    news: tuple[Cell, ...] = ()
    """Those values."""
    constraint: str = ""
    """What the database has a name for, where a constraint stands in the way."""


class ImageLink(NamedTuple):
    """A removed row that can come back only with, or after, another removed row of its table."""

    point: int
    key: tuple[Cell, ...]
    needs: tuple[Cell, ...]
    column: str
    """The foreign key's columns, joined by ``+``."""


@dataclass(frozen=True, slots=True)
class Restoration:
    """What undoing one step did or met."""

    restored: Sequence[Counted]
    conflicts: Sequence[RowConflict]


class Backend(ABC):
    """One connection's dialect."""

    encoding: ClassVar[str]
    """Names the form of the cells in a layout."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    # Identifiers and plain execution.

    def quote(self, name: str) -> str:
        """Quote an identifier; a percent sign is doubled, for the text goes through parameter substitution."""
        return self._quoted(name).replace("%", "%%")

    def _quoted(self, name: str) -> str:
        escaped = name.replace('"', '""')
        return f'"{escaped}"'

    def model_table(self, db_table: str) -> str:
        """Quote a table as a model spells it: as Django does, which leaves quotes alone that stand there already.

        So a model reaches another schema by ``archive"."folder``.
        """
        return self.connection.ops.quote_name(db_table).replace("%", "%%")

    def relation(self, name: TableName) -> str:
        """Quote a table's name, with its schema where it has one."""
        return f"{self.quote(name.schema)}.{self.quote(name.name)}" if name.schema else self.quote(name.name)

    def _execute(self, cursor: Any, sql: str, params: Sequence[Any]) -> None:
        """Execute, and note on an error the tables that the statement names: the server does not always say."""
        try:
            cursor.execute(sql, list(params))
        except DatabaseError as error:
            tables = dict.fromkeys(match[1].replace('"', "") for match in _NAMED_TABLE.finditer(sql))
            vars(error).setdefault(STATEMENT_TABLES, [name for name in tables if not _OWN_TABLE.search(name)])
            raise

    def fetch(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute and return all rows."""
        with self.connection.cursor() as cursor:
            self._execute(cursor, sql, params)
            return list(cursor.fetchall()) if cursor.description else []

    def fetch_in_pieces(self, sql: str, params: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Execute and yield the rows, of which there may be very many."""
        with self.connection.cursor() as cursor:
            self._execute(cursor, sql, params)
            while rows := cursor.fetchmany(1000):
                yield from rows

    def fetch_each(self, queries: Iterable[Statement]) -> list[tuple[Any, ...]]:
        """Execute several queries as one statement and return all rows, each with the number of its query before it."""
        selects, params = [], []
        for number, (sql, own_params) in enumerate(queries):
            selects.append(f"SELECT {number}, q.* FROM ({sql}) AS q")
            params += own_params
        return self.fetch(" UNION ALL ".join(selects), params) if selects else []

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Execute and return the number of rows affected."""
        with self.connection.cursor() as cursor:
            self._execute(cursor, sql, params)
            return int(cursor.rowcount)

    # Transactions.

    @abstractmethod
    def begin(self) -> None:
        """Set, for the transaction that begins, what every one of ours sets; see ``cleanup.backends.pinning``."""

    @abstractmethod
    def pin(self, *, session_name: str = "", writing: bool = True, durable: bool = True) -> None:
        """Set, for this transaction alone, timeouts and whatever could change a plan, a parse or a value.

        Where it writes, foreign keys are checked in the end. Where it need not be durable, its commit does not wait for
        the disk: a crash of the server may undo it, whole, until somebody's later commit has waited.
        """

    @contextmanager
    def pinned(self, *, session_name: str = "", writing: bool = True) -> Iterator[None]:
        """Pin within a transaction of somebody else, who gets back what it had set.

        Where the block raises, that is left to the savepoint around it. Here nothing is set, so nothing is restored.
        """
        self.pin(session_name=session_name, writing=writing)
        yield

    def limit_statements(self, milliseconds: int) -> None:  # noqa: B027  # nothing to do where a statement waits for none
        """Have each statement of this transaction end after a time, whatever it waits for."""

    @abstractmethod
    def serialize(self, tables: FolderTables, application: str) -> None:
        """Let one transaction after the other make folders of an application, and after a merge, not within one.

        A transaction that goes on with an older snapshot than what the one before it did (REPEATABLE READ) fails here
        with a serialization failure, since it would not see those folders. Writers of files are not waited for.
        """

    @abstractmethod
    def catalogue_digest(self, tables: Collection[TableName]) -> str:
        """Return a digest that is another one once a table is defined otherwise, or refers to one of the tables."""

    @abstractmethod
    def hold_catalogue(self, tables: Collection[TableName], *, written: Sequence[Table]) -> str:
        """Keep the written tables as they are defined until the transaction ends, and return the digest of then.

        Comes before all other locks.
        """

    @abstractmethod
    def limit_wait(self) -> None:
        """Before a statement that may wait for others: let it wait the less, the longer others may wait for us.

        The statements of a backend see to it themselves.
        """

    @abstractmethod
    def commit_lazily(self) -> None:
        """Let this transaction's commit not wait for the disk; what is committed later brings it there too."""

    @abstractmethod
    def force_constraints(self) -> None:
        """Check deferred constraints now. Raises IntegrityError."""

    @abstractmethod
    def identity(self) -> str:
        """Return what tells this database from a restored copy of it."""

    # Cells.

    @abstractmethod
    def key_cell(self, key: KeyColumn, value: str) -> str:
        """Return the cell of a key that is given in the product's spelling."""

    def key_cells(self, key: KeyColumn, values: Sequence[str]) -> Sequence[str]:
        """Return the cells of many."""
        return [self.key_cell(key, value) for value in values]

    @abstractmethod
    def text_cell(self, text: str) -> str:
        """Return the cell of a text value."""

    @abstractmethod
    def number_cell(self, number: int) -> str:
        """Return the cell of an integer."""

    @abstractmethod
    def cell_text(self, cell: Cell) -> str:
        """Return a cell readable for people, for messages."""

    # Own tables.

    def update_many(
        self, table: str, key: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]], *, now: str
    ) -> None:
        """Set ``columns`` (name, type) of the rows whose ``key`` is each row's first value, and ``now`` to the time.

        For the product's own tables; here one statement repeated, overridden where one statement can do it at once.
        """
        assignments = ", ".join(f"{self.quote(column)} = %s" for column, _ in columns)
        with self.connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {self.quote(table)} SET {assignments}, {self.quote(now)} = {self.clock()}"
                f" WHERE {self.quote(key)} = %s",
                [[*values, key_value] for key_value, *values in rows],
            )

    @abstractmethod
    def clock(self) -> str:
        """Return the SQL of the database's own time now."""

    # Reading.

    def live_condition(self, tables: FolderTables, *, prefix: str) -> tuple[str, list[Any]]:
        """Return the condition of a live folder and its parameters; ``prefix`` is an alias and a dot, or empty."""
        parts, params = [], []
        for column, value in (tables.live or {}).items():
            if value is None:
                parts.append(f"{prefix}{self.quote(column)} IS NULL")
            else:
                parts.append(f"{prefix}{self.quote(column)} = %s")
                params.append(value)
        return f"({' AND '.join(parts)})" if parts else "(1 = 1)", params

    @abstractmethod
    def lock_applications(self, tables: FolderTables, keys: Sequence[str]) -> set[str]:
        """Lock applications in key order, and return those that exist."""

    @abstractmethod
    def count_folders(self, tables: FolderTables, keys: Sequence[str]) -> dict[str, int]:
        """Return the number of folders of the applications that exist, by application."""

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

    def count_rows(self, targets: Sequence[Target]) -> list[Counted]:
        """Count the rows that hold an old value of their target, in one statement."""
        counted = self.fetch_each(self._count_rows(target) for target in targets)
        return [Counted(point, targets[number].table.name, rows) for number, point, rows in counted]

    @abstractmethod
    def _count_rows(self, target: Target) -> Statement:
        """Return the query of point and number of rows."""

    def count_repeated(self, groups: Sequence[Sequence[Target]]) -> list[Counted]:
        """Count, of the rows of targets of one table each, how often a row was counted that had been already."""
        counted = self.fetch_each(self._count_repeated(targets) for targets in groups)
        return [Counted(point, groups[number][0].table.name, rows) for number, point, rows in counted]

    @abstractmethod
    def _count_repeated(self, targets: Sequence[Target]) -> Statement:
        """Return the query of point and number of rows."""

    @abstractmethod
    def count_journaled(
        self, table: Table, label: str, key: tuple[str, ...], *, points: Sequence[int]
    ) -> list[Counted]:
        """Count the rows of a table that a journal says have moved, each once, however many of its columns did."""

    @abstractmethod
    def listed(self, rows: Sequence[Sequence[str]], columns: Sequence[tuple[str, str]]) -> Statement:
        """Return a query, with its parameters, that gives rows of texts; ``columns`` are names and types."""

    @abstractmethod
    def rows_referencing(
        self, table: Table, key: tuple[str, ...], rows: Keys, inbound: Sequence[ForeignKey]
    ) -> dict[int, int]:
        """Count the rows that reference rows of ``table`` by the foreign keys ``inbound``, by the point of each."""

    def owners(self, targets: Sequence[tuple[Target, str]], key: KeyColumn) -> Iterator[Owner]:
        """Yield the applications that targets' rows belong to, by the column given with each."""
        for number, point, value, rows in self.fetch_each(self._owners(*target) for target in targets):
            yield Owner(targets[number][0].table.name, point, self._spelling(key, value), rows)

    @abstractmethod
    def _owners(self, target: Target, column: str) -> Statement:
        """Return the query of point, application and number of rows."""

    def _spelling(self, key: KeyColumn, value: Any) -> str:
        """Spell a key that a query has given as the product does."""
        return str(value)

    # Writing, journaled.

    @abstractmethod
    def move(self, targets: Sequence[Target], *, step: int) -> list[Counted]:
        """Change the targets' rows and journal them, all in one statement where the database can.

        Raises CountMismatch when rows moved and rows journaled differ.
        """

    def nest(
        self, table: Table, key: str, column: str, rows: Sequence[tuple[int, str, str]], *, step: int
    ) -> list[Counted]:
        """Put root folders, given as (point, key cell, parent cell), under a parent, journaled.

        Raises CountMismatch.
        """
        replaced = [Replaced(point, (folder,), None, parent) for point, folder, parent in rows]
        return self.replace_cells(table, (key,), column, replaced, step=step)

    @abstractmethod
    def replace_cells(
        self, table: Table, key: tuple[str, ...], column: str, rows: Sequence[Replaced], *, step: int
    ) -> list[Counted]:
        """Give one column of rows other values, journaled. Raises CountMismatch where it holds others than said."""

    @abstractmethod
    def remove(
        self,
        table: Table,
        key: tuple[str, ...],
        rows: Keys,
        *,
        step: int,
        forwarding: Forwarding | None = None,
    ) -> list[Counted]:
        """Delete rows and journal their images.

        With ``forwarding``, in the order of ``rows``, the folders' forwarding addresses are recorded too. Raises
        CountMismatch.
        """

    @abstractmethod
    def take_structure(
        self, structure: StructureTable, *, point: int, application: str, key: KeyColumn, step: int
    ) -> int:
        """Store images of the table's rows that belong to the application and return their number."""

    # Undo.

    @abstractmethod
    def restore_moved(self, targets: Sequence[UndoTarget], *, points: Sequence[int], step: int) -> Restoration:
        """Undo one step's moves.

        A cell that is what the move made of it gets its old value back; one that is already old is left; any other
        is a conflict. Raises CountMismatch when a row changed under our hands, or the journal holds other than
        ``rows``.
        """

    @abstractmethod
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
        """Insert removed rows again, but those whose key is in ``left_out`` or that are there already.

        With ``part`` no other rows than these.

        A row that ``instead`` knows gets its cells. Where one cannot be restored, nothing is inserted and the
        conflicts are returned: key or unique place taken, or a foreign key's target missing. ``columns`` are the
        layout's, in its order; ``rows`` is how many images the journal says it has, where that is known. Raises
        CountMismatch.
        """

    @abstractmethod
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
        """Yield which removed rows, gone still, need which others by a foreign key of their table to itself."""

    @abstractmethod
    def check_now(self, table: Table, *, apart_from: Collection[TableName] = ()) -> None:
        """Check what is deferred of the table's own constraints, so that what breaks one is known at once.

        Not its foreign keys to the tables ``apart_from``, which change later. Raises IntegrityError.
        """

    def _require_all(self, table: Table, found: int, expected: int | None) -> None:
        """Raise CountMismatch where the journal holds other than what it says."""
        if expected is not None and expected != found:
            raise CountMismatch(table=str(table.name), moved=expected, journaled=found)

    @abstractmethod
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
        """Compare a stored structure with the rows as they are: ``row_missing``, ``changed`` and ``extra``."""
