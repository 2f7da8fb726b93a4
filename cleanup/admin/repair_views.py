"""From a problem to its repair: the preview in sentences, the confirmation, and decisions about names.

Invariant: nothing starts that was not shown. A confirmation carries the hash of each plan; if one has changed by the
time that it is carried out, that application is left as it is.
"""

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext as _

from cleanup import conf
from cleanup.admin import access, obstacles, refusals, wording
from cleanup.admin.access import Pages, page
from cleanup.exceptions import CleanupError, UnknownObject
from cleanup.permissions import CLEANING, Permission, to_clean_up
from cleanup.services.folders import applications
from cleanup.services.operations import repairs
from cleanup.services.repair.kinds import NAMES, REPAIRABLE
from cleanup.services.results import ProposedGroup, RepairReport
from cleanup.services.runs.lifecycle import Actor, Options
from cleanup.text_safety import safe


class RepairPages(Pages):
    """The preview of a repair, and the names that look the same in an application."""

    section = "decisions"

    def urls(self) -> list[URLPattern]:
        """Return the addresses."""
        site = self.admin_site
        return [
            page(site, "repairs/<str:code>/", self.repair, "repair"),
            page(site, "names/<str:key>/", self.names, "names"),
        ]

    @access.permission_required(Permission.VIEW)
    def repair(self, request: HttpRequest, code: str) -> HttpResponse:
        """Show what a repair would change, and start it when confirmed."""
        if code not in REPAIRABLE:
            raise Http404
        named = request.POST.getlist("application") or request.GET.getlist("application")
        options = Options(tuple(named) or None, repair=code)
        if request.method == "POST":
            access.require_permission(request, to_clean_up(named=bool(named), most=None))
            return self._start(request, options)
        using = access.database()
        report = access.attempt(request, lambda: repairs.dry_run(using=using, options=options))
        if report is None:
            return redirect(self.url("finding_changelist"))
        return self._preview(request, code, report, named=named)

    def _preview(self, request: HttpRequest, code: str, report: RepairReport, *, named: list[str]) -> HttpResponse:
        keys = [result.application_id for result in report.results]
        labels = applications.labels(using=access.database(), application_ids=keys)
        return self.render(
            request,
            "repair",
            title=_("Repair: %(problem)s") % {"problem": wording.finding(code)},
            number=report.findings_repaired,
            totals=wording.repair_totals(report),
            changes=[safe(change.sentence) for change in report.changes],
            changes_left_out=report.changes_left_out,
            aside=[
                {"name": safe(labels.get(result.application_id, "") or result.application_id), "why": _why(result)}
                for result in report.results
                if result.error_code
            ],
            left=[safe(one.sentence) for one in report.not_repaired],
            left_out=report.not_repaired_left_out,
            named=named,
            hashes=[
                {"key": result.application_id, "hash": result.details["plan_hash"]}
                for result in report.results
                if "plan_hash" in result.details
            ],
            may_start=any(access.may(request, one) for one in to_clean_up(named=bool(named), most=None)),
            in_the_way=obstacles.to_undos(request) if report.findings_repaired else {},
            undo=wording.undo_for(conf.rollback_days(), now=timezone.now()),
            command=f"manage.py database_cleanup --repair {code}",
        )

    def _start(self, request: HttpRequest, options: Options) -> HttpResponse:
        keys, hashes = request.POST.getlist("planned"), request.POST.getlist("plan_hash")
        options = Options(
            options.applications, repair=options.repair, plan_hashes=dict(zip(keys, hashes, strict=False))
        )
        actor = Actor(request.user.get_username(), "admin", request.POST.get("reason", ""))
        using = access.database()
        run = access.attempt(request, lambda: repairs.start(using=using, options=options, actor=actor))
        if run is None:
            return redirect(self.url("finding_changelist"))
        access.log(request, run, "Started a repair.")
        messages.success(request, _("The repair has started. This page follows it."))
        return redirect(self.url("run_change", run.pk))

    @access.permission_required(Permission.VIEW)
    def names(self, request: HttpRequest, key: str) -> HttpResponse:
        """Show folders whose names look the same, and let a person decide whether they become one."""
        application = unquote(key)
        if request.method == "POST":
            access.require_permission(request, CLEANING)
            return self._decide(request, application)
        try:
            groups = repairs.name_groups(using=access.database(), application_id=application)
        except UnknownObject:
            raise Http404 from None
        except CleanupError as error:
            access.refused(request, error)
            return redirect(self.url("finding_changelist"))
        label = applications.labels(using=access.database(), application_ids=[application]).get(application, "")
        return self.render(
            request,
            "names",
            title=_("Names that look the same: %(application)s") % {"application": safe(label or application)},
            groups=[_group(group) for group in groups],
            repair=self.url("repair", NAMES, application=application),
            approved=any(group.decision == "approved" for group in groups),
        )

    def _decide(self, request: HttpRequest, application: str) -> HttpResponse:
        approve = request.POST.get("decision") == "approved"
        folder = request.POST.get("folder", "")
        stays = approve and bool(request.POST.get("stays"))
        decided = access.attempt(
            request,
            lambda: repairs.decide_names(
                using=access.database(),
                application_id=application,
                folder_id=request.POST["stays"] if stays else folder,
                approve=approve,
                stays=stays,
                decided_by=request.user.get_username(),
            ),
        )
        if decided is not None:
            messages.success(request, _("Approved.") if approve else _("Dismissed: this is no problem any more."))
        return redirect(self.url("names", quote(application)))


def _why(result: Any) -> str:
    return refusals.advice(result.error_code).what


def _group(group: ProposedGroup) -> dict[str, Any]:
    """Return a group for the page."""
    decided = {"approved": _("Approved"), "dismissed": _("Dismissed")}
    return {
        "first": group.folders[0].folder_id,
        "decision": decided.get(group.decision, ""),
        "folders": [
            {
                "key": folder.folder_id,
                "name": wording.folder_name(folder.name),
                "holds": wording.holds(folder.files, folder.linked_records),
            }
            for folder in group.folders
        ],
    }
