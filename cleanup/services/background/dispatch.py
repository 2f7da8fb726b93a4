"""Work that clusters do: a request is stored at once, and processed under leases.

Everything that can be refused is refused before anything is written. A run is refused if no cluster is alive; what is
written stays: if all clusters die, it continues when one is back.
"""

import logging
import time

from django.db import transaction

from cleanup import backends, conf
from cleanup.models import ConsistencyCheck, JobLease, RollbackPoint, Run, Verification
from cleanup.references import schema_changes
from cleanup.references.schema_changes import TablesLocked
from cleanup.retry_limits import MAX_LOST_WORKERS, TRANSIENT_RETRIES
from cleanup.services.background import leases
from cleanup.services.background.leases import HeldLease
from cleanup.services.concurrency.retry import back_off
from cleanup.services.errors import classify
from cleanup.services.repair.worklist import Worklist
from cleanup.services.runs import lifecycle, table_waits
from cleanup.services.runs.team import Team

logger = logging.getLogger(__name__)


def start_cleanup(*, using: str, options: lifecycle.Options, actor: lifecycle.Actor) -> Run:
    """Write a cleanup run and have the clusters process it. Raises Busy."""
    with transaction.atomic(using=using):
        run = lifecycle.create_cleanup(using=using, options=options, actor=actor)
        issue(run, using=using)
    return run


def start_rollback(
    *, using: str, source: Run | None, point: RollbackPoint | None, options: lifecycle.Options, actor: lifecycle.Actor
) -> Run:
    """Write a run that undoes a point, or a whole run, and have the clusters process it."""
    with transaction.atomic(using=using):
        run = lifecycle.create_rollback(using=using, source=source, point=point, options=options, actor=actor)
        issue(run, using=using)
    return run


def start_repair(*, using: str, options: lifecycle.Options, actor: lifecycle.Actor, worklist: Worklist) -> Run:
    """Write a repair run and have the clusters process it."""
    with transaction.atomic(using=using):
        run = lifecycle.create_repair(using=using, options=options, actor=actor, worklist=worklist)
        issue(run, using=using)
    return run


def start_resume(run: Run, *, using: str, retry_failed: bool, adopt: bool, by: str) -> None:
    """Reopen a run and have the clusters process it. Raises NotResumable, ForeignDatabase and Busy."""
    with transaction.atomic(using=using):
        lifecycle.reopen(using=using, run=run, retry_failed=retry_failed, adopt=adopt)
        if by:
            run.options["resumed_by"] = by
            run.save(using=using, update_fields=["options"])
        issue(run, using=using)


def start_check(*, using: str, actor: lifecycle.Actor) -> ConsistencyCheck:
    """Queue a check for a cluster."""
    with transaction.atomic(using=using):
        check = ConsistencyCheck.objects.using(using).create(started_by=actor.name, started_how=actor.how)
        leases.issue(using=using, kind=JobLease.Kind.CHECK, target=check)
    return check


def start_verification(*, using: str, actor: lifecycle.Actor) -> Verification:
    """Queue a verification for a cluster."""
    with transaction.atomic(using=using):
        verification = Verification.objects.using(using).create(started_by=actor.name)
        leases.issue(using=using, kind=JobLease.Kind.VERIFICATION, target=verification)
    return verification


def issue(run: Run, *, using: str) -> None:
    """Have a run processed by as many workers as allowed."""
    for slot in range(1 if backends.database(using=using).one_writer else conf.background_workers()):
        leases.issue(using=using, kind=JobLease.Kind.RUN, target=run, slot=slot)


def process_run(lease: HeldLease) -> None:
    """Work for a while on the run that a lease is for; then requeue it, or end it if nothing is left to do."""
    run = Run.objects.using(lease.using).get(pk=lease.target)
    if not run.is_in_progress:
        lease.end()
        return
    if lease.attempts > MAX_LOST_WORKERS:
        lifecycle.halt(using=lease.using, run=run, reason=f"Its workers were lost {MAX_LOST_WORKERS} times in a row.")
        lease.end()
        return
    try:
        waits = _process_for_a_while(run, lease)
    except Exception as error:
        problem = classify(error)
        if problem.kind == "transient":  # the lease expires, and another worker tries again
            raise
        logger.exception("run %s: it cannot continue in the background", run.pk)
        lifecycle.halt(using=lease.using, run=run, reason=problem.message)
        lease.end()
        return
    if not run.is_claimable or (waits and lease.is_shared()):
        lease.end()
    else:
        lease.requeue()


def _process_for_a_while(run: Run, lease: HeldLease) -> bool:
    """Return whether time was left but nothing could be claimed, because others hold the rest."""
    time_box = LeasedTime(lease)
    try:
        references = schema_changes.ready(using=lease.using, probe=lifecycle.probing(run))
    except TablesLocked:
        _leave_to_the_next(run, using=lease.using)
        return False
    if lease.row.slot > 1 and not references.applications_are_independent:
        return True  # only one worker if two applications may share a row, see Team
    team = Team(using=lease.using, run=run, references=references, time_box=time_box)
    team.work()
    return time_box.has_time()


def _leave_to_the_next(run: Run, *, using: str) -> None:
    """Have the next delivery look whether the tables are free, unless that has taken too long."""
    if table_waits.is_too_long(run, using=using):
        table_waits.end(run, using=using)
        lifecycle.halt(using=using, run=run, reason=table_waits.LOCKED_TOO_LONG)
    else:
        back_off(TRANSIENT_RETRIES)


class LeasedTime:
    """The bounded time that one delivery of a job works on a run: a ``TimeBox``."""

    def __init__(self, lease: HeldLease) -> None:
        self.lease = lease
        self._until = time.monotonic() + conf.tick().total_seconds()

    def renew(self) -> None:
        """Renew the lease if it is due."""
        self.lease.renew_if_due()

    def has_time(self) -> bool:
        """Return whether there is time for another batch."""
        return time.monotonic() < self._until

    def wait(self) -> bool:
        """Wait a moment for what others hold; return False at once if another delivery is being processed."""
        if self.lease.is_shared():
            return False
        time.sleep(1)
        return True

    def end(self) -> None:
        """Stop after the batch; the run continues elsewhere."""
        self._until = 0.0
