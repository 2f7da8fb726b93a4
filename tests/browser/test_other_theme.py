"""Another theme of the admin: the navigation, the buttons and the figures are there and can be read."""

import pytest
from django.urls import reverse

from cleanup.services import DatabaseCleanupService
from tests.browser.conftest import ALIAS, Person
from tests.support.trees import tree

pytestmark = [pytest.mark.mapped_models("one look in a browser is enough"), pytest.mark.slow]

#: Of the server, read by the fixture ``site``.
SETTINGS = "tests.browser.unfold_theme"

#: Texts of ours with less contrast to their ground than large text needs.
UNREADABLE = """
    [...document.querySelectorAll(
        ".cleanup-nav a, .cleanup-actions :is(a, button), .cleanup-form button, .cleanup-page #content :is(p, h1, h2)"
    )]
        .filter(one => one.offsetWidth && one.innerText && !one.closest("[disabled]"))
        .filter(one => {
            const brush = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
            const luminance = (color) => {
                brush.clearRect(0, 0, 1, 1);
                brush.fillStyle = color;
                brush.fillRect(0, 0, 1, 1);
                const [red, green, blue] = [...brush.getImageData(0, 0, 1, 1).data].map(part => (part / 255) ** 2.2);
                return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
            };
            const ground = (part) => getComputedStyle(part).backgroundColor;
            let behind = one;
            while (behind && ground(behind) === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
            const [darker, lighter] = [getComputedStyle(one).color, behind ? ground(behind) : "white"]
                .map(luminance).sort((one, other) => one - other);
            return (lighter + 0.05) / (darker + 0.05) < 3;
        })
        .map(one => one.innerText)
"""


def address(name: str, *args) -> str:
    return reverse(f"admin:cleanup_{name}", args=args)


class TestUnfold:
    @pytest.fixture(params=["light", "dark"])
    def ann(self, person, request) -> Person:
        return person(color_scheme=request.param)

    def test_shows_navigation_and_buttons_on_every_page(self, ann):
        key = tree(ALIAS, "Loan, Loan").application
        DatabaseCleanupService(using=ALIAS).cleanup_all_duplicate_folders(applications=[key])
        messy = tree(ALIAS, "Loan, Loan").application
        pages = [
            reverse("admin:app_list", args=["cleanup"]),
            address("applications"),
            address("preview", messy),
            address("run_changelist"),
            address("schedule_change", "full_cleanup"),
        ]
        found = {}
        for page in pages:
            ann.go(page)
            assert ann.page.locator(".cleanup-nav a[aria-current=page]").count() == 1, page
            found[page] = ann.page.evaluate(UNREADABLE)
        assert {page: texts for page, texts in found.items() if texts} == {}

    def test_cleans_up(self, ann):
        messy = tree(ALIAS, "Loan, Loan").application
        ann.go(address("preview", messy))
        ann.press("Clean up as shown")
        ann.sees("Can be undone until")
