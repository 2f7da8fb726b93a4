"""What rolling back would restore, and its conflicts.

It is the rollback itself in a transaction that is rolled back, so it takes its locks for a moment and changes nothing.
The points of a run are previewed one by one, or with those that have to be undone first.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from cleanup.backends.pinning import batch
from cleanup.exceptions import SchemaChanged, SharedRows
from cleanup.models import RollbackPoint
from cleanup.services.concurrency.retry import retry_lock_conflicts
from cleanup.services.results import RollbackResult
from cleanup.services.rollback.not_restored import LeftBehind, left_behind
from cleanup.services.rollback.outcome import PointOutcome
from cleanup.services.rollback.roll_back import Target, find, forbidden_as_conflict, ready_references, result_of
from cleanup.services.rollback.undo import Undo


def preview(*, using: str, rollback_id: Any, as_copies: bool = False) -> RollbackResult:
    """Return what rolling back a point or a run would do. Raises as ``DatabaseCleanupService.rollback_cleanup``."""
    target = find(using=using, rollback_id=rollback_id)
    points = [target.point] if target.point is not None else target.in_pages()
    outcomes = outcomes_of(points, using=using, target=target, as_copies=as_copies)
    behind = LeftBehind() if target.run is None else left_behind(using=using, source=target.run)
    return result_of(outcomes, rollback_id=target.rollback_id, status="preview", behind=behind)


def refuse_impossible(target: Target, undo: Undo, *, as_copies: bool) -> None:
    """Raise UnreadableJournal or Guarded if undoing one of the points would."""
    undo.refuse_unreadable(target.points)
    if not as_copies:
        undo.guards.refuse(target.in_pages())


def outcomes_of(points: Iterable[RollbackPoint], *, using: str, target: Target, as_copies: bool) -> list[PointOutcome]:
    """Return what undoing each of the target's points would do."""
    undo = Undo(using=using, references=ready_references(using=using))
    outcomes = []
    for point in points:
        try:
            outcomes.append(_look_at(point, undo, target=target, as_copies=as_copies))
        except SchemaChanged:
            undo = Undo(using=using, references=ready_references(using=using))
            outcomes.append(_look_at(point, undo, target=target, as_copies=as_copies))
    return outcomes


def _look_at(point: RollbackPoint, undo: Undo, *, target: Target, as_copies: bool) -> PointOutcome:
    """Preview a point; with further ones of its run, if these changed the same rows later."""
    points = [point]
    while True:
        try:
            attempt = partial(_undo_for_a_moment, undo, points, as_copies=as_copies)
            return retry_lock_conflicts(attempt, using=undo.tables.using)
        except SharedRows as error:
            known = [one.id for one in points]
            others = target.points.select_related("schema").filter(id__in=error.later)
            found = list(others.exclude(id__in=known))
            if not found:
                raise
            points += found


def _undo_for_a_moment(undo: Undo, points: Sequence[RollbackPoint], *, as_copies: bool) -> PointOutcome:
    """Return what undoing the first of the points would do, which the others need."""
    with forbidden_as_conflict(undo), transaction.atomic(using=undo.tables.using):
        with batch(undo.tables.backend):
            outcomes = undo.undo(
                points, skip_conflicts=True, as_copies=as_copies, now=timezone.now(), latest_first=len(points) > 1
            )
        transaction.set_rollback(True, using=undo.tables.using)  # not earlier: the caller's settings are restored first
    return next(outcome for outcome in outcomes if outcome.point == points[0])
