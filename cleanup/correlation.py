"""The context of log lines: the correlation id of a request, a task or a run, and the run and worker that process it.

Invariant: it is the context of a thread or an asynchronous task; a thread that shares it is started in a copy of the
context.
"""

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

#: The header that brings an id and returns it.
HEADER = "X-Correlation-ID"

_VALID = re.compile(r"[A-Za-z0-9._-]{8,64}")

_context: ContextVar[Mapping[str, str]] = ContextVar("cleanup_correlation", default=MappingProxyType({}))


def new() -> str:
    """Return a new, unique id."""
    return uuid.uuid4().hex


def parse(text: str) -> str | None:
    """Return an id that came from outside, if it is valid: it goes into logs and rows as it is."""
    return text if _VALID.fullmatch(text) else None


def current() -> str:
    """Return the current correlation id; empty if there is none."""
    return _context.get().get("correlation_id", "")


def context() -> Mapping[str, str]:
    """Return the current context: ``correlation_id``, ``run``, ``worker``."""
    return _context.get()


@contextmanager
def bound(**fields: str) -> Iterator[None]:
    """Set these values until the block ends."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)
