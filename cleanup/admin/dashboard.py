"""The cleanup page, and the actions behind its buttons."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern
from django.utils import timezone

from cleanup.admin import access, badges, copy_notice, wording
from cleanup.admin.access import Pages, page
from cleanup.admin.base import MOST_LISTED
from cleanup.admin.chart import chart
from cleanup.admin.headline import Standing, copied_health, health
from cleanup.admin.runs import live, may_control, numbers
from cleanup.models import Alert, FreezeSwitch, Run, Schedule
from cleanup.permissions import Permission, to_adopt
from cleanup.services import AutomatedCleanupService, origin
from cleanup.services.monitoring import dashboard
from cleanup.text_safety import safe

HOME = "admin:cleanup_freezeswitch_changelist"


class DashboardPages(Pages):
    """The cleanup page and the actions behind its buttons."""

    section = "freezeswitch"

    def urls(self) -> list[URLPattern]:
        """Return the addresses of the actions; the page itself is where the register would be."""
        return [
            page(self.site, "now/", self.now_view, "now"),
            page(self.site, "check/", self.check_view, "check"),
            page(self.site, "verify/", self.verify_view, "verify"),
            page(self.site, "stop-everything/", self.freeze_view, "freeze"),
            page(self.site, "let-it-go-on/", self.unfreeze_view, "unfreeze"),
            page(self.site, "start-service/", self.start_view, "start_service"),
            page(self.site, "stop-service/", self.stop_view, "stop_service"),
            page(self.site, "adopt/", self.adopt_view, "adopt"),
        ]

    @access.permission_required(Permission.VIEW)
    def overview(self, request: HttpRequest, **context: Any) -> HttpResponse:
        """Show how things are."""
        found = dashboard.overview(using=access.database())
        return self.render(
            request,
            "overview",
            title="Cleanup",
            most_listed=MOST_LISTED,
            **_shown(found),
            **copy_notice.notice_of(request, found.copied),
            may_control=found.active is not None and may_control(request, found.active),
            **context,
        )

    @access.permission_required(Permission.VIEW)
    def now_view(self, request: HttpRequest) -> HttpResponse:
        """Return what changes on the cleanup page while something runs; the page polls it."""
        found = dashboard.overview(using=access.database())
        return render(request, "admin/cleanup/now.html", _shown(found))

    @access.action(Permission.CHECK)
    def check_view(self, request: HttpRequest) -> HttpResponse:
        """Have a cluster count the duplicates."""
        check = access.attempt(request, lambda: access.service().start_check(**access.actor(request)))
        if check is not None:
            access.log(request, check, "Started a check.")
            messages.success(request, "The check has started. Its result will appear on this page.")
        return redirect(HOME)

    @access.action(Permission.CHECK)
    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """Have a cluster verify the database."""
        by = request.user.get_username()
        verification = access.attempt(request, lambda: access.service().start_verification(started_by=by))
        if verification is not None:
            access.log(request, verification, "Started a verification.")
            messages.success(request, "The verification has started. Its result will appear on this page.")
        return redirect(HOME)

    @access.action(Permission.FREEZE)
    def freeze_view(self, request: HttpRequest) -> HttpResponse:
        """Stop everything."""
        reason = request.POST.get("reason", "").strip() or "stopped in the admin"
        access.service().freeze(reason=reason, changed_by=request.user.get_username())
        access.log(request, FreezeSwitch(pk=1, frozen=True), "Stopped everything.")
        messages.warning(request, "Everything is stopped. Work in progress will be finished; nothing new starts.")
        return redirect(HOME)

    @access.action(Permission.FREEZE)
    def unfreeze_view(self, request: HttpRequest) -> HttpResponse:
        """Allow cleanups again."""
        access.service().unfreeze(changed_by=request.user.get_username())
        access.log(request, FreezeSwitch(pk=1), "Allowed cleanups again.")
        messages.success(request, "Cleanups are allowed again.")
        return redirect(HOME)

    @access.action(Permission.MANAGE_SCHEDULES)
    def start_view(self, request: HttpRequest) -> HttpResponse:
        """Let the schedules fire."""
        by = request.user.get_username()
        service = AutomatedCleanupService(using=access.database())
        if access.attempt(request, lambda: service.start_automated_service(started_by=by)) is not None:
            access.log(request, FreezeSwitch(pk=1), "Started the schedules.")
            messages.success(request, "The schedules are on.")
        return redirect(HOME)

    @access.action(Permission.MANAGE_SCHEDULES)
    def stop_view(self, request: HttpRequest) -> HttpResponse:
        """Let no schedule fire."""
        AutomatedCleanupService(using=access.database()).stop_automated_service(stopped_by=request.user.get_username())
        access.log(request, FreezeSwitch(pk=1), "Stopped the schedules.")
        messages.success(request, "The schedules are off. Work that has begun will be finished.")
        return redirect(HOME)

    @access.action(Permission.MANAGE_SCHEDULES)
    def adopt_view(self, request: HttpRequest) -> HttpResponse:
        """Allow work in a copy as in its original."""
        for permissions in to_adopt(origin.interrupted(using=access.database())):
            access.require_permission(request, permissions)
        by = request.user.get_username()
        AutomatedCleanupService(using=access.database()).adopt_database(adopted_by=by)
        access.log(request, FreezeSwitch(pk=1), "Adopted this copy of the database.")
        messages.success(request, "The copy was adopted. Schedules and interrupted runs work here from now on.")
        return redirect(HOME)


def _shown(found: dashboard.Overview) -> dict[str, Any]:
    verification, known = found.verification, found.knowledge
    return {
        "health": copied_health() if found.copied else health(_standing(found)),
        "follows": found.follows,
        "page_state": found.state,
        "frozen": found.frozen,
        "frozen_reason": safe(found.freeze_switch.reason) if found.freeze_switch else "",
        "frozen_since": wording.moment_text(found.freeze_switch.changed_at) if found.freeze_switch else "",
        "cluster_alive": found.cluster_alive,
        "service_started": found.started,
        "check_text": wording.last_check(found.check, outdated=known is not None and known.outdated),
        "checking": found.is_checking,
        "verification_text": wording.last_verification(verification),
        "verification": verification,
        "verifying": found.verifying is not None and found.cluster_alive,
        "decisions_open": f"{found.decisions.open:,} open",
        "decisions_held": f"{found.decisions.held:,} on hold",
        "duplicates": found.check.duplicate_applications if found.check else None,
        "chart": chart(found.history),
        "run": found.active,
        **(live(found.active, silence=found.silence) if found.active else {}),
        "recent": [_run(run, silent=run is found.active and found.silence is not None) for run in found.recent],
        "schedules": [_schedule(schedule, found) for schedule in found.schedules],
        "alerts": [_alert(alert) for alert in found.alerts],
        "more_alerts": max(0, found.open_alerts - len(found.alerts)),
    }


def _standing(found: dashboard.Overview) -> Standing:
    latest = next((run for run in found.recent if run.kind == Run.Kind.CLEANUP), None)
    known = found.knowledge
    return Standing(
        now=timezone.now(),
        duplicates=known.duplicates if known else None,
        checked_at=known.check.ended_at if known else None,
        old=known is not None and known.old,
        outdated=known is not None and known.outdated,
        checking=found.is_checking,
        cluster_alive=found.cluster_alive,
        schedules_on=found.started,
        checks_on=found.checks_on,
        run=found.active,
        silence=found.silence,
        frozen=found.frozen,
        stopped=latest is not None and latest.status == Run.Status.STOPPED,
        verification_passed=found.verification.passed if found.verification else None,
        alerts=found.open_alerts,
        overdue=found.overdue,
    )


def _run(run: Run, *, silent: bool) -> dict[str, Any]:
    return {
        "pk": run.pk,
        "what": "Cleanup" if run.kind == Run.Kind.CLEANUP else "Undo",
        "state": wording.run_status(run.status),
        "level": badges.run_level(run.status, failed=run.failed_applications),
        "progress": wording.run_progress(run, silent=silent),
        "numbers": numbers(run),
        "outcome": wording.run_outcome(run),
        "when": wording.moment_text(run.started_at or run.created_at),
        "who": wording.started(run.started_by, run.started_how),
    }


def _schedule(schedule: Schedule, found: dashboard.Overview) -> dict[str, Any]:
    overdue = schedule.name in found.overdue
    return {
        "pk": schedule.pk,
        "name": wording.schedule_name(schedule.name).capitalize(),
        "cadence": wording.cadence(schedule),
        "last": wording.moment_text(schedule.last_run),
        "next": wording.moment_text(schedule.next_run, otherwise="—"),
        "state": wording.schedule_state(enabled=schedule.enabled, started=found.started, overdue=overdue),
        "level": badges.schedule_level(enabled=schedule.enabled, started=found.started, overdue=overdue),
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "pk": alert.pk,
        "severity": alert.get_severity_display(),
        "message": safe(alert.message),
        "since": wording.moment_text(alert.first_seen),
        "acknowledged": alert.state == Alert.State.ACKNOWLEDGED,
    }
