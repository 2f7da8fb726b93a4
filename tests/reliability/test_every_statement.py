"""Kill a process before and after each of its statements: every application is whole, and going on leads to the end.

A scenario is what an operator starts: cleanup, rollback of a run and of a point, verification, purge, guards put and
lifted. One process does it undisturbed, and its statements are counted, COMMITs among them; then, for each statement,
another one is killed there. On PostgreSQL it may be the connection that is cut, or the whole server that is shut down
at once. CI samples a few moments of each scenario, evenly; `--every-statement` takes them all.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from tests import pgserver
from tests.reliability.kill_scenarios import (
    HOOKS,
    LOOSE_SCENARIOS,
    SCENARIOS,
    SETTINGS,
    Cleanup,
    GuardsLifted,
    GuardsPut,
    HookedCleanup,
    HookedRollback,
    Purge,
    RollbackOfARun,
    Scenario,
    Scene,
    moments,
)
from tests.support import databases
from tests.support.forked_processes import ForkedProcesses, forking
from tests.support.invariants import let_sessions_end
from tests.support.trees import drop_foreign_keys, execute

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nurseries() -> Iterator[Callable[[str], ForkedProcesses]]:
    """Yield a function that opens a processes on a database, once for all scenarios."""
    with contextlib.ExitStack() as stack:
        known: dict[str, ForkedProcesses] = {}

        def opened(using: str) -> ForkedProcesses:
            url = databases.url_of(using)
            if url not in known:
                known[url] = stack.enter_context(forking(using))
            return known[url]

        yield opened


def kill_at_statements(scene: Scene, *, every: bool, subtests: Any) -> str:
    """Do the scenario again and again, each time killed at another moment; return what there is to say."""
    scenario, statements = scene.scenario, scene.count_statements()
    fates = moments(statements, most=None if every else scenario.moments)
    killed = 0
    for fault in fates:
        scene.set_up()
        child = scene.start(fault)
        status = child.wait()
        let_sessions_end(scenario.using)
        killed += bool(child.struck)
        with subtests.test(f"{type(scenario).__name__} {fault}: {child.struck}"):
            assert status == (-signal.SIGKILL if child.struck else 0), scene.processes.errors.read_text()
            scenario.assert_whole()
            scenario.carry_on()
    # Of two runs of one scenario, one may have a statement or two less.
    assert killed >= len(fates) * 0.9
    return f"\n{type(scenario).__name__} on {scenario.using}: {killed} kills at {statements} statements"


@pytest.fixture
def every(request, settings) -> bool:
    """Return whether all statements are wanted."""
    settings.CLEANUP_BATCH_SIZE = SETTINGS["CLEANUP_BATCH_SIZE"]
    return request.config.getoption("every_statement")


@pytest.fixture
def tell(every, capsys) -> Callable[[str], None]:
    """Return a function that tells, after a long test, what was done."""

    def tell(said: str) -> None:
        if every:
            with capsys.disabled():
                print(said)

    return tell


@pytest.fixture
def kill(every, tell, subtests, nurseries) -> Callable[[Scenario], None]:
    """Return a function that has a scenario killed at each of its statements, or at some."""

    def kill(scenario: Scenario) -> None:
        tell(kill_at_statements(Scene.of(scenario, nurseries(scenario.using)), every=every, subtests=subtests))

    return kill


@pytest.fixture
def halt(every, tell, subtests) -> Callable[[Scenario, ForkedProcesses, Callable[[], None]], None]:
    """Return a function that has a scenario halted there, and something done to the database."""

    def halt(scenario: Scenario, processes: ForkedProcesses, trigger: Callable[[], None]) -> None:
        said = trigger_at_statements(Scene.of(scenario, processes), trigger, every=every, subtests=subtests)
        tell(f"{said}, {trigger.__name__}")

    return halt


@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", SCENARIOS, ids=lambda kind: kind.__name__)
def test_killed_at_a_statement_it_tears_nothing_and_can_go_on(database, kill, kind):
    kill(kind(database))


@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", LOOSE_SCENARIOS, ids=lambda kind: kind.__name__)
def test_killed_while_folders_are_made_or_go_it_tears_nothing_and_can_go_on(scratch_database, kill, kind):
    drop_foreign_keys(scratch_database)
    kill(kind(scratch_database))


@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", [HookedCleanup, HookedRollback], ids=lambda kind: kind.__name__)
def test_killed_while_tree_hooks_write_it_tears_nothing_and_can_go_on(scratch_database, settings, kill, kind):
    settings.CLEANUP_TREE_HOOK = HOOKS["CLEANUP_TREE_HOOK"]
    kill(kind(scratch_database))


@pytest.mark.timeout(0)
def test_a_migration_killed_at_a_statement_tears_nothing_and_can_go_on(scratch_database, kill):
    kill(GuardsPut(scratch_database))
    databases.wipe(scratch_database)
    kill(GuardsLifted(scratch_database))


# --- Not the process, but what it speaks to.

HALTED = (Cleanup, RollbackOfARun, Purge)
#: Of each scenario, in CI.
HALTS = 2


def trigger_at_statements(scene: Scene, trigger: Callable[[], None], *, every: bool, subtests: Any) -> str:
    """Do the scenario again and again, each time with something done to the database at another moment."""
    scenario, statements = scene.scenario, scene.count_statements()
    struck = 0
    for fault in moments(statements, most=None if every else HALTS, how="halt"):
        scene.set_up()
        child = scene.start(fault)
        if child.wait_for_halt():
            struck += 1
            trigger()
            child.go_on()
            child.wait()
        let_sessions_end(scenario.using)
        with subtests.test(f"{type(scenario).__name__} {fault}: {child.struck}"):
            # It may have come to its end all the same, or given up; of its own accord in both cases.
            assert child.status in (0, 1)
            scenario.assert_whole()
            scenario.carry_on()
    assert struck > 0
    return f"\n{type(scenario).__name__}: struck {struck} times at {statements} statements"


@pytest.mark.only("postgresql")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", HALTED, ids=lambda kind: kind.__name__)
def test_cut_off_at_a_statement_it_tears_nothing_and_can_go_on(database, halt, nurseries, kind):
    def cut() -> None:
        execute(
            database,
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
        )

    halt(kind(database), nurseries(database), cut)


@pytest.mark.only("postgresql")
@pytest.mark.timeout(0)
def test_a_server_that_is_shut_down_at_once_tears_nothing_and_it_can_go_on(database, halt):
    with contextlib.ExitStack() as stack:
        # What is committed stays, as on a server that people use.
        server = pgserver.start(synchronous_commit="on")
        stack.callback(server.stop)
        stack.enter_context(databases.elsewhere(database, server))
        call_command("migrate", database=database, verbosity=0)
        call_command("migrate", "cleanup_guards", "zero", database=database, verbosity=0)
        processes = stack.enter_context(forking(database))

        def crash() -> None:
            connections[database].close()
            server.crash()
            server.restart()

        for kind in HALTED[:2]:
            databases.wipe(database, to={})
            halt(kind(database), processes, crash)
