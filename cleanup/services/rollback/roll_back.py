"""Single rollback points: taken by hand, found by their id or their run's, and undone in this process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils import timezone

from cleanup import backends, conf, queries
from cleanup.backends.pinning import batch
from cleanup.exceptions import AlreadyRolledBack, PointExpired, Refused, RollbackConflict, UnknownObject
from cleanup.models import RollbackPoint, Run
from cleanup.paging import in_pages
from cleanup.references import ReferenceMap, schema_changes
from cleanup.services.arguments import uuid_of
from cleanup.services.concurrency.retry import retry_lock_conflicts
from cleanup.services.errors import broken_guard, classify
from cleanup.services.results import RollbackData, RollbackResult
from cleanup.services.rollback.manual_points import take_point
from cleanup.services.rollback.not_restored import LeftBehind, inexact_of
from cleanup.services.rollback.outcome import PointOutcome
from cleanup.services.rollback.points import find_point
from cleanup.services.rollback.undo import Undo
from cleanup.text_safety import storable, stored_name

#: Points read together.
PAGE = 200


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a rollback: one point, or every live point of a cleanup run."""

    rollback_id: UUID
    points: QuerySet[RollbackPoint]
    point: RollbackPoint | None = None
    run: Run | None = None

    def in_pages(self) -> Iterator[RollbackPoint]:
        """Return the points with their snapshot schemas, in the order of writing."""
        return chain.from_iterable(in_pages(self.points.select_related("schema"), size=PAGE))


def find(*, using: str, rollback_id: Any) -> Target:
    """Return the target that an id of a point or of a run names.

    Raises UnknownObject, InvalidKey, and for a run with nothing left PointExpired, AlreadyRolledBack or Refused.
    """
    key = uuid_of(rollback_id, what="a rollback point or run")
    every = RollbackPoint.objects.using(using)
    point = find_point(using=using, rollback_id=key)
    if point is not None:
        return Target(key, every.filter(pk=point.pk), point=point)
    run = Run.objects.using(using).filter(pk=key, kind__in=Run.UNDOABLE).first()
    if run is None:
        raise UnknownObject(what="rollback point or cleanup run", key=key)
    points = every.filter(run=run)
    live = points.filter(status=RollbackPoint.Status.LIVE)
    if not live.exists():
        last = points.order_by("-ended_at").first()
        if last is None:
            raise Refused(f"Run {key} changed nothing, so there is nothing to roll back.")
        if last.status == RollbackPoint.Status.PURGED:
            raise PointExpired(rollback_id=key, at=last.ended_at)
        raise AlreadyRolledBack(rollback_id=key, at=last.ended_at)
    return Target(key, live, run=run)


def view(*, using: str, rollback_id: Any) -> RollbackData:
    """Return the view of a point. Raises UnknownObject and InvalidKey."""
    key = uuid_of(rollback_id, what="a rollback point")
    point = RollbackPoint.objects.using(using).filter(uuid=key).first()
    if point is None:
        raise UnknownObject(what="rollback point", key=key)
    return RollbackData.of(point)


def take(*, using: str, application_id: Any, reason: str = "", created_by: str = "") -> UUID:
    """Store an application's whole folder structure, and return the id of the point.

    Raises UnknownObject and InvalidKey.
    """
    existing = queries.existing_application(using=using, application_id=application_id)

    def write(references: ReferenceMap) -> UUID:
        with batch(backends.database(using=using)):
            point = take_point(
                using=using,
                references=references,
                application_id=existing,
                reason=storable(reason),
                created_by=stored_name(created_by),
                now=timezone.now(),
            )
        return point.uuid

    return schema_changes.retry_on_schema_change(write, references=partial(schema_changes.read, using=using))


def ready_references(*, using: str) -> ReferenceMap:
    """Return references to undo with. Raises PreflightFailed."""
    return schema_changes.ready(using=using, probe="not")


def roll_back(
    *, using: str, point: RollbackPoint, skip_conflicts: bool, as_copies: bool, reason: str, rolled_back_by: str
) -> RollbackResult:
    """Undo a point in one transaction. Raises as ``DatabaseCleanupService.rollback_cleanup``."""
    now = timezone.now()

    def undo_by(references: ReferenceMap) -> list[PointOutcome]:
        undo = Undo(using=using, references=references)
        return retry_lock_conflicts(partial(attempt, undo), using=using)

    def attempt(undo: Undo) -> list[PointOutcome]:
        with forbidden_as_conflict(undo), batch(undo.tables.backend, session_name="cleanup rollback"):
            points = undo.lock([point.id])
            outcomes = undo.undo(points, skip_conflicts=skip_conflicts, as_copies=as_copies, now=now, by=rolled_back_by)
            undo.close(outcomes, reason=storable(reason), by=stored_name(rolled_back_by), now=now)
        return outcomes

    outcomes = schema_changes.retry_on_schema_change(undo_by, references=partial(ready_references, using=using))
    return result_of(outcomes, rollback_id=point.uuid, status="rolled_back")


@contextmanager
def forbidden_as_conflict(undo: Undo) -> Iterator[None]:
    """Raise RollbackConflict if a constraint forbids what was to be restored and no comparison had predicted it.

    Raises Guarded if it is a guard.
    """
    try:
        yield
    except IntegrityError as error:
        guard = broken_guard(error)
        if guard is not None:
            raise undo.guards.refusal(guard) from error
        message = f"{classify(error).message} Nothing was restored."
        raise RollbackConflict(message, count=1, conflicts=()) from error


def result_of(
    outcomes: Sequence[PointOutcome],
    *,
    rollback_id: UUID,
    status: str,
    behind: LeftBehind = LeftBehind(),  # noqa: B008  # a tuple of nothing
) -> RollbackResult:
    """Return the total result of points that were undone, or previewed, in this process."""
    conflicts = [conflict for outcome in outcomes for conflict in (*outcome.conflicts, *outcome.differences)]
    copies = [copy for outcome in outcomes for copy in outcome.copies]
    inexact = dict.fromkeys(name for outcome in outcomes for name in outcome.inexact) | inexact_of(behind)
    limit = conf.list_limit()
    return RollbackResult(
        rollback_id=rollback_id,
        status=status,
        folders_restored=sum(outcome.folders_restored for outcome in outcomes),
        files_restored=sum(outcome.files_restored for outcome in outcomes),
        references_restored=sum(outcome.references_restored for outcome in outcomes),
        folders_moved_back=sum(outcome.folders_moved_back for outcome in outcomes),
        conflicts=tuple(conflicts[:limit]),
        conflicts_left_out=max(0, len(conflicts) - limit),
        copies=tuple(copies[:limit]),
        copies_left_out=max(0, len(copies) - limit),
        exact=not inexact,
        inexact=tuple(inexact),
        expired=behind.expired,
        not_restored=behind.listed,
        not_restored_left_out=behind.left_out,
        total_applications=len(outcomes),
        successful=len(outcomes),
        on_hold=any(outcome.point.kind != RollbackPoint.Kind.REPAIR for outcome in outcomes),
    )
