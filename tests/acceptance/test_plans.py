"""How servers execute what is sent, on a large database that another program made, with the values that are sent.

On the wheel's server, and on a distribution's with the just-in-time compiler, which is told to compile whatever looks
like work. Nothing is compiled, no batch reads a large table from end to end, and the planner knows how many rows come.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from cleanup.services import DatabaseCleanupService
from tests import pgserver
from tests.benchmarks import adopted, dataset
from tests.support import databases, plans
from tests.support.plans import Plan
from tests.support.trees import execute

pytestmark = [pytest.mark.only("postgresql"), pytest.mark.slow]

APPLICATIONS = 8_000

#: Results after which the run of thousands is paused, and of the second run.
ENOUGH = 100

#: Rows of a table that is large; notes, which have no index, are fewer.
LARGE = 8_000

#: What costs more is compiled: nearly everything but the look-up of a row.
COMPILED_ABOVE = "1000"

#: A mistake: so many times the rows planned, and more than a few; or many rows planned, of which not a part came.
FACTOR, FEW, MANY = 1000, 1000, 100_000

#: The beginning of the statement that reads the whole database for a run.
WORKLIST = 'INSERT INTO "cleanup_result"'

SERVERS: dict[str, Callable[[], Path | None]] = {
    "usual": lambda: None,
    "compiling": pgserver.find_compiling_binaries,
}


@pytest.fixture(params=SERVERS)
def server(request) -> Iterator[pgserver.Server]:
    """Yield a server that logs its plans."""
    binaries = SERVERS[request.param]()
    if request.param == "compiling" and binaries is None:
        pytest.skip("No PostgreSQL with the just-in-time compiler is installed: apt-get install postgresql")
    server = pgserver.start(binaries=binaries, shared_buffers="512MB", jit_above_cost=COMPILED_ABOVE, **plans.SETTINGS)
    yield server
    server.stop()


@pytest.fixture
def large_database(server, blank_database) -> Iterator[str]:
    """Yield a database of tables in the wild, adopted, on that server."""
    with databases.elsewhere(blank_database, server):
        with connections[blank_database].cursor() as cursor:
            cursor.execute(adopted.TABLES)
            dataset.fill(cursor, applications=APPLICATIONS, files=2)
            adopted.fill(cursor)
            cursor.execute(adopted.INDEXES)
        for app in ("cleanup", "auth", "django_q"):
            call_command("migrate", app, database=blank_database, fake_initial=True, verbosity=0)
        execute(blank_database, "VACUUM ANALYZE")
        connections[blank_database].close()
        yield blank_database


class Story:
    """What is done, and the plans of each part of it."""

    def __init__(self, using: str, server: pgserver.Server) -> None:
        self.service = DatabaseCleanupService(using=using)
        self.log = plans.Log(server)
        self.reads: dict[str, list[Plan]] = {}
        """Of what looks at the whole database."""
        self.batches: dict[str, list[Plan]] = {}
        """Of what looks at a part of it at a time."""

    def tell(self) -> None:
        """Look at everything; then clean up, a part of thousands, and undo it; then one application; then again."""
        service = self.service
        self._note(self.reads, "preflight", service.preflight)
        self._note(self.reads, "verification", service.verify_cleanup_integrity)
        self._note(self.reads, "check", service.check)
        self._note(self.reads, "dry run", self._clean_up, dry_run=True, max_applications=ENOUGH)
        paused = self._note(self.batches, "cleanup", self._clean_up, progress=self._pause)
        assert (paused.status, paused.total_applications) == ("paused", 3 * APPLICATIONS // 10)
        self._note(self.batches, "rollback", service.rollback_cleanup, paused.run_id)
        service.cancel(paused.run_id)
        application, other = (result.application_id for result in paused.results[:2])
        self.log.plans()
        one = self._note(
            self.batches, "application", service.consolidate_duplicate_folders, application, include_held=True
        )
        self._note(self.batches, "preview of its rollback", service.preview_rollback, one.rollback_id)
        self._note(self.batches, "its rollback", service.rollback_cleanup, one.rollback_id)
        self._note(self.batches, "its verification", service.verify_cleanup_integrity, application)
        self._note(self.batches, "structure", service.get_or_create_folder_structure, other)
        self._note(self.batches, "two workers", self._clean_up, max_applications=ENOUGH, workers=2)

    def _clean_up(self, **options: Any) -> Any:
        return self.service.cleanup_all_duplicate_folders(**options)

    def _pause(self, progress: Any) -> None:
        if progress.done >= ENOUGH:
            self.service.pause()

    def _note(self, parts: dict[str, list[Plan]], name: str, verb: Callable[..., Any], *args: Any, **options: Any):
        done = verb(*args, **options)
        parts[name] = self.log.plans()
        return done


def mistakes(plan: Plan) -> list[str]:
    """Name the nodes of which the planner did not know how many rows come."""
    return [
        f"{node.kind} {node.of}: {node.planned:,} rows planned, {node.actual:,} came"
        for node in plan.nodes
        if node.actual >= max(FEW, FACTOR * node.planned)
        or (node.planned >= max(MANY, FACTOR * node.actual) and not (node.guessed or plan.recursive))
    ]


def growing(plan: Plan) -> list[str]:
    """Name the subqueries in expressions that give as many rows as what is worked on: the server hashes only few."""
    return [
        f"{node.kind} {node.of}: {node.actual:,} rows"
        for node in plan.nodes
        if node.in_expression and node.actual >= ENOUGH
    ]


def comparing_all(plan: Plan) -> list[str]:
    """Name the joins that compare each row with each."""
    return [f"{node.kind}: {node.compared:,.0f} pairs" for node in plan.nodes if node.compared >= MANY]


def assert_texts_are_looked_up(using: str, server: pgserver.Server) -> None:
    """The planner knows which texts a column has that names folders, and expects that few rows have those asked for."""
    with connections[using].cursor() as cursor:
        cursor.execute("ALTER TABLE files DROP CONSTRAINT files_folder_id_fkey, ALTER folder_id TYPE varchar(36)")
        cursor.execute("VACUUM ANALYZE files")
    service, log = DatabaseCleanupService(using=using), plans.Log(server)
    done = service.cleanup_all_duplicate_folders(max_applications=ENOUGH)
    undone = service.rollback_cleanup(done.run_id)
    assert undone.files_restored == done.total_files_moved >= LARGE // 10
    assert [(plan.statement, join) for plan in log.plans() for join in comparing_all(plan)] == []


def test_of_the_whole_story(large_database, server, subtests, request):
    story = Story(large_database, server)
    story.tell()
    for name, part in (story.reads | story.batches).items():
        with subtests.test(f"{name}: nothing is compiled"):
            assert part
            assert [plan.statement for plan in part if plan.compiled] == []
        with subtests.test(f"{name}: no subquery in an expression grows with what is worked on"):
            assert [(plan.statement, subquery) for plan in part for subquery in growing(plan)] == []
        with subtests.test(f"{name}: no join compares each row with each"):
            assert [(plan.statement, join) for plan in part for join in comparing_all(plan)] == []
        with subtests.test(f"{name}: the planner knows how many rows come"):
            assert [(plan.statement, mistake) for plan in part for mistake in mistakes(plan)] == []
    for name, part in story.reads.items():
        with subtests.test(f"{name}: no statement reads a large table twice"):
            sent = Counter(plan.statement for plan in part if plan.tables_scanned(rows=LARGE))
            assert [statement for statement, times in sent.items() if times > 1] == []
    for name, part in story.batches.items():
        with subtests.test(f"{name}: no batch reads a large table from end to end"):
            scanned = [(plan.statement, plan.tables_scanned(rows=LARGE)) for plan in part]
            assert [(text, tables) for text, tables in scanned if tables and not text.startswith(WORKLIST)] == []
    if request.node.callspec.params["server"] == "usual":  # the compiler has no part in how rows are looked up
        with subtests.test("columns that name folders as text"):
            assert_texts_are_looked_up(large_database, server)
