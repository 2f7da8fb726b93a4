"""The purge of history: runs, checks, verifications, schedules' histories and resolved alerts that are old enough.

And of idempotency keys, with their answers, a week after the request.

Kept whatever their age: a run with a live rollback point, or whose rollback is kept; the latest check and verification;
rollback points themselves, and where removed folders went. Works in small transactions, and can be started again.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q

from cleanup import conf
from cleanup.models import (
    Alert,
    ConsistencyCheck,
    Finding,
    IdempotencyKey,
    JobLease,
    PreparedPreview,
    Result,
    RollbackPoint,
    Run,
    ScheduledRun,
    Verification,
)
from cleanup.services.results import PurgedHistory

#: Rows deleted in one transaction.
PAGE = 1000

#: How long a lease that has ended is kept; nothing reads it.
LEASE_DAYS = 1

#: How long a preview that was worked out in the background is kept.
PREVIEW_DAYS = 7

#: How long an idempotency key is kept at least: no client sends a request again after a week.
KEY_DAYS = 7


def purge(*, using: str, preview: bool, now: datetime) -> PurgedHistory:
    """Remove history that ended ``CLEANUP_HISTORY_DAYS`` before ``now``; a preview only counts it."""
    before = now - timedelta(days=conf.history_days())
    found = _old(using, before)
    keys = IdempotencyKey.objects.using(using).filter(created_at__lte=now - timedelta(days=KEY_DAYS))
    counts = {name: rows.count() for name, rows in found.items()}
    purged = PurgedHistory(before=before, **counts, request_keys=keys.count())
    if preview:
        return purged
    _delete(keys)
    _delete(Result.objects.using(using).filter(run__in=found["runs"]))
    # A run is kept by the run that rolled it back, so those go first.
    _delete(_old(using, before)["runs"].filter(kind=Run.Kind.ROLLBACK))
    _delete(Finding.objects.using(using).filter(verification__in=found["verifications"]))
    for rows in _old(using, before).values():
        _delete(rows)
    _delete(PreparedPreview.objects.using(using).filter(requested_at__lte=now - timedelta(days=PREVIEW_DAYS)))
    _delete(JobLease.objects.using(using).filter(ended_at__lte=now - timedelta(days=LEASE_DAYS)))
    return purged


def _old(using: str, before: datetime) -> dict[str, Any]:
    """Return what may go, by its name in the answer."""
    live = RollbackPoint.objects.filter(run=OuterRef("pk"), status=RollbackPoint.Status.LIVE)
    undone = Run.objects.filter(source_run=OuterRef("pk")).filter(Q(ended_at=None) | Q(ended_at__gt=before))
    checks = ConsistencyCheck.objects.using(using)
    verifications = Verification.objects.using(using)
    return {
        "runs": Run.objects.using(using).filter(~Exists(live), ~Exists(undone), ended_at__lte=before),
        "checks": checks.filter(ended_at__lte=before).exclude(pk=_latest(checks)),
        "verifications": verifications.filter(ended_at__lte=before).exclude(pk=_latest(verifications)),
        "scheduled_runs": ScheduledRun.objects.using(using).filter(ended_at__lte=before),
        "alerts": Alert.objects.using(using).filter(resolved_at__lte=before),
    }


def _latest(rows: Any) -> Any:
    return rows.exclude(ended_at=None).order_by("-pk").values_list("pk", flat=True).first() or 0


def _delete(rows: Any) -> None:
    while page := list(rows.order_by("pk").values_list("pk", flat=True)[:PAGE]):
        rows.model._base_manager.using(rows.db).filter(pk__in=page).delete()
