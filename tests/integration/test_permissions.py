"""One policy: every action, with each single permission, through the admin and through the API."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission as Row
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken

from cleanup.models import Heartbeat, Hold, Run, Schedule, ScheduledRun
from cleanup.permissions import (
    CLEANING,
    Permission,
    to_adopt,
    to_change_schedule,
    to_clean_up,
    to_control,
    to_run_schedule,
)
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from cleanup.services.background import clusters
from tests.support.trees import tree

# What is asked is the same on both databases.
pytestmark = pytest.mark.only("sqlite")

VIEW, CHECK, CLEAN, ALL, BACK, MANAGE, FREEZE = Permission
FORBIDDEN = 403

#: Runs, and who may control them.
RUNS = {
    "an undo": ({"kind": "rollback"}, {BACK}),
    "named applications": ({"options": {"applications": ["1"]}}, {CLEAN, ALL}),
    "the ten worst": ({"options": {"max_applications": 10}}, {CLEAN, ALL}),
    "the eleven worst": ({"options": {"max_applications": 11}}, {ALL}),
    "everything": ({"options": {"applications": None, "max_applications": None}}, {ALL}),
}


@pytest.fixture
def served(database, settings, monkeypatch) -> str:
    settings.CLEANUP_DATABASE = database
    settings.DATABASE_ROUTERS = ["tests.integration.api.routing.Everything"]
    settings.CLEANUP_API_RATES = {"check": None, "clean": None, "tokens": None}
    cache.clear()
    monkeypatch.setattr(clusters, "_hand_over", lambda task, arguments, options: None)
    Heartbeat.objects.using(database).create(cluster="elsewhere:1", host="elsewhere")
    AutomatedCleanupService(using=database).start_automated_service()
    return database


class Person:
    """One account, at both doors; it may look, and what is named."""

    def __init__(self, *permissions: Permission) -> None:
        self.name = "-".join(["kim", *(permission.codename for permission in permissions)])
        user = User.objects.create_user(self.name, is_staff=True)
        codes = [permission.codename for permission in {VIEW, *permissions}]
        user.user_permissions.set(Row.objects.filter(content_type__app_label="cleanup", codename__in=codes))
        self.browser, self.program = Client(), Client()
        self.browser.force_login(user)
        self.token = AuthToken.objects.create(user=user)[1]

    def admin(self, name: str, *key, **data) -> int:
        return answered(self.browser.post(reverse(f"admin:cleanup_{name}", args=key), data))

    def api(self, method: str, path: str, body=None) -> int:
        headers = {"Authorization": f"Bearer {self.token}"}
        content = "" if body is None else json.dumps(body)
        return answered(
            self.program.generic(method, f"/api/cleanup/{path}", content, "application/json", headers=headers)
        )


def answered(response) -> int:
    """Return the status, after reading to its end what is sent as a file."""
    if response.streaming:
        assert response.getvalue()
    return response.status_code


@pytest.fixture
def people(served) -> dict[Permission, Person]:
    return {permission: Person(permission) for permission in Permission}


def allowed(people: dict[Permission, Person], act) -> set[Permission]:
    """Return the permissions with which something is not forbidden."""
    return {permission for permission, person in people.items() if act(person) != FORBIDDEN}


class TestRuns:
    @pytest.mark.parametrize("what", RUNS)
    @pytest.mark.parametrize("action", ["pause", "resume", "cancel"])
    def test_are_controlled_by_who_may_start_them(self, served, people, what, action):
        attributes, expected = RUNS[what]

        def run() -> Run:
            Run.objects.using(served).update(status=Run.Status.CANCELLED)
            return Run.objects.using(served).create(**{"kind": "cleanup", "status": "paused", **attributes})

        assert allowed(people, lambda person: person.api("POST", f"runs/{run().pk}/{action}")) == expected
        assert allowed(people, lambda person: person.admin(f"run_{action}", run().pk)) == expected
        assert set(to_control(run())) == expected

    @pytest.mark.parametrize(("action", "past"), [("pause", "paused"), ("cancel", "cancelled")])
    def test_say_who_it_was(self, served, people, action, past):
        for act in (
            lambda run: people[ALL].api("POST", f"runs/{run.pk}/{action}"),
            lambda run: people[ALL].admin(f"run_{action}", run.pk),
        ):
            run = Run.objects.using(served).create(kind="cleanup")
            act(run)
            run.refresh_from_db(using=served)
            assert run.status_reason == f"{past} by {people[ALL].name}"
            Run.objects.using(served).update(status=Run.Status.CANCELLED)

    def test_say_who_it_was_and_why(self, served, people):
        run = Run.objects.using(served).create(kind="cleanup")
        people[ALL].api("POST", f"runs/{run.pk}/pause", {"reason": "lunch"})
        run.refresh_from_db(using=served)
        assert run.status_reason == f"paused by {people[ALL].name}: lunch"


class TestAdopting:
    @pytest.mark.parametrize("what", RUNS)
    def test_asks_for_the_schedules_and_for_each_run_that_will_be_resumed(self, served, what):
        attributes, expected = RUNS[what]
        run = Run.objects.using(served).create(**{"kind": "cleanup", "status": "running", **attributes})
        assert set(to_adopt([run])) == {(MANAGE,), to_control(run)}
        everybody = {permission: Person(MANAGE, permission) for permission in Permission}
        assert allowed(everybody, lambda person: person.api("POST", "service/adopt")) == expected
        assert allowed(everybody, lambda person: person.admin("adopt")) == expected

    def test_asks_for_the_schedules_where_nothing_was_interrupted(self, served, people):
        assert allowed(people, lambda person: person.api("POST", "service/adopt")) == {MANAGE}
        assert allowed(people, lambda person: person.admin("adopt")) == {MANAGE}


class TestCleaning:
    def test_asks_for_the_same_at_both_doors(self, served, people):
        loan = tree(served, "Loan, Loan")
        key = str(loan.application)
        acts = {
            "hold": ({CLEAN, ALL}, lambda p: p.admin("hold", application=key), lambda p: p.api("PUT", f"holds/{key}")),
            "some": (
                {CLEAN, ALL},
                lambda p: p.admin("clean_up", application=key),
                lambda p: p.api("POST", "cleanup", {"applications": [key]}),
            ),
            "everything": ({ALL}, lambda p: p.admin("clean_up_everything"), lambda p: p.api("POST", "cleanup")),
            "check": ({CHECK}, lambda p: p.admin("check"), lambda p: p.api("POST", "check")),
            "plan": (
                {CHECK, CLEAN, ALL},
                lambda p: p.browser.get(reverse("admin:cleanup_dry_run")).status_code,
                lambda p: p.api("POST", "cleanup?dry_run=true"),
            ),
            "freeze": (
                {FREEZE},
                lambda p: p.admin("freeze", reason="x"),
                lambda p: p.api("POST", "freeze", {"reason": "x"}),
            ),
            "unfreeze": ({FREEZE}, lambda p: p.admin("unfreeze"), lambda p: p.api("POST", "unfreeze")),
            "start": ({MANAGE}, lambda p: p.admin("start_service"), lambda p: p.api("POST", "service/start")),
            "stop": ({MANAGE}, lambda p: p.admin("stop_service"), lambda p: p.api("POST", "service/stop")),
        }
        found = {what: (allowed(people, admin), allowed(people, api)) for what, (_, admin, api) in acts.items()}
        assert found == {what: (expected, expected) for what, (expected, _, _) in acts.items()}

    def test_undo_asks_for_the_same_at_both_doors(self, served, people):
        tree(served, "Loan/Docs(1), Loan/Docs(2)")
        run = DatabaseCleanupService(using=served).cleanup_all_duplicate_folders().run_id
        assert allowed(people, lambda person: person.admin("undo_run", run)) == {BACK}
        assert allowed(people, lambda person: person.admin("undo_script", run)) == {BACK}
        assert allowed(people, lambda person: person.api("POST", f"runs/{run}/rollback")) == {BACK}
        assert allowed(people, lambda person: person.api("GET", f"rollback/{run}/script")) == {BACK}


class TestSchedules:
    @pytest.mark.parametrize(
        ("name", "limit", "expected"),
        [
            ("consistency_check", None, {CHECK}),
            ("integrity_verification", None, {CHECK}),
            ("full_cleanup", 10, {CLEAN, ALL}),
            ("full_cleanup", 11, {ALL}),
            ("full_cleanup", None, {ALL}),
            ("retention", None, {MANAGE}),
        ],
    )
    def test_ask_for_what_they_start(self, served, people, name, limit, expected):
        Schedule.objects.using(served).update(max_applications=limit)
        assert allowed(people, lambda person: person.api("POST", f"schedules/{name}/run")) == expected
        assert set(to_run_schedule(name, most=limit)) == expected

    def test_say_who_ran_them_by_hand(self, served, people):
        people[CHECK].api("POST", "schedules/consistency_check/run")
        done = ScheduledRun.objects.using(served).get()
        assert (done.started_by, done.check_done.started_by) == (people[CHECK].name, people[CHECK].name)

    def test_hand_the_name_on_to_the_run(self, served, people):
        tree(served, "Loan, Loan")
        Schedule.objects.using(served).update(dry_run_first=False)
        people[ALL].api("POST", "schedules/full_cleanup/run")
        from cleanup.services.automation import handlers

        handlers._clean(ScheduledRun.objects.using(served).get(), using=served)
        run = Run.objects.using(served).get()
        assert (run.started_by, run.started_how) == (people[ALL].name, "schedule")

    def form(self, served, **changes) -> dict[str, object]:
        names = ("schedule_type", "weekday", "hour", "minute", "max_applications", "alert_threshold")
        row = Schedule.objects.using(served).values(*names, "enabled", "dry_run_first").get(pk="full_cleanup")
        changed = {**row, **changes}
        return {name: value for name, value in changed.items() if value is not None and value is not False}

    @pytest.mark.parametrize(
        ("limit", "allowed_to"),
        [(19, [MANAGE]), (20, [MANAGE]), (21, [MANAGE, ALL]), (None, [MANAGE, ALL])],
    )
    def test_are_given_more_by_who_may_start_as_much(self, served, limit, allowed_to):
        every = [(MANAGE,), (ALL,), (MANAGE, CLEAN), (MANAGE, ALL)]
        people = {permissions: Person(*permissions) for permissions in every}

        def forbidden(act) -> set[tuple[Permission, ...]]:
            found = set()
            for permissions, person in people.items():
                Schedule.objects.using(served).filter(pk="full_cleanup").update(max_applications=20)
                if act(person) == FORBIDDEN:
                    found.add(permissions)
            return found

        expected = {permissions for permissions in every if not set(allowed_to) <= set(permissions)}
        path, body = "schedules/full_cleanup", {"max_applications": limit}
        assert forbidden(lambda person: person.api("PATCH", path, body)) == expected
        form = self.form(served, max_applications=limit)
        assert forbidden(lambda person: person.admin("schedule_change", "full_cleanup", **form)) == expected

    def test_are_not_changed_by_who_may_not(self, served):
        person = Person(MANAGE)
        assert person.admin("schedule_change", "full_cleanup", **self.form(served, max_applications=500)) == FORBIDDEN
        assert Schedule.objects.using(served).get(pk="full_cleanup").max_applications == 20

    def test_say_who_changed_them(self, served, people):
        for act in (
            lambda person: person.api("PATCH", "schedules/full_cleanup", {"minute": 5}),
            lambda person: person.admin("schedule_change", "full_cleanup", **self.form(served, minute=6)),
        ):
            Schedule.objects.using(served).update(changed_by="", changed_at=None)
            act(people[MANAGE])
            schedule = Schedule.objects.using(served).get(pk="full_cleanup")
            assert (schedule.changed_by, schedule.changed_at is None) == (people[MANAGE].name, False)


class TestHolds:
    def test_leave_a_trace_of_who_released_them(self, served, people):
        loan = tree(served, "Loan, Loan")
        Hold.objects.using(served).create(application_key=str(loan.application))
        assert people[CLEAN].api("DELETE", f"holds/{loan.application}") == 204
        entry = LogEntry.objects.get()
        assert (entry.user.get_username(), entry.object_repr) == (people[CLEAN].name, str(loan.application))


class TestThePolicy:
    def test_lets_who_may_clean_everything_clean_some(self):
        assert to_clean_up(named=True, most=None) == CLEANING

    def test_asks_for_nothing_more_to_lower_a_limit(self):
        assert to_change_schedule("full_cleanup", {"max_applications": 5}, most=None) == [(MANAGE,)]
