"""A copy of a database does nothing by itself until a person adopts it, and says so everywhere.

The copies are real ones: another database made of the first with all its rows, and a copied file.
"""

from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import call_command
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from django.utils.module_loading import import_string

from cleanup import backends
from cleanup.exceptions import ForeignDatabase, RestoredCopy
from cleanup.models import (
    Alert,
    AutomationState,
    ConsistencyCheck,
    Heartbeat,
    JobLease,
    Result,
    Run,
    Schedule,
    ScheduledRun,
    Verification,
)
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService, origin
from cleanup.services.alerting import alerts
from cleanup.services.automation import heartbeat
from cleanup.services.background import clusters
from cleanup.services.monitoring import liveness
from tests.integration.management.test_command import run_command
from tests.support import databases
from tests.support.trees import assert_tree, dump, tree


@pytest.fixture(autouse=True)
def queue(monkeypatch):
    """Keep deliveries instead of sending them to a broker that no cluster asks: [task, arguments]."""
    kept = []
    monkeypatch.setattr(clusters, "_hand_over", lambda task, arguments, options: kept.append((task, arguments)))
    monkeypatch.setattr(origin, "_worked_on", {})
    return kept


@pytest.fixture
def loan(database):
    """Make duplicates, and a service that is started and has a cluster."""
    Heartbeat.objects.using(database).create(cluster="elsewhere:1", host="elsewhere")
    AutomatedCleanupService(using=database).start_automated_service()
    return tree(database, "Loan/Docs(1), Loan/Docs(2)")


@pytest.fixture
def copy(database, loan, queue):
    """Yield the alias of a copy that was made while everything was going on that clusters do."""
    service = DatabaseCleanupService(using=database)
    service.start_cleanup()
    service.start_check()
    service.start_verification()
    Schedule.objects.using(database).update(next_run=Now() - timedelta(minutes=1), dry_run_first=False)
    JobLease.objects.using(database).update(lease_expires_at=Now() - timedelta(minutes=1))
    with databases.restored_copy(database):
        yield database


def work(queue) -> None:
    """Do what clusters do: what is in the queue, the heartbeat, and what comes of it."""
    deliveries, queue[:] = list(queue), []
    for task, arguments in deliveries:
        import_string(task)(*arguments)


class TestOfACopy:
    def test_nothing_is_worked_by_clusters(self, copy, queue):
        before = dump(copy, own=True)
        work(queue)
        import_string(clusters.HEARTBEAT)(copy)
        work(queue)
        after = dump(copy, own=True)
        changed = {table for table in after if after[table] != before.get(table)}
        assert changed <= {"cleanup_alert", "sqlite_sequence"}
        assert queue == []

    def test_no_schedule_fires(self, copy):
        assert Schedule.objects.using(copy).filter(next_run__lte=Now()).count() == len(Schedule.Name)
        heartbeat.heartbeat(using=copy)
        assert not ScheduledRun.objects.using(copy).exists()

    def test_nothing_is_handed_to_clusters(self, copy):
        Run.objects.using(copy).update(status="cancelled")
        service, automated = DatabaseCleanupService(using=copy), AutomatedCleanupService(using=copy)
        scheduled = [partial(automated.run_schedule, name) for name in Schedule.Name.values]
        for start in (service.start_cleanup, service.start_check, service.start_verification, *scheduled):
            with pytest.raises(RestoredCopy, match="database_cleanup --adopt"):
                start()

    def test_the_service_is_not_started_but_stopped(self, copy):
        automated = AutomatedCleanupService(using=copy)
        with pytest.raises(RestoredCopy):
            automated.start_automated_service()
        assert automated.stop_automated_service()["started"] is False

    def test_no_run_of_the_original_is_resumed(self, copy):
        service, run = DatabaseCleanupService(using=copy), Run.objects.using(copy).get()
        for resume in (service.resume, service.start_resume):
            with pytest.raises((ForeignDatabase, RestoredCopy), match="--adopt"):
                resume(run.pk)
        assert Result.objects.using(copy).get().status == "pending"

    def test_one_run_can_be_resumed_alone(self, copy, loan):
        run = Run.objects.using(copy).get()
        assert DatabaseCleanupService(using=copy).resume(run.pk, adopt=True).status == "completed"
        assert_tree(copy, loan, "Loan/Docs(3)")
        assert origin.copied(using=copy) is not None

    def test_people_work_in_it_as_in_any_database(self, copy, loan):
        service = DatabaseCleanupService(using=copy)
        service.cancel()
        assert service.cleanup_all_duplicate_folders(dry_run=True).total_folders_removed == 2
        assert service.cleanup_all_duplicate_folders().status == "completed"
        assert service.verify_cleanup_integrity()["verification_passed"]

    def test_a_claim_is_refused_where_the_connection_leads_to_it_now(self, database, loan, queue):
        other = tree(database, "Loan, Loan")
        service, switch = DatabaseCleanupService(using=database), databases.restored_copy(database)

        def lead_to_the_copy(progress) -> None:
            if progress.done == 1:
                switch.__enter__()

        with pytest.raises(ForeignDatabase):
            service.cleanup_all_duplicate_folders(batch_size=1, progress=lead_to_the_copy)
        left = Result.objects.using(database).filter(status="pending").count()
        switch.__exit__(None, None, None)
        assert (left, other is not None) == (1, True)


class TestACopySays:
    def test_so_in_its_status(self, copy):
        status = AutomatedCleanupService(using=copy).get_service_status()
        assert (status["running"], status["started"]) == (False, True)
        assert status["restored_copy"]["command"] == "manage.py database_cleanup --adopt"
        assert not any(schedule["overdue"] for schedule in status["schedules"].values())

    def test_so_at_the_shell(self, copy):
        told = run_command(copy, "--status").out
        assert "is a copy that was not adopted" in told
        assert "manage.py database_cleanup --adopt" in told
        assert run_command(copy, "--status", "--json").json["restored_copy"]["message"] in " ".join(told.split())

    def test_nothing_of_the_kind_where_it_is_none(self, database, loan):
        assert AutomatedCleanupService(using=database).get_service_status()["restored_copy"] is None
        assert "copy" not in run_command(database, "--status").out

    def test_so_by_an_alert_and_leaves_the_others_to_the_original(self, database, loan, settings):
        settings.CLEANUP_ALERT_EMAILS = ["oncall@example.com"]
        stopped = Run.objects.using(database).create(kind="cleanup", status="stopped")
        alerts.evaluate(using=database)
        mail.outbox.clear()
        Alert.objects.using(database).update(owed=True, noticed_at=Now() - timedelta(days=9))
        with databases.restored_copy(database):
            stopped.delete(using=database)
            heartbeat.heartbeat(using=database)
            states = dict(Alert.objects.using(database).values_list("code", "state"))
            found = Alert.objects.using(database).get(code="restored_copy")
        assert states == {"run_stopped": "open", "restored_copy": "open"}
        assert (found.severity, found.hint) == ("critical", "manage.py database_cleanup --adopt")
        assert ["copy" in message.subject for message in mail.outbox] == [True]

    def test_that_nothing_is_overdue(self, copy):
        assert liveness.probe(using=copy).overdue == ()


class TestAdoption:
    def test_lets_everything_go_on(self, copy, loan, queue):
        status = run_command(copy, "--adopt", "--no-input", "--json").json
        assert (status["restored_copy"], status["running"]) == (None, True)
        assert (clusters.HEARTBEAT, (copy,)) in queue
        for _ in range(5):
            work(queue)
        assert Run.objects.using(copy).get().status == "completed"
        assert_tree(copy, loan, "Loan/Docs(3)")
        assert ConsistencyCheck.objects.using(copy).get().ended_at is not None
        assert not Verification.objects.using(copy).filter(ended_at=None).exists()

    def test_does_not_make_up_for_what_schedules_missed(self, copy):
        AutomatedCleanupService(using=copy).adopt_database()
        heartbeat.heartbeat(using=copy)
        assert not ScheduledRun.objects.using(copy).exists()
        assert not Schedule.objects.using(copy).filter(next_run__lte=Now()).exists()

    def test_resolves_the_alert_and_says_who_it_was(self, copy):
        heartbeat.heartbeat(using=copy)
        AutomatedCleanupService(using=copy).adopt_database(adopted_by="ann")
        assert Alert.objects.using(copy).get(code="restored_copy").state == "resolved"
        service = AutomationState.objects.using(copy).get()
        assert (service.adopted_by, service.adopted_at is not None) == ("ann", True)

    def test_of_a_database_that_is_no_copy_changes_nothing(self, database, loan):
        due = list(Schedule.objects.using(database).values_list("next_run", flat=True))
        assert run_command(database, "--adopt", "--no-input").status == 0
        assert list(Schedule.objects.using(database).values_list("next_run", flat=True)) == due

    def test_needs_a_person_or_the_word(self, copy):
        assert run_command(copy, "--adopt").status == 2
        assert origin.copied(using=copy) is not None

    def test_is_not_had_by_migrating(self, copy):
        call_command("migrate", "cleanup", database=copy, verbosity=0)
        assert origin.copied(using=copy) is not None


class TestADatabaseFromBeforeThereWasAnIdentity:
    def test_is_known_by_its_newest_run(self, copy):
        AutomationState.objects.using(copy).update(database_identity="")
        origin.record(using=copy)
        assert origin.copied(using=copy) is not None

    def test_is_at_home_where_that_run_was_started_here(self, database, loan):
        here = backends.database(using=database).identity()
        Run.objects.using(database).create(kind="cleanup", status="completed", database_identity=here.split(";")[0])
        AutomationState.objects.using(database).update(database_identity="")
        origin.record(using=database)
        assert origin.recorded(using=database) == here


@pytest.mark.only("postgresql")
class TestAPromotedServer:
    """Its timeline is a later one than that which the rows know."""

    @pytest.fixture
    def promoted(self, database, loan):
        DatabaseCleanupService(using=database).start_cleanup()
        here = backends.database(using=database).identity()
        for model in (AutomationState, Run):
            model.objects.using(database).update(database_identity=here.replace("timeline=1", "timeline=0"))
        return here.replace("timeline=1", "timeline=0")

    def test_is_taken_for_a_copy(self, database, promoted):
        assert "promoted" in origin.copied(using=database).difference
        assert origin.is_at_rest(using=database)

    def test_is_followed_by_a_process_that_knows_it(self, database, loan, promoted, queue):
        origin._worked_on[database] = promoted
        work(queue)
        assert origin.copied(using=database) is None
        assert Run.objects.using(database).get().status == "completed"

    def test_is_not_followed_by_one_that_knows_another(self, database, promoted, queue):
        origin._worked_on[database] = promoted.replace("postgresql:", "postgresql:1")
        work(queue)
        assert Run.objects.using(database).get().status == "pending"


@pytest.mark.only("sqlite")
class TestTheDoors:
    @pytest.fixture
    def served(self, copy, settings):
        settings.CLEANUP_DATABASE = copy
        settings.DATABASE_ROUTERS = ["tests.integration.api.routing.Everything"]
        return copy

    @pytest.fixture
    def browser(self, served):
        client = Client()
        client.force_login(User.objects.create_superuser("ann"))
        return client

    def test_the_overview_says_so_and_adopts(self, served, browser):
        home = reverse("admin:app_list", args=["cleanup"])
        page = browser.get(home).content.decode()
        assert "This database is a copy of another one" in page
        assert "manage.py database_cleanup --adopt" in page
        assert "All is well" not in page
        answer = browser.post(reverse("admin:cleanup_adopt"), follow=True).content.decode()
        assert "The copy was adopted" in answer
        assert "This database is a copy of another one" not in browser.get(home).content.decode()

    def test_the_page_of_a_run_says_so(self, served, browser):
        run = Run.objects.using(served).get()
        page = browser.get(reverse("admin:cleanup_run_change", args=[run.pk])).content.decode()
        assert "This database is a copy of another one" in page

    def test_starting_is_refused_in_a_sentence(self, served, browser):
        for name in ("check", "start_service"):
            page = browser.post(reverse(f"admin:cleanup_{name}"), follow=True).content.decode()
            assert "This database is a copy that was not adopted" in page

    def test_the_api_says_so_and_adopts(self, served, browser):
        assert browser.get("/api/cleanup/status").json()["restored_copy"]["message"]
        schedule = "/api/cleanup/schedules/consistency_check/run"
        refused = browser.post(schedule, content_type="application/json")
        assert (refused.status_code, refused.json()["code"]) == (409, "restored_copy")
        adopted = browser.post("/api/cleanup/service/adopt", content_type="application/json")
        assert (adopted.status_code, adopted.json()["restored_copy"]) == (200, None)
        assert browser.post(schedule, content_type="application/json").status_code == 202
