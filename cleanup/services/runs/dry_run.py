"""The dry run of a cleanup: the report that it would have; nothing is written and no row is locked."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.utils import timezone

from cleanup import conf, queries
from cleanup.models import Result, Run
from cleanup.references.readiness import ready_references
from cleanup.services.merging.decisions import Inclusion
from cleanup.services.merging.forecast import Forecaster
from cleanup.services.merging.suggested_policies import add_policies, with_those_in_force
from cleanup.services.results import CleanupReport, FolderCleanupResult, Progress
from cleanup.services.runs.lifecycle import Options, cleanable, validated


def report(
    *,
    using: str,
    options: Options,
    workers: int = 1,
    all_results: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> CleanupReport:
    """Return the report that a cleanup would have, whose totals are those of the cleanup.

    Raises PreflightFailed, UnknownObject, InvalidKey and UsageError.
    """
    options = validated(options, using=using, workers=workers)
    start_time = timezone.now()
    forecaster = Forecaster(
        using=using,
        references=ready_references(using=using, probe="now"),
        session_name="cleanup dry run",
        include=Inclusion(held=options.include_held, large=options.include_large),
        compare=True,
    )
    applications, total = _worklist(options, using=using)
    tally = _Tally(all_results=all_results)
    for page in forecaster.pages(applications, overlap=True):
        for _, result in page:
            tally.add(result)
        if progress is not None:
            progress(tally.progress(total))
    return tally.report(start_time=start_time, end_time=timezone.now())


def _worklist(options: Options, *, using: str) -> tuple[Iterator[str], int]:
    """Return the applications that a run with these options would have, in key order, and their number."""
    if options.applications is not None:
        named = sorted(set(options.applications))
        return iter(named), len(named)
    if options.max_applications is not None:
        limit = options.max_applications
        worst = sorted(queries.worst_applications(using=using, limit=limit, cleanable=cleanable(options)))
        return iter(worst), len(worst)
    return queries.affected_worklist(using=using)


class _Tally:
    """The totals of a dry run, and its results up to the cap."""

    def __init__(self, *, all_results: bool) -> None:
        self.limit = None if all_results else conf.list_limit()
        self.results: list[FolderCleanupResult] = []
        self.total = self.folders = self.files = self.children = 0
        self.statuses: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self.policies: dict[str, Any] = {}

    def add(self, result: FolderCleanupResult) -> None:
        self.total += 1
        self.statuses[result.status] += 1
        self.folders += result.folders_removed
        self.files += result.files_moved
        self.children += result.child_folders_merged
        self.rows.update(result.details.get("moved", {}))
        add_policies(self.policies, result.details)
        if self.limit is None or len(self.results) < self.limit:
            self.results.append(result)

    def progress(self, total: int) -> Progress:
        return Progress(
            None,
            self.total,
            total,
            self.folders,
            self.files,
            failed=self.statuses[Result.Status.FAILED],
            held=self.statuses[Result.Status.HELD],
            skipped=self.statuses[Result.Status.SKIPPED],
        )

    def report(self, *, start_time: datetime, end_time: datetime) -> CleanupReport:
        return CleanupReport(
            run_id=None,
            dry_run=True,
            status=Run.Status.COMPLETED,
            status_reason="",
            total_applications=self.total,
            successful_cleanups=self.statuses[Result.Status.COMPLETED],
            failed_cleanups=self.statuses[Result.Status.FAILED],
            held_applications=self.statuses[Result.Status.HELD],
            skipped_applications=self.statuses[Result.Status.SKIPPED],
            total_folders_removed=self.folders,
            total_files_moved=self.files,
            total_child_folders_merged=self.children,
            total_rows_moved=dict(sorted(self.rows.items())),
            start_time=start_time,
            end_time=end_time,
            results=tuple(self.results),
            results_left_out=self.total - len(self.results),
            collision_policies=with_those_in_force(self.policies),
        )
