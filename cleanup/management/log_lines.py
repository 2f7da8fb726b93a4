"""Keep log lines off terminals: a person who runs a command reads sentences, and the log is kept elsewhere.

Invariant: a handler that writes to a file, a pipe or a service gets every line; only those that would write to a
terminal are silent, and only while a command runs.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class KeptBack(logging.Filter):
    """Lets no line pass, and notes whether any was an error."""

    def __init__(self) -> None:
        super().__init__()
        self.held_errors = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the line back."""
        self.held_errors |= record.levelno >= logging.ERROR
        return False


@contextmanager
def kept_off_terminals() -> Iterator[KeptBack]:
    """Silence the handlers that write to a terminal until the block ends."""
    kept_back = KeptBack()
    silenced = [handler for handler in _handlers() if _is_on_a_terminal(handler)]
    for handler in silenced:
        handler.addFilter(kept_back)
    try:
        yield kept_back
    finally:
        for handler in silenced:
            handler.removeFilter(kept_back)


def _handlers() -> set[logging.Handler]:
    loggers: list[Any] = [logging.root, *logging.root.manager.loggerDict.values()]
    found = {handler for logger in loggers for handler in getattr(logger, "handlers", ())}
    # Handles the lines of a program that has set up no handler.
    return found | ({logging.lastResort} if logging.lastResort else set())


def _is_on_a_terminal(handler: logging.Handler) -> bool:
    stream = getattr(handler, "stream", None)
    try:
        return bool(stream is not None and stream.isatty())
    except (AttributeError, ValueError):  # not a file, or closed
        return False
