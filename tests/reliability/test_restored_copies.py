"""Copies of a real server's database, made after a run in the background was interrupted, each under a live cluster."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.models.functions import Now

from cleanup import backends
from cleanup.backends.identity import difference, is_same
from cleanup.exceptions import ForeignDatabase
from cleanup.models import Alert, Heartbeat, JobLease, Result, Run, Schedule, ScheduledRun
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService, origin
from cleanup.services.runs import lifecycle
from tests import pgserver
from tests.support import databases, dirty_database
from tests.support.clusters import SETTINGS, fleet
from tests.support.trees import dump, execute

pytestmark = [pytest.mark.slow, pytest.mark.waits]

APPLICATIONS = 9


@pytest.fixture
def interrupted(database) -> str:
    """Leave what a cluster leaves that died: a run that was begun, and its schedules due."""
    dirty_database.make(database, applications=APPLICATIONS)
    automated = AutomatedCleanupService(using=database)
    Heartbeat.objects.using(database).create(cluster="elsewhere:1", host="elsewhere")
    automated.start_automated_service()
    with fleet(database) as clusters:
        run = clusters.cleanup()
        cluster = clusters.start()
        clusters.wait_until(Result.objects.using(database).filter(run=run, status="completed").exists)
        cluster.kill()
    assert Run.objects.using(database).get().status == "running"
    Schedule.objects.using(database).update(next_run=Now())
    JobLease.objects.using(database).update(lease_expires_at=Now())
    return database


def assert_rests_until_it_is_adopted(copy: str) -> None:
    """Let a cluster live on the copy for longer than leases last; then adopt it."""
    before = dump(copy)
    done = Result.objects.using(copy).exclude(worker="").count()
    with fleet(copy) as clusters:
        clusters.start()
        clusters.wait_until(Alert.objects.using(copy).filter(code="restored_copy").exists, seconds=100)
        time.sleep(2 * SETTINGS["CLEANUP_LEASE_SECONDS"])
        assert dump(copy) == before
        assert Result.objects.using(copy).exclude(worker="").count() == done < APPLICATIONS
        assert not ScheduledRun.objects.using(copy).exists()

        clusters.run("database_cleanup", "--adopt", "--no-input")
        clusters.wait_until(Run.objects.using(copy).filter(status="completed").exists, seconds=150)
        assert dump(copy) != before


class TestARestoredCopy:
    @pytest.mark.only("postgresql")
    def test_of_a_dump_rests_until_it_is_adopted(self, interrupted):
        with databases.restored_dump(interrupted, binaries=pgserver.find_binaries()):
            assert_rests_until_it_is_adopted(interrupted)

    @pytest.mark.only("sqlite")
    def test_of_a_file_rests_until_it_is_adopted(self, interrupted):
        original = Path(connections[interrupted].settings_dict["NAME"])
        connections[interrupted].close()
        copy = original.with_name("copied.sqlite3")
        shutil.copy(original, copy)
        with databases.swapped_in(interrupted, name=str(copy)):
            assert_rests_until_it_is_adopted(interrupted)


@pytest.mark.only("postgresql")
class TestACopyOfAServer:
    """Its database has the number that it has on the original, and the server the same system identifier."""

    @pytest.fixture
    def original(self, blank_database) -> Iterator[pgserver.Server]:
        """Start a server of its own, with a paused run; what is copied is all of a server."""
        server = pgserver.start()
        try:
            with databases.elsewhere(blank_database, server):
                call_command("migrate", "cleanup", database=blank_database, verbosity=0)
                AutomatedCleanupService(using=blank_database).start_automated_service()
                dirty_database.make(blank_database, applications=1)
                lifecycle.create_cleanup(using=blank_database, options=lifecycle.Options(), actor=lifecycle.Actor())
            yield server
        finally:
            server.stop()

    @contextlib.contextmanager
    def copied(self, using: str, original: pgserver.Server, **settings: str) -> Iterator[pgserver.Server]:
        server = pgserver.copy(original, **settings)
        try:
            with databases.elsewhere(using, server):
                yield server
        finally:
            server.stop()

    def assert_is_a_copy(self, using: str, difference: str) -> None:
        assert difference in origin.copied(using=using).difference
        with pytest.raises(ForeignDatabase):
            DatabaseCleanupService(using=using).resume(Run.objects.using(using).get().pk)
        AutomatedCleanupService(using=using).adopt_database()
        assert origin.copied(using=using) is None

    def test_on_another_port_is_recognised(self, blank_database, original):
        with self.copied(blank_database, original, port="5433"):
            self.assert_is_a_copy(blank_database, "another port (5433, it was 5432)")

    def test_that_was_promoted_is_recognised_also_by_a_role_that_may_look_at_nothing(self, blank_database, original):
        with databases.elsewhere(blank_database, original):
            execute(blank_database, "CREATE ROLE plain")
            execute(blank_database, "SET ROLE plain")
            before = backends.database(using=blank_database).identity()
        with self.copied(blank_database, original) as server:
            execute(blank_database, "SET ROLE plain")
            assert is_same(
                before, backends.database(using=blank_database).identity()
            )  # nothing tells, and the manual says so
            server.promote()
            connections[blank_database].close()
            execute(blank_database, "SET ROLE plain")
            assert difference(before, backends.database(using=blank_database).identity()).endswith(
                "(timeline 2, it was 1)"
            )
            execute(blank_database, "RESET ROLE")
            self.assert_is_a_copy(blank_database, "(timeline 2, it was 1)")
