"""Structured logs: the fields of each line beside its sentence, and two formats.

Invariants: a line carries only the fields named here, all of them codes, ids and numbers. An exception is logged by its
type, its SQLSTATE and the lines of code: never by its text, because that of a database error quotes rows.
"""

import json
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from cleanup import correlation

#: The fields that a line may carry, in this order.
FIELDS = (
    "event",
    "correlation_id",
    "run",
    "worker",
    "application",
    "alert",
    "channel",
    "code",
    "sqlstate",
    "error_class",
    "status",
    "attempt",
    "applications",
    "failed",
    "folders_removed",
    "files_moved",
    "seconds",
)

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class ContextFilter(logging.Filter):
    """Adds the correlation id, the run and the worker of the current context to each line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line pass."""
        for name, value in correlation.context().items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


class LineFormatter(logging.Formatter):
    """For people: the sentence, then ``name=value``."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # of the base class
        """Append the fields to the sentence."""
        fields = " ".join(f"{name}={value}" for name, value in _fields(record))
        return f"{super().formatMessage(record)}{f' [{fields}]' if fields else ''}"

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802  # of the base class
        """Leave out the exception's message."""
        return "\n".join(_told(ei[1]))


class JsonFormatter(logging.Formatter):
    """For machines: one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one object."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **dict(_fields(record)),
        }
        if record.exc_info:
            line["exception"] = "\n".join(_told(record.exc_info[1]))
        return json.dumps(line, default=str)


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    for name in FIELDS:
        value = getattr(record, name, None)
        if value not in (None, ""):
            yield name, value


def _told(error: BaseException | None) -> Iterator[str]:
    """Yield an exception and its causes, oldest first, as codes and lines of code."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for link in reversed(chain):
        yield from (line.rstrip() for line in traceback.format_tb(link.__traceback__))
        state = getattr(link, "sqlstate", None) or getattr(link, "sqlite_errorname", None)
        yield f"{type(link).__module__}.{type(link).__qualname__}{f' ({state})' if state else ''}"
