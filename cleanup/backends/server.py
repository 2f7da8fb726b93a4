"""What a database server says of itself and of the current role, for preflight.

Invariants: nothing is written and no row is locked; each question stands alone, so that a privilege that the role lacks
costs one answer, which is None then, and spoils no transaction of the caller.
"""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from cleanup.backends.base import Backend
from cleanup.backends.catalogue import TableName


@contextmanager
def contained(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Keep a statement that fails from spoiling the caller's transaction, where there is one."""
    if connection.in_atomic_block:
        with transaction.atomic(using=connection.alias):
            yield
    else:
        yield


@dataclass(frozen=True, slots=True)
class Identity:
    """Which database it is, and whether it can be written at all. None: the server did not say."""

    key: str | None
    """What tells it from a restored copy of it."""
    version: str | None
    database: str | None
    schema: str | None = None
    search_path: str | None = None
    read_only: bool | None = None
    in_recovery: bool | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """Who works, and with which powers."""

    name: str | None
    superuser: bool | None
    bypassrls: bool | None


@dataclass(frozen=True, slots=True)
class Collation:
    """How a text column compares, outside the product."""

    collation: str | None
    deterministic: bool | None = None
    ignores_case: bool | None = None


class Server(ABC):
    """One connection's questions."""

    minimum: ClassVar[tuple[int, ...]]
    """The oldest version that will do."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.connection = backend.connection

    def ask(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]] | None:
        """Return the rows, or None where the server refuses."""
        try:
            with contained(self.connection):
                return self.backend.fetch(sql, params)
        except DatabaseError:
            return None

    def ask_one(self, sql: str, params: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Return the first row, or None where there is none or the server refuses."""
        rows = self.ask(sql, params)
        return rows[0] if rows else None

    def key(self) -> str | None:
        """Return what tells this database from a restored copy of it."""
        try:
            with contained(self.connection):
                return self.backend.identity()
        except DatabaseError:
            return None

    @abstractmethod
    def version(self) -> tuple[int, ...]:
        """Return the server's version."""

    @abstractmethod
    def identity(self) -> Identity:
        """Return which database it is."""

    @abstractmethod
    def role(self) -> Role:
        """Return who works."""

    @abstractmethod
    def settings(self) -> dict[str, str | None]:
        """Return the server's settings that matter, as a session begins with them."""

    @abstractmethod
    def deadlock_timeout_ms(self) -> int | None:
        """Return how long the server waits before it looks for a deadlock, in milliseconds; 0: it never does."""

    @abstractmethod
    def collation(self, table: TableName, column: str) -> Collation:
        """Return how a text column compares."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Return the free disk space that the database can grow into, where it can be known from here."""


class PostgresServer(Server):
    """PostgreSQL."""

    minimum = (14,)

    _SETTINGS = (
        "deadlock_timeout",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "idle_in_transaction_session_timeout",
        "lock_timeout",
        "max_connections",
        "session_replication_role",
        "statement_timeout",
        "synchronous_commit",
        "wal_level",
    )

    def version(self) -> tuple[int, ...]:
        number = int(self.connection.pg_version)  # type: ignore[attr-defined]  # of the PostgreSQL wrapper alone
        return (number // 10_000, number % 10_000)

    def identity(self) -> Identity:
        told = self.ask_one(
            "SELECT current_setting('server_version'), current_database()::text, current_schema()::text,"
            " current_setting('search_path'), current_setting('transaction_read_only') = 'on',"
            " current_setting('server_encoding')"
        )
        version, database, schema, search_path, read_only, encoding = told or (None,) * 6
        recovery = self.ask_one("SELECT pg_is_in_recovery()")
        return Identity(
            key=self.key(),
            version=version,
            database=database,
            schema=schema,
            search_path=search_path,
            read_only=read_only,
            in_recovery=recovery[0] if recovery else None,
            encoding=encoding,
        )

    def role(self) -> Role:
        name = self.ask_one("SELECT current_user::text")
        powers = self.ask_one("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        superuser, bypassrls = powers or (None, None)
        return Role(name[0] if name else None, superuser, bypassrls)

    def settings(self) -> dict[str, str | None]:
        told = self.ask(
            "SELECT name, concat_ws(' ', reset_val, unit) FROM pg_settings WHERE name = ANY(%s)", [list(self._SETTINGS)]
        )
        return dict.fromkeys(self._SETTINGS) | dict(told or ())

    def deadlock_timeout_ms(self) -> int | None:
        told = self.ask_one("SELECT setting::integer FROM pg_settings WHERE name = 'deadlock_timeout'")
        return told[0] if told else None

    def collation(self, table: TableName, column: str) -> Collation:
        told = self.ask_one(
            "SELECT o.collname::text, n.nspname::text, o.collisdeterministic, t.typname = 'citext'"
            " FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid"
            " JOIN pg_namespace AS s ON s.oid = c.relnamespace JOIN pg_type AS t ON t.oid = a.atttypid"
            " LEFT JOIN pg_collation AS o ON o.oid = a.attcollation"
            " LEFT JOIN pg_namespace AS n ON n.oid = o.collnamespace"
            " WHERE s.nspname = %s AND c.relname = %s AND a.attname = %s AND NOT a.attisdropped",
            [table.schema, table.name, column],
        )
        if told is None:
            return Collation(None)
        name, schema, deterministic, is_citext = told
        ignores_case: bool | None = is_citext
        if deterministic is False and not is_citext:
            collation = f"{self.backend.quote(schema)}.{self.backend.quote(name)}"
            equal = self.ask_one(f"SELECT 'a' = 'A' COLLATE {collation}")
            ignores_case = equal[0] if equal else None
        return Collation(name, deterministic, ignores_case)

    def free_bytes(self) -> int | None:
        return None


class SqliteServer(Server):
    """SQLite."""

    minimum = (3, 35)

    _SETTINGS = ("busy_timeout", "foreign_keys", "journal_mode", "synchronous")

    @property
    def _file(self) -> Path | None:
        """The file, if it is one."""
        told = self.ask_one("SELECT file FROM pragma_database_list WHERE name = 'main'")
        return Path(told[0]) if told and told[0] else None

    def version(self) -> tuple[int, ...]:
        told = self.ask_one("SELECT sqlite_version()")
        return tuple(int(part) for part in told[0].split(".")) if told else ()

    def identity(self) -> Identity:
        encoding = self.ask_one("PRAGMA encoding")
        return Identity(
            key=self.key(),
            version=".".join(str(part) for part in self.version()),
            database=str(self._file or self.connection.settings_dict["NAME"]),
            read_only=self._is_read_only(),
            in_recovery=False,
            encoding=encoding[0] if encoding else None,
        )

    def _is_read_only(self) -> bool:
        query_only = self.ask_one("PRAGMA query_only")
        name = str(self.connection.settings_dict["NAME"])
        opened_so = name.startswith("file:") and ("mode=ro" in name or "immutable=1" in name)
        # Beside the file, SQLite writes its journal.
        places = [self._file, self._file.parent] if self._file else []
        closed = any(not os.access(place, os.W_OK) for place in places)
        return bool(query_only and query_only[0]) or opened_so or closed

    def role(self) -> Role:
        return Role(name=None, superuser=None, bypassrls=None)

    def settings(self) -> dict[str, str | None]:
        told = {name: self.ask_one(f"PRAGMA {name}") for name in self._SETTINGS}
        return {name: str(row[0]) if row else None for name, row in told.items()}

    def deadlock_timeout_ms(self) -> int | None:
        return 0

    def collation(self, table: TableName, column: str) -> Collation:
        # No pragma tells; a union compares by the collation of its first part's column.
        different = (
            f"(SELECT count(*) FROM (SELECT {self.backend.quote(column)} FROM {self.backend.relation(table)} WHERE 0"
            f" UNION SELECT %s UNION SELECT %s))"
        )
        told = self.ask_one(f"SELECT {different}, {different}", ["a", "A", "a", "a "])
        if told is None:
            return Collation(None)
        cases, blanks = told
        name = "NOCASE" if cases == 1 else "RTRIM" if blanks == 1 else "BINARY"
        return Collation(name, deterministic=name == "BINARY", ignores_case=cases == 1)

    def free_bytes(self) -> int | None:
        return shutil.disk_usage(self._file.parent).free if self._file else None


def server_of(backend: Backend) -> Server:
    """Return the questions in the backend's dialect."""
    return (PostgresServer if backend.connection.vendor == "postgresql" else SqliteServer)(backend)
