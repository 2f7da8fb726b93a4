"""Control of runs: resume, in this process or by the clusters, pause and cancel."""

from collections.abc import Callable
from typing import Any

from cleanup.exceptions import UnknownObject
from cleanup.models import Run
from cleanup.references import schema_changes
from cleanup.references.readiness import ready_references
from cleanup.services import freeze
from cleanup.services.arguments import refuse_impossible_numbers
from cleanup.services.background import clusters, dispatch
from cleanup.services.monitoring import status
from cleanup.services.operations.foreground import work_through
from cleanup.services.results import ActiveRun, CleanupReport, Progress, RollbackResult
from cleanup.services.runs import lifecycle, reports
from cleanup.text_safety import storable, stored_name


def resume(
    *,
    using: str,
    run_id: Any,
    retry_failed: bool = False,
    adopt: bool = False,
    batch_size: int | None = None,
    workers: int = 1,
    all_results: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> CleanupReport | RollbackResult:
    """Resume an interrupted run in this process. Raises UnknownObject, NotResumable, ForeignDatabase, Frozen, Busy."""
    refuse_impossible_numbers(using=using, batch_size=batch_size, workers=workers)
    run = reports.find_run(using=using, run_id=run_id)
    freeze.refuse_if_frozen(using=using)
    references = schema_changes.ready(using=using, probe=lifecycle.probing(run))
    lifecycle.reopen(using=using, run=run, retry_failed=retry_failed, adopt=adopt)
    work_through(run, references, using=using, workers=workers, batch_size=batch_size, progress=progress)
    return reports.report_of(run, using=using, all_results=all_results)


def start_resume(
    *, using: str, run_id: Any, retry_failed: bool = False, adopt: bool = False, started_by: str = ""
) -> Run:
    """Have the clusters resume an interrupted run. Raises NoCluster, and as ``resume``."""
    run = reports.find_run(using=using, run_id=run_id)
    freeze.refuse_if_frozen(using=using)
    clusters.require_alive(using=using)
    ready_references(using=using, probe=lifecycle.probing(run))
    by = stored_name(started_by)
    dispatch.start_resume(run, using=using, retry_failed=retry_failed, adopt=adopt, by=by)
    return run


def pause(*, using: str, run_id: Any = None, reason: str = "", paused_by: str = "") -> ActiveRun:
    """Ask the workers of a run, the active cleanup if none is named, to stop after their batch; return its progress.

    Raises UnknownObject, InvalidKey and NotPausable.
    """
    run = _named_or_active(run_id, using=using)
    lifecycle.pause(using=using, run=run, reason=_reason("paused", reason, by=stored_name(paused_by)))
    return status.progress_of(run, worked=lifecycle.alive(using=using, run=run))


def cancel(*, using: str, run_id: Any = None, reason: str = "", cancelled_by: str = "") -> ActiveRun:
    """End a run, the active cleanup if none is named, for good; what it has done stays done. Return its progress.

    Raises UnknownObject, InvalidKey and NotPausable.
    """
    run = _named_or_active(run_id, using=using)
    lifecycle.cancel(using=using, run=run, reason=_reason("cancelled", reason, by=stored_name(cancelled_by)))
    return status.progress_of(run, worked=lifecycle.alive(using=using, run=run))


def _named_or_active(run_id: Any, *, using: str) -> Run:
    if run_id is not None:
        return reports.find_run(using=using, run_id=run_id)
    run = lifecycle.active_cleanup(using=using)
    if run is None:
        raise UnknownObject("No cleanup run is active.", what="run", key="active")
    return run


def _reason(what: str, reason: str, *, by: str) -> str:
    """Return why a run is paused or cancelled, and by whom."""
    if not by:
        return storable(reason) or f"{what} by request"
    return f"{what} by {by}: {storable(reason)}" if reason else f"{what} by {by}"
