"""Signs of life of a run: how long it has had none, and how work without pauses gives them.

Workers give a sign with each batch. In between, if a batch takes long, a separate thread does; it opens a
connection only then. On SQLite, where it would have to wait for the one writer, the worker's process is looked up.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, connections
from django.db.models.functions import Now

from cleanup.backends.pinning import pinning
from cleanup.models import Result, Run
from cleanup.services.runs.processes import worker_is_gone

#: Silence after which it is reported.
NOTICEABLE = timedelta(seconds=30)

#: Seconds without a sign, after which the thread gives one.
SIGN_EVERY = 10.0


def silence_of(run: Run, *, now: datetime, worked: bool, using: str) -> timedelta | None:
    """Return how long an active run has given no sign of life; None if that is not noticeable.

    ``worked``: a process of this machine holds a part of it; on SQLite, no process of another machine can.
    """
    silence = now - max(run.created_at, run.heartbeat_at or run.created_at)
    if not run.is_in_progress or silence <= NOTICEABLE:
        return None
    return None if worked and connections[using].vendor == "sqlite" else silence


def silent_for(*, using: str, run: Run) -> timedelta | None:
    """Return the same, by the database's clock."""
    if not run.is_in_progress:
        return None
    (now,) = Run.objects.using(using).filter(pk=run.pk).values_list(Now(), flat=True) or (run.created_at,)
    return silent_since(using=using, run=run, now=now)


def silent_since(*, using: str, run: Run, now: datetime) -> timedelta | None:
    """Return the same, given the database's time."""
    if silence_of(run, now=now, worked=False, using=using) is None:
        return None
    held = Result.objects.using(using).filter(run=run, status=Result.Status.IN_PROGRESS)
    worked = any(not worker_is_gone(worker) for worker in held.values_list("worker", flat=True).distinct())
    return silence_of(run, now=now, worked=worked, using=using)


class SignsOfLife:
    """When the workers of this process last gave a sign, and the thread that gives one for them."""

    def __init__(self, *, using: str, run: Run) -> None:
        self.using = using
        self.run = run
        self._last = time.monotonic()
        self._over = threading.Event()

    def note(self) -> None:
        """Record that a worker has just given one along with its results."""
        self._last = time.monotonic()

    def give(self) -> None:
        """Give a sign for a worker."""
        self.note()
        Run.objects.using(self.using).filter(pk=self.run.pk).update(heartbeat_at=Now())

    def are_due(self) -> bool:
        """Return whether the last one was given a while ago."""
        return time.monotonic() - self._last >= SIGN_EVERY

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Give signs from a thread, in place of workers that are silent."""
        if not connections[self.using].features.has_select_for_update_skip_locked:
            yield
            return
        thread = threading.Thread(target=self._keep, name="signs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _keep(self) -> None:
        while not self._over.wait(min(1.0, SIGN_EVERY)):
            if not self.are_due():
                continue
            try:
                with suppress(DatabaseError, InterfaceError), pinning(using=self.using):
                    self.give()
            finally:
                connections[self.using].close()
