"""Kill cleanups and rollbacks at random moments: applications stay whole, and going on ends as if nothing had happened.

Each round kills one cleanup and one rollback. In the even rounds the process kills itself at a statement, just before
or just after the database has done it; in the odd ones it is killed from outside after some time, mostly in the midst
of a statement. CLEANUP_TEST_KILLS sets the number of rounds on each database.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cleanup.models import Result, RollbackPoint, Run
from cleanup.services import DatabaseCleanupService
from tests.support import databases, dirty_database
from tests.support.forked_processes import Fault, ForkedProcesses, forking
from tests.support.invariants import assert_whole, go_on, let_sessions_end

ROUNDS = int(os.environ.get("CLEANUP_TEST_KILLS", "10"))
APPLICATIONS = 30
#: Small batches, for many moments between them.
SETTINGS = {"CLEANUP_BATCH_SIZE": 3}

CLEANUP, ROLLBACK = "cleanup_all_duplicate_folders", "rollback_cleanup"


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """How cleanup and rollback go when no one is killed."""

    before: dirty_database.Picture
    after: dirty_database.Picture
    statements: dict[str, int]
    seconds: dict[str, float]


class Scene:
    """One database with its processes, and what is known of it from an undisturbed run."""

    def __init__(self, using: str, processes: ForkedProcesses) -> None:
        self.using = using
        self.processes = processes
        self.usual = self._undisturbed()

    def _undisturbed(self) -> Undisturbed:
        self.set_up()
        statements, seconds = {}, {}
        before = dirty_database.picture(self.using)
        self._measure(CLEANUP, [], statements, seconds)
        after = dirty_database.picture(self.using)
        self._measure(ROLLBACK, [Run.objects.using(self.using).get().pk], statements, seconds)
        assert dirty_database.picture(self.using) == before != after
        return Undisturbed(before, after, statements, seconds)

    def _measure(self, verb: str, arguments: list[Any], statements: dict[str, int], seconds: dict[str, float]) -> None:
        started = time.monotonic()
        child = self.processes.start(verb, *arguments, **SETTINGS)
        assert child.wait() == 0, self.processes.errors.read_text()
        statements[verb], seconds[verb] = child.statements, time.monotonic() - started

    def set_up(self) -> None:
        """Bring the database to where every round starts."""
        databases.wipe(self.using)
        dirty_database.make(self.using, applications=APPLICATIONS)

    def kill(self, verb: str, *arguments: Any, chance: random.Random, from_outside: bool) -> None:
        """Start a process on a verb and kill it at some moment of its work."""
        if from_outside:
            child = self.processes.start(verb, *arguments, **SETTINGS)
            time.sleep(chance.uniform(0, self.usual.seconds[verb]))
            child.send(signal.SIGKILL)
        else:
            child = self.processes.start(
                verb,
                *arguments,
                fault=Fault(chance.randint(1, self.usual.statements[verb]), after=chance.random() < 0.5),
                **SETTINGS,
            )
        assert child.wait() in (-signal.SIGKILL, 0), self.processes.errors.read_text()
        let_sessions_end(self.using)

    def assert_whole(self) -> int:
        """Assert that each application is exactly as before or as after, and return how many are as after."""
        return assert_whole(self.using, before=self.usual.before, after=self.usual.after)

    def go_on(self, kind: str, start: Callable[[], Any]) -> Run:
        """Resume the run of a kind, or start it if it was killed before there was one; return it, ended."""
        return go_on(self.using, kind, start, applications=APPLICATIONS)


@pytest.fixture(scope="module")
def scenes() -> Iterator[Callable[[str], Scene]]:
    """Yield a function that sets the scene on a database, once for all rounds."""
    with contextlib.ExitStack() as stack:
        known: dict[str, Scene] = {}

        def scene(using: str) -> Scene:
            if using not in known:
                known[using] = Scene(using, stack.enter_context(forking(using)))
            return known[using]

        yield scene


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_killed_run_leaves_whole_applications_and_goes_on(database, scenes, settings, number):
    settings.CLEANUP_BATCH_SIZE = SETTINGS["CLEANUP_BATCH_SIZE"]
    chance = random.Random(number)
    scene = scenes(database)
    service = DatabaseCleanupService(using=database)
    scene.set_up()

    scene.kill(CLEANUP, chance=chance, from_outside=bool(number % 2))
    scene.assert_whole()
    run = scene.go_on(Run.Kind.CLEANUP, service.cleanup_all_duplicate_folders)
    assert scene.assert_whole() == APPLICATIONS

    scene.kill(ROLLBACK, run.pk, chance=chance, from_outside=bool(number % 2))
    scene.assert_whole()
    scene.go_on(Run.Kind.ROLLBACK, lambda: service.rollback_cleanup(run.pk))
    assert scene.assert_whole() == 0


@pytest.mark.only("postgresql")
class TestTwoProcessesOnOneRun:
    def test_one_is_killed_and_the_other_finishes(self, database):
        databases.wipe(database)
        dirty_database.make(database, applications=APPLICATIONS)
        with forking(database) as first, forking(database) as second:
            killed = first.start(CLEANUP, fault=Fault(at=2, of='UPDATE "cleanup_result" AS t', how="halt"), **SETTINGS)
            assert killed.wait_for_halt(), first.errors.read_text()
            run = Run.objects.using(database).get()
            survivor = second.start("resume", run.pk, **SETTINGS)
            survivor.wait_for(done=6)
            killed.send(signal.SIGKILL)
            assert killed.wait() == -signal.SIGKILL
            assert survivor.wait() == 0, second.errors.read_text()
        run.refresh_from_db(using=database)
        results = Result.objects.using(database).filter(run=run)
        assert (run.status, run.done_applications) == (Run.Status.COMPLETED, APPLICATIONS)
        assert results.filter(status=Result.Status.COMPLETED).count() == APPLICATIONS
        processes = {worker.rsplit(":", 1)[0] for worker in results.values_list("worker", flat=True)}
        assert len(processes) == 2
        assert RollbackPoint.objects.using(database).count() == APPLICATIONS
