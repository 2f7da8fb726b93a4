"""Forty holds removed at once, and the pages about it, on a desk and on a telephone."""

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from cleanup.models import Hold, Result, Run, ScheduledRun
from cleanup.services import DatabaseCleanupService
from tests.browser.conftest import ALIAS
from tests.support.trees import tree

pytestmark = [pytest.mark.mapped_models("one look in a browser is enough"), pytest.mark.slow]

#: Whether a value is wider than the row that it stands in, which hides the rest.
CUT_OFF = """[...document.querySelectorAll(".form-row .readonly, .form-row input")].some(
    (one) => one.getBoundingClientRect().right > one.closest(".form-row").getBoundingClientRect().right)"""


@pytest.fixture
def held(site):
    Hold.objects.using(ALIAS).all().delete()
    service = DatabaseCleanupService(using=ALIAS)
    for number in range(40):
        service.hold(tree(ALIAS, f"Loan {number}/Docs*2").application, reason="in court", created_by="ann")


@pytest.mark.parametrize("width", [1280, 390])
def test_forty_holds_are_removed_at_once(person, held, width):
    ann = person(viewport={"width": width, "height": 900})
    ann.follow("Decisions")
    assert ann.page.evaluate("document.documentElement.scrollHeight") < 6 * 900, "each decision is in reach"
    ann.page.locator("#cleanup-selection").get_by_label("All 40 in the list").check()
    assert ann.overflow() <= 0
    assert ann.barriers() == []
    ann.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    within = "box => { const {top, bottom} = box.getBoundingClientRect(); return top >= 0 && bottom <= innerHeight; }"
    assert ann.page.get_by_role("button", name="Remove selected holds …").evaluate(within)
    ann.press("Remove selected holds …")
    ann.sees("Loan 39")
    expect(ann.page.get_by_role("button", name="Remove 40 holds")).to_be_in_viewport(ratio=1)
    assert ann.overflow() <= 0
    assert ann.barriers() == []
    ann.press("Remove 40 holds")
    ann.sees("40 holds were removed")
    assert not Hold.objects.using(ALIAS).exists()
    assert ann.complaints == []


def test_the_buttons_of_one_list_do_not_lie_over_the_other(person, held):
    run = Run.objects.using(ALIAS).create(kind="cleanup", status="completed")
    Result.objects.using(ALIAS).bulk_create(
        Result(run=run, application_key=f"{number}", status="failed", error_code="collision") for number in range(25)
    )
    ann = person()
    ann.go(reverse("admin:cleanup_decisions"))
    ann.page.get_by_role("link", name="On hold (40)").click()
    expect(ann.page.get_by_role("button", name="Remove selected holds …")).to_be_in_viewport()
    expect(ann.page.get_by_role("button", name="Put selected on hold …")).not_to_be_in_viewport()
    Run.objects.using(ALIAS).all().delete()


@pytest.mark.parametrize("width", [1280, 390])
def test_one_decision_is_found_among_many_of_another_kind(person, site, width):
    run = Run.objects.using(ALIAS).create(kind="rollback", status="completed")
    codes = ["conflict", *["23514"] * 25]
    Result.objects.using(ALIAS).bulk_create(
        Result(run=run, application_key=f"{number}", status="failed", error_code=code)
        for number, code in enumerate(codes)
    )
    ann = person(viewport={"width": width, "height": 900})
    ann.go(reverse("admin:cleanup_decisions"))
    ann.follow("People have changed some of it since, so nothing was undone.")
    expect(ann.page.get_by_label("The one in the list")).to_be_visible()
    ann.sees("Look at what they changed, then undo the rest and keep that.")
    assert ann.overflow() <= 0
    assert ann.barriers() == []
    ann.follow("Show all")
    expect(ann.page.get_by_label("All 26 in the list")).to_be_visible()
    Run.objects.using(ALIAS).all().delete()


def test_what_leads_to_an_undo_looks_like_a_link(person, site):
    application = tree(ALIAS, "Loan 78/Docs*2").application
    DatabaseCleanupService(using=ALIAS).cleanup_all_duplicate_folders(applications=[application])
    ann = person()
    ann.go(reverse("admin:cleanup_rollbackpoint_changelist"))
    state = ann.page.get_by_text("Undo possible until").first
    assert "underline" in state.evaluate("one => getComputedStyle(one).textDecorationLine")
    state.click()
    expect(ann.page.get_by_role("link", name="Undo …")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_what_came_of_a_schedule_stands_where_its_other_values_do(person, site, width):
    row = ScheduledRun.objects.using(ALIAS).create(
        schedule_id="full_cleanup", due_at=timezone.now(), status="skipped", reason="Another cleanup is running."
    )
    ann = person(viewport={"width": width, "height": 900})
    ann.go(reverse("admin:cleanup_schedule_change", args=["full_cleanup"]))
    value, result = ann.page.locator(".field-does .readonly"), ann.page.locator(".field-results li").first
    assert result.bounding_box()["x"] == value.bounding_box()["x"]
    assert ann.overflow() <= 0
    row.delete()


@pytest.mark.parametrize("width", [1280, 390])
def test_folders_stand_once_where_nothing_changes(person, site, width):
    ann = person(viewport={"width": width, "height": 900})
    ann.go(reverse("admin:cleanup_preview", args=[tree(ALIAS, "Loan 77/Docs").application]))
    expect(ann.page.get_by_role("heading", name="2 folders", exact=True)).to_be_visible()
    assert "Before" not in ann.reads()
    assert ann.reads().count("Docs") == 1
    assert ann.overflow() <= 0
    assert ann.barriers() == []


def test_all_that_a_list_finds_are_removed_without_a_script(person, held):
    ann = person(java_script_enabled=False)
    ann.go(reverse("admin:cleanup_hold_changelist") + "?q=Loan+3")
    ann.page.get_by_label("All 11 in the list").check()
    ann.press("Remove selected holds …")
    ann.press("Remove 11 holds")
    ann.sees("11 holds were removed")
    assert Hold.objects.using(ALIAS).count() == 29


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_found_and_when_it_runs_can_be_read(person, held, width):
    Hold.objects.using(ALIAS).all().delete()
    DatabaseCleanupService(using=ALIAS).cleanup_all_duplicate_folders()
    ann = person(viewport={"width": width, "height": 900})
    pages = {
        reverse("admin:cleanup_folder") + "?q=docs": "Everything is now in:",
        reverse("admin:cleanup_schedule_change", args=["full_cleanup"]): "every day at",
        reverse("admin:cleanup_result_changelist"): "Undo selected …",
    }
    for page, words in pages.items():
        ann.go(page)
        ann.sees(words)
        assert ann.overflow() <= 0, page
        assert ann.barriers() == [], page
        assert not ann.page.evaluate(CUT_OFF), page
    ann.press("Log out")
    ann.sees("You are signed out")
    assert ann.barriers() == []
