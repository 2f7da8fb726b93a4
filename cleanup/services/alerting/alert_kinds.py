"""Every kind of alert: what causes it, read from stored rows, and its text. ``alerts`` opens, sends and resolves them.

Invariants: nothing here reads a mapped table or writes a row; a few statements, whatever the size of the history.
Applications that wait for a person's decision (held, refused, too large) are counted separately and are not a cause.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Case, Count, Exists, OuterRef, Q, Subquery, When
from django.db.models.functions import Now

from cleanup import conf, exceptions
from cleanup.backends.finding_kinds import DUPLICATES, ERRORS
from cleanup.backends.pinning import together
from cleanup.models import AutomationState, ConsistencyCheck, Result, Run, Schedule, ScheduledRun, Verification
from cleanup.phrases import as_reason, as_time, with_reason
from cleanup.services import origin

#: Failures of an application that will not go away by themselves: a person has to decide.
DECISIONS = frozenset(
    kind.code
    for kind in (
        exceptions.DifferentRoots,
        exceptions.DifferingColumns,
        exceptions.Widens,
        exceptions.Collision,
        exceptions.TooLarge,
        exceptions.UnkeyedRows,
        exceptions.Held,
        exceptions.RollbackConflict,
        exceptions.Superseded,
        exceptions.Guarded,
    )
)

#: The code for a database that is a copy.
RESTORED_COPY = "restored_copy"


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that is wrong."""

    code: str
    message: str
    """One sentence of counts and ids."""
    hint: str
    subject: str = ""
    """What it is about, if there can be several causes of a code."""
    critical: bool = False
    """From the start; any other cause becomes critical when it persists or grows."""
    size: int = 0
    """How much of it there is; it has grown when this has doubled."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    run: Run | None = None

    @property
    def fingerprint(self) -> str:
        """The code, and what it is about."""
        return f"{self.code}:{self.subject}"[:128] if self.subject else self.code


def causes(*, using: str) -> list[Cause]:
    """Return what is wrong now; for a copy that was not adopted, only that, because the rest is about the original."""
    found = origin.copied(using=using)
    if found is not None:
        return [Cause(RESTORED_COPY, found.sentence, origin.ADOPT, critical=True)]
    with together(using=using):
        return [
            *_duplicates(using),
            *_verification_errors(using),
            *_schedules(using),
            *_waiting(using),
            *_runs(using),
        ]


def _duplicates(using: str) -> Iterator[Cause]:
    """Compare the latest check with the current threshold of its schedule."""
    latest = _latest_check(using)
    if latest is None or latest.duplicate_applications is None:
        return
    waiting = latest.waiting_applications or 0
    number = latest.duplicate_applications - waiting
    schedule = Schedule.objects.using(using).filter(pk=Schedule.Name.CONSISTENCY_CHECK).first()
    threshold = schedule.alert_threshold if schedule else conf.alert_threshold()
    if number > threshold:
        yield Cause(
            "duplicates",
            f"{_number(number, 'application')} with duplicate folders, more than the threshold of {threshold:,}.",
            "manage.py database_cleanup --dry-run",
            size=number,
            detail={
                "check": latest.pk,
                "applications": number,
                "waiting_for_decision": waiting,
                "threshold": threshold,
            },
        )


def _latest_check(using: str) -> ConsistencyCheck | None:
    checks = ConsistencyCheck.objects.using(using).exclude(duplicate_applications=None)
    return checks.defer("summary").order_by("-id").first()


def _all_wait(using: str) -> bool:
    """Return whether the latest check found duplicates only where they wait for a decision, or were left by one."""
    latest = _latest_check(using)
    return latest is not None and 0 < (latest.duplicate_applications or 0) <= (latest.waiting_applications or 0)


def _verification_errors(using: str) -> Iterator[Cause]:
    """Find errors; not duplicates if there are no others than those that a cleanup leaves alone."""
    latest = Verification.objects.using(using).exclude(passed=None).defer("summary").order_by("-id").first()
    if latest is None or latest.passed is not False:
        return
    counts = {code: count for code, count in latest.counts.items() if code in ERRORS and count}
    errors, only_duplicates = sum(counts.values()), set(counts) <= set(DUPLICATES)
    if only_duplicates and _all_wait(using):
        return
    found = f"{_number(errors, 'place')} with duplicates" if only_duplicates else _number(errors, "error")
    yield Cause(
        "verification_errors",
        f"The latest verification of the database found {found}.",
        "manage.py database_cleanup --verify",
        size=errors,
        detail={"verification": latest.pk, "counts": counts},
    )


def _schedules(using: str) -> Iterator[Cause]:
    """Find what is late, which a dead cluster cannot report itself, and what went wrong the last time."""
    started = Exists(AutomationState.objects.filter(started=True))
    newest = ScheduledRun.objects.filter(schedule=OuterRef("pk")).exclude(status=ScheduledRun.Status.SKIPPED)
    failed = ScheduledRun.objects.filter(pk=OuterRef("newest"), status=ScheduledRun.Status.FAILED, run=None)
    schedules = Schedule.objects.using(using).filter(started, enabled=True)
    schedules = schedules.annotate(newest=Subquery(newest.order_by("-id").values("pk")[:1]))
    for schedule in schedules.annotate(
        late=Case(When(next_run__lt=Now() - conf.overdue_after(), then=True), default=False),
        failure=Subquery(failed.values("reason")[:1]),
    ):
        name = schedule.name
        if schedule.late and schedule.next_run:
            due = schedule.next_run.isoformat(timespec="minutes")
            yield Cause(
                "schedule_overdue",
                f"The schedule {name} has been due since {as_time(schedule.next_run)}.",
                "manage.py database_cleanup --status",
                subject=name,
                detail={"schedule": name, "due": due},
            )
        if schedule.failure is not None:
            yield Cause(
                "schedule_failed",
                f"{with_reason(f'The schedule {name} failed', schedule.failure)}",
                "manage.py database_cleanup --preflight",
                subject=name,
                detail={"schedule": name},
            )


def _waiting(using: str) -> Iterator[Cause]:
    """Find scheduled cleanups that wait until a person approves them."""
    for row in ScheduledRun.objects.using(using).filter(status=ScheduledRun.Status.WAITING):
        number = row.outcome.get("total_applications", 0)
        yield Cause(
            "approval_needed",
            f"The schedule {row.schedule_id} waits for your approval to clean up {_number(number, 'application')}.",
            f"manage.py database_cleanup --approve {row.pk}",
            subject=str(row.pk),
            size=number,
            detail={
                "schedule": row.schedule_id,
                "scheduled_run": row.pk,
                "applications": number,
                "folders": row.outcome.get("total_folders_removed", 0),
                "reasons": [reason["code"] for reason in row.outcome.get("reasons", [])],
            },
        )


def _runs(using: str) -> Iterator[Cause]:
    """Examine the latest run of each kind: what an older one left behind, a later one has encountered again.

    A cleanup of named applications has not, so that one over all that was stopped before it is examined as well.
    """
    runs = Run.objects.using(using).filter(Q(exclusive=True) | ~Q(kind=Run.Kind.CLEANUP)).order_by("-created_at")
    latest = [runs.filter(kind=kind).first() for kind in Run.Kind.values]
    for run in latest:
        cause = _OF_STATUS.get(run.status, _nothing)(using, run) if run else None
        if cause is not None:
            yield cause
    over_all = runs.filter(kind=Run.Kind.CLEANUP).of_no_named_applications().first()
    if over_all is not None and over_all not in latest and over_all.status == Run.Status.STOPPED:
        yield _stopped(using, over_all)


def _nothing(_using: str, _run: Run) -> Cause | None:
    return None


def _stopped(_using: str, run: Run) -> Cause:
    stopped = f"was stopped: {as_reason(run.status_reason)}"
    return _about(run, "run_stopped", stopped, critical=True, size=run.failed_applications)


def _paused(_using: str, run: Run) -> Cause | None:
    """Return the cause if a run was paused by what went wrong, and not by a person for a reason of their own."""
    paused = f"is paused: {as_reason(run.status_reason)[:500]}"
    return _about(run, "run_paused", paused) if run.paused_by_error else None


def _active(using: str, run: Run) -> Cause | None:
    """Detect that no worker is processing a run."""
    silent_since = Now() - 3 * conf.lease()
    begun = Q(heartbeat_at__lte=silent_since) | Q(heartbeat_at=None, created_at__lte=silent_since)
    if not Run.objects.using(using).filter(begun, pk=run.pk).exists():
        return None
    return _about(run, "run_stalled", "is active, but no worker is processing it")


def _completed(using: str, run: Run) -> Cause | None:
    failed = Result.objects.using(using).filter(run=run, status=Result.Status.FAILED).exclude(error_code__in=DECISIONS)
    if not run.failed_applications or not (codes := dict(failed.values_list("error_code").annotate(Count("pk")))):
        return None
    number = sum(codes.values())
    return _about(
        run, "run_failures", f"could not finish {_number(number, 'application')}", size=number, again=True, codes=codes
    )


_OF_STATUS: Mapping[str, Callable[[str, Run], Cause | None]] = {
    Run.Status.STOPPED: _stopped,
    Run.Status.PAUSED: _paused,
    Run.Status.PENDING: _active,
    Run.Status.RUNNING: _active,
    Run.Status.PAUSING: _active,
    Run.Status.COMPLETED: _completed,
}


def _about(
    run: Run, code: str, what: str, *, critical: bool = False, size: int = 0, again: bool = False, **detail: Any
) -> Cause:
    return Cause(
        code,
        f"{run.kind.capitalize()} run {run.pk} {what.rstrip('.')}.",
        f"manage.py database_cleanup --resume {run.pk}{' --retry-failed' if again else ''}",
        subject=str(run.pk),
        critical=critical,
        size=size,
        detail={
            "run": str(run.pk),
            "total_applications": run.total_applications,
            "done_applications": run.done_applications,
            "successful_applications": run.successful_applications,
            "failed_applications": run.failed_applications,
            "held_applications": run.held_applications,
            "skipped_applications": run.skipped_applications,
            **detail,
        },
        run=run,
    )


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
