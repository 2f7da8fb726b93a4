"""A web server that is killed while a request waits for a run, beside a live cluster."""

import contextlib
import threading
import time

import pytest
from django.contrib.auth.models import User
from knox.models import AuthToken

from cleanup.models import Heartbeat, Result, RollbackPoint, Run
from cleanup.services.background import clusters as clusters_service
from tests.reliability.serving import WebServer, serving
from tests.support import dirty_database
from tests.support.clusters import fleet

APPLICATIONS = 30

pytestmark = [pytest.mark.slow, pytest.mark.waits]


def bearer(using: str) -> str:
    """Return what someone who may do everything sends."""
    user = User(username="root", is_superuser=True)
    user.save(using=using)
    token, text = AuthToken.objects.db_manager(using).create(user=user)
    assert token._state.db == using
    return f"Bearer {text}"


def killed_in_the_midst(database: str, server: WebServer, fleet, **headers: str) -> Run:
    """Begin a cleanup that the request waits for, kill the server when some of it is done, and return its run."""

    def ask() -> None:
        with contextlib.suppress(OSError):  # its connection is cut
            server.ask("cleanup?wait=true", method="POST", **headers)

    client = threading.Thread(target=ask)
    client.start()
    done = Result.objects.using(database).filter(status="completed")
    fleet.wait_until(done.exists)
    server.kill()
    client.join()
    return Run.objects.using(database).get()


def nudged(database: str) -> bool:
    """Have the heartbeat come now and not within a minute; wait a moment for what it does."""
    clusters_service.wake(using=database)
    time.sleep(1)
    return True


@pytest.mark.only("postgresql")
class TestARunOfARequestThatWasKilled:
    def test_is_ended_by_a_cluster_and_told_by_the_same_request(self, database):
        dirty_database.make(database, applications=APPLICATIONS)
        headers = {"Authorization": bearer(database), "Idempotency_Key": "once"}
        with fleet(database) as clusters:
            clusters.start()
            clusters.wake()
            with serving(**clusters.environment) as server:
                run = killed_in_the_midst(database, server, clusters, **headers)
            assert run.status == "running"
            runs = Run.objects.using(database).filter(pk=run.pk, status="completed")
            clusters.wait_until(lambda: nudged(database) and runs.exists())
            with serving(**clusters.environment) as server:
                again = server.ask("cleanup?wait=true", method="POST", **headers)
        assert (again.status, again.body["run_id"], again.body["status"]) == (200, str(run.pk), "completed")
        assert again.body["successful_cleanups"] == APPLICATIONS
        assert RollbackPoint.objects.using(database).filter(run=run).count() == APPLICATIONS
        assert Run.objects.using(database).count() == 1


@pytest.mark.only("postgresql")
class TestAClusterThatEnds:
    @pytest.mark.parametrize("everybody", [True, False])
    def test_takes_its_sign_of_life_with_it(self, database, everybody):
        with fleet(database) as clusters:
            cluster = clusters.start()
            clusters.wake()
            beats = Heartbeat.objects.using(database)
            clusters.wait_until(lambda: "Processed" in cluster.log.read_text())
            if everybody:
                cluster.stop()
            else:
                cluster.process.terminate()
                cluster.process.wait(timeout=30)
            clusters.wait_until(lambda: not beats.exists(), seconds=5)
