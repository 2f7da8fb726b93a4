"""Pin every transaction of ours, whatever it executes.

Note [Every transaction of ours]. Each entry point (the verbs of the services, commands, tasks, threads) works ``with
pinning(using=...)``. Within it, a transaction that begins on this thread's connection is pinned first, and a statement
outside of one gets a transaction of its own: batches, claims, catalogues and the ORM's single statements alike. A
transaction that was open before is the caller's: there a verb pins by itself what it needs, and gives back what was set
(``batch``). Code of the host that we call works ``with unpinned(using=...)``. On SQLite there is nothing to pin.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from cleanup.backends.postgresql.session import Session as PostgresSession
from cleanup.backends.session import Session

C = TypeVar("C", bound=type[Any])
P = ParamSpec("P")
T = TypeVar("T")


class _Pinning:
    """The wrapper through which Django passes statements."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.session = PostgresSession(connection)

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,  # noqa: FBT001  # as Django calls it
        context: dict[str, Any],
    ) -> Any:
        connection = self.session.connection
        if not self.session.between_transactions():
            return execute(sql, params, many, context)
        if connection.autocommit:
            with transaction.atomic(using=connection.alias):
                self.session.begin()
                return execute(sql, params, many, context)
        self.session.begin()
        return execute(sql, params, many, context)


@contextmanager
def pinning(*, using: str) -> Iterator[None]:
    """Pin the transactions that begin on this thread's connection; nothing to do in a transaction of the caller."""
    connection = connections[using]
    known = any(isinstance(wrapper, _Pinning) for wrapper in connection.execute_wrappers)
    if connection.vendor != "postgresql" or known or is_callers(connection):
        yield
        return
    with connection.execute_wrapper(_Pinning(connection)):
        yield


def is_callers(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a transaction is open, or the caller commits by hand."""
    by_itself = connection.settings_dict["AUTOCOMMIT"] if connection.connection is None else connection.autocommit
    return connection.in_atomic_block or not by_itself


def pinned(verb: Callable[P, T]) -> Callable[P, T]:
    """Make a function work ``with pinning`` on the database that its argument ``using`` names."""

    @wraps(verb)
    def with_pinning(*args: P.args, **kwargs: P.kwargs) -> T:
        with pinning(using=str(kwargs["using"])):
            return verb(*args, **kwargs)

    return with_pinning


@contextmanager
def unpinned(*, using: str) -> Iterator[None]:
    """Leave transactions alone that begin in the block."""
    connection = connections[using]
    wrappers = connection.execute_wrappers
    connection.execute_wrappers = [wrapper for wrapper in wrappers if not isinstance(wrapper, _Pinning)]
    try:
        yield
    finally:
        connection.execute_wrappers = wrappers


@contextmanager
def together(*, using: str) -> Iterator[None]:
    """Have the statements of a block, which only reads, share a transaction and what is pinned in it.

    Each has a snapshot of its own all the same. In a transaction of the caller they do already; on SQLite there is
    nothing to pin, and a transaction might keep others from writing.
    """
    connection = connections[using]
    if connection.vendor != "postgresql" or is_callers(connection):
        yield
        return
    with transaction.atomic(using=using):
        yield


@contextmanager
def batch(session: Session, *, session_name: str = "", writing: bool = True) -> Iterator[None]:
    """Work in a transaction with the settings of a batch: one of our own, or the caller's, restoring its settings."""
    connection = session.connection
    nested = connection.in_atomic_block or not connection.get_autocommit()
    with transaction.atomic(using=connection.alias):
        if nested:
            with session.pinned(session_name=session_name, writing=writing):
                yield
        else:
            session.pin(session_name=session_name, writing=writing)
            yield


def pinned_verbs(*, but: tuple[str, ...] = ()) -> Callable[[C], C]:
    """Make every public method of a class, except ``but``, work ``with pinning`` on the database ``self.using``."""

    def decorate(service: C) -> C:
        for name, verb in list(vars(service).items()):
            if isinstance(verb, FunctionType) and not name.startswith("_") and name not in but:
                setattr(service, name, _pinned_method(verb))
        return service

    return decorate


def _pinned_method(verb: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(verb)
    def pinned(self: Any, *args: Any, **kwargs: Any) -> Any:
        with pinning(using=self.using):
            return verb(self, *args, **kwargs)

    return pinned
