"""Fixtures that every test may use. Each gives a database alias, once for SQLite and once for PostgreSQL:

database          the migrated database, shared; its rows are removed after the test, its schema may not change
scratch_database  a copy of it for this test alone, to make tables, triggers, roles, broken rows at will
guarded_database  a scratch database in which all guards stand
blank_database    a database of its own with nothing in it, to be filled by plain SQL and adopted

All commit for real, so threads and other processes see the rows (`databases.url_of(alias)` is their
DATABASE_URL), and a query on any alias but the one given fails. What exists on one of them only is marked
`@pytest.mark.only("postgresql")`, or "sqlite"; on newer servers only, `since=15`. A test that is skipped fails the run.

--one-database-each runs a test on one of the two, and the next one on the other: half the time, for a quick look.
"""

import contextlib
import gc
import importlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.signals import setting_changed
from django.db import connections
from django.dispatch import receiver
from django.test import TransactionTestCase

from tests.support import databases
from tests.support.queues import queue_in

# What may be skipped, by its reason, outside CI. There, nothing may.
ALLOWED_SKIPS = (
    "Chromium is not installed",
    "No PostgreSQL with the just-in-time compiler is installed",
    "PgBouncer is not installed",
)

# The same examples every time, so that a failure is about the change; --hypothesis-profile=thorough looks further.
COMMON = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.function_scoped_fixture]}
hypothesis.settings.register_profile(
    "default", max_examples=100, derandomize=True, database=None, print_blob=True, **COMMON
)
hypothesis.settings.register_profile("few", max_examples=50, derandomize=True, database=None, print_blob=True, **COMMON)
hypothesis.settings.register_profile("thorough", max_examples=2000, print_blob=True, **COMMON)
hypothesis.settings.load_profile("default")

DATABASE_FIXTURES = ("database", "scratch_database", "guarded_database", "blank_database")

_turns = itertools.cycle([0, 1])


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our own options."""
    parser.addoption("--one-database-each", action="store_true", help="run each test on one of the two databases")
    parser.addoption(
        "--every-file", action="store_true", help="run all of the engine's tests on the second set of models"
    )
    parser.addoption("--rewrite-golden", action="store_true", help="write the statements of tests/integration/sql anew")
    parser.addoption("--every-statement", action="store_true", help="kill at every statement, not at a sample of them")
    parser.addoption("--concurrency-seconds", type=float, default=8, help="how long the crowd works at once")
    parser.addoption("--soak-days", type=int, default=2, help="days that go by in the office")
    parser.addoption("--soak-day-seconds", type=float, default=4, help="how long such a day takes")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have a test that asks for a database run on both, or on the one it is marked for."""
    marker = metafunc.definition.get_closest_marker("only")
    vendors = marker.args if marker else tuple(databases.ALIASES)
    if len(vendors) > 1 and metafunc.config.getoption("one_database_each"):
        vendors = (vendors[next(_turns)],)
    for fixture in DATABASE_FIXTURES:
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, [_on(vendor) for vendor in vendors], indirect=True)


def _on(vendor: str) -> object:
    alias = databases.ALIASES[vendor]
    return pytest.param(alias, id=vendor, marks=pytest.mark.django_db(databases=[alias], transaction=True))


def pytest_xdist_auto_num_workers() -> int:
    """Have two workers more than there are cores: some tests wait for a cluster's next minute, or for a lock."""
    return (os.process_cpu_count() if hasattr(os, "process_cpu_count") else len(os.sched_getaffinity(0))) + 2


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Have each worker import the tests from another one on, before all collect them in the same order.

    What pytest makes of a module's assertions is kept in a file. So each worker makes a share, and reads the others'.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None:
        return
    directories = [path for path in map(Path, session.config.args) if path.is_dir()]
    files = sorted(file.absolute() for directory in directories for file in directory.rglob("test_*.py"))
    first = len(files) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    for file in (*files[first:], *files[:first]):
        module = ".".join(file.relative_to(session.config.rootpath).with_suffix("").parts)
        with contextlib.suppress(Exception):  # collection reports it, unless the module is ignored
            importlib.import_module(module)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the server is too old for, and have every worker begin with what takes long."""
    too_new = [item for item in items if _since(item) > databases.postgresql_version()]
    config.hook.pytest_deselected(items=too_new)
    items[:] = _dealt(
        [item for item in items if item not in too_new], getattr(config, "workerinput", {}).get("workercount", 1)
    )


def _dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Return the tests in an order of which each worker takes an equal part, as worksteal has it.

    Half of the workers begin with what waits for other processes, so that the others have the processors, and these
    with what works long. So none of it comes last, while the other workers have nothing left to do.
    """
    marked = {"waits": [], "timeout": [], "slow": [], "": []}
    for item in items:
        marked[next((mark for mark in marked if item.get_closest_marker(mark)), "")].append(item)
    parts: list[list[pytest.Item]] = [[] for _ in range(workers)]
    waiting, working = parts[: (workers + 1) // 2], parts[workers // 2 :]
    for those, shares in ((marked["waits"], waiting), (marked["timeout"] + marked["slow"], working)):
        for number, item in enumerate(those):
            shares[number % len(shares)].append(item)
    rest, left = iter(marked[""]), len(items)
    for number, part in enumerate(parts):
        part.extend(itertools.islice(rest, max(0, left // (workers - number) - len(part))))
        left -= len(part)
    return [*itertools.chain.from_iterable(parts), *rest]


def _since(item: pytest.Item) -> int:
    """Return the version of PostgreSQL that a test needs."""
    return max((marker.kwargs.get("since", 0) for marker in item.iter_markers("only")), default=0)


def pytest_collection_finish() -> None:
    """Keep the collector of garbage from looking again and again at what stays: modules, models, thousands of tests.

    And from looking as often as it does by itself, which takes a twentieth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker) -> Iterator[None]:
    """Lift the guards, for nearly all tests make duplicates, and note how the test databases look then."""
    with django_db_blocker.unblock(), contextlib.ExitStack() as stack:
        for alias in connections:
            connection = connections[alias]
            if connection.settings_dict["NAME"] == connection.creation._get_test_db_name():
                call_command("migrate", "cleanup_guards", "zero", database=alias, verbosity=0)
                databases.remember(alias)
                stack.enter_context(databases.template_of(alias))
        with django_db_blocker.block():
            yield


def _return_to_start(test_case: TransactionTestCase) -> None:
    """Replace Django's flush, which truncates every table and recreates all permissions: ten times as slow."""
    for alias in test_case._databases_names(include_mirrors=False):
        databases.return_to_start(alias)
        databases.keep_session(alias)


TransactionTestCase._fixture_teardown = _return_to_start


@receiver(setting_changed)
def _forget_swapped_models(*, setting: str, enter: bool, **_: object) -> None:
    """Have Django list models again: it keeps a list, which lacks those that a setting had swapped out meanwhile."""
    if setting.startswith("CLEANUP_") and setting.endswith("_MODEL") and not enter:
        apps.clear_cache()


@pytest.fixture
def database(request) -> Iterator[str]:
    """Yield the alias of the shared database."""
    with queue_in(request.param):
        yield request.param


@pytest.fixture
def scratch_database(request) -> Iterator[str]:
    """Yield an alias behind which stands a migrated database for this test alone."""
    with databases.scratch_copy(request.param), queue_in(request.param):
        yield request.param


@pytest.fixture
def guarded_database(request) -> Iterator[str]:
    """Yield an alias behind which stands a migrated database for this test alone, with all guards in place."""
    alias = request.param
    with queue_in(alias), databases.prepared(alias, _put_guards, start=databases.migrated):
        databases.adopt(alias)
        yield alias


def _put_guards(using: str) -> None:
    call_command("migrate", "cleanup_guards", database=using, verbosity=0)


@pytest.fixture
def blank_database(request) -> Iterator[str]:
    """Yield an alias behind which stands an empty database for this test alone."""
    with databases.blank(request.param), queue_in(request.param):
        yield request.param


# --- A skipped test is a failed run -----------------------------------------------------------------------------------

_unexpected_skips: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect tests that were skipped, expected failures included."""
    if report.skipped:
        _collect_skip(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Collect modules that were skipped as a whole."""
    if report.skipped:
        _collect_skip(report)


def _collect_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
    allowed = not os.environ.get("CI") and any(known in reason for known in ALLOWED_SKIPS)
    if not allowed:
        _unexpected_skips.append(f"{report.nodeid}: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run for a test that should have run."""
    if _unexpected_skips and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report which test that was."""
    if _unexpected_skips:
        terminalreporter.section("skipped, but should have run", red=True)
        for line in _unexpected_skips:
            terminalreporter.line(line)
