"""The manual in the admin: every chapter, its links and pictures, and the places that messages lead to."""

import re

import pytest
from django.urls import reverse

from cleanup.admin import manual, navigation, titles
from cleanup.admin.access import manual_link
from cleanup.manual import SECTIONS
from tests.integration.admin.test_pages import boss, person, text, using

__all__ = ["boss", "using"]


#: Of a picture: the wheel has them all.
MOST_BYTES = 150_000


def chapter(name: str) -> str:
    return reverse("admin:cleanup_manual", args=[name])


def anchors(name: str) -> list[str]:
    """Return what links to headings of a chapter may name."""
    return re.findall(r'<h\d id="([^"]*)">', manual.as_html(name))


@pytest.mark.parametrize("name", manual.CHAPTERS)
class TestChapter:
    def test_is_shown(self, boss, name):
        page = boss.get(chapter(name))
        assert page.status_code == 200
        assert manual.title_of(name) in text(page)

    def test_leads_to_headings_and_pictures_that_are_there(self, boss, name):
        targets = re.findall(r'(?:href|src)="([^"]+)"', manual.as_html(name))
        for target in targets:
            path, _, fragment = target.partition("#")
            if path.endswith(".png"):
                assert boss.get(chapter(name).replace(f"{name}.md", path)).status_code == 200, target
            elif "://" not in path:
                assert fragment in ("", *anchors(path.removesuffix(".md") or name)), target

    def test_holds_no_markup_that_was_not_made_from_markdown(self, boss, name):
        assert not re.search(r"<(?:script|style|iframe)|<[^>]* style=|&lt;br", manual.as_html(name))


def test_every_file_of_the_manual_is_a_chapter():
    assert {path.stem for path in manual.DIRECTORY.glob("*.md")} == set(manual.CHAPTERS)


@pytest.mark.parametrize("code", SECTIONS)
def test_messages_lead_to_headings(code):
    name, anchor = SECTIONS[code]
    assert anchor in anchors(name)
    assert f'href="{chapter(name)}#{anchor}"' in manual_link("admin", code)


@pytest.mark.parametrize("section", navigation.HELP)
def test_help_leads_to_headings(section):
    name, anchor = navigation.HELP[section]
    assert anchor in anchors(name)


@pytest.mark.parametrize(
    ("page", "name"), [("run_changelist", "safety"), ("schedule_changelist", "operations"), ("decisions", "admin")]
)
def test_pages_lead_to_what_the_manual_says_about_them(boss, page, name):
    shown = boss.get(reverse(f"admin:cleanup_{page}")).content.decode()
    assert re.search(rf'href="{re.escape(chapter(name))}#[\w-]+">Help<', shown)


@pytest.mark.parametrize(
    "page", [name for name in titles.PAGES if name not in ("overview", "manual", "snapshotrow_changelist")]
)
def test_each_page_is_called_as_what_leads_to_it(boss, page):
    shown = boss.get(reverse(f"admin:cleanup_{page}")).content.decode()
    name = str(titles.PAGES[page])
    (heading,) = re.findall(r"<h1>(?:<bdi>)?(.*?)(?:</bdi>)?</h1>", shown)
    assert heading == name
    assert re.search(rf"&rsaquo;\s*(?:<bdi>)?{re.escape(name)}", shown)
    assert re.search(rf"<li><a [^>]*>{re.escape(name)}", shown)


def test_asks_for_the_permission_to_look():
    assert person().get(chapter("admin")).status_code == 403


def test_other_files_are_not_there(boss):
    assert boss.get(chapter("no-such-chapter")).status_code == 404
    assert boss.get(reverse("admin:cleanup_manual_picture", args=["no-such-picture"])).status_code == 404


def test_stands_under_more(boss):
    assert f'href="{chapter("admin")}"' in boss.get(chapter("safety")).content.decode()


def test_pictures_are_shown_and_small():
    shown = set(re.findall(r'src="([^"]+)"', "".join(map(manual.as_html, manual.CHAPTERS))))
    found = {path.name: path.stat().st_size for path in manual.DIRECTORY.iterdir() if path.suffix not in (".md", "")}
    assert set(found) == shown
    assert max(found.values()) < MOST_BYTES
