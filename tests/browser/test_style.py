"""How every page looks, as the browser computes it: the admin's own parts as Django made them, words whole."""

import pytest
from django.urls import reverse

from cleanup.models import RollbackPoint, Run
from cleanup.services import DatabaseCleanupService
from tests.browser.conftest import ALIAS
from tests.support.trees import tree

pytestmark = [pytest.mark.mapped_models("one look in a browser is enough"), pytest.mark.slow]

LISTS = ("run", "result", "rollbackpoint", "finding", "schedule", "snapshotrow", "hold", "alert", "verification")

#: What the browser says of a page, by what is asked; empty lists are as it should be.
QUESTIONS = {
    # The strip that folds the sidebar, and the like: their ground and width are Django's.
    "painted": """
        [...document.querySelectorAll("button")]
            .filter(button => button.offsetWidth && !button.closest("#content"))
            .filter(button => ![
                "rgba(0, 0, 0, 0)", getComputedStyle(document.body).backgroundColor
            ].includes(getComputedStyle(button).backgroundColor)
                || button.classList.contains("toggle-nav-sidebar") && button.offsetWidth > 24)
            .map(button => button.className)
    """,
    # Words of tables that stand on two lines; ids, which are no words, may.
    "broken": """
        [...document.querySelectorAll("#result_list td, #result_list th, .cleanup-scroll td")].flatMap(cell => {
            const broken = [], walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
            for (let node; (node = walker.nextNode());) {
                if (node.parentElement.closest("bdi, small, .visually-hidden")) continue;
                for (const word of node.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
                    const range = document.createRange();
                    range.setStart(node, word.index);
                    range.setEnd(node, word.index + word[0].length);
                    const lines = new Set([...range.getClientRects()].map(place => Math.round(place.top)));
                    if (lines.size > 1) broken.push(word[0]);
                }
            }
            return broken;
        })
    """,
    # Headings with a bar of colour: where each has one, none stands out.
    "bars": """
        [...document.querySelectorAll("#content h2:not(#changelist-filter-header, .visually-hidden)")]
            .filter(heading => getComputedStyle(heading).backgroundColor !== "rgba(0, 0, 0, 0)")
            .map(heading => heading.innerText)
    """,
    # Filled buttons beyond the first, but for those that warn.
    "primaries": """
        [...document.querySelectorAll("#content button, #content a.button")]
            .filter(button => getComputedStyle(button).backgroundColor !== "rgba(0, 0, 0, 0)")
            .filter(button => !button.classList.contains("cleanup-danger"))
            .map(button => button.innerText).slice(1)
    """,
}


def address(name: str, *args) -> str:
    if name == "overview":
        return reverse("admin:app_list", args=["cleanup"])
    return reverse(f"admin:cleanup_{name}", args=args)


@pytest.fixture(scope="module")
def pages(site, django_db_blocker) -> list[str]:
    """Return a page of each kind, with something on it."""
    service = DatabaseCleanupService(using=ALIAS)
    cleaned = tree(ALIAS, "Loan/Docs(1), Loan/{Docs(1), Photos(1)}").application
    run = service.cleanup_all_duplicate_folders(started_by="administrator", started_how="admin").run_id
    messy = tree(ALIAS, "Loan/Docs(1), Loan/Docs").application
    held = tree(ALIAS, "Loan, Loan").application
    service.hold(held, reason="A court has asked for it", created_by="administrator")
    service.verify_cleanup_integrity()
    point = RollbackPoint.objects.using(ALIAS).get(application_key=cleaned)
    result = Run.objects.using(ALIAS).get(pk=run).results.get()
    return [
        *(address(name) for name in ("overview", "applications", "decisions", "folder", "dry_run")),
        *(address(f"{name}_changelist") for name in LISTS),
        address("preview", messy),
        address("preview", held),
        address("undo_record", point.pk),
        address("run_change", run),
        address("result_change", result.pk),
        address("rollbackpoint_change", point.pk),
    ]


class TestStyle:
    def test_is_the_admins_own_with_whole_words_and_one_primary_button(self, person, pages):
        ann = person()
        found = {}
        for page in pages:
            ann.go(page)
            for width in (1280, 390):
                ann.widen(width)
                answers = {name: ann.page.evaluate(question) for name, question in QUESTIONS.items()}
                found[page, width] = {name: answer for name, answer in answers.items() if answer}
        assert {place: answers for place, answers in found.items() if answers} == {}

    def test_shows_states_on_a_ground(self, person, pages):
        ann = person()
        ann.go(address("run_changelist"))
        state = ann.page.locator("#result_list .field-state .cleanup-state").first
        ground = state.evaluate("badge => getComputedStyle(badge).backgroundColor")
        assert (state.inner_text(), ground) == ("finished", "rgb(230, 244, 234)")

    def test_keeps_what_is_dangerous_at_the_foot(self, person, pages):
        ann = person()
        zone = ann.page.locator(".cleanup-zone")
        others = ann.page.locator("#content .module:not(.cleanup-zone)").last
        assert zone.get_by_role("link", name="Clean up everything …").count() == 1
        assert zone.bounding_box()["y"] > others.bounding_box()["y"]
