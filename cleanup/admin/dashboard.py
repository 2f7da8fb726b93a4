"""The actions behind the overview's buttons."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from cleanup.admin import access, overview_content, wording
from cleanup.admin.access import Pages, page
from cleanup.models import FreezeSwitch
from cleanup.permissions import Permission, to_adopt
from cleanup.services import AutomatedCleanupService, origin
from cleanup.services.monitoring import dashboard


class DashboardPages(Pages):
    """The actions behind the overview's buttons."""

    def urls(self) -> list[URLPattern]:
        """Return the addresses; the overview itself is the app's index."""
        site = self.admin_site
        return [
            page(site, "now/", self.now_view, "now"),
            page(site, "check/", self.check_view, "check"),
            page(site, "verify/", self.verify_view, "verify"),
            page(site, "stop-everything/", self.freeze_view, "freeze"),
            page(site, "resume-everything/", self.unfreeze_view, "unfreeze"),
            page(site, "start-service/", self.start_view, "start_service"),
            page(site, "stop-service/", self.stop_view, "stop_service"),
            page(site, "adopt/", self.adopt_view, "adopt"),
        ]

    @access.permission_required(Permission.VIEW)
    def now_view(self, request: HttpRequest) -> HttpResponse:
        """Return what changes on the overview while something runs; the page polls it."""
        return render(request, "admin/cleanup/now.html", overview_content.now(request))

    @access.action(Permission.CHECK)
    def check_view(self, request: HttpRequest) -> HttpResponse:
        """Have a cluster count the duplicates."""
        check = access.attempt(request, lambda: access.service().start_check(**access.actor(request)))
        if check is not None:
            access.log(request, check, gettext_noop("Started a check."))
            messages.success(request, _("The check has started. Its result will appear on this page."))
        return redirect(self.url(access.OVERVIEW))

    @access.action(Permission.CHECK)
    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """Have a cluster verify the database."""
        by = request.user.get_username()
        verification = access.attempt(request, lambda: access.service().start_verification(started_by=by))
        if verification is not None:
            access.log(request, verification, gettext_noop("Started a verification."))
            messages.success(request, _("The verification has started. Its result will appear on this page."))
        return redirect(self.url(access.OVERVIEW))

    @access.action(Permission.FREEZE)
    def freeze_view(self, request: HttpRequest) -> HttpResponse:
        """Stop everything."""
        reason = request.POST.get("reason", "").strip() or gettext_noop("stopped in the admin")
        access.service().freeze(reason=reason, changed_by=request.user.get_username())
        access.log(request, FreezeSwitch(pk=1, frozen=True), gettext_noop("Stopped everything."))
        messages.warning(request, _("Everything is stopped. Work in progress will be finished; nothing new starts."))
        return redirect(self.url(access.OVERVIEW))

    @access.action(Permission.FREEZE)
    def unfreeze_view(self, request: HttpRequest) -> HttpResponse:
        """Allow cleanups again."""
        access.service().unfreeze(changed_by=request.user.get_username())
        access.log(request, FreezeSwitch(pk=1), gettext_noop("Allowed cleanups again."))
        messages.success(request, wording.unfrozen(paused=dashboard.paused_runs(using=access.database())))
        return redirect(self.url(access.OVERVIEW))

    @access.action(Permission.MANAGE_SCHEDULES)
    def start_view(self, request: HttpRequest) -> HttpResponse:
        """Let the schedules fire."""
        by = request.user.get_username()
        service = AutomatedCleanupService(using=access.database())
        if access.attempt(request, lambda: service.start_automated_service(started_by=by)) is not None:
            access.log(request, FreezeSwitch(pk=1), gettext_noop("Started the schedules."))
            messages.success(request, _("The schedules are on."))
        return redirect(self.url(access.OVERVIEW))

    @access.action(Permission.MANAGE_SCHEDULES)
    def stop_view(self, request: HttpRequest) -> HttpResponse:
        """Let no schedule fire."""
        AutomatedCleanupService(using=access.database()).stop_automated_service(stopped_by=request.user.get_username())
        access.log(request, FreezeSwitch(pk=1), gettext_noop("Stopped the schedules."))
        messages.success(request, _("The schedules are off. Work that has begun will be finished."))
        return redirect(self.url(access.OVERVIEW))

    @access.action(Permission.MANAGE_SCHEDULES)
    def adopt_view(self, request: HttpRequest) -> HttpResponse:
        """Allow work in a copy as in its original."""
        for permissions in to_adopt(origin.interrupted(using=access.database())):
            access.require_permission(request, permissions)
        by = request.user.get_username()
        AutomatedCleanupService(using=access.database()).adopt_database(adopted_by=by)
        access.log(request, FreezeSwitch(pk=1), gettext_noop("Adopted this copy of the database."))
        messages.success(request, _("The copy was adopted. Schedules and interrupted runs work here from now on."))
        return redirect(self.url(access.OVERVIEW))
