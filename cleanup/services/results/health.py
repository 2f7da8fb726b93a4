"""Whether the service is well, for probes and monitoring."""

from dataclasses import dataclass
from datetime import datetime

from cleanup.services.results.document import Document


@dataclass(frozen=True, slots=True)
class LivenessReport(Document):
    """Whether a cluster does its work."""

    alive: bool
    seconds_since_heartbeat: int | None
    """Null: there was none."""
    overdue: tuple[str, ...]
    """Schedules that should have been done a while ago."""
    unreadable_schedules: tuple[int, ...]
    """The ids of django-q2's schedules that its scheduler fails on."""
    message: str
    """The same in words."""


@dataclass(frozen=True, slots=True)
class HealthVerdict(Document):
    """Whether all is well."""

    ok: bool
    database: str
    """``ok``, or the code of what is wrong with it."""


@dataclass(frozen=True, slots=True)
class HealthReport(HealthVerdict):
    """Whether all is well, and why, from a database that answers."""

    started: bool
    running: bool
    frozen: bool
    heartbeat_at: datetime | None
    overdue: tuple[str, ...]
    critical_alerts: int
