"""Scheduled cleanups that wait: Decisions shows them in words, and whoever may start them answers."""

from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry

from cleanup.models import Schedule, ScheduledRun
from cleanup.permissions import Permission
from cleanup.services.background import clusters
from tests.integration.admin.test_pages import address, boss, cluster, person, text, using
from tests.support.trees import tree

__all__ = ["boss", "cluster", "using"]

OUTCOME = {
    "successful_cleanups": 7,
    "total_folders_removed": 1200,
    "total_files_moved": 1,
    "reasons": [
        {"code": "unusually_many", "applications": 7, "usual": 2},
        {"code": "many_folders", "folders": 1200, "most": 1000},
        {"code": "schema_changed", "changes": ["column public.folders.colour (text) is new"], "more": 2},
    ],
}


@pytest.fixture
def waiting(using, cluster, monkeypatch) -> ScheduledRun:
    monkeypatch.setattr(clusters, "_hand_over", lambda task, arguments, options: None)  # no cluster takes it here
    tree(using, "Loan, Loan")
    schedule = Schedule.objects.get(pk="full_cleanup")
    return schedule.runs.create(due_at=datetime.now(UTC), status="waiting", outcome=OUTCOME)


def test_are_shown_with_totals_and_reasons(boss, waiting):
    page = text(boss.get(address("decisions")))
    assert "7 applications would be cleaned up: 1,200 folders would be removed, 1 file moved." in page
    assert "7 applications have duplicates; usually there are about 2." in page
    assert "1,200 folders would be removed; more than 1,000 need your approval." in page
    assert "were changed since the last cleanup." in page
    assert "public.folders.colour" in page.split("For IT")[1]


def test_begin_when_approved(boss, waiting):
    asked = text(boss.get(address("approve", waiting.pk)))
    assert "Approve this cleanup?" in asked
    answer = boss.post(address("approve", waiting.pk), {"reason": "year's end"})
    waiting.refresh_from_db()
    assert (waiting.status, waiting.run.reason, answer.url) == (
        "started",
        "year's end",
        address("run_change", waiting.run_id),
    )
    assert LogEntry.objects.get().change_message == "Approved a scheduled cleanup."


def test_end_when_declined(boss, waiting):
    page = text(boss.post(address("decline", waiting.pk), {"reason": "not now"}, follow=True))
    waiting.refresh_from_db()
    assert "The cleanup was declined. Nothing was changed." in page
    assert (waiting.status, waiting.reason, waiting.run) == ("declined", "not now", None)
    assert "There is nothing to approve or decline." in text(boss.post(address("approve", waiting.pk), follow=True))


def test_ask_for_the_permission_to_start_them(waiting):
    clerk = person(Permission.VIEW, Permission.CHECK)
    assert "Approve" not in text(clerk.get(address("decisions")))
    few = person(Permission.VIEW, Permission.CLEAN)  # for ten applications; the schedule takes twenty
    for client in (clerk, few):
        assert client.get(address("approve", waiting.pk)).status_code == 403
        assert client.post(address("decline", waiting.pk)).status_code == 403
    waiting.refresh_from_db()
    assert waiting.status == "waiting"
