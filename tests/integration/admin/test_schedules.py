"""Schedules as their pages explain them: what applies, when, in the person's time zone, and what came of it."""

import pytest
from django.utils import timezone

from cleanup.models import Alert, Finding, Run, Schedule, ScheduledRun, Verification
from cleanup.permissions import Permission
from cleanup.services.alerting import alerts
from tests.integration.admin.test_pages import address, boss, person, text, using

__all__ = ["boss", "using"]


@pytest.fixture
def started(boss):
    boss.post(address("start_service"))
    boss.cookies["cleanup_time_zone"] = "Asia/Kolkata"
    return boss


def form(page) -> dict[str, object]:
    fields = page.context["adminform"].form
    return {name: value for name in fields.fields if (value := fields[name].value()) not in (None, False)}


@pytest.mark.parametrize("name", Schedule.Name.values)
def test_show_only_what_applies(started, name):
    fields = set(form(started.get(address("schedule_change", name)))) - {"schedule_type", "weekday", "hour", "minute"}
    applicable = {
        "consistency_check": {"enabled", "alert_threshold"},
        "full_cleanup": {"enabled", "max_applications", "dry_run_first"},
    }
    assert fields == applicable.get(name, {"enabled"})


def test_stay_as_they_are_when_saved_as_shown(started):
    for schedule in Schedule.objects.all():
        page = started.get(address("schedule_change", schedule.pk))
        started.post(address("schedule_change", schedule.pk), form(page))
        saved = Schedule.objects.get(pk=schedule.pk)
        for field in ("enabled", "schedule_type", "weekday", "hour", "minute", "max_applications", "dry_run_first"):
            assert getattr(saved, field) == getattr(schedule, field), (schedule.pk, field)


def test_take_times_of_the_persons_zone(started):
    times = {"enabled": "on", "schedule_type": "weekly", "weekday": 0, "hour": 4, "minute": 30}
    page = started.post(address("schedule_change", "integrity_verification"), times, follow=True)
    schedule = Schedule.objects.get(pk="integrity_verification")
    assert (schedule.weekday, schedule.hour, schedule.minute) == (6, 23, 0)
    assert "every Monday at 04:30 IST" in text(page)


def test_tell_what_came_of_the_last_times(started, using):
    row = {"schedule_id": "full_cleanup", "due_at": timezone.now()}
    plan = {"successful_cleanups": 20, "total_folders_removed": 61}
    ScheduledRun.objects.create(status="planned", outcome=plan, **row)
    ScheduledRun.objects.create(status="skipped", reason="Another cleanup is running.", **row)
    page = text(started.get(address("schedule_change", "full_cleanup")))
    assert "planned only It would clean up 20 applications and merge 61 duplicate folders." in page
    assert "skipped Another cleanup is running." in page
    assert "The next run only plans." in page


def test_tell_how_many_applications_failed(started, using):
    run = Run.objects.create(
        kind="cleanup", status="completed", total_applications=20, done_applications=20, failed_applications=20
    )
    row = {"schedule_id": "full_cleanup", "due_at": timezone.now()}
    ScheduledRun.objects.create(status="completed", run=run, **row)
    ScheduledRun.objects.create(status="waiting", **row)
    page = started.get(address("schedule_change", "full_cleanup"))
    assert "20 of 20 applications done. 0 cleaned up · 0 on hold · 0 left alone · 20 failed ." in text(page)
    assert '<span class="cleanup-state cleanup-attention">done</span>' in page.content.decode()
    assert "waiting for approval" in text(page)


def test_fold_what_only_it_can_read(started, using):
    reason = "The run was stopped before it started:\n  archive_guard of folders would fire (delete)."
    ScheduledRun.objects.create(schedule_id="full_cleanup", due_at=timezone.now(), status="failed", reason=reason)
    page = text(started.get(address("schedule_change", "full_cleanup")))
    assert "IT has to decide. For IT The run was stopped before it started:" in page
    (alert,) = (found for found in alerts.evaluate(using=using) if found.code == "schedule_failed")
    page = text(started.get(address("alert_change", alert.pk)))
    assert "The schedule full cleanup failed: IT has to look at it. See the schedule and its last results" in page
    assert page.index("For IT") < page.index("archive_guard")
    for listing in (address("overview"), address("schedule_changelist")):
        page = text(started.get(listing))
        assert ("archive_guard" in page, page.count("on, but failed the last time")) == (False, 1)


def test_are_explained_to_people_who_may_only_look(started):
    page = text(person(Permission.VIEW).get(address("schedule_change", "full_cleanup")))
    assert "Merges the duplicate folders of the applications that have the most of them." in page
    assert "Applications per run" not in page


@pytest.mark.parametrize(
    ("code", "permissions", "button"),
    [
        ("verification_errors", (Permission.CHECK,), "Verify again"),
        ("verification_errors", (), "See the problems found"),
        ("duplicates", (Permission.CLEAN,), "Preview and clean up the worst ten …"),
    ],
)
def test_alerts_offer_what_deals_with_them(using, code, permissions, button):
    alert = Alert.objects.create(code=code, fingerprint=code, message="Much is wrong.", hint="manage.py x")
    page = text(person(Permission.VIEW, *permissions).get(address("alert_change", alert.pk)))
    assert (button in page, page.index("For IT") < page.index("manage.py x")) == (True, True)
    if permissions:
        assert button not in text(person(Permission.VIEW).get(address("alert_change", alert.pk)))


def test_problems_offer_what_deals_with_them(boss, using):
    verification = Verification.objects.create()
    common = {"verification": verification, "severity": "error", "table": "folders", "object_key": "1"}
    merged = Finding.objects.create(code="several_roots", application_key="1", **common)
    other = Finding.objects.create(code="cycle", **common)
    pages = [text(boss.get(address("finding_change", found.pk))) for found in (merged, other)]
    assert ["Preview and clean up …" in page for page in pages] == [True, False]
    assert ["Verify again" in page for page in pages] == [True, True]


def test_are_started_where_they_are_listed(boss):
    for page in (address("schedule_changelist"), address("schedule_change", "full_cleanup")):
        assert "All schedules are off: nothing runs automatically. Start the schedules" in text(boss.get(page))
    boss.post(address("start_service"))
    assert "All schedules are off" not in text(boss.get(address("schedule_changelist")))


def test_are_explained_to_people_who_may_not_change_them(boss):
    for page in (address("schedule_changelist"), address("schedule_change", "full_cleanup")):
        shown = text(person(Permission.VIEW).get(page))
        assert "Here you cannot change the schedules. This needs the permission “Can change schedules" in shown
        assert "Start the schedules" not in shown
        assert "you cannot change" not in text(boss.get(page))


def test_say_nothing_of_a_first_run_that_is_like_the_others(started, using):
    Schedule.objects.filter(pk="full_cleanup").update(dry_run_first=False)
    for name, shown in (("full_cleanup", False), ("consistency_check", False)):
        assert ("First run:" in text(started.get(address("schedule_change", name)))) is shown
    Schedule.objects.filter(pk="full_cleanup").update(dry_run_first=True)
    assert "First run: The next run only plans." in text(started.get(address("schedule_change", "full_cleanup")))


def test_that_have_not_run_yet_say_so_in_the_list(started):
    assert "every Sunday" in (page := text(started.get(address("schedule_changelist"))))
    assert "never" in page


def test_an_alert_has_no_button_that_seems_to_close_it(boss, using):
    alert = Alert.objects.create(code="duplicates", fingerprint="duplicates", message="Much is wrong.")
    page = text(boss.get(address("alert_change", alert.pk)))
    assert ("Acknowledge" in page, "Close" in page) == (True, False)


@pytest.mark.parametrize(
    ("waiting", "more"), [(0, ""), (1, "1 more is on hold, refused"), (1094, "1,094 more are on hold, refused")]
)
def test_an_alert_accounts_for_all_that_have_duplicates(boss, using, waiting, more):
    message = "1,227 applications with duplicate folders, more than the threshold of 5."
    detail = {"applications": 1227, "waiting_for_decision": waiting, "threshold": 5}
    Alert.objects.create(code="duplicates", fingerprint="duplicates", message=message, detail=detail)
    page = text(boss.get(address("overview")))
    assert f"{message} {more}".strip() in page
    assert ("more are on hold" in page or "more is on hold" in page) is bool(waiting)
