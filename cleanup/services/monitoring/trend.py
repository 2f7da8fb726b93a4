"""Duplicates over time, day by day, with the cleanups that ran: from stored rows alone, in one query."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, Max, QuerySet, Sum, Value
from django.db.models.functions import TruncDate
from django.utils import timezone

from cleanup.models import ConsistencyCheck, Run


@dataclass(frozen=True, slots=True)
class Cleanups:
    """The cleanups that a day began."""

    runs: int
    folders: int
    """Duplicate folders merged."""


@dataclass(frozen=True, slots=True)
class Trend:
    """What is known of each day; a day is one of the current time zone."""

    first: date
    last: date
    duplicates: dict[date, int]
    """Applications with duplicates at the day's last check, oldest first; days without a check are missing."""
    cleanups: dict[date, Cleanups]
    """Those that changed something."""


def trend(*, using: str, days: int) -> Trend:
    """Return the last ``days`` days, today included."""
    today = timezone.localdate()
    first = today - timedelta(days=days - 1)
    since = timezone.make_aware(datetime.combine(first, time()))
    duplicates: dict[date, int] = {}
    cleanups: dict[date, Cleanups] = {}
    rows = _duplicates(since, using=using).union(_cleanups(since, using=using), all=True).order_by()
    for what, day, number, folders in rows:
        if what == "check":
            duplicates[day] = number or 0
        else:
            cleanups[day] = Cleanups(number, folders)
    return Trend(first, today, dict(sorted(duplicates.items())), dict(sorted(cleanups.items())))


def _duplicates(since: datetime, *, using: str) -> QuerySet[ConsistencyCheck, Any]:
    """Return the query of each day's last answer."""
    answered = ConsistencyCheck.objects.using(using).filter(
        started_at__gte=since, ended_at__isnull=False, duplicate_applications__isnull=False
    )
    by_day = answered.annotate(what=Value("check"), day=TruncDate("started_at"), folders=Value(0)).order_by()
    last = by_day.values("day").annotate(last=Max("id")).values("last")
    return by_day.filter(pk__in=last).values_list("what", "day", "duplicate_applications", "folders")


def _cleanups(since: datetime, *, using: str) -> QuerySet[Run, Any]:
    """Return the query of each day's cleanups."""
    ran = Run.objects.using(using).filter(kind=Run.Kind.CLEANUP, created_at__gte=since, folders_removed__gt=0)
    by_day = ran.order_by().values(what=Value("cleanup"), day=TruncDate("created_at"))
    return by_day.annotate(runs=Count("pk"), folders=Sum("folders_removed")).values_list(
        "what", "day", "runs", "folders"
    )
