"""Behind PgBouncer in transaction mode, where each transaction gets another session of the server."""

from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from cleanup import backends
from cleanup.services import DatabaseCleanupService
from tests.support import pgbouncer
from tests.support.trees import dump, fetch, tree

pytestmark = pytest.mark.only("postgresql")

#: What someone else would meet on a session that was left in some state.
STATE = """
SELECT pg_backend_pid(), current_setting('lock_timeout'), current_setting('statement_timeout'), current_setting('jit'),
       current_setting('datestyle'), current_setting('session_replication_role'), current_user::text,
       (SELECT count(*) FROM pg_cursors WHERE is_holdable), (SELECT count(*) FROM pg_prepared_statements),
       (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),
       (SELECT count(*) FROM pg_listening_channels()), pg_my_temp_schema() <> 0
"""


@pytest.fixture
def pooled(scratch_database) -> Iterator[str]:
    with pgbouncer.between(scratch_database):
        yield scratch_database


def states(database: str) -> dict[int, tuple]:
    """Return the state of every session that the proxy has, by its pid."""
    asked = [fetch(database, STATE)[0] for _ in range(3 * pgbouncer.SESSIONS)]
    return {pid: state for pid, *state in asked}


def pooling(database: str) -> str:
    return backends.database(using=database).server.pooling()


def problems(database: str, kind: str = "problems") -> list[str]:
    told = DatabaseCleanupService(using=database).preflight()[kind]
    return [problem["message"] for problem in told if problem["code"] == "pooling"]


class TestCleanup:
    def test_with_two_workers_is_undone_to_the_byte(self, pooled):
        for _ in range(20):
            tree(pooled, "Loan/{Docs(2), Photos(1)}, Loan/{Docs(1)/Old(1), Notes}")
        service, before = DatabaseCleanupService(using=pooled), dump(pooled)
        foreseen = service.cleanup_all_duplicate_folders(dry_run=True)
        done = service.cleanup_all_duplicate_folders(workers=2, batch_size=2)
        assert (done.successful_cleanups, done.failed_cleanups) == (20, 0)
        assert done.total_folders_removed == foreseen.total_folders_removed == 40
        assert service.verify_cleanup_integrity()["verification_passed"]
        assert service.rollback_cleanup(done.run_id, workers=2).exact
        assert dump(pooled) == before

    def test_leaves_nothing_on_a_session(self, pooled):
        before = set(map(tuple, states(pooled).values()))
        for _ in range(4):
            tree(pooled, "Loan/Docs(1), Loan/Docs(2)")
        service = DatabaseCleanupService(using=pooled)
        assert service.preflight()["ok"]
        service.check()
        done = service.cleanup_all_duplicate_folders(workers=2, batch_size=1)
        service.rollback_cleanup(done.run_id)
        after = states(pooled)
        assert len(after) > 1
        assert set(map(tuple, after.values())) == before


class TestGuards:
    def test_are_refused_before_anything_is_set_on_a_session(self, pooled):
        before = set(map(tuple, states(pooled).values()))
        with pytest.raises(CommandError, match="Connect to the server itself"):
            call_command("migrate", "cleanup_guards", database=pooled, verbosity=0)
        assert set(map(tuple, states(pooled).values())) == before


class TestProxy:
    def test_is_none_on_a_connection_to_the_server(self, database):
        assert pooling(database) == "none"

    def test_is_known_to_pool_by_transaction(self, pooled):
        assert pooling(pooled) == "transaction"

    def test_that_gives_each_connection_a_session_is_not_said_to(self, scratch_database):
        with pgbouncer.between(scratch_database, mode="session"):
            assert pooling(scratch_database) == "unknown"


class TestPreflight:
    def test_has_nothing_to_say_with_the_settings_of_the_project(self, pooled):
        assert problems(pooled) == []

    @pytest.mark.parametrize(
        ("name", "value", "remedy"),
        [
            ("DISABLE_SERVER_SIDE_CURSORS", False, 'set "DISABLE_SERVER_SIDE_CURSORS": True'),
            ("OPTIONS", {"prepare_threshold": 0}, 'remove "prepare_threshold"'),
            ("OPTIONS", {"assume_role": "postgres"}, 'remove "assume_role"'),
        ],
    )
    def test_refuses_what_is_kept_on_a_session(self, pooled, monkeypatch, name, value, remedy):
        monkeypatch.setitem(connections[pooled].settings_dict, name, value)
        (message,) = problems(pooled)
        assert "pools by transaction" in message
        assert remedy in message

    def test_warns_where_the_proxy_may_pool_by_transaction(self, scratch_database, monkeypatch):
        monkeypatch.setitem(connections[scratch_database].settings_dict, "DISABLE_SERVER_SIDE_CURSORS", False)
        with pgbouncer.between(scratch_database, mode="session"):
            assert problems(scratch_database) == []
            assert len(problems(scratch_database, "warnings")) == 1
