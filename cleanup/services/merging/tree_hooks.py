"""Call the tree hooks after a merge, and journal what they write, so that an undo restores it without them.

A ready hook computes, and what differs is written and journaled by one statement. A hook of the host's own writes by
itself: the folders' columns that it may keep are compared before and after. What it writes elsewhere is not known.

Note [Hooks called again]. If folders arrive late, the hooks are called for a point under which they have written
before. An undo gives each row of a step one old value, so what they write now is joined to what they wrote then: from
what a cell held before the merge to what it holds now. If others changed a cell in between, that is what the entry
expects to find, and so the undo reports a conflict, as it would have without the second call.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from cleanup import journal
from cleanup.backends.catalogue import Table
from cleanup.backends.changes import Cell, Keys, Replaced
from cleanup.backends.tree_columns import ClosureTable, FolderColumns
from cleanup.hooks import ready
from cleanup.hooks.ready import Trees
from cleanup.services.merging.targets import Targets

#: By column: each folder's cell of the key, application and cell.
_Cells = dict[str, dict[str, tuple[str, Cell]]]


class JournaledHooks:
    """The tree hooks on one database; created once per run."""

    def __init__(self, targets: Targets, steps: Sequence[journal.Step]) -> None:
        self.targets = targets
        self.backend = targets.backend
        self.folders = targets.references.folders
        self.steps = steps
        self.hosts = ready.hosts()
        self._trees = Trees(database=targets.backend, tables=targets.tables, folders=self.folders)

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.hosts or self.steps)

    def call(self, points: Mapping[str, int]) -> None:
        """Leave the columns in agreement with the trees of applications, given with the ids of their points."""
        for step in self.steps:
            if isinstance(step.kept, ClosureTable):
                if step.kind == "removed":  # the first of its steps
                    self._keep_closure(step.kept, points)
            elif step.kept is not None:
                self._keep(step.number, step.kept, points)
        if not self.hosts:
            return
        watched = {step.watched: step.number for step in self.steps if step.watched}
        before = self._cells(list(watched), points) if watched else {}
        self.backend.limit_lock_wait()
        for hook in self.hosts:
            hook(using=self.targets.using, application_ids=list(points))
        after = self._cells(list(watched), points) if watched else {}
        for column, number in watched.items():
            self._journal(number, column, _differing(before[column], after[column], points))

    def call_again(self, points: Mapping[str, int]) -> None:
        """Call the hooks for points that have been written; see Note [Hooks called again]."""
        moved = [step for step in self.steps if step.kind == "moved"]
        before = {step.number: self._journaled_rows(step, points) for step in moved}
        self.call(points)
        for step in moved:
            if before[step.number]:
                self._join(step, before[step.number], self._journaled_rows(step, points))

    def _journaled_rows(self, step: journal.Step, points: Mapping[str, int]) -> dict[int, list[Replaced]]:
        """Return the rows that a step has changed, by the snapshot row that describes them."""
        return journal.moves(using=self.targets.using, points=sorted(set(points.values())), step=step.number)

    def _join(
        self, step: journal.Step, before: Mapping[int, Sequence[Replaced]], now: Mapping[int, Sequence[Replaced]]
    ) -> None:
        first = {(row.point, row.key): row for rows in before.values() for row in rows}
        again = [row for snapshot in now.keys() - before.keys() for row in now[snapshot]]
        if not any((row.point, row.key) in first for row in again):
            return
        for row in again:
            old = first.get((row.point, row.key), row)
            changed_between = old is not row and old.news != row.olds
            first[row.point, row.key] = row._replace(olds=old.olds, news=row.olds if changed_between else row.news)
        joined = [row for row in first.values() if row.olds != row.news]
        journal.forget(using=self.targets.using, snapshots=now)
        if joined:
            table, columns = self._written(step)
            self.backend.merging.journal_cells(table, journal.row_key(table), columns, joined, step=step.number)

    def _written(self, step: journal.Step) -> tuple[Table, tuple[str, ...]]:
        """Return the table and the columns in which a step changes cells."""
        if isinstance(step.kept, ClosureTable):
            return self.targets.references.tables[step.kept.table], (step.kept.depth or "",)
        return self.folders, (step.watched,) if step.kept is None else step.kept.columns

    def _keep(self, step: int, columns: FolderColumns, points: Mapping[str, int]) -> None:
        rows = [change.at(points[change.application]) for change in self._trees.changes(columns, list(points))]
        if rows:
            self.backend.merging.replace_cells(self.folders, self._key, columns.columns, rows, step=step)

    def _keep_closure(self, columns: ClosureTable, points: Mapping[str, int]) -> None:
        found = self._trees.closure_differences(columns, list(points))
        numbers = {step.kind: step.number for step in self.steps if step.kept == columns}
        table = self.targets.references.tables[columns.table]
        key = journal.row_key(table)
        if found.extra:
            extra = Keys.of([(points[one.application], one.key) for one in found.extra])
            self.backend.merging.remove(table, key, extra, step=numbers["removed"])
        if found.wrong and columns.depth is not None:
            wrong = [one.at(points[one.application]) for one in found.wrong]
            self.backend.merging.replace_cells(table, key, (columns.depth,), wrong, step=numbers["moved"])
        if found.missing:
            missing = [(points[one.application], one.cells) for one in found.missing]
            self.backend.merging.insert_rows(table, columns.columns, missing, step=numbers["inserted"])

    def _cells(self, columns: Sequence[str], points: Mapping[str, int]) -> _Cells:
        found: _Cells = defaultdict(dict)
        for column in columns:
            found[column] = {}
        trees = self.backend.reading.read_trees(self.targets.tables, list(points), columns)
        for application, folder, _, cells in trees:
            key = self.backend.cells.key_cell(self.targets.tables.folder_key, folder)
            for column, cell in zip(columns, cells, strict=True):
                found[column][key] = application, cell
        return found

    def _journal(self, step: int, column: str, rows: Sequence[Replaced]) -> None:
        if rows:
            self.backend.merging.journal_cells(self.folders, self._key, (column,), rows, step=step)

    @property
    def _key(self) -> tuple[str]:
        return (self.targets.key_column,)


def _differing(
    before: Mapping[str, tuple[str, Cell]], after: Mapping[str, tuple[str, Cell]], points: Mapping[str, int]
) -> list[Replaced]:
    return [
        Replaced(points[application], (key,), (before[key][1],), (cell,))
        for key, (application, cell) in after.items()
        if key in before and before[key][1] != cell
    ]
