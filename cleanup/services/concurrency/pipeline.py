"""The pipeline of a single worker: two threads, with a batch each, change rows in turn.

Note [Overlapping batches]. A single worker spends a third of its time waiting for the database. So it has two threads,
with a connection each: while the database moves the rows of one batch, the next one is read and planned, and while it
deletes the folders that the one has emptied, checks constraints and commits, the rows of the next one are moved. Rows
are moved by one at a time; only the folders of a rollback come back before that: no one sees them before they are
committed, and they lock nothing that others change (see ``ReferenceMap.applications_are_independent``). A batch begins,
and locks, so late that it is planned, by the time that the last ones took, when the one before has changed its rows.
What it still waits is part of its transaction's time, by which the size of batches is chosen, so that locks are held no
longer than with one thread.
"""

import threading
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from cleanup.services.concurrency.retry import is_passing

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
        self.planning_ahead = True
        """Unset once one had to wait too long for a lock: then each begins when the other has changed its rows."""
        self._unchanging = threading.Event()
        """Set while no batch changes rows."""
        self._unchanging.set()
        self._changing_since = self._planned_in = self._changed_in = 0.0
        """The latter two: seconds that the last batches took."""

    def slot(self) -> PipelineSlot:
        """Return the slot of one batch."""
        return _SharedSlot(self)

    def wait_to_begin(self) -> None:
        """Wait until the other batch will have changed its rows by the time that this one is planned."""
        left = self._changing_since + self._changed_in - self._planned_in - time.monotonic()
        if left > 0:
            self._unchanging.wait(left)

    def note_planned(self, seconds: float) -> None:
        """Record how long a batch took until it was planned."""
        self._planned_in = seconds

    def note_changing(self) -> None:
        """Record that a batch begins to change rows."""
        self._changing_since = time.monotonic()
        self._unchanging.clear()

    def note_changed(self) -> None:
        """Record that it has."""
        self._changed_in = time.monotonic() - self._changing_since
        self._unchanging.set()


class _SharedSlot(PipelineSlot):
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._beginning = ExitStack()
        self._changing = ExitStack()
        self._has_changing = False
        self._began = 0.0

    def __enter__(self) -> Self:
        self._take(self._pipeline.beginning, self._beginning)
        self._pipeline.wait_to_begin()
        self._began = time.monotonic()
        return self

    def change(self) -> None:
        if not self._has_changing:  # a second attempt continues in the same slot
            self._pipeline.note_planned(time.monotonic() - self._began)
            self._take(self._pipeline.changing, self._changing)
            self._pipeline.note_changing()
            self._has_changing = True

    def _take(self, lock: threading.Lock, held: ExitStack) -> None:
        while not lock.acquire(timeout=WAIT_SECONDS):
            if self._pipeline.over:
                raise BatchAbandoned
        held.callback(lock.release)

    def let_next_begin(self) -> None:
        if self._pipeline.overlapping and self._pipeline.planning_ahead:
            self._beginning.close()

    def end(self) -> None:
        if self._pipeline.overlapping:
            self._release()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and is_passing(error):  # what the next one holds, which waits for this one
            self._pipeline.planning_ahead = False
        self._release()

    def _release(self) -> None:
        if self._has_changing:
            self._pipeline.note_changed()
        self._has_changing = False
        self._changing.close()
        self._beginning.close()
