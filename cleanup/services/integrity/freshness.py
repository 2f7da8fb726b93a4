"""What the latest check found, how old that is, and whether a run has changed folders since."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce, Greatest, Now

from cleanup.models import ConsistencyCheck, RollbackPoint, Run, Schedule, Verification
from cleanup.services.results import LastCheck

#: Age beyond which a check is old if no schedule renews it.
OLD = timedelta(days=1)

#: Periods of its schedule beyond which a check is old.
PERIODS = 2

_PERIODS = {
    Schedule.Cadence.HOURLY: timedelta(hours=1),
    Schedule.Cadence.DAILY: timedelta(days=1),
    Schedule.Cadence.WEEKLY: timedelta(weeks=1),
}


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the latest completed check found, and how far that can be relied on."""

    check: ConsistencyCheck
    age: timedelta
    old: bool
    """Older than its schedule allows, or than a day without one."""
    outdated: bool
    """A run has changed folders since it began."""

    @property
    def duplicates(self) -> int:
        """Applications with duplicates, as they were then."""
        return self.check.duplicate_applications or 0

    @property
    def waiting(self) -> int:
        """Those of them that were on hold, refused or too large."""
        return self.check.waiting_applications or 0

    @property
    def current(self) -> bool:
        """Return whether it can be shown as the current state."""
        return not self.old and not self.outdated

    def reported(self) -> LastCheck:
        """Return the form that is sent."""
        return LastCheck(
            check_time=self.check.ended_at or self.check.started_at,
            duplicate_applications=self.duplicates,
            waiting_for_decision=self.waiting,
            age_seconds=max(0, round(self.age.total_seconds())),
            current=self.current,
            changed_since=self.outdated,
        )


def period(schedules: Any, *, started: bool) -> timedelta | None:
    """Return how often the check is renewed by its schedule; None: it is not."""
    for schedule in schedules:
        if schedule.name == Schedule.Name.CONSISTENCY_CHECK and schedule.enabled and started:
            return _PERIODS[Schedule.Cadence(schedule.schedule_type)]
    return None


def latest(*, using: str, every: timedelta | None) -> Knowledge | None:
    """Return what the latest completed check found, given how often it is renewed; in one query."""
    return latest_and_unended(using=using, every=every)[0]


def latest_and_unended(*, using: str, every: timedelta | None) -> tuple[Knowledge | None, ConsistencyCheck | None]:
    """Return the same, and the newest check if it has not ended; in one query."""
    newest, answered = (
        Subquery(checks.order_by("-id").values("pk")[:1])
        for checks in (ConsistencyCheck.objects.using(using), _answered(using))
    )
    checks = ConsistencyCheck.objects.using(using).filter(Q(pk=newest) | Q(pk=answered)).defer("summary")
    found = list(checks.annotate(now=Now(), outdated=_outdated()).order_by("-id"))
    unended = found[0] if found and found[0].ended_at is None else None
    check = next((check for check in found if check.ended_at and check.duplicate_applications is not None), None)
    if check is None or check.ended_at is None:
        return None, unended
    age = check.now - check.ended_at
    old = age > (OLD if every is None else PERIODS * every)
    return Knowledge(check, age, old=old, outdated=check.outdated), unended


def latest_answered(*, using: str) -> tuple[ConsistencyCheck, bool] | None:
    """Return the latest completed check, and whether a run has changed folders since; in one query."""
    check = _answered(using).annotate(outdated=_outdated()).order_by("-id").first()
    return None if check is None else (check, check.outdated)


def latest_check(*, using: str) -> QuerySet[ConsistencyCheck]:
    """Return the latest completed check; ``changed_since`` is when it ended if a run has changed folders since."""
    latest = _answered(using).order_by("-id").values("pk")[:1]
    changed_since = Case(When(_outdated(), then="ended_at"), default=None)
    return _answered(using).filter(pk=Subquery(latest)).annotate(changed_since=changed_since).order_by()


def _answered(using: str) -> QuerySet[ConsistencyCheck]:
    return ConsistencyCheck.objects.using(using).filter(ended_at__isnull=False, duplicate_applications__isnull=False)


def _outdated() -> Q:
    return Q(Exists(runs_after(OuterRef("started_at")))) | Q(Exists(undone_after(OuterRef("started_at"))))


def runs_after(moment: Any) -> QuerySet[Run]:
    """Return the runs that may have changed folders since."""
    touched = Greatest("created_at", Coalesce("heartbeat_at", "created_at"), Coalesce("ended_at", "created_at"))
    runs = Run.objects.filter(done_applications__gt=0)
    return runs.annotate(touched=touched).filter(touched__gt=moment)


def undone_after(moment: Any) -> QuerySet[RollbackPoint]:
    """Return the points that were undone since, which can happen without a run."""
    return RollbackPoint.objects.filter(status=RollbackPoint.Status.ROLLED_BACK, ended_at__gt=moment)


def verification_is_outdated(*, using: str) -> bool:
    """Return whether the latest verification failed, or passed before something was undone: duplicates are errors."""
    latest = Verification.objects.using(using).exclude(passed=None).defer("summary", "counts").order_by("-id").first()
    if latest is None:
        return False  # a check that finds none carries one out
    return not latest.passed or undone_after(latest.started_at).using(using).exists()
