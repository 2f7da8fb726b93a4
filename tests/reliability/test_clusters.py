"""Real clusters on PostgreSQL, killed in part and whole: runs come to their end, and applications are cleaned once."""

import os
import signal
import time
from datetime import timedelta

import pytest
from django.db.models import Sum
from django.db.models.functions import Now

from cleanup.models import Heartbeat, JobLease, Result, RollbackPoint, Run
from tests.support import dirty_database
from tests.support.clusters import fleet
from tests.support.model_roles import Application
from tests.support.trees import execute

APPLICATIONS = 60

pytestmark = [pytest.mark.only("postgresql"), pytest.mark.slow, pytest.mark.waits]


#: Share of the time that a cluster works, where another one is to have its part of the run.
UNHURRIED = "0.1"


@pytest.fixture
def clusters(database):
    dirty_database.make(database, applications=APPLICATIONS)
    with fleet(database) as made:
        yield made


def ended(database: str, run_id: object) -> Run | None:
    return Run.objects.using(database).filter(pk=run_id).exclude(ended_at=None).first()


def assert_each_cleaned_once(database: str, run_id: object, *, applications: int = APPLICATIONS) -> None:
    run = Run.objects.using(database).get(pk=run_id)
    assert (run.status, run.status_reason, run.done_applications) == ("completed", "", applications)
    results = Result.objects.using(database).filter(run=run_id)
    assert set(results.values_list("status", flat=True)) == {"completed"}
    assert RollbackPoint.objects.using(database).filter(run=run_id).count() == applications
    assert max(results.values_list("attempts", flat=True)) <= 3


class TestARunInTheBackground:
    def test_is_shared_by_two_clusters(self, database, clusters):
        clusters.environment["CLEANUP_DUTY_CYCLE"] = UNHURRIED
        both = [clusters.start(), clusters.start()]
        clusters.wait_until(lambda: all("running" in cluster.log.read_text() for cluster in both))
        clusters.wake()
        run = clusters.cleanup()
        clusters.wait_until(lambda: ended(database, run), seconds=150)
        assert_each_cleaned_once(database, run)
        workers = Result.objects.using(database).values_list("worker", flat=True)
        assert len({worker.split(":")[1] for worker in workers}) == 2

    def test_survives_a_worker_killed_in_the_midst_of_a_batch(self, database, clusters):
        crash_once_file = clusters.directory / "crash_once_file"
        clusters.environment["CLEANUP_TEST_CRASH_ONCE_FILE"] = str(crash_once_file)
        clusters.start(workers=2)
        clusters.wake()
        crash_once_file.touch()
        run = clusters.cleanup()
        clusters.wait_until(lambda: ended(database, run), seconds=150)
        assert not crash_once_file.exists()
        assert_each_cleaned_once(database, run)
        assert Result.objects.using(database).filter(attempts=2).exists()

    def test_survives_a_whole_cluster_killed(self, database, clusters):
        clusters.environment["CLEANUP_DUTY_CYCLE"] = UNHURRIED
        both = [clusters.start(), clusters.start()]
        clusters.wait_until(lambda: all("running" in cluster.log.read_text() for cluster in both))
        clusters.wake()
        run = clusters.cleanup()
        results = Result.objects.using(database).filter(run=run).exclude(worker="")
        first = clusters.wait_until(lambda: results.values_list("worker", flat=True).first())
        (killed,) = (cluster for cluster in both if any(f":{pid}:" in first for pid in cluster.pids()))
        killed.kill()
        assert not ended(database, run)
        clusters.wait_until(lambda: ended(database, run), seconds=150)
        assert_each_cleaned_once(database, run)

    def test_sets_an_application_aside_that_kills_whoever_merges_it(self, database, clusters):
        crash_application = Application.objects.using(database).order_by("pk").values_list("pk", flat=True)[7]
        clusters.environment["CLEANUP_TEST_CRASH_APPLICATION"] = str(crash_application)
        clusters.start()
        clusters.start()
        clusters.wake()
        run = clusters.cleanup()
        ran = clusters.wait_until(lambda: ended(database, run), seconds=120)
        results = Result.objects.using(database)
        aside = results.get(application_key=str(crash_application))
        assert (ran.status, ran.done_applications, ran.failed_applications) == ("completed", APPLICATIONS, 1)
        assert (aside.status, aside.attempts, aside.error_code) == ("failed", 3, "attempts")
        assert results.filter(status="completed").count() == APPLICATIONS - 1


class TestTotalsAtATinyDutyCycle:
    """Workers rest for most of the time, so that one of them ends the run while others have yet to wake."""

    def test_are_the_sums_of_the_results(self, database):
        dirty_database.make(database, applications=24)
        with fleet(database, CLEANUP_TREE_HOOK=None) as clusters:
            clusters.environment["CLEANUP_DUTY_CYCLE"] = "0.04"
            clusters.start(workers=2)
            clusters.wake()
            run = clusters.cleanup()
            ran = clusters.wait_until(lambda: ended(database, run))
            leases = JobLease.objects.using(database).filter(run=run, ended_at=None)
            clusters.wait_until(lambda: not leases.exists())
        ran.refresh_from_db()
        sums = ran.results.aggregate(folders=Sum("folders_removed"), files=Sum("files_moved"))
        assert_each_cleaned_once(database, run, applications=24)
        assert (ran.folders_removed, ran.files_moved) == (sums["folders"], sums["files"])


class TestAClusterThatOnlyLooksAlive:
    """Its idle worker was killed with the lock of its queue, and the new one waits for that lock for ever."""

    def test_is_told_by_the_probe_and_its_restart_takes_up_what_was_left(self, database, clusters):
        hung = clusters.start()
        clusters.wake()
        assert clusters.run("cleanup_probe")["alive"] is True
        (idle,) = hung.workers(1)
        os.kill(idle, signal.SIGKILL)
        clusters.wait_until(lambda: hung.workers(1) not in ([], [idle]))
        run = clusters.cleanup()
        beats = Heartbeat.objects.using(database)
        clusters.wait_until(lambda: beats.filter(beat_at__lte=Now() - timedelta(seconds=5)).exists())
        assert hung.process.poll() is None
        assert clusters.run("cleanup_probe", "--max-age", 5, status=1)["alive"] is False
        assert Run.objects.using(database).get(pk=run).done_applications == 0

        hung.kill()
        restarted = time.monotonic()
        clusters.start()
        clusters.wait_until(lambda: ended(database, run), seconds=120)
        assert_each_cleaned_once(database, run)
        assert time.monotonic() - restarted < 120
        assert clusters.run("cleanup_probe")["alive"] is True


class TestEveryTaskDeliveredFiveTimes:
    def test_cleans_each_application_once(self, scratch_database):
        dirty_database.make(scratch_database, applications=APPLICATIONS)
        execute(scratch_database, FIVE_TIMES_FUNCTION)
        execute(scratch_database, FIVE_TIMES)
        with fleet(scratch_database) as clusters:
            clusters.start(workers=2)
            clusters.start(workers=2)
            clusters.wake()
            run = clusters.cleanup()
            clusters.wait_until(lambda: ended(scratch_database, run))
        assert_each_cleaned_once(scratch_database, run)
        assert set(Result.objects.using(scratch_database).values_list("attempts", flat=True)) == {1}


FIVE_TIMES_FUNCTION = """
CREATE FUNCTION five_times() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO django_q_ormq (key, payload, lock) SELECT NEW.key, NEW.payload, NEW.lock FROM generate_series(1, 4);
    RETURN NULL;
END $$
"""

FIVE_TIMES = """
CREATE TRIGGER five_times AFTER INSERT ON django_q_ormq
FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION five_times()
"""
