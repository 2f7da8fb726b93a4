"""Trying again what failed for a moment, and how long to wait before; how often: ``cleanup.retry_limits``."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connections
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

from cleanup.retry_limits import TRANSIENT_RETRIES
from cleanup.services.errors import classify

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Longer at each attempt, with jitter, so that two sessions that collided do not collide again.
_WAIT = wait_exponential(multiplier=0.05, max=2) + wait_random(0, 0.1)

#: Not transient, because it may last; but while it lasts, nothing else could be done either.
_NO_CONNECTION = "53300"

#: The database reports that it has undone the transaction. After a lost connection, no one knows whether it committed.
_UNDONE = ("55P03", "40P01", "40001", "57014", "SQLITE_BUSY", "SQLITE_LOCKED")


def is_passing(error: BaseException) -> bool:
    """Return whether the same statement may succeed in a moment."""
    if not isinstance(error, DatabaseError | InterfaceError):
        return False
    found = classify(error)
    return found.kind == "transient" or found.code == _NO_CONNECTION


def retry(action: Callable[[], T], *, attempts: int, before_retry: Callable[[], object]) -> T:
    """Retry with exponential backoff while the error is transient: a lost connection, a busy file.

    ``before_retry`` is called after each failure. Raises what the last attempt raised.
    """

    def after_failure(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            found = classify(error)
            logger.warning(
                "tried again: %s",
                found.message,
                extra={
                    "event": "tried_again",
                    "code": found.code,
                    "error_class": found.kind,
                    "attempt": state.attempt_number,
                },
            )
        before_retry()

    retrying = Retrying(
        retry=retry_if_exception(is_passing),
        wait=_WAIT,
        stop=stop_after_attempt(attempts),
        before_sleep=after_failure,
        reraise=True,
    )
    return retrying(action)


def reconnect(using: str) -> None:
    """After an error, make the next statement open a new connection if this one is lost."""
    connections[using].close_if_unusable_or_obsolete()


def retry_connected(action: Callable[[], T], *, using: str) -> T:
    """Retry transient failures, on a new connection if necessary."""
    return retry(action, attempts=TRANSIENT_RETRIES + 1, before_retry=lambda: reconnect(using))


def back_off(attempt: int) -> None:
    """Wait as before a further attempt, if that is made elsewhere."""
    state = RetryCallState(Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = attempt + 1
    time.sleep(_WAIT(state))


def retry_lock_conflicts(transaction: Callable[[], T], *, using: str) -> T:
    """Repeat a whole transaction while it yields to others' locks; only once within a transaction of the caller.

    Raises what the last attempt raised.
    """
    is_own = connections[using].get_autocommit()
    retrying = Retrying(
        retry=retry_if_exception(_is_undone),
        wait=_WAIT,
        stop=stop_after_attempt(TRANSIENT_RETRIES + 1 if is_own else 1),
        reraise=True,
    )
    return retrying(transaction)


def _is_undone(error: BaseException) -> bool:
    return isinstance(error, DatabaseError) and classify(error).code.startswith(_UNDONE)
