"""Rollbacks of a rollback point in one transaction, or of a run by another run, in this process or by the clusters."""

from collections.abc import Callable
from typing import Any

from cleanup.exceptions import RollbackConflict
from cleanup.models import Run
from cleanup.services import freeze
from cleanup.services.arguments import refuse_impossible_numbers
from cleanup.services.background import clusters, dispatch
from cleanup.services.operations import wait_limit
from cleanup.services.operations.foreground import work_through
from cleanup.services.results import Progress, RollbackResult
from cleanup.services.rollback import preview
from cleanup.services.rollback import roll_back as one_point
from cleanup.services.rollback.undo import Undo
from cleanup.services.runs import lifecycle, reports
from cleanup.services.runs.lifecycle import Actor, Options


def roll_back(
    *,
    using: str,
    rollback_id: Any,
    options: Options,
    actor: Actor,
    workers: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> RollbackResult:
    """Roll back in this process. Raises as ``DatabaseCleanupService.rollback_cleanup``."""
    refuse_impossible_numbers(using=using, workers=workers)
    freeze.refuse_if_frozen(using=using)
    target = one_point.find(using=using, rollback_id=rollback_id)
    if target.point is not None:
        return one_point.roll_back(
            using=using,
            point=target.point,
            skip_conflicts=options.skip_conflicts,
            as_copies=options.as_copies,
            reason=actor.reason,
            rolled_back_by=actor.name,
        )
    references = one_point.ready_references(using=using)
    preview.refuse_impossible(target, Undo(using=using, references=references), as_copies=options.as_copies)
    run = lifecycle.create_rollback(using=using, source=target.run, options=options, actor=actor)
    work_through(run, references, using=using, workers=workers, progress=progress)
    return reports.rollback_report(run, using=using)


def start(*, using: str, rollback_id: Any, options: Options, actor: Actor, in_background: bool = True) -> Run:
    """Write a rollback run, and have the clusters process it; otherwise it waits for ``control.resume``.

    What a single point would conflict with is reported at once, unless it is too large. Raises NoCluster, and as
    ``roll_back``.
    """
    freeze.refuse_if_frozen(using=using)
    target = one_point.find(using=using, rollback_id=rollback_id)
    if in_background:
        clusters.require_alive(using=using)
    if target.point is None or wait_limit.is_large_undo(using=using, rollback_id=target.rollback_id):
        undo = Undo(using=using, references=one_point.ready_references(using=using))
        preview.refuse_impossible(target, undo, as_copies=options.as_copies)
    else:
        (outcome,) = preview.outcomes_of([target.point], using=using, target=target, as_copies=options.as_copies)
        if outcome.conflicts and not options.skip_conflicts:
            raise RollbackConflict(count=len(outcome.conflicts), conflicts=tuple(outcome.conflicts))
    begin = dispatch.start_rollback if in_background else lifecycle.create_rollback
    return begin(using=using, source=target.run, point=target.point, options=options, actor=actor)
