"""Schedules: what each does and when, in the person's time zone; the one register that can be changed.

Rows hold times of day in UTC, without daylight saving. A page shows and takes those of the person, as they are the next
time that the schedule is due.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cleanup import stored_texts
from cleanup.admin import access, badges, names, wording
from cleanup.admin.base import ReadOnlyAdmin, for_it
from cleanup.admin.run_page import numbers
from cleanup.exceptions import CleanupError
from cleanup.models import AutomationState, Schedule, ScheduledRun
from cleanup.permissions import DESCRIPTIONS, Permission, to_change_schedule
from cleanup.services.automation import schedules as schedule_service

_CHANGEABLE = schedule_service.CHANGEABLE
_WHEN = ("schedule_type", "weekday", "hour", "minute")

#: The fields that apply to a schedule; the others have no effect on what it does.
APPLICABLE: Mapping[str, tuple[str, ...]] = {
    Schedule.Name.CONSISTENCY_CHECK: ("enabled", *_WHEN, "alert_threshold"),
    Schedule.Name.FULL_CLEANUP: ("enabled", *_WHEN, "max_applications", "dry_run_first"),
    Schedule.Name.INTEGRITY_VERIFICATION: ("enabled", *_WHEN),
    Schedule.Name.RETENTION: ("enabled", *_WHEN),
}

DOES: Mapping[str, Promise] = {
    Schedule.Name.CONSISTENCY_CHECK: gettext_lazy(
        "Counts the applications that have duplicate folders, and opens an alert if there are too many. "
        "It changes no folder."
    ),
    Schedule.Name.FULL_CLEANUP: gettext_lazy(
        "Merges the duplicate folders of the applications that have the most of them. Each cleanup can be undone."
    ),
    Schedule.Name.INTEGRITY_VERIFICATION: gettext_lazy(
        "Examines the whole database for problems, such as folders without a parent. It changes nothing."
    ),
    Schedule.Name.RETENTION: gettext_lazy(
        "Removes undo records whose time has passed: the cleanups of that time can no longer be undone afterwards."
    ),
}

#: Times that it was due, which the page of a schedule shows.
MOST_RESULTS = 5

STATES: Mapping[str, Promise] = {
    ScheduledRun.Status.STARTED: gettext_lazy("running"),
    ScheduledRun.Status.COMPLETED: gettext_lazy("done"),
    ScheduledRun.Status.PLANNED: gettext_lazy("planned only"),
    ScheduledRun.Status.SKIPPED: gettext_lazy("skipped"),
    ScheduledRun.Status.FAILED: gettext_lazy("failed"),
}
_LEVELS: Mapping[str, badges.Level] = {
    ScheduledRun.Status.COMPLETED: "good",
    ScheduledRun.Status.PLANNED: "good",
    ScheduledRun.Status.FAILED: "attention",
}

if TYPE_CHECKING:
    FormBase = forms.ModelForm[Schedule]
else:
    FormBase = forms.ModelForm


class ScheduleForm(FormBase):
    """What can be changed about a schedule, in the words of the screens and the person's time zone."""

    hour = forms.IntegerField(min_value=0, max_value=23)
    minute = forms.IntegerField(min_value=0, max_value=59, label=gettext_lazy("Minute"))

    class Meta:
        model = Schedule
        fields = list(_CHANGEABLE)
        labels = {
            "enabled": gettext_lazy("Enabled"),
            "schedule_type": gettext_lazy("How often"),
            "weekday": gettext_lazy("Weekday (if weekly)"),
            "max_applications": gettext_lazy("Applications per run"),
            "alert_threshold": gettext_lazy("Alert when more applications than this have duplicates"),
            "dry_run_first": gettext_lazy("First run is a rehearsal"),
        }
        help_texts = {
            "max_applications": gettext_lazy("Leave empty for no limit."),
            "dry_run_first": gettext_lazy(
                "The first time, it only plans: you see here what it would do, and nothing is changed."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "hour" not in self.fields:
            return
        due = self._next(self.instance.schedule_type)
        at = self._next(Schedule.Cadence.DAILY)
        self.initial.update(hour=at.hour, minute=due.minute)
        if self.instance.schedule_type == Schedule.Cadence.WEEKLY:
            self.initial["weekday"] = due.weekday()
        self.fields["hour"].label = _("Hour (if daily or weekly), %s") % wording.zone_name(due)
        if len({due.replace(month=month, day=1).utcoffset() for month in (1, 7)}) > 1:
            self.fields["hour"].help_text = _("When the clocks change, it moves by an hour.")

    def _next(self, cadence: str) -> datetime:
        """Return when a schedule of that cadence and the row's time of day is due, in the person's zone."""
        row = self.instance
        like = Schedule(schedule_type=cadence, weekday=row.weekday, hour=row.hour, minute=row.minute)
        return timezone.localtime(schedule_service.next_time(like, after=timezone.now()))

    def clean_max_applications(self) -> int | None:
        """Refuse a limit that would let nothing through."""
        limit = self.cleaned_data["max_applications"]
        if limit == 0:
            raise ValidationError(_("At least 1, or leave it empty for no limit."))
        return None if limit is None else int(limit)

    def clean(self) -> dict[str, Any]:
        """Convert the time of day to that of the row."""
        cleaned = self.cleaned_data
        if all(cleaned.get(name) is not None for name in _WHEN):
            cleaned |= _in_utc(cleaned, self.instance)
        return cleaned


def _in_utc(cleaned: Mapping[str, Any], row: Schedule) -> dict[str, int]:
    """Return weekday, hour and minute of the next such moment; those of the row where they do not apply."""
    now = timezone.localtime()
    there = now.replace(hour=cleaned["hour"], minute=cleaned["minute"], second=0, microsecond=0)
    weekly = cleaned["schedule_type"] == Schedule.Cadence.WEEKLY
    if weekly:
        there += timedelta(days=(cleaned["weekday"] - there.weekday()) % 7)
    if there <= now:
        there += timedelta(days=7 if weekly else 1)
    due = there.astimezone(UTC)
    hourly = cleaned["schedule_type"] == Schedule.Cadence.HOURLY
    return {
        "weekday": due.weekday() if weekly else row.weekday,
        "hour": row.hour if hourly else due.hour,
        "minute": due.minute,
    }


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    """Schedules: the one register that can be changed."""

    form = ScheduleForm
    list_display = ["what", "how_often", "state", "last", "next"]
    ordering = ["name"]
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        """Return the schedules with how each ended the last time."""
        schedules: QuerySet[Schedule] = super().get_queryset(request)
        return schedules.annotate(latest_status=ScheduledRun.latest_status())

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the person may change schedules."""
        return access.may(request, Permission.VIEW) and access.may(request, Permission.MANAGE_SCHEDULES)

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Add what has to be known above the schedules: that all are off, or that they cannot be changed here."""
        may_change = self.has_change_permission(request)
        return {
            **super().context(request),
            "schedules_off": not self._started(),
            "to_change": ""
            if may_change
            else wording.missing_permission([_(DESCRIPTIONS[Permission.MANAGE_SCHEDULES])]),
        }

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        """Show what applies to the schedule; the fields only to people who may change it."""
        rehearsal = ["rehearsal"] if obj is not None and self.rehearsal(obj) else []
        shown = [
            (None, {"fields": ["does", "state", "how_often", "next_words", *rehearsal, "who"]}),
            (_("Last results"), {"fields": ["results"]}),
            for_it("name", "kept_in"),
        ]
        if obj is not None and self.has_change_permission(request, obj):
            shown.insert(1, (_("Change"), {"fields": list(APPLICABLE[obj.pk])}))
        return shown

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> list[str]:
        """Return all but the fields of the form."""
        return ["does", "state", "how_often", "next_words", "rehearsal", "who", "results", "name", "kept_in"]

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:  # noqa: FBT001  # Django's signature
        """Change the schedule through its service, which computes when it is next due."""
        before = Schedule.objects.using(access.database()).get(pk=obj.pk)
        changes = {
            name: value
            for name, value in form.cleaned_data.items()
            if name in _CHANGEABLE and value != getattr(before, name)
        }
        for permissions in to_change_schedule(obj.pk, changes, most=before.max_applications):
            access.require_permission(request, permissions)
        try:
            by = request.user.get_username()
            schedule_service.update(using=access.database(), name=obj.pk, by=by, changes=changes)
        except CleanupError as error:
            messages.error(request, str(error))

    def log_change(self, request: HttpRequest, obj: Schedule, message: Any) -> Any:
        """Leave an entry in the admin's log, in words."""
        access.log(request, obj, message)

    @admin.display(description=gettext_lazy("schedule"))
    def what(self, schedule: Schedule) -> str:
        return names.name_of(schedule)

    @admin.display(description=gettext_lazy("what it does"))
    def does(self, schedule: Schedule) -> str:
        return str(DOES[schedule.pk])

    @admin.display(description=gettext_lazy("how often"))
    def how_often(self, schedule: Schedule) -> str:
        return wording.cadence(schedule)

    @admin.display(description=gettext_lazy("state"))
    def state(self, schedule: Schedule) -> Any:
        failed = getattr(schedule, "latest_status", "") == ScheduledRun.Status.FAILED
        standing = {"enabled": schedule.enabled, "started": self._started(), "overdue": False, "failed": failed}
        return badges.badge(badges.schedule_level(**standing), wording.schedule_state(**standing))

    def _started(self) -> bool:
        return AutomationState.objects.using(access.database()).filter(started=True).exists()

    @admin.display(description=gettext_lazy("last"))
    def last(self, schedule: Schedule) -> str:
        return self.time(schedule.last_run) if schedule.last_run else _("never")

    @admin.display(description=gettext_lazy("last changed"))
    def who(self, schedule: Schedule) -> str:
        return wording.changed(schedule.changed_at, schedule.changed_by)

    @admin.display(description=gettext_lazy("next"))
    def next(self, schedule: Schedule) -> str:
        return wording.upcoming(schedule.next_run, now=timezone.now()) if schedule.next_run else "—"

    @admin.display(description=gettext_lazy("next"))
    def next_words(self, schedule: Schedule) -> Any:
        """Say when it runs next, or what has to be done first."""
        if schedule.next_run:
            return wording.upcoming(schedule.next_run, now=timezone.now())
        if not schedule.enabled:
            return _("Never, because it is switched off.")
        return _("Never, because all schedules are off.")

    @admin.display(description=gettext_lazy("first run"))
    def rehearsal(self, schedule: Schedule) -> str:
        if "dry_run_first" not in APPLICABLE[schedule.pk] or not schedule.dry_run_first:
            return ""
        if schedule.planned_at is None:
            return _("The next run only plans. It changes nothing; the one after it cleans up.")
        return _("The first run was planned on %s. Each run cleans up now.") % wording.moment_text(schedule.planned_at)

    @admin.display(description=gettext_lazy("time kept"))
    def kept_in(self, schedule: Schedule) -> str:
        return f"{schedule.schedule_type}, {schedule.hour:02}:{schedule.minute:02} UTC"

    @admin.display(description=gettext_lazy("last results"))
    def results(self, schedule: Schedule) -> Any:
        """List the last times that it was due, and what came of each."""
        rows = schedule.runs.using(access.database()).select_related("run", "check_done", "verification")
        lines = format_html_join("", "<li>{} {} {}</li>", map(self._result, rows.order_by("-id")[:MOST_RESULTS]))
        return format_html('<ul class="cleanup-list">{}</ul>', lines) if lines else _("It has not run yet.")

    def _result(self, row: ScheduledRun) -> tuple[Any, Any, Any]:
        words = str(STATES.get(row.status, row.get_status_display()))
        failed = row.run is not None and row.run.failed_applications > 0
        level = "attention" if failed else _LEVELS.get(row.status, "unknown")
        return self.time(row.started_at), badges.badge(level, words), self._outcome(row)

    def _outcome(self, row: ScheduledRun) -> SafeString | str:
        """Return the outcome in words, with a link to the details; what only IT can read, folded."""
        if row.run is not None:
            why = wording.capitalized(wording.stop_reason(row.run).what)
            how_far = f"{f'{why}.' if why else ''} {wording.run_progress(row.run)}"
            counted = numbers(row.run, site=self.admin_site.name)
            return format_html("{} {}. {} {}", how_far, counted, wording.run_outcome(row.run), self.link(row.run))
        if row.reason and row.status == ScheduledRun.Status.FAILED:
            return _failure(row.reason)
        if row.reason:
            return stored_texts.shown(row.reason)
        if row.check_done is not None:
            return format_html("{} {}", wording.last_check(row.check_done), self.link(row.check_done))
        if row.verification is not None:
            return format_html("{} {}", wording.last_verification(row.verification), self.link(row.verification))
        return _of_outcome(row)


def _failure(reason: str) -> SafeString | str:
    why = wording.failure_reason(reason)
    if not why.for_it:
        return why.what
    folded = "{} {}<details><summary>{}</summary><code>{}</code></details>"
    return format_html(folded, why.what, why.next_step, _("For IT"), why.for_it)


def _of_outcome(row: ScheduledRun) -> str:
    """Describe what is stored with the row itself: a plan, or what was removed."""
    if row.status == ScheduledRun.Status.PLANNED:
        number = row.outcome.get("successful_cleanups", 0)
        words = ngettext(
            "It would clean up %(number)s application and merge %(folders)s.",
            "It would clean up %(number)s applications and merge %(folders)s.",
            number,
        )
        folders = wording.counted(row.outcome.get("total_folders_removed", 0), "duplicate folder")
        return words % {"number": wording.number_text(number), "folders": folders}
    if "points" in row.outcome:
        number = row.outcome["points"]
        words = ngettext("%(number)s undo record removed.", "%(number)s undo records removed.", number)
        return words % {"number": wording.number_text(number)}
    return ""
