"""Find a folder: by a part of its name, now or when it was merged, or by its id, and where it is now."""

import re

import pytest

from cleanup import queries
from cleanup.models import RollbackPoint
from cleanup.services import DatabaseCleanupService
from cleanup.services.folders import history
from tests.integration.admin.test_pages import address, boss, text, using
from tests.support.trees import tree

__all__ = ["boss", "using"]


@pytest.fixture
def merged(using):
    made = tree(using, "old:Loan/stays:Income/Payslips(1), young:Loan/twin:Income/Slips(1)")
    DatabaseCleanupService(using=using).cleanup_all_duplicate_folders(started_by="Ann", started_how="admin")
    return made


def test_is_answered_for_an_old_id(boss, merged):
    page = text(boss.get(address("folder", q=merged["twin"])))
    assert "“Income” was merged into another folder. Its files moved with it." in page
    assert "Everything is now in: Loan / Income" in page


def test_is_found_by_a_part_of_a_name_within_an_application(boss, merged, subtests):
    for within, found in {"": True, "lOAN": True, "elsewhere": False}.items():
        with subtests.test(within=within):
            page = boss.get(address("folder", q="nCo", application=within))
            assert (
                "Old id: " + merged["twin"] in text(page),
                "Ann, in the admin" in text(page),
                "Undo this cleanup …" in text(page),
                address("preview", merged.application) in page.content.decode(),
            ) == (found,) * 4


def test_is_found_by_the_name_it_has_now(boss, merged):
    assert "Loan / Income / Slips · Application: Loan" in text(
        boss.get(address("folder", q="slip", application="Loan"))
    )


def test_suggests_the_application_of_that_name(boss, merged, subtests):
    for asked in ({"q": "loan"}, {"q": "", "application": "loan"}):
        with subtests.test(asked=asked):
            page = boss.get(address("folder", **asked))
            assert "Applications of this name Loan · What was cleaned up in it" in text(page)
            assert address("preview", merged.application) in page.content.decode()


@pytest.mark.parametrize(
    ("asked", "advice"), [({"q": "loan"}, "the application"), ({"application": "loan"}, "the folder")]
)
def test_asks_for_what_was_not_named_if_there_is_more(boss, merged, monkeypatch, asked, advice):
    monkeypatch.setattr(history, "MOST_FOUND", 0)
    page = boss.get(address("folder", **asked))
    (name, value), *_ = asked.items()
    assert re.findall("Name (.*), too", text(page)) == [advice]
    assert f'name="{name}" value="{value}"' in page.content.decode()


def test_is_where_one_can_type_at_once(boss, merged):
    assert " autofocus" in boss.get(address("folder")).content.decode()
    assert " autofocus" not in boss.get(address("folder", q="loan")).content.decode()


def test_says_that_it_came_back(boss, merged, using):
    DatabaseCleanupService(using=using).rollback_cleanup(RollbackPoint.objects.get().uuid)
    page = text(boss.get(address("folder", q=merged["twin"])))
    assert "“Income” was merged; that was undone, and it came back. It is back: Loan / Income" in page


def test_says_that_nothing_is_known(boss, merged, subtests):
    for nonsense in ("nothing like it", "\x00", "'; DROP TABLE folders; --", "%"):
        with subtests.test(nonsense):
            page = text(boss.get(address("folder", q=nonsense, after="x", before="x")))
            assert "There is no folder of this name or id" in page


def test_finds_all_though_each_page_looks_no_further_than_it_may(using, merged, monkeypatch):
    for number in range(9):
        tree(using, f"Loan {number}/Payslips {number}")
    monkeypatch.setattr(history, "FIRST_STEP", 4)
    monkeypatch.setattr(history, "SECONDS", 0)
    monkeypatch.setattr(history, "MOST_FOUND", 2)
    found, after, before, events = [], "", None, []
    while True:
        page = history.folder_history(using=using, text="payslips", after=after, before=before)
        found += [folder.name for folder in page.present]
        if (after := page.present_after or "") == "":
            break
    monkeypatch.setattr(history, "FIRST_STEP", 1)
    while True:
        if len(events) == 2:  # what is older was removed by other tests, however many they were
            monkeypatch.setattr(history, "FIRST_STEP", 1_000_000)
        page = history.folder_history(using=using, text="o", before=before)
        events += [event.folder_id for event in page.events]
        if (before := page.events_before) is None:
            break
    assert sorted(found) == sorted(["Payslips", *(f"Payslips {number}" for number in range(9))])
    assert sorted(events) == sorted([merged["young"], merged["twin"]])


def test_follows_what_came_back_and_was_merged_again(boss, merged, using):
    service = DatabaseCleanupService(using=using)
    service.rollback_cleanup(RollbackPoint.objects.get().uuid)
    service.cleanup_all_duplicate_folders(include_held=True)
    page = text(boss.get(address("folder", q=merged["twin"])))
    again = "“Income” was merged; that was undone, and it came back. Later it was merged again."
    assert f"{again} Everything is now in: Loan / Income" in page
    assert "no longer exists" not in page


def test_offers_to_look_in_all_applications(boss, merged):
    page = text(boss.get(address("folder", q="slips", application="elsewhere")))
    assert "In this application there is no folder of this name or id" in page
    assert "Search in all applications" in page


@pytest.mark.parametrize("within", ["", "Loan"])
def test_denies_no_folder_that_an_earlier_page_has_shown(boss, merged, using, within):
    keys = queries.folders_named_within(using=using, text="", applications=[merged.application], after=None, limit=9)
    asked = {"q": "Payslips", **({"application": within} if within else {})}
    page = boss.get(address("folder", **asked, after=max(keys)))
    assert "There are no more folders of this name. Back to the first ones" in text(page)
    assert "there is no folder" not in text(page).lower()
    assert f'href="{address("folder", **asked)}"' in page.content.decode().replace("&amp;", "&")


def test_does_not_seem_to_have_looked_at_all_if_it_has_not(boss, merged, using, monkeypatch):
    monkeypatch.setattr(history, "FIRST_STEP", 1)
    monkeypatch.setattr(history, "SECONDS", 0)
    page = text(boss.get(address("folder", q="nothing like it")))
    assert "Folders that are there now None among those looked at so far. Look for more" in page
