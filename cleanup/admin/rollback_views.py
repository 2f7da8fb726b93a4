"""Undo: a confirmation that says what comes back and what people have changed since, then the start of the undo."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from cleanup import conf
from cleanup.admin import access, obstacles, refusals, wording
from cleanup.admin.access import Pages, page
from cleanup.admin.conflicts import described
from cleanup.exceptions import CleanupError, TooLargeToPreview
from cleanup.models import Result, RollbackPoint, Run
from cleanup.permissions import Permission
from cleanup.services.folders import applications
from cleanup.services.operations import previews, requests
from cleanup.services.results import RollbackResult
from cleanup.text_safety import safe

#: Undo records of a run that a confirmation examines one by one; if there are more, it shows the totals.
MOST_LOOKED_INTO = 20

#: What the admin's log says, by whether what people have changed since is kept, and whether copies are made.
_LOGGED = {
    (False, False): gettext_noop("Started the undo."),
    (False, True): gettext_noop("Started the undo as copies."),
    (True, False): gettext_noop("Started the undo keeping what people have changed since."),
    (True, True): gettext_noop("Started the undo keeping what people have changed since as copies."),
}


class UndoPages(Pages):
    """The confirmations behind the undo buttons of run, result and undo record."""

    section = "rollbackpoint"

    def urls(self) -> list[URLPattern]:
        """Return the addresses."""
        site = self.admin_site
        return [
            page(site, "undo/run/<uuid:run_id>/", self.run, "undo_run"),
            page(site, "undo/result/<int:result_id>/", self.result, "undo_result"),
            page(site, "undo/record/<int:point_id>/", self.record, "undo_record"),
            page(site, "undo/script/<uuid:rollback_id>/", self.script, "undo_script"),
        ]

    @access.permission_required(Permission.ROLL_BACK)
    def run(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        """Undo all that a run has done."""
        run = get_object_or_404(Run.objects.using(access.database()), pk=run_id, kind__in=Run.UNDOABLE)
        back = self.url("run_change", run.pk)
        if request.method == "POST":
            return self._start(request, run, run.pk, back)
        undo = previews.of_run(using=access.database(), run=run, listed=MOST_LOOKED_INTO)
        lost = wording.not_restored(undo.expired, [safe(name) for name in undo.expired_applications])
        repair = run.kind == Run.Kind.REPAIR
        what = _everything_of(run, undo.points)
        if undo.points > MOST_LOOKED_INTO:
            known = [
                wording.folders_come_back(undo.folders),
                *([wording.files_go_back(undo.files)] if conf.has_files() else []),
                _("If people have changed something since, the application is left as it is, and listed."),
            ]
            return self._page(
                request, what, " ".join(known), None, back, rollback_id=run.pk, not_restored=lost, held=not repair
            )
        return self._looked_into(request, what, run.pk, back, not_restored=lost, held=not repair)

    @access.permission_required(Permission.ROLL_BACK)
    def result(self, request: HttpRequest, result_id: int) -> HttpResponse:
        """Undo one application of a run."""
        result = get_object_or_404(
            Result.objects.using(access.database()).select_related("point"), pk=result_id, run__kind__in=Run.UNDOABLE
        )
        if result.point is None:
            raise Http404
        return self._record(request, result.point, self.url("result_change", result.pk))

    @access.permission_required(Permission.ROLL_BACK)
    def record(self, request: HttpRequest, point_id: int) -> HttpResponse:
        """Undo what an undo record holds."""
        point = get_object_or_404(RollbackPoint.objects.using(access.database()), pk=point_id)
        return self._record(request, point, self.url("rollbackpoint_change", point.pk))

    @access.permission_required(Permission.ROLL_BACK)
    def script(self, request: HttpRequest, rollback_id: UUID) -> HttpResponseBase:
        """Download the undo of a run or an undo record as a script."""
        using = access.database()
        file = access.attempt(request, lambda: requests.undo_script(using=using, rollback_id=rollback_id))
        if file is not None:
            return FileResponse(file, as_attachment=True, filename=f"undo-{rollback_id}.sql")
        is_run = Run.objects.using(using).filter(pk=rollback_id).exists()
        return redirect(self.url("run_change", rollback_id) if is_run else self.url("rollbackpoint_changelist"))

    def _record(self, request: HttpRequest, point: RollbackPoint, back: str) -> HttpResponse:
        if request.method == "POST":
            return self._start(request, point, point.uuid, back)
        held = point.kind != RollbackPoint.Kind.REPAIR
        return self._looked_into(request, _work_on_application(point), point.uuid, back, held=held)

    def _looked_into(
        self, request: HttpRequest, what: str, rollback_id: UUID, back: str, *, not_restored: str = "", held: bool
    ) -> HttpResponse:
        try:
            found = requests.preview_rollback(using=access.database(), rollback_id=rollback_id)
        except TooLargeToPreview:
            too_large = str(refusals.TOO_LARGE_TO_LOOK_INTO)
            return self._page(
                request, what, too_large, None, back, rollback_id=rollback_id, not_restored=not_restored, held=held
            )
        except CleanupError as error:
            guarded = error.code == "guarded"
            return self._page(
                request,
                what,
                refusals.refusal(error),
                None,
                back,
                rollback_id=rollback_id,
                refusal="" if guarded else safe(str(error)),
                guarded=guarded,
                not_restored=not_restored,
                held=held,
            )
        effects = wording.restored_text(
            found.folders_restored, found.files_restored, found.references_restored, found.folders_moved_back
        )
        return self._page(
            request, what, effects, found, back, rollback_id=rollback_id, not_restored=not_restored, held=held
        )

    def _page(
        self,
        request: HttpRequest,
        what: str,
        effects: str,
        found: RollbackResult | None,
        back: str,
        *,
        rollback_id: UUID,
        refusal: str = "",
        guarded: bool = False,
        not_restored: str = "",
        held: bool,
    ) -> HttpResponse:
        # A preview is false: it has not rolled anything back.
        conflicts = described([conflict.as_json() for conflict in found.conflicts]) if found is not None else []
        return self.render(
            request,
            "undo",
            title=_("Undo %s?") % what,
            effects=effects,
            left_as_it_is=wording.left_as_it_is(len(conflicts) + found.conflicts_left_out) if found is not None else "",
            not_restored=not_restored,
            not_compared=wording.not_compared(found.inexact) if found is not None else "",
            conflicts=conflicts,
            conflicts_left_out=found.conflicts_left_out if found is not None else 0,
            unknown=found is None and not refusal and not guarded,
            refusal=refusal,
            guarded=guarded,
            held=held,
            back=back,
            script=self.url("undo_script", rollback_id),
            command=f"manage.py database_cleanup --export-undo {rollback_id}",
            reason=request.GET.get("reason", ""),
            in_the_way=obstacles.to_undos(request),
        )

    def _start(self, request: HttpRequest, target: Any, rollback_id: UUID, back: str) -> HttpResponse:
        skip, copies = bool(request.POST.get("skip_conflicts")), bool(request.POST.get("as_copies"))
        run = access.attempt(
            request,
            lambda: access.service().start_rollback(
                rollback_id,
                skip_conflicts=skip,
                as_copies=copies,
                reason=request.POST.get("reason", ""),
                **access.actor(request),
            ),
        )
        if run is None:
            return redirect(back)
        access.log(request, target, _LOGGED[skip, copies])
        messages.success(request, _("The undo has started. This page follows it."))
        return redirect(self.url("run_change", run.pk))


def _everything_of(run: Run, number: int) -> str:
    """Name what undoing a run undoes: by its application if there is one alone, else by their number."""
    live = RollbackPoint.objects.using(access.database()).filter(run=run, status=RollbackPoint.Status.LIVE)
    point = live.first() if number == 1 else None
    if point is not None:
        return _work_on_application(point)
    if run.kind == Run.Kind.REPAIR:
        words = ngettext(
            "everything that this repair of %(number)s application changed",
            "everything that this repair of %(number)s applications changed",
            number,
        )
    else:
        words = ngettext(
            "everything that this cleanup of %(number)s application changed",
            "everything that this cleanup of %(number)s applications changed",
            number,
        )
    return words % {"number": wording.number_text(number)}


def _work_on_application(point: RollbackPoint) -> str:
    labels = applications.labels(using=access.database(), application_ids=[point.application_key])
    what = _("the repair of %s") if point.kind == RollbackPoint.Kind.REPAIR else _("the cleanup of %s")
    return what % safe(labels.get(point.application_key, "") or point.application_key)
