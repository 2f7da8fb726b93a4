"""The page of a run: its applications, what was left alone and why, and what undoes it."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections
from django.test.utils import CaptureQueriesContext

from cleanup.admin import run_results
from cleanup.models import Alert, Run
from cleanup.permissions import Permission
from cleanup.services import DatabaseCleanupService
from tests.integration.admin.test_pages import address, boss, cluster, person, text, using
from tests.support.model_roles import File
from tests.support.trees import tree

__all__ = ["boss", "cluster", "using"]

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


def test_says_why_a_schedule_started_it_in_the_persons_language(boss, run):
    Run.objects.update(reason="scheduled")
    run.points.update(reason="scheduled")
    point = address("rollbackpoint_change", run.points.get().pk)
    for page in (address("run_change", run.pk), address("run_changelist"), point):
        shown = text(boss.get(page, headers={"accept-language": "de"}))
        assert ("nach Plan" in shown, "scheduled" in shown) == (True, False)


def test_lists_no_more_than_a_page(using, run, monkeypatch):
    monkeypatch.setattr(run_results, "MOST_SHOWN", 1)
    assert [row.name for row in run_results.first(run, site="admin")] == ["Loan 15"]


def test_says_what_an_undo_kept(boss, using, run):
    File.objects.using(using).filter(folder__name="Docs").update(folder_id=None)
    service = DatabaseCleanupService(using=using)
    undo = service.rollback_cleanup(run.pk, skip_conflicts=True).run_id
    page = text(boss.get(address("run_change", undo)))
    assert "1 thing is as people changed it" in page
    kept = "Not everything is as it was before: what people have changed since was kept."
    assert page.index(kept) < page.index("Applications Application State")
    assert "1 undo" in text(boss.get(address("run_change", run.pk)))
    for listing in (address("run_changelist"), address("overview")):
        assert "1 folder came back. No file had to move back." in text(boss.get(listing))


@pytest.mark.parametrize(
    ("inexact", "words"),
    [
        (["triggers"], "There is no guarantee that everything is as it was before: programs inside the database write"),
        (["conflicts"], "Not everything is as it was before: what people have changed since was kept."),
        (
            ["conflicts", "hook"],
            (
                "Not everything is as it was before: what people have changed since was kept. "
                "There is no guarantee for the rest: the program that keeps the order of folders writes"
            ),
        ),
    ],
)
def test_denies_of_an_undo_only_what_is_known(boss, using, run, inexact, words):
    undo = DatabaseCleanupService(using=using).rollback_cleanup(run.pk).run_id
    row = Run.objects.get(pk=undo)
    Run.objects.filter(pk=undo).update(restored={**row.restored, "inexact": inexact})
    page = text(boss.get(address("run_change", undo)))
    assert (words in page, page.count("as it was before")) == (True, 1)


def test_of_one_application_says_what_was_kept_only_where_something_was(boss, using, run):
    File.objects.using(using).filter(folder__name="Docs").update(folder_id=None)
    undo = DatabaseCleanupService(using=using).rollback_cleanup(run.pk, skip_conflicts=True).run_id
    for pk, kept in ((run.pk, False), (undo, True)):
        result = Run.objects.get(pk=pk).results.get(
            application_key=run.results.exclude(point=None).get().application_key
        )
        assert ("Left as it is now" in text(boss.get(address("result_change", result.pk)))) is kept


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
    words = ("Retry what failed", "It has stopped", "Resume")
    assert [word in text(page) for word in words] == [True, False, False]


def test_an_alert_does_not_name_a_run_by_its_id(boss, using, run):
    message = f"Cleanup run {run.pk} was stopped: 50 of the last 50 applications failed."
    alert = Alert.objects.create(
        fingerprint="stopped", code="run_stopped", severity="critical", message=message, run=run
    )
    for page in (address("overview"), address("alert_changelist"), address("alert_change", alert.pk)):
        shown = text(boss.get(page))
        assert "Cleanup run was stopped: 50 of the last 50 applications failed." in shown


class TestThatStopped:
    """A run that the database stopped, as people in an office read it."""

    REASON = "tables were changed in the meantime: trigger month_end on files (update) is new."

    @pytest.fixture
    def stopped(self, run) -> Run:
        run.status, run.status_reason, run.paused_by_error, run.ended_at = "paused", self.REASON, True, None
        run.save()
        return run

    def test_says_why_in_plain_words_and_the_rest_to_it(self, boss, stopped):
        page = text(boss.get(address("run_change", stopped.pk)))
        assert "Paused ( the database tables were changed in the meantime ) What it has finished is complete" in page
        assert f"For IT {self.REASON}" in page
        assert "month_end" not in text(boss.get(address("run_changelist")))

    @pytest.mark.parametrize(
        ("reason", "by_error", "shown"),
        [
            ("column folder_id is locked", True, "Paused ( the database did not let it continue )"),
            ("paused by Ann: lunch", False, "Paused ( paused by Ann: lunch )"),
            ("interrupted by SIGTERM", True, "Paused ( interrupted by SIGTERM )"),
        ],
    )
    def test_says_why_in_plain_words_whatever_stopped_it(self, boss, stopped, reason, by_error, shown):
        stopped.status_reason, stopped.paused_by_error = reason, by_error
        stopped.save()
        assert shown in text(boss.get(address("run_change", stopped.pk)))

    def test_says_who_may_resume_it(self, boss, stopped):
        stopped.options = {**stopped.options, "applications": None}
        stopped.save()
        page = text(person(Permission.VIEW, Permission.CLEAN).get(address("run_change", stopped.pk)))
        assert "Here you cannot resume or cancel it. This needs the permission “Can clean up everything”" in page
        assert "Here you cannot resume" not in text(boss.get(address("run_change", stopped.pk)))

    def test_is_known_to_have_stopped_after_it_was_resumed(self, boss, cluster, stopped):
        boss.post(address("run_resume", stopped.pk))
        assert LogEntry.objects.get().change_message == f"Resumed the run. It had stopped: {self.REASON}"
        assert f"It had stopped: {self.REASON}" in text(boss.get(address("run_history", stopped.pk)))


def test_says_that_its_duration_has_pauses_in_it(boss, run):
    run.started_at, run.resumed_at = run.ended_at - timedelta(hours=5), run.ended_at - timedelta(seconds=9)
    run.save()
    assert "Took 5 hours, pauses included." in text(boss.get(address("run_change", run.pk)))


def test_finds_one_application_of_many(boss, run, monkeypatch):
    assert "Find an application of this run" not in text(boss.get(address("run_change", run.pk)))
    monkeypatch.setattr(run_results, "MOST_SHOWN", 1)
    assert "Find an application of this run: its name or its id Search" in text(boss.get(address("run_change", run.pk)))
    found = text(boss.get(address("result_changelist", run__id__exact=run.pk, q="Loan 14")))
    assert ("Loan 14" in found, "Loan 15" in found, "Undo selected …" in found) == (True, False, True)


def test_warns_that_undo_is_of_all_its_applications(boss, using, run):
    assert "This undoes the whole run" not in text(boss.get(address("run_change", run.pk)))
    made = [tree(using, f"Loan {number}/Docs*2").application for number in range(3)]
    more = DatabaseCleanupService(using=using).cleanup_all_duplicate_folders(applications=made).run_id
    page = text(boss.get(address("run_change", more)))
    assert "This undoes the whole run. To undo one application, find it in the list." in page


def test_leaves_out_what_there_is_nothing_to_show_of(boss, using, run):
    page = text(boss.get(address("run_change", run.pk)))
    assert [words for words in ("Reason:", "Undoes:", "Undone by:") if words in page] == []
    undo = DatabaseCleanupService(using=using).rollback_cleanup(run.pk, reason="by mistake").run_id
    page = text(boss.get(address("run_change", undo)))
    assert [words for words in ("Reason:", "Undoes:", "Undo records:") if words in page] == ["Reason:", "Undoes:"]


class TestTitles:
    def test_name_the_only_application(self, boss, using):
        service = DatabaseCleanupService(using=using)
        loan = tree(using, "Loan 16/Docs(1)*2").application
        cleanup = service.cleanup_all_duplicate_folders(applications=[loan]).run_id
        undo = service.rollback_cleanup(cleanup).run_id
        for run_id, words in ((cleanup, "cleanup of"), (undo, "undo of")):
            assert f"Loan 16: {words}" in boss.get(address("run_change", run_id)).context["title"]

    def test_give_the_time_of_a_run_of_several(self, boss, run):
        assert boss.get(address("run_change", run.pk)).context["title"].startswith("Cleanup of")

    @pytest.mark.parametrize(
        ("language", "title"),
        [("en", "Undo the cleanup of Loan 14?"), ("de", "Rückgängig machen: die Bereinigung von Loan 14?")],
    )
    def test_of_an_undo_name_the_only_application_that_it_undoes(self, boss, run, language, title):
        headers = {"accept-language": language}
        for page in (address("undo_run", run.pk), address("undo_record", run.points.get().pk)):
            assert boss.get(page, headers=headers).context["title"] == title

    def test_of_an_undo_of_several_give_their_number(self, boss, using):
        made = [tree(using, f"Loan {number}/Docs(1)*2").application for number in (17, 18)]
        run_id = DatabaseCleanupService(using=using).cleanup_all_duplicate_folders(applications=made).run_id
        title = boss.get(address("undo_run", run_id)).context["title"]
        assert title == "Undo everything that this cleanup of 2 applications changed?"


@pytest.mark.parametrize(("query", "counted"), [({}, False), ({"q": "Loan"}, True)])
def test_history_counts_results_where_something_is_looked_for(boss, run, query, counted):
    assert ("1 result Show all" in text(boss.get(address("run_changelist", **query)))) is counted
