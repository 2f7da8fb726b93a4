"""Duplicates over time, day by day, with the cleanups that ran: from stored rows alone, in two queries."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db.models import Count, Max, Sum
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
    return Trend(first, today, _duplicates(since, using=using), _cleanups(since, using=using))


def _duplicates(since: datetime, *, using: str) -> dict[date, int]:
    answered = ConsistencyCheck.objects.using(using).filter(
        started_at__gte=since, ended_at__isnull=False, duplicate_applications__isnull=False
    )
    by_day = answered.annotate(day=TruncDate("started_at")).order_by()
    last = by_day.values("day").annotate(last=Max("id")).values("last")
    rows = by_day.filter(pk__in=last).order_by("day").values_list("day", "duplicate_applications")
    return {day: number or 0 for day, number in rows}


def _cleanups(since: datetime, *, using: str) -> dict[date, Cleanups]:
    ran = Run.objects.using(using).filter(kind=Run.Kind.CLEANUP, created_at__gte=since, folders_removed__gt=0)
    by_day = ran.annotate(day=TruncDate("created_at")).order_by().values("day")
    rows = by_day.annotate(runs=Count("pk"), folders=Sum("folders_removed")).order_by("day")
    return {row["day"]: Cleanups(row["runs"], row["folders"]) for row in rows}
