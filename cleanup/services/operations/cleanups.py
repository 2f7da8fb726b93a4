"""Cleanups of many applications, in this process or by the clusters, and of a single one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cleanup import exceptions
from cleanup.backends.pinning import pinned
from cleanup.exceptions import ApplicationError, CleanupError, Held
from cleanup.models import Result, Run
from cleanup.references import ReferenceMap, schema_changes
from cleanup.references.readiness import ready_references
from cleanup.services import freeze
from cleanup.services.background import clusters, dispatch
from cleanup.services.merging import confirmation
from cleanup.services.merging.decisions import Inclusion
from cleanup.services.merging.preview import count_folders
from cleanup.services.operations import control, prepared_previews
from cleanup.services.operations.foreground import work_through
from cleanup.services.results import CleanupReport, FolderCleanupResult, Progress
from cleanup.services.runs import lifecycle, reports
from cleanup.services.runs.lifecycle import Actor, Options

_ERRORS = {
    error.code: error
    for error in vars(exceptions).values()
    if isinstance(error, type) and issubclass(error, CleanupError)
}


def clean_up(
    *,
    using: str,
    options: Options,
    actor: Actor,
    workers: int = 1,
    all_results: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> CleanupReport:
    """Clean up in this process. Raises PreflightFailed, Busy, Frozen, UnknownObject, InvalidKey, UsageError."""
    options = lifecycle.validated(options, using=using, workers=workers)
    freeze.refuse_if_frozen(using=using)
    lifecycle.refuse_if_busy(using=using)
    references = schema_changes.ready(using=using, probe="now")
    run = lifecycle.create_cleanup(using=using, options=options, actor=actor)
    work_through(run, references, using=using, workers=workers, batch_size=options.batch_size, progress=progress)
    return reports.cleanup_report(run, using=using, all_results=all_results)


@pinned
def start(*, using: str, options: Options, actor: Actor, in_background: bool = True, compare: bool = True) -> Run:
    """Write a cleanup run, and have the clusters process it; if otherwise it waits for ``control.resume``.

    Plans that were confirmed are compared with the rows locked, and with ``compare`` at once, too. Raises StalePlan,
    NoCluster, and as ``clean_up``.
    """
    options = lifecycle.validated(options, using=using)
    freeze.refuse_if_frozen(using=using)
    lifecycle.refuse_if_busy(using=using)
    if in_background:
        clusters.require_alive(using=using)
    ready_references(using=using, probe="now")
    if compare and options.applications is not None and options.plan_hashes:
        confirmation.refuse_if_stale(
            using=using,
            applications=options.applications,
            include=Inclusion(held=options.include_held, large=options.include_large),
            confirmed=options.plan_hashes,
        )
    begin = dispatch.start_cleanup if in_background else lifecycle.create_cleanup
    return begin(using=using, options=options, actor=actor)


@pinned
def start_confirmed(
    *, using: str, plan_hashes: Mapping[str, str], include_held: bool, include_large: bool, actor: Actor
) -> Run:
    """Have the clusters clean up applications whose plans a person has confirmed, by application.

    A single one may be too large to be examined at once: its plan must be that of the preview that was prepared, and
    is compared with the rows locked. ``include_large`` is for such a one alone. Raises as ``start``.
    """
    options = Options(tuple(plan_hashes), include_held=include_held, plan_hashes=plan_hashes)
    only, plan_hash = next(iter(plan_hashes.items()))
    if len(plan_hashes) > 1 or confirmation.is_examined(count_folders(using=using, application_id=only)):
        return start(using=using, options=options, actor=actor)
    prepared_previews.refuse_if_not_shown(using=using, application_id=only, plan_hash=plan_hash)
    return start(using=using, options=replace(options, include_large=include_large), actor=actor, compare=False)


def consolidate(
    *, using: str, application_id: Any, options: Options, actor: Actor, plan_hash: str | None = None
) -> FolderCleanupResult:
    """Merge one application. Takes no slot: it may run beside the active run, serialised by the application's lock.

    Raises UnknownObject, InvalidKey, Held, Frozen, StalePlan, PreflightFailed and the ApplicationErrors.
    """
    run, references = _write_consolidation(
        using=using, application_id=application_id, options=options, actor=actor, plan_hash=plan_hash
    )
    work_through(run, references, using=using)
    return _only_result(run, using=using)


def start_consolidation(
    *, using: str, application_id: Any, options: Options, actor: Actor, plan_hash: str | None = None
) -> Run:
    """Write the run by which one application is merged, for ``finish_consolidation``.

    Raises UnknownObject, InvalidKey, Frozen and PreflightFailed.
    """
    run, _ = _write_consolidation(
        using=using, application_id=application_id, options=options, actor=actor, plan_hash=plan_hash
    )
    return run


def finish_consolidation(*, using: str, run_id: Any) -> FolderCleanupResult:
    """Merge what ``start_consolidation`` has written a run for; for a run that is over, return its outcome.

    Raises as ``consolidate``.
    """
    run = reports.find_run(using=using, run_id=run_id)
    if not run.is_over:
        control.resume(using=using, run_id=run.pk)
    return _only_result(run, using=using)


def _write_consolidation(
    *, using: str, application_id: Any, options: Options, actor: Actor, plan_hash: str | None
) -> tuple[Run, ReferenceMap]:
    options = lifecycle.validated(replace(options, applications=(application_id,)), using=using)
    if plan_hash is not None:
        options = replace(options, plan_hashes=dict.fromkeys(options.applications or (), plan_hash))
    freeze.refuse_if_frozen(using=using)
    references = schema_changes.ready(using=using, probe="lately")
    run = lifecycle.create_cleanup(using=using, options=options, actor=actor, exclusive=False)
    return run, references


def _only_result(run: Run, *, using: str) -> FolderCleanupResult:
    """Return the result of a run of one application. Raises Held and the ApplicationErrors."""
    result = reports.only_result(run, using=using)
    if result.status == Result.Status.HELD:
        raise Held(result.error_message, application_id=result.application_id)
    if result.status not in (Result.Status.COMPLETED, Result.Status.ROLLED_BACK):
        error = _ERRORS.get(result.error_code, ApplicationError)
        raise error(result.error_message, application_id=result.application_id)
    return result
