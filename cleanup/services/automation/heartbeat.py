"""The heartbeat: once a minute, in one of the clusters, a sign of life and a search for work that is due or was lost.

It is the one thing that django-q2 has to do on time; everything else follows from rows. It may be late, doubled or
lost: a schedule fires by a conditional UPDATE of the time when it is next due, and therefore once, and what was missed
in the meantime collapses into that. It costs eight queries if there is nothing to do.
"""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import Exists
from django.db.models.functions import Now

from cleanup.exceptions import UnknownObject
from cleanup.models import AutomationState, JobLease, Schedule, ScheduledRun
from cleanup.phrases import as_time
from cleanup.services import freeze, origin
from cleanup.services.alerting import alerts
from cleanup.services.automation import approvals, handlers
from cleanup.services.automation.schedules import next_time
from cleanup.services.background import clusters, dispatch, leases
from cleanup.services.integrity import rechecks
from cleanup.services.runs import abandoned, lifecycle

logger = logging.getLogger(__name__)


def heartbeat(*, using: str) -> None:
    """Give a sign of life, pick up what was left behind, and fire the schedules that are due.

    On a copy, it only raises the alert; see Note [A copy does nothing by itself].
    """
    clusters.beat(using=using)
    if origin.is_at_rest(using=using):
        alerts.evaluate_quietly(using=using)
        return
    clusters.ping_clusters(using=using)
    lost, left = leases.left_behind(using=using)
    left += abandoned.left_by_requests(using=using)
    for lease in lost:
        logger.warning("%s: its worker or its delivery was lost, so it is queued again", lease)
        with transaction.atomic(using=using):
            leases.reissue(lease, using=using)
    for run in left:
        logger.warning("run %s: no worker is processing it, so it is queued for the clusters", run.pk)
        with transaction.atomic(using=using):
            dispatch.issue(run, using=using)
    rechecks.renew(using=using)
    started = AutomationState.objects.filter(started=True)
    schedules = Schedule.objects.using(using).filter(Exists(started), enabled=True, next_run__lte=Now())
    for schedule in schedules.annotate(now=Now()):
        if schedule.next_run is not None:
            with transaction.atomic(using=using):
                fire(schedule, using=using, due=schedule.next_run, now=schedule.now)


def fire(schedule: Schedule, *, using: str, due: datetime, now: datetime) -> None:
    """Start the work of a schedule, unless another heartbeat was first, or the previous time is not over yet."""
    claimed = (
        Schedule.objects.using(using)
        .filter(pk=schedule.pk, next_run=due)
        .update(next_run=next_time(schedule, after=now))
    )
    if claimed:
        _do(schedule, using=using, due=due)


def run_now(*, using: str, name: str, by: str = "") -> ScheduledRun:
    """Start the work of a schedule now, whether it is enabled or not, without changing when it is next due.

    Returns the outcome, which may be that it was skipped, with the reason. Raises UnknownObject and NoCluster.
    """
    clusters.require_alive(using=using)
    with transaction.atomic(using=using):
        schedule = Schedule.objects.using(using).select_for_update().annotate(now=Now()).filter(pk=name).first()
        if schedule is None:
            raise UnknownObject(what="schedule", key=name)
        return _do(schedule, using=using, due=schedule.now, by=by)


def _do(schedule: Schedule, *, using: str, due: datetime, by: str = "") -> ScheduledRun:
    handlers.close_finished(using=using)
    approvals.expire(schedule, using=using)
    earlier = schedule.runs.filter(status=ScheduledRun.Status.STARTED).first()
    row = ScheduledRun.objects.using(using).create(schedule=schedule, due_at=due, started_by=by[:255])
    reason = _obstacle(schedule, earlier, using=using)
    if reason:
        row.status, row.reason, row.ended_at = ScheduledRun.Status.SKIPPED, reason, Now()
        row.save(using=using)
        row.refresh_from_db(using=using)
        return row
    Schedule.objects.using(using).filter(pk=schedule.pk).update(last_run=Now())
    _begin(row, using=using)
    return row


def _obstacle(schedule: Schedule, earlier: ScheduledRun | None, *, using: str) -> str:
    """Return why it is skipped this time."""
    if earlier is not None:
        return f"The previous run, due at {as_time(earlier.due_at)}, has not finished."
    if schedule.name == Schedule.Name.FULL_CLEANUP:
        active = lifecycle.active_cleanup(using=using)
        if active is not None:
            return f"Run {active.pk} is active."
        if freeze.is_frozen(using=using):
            return "Everything is stopped."
    return ""


def _begin(row: ScheduledRun, *, using: str) -> None:
    actor = lifecycle.Actor(name=row.started_by, how="schedule")
    if row.schedule_id == Schedule.Name.CONSISTENCY_CHECK:
        row.check_done = dispatch.start_check(using=using, actor=actor)
    elif row.schedule_id == Schedule.Name.INTEGRITY_VERIFICATION:
        row.verification = dispatch.start_verification(using=using, actor=actor)
    else:
        leases.issue(using=using, kind=JobLease.Kind.SCHEDULED, target=row)
        return
    row.save(using=using, update_fields=["check_done", "verification"])
