"""The work behind a job lease, by its kind: a run, a check, a verification, a preview, or what a schedule starts.

Runs are processed in pieces; the others are one piece, and begun again a few times if their worker was lost or the
database refused for a moment. What ends is recorded in the schedule's history.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from cleanup import queries
from cleanup.exceptions import Busy, Frozen
from cleanup.models import ConsistencyCheck, JobLease, PreparedPreview, Run, Schedule, ScheduledRun, Verification
from cleanup.phrases import with_reason
from cleanup.retry_limits import TASK_ATTEMPTS
from cleanup.services import origin
from cleanup.services.alerting import alerts
from cleanup.services.automation import approvals
from cleanup.services.background import clusters, dispatch, leases
from cleanup.services.background.leases import HeldLease
from cleanup.services.errors import classify, is_anticipated
from cleanup.services.integrity import rechecks
from cleanup.services.operations import checks, cleanups, prepared_previews, stored_checks
from cleanup.services.retention import purge
from cleanup.services.runs import dry_run
from cleanup.services.runs.lifecycle import Actor, Options

logger = logging.getLogger(__name__)

LOST = f"Its worker was lost {TASK_ATTEMPTS} times."


def handle(*, using: str, lease_id: int, token: str) -> None:
    """Do what the lease is for, if this delivery is the expected one and this database is not an unadopted copy."""
    if origin.is_at_rest(using=using):
        return
    lease = leases.acquire(using=using, lease_id=lease_id, token=token)
    if lease is None:
        return
    if lease.row.kind == JobLease.Kind.RUN:
        dispatch.process_run(lease)
    else:
        clusters.beat(using=using)
        with lease.kept():
            _HANDLERS[JobLease.Kind(lease.row.kind)](lease)
        lease.end()
    close_finished(using=using)
    rechecks.renew(using=using)
    alerts.evaluate_quietly(using=using)


def check(lease: HeldLease) -> None:
    """Carry out a stored check."""
    rows = ConsistencyCheck.objects.using(lease.using).filter(pk=lease.target, ended_at=None)
    row = rows.first()
    if row is None:
        return
    rows.update(started_at=Now())
    error = _attempt(lease, lambda: stored_checks.perform(row, using=lease.using))
    if error:
        rows.update(ended_at=Now(), error=error)


def verification(lease: HeldLease) -> None:
    """Carry out a stored verification."""
    rows = Verification.objects.using(lease.using).filter(pk=lease.target, ended_at=None)
    row = rows.first()
    if row is None:
        return
    row.findings.all().delete()  # from an attempt whose worker was lost
    error = _attempt(lease, lambda: checks.perform_verification(row, using=lease.using))
    if error:
        rows.update(ended_at=Now(), error=error)


def preview(lease: HeldLease) -> None:
    """Work out a preview that was asked for."""
    rows = PreparedPreview.objects.using(lease.using).filter(pk=lease.target, ended_at=None)
    row = rows.first()
    if row is None:
        return
    error = _attempt(lease, lambda: prepared_previews.perform(row, using=lease.using))
    if error:
        rows.update(ended_at=Now(), error=error)


def scheduled(lease: HeldLease) -> None:
    """Carry out a schedule: plan or start a cleanup, or purge."""
    rows = ScheduledRun.objects.using(lease.using).filter(pk=lease.target, status=ScheduledRun.Status.STARTED, run=None)
    row = rows.select_related("schedule").first()
    if row is None:
        return
    if lease.attempts > TASK_ATTEMPTS:
        rows.update(status=ScheduledRun.Status.FAILED, reason=LOST, ended_at=Now())
        return
    try:
        if row.schedule_id == Schedule.Name.RETENTION:
            ended = {"status": ScheduledRun.Status.COMPLETED, "outcome": purge.purge(using=lease.using).as_json()}
        else:
            ended = _clean(row, using=lease.using)
    except (Busy, Frozen) as refusal:
        ended = {"status": ScheduledRun.Status.SKIPPED, "reason": str(refusal)}
    except Exception as error:  # noqa: BLE001  # the edge of a schedule: whatever it is, it is recorded
        ended = {"status": ScheduledRun.Status.FAILED, "reason": _told(error, lease)}
    goes_on = "run" in ended or ended["status"] == ScheduledRun.Status.WAITING
    rows.update(**ended, **({} if goes_on else {"ended_at": Now()}))


def _clean(row: ScheduledRun, *, using: str) -> dict[str, Any]:
    """Start a cleanup run, or plan it: the first one, and one that has to be approved. Return what to store."""
    schedule, options = row.schedule, Options(max_applications=row.schedule.max_applications)
    circumstances, duplicates = approvals.circumstances(using=using), queries.count_affected(using=using)
    outcome: dict[str, Any] = {"duplicate_applications": duplicates}
    is_first = schedule.dry_run_first and schedule.planned_at is None
    if is_first or not row.started_by:
        plan = dry_run.report(using=using, options=options)
        totals = {**plan.as_json(), "results": []}
        if is_first:
            Schedule.objects.using(using).filter(pk=schedule.pk).update(planned_at=Now())
            approvals.remember(schedule, circumstances)
            return {"status": ScheduledRun.Status.PLANNED, "outcome": totals}
        reasons = approvals.reasons(schedule, plan=plan, duplicates=duplicates, now=circumstances)
        if reasons:
            return {"status": ScheduledRun.Status.WAITING, "outcome": {**totals, **outcome, "reasons": reasons}}
    run = cleanups.start(using=using, options=options, actor=Actor(row.started_by, "schedule", "scheduled"))
    approvals.remember(schedule, circumstances)
    return {"run": run, "outcome": outcome}


def _attempt(lease: HeldLease, action: Callable[[], object]) -> str:
    """Do it, unless it has already been begun too often; return what went wrong."""
    if lease.attempts > TASK_ATTEMPTS:
        return LOST
    try:
        action()
    except Exception as error:  # noqa: BLE001  # as above
        return _told(error, lease)
    return ""


def _told(error: Exception, lease: HeldLease) -> str:
    """Return what went wrong; raise it again if that may pass, so that the lease expires and another worker tries."""
    problem = classify(error)
    if problem.kind == "transient" and lease.attempts < TASK_ATTEMPTS:
        raise error
    if not is_anticipated(error):
        logger.error("a task failed", exc_info=error)
    return problem.message


_HANDLERS = {
    JobLease.Kind.CHECK: check,
    JobLease.Kind.VERIFICATION: verification,
    JobLease.Kind.SCHEDULED: scheduled,
    JobLease.Kind.PREVIEW: preview,
}

_DONE, _FAILED = ScheduledRun.Status.COMPLETED, ScheduledRun.Status.FAILED


def close_finished(*, using: str) -> None:
    """Record in the schedules' history what has ended."""
    rows = ScheduledRun.objects.using(using).filter(status=ScheduledRun.Status.STARTED)
    rows = rows.select_related("run", "check_done", "verification")
    ended = rows.filter(
        Q(run__ended_at__isnull=False) | Q(check_done__ended_at__isnull=False) | Q(verification__ended_at__isnull=False)
    )
    for row in ended:
        status, reason = _DONE, ""
        if row.run is not None:
            if row.run.is_active:
                continue
            if row.run.status != Run.Status.COMPLETED:
                status, reason = _FAILED, with_reason(f"The run is {row.run.status}", row.run.status_reason)
        else:
            done = row.check_done or row.verification
            reason = done.error if done else ""
            status = _FAILED if reason else _DONE
        rows.filter(pk=row.pk).update(status=status, reason=reason, ended_at=Now())
