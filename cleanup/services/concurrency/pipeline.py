"""Turns: how two threads work at a batch each, and change rows one after the other.

Note [In turn]. To a worker alone, waiting for the database is a third of the time. So it has two threads, with a
connection each: while the database checks the constraints of what one has changed and commits it, the other one works
at the next batch. Rows are changed by one at a time; only the folders of a rollback come back before its turn: nobody
sees them before they are committed, and they lock nothing that others change (see ``ReferenceMap.in_any_order``). A
batch is begun, and locked, when the one before will soon have changed its rows; the wait is part of its transaction's
time, by which the size of batches is chosen, so that locks are held no longer than by one thread.
"""

import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Self

#: Seconds between looks whether there is anything to wait for.
WAIT_SECONDS = 0.2


class Withdrawn(Exception):
    """The batch is not to be begun: the other one has been aborted, or the run was told to stop meanwhile."""


class Turn:
    """The turn of somebody alone, who never waits. Use as a context manager around a batch."""

    def __enter__(self) -> Self:
        """Wait until the batch may be begun. May raise Withdrawn."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the turn, if it has not ended."""
        self.end()

    def change(self) -> None:
        """Wait until rows may be changed. May raise Withdrawn."""

    def let_next_begin(self) -> None:
        """Let the other one read and plan: there is little left to change."""

    def end(self) -> None:
        """Let the other one change rows: there is nothing left but to check."""


#: For those who share nothing.
ALONE = Turn()


class Turns:
    """What two threads share."""

    def __init__(self) -> None:
        self.beginning = threading.Lock()
        self.changing = threading.Lock()
        self.over = False
        """Set when one is aborted: it may have taken a lock with it."""
        self.overlapping = True
        """Unset where each is to begin when the other has ended."""

    def turn(self) -> Turn:
        """Return one batch's turn."""
        return _SharedTurn(self)


class _SharedTurn(Turn):
    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._beginning = ExitStack()
        self._changing = ExitStack()
        self._has_changing = False

    def __enter__(self) -> Self:
        self._take(self._turns.beginning, self._beginning)
        return self

    def change(self) -> None:
        if not self._has_changing:  # a second attempt goes on in the same turn
            self._take(self._turns.changing, self._changing)
            self._has_changing = True

    def _take(self, lock: threading.Lock, held: ExitStack) -> None:
        while not lock.acquire(timeout=WAIT_SECONDS):
            if self._turns.over:
                raise Withdrawn
        held.callback(lock.release)

    def let_next_begin(self) -> None:
        if self._turns.overlapping:
            self._beginning.close()

    def end(self) -> None:
        if self._turns.overlapping:
            self._release()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._release()

    def _release(self) -> None:
        self._has_changing = False
        self._changing.close()
        self._beginning.close()
