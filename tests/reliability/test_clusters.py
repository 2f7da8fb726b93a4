"""Real clusters on PostgreSQL, killed in part and whole: what was started ends, and each application is cleaned once."""

import os
import signal

import pytest

from cleanup.models import Heartbeat, Result, RollbackPoint, Run, Tick
from tests import databases
from tests.reliability import mess
from tests.reliability.clusters import Fleet, fleet

APPLICATIONS = 60

pytestmark = pytest.mark.only("postgresql")


@pytest.fixture
def clusters(database):
    mess.make(database, applications=APPLICATIONS)
    with fleet(database) as made:
        yield made


def awake(clusters: Fleet, database: str) -> None:
    """Start the service, and wait for the first sign of life."""
    clusters.run("database_cleanup", "--start")
    clusters.wait_until(lambda: Heartbeat.objects.using(database).exists())


def ended(database: str, run_id: str) -> Run | None:
    return Run.objects.using(database).filter(pk=run_id).exclude(ended_at=None).first()


def assert_each_cleaned_once(database: str, run_id: str) -> None:
    run = Run.objects.using(database).get(pk=run_id)
    assert (run.status, run.status_reason, run.done_applications) == ("completed", "", APPLICATIONS)
    results = Result.objects.using(database).filter(run=run_id)
    assert set(results.values_list("status", flat=True)) == {"completed"}
    assert RollbackPoint.objects.using(database).filter(run=run_id).count() == APPLICATIONS
    assert max(results.values_list("attempts", flat=True)) <= 3


class TestARunInTheBackground:
    def test_is_shared_by_two_clusters(self, database, clusters):
        clusters.start()
        clusters.start()
        awake(clusters, database)
        run = clusters.cleanup()
        clusters.wait_until(lambda: ended(database, run["run_id"]))
        assert_each_cleaned_once(database, run["run_id"])
