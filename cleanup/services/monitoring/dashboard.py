"""The data of the overview, from stored rows alone: a few small reads, whatever the size of the database."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Case, DateTimeField, Exists, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Cast, Now

from cleanup.models import (
    Alert,
    AutomationState,
    ConsistencyCheck,
    FreezeSwitch,
    Result,
    Run,
    Schedule,
    ScheduledRun,
    Verification,
)
from cleanup.services import origin
from cleanup.services.background import clusters
from cleanup.services.integrity import freshness
from cleanup.services.integrity.freshness import Knowledge
from cleanup.services.monitoring import pending_decisions, status
from cleanup.services.monitoring.pending_decisions import Counts
from cleanup.services.runs.signs_of_life import silent_since

#: Runs and alerts listed.
LISTED = 5
#: Active runs looked at.
MOST_ACTIVE = 100
#: Alerts counted; there are as many as there are causes.
MOST_ALERTS = 100


class Numbers(NamedTuple):
    """What every page shows: the counts in the navigation, and what keeps everything from being started."""

    duplicates: int | None
    """Applications with duplicates at the latest check; None if there was none."""
    decisions: int
    frozen: bool
    busy: bool
    """A cleanup has the slot, beside which no other starts."""
    counted_at: datetime | None = None
    """When that check ended, if a run has changed folders since; None: the number is current."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of everything that the page shows."""

    freeze_switch: FreezeSwitch | None
    """The freeze switch, while it is on."""
    service: AutomationState | None
    knowledge: Knowledge | None
    """How far the latest completed check can be relied on."""
    checking: ConsistencyCheck | None
    """The one in progress."""
    verification: Verification | None
    verifying: Verification | None
    active: Run | None
    """The active run, or else a paused one; of any kind, the one that has the slot first."""
    cleanup: Run | None
    """The active cleanup that has the slot, beside which no other starts."""
    silence: timedelta | None
    """How long it has given no sign of life although it should have."""
    recent: tuple[Any, ...]
    """Runs, each with the key of its ``only_application``, if it is about one alone."""
    schedules: tuple[Schedule, ...]
    overdue: tuple[str, ...]
    failed: tuple[str, ...]
    """The schedules that failed the last time."""
    alerts: tuple[Alert, ...]
    open_alerts: int
    cluster_alive: bool
    copied: origin.Copied | None
    """What makes the database a copy that was not adopted."""
    decisions: Counts

    @property
    def check(self) -> ConsistencyCheck | None:
        """The latest completed check."""
        return self.knowledge.check if self.knowledge else None

    @property
    def waiting(self) -> int:
        """Count the applications with duplicates that wait for a person; 0 if holds were removed since the check."""
        waiting = self.knowledge.waiting if self.knowledge else 0
        return waiting if waiting <= sum(self.decisions) else 0

    @property
    def all_on_hold(self) -> bool:
        """Return whether people have put every application with duplicates on hold, as far as the check knows."""
        if self.knowledge is None or self.decisions.open:
            return False
        return 0 < self.knowledge.duplicates == self.knowledge.waiting <= self.decisions.held

    @property
    def checks_on(self) -> bool:
        """Return whether the schedule of the check is not switched off."""
        return any(row.name == Schedule.Name.CONSISTENCY_CHECK and row.enabled for row in self.schedules)

    @property
    def is_checking(self) -> bool:
        """Return whether a check is in progress, in a cluster that is alive."""
        return self.checking is not None and self.cluster_alive

    @property
    def stopped(self) -> bool:
        """Return whether the latest cleanup has stopped, or the latest that was not of named applications."""
        cleanups = [run for run in self.recent if run.kind == Run.Kind.CLEANUP]
        over_all = [run for run in cleanups if not run.options.get("applications")]
        return any(run.status == Run.Status.STOPPED for run in (*cleanups[:1], *over_all[:1]))

    @property
    def follows(self) -> bool:
        """Return whether something is running whose end is worth waiting for."""
        at_work = self.active is not None and self.active.is_in_progress
        return at_work or self.is_checking or (self.verifying is not None and self.cluster_alive)

    @property
    def state(self) -> str:
        """Return a name for the current state: while it is the same, only figures may change."""
        run = f"{self.active.pk} {self.active.status}" if self.active else ""
        tasks = [task.pk if task is not None else "" for task in (self.checking, self.verifying)]
        return f"{run}/{tasks[0]}/{tasks[1]}"

    @property
    def frozen(self) -> bool:
        """Return whether everything is stopped."""
        return self.freeze_switch is not None

    @property
    def started(self) -> bool:
        """Return whether schedules are on."""
        return self.service is not None and self.service.started


def overview(*, using: str) -> Overview:
    """Read the state of everything that the page shows."""
    verifications = tuple(Verification.objects.using(using).order_by("-id")[:2])
    all_schedules = tuple(Schedule.objects.using(using).annotate(now=Now(), latest_status=ScheduledRun.latest_status()))
    runs = _runs(using=using)
    alerts = tuple(Alert.objects.using(using).filter(state__in=Alert.UNRESOLVED).order_by("-id")[:MOST_ALERTS])
    service = AutomationState.objects.using(using).filter(pk=1).annotate(served=Exists(clusters.fresh())).first()
    copied = origin.compared(service.database_identity, using=using) if service is not None else None
    started = service is not None and service.started
    every = freshness.period(all_schedules, started=started)
    knowledge, checking = freshness.latest_and_unended(using=using, every=every)
    active = min(
        (run for run in runs if run.is_active),
        key=lambda run: (not run.is_in_progress, not run.exclusive),
        default=None,
    )
    switch = FreezeSwitch.objects.using(using).frozen()
    numbers = [pending_decisions.number_query("frozen", switch), *pending_decisions.number_queries(using=using)]
    found = pending_decisions.answers(numbers)
    return Overview(
        freeze_switch=switch.first() if found.get("frozen") else None,
        service=service,
        knowledge=knowledge,
        checking=checking,
        verification=next((found for found in verifications if found.ended_at), None),
        verifying=next((found for found in verifications[:1] if found.ended_at is None), None),
        active=active,
        cleanup=next((run for run in runs if run.is_active and run.exclusive and run.kind == Run.Kind.CLEANUP), None),
        silence=silent_since(using=using, run=active, now=active.now) if active else None,
        recent=runs[:LISTED],
        schedules=all_schedules,
        overdue=tuple(
            schedule.name
            for schedule in all_schedules
            if started and copied is None and status.is_overdue(schedule, now=schedule.now)
        ),
        failed=tuple(
            schedule.name for schedule in all_schedules if schedule.latest_status == ScheduledRun.Status.FAILED
        ),
        alerts=alerts[:LISTED],
        open_alerts=len(alerts),
        cluster_alive=clusters.alive(using=using) if service is None else service.served,
        copied=copied,
        decisions=pending_decisions.counts_of(found),
    )


def numbers(*, using: str) -> Numbers:
    """Read them, in one query."""
    check = freshness.latest_check(using=using)
    numbers = (
        pending_decisions.number_query("frozen", FreezeSwitch.objects.using(using).frozen()),
        pending_decisions.number_query("busy", Run.objects.using(using).exclusive_cleanup()),
        *pending_decisions.number_queries(using=using),
    )
    untimed = (rows.values_list("part", "number", Cast(Value(None), DateTimeField())) for rows in numbers)
    timed = check.values_list(Value("duplicates"), "duplicate_applications", "changed_since")
    rows = timed.union(*untimed, all=True).order_by()
    found, times = {}, {}
    for name, number, time in rows:
        found[name], times[name] = number, time
    return Numbers(
        duplicates=found.get("duplicates"),
        decisions=pending_decisions.counts_of(found).open,
        frozen=bool(found.get("frozen")),
        busy=bool(found.get("busy")),
        counted_at=times.get("duplicates"),
    )


def exclusive_cleanup(*, using: str) -> Run | None:
    """Return the active cleanup that has the slot, beside which no other starts."""
    return Run.objects.using(using).exclusive_cleanup().first()


def paused_runs(*, using: str) -> int:
    """Count the runs that stay paused until someone resumes them."""
    return Run.objects.using(using).filter(status__in=[Run.Status.PAUSING, Run.Status.PAUSED]).count()


def _runs(*, using: str) -> tuple[Any, ...]:
    """Return the latest runs, and those that are active, newest first; read once, so that the page is consistent.

    ``only_application`` is the key of the application that a run is about if that is one alone.
    """
    runs = Run.objects.using(using).order_by("-created_at")
    wanted = Q(status__in=Run.ACTIVE) | Q(pk__in=runs.values("pk")[:LISTED])
    first = Result.objects.filter(run=OuterRef("pk")).values("application_key")[:1]
    alone = Case(When(total_applications=1, then=Subquery(first)), default=Value(None))
    return tuple(runs.filter(wanted).annotate(now=Now(), only_application=alone)[: LISTED + MOST_ACTIVE])
