"""What the cleanup page shows, from stored rows alone: a handful of small reads, whatever the size of the database."""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from django.db.models import Exists, Max, Q, QuerySet, Subquery
from django.db.models.functions import Now, TruncDate
from django.utils import timezone

from cleanup.models import Alert, ConsistencyCheck, Control, Run, Schedule, Service, Verification
from cleanup.services import clusters, decisions, origin, runs, status
from cleanup.services.decisions import Counts

#: Days in the chart.
DAYS = 60
#: Runs and alerts listed.
LISTED = 5
#: Alerts counted; there are as many as there are causes.
MOST_ALERTS = 100


@dataclass(frozen=True, slots=True)
class Overview:
    """How things are."""

    control: Control | None
    """The freeze switch, where it has ever been used."""
    service: Service | None
    check: ConsistencyCheck | None
    """The latest that has ended with an answer."""
    checking: ConsistencyCheck | None
    """One that is being worked."""
    history: tuple[ConsistencyCheck, ...]
    """One a day, the day's last, oldest first."""
    verification: Verification | None
    verifying: Verification | None
    active: Run | None
    recent: tuple[Run, ...]
    schedules: tuple[Schedule, ...]
    overdue: tuple[str, ...]
    alerts: tuple[Alert, ...]
    open_alerts: int
    cluster_alive: bool
    copied: origin.Copied | None
    """What makes the database a copy that was not adopted."""
    decisions: Counts

    @property
    def frozen(self) -> bool:
        """Tell whether everything is stopped."""
        return self.control is not None and self.control.frozen

    @property
    def started(self) -> bool:
        """Tell whether schedules are on."""
        return self.service is not None and self.service.started


def overview(*, using: str) -> Overview:
    """Read how things are."""
    checks = _recent_checks(using=using)
    verifications = tuple(Verification.objects.using(using).order_by("-id")[:2])
    all_schedules = tuple(Schedule.objects.using(using).annotate(now=Now()))
    recent = tuple(Run.objects.using(using).order_by("-created_at")[:LISTED])
    alerts = tuple(Alert.objects.using(using).filter(state__in=Alert.UNRESOLVED).order_by("-id")[:MOST_ALERTS])
    service = Service.objects.using(using).filter(pk=1).annotate(served=Exists(clusters.fresh())).first()
    copied = origin.compared(service.database_identity, using=using) if service is not None else None
    return Overview(
        control=Control.objects.using(using).filter(pk=1).first(),
        service=service,
        check=checks.answered,
        checking=checks.unended,
        history=checks.history,
        verification=next((found for found in verifications if found.ended_at), None),
        verifying=next((found for found in verifications[:1] if found.ended_at is None), None),
        active=runs.active_cleanup(using=using),
        recent=recent,
        schedules=all_schedules,
        overdue=tuple(
            schedule.name
            for schedule in all_schedules
            if service is not None
            and service.started
            and copied is None
            and status.is_overdue(schedule, now=schedule.now)
        ),
        alerts=alerts[:LISTED],
        open_alerts=len(alerts),
        cluster_alive=clusters.alive(using=using) if service is None else service.served,
        copied=copied,
        decisions=decisions.counts(using=using),
    )


def latest_check(*, using: str) -> ConsistencyCheck | None:
    """Return the latest check that has ended with an answer."""
    return _answered(using=using).order_by("-id").first()


def _checks(*, using: str) -> QuerySet[ConsistencyCheck]:
    return ConsistencyCheck.objects.using(using).defer("summary")


def _answered(*, using: str) -> QuerySet[ConsistencyCheck]:
    return _checks(using=using).filter(ended_at__isnull=False, duplicate_applications__isnull=False)


class _Checks(NamedTuple):
    answered: ConsistencyCheck | None
    """The latest that has ended with an answer."""
    unended: ConsistencyCheck | None
    """The newest of all, if it has not ended."""
    history: tuple[ConsistencyCheck, ...]
    """Each day's last, oldest first; days are those of the current time zone."""


def _recent_checks(*, using: str) -> _Checks:
    """Read all that the page shows of checks, in one query."""
    since = timezone.now() - timedelta(days=DAYS)
    by_day = _answered(using=using).filter(started_at__gt=since).annotate(day=TruncDate("started_at")).order_by()
    last = by_day.values("day").annotate(last=Max("id")).values("last")
    newest, answered = (
        Subquery(checks.order_by("-id").values("pk")[:1]) for checks in (_checks(using=using), _answered(using=using))
    )
    wanted = Q(pk__in=last) | Q(pk=newest) | Q(pk=answered)
    found = list(_checks(using=using).filter(wanted).order_by("id"))
    with_answer = [check for check in found if check.ended_at and check.duplicate_applications is not None]
    return _Checks(
        answered=with_answer[-1] if with_answer else None,
        unended=found[-1] if found and found[-1].ended_at is None else None,
        history=tuple(check for check in with_answer if check.started_at > since),
    )
