"""The verbs as requests call them: with an answer in JSON, carried out once even if sent twice, and in bounded time.

Settings limit what a request waits for; the rest is left to the clusters. ``once`` is the request with its
idempotency key, if it has one; see Note [One key, one answer] in ``cleanup.services.runs.idempotency``.
"""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from tempfile import TemporaryFile
from typing import IO, Any
from uuid import UUID

from cleanup import conf
from cleanup.backends.pinning import pinned
from cleanup.exceptions import StalePlan, TooLargeToPreview
from cleanup.models import RollbackPoint, Run
from cleanup.services.merging import preview
from cleanup.services.operations import cleanups, control, repairs, rollbacks, wait_limit
from cleanup.services.results import JSON, RollbackResult
from cleanup.services.rollback import export
from cleanup.services.rollback import preview as rollback_preview
from cleanup.services.runs import dry_run as dry_runs
from cleanup.services.runs import idempotency, reports
from cleanup.services.runs.idempotency import Asked
from cleanup.services.runs.lifecycle import Actor, Options

#: Folders that a plan lists; beyond these, they are counted.
MOST_FOLDERS = 2000

Once = Asked[JSON] | None


@pinned
def dry_run(*, using: str, options: Options, once: Once = None) -> JSON:
    """Return the report that a cleanup would have. Raises as ``dry_run.report``, KeyReused and InProgress."""
    return idempotency.claimed(once, lambda: dry_runs.report(using=using, options=options).as_json(), using=using)


@pinned
def clean_up(*, using: str, options: Options, actor: Actor, wait: bool, once: Once = None) -> JSON:
    """Start a cleanup, or with ``wait`` do it, and return its report. Raises TooManyToWait, and as ``cleanups.start``.

    KeyReused and InProgress are raised for the request's key.
    """

    def start() -> Run:
        if wait:
            wait_limit.refuse_if_too_many(
                using=using, applications=options.applications, max_applications=options.max_applications
            )
        return cleanups.start(using=using, options=options, actor=actor, in_background=not wait)

    return _answer(start, using=using, wait=wait, once=once)


@pinned
def dry_run_of_repair(*, using: str, options: Options, once: Once = None) -> JSON:
    """Return the report that a repair would have. Raises as ``repairs.dry_run``, KeyReused and InProgress."""
    return idempotency.claimed(once, lambda: repairs.dry_run(using=using, options=options).as_json(), using=using)


@pinned
def repair(*, using: str, options: Options, actor: Actor, wait: bool, once: Once = None) -> JSON:
    """Start a repair, or with ``wait`` do it, and return its report. Raises as ``repairs.start``.

    TooManyToWait, KeyReused and InProgress are raised for the request.
    """

    def start() -> Run:
        most = conf.api_wait_applications() if wait else None
        return repairs.start(using=using, options=options, actor=actor, in_background=not wait, most=most)

    return _answer(start, using=using, wait=wait, once=once)


@pinned
def consolidate(
    *, using: str, application_id: Any, options: Options, actor: Actor, plan_hash: str | None, once: Once = None
) -> JSON:
    """Merge one application and return its result. Raises as ``cleanups.consolidate``, KeyReused and InProgress.

    A StalePlan carries the current plan, unless that is too large.
    """

    def start() -> Run:
        return cleanups.start_consolidation(
            using=using, application_id=application_id, options=options, actor=actor, plan_hash=plan_hash
        )

    def finish(run: Run) -> JSON:
        return cleanups.finish_consolidation(using=using, run_id=run.pk).as_json()

    try:
        return idempotency.claimed_with(once, start, finish, using=using)
    except StalePlan as error:
        with suppress(TooLargeToPreview):
            plan = preview.preview(using=using, application_id=application_id)
            error.data |= {"plan_hash": plan.plan_hash, "plan": plan.shortened(MOST_FOLDERS).as_json()}
        raise


@pinned
def roll_back(
    *, using: str, rollback_id: UUID, options: Options, actor: Actor, wait: bool | None = None, once: Once = None
) -> JSON:
    """Roll back and return the report; by default, the request waits for a point but not for a run.

    Raises TooManyToWait, KeyReused, InProgress, and as ``rollbacks.roll_back`` and ``rollbacks.start``.
    """
    target: dict[str, Any] = {"using": using, "rollback_id": rollback_id, "options": options, "actor": actor}
    is_point = RollbackPoint.objects.using(using).filter(uuid=rollback_id).exists()
    waits = is_point if wait is None else wait
    if is_point and waits:
        return idempotency.at_once(once, lambda: rollbacks.roll_back(**target).as_json(), using=using)

    def start() -> Run:
        if waits:
            wait_limit.refuse_if_too_many_points(using=using, run_id=rollback_id)
        return rollbacks.start(**target, in_background=not waits)

    return _answer(start, using=using, wait=waits, once=once)


@pinned
def preview_rollback(*, using: str, rollback_id: UUID, as_copies: bool = False) -> RollbackResult:
    """Return what rolling back would do. Raises TooLargeToPreview, and as ``rollbacks.roll_back``."""
    wait_limit.refuse_if_large_undo(using=using, rollback_id=rollback_id, command=f"--rollback {rollback_id} --preview")
    return rollback_preview.preview(using=using, rollback_id=rollback_id, as_copies=as_copies)


@pinned
def undo_script(*, using: str, rollback_id: UUID) -> IO[bytes]:
    """Return an open file with the script that undoes a point or a run: the whole of it, before anything is answered.

    Raises TooLargeToPreview, and as ``export.export``.
    """
    wait_limit.refuse_if_large_undo(using=using, rollback_id=rollback_id, command=f"--export-undo {rollback_id}")
    with ExitStack() as stack:
        file = stack.enter_context(TemporaryFile())
        export.export(using=using, rollback_id=rollback_id, write=lambda text: file.write(text.encode()))
        file.seek(0)
        stack.pop_all()
    return file


def _answer(start: Callable[[], Run], *, using: str, wait: bool, once: Once) -> JSON:
    """Start a run, process it if the request waits for it, and return its report."""
    if wait:
        return idempotency.claimed_with(once, start, partial(_work_through, using=using), using=using)
    return idempotency.at_once(once, lambda: reports.report_of(start(), using=using).as_json(), using=using)


def _work_through(run: Run, *, using: str) -> JSON:
    """Process a run from where an earlier request was cut off, unless a person has paused it; return its report."""
    broken_off = run.status == Run.Status.PAUSED and run.paused_by_error
    if broken_off or run.is_claimable:
        return control.resume(using=using, run_id=run.pk).as_json()
    return reports.report_of(run, using=using).as_json()
