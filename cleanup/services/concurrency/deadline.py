"""Query a database that may never answer: in another thread, on separate connections, for a bounded time.

Invariants: the caller waits no longer than it says, whatever the server does; no more than ``MOST`` queries of a
process are open at a time, however long the server is silent; an exhausted pool prevents no one from asking.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

from django.db import connections

from cleanup import backends

T = TypeVar("T")

#: Queries that are open at a time. One that hangs is ended by the server, or with its connection.
MOST = 4

_places = threading.BoundedSemaphore(MOST)


class NoAnswer(Exception):
    """The time was up before there was an answer."""


def within(seconds: float, ask: Callable[[], T]) -> T:
    """Return what ``ask`` returns, or raise what it raises. Raises NoAnswer after so many seconds.

    It is called in a thread of its own, and may continue there for a while.
    """
    until = time.monotonic() + seconds
    if not _places.acquire(timeout=seconds):
        raise NoAnswer
    answer: Future[T] = Future()

    def answer_question() -> None:
        try:
            with _own_connections(seconds):
                answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001  # raised again in the waiting thread
            answer.set_exception(error)
        finally:
            _places.release()

    try:
        threading.Thread(target=copy_context().run, args=(answer_question,), name="deadline", daemon=True).start()
    except BaseException:
        _places.release()
        raise
    try:
        return answer.result(timeout=max(0.0, until - time.monotonic()))
    except TimeoutError:
        raise NoAnswer from None


@contextmanager
def _own_connections(seconds: float) -> Iterator[None]:
    """Give this thread connections that come from no pool and that time out early by themselves."""
    for alias in connections:
        copy = connections[alias].copy()
        if backends.supports(using=alias):
            backends.database(using=alias).limit_patience(copy.settings_dict["OPTIONS"], seconds)
        connections[alias] = copy
    try:
        yield
    finally:
        connections.close_all()
