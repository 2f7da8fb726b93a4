"""One connection: identifiers, plain execution, transactions.

Invariants: every identifier is quoted here; every value is a parameter; nothing here opens or ends a transaction.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import DatabaseError

from cleanup.backends.query import Query, block, joined, quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from cleanup.backends.catalogue import Table, TableName
    from cleanup.backends.cells import Cells

#: The attribute of an error with the tables of the statement that raised it.
STATEMENT_TABLES = "statement_tables"

#: A table in a statement, as ``relation`` and ``model_table`` spell it.
_NAMED_TABLE = re.compile(r'(?:FROM|JOIN|UPDATE|INTO|ONLY)\s+((?:"[^"]+"\.)?"[^"]+")')
_OWN_TABLE = re.compile(r"(?:^|\.)cleanup_")


class Session(ABC):
    """One connection, in the dialect of its database."""

    cells: Cells
    # What differs from database to database, and is asked for elsewhere.

    vendor: ClassVar[str]
    one_writer: ClassVar[bool]
    """Only one transaction writes at a time, and one that only reads might keep it from writing."""
    storage_classes: ClassVar[bool]
    """A column holds values of any type, each of which is compared as it is."""
    digests_everything: ClassVar[bool]
    """The digest of some tables in the catalogue is that of the whole catalogue."""
    alters_columns: ClassVar[bool]
    """A column's type and constraints can be changed in place."""
    builds_concurrently: ClassVar[bool]
    """An index can be built, or dropped, beside writers."""
    bypasses_triggers: ClassVar[bool]
    """A session can keep triggers from firing, if its role may."""
    has_roles: ClassVar[bool]
    """There are roles and privileges."""
    write_ahead_log: ClassVar[bool]
    """What is written is logged first, and the log is archived or replicated."""
    nested_join: ClassVar[str]
    """The join that looks up the second table for each row of the first, by an index."""
    seconds_per_row: ClassVar[float]
    """What moving a row takes, as tests/benchmarks measures it."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    # Identifiers and plain execution.

    def model_table(self, db_table: str) -> str:
        """Quote a table as a model spells it: as Django does, which leaves existing quotes alone.

        So a model reaches another schema by ``archive"."folder``.
        """
        return self.connection.ops.quote_name(db_table).replace("%", "%%")

    def relation(self, name: TableName) -> str:
        """Quote a table's name, with its schema if it has one."""
        return name.quoted.replace("%", "%%")

    def _execute(self, cursor: Any, query: Query | str, params: Mapping[str, Any]) -> None:
        """Execute, and record on an error the tables that the statement names: the server may not report them."""
        sql, given = (query.text, query.params) if isinstance(query, Query) else (query, {})
        try:
            cursor.execute(sql, {**given, **params})
        except DatabaseError as error:
            tables = dict.fromkeys(match[1].replace('"', "") for match in _NAMED_TABLE.finditer(sql))
            vars(error).setdefault(STATEMENT_TABLES, [name for name in tables if not _OWN_TABLE.search(name)])
            raise

    def fetch(self, query: Query | str, **params: Any) -> list[tuple[Any, ...]]:
        """Execute and return all rows."""
        with self.connection.cursor() as cursor:
            self._execute(cursor, query, params)
            return list(cursor.fetchall()) if cursor.description else []

    def fetch_in_pieces(self, query: Query | str, *, many: bool = False, **params: Any) -> Iterator[tuple[Any, ...]]:
        """Execute and yield the rows; if there may be very ``many``, fetch them in pieces from the server.

        Within a transaction.
        """
        with self.connection.chunked_cursor() if many else self.connection.cursor() as cursor:
            self._execute(cursor, query, params)
            while rows := cursor.fetchmany(1000):
                yield from rows

    def fetch_each(self, queries: Iterable[Query], *, ctes: Sequence[Query] = ()) -> list[tuple[Any, ...]]:
        """Execute several queries as one statement and return all rows, each with the number of its query before it.

        All of them may use the ``ctes``.
        """
        numbered = [
            block(
                """
                SELECT {number}, q.*
                  FROM (
                    {query}
                  ) AS q
                """,
                number=number,
                query=query,
            )
            for number, query in enumerate(queries)
        ]
        if not numbered:
            return []
        each = joined("\nUNION ALL\n", numbered)
        return self.fetch(block("WITH {ctes}\n{each}", ctes=joined(",\n", ctes), each=each) if ctes else each)

    def execute(self, query: Query | str, **params: Any) -> int:
        """Execute and return the number of rows affected."""
        with self.connection.cursor() as cursor:
            self._execute(cursor, query, params)
            return int(cursor.rowcount)

    @abstractmethod
    def limit_patience(self, options: dict[str, Any], seconds: float) -> None:
        """Change a connection's options so that it gives up early by itself, and comes from no pool."""

    # Transactions.

    @abstractmethod
    def begin(self) -> None:
        """Set, for the transaction that begins, what every one of ours sets; see ``cleanup.backends.pinning``."""

    @abstractmethod
    def pin(self, *, session_name: str = "", writing: bool = True, durable: bool = True) -> None:
        """Set, for this transaction alone, timeouts and whatever could change a plan, a parse or a value.

        Where it writes, foreign keys are checked in the end. Where it need not be durable, its commit does not wait for
        the disk: a crash of the server may undo it, as a whole, until a later commit of any session has waited.
        """

    @contextmanager
    def pinned(self, *, session_name: str = "", writing: bool = True) -> Iterator[None]:
        """Pin within the caller's transaction, whose settings are restored.

        Where the block raises, that is left to the savepoint around it. Here nothing is set, so nothing is restored.
        """
        self.pin(session_name=session_name, writing=writing)
        yield

    def limit_statements(self, milliseconds: int) -> None:  # noqa: B027  # nothing to do if a statement waits for nothing
        """Limit the time of each statement of this transaction, whatever it waits for."""

    @abstractmethod
    def catalogue_digest(self, tables: Collection[TableName]) -> str:
        """Return a digest that changes once a table is defined differently, or refers to one of the tables."""

    @abstractmethod
    def hold_catalogue(
        self, tables: Collection[TableName], *, written: Sequence[Table], alone: Collection[TableName] = ()
    ) -> str:
        """Keep the written tables as they are defined until the transaction ends, and return the digest of then.

        In the tables ``alone`` no other session writes until then. Comes before all other locks.
        """

    def serialize_numbering(self, table: Table) -> None:  # noqa: B027  # nothing to do if there is one writer
        """Let one transaction of ours after the other take numbers that no row of a table has.

        Others that write to the table are not waited for: they may wait for us.
        """

    @abstractmethod
    def limit_lock_wait(self) -> None:
        """Before a statement that may wait for others: let it wait the less, the longer others may wait for us.

        The statements of a backend see to it themselves.
        """

    @abstractmethod
    def commit_asynchronously(self) -> None:
        """Do not wait for the disk at this transaction's commit; later commits also bring it there."""

    @abstractmethod
    def check_deferred_constraints(self) -> None:
        """Check deferred constraints now. Raises IntegrityError."""

    @abstractmethod
    def check_now(self, table: Table, *, apart_from: Collection[TableName] = ()) -> None:
        """Check what is deferred of the table's own constraints, so that what breaks one is known at once.

        Not its foreign keys to the tables ``apart_from``, which change later. Raises IntegrityError.
        """

    @abstractmethod
    def scope(self) -> list[str]:
        """Return what the names of tables mean to this session, and who it is."""

    @abstractmethod
    def identity(self) -> str:
        """Return what distinguishes this database from a restored copy of it."""

    # Own tables.

    def update_statistics(self, *tables: str) -> None:  # noqa: B027  # nothing to do if plans do not depend on them
        """Let the planner know what is in own tables: many rows have come since it last looked."""

    def update_many(
        self, table: str, key: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]], *, now: str
    ) -> None:
        """Set ``columns`` (name, type) of the rows whose ``key`` is each row's first value, and ``now`` to the time.

        For the product's own tables; here one statement is repeated; overridden if one statement can do it at once.
        """
        names = [key, *(column for column, _ in columns)]
        statement = block(
            "UPDATE {table} SET {assignments}, {now} = {clock} WHERE {key} = %({name})s",
            table=quote(table),
            assignments=", ".join(f"{quote(column)} = %({column})s" for column in names[1:]),
            now=quote(now),
            clock=self.clock(),
            key=quote(key),
            name=key,
        )
        with self.connection.cursor() as cursor:
            cursor.executemany(statement.text, [dict(zip(names, row, strict=True)) for row in rows])

    @abstractmethod
    def clock(self) -> str:
        """Return the SQL of the database's own time now."""


class Room:
    """Statements of one kind on a session's connection."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.cells = session.cells
        self.connection = session.connection
        self.relation = session.relation
        self.model_table = session.model_table
        self.fetch = session.fetch
        self.fetch_in_pieces = session.fetch_in_pieces
        self.fetch_each = session.fetch_each
        self.execute = session.execute
        self.limit_lock_wait = session.limit_lock_wait
