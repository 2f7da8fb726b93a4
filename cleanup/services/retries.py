"""Trying again what failed for a moment, and how long to wait before."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, connections

from cleanup.services.errors import classify

#: Further attempts: about ten seconds.
PATIENCE = 9

#: The database has undone the transaction and says so. Of a lost connection nobody knows whether it was committed.
_UNDONE = ("55P03", "40P01", "40001", "57014", "SQLITE_BUSY", "SQLITE_LOCKED")

T = TypeVar("T")


def patiently(transaction: Callable[[], T], *, using: str) -> T:
    """Do a whole transaction again while it yields to others' locks; once only within a transaction of the caller."""
    is_own, attempt = connections[using].get_autocommit(), 0
    while True:
        try:
            return transaction()
        except DatabaseError as error:
            yielded = classify(error).code.startswith(_UNDONE)
            if not yielded or not is_own or attempt >= PATIENCE:
                raise
        back_off(attempt)
        attempt += 1


def back_off(attempt: int) -> None:
    """Sleep longer at each attempt, with jitter, so that two who collided do not collide again."""
    time.sleep(min(2.0, 0.05 * 2**attempt) * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
