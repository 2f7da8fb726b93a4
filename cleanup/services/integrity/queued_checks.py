"""Checks and verifications that were queued for the clusters: what is still to be done, and the latest results."""

from datetime import datetime
from typing import Any

from django.db.models import BigIntegerField, F, Q, QuerySet, Value
from django.db.models.functions import Cast

from cleanup.models import ConsistencyCheck, JobLease, Verification
from cleanup.services.results import HandedOver

#: Entries that are listed, the newest first.
MOST = 20

_COLUMNS = ("kind", "id", "started_at", "ended_at", "started_by", "found_something", "error")


def handed_over(*, using: str) -> tuple[HandedOver, ...]:
    """Return them, in one query."""
    checks = _of(ConsistencyCheck.objects.using(using), JobLease.Kind.CHECK, found_something=F("needs_cleanup"))
    verifications = _of(Verification.objects.using(using), JobLease.Kind.VERIFICATION, found_something=~F("passed"))
    rows = checks.union(verifications, all=True).order_by("-started_at")[:MOST]
    return tuple(_handed_over(**dict(zip(_COLUMNS, row, strict=True))) for row in rows)


def _of(rows: QuerySet[Any], kind: JobLease.Kind, **answers: Any) -> QuerySet[Any]:
    open_leases = JobLease.objects.filter(kind=kind, ended_at=None)
    unfinished = open_leases.annotate(key=Cast("target", BigIntegerField())).values("key")
    latest = rows.filter(ended_at__isnull=False).order_by("-pk").values("pk")[:1]
    found: QuerySet[Any] = (
        rows.filter(Q(ended_at=None, pk__in=unfinished) | Q(pk__in=latest))
        .annotate(kind=Value(str(kind)), **answers)
        .order_by()
        .values_list(*_COLUMNS)
    )
    return found


def _handed_over(*, ended_at: datetime | None, error: str, **columns: Any) -> HandedOver:
    ended = "failed" if error else "completed"
    return HandedOver(status=ended if ended_at else "pending", ended_at=ended_at, error=error, **columns)
