"""A second admin site: every link and every button stays in it."""

import pytest
from django.urls import reverse

from cleanup.models import RollbackPoint, Run
from cleanup.services import DatabaseCleanupService
from tests.browser.conftest import ALIAS, Person
from tests.support.trees import tree

pytestmark = [pytest.mark.mapped_models("one look in a browser is enough"), pytest.mark.slow]

#: Of the server, read by the fixture ``site``.
SETTINGS = "tests.browser.second_site"

LEADING_OUT = """
    [...document.querySelectorAll("a[href], form[action], [data-cleanup-refresh]")]
        .map(one => one.getAttribute("href") || one.getAttribute("action") || one.dataset.cleanupRefresh)
        .filter(address => address.startsWith("/") && !address.startsWith("/office/"))
"""


def address(name: str, *args) -> str:
    return reverse(f"admin:cleanup_{name}", args=args).replace("/admin/", "/office/", 1)


@pytest.fixture
def ann(person) -> Person:
    ann = person()
    ann.go("/office/cleanup/")
    return ann


class TestASecondSite:
    def test_is_never_left_by_a_link(self, ann):
        service = DatabaseCleanupService(using=ALIAS)
        cleaned = tree(ALIAS, "Loan/Docs(1), Loan/Docs(1)").application
        run = service.cleanup_all_duplicate_folders(started_by="Ann").run_id
        messy, held = (tree(ALIAS, "Loan, Loan").application for _ in range(2))
        service.hold(held)
        service.verify_cleanup_integrity()
        point = RollbackPoint.objects.using(ALIAS).get(application_key=cleaned)
        result = Run.objects.using(ALIAS).get(pk=run).results.get()
        pages = [
            "/office/",
            *(address(name) for name in ("applications", "decisions", "folder", "dry_run", "clean_up_everything")),
            *(address(f"{name}_changelist") for name in ("run", "result", "rollbackpoint", "finding", "schedule")),
            *(address(f"{name}_changelist") for name in ("hold", "alert", "verification", "consistencycheck")),
            address("preview", messy),
            address("preview", held),
            address("undo_record", point.pk),
            address("run_change", run),
            address("result_change", result.pk),
            address("rollbackpoint_change", point.pk),
            address("rollbackpoint_history", point.pk),
        ]
        found = {"/office/cleanup/": ann.page.evaluate(LEADING_OUT)}
        for page in pages:
            ann.go(page)
            found[page] = ann.page.evaluate(LEADING_OUT)
        assert {page: addresses for page, addresses in found.items() if addresses} == {}

    def test_is_not_left_by_a_button(self, ann):
        for button in ("Check now", "Start the schedules", "Stop the schedules"):
            ann.press(button)
            ann.page.wait_for_url("**/office/cleanup/")
        key = tree(ALIAS, "Loan, Loan").application
        ann.go(address("preview", key))
        ann.press("Clean up as shown")
        ann.page.wait_for_url("**/office/cleanup/run/**")
        ann.sees("Can be undone until")

    def test_leads_from_an_earlier_address_to_the_present_one(self, ann):
        ann.go("/admin/cleanup/control/applications/?q=x")
        assert ann.page.url.endswith("/admin/cleanup/freezeswitch/applications/?q=x")
