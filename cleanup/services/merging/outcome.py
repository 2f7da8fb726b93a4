"""The report on one application: by a dry run before the merge, and by the merge itself."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from cleanup import conf
from cleanup.backends.cells import Cells
from cleanup.models import Result
from cleanup.policies import NewValuePolicy
from cleanup.services.merging.decisions import MergeDecision
from cleanup.services.merging.free_values import Renumbered
from cleanup.services.merging.targets import Targets
from cleanup.services.results import FolderCleanupResult, RootFolder


def result_of(
    decision: MergeDecision,
    moved: Mapping[str, int],
    *,
    targets: Targets,
    rollback_id: UUID | None = None,
    roots: tuple[RootFolder, ...] = (),
) -> FolderCleanupResult:
    """Return the result of a decision, with the rows that were, or would be, re-pointed, by table.

    ``roots`` are the root folders that would take in others.
    """
    if not decision.goes_ahead:
        return FolderCleanupResult(
            application_id=decision.application,
            status=decision.status or Result.Status.COMPLETED,
            error_code=decision.code,
            error_message=decision.message,
            details=decision.details,
        )
    yielded = Counter(str(row.table) for row in decision.giving_way)
    details = {**decision.details, "moved": {table: rows for table, rows in sorted(moved.items()) if rows}}
    if yielded:
        details["removed"] = dict(sorted(yielded.items()))
    if decision.renumbered:
        details |= _changes(decision.renumbered, cells=targets.backend.cells)
    return FolderCleanupResult(
        application_id=decision.application,
        status=Result.Status.COMPLETED,
        folders_removed=decision.plan.folders_removed,
        files_moved=moved.get(str(targets.references.file_table), 0),
        child_folders_merged=decision.plan.child_folders_merged,
        references_moved=sum(moved.values()),
        rollback_id=rollback_id,
        details=details,
        root_folder=roots[0] if roots else None,
        root_folders=roots,
    )


def _changes(renumbered: Sequence[Renumbered], *, cells: Cells) -> dict[str, Any]:
    """Return a result's details on rows that take another name or number: how many by table, and which."""
    limit = conf.list_limit()
    return {
        **_counts(renumbered),
        "changes": [
            {
                "table": str(one.table),
                "key": ",".join(cells.cell_text(cell) for cell in one.row.key),
                "column": one.column,
                "from": cells.cell_text(one.row.olds[0]),
                "to": cells.cell_text(one.row.news[0]),
            }
            for one in renumbered[:limit]
        ],
        "changes_left_out": max(0, len(renumbered) - limit),
    }


def _counts(renumbered: Iterable[Renumbered]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {"renamed": Counter(), "renumbered": Counter()}
    for one in renumbered:
        counts["renamed" if one.way == NewValuePolicy.RENAME else "renumbered"][str(one.table)] += 1
    return {way: dict(sorted(tables.items())) for way, tables in counts.items() if tables}
