"""Whether a cluster does its work, for a process manager that restarts one that only looks alive.

A cluster whose idle worker was killed holds its queue's lock forever, and reports itself as working. So the cluster is
not asked: what counts is the last task that it did, according to its heartbeat row and the database's clock.
"""

from collections.abc import Sequence

from django.db.models import Exists
from django.db.models.functions import Now

from cleanup import conf
from cleanup.models import AutomationState, Heartbeat, Schedule
from cleanup.services import origin
from cleanup.services.background import clusters
from cleanup.services.monitoring.status import is_overdue
from cleanup.services.results import LivenessReport


def probe(*, using: str, host: str = "", max_age: float | None = None) -> LivenessReport:
    """Look for a sign of life younger than ``max_age`` seconds; of one machine's clusters, if it is named."""
    beats = Heartbeat.objects.using(using).annotate(now=Now()).order_by("-beat_at")
    beat = (beats.filter(host=host) if host else beats).first()
    seconds = None if beat is None else (beat.now - beat.beat_at).total_seconds()
    patience = conf.heartbeat_patience().total_seconds() if max_age is None else max_age
    alive = seconds is not None and seconds <= patience
    since = None if seconds is None else max(0, round(seconds))
    overdue = tuple(_overdue(using))
    unreadable = () if alive else tuple(clusters.unreadable_schedules())
    return LivenessReport(
        alive=alive,
        seconds_since_heartbeat=since,
        overdue=overdue,
        unreadable_schedules=unreadable,
        message=_message(alive=alive, since=since, overdue=overdue, unreadable=unreadable),
    )


def _message(*, alive: bool, since: int | None, overdue: Sequence[str], unreadable: Sequence[int]) -> str:
    if since is None:
        message = "No cluster has reported yet."
    else:
        message = f"{'Alive' if alive else 'Not alive'}: the last heartbeat was {since} s ago."
    if overdue:
        message += f" Overdue: {', '.join(overdue)}."
    if unreadable:
        rows = ", ".join(map(str, unreadable))
        message += f" django-q2 cannot read its schedules {rows} and therefore fires none: correct or delete them."
    return message


def _overdue(using: str) -> list[str]:
    if origin.copied(using=using) is not None:  # if nothing is due
        return []
    started = Exists(AutomationState.objects.filter(started=True))
    rows = Schedule.objects.using(using).filter(started).annotate(now=Now())
    return [row.name for row in rows if is_overdue(row, now=row.now)]
