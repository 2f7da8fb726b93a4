"""Schedules, which can be changed; alerts, which can be acknowledged; checks, which are history."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cleanup.admin import access, badges, names, wording
from cleanup.admin.base import ReadOnlyAdmin, for_it
from cleanup.admin.filters import worded
from cleanup.admin.selection import Line, Question, SelectableAdmin
from cleanup.exceptions import CleanupError
from cleanup.models import Alert, ConsistencyCheck, Schedule
from cleanup.permissions import Permission, to_change_schedule
from cleanup.services.alerting import alerts
from cleanup.services.automation import schedules as schedule_service
from cleanup.text_safety import safe

_CHANGEABLE = schedule_service.CHANGEABLE


if TYPE_CHECKING:
    FormBase = forms.ModelForm[Schedule]
else:
    FormBase = forms.ModelForm


class ScheduleForm(FormBase):
    """What can be changed about a schedule, in the words of the screens."""

    hour = forms.IntegerField(min_value=0, max_value=23, label="Hour (UTC)")
    minute = forms.IntegerField(min_value=0, max_value=59)

    class Meta:
        model = Schedule
        fields = list(_CHANGEABLE)
        labels = {
            "schedule_type": "How often",
            "weekday": "Weekday (of a weekly schedule)",
            "max_applications": "Applications per run",
            "alert_threshold": "Alert when more applications than this have duplicates",
            "dry_run_first": "First run is a rehearsal",
        }
        help_texts = {"max_applications": "Leave empty for no limit."}

    def clean_max_applications(self) -> int | None:
        """Refuse a limit that would let nothing through."""
        limit = self.cleaned_data["max_applications"]
        if limit == 0:
            raise ValidationError("At least 1, or leave it empty for no limit.")
        return None if limit is None else int(limit)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    """Schedules: the one register that can be changed."""

    form = ScheduleForm
    list_display = ["what", "how_often", "state", "last", "next"]
    ordering = ["name"]
    sortable_by = ()
    readonly_fields = ["what", "last", "next", "who"]
    fields = ["what", *_CHANGEABLE, "last", "next", "who"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the person may change schedules."""
        return access.may(request, Permission.VIEW) and access.may(request, Permission.MANAGE_SCHEDULES)

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:  # noqa: FBT001  # Django's signature
        """Change the schedule through its service, which computes when it is next due."""
        changes = {name: form.cleaned_data[name] for name in form.changed_data if name in _CHANGEABLE}
        limit = Schedule.objects.using(access.database()).get(pk=obj.pk).max_applications
        for permissions in to_change_schedule(obj.pk, changes, most=limit):
            access.require_permission(request, permissions)
        try:
            by = request.user.get_username()
            schedule_service.update(using=access.database(), name=obj.pk, by=by, changes=changes)
        except CleanupError as error:
            messages.error(request, str(error))

    def log_change(self, request: HttpRequest, obj: Schedule, message: Any) -> Any:
        """Leave an entry in the admin's log, in words."""
        access.log(request, obj, message)

    @admin.display(description="schedule")
    def what(self, schedule: Schedule) -> str:
        return names.name_of(schedule)

    @admin.display(description="how often")
    def how_often(self, schedule: Schedule) -> str:
        return wording.cadence(schedule)

    @admin.display(description="state")
    def state(self, schedule: Schedule) -> str:
        return "on" if schedule.enabled else "switched off"

    @admin.display(description="last")
    def last(self, schedule: Schedule) -> str:
        return self.time(schedule.last_run)

    @admin.display(description="last changed by")
    def who(self, schedule: Schedule) -> str:
        return wording.changed(schedule.changed_at, schedule.changed_by)

    @admin.display(description="next")
    def next(self, schedule: Schedule) -> str:
        return self.time(schedule.next_run)


def _address(site: access.OnSite, _request: HttpRequest, alert_id: int) -> str:
    return site.url("alert_change", alert_id)


#: Where something can be done about an alert, by its code.
_PLACES = {
    "duplicates": ("applications", gettext_lazy("See these applications")),
    "verification_errors": ("finding_changelist", gettext_lazy("See the problems found")),
    "schedule_overdue": ("schedule_changelist", gettext_lazy("See the schedules")),
    "schedule_failed": ("schedule_changelist", gettext_lazy("See the schedules")),
}

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
    selection_button = gettext_lazy("Acknowledge …")
    selection_permissions = (Permission.MANAGE_SCHEDULES,)
    fieldsets = [
        (None, {"fields": ["what", "how_bad", "state_text", "next_step", "since", "last", "known", "gone"]}),
        for_it("code", "command"),
    ]

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
            lines=[Line(safe(alert.message)) for alert in rows],
        )

    def carry_out(self, request: HttpRequest, rows: Sequence[Alert]) -> str:
        """Acknowledge the alerts."""
        by = request.user.get_username()
        acknowledge = partial(alerts.acknowledge, using=access.database(), by=by)
        known = [
            alert for alert in rows if access.attempt(request, partial(acknowledge, alert_id=alert.pk)) is not None
        ]
        access.log_each(request, known, "Acknowledged the alert.")
        if known:
            words = ngettext(
                "Acknowledged. The alert closes automatically when the cause is fixed.",
                "%(number)s alerts acknowledged. Each closes automatically when its cause is fixed.",
                len(known),
            )
            messages.success(request, words % {"number": wording.number_text(len(known))})
        return self.back_to(request.POST)

    @admin.display(description="alert")
    def what(self, alert: Alert) -> str:
        return safe(alert.message)

    @admin.display(description="severity")
    def how_bad(self, alert: Alert) -> str:
        return alert.get_severity_display()

    @admin.display(description="state")
    def state_text(self, alert: Alert) -> Any:
        return badges.badge(badges.ALERTS.get(alert.state, "unknown"), str(STATES[Alert.State(alert.state)]))

    @admin.display(description="next step")
    def next_step(self, alert: Alert) -> Any:
        """Lead to where something can be done about it."""
        if alert.run is not None:
            return self.link(alert.run)
        name, words = _PLACES.get(alert.code, (access.OVERVIEW, gettext_lazy("Go to the overview")))
        return format_html('<a class="button" href="{}">{}</a>', self.url(name), words)

    @admin.display(description="command")
    def command(self, alert: Alert) -> str:
        return safe(alert.hint) or "—"

    @admin.display(description="first seen")
    def since(self, alert: Alert) -> str:
        return self.time(alert.first_seen)

    @admin.display(description="last seen")
    def last(self, alert: Alert) -> str:
        return self.time(alert.last_seen)

    @admin.display(description="acknowledged by")
    def known(self, alert: Alert) -> str:
        return wording.changed(alert.acknowledged_at, alert.acknowledged_by) if alert.acknowledged_at else "—"

    @admin.display(description="resolved")
    def gone(self, alert: Alert) -> str:
        return self.time(alert.resolved_at)


@admin.register(ConsistencyCheck)
class ConsistencyCheckAdmin(ReadOnlyAdmin):
    """Checks: how many applications had duplicates, and when."""

    empty = gettext_lazy("Nothing has been checked yet. “Check now” on the overview does it.")
    list_display = ["when", "found", "who"]
    ordering = ["-id"]
    sortable_by = ()
    fields = ["when", "found", "late", "who"]

    @admin.display(description="started")
    def when(self, check: ConsistencyCheck) -> str:
        return self.time(check.started_at)

    @admin.display(description="outcome")
    def found(self, check: ConsistencyCheck) -> str:
        if check.ended_at is None:
            return "not finished"
        return "It failed." if check.duplicate_applications is None else wording.last_check(check)

    @admin.display(description="late files moved to the right folder")
    def late(self, check: ConsistencyCheck) -> str:
        return wording.number_text(check.late_arrivals)

    @admin.display(description="started by")
    def who(self, check: ConsistencyCheck) -> str:
        return wording.started(check.started_by, check.started_how)
