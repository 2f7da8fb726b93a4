"""What a repair would do, and what it would leave: nothing is written and no row is locked."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from django.utils import timezone

from cleanup import conf, queries
from cleanup.backends.forest import Scope
from cleanup.models import Result, Run
from cleanup.references import ReferenceMap
from cleanup.repairing import Change
from cleanup.services.merging.decisions import Inclusion, MergeDecision
from cleanup.services.merging.forecast import read_snapshot
from cleanup.services.repair import wording
from cleanup.services.repair.deciders import decider_of
from cleanup.services.repair.decisions import Decider, RepairDecision
from cleanup.services.repair.names import NamesDecider
from cleanup.services.repair.worklist import Worklist
from cleanup.services.results import FolderCleanupResult, RepairChange, RepairReport

#: Applications examined together.
PAGE = 100


def survey(*, using: str, references: ReferenceMap, code: str, applications: Sequence[str] | None) -> Worklist:
    """Return the applications that a repair of the findings of some applications, or of all, concerns.

    And what it leaves as it is.
    """
    decider = decider_of(code, using=using, references=references)
    if applications is not None:
        scopes = [Scope(keys=tuple(applications))]
    else:
        scopes = list(queries.application_ranges(using=using))
        if not scopes[0].whole:
            scopes.append(Scope(without_application=True))
    with read_snapshot(decider.backend, session_name="cleanup repair preview"):
        return decider.worklist(scopes)


def report(
    *,
    using: str,
    references: ReferenceMap,
    code: str,
    applications: Sequence[str] | None = None,
    include: Inclusion,
    all_results: bool = False,
) -> RepairReport:
    """Return the report that a repair would have."""
    start_time = timezone.now()
    worklist = survey(using=using, references=references, code=code, applications=applications)
    decider = decider_of(code, using=using, references=references)
    limit = None if all_results else conf.list_limit()
    results: list[FolderCleanupResult] = []
    changes: list[RepairChange] = []
    totals = _Totals()
    for page in _pages(worklist):
        with read_snapshot(decider.backend, session_name="cleanup repair preview"):
            decisions = decider.examine(page, include=include, lock=False)
            wanted = None if limit is None else max(0, limit - len(changes))
            shown = list(islice(((one.application, change) for one in decisions for change in _of(one)), wanted))
            changes += _described(shown, decider)
        for decision in decisions:
            result = expected(decider, decision)
            totals.add(result, decision)
            if limit is None or len(results) < limit:
                results.append(result)
    return RepairReport(
        run_id=None,
        dry_run=True,
        status=Run.Status.COMPLETED,
        status_reason="",
        total_applications=totals.statuses(),
        successful_cleanups=totals.of(Result.Status.COMPLETED),
        failed_cleanups=totals.of(Result.Status.FAILED),
        held_applications=totals.of(Result.Status.HELD),
        skipped_applications=totals.of(Result.Status.SKIPPED),
        total_folders_removed=totals.folders,
        total_files_moved=totals.files,
        total_child_folders_merged=totals.children,
        total_rows_moved=dict(sorted(totals.rows.items())),
        start_time=start_time,
        end_time=timezone.now(),
        results=tuple(results),
        results_left_out=totals.statuses() - len(results),
        repair=code,
        findings_repaired=totals.mended,
        folders_made=totals.made,
        changes=tuple(changes),
        changes_left_out=totals.changes - len(changes),
        not_repaired=tuple(map(wording.left, worklist.left)),
        not_repaired_left_out=worklist.left_out,
    )


def _pages(worklist: Worklist) -> Iterator[dict[str, set[str]]]:
    entries = iter(sorted(worklist.sources.items()))
    while page := dict(islice(entries, PAGE)):
        yield page


def expected(decider: Any, decision: MergeDecision) -> FolderCleanupResult:
    """Return the expected outcome for one application, with the hash by which it is confirmed."""
    result: FolderCleanupResult = decider.expected(decision)
    if not decision.goes_ahead:
        return result
    return replace(result, details={**result.details, "plan_hash": decision.plan_hash})


def _of(decision: MergeDecision) -> Sequence[Change]:
    return decision.repair.changes if isinstance(decision, RepairDecision) and decision.goes_ahead else ()


def _described(changes: Sequence[tuple[str, Change]], decider: Decider | NamesDecider) -> list[RepairChange]:
    """Return changes in words, with the names of their folders and files."""
    tables, reading = decider.tables, decider.backend.reading
    keys = {change.key for _, change in changes if change.row == "folder"}
    keys |= {change.new for _, change in changes if change.column in ("parent", "folder")}
    valid = sorted(key for key in keys if not key.startswith("\x00"))
    text = decider.backend.cells.cell_text
    cells = reading.read_cells(tables, valid, (tables.folder_name,)) if valid else {}
    folders = {key: "" if name is None else text(name) for key, (name,) in cells.items()}
    files: dict[str, str] = {}
    named = sorted({change.key for _, change in changes if change.row == "file"})
    if named and tables.file and tables.file.name:
        cells = reading.read_file_cells(tables.file, named, (tables.file.name,))
        files = {key: "" if name is None else text(name) for key, (name,) in cells.items()}
    return [
        RepairChange(
            application_id=application,
            row=change.row,
            row_id=change.key,
            column=change.column,
            sentence=wording.change(
                change,
                name=(folders if change.row == "folder" else files).get(change.key, change.key),
                folders=folders,
            ),
        )
        for application, change in changes
    ]


class _Totals:
    def __init__(self) -> None:
        self._statuses: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self.files = self.mended = self.made = self.changes = self.folders = self.children = 0

    def add(self, result: FolderCleanupResult, decision: MergeDecision) -> None:
        self._statuses[result.status] = self._statuses.get(result.status, 0) + 1
        self.files += result.files_moved
        for table, number in result.details.get("moved", {}).items():
            self.rows[table] = self.rows.get(table, 0) + number
        if decision.goes_ahead:
            self.mended += result.details.get("mended", 0)
            self.made += result.details.get("made", 0)
            self.changes += len(_of(decision))
            self.folders += result.folders_removed
            self.children += result.child_folders_merged

    def of(self, status: str) -> int:
        return self._statuses.get(status, 0)

    def statuses(self) -> int:
        return sum(self._statuses.values())
