"""A server with the just-in-time compiler, as distributions deliver it, compiles nothing for us.

It is told to compile whatever it executes; what it has compiled, it counts.
"""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connections

from cleanup import tasks
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from tests import pgserver
from tests.acceptance import foreign_database
from tests.support import databases, undo_scripts
from tests.support.trees import dump, execute, fetch

pytestmark = [pytest.mark.only("postgresql"), pytest.mark.slow]


@pytest.fixture
def compiling(blank_database) -> Iterator[str]:
    """Yield a database of tables in the wild, adopted, on such a server."""
    binaries = pgserver.find_compiling_binaries()
    if binaries is None:
        pytest.skip("No PostgreSQL with the just-in-time compiler is installed: apt-get install postgresql")
    server = pgserver.start(binaries=binaries, shared_preload_libraries="pg_stat_statements")
    try:
        with databases.elsewhere(blank_database, server):
            foreign_database.create(blank_database)
            foreign_database.fill(blank_database)
            for app in ("cleanup", "auth", "django_q"):
                call_command("migrate", app, database=blank_database, fake_initial=True, verbosity=0)
            execute(blank_database, "CREATE EXTENSION pg_stat_statements")
            execute(blank_database, "ALTER DATABASE postgres SET jit_above_cost = 0")
            connections[blank_database].close()
            yield blank_database
    finally:
        server.stop()


def compiled(database: str) -> list[str]:
    """Return the statements for which something was compiled, except this one."""
    query = "SELECT query FROM pg_stat_statements WHERE jit_functions > 0 AND query NOT LIKE %s ORDER BY query"
    return [text for (text,) in fetch(database, query, "%pg_stat_statements%")]


class TestCompilingServer:
    def test_compiles_what_others_execute(self, compiling):
        fetch(compiling, "SELECT count(*) FROM folders WHERE name LIKE %s", "a%")
        assert len(compiled(compiling)) == 1

    def test_compiles_nothing_of_the_whole_story(self, compiling):
        service, automated = DatabaseCleanupService(using=compiling), AutomatedCleanupService(using=compiling)
        assert service.preflight()["ok"]
        before = dump(compiling)["folders"]
        execute(compiling, "SELECT pg_stat_statements_reset()")
        service.check()
        service.cleanup_all_duplicate_folders(dry_run=True)
        report = service.cleanup_all_duplicate_folders(workers=2)
        assert (report.failed_cleanups, report.status) == (0, "completed")
        assert service.verify_cleanup_integrity()["verification_passed"]
        automated.start_automated_service()
        tasks.heartbeat(compiling)
        automated.run_consistency_check()
        automated.stop_automated_service()
        application = report.results[0].application_id
        point = service.create_rollback_point(application)
        service.preview_rollback(point)
        service.rollback_cleanup(point)
        undo_scripts.run(compiling, undo_scripts.export(compiling, report.run_id))
        assert service.rollback_cleanup(report.run_id)
        assert compiled(compiling) == []
        assert dump(compiling)["folders"] == before
