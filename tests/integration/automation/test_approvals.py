"""Scheduled cleanups that are out of the ordinary wait for a person."""

from functools import partial

import pytest

from cleanup.exceptions import Frozen, NotWaiting, UnknownObject
from cleanup.models import Alert, Heartbeat, Result, Run, Schedule, ScheduledRun
from cleanup.services import AutomatedCleanupService
from cleanup.services.alerting.alerts import evaluate
from cleanup.services.automation import heartbeat
from tests.integration.management.test_command import run_command
from tests.support.deliveries import deliver, make_due
from tests.support.trees import assert_tree, execute, tree

NAME = Schedule.Name.FULL_CLEANUP


@pytest.fixture
def started(database, automated, service, queue) -> AutomatedCleanupService:
    automated.start_automated_service(started_by="ann")
    automated.update_schedule(NAME, dry_run_first=False)
    queue.clear()
    return automated


def due(database, queue) -> ScheduledRun:
    """Let the cleanup be due, and return what became of it."""
    make_due(database, NAME)
    heartbeat.heartbeat(using=database)
    deliver(queue)
    return ScheduledRun.objects.using(database).filter(schedule=NAME).latest("id")


@pytest.fixture
def when_due(database, started, queue):
    return partial(due, database, queue)


@pytest.fixture
def waiting(database, when_due, settings) -> ScheduledRun:
    when_due()
    settings.CLEANUP_DIFFERENT_ROOTS = "nest"
    tree(database, "Loan/Docs(1), Loan/Docs(1)")
    return when_due()


def codes(row: ScheduledRun) -> list[str]:
    return [reason["code"] for reason in row.outcome.get("reasons", [])]


class TestOrdinary:
    def test_cleanups_begin_by_themselves(self, database, when_due):
        for _ in range(4):
            made = tree(database, "Loan, Loan")
            row = when_due()
            assert (row.status, codes(row)) == ("completed", [])
            assert_tree(database, made, "Loan")

    def test_numbers_below_the_alert_threshold_are_never_too_many(self, database, when_due):
        for number in (0, 0, 0, 4):
            for _ in range(number):
                tree(database, "Loan, Loan")
            assert when_due().status == "completed"


class TestOutOfTheOrdinary:
    def test_are_many_more_duplicates_than_usual(self, database, when_due):
        for number in (1, 2, 1, 7):
            for _ in range(number):
                tree(database, "Loan, Loan")
            row = when_due()
        assert (row.status, row.ended_at) == ("waiting", None)
        assert row.outcome["reasons"] == [{"code": "unusually_many", "applications": 7, "usual": 1}]
        assert row.outcome["total_applications"] == 7
        assert not Run.objects.using(database).filter(scheduled=row).exists()

    def test_are_many_folders(self, database, when_due, settings):
        settings.CLEANUP_APPROVAL_FOLDERS = 1
        tree(database, "Loan/Docs(1), Loan/Docs(1)")
        row = when_due()
        assert row.outcome["reasons"] == [{"code": "many_folders", "folders": 2, "most": 1}]

    def test_are_other_settings_whose_cleanup_waits_on_where_it_cannot_begin(self, waiting, started, service):
        (reason,) = waiting.outcome["reasons"]
        assert reason == {
            "code": "settings_changed",
            "changes": ['CLEANUP_DIFFERENT_ROOTS is "nest" and was "merge"'],
            "more": 0,
        }
        service.freeze(reason="year end")
        with pytest.raises(Frozen):
            started.approve_scheduled_run(waiting.pk)
        waiting.refresh_from_db()
        assert (waiting.status, waiting.decided_by) == ("waiting", "")

    def test_are_other_tables(self, scratch_database, queue):
        automated = AutomatedCleanupService(using=scratch_database)
        Heartbeat.objects.using(scratch_database).create(cluster="elsewhere:1", host="elsewhere")
        automated.start_automated_service()
        automated.update_schedule(NAME, dry_run_first=False)
        assert due(scratch_database, queue).status == "completed"
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN colour text")
        (reason,) = due(scratch_database, queue).outcome["reasons"]
        assert (reason["code"], len(reason["changes"])) == ("schema_changed", 1)
        assert reason["changes"][0].lower().endswith("folders.colour (text) is new")


class TestApproval:
    def test_begins_the_cleanup_and_is_for_these_settings_from_then_on(
        self, database, waiting, started, when_due, queue
    ):
        row = started.approve_scheduled_run(waiting.pk, approved_by="bob", reason="it is the year's end")
        deliver(queue)
        row.refresh_from_db()
        assert (row.status, row.decided_by, row.run.status) == ("completed", "bob", "completed")
        assert (row.run.started_by, row.run.reason) == ("bob", "it is the year's end")
        assert Result.objects.using(database).filter(run=row.run).count() == 1
        assert when_due().status == "completed"

    def test_is_asked_for_by_an_alert_until_it_is_given_or_refused_once(self, database, waiting, started):
        (alert,) = [found for found in evaluate(using=database) if found.code == "approval_needed"]
        assert alert.message == "The schedule full_cleanup waits for your approval to clean up 1 application."
        assert alert.detail["reasons"] == ["settings_changed"]
        started.decline_scheduled_run(waiting.pk, declined_by="bob", reason="not this month")
        evaluate(using=database)
        assert Alert.objects.using(database).get(pk=alert.pk).state == "resolved"
        waiting.refresh_from_db()
        assert (waiting.status, waiting.reason, waiting.decided_by) == ("declined", "not this month", "bob")
        for decide in (started.approve_scheduled_run, started.decline_scheduled_run):
            with pytest.raises(NotWaiting, match="declined"):
                decide(waiting.pk)
        with pytest.raises(UnknownObject):
            started.approve_scheduled_run(waiting.pk + 1)

    def test_expires_when_the_schedule_is_due_again(self, waiting, when_due):
        newer = when_due()
        waiting.refresh_from_db()
        assert (waiting.status, newer.status) == ("expired", "waiting")
        assert waiting.reason == "No one approved it before the schedule was due again."
        assert waiting.ended_at is not None

    def test_is_not_needed_by_a_person_who_starts_it(self, database, waiting, started, queue):
        started.run_schedule(NAME, started_by="bob")
        deliver(queue)
        waiting.refresh_from_db()
        row = ScheduledRun.objects.using(database).latest("id")
        assert (waiting.status, row.run.status) == ("expired", "completed")

    def test_can_be_given_by_command(self, database, waiting, queue):
        done = run_command(database, "--approve", str(waiting.pk), "--reason", "checked")
        deliver(queue)
        waiting.refresh_from_db()
        assert (done.status, waiting.run.reason, waiting.run.status) == (0, "checked", "completed")
        again = run_command(database, "--decline", str(waiting.pk))
        assert again.status == 3
