"""The reports of runs, as far as they have come: their results, added up by the database."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from cleanup import conf
from cleanup.backends.pinning import together
from cleanup.exceptions import UnknownObject
from cleanup.models import Result, RollbackPoint, Run
from cleanup.paging import in_pages
from cleanup.services.arguments import uuid_of
from cleanup.services.merging.suggested_policies import add_policies, with_those_in_force
from cleanup.services.results import (
    JSON,
    CleanupReport,
    Conflict,
    Copy,
    FolderCleanupResult,
    NotRepaired,
    RepairReport,
    RollbackResult,
)
from cleanup.services.rollback.not_restored import LeftBehind, inexact_of, left_behind
from cleanup.services.runs.lifecycle import results_of


def find_run(*, using: str, run_id: Any) -> Run:
    """Return the run. Raises UnknownObject and InvalidKey."""
    key = uuid_of(run_id, what="a run")
    run = Run.objects.using(using).filter(pk=key).first()
    if run is None:
        raise UnknownObject(what="run", key=key)
    return run


def report_of(run: Run, *, using: str, all_results: bool = False) -> CleanupReport | RollbackResult:
    """Return the report of a run of either kind."""
    if run.kind == Run.Kind.ROLLBACK:
        return rollback_report(run, using=using)
    if run.kind == Run.Kind.REPAIR:
        return repair_report(run, using=using, all_results=all_results)
    return cleanup_report(run, using=using, all_results=all_results)


def cleanup_report(run: Run, *, using: str, all_results: bool = False) -> CleanupReport:
    """Return the report of a cleanup run, with ``all_results`` beyond the usual limit of lists."""
    return CleanupReport(**_totals(run, using=using, all_results=all_results))


def repair_report(run: Run, *, using: str, all_results: bool = False) -> RepairReport:
    """Return the report of a repair run, with ``all_results`` beyond the usual limit of lists."""
    mended = made = 0
    for details in _each(results_of(using=using, run=run), "details"):
        mended += details.get("mended", 0)
        made += details.get("made", 0)
    return RepairReport(
        **_totals(run, using=using, all_results=all_results),
        repair=run.options["repair"],
        findings_repaired=mended,
        folders_made=made,
        not_repaired=tuple(NotRepaired(**one) for one in run.options["not_repaired"]),
        not_repaired_left_out=run.options["not_repaired_left_out"],
    )


def _totals(run: Run, *, using: str, all_results: bool) -> dict[str, Any]:
    """Return the fields that the reports of cleanups and repairs share."""
    with together(using=using):
        results = results_of(using=using, run=run)
        totals = results.aggregate(
            successful=Count("pk", filter=Q(status__in=[Result.Status.COMPLETED, Result.Status.ROLLED_BACK])),
            failed=Count("pk", filter=Q(status=Result.Status.FAILED)),
            held=Count("pk", filter=Q(status=Result.Status.HELD)),
            skipped=Count("pk", filter=Q(status=Result.Status.SKIPPED)),
            folders=Sum("folders_removed"),
            files=Sum("files_moved"),
            children=Sum("child_folders_merged"),
        )
        listed = results.select_related("point").order_by("application_key")[
            : None if all_results else conf.list_limit()
        ]
        shown = tuple(map(_as_result, listed))
        policies: dict[str, Any] = {}
        for result in shown:
            add_policies(policies, result.details)
        return {
            "run_id": run.pk,
            "dry_run": False,
            "status": run.status,
            "status_reason": run.status_reason,
            "total_applications": run.total_applications,
            "successful_cleanups": totals["successful"],
            "failed_cleanups": totals["failed"],
            "held_applications": totals["held"],
            "skipped_applications": totals["skipped"],
            "total_folders_removed": totals["folders"] or 0,
            "total_files_moved": totals["files"] or 0,
            "total_child_folders_merged": totals["children"] or 0,
            "total_rows_moved": _rows_moved(results),
            "start_time": run.started_at or run.created_at,
            "end_time": run.ended_at,
            "results": shown,
            "results_left_out": max(0, run.total_applications - len(shown)),
            "collision_policies": with_those_in_force(policies),
            "rollback_points": RollbackPoint.objects.using(using)
            .filter(run=run, status=RollbackPoint.Status.LIVE)
            .count(),
        }


def only_result(run: Run, *, using: str) -> FolderCleanupResult:
    """Return the result of a run of one application."""
    return _as_result(results_of(using=using, run=run).select_related("point").get())


def _each(results: QuerySet[Result], field: str) -> Iterator[Any]:
    """Yield a field of a run's results, in the order of the applications' keys, by which an index gives them."""
    rows: QuerySet[Any] = results.values_list("application_key", field, named=True)
    for page in in_pages(rows, by="application_key"):
        yield from (getattr(row, field) for row in page)


def _rows_moved(results: QuerySet[Result]) -> dict[str, int]:
    """Return the rows that were re-pointed, by table."""
    rows: Counter[str] = Counter()
    for moved in _each(results, "details__moved"):
        rows.update(moved or {})
    return dict(sorted(rows.items()))


def _as_result(row: Result) -> FolderCleanupResult:
    return FolderCleanupResult(
        application_id=row.application_key,
        status=row.status,
        folders_removed=row.folders_removed,
        files_moved=row.files_moved,
        child_folders_merged=row.child_folders_merged,
        references_moved=row.references_moved,
        error_code=row.error_code,
        error_message=row.error_message,
        rollback_id=row.point.uuid if row.point else None,
        details=row.details,
    )


def rollback_report(run: Run, *, using: str) -> RollbackResult:
    """Return the report of a rollback run."""
    results = results_of(using=using, run=run)
    totals = results.aggregate(
        successful=Count("pk", filter=Q(status=Result.Status.COMPLETED)),
        failed=Count("pk", filter=Q(status=Result.Status.FAILED)),
    )
    restored = _Restored()
    for details in _each(results, "details"):
        restored.add(details)
    behind = LeftBehind()
    if run.source_run is not None:
        behind = left_behind(using=using, source=run.source_run, by=run)
    unfinished = totals["successful"] + totals["failed"] < run.total_applications
    inexact = restored.inexact | inexact_of(behind) | _where(failed=totals["failed"], unfinished=unfinished)
    return RollbackResult(
        rollback_id=run.source_run_id or run.pk,
        status=run.status,
        folders_restored=restored.folders,
        files_restored=restored.files,
        references_restored=restored.references,
        folders_moved_back=restored.moved_back,
        conflicts=tuple(Conflict(**conflict) for conflict in restored.conflicts),
        conflicts_left_out=restored.conflicting - len(restored.conflicts),
        copies=tuple(Copy(**copy) for copy in restored.copies),
        copies_left_out=restored.copied - len(restored.copies),
        exact=not inexact,
        inexact=tuple(inexact),
        expired=behind.expired,
        not_restored=behind.listed,
        not_restored_left_out=behind.left_out,
        run_id=run.pk,
        total_applications=run.total_applications,
        successful=totals["successful"],
        failed=totals["failed"],
        on_hold=run.source_run is None or run.source_run.kind != Run.Kind.REPAIR,
    )


#: Results of a rollback run up to which they are added up for a page, unless its row keeps what they add up to.
MOST_ADDED_UP = 2_000
#: Applications that can no longer be restored, of which the row keeps the keys.
MOST_KEPT = 20


def restored(run: Run, *, using: str) -> JSON:
    """Return what a rollback run has restored so far; empty if it is very large and has not completed."""
    if run.restored or run.total_applications > MOST_ADDED_UP:
        return dict(run.restored)
    return add_up_restored(run, using=using)


def add_up_restored(run: Run, *, using: str) -> JSON:
    """Return what a rollback run has restored, in the form that its row keeps."""
    report = rollback_report(run, using=using)
    expired = dict.fromkeys(point.application_id for point in report.not_restored if point.code == "expired")
    return {
        "folders_restored": report.folders_restored,
        "files_restored": report.files_restored,
        "references_restored": report.references_restored,
        "folders_moved_back": report.folders_moved_back,
        "inexact": list(report.inexact),
        "expired": report.expired,
        "expired_applications": list(expired)[:MOST_KEPT],
    }


class _Restored:
    """The totals of the results of a rollback run; lists up to the limit."""

    def __init__(self) -> None:
        self.limit = conf.list_limit()
        self.folders = self.files = self.references = self.moved_back = 0
        self.conflicts: list[JSON] = []
        self.conflicting = 0
        self.copies: list[JSON] = []
        self.copied = 0
        self.inexact: dict[str, None] = {}

    def add(self, details: JSON) -> None:
        """Add the details of one result."""
        self.folders += details.get("folders_restored", 0)
        self.files += details.get("files_restored", 0)
        self.references += details.get("references_restored", 0)
        self.moved_back += details.get("folders_moved_back", 0)  # older versions did not write it
        conflicts, copies = details.get("conflicts", []), details.get("copies", [])
        self.conflicting += len(conflicts)
        self.conflicts += conflicts[: max(0, self.limit - len(self.conflicts))]
        self.copied += len(copies) + details.get("copies_left_out", 0)
        self.copies += copies[: max(0, self.limit - len(self.copies))]
        # Older versions did not write it.
        self.inexact |= dict.fromkeys(details.get("inexact", [])) | _where(conflicts=conflicts, copies=copies)


def _where(**spoiling: object) -> dict[str, None]:
    return {name: None for name, present in spoiling.items() if present}
