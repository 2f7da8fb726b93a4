"""What the cleanup page shows, from stored rows alone: a handful of small reads, whatever the size of the database."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models.functions import Now
from django.utils import timezone

from cleanup.models import Alert, ConsistencyCheck, Control, Run, Schedule, Service, Verification
from cleanup.services import clusters, runs, status

#: Checks that are looked through for the chart.
CHECKS = 24 * 60
#: Days in the chart.
DAYS = 60
#: Runs and alerts listed.
LISTED = 5


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
    checks = tuple(ConsistencyCheck.objects.using(using).defer("summary").order_by("-id")[:CHECKS])
    verifications = tuple(Verification.objects.using(using).order_by("-id")[:2])
    all_schedules = tuple(Schedule.objects.using(using).annotate(now=Now()))
    recent = tuple(Run.objects.using(using).order_by("-created_at")[:LISTED])
    alerts = Alert.objects.using(using).filter(state__in=Alert.UNRESOLVED).order_by("-id")
    service = Service.objects.using(using).filter(pk=1).first()
    return Overview(
        control=Control.objects.using(using).filter(pk=1).first(),
        service=service,
        check=next((check for check in checks if _answered(check)), None),
        checking=next((check for check in checks[:1] if check.ended_at is None), None),
        history=_one_a_day(checks),
        verification=next((found for found in verifications if found.ended_at), None),
        verifying=next((found for found in verifications[:1] if found.ended_at is None), None),
        active=runs.active_cleanup(using=using),
        recent=recent,
        schedules=all_schedules,
        overdue=tuple(
            schedule.name
            for schedule in all_schedules
            if service is not None and service.started and status.is_overdue(schedule, now=schedule.now)
        ),
        alerts=tuple(alerts[:LISTED]),
        open_alerts=alerts.count(),
        cluster_alive=clusters.alive(using=using),
    )


def latest_check(*, using: str) -> ConsistencyCheck | None:
    """Return the latest check that has ended with an answer."""
    checks = ConsistencyCheck.objects.using(using).defer("summary")
    return checks.filter(ended_at__isnull=False, duplicate_applications__isnull=False).order_by("-id").first()


def _answered(check: ConsistencyCheck) -> bool:
    return check.ended_at is not None and check.duplicate_applications is not None


def _one_a_day(checks: Sequence[ConsistencyCheck]) -> tuple[ConsistencyCheck, ...]:
    by_day: dict[object, ConsistencyCheck] = {}
    for check in checks:  # newest first
        if _answered(check):
            by_day.setdefault(timezone.localdate(check.started_at), check)
    return tuple(reversed(list(by_day.values())[:DAYS]))
