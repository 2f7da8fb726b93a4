"""Which runs there were, and the ids by which they are undone or resumed."""

from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from cleanup import conf
from cleanup.exceptions import UsageError
from cleanup.folder_tables import folder_tables
from cleanup.models import Result, Run
from cleanup.services.arguments import refuse_impossible_numbers
from cleanup.services.results import ListedRun, RunList


def list_runs(
    *,
    using: str,
    application_id: Any = None,
    status: str | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> RunList:
    """Return the newest runs: those with the application, in that state, and created since then.

    Raises InvalidKey and UsageError.
    """
    limit = conf.list_limit() if limit is None else limit
    refuse_impossible_numbers(using=using, limit=limit)
    if status is not None and status not in Run.Status.values:
        raise UsageError(f"There is no state {status!r}; use one of: {', '.join(Run.Status.values)}.")
    runs = Run.objects.using(using)
    if application_id is not None:
        runs = of_application(runs, folder_tables().application_key.text(application_id))
    if status is not None:
        runs = runs.filter(status=status)
    if since is not None:
        runs = runs.filter(created_at__gte=since)
    found = tuple(map(listed, runs.with_undoable_until().order_by("-created_at", "-id")[:limit]))
    return RunList(results=found, results_left_out=runs.count() - len(found) if len(found) == limit else 0)


def of_application(runs: QuerySet[Run], key: str) -> Any:
    """Return the runs with this application, each with the id of the application's rollback point."""
    results = Result.objects.filter(run=OuterRef("pk"), application_key=key)
    return runs.filter(Exists(results)).annotate(rollback_id=Subquery(results.values("point__uuid")[:1]))


def listed(run: Any) -> ListedRun:
    """Describe a run that was read ``with_undoable_until``."""
    return ListedRun(
        run_id=run.pk,
        kind=run.kind,
        status=run.status,
        status_reason=run.status_reason,
        source_run_id=run.source_run_id,
        started_by=run.started_by,
        started_how=run.started_how,
        reason=run.reason,
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        total_applications=run.total_applications,
        successful_applications=run.successful_applications,
        failed_applications=run.failed_applications,
        held_applications=run.held_applications,
        skipped_applications=run.skipped_applications,
        folders_removed=run.folders_removed,
        files_moved=run.files_moved,
        undoable_until=run.undoable_until,
        rollback_id=getattr(run, "rollback_id", None),
    )
