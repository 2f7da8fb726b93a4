"""The admin, as its pages answer: who sees what, what an action does, and that data stays data."""

import csv
import re
import uuid
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission as AuthPermission
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from cleanup.models import (
    Alert,
    AutomationState,
    ConsistencyCheck,
    Finding,
    FreezeSwitch,
    Heartbeat,
    Hold,
    JobLease,
    PreparedPreview,
    QueuedApplication,
    Result,
    RollbackPoint,
    Run,
    Schedule,
    SnapshotRow,
    Verification,
)
from cleanup.permissions import CLEANING, Permission, to_control
from cleanup.references import cache
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from cleanup.services.automation.handlers import handle
from cleanup.services.merging import confirmation
from cleanup.services.operations import control
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import assert_tree, missing_key, tree

MOST_QUERIES = 15

HOSTILE = "<script>alert(1)</script>\"'\u202e\x07=cmd"

#: Pages that show something without being told what, by the permission that they need beside looking.
PAGES = {
    "overview": Permission.VIEW,
    "applications": Permission.VIEW,
    "dry_run": Permission.CHECK,
    "clean_up": Permission.CLEAN,
    "clean_up_everything": Permission.CLEAN_EVERYTHING,
    "decisions": Permission.VIEW,
    "decisions_csv": Permission.VIEW,
    "folder": Permission.VIEW,
    **{
        f"{model}_changelist": Permission.VIEW
        for model in (
            "alert",
            "consistencycheck",
            "finding",
            "hold",
            "result",
            "rollbackpoint",
            "run",
            "schedule",
            "snapshotrow",
            "verification",
        )
    },
}

#: Deeds that need no object, by their permission.
ACTIONS = {
    "check": Permission.CHECK,
    "verify": Permission.CHECK,
    "freeze": Permission.FREEZE,
    "unfreeze": Permission.FREEZE,
    "start_service": Permission.MANAGE_SCHEDULES,
    "stop_service": Permission.MANAGE_SCHEDULES,
    "hold": Permission.CLEAN,
    "clean_up": Permission.CLEAN,
    "clean_up_everything": Permission.CLEAN_EVERYTHING,
}


class OneDatabase:
    """Everything in one database, as a project would have it."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def db_for_read(self, model, **hints) -> str:
        return self.alias

    def db_for_write(self, model, **hints) -> str:
        return self.alias


@pytest.fixture(autouse=True)
def using(database, settings) -> str:
    settings.DATABASE_ROUTERS = [OneDatabase(database)]
    return database


@pytest.fixture
def cluster(using) -> None:
    Heartbeat.objects.create(cluster="here:1", host="here")


def address(name: str, *args, **query) -> str:
    if name == "overview":
        return reverse("admin:app_list", args=["cleanup"])
    return reverse(f"admin:cleanup_{name}", args=args, query=query or None)


def person(*permissions: Permission, **values) -> Client:
    user = User.objects.create_user(f"person {uuid.uuid4()}", is_staff=True, **values)
    codenames = [permission.codename for permission in permissions]
    user.user_permissions.set(AuthPermission.objects.filter(codename__in=codenames, content_type__app_label="cleanup"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss(using) -> Client:
    return person(*Permission)


def text(response) -> str:
    """Return what a page says, without its markup."""
    found = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found)).split())


def application_with_duplicates(using, name: str = "Docs") -> str:
    return tree(using, f'old:Loan/"{name}"(2), young:Loan/"{name}"(1)').application


@pytest.fixture
def cleaned(using) -> Run:
    application_with_duplicates(using)
    report = DatabaseCleanupService(using=using).cleanup_all_duplicate_folders(started_by="Ann", started_how="admin")
    return Run.objects.get(pk=report.run_id)


@pytest.mark.only("sqlite")
class TestDoors:
    def test_send_strangers_to_sign_in(self):
        login = reverse("admin:login")
        assert [page for page in PAGES if not Client().get(address(page)).url.startswith(login)] == []

    def test_are_closed_to_staff_without_permission(self):
        unprivileged = person()
        assert [page for page in PAGES if unprivileged.get(address(page)).status_code != 403] == []

    def test_are_closed_to_whoever_may_only_look(self):
        viewer = person(Permission.VIEW)
        closed = [page for page in PAGES if viewer.get(address(page)).status_code == 403]
        assert closed == [page for page, permission in PAGES.items() if permission != Permission.VIEW]

    @pytest.mark.parametrize("permission", sorted(set(PAGES.values())))
    def test_open_to_whoever_has_the_permission(self, permission):
        viewer = person(Permission.VIEW, permission)
        pages = [page for page, needed in PAGES.items() if needed == permission]
        assert [page for page in pages if viewer.get(address(page), follow=True).status_code != 200] == []

    def test_refuse_a_deed_to_whoever_has_all_other_permissions(self, subtests):
        for action, permission in ACTIONS.items():
            enough = CLEANING if permission == Permission.CLEAN else (permission,)
            others = [other for other in Permission if other not in enough]
            with subtests.test(action):
                assert person(*others).post(address(action)).status_code == 403

    def test_do_nothing_for_a_mere_link(self, boss, subtests):
        for action in [action for action in ACTIONS if not action.startswith("clean_up")]:
            with subtests.test(action):
                page = boss.get(address(action), follow=True)
                assert (page.status_code, "Nothing was done. Press the button again" in text(page)) == (200, True)
                assert boss.put(address(action)).status_code == 405

    def test_refuse_a_forged_request(self, boss):
        client = Client(enforce_csrf_checks=True)
        client.force_login(User.objects.first())
        page = client.post(address("freeze"), headers={"referer": f"http://testserver{address('overview')}"})
        assert (page.status_code, "Open the page again" in text(page)) == (403, True)
        assert "Nothing was done The page that you sent was open for too long" in text(page)
        assert not FreezeSwitch.objects.filter(frozen=True).exists()

    def test_say_that_one_has_signed_out(self, boss):
        page = boss.post(reverse("admin:logout"))
        assert "You are signed out What runs in the background continues. Sign in again" in text(page)

    def test_show_no_button_that_would_refuse(self):
        page = person(Permission.VIEW).get(address("overview")).content.decode()
        assert re.findall(r'action="(/admin/cleanup/[^"]*)"', page) == []

    def test_add_change_and_delete_no_history(self, boss, cleaned):
        for model in ("run", "result", "rollbackpoint", "snapshotrow"):
            assert boss.get(f"/admin/cleanup/{model}/add/").status_code == 403
            assert boss.get(f"/admin/cleanup/{model}/1/delete/", follow=False).status_code in (302, 403)

    def test_have_no_page_about_the_mapped_tables(self, boss):
        assert [boss.get(f"/admin/cleanup/{model}/").status_code for model in ("folder", "file")] == [404, 404]


class TestCleanupPage:
    def test_says_that_nothing_is_known_yet(self, boss):
        assert "No check has been recorded yet." in text(boss.get(address("overview")))

    def test_says_that_all_is_well(self, boss, using, cluster):
        AutomatedCleanupService(using=using).start_automated_service()
        ConsistencyCheck.objects.create(ended_at=timezone.now(), duplicate_applications=0)
        assert "All is well: no application has duplicates." in text(boss.get(address("overview")))

    def test_says_that_all_is_well_but_for_what_is_on_hold(self, boss, using, cluster):
        AutomatedCleanupService(using=using).start_automated_service()
        Hold.objects.create(application_key="1")
        ConsistencyCheck.objects.create(ended_at=timezone.now(), duplicate_applications=1, waiting_applications=1)
        response = boss.get(address("overview"))
        assert "All is well but for 1 application with duplicates, which is on hold." in text(response)
        link = f'<a href="{address("decisions")}?held=1#cleanup-held">See what is on hold</a>'
        assert link in response.content.decode()

    def test_says_what_is_not_well(self, boss):
        ConsistencyCheck.objects.create(ended_at=timezone.now(), duplicate_applications=3, waiting_applications=2)
        Alert.objects.create(fingerprint="x", code="x", message="Much is wrong.")
        Hold.objects.bulk_create(Hold(application_key=key) for key in "12")
        page = text(boss.get(address("overview")))
        known = "3 applications have duplicates (2 of them on hold, refused or too large) and 1 alert is open."
        assert known in page
        assert "2 of them were then on hold, refused or too large." in page
        assert "Much is wrong." in page
        Hold.objects.all().delete()  # until the next check
        assert "3 applications have duplicates and 1 alert is open." in text(boss.get(address("overview")))

    def test_names_the_application_of_a_run_that_had_one(self, boss, using, cleaned):
        page = boss.get(address("overview"))
        assert "Cleanup: Loan , Ann, in the admin" in text(page)
        preview = address("preview", cleaned.results.get().application_key)
        assert f'<a href="{preview}"><bdi>Loan' in page.content.decode()
        application_with_duplicates(using)
        application_with_duplicates(using)
        DatabaseCleanupService(using=using).cleanup_all_duplicate_folders(started_by="Bob", started_how="admin")
        assert "Cleanup, Bob, in the admin" in text(boss.get(address("overview")))

    @pytest.mark.parametrize(("named", "told"), [(["1"], True), (None, False)])
    def test_says_that_a_cleanup_stopped_until_another_has_looked_everywhere(self, boss, named, told):
        last_night = timezone.now() - timedelta(hours=9)
        Run.objects.create(kind="cleanup", status="stopped", options={"applications": None}, created_at=last_night)
        Run.objects.create(kind="cleanup", status="completed", options={"applications": named})
        assert ("A cleanup stopped before it finished." in text(boss.get(address("overview")))) is told

    def test_draws_a_day_as_a_point(self, boss):
        for days in (0, 1, 2):
            at = timezone.now() - timedelta(days=days)
            ConsistencyCheck.objects.create(started_at=at, ended_at=at, duplicate_applications=days)
        assert boss.get(address("overview")).content.count(b"<circle") == 3

    def test_says_what_to_start_while_no_cluster_is_alive(self, boss):
        assert "python manage.py qcluster" in text(boss.get(address("overview")))

    def test_says_what_is_missing_where_there_can_be_no_cluster(self, boss, settings):
        settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django_q"]
        page = text(boss.get(address("overview")))
        assert "What runs in the background needs “django_q” in INSTALLED_APPS." in page
        assert "qcluster" not in page

    def test_does_not_say_so_while_one_is(self, boss, cluster):
        assert "qcluster" not in text(boss.get(address("overview")))

    def test_shows_the_active_run(self, boss, cleaned):
        Run.objects.filter(pk=cleaned.pk).update(status="running")
        page = boss.get(address("overview")).content.decode()
        assert f'data-cleanup-refresh="{address("now")}"' in page
        page = boss.get(address("run_change", cleaned.pk)).content.decode()
        assert f'data-cleanup-refresh="{address("run_progress", cleaned.pk)}"' in page

    def test_knows_that_a_check_is_older_than_two_of_its_periods(self, boss, using, cluster):
        AutomatedCleanupService(using=using).start_automated_service()
        then = timezone.now() - timedelta(hours=2, minutes=5)
        ConsistencyCheck.objects.create(started_at=then, ended_at=then, duplicate_applications=0)
        page = text(boss.get(address("overview")))
        assert "No duplicates at the last check" in page
        assert "All is well" not in page

    def test_says_nothing_of_what_a_run_has_changed_since(self, boss, cleaned):
        then = cleaned.created_at - timedelta(seconds=1)
        ConsistencyCheck.objects.create(started_at=then, ended_at=then, duplicate_applications=883)
        page = text(boss.get(address("overview")))
        assert "Folders have changed since the last check." in page
        assert "883 applications have duplicates and" not in page

    def test_keeps_the_last_count_in_the_navigation_with_its_time(self, boss, cleaned):
        then = cleaned.created_at - timedelta(seconds=1)
        check = ConsistencyCheck.objects.create(started_at=then, ended_at=then, duplicate_applications=883)
        for page in ("overview", "applications"):
            shown = text(boss.get(address(page)))
            assert re.search(r"Duplicates 883 \( \d+ \w+, [\d:]+ \) applications with duplicates", shown), shown
        assert "883 applications had duplicates at the check of" in shown
        ConsistencyCheck.objects.filter(pk=check.pk).update(started_at=timezone.now() + timedelta(minutes=1))
        assert "Duplicates 883 applications with duplicates" in text(boss.get(address("overview")))

    def test_shows_an_undo_that_runs(self, boss, cleaned):
        Run.objects.filter(pk=cleaned.pk).update(status="running", kind="rollback", exclusive=False)
        assert "An undo is running: 1 of 1 done." in text(boss.get(address("overview")))

    def test_tells_times_in_the_persons_zone(self, boss, cleaned):
        Run.objects.filter(pk=cleaned.pk).update(started_at="2026-01-20T23:30:00Z")
        boss.cookies["cleanup_time_zone"] = "Europe/Berlin"
        page = boss.get(address("overview")).content.decode()
        assert 'title="21 January 2026, 00:30 CET">21 Jan, 00:30</time>' in page

    @pytest.mark.only("sqlite")
    def test_takes_no_nonsense_for_a_zone(self, boss, subtests):
        for zone in ("", "../../etc/passwd", "America", "Mars/Olympus", "x" * 5000, "\x00"):
            boss.cookies["cleanup_time_zone"] = zone
            with subtests.test(zone[:20]):
                assert boss.get(address("overview")).status_code == 200


class TestDeeds:
    def post(self, client: Client, name: str, *args, **data) -> str:
        """Do it, and return what the next page says."""
        return text(client.post(address(name, *args), data, follow=True))

    def test_check_is_handed_to_the_cluster(self, boss, cluster):
        assert "The check has started." in self.post(boss, "check")
        assert ConsistencyCheck.objects.get().started_how == "admin"

    def test_check_says_what_to_start_without_a_cluster(self, boss):
        assert "the background service is not running" in self.post(boss, "check")
        assert not ConsistencyCheck.objects.exists()

    def test_verification_is_handed_to_the_cluster(self, boss, cluster):
        assert "The verification has started." in self.post(boss, "verify")

    def test_stop_everything_freezes(self, boss):
        assert "Everything is stopped" in self.post(boss, "freeze", reason="fire drill")
        assert FreezeSwitch.objects.get().frozen

    def test_let_it_go_on_unfreezes(self, boss):
        self.post(boss, "freeze")
        assert "Cleanups are allowed again." in self.post(boss, "unfreeze")
        assert not FreezeSwitch.objects.get().frozen

    def test_leave_an_entry_in_the_log(self, boss):
        self.post(boss, "freeze")
        assert LogEntry.objects.get().get_change_message() == "Stopped everything."

    def test_start_and_stop_the_schedules(self, boss):
        assert "The schedules are on." in self.post(boss, "start_service")
        assert AutomationState.objects.get().started
        assert "The schedules are off." in self.post(boss, "stop_service")
        assert not AutomationState.objects.get().started

    def test_hold_an_application(self, boss, using):
        key = application_with_duplicates(using)
        assert "The application is on hold: no cleanup touches it" in self.post(
            boss, "hold", application=key, reason="in court"
        )
        assert Hold.objects.get().reason == "in court"

    def test_hold_no_application_that_is_not_there(self, boss):
        assert "This no longer exists." in self.post(boss, "hold", application=missing_key(Application))

    def test_release_an_application(self, boss, using):
        held = Hold.objects.create(application_key=application_with_duplicates(using))
        assert "The hold was removed" in self.post(boss, "release", held.pk)
        assert not Hold.objects.exists()

    def test_acknowledge_an_alert(self, boss):
        alert = Alert.objects.create(fingerprint="x", code="x", message="Much is wrong.")
        assert "acknowledged" in self.post(boss, "acknowledge", alert.pk)

    def test_pause_a_run(self, boss, cleaned):
        Run.objects.filter(pk=cleaned.pk).update(status="running")
        assert "paused by person" in self.post(boss, "run_pause", cleaned.pk)

    def test_pause_no_run_that_has_ended(self, boss, cleaned):
        assert "This run has ended." in self.post(boss, "run_pause", cleaned.pk)

    def test_cancel_a_run(self, boss, cleaned):
        Run.objects.filter(pk=cleaned.pk).update(status="paused")
        assert "What it has done stays done" in self.post(boss, "run_cancel", cleaned.pk)

    def test_go_on_with_a_run(self, boss, cleaned, cluster):
        Run.objects.filter(pk=cleaned.pk).update(status="paused")
        assert "The run was resumed." in self.post(boss, "run_resume", cleaned.pk)

    @pytest.mark.parametrize("action", ["run_pause", "run_resume", "run_cancel"])
    def test_to_a_run_need_permission(self, cleaned, action):
        others = [other for other in Permission if other not in to_control(cleaned)]
        assert person(*others).post(address(action, cleaned.pk)).status_code == 403


@pytest.mark.only("sqlite")
class TestSchedules:
    @pytest.fixture
    def schedule(self, boss) -> Schedule:
        boss.post(address("start_service"))
        return Schedule.objects.get(name="full_cleanup")

    def change(self, client: Client, schedule: Schedule, **changes):
        values = {
            "enabled": "on",
            "schedule_type": "daily",
            "weekday": 6,
            "hour": 2,
            "minute": 0,
            "max_applications": 20,
            "alert_threshold": 5,
            "dry_run_first": "on",
        }
        return client.post(address("schedule_change", schedule.pk), {**values, **changes}, follow=True)

    def test_can_be_changed(self, boss, schedule):
        self.change(boss, schedule, max_applications=50, hour=4)
        schedule.refresh_from_db()
        assert (schedule.max_applications, schedule.hour, schedule.next_run.hour) == (50, 4, 4)

    @pytest.mark.parametrize("changes", [{"hour": 24}, {"max_applications": 0}, {"schedule_type": "yearly"}])
    def test_take_no_nonsense(self, boss, schedule, changes):
        assert "Please correct the error" in text(self.change(boss, schedule, **changes))
        before = schedule.hour, schedule.max_applications, schedule.schedule_type
        schedule.refresh_from_db()
        assert (schedule.hour, schedule.max_applications, schedule.schedule_type) == before

    def test_cannot_be_changed_without_permission(self, schedule):
        others = [other for other in Permission if other != Permission.MANAGE_SCHEDULES]
        assert self.change(person(*others), schedule, hour=4).status_code == 403


class TestPreview:
    def test_tells_in_sentences_what_would_happen(self, boss, using):
        page = text(boss.get(address("preview", application_with_duplicates(using))))
        assert (
            "4 folders become 2. 2 duplicate folders will be merged and 1 file moved. No file is deleted or changed."
            " Undo possible until"
        ) in page
        assert "Where folders become one, the oldest stays." in page
        assert "What merges, and where: 2 places" in page
        assert "Loan : 2 top folders become 1." in page
        assert "Loan / Docs : 2 folders become 1. 1 file moves." in page

    def test_shows_each_folder_in_one_line_before_and_after(self, boss, using):
        page = boss.get(address("preview", application_with_duplicates(using)))
        assert "Before: 4 folders After: 2 folders" in text(page)
        lines = re.findall(
            r'<span class="cleanup-row.*?(?=<span class="cleanup-row|</summary>|</li>)', page.content.decode()
        )
        assert [" ".join(unescape(re.sub(r"<[^>]+>", " ", line)).split()) for line in lines] == [
            "● Loan stays After: ● Loan 2 → 1",
            "→ Loan #2 merges",
            "● Docs 2 files stays After: ● Docs 3 files 2 → 1 +1 file",
            "→ Docs in #2 1 file merges",
        ]

    def test_says_that_there_is_nothing_to_do(self, boss, using):
        page = text(boss.get(address("preview", tree(using, "Loan/Docs").application)))
        said = "There is nothing to do: this application has no duplicates. Earlier cleanups of this application"
        assert (said in page, "merges" in page) == (True, False)

    def test_of_no_application_is_not_found(self, boss):
        assert boss.get(address("preview", missing_key(Application))).status_code == 404

    def test_of_nonsense_is_not_found(self, boss):
        assert boss.get(address("preview", "a%00b")).status_code in (404, 400)

    def test_of_a_held_application_says_so(self, boss, using):
        key = application_with_duplicates(using)
        Hold.objects.create(application_key=key)
        page = text(boss.get(address("preview", key)))
        assert page.index("The application is on hold.") < page.index("Remove hold …") < page.index("Before: ")

    def test_of_another_one_starts_nothing_that_was_not_shown(self, boss, using, cluster):
        form = {"from": "preview", "application": application_with_duplicates(using), "include_large": "1"}
        assert boss.post(address("clean_up"), form).status_code == 409
        assert not Run.objects.exists()

    def test_folds_what_is_deep_and_loads_a_folded_part(self, boss, using):
        key = tree(using, "Loan/" + "/".join("abcdefghijklmnopqrstuvwxyz")).application
        page = boss.get(address("preview", key)).content.decode()
        assert "Show the 25 folders in it" in page
        part = re.search(r'class="cleanup-part" href="([^"]+)"', page)[1]
        loaded = text(boss.get(unescape(part), headers={"x-requested-with": "XMLHttpRequest"}))
        assert "l l m m Show the 13 folders in it" in loaded

    def test_opens_where_something_happens_and_folds_the_rest(self, boss, using):
        kept = ", ".join(f"n{number:03}" for number in range(130))
        key = tree(using, f"Loan/{{{kept}, x/y, z(1), z(2)}}").application
        page = boss.get(address("preview", key)).content.decode()
        assert page.count("<details open>") == 1
        assert "131 unchanged folders" in page
        part = re.search(r'href="([^"]+)">Show them', page)[1]
        shown = boss.get(unescape(part)).content.decode()
        assert (text(boss.get(unescape(part))).count(" n0"), "Show 31 more folders" in shown) == (200, True)
        rest = re.search(r'href="([^"]+)">Show 31 more folders', shown)[1]
        assert "x x" in text(boss.get(unescape(rest)))
        assert "z z" not in text(boss.get(unescape(rest)))

    def test_lists_many_folders_that_merge_in_parts(self, boss, using):
        key = tree(using, "Loan*40").application
        page = boss.get(address("preview", key)).content.decode()
        part = re.search(r'href="([^"]+)">Show 29 more folders', page)[1]
        assert text(boss.get(unescape(part))).count("→ Loan merges") == 29

    def test_has_no_part_of_nonsense(self, boss, using, subtests):
        key = application_with_duplicates(using)
        for query in ({}, {"start": "-1"}, {"start": "9" * 20}, {"start": "x"}):
            with subtests.test(query=query):
                assert boss.get(address("preview_part", key, **query)).status_code == 404

    def test_costs_no_more_queries_however_large_the_tree_is(self, boss, using):
        small, large = (tree(using, f"Loan/Docs*{n}, Loan/Docs(3)*{n}").application for n in (1, 30))
        assert self.queries(boss, using, large) == self.queries(boss, using, small)

    def queries(self, client: Client, using: str, key: str) -> int:
        client.get(address("preview", key))  # the first page of a process reads the catalogue
        with CaptureQueriesContext(connections[using]) as queries:
            client.get(address("preview", key))
        return len(queries)


class TestThePreviewOfALargeApplication:
    @pytest.fixture
    def large(self, using, settings) -> str:
        settings.CLEANUP_LARGE_APPLICATION = 3
        return application_with_duplicates(using)

    def work_out(self, using: str) -> None:
        lease = JobLease.objects.get(kind="preview")
        handle(using=using, lease_id=lease.pk, token=str(lease.token))

    def prepared(self, boss: Client, using: str, key: str):
        boss.post(address("preview_prepare", key))
        self.work_out(using)
        return boss.get(address("preview", key))

    def confirmed(self, page, **data) -> dict[str, str]:
        names = ("application", "plan_hash")
        values = {name: re.search(rf'name="{name}" value="([^"]+)"', page.content.decode())[1] for name in names}
        return {"from": "preview", "include_large": "1", **values, **data}

    def test_is_not_worked_out_while_someone_waits(self, boss, using, cluster, large):
        page = text(boss.get(address("preview", large)))
        assert "This application has 4 folders, so its preview is worked out in the background." in page
        assert "cleanups skip it unless someone asks for it" in page
        assert f"python manage.py database_cleanup --dry-run --application {large} --include-large" in page

    def test_is_asked_for_and_shown_when_it_is_ready(self, boss, using, cluster, large):
        page = boss.post(address("preview_prepare", large), follow=True)
        assert "The preview is being worked out." in text(page)
        polled = re.search(r'data-cleanup-refresh="([^"]+)"', page.content.decode())[1]
        state = boss.get(polled).content
        assert state.decode().split('"')[1] == re.findall(r'data-cleanup-state="([^"]+)"', page.content.decode())[0]
        self.work_out(using)
        assert boss.get(polled).content != state
        ready = text(boss.get(address("preview", large)))
        assert "4 folders become 2. 2 duplicate folders will be merged and 1 file moved." in ready
        assert "Worked out in the background on" in ready

    def test_is_asked_for_once(self, boss, using, cluster, large):
        boss.post(address("preview_prepare", large))
        boss.post(address("preview_prepare", large))
        assert (PreparedPreview.objects.count(), JobLease.objects.count()) == (1, 1)

    @pytest.mark.parametrize("waiting", [False, True])
    def test_says_where_no_worker_is_running(self, boss, using, large, waiting):
        if waiting:
            PreparedPreview.objects.create(application_key=large)
        page = text(boss.get(address("preview", large)))
        assert "The background service is not running, so" in page
        assert ("the preview waits until it is" in page) is waiting

    def test_starts_nothing_without_a_worker(self, boss, using, large):
        page = boss.post(address("preview_prepare", large), follow=True)
        assert "the background service is not running" in text(page)
        assert not PreparedPreview.objects.exists()

    def test_is_confirmed_as_it_was_shown(self, boss, using, cluster, large):
        form = self.confirmed(self.prepared(boss, using, large))
        assert "The cleanup has started." in text(boss.post(address("clean_up"), form, follow=True))
        options = Run.objects.get().options
        assert (options["include_large"], options["plan_hashes"]) == (True, {large: form["plan_hash"]})

    @pytest.mark.parametrize("plan_hash", ["", "other"])
    def test_starts_nothing_that_was_not_shown(self, boss, using, cluster, large, plan_hash):
        form = self.confirmed(self.prepared(boss, using, large), plan_hash=plan_hash)
        assert boss.post(address("clean_up"), form).status_code == 409
        assert not Run.objects.exists()

    def test_is_not_shown_any_more_when_folders_came(self, boss, using, cluster, large):
        form = self.confirmed(self.prepared(boss, using, large))
        tree(using, "Loan", application=large)
        answer = boss.post(address("clean_up"), form)
        assert (answer.status_code, "Prepare the preview" in text(answer)) == (409, True)

    def test_fails_under_the_lock_where_the_plan_is_another_one(self, boss, using, cluster, large):
        form = self.confirmed(self.prepared(boss, using, large))
        Folder.objects.filter(name="Docs").update(name="Papers")
        Folder.objects.filter(pk=Folder.objects.filter(name="Papers").first().pk).update(name="Docs")
        boss.post(address("clean_up"), form)
        control.resume(using=using, run_id=Run.objects.get().pk)
        run = Run.objects.get()
        assert run.results.get().error_code == "stale_plan"
        for page in (address("run_change", run.pk), address("result_change", run.results.get().pk)):
            assert f'href="{address("preview", large)}">See the new preview' in boss.get(page).content.decode()
        assert "Prepare the preview" in text(boss.get(address("preview", large)))

    def test_says_that_it_failed(self, boss, using, cluster, large):
        now = timezone.now()
        PreparedPreview.objects.create(application_key=large, ended_at=now, error="The table is gone.")
        page = text(boss.get(address("preview", large)))
        assert "It could not be worked out. Ask IT." in page
        assert "Prepare the preview" in page

    def test_of_no_application_is_not_found(self, boss, cluster):
        assert boss.post(address("preview_prepare", missing_key(Application))).status_code == 404

    def test_is_asked_for_by_a_button_alone(self, boss, using, cluster, large):
        page = boss.get(address("preview_prepare", large), follow=True)
        assert "Nothing was done. Press the button again" in text(page)
        assert not PreparedPreview.objects.exists()


class TestApplications:
    def test_are_listed_with_their_duplicates(self, boss, using):
        key = application_with_duplicates(using)
        assert f"Loan {key} 2 1 Preview" in text(boss.get(address("applications")))

    def test_explain_what_their_number_of_duplicates_counts(self, boss, using, subtests):
        application_with_duplicates(using)
        for language, words in {"en": "counts folders that lie beside", "de": "zählt Ordner, die neben einem"}.items():
            with subtests.test(language):
                assert words in text(boss.get(address("applications"), headers={"accept-language": language}))

    def test_are_found_by_the_name_of_their_top_folder(self, boss, using):
        key = application_with_duplicates(using)
        assert key in text(boss.get(address("applications", q="lOA")))

    def test_are_marked_if_on_hold(self, boss, using):
        key = application_with_duplicates(using)
        DatabaseCleanupService(using=using).hold(key)
        assert f"{key} on hold 2 1" in text(boss.get(address("applications")))

    def test_are_listed_with_the_worst_first(self, boss, using):
        few, many = application_with_duplicates(using), tree(using, "Loan*4").application
        page = text(boss.get(address("applications", order="most")))
        assert page.index(many) < page.index(few)
        assert "No applications have duplicates." in text(boss.get(address("applications", order="most", page=9)))

    def test_are_counted_as_of_the_last_check(self, boss, using):
        application_with_duplicates(using)
        AutomatedCleanupService(using=using).run_consistency_check()
        assert "1 application had duplicates at the last check." in text(boss.get(address("applications")))

    def test_lead_forth_and_back(self, boss, using):
        keys = [application_with_duplicates(using) for _ in range(52)]
        for first in (address("applications"), address("applications", order="most")):
            page = boss.get(first).content.decode()
            assert page.count('name="application"') == 50
            following = unescape(re.search(r'href="([^"]*)">Next page', page)[1])
            page = boss.get(following).content.decode()
            assert [f'href="{address("preview", key)}"' in page for key in keys] == [False] * 50 + [True] * 2
            assert page.count('name="application"') == 2
            previous = unescape(re.search(r'href="([^"]*)">Previous page', page)[1])
            assert keys[0] in boss.get(previous).content.decode()

    def test_without_duplicates_are_not_listed(self, boss, using):
        tree(using, "Loan")
        assert "No applications have duplicates." in text(boss.get(address("applications")))

    def test_are_found_by_id(self, boss, using):
        wanted, other = application_with_duplicates(using), application_with_duplicates(using)
        page = text(boss.get(address("applications", q=wanted)))
        assert (wanted in page, other in page) == (True, False)

    def test_take_no_nonsense_for_a_place(self, boss):
        assert boss.get(address("applications", after="a\x00b"), follow=True).status_code == 200


class TestCleaningUp:
    def confirmed(self, client: Client, *keys: str, **data):
        page = client.get(address("clean_up") + "?" + "&".join(f"application={key}" for key in keys))
        hashes = re.findall(r'name="plan_hash" value="(\w+)"', page.content.decode())
        shown = re.findall(r'name="application" value="([^"]+)"', page.content.decode())
        return {"application": shown, "plan_hash": hashes, **data}

    def test_shows_what_happens_before_it_does(self, boss, using, cluster):
        key = application_with_duplicates(using)
        page = text(boss.get(address("clean_up", application=key)))
        assert "1 application will be cleaned up. 2 duplicate folders will be merged and 1 file moved." in page
        assert not Run.objects.exists()

    def test_starts_with_the_confirmed_applications(self, boss, using, cluster):
        key = application_with_duplicates(using)
        application_with_duplicates(using)
        page = boss.post(address("clean_up"), self.confirmed(boss, key, reason="asked for"), follow=True)
        assert "The cleanup has started." in text(page)
        run = Run.objects.get()
        assert (run.started_how, run.reason, list(run.results.values_list("application_key", flat=True))) == (
            "admin",
            "asked for",
            [key],
        )

    def test_of_the_first_ten_takes_the_worst_that_can_be_cleaned_up(self, boss, using, settings):
        settings.CLEANUP_LARGE_APPLICATION = 30
        keys = [tree(using, f"Loan*{number}").application for number in range(2, 15)]
        tree(using, "Loan*31")
        Hold.objects.create(application_key=keys[-1])
        page = boss.get(address("clean_up", first=10)).content.decode()
        assert re.findall(r'name="application" value="([^"]+)"', page) == keys[-2:-12:-1]

    def test_of_nothing_chosen_is_an_error(self, boss, using, subtests):
        application_with_duplicates(using)
        for query in ({}, {"first": "0"}, {"first": "ten"}, {"first": "1000"}, {"q": "Loan"}):
            with subtests.test(query=query):
                page = boss.get(address("clean_up", **query), follow=True)
                assert "Select at least one application." in text(page)
                kept = {"q": "Loan"} if "q" in query else {}
                assert page.redirect_chain == [(address("applications", **kept), 302)]

    def test_of_too_many_is_an_error(self, boss, using):
        page = boss.get(address("clean_up", application=[str(uuid.uuid4()) for _ in range(101)]), follow=True)
        assert "Select at most 100 applications at a time." in text(page)

    def test_of_the_first_ten_goes_past_those_that_would_be_refused(self, boss, using, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "refuse"
        for _ in range(11):
            tree(using, "Loan*5, Other")
        key = application_with_duplicates(using)
        page = boss.get(address("clean_up", first=10)).content.decode()
        assert re.findall(r'name="application" value="([^"]+)"', page) == [key]

    @pytest.mark.parametrize("page", ["dry_run", "clean_up"])
    def test_of_the_first_ten_says_why_there_is_none(self, boss, using, settings, page):
        settings.CLEANUP_LARGE_APPLICATION = 5
        settings.CLEANUP_DIFFERENT_ROOTS = "refuse"
        query = {} if page == "dry_run" else {"first": 10}
        assert "No application has duplicates." in text(boss.get(address(page, **query)))
        Hold.objects.create(application_key=tree(using, "Loan*2").application)
        tree(using, "Loan*6")
        tree(using, "Loan, Other")
        assert (
            "3 applications have duplicates, but none can be cleaned up now: 1 is on hold, 1 is very large and 1 is"
            " refused, because linked records or names stand in the way."
        ) in text(boss.get(address(page, **query)))

    def test_shows_the_new_plan_when_it_has_changed(self, boss, using, cluster):
        made = tree(using, "Loan/Docs, Loan/Docs")
        data = self.confirmed(boss, made.application)
        tree(using, "Loan/Docs", application=made.application)
        answer = boss.post(address("clean_up"), data)
        assert answer.status_code == 409
        assert "The folders have changed since you looked, so nothing was done." in text(answer)
        assert "4 duplicate folders will be merged and" in text(answer)
        assert not Run.objects.exists()

    def test_without_a_hash_is_stale(self, boss, using, cluster):
        key = application_with_duplicates(using)
        assert boss.post(address("clean_up"), {"application": [key]}).status_code == 409

    def test_leaves_out_what_is_held(self, boss, using, cluster):
        key = application_with_duplicates(using)
        Hold.objects.create(application_key=key)
        page = boss.get(address("clean_up", application=key))
        assert "Left out. The application is on hold." in text(page)
        assert b'name="plan_hash"' not in page.content

    def test_leaves_out_what_is_too_much_to_examine_together(self, boss, using, cluster, monkeypatch):
        monkeypatch.setattr(confirmation, "MOST_FOLDERS", 5)
        first, second = application_with_duplicates(using), application_with_duplicates(using)
        page = text(boss.get(address("clean_up", application=[first, second])))
        assert "1 application will be cleaned up." in page
        assert "Left out. It has too many folders to be confirmed together with others." in page

    def test_says_what_to_start_without_a_cluster(self, boss, using):
        key = application_with_duplicates(using)
        page = boss.post(address("clean_up"), self.confirmed(boss, key), follow=True)
        assert "the background service is not running" in text(page)

    def test_is_refused_while_everything_is_stopped(self, boss, using, cluster):
        key = application_with_duplicates(using)
        data = self.confirmed(boss, key)
        DatabaseCleanupService(using=using).freeze(reason="x")
        assert "Everything is stopped." in text(boss.post(address("clean_up"), data, follow=True))

    def test_dry_run_changes_nothing(self, boss, using):
        application_with_duplicates(using)
        page = text(boss.get(address("dry_run")))
        assert "This is a preview: nothing was changed." in page
        assert not Run.objects.exists()

    def test_of_everything_says_where_there_is_nothing(self, boss):
        assert "There is nothing to clean up." in text(boss.get(address("clean_up_everything")))

    def test_of_everything_counts_what_is_there_now_and_can_be_cleaned(self, boss, using, settings):
        held, _ = application_with_duplicates(using), application_with_duplicates(using)
        Hold.objects.create(application_key=held)
        ConsistencyCheck.objects.create(ended_at=timezone.now(), duplicate_applications=894)
        page = text(boss.get(address("clean_up_everything")))
        assert "1 application with duplicates will be cleaned up, counted just now." in page
        assert "1 more application has duplicates and will be left alone" in page
        settings.CLEANUP_LARGE_APPLICATION = 1
        assert "There is nothing to clean up." in text(boss.get(address("clean_up_everything")))

    def test_of_everything_asks_for_the_total(self, boss, using, cluster):
        application_with_duplicates(using)
        ConsistencyCheck.objects.create(ended_at=timezone.now(), duplicate_applications=1)
        wrong = boss.post(address("clean_up_everything"), {"total": "2"})
        assert (wrong.status_code, Run.objects.exists()) == (422, False)
        right = boss.post(address("clean_up_everything"), {"total": "1"}, follow=True)
        assert "The cleanup has started." in text(right)


class TestUndo:
    def point(self, run: Run) -> RollbackPoint:
        return run.points.get()

    def test_says_what_comes_back(self, boss, cleaned):
        page = text(boss.get(address("undo_record", self.point(cleaned).pk)))
        assert "2 folders come back. 1 file goes back to where it was." in page

    def test_of_a_run_says_what_comes_back(self, boss, cleaned):
        assert "2 folders come back." in text(boss.get(address("undo_run", cleaned.pk)))

    def test_is_handed_out_as_a_script(self, boss, cleaned, subtests):
        point = self.point(cleaned)
        for what, target, of in (("run", cleaned.pk, cleaned.pk), ("record", point.pk, point.uuid)):
            with subtests.test(what):
                link = address("undo_script", of)
                assert link in boss.get(address(f"undo_{what}", target)).content.decode()
                script = b"".join(boss.get(link).streaming_content).decode()
                assert re.match(f"-- Undoes .* {of}", script)

    def test_as_a_script_says_why_it_is_refused(self, boss, cleaned, settings):
        settings.CLEANUP_LARGE_APPLICATION = 1
        page = boss.get(address("undo_script", cleaned.pk), follow=True)
        assert "It is too large to preview on a page." in text(page)

    def test_of_a_result_says_what_comes_back(self, boss, cleaned):
        assert "2 folders come back." in text(boss.get(address("undo_result", cleaned.results.get().pk)))

    @pytest.mark.parametrize("what", ["run", "result", "record"])
    def test_is_handed_to_the_cluster(self, boss, cleaned, cluster, what):
        target = {"run": cleaned.pk, "result": cleaned.results.get().pk, "record": self.point(cleaned).pk}[what]
        page = boss.post(address(f"undo_{what}", target), {"reason": "asked for"}, follow=True)
        assert "The undo has started." in text(page)
        assert Run.objects.filter(kind="rollback", reason="asked for").count() == 1
        assert LogEntry.objects.get().get_change_message() == "Started the undo."

    def test_of_very_many_folders_is_not_looked_into(self, boss, cleaned, cluster, settings):
        settings.CLEANUP_LARGE_APPLICATION = 1
        page = address("undo_record", self.point(cleaned).pk)
        assert "It is too large to examine on a page." in text(boss.get(page))
        assert "The undo has started." in text(boss.post(page, {"reason": "asked for"}, follow=True))

    def test_lists_what_people_have_changed_since(self, boss, cleaned, cluster, using):
        File.objects.using(using).update(folder_id=None)
        page = boss.get(address("undo_record", self.point(cleaned).pk))
        assert "taken out of its folder since. It stays out." in text(page)
        assert "required> Undo the rest, and keep what people have changed" in page.content.decode()

    def test_refuses_to_overwrite_what_people_have_changed(self, boss, cleaned, cluster, using):
        File.objects.using(using).update(folder_id=None)
        page = boss.post(address("undo_record", self.point(cleaned).pk), follow=True)
        assert "People have changed some of it since, so nothing was undone." in text(page)

    def test_undoes_the_rest_when_told_so(self, boss, cleaned, cluster, using):
        File.objects.using(using).update(folder_id=None)
        boss.post(address("undo_record", self.point(cleaned).pk), {"skip_conflicts": "1"})
        assert Run.objects.get(kind="rollback").options["skip_conflicts"] is True

    def test_needs_permission_and_is_not_offered_without(self, cleaned):
        client = person(*(other for other in Permission if other != Permission.ROLL_BACK))
        assert client.get(address("undo_run", cleaned.pk)).status_code == 403
        assert client.post(address("undo_run", cleaned.pk)).status_code == 403
        assert "undo/run" not in client.get(address("run_change", cleaned.pk)).content.decode()

    def test_says_that_it_was_undone_before(self, boss, cleaned, using):
        DatabaseCleanupService(using=using).rollback_cleanup(self.point(cleaned).uuid)
        page = text(boss.get(address("undo_record", self.point(cleaned).pk)))
        assert "This was undone before." in page


class TestNeedsYourDecision:
    def test_is_empty_at_first(self, boss):
        assert "Nothing is waiting for you." in text(boss.get(address("decisions")))

    def test_lists_holds(self, boss, using):
        Hold.objects.create(application_key=application_with_duplicates(using), reason="in court")
        page = text(boss.get(address("decisions")))
        assert "On hold (1)" in page
        assert "in court" in page

    def test_lists_what_a_run_refused(self, boss, using, settings):
        settings.CLEANUP_LARGE_APPLICATION = 1
        application_with_duplicates(using)
        DatabaseCleanupService(using=using).cleanup_all_duplicate_folders()
        assert "The application is very large. Details" in text(boss.get(address("decisions")))

    def test_forgets_what_a_later_run_has_settled(self, boss, using, settings):
        settings.CLEANUP_LARGE_APPLICATION = 1
        application_with_duplicates(using)
        service = DatabaseCleanupService(using=using)
        service.cleanup_all_duplicate_folders()
        service.cleanup_all_duplicate_folders(include_large=True)
        assert "Nothing is waiting for you." in text(boss.get(address("decisions")))

    def many(self, using, *, held: int, refused: int, queued: int) -> None:
        run = Run.objects.create(kind="cleanup", status="completed")
        Hold.objects.bulk_create(Hold(application_key=f"held {number}") for number in range(held))
        Result.objects.bulk_create(
            Result(run=run, application_key=f"refused {number}", status="failed", error_code="collision")
            for number in range(refused)
        )
        QueuedApplication.objects.bulk_create(
            QueuedApplication(application_key=f"queued {number}", code="too_large", refused=True)
            for number in range(queued)
        )

    def test_shows_all_of_both_lists_page_by_page(self, boss, using):
        self.many(using, held=120, refused=110, queued=30)
        shown, buttons = set(), 0
        for number in range(1, 8):
            page = boss.get(address("decisions", page=number, held=number)).content.decode()
            shown |= set(re.findall(r"<bdi>(\w+ \d+)</bdi>", page))
            if number <= 6:  # the last one of those on hold is shown again
                buttons += len(re.findall(r"/release/\?next=decisions", page))
            assert ("Open (140)" in page, "On hold (120)" in page) == (True, True)
        assert (len(shown), buttons) == (260, 120)
        assert "140 open · 120 on hold" in text(boss.get(address("overview")))

    def test_has_all_in_its_table(self, boss, using):
        self.many(using, held=1100, refused=600, queued=30)
        lines = boss.get(address("decisions_csv")).content.decode().splitlines()
        assert len(lines) == 1 + 1100 + 600 + 30

    def test_puts_all_that_are_open_on_hold_together(self, boss, using):
        keys = [application_with_duplicates(using) for _ in range(22)]
        run = Run.objects.create(kind="cleanup", status="completed")
        for key in keys:
            Result.objects.create(run=run, application_key=key, status="failed", error_code="collision")
        assert "All 22 in the list" in text(boss.get(address("decisions")))
        asked = boss.get(address("hold", next="open", every=1)).content.decode()
        sent = re.findall(r'name="application" value="([^"]*)"', asked)
        boss.post(address("hold"), {"application": sent, "next": "open", "reason": "audit"})
        assert set(Hold.objects.values_list("application_key", flat=True)) == set(keys)

    def test_cleans_up_several_that_are_open_when_confirmed(self, boss, using, cluster):
        keys = [application_with_duplicates(using) for _ in range(2)]
        run = Run.objects.create(kind="cleanup", status="completed")
        for key in keys:
            Result.objects.create(run=run, application_key=key, status="failed", error_code="P0001")
        page = boss.get(address("decisions")).content.decode()
        assert f'<button formaction="{address("clean_up")}">Clean up selected …</button>' in page
        for chosen in ({"application": keys}, {"every": 1}):
            assert "2 applications will be cleaned up." in text(boss.get(address("clean_up", next="open", **chosen)))

    def test_stays_where_it_is_if_nothing_was_selected(self, boss, using):
        response = boss.get(address("clean_up", next="open", page=2), follow=True)
        assert response.redirect_chain == [(address("decisions", page=2), 302)]

    def test_sends_to_it_what_the_database_does_not_allow(self, boss, using):
        run = Run.objects.create(kind="cleanup", status="completed")
        Result.objects.create(run=run, application_key="A", status="failed", error_code="P0001")
        Result.objects.create(run=run, application_key="B", status="failed", error_code="55P03")
        page = text(boss.get(address("decisions")))
        assert "The database does not allow this change, so it was left untouched. Details A Ask IT:" in page
        assert "It could not be done. Details B Try again;" in page

    def kinds(self, using) -> None:
        run = Run.objects.create(kind="cleanup", status="completed")
        codes = {"A": "P0001", "B": "23514", "C": "23514", "D": "conflict"}
        for key, code in codes.items():
            Result.objects.create(run=run, application_key=key, status="failed", error_code=code)
        QueuedApplication.objects.create(application_key="E", code="conflict", refused=True)

    def test_lists_alone_what_happened_alike(self, boss, using):
        self.kinds(using)
        page = boss.get(address("decisions"))
        kinds = page.context["kinds"]
        assert [(kind["what"], kind["number"]) for kind in kinds] == [
            ("The database does not allow this change, so it was left untouched.", 3),
            ("People have changed some of it since, so nothing was undone.", 2),
        ]
        for kind, applications in zip(kinds, (["C", "B", "A"], ["D", "E"]), strict=True):
            page = boss.get(kind["address"].partition("#")[0])
            assert [row["id"] for row in page.context["rows"]] == applications
            assert [one["is_chosen"] for one in page.context["kinds"]] == [one == kind for one in kinds]
            assert "Open (5)" in text(page)
            assert f"All {len(applications)} in the list" in text(page)

    def test_lists_no_kinds_if_all_is_alike(self, boss, using):
        self.many(using, held=0, refused=3, queued=0)
        page = boss.get(address("decisions"))
        assert (page.context["kinds"], "Show all" in text(page)) == ([], False)

    def test_puts_those_that_are_alike_on_hold_together(self, boss, using):
        self.kinds(using)
        shown = boss.get(address("decisions", code=["conflict"])).content.decode()
        assert '<input type="hidden" name="code" value="conflict">' in shown
        asked = boss.get(address("hold", next="open", every=1, code="conflict")).content.decode()
        assert re.findall(r'name="application" value="([^"]*)"', asked) == ["D", "E"]

    def test_pages_through_those_that_are_alike(self, boss, using):
        self.many(using, held=0, refused=30, queued=30)
        page = boss.get(address("decisions", code="collision"))
        (following,) = re.findall(r'href="([^"#]*page=2)#', page.content.decode())
        page = boss.get(address("decisions") + following.replace("&amp;", "&"))
        assert [row["id"] for row in page.context["rows"]] == [f"refused {number}" for number in range(9, -1, -1)]

    def test_shows_all_once_those_that_were_alike_are_decided(self, boss, using, subtests):
        self.kinds(using)
        for code in ("collision", "", "\x00"):
            with subtests.test(code=code):
                response = boss.get(address("decisions", code=code), follow=True)
                assert response.redirect_chain == [(address("decisions"), 302)]

    def test_does_not_call_a_look_at_folders_a_preview_beside_an_undo(self, boss, using):
        run = Run.objects.create(kind="rollback", status="completed")
        Result.objects.create(run=run, application_key="A", status="failed", error_code="conflict")
        page = text(boss.get(address("decisions")))
        assert ("See its folders A" in page, "Preview" in page) == (True, False)

    def test_lists_an_application_once(self, boss, using):
        run = Run.objects.create(kind="cleanup", status="completed")
        for key in ("A", "B"):
            Result.objects.create(run=run, application_key=key, status="failed", error_code="collision")
            QueuedApplication.objects.create(application_key=key, code="collision", refused=True)
        Hold.objects.create(application_key="B")
        page = text(boss.get(address("decisions")))
        assert ("Open (1)" in page, "On hold (1)" in page) == (True, True)

    @pytest.mark.parametrize("large", [False, True])
    def test_has_a_button_on_the_applications_own_page(self, boss, using, settings, large):
        key = application_with_duplicates(using)
        hold = Hold.objects.create(application_key=key, reason="in court", created_by="Ann")
        if large:
            settings.CLEANUP_LARGE_APPLICATION = 1
        page = boss.get(address("preview", key))
        assert "by Ann. Reason: in court." in text(page)
        assert f'href="{address("release", hold.pk)}?next=preview"' in page.content.decode()
        page = boss.post(address("release", hold.pk), {"next": "preview"}, follow=True)
        assert page.redirect_chain == [(address("preview", key), 302)]

    def test_forgets_what_was_held_when_it_is_released(self, boss, using):
        key = application_with_duplicates(using)
        service = DatabaseCleanupService(using=using)
        service.hold(key)
        service.cleanup_all_duplicate_folders()
        held = Hold.objects.get()
        page = text(boss.post(address("release", held.pk), {"next": "decisions"}, follow=True))
        assert ("Open (0)" in page, "On hold (0)" in page) == (True, True)

    def test_lets_an_undo_be_asked_for_only_while_it_can_be(self, boss, cleaned):
        result = Result.objects.get(run=cleaned)
        undo = Run.objects.create(kind="rollback", status="completed")
        Result.objects.create(
            run=undo,
            application_key=result.application_key,
            status="failed",
            error_code="conflict",
            point=result.point,
        )
        button = address("undo_record", result.point.pk)
        assert button in boss.get(address("decisions")).content.decode()
        RollbackPoint.objects.update(status=RollbackPoint.Status.PURGED)
        assert button not in boss.get(address("decisions")).content.decode()

    def test_quotes_formulas_in_its_table(self, boss, using):
        Hold.objects.create(application_key="=HYPERLINK(1)", reason="-x", created_by="@Ann")
        document = boss.get(address("decisions_csv")).content.decode()
        assert document.startswith("\ufeff")
        (row,) = csv.DictReader(document.removeprefix("\ufeff").splitlines())
        expected = {"Id": "'=HYPERLINK(1)", "Decision": "on hold", "By": "'@Ann", "Reason": "'-x"}
        assert expected.items() <= row.items()


class TestRegisters:
    @pytest.fixture(autouse=True)
    def known_for_long(self, monkeypatch):
        """Let the tables that were read a moment ago count as known on a slow machine, too."""
        monkeypatch.setattr(cache, "SECONDS", 600)

    @pytest.fixture
    def full(self, cleaned, using) -> Run:
        DatabaseCleanupService(using=using).verify_cleanup_integrity()
        verification = Verification.objects.get()
        Finding.objects.create(
            verification=verification, code="cycle", severity="error", table="folders", object_key="1"
        )
        Hold.objects.create(application_key=cleaned.results.get().application_key)
        Alert.objects.create(fingerprint="x", code="x", message="Much is wrong.")
        ConsistencyCheck.objects.create(ended_at=timezone.now(), duplicate_applications=1)
        return cleaned

    def test_cost_a_few_queries_and_show_each_entry_by_itself(self, boss, full, using):
        keys = [application_with_duplicates(using) for _ in range(11)]
        pages = [address(page) for page in PAGES if page != "clean_up"]
        pages += [address("clean_up", first=10), address("clean_up", application=keys[0])]
        pages += [address("folder", q="Docs"), address("preview", keys[0]), address("applications", q=keys[0])]
        models = [Alert, ConsistencyCheck, Finding, Hold, Result, RollbackPoint, Run, SnapshotRow, Verification]
        pages += [address(f"{model._meta.model_name}_change", model.objects.first().pk) for model in models]
        assert self.expensive(boss, using, pages) == {}

    def expensive(self, client: Client, using: str, pages: list[str]) -> dict[str, object]:
        """Return the pages that fail, or ask the database too often, though they were shown a moment ago."""
        found = {}
        for page in pages:
            client.get(page)
            with CaptureQueriesContext(connections[using]) as captured:
                status = client.get(page).status_code
            asked = [query["sql"] for query in captured if query["sql"] not in ("BEGIN", "COMMIT")]
            if status != 200 or len(asked) >= MOST_QUERIES:
                found[page] = (status, asked)
        return found

    def test_are_searched_by_application(self, boss, full, subtests):
        key = full.results.get().application_key
        for model, expected in {"finding": 0, "hold": 1, "result": 1, "rollbackpoint": 1}.items():
            with subtests.test(model):
                assert boss.get(address(f"{model}_changelist", q=key)).context_data["cl"].result_count == expected
                assert boss.get(address(f"{model}_changelist", q="nobody")).context_data["cl"].result_count == 0

    def test_count_no_further_than_they_can_be_paged(self, boss, cleaned, monkeypatch):
        monkeypatch.setattr("cleanup.admin.base.MOST_LISTED", 1)
        point = cleaned.points.get()
        SnapshotRow.objects.bulk_create(
            SnapshotRow(point=point, kind="moved", step=1, table="x", row_count=1) for _ in "ab"
        )
        assert "Only the first 1 entries" in text(boss.get(address("snapshotrow_changelist")))

    def test_show_the_problems_of_the_latest_verification(self, boss, full):
        old = Verification.objects.get()
        Verification.objects.create(ended_at=timezone.now(), passed=True)
        assert boss.get(address("finding_changelist")).context_data["cl"].result_count == 0
        listed = boss.get(address("finding_changelist", verification__id__exact=old.pk))
        applications = old.findings.exclude(application_key="").values("application_key").distinct().count()
        expected = applications + old.findings.filter(application_key="").count()
        assert listed.context_data["cl"].result_count == expected

    def test_show_an_application_once_with_all_that_was_found_in_it(self, boss, using):
        tree(using, "Loan/{Docs, Docs, Docs, Notes, Notes}, Loan")
        DatabaseCleanupService(using=using).verify_cleanup_integrity()
        page = boss.get(address("finding_changelist", severity__exact="error"))
        (found,) = page.context_data["cl"].result_list
        assert "Same-named folders next to each other (2)" in text(page)
        assert text(page).count("Preview and clean up") == 1
        assert boss.get(address("finding_changelist", code=found.code)).context_data["cl"].result_count == 1


class TestHostileData:
    @pytest.fixture
    def pages(self, boss, using) -> list:
        made = tree(using, "one:Loan, two:Loan")
        Folder.objects.using(using).filter(application=made.application).update(name=HOSTILE)
        tree(using, "Loan/Docs", application=made.application)
        preview = boss.get(address("preview", made.application))
        service = DatabaseCleanupService(using=using)
        report = service.cleanup_all_duplicate_folders(reason=HOSTILE, started_by=HOSTILE)
        service.hold(made.application, reason=HOSTILE)
        service.freeze(reason=HOSTILE)
        Alert.objects.create(fingerprint="x", code="x", message=HOSTILE, hint=HOSTILE)
        point = RollbackPoint.objects.get()
        entries = [("run_change", report.run_id), ("rollbackpoint_change", point.pk)]
        entries += [("snapshotrow_change", row.pk) for row in SnapshotRow.objects.all()]
        return [
            preview,
            *(boss.get(address(page)) for page in PAGES if page != "clean_up_everything"),
            *(boss.get(address(page, key)) for page, key in entries),
            boss.get(address("folder", q=HOSTILE)),
            boss.get(address("applications", q=HOSTILE)),
            boss.get(address("undo_record", point.pk)),
        ]

    def test_is_escaped_and_shown_and_turns_no_text_around(self, pages):
        html = [page for page in pages if page.headers["Content-Type"].startswith("text/html")]
        assert [page.request["PATH_INFO"] for page in html if b"<script>alert" in page.content] == []
        told = [page for page in html if "\u202e" in re.sub(r'value="[^"]*"', "", page.content.decode())]
        assert [page.request["PATH_INFO"] for page in told] == []
        assert "alert(1)" in text(pages[0])


@pytest.mark.only("sqlite")
class TestContentSecurityPolicy:
    def test_allows_nothing_inline_and_nothing_from_elsewhere(self, boss):
        policy = boss.get(address("overview")).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy

    def test_finds_nothing_inline_to_forbid(self, boss):
        inline = re.compile(r"<style|<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>|\sstyle=|\son\w+=")
        pages = {page: boss.get(address(page), follow=True).content.decode() for page in PAGES}
        assert {page: found for page, html in pages.items() if (found := inline.findall(html))} == {}


class TestLabels:
    def test_of_applications_are_shown_and_searched(self, boss, using, settings):
        key = application_with_duplicates(using)
        settings.CLEANUP_APPLICATION_LABEL = "id"
        assert f"{key} {key}" in text(boss.get(address("applications")))

    def test_are_otherwise_the_names_of_top_folders(self, boss, cleaned, using):
        result = cleaned.results.get()
        DatabaseCleanupService(using=using).hold(result.application_key)
        pages = [
            address("result_changelist"),
            address("rollbackpoint_changelist", q="loan"),
            address("hold_changelist"),
            address("snapshotrow_changelist"),
            address("decisions"),
            address("result_change", result.pk),
            address("rollbackpoint_change", result.point.pk),
        ]
        shown = {page: text(boss.get(page)) for page in pages}
        assert [page for page, words in shown.items() if f"Loan {result.application_key}" not in words] == []


class TestTheListOfRuns:
    def test_names_application_reason_and_duration(self, boss, using):
        key = application_with_duplicates(using)
        DatabaseCleanupService(using=using).cleanup_all_duplicate_folders(applications=[key], reason="Audit")
        words = text(boss.get(address("run_changelist")))
        assert f"Cleanup Loan {key} Audit finished 1 second" in words

    def test_counts_several_applications(self, boss, using):
        for _ in range(2):
            application_with_duplicates(using)
        DatabaseCleanupService(using=using).cleanup_all_duplicate_folders()
        assert "Cleanup 2 applications" in text(boss.get(address("run_changelist")))

    def test_is_searched_by_application(self, boss, cleaned):
        for words, found in {"loa": True, "nobody": False}.items():
            page = text(boss.get(address("run_changelist", q=words)))
            assert ("1 of 1 application done" in page, "Nothing matches." in page) == (found, not found)

    def test_is_filtered_in_the_words_of_its_rows(self, boss, cleaned, subtests):
        for filters, found in (
            ({"status__exact": "completed"}, True),
            ({"status__exact": "stopped"}, False),
            ({"kind__exact": "rollback"}, False),
            ({"created_at__gte": "2020-01-01 00:00:00+00:00"}, True),
            ({"created_at__lt": "2020-01-01 00:00:00+00:00"}, False),
            ({"created_at__year": timezone.now().year}, True),
        ):
            with subtests.test(filters=filters):
                page = text(boss.get(address("run_changelist", **filters)))
                assert ("1 of 1 application done" in page, "stopped before it finished" in page) == (found, True)


class TestFollowingARun:
    def test_is_a_part_of_a_page(self, boss, cleaned):
        page = boss.get(address("run_progress", cleaned.pk)).content.decode()
        assert "<html" not in page
        assert "data-cleanup-ended" in page

    def test_of_no_run_is_not_found(self, boss):
        assert boss.get(address("run_progress", uuid.uuid4())).status_code == 404


def test_an_undo_gives_back_what_was_shown(boss, cleaned, using):
    assert_tree(using, cleaned.results.get().application_key, "Loan/Docs(3)")


class TestTheLog:
    """What people have done is kept in words: in the admin's own list, and behind an entry."""

    def test_names_things_as_people_do(self, boss, cleaned, using, cluster):
        DatabaseCleanupService(using=using).hold(cleaned.results.get().application_key)
        boss.post(address("freeze"))
        boss.post(address("unfreeze"))
        boss.post(address("check"))
        boss.post(address("undo_run", cleaned.pk))
        boss.post(address("release", Hold.objects.get().pk))
        names = " / ".join(LogEntry.objects.values_list("object_repr", flat=True).order_by("pk"))
        assert re.fullmatch(rf"Folder cleanup / Folder cleanup / Check of {WHEN} / Cleanup of {WHEN} / Loan", names)

    def test_names_a_schedule_in_words(self, boss, using):
        AutomatedCleanupService(using=using).start_automated_service()
        form = {"schedule_type": "daily", "weekday": 6, "hour": 3, "minute": 0, "alert_threshold": 5}
        boss.post(address("schedule_change", "integrity_verification"), form)
        entry = LogEntry.objects.get()
        assert (entry.object_repr, entry.get_change_message()) == (
            "Database verification",
            "Changed Enabled and How often.",
        )

    def test_stands_behind_an_entry(self, boss, cleaned, cluster):
        boss.post(address("undo_run", cleaned.pk))
        link = address("run_history", cleaned.pk)
        assert link in boss.get(address("run_change", cleaned.pk)).content.decode()
        assert "Started the undo." in text(boss.get(link))

    def test_leads_to_the_freeze_switch_in_words(self, boss):
        boss.post(address("freeze"), {"reason": "fire drill"})
        page = text(boss.get(LogEntry.objects.get().get_admin_url()))
        assert "Everything is stopped." in page
        assert "fire drill" in page


WHEN = r"\d+ \w+, \d\d:\d\d"


class TestWhatIsForIT:
    """Commands and columns are folded, wherever they stand."""

    def unfolded(self, page: str) -> str:
        return re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)

    def test_is_folded_on_every_page(self, boss, cleaned, using):
        DatabaseCleanupService(using=using).verify_cleanup_integrity()
        application_with_duplicates(using)
        verification = Verification.objects.get()
        found = Finding.objects.create(
            verification=verification,
            code="cycle",
            severity="error",
            table="folders",
            object_key="1",
            hint="SELECT f.*",
        )
        alert = Alert.objects.create(fingerprint="x", code="duplicates", message="Much.", hint="manage.py see")
        pages = [
            *(address(page) for page in PAGES),
            address("finding_change", found.pk),
            address("run_change", cleaned.pk),
        ]
        pages += [address("alert_change", alert.pk), address("result_change", cleaned.results.get().pk)]
        for page in pages:
            answer = boss.get(page)
            if answer.status_code == 200 and "html" in answer["Content-Type"]:
                shown = self.unfolded(answer.content.decode())
                assert [word for word in ("manage.py", "SELECT ", "correlation") if word in shown] == [], page

    def test_is_there_all_the_same(self, boss):
        alert = Alert.objects.create(fingerprint="x", code="duplicates", message="Much.", hint="manage.py see")
        page = boss.get(address("alert_change", alert.pk)).content.decode()
        assert "manage.py see" in page
        assert "See these applications" in page

    def test_is_folded_in_a_refusal(self, boss):
        page = boss.post(address("check"), follow=True).content.decode()
        assert "manage.py qcluster" in page
        assert "manage.py" not in self.unfolded(page)


class TestTheRunInTheWay:
    def test_is_named_with_a_link_where_a_cleanup_would_start(self, boss, cleaned, using, cluster):
        key = application_with_duplicates(using)
        Run.objects.filter(pk=cleaned.pk).update(status=Run.Status.RUNNING)
        for page in (address("preview", key), address("overview"), address("clean_up", application=[key])):
            shown = boss.get(page)
            assert "Not possible while another cleanup is not finished: Cleanup of" in text(shown)
            assert address("run_change", cleaned.pk) in shown.content.decode()

    def test_is_linked_in_a_refusal(self, boss, cleaned, using, cluster):
        key = application_with_duplicates(using)
        Run.objects.filter(pk=cleaned.pk).update(status=Run.Status.RUNNING)
        boss.get(address("clean_up_everything"))
        answer = boss.post(address("clean_up_everything"), {"total": "1"}, follow=True).content.decode()
        assert f'<a href="{address("run_change", cleaned.pk)}">Show it</a>' in answer
        assert key

    def test_that_is_paused_is_said_after_everything_was_resumed(self, boss, cleaned):
        Run.objects.filter(pk=cleaned.pk).update(status=Run.Status.PAUSED)
        boss.post(address("freeze"))
        answer = text(boss.post(address("unfreeze"), follow=True))
        assert "1 run that was paused stays paused until someone resumes it." in answer
