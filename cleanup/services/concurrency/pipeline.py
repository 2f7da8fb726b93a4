"""The pipeline of a single worker: two threads, with a batch each, change rows in turn.

Note [Overlapping batches]. A single worker spends a third of its time waiting for the database. So it has two threads,
with a connection each: while the database deletes the folders that one has emptied, checks constraints and commits, the
other moves the rows of the next batch. Rows are moved by one at a time; only the folders of a rollback come back before
that: no one sees them before they are committed, and they lock nothing that others change (see
``ReferenceMap.applications_are_independent``). A batch begins, and locks, when the one before will soon have changed
its rows; the wait is part of its transaction's time, by which the size of batches is chosen, so that locks are held no
longer than with one thread.
"""

import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Self

#: Seconds between checks whether there is anything to wait for.
WAIT_SECONDS = 0.2


class BatchAbandoned(Exception):
    """The batch must not begin: the other one was aborted, or the run was told to stop in the meantime."""


class PipelineSlot:
    """The slot of a batch that shares the pipeline with no other: it never waits. A context manager."""

    def __enter__(self) -> Self:
        """Wait until the batch may begin. May raise BatchAbandoned."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the slot, if that has not happened yet."""
        self.end()

    def change(self) -> None:
        """Wait until rows may be changed. May raise BatchAbandoned."""

    def let_next_begin(self) -> None:
        """Let the other batch read and plan: there is little left to change."""

    def end(self) -> None:
        """Let the other batch begin and change rows: only deleting folders and checks are left."""


#: For batches that share nothing.
ALONE = PipelineSlot()


class Pipeline:
    """The state that two threads share."""

    def __init__(self) -> None:
        self.beginning = threading.Lock()
        self.changing = threading.Lock()
        self.over = False
        """Set when one is aborted: it may have taken a lock with it."""
        self.overlapping = True
        """Unset if each may only begin when the other has ended."""

    def slot(self) -> PipelineSlot:
        """Return the slot of one batch."""
        return _SharedSlot(self)


class _SharedSlot(PipelineSlot):
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._beginning = ExitStack()
        self._changing = ExitStack()
        self._has_changing = False

    def __enter__(self) -> Self:
        self._take(self._pipeline.beginning, self._beginning)
        return self

    def change(self) -> None:
        if not self._has_changing:  # a second attempt continues in the same slot
            self._take(self._pipeline.changing, self._changing)
            self._has_changing = True

    def _take(self, lock: threading.Lock, held: ExitStack) -> None:
        while not lock.acquire(timeout=WAIT_SECONDS):
            if self._pipeline.over:
                raise BatchAbandoned
        held.callback(lock.release)

    def let_next_begin(self) -> None:
        if self._pipeline.overlapping:
            self._beginning.close()

    def end(self) -> None:
        if self._pipeline.overlapping:
            self._release()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._release()

    def _release(self) -> None:
        self._has_changing = False
        self._changing.close()
        self._beginning.close()
