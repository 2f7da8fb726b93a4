"""A second thread that reads beside this one, on a connection of its own.

A process that reads and plans waits for the database half of the time. There is no second thread where it would see
other rows than this one, or where the database is to be left alone.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connections

from cleanup import backends, conf
from cleanup.backends.pinning import is_callers, pinning

logger = logging.getLogger(__name__)

T = TypeVar("T")


class SecondThread:
    """Does one thing after the other."""

    def __init__(self, *, using: str, executor: ThreadPoolExecutor) -> None:
        self.using = using
        self._executor = executor

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have the thread do something when it has done what came before."""
        return self._executor.submit(copy_context().run, self._pinned, work)

    def close(self) -> None:
        """Close its connection when it is done."""
        self._executor.submit(connections.close_all)

    def _pinned(self, work: Callable[[], T]) -> T:
        with pinning(using=self.using):
            return work()


@contextmanager
def second_thread(*, using: str) -> Iterator[SecondThread | None]:
    """Give a second thread for the block, if one can be of use."""
    if not _is_useful(using):
        yield None
        return
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="second") as executor:
        thread = SecondThread(using=using, executor=executor)
        try:
            yield thread if _sees_the_same(thread) else None
        finally:
            thread.close()


def _is_useful(using: str) -> bool:
    database = backends.database(using=using)
    # What a transaction has changed, others do not see; a project that asks for rests asks to be gentle.
    return not database.one_writer and not is_callers(connections[using]) and conf.duty_cycle() == 1


def _sees_the_same(thread: SecondThread) -> bool:
    """Open the second connection; work goes on without it."""

    def scope() -> list[str]:
        return backends.database(using=thread.using).scope()

    try:
        if thread.submit(scope).result() == scope():
            return True
    except (DatabaseError, InterfaceError):
        pass
    logger.info("no second connection is available: pages do not overlap", extra={"event": "no_overlap"})
    return False
