"""The automated service, its schedules and its heartbeat, with the deliveries of the clusters made by hand."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from cleanup.exceptions import Busy, Frozen, NoCluster
from cleanup.models import (
    Heartbeat,
    Result,
    RollbackPoint,
    Run,
    Schedule,
    Service,
)
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService, clusters
from tests.integration.trees import assert_tree, tree


@pytest.fixture(autouse=True)
def queue(monkeypatch) -> list:
    """Keep deliveries instead of sending them to a broker that no cluster asks: [task, arguments]."""
    kept = []
    monkeypatch.setattr(clusters, "_hand_over", lambda task, arguments, options: kept.append((task, arguments)))
    return kept


@pytest.fixture
def service(database) -> DatabaseCleanupService:
    Heartbeat.objects.using(database).create(cluster="elsewhere:1", host="elsewhere")
    return DatabaseCleanupService(using=database)


@pytest.fixture
def automated(database) -> AutomatedCleanupService:
    return AutomatedCleanupService(using=database)


def deliver(queue, *, times: int = 1) -> None:
    """Do what is in the queue, and what comes of it, until it is empty."""
    for _ in range(100):
        if not queue:
            return
        task, arguments = queue.pop(0)
        for _ in range(times):
            import_string(task)(*arguments)
    pytest.fail("the deliveries do not come to an end")


def make_due(database, name, *, ago=timedelta(minutes=1)) -> None:
    Service.objects.using(database).filter(pk=1).update(started=True)
    Schedule.objects.using(database).filter(pk=name).update(next_run=Now() - ago)


class TestARunInTheBackground:
    def test_is_worked_by_the_deliveries_that_it_makes(self, database, service, queue):
        trees = [tree(database, "Loan/Docs(1), Loan/Docs(2)") for _ in range(3)]
        run = service.start_cleanup(started_by="ann", reason="why not")
        assert (run.status, run.total_applications, len(queue) >= 1) == ("pending", 3, True)
        deliver(queue)
        run.refresh_from_db()
        assert (run.status, run.done_applications, run.started_by) == ("completed", 3, "ann")
        for made in trees:
            assert_tree(database, made, "Loan/Docs(3)")

    def test_is_cleaned_once_however_often_each_task_is_delivered(self, database, service, queue, settings):
        settings.CLEANUP_TICK_SECONDS = 0.001
        settings.CLEANUP_BATCH_SIZE = 1
        for _ in range(4):
            tree(database, "Loan, Loan")
        run = service.start_cleanup()
        deliver(queue, times=5)
        run.refresh_from_db()
        assert run.status == "completed"
        assert set(Result.objects.using(database).values_list("status", "attempts")) == {("completed", 1)}
        assert RollbackPoint.objects.using(database).count() == 4

    def test_is_handed_on_when_its_time_is_over(self, database, service, queue, settings):
        settings.CLEANUP_TICK_SECONDS = 0.000001
        settings.CLEANUP_BACKGROUND_WORKERS = settings.CLEANUP_BATCH_SIZE = 1
        for _ in range(2):
            tree(database, "Loan, Loan")
        service.start_cleanup()
        task, arguments = queue.pop()
        import_string(task)(*arguments)
        assert [next_task for next_task, _ in queue] == [task]
        assert queue[0][1] != arguments

    def test_is_refused_without_a_cluster(self, database):
        tree(database, "Loan, Loan")
        with pytest.raises(NoCluster):
            DatabaseCleanupService(using=database).start_cleanup()
        assert not Run.objects.using(database).exists()

    def test_is_refused_where_a_cleanup_is(self, database, service):
        tree(database, "Loan, Loan")
        service.start_cleanup()
        with pytest.raises(Busy):
            service.start_cleanup()
        service.freeze(reason="year end")
        with pytest.raises(Frozen):
            service.start_cleanup()

    def test_rolls_back_a_run_and_a_point(self, database, service, queue):
        made = tree(database, "Loan/Docs(1), Loan/Docs(2)")
        report = service.cleanup_all_duplicate_folders()
        undo = service.start_rollback(report.run_id)
        deliver(queue)
        undo.refresh_from_db()
        assert (undo.kind, undo.status) == ("rollback", "completed")
        assert_tree(database, made, "Loan/Docs(1), Loan/Docs(2)")
        service.release(made.application)
        again = service.consolidate_duplicate_folders(made.application)
        undo = service.start_rollback(again.rollback_id, reason="a mistake")
        deliver(queue)
        undo.refresh_from_db()
        assert (undo.status, undo.total_applications, undo.reason) == ("completed", 1, "a mistake")
        assert_tree(database, made, "Loan/Docs(1), Loan/Docs(2)")

    def test_goes_on_after_a_pause(self, database, service, queue):
        made = tree(database, "Loan, Loan")
        run = service.start_cleanup()
        service.pause(run.pk)
        deliver(queue)
        run.refresh_from_db()
        assert run.status == "paused"
        service.start_resume(run.pk, started_by="bob")
        deliver(queue)
        run.refresh_from_db()
        assert run.status == "completed"
        assert_tree(database, made, "Loan")
