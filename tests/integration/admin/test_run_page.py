"""The page of a run: its applications, what was left alone and why, and what undoes it."""

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from cleanup.admin import run_results
from cleanup.models import Alert, Run
from cleanup.services import DatabaseCleanupService
from tests.integration.admin.test_pages import address, boss, text, using
from tests.support.model_roles import File
from tests.support.trees import tree

__all__ = ["boss", "using"]

MOST_QUERIES = 15


@pytest.fixture
def run(using) -> Run:
    service = DatabaseCleanupService(using=using)
    made = [tree(using, f"Loan {number}/Docs(1)*2").application for number in (14, 15)]
    service.hold(made[1])
    return Run.objects.get(pk=service.cleanup_all_duplicate_folders(applications=made, started_how="admin").run_id)


def test_lists_its_applications_and_why_one_was_left_alone(boss, run):
    page = text(boss.get(address("run_change", run.pk)))
    assert "Loan 15 on hold" in page
    assert "Loan 14 done 1 duplicate folder merged, 1 file moved." in page
    assert page.index("Loan 15 on hold") < page.index("Loan 14 done")
    assert "All results of this run (2)" in page


def test_lists_no_more_than_a_page(using, run, monkeypatch):
    monkeypatch.setattr(run_results, "MOST_SHOWN", 1)
    assert [row.name for row in run_results.first(run, site="admin")] == ["Loan 15"]


def test_says_what_an_undo_kept(boss, using, run):
    File.objects.using(using).filter(folder__name="Docs").update(folder_id=None)
    service = DatabaseCleanupService(using=using)
    undo = service.rollback_cleanup(run.pk, skip_conflicts=True).run_id
    page = text(boss.get(address("run_change", undo)))
    assert "1 thing left as people changed it" in page
    assert "1 undo" in text(boss.get(address("run_change", run.pk)))


def test_names_no_undo_while_there_is_none(boss, run):
    assert "1 undo" not in text(boss.get(address("run_change", run.pk)))


def test_costs_no_more_queries_with_more_applications(boss, using, run):
    def queries(pk) -> int:
        with CaptureQueriesContext(connections[using]) as found:
            boss.get(address("run_change", pk))
        asked = [query["sql"] for query in found if query["sql"] not in ("BEGIN", "COMMIT")]
        return len(asked)

    queries(run.pk)
    few = queries(run.pk)
    made = [tree(using, f"Loan {number}/Docs(1)*2").application for number in range(5)]
    more = DatabaseCleanupService(using=using).cleanup_all_duplicate_folders(applications=made, started_how="admin")
    assert queries(more.run_id) <= few < MOST_QUERIES


def test_says_once_why_applications_failed(boss, using, run):
    run.results.filter(status="completed").update(status="failed", error_code="collision")
    run.failed_applications = 1
    run.save()
    page = boss.get(address("run_change", run.pk))
    assert "Why applications failed 1 application: Some linked records would become identical" in text(page)
    assert "references.md#collisions" in page.content.decode()


def test_an_alert_does_not_name_a_run_by_its_id(boss, using, run):
    message = f"Cleanup run {run.pk} was stopped: 50 of the last 50 applications failed."
    alert = Alert.objects.create(
        fingerprint="stopped", code="run_stopped", severity="critical", message=message, run=run
    )
    for page in (address("overview"), address("alert_changelist"), address("alert_change", alert.pk)):
        shown = text(boss.get(page))
        assert "Cleanup run was stopped: 50 of the last 50 applications failed." in shown
