"""Register of runs, the page of one, and what can be done to it."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from cleanup import stored_texts
from cleanup.admin import access, badges, copy_notice, names, run_results, wording
from cleanup.admin.base import ReadOnlyAdmin, for_it, plain
from cleanup.admin.filters import dated, worded
from cleanup.admin.run_page import KINDS, live, may_control, numbers, undoable_until
from cleanup.admin.selection import Question, ask
from cleanup.models import Result, RollbackPoint, Run
from cleanup.permissions import CONTROLLING, Permission, to_control
from cleanup.services import folders
from cleanup.services.runs.signs_of_life import silent_for


def _address(site: access.OnSite, _request: HttpRequest, run_id: Any) -> str:
    return site.url("run_change", run_id)


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Runs: what was done, or is being done, over many applications."""

    list_display = ["when", "what", "about", "why", "state", "took", "progress", "who"]
    list_filter = [
        worded("kind", gettext_lazy("what"), KINDS),
        worded("status", gettext_lazy("state"), wording.RUN_STATUS),
        ("created_at", dated(gettext_lazy("date"))),
        worded("started_how", gettext_lazy("origin"), wording.HOW),
    ]
    date_hierarchy = "created_at"
    search_fields = ["id__iexact", "started_by__istartswith", "reason__icontains", "correlation_id__iexact"]
    search_help_text = gettext_lazy("Application (its name or its id), who started it, words of the reason, or the id")
    empty = gettext_lazy("No runs yet. Each cleanup and each undo is one.")
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "what",
                    "about",
                    "when",
                    "ended",
                    "took",
                    "who",
                    "why",
                    "undoes",
                    "undone_by",
                    "undo_records",
                ]
            },
        ),
        for_it("own_id", "correlation", "version"),
    ]

    own_id = plain("id", gettext_lazy("id"))
    correlation = plain("correlation_id", gettext_lazy("correlation id"))
    version = plain("code_version", gettext_lazy("code version"))

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of what can be done to a run."""
        site = self.admin_site
        return [
            access.page(site, "<uuid:run_id>/progress/", self.progress_view, "run_progress"),
            access.page(site, "<uuid:run_id>/pause/", self.pause_view, "run_pause"),
            access.page(site, "<uuid:run_id>/resume/", self.resume_view, "run_resume"),
            access.page(site, "<uuid:run_id>/cancel/", self.cancel_view, "run_cancel"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show a run, live while it is active."""
        run = self.get_object(request, object_id)
        extra: dict[str, Any] = {}
        if run is not None:
            shown = live(run, site=self.admin_site.name, silence=silent_for(using=access.database(), run=run))
            shown_results = run_results.first(run, site=self.admin_site.name)
            shown |= {
                "run_results": shown_results,
                "run_results_all": self.applications(run),
                "run_more_results": run.total_applications > len(shown_results),
                "run_causes": run_results.causes(run, site=self.admin_site.name),
                "run_again": self._again(shown_results),
            }
            extra = {"run": run, **shown, "may_control": may_control(request, run), **copy_notice.notice(request)}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def _again(self, rows: list[run_results.Row]) -> str:
        """Return the address of the new plans of the applications whose folders had changed since the person looked."""
        stale = [row for row in rows if row.again]
        if len(stale) == 1:
            return stale[0].again
        return self.url("clean_up", application=[row.key for row in stale]) if stale else ""

    @access.permission_required(Permission.VIEW)
    def progress_view(self, request: HttpRequest, run_id: Any) -> HttpResponse:
        """Return the part of a page that shows how far a run has come; the page polls it."""
        run = get_object_or_404(self.get_queryset(request), pk=run_id)
        shown = live(run, site=self.admin_site.name, silence=silent_for(using=access.database(), run=run))
        return render(request, "admin/cleanup/followed.html", {"run": run, **shown})

    @access.action(*CONTROLLING, back=_address)
    def pause_view(self, request: HttpRequest, run_id: Any) -> HttpResponse:
        """Ask the run to pause after its batch."""
        run = get_object_or_404(self.get_queryset(request), pk=run_id)
        access.require_permission(request, to_control(run))
        if access.attempt(request, lambda: access.service().pause(run.pk, by=request.user.get_username())) is not None:
            access.log(request, run, gettext_noop("Paused the run."))
            messages.success(request, _("It will pause as soon as the work it has begun is finished."))
        return redirect(self.url("run_change", run.pk))

    @access.action(*CONTROLLING, back=_address)
    def resume_view(self, request: HttpRequest, run_id: Any) -> HttpResponse:
        """Resume a run, and retry its failures if the person asks for that."""
        run = get_object_or_404(self.get_queryset(request), pk=run_id)
        access.require_permission(request, to_control(run))
        retry = bool(request.POST.get("retry_failed"))
        by = request.user.get_username()
        if (
            access.attempt(request, lambda: access.service().start_resume(run.pk, retry_failed=retry, started_by=by))
            is not None
        ):
            access.log(request, run, _resumed(run.status_reason))
            messages.success(request, _("The run was resumed."))
        return redirect(self.url("run_change", run.pk))

    @access.permission_required(*CONTROLLING)
    def cancel_view(self, request: HttpRequest, run_id: Any) -> HttpResponse:
        """End the run for good, when confirmed; what it has done stays done."""
        run = get_object_or_404(self.get_queryset(request), pk=run_id)
        access.require_permission(request, to_control(run))
        if request.method != "POST":
            return self._ask_to_cancel(request, run)
        if access.attempt(request, lambda: access.service().cancel(run.pk, by=request.user.get_username())) is not None:
            access.log(request, run, gettext_noop("Cancelled the run."))
            undoable = undoable_until(self.get_queryset(request).get(pk=run.pk))
            messages.success(
                request,
                _("The run was cancelled. What it has done stays done, and can be undone.")
                if undoable
                else _("The run was cancelled. What it has done stays done."),
            )
        return redirect(self.url("run_change", run.pk))

    def _ask_to_cancel(self, request: HttpRequest, run: Run) -> HttpResponse:
        stays = (
            _("What it has cleaned up stays so, and can be undone.")
            if run.kind == Run.Kind.CLEANUP
            else _("What it has done stays done.")
        )
        question = Question(
            title=_("Cancel this run for good?"),
            sentence=" ".join(
                [
                    f"{names.name_of(run)}: {wording.run_progress(run, silent=True)}",
                    stays,
                    _("A cancelled run cannot be resumed. To stop it for a while, pause it instead."),
                ]
            ),
            button=_("Cancel this run"),
            danger=True,
        )
        return ask(self, request, question, back=self.url("run_change", run.pk), section="run")

    @admin.display(description=gettext_lazy("started"), ordering="created_at")
    def when(self, run: Run) -> str:
        return self.time(run.started_at or run.created_at)

    @admin.display(description=gettext_lazy("ended"))
    def ended(self, run: Run) -> str:
        return self.time(run.ended_at)

    @admin.display(description=gettext_lazy("what"), ordering="kind")
    def what(self, run: Run) -> str:
        return str(KINDS[Run.Kind(run.kind)])

    @admin.display(description=gettext_lazy("application"))
    def about(self, run: Run) -> Any:
        """Name the application if it is one alone; otherwise count them."""
        if key := self.application_of(run):
            return self.application(run, key)
        return self.list_link(Result, wording.counted(run.total_applications, "application"), run__id__exact=run.pk)

    @admin.display(description=gettext_lazy("duration"))
    def took(self, run: Run) -> str:
        return wording.run_duration(run) or "—"

    def application_of(self, run: Run) -> str:
        """Return the run's application if it is one alone."""
        return getattr(run, "only_application", "")

    def name_applications(self, rows: Iterable[Run]) -> None:
        """Find the applications of those runs that have one each."""
        alone = {run.pk: run for run in rows if run.total_applications == 1}
        found = Result.objects.using(access.database()).filter(run__in=alone).values_list("run_id", "application_key")
        for run_id, key in found:
            alone[run_id].only_application = key  # type: ignore[attr-defined]
        super().name_applications(alone.values())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Run], search_term: str
    ) -> tuple[QuerySet[Run], bool]:
        """Search by applications, too."""
        found, distinct = super().get_search_results(request, queryset, search_term)
        if not search_term:
            return found, distinct
        keys = folders.applications.find(using=access.database(), text=search_term)
        results = Result.objects.using(access.database()).filter(application_key__in=keys)
        return found | queryset.filter(pk__in=results.values("run_id")), distinct

    @admin.display(description=gettext_lazy("state"), ordering="status")
    def state(self, run: Run) -> Any:
        reason = f" ({why})" if (why := wording.stop_reason(run).what) else ""
        waiting = "; " + _("waiting: %s") % stored_texts.shown(run.waiting_for) if run.waiting_for else ""
        level = badges.run_level(run.status, failed=run.failed_applications)
        return badges.badge(level, f"{wording.run_status(run.status)}{reason}{waiting}")

    @admin.display(description=gettext_lazy("what it changed"))
    def progress(self, run: Run) -> Any:
        counted = numbers(run, site=self.admin_site.name)
        return format_html("{}<br>{}<br>{}", wording.run_progress(run), counted, wording.run_outcome(run))

    def get_fieldsets(self, request: HttpRequest, obj: Run | None = None) -> Any:
        """Leave out what there is nothing to show of."""
        (heading, options), *others = super().get_fieldsets(request, obj)
        if obj is None:
            return [(heading, options), *others]
        undo = obj.kind == Run.Kind.ROLLBACK
        absent = {
            "ended": obj.ended_at is None,
            "took": obj.ended_at is None,
            "why": not obj.reason,
            "undoes": not undo,
            "undone_by": undo or not obj.rollbacks.exists(),
            "undo_records": undo,
        }
        fields = [name for name in options["fields"] if not absent.get(str(name))]
        return [(heading, {**options, "fields": fields}), *others]

    @admin.display(description=gettext_lazy("started by"))
    def who(self, run: Run) -> str:
        return wording.started(run.started_by, run.started_how)

    @admin.display(description=gettext_lazy("reason"))
    def why(self, run: Run) -> str:
        return stored_texts.shown(run.reason) or "—"

    @admin.display(description=gettext_lazy("undoes"))
    def undoes(self, run: Run) -> str:
        if run.source_run is None and run.kind == Run.Kind.ROLLBACK:
            first = run.results.select_related("point__run").first()
            point = first.point if first else None
            label = getattr(run, "application_label", "")
            return self.link(point, names.name_of(point, label=label) if point else "")
        return self.link(run.source_run)

    @admin.display(description=gettext_lazy("undone by"))
    def undone_by(self, run: Run) -> str:
        number = run.rollbacks.count()
        text = wording.counted(number, "undo")
        return self.list_link(Run, text, source_run__id__exact=run.pk) if number else "—"

    @admin.display(description=gettext_lazy("applications"))
    def applications(self, run: Run) -> str:
        text = _("All results of this run (%s)") % wording.number_text(run.total_applications)
        return self.list_link(Result, text, run__id__exact=run.pk)

    @admin.display(description=gettext_lazy("undo records"))
    def undo_records(self, run: Run) -> str:
        return self.list_link(RollbackPoint, _("undo records of this run"), run__id__exact=run.pk)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the links between registers."""
        return lookup == "source_run__id__exact" or super().lookup_allowed(lookup, value, request)


def _resumed(reason: str) -> str:
    """Return what the log says; the run itself no longer knows why it had stopped."""
    if not reason:
        return gettext_noop("Resumed the run.")
    return gettext_noop("Resumed the run. It had stopped: %(reason)s") % {"reason": reason}
