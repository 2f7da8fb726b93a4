"""Alerts: what opens one, what is said of it and how often, and when it is over."""

import json
import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from cleanup.exceptions import UnknownObject
from cleanup.models import Alert, AutomationState, ConsistencyCheck, Result, Run, Schedule, ScheduledRun, Verification
from cleanup.services.alerting import alerts
from cleanup.services.facade import DatabaseCleanupService
from tests.integration.alerting.test_channels import listening
from tests.integration.runs.test_lifecycle import interfering
from tests.support.trees import execute, fetch, tree

NAME = "Tax return of Ms Example"


@pytest.fixture(autouse=True)
def no_urls(monkeypatch):
    monkeypatch.delenv("CLEANUP_ALERT_URLS", raising=False)


@pytest.fixture
def recipients(settings):
    settings.CLEANUP_ALERT_EMAILS = ["oncall@example.com"]


@pytest.fixture
def receiver():
    with listening() as found:
        yield found


def stored_verification(using: str, **counts: int) -> Verification:
    passed = not counts
    return Verification.objects.using(using).create(ended_at=Now(), passed=passed, counts=counts)


def stored_run(using: str, *, status: str, **values) -> Run:
    defaults = {"kind": "cleanup", "correlation_id": "c0ffee", "status": status, "code_version": "0"}
    return Run.objects.using(using).create(**defaults | values)


def switch(using: str, *, started: bool) -> None:
    AutomationState.objects.using(using).update_or_create(id=1, defaults={"started": started})


def schedule(using: str, name: str, **values) -> None:
    Schedule.objects.using(using).update_or_create(name=name, defaults={"schedule_type": "daily", **values})


def evaluate(using: str) -> list[str]:
    return [alert.code for alert in alerts.evaluate(using=using)]


def only_alert(using: str) -> Alert:
    return Alert.objects.using(using).get()


def age(using: str, **hours: int) -> None:
    """Let a time of all alerts be so long ago."""
    changes = {name: F(name) - timedelta(hours=number) for name, number in hours.items()}
    Alert.objects.using(using).update(**changes)


class TestCauses:
    def test_are_none_in_an_empty_database(self, database):
        assert evaluate(database) == []

    def test_are_errors_of_the_latest_verification(self, database):
        stored_verification(database, several_roots=2, names_alike=7)
        assert evaluate(database) == ["verification_errors"]
        assert only_alert(database).size == 2
        assert only_alert(database).message.endswith("found 2 places with duplicates.")

    def test_are_no_longer_those_of_an_earlier_verification(self, database):
        stored_verification(database, several_roots=2)
        stored_verification(database)
        assert evaluate(database) == []

    @pytest.mark.parametrize(
        ("waiting", "other", "expected"), [(3, 0, []), (2, 0, ["verification_errors"]), (3, 1, ["verification_errors"])]
    )
    def test_are_no_duplicates_that_all_wait_for_a_decision(self, database, waiting, other, expected):
        stored_verification(database, several_roots=3, cycle=other)
        ConsistencyCheck.objects.using(database).create(
            ended_at=Now(), duplicate_applications=3, waiting_applications=waiting
        )
        assert evaluate(database) == expected

    @pytest.mark.parametrize(("named", "expected"), [(["1"], ["run_stopped"]), (None, [])])
    def test_are_a_stopped_cleanup_until_another_has_looked_everywhere(self, database, named, expected):
        options = {"applications": None}
        stored_run(database, status="stopped", options=options, created_at=timezone.now() - timedelta(hours=9))
        stored_run(database, status="completed", options={"applications": named})
        assert evaluate(database) == expected

    def test_are_found_by_a_real_verification(self, database):
        tree(database, f"{NAME}, {NAME}")
        DatabaseCleanupService(using=database).verify_cleanup_integrity()
        assert evaluate(database) == ["verification_errors"]

    def test_are_more_applications_than_the_threshold(self, database):
        ConsistencyCheck.objects.using(database).create(
            ended_at=Now(), duplicate_applications=6, waiting_applications=0
        )
        assert evaluate(database) == ["duplicates"]

    def test_are_not_as_many_as_the_threshold(self, database):
        ConsistencyCheck.objects.using(database).create(
            ended_at=Now(), duplicate_applications=5, waiting_applications=0
        )
        assert evaluate(database) == []

    def test_leave_out_what_waits_for_a_decision(self, database):
        ConsistencyCheck.objects.using(database).create(
            ended_at=Now(), duplicate_applications=90, waiting_applications=85
        )
        assert evaluate(database) == []

    def test_follow_the_threshold_of_the_schedule(self, database):
        schedule(database, "consistency_check", alert_threshold=100)
        ConsistencyCheck.objects.using(database).create(
            ended_at=Now(), duplicate_applications=90, waiting_applications=0
        )
        assert evaluate(database) == []

    def test_are_schedules_that_are_overdue(self, database):
        switch(database, started=True)
        schedule(database, "full_cleanup", next_run=Now() - timedelta(hours=1))
        assert evaluate(database) == ["schedule_overdue"]
        assert only_alert(database).fingerprint == "schedule_overdue:full_cleanup"

    def test_are_not_schedules_of_a_service_that_is_stopped(self, database):
        switch(database, started=True)
        schedule(database, "full_cleanup", next_run=Now() - timedelta(hours=1))
        switch(database, started=False)
        assert evaluate(database) == []

    def test_are_schedules_that_failed(self, database):
        switch(database, started=True)
        schedule(database, "full_cleanup")
        ScheduledRun.objects.using(database).create(
            schedule_id="full_cleanup", due_at=Now(), status="failed", reason="The database refused (SQLSTATE 42501)."
        )
        assert evaluate(database) == ["schedule_failed"]

    @pytest.mark.parametrize(
        ("status", "paused_by_error", "codes"),
        [
            ("stopped", False, ["run_stopped"]),
            ("paused", True, ["run_paused"]),
            ("paused", False, []),
            ("running", False, []),
            ("completed", False, []),
            ("cancelled", False, []),
        ],
    )
    def test_are_runs_that_failed_and_not_what_a_person_did(self, database, status, paused_by_error, codes):
        stored_run(database, status=status, paused_by_error=paused_by_error, status_reason="so it is")
        assert evaluate(database) == codes

    @pytest.mark.only("sqlite")
    def test_are_runs_that_a_failing_system_paused(self, scratch_database):
        tree(scratch_database, "Loan/Docs(3000), Loan/Docs(3000)")
        ((pages,),) = fetch(scratch_database, "PRAGMA page_count")
        with interfering(
            scratch_database,
            lambda statement: "cleanup_snapshotrow" in statement,
            lambda: execute(scratch_database, f"PRAGMA max_page_count = {pages}"),
        ):
            DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        execute(scratch_database, "PRAGMA max_page_count = 1000000")
        assert evaluate(scratch_database) == ["run_paused"]
        assert "SQLITE_FULL" in only_alert(scratch_database).message

    def test_are_no_runs_that_a_person_interrupted(self, database):
        tree(database, "Loan, Loan")
        service = DatabaseCleanupService(using=database)

        def interrupt(state) -> None:
            if state.done:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            service.cleanup_all_duplicate_folders(progress=interrupt)
        assert (Run.objects.using(database).get().status, evaluate(database)) == ("paused", [])

    def test_are_runs_that_nobody_works(self, database):
        run = stored_run(database, status="running")
        Run.objects.using(database).filter(pk=run.pk).update(heartbeat_at=Now() - timedelta(hours=1))
        assert evaluate(database) == ["run_stalled"]

    def test_are_applications_that_failed(self, database):
        run = stored_run(database, status="completed", failed_applications=1)
        Result.objects.using(database).create(run=run, application_key="1", status="failed", error_code="23505")
        assert evaluate(database) == ["run_failures"]

    @pytest.mark.parametrize("code", ["collision", "different_roots", "too_large"])
    def test_are_not_applications_that_wait_for_a_decision(self, database, code):
        run = stored_run(database, status="completed", failed_applications=1)
        Result.objects.using(database).create(run=run, application_key="1", status="failed", error_code=code)
        assert evaluate(database) == []


class TestAlert:
    def test_stays_one_while_nothing_changes(self, database, recipients):
        stored_verification(database, several_roots=2)
        for _ in range(3):
            evaluate(database)
        assert (only_alert(database).state, len(mail.outbox)) == ("open", 1)

    def test_names_the_run_and_its_correlation_id(self, database, recipients):
        run = stored_run(database, status="stopped", status_reason="too many failed")
        evaluate(database)
        alert = only_alert(database)
        assert (alert.run_id, alert.correlation_id, alert.severity) == (run.pk, "c0ffee", "critical")
        assert "c0ffee" in mail.outbox[0].body

    def test_is_repeated_after_the_interval(self, database, recipients):
        stored_verification(database, several_roots=2)
        evaluate(database)
        age(database, noticed_at=25)
        evaluate(database)
        assert (only_alert(database).notice, len(mail.outbox)) == ("repeated", 2)

    def test_is_not_repeated_once_somebody_knows(self, database, recipients):
        stored_verification(database, several_roots=2)
        evaluate(database)
        alerts.acknowledge(using=database, alert_id=only_alert(database).pk, by="ann")
        age(database, noticed_at=25)
        evaluate(database)
        assert (only_alert(database).state, len(mail.outbox)) == ("acknowledged", 1)

    def test_becomes_critical_when_it_persists(self, database, recipients):
        stored_verification(database, several_roots=2)
        evaluate(database)
        age(database, first_seen=49)
        evaluate(database)
        assert (only_alert(database).severity, mail.outbox[1].subject[:19]) == ("critical", "[cleanup] critical:")

    def test_becomes_critical_when_it_grows_though_somebody_knows(self, database, recipients):
        stored_verification(database, several_roots=2)
        evaluate(database)
        alerts.acknowledge(using=database, alert_id=only_alert(database).pk, by="ann")
        stored_verification(database, several_roots=4)
        evaluate(database)
        alert = only_alert(database)
        assert (alert.severity, alert.state, alert.notice, len(mail.outbox)) == ("critical", "open", "escalated", 2)

    def test_becomes_critical_once(self, database, recipients):
        stored_verification(database, several_roots=2)
        evaluate(database)
        stored_verification(database, several_roots=9)
        evaluate(database)
        evaluate(database)
        assert len(mail.outbox) == 2

    def test_is_resolved_when_its_cause_is_gone(self, database, recipients):
        stored_verification(database, several_roots=2)
        evaluate(database)
        stored_verification(database)
        assert evaluate(database) == []
        alert = only_alert(database)
        assert (alert.state, alert.resolved_at is None, len(mail.outbox)) == ("resolved", False, 2)
        assert mail.outbox[1].subject.startswith("[cleanup] resolved:")

    def test_that_comes_back_is_a_new_one(self, database):
        stored_verification(database, several_roots=2)
        evaluate(database)
        stored_verification(database)
        evaluate(database)
        stored_verification(database, several_roots=2)
        evaluate(database)
        assert list(Alert.objects.using(database).order_by("pk").values_list("state", flat=True)) == [
            "resolved",
            "open",
        ]

    def test_that_nobody_can_be_told_of_is_kept_all_the_same(self, database):
        stored_verification(database, several_roots=2)
        evaluate(database)
        alert = only_alert(database)
        assert (alert.owed, alert.notified_at) == (False, None)

    def test_names_nobody(self, database, recipients):
        tree(database, f"{NAME}/{NAME}, {NAME}")
        DatabaseCleanupService(using=database).verify_cleanup_integrity(started_by=NAME)
        evaluate(database)
        assert NAME not in mail.outbox[0].body + mail.outbox[0].subject + json.dumps(only_alert(database).detail)

    @pytest.mark.only("postgresql")
    def test_is_opened_and_sent_once_by_many_at_the_same_time(self, database, recipients):
        stored_verification(database, several_roots=2)
        barrier = threading.Barrier(4)

        def work() -> None:
            from django.db import connections

            barrier.wait()
            try:
                evaluate(database)
            finally:
                connections[database].close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (Alert.objects.using(database).count(), len(mail.outbox)) == (1, 1)


class TestAChannelThatIsSetUpLater:
    def test_tells_of_what_was_opened_before(self, database, settings):
        stored_verification(database, several_roots=2)
        evaluate(database)
        settings.CLEANUP_ALERT_EMAILS = ["oncall@example.com"]
        evaluate(database)
        evaluate(database)
        assert [message.subject[:18] for message in mail.outbox] == ["[cleanup] warning:"]
        assert only_alert(database).notified_at is not None

    def test_tells_of_it_though_another_channel_has(self, database, recipients, receiver, monkeypatch, settings):
        stored_verification(database, several_roots=2)
        evaluate(database)
        settings.CLEANUP_ALERT_PRIVATE_ADDRESSES = True
        monkeypatch.setenv("CLEANUP_ALERT_URLS", receiver.url)
        evaluate(database)
        evaluate(database)
        assert (len(mail.outbox), len(receiver.received)) == (1, 1)

    def test_leaves_out_what_somebody_knows_of(self, database, settings):
        stored_verification(database, several_roots=2)
        evaluate(database)
        alerts.acknowledge(using=database, alert_id=only_alert(database).pk, by="ann")
        settings.CLEANUP_ALERT_EMAILS = ["oncall@example.com"]
        evaluate(database)
        assert mail.outbox == []

    def test_leaves_out_what_is_over(self, database, settings):
        stored_verification(database, several_roots=2)
        evaluate(database)
        stored_verification(database)
        evaluate(database)
        settings.CLEANUP_ALERT_EMAILS = ["oncall@example.com"]
        evaluate(database)
        assert mail.outbox == []

    def test_leaves_out_what_an_earlier_version_has_told_of(self, database, recipients):
        stored_verification(database, several_roots=2)
        evaluate(database)
        Alert.objects.using(database).update(told_by=[])
        evaluate(database)
        assert len(mail.outbox) == 1


class TestAcknowledging:
    def test_says_who_and_when(self, database):
        stored_verification(database, several_roots=2)
        evaluate(database)
        alert = alerts.acknowledge(using=database, alert_id=only_alert(database).pk, by="ann")
        assert (alert.state, alert.acknowledged_by, alert.acknowledged_at is None) == ("acknowledged", "ann", False)

    def test_again_changes_nothing(self, database):
        stored_verification(database, several_roots=2)
        evaluate(database)
        alerts.acknowledge(using=database, alert_id=only_alert(database).pk, by="ann")
        assert alerts.acknowledge(using=database, alert_id=only_alert(database).pk, by="bob").acknowledged_by == "ann"

    def test_of_an_alert_that_is_not_there_is_refused(self, database):
        with pytest.raises(UnknownObject):
            alerts.acknowledge(using=database, alert_id=7, by="ann")
