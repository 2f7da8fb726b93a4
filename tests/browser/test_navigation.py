"""The one navigation, cards on a telephone, and what people meet first."""

import uuid

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from cleanup.models import RollbackPoint, Run
from cleanup.permissions import Permission
from cleanup.services import DatabaseCleanupService
from tests.browser.conftest import ALIAS, Person
from tests.support.trees import tree

pytestmark = [pytest.mark.mapped_models("one look in a browser is enough"), pytest.mark.slow]

ENTRIES = ["Overview", "Duplicates", "Decisions", "Find a folder", "History", "Settings"]

#: The entry that is lit, by page.
LIT = {
    "overview": "Overview",
    "applications": "Duplicates",
    "decisions": "Decisions",
    "hold_changelist": "Decisions",
    "folder": "Find a folder",
    "run_changelist": "History",
    "result_changelist": "History",
    "rollbackpoint_changelist": "History",
    "schedule_changelist": "Settings",
    "alert_changelist": "More",
    "finding_changelist": "More",
    "verification_changelist": "More",
    "consistencycheck_changelist": "More",
    "snapshotrow_changelist": "More",
}

#: Cells that lie outside the window, or whose text does.
OUTSIDE = """
    [...document.querySelectorAll("#content table :is(th, td)")]
        .filter(cell => cell.offsetWidth)
        .filter(cell => cell.getBoundingClientRect().right > innerWidth || cell.scrollWidth > cell.clientWidth + 1)
        .map(cell => cell.innerText)
"""


def address(name: str, *args) -> str:
    if name == "overview":
        return reverse("admin:app_list", args=["cleanup"])
    return reverse(f"admin:cleanup_{name}", args=args)


@pytest.fixture(scope="module")
def history(site) -> list[str]:
    """Return pages with something on them."""
    service = DatabaseCleanupService(using=ALIAS)
    cleaned = tree(ALIAS, "Loan/Docs(1), Loan/{Docs(1), Photos(1)}").application
    run = service.cleanup_all_duplicate_folders(started_by="administrator", started_how="admin").run_id
    service.hold(tree(ALIAS, "Loan, Loan").application, reason="A court has asked for it", created_by="administrator")
    messy = tree(ALIAS, "Loan, Loan").application
    service.verify_cleanup_integrity()
    point = RollbackPoint.objects.using(ALIAS).get(application_key=cleaned)
    result = Run.objects.using(ALIAS).get(pk=run).results.get()
    return [
        address("clean_up") + f"?application={messy}",
        address("run_change", run),
        address("result_change", result.pk),
        address("rollbackpoint_change", point.pk),
        address("rollbackpoint_history", point.pk),
        *(address(name) for name in LIT),
    ]


class TestNavigation:
    def test_has_six_entries_with_the_present_one_lit_on_every_page(self, person, history):
        ann = person()
        lit = {}
        for page in LIT:
            ann.go(address(page))
            navigation = ann.page.get_by_role("navigation", name="Folder cleanup")
            words = navigation.locator("> ul > li > a").evaluate_all(
                "links => links.map(a => a.firstChild.data.trim())"
            )
            assert words == ENTRIES, page
            current = navigation.locator("> ul > li > a[aria-current], > ul > li > details > summary[aria-current]")
            lit[page] = current.evaluate("entry => entry.firstChild.data.trim()")
            assert ann.page.locator("#nav-sidebar").is_hidden()
        assert lit == LIT

    def test_counts_applications_with_duplicates(self, person, history):
        ann = person()
        ann.press("Check now")
        ann.page.get_by_text("Checking …").wait_for(state="detached")
        ann.page.get_by_role("link", name="applications with duplicates").first.wait_for()

    def test_opens_what_is_under_more_with_the_keyboard(self, person, history):
        ann = person()
        ann.page.locator(".cleanup-more > summary").focus()
        ann.page.keyboard.press("Enter")
        ann.page.keyboard.press("Tab")
        ann.page.keyboard.press("Enter")
        ann.page.wait_for_url(f"**{address('rollbackpoint_changelist')}")
        assert ann.complaints == []


class TestATelephone:
    def test_has_nothing_outside_and_no_barriers(self, person, history):
        ann = person(viewport={"width": 390, "height": 844})
        outside, barriers = {}, {}
        for page in history:
            ann.go(page)
            for theme in ("light", "dark"):
                ann.page.emulate_media(color_scheme=theme)
                outside[page, theme] = ann.page.evaluate(OUTSIDE)
            barriers[page] = ann.barriers()
        assert {place: cells for place, cells in outside.items() if cells} == {}
        assert {page: found for page, found in barriers.items() if found} == {}

    def test_shows_each_value_with_its_heading(self, person, history):
        ann = person(viewport={"width": 390, "height": 844})
        ann.go(address("run_changelist"))
        state = ann.page.locator("#result_list .field-state").first
        heading = state.evaluate("cell => getComputedStyle(cell, '::before').content")
        assert heading == '"State: "'
        assert ann.page.locator("#result_list thead").is_hidden()


class TestTheFirstPage:
    def test_is_in_the_zone_of_the_person(self, person, history):
        ann = person()
        ann.page.context.clear_cookies(name="cleanup_time_zone")
        ann.go(address("run_changelist"))
        ann.sees("All times are in Europe/Berlin.")

    def test_of_the_admin_says_how_things_are(self, person, history):
        ann = person()
        ann.go(reverse("admin:index"))
        assert ann.page.locator(".cleanup-health p").inner_text()
        assert ann.page.get_by_role("link", name="View site").count() == 0
        ann.follow("Open the folder cleanup")
        ann.page.get_by_role("heading", name="Folder cleanup", exact=True).wait_for()


class TestWhatIsNotThere:
    def test_is_said_in_the_admins_frame(self, person):
        ann = person()
        for page in ("/admin/nothing/", address("run_change", uuid.uuid4()), address("preview", uuid.uuid4())):
            ann.go(page)
            ann.page.get_by_role("heading", name="Page not found").wait_for()
            ann.page.get_by_role("navigation", name="Folder cleanup").wait_for()
        assert ann.barriers() == []

    def test_is_told_from_what_is_forbidden(self, person, history):
        bob = person(Permission.VIEW)
        bob.go(address("clean_up_everything"))
        bob.sees("This needs the permission “Can clean up everything”, which your account does not have.")
        User.objects.using(ALIAS).get(username=bob.name).user_permissions.clear()
        for page in ("overview", "run_changelist", "decisions"):
            bob.go(address(page))
            bob.sees("This needs the permission “Can view everything about cleanups”")
        assert bob.barriers() == []


class TestEmptyLists:
    def test_say_what_would_be_there(self, person: Person, site):
        ann = person()
        ann.go(address("alert_changelist") + "?state__exact=resolved")
        ann.sees("Nothing matches.")
