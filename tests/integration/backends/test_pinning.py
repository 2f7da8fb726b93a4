"""Every transaction of ours begins with the same settings, and leaves none behind."""

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections, transaction
from django.db.backends.signals import connection_created

from cleanup import backends
from cleanup.backends.pinning import batch, pinning, unpinned
from cleanup.backends.postgresql.settings import settings as settings_of
from cleanup.models import Hold
from project.database import make_usable
from tests.support.trees import execute, fetch

pytestmark = pytest.mark.only("postgresql")

HOSTILE = {"jit": "on", "array_nulls": "off", "enable_indexscan": "off", "xmloption": "document"}


def version(database: str) -> int:
    connections[database].ensure_connection()
    return connections[database].pg_version // 10_000


def in_force(database: str, names: object) -> dict[str, str]:
    return dict(fetch(database, "SELECT n, current_setting(n) FROM unnest(%s::text[]) AS n", list(names)))


def begin_sessions_with(database: str, **values: str) -> None:
    name = connections[database].settings_dict["NAME"]
    for setting, value in values.items():
        execute(database, f"ALTER DATABASE \"{name}\" SET {setting} = '{value}'")
    connections[database].close()


@pytest.fixture
def hostile(scratch_database) -> str:
    begin_sessions_with(scratch_database, **HOSTILE, default_transaction_isolation="serializable")
    return scratch_database


@pytest.fixture
def bare() -> object:
    """Leave sessions as the database begins them, as a host's project does."""
    connection_created.disconnect(make_usable)
    yield
    connection_created.connect(make_usable)


class TestPinning:
    @pytest.mark.parametrize("single", [True, False])
    def test_sets_all_for_single_statements_and_for_transactions(self, hostile, single):
        expected = settings_of(version=version(hostile), batch=False)
        with pinning(using=hostile):
            if single:
                assert in_force(hostile, expected) == expected
            else:
                with transaction.atomic(using=hostile):
                    assert in_force(hostile, expected) == expected

    def test_sets_more_for_a_batch(self, hostile):
        expected = settings_of(version=version(hostile), batch=True) | {"lock_timeout": "500ms"}
        expected["statement_timeout"] = "1min"
        with batch(backends.database(using=hostile)):
            assert in_force(hostile, expected) == {**expected, "timezone": "UTC"}

    def test_reads_what_is_committed_and_may_write(self, hostile):
        execute(hostile, "SET default_transaction_read_only = on")
        with pinning(using=hostile):
            assert fetch(hostile, "SHOW transaction_isolation") == [("read committed",)]
            Hold.objects.using(hostile).create(application_key="1")
        assert Hold.objects.using(hostile).exists()

    def test_leaves_nothing_behind(self, hostile):
        before = in_force(hostile, HOSTILE)
        with pinning(using=hostile):
            fetch(hostile, "SELECT 1")
            with unpinned(using=hostile):
                assert in_force(hostile, HOSTILE) == before
            with pytest.raises(Exception, match="division"):
                fetch(hostile, "SELECT 1 / 0")
        assert in_force(hostile, HOSTILE) == before == HOSTILE

    def test_leaves_a_transaction_of_the_caller_alone(self, hostile):
        with transaction.atomic(using=hostile):
            with pinning(using=hostile):
                assert in_force(hostile, HOSTILE) == HOSTILE
            with batch(backends.database(using=hostile), writing=False):
                assert in_force(hostile, ["jit"]) == {"jit": "off"}
            assert in_force(hostile, HOSTILE) == HOSTILE

    def test_has_foreign_keys_checked_for_a_role_that_skips_them(self, hostile):
        begin_sessions_with(hostile, session_replication_role="replica")
        with pinning(using=hostile):
            assert in_force(hostile, ["session_replication_role"]) == {"session_replication_role": "origin"}


class TestMigrations:
    @pytest.mark.parametrize(
        ("setting", "value"),
        [("default_transaction_read_only", "on"), ("datestyle", "German"), ("intervalstyle", "iso_8601")],
    )
    @pytest.mark.usefixtures("bare")
    def test_where_sessions_begin_so_are_refused_in_words(self, scratch_database, setting, value):
        begin_sessions_with(scratch_database, **{setting: value})
        with pytest.raises(SystemCheckError, match=r"cleanup\.E012") as caught:
            call_command("migrate", "cleanup", database=scratch_database, verbosity=0, skip_checks=False)
        (remedy,) = (line.split("connect again: ")[1] for line in str(caught.value).splitlines() if "HINT: " in line)
        with transaction.atomic(using=scratch_database):
            execute(scratch_database, "SET TRANSACTION READ WRITE")
            execute(scratch_database, remedy)
        connections[scratch_database].close()
        try:
            call_command("migrate", "cleanup", database=scratch_database, verbosity=0, skip_checks=False)
        finally:  # a role is the whole server's
            execute(scratch_database, remedy.rpartition(" SET ")[0] + " RESET ALL")

    def test_work_in_the_project(self, scratch_database):
        begin_sessions_with(scratch_database, default_transaction_read_only="on", datestyle="German")
        call_command("migrate", "cleanup", "zero", database=scratch_database, verbosity=0)
        call_command("migrate", "cleanup", database=scratch_database, verbosity=0)
