"""Carry out repairs: make folders, change cells, and prove that what was found is gone and nothing new has come.

Everything is journaled under the point of the application that takes the rows in, as a merge is, so that a rollback
undoes it. See Note [One transaction per batch] in ``cleanup.services.merging.apply``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.db.models import Model

from cleanup import conf, journal
from cleanup.backends.catalogue import TableName
from cleanup.backends.changes import Cell, Keys, Replaced, RowCount
from cleanup.exceptions import ProofFailed, UnkeyedRows
from cleanup.models import RollbackPoint
from cleanup.repairing import NEW_RECOVERED, NEW_ROOT, Change, Column
from cleanup.services.concurrency.pipeline import PipelineSlot
from cleanup.services.merging.apply import Merge, Merger
from cleanup.services.merging.decisions import MergeDecision
from cleanup.services.merging.new_folders import FolderMaker, insert
from cleanup.services.merging.targets import Targets
from cleanup.services.repair.decisions import RepairDecision
from cleanup.services.repair.findings import Findings
from cleanup.services.repair.kinds import LATE, NAMES
from cleanup.services.repair.late import movable

_NEW = {"root": NEW_ROOT, "recovered": NEW_RECOVERED}


@dataclass(slots=True)
class _Batch:
    """What is known of a batch while it is carried out."""

    decisions: Mapping[int, RepairDecision]
    """Those that go ahead, by their position."""
    made: dict[tuple[int, str], str] = field(default_factory=dict)
    """The keys of new folders, by the position of the decision and the key that stands for each."""
    changed: set[tuple[str, str]] = field(default_factory=set)
    """Rows that have changed."""


class Repairer(Merger):
    """Repairs batches on one database; created once per run."""

    kind = RollbackPoint.Kind.REPAIR

    def __init__(self, targets: Targets, findings: Findings, code: str) -> None:
        super().__init__(targets)
        self.findings = findings
        self.code = code
        self._batch = _Batch({})

    def repairs(self) -> Sequence[journal.Step]:
        """Return the steps that come before those of a merge."""
        return journal.repair_steps(self.targets.references, self.targets.tables)

    def _carry_out(self, merge: Merge, slot: PipelineSlot) -> dict[int, Counter[str]]:
        """Repair, and return the rows that were moved, by id of the point and table. Raises ProofFailed."""
        ahead = {place: one for place, one in merge.going_ahead.items() if isinstance(one, RepairDecision)}
        self._batch = _Batch(ahead)
        concerned = {decision.application for decision in merge.going_ahead.values()}
        concerned.update(*(decision.concerned for decision in ahead.values()))
        before = self.findings.counts(concerned)
        moved = super()._carry_out(merge, slot)
        self._prove_mended(before, self.findings.counts(concerned))
        return moved

    def _prove_mended(self, before: Counter[str], after: Counter[str]) -> None:
        mended = sum(len(decision.repair.mended) for decision in self._batch.decisions.values())
        if after[self.code] > before[self.code] - mended:
            raise ProofFailed(f"{self.code} would still be found after the repair; it was undone.")
        new = sorted(code for code in after if after[code] > before[code])
        if new:
            raise ProofFailed(f"The repair would bring {', '.join(new)}, which was not found before; it was undone.")

    def _check_merged(self, merged: Mapping[str, MergeDecision]) -> None:
        if self.code == NAMES:
            super()._check_merged(merged)

    def _points(self, merge: Merge) -> dict[str, int]:
        others = {
            source: merge.point_ids[place]
            for place, decision in self._batch.decisions.items()
            for source in decision.sources
        }
        return others | super()._points(merge)

    # Steps.

    def _take(self, step: journal.Step, merge: Merge, slot: PipelineSlot) -> list[RowCount]:
        if step.makes:
            self._make(step, merge)
            return []
        if step.repaired is not None:
            return self._change(step.number, *step.repaired, merge)
        if self.code == LATE:
            return self._forward(step, merge)
        return super()._take(step, merge, slot)

    def _forward(self, step: journal.Step, merge: Merge) -> list[RowCount]:
        """Move rows along to where the folder went that they name; it has been removed before."""
        if step.array is not None:
            return self._move_elements(step, merge.batch)
        late = [one for one in step.references if one in movable(self.targets)] if step.kind == "moved" else []
        return self._move(replace(step, references=tuple(late)), merge.batch) if late else []

    def _make(self, step: journal.Step, merge: Merge) -> None:
        """Insert the root folders, or those of what was recovered, that do not exist yet."""
        new = _NEW[step.makes]
        making = {place: one for place, one in self._batch.decisions.items() if new in one.repair.makes}
        if not making:
            return
        folders = [self._new_folder(new, place, decision) for place, decision in making.items()]
        keys = insert(folders, using=self.targets.using, tables=self.tables)
        self._batch.made |= {(place, new): key for place, key in zip(making, keys, strict=True)}
        rows = [(merge.point_ids[place], (cell,)) for place, cell in zip(making, self._cells(keys), strict=True)]
        self.backend.merging.journal_inserted(
            self.references.folders, (self.targets.key_column,), Keys.of(rows), step=step.number
        )

    def _new_folder(self, new: str, place: int, decision: RepairDecision) -> Model:
        maker = FolderMaker(using=self.targets.using, tables=self.tables, application=decision.application)
        if new == NEW_ROOT:
            return maker.prepare(conf.root_folder(), None, computed=self.references.kept_columns)
        parent = self._batch.made.get((place, NEW_ROOT), decision.repair.root)
        return maker.prepare(conf.recovered_folder(), parent, computed=self.references.kept_columns)

    def _cells(self, keys: Sequence[str]) -> Sequence[str]:
        return self.targets.key_cells(keys)

    def _change(self, step: int, name: TableName, column: str, merge: Merge) -> list[RowCount]:
        """Change one column of folders or files."""
        row, part = self._part(name, column)
        changes = [
            (place, change)
            for place, decision in self._batch.decisions.items()
            for change in decision.repair.changes
            if (change.row, change.column) == (row, part)
        ]
        if not changes:
            return []
        held = self._held(row, [change.key for _, change in changes], column)
        replaced = [
            Replaced(merge.point_ids[place], (self._key(change),), held[change.key], (self._new(place, change),))
            for place, change in changes
            if change.key in held
        ]
        replaced = [one for one in replaced if one.olds != one.news]
        if replaced:
            table = self.references.tables[name]
            key = (self.targets.key_column,) if row == "folder" else self._key_of_files()
            self.backend.merging.replace_cells(table, key, (column,), replaced, step=step)
        counted: Counter[int] = Counter()
        for place, change in changes:
            if (row, change.key) not in self._batch.changed:  # of its several columns, the first
                self._batch.changed.add((row, change.key))
                counted[merge.point_ids[place]] += 1
        return [RowCount(point, name, rows) for point, rows in counted.items()]

    def _part(self, name: TableName, column: str) -> tuple[str, Column]:
        """Return what a column of a mapped table is called in a plan."""
        tables, file = self.tables, self.tables.file
        if name == self.references.folders.name:
            parts: dict[str | None, Column] = {
                tables.folder_parent: "parent",
                tables.folder_application: "application",
                tables.folder_name: "name",
            }
            return "folder", parts[column]
        assert file is not None  # noqa: S101  # or it had no column
        return "file", "folder" if column == file.folder else "application"

    def _held(self, row: str, keys: Sequence[str], column: str) -> dict[str, tuple[Cell, ...]]:
        if row == "folder" or self.tables.file is None:
            return self.backend.reading.read_cells(self.tables, keys, (column,))
        return self.backend.reading.read_file_cells(self.tables.file, keys, (column,))

    def _key_of_files(self) -> tuple[str, ...]:
        file, table = self.tables.file, self.references.files
        key = () if file is None else (file.key.column,)
        if table is None or journal.row_key(table) != key:
            raise UnkeyedRows(count=1, table=str(self.references.file_table))
        return key

    def _key(self, change: Change) -> str:
        if change.row == "folder" or self.tables.file is None:
            return self.backend.cells.key_cell(self.tables.folder_key, change.key)
        return self.backend.cells.key_cell(self.tables.file.key, change.key)

    def _new(self, place: int, change: Change) -> str:
        cells = self.backend.cells
        if change.column == "name":
            return cells.text_cell(change.new)
        if change.column == "application":
            return cells.key_cell(self.tables.application_key, change.new)
        key = self._batch.made.get((place, change.new), change.new)
        if change.column == "folder" and self.references.loose_files:
            return cells.text_cell(key)
        return cells.key_cell(self.tables.folder_key, key)
