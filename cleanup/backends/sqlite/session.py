"""SQLite's sessions: one writer, and two functions that every connection must know."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from cleanup.backends import session
from cleanup.backends.query import quote
from cleanup.backends.sqlite.cells import Cells, codec, searched_name
from cleanup.exceptions import DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from cleanup.backends.catalogue import Table, TableName
    from cleanup.backends.query import Query

#: UPDATE ... FROM of 3.33, RETURNING and MATERIALIZED of 3.35.
_OLDEST = (3, 35)

#: The connection, by its wrapper, that the functions were last registered on.
_prepared: WeakKeyDictionary[BaseDatabaseWrapper, Any] = WeakKeyDictionary()


class Session(session.Session):
    """SQLite 3.35 and newer."""

    vendor = "sqlite"
    one_writer = True
    storage_classes = True
    digests_everything = True
    alters_columns = False
    builds_concurrently = False
    bypasses_triggers = False
    has_roles = False
    write_ahead_log = False
    nested_join = "CROSS JOIN"
    seconds_per_row = 0.00015

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise DatabaseUnusable(
                problem=f"SQLite {sqlite3.sqlite_version} is too old.", remedy="Use a Python with SQLite 3.35 or newer."
            )
        super().__init__(connection)
        self.cells = Cells(connection)

    def _execute(self, cursor: Any, query: Query | str, params: Mapping[str, Any]) -> None:
        self._prepare()
        super()._execute(cursor, query, params)

    def execute(self, query: Query | str, **params: Any) -> int:
        # The driver counts the rows of statements that begin with UPDATE or DELETE, not of those that begin with WITH.
        return super().execute(query, **params)

    def _prepare(self) -> None:
        self.connection.ensure_connection()
        raw = self.connection.connection
        if _prepared.get(self.connection) is raw:
            return
        ((encoding,),) = raw.execute("PRAGMA encoding").fetchall()
        encode, decode = codec(encoding)
        raw.create_function("cleanup_encode", 2, encode, deterministic=True)
        raw.create_function("cleanup_decode", 1, decode, deterministic=True)
        raw.create_function("cleanup_name", 2, searched_name, deterministic=True)
        _prepared[self.connection] = raw

    def relation(self, name: TableName) -> str:
        return relation(name)

    def limit_patience(self, options: dict[str, Any], seconds: float) -> None:
        options["timeout"] = seconds
        options.pop("transaction_mode", None)  # a reader has no need of the writer's lock

    def begin(self) -> None:
        pass

    def pin(self, *, session_name: str = "", writing: bool = True, durable: bool = True) -> None:
        # There is one writer, and nothing to set: in an immediate transaction the lock is held already, else the
        # caller's first write takes it.
        self._prepare()

    def limit_lock_wait(self) -> None:
        """Nothing: there is one writer at a time."""

    def catalogue_digest(self, tables: Collection[TableName]) -> str:
        # Changed by every change of the schema, and read in the snapshot that the transaction has. If another one is
        # committed after it, this transaction cannot write.
        ((version,),) = self.fetch('PRAGMA "main".schema_version')
        return str(version)

    def hold_catalogue(
        self, tables: Collection[TableName], *, written: Sequence[Table], alone: Collection[TableName] = ()
    ) -> str:
        return self.catalogue_digest(tables)

    def commit_asynchronously(self) -> None:
        pass  # PRAGMA synchronous is the connection's, and cannot change within a transaction

    def check_deferred_constraints(self) -> None:
        # Foreign keys that were not checked by their statement are checked by COMMIT; asked for earlier, SQLite would
        # read whole tables.
        pass

    def check_now(self, table: Table, *, apart_from: Collection[TableName] = ()) -> None:
        pass  # only foreign keys can be deferred, and they are checked by COMMIT

    def scope(self) -> list[str]:
        return [name for _, _, name in self.fetch("PRAGMA database_list")]

    def identity(self) -> str:
        ((file,),) = self.fetch("SELECT file FROM pragma_database_list WHERE name = 'main'")
        if not file:
            return f"sqlite:{self.connection.settings_dict['NAME']}"
        path = Path(file).resolve()
        return f"sqlite:{path}:{path.stat().st_ino}"

    def clock(self) -> str:
        # As Django's Now() does.
        return "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"

    def defer_foreign_keys(self) -> None:
        """Check foreign keys at the end of the transaction."""
        # Ends with the transaction. Switched off sooner, SQLite would forget the violations that it still has to check.
        self.execute("PRAGMA defer_foreign_keys = ON")


def relation(name: TableName) -> str:
    """Quote a table's name with its schema, or a table that is named like one of our CTEs would be hidden by it."""
    return f'"main".{quote(name.name)}'


def referencing_first(session: Session, tables: Sequence[Table]) -> list[int]:
    """Order tables so that ON UPDATE CASCADE finds nothing left to do and the counts stay true."""
    if len(tables) == 1:
        return [0]
    by_name = {table.name.name.lower(): number for number, table in enumerate(tables)}
    references = {
        number: {
            by_name[name.lower()]
            for (name,) in session.fetch('SELECT "table" FROM pragma_foreign_key_list(%(name)s)', name=table.name.name)
            if by_name.get(name.lower(), number) != number
        }
        for number, table in enumerate(tables)
    }
    ordered: list[int] = []
    while references:
        referenced = set().union(*references.values())
        chosen = next((number for number in references if number not in referenced), min(references))
        ordered.append(chosen)
        del references[chosen]
    return ordered
