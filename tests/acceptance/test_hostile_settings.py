"""The rehearsal on a database whose owner has set what can be set, against the same one as the server comes."""

from dataclasses import dataclass

import pytest
from django.core.management import call_command
from django.db import connections

from cleanup import tasks
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from tests.acceptance import foreign_database
from tests.support import databases
from tests.support.trees import dump, execute

pytestmark = pytest.mark.only("postgresql")

HOSTILE = {
    "array_nulls": "off",
    "backslash_quote": "off",
    "bytea_output": "escape",
    "constraint_exclusion": "on",
    "cpu_operator_cost": "1000",
    "cursor_tuple_fraction": "0",
    "datestyle": "German, DMY",
    "default_tablespace": "pg_default",
    "default_transaction_deferrable": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "enable_hashjoin": "off",
    "enable_indexscan": "off",
    "enable_sort": "off",
    "extra_float_digits": "-15",
    "from_collapse_limit": "1",
    "geqo_threshold": "2",
    "gin_fuzzy_search_limit": "1",
    "idle_in_transaction_session_timeout": "10s",
    "intervalstyle": "sql_standard",
    "join_collapse_limit": "1",
    "lock_timeout": "10s",
    "max_parallel_workers_per_gather": "8",
    "min_parallel_table_scan_size": "0",
    "parallel_setup_cost": "0",
    "parallel_tuple_cost": "0",
    "plan_cache_mode": "force_generic_plan",
    "quote_all_identifiers": "on",
    "random_page_cost": "1000",
    "row_security": "on",
    "session_replication_role": "replica",
    "standard_conforming_strings": "off",
    "statement_timeout": "10s",
    "synchronous_commit": "off",
    "timezone": "Asia/Kolkata",
    "transform_null_equals": "on",
    "work_mem": "64kB",
    "xmlbinary": "hex",
    "xmloption": "document",
}
#: In which the database's own functions would go before PostgreSQL's.
SEARCH_PATH = '"$user", public, audit, pg_catalog'


@dataclass
class Story:
    """What came of it."""

    before: dict
    cleaned: dict
    restored: dict
    figures: tuple


def make_hostile(database: str) -> None:
    name = connections[database].settings_dict["NAME"]
    for setting, value in HOSTILE.items():
        execute(database, f"ALTER DATABASE \"{name}\" SET {setting} = '{value}'")
    execute(database, f'ALTER DATABASE "{name}" SET search_path = {SEARCH_PATH}')
    forced = "debug_parallel_query" if connections[database].pg_version >= 160000 else "force_parallel_mode"
    execute(database, f'ALTER DATABASE "{name}" SET {forced} = on')
    connections[database].close()


def plain_dump(database: str) -> dict:
    """Dump by a session without any of that."""
    with connections[database].cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        cursor.execute("SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex'")
        cursor.execute("SET extra_float_digits = 1; SET timezone = 'UTC'; SET lc_monetary = 'C'")
        cursor.execute("SET xmloption = 'content'; SET quote_all_identifiers = off; SET jit = off")
    rows = {name: found for name, found in dump(database).items() if name != "django_migrations"}
    connections[database].close()
    return rows


def story(database: str) -> Story:
    """Migrate, look, clean up, verify, roll back; and see that all else works."""
    for app in ("cleanup", "auth", "django_q"):
        call_command("migrate", app, database=database, fake_initial=True, verbosity=0)
    service, automated = DatabaseCleanupService(using=database), AutomatedCleanupService(using=database)
    before = plain_dump(database)
    assert service.preflight()["problems"] == []
    assert not service.check()["integrity_verification"]["verification_passed"]
    foreseen = service.cleanup_all_duplicate_folders(dry_run=True)
    report = service.cleanup_all_duplicate_folders(workers=2)
    assert (report.failed_cleanups, report.total_folders_removed) == (0, foreseen.total_folders_removed)
    cleaned = plain_dump(database)
    assert service.verify_cleanup_integrity()["verification_passed"]
    automated.start_automated_service()
    tasks.heartbeat(database)
    assert not automated.run_consistency_check()["needs_cleanup"]
    automated.stop_automated_service()
    call_command("migrate", "cleanup_guards", database=database, verbosity=0)
    call_command("migrate", "cleanup_guards", "zero", database=database, verbosity=0)
    assert service.rollback_cleanup(report.run_id).exact
    figures = (report.total_folders_removed, report.total_files_moved, report.total_child_folders_merged)
    return Story(before, cleaned, plain_dump(database), figures)


class TestRehearsalUnderHostileSettings:
    def test_finds_the_same_rows(self, blank_database):
        foreign_database.create(blank_database)
        foreign_database.fill(blank_database, roots=(2,))
        with databases.scratch_copy(blank_database):
            usual = story(blank_database)
        make_hostile(blank_database)
        hostile = story(blank_database)
        assert hostile.figures == usual.figures
        assert hostile.before == usual.before
        assert hostile.cleaned == usual.cleaned
        assert hostile.restored == usual.restored == usual.before
