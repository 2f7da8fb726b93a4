"""What the pages say and offer is so: numbers, choices, decisions; with a real server, as an administrator sees it."""

import pytest
from django.urls import reverse

from cleanup.models import Result, Run
from cleanup.services import DatabaseCleanupService
from tests.browser.conftest import ALIAS
from tests.integration.trees import tree

pytestmark = [pytest.mark.mapped_models("one look in a browser is enough"), pytest.mark.slow]


def address(name: str, *args, **query) -> str:
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
            "overview": address("control_changelist"),
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
        ann.sees("It has ended. There is nothing to undo.")
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
            assert "can be undone" not in ann.reads()
