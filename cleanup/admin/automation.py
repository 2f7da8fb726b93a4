"""Alerts, which can be acknowledged, with what can be done about them; checks, which are history."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext

from cleanup import stored_texts
from cleanup.admin import access, badges, names, wording
from cleanup.admin.base import ReadOnlyAdmin, for_it, plain
from cleanup.admin.filters import worded
from cleanup.admin.selection import Line, Question, SelectableAdmin
from cleanup.models import Alert, ConsistencyCheck
from cleanup.permissions import CLEANING, AnyOf, Permission
from cleanup.services import alerting
from cleanup.text_safety import safe


def _address(site: access.OnSite, _request: HttpRequest, alert_id: int) -> str:
    return site.url("alert_change", alert_id)


class Step(NamedTuple):
    """Something that can be done about an alert."""

    page: str
    words: Any
    permissions: AnyOf = (Permission.VIEW,)
    post: bool = False


#: What can be done about an alert, by its code; about one of a run, its page offers it.
STEPS: dict[str, tuple[Step, ...]] = {
    "duplicates": (
        Step("applications", gettext_lazy("See these applications")),
        Step("clean_up", gettext_lazy("Preview and clean up the worst ten …"), CLEANING),
    ),
    "verification_errors": (
        Step("finding_changelist", gettext_lazy("See the problems found")),
        Step("verify", gettext_lazy("Verify again"), (Permission.CHECK,), post=True),
    ),
    "approval_needed": (Step("decisions", gettext_lazy("Approve or decline it")),),
    "schedule_overdue": (Step("schedule_changelist", gettext_lazy("See the schedules")),),
}
_OTHERWISE = (Step(access.OVERVIEW, gettext_lazy("Go to the overview")),)

STATES: dict[str, Any] = {
    Alert.State.OPEN: gettext_lazy("open"),
    Alert.State.ACKNOWLEDGED: gettext_lazy("acknowledged"),
    Alert.State.RESOLVED: gettext_lazy("resolved"),
}


@admin.register(Alert)
class AlertAdmin(SelectableAdmin):
    """Alerts: what is wrong, or was."""

    list_display = ["what", "how_bad", "state_text", "since", "last"]
    list_filter = [
        worded("state", gettext_lazy("state"), STATES),
        worded("severity", gettext_lazy("severity"), dict(Alert.Severity.choices)),
    ]
    ordering = ["-id"]
    sortable_by = ()
    empty = gettext_lazy("No alerts. When something needs attention, it is listed here.")
    selection_button = gettext_lazy("Acknowledge selected …")
    selection_permissions = (Permission.MANAGE_SCHEDULES,)
    fieldsets = [
        (None, {"fields": ["what", "how_bad", "state_text", "since", "last", "known", "gone"]}),
        for_it("whole_message", "own_code", "command"),
    ]
    own_code = plain("code", gettext_lazy("code"))

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the action for one alert."""
        return [
            access.page(self.admin_site, "<int:alert_id>/acknowledge/", self.acknowledge_view, "acknowledge"),
            *super().get_urls(),
        ]

    @access.action(Permission.MANAGE_SCHEDULES, back=_address)
    def acknowledge_view(self, request: HttpRequest, alert_id: int) -> HttpResponse:
        """Acknowledge the alert."""
        alert = get_object_or_404(self.get_queryset(request), pk=alert_id)
        self.carry_out(request, [alert])
        return redirect(self.url("alert_change", alert.pk))

    def selectable(self, rows: QuerySet[Alert]) -> QuerySet[Alert]:
        """Return the open ones."""
        return rows.filter(state=Alert.State.OPEN)

    def is_selectable(self, row: Alert) -> bool:
        """Return whether it is open."""
        return row.state == Alert.State.OPEN

    def question(self, request: HttpRequest, rows: Sequence[Alert], *, number: int) -> Question:
        """Name the alerts."""
        title = ngettext("Acknowledge this alert?", "Acknowledge %(number)s alerts?", number)
        return Question(
            title=title % {"number": wording.number_text(number)},
            sentence=_("Whoever looks here will see that you know. An alert closes when its cause is fixed."),
            button=_("Acknowledge"),
            lines=[Line(names.alert_text(alert)) for alert in rows],
        )

    def carry_out(self, request: HttpRequest, rows: Sequence[Alert]) -> str:
        """Acknowledge the alerts."""
        by = request.user.get_username()
        acknowledge = partial(alerting.alerts.acknowledge, using=access.database(), by=by)
        known = [
            alert for alert in rows if access.attempt(request, partial(acknowledge, alert_id=alert.pk)) is not None
        ]
        access.log_each(request, known, gettext_noop("Acknowledged the alert."))
        if known:
            words = ngettext(
                "Acknowledged. The alert closes automatically when the cause is fixed.",
                "%(number)s alerts acknowledged. Each closes automatically when its cause is fixed.",
                len(known),
            )
            messages.success(request, words % {"number": wording.number_text(len(known))})
        return self.back_to(request.POST)

    @admin.display(description=gettext_lazy("alert"))
    def what(self, alert: Alert) -> str:
        return names.alert_text(alert)

    @admin.display(description=gettext_lazy("message"))
    def whole_message(self, alert: Alert) -> str:
        return stored_texts.shown(alert.message)

    @admin.display(description=gettext_lazy("severity"))
    def how_bad(self, alert: Alert) -> str:
        return alert.get_severity_display()

    @admin.display(description=gettext_lazy("state"))
    def state_text(self, alert: Alert) -> Any:
        return badges.badge(badges.ALERTS.get(alert.state, "unknown"), str(STATES[Alert.State(alert.state)]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show an alert, with what can be done about it."""
        alert = self.get_object(request, object_id)
        steps = self._steps(request, alert) if alert is not None else []
        return super().change_view(request, object_id, form_url, {"steps": steps, **(extra_context or {})})

    def _steps(self, request: HttpRequest, alert: Alert) -> list[dict[str, Any]]:
        """Return the buttons."""
        if alert.run is not None:
            return [{"address": self.url("run_change", alert.run.pk), "words": _("See the run and what can be done")}]
        if alert.code == "schedule_failed" and (name := alert.detail.get("schedule")):
            return [{"address": self.url("schedule_change", name), "words": _("See the schedule and its last results")}]
        return [
            {
                "address": self.url(step.page, **({"first": 10} if step.page == "clean_up" else {})),
                "words": step.words,
                "post": step.post,
            }
            for step in STEPS.get(alert.code, _OTHERWISE)
            if any(access.may(request, permission) for permission in step.permissions)
        ]

    @admin.display(description=gettext_lazy("message"))
    def message(self, alert: Alert) -> str:
        return safe(alert.message)

    @admin.display(description=gettext_lazy("command"))
    def command(self, alert: Alert) -> str:
        return safe(alert.hint) or "—"

    @admin.display(description=gettext_lazy("first seen"))
    def since(self, alert: Alert) -> str:
        return self.time(alert.first_seen)

    @admin.display(description=gettext_lazy("last seen"))
    def last(self, alert: Alert) -> str:
        return self.time(alert.last_seen)

    @admin.display(description=gettext_lazy("acknowledged by"))
    def known(self, alert: Alert) -> str:
        return wording.changed(alert.acknowledged_at, alert.acknowledged_by) if alert.acknowledged_at else "—"

    @admin.display(description=gettext_lazy("resolved"))
    def gone(self, alert: Alert) -> str:
        return self.time(alert.resolved_at)


@admin.register(ConsistencyCheck)
class ConsistencyCheckAdmin(ReadOnlyAdmin):
    """Checks: how many applications had duplicates, and when."""

    empty = gettext_lazy("No check has been recorded yet. “Check now” on the overview does it.")
    list_display = ["when", "found", "who"]
    ordering = ["-id"]
    sortable_by = ()
    fields = ["when", "found", "late", "who"]

    @admin.display(description=gettext_lazy("started"))
    def when(self, check: ConsistencyCheck) -> str:
        return self.time(check.started_at)

    @admin.display(description=gettext_lazy("outcome"))
    def found(self, check: ConsistencyCheck) -> str:
        if check.ended_at is None:
            return _("not finished")
        return _("It failed.") if check.duplicate_applications is None else wording.last_check(check)

    @admin.display(description=gettext_lazy("late files moved to the right folder"))
    def late(self, check: ConsistencyCheck) -> str:
        return wording.number_text(check.late_arrivals)

    @admin.display(description=gettext_lazy("started by"))
    def who(self, check: ConsistencyCheck) -> str:
        return wording.started(check.started_by, check.started_how)
