"""A database server's description of itself and of the current role, for preflight.

Invariants: nothing is written and no row is locked; each query stands alone, so that a privilege that the role lacks
costs one answer, which is then None, and does not spoil the caller's transaction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from django.db import DatabaseError, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

    from cleanup.backends.catalogue import TableName
    from cleanup.backends.session import Session


@contextmanager
def contained(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Keep a failing statement from spoiling the caller's transaction, if there is one."""
    if connection.in_atomic_block:
        with transaction.atomic(using=connection.alias):
            yield
    else:
        yield


#: Whether what is set on a session stays with the connection: a proxy that pools gives sessions to others.
Pooling = Literal["none", "unknown", "transaction"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Which database it is, and whether it can be written at all. None: the server does not reveal it."""

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
    """The current role and its powers."""

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
    """One connection's queries."""

    minimum: ClassVar[tuple[int, ...]]
    """The oldest version that will do."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.connection = session.connection

    def ask(self, sql: str, **params: Any) -> list[tuple[Any, ...]] | None:
        """Return the rows, or None if the server refuses."""
        try:
            with contained(self.connection):
                return self.session.fetch(sql, **params)
        except DatabaseError:
            return None

    def ask_one(self, sql: str, **params: Any) -> tuple[Any, ...] | None:
        """Return the first row, or None if there is none or the server refuses."""
        rows = self.ask(sql, **params)
        return rows[0] if rows else None

    def key(self) -> str | None:
        """Return what distinguishes this database from a restored copy of it."""
        try:
            with contained(self.connection):
                return self.session.identity()
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
        """Return the current role."""

    @abstractmethod
    def settings(self) -> dict[str, str | None]:
        """Return the server's settings that matter, as a session begins with them."""

    def pooling(self) -> Pooling:
        """Return what is between the connection and the server: nothing, a proxy, or one that pools by transaction."""
        return "none"

    def reported(self, name: str) -> str | None:
        """Return a parameter as the server has reported it by itself, if it reports any."""
        return None

    @abstractmethod
    def deadlock_timeout_ms(self) -> int | None:
        """Return how long the server waits before it checks for a deadlock, in milliseconds; 0: it never does."""

    @abstractmethod
    def collation(self, table: TableName, column: str) -> Collation:
        """Return how a text column compares."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Return the free disk space that the database can grow into, if it can be known from here."""
