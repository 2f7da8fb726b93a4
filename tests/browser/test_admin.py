"""The admin in a real browser, with a real server and a real cluster, as an office administrator would use it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.urls import reverse
from playwright.sync_api import Locator, expect

from cleanup.models import Alert, ConsistencyCheck, Hold, RollbackPoint, Run, Schedule, Verification
from cleanup.permissions import Permission
from cleanup.services import DatabaseCleanupService
from cleanup.services.runs import lifecycle
from tests.browser.conftest import ALIAS, Person
from tests.support.model_roles import File, Folder
from tests.support.trees import Tree, assert_tree, tree

pytestmark = [pytest.mark.mapped_models("one look in a browser is enough"), pytest.mark.slow]


@pytest.fixture
def messy(site) -> Tree:
    return tree(ALIAS, "old:Loan/docs:Docs(one.pdf), Loan/{Docs(two.pdf), Photos(1)}")


@pytest.fixture
def cleaned(messy) -> Tree:
    DatabaseCleanupService(using=ALIAS).consolidate_duplicate_folders(messy.application, started_by="Ann")
    return messy


def address(name: str, *args) -> str:
    if name == "overview":
        return reverse("admin:app_list", args=["cleanup"])
    return reverse(f"admin:cleanup_{name}", args=args)


class TestSigningIn:
    def test_leads_to_the_cleanup_page(self, browser, site, settings):
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]  # as the server's
        User.objects.db_manager(ALIAS).create_superuser("ann", password="correct horse")
        page = browser.new_page()
        page.goto(f"{site}{address('overview')}")
        page.get_by_label("Username").fill("ann")
        page.get_by_label("Password").fill("correct horse")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Folder cleanup", exact=True).wait_for()
        page.close()


class TestCleaningUp:
    def test_goes_from_the_list_over_the_preview_to_the_end_of_the_run(self, person, messy):
        ann = person()
        ann.go(address("applications"))
        row = ann.page.get_by_role("row").filter(has_text=messy.application)
        row.get_by_label("Select: Loan").check()
        ann.press("Clean up selected …")
        ann.sees("1 application will be cleaned up. 2 duplicate folders will be merged and 1 file moved.")
        ann.press("Clean up")
        ann.sees("The cleanup has started.")
        ann.sees("Can be undone until")
        assert_tree(ALIAS, messy, "old:Loan/{docs:Docs(2), Photos(1)}")
        assert ann.complaints == []

    def test_selects_a_whole_page(self, person, messy):
        further = tree(ALIAS, "Loan*2")
        ann = person()
        ann.go(address("applications"))
        ann.page.get_by_label("Select all on this page").check()
        ann.press("Clean up selected …")
        ann.sees("applications will be cleaned up.")
        ann.sees(messy.application)
        ann.sees(further.application)

    def test_shows_a_new_plan_where_the_old_one_no_longer_holds(self, person, messy):
        ann = person()
        ann.go(address("preview", messy.application))
        tree(ALIAS, "Loan/Docs", application=messy.application)
        ann.press("Clean up as shown")
        ann.sees("The folders have changed since you looked, so nothing was done.")
        ann.sees("7 folders become 3.")
        ann.press("Clean up as shown")
        ann.sees("Can be undone until")
        assert_tree(ALIAS, messy, "old:Loan/{docs:Docs(2), Photos(1)}")


class TestCheckingAndVerifying:
    def test_show_their_outcome_on_the_page(self, person, messy):
        ann = person()
        ann.press("Check now")
        ann.sees("The check has started.")
        ann.page.get_by_text("Checking …").wait_for(state="detached")
        assert "have duplicates" in ann.reads() or "has duplicates" in ann.reads()


class TestUndo:
    def test_goes_from_the_record_over_a_confirmation_to_its_end(self, person, cleaned):
        point = RollbackPoint.objects.using(ALIAS).get(application_key=cleaned.application)
        ann = person()
        ann.go(address("rollbackpoint_change", point.pk))
        ann.follow("Undo …")
        ann.sees("2 folders come back. 1 folder goes back to its old place. 1 file goes back to where it was.")
        ann.page.get_by_label("Reason (for the record)").fill("wrong customer")
        ann.press("Undo")
        ann.sees("The undo has started.")
        ann.sees("Took ")
        assert_tree(ALIAS, cleaned, "old:Loan/docs:Docs(1), Loan/{Docs(1), Photos(1)}")
        assert Hold.objects.using(ALIAS).get(application_key=cleaned.application).reason == "wrong customer"

    def test_meets_a_conflict_and_keeps_the_newer_value(self, person, cleaned):
        File.objects.using(ALIAS).filter(id=cleaned["two.pdf"]).update(folder_id=cleaned["old"])
        point = RollbackPoint.objects.using(ALIAS).get(application_key=cleaned.application)
        ann = person()
        ann.go(address("undo_record", point.pk))
        ann.sees("What people have changed since")
        ann.sees("moved to Loan since. It stays there.")
        ann.page.get_by_label("Undo the rest, and keep what people have changed").check()
        ann.press("Undo")
        ann.sees("Took ")
        assert_tree(ALIAS, cleaned, "old:Loan(1)/docs:Docs(1), Loan/{Docs, Photos(1)}")


class TestSchedules:
    def test_are_started_and_changed(self, person):
        ann = person()
        ann.press("Start the schedules")
        ann.sees("The schedules are on.")
        ann.follow("Full cleanup")
        ann.page.get_by_label("Hour (if daily or weekly)").fill("6")
        ann.page.get_by_label("Enabled").uncheck()
        ann.press("Save")
        ann.sees("switched off")
        schedule = Schedule.objects.using(ALIAS).get(name="full_cleanup")
        in_berlin = datetime.now(ZoneInfo("Europe/Berlin")).replace(hour=6)
        assert (schedule.hour, schedule.enabled) == (in_berlin.astimezone(UTC).hour, False)
        ann.go(address("overview"))
        ann.press("Stop the schedules")
        ann.sees("The schedules are off.")


class TestStopEverything:
    def test_stops_and_lets_go_on(self, person):
        ann = person()
        ann.page.get_by_label("Reason").fill("fire drill")
        ann.press("Stop everything")
        ann.sees("Reason: fire drill")
        ann.sees("Everything is stopped by p-")
        ann.press("Resume everything")
        ann.sees("Cleanups are allowed again.")


class TestSomebodyWithFewPermissions:
    def test_sees_everything_and_no_button(self, person, cleaned):
        bob = person(Permission.VIEW)
        assert bob.page.locator("#content button").all_inner_texts() == []
        bob.go(address("preview", cleaned.application))
        assert bob.page.locator("#content button").all_inner_texts() == []

    def test_is_refused_what_the_address_line_offers(self, person):
        bob = person(Permission.VIEW)
        bob.go(address("clean_up"))
        bob.sees("This needs the permission “Can clean up selected applications, and set and release holds” or “Can")


class TestKeyboard:
    def test_is_enough_to_open_and_close_a_folder(self, person, messy):
        ann = person()
        ann.go(address("preview", messy.application))
        top = ann.page.locator(".cleanup-tree details").first
        top.locator("summary").first.focus()
        ann.page.keyboard.press("Enter")
        assert top.get_attribute("open") is None

    def test_loads_a_part_of_a_large_tree_and_stays_there(self, person, site):
        large = tree(ALIAS, "Loan/{" + ", ".join(f"n{number}(1)" for number in range(130)) + "}, Loan")
        ann = person()
        ann.go(address("preview", large.application))
        ann.page.get_by_text("130 unchanged folders").click()
        more = ann.page.locator(".cleanup-tree").get_by_role("link", name="Show 30 more folders")
        more.focus()
        ann.page.keyboard.press("Enter")
        more.wait_for(state="detached")
        assert ann.page.locator(".cleanup-tree li").count() == 132
        assert ann.complaints == []


class TestEveryPage:
    PAGES = (
        "overview",
        "applications",
        "clean_up",
        "decisions",
        "folder",
        "run_changelist",
        "result_changelist",
        "rollbackpoint_changelist",
        "finding_changelist",
        "schedule_changelist",
        "snapshotrow_changelist",
    )
    #: How many of the first are looked at in the dark, too: other tests have the others.
    IN_THE_DARK = 8

    def pages(self, cleaned: Tree) -> list[str]:
        odd = tree(ALIAS, 'Loan/"<b>\\"odd\u202e name</b>"(1), Loan/Docs')
        run = Run.objects.using(ALIAS).filter(results__application_key=cleaned.application).first()
        point = RollbackPoint.objects.using(ALIAS).get(application_key=cleaned.application)
        return [
            address("preview", odd.application),
            address("undo_record", point.pk),
            address("run_change", run.pk),
            address("repair", "missing_parent"),
            address("names", odd.application),
            address("manual", "performance"),
            address("manual", "admin"),
            address("clean_up_everything"),
            *(address(name) for name in self.PAGES),
        ]

    def test_has_no_barriers_and_is_no_wider_than_a_telephone(self, person, cleaned):
        ann = person()
        troubles, too_wide = {}, {}
        for number, page in enumerate(self.pages(cleaned)):
            ann.widen(1280)
            ann.page.emulate_media(color_scheme="light")
            ann.go(page)
            heard = list(ann.complaints)  # before axe, which is complained of as well
            troubles[page] = [*heard, *ann.barriers()]
            ann.widen(390)
            if ann.overflow() > 0:
                too_wide[page] = ann.overflow()
            if number < self.IN_THE_DARK:
                ann.page.emulate_media(color_scheme="dark")
                troubles[page] += ann.barriers()
            ann.complaints.clear()
        assert {page: found for page, found in troubles.items() if found} == {}
        assert too_wide == {}

    def test_can_be_read_in_every_state(self, person):
        ann = person()
        ann.go(address("overview"))
        for level in ("good", "attention", "running", "unknown"):
            ann.page.evaluate(
                """level => {
                    const box = document.querySelector(".cleanup-health");
                    box.className = `cleanup-health cleanup-${level}`;
                    box.querySelector("p").innerHTML = "Words <a href='#'>and a link</a>";
                    const notice = "<div class='cleanup-notice'><p><a href='#'>A link</a></p></div>";
                    box.insertAdjacentHTML("afterend", notice);
                }""",
                level,
            )
            for scheme in ("light", "dark"):
                ann.page.emulate_media(color_scheme=scheme)
                assert ann.barriers() == [], (level, scheme)


def test_the_manual_is_read_from_more(person):
    ann = person()
    ann.page.get_by_text("More", exact=True).click()
    ann.follow("Manual")
    ann.sees("The admin is for people who have never used a shell")
    ann.follow("repair")
    ann.sees("A repair corrects what a verification finds")
    assert ann.page.url.endswith("safety.md#repairs")
    assert ann.complaints == []


def test_a_deleted_file_is_known_by_its_folder(person, cleaned):
    File.objects.using(ALIAS).filter(filename="two.pdf").delete()
    ann = person()
    ann.go(address("undo_record", RollbackPoint.objects.using(ALIAS).get(application_key=cleaned.application).pk))
    ann.sees("A file that was in “Docs”: deleted since. It does not come back.")


def test_times_are_those_of_the_persons_zone(person, cleaned):
    ann = person()
    ann.go(address("run_changelist"))
    title = ann.page.locator("#result_list time").first.get_attribute("title")
    assert title.endswith((" CET", " CEST"))
    assert "All times are in Europe/Berlin." in ann.reads()


class TestTheApisOwnPage:
    def tried(self, ann: Person, method: str, path: str) -> Locator:
        """Try an operation out, and return where the answer is shown."""
        ann.go(reverse("cleanup-api:docs"))
        operation = ann.page.locator(f".opblock-{method}").filter(has_text=path).first
        operation.locator(".opblock-summary").click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        return operation.locator(".live-responses-table")

    def test_tries_an_operation_and_shows_the_answer(self, person, site):
        ann = person()
        answer = self.tried(ann, "get", "/api/cleanup/status")
        answer.get_by_text('"schedules"').first.wait_for()
        assert answer.locator(".response-col_status").nth(1).inner_text().startswith("200")
        assert ann.complaints == []

    def test_writes_with_the_session_and_its_token(self, person, messy):
        answer = self.tried(person(), "post", "/api/cleanup/check")
        answer.get_by_text("duplicate_applications_found").first.wait_for()


class TestTheFirstSentence:
    """What the overview says first holds while something runs, after it, and when no one is at work."""

    def sentence(self, ann: Person) -> str:
        return ann.page.locator(".cleanup-health p").inner_text()

    def test_is_not_good_where_nothing_checks_automatically(self, person, messy):
        ConsistencyCheck.objects.using(ALIAS).create(
            ended_at=Now(), duplicate_applications=0, started_at=Now() + timedelta(seconds=5)
        )
        ann = person()
        assert self.sentence(ann).endswith("Nothing is checking automatically: the schedules are off.")
        assert ann.page.locator(".cleanup-good.cleanup-health").count() == 0
        assert ann.barriers() == []

    def test_is_grey_where_the_check_is_old(self, person, site):
        ConsistencyCheck.objects.using(ALIAS).update(ended_at=Now() - timedelta(days=45))
        RollbackPoint.objects.using(ALIAS).update(ended_at=None)
        Run.objects.using(ALIAS).update(created_at=Now() - timedelta(days=50), heartbeat_at=None, ended_at=None)
        ConsistencyCheck.objects.using(ALIAS).create(
            started_at=Now() - timedelta(days=45), ended_at=Now() - timedelta(days=45), duplicate_applications=0
        )
        Verification.objects.using(ALIAS).all().delete()
        Alert.objects.using(ALIAS).all().delete()
        ann = person()
        assert "(45 days ago)" in self.sentence(ann)
        assert ann.page.locator(".cleanup-unknown.cleanup-health").count() == 1

    def test_is_true_again_soon_after_a_cleanup(self, person, messy):
        ConsistencyCheck.objects.using(ALIAS).create(ended_at=Now(), duplicate_applications=883)
        ann = person()
        ann.go(address("preview", messy.application))
        ann.press("Clean up as shown")
        ann.sees("Can be undone until")
        ann.go(address("overview"))
        expect(ann.page.locator(".cleanup-health p").first).not_to_contain_text("Folders have changed")
        assert "883" not in self.sentence(ann)
        assert ConsistencyCheck.objects.using(ALIAS).latest("pk").started_how == "run"


class TestAWorkerThatIsGone:
    @pytest.fixture
    def running(self, messy) -> Iterator[Run]:
        run = lifecycle.create_cleanup(
            using=ALIAS, options=lifecycle.Options(applications=(messy.application,)), actor=lifecycle.Actor()
        )
        rows = Run.objects.using(ALIAS).filter(pk=run.pk)
        rows.update(status="running", created_at=Now() - timedelta(hours=1), heartbeat_at=Now())
        yield run
        rows.update(status="cancelled")

    def test_shows_on_both_pages(self, person, running):
        pages = {name: person() for name in ("overview", "run")}
        pages["run"].go(address("run_change", running.pk))
        Run.objects.using(ALIAS).filter(pk=running.pk).update(heartbeat_at=Now() - timedelta(seconds=120))
        for ann in pages.values():
            ann.sees("No progress for 2 minutes. The background service may be down.")
            assert "about" not in ann.page.locator(".cleanup-live").inner_text()

    def test_says_the_same_number_everywhere(self, person, running):
        pages = {name: person() for name in ("overview", "run")}
        pages["run"].go(address("run_change", running.pk))
        latest = {"created_at": Now(), "total_applications": 1085, "done_applications": 66}  # whatever ran before
        Run.objects.using(ALIAS).filter(pk=running.pk).update(**latest)
        for ann in pages.values():
            ann.page.locator(".cleanup-live").get_by_text("66 of 1,085").first.wait_for()
            assert set(re.findall(r"(\d+) of 1,085", ann.reads())) == {"66"}
        assert "66 of 1,085" in pages["overview"].page.locator(".cleanup-health").inner_text()
        assert "66 of 1,085" in pages["overview"].page.locator("section[aria-labelledby=cleanup-recent]").inner_text()

    @pytest.mark.parametrize("name", ["overview", "run"])
    def test_a_page_that_is_signed_out_says_so_and_asks_no_more(self, person, running, name):
        ann = person()
        if name == "run":
            ann.go(address("run_change", running.pk))
        ann.page.context.clear_cookies()
        ann.sees("You have been signed out.")
        asked = []
        ann.page.on("request", lambda request: asked.append(request.url))
        ann.page.wait_for_timeout(4000)
        assert asked == []
        ann.follow("Sign in")
        ann.page.get_by_label("Username").wait_for()


class TestTheChart:
    def test_tells_of_a_day_by_keyboard_and_by_touch(self, person, site):
        for days in (3, 2, 1):
            at = Now() - timedelta(days=days)
            ConsistencyCheck.objects.using(ALIAS).create(started_at=at, ended_at=at, duplicate_applications=days * 100)
        ann = person(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
        ann.follow("30 days")
        ann.page.get_by_role("radio", name=": 100 applications").focus()
        ann.page.keyboard.press("Space")
        ann.page.keyboard.press("ArrowUp")
        told = ann.page.locator(".cleanup-days span:visible")
        assert ": 200 applications with duplicates." in told.inner_text()
        ann.page.get_by_role("radio", name=": 300 applications").tap()
        assert ": 300 applications with duplicates." in told.last.inner_text()
        ann.page.get_by_text("The same as a table").click()
        assert ann.page.get_by_role("cell", name="300").is_visible()
        assert (ann.barriers(), ann.overflow(), ann.complaints) == ([], 0, [])


class TestThePreview:
    SUB = "{{Income/{{Payslips(3), Tax(1), Bank(2)}}, Identity/{{Passport(1), Licence(1)}}, Mail/{{In(3), Out}}, {}}}"

    @pytest.fixture
    def three_copies(self, site) -> Tree:
        first = self.SUB.format("Notes(1), Plans, Contracts(2), Photos, Letters, Tax, Valuation, Closing")
        second = self.SUB.format("Notes(2), Notes, Plans, Contracts, Photos(4), Letters, Tax(1), Valuation")
        third = self.SUB.format("Notes, Archive/{2019, 2020, 2021, 2022, Old}, Contracts, Insurance/{Life, House, Car}")
        return tree(ALIAS, f"old:Loan/{first}, Loan/{second}, Loan/{third}")

    def test_fits_sixty_folders_on_two_screens_with_the_button_in_reach(self, person, three_copies):
        assert three_copies.folders == 61
        ann = person()
        ann.go(address("preview", three_copies.application))
        button = ann.page.get_by_role("button", name="Clean up as shown")
        for y in (0, 700, 1400):
            ann.page.mouse.wheel(0, y)
            box = button.bounding_box()
            assert 0 <= box["y"] <= 900 - box["height"]
        ann.page.evaluate("scrollTo(0, 0)")
        trees = ann.page.locator(".cleanup-trees").bounding_box()
        assert trees["y"] + trees["height"] <= 1800
        assert (ann.barriers(), ann.complaints) == ([], [])

    def test_stays_where_it_is_while_one_types_the_reason(self, person, three_copies):
        ann = person()
        ann.go(address("preview", three_copies.application))
        reason = ann.page.get_by_label("Reason")
        for y in (0, 300, 10_000):
            ann.page.evaluate(f"scrollTo(0, {y})")
            before, box = ann.page.evaluate("scrollY"), reason.bounding_box()
            ann.page.mouse.click(box["x"] + 20, box["y"] + 8)
            ann.page.keyboard.type("audit")
            assert (ann.page.evaluate("scrollY"), reason.bounding_box()) == (before, box)
            reason.blur()
        assert reason.input_value() == 3 * "audit"

    def test_shows_one_tree_on_a_telephone(self, person, three_copies):
        ann = person(viewport={"width": 390, "height": 844})
        ann.go(address("preview", three_copies.application))
        assert ann.page.get_by_text("Archive").count() == 2
        assert [place.is_visible() for place in ann.page.get_by_text("Archive").all()] == [True, False]
        assert ann.overflow() == 0

    def test_of_a_large_application_appears_when_it_is_ready_and_is_confirmed(self, person, site):
        large = tree(ALIAS, "Loan*1000, Loan/{" + ", ".join(f"n{number}" for number in range(1010)) + "}")
        ann = person(viewport={"width": 390, "height": 844}, color_scheme="dark")
        ann.go(address("preview", large.application))
        ann.sees("This application has 2,011 folders, so its preview is worked out in the background.")
        assert ann.barriers() == []
        ann.press("Prepare the preview")
        ann.sees("2,011 folders become 1,011.")
        ann.sees("Worked out in the background on")
        assert (ann.barriers(), ann.overflow(), ann.complaints) == ([], 0, [])
        ann.press("Clean up as shown")
        ann.sees("Can be undone until")
        assert Folder.objects.using(ALIAS).filter(application_id=large.application).count() == 1011
