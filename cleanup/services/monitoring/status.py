"""What is running and what was done, in eight queries, from stored rows alone: a dead cluster cannot hide it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, F, FilteredRelation, Max, Q, Subquery, Sum
from django.db.models.functions import Now

from cleanup import conf
from cleanup.backends.pinning import together
from cleanup.models import AutomationState, FreezeSwitch, Heartbeat, Result, Run, Schedule
from cleanup.services import origin
from cleanup.services.integrity import freshness
from cleanup.services.integrity.queued_checks import handed_over
from cleanup.services.monitoring.run_list import listed
from cleanup.services.results import ActiveRun, ListedRun, RestoredCopy, ScheduleStatus, Statistics, StatusReport
from cleanup.services.runs.processes import worker_is_gone
from cleanup.services.runs.signs_of_life import silence_of

#: Claimed applications that are read, to determine whether a worker is processing the run.
MOST_HELD = 1000
#: Ended runs that a status names.
LATEST_RUNS = 5


def status(*, using: str) -> StatusReport:
    """Return the status."""
    service = _service(using)
    copied = origin.compared(service["database_identity"], using=using)
    with together(using=using):
        return _report(service, copied, using=using)


def _report(service: dict[str, Any], copied: origin.Copied | None, *, using: str) -> StatusReport:
    acts = bool(service["started"]) and copied is None
    schedules = list(Schedule.objects.using(using).annotate(now=Now()))
    known = freshness.latest(using=using, every=freshness.period(schedules, started=bool(service["started"])))
    active_run, latest_runs = _runs(using)
    return StatusReport(
        running=bool(acts and service["fresh"]),
        started=bool(service["started"]),
        restored_copy=None if copied is None else RestoredCopy(message=copied.sentence, command=origin.ADOPT),
        frozen=bool(service["frozen"]),
        frozen_reason=service["frozen_reason"] or "",
        cluster_alive=bool(service["fresh"]),
        heartbeat_at=service["beat_at"],
        last_check=None if known is None else known.reported(),
        schedules=_schedules(schedules, started=acts),
        statistics=_statistics(using),
        active_run=active_run,
        latest_runs=latest_runs,
        handed_over=handed_over(using=using),
    )


def progress_of(run: Run, *, worked: bool, silence: timedelta | None = None) -> ActiveRun:
    """Describe a run that is active; ``worked``: a worker holds a part of it.

    ``silence``: how long it has given no sign of life although it should have.
    """
    rate = run.applications_per_second
    return ActiveRun(
        run_id=run.pk,
        status=run.status,
        status_reason=run.status_reason,
        worked=worked,
        silent_seconds=None if silence is None else round(silence.total_seconds()),
        total_applications=run.total_applications,
        done_applications=run.done_applications,
        successful_applications=run.successful_applications,
        failed_applications=run.failed_applications,
        held_applications=run.held_applications,
        skipped_applications=run.skipped_applications,
        folders_removed=run.folders_removed,
        files_moved=run.files_moved,
        applications_per_second=None if rate is None else round(rate, 2),
        seconds_left=run.seconds_left,
        heartbeat_at=run.heartbeat_at,
        waiting_for=run.waiting_for,
        correlation_id=run.correlation_id,
    )


def _service(using: str) -> dict[str, Any]:
    """Return the switches and the last sign of life."""
    frozen = FreezeSwitch.objects.frozen()
    beats = Heartbeat.objects.order_by("-beat_at")
    rows = AutomationState.objects.using(using).annotate(
        now=Now(),
        beat_at=Subquery(beats.values("beat_at")[:1]),
        frozen=Exists(frozen),
        frozen_reason=Subquery(frozen.values("reason")[:1]),
    )
    found: dict[str, Any] | None
    found = rows.values("started", "now", "beat_at", "frozen", "frozen_reason", "database_identity").first()  # type: ignore[assignment]
    if found is None:  # nothing has been installed: so nothing was started, but cleaning may be frozen
        switch = FreezeSwitch.objects.using(using).frozen().first()
        beat = beats.annotate(now=Now()).using(using).first()
        found = {
            "started": False,
            "now": beat.now if beat else None,
            "beat_at": beat.beat_at if beat else None,
            "frozen": switch,
            "frozen_reason": switch.reason if switch else "",
            "database_identity": "",
        }
    beat_at = found["beat_at"]
    return {**found, "fresh": beat_at is not None and found["now"] - beat_at < conf.heartbeat_patience()}


def _schedules(rows: Iterable[Any], *, started: bool) -> dict[str, ScheduleStatus]:
    return {
        schedule.name: ScheduleStatus(
            enabled=schedule.enabled,
            schedule_type=schedule.schedule_type,
            last_run=schedule.last_run,
            next_run=schedule.next_run,
            overdue=started and is_overdue(schedule, now=schedule.now),
            max_applications_per_run=schedule.max_applications,
            alert_threshold=schedule.alert_threshold,
            dry_run_first=schedule.dry_run_first,
        )
        for schedule in rows
    }


def is_overdue(schedule: Schedule, *, now: datetime) -> bool:
    """Return whether it should have been done some time ago."""
    due = schedule.next_run
    return schedule.enabled and due is not None and now - due > conf.overdue_after()


def _statistics(using: str) -> Statistics:
    in_vain = Q(failed_applications__gt=0, failed_applications=F("done_applications"))
    completed = Q(status=Run.Status.COMPLETED)
    counts = (
        Run.objects.using(using)
        .filter(kind=Run.Kind.CLEANUP)
        .aggregate(
            total=Count("pk"),
            successful=Count("pk", filter=completed & ~in_vain),
            failed=Count("pk", filter=Q(status__in=[Run.Status.STOPPED, Run.Status.CANCELLED]) | completed & in_vain),
            last=Max("started_at"),
        )
    )
    done = [Result.Status.COMPLETED, Result.Status.ROLLED_BACK]
    sums = (
        Result.objects.using(using)
        .filter(run__kind=Run.Kind.CLEANUP, status__in=done)
        .aggregate(
            applications=Count("pk", filter=Q(folders_removed__gt=0)),
            folders=Sum("folders_removed"),
            files=Sum("files_moved"),
        )
    )
    return Statistics(
        total_runs=counts["total"],
        successful_runs=counts["successful"],
        failed_runs=counts["failed"],
        applications_cleaned=sums["applications"],
        folders_removed=sums["folders"] or 0,
        files_moved=sums["files"] or 0,
        last_run_time=counts["last"],
    )


def _runs(using: str) -> tuple[ActiveRun | None, tuple[ListedRun, ...]]:
    """Return the active cleanup run and the runs that ended last, in one query with the active one's workers."""
    runs = Run.objects.using(using)
    ended = runs.exclude(ended_at=None).order_by("-ended_at").values("pk")[:LATEST_RUNS]
    held = Q(results__status=Result.Status.IN_PROGRESS, results__lease_expires_at__gt=Now())
    rows: list[Any] = list(
        (runs.exclusive_cleanup() | runs.filter(pk__in=ended))
        .with_undoable_until()
        .annotate(held=FilteredRelation("results", condition=held))
        .annotate(worker=F("held__worker"), now=Now())
        .order_by(F("ended_at").desc(nulls_last=True))[:MOST_HELD]
    )
    # A run that was ended while workers held several of its applications comes several times.
    latest = tuple({row.pk: listed(row) for row in rows if row.ended_at is not None}.values())
    active = [row for row in rows if row.is_active]
    if not active:
        return None, latest
    worked = any(row.worker and not worker_is_gone(row.worker) for row in active)
    silence = silence_of(active[0], now=active[0].now, worked=worked, using=using)
    return progress_of(active[0], worked=worked, silence=silence), latest
