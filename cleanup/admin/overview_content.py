"""What the overview shows: the first sentence, what is known, what runs, what is planned."""

from collections.abc import Mapping
from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from cleanup import stored_texts
from cleanup.admin import access, badges, chart, copy_notice, names, obstacles, timestamps, wording
from cleanup.admin.headline import Health, Standing, copied_health, health
from cleanup.admin.run_page import KINDS, live, may_control, numbers
from cleanup.models import Alert, Run, Schedule
from cleanup.permissions import Permission
from cleanup.services.folders import applications
from cleanup.services.monitoring import dashboard
from cleanup.services.monitoring.trend import trend
from cleanup.text_safety import safe


def context(request: HttpRequest) -> dict[str, Any]:
    """Return all that the overview shows."""
    found = dashboard.overview(using=access.database())
    return {
        "may": access.permissions_of(request),
        **shown(found, site=access.site_of(request)),
        **copy_notice.notice_of(request, found.copied),
        **_chart(request),
        "may_control": found.active is not None and may_control(request, found.active),
    }


def _chart(request: HttpRequest) -> dict[str, Any]:
    days = chart.days_of(request.GET.get("days", ""))
    return {"chart": chart.chart(trend(using=access.database(), days=days)), "chart_choices": tuple(chart.CHOICES)}


def now(request: HttpRequest) -> dict[str, Any]:
    """Return what changes on the overview while something runs."""
    return shown(dashboard.overview(using=access.database()), site=access.site_of(request))


def status_line(request: HttpRequest) -> dict[str, Any]:
    """Return the first sentence, for the admin's own index."""
    if not access.may(request, Permission.VIEW):
        return {}
    found = dashboard.overview(using=access.database())
    return {
        "health": _health(found),
        "all_on_hold": found.all_on_hold,
        "address": access.address(access.site_of(request), access.OVERVIEW),
    }


def shown(found: dashboard.Overview, *, site: str) -> dict[str, Any]:
    """Return what the overview shows to everybody."""
    verification, known = found.verification, found.knowledge
    keys = [key for run in found.recent if (key := run.only_application)]
    labels = applications.labels(using=access.database(), application_ids=keys)
    return {
        "health": _health(found),
        "all_on_hold": found.all_on_hold,
        "numbers": dashboard.Numbers(
            known.duplicates if known else None,
            found.decisions.open,
            frozen=found.frozen,
            busy=found.cleanup is not None,
            counted_at=known.check.ended_at if known and known.outdated else None,
        ),
        "follows": found.follows,
        "page_state": found.state,
        "frozen": found.frozen,
        "frozen_reason": stored_texts.shown(found.freeze_switch.reason) if found.freeze_switch else "",
        "frozen_since": wording.stopped_since(found.freeze_switch) if found.freeze_switch else "",
        "in_the_way": obstacles.in_the_way(
            site, frozen=found.frozen, run=found.cleanup, cluster_alive=found.cluster_alive
        ),
        "no_start": obstacles.in_the_way(site, frozen=found.frozen, run=None, cluster_alive=found.cluster_alive),
        "cluster_alive": found.cluster_alive,
        "service_started": found.started,
        "check_text": wording.last_check(found.check, outdated=known is not None and known.outdated),
        "checking": found.is_checking,
        "verification_text": wording.last_verification(verification),
        "verification": verification,
        "verifying": found.verifying is not None and found.cluster_alive,
        "decisions_open": _("%s open") % wording.number_text(found.decisions.open),
        "decisions_held": _("%s on hold") % wording.number_text(found.decisions.held),
        "duplicates": found.check.duplicate_applications if found.check else None,
        "run": found.active,
        "run_name": names.name_of(found.active) if found.active else "",
        **(live(found.active, site=site, silence=found.silence) if found.active else {}),
        "recent": [
            _run(run, labels, site=site, silent=run is found.active and found.silence is not None)
            for run in found.recent
        ],
        "schedules": [_schedule(schedule, found) for schedule in found.schedules],
        "alerts": [_alert(alert) for alert in found.alerts],
        "more_alerts": max(0, found.open_alerts - len(found.alerts)),
    }


def _health(found: dashboard.Overview) -> Health:
    return copied_health() if found.copied else health(_standing(found))


def _standing(found: dashboard.Overview) -> Standing:
    known = found.knowledge
    return Standing(
        now=timezone.now(),
        duplicates=known.duplicates if known else None,
        waiting=found.waiting,
        all_on_hold=found.all_on_hold,
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
        stopped=found.stopped,
        verification_passed=found.verification.passed if found.verification else None,
        only_duplicates=found.verification is not None and wording.has_only_duplicates(found.verification),
        alerts=found.open_alerts,
        overdue=found.overdue,
    )


def _run(run: Any, labels: Mapping[str, str], *, site: str, silent: bool) -> dict[str, Any]:
    key = run.only_application
    return {
        "pk": run.pk,
        "application": safe(labels.get(key, "") or key) if key else "",
        "application_address": access.address(site, "preview", quote(key)) if key else "",
        "what": str(KINDS[Run.Kind(run.kind)]),
        "state": wording.run_status(run.status),
        "level": badges.run_level(run.status, failed=run.failed_applications),
        "progress": wording.run_progress(run, silent=silent),
        "numbers": numbers(run, site=site),
        "outcome": wording.run_outcome(run),
        "when": timestamps.show(run.started_at or run.created_at),
        "who": wording.started(run.started_by, run.started_how),
    }


def _schedule(schedule: Schedule, found: dashboard.Overview) -> dict[str, Any]:
    standing = {
        "enabled": schedule.enabled,
        "started": found.started,
        "overdue": schedule.name in found.overdue,
        "failed": schedule.name in found.failed,
    }
    return {
        "pk": schedule.pk,
        "name": names.name_of(schedule),
        "cadence": wording.cadence(schedule),
        "last": timestamps.show(schedule.last_run, otherwise=_("never")),
        "next": timestamps.show(schedule.next_run),
        "state": wording.schedule_state(**standing),
        "level": badges.schedule_level(**standing),
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "pk": alert.pk,
        "severity": alert.get_severity_display(),
        "message": names.alert_text(alert),
        "since": timestamps.show(alert.first_seen),
        "acknowledged": alert.state == Alert.State.ACKNOWLEDGED,
    }
