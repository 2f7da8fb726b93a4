"""The schedules: their defaults, when each is next due, and how they are changed.

Times of day are UTC, without daylight saving. However many times were missed, the next one is the first in the future.
A schedule that an operator has changed stays as it is, whatever the defaults of a newer version.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import NoneType
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now

from cleanup import conf
from cleanup.backends.pinning import pinning
from cleanup.exceptions import UnknownObject, UsageError
from cleanup.models import AutomationState, Schedule
from cleanup.services.arguments import LARGEST, refuse_other_kinds

#: The attributes that can be changed, and the kinds of values that they take.
CHANGEABLE: Mapping[str, tuple[type, ...]] = {
    "enabled": (bool,),
    "schedule_type": (str,),
    "weekday": (int,),
    "hour": (int,),
    "minute": (int,),
    "max_applications": (int, NoneType),
    "alert_threshold": (int,),
    "dry_run_first": (bool,),
}

_Name, _Cadence = Schedule.Name, Schedule.Cadence


def first_schedules() -> list[Schedule]:
    """Return the schedules as they are installed."""
    common: dict[str, Any] = {"alert_threshold": conf.alert_threshold()}
    return [
        Schedule(name=_Name.CONSISTENCY_CHECK, schedule_type=_Cadence.HOURLY, max_applications=5, **common),
        Schedule(name=_Name.FULL_CLEANUP, schedule_type=_Cadence.DAILY, hour=2, max_applications=20, **common),
        Schedule(
            name=_Name.INTEGRITY_VERIFICATION,
            schedule_type=_Cadence.WEEKLY,
            weekday=Schedule.Weekday.SUNDAY,
            hour=3,
            dry_run_first=False,
            **common,
        ),
        Schedule(name=_Name.RETENTION, schedule_type=_Cadence.DAILY, hour=4, dry_run_first=False, **common),
    ]


def install(*, using: str) -> None:
    """Create the missing schedules."""
    Schedule.objects.using(using).bulk_create(first_schedules(), ignore_conflicts=True)


def next_time(schedule: Schedule, *, after: datetime) -> datetime:
    """Return the first time that the schedule is due later than ``after``."""
    start = after.astimezone(UTC).replace(minute=schedule.minute, second=0, microsecond=0)
    if schedule.schedule_type == _Cadence.HOURLY:
        step = timedelta(hours=1)
    else:
        start = start.replace(hour=schedule.hour)
        step = timedelta(days=1)
    if schedule.schedule_type == _Cadence.WEEKLY:
        start += timedelta(days=(schedule.weekday - start.weekday()) % 7)
        step = timedelta(days=7)
    return start if start > after else start + step


def arrange(*, using: str) -> None:
    """Set when each schedule is next due: never, while it is disabled or the service is stopped."""
    started = AutomationState.objects.using(using).filter(started=True).exists()
    for schedule in Schedule.objects.using(using).annotate(now=Now()):
        due = next_time(schedule, after=schedule.now) if started and schedule.enabled else None
        if due is None or schedule.next_run is None:
            Schedule.objects.using(using).filter(pk=schedule.pk).update(next_run=due)


def update(*, using: str, name: str, changes: Mapping[str, Any], by: str = "") -> Schedule:
    """Change a schedule, and record by whom.

    Raises UnknownObject, and UsageError for what cannot be changed or is not valid.
    """
    unknown = sorted(set(changes) - set(CHANGEABLE))
    if unknown:
        raise UsageError(f"A schedule has no {', '.join(unknown)}; you can change {', '.join(CHANGEABLE)}.")
    for attribute, value in changes.items():
        refuse_other_kinds(attribute, value, CHANGEABLE[attribute])
        if isinstance(value, int) and value > LARGEST:
            raise UsageError(f"{attribute} must be at most {LARGEST}, not {value}.")
    with pinning(using=using), transaction.atomic(using=using):
        schedule = Schedule.objects.using(using).select_for_update().filter(pk=name).first()
        if schedule is None:
            raise UnknownObject(what="schedule", key=name)
        if changes.get("dry_run_first") and not schedule.dry_run_first:
            schedule.planned_at = None  # the next run is a first one again
        for attribute, value in changes.items():
            setattr(schedule, attribute, value)
        _refuse_nonsense(schedule)
        if {"enabled", "schedule_type", "weekday", "hour", "minute"} & set(changes):
            schedule.next_run = None
        schedule.changed_by, schedule.changed_at = by[:255], Now()
        schedule.save(using=using)
        arrange(using=using)
    schedule.refresh_from_db(using=using)
    return schedule


def _refuse_nonsense(schedule: Schedule) -> None:
    try:
        schedule.full_clean(validate_unique=False)
    except ValidationError as error:
        told = "; ".join(f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items())
        raise UsageError(f"The schedule {schedule.pk} cannot be changed: {told}") from None


class EditableSchedule:
    """A schedule whose attributes are those of its row: read on access, written on assignment."""

    __slots__ = ("_using", "name")

    def __init__(self, *, using: str, name: str) -> None:
        object.__setattr__(self, "_using", using)
        object.__setattr__(self, "name", name)

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        with pinning(using=self._using):
            row = Schedule.objects.using(self._using).filter(pk=self.name).first()
        if row is None:
            raise UnknownObject(what="schedule", key=self.name)
        return getattr(row, attribute)

    def __setattr__(self, attribute: str, value: Any) -> None:
        update(using=self._using, name=self.name, changes={attribute: value})

    def __repr__(self) -> str:
        return f"<schedule {self.name}>"


class Schedules(Mapping[str, EditableSchedule]):
    """The schedules of a database, by name."""

    def __init__(self, *, using: str) -> None:
        self._using = using

    def __getitem__(self, name: str) -> EditableSchedule:
        if name not in list(_Name):
            raise KeyError(name)
        return EditableSchedule(using=self._using, name=str(name))

    def __iter__(self) -> Iterator[str]:
        return iter(_Name.values)

    def __len__(self) -> int:
        return len(_Name)
