"""Register of results: what a run came to, application by application."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cleanup.admin import access, badges, conflicts, refusals, run_results, wording
from cleanup.admin.base import for_it, plain
from cleanup.admin.filters import dated
from cleanup.admin.undo_several import UndoableAdmin
from cleanup.models import Result, RollbackPoint, Run
from cleanup.text_safety import safe


class ResultState(admin.SimpleListFilter):
    """Results by state; those that need a person have an index of their own."""

    title = gettext_lazy("state")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the states in the words of the screens."""
        states = [(status.value, wording.result_status(status)) for status in Result.Status]
        return [(wording.DONE, _("done, even if undone since")), *states]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Result]) -> QuerySet[Result]:
        """Return the results in the chosen state."""
        if self.value() == wording.DONE:
            return queryset.filter(status__in=[Result.Status.COMPLETED, Result.Status.ROLLED_BACK])
        return queryset.filter(status=self.value()) if self.value() in Result.Status.values else queryset


@admin.register(Result)
class ResultAdmin(UndoableAdmin):
    """Results: the outcome for one application in one run."""

    list_display = ["who", "state", "outcome", "why", "of_run", "undo_record", "when"]
    list_display_links = ["state"]
    list_filter = [ResultState, ("run__created_at", dated(gettext_lazy("date of the run")))]
    list_select_related = ["run", "point"]
    ordering = ["-id"]
    sortable_by = ()
    application_field = "application_key"
    search_help_text = gettext_lazy("Application: its name or its id")
    empty = gettext_lazy("No results yet. Each cleanup and each undo has one for each application.")
    fieldsets = [
        (None, {"fields": ["who", "state", "outcome", "why", "next_step", "of_run", "undo_record", "when"]}),
        (gettext_lazy("Left as it is now (changed by people)"), {"fields": ["kept", "copies"]}),
        for_it("message", "code", "manual"),
    ]
    code = plain("error_code", gettext_lazy("error code"))

    def get_fieldsets(self, request: HttpRequest, obj: Result | None = None) -> Any:
        """Leave out what only an undo keeps, where nothing was kept."""
        first, kept, *others = super().get_fieldsets(request, obj)
        has_kept = obj is not None and (obj.details.get("conflicts") or obj.details.get("copies"))
        return [first, kept, *others] if has_kept else [first, *others]

    def selectable(self, rows: QuerySet[Result]) -> QuerySet[Result]:
        """Return those of cleanups that can be undone."""
        return rows.filter(run__kind__in=Run.UNDOABLE, point__status=RollbackPoint.Status.LIVE)

    def point_of(self, row: Result) -> RollbackPoint | None:
        """Return the undo record of a cleanup's result."""
        return row.point if row.run.kind in Run.UNDOABLE else None

    @admin.display(description=gettext_lazy("application"))
    def who(self, result: Result) -> str:
        return self.application(result, result.application_key)

    @admin.display(description=gettext_lazy("state"))
    def state(self, result: Result) -> Any:
        return badges.badge(badges.RESULTS.get(result.status, "unknown"), wording.result_status(result.status))

    @admin.display(description=gettext_lazy("what it changed"))
    def outcome(self, result: Result) -> str:
        return wording.result_outcome(result) or "—"

    @admin.display(description=gettext_lazy("why"))
    def why(self, result: Result) -> str:
        return refusals.advice(result.error_code).what if result.error_code else "—"

    @admin.display(description=gettext_lazy("next step"))
    def next_step(self, result: Result) -> str:
        if not result.error_code:
            return "—"
        step, again = refusals.advice(result.error_code).next_step, run_results.again(result, site=self.admin_site.name)
        return format_html('{} <a href="{}">{}</a>', step, again, _("See the new preview")) if again else step

    @admin.display(description=gettext_lazy("manual"))
    def manual(self, result: Result) -> str:
        return access.manual_link(self.admin_site.name, result.error_code) or "—"

    @admin.display(description=gettext_lazy("left as it is now (changed by people)"))
    def kept(self, result: Result) -> str:
        return conflicts.shown(result.details.get("conflicts", ()))

    @admin.display(description=gettext_lazy("came back as copies"))
    def copies(self, result: Result) -> str:
        return conflicts.copies(result.details.get("copies", ()))

    @admin.display(description=gettext_lazy("message"))
    def message(self, result: Result) -> str:
        return safe(result.error_message) or "—"

    @admin.display(description=gettext_lazy("run"))
    def of_run(self, result: Result) -> str:
        return self.link(result.run)

    @admin.display(description=gettext_lazy("undo record"))
    def undo_record(self, result: Result) -> str:
        return self.link(result.point, wording.point_status(result.point)) if result.point else "—"

    @admin.display(description=gettext_lazy("ended"))
    def when(self, result: Result) -> str:
        return self.time(result.ended_at)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the links between registers."""
        return lookup == "run__id__exact" or super().lookup_allowed(lookup, value, request)
