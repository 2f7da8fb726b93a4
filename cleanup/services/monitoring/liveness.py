"""Whether a cluster does its work, for a process manager that is to restart one that only looks alive.

A cluster whose idle worker was killed holds its queue's lock for good, and says of itself that it works. So nothing is
asked of the cluster: what counts is the last task that it did, as its heartbeat row says, by the database's clock.
"""

from dataclasses import dataclass

from django.db.models import Exists
from django.db.models.functions import Now

from cleanup import conf
from cleanup.models import AutomationState, Heartbeat, Schedule
from cleanup.services import origin
from cleanup.services.background import clusters
from cleanup.services.monitoring.status import is_overdue
from cleanup.services.results import JSON


@dataclass(frozen=True, slots=True)
class Liveness:
    """What the probe found."""

    alive: bool
    seconds_since: int | None
    """Since the last sign of life; None: there was none."""
    overdue: tuple[str, ...]
    """Schedules that should have been done a while ago."""
    unreadable: tuple[int, ...]
    """Of django-q2's schedules, the ids of those that its scheduler stumbles over."""

    @property
    def sentence(self) -> str:
        """Say it to a person."""
        if self.seconds_since is None:
            said = "No cluster has reported yet."
        elif self.alive:
            said = f"Alive: the last heartbeat was {self.seconds_since} s ago."
        else:
            said = f"Not alive: the last heartbeat was {self.seconds_since} s ago."
        if self.overdue:
            said += f" Overdue: {', '.join(self.overdue)}."
        if self.unreadable and not self.alive:
            rows = ", ".join(map(str, self.unreadable))
            said += f" django-q2 cannot read its schedules {rows} and therefore fires none: correct or delete them."
        return said

    def as_json(self) -> JSON:
        """Return the JSON form."""
        return {
            "alive": self.alive,
            "seconds_since_heartbeat": self.seconds_since,
            "overdue": list(self.overdue),
            "unreadable_schedules": list(self.unreadable),
            "message": self.sentence,
        }


def probe(*, using: str, host: str = "", max_age: float | None = None) -> Liveness:
    """Look for a sign of life younger than ``max_age`` seconds; of a machine's clusters, where it is named."""
    beats = Heartbeat.objects.using(using).annotate(now=Now()).order_by("-beat_at")
    beat = (beats.filter(host=host) if host else beats).first()
    seconds = None if beat is None else (beat.now - beat.beat_at).total_seconds()
    patience = conf.heartbeat_patience().total_seconds() if max_age is None else max_age
    alive = seconds is not None and seconds <= patience
    return Liveness(
        alive=alive,
        seconds_since=None if seconds is None else max(0, round(seconds)),
        overdue=tuple(_overdue(using)),
        unreadable=() if alive else tuple(clusters.unreadable_schedules()),
    )


def _overdue(using: str) -> list[str]:
    if origin.copied(using=using) is not None:  # where nothing is due
        return []
    started = Exists(AutomationState.objects.filter(started=True))
    rows = Schedule.objects.using(using).filter(started).annotate(now=Now())
    return [row.name for row in rows if is_overdue(row, now=row.now)]
