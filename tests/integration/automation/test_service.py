"""The automated service, its schedules and its heartbeat, with the deliveries of the clusters made by hand."""

import json
import platform
import re
import subprocess
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import OperationalError, connections, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils.module_loading import import_string
from django_q.models import Schedule as ClusterSchedule

from cleanup.exceptions import Busy, Frozen, NoCluster, UnknownObject, UsageError
from cleanup.models import (
    Alert,
    AutomationState,
    ConsistencyCheck,
    Heartbeat,
    JobLease,
    Result,
    RollbackPoint,
    Run,
    Schedule,
    ScheduledRun,
    Verification,
)
from cleanup.retry_limits import MAX_LOST_WORKERS, TASK_ATTEMPTS
from cleanup.services import DatabaseCleanupService
from cleanup.services.alerting.alerts import evaluate
from cleanup.services.automation import heartbeat, schedules, switch
from cleanup.services.background import clusters, leases
from cleanup.services.integrity import verification
from cleanup.services.runs import lifecycle, signs_of_life
from tests.integration.management.test_command import run_command
from tests.support import databases
from tests.support.deliveries import deliver, make_due
from tests.support.trees import assert_tree, sql, tree


def cluster_schedules(database):
    """Return the rows by which django-q2 wakes us; its table on SQLite has that of the other database, too."""
    return ClusterSchedule.objects.filter(name=f"cleanup heartbeat ({database})")


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

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize("lock", ["SHARE MODE", "ACCESS EXCLUSIVE MODE"])
    def test_that_meets_a_locked_table_too_often_is_paused(self, database, service, queue, settings, lock):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 20
        settings.CLEANUP_TICK_SECONDS = 0.001
        settings.CLEANUP_THROTTLE_PATIENCE_SECONDS = 0.1
        made = tree(database, "Loan/Docs(1), Loan/Docs(2)")
        run = service.start_cleanup()
        with psycopg.connect(databases.url_of(database)) as session:
            session.execute(sql(database, f"LOCK TABLE :folders IN {lock}"))
            task, arguments = queue.pop(0)
            import_string(task)(*arguments)
            run.refresh_from_db()
            assert (run.is_claimable, "locked" in run.waiting_for) == (True, True)
            deliver(queue)
        run.refresh_from_db()
        assert (run.status, run.paused_by_error, run.waiting_for) == ("paused", True, "")
        assert "locked for too long" in run.status_reason
        service.resume(run.pk)
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


class TestTheService:
    def test_is_idle_until_it_is_started(self, database, automated, queue):
        status = automated.get_service_status()
        assert (status["running"], status["started"]) == (False, False)
        assert {schedule["next_run"] for schedule in status["schedules"].values()} == {None}
        heartbeat.heartbeat(using=database)
        assert queue == []

    def test_has_the_schedules_of_the_manual(self, database):
        rows = Schedule.objects.using(database).values_list(
            "name", "schedule_type", "weekday", "hour", "max_applications", "alert_threshold", "dry_run_first"
        )
        assert set(rows) == {
            ("consistency_check", "hourly", 6, 0, 5, 5, True),
            ("full_cleanup", "daily", 6, 2, 20, 5, True),
            ("integrity_verification", "weekly", 6, 3, None, 5, False),
            ("retention", "daily", 6, 4, None, 5, False),
        }

    def test_wakes_a_cluster_when_it_is_started(self, database, automated, queue):
        automated.start_automated_service(started_by="ann")
        assert queue == [("cleanup.tasks.heartbeat", (database,))]
        row = cluster_schedules(database).get()
        assert (row.func, row.args, row.minutes, row.repeats) == ("cleanup.tasks.heartbeat", f"{database!r},", 1, -1)

    def test_says_when_each_schedule_is_next_due(self, database, automated):
        status = automated.start_automated_service()
        due = {name: datetime.fromisoformat(row["next_run"]) for name, row in status["schedules"].items()}
        now = datetime.now(UTC)
        assert now < due["consistency_check"] <= now + timedelta(hours=1)
        assert (due["full_cleanup"].hour, due["full_cleanup"].minute) == (2, 0)
        assert (due["integrity_verification"].weekday(), due["integrity_verification"].hour) == (6, 3)

    def test_is_started_once_however_often_it_is_asked(self, database, automated):
        first = automated.start_automated_service(started_by="ann")
        second = automated.start_automated_service(started_by="bob")
        assert first["schedules"] == second["schedules"]
        assert AutomationState.objects.using(database).get().changed_by == "ann"
        assert cluster_schedules(database).count() == 1

    def test_is_running_only_while_a_cluster_gives_signs_of_life(self, database, automated):
        assert automated.start_automated_service()["running"] is False
        Heartbeat.objects.using(database).create(cluster="here:1", host="here")
        assert automated.get_service_status()["running"] is True
        Heartbeat.objects.using(database).update(beat_at=Now() - timedelta(minutes=4))
        assert automated.get_service_status()["running"] is False

    def test_fires_nothing_once_it_is_stopped(self, database, automated, queue):
        automated.start_automated_service()
        status = automated.stop_automated_service()
        assert (status["started"], {row["next_run"] for row in status["schedules"].values()}) == (False, {None})
        queue.clear()
        heartbeat.heartbeat(using=database)
        assert queue == []

    def test_tells_its_status_in_eight_queries(self, database, automated, service):
        tree(database, "Loan, Loan")
        service.start_cleanup()
        with CaptureQueriesContext(connections[database]) as queries:
            assert automated.get_service_status()["active_run"]["total_applications"] == 1
        asked = [query for query in queries if not query["sql"].startswith(("BEGIN", "COMMIT"))]
        assert len(asked) <= 8

    @pytest.mark.only("postgresql")
    def test_tells_its_status_in_three_transactions(self, database, automated):
        with CaptureQueriesContext(connections[database]) as queries:
            automated.get_service_status()
        assert len([query for query in queries if query["sql"].startswith("BEGIN")]) <= 3

    def test_tells_what_was_handed_over_until_it_is_done(self, database, service, automated, queue):
        check, verification = service.start_check(started_by="ann"), service.start_verification()
        waiting = automated.get_service_status()["handed_over"]
        assert {(entry["kind"], entry["id"], entry["status"]) for entry in waiting} == {
            ("check", check.pk, "pending"),
            ("verification", verification.pk, "pending"),
        }
        told = run_command(database, "--status").out
        assert f"Check {check.pk} was queued on " in told
        tree(database, "Loan, Loan")
        deliver(queue)
        done = {entry["kind"]: entry for entry in automated.get_service_status()["handed_over"]}
        assert (done["check"]["id"], done["check"]["status"], done["check"]["found_something"]) == (
            check.pk,
            "completed",
            True,
        )
        told = run_command(database, "--status").out
        assert re.search(
            rf"^Check {check.pk}, on .* UTC, found applications that need a cleanup\.$", told, re.MULTILINE
        )
        assert re.search(rf"^Verification {done['verification']['id']}, on .* UTC, found errors\.$", told, re.MULTILINE)

    def test_tells_why_what_was_handed_over_has_no_answer(self, database, service, queue):
        check = service.start_check()
        ConsistencyCheck.objects.using(database).update(ended_at=Now(), error="The database\nrefused.")
        assert re.search(
            rf"^Check {check.pk}, on .* UTC, failed: The database refused\.$",
            run_command(database, "--status").out,
            re.MULTILINE,
        )

    def test_does_not_tell_of_a_verification_that_was_cut_off_in_a_shell(self, database, automated):
        Verification.objects.using(database).create()
        assert automated.get_service_status()["handed_over"] == []

    def test_mends_the_row_that_django_q_wakes_it_by(self, database, automated):
        automated.start_automated_service()
        cluster_schedules(database).update(repeats=0, minutes=60, next_run=None)
        automated.start_automated_service()
        row = cluster_schedules(database).get()
        assert (row.repeats, row.minutes, row.next_run is None) == (-1, 1, False)

    def test_names_tasks_that_are_there(self):
        assert callable(import_string(clusters.TICK))
        assert callable(import_string(clusters.HEARTBEAT))
        assert callable(import_string(clusters.SIGN_OF_LIFE))


class TestASchedule:
    def test_is_changed_by_name(self, database, automated):
        automated.start_automated_service()
        changed = automated.update_schedule("full_cleanup", enabled=True, max_applications=50, hour=23, minute=30)
        assert (changed.max_applications, changed.next_run.hour, changed.next_run.minute) == (50, 23, 30)

    def test_is_changed_by_assignment(self, database, automated):
        schedule = automated.schedules["consistency_check"]
        schedule.alert_threshold = 10
        schedule.dry_run_first = False
        row = Schedule.objects.using(database).get(pk="consistency_check")
        assert (row.alert_threshold, row.dry_run_first, schedule.alert_threshold) == (10, False, 10)

    def test_keeps_what_an_operator_changed_when_migrate_runs_again(self, database, automated):
        automated.update_schedule("full_cleanup", max_applications=50, enabled=False)
        switch.install(using=database)
        row = Schedule.objects.using(database).get(pk="full_cleanup")
        assert (row.max_applications, row.enabled) == (50, False)

    def test_is_not_due_while_it_is_disabled(self, automated):
        automated.start_automated_service()
        assert automated.update_schedule("full_cleanup", enabled=False).next_run is None
        assert automated.update_schedule("full_cleanup", enabled=True).next_run is not None

    @pytest.mark.parametrize(
        "change",
        [{"hour": 24}, {"minute": 60}, {"max_applications": 0}, {"schedule_type": "yearly"}, {"last_run": None}],
    )
    def test_refuses_what_makes_no_sense(self, automated, change):
        with pytest.raises(UsageError):
            automated.update_schedule("full_cleanup", **change)

    def test_is_one_of_four(self, automated):
        assert list(automated.schedules) == list(Schedule.Name.values)
        with pytest.raises(UnknownObject):
            automated.update_schedule("hourly_cleanup", enabled=True)
        with pytest.raises(KeyError):
            automated.schedules["hourly_cleanup"]


class TestWhenItIsNextDue:
    """By an example each; the clock is UTC, so no day is longer than another."""

    @pytest.mark.parametrize(
        ("cadence", "after", "due"),
        [
            ("hourly", "2026-03-29T01:00", "2026-03-29T02:00"),
            ("hourly", "2026-03-29T01:59", "2026-03-29T02:00"),
            ("daily", "2026-03-29T01:59", "2026-03-29T02:00"),
            ("daily", "2026-03-29T02:00", "2026-03-30T02:00"),
            ("daily", "2026-12-31T03:00", "2027-01-01T02:00"),
            ("weekly", "2026-11-25T14:00", "2026-11-29T02:00"),
            ("weekly", "2026-11-29T02:00", "2026-12-06T02:00"),
            ("weekly", "2026-11-29T01:00", "2026-11-29T02:00"),
        ],
    )
    def test_is_the_first_time_ahead(self, cadence, after, due):
        schedule = Schedule(name="full_cleanup", schedule_type=cadence, weekday=6, hour=2, minute=0)
        moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
        assert schedules.next_time(schedule, after=moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)

    def test_is_the_same_in_any_zone(self):
        schedule = Schedule(name="full_cleanup", schedule_type="daily", hour=2)
        moment = datetime.fromisoformat("2026-03-29T03:30+02:00")
        assert schedules.next_time(schedule, after=moment) == datetime(2026, 3, 29, 2, tzinfo=UTC)


class TestASchedulesTime:
    def test_comes_once_however_many_were_missed(self, database, service, automated, queue):
        make_due(database, "consistency_check", ago=timedelta(hours=5, minutes=3))
        for _ in range(5):
            heartbeat.heartbeat(using=database)
        deliver(queue, times=5)
        run = ScheduledRun.objects.using(database).get()
        assert (run.schedule_id, run.status) == ("consistency_check", "completed")
        assert ConsistencyCheck.objects.using(database).count() == 1
        assert Schedule.objects.using(database).get(pk="consistency_check").next_run > datetime.now(UTC)

    def test_is_skipped_while_the_last_one_is_not_over(self, database, queue):
        for _ in range(2):
            make_due(database, "integrity_verification")
            heartbeat.heartbeat(using=database)
        first, second = ScheduledRun.objects.using(database).order_by("pk")
        assert (first.status, second.status, "The previous run, due at " in second.reason) == (
            "started",
            "skipped",
            True,
        )
        assert len(queue) == 1

    def test_is_skipped_while_another_cleanup_is_active(self, database, service, queue):
        tree(database, "Loan, Loan")
        run = service.start_cleanup()
        queue.clear()
        make_due(database, "full_cleanup")
        heartbeat.heartbeat(using=database)
        skipped = ScheduledRun.objects.using(database).get()
        assert (skipped.status, skipped.reason) == ("skipped", f"Run {run.pk} is active.")

    def test_is_skipped_while_all_cleaning_is_frozen(self, database, service):
        service.freeze(reason="year end")
        make_due(database, "full_cleanup")
        heartbeat.heartbeat(using=database)
        assert ScheduledRun.objects.using(database).get().reason == "Everything is stopped."

    def test_only_plans_the_first_time(self, database, service, queue):
        made = tree(database, "Loan/Docs(1), Loan/Docs(1)")
        make_due(database, "full_cleanup")
        heartbeat.heartbeat(using=database)
        deliver(queue)
        planned = ScheduledRun.objects.using(database).get()
        assert (planned.status, planned.outcome["total_applications"], planned.run) == ("planned", 1, None)
        assert_tree(database, made, "Loan/Docs(1), Loan/Docs(1)")
        make_due(database, "full_cleanup")
        heartbeat.heartbeat(using=database)
        deliver(queue)
        cleaned = ScheduledRun.objects.using(database).first()
        assert (cleaned.status, cleaned.run.started_how, cleaned.run.status) == ("completed", "schedule", "completed")
        assert_tree(database, made, "Loan/Docs(2)")

    def test_takes_no_more_applications_than_the_schedule_says(self, database, service, automated, queue):
        for _ in range(3):
            tree(database, "Loan, Loan")
        automated.update_schedule("full_cleanup", max_applications=2, dry_run_first=False)
        make_due(database, "full_cleanup")
        heartbeat.heartbeat(using=database)
        deliver(queue)
        assert Run.objects.using(database).get().total_applications == 2

    def test_verifies_the_whole_database(self, database, queue):
        make_due(database, "integrity_verification")
        heartbeat.heartbeat(using=database)
        deliver(queue)
        run = ScheduledRun.objects.using(database).get()
        assert (run.status, run.verification.passed) == ("completed", True)

    def test_purges_what_has_expired(self, database, service, queue):
        made = tree(database, "Loan, Loan")
        service.consolidate_duplicate_folders(made.application)
        service.verify_cleanup_integrity()
        RollbackPoint.objects.using(database).update(expires_at=Now() - timedelta(days=1))
        make_due(database, "retention")
        heartbeat.heartbeat(using=database)
        deliver(queue)
        assert ScheduledRun.objects.using(database).get().outcome["points"] == 1
        assert RollbackPoint.objects.using(database).get().status == "purged"

    def test_is_overdue_when_no_cluster_sees_to_it(self, database, automated):
        make_due(database, "consistency_check", ago=timedelta(minutes=11))
        status = automated.get_service_status()
        assert (status["running"], status["schedules"]["consistency_check"]["overdue"]) == (False, True)
        assert status["schedules"]["full_cleanup"]["overdue"] is False

    def test_records_why_it_failed(self, database, queue, monkeypatch):
        monkeypatch.setattr(verification, "verify", lambda **_: 1 / 0)
        make_due(database, "integrity_verification")
        heartbeat.heartbeat(using=database)
        deliver(queue)
        run = ScheduledRun.objects.using(database).get()
        assert (run.status, run.reason != "") == ("failed", True)
        assert Verification.objects.using(database).get().passed is None

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize("name", ["consistency_check", "full_cleanup"])
    def test_is_made_up_for_if_a_table_is_locked_for_a_moment(self, database, queue, settings, name):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 20
        make_due(database, name)
        heartbeat.heartbeat(using=database)
        with psycopg.connect(databases.url_of(database)) as session:
            session.execute(sql(database, "LOCK TABLE :folders IN ACCESS EXCLUSIVE MODE"))
            with pytest.raises(OperationalError):
                deliver(queue)
        assert ScheduledRun.objects.using(database).get().status == "started"
        JobLease.objects.using(database).update(lease_expires_at=Now())
        heartbeat.heartbeat(using=database)
        deliver(queue)
        assert ScheduledRun.objects.using(database).get().status in ("completed", "planned")

    @pytest.mark.only("postgresql")
    def test_fails_if_a_table_stays_locked(self, database, queue, settings):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 20
        make_due(database, "full_cleanup")
        heartbeat.heartbeat(using=database)
        JobLease.objects.using(database).update(attempts=TASK_ATTEMPTS - 1)
        with psycopg.connect(databases.url_of(database)) as session:
            session.execute(sql(database, "LOCK TABLE :folders IN ACCESS EXCLUSIVE MODE"))
            deliver(queue)
        run = ScheduledRun.objects.using(database).get()
        assert (run.status, "holds the rows or the table" in run.reason) == ("failed", True)


class TestACheck:
    def test_is_stored(self, database, service, queue):
        tree(database, "Loan, Loan")
        check = service.start_check(started_by="ann")
        deliver(queue)
        check.refresh_from_db()
        assert (check.duplicate_applications, check.needs_cleanup, check.started_by) == (1, True, "ann")
        assert check.summary["duplicate_applications_found"] == 1

    def test_is_done_at_once_by_the_service(self, database, automated):
        assert automated.run_consistency_check()["needs_cleanup"] is False
        assert ConsistencyCheck.objects.using(database).get().duplicate_applications == 0

    def test_counts_those_apart_that_wait_for_a_person(self, database, service, automated):
        automated.update_schedule("consistency_check", alert_threshold=1)
        trees = [tree(database, "Loan, Loan") for _ in range(3)]
        assert service.check()["alert_threshold_exceeded"] is True
        service.hold(trees[0].application)
        service.hold(trees[1].application)
        answer = service.check()
        assert (answer["duplicate_applications_found"], answer["waiting_for_decision"]) == (3, 2)
        assert answer["alert_threshold_exceeded"] is False

    def test_counts_refused_ones_among_them(self, database, service, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "refuse"
        tree(database, "Loan, Other")
        service.cleanup_all_duplicate_folders()
        assert service.check()["waiting_for_decision"] == 1
        counts = service.status()["statistics"]
        assert (counts["total_runs"], counts["successful_runs"], counts["failed_runs"]) == (1, 0, 1)

    def test_is_given_up_when_its_worker_is_lost_again_and_again(self, database, service, queue):
        check = service.start_check()
        for _ in range(4):
            (_, arguments) = queue.pop()
            leases.acquire(using=database, lease_id=arguments[1], token=arguments[2])  # and the worker is gone
            JobLease.objects.using(database).update(lease_expires_at=Now())
            heartbeat.heartbeat(using=database)
        deliver(queue)
        check.refresh_from_db()
        assert (check.error, check.duplicate_applications) == ("Its worker was lost 3 times.", None)


class TestTheHeartbeat:
    def test_costs_less_than_eight_queries_where_nothing_is_to_do(self, database, automated):
        automated.start_automated_service()
        with CaptureQueriesContext(connections[database]) as queries:
            heartbeat.heartbeat(using=database)
        assert len(queries) < 8

    def test_and_so_does_a_tick_that_comes_too_late(self, database, service, queue):
        tree(database, "Loan, Loan")
        service.start_cleanup()
        (task, arguments), *_ = queue
        deliver(queue)
        with CaptureQueriesContext(connections[database]) as queries:
            import_string(task)(*arguments)
        asked = [query for query in queries if not query["sql"].startswith(("BEGIN", "COMMIT"))]
        assert len(asked) < 5

    def test_asks_the_other_clusters_for_a_sign_of_life(self, database, service, queue, monkeypatch):
        monkeypatch.setattr(clusters, "FORWARD_DELAY_SECONDS", 0)
        monkeypatch.setattr(clusters.multiprocessing, "parent_process", lambda: self)
        beats = Heartbeat.objects.using(database)
        beats.update(beat_at=Now() - timedelta(minutes=1))
        heartbeat.heartbeat(using=database)
        ((task, arguments),) = queue
        import_string(task)(*arguments)
        (passed_on,) = queue[1:]
        assert (arguments[1:], passed_on[1][1:]) == ((8,), (7,))
        monkeypatch.setattr(clusters, "this_cluster", lambda: "elsewhere:1")
        import_string(passed_on[0])(*passed_on[1])
        assert not beats.filter(beat_at__lte=Now() - timedelta(seconds=30)).exists()
        assert len(queue) == 2

    def test_asks_any_number_of_clusters_by_one_task(self, database, service, queue):
        Heartbeat.objects.using(database).update(beat_at=Now() - timedelta(minutes=1))
        for number in range(6):
            Heartbeat.objects.using(database).create(
                cluster=f"killed:{number}", host="killed", beat_at=Now() - timedelta(minutes=1)
            )
        heartbeat.heartbeat(using=database)
        assert [(task, arguments[1:]) for task, arguments in queue] == [(clusters.SIGN_OF_LIFE, (20,))]

    def test_reads_a_request_of_an_earlier_version(self, database, service, queue):
        import_string(clusters.SIGN_OF_LIFE)(database, "elsewhere:1", 1)
        assert queue == []

    def test_asks_no_more_of_a_cluster_that_is_gone(self, database, service, queue):
        Heartbeat.objects.using(database).update(beat_at=Now() - timedelta(minutes=7))
        heartbeat.heartbeat(using=database)
        assert queue == []

    def test_forgets_a_cluster_that_was_killed_elsewhere(self, database, service, queue):
        Heartbeat.objects.using(database).update(beat_at=Now() - timedelta(minutes=13))
        heartbeat.heartbeat(using=database)
        assert not Heartbeat.objects.using(database).exists()

    def test_forgets_a_cluster_that_was_killed_here_at_once(self, database, queue):
        with subprocess.Popen(["/bin/true"]) as process:
            process.wait()
        Heartbeat.objects.using(database).create(cluster=f"{platform.node()}:{process.pid}", host=platform.node())
        heartbeat.heartbeat(using=database)
        assert (queue, Heartbeat.objects.using(database).exists()) == ([], False)

    def test_hands_out_again_what_was_lost_in_the_queue(self, database, service, queue):
        tree(database, "Loan, Loan")
        run = service.start_cleanup()
        queue.clear()
        heartbeat.heartbeat(using=database)
        assert queue == []
        JobLease.objects.using(database).update(lease_expires_at=Now())
        heartbeat.heartbeat(using=database)
        deliver(queue)
        run.refresh_from_db()
        assert run.status == "completed"

    def test_hands_out_again_a_run_that_nobody_sits_at(self, database, service, queue):
        tree(database, "Loan, Loan")
        run = service.start_cleanup()
        queue.clear()
        JobLease.objects.using(database).update(ended_at=Now())
        heartbeat.heartbeat(using=database)
        deliver(queue)
        run.refresh_from_db()
        assert run.status == "completed"

    @pytest.mark.parametrize("how", ["api", "admin"])
    def test_hands_out_a_run_whose_request_was_killed(self, database, service, queue, how):
        tree(database, "Loan, Loan")
        run = service.start_cleanup(in_background=False, started_how=how)
        Run.objects.using(database).update(status="running")
        heartbeat.heartbeat(using=database)
        assert queue == []  # the request may be about to begin
        Run.objects.using(database).update(created_at=Now() - timedelta(minutes=3))
        heartbeat.heartbeat(using=database)
        deliver(queue)
        run.refresh_from_db()
        assert run.status == "completed"

    def test_leaves_a_request_its_run_while_it_works(self, database, service, queue):
        tree(database, "Loan, Loan")
        service.start_cleanup(in_background=False, started_how="api")
        Run.objects.using(database).update(created_at=Now() - timedelta(hours=1), status="running")
        Result.objects.using(database).update(
            status="in_progress", worker="elsewhere:1:2", lease_expires_at=Now() + timedelta(minutes=1)
        )
        heartbeat.heartbeat(using=database)
        assert queue == []

    def test_pauses_a_run_that_was_to_pause_and_whose_worker_was_killed(self, database, service, queue):
        tree(database, "Loan, Loan")
        run = service.start_cleanup(in_background=False, started_how="shell")
        Run.objects.using(database).update(created_at=Now() - timedelta(minutes=3), status="pausing")
        heartbeat.heartbeat(using=database)
        run.refresh_from_db()
        assert (queue, run.status) == ([], "paused")

    def test_leaves_a_run_alone_that_was_started_in_a_shell(self, database, queue):
        tree(database, "Loan, Loan")
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        Run.objects.using(database).update(status="running", ended_at=None)
        heartbeat.heartbeat(using=database)
        assert queue == []


class TestABackgroundRunThatCannotGoOn:
    def test_is_paused_with_the_reason(self, database, service, queue, settings):
        tree(database, "Loan, Loan")
        run = service.start_cleanup()
        settings.CLEANUP_EXTRA_REFERENCES = ["nowhere.folder"]
        deliver(queue)
        run.refresh_from_db()
        assert (run.status, "no such table" in run.status_reason) == ("paused", True)

    def test_is_paused_when_its_workers_are_lost_again_and_again(self, database, service, queue):
        tree(database, "Loan, Loan")
        run = service.start_cleanup()
        JobLease.objects.using(database).update(attempts=MAX_LOST_WORKERS)
        deliver(queue)
        run.refresh_from_db()
        assert (run.status, "lost" in run.status_reason) == ("paused", True)

    def test_is_paused_by_the_freeze(self, database, service, queue):
        tree(database, "Loan, Loan")
        run = service.start_cleanup()
        service.freeze(reason="year end")
        deliver(queue)
        run.refresh_from_db()
        assert (run.status, run.status_reason) == ("paused", "frozen: year end")


class TestTheProbe:
    def probe(self, database, *options):
        return run_command(database, *options, command="cleanup_probe")

    def test_is_well_while_a_cluster_gives_signs_of_life(self, database, service):
        done = self.probe(database)
        assert (done.status, done.out.startswith("Alive: the last heartbeat was ")) == (0, True)

    def test_is_not_well_without_any(self, database):
        done = self.probe(database)
        assert (done.status, done.out) == (1, "No cluster has reported yet.\n")

    def test_is_not_well_when_the_last_one_is_old(self, database, service):
        Heartbeat.objects.using(database).update(beat_at=Now() - timedelta(minutes=4))
        assert self.probe(database).status == 1
        assert self.probe(database, "--max-age", "300").status == 0

    def test_looks_at_this_machine_where_that_is_asked(self, database, service):
        assert self.probe(database, "--here").status == 1
        Heartbeat.objects.using(database).create(cluster="x", host=platform.node())
        assert self.probe(database, "--here").status == 0

    def test_tells_what_is_overdue(self, database, service):
        make_due(database, "full_cleanup", ago=timedelta(hours=1))
        done = self.probe(database, "--json")
        assert (done.status, json.loads(done.out)["overdue"]) == (0, ["full_cleanup"])
        assert self.probe(database, "--fail-on-overdue").status == 1

    @pytest.mark.parametrize("broken", [{"args": "(1,"}, {"schedule_type": "C", "cron": "* * * * *"}])
    def test_names_a_schedule_of_others_that_silences_ours(self, database, automated, broken):
        automated.start_automated_service()
        (row,) = ClusterSchedule.objects.bulk_create([ClusterSchedule(name="theirs", func="theirs.task", **broken)])
        done = self.probe(database)
        assert (done.status, f"cannot read its schedules {row.pk} " in done.out) == (1, True)


class TestTheCheckAfterARun:
    """What was known before is untrue after a run; a cluster checks again, once for all that has ended."""

    def checks(self, using: str) -> list[tuple[str, int]]:
        rows = ConsistencyCheck.objects.using(using).exclude(ended_at=None).order_by("pk")
        return list(rows.values_list("started_how", "duplicate_applications"))

    def known(self, automated) -> dict:
        return automated.get_service_status()["last_check"]

    def test_follows_a_cleanup_of_the_clusters(self, database, service, automated, queue):
        tree(database, "Loan, Loan")
        automated.run_consistency_check()
        deliver(queue)
        service.start_cleanup()
        deliver(queue)
        assert self.checks(database)[-1] == ("run", 0)
        assert self.known(automated)["current"]

    def test_follows_a_command_and_its_undo(self, database, service, queue):
        tree(database, "Loan, Loan")
        report = service.cleanup_all_duplicate_folders()
        deliver(queue)
        service.rollback_cleanup(report.run_id)
        deliver(queue)
        assert self.checks(database) == [("run", 0), ("run", 1)]

    def test_follows_what_ended_elsewhere_at_the_next_heartbeat(self, database, service, queue):
        made = tree(database, "Loan, Loan")
        result = service.consolidate_duplicate_folders(made.application)
        heartbeat.heartbeat(using=database)
        deliver(queue)
        service.rollback_cleanup(result.rollback_id)
        heartbeat.heartbeat(using=database)
        deliver(queue)
        assert self.checks(database) == [("run", 0), ("run", 1)]

    def test_is_one_for_many_and_none_where_nothing_was_done(self, database, service, queue):
        for _ in range(3):
            service.consolidate_duplicate_folders(tree(database, "Loan, Loan").application)
            heartbeat.heartbeat(using=database)
        deliver(queue)
        heartbeat.heartbeat(using=database)
        service.cleanup_all_duplicate_folders()
        heartbeat.heartbeat(using=database)
        deliver(queue)
        assert self.checks(database) == [("run", 0)]

    def test_knowledge_is_of_before_until_then(self, database, service, automated, queue):
        tree(database, "Loan, Loan")
        automated.run_consistency_check()
        deliver(queue)
        service.cleanup_all_duplicate_folders()
        known = self.known(automated)
        assert (known["duplicate_applications"], known["current"], known["changed_since"]) == (1, False, True)

    def test_verifies_again_what_failed_and_resolves_the_alerts(self, database, service, automated, queue):
        for _ in range(6):
            tree(database, "Loan, Loan")
        assert not service.verify_cleanup_integrity()["verification_passed"]
        automated.run_consistency_check()
        evaluate(using=database)
        alerts = Alert.objects.using(database)
        assert set(alerts.filter(state="open").values_list("code", flat=True)) == {"duplicates", "verification_errors"}
        service.start_cleanup()
        deliver(queue)
        assert Verification.objects.using(database).latest("pk").passed
        assert set(alerts.values_list("state", flat=True)) == {"resolved"}


class TestARunWithoutASignOfLife:
    def run(self, using: str, **fields) -> Run:
        tree(using, "Loan, Loan")
        run = lifecycle.create_cleanup(using=using, options=lifecycle.Options(), actor=lifecycle.Actor())
        Run.objects.using(using).filter(pk=run.pk).update(status="running", **fields)
        return run

    def test_is_told_after_half_a_minute(self, database, automated):
        self.run(database, created_at=Now() - timedelta(hours=1), heartbeat_at=Now() - timedelta(seconds=120))
        assert 119 <= automated.get_service_status()["active_run"]["silent_seconds"] <= 130

    def test_is_not_told_of_one_that_has_just_been_resumed(self, database, automated):
        run = self.run(database, created_at=Now() - timedelta(hours=1), heartbeat_at=Now() - timedelta(minutes=50))
        run.refresh_from_db()
        lifecycle.halt(using=database, run=run, reason="a test")
        lifecycle.reopen(using=database, run=run, retry_failed=False)
        assert automated.get_service_status()["active_run"]["silent_seconds"] is None

    @pytest.mark.only("postgresql")
    def test_is_not_told_of_a_batch_that_takes_long(self, database, service, monkeypatch):
        monkeypatch.setattr(signs_of_life, "SIGN_EVERY", 0.2)
        run = self.run(database, created_at=Now() - timedelta(hours=1), heartbeat_at=Now() - timedelta(minutes=2))
        signs = signs_of_life.SignsOfLife(using=database, run=run)
        with signs.kept(), transaction.atomic(using=database):
            Result.objects.using(database).filter(run=run).update(status="in_progress")
            time.sleep(1)
        assert signs_of_life.silent_for(using=database, run=Run.objects.using(database).get(pk=run.pk)) is None


class TestHistory:
    def old(self, rows) -> None:
        rows.update(ended_at=Now() - timedelta(days=366))

    def test_goes_after_a_year(self, database, service, automated):
        made = tree(database, "Loan, Loan")
        report = service.cleanup_all_duplicate_folders()
        service.rollback_cleanup(report.run_id)
        for _ in range(2):
            automated.run_consistency_check()
            service.verify_cleanup_integrity()
        for model in (Run, ConsistencyCheck, Verification):
            self.old(model.objects.using(database))
        counts = service.purge(preview=True)["history"]
        assert (counts["runs"], counts["checks"]) == (2, 2)  # one check of each kind: after the run, and asked for
        assert Run.objects.using(database).count() == 2
        service.purge()
        left = [model.objects.using(database).count() for model in (Run, Result, ConsistencyCheck, Verification)]
        assert left == [0, 0, 1, 1]
        assert RollbackPoint.objects.using(database).filter(application_key=made.application).exists()

    def test_stays_while_it_can_be_undone(self, database, service):
        tree(database, "Loan, Loan")
        service.cleanup_all_duplicate_folders()
        self.old(Run.objects.using(database))
        assert service.purge()["history"]["runs"] == 0
