"""Scheduled cleanups that are out of the ordinary: they are planned, and wait until a person approves them.

Note [Out of the ordinary]. More applications have duplicates than ``CLEANUP_APPROVAL_FACTOR`` times the usual number,
which is the median of the last ten scheduled cleanups (fewer than three of them make nothing usual, and as many as the
schedule's alert threshold are never too many); or more folders would be removed than ``CLEANUP_APPROVAL_FOLDERS``; or
settings or schema differ from those of the last scheduled cleanup that was started. A cleanup that a person starts by
hand waits for nobody.

What waits is one row. It begins once, whoever approves it at the same time, with what is found then; it expires when
its schedule is due again, which plans anew.
"""

import json
from statistics import median
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from cleanup import conf
from cleanup.exceptions import NotWaiting, UnknownObject
from cleanup.models import Schedule, ScheduledRun
from cleanup.references import schema_changes
from cleanup.references.comparison import changed_facts, facts
from cleanup.services.operations import cleanups
from cleanup.services.preflight.shown_settings import shown_settings
from cleanup.services.results import CleanupReport
from cleanup.services.runs.lifecycle import Actor, Options
from cleanup.text_safety import storable, stored_name

#: How many scheduled cleanups tell what is usual, and how many of them it takes at least.
LOOKED_AT, KNOWN_ENOUGH = 10, 3

#: Changes of settings or schema that are stored of one cleanup.
NAMED_CHANGES = 20

#: The settings that decide what a cleanup does.
DECISIVE = (
    "CLEANUP_APPLICATION_MODEL",
    "CLEANUP_APPLICATION_FROM",
    "CLEANUP_SHARED_FOLDERS",
    "CLEANUP_FOLDER_MODEL",
    "CLEANUP_FILE_MODEL",
    "CLEANUP_FOLDER_FIELDS",
    "CLEANUP_FILE_FIELDS",
    "CLEANUP_FOLDER_LIVE",
    "CLEANUP_ROOT_PARENT",
    "CLEANUP_DIFFERENT_ROOTS",
    "CLEANUP_SURVIVOR",
    "CLEANUP_DIFFERING_COLUMNS",
    "CLEANUP_TRIGGERS",
    "CLEANUP_COLLISIONS",
    "CLEANUP_EXTRA_REFERENCES",
    "CLEANUP_IGNORED_COLUMNS",
    "CLEANUP_HISTORY_TABLES",
    "CLEANUP_TREE_HOOK",
    "CLEANUP_LARGE_APPLICATION",
)

EXPIRED = "No one approved it before the schedule was due again."


def circumstances(*, using: str) -> dict[str, dict[str, str]]:
    """Return what a plan depends on beside the rows: settings by name, and facts about the schema."""
    values = shown_settings()
    return {
        "settings": {name: json.dumps(values[name], sort_keys=True, default=str) for name in DECISIVE},
        "schema": facts(schema_changes.read(using=using)),
    }


def reasons(schedule: Schedule, *, plan: CleanupReport, duplicates: int, now: dict[str, Any]) -> list[dict[str, Any]]:
    """Return why a scheduled cleanup has to wait: codes with their numbers or changes; none if it is ordinary.

    ``duplicates``: the applications that have some. ``now``: the circumstances.
    """
    found: list[dict[str, Any]] = []
    usual = _usual(schedule)
    if usual is not None and duplicates > max(conf.approval_factor() * usual, schedule.alert_threshold):
        found.append({"code": "unusually_many", "applications": duplicates, "usual": usual})
    if plan.total_folders_removed > conf.approval_folders():
        found.append({"code": "many_folders", "folders": plan.total_folders_removed, "most": conf.approval_folders()})
    for about, code in (("settings", "settings_changed"), ("schema", "schema_changed")):
        before = schedule.circumstances.get(about)
        changes = [] if before is None else changed_facts(before, now[about])
        if changes:
            found.append({"code": code, "changes": changes[:NAMED_CHANGES], "more": len(changes[NAMED_CHANGES:])})
    return found


def remember(schedule: Schedule, now: dict[str, Any]) -> None:
    """Record the circumstances of a cleanup that is started or planned for people to see."""
    Schedule.objects.using(schedule._state.db).filter(pk=schedule.pk).update(circumstances=now)


def expire(schedule: Schedule, *, using: str) -> None:
    """End what waits for approval, since the schedule is due again."""
    waiting = ScheduledRun.objects.using(using).filter(schedule=schedule, status=ScheduledRun.Status.WAITING)
    waiting.update(status=ScheduledRun.Status.EXPIRED, reason=EXPIRED, ended_at=Now())


def approve(*, using: str, scheduled_run_id: int, by: str, reason: str = "") -> ScheduledRun:
    """Have the clusters begin a cleanup that waits, with the limit of its schedule; return its row.

    Raises UnknownObject, NotWaiting, Busy, Frozen, NoCluster and PreflightFailed, and then it waits on.
    """
    now = circumstances(using=using)
    with transaction.atomic(using=using):
        row = _decide(using=using, scheduled_run_id=scheduled_run_id, status=ScheduledRun.Status.STARTED, by=by)
        row.run = cleanups.start(
            using=using,
            options=Options(max_applications=row.schedule.max_applications),
            actor=Actor(by, "schedule", reason or "approved"),
        )
        row.save(using=using, update_fields=["run"])
        remember(row.schedule, now)
    return row


def decline(*, using: str, scheduled_run_id: int, by: str, reason: str = "") -> ScheduledRun:
    """End a cleanup that waits without beginning it; return its row. Raises UnknownObject and NotWaiting."""
    with transaction.atomic(using=using):
        row = _decide(using=using, scheduled_run_id=scheduled_run_id, status=ScheduledRun.Status.DECLINED, by=by)
        ScheduledRun.objects.using(using).filter(pk=row.pk).update(reason=storable(reason), ended_at=Now())
    row.refresh_from_db(using=using)
    return row


def _decide(*, using: str, scheduled_run_id: int, status: ScheduledRun.Status, by: str) -> ScheduledRun:
    """Take the row, which only one person can do."""
    rows = ScheduledRun.objects.using(using).filter(pk=scheduled_run_id)
    waiting = rows.filter(status=ScheduledRun.Status.WAITING)
    decided = waiting.update(status=status, reason="", decided_by=stored_name(by), decided_at=Now())
    row = rows.select_related("schedule").first()
    if row is None:
        raise UnknownObject(what="scheduled run", key=scheduled_run_id)
    if not decided:
        raise NotWaiting(scheduled_run_id=row.pk, status=row.get_status_display())
    return row


def _usual(schedule: Schedule) -> int | None:
    """Return how many applications have duplicates when the schedule is due, usually; None: it is not known yet."""
    begun = schedule.runs.filter(status=ScheduledRun.Status.COMPLETED, outcome__has_key="duplicate_applications")
    outcomes = begun.order_by("-id").values_list("outcome", flat=True)[:LOOKED_AT]
    numbers = [outcome["duplicate_applications"] for outcome in outcomes]
    return round(median(numbers)) if len(numbers) >= KNOWN_ENOUGH else None
