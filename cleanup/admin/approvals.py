"""Scheduled cleanups that wait for approval: as Decisions shows them, and the two answers, each asked about first."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from cleanup.admin import access, obstacles, wording
from cleanup.admin.access import Pages, page
from cleanup.admin.selection import Line, Question, ask
from cleanup.models import ScheduledRun
from cleanup.permissions import RUNNING_SCHEDULES, to_run_schedule
from cleanup.services import AutomatedCleanupService
from cleanup.text_safety import safe


class ApprovalPages(Pages):
    """Approve or decline a scheduled cleanup."""

    section = "decisions"

    def urls(self) -> list[URLPattern]:
        """Return the addresses."""
        return [
            page(self.admin_site, "scheduled/<int:waiting_id>/approve/", self.approve, "approve"),
            page(self.admin_site, "scheduled/<int:waiting_id>/decline/", self.decline, "decline"),
        ]

    @access.permission_required(*RUNNING_SCHEDULES)
    def approve(self, request: HttpRequest, waiting_id: int) -> HttpResponse:
        """Begin the cleanup; ask first."""
        row = self._row(request, waiting_id)
        if request.method == "POST":
            decide = AutomatedCleanupService(using=access.database()).approve_scheduled_run
            begun = self._answer(request, decide, row, approved_by=request.user.get_username())
            if begun is None:
                return redirect(self.url("decisions"))
            access.log(request, row.schedule, gettext_noop("Approved a scheduled cleanup."))
            messages.success(request, _("The cleanup was approved and begins."))
            return redirect(self.url("run_change", begun.run_id))
        question = Question(
            title=_("Approve this cleanup?"),
            sentence=totals(row.outcome),
            button=_("Approve and clean up"),
            lines=[Line(reason) for reason in reasons(row.outcome)],
            more=_("It begins with what is found then. All of it can be undone from the page of its run."),
            asks_reason=True,
            in_the_way=obstacles.to_cleanups(request),
        )
        return ask(self, request, question, back=self.url("decisions"), section=self.section)

    @access.permission_required(*RUNNING_SCHEDULES)
    def decline(self, request: HttpRequest, waiting_id: int) -> HttpResponse:
        """End what waits without beginning it; ask first."""
        row = self._row(request, waiting_id)
        if request.method == "POST":
            decide = AutomatedCleanupService(using=access.database()).decline_scheduled_run
            if self._answer(request, decide, row, declined_by=request.user.get_username()):
                access.log(request, row.schedule, gettext_noop("Declined a scheduled cleanup."))
                messages.success(request, _("The cleanup was declined. Nothing was changed."))
            return redirect(self.url("decisions"))
        question = Question(
            title=_("Decline this cleanup?"),
            sentence=totals(row.outcome),
            button=_("Do not clean up"),
            more=_("Nothing is changed. When the schedule is due again, the cleanup is planned again."),
            asks_reason=True,
        )
        return ask(self, request, question, back=self.url("decisions"), section=self.section)

    def _row(self, request: HttpRequest, waiting_id: int) -> ScheduledRun:
        rows = ScheduledRun.objects.using(access.database()).select_related("schedule")
        row = get_object_or_404(rows, pk=waiting_id)
        access.require_permission(request, to_run_schedule(row.schedule_id, most=row.schedule.max_applications))
        return row

    def _answer(self, request: HttpRequest, decide: Callable[..., ScheduledRun], row: ScheduledRun, **by: str) -> Any:
        """Have the service decide, for the reason that was given; return the row, or None if it refuses."""
        return access.attempt(request, lambda: decide(row.pk, reason=request.POST.get("reason", ""), **by))


def waiting(site: str) -> list[dict[str, Any]]:
    """Return what waits, as the page of decisions shows it."""
    rows = ScheduledRun.objects.using(access.database()).filter(status=ScheduledRun.Status.WAITING)
    return [
        {
            "totals": totals(row.outcome),
            "reasons": list(reasons(row.outcome)),
            "changes": changes(row.outcome),
            "since": wording.moment_text(row.started_at),
            "approve": access.address(site, "approve", row.pk),
            "decline": access.address(site, "decline", row.pk),
        }
        for row in rows
    ]


def totals(outcome: Mapping[str, Any]) -> str:
    """Return in a sentence what would be done."""
    folders = outcome.get("total_folders_removed", 0)
    words = ngettext(
        "%(applications)s would be cleaned up: %(number)s folder would be removed, %(files)s moved.",
        "%(applications)s would be cleaned up: %(number)s folders would be removed, %(files)s moved.",
        folders,
    )
    return words % {
        "applications": wording.counted(outcome.get("successful_cleanups", 0), "application"),
        "number": wording.number_text(folders),
        "files": wording.counted(outcome.get("total_files_moved", 0), "file"),
    }


def reasons(outcome: Mapping[str, Any]) -> Iterator[str]:
    """Yield in sentences what is out of the ordinary."""
    for reason in outcome.get("reasons", ()):
        if reason["code"] == "unusually_many":
            yield _("%(applications)s have duplicates; usually there are about %(usual)s.") % {
                "applications": wording.counted(reason["applications"], "application"),
                "usual": wording.number_text(reason["usual"]),
            }
        elif reason["code"] == "many_folders":
            yield _("%(folders)s would be removed; more than %(most)s need your approval.") % {
                "folders": wording.counted(reason["folders"], "folder"),
                "most": wording.number_text(reason["most"]),
            }
        elif reason["code"] == "settings_changed":
            yield _("The settings of cleanups were changed since the last one.")
        else:
            yield _("The tables of folders, or tables that refer to them, were changed since the last cleanup.")


def changes(outcome: Mapping[str, Any]) -> list[str]:
    """Return what was changed, for IT."""
    found = [change for reason in outcome.get("reasons", ()) for change in reason.get("changes", ())]
    more = sum(reason.get("more", 0) for reason in outcome.get("reasons", ()))
    return [safe(change) for change in found] + ([f"+{more}"] if more else [])
