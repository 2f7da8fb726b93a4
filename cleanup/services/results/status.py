"""What is running and what was done."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cleanup.services.results.document import Document
from cleanup.services.results.runs import ListedRun


@dataclass(frozen=True, slots=True)
class RestoredCopy(Document):
    """The notice that the database is a copy in which clusters do nothing until it is adopted."""

    message: str
    command: str
    """Adopts it."""


@dataclass(frozen=True, slots=True)
class LastCheck(Document):
    """What the latest check found, and how far that can be relied on."""

    check_time: datetime
    duplicate_applications: int
    waiting_for_decision: int
    age_seconds: int
    current: bool
    """Younger than two periods of its schedule, or than a day without one, and nothing has changed since."""
    changed_since: bool
    """A run has changed folders since it began."""


@dataclass(frozen=True, slots=True)
class ScheduleStatus(Document):
    """A schedule, in the status."""

    enabled: bool
    schedule_type: str
    last_run: datetime | None
    next_run: datetime | None
    overdue: bool
    max_applications_per_run: int | None
    alert_threshold: int
    dry_run_first: bool


@dataclass(frozen=True, slots=True)
class Statistics(Document):
    """What has been done so far."""

    total_runs: int
    successful_runs: int
    failed_runs: int
    applications_cleaned: int
    folders_removed: int
    files_moved: int
    last_run_time: datetime | None


@dataclass(frozen=True, slots=True)
class ActiveRun(Document):
    """An active run."""

    run_id: UUID
    status: str
    status_reason: str
    worked: bool
    """A worker holds a part of it."""
    silent_seconds: int | None
    """Since its last sign of life, if that is longer than half a minute."""
    total_applications: int
    done_applications: int
    """The sum of the next four."""
    successful_applications: int
    """Done, and neither failed nor left alone."""
    failed_applications: int
    held_applications: int
    """On hold."""
    skipped_applications: int
    """Left alone: too large, or missing."""
    folders_removed: int
    files_moved: int
    applications_per_second: float | None
    seconds_left: int | None
    heartbeat_at: datetime | None
    waiting_for: str
    """Why it is waiting while the database is under pressure; empty if it is not."""
    correlation_id: str


@dataclass(frozen=True, slots=True)
class HandedOver(Document):
    """A check or verification that is queued for a cluster, or was done by one."""

    kind: str
    """``check`` or ``verification``."""
    id: int
    status: str
    """``pending``, ``completed`` or ``failed``."""
    started_at: datetime
    ended_at: datetime | None
    started_by: str
    found_something: bool | None
    """Duplicates, or errors; null: there is no answer."""
    error: str
    """Why there is no answer."""


@dataclass(frozen=True, slots=True)
class StatusReport(Document):
    """What the service is doing."""

    running: bool
    """Started, a cluster is alive, and the database is not a restored copy."""
    started: bool
    restored_copy: RestoredCopy | None
    frozen: bool
    frozen_reason: str
    cluster_alive: bool
    heartbeat_at: datetime | None
    last_check: LastCheck | None
    schedules: Mapping[str, ScheduleStatus]
    """By name."""
    statistics: Statistics
    active_run: ActiveRun | None
    latest_runs: tuple[ListedRun, ...]
    """The runs that ended last, the latest first."""
    handed_over: tuple[HandedOver, ...]
    """Queued checks and verifications, and the latest result of each kind."""
