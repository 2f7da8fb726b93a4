"""Runs: starting, reopening and controlling the durable worklists; ``worker`` processes them.

A run and its worklist are written in one transaction. One cleanup run is active per database: the database itself
refuses a second one. Control is a row that workers read before each claim.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

import cleanup
from cleanup import backends, conf, correlation, queries
from cleanup.backends.bulk_insert import insert_each
from cleanup.backends.folders import Cleanable
from cleanup.backends.query import compiled
from cleanup.exceptions import Busy, NotPausable, NotResumable
from cleanup.models import QueuedApplication, Result, RollbackPoint, Run
from cleanup.services import origin
from cleanup.services.arguments import refuse_impossible_numbers
from cleanup.services.repair import wording
from cleanup.services.runs import totals
from cleanup.services.runs.processes import worker_is_gone
from cleanup.text_safety import storable, stored_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from cleanup.models.operations import RunQuerySet
    from cleanup.services.repair.worklist import Worklist

#: Results of a worklist that is searched as few ones would not be: with the index that fits.
MANY_RESULTS = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """The options that a run was started with, kept on the run."""

    applications: tuple[str, ...] | None = None
    max_applications: int | None = None
    batch_size: int | None = None
    include_held: bool = False
    include_large: bool = False
    skip_conflicts: bool = False
    as_copies: bool = False
    repair: str = ""
    """The code of the findings that a repair takes away."""
    not_repaired: Sequence[Mapping[str, Any]] = ()
    """What a repair leaves as it is, as far as lists go."""
    not_repaired_left_out: int = 0
    plan_hashes: Mapping[str, str] = field(default_factory=dict)
    """By application, the plan that a person has confirmed; a different one is not carried out."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who starts something, from where, and why."""

    name: str = ""
    how: str = "service"
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", stored_name(self.name))
        object.__setattr__(self, "reason", storable(self.reason))


# Starting.


def validated(options: Options, *, using: str, workers: int = 1) -> Options:
    """Return the options with the ids of applications as text. Raises UsageError, UnknownObject and InvalidKey."""
    refuse_impossible_numbers(
        using=using, max_applications=options.max_applications, batch_size=options.batch_size, workers=workers
    )
    if options.applications is None:
        return options
    named = {given: queries.existing_application(using=using, application_id=given) for given in options.applications}
    plan_hashes = {named[given]: plan_hash for given, plan_hash in options.plan_hashes.items()}
    return replace(options, applications=tuple(named.values()), plan_hashes=plan_hashes)


def refuse_if_busy(*, using: str) -> None:
    """Raise Busy while a cleanup run has the database's one slot."""
    active = active_cleanup(using=using)
    if active is not None:
        raise Busy(run_id=active.pk)


def probing(run: Run) -> Literal["lately", "not"]:
    """Return whether resuming a run probes the rows, see ``references.readiness``."""
    return "not" if run.kind == Run.Kind.ROLLBACK else "lately"


def create_cleanup(*, using: str, options: Options, actor: Actor, exclusive: bool = True) -> Run:
    """Write a cleanup run and its worklist. Raises Busy when another one is active."""
    try:
        with transaction.atomic(using=using):
            run = _create(using=using, kind=Run.Kind.CLEANUP, options=options, actor=actor, exclusive=exclusive)
            _count_worklist(run, _fill_worklist(run, using=using, options=options), using=using)
            taken = Result.objects.using(using).filter(run=run).values("application_key")
            QueuedApplication.objects.using(using).filter(application_key__in=taken).delete()
    except IntegrityError:
        active = active_cleanup(using=using)
        if active is None:
            raise
        raise Busy(run_id=active.pk) from None
    return run


def create_rollback(
    *, using: str, source: Run | None, options: Options, actor: Actor, point: RollbackPoint | None = None
) -> Run:
    """Write a run that rolls back every live point of another run, or a single point."""
    with transaction.atomic(using=using):
        run = _create(using=using, kind=Run.Kind.ROLLBACK, options=options, actor=actor, exclusive=False, source=source)
        if point is not None:
            Result.objects.using(using).create(run=run, application_key=point.application_key, point=point)
            _count_worklist(run, 1, using=using)
            return run
        points = RollbackPoint.objects.using(using).filter(run=source, status=RollbackPoint.Status.LIVE)
        listed = points.values("application_key", point_id=F("id")).query.get_compiler(using).as_sql()
        count = insert_each(Result, compiled(*listed), ("application_key", "point_id"), {"run": run.pk}, using=using)
        _count_worklist(run, count, using=using)
    return run


def create_repair(*, using: str, options: Options, actor: Actor, worklist: Worklist) -> Run:
    """Write a repair run and its worklist."""
    left = tuple(asdict(wording.left(one)) for one in worklist.left)
    options = replace(options, not_repaired=left, not_repaired_left_out=worklist.left_out)
    with transaction.atomic(using=using):
        run = _create(using=using, kind=Run.Kind.REPAIR, options=options, actor=actor, exclusive=False)
        results = (
            Result(run=run, application_key=key, details={} if sources == {key} else {"sources": sorted(sources)})
            for key, sources in sorted(worklist.sources.items())
        )
        Result.objects.using(using).bulk_create(results, batch_size=1000)
        _count_worklist(run, len(worklist.sources), using=using)
    return run


def _create(
    *, using: str, kind: str, options: Options, actor: Actor, exclusive: bool, source: Run | None = None
) -> Run:
    return Run.objects.using(using).create(
        kind=kind,
        exclusive=exclusive,
        source_run=source,
        correlation_id=correlation.current() or correlation.new(),
        started_by=actor.name,
        started_how=actor.how,
        reason=actor.reason,
        options=asdict(options),
        settings={
            "different_roots": conf.different_roots(),
            "survivor": conf.survivor(),
            "differing_columns": conf.differing_columns(),
            "triggers": conf.triggers(),
            "collisions": dict(conf.collisions()),
        },
        code_version=cleanup.__version__,
        database_identity=backends.database(using=using).identity(),
    )


def _fill_worklist(run: Run, *, using: str, options: Options) -> int:
    """Write one result per affected application, the worst ones if there is a limit, or per named application.

    Returns their number.
    """
    if options.applications is not None:
        named = [Result(run=run, application_key=key) for key in dict.fromkeys(options.applications)]
        return len(Result.objects.using(using).bulk_create(named))
    if options.max_applications is None:
        affected = queries.affected_sql(using=using)
    else:
        affected = queries.worst_sql(using=using, limit=options.max_applications, cleanable=cleanable(options))
    return insert_each(Result, affected, ("application_key",), {"run": run.pk}, using=using)


def cleanable(options: Options) -> Cleanable:
    """Return which applications a limited run takes: the limit is not spent on those that it would leave alone."""
    most_folders = None if options.include_large else conf.large_application()
    return Cleanable(held=options.include_held, most_folders=most_folders)


def _count_worklist(run: Run, count: int, *, using: str) -> None:
    run.total_applications = count
    run.save(using=using, update_fields=["total_applications"])
    if count >= MANY_RESULTS:
        backends.database(using=using).update_statistics(Result._meta.db_table)


def active_cleanup(*, using: str) -> Run | None:
    """Return the cleanup run that holds the database's one slot."""
    return Run.objects.using(using).exclusive_cleanup().order_by("-created_at").first()


def reopen(*, using: str, run: Run, retry_failed: bool, adopt: bool = False) -> None:
    """Make an interrupted run claimable again. Raises NotResumable, ForeignDatabase or Busy."""
    if adopt:
        run.database_identity = backends.database(using=using).identity()
    origin.require_own(run, using=using)
    results = Result.objects.using(using).filter(run=run)
    runs = Run.objects.using(using).filter(pk=run.pk)
    if not (retry_failed and results.filter(status=Result.Status.FAILED).exists()):
        runs = runs.exclude(status=Run.Status.COMPLETED)
    with transaction.atomic(using=using):
        if retry_failed:
            results.filter(status=Result.Status.FAILED).update(
                status=Result.Status.PENDING, attempts=0, isolated=True, error_code="", error_class="", error_message=""
            )
        release_dead(results)
        if not _move_to_pending(runs, database_identity=run.database_identity):
            run.refresh_from_db(using=using, fields=["status"])
            raise NotResumable(run_id=run.pk, status=run.status)
        totals.recount(using=using, run=run)
    run.refresh_from_db(using=using)


def _move_to_pending(runs: RunQuerySet, *, database_identity: str) -> bool:
    try:
        with transaction.atomic(using=runs.db):
            moved = runs.move_to(
                Run.Status.PENDING,
                status_reason="",
                paused_by_error=False,
                ended_at=None,
                heartbeat_at=Now(),
                waiting_for="",
                waiting_since=None,
                database_identity=database_identity,
            )
    except IntegrityError:
        active = active_cleanup(using=runs.db)
        raise Busy(run_id=active.pk if active else runs.get().pk) from None
    return bool(moved)


# Control.


def pause(*, using: str, run: Run, reason: str) -> None:
    """Ask the workers of a run to stop after their batch. Raises NotPausable."""
    runs = Run.objects.using(using).filter(pk=run.pk)
    if runs.move_to(Run.Status.PAUSING, status_reason=reason):
        # No worker is left to notice: so it is paused at once.
        if not alive(using=using, run=run):
            runs.filter(status=Run.Status.PAUSING).move_to(Run.Status.PAUSED)
    elif not runs.filter(status__in=[Run.Status.PAUSING, Run.Status.PAUSED]).exists():
        raise NotPausable(run_id=run.pk, status=run.status)
    run.refresh_from_db(using=using)


def cancel(*, using: str, run: Run, reason: str) -> None:
    """End a run for good; what it has done stays done, and can be rolled back. Raises NotPausable."""
    runs = Run.objects.using(using).filter(pk=run.pk)
    if not runs.move_to(Run.Status.CANCELLED, status_reason=reason, ended_at=Now()):
        raise NotPausable(run_id=run.pk, status=run.status)
    run.refresh_from_db(using=using)


def halt(*, using: str, run: Run, reason: str) -> None:
    """Pause a run that cannot continue, and record why."""
    Run.objects.using(using).filter(pk=run.pk).move_to(Run.Status.PAUSED, status_reason=reason, paused_by_error=True)
    run.refresh_from_db(using=using)


def alive(*, using: str, run: Run) -> bool:
    """Return whether a worker holds a lease on a part of the run."""
    results = results_of(using=using, run=run)
    release_dead(results)
    return bool(results.filter(status=Result.Status.IN_PROGRESS, lease_expires_at__gt=Now()).exists())


def release_dead(results: Any, *, lost: Collection[str] = ()) -> None:
    """End the leases of lost workers, and of those of this machine whose process is gone; others expire."""
    for worker in results.filter(status=Result.Status.IN_PROGRESS).values_list("worker", flat=True).distinct():
        if worker in lost or worker_is_gone(worker):
            results.filter(status=Result.Status.IN_PROGRESS, worker=worker).update(lease_expires_at=Now())


def results_of(*, using: str, run: Run) -> Any:
    """Return the run's results."""
    return Result.objects.using(using).filter(run=run)
