"""Throttling: a run waits while its database is under pressure, says why, and lets itself be stopped meanwhile."""

import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connections

from cleanup import backends
from cleanup.backends.pressure import Load
from cleanup.exceptions import MisconfiguredSetting
from cleanup.models import Run
from cleanup.references import schema_changes
from cleanup.services import DatabaseCleanupService
from cleanup.services.runs import lifecycle
from cleanup.services.runs.pacing import Pacing
from cleanup.services.runs.team import Team
from tests.integration.runs.test_lifecycle import locked_application, wait_for_waiter
from tests.support import databases, dirty_database
from tests.support.trees import execute, sql

#: Limits of which nothing is looked at.
NOTHING = dict.fromkeys(
    (
        "lock_waiters",
        "active_connections",
        "connections_percent",
        "replica_lag_seconds",
        "replica_lag_mb",
        "retained_wal_mb",
        "free_disk_mb",
    )
)

answers: list[str | None] = []


def asked(*, using: str, run_id: str) -> str | None:
    """Answer as the test says; the last answer stays."""
    return answers.pop(0) if len(answers) > 1 else answers[0]


def broken(*, using: str, run_id: str) -> str | None:
    raise ValueError("Ms Example")


@pytest.fixture
def limits(settings) -> Callable[..., None]:
    """Return what sets the limits; none but those are looked at, and often."""

    def limit(**given: float) -> None:
        settings.CLEANUP_THROTTLE_LIMITS = {**NOTHING, **given}

    settings.CLEANUP_THROTTLE_SECONDS = 0.05
    limit()
    return limit


@pytest.fixture
def hook(settings, limits) -> Callable[..., None]:
    settings.CLEANUP_THROTTLE = f"{__name__}.asked"
    return lambda *given: answers.__setitem__(slice(None), given)


def clean(using: str):
    return DatabaseCleanupService(using=using).cleanup_all_duplicate_folders()


@contextmanager
def when_waiting(using: str, action: Callable[[str], None]) -> Iterator[list[str]]:
    """Act as soon as a run waits, from elsewhere; yield what it waited for."""
    seen: list[str] = []

    def watch() -> None:
        try:
            for _ in range(1000):
                found = Run.objects.using(using).exclude(waiting_for="").values_list("waiting_for", flat=True).first()
                if found:
                    seen.append(found)
                    action(found)
                    return
                time.sleep(0.01)
        finally:
            connections[using].close()

    thread = threading.Thread(target=watch)
    thread.start()
    yield seen
    thread.join()


class TestRun:
    def test_goes_on_where_nothing_presses(self, database):
        dirty_database.make(database, applications=2)
        assert clean(database).status == "completed"
        run = Run.objects.using(database).get()
        assert (run.waiting_for, run.waiting_since) == ("", None)

    def test_shows_what_it_saw(self, database):
        dirty_database.make(database, applications=1)
        clean(database)
        probes = Run.objects.using(database).get().probes
        known = {name for name, figure in probes.items() if figure != "unknown"}
        assert len(probes) == len(NOTHING)
        assert known == ({"free_disk_mb"} if database == "default" else set(NOTHING) - {"free_disk_mb"})

    def test_waits_as_long_as_the_host_says(self, database, hook):
        hook("the end of the month", "the end of the month", None)
        dirty_database.make(database, applications=2)
        with when_waiting(database, lambda _: None) as seen:
            report = clean(database)
        assert (seen, report.status, report.successful_cleanups) == (["the end of the month"], "completed", 2)
        assert Run.objects.using(database).get().waiting_for == ""

    def test_goes_on_where_the_hosts_hook_fails(self, database, settings, limits, caplog):
        settings.CLEANUP_THROTTLE = f"{__name__}.broken"
        dirty_database.make(database, applications=1)
        assert clean(database).status == "completed"
        assert Run.objects.using(database).get().probes == {"hook": "unknown"}
        assert "ValueError" in caplog.text
        assert "Ms Example" not in caplog.text

    @pytest.mark.parametrize(("verb", "status"), [("pause", "paused"), ("cancel", "cancelled"), ("freeze", "paused")])
    def test_is_stopped_while_it_waits(self, database, hook, verb, status):
        hook("maintenance")
        dirty_database.make(database, applications=2)
        service = DatabaseCleanupService(using=database)
        with when_waiting(database, lambda _: getattr(service, verb)(reason="enough")):
            report = clean(database)
        assert (report.status, report.successful_cleanups) == (status, 0)
        assert Run.objects.using(database).get().waiting_for == ""

    def test_is_paused_when_it_has_waited_too_long(self, database, hook, settings):
        settings.CLEANUP_THROTTLE_PATIENCE_SECONDS = 0.3
        hook("maintenance")
        dirty_database.make(database, applications=2)
        report = clean(database)
        assert report.status == "paused"
        assert report.status_reason == "the database has been under pressure for too long: maintenance"

    def test_that_was_paused_so_goes_on_when_told_to(self, database, hook, settings):
        settings.CLEANUP_THROTTLE_PATIENCE_SECONDS = 0.3
        hook("maintenance")
        dirty_database.make(database, applications=2)
        paused = clean(database)
        hook(None)
        assert DatabaseCleanupService(using=database).resume(paused.run_id).status == "completed"

    def test_shows_a_sign_of_life_while_it_waits(self, database, hook):
        dirty_database.make(database, applications=1)
        hook("maintenance")
        beats = []

        def look(_: str) -> None:
            for _ in range(200):
                beats.append(Run.objects.using(database).get().heartbeat_at)
                if len(set(beats)) > 2:
                    break
                time.sleep(0.02)
            hook(None)

        with when_waiting(database, look):
            clean(database)
        assert len(set(beats)) > 2

    def test_looks_no_oftener_than_it_may(self, database, hook, settings):
        settings.CLEANUP_THROTTLE_SECONDS = 60
        dirty_database.make(database, applications=6)
        hook(None, "too late")
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(batch_size=1)
        assert (report.status, answers) == ("completed", ["too late"])


class TestPace:
    @pytest.fixture
    def pace(self, database) -> Pacing:
        run = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        return Team(using=database, run=run, references=schema_changes.read(using=database)).worker().pacing

    def test_leaves_the_rest_of_the_time_to_others(self, pace, settings):
        settings.CLEANUP_DUTY_CYCLE = 0.2
        started = time.monotonic()
        pace.rest(0.05)
        assert 0.2 <= time.monotonic() - started < 2

    def test_leaves_nothing_by_default(self, pace):
        started = time.monotonic()
        pace.rest(10)
        assert time.monotonic() - started < 1

    def test_ends_when_asked_to_stop(self, pace, settings):
        settings.CLEANUP_DUTY_CYCLE = 0.01
        threading.Timer(0.1, lambda: pace.stop_requests.stop("enough")).start()
        started = time.monotonic()
        pace.rest(1)
        assert time.monotonic() - started < 5

    def test_is_a_share(self, pace, settings):
        settings.CLEANUP_DUTY_CYCLE = 4
        with pytest.raises(MisconfiguredSetting, match="CLEANUP_DUTY_CYCLE"):
            pace.rest(1)


@contextmanager
def waiter(using: str) -> Iterator[Callable[[], None]]:
    """Have a session wait for a lock, and yield what ends it."""
    (key,) = dirty_database.make_clean(using, applications=1)
    with locked_application(using, key) as holder, psycopg.connect(databases.url_of(using)) as other:
        statement = sql(using, "SELECT FROM :applications WHERE :applications.key = %s FOR UPDATE")
        thread = threading.Thread(target=lambda: other.execute(statement, [key]))
        thread.start()
        wait_for_waiter(holder)
        try:
            yield holder.rollback
        finally:
            holder.rollback()
            thread.join()


@contextmanager
def replication_slot(using: str) -> Iterator[None]:
    execute(using, "SELECT pg_create_physical_replication_slot('cleanup_test', true)")
    try:
        execute(using, "SELECT pg_switch_wal()")
        yield
    finally:
        execute(using, "SELECT pg_drop_replication_slot('cleanup_test')")


@contextmanager
def lagging_replica(using: str) -> Iterator[None]:
    """Be a replica that has replayed nothing recently, in the protocol of replicas."""
    url = databases.url_of(using)
    with psycopg.connect(url) as session:
        ((start,),) = session.execute("SELECT pg_current_wal_flush_lsn()::text").fetchall()
    replica = psycopg.pq.PGconn.connect(f"{url}?replication=true".encode())
    try:
        answer = replica.exec_(f"START_REPLICATION PHYSICAL {start}".encode())
        assert answer.status == psycopg.pq.ExecStatus.COPY_BOTH, replica.error_message
        high, low = (int(part, 16) for part in start.split("/"))
        place = (high << 32) + low
        replica.put_copy_data(b"r" + struct.pack("!qqqqb", place, place, place, 0, 0))
        replica.flush()
        execute(using, "SELECT pg_switch_wal()")
        execute(using, "SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000))")
        wait_until(lambda: backends.database(using=using).pressure().replica_lag_mb)
        yield
    finally:
        replica.finish()


def wait_until(met: Callable[[], object]) -> None:
    for _ in range(500):
        if met():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


@pytest.mark.only("postgresql")
class TestPostgresql:
    def test_that_has_waiters_for_locks_is_waited_for(self, database, limits):
        limits(lock_waiters=0)
        with waiter(database) as release:
            dirty_database.make(database, applications=2)
            with when_waiting(database, lambda _: release()) as seen:
                report = clean(database)
        assert (seen, report.status) == (["sessions waiting for locks: 1 (at most 0)"], "completed")

    def test_tells_an_unprivileged_role_of_waiters_too(self, scratch_database, limits):
        execute(scratch_database, "DROP ROLE IF EXISTS nobody_special")
        execute(scratch_database, "CREATE ROLE nobody_special")
        with waiter(scratch_database):
            execute(scratch_database, "SET ROLE nobody_special")
            load = backends.database(using=scratch_database).pressure()
            execute(scratch_database, "RESET ROLE")
        execute(scratch_database, "DROP ROLE nobody_special")
        assert (load.lock_waiters, load.active_connections) == (1, None)

    def test_tells_of_active_connections_of_others(self, database):
        with waiter(database):
            assert backends.database(using=database).pressure().active_connections == 1

    def test_tells_of_connections_in_use(self, database):
        assert 0 < backends.database(using=database).pressure().connections_percent < 100

    def test_that_keeps_log_for_a_slot_is_waited_for(self, database, limits, settings):
        settings.CLEANUP_THROTTLE_PATIENCE_SECONDS = 0.1
        limits(retained_wal_mb=0.01)
        dirty_database.make(database, applications=1)
        with replication_slot(database):
            report = clean(database)
        assert "log kept for a replication slot" in report.status_reason

    def test_whose_replica_is_behind_is_waited_for(self, database, limits, settings):
        settings.CLEANUP_THROTTLE_PATIENCE_SECONDS = 0.1
        limits(replica_lag_mb=0.01)
        dirty_database.make(database, applications=1)
        with lagging_replica(database):
            report = clean(database)
        assert "lag of a replica" in report.status_reason

    def test_is_asked_in_one_statement(self, database, django_assert_num_queries):
        with django_assert_num_queries(1, using=database):
            backends.database(using=database).pressure()


@pytest.mark.only("sqlite")
class TestSqlite:
    def test_tells_of_its_disk_alone(self, database):
        load = backends.database(using=database).pressure()
        assert load == Load(free_disk_mb=load.free_disk_mb)
        assert load.free_disk_mb > 0

    def test_on_a_full_disk_is_waited_for(self, database, limits, settings):
        settings.CLEANUP_THROTTLE_PATIENCE_SECONDS = 0.1
        limits(free_disk_mb=10**12)
        dirty_database.make(database, applications=1)
        assert "free disk space" in clean(database).status_reason
