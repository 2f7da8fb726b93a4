"""What the pages say and offer is so: numbers, choices, decisions; with a real server, as an administrator sees it."""

import re
import uuid
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from cleanup.models import Alert, ConsistencyCheck, Hold, Result, Run
from cleanup.services import DatabaseCleanupService
from tests.browser.conftest import ALIAS, Person
from tests.support.trees import tree

pytestmark = [pytest.mark.mapped_models("one look in a browser is enough"), pytest.mark.slow]


def address(name: str, *args, **query) -> str:
    if name == "overview":
        return reverse("admin:app_list", args=["cleanup"])
    return reverse(f"admin:cleanup_{name}", args=args, query=query or None)


@pytest.fixture
def service(site) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=ALIAS)


class TestNumbersOfARun:
    @pytest.fixture
    def run(self, service, settings) -> Run:
        settings.CLEANUP_LARGE_APPLICATION = 6
        keys = [tree(ALIAS, "A, A").application for _ in range(3)]
        service.hold(keys[0])
        keys.append(tree(ALIAS, "A*7").application)
        report = service.cleanup_all_duplicate_folders(applications=keys)
        return Run.objects.using(ALIAS).get(pk=report.run_id)

    @pytest.mark.parametrize("page", ["run", "runs", "overview"])
    def test_are_four_and_lead_to_the_results(self, person, run, page):
        places = {
            "run": address("run_change", run.pk),
            "runs": address("run_changelist"),
            "overview": address("overview"),
        }
        ann = person()
        shown = {}
        for words in ("2 cleaned up", "1 on hold", "1 left alone", "0 failed"):
            ann.go(places[page])
            ann.page.locator(f'#content a[href*="{run.pk}"]', has_text=words).first.click()
            ann.page.wait_for_url("**/cleanup/result/**")
            shown[words] = ann.page.locator("#result_list tbody tr").count()
        assert shown == {"2 cleaned up": 2, "1 on hold": 1, "1 left alone": 1, "0 failed": 0}

    def test_lead_to_what_was_cleaned_up_also_when_it_was_undone(self, person, service, run):
        service.rollback_cleanup(run.pk)
        ann = person()
        ann.go(address("run_change", run.pk))
        ann.follow("2 cleaned up")
        ann.page.wait_for_url("**/cleanup/result/**")
        assert ann.page.locator("#result_list tbody tr").count() == 2

    def test_offer_undo_while_there_is_an_undo_record(self, person, service, run):
        ann = person()
        ann.go(address("run_change", run.pk))
        assert ann.page.get_by_role("link", name="Undo all of it …").count() == 1
        service.rollback_cleanup(run.pk)
        ann.page.reload()
        ann.sees("There is nothing to undo.")
        assert ann.page.get_by_role("link", name="Undo all of it …").count() == 0

    def test_offer_no_undo_where_all_was_left_alone(self, person, service):
        held = tree(ALIAS, "A, A").application
        service.hold(held)
        run = service.cleanup_all_duplicate_folders(applications=[held]).run_id
        result = Result.objects.using(ALIAS).get(run_id=run)
        ann = person()
        for page in (address("run_change", run), address("result_change", result.pk)):
            ann.go(page)
            assert "Undo all" not in ann.reads()
            assert "an be undone" not in ann.reads()


class TestTheChoice:
    """What was chosen is what is confirmed, whatever happens in between."""

    @pytest.fixture
    def boss(self, person, settings) -> Callable[[], Person]:
        """Return someone who knows a password."""
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]  # as the server's
        name = f"boss-{uuid.uuid4().hex[:8]}"
        User.objects.db_manager(ALIAS).create_superuser(name, password="correct horse")
        ann = person()
        ann.name = name
        return ann

    def sign_out(self, ann: Person) -> None:
        ann.page.context.clear_cookies(name="sessionid")

    def sign_in(self, ann: Person) -> None:
        ann.page.get_by_label("Username").fill(ann.name)
        ann.page.get_by_label("Password").fill("correct horse")
        ann.page.get_by_role("button", name="Log in").click()

    def chosen(self, ann: Person) -> list[str]:
        return ann.page.locator('form [name="application"]').evaluate_all("inputs => inputs.map(one => one.value)")

    def test_of_nothing_is_an_error(self, person, service):
        tree(ALIAS, "A, A")
        ann = person()
        ann.go(address("applications"))
        ann.press("Clean up selected …")
        ann.sees("Select at least one application.")
        assert ann.page.url.endswith(address("applications"))

    def test_outlives_the_session_on_the_list(self, boss, service):
        key = tree(ALIAS, "A, A").application
        boss.go(address("applications", q=key))  # the list has more pages after other tests
        boss.page.locator(f"input[type=checkbox][value='{key}']").check()
        self.sign_out(boss)
        boss.press("Clean up selected …")
        self.sign_in(boss)
        boss.sees("1 application will be cleaned up.")
        assert self.chosen(boss) == [key]

    def test_outlives_the_session_on_the_confirmation(self, boss, service):
        keys = [tree(ALIAS, "A, A").application for _ in range(3)][:2]
        boss.go(address("clean_up", application=keys))
        boss.page.get_by_label("Reason (for the record)").fill("spring & tidying")
        self.sign_out(boss)
        boss.press("Clean up")
        self.sign_in(boss)
        boss.sees("You had been signed out, so nothing was done.")
        assert self.chosen(boss) == keys
        assert boss.page.get_by_label("Reason (for the record)").input_value() == "spring & tidying"
        assert not Result.objects.using(ALIAS).filter(application_key__in=keys).exists()

    def test_outlives_the_session_on_the_preview(self, boss, service):
        key = tree(ALIAS, "A, A").application
        boss.go(address("preview", key))
        self.sign_out(boss)
        boss.press("Clean up as shown")
        self.sign_in(boss)
        boss.sees("You had been signed out, so nothing was done.")
        assert boss.page.url.split("?")[0].endswith(address("preview", key))

    @pytest.mark.parametrize("button", ["Check now", "Start the schedules", "Stop everything"])
    def test_of_a_button_leads_back_to_its_page(self, boss, service, button):
        checks = ConsistencyCheck.objects.using(ALIAS).count()
        self.sign_out(boss)
        boss.press(button)
        self.sign_in(boss)
        boss.sees("You had been signed out, so nothing was done. Press the button again if you still want it.")
        assert boss.page.get_by_role("button", name=button).is_visible()
        assert ConsistencyCheck.objects.using(ALIAS).count() == checks

    @pytest.mark.parametrize("name", ["hold", "run_pause", "run_resume", "acknowledge"])
    def test_of_any_button_leads_to_a_page(self, person, service, name):
        key = tree(ALIAS, "A, A").application
        service.hold(key)
        run = Run.objects.using(ALIAS).create(kind="cleanup", status="completed")
        alert = Alert.objects.using(ALIAS).create(code=name, fingerprint=uuid.uuid4().hex, message="x")
        arguments = {"acknowledge": [alert.pk]}
        ann = person()
        ann.go(address(name, *arguments.get(name, [run.pk] if name.startswith("run") else [])))
        ann.sees("Nothing was done.")

    def test_of_the_first_ten_is_the_worst(self, person, service):
        worst = [tree(ALIAS, f"A*{number}").application for number in (30, 29, 28)]
        service.hold(worst[0])
        ann = person()
        ann.follow("Clean up the worst ten …")
        ann.sees("applications with the most duplicates that can be cleaned up now.")
        assert self.chosen(ann)[:2] == worst[1:]
        ann.go(address("overview"))
        ann.follow("Preview a cleanup")
        ann.follow("Continue to clean up these …")
        assert self.chosen(ann)[:2] == worst[1:]


class TestDecisions:
    @pytest.fixture
    def held(self, service) -> list[str]:
        keys = [tree(ALIAS, "A, A").application for _ in range(120)]
        for key in keys:
            service.hold(key, reason="A court has asked for it", created_by="ann")
        return keys

    def number(self, ann: Person, section: str) -> int:
        heading = ann.page.locator(f"#cleanup-{section}").inner_text()
        return int(heading.partition("(")[2].strip(")"))

    def test_are_complete_and_each_hold_has_its_button(self, person, service, held):
        ann = person()
        ann.page.get_by_role("link", name=re.compile("[1-9][0-9]* on hold")).first.click()
        ann.page.wait_for_load_state()
        expected, released, page = Hold.objects.using(ALIAS).count(), 0, 1
        assert self.number(ann, "held") == expected >= 120
        while True:
            released += ann.page.get_by_role("link", name="Remove hold …").count()
            following = ann.page.get_by_role("link", name="Next page: on hold")
            if not following.count():
                break
            following.click()
            page += 1
            ann.page.wait_for_url(f"**held={page}*")
        assert released == expected

    def test_are_released_on_a_later_page_and_on_the_applications_own(self, person, service, held):
        before = Hold.objects.using(ALIAS).count()
        ann = person()
        ann.go(address("decisions", held=2))
        ann.page.get_by_role("link", name="Remove hold …").first.click()
        ann.press("Remove hold")
        ann.sees("The hold was removed")
        assert (self.number(ann, "held"), "Page 2 of" in ann.reads()) == (before - 1, True)
        key = Hold.objects.using(ALIAS).latest("pk").application_key
        ann.go(address("preview", key))
        ann.sees("by ann. Reason: A court has asked for it.")
        ann.follow("Remove hold …")
        ann.press("Remove hold")
        ann.sees("The hold was removed")
        ann.page.get_by_role("button", name="Clean up as shown").wait_for()
        assert not Hold.objects.using(ALIAS).filter(application_key=key).exists()

    def test_that_are_open_stand_apart_and_can_be_put_on_hold(self, person, service, settings):
        settings.CLEANUP_LARGE_APPLICATION = 6
        key = tree(ALIAS, "Large*7").application
        service.cleanup_all_duplicate_folders(applications=[key])
        ann = person()
        ann.go(address("decisions"))
        waiting, held = self.number(ann, "open"), self.number(ann, "held")
        ann.page.get_by_role("link", name="Put on hold … Large").click()
        ann.press("Put on hold")
        ann.sees("The application is on hold: no cleanup touches it until you remove the hold.")
        assert (self.number(ann, "open"), self.number(ann, "held")) == (waiting - 1, held + 1)
