"""From decisions to parameters of statements: the removed folders of a batch, as each reference needs them.

Nothing here writes or locks a row.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat

from cleanup import backends, conf, journal
from cleanup.backends.catalogue import Table, TableName
from cleanup.backends.changes import Cell, RowCount, Target, ValueChange, ValueChanges
from cleanup.backends.references import ListReference, Reference
from cleanup.folder_tables import FolderTables, folder_tables
from cleanup.planning import FolderRow
from cleanup.policies import TriggerPolicy
from cleanup.references import ReferenceMap
from cleanup.references.key_types import respelled
from cleanup.services.merging.decisions import MergeDecision

#: Removed folders whose rows are counted, moved and removed by one statement, if they may be parted.
MOST_REMOVED = 10_000


@dataclass(slots=True)
class Batch:
    """The removed folders of decisions, column by column, as parameters of statements."""

    points: list[int] = field(default_factory=list)
    """The id of the rollback point, or, if nothing is journaled, a number of the caller's, to count by."""
    removed: list[str] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    """In survivor order, from 1."""
    olds: Sequence[str] = ()
    """The removed folders' keys as cells."""
    news: Sequence[str] = ()
    """The survivors'."""
    folders: dict[str, FolderRow] = field(default_factory=dict)
    """From its decisions, if they have them."""
    pairs: dict[tuple[tuple[str, ...], bool], ValueChanges] = field(default_factory=dict)
    """Created once for all references, by the folder columns that these copy, and whether they may be spelled in
    several ways."""
    unused: frozenset[Reference] = frozenset()
    """References that have nothing to change."""

    def add(self, point: int, survivor: str, removed: Sequence[str]) -> None:
        """Add the folders that become another one."""
        number = len(removed)
        self.points += repeat(point, number)
        self.removed += removed
        self.survivors += repeat(survivor, number)
        self.ranks += range(1, number + 1)

    def removals(self) -> Iterator[tuple[int, str, str, int]]:
        """Yield point, removed folder, survivor and rank."""
        return zip(self.points, self.removed, self.survivors, self.ranks, strict=True)


class Removals:
    """The removed folders of decisions; many are made into several batches, when they are asked for.

    Note [Parts]. If very many folders are removed, they are parted between groups: what is done to one part and then to
    the next gives what doing it to all at once would, because a row moves with its folder and meets only what comes to
    the same survivor. A folder's own folders go before it: parts come deepest first. All of this holds if a row of
    another table refers to one folder, and a folder to none but its parent; otherwise there is but one part.
    """

    def __init__(self, targets: "Targets", decisions: Sequence[tuple[int, MergeDecision]]) -> None:
        self._targets = targets
        self._decisions = decisions
        self._number = sum(decision.plan.folders_removed for _, decision in decisions)
        unused = [decision.unused for _, decision in decisions]
        self.unused = frozenset.intersection(*unused) if unused else frozenset[Reference]()
        """References that have nothing to change."""
        self._whole: Batch | None = None

    def __len__(self) -> int:
        return self._number

    @property
    def parted(self) -> bool:
        """Return whether there are several parts."""
        return len(self) > MOST_REMOVED and self._targets.divisible

    def whole(self) -> Batch:
        """Return all of them, in the plans' order."""
        if self._whole is None:
            self._whole = Batch()
            for point, decision in self._decisions:
                for survivor, removed in decision.plan.merged():
                    self._whole.add(point, survivor, removed)
            self._finish(self._whole)
        self._whole.unused = self.unused
        return self._whole

    def parts(self) -> Iterator[Batch]:
        """Yield them in parts, if there are any; see Note [Parts]."""
        if not self.parted:
            yield from [self.whole()] if self else []
            return
        batch = Batch()
        for point, decision in self._decisions:
            for survivor, removed in decision.plan.merged(deepest_first=True):
                batch.add(point, survivor, removed)
                if len(batch.removed) >= MOST_REMOVED:
                    yield self._finish(batch)
                    batch = Batch()
        if batch.removed:
            yield self._finish(batch)

    def _finish(self, batch: Batch) -> Batch:
        batch.olds, batch.news = self._targets.key_cells(batch.removed), self._targets.key_cells(batch.survivors)
        batch.unused = self.unused
        for _, decision in self._decisions:
            batch.folders |= decision.folders
        return batch


class Targets:
    """Creates the targets of batches on one database; created once per run, because the references are read once."""

    def __init__(self, *, using: str, references: ReferenceMap) -> None:
        self.using = using
        self.references = references
        self.backend: backends.Database = backends.database(using=using)
        self.tables: FolderTables = folder_tables()
        self.key_column = self.tables.folder_key.column
        #: Further columns of folders that composite references copy.
        self.copied_columns = tuple(
            sorted({c for r in references.references for c in r.folder_columns if c != self.key_column})
        )

    def removals(self, decisions: Sequence[MergeDecision], point_ids: Mapping[int, int] | None = None) -> Removals:
        """Return what those that go ahead remove; without the points' ids, rows are counted by the decision's place."""
        ahead = [
            (place if point_ids is None else point_ids[place], decision)
            for place, decision in enumerate(decisions)
            if decision.goes_ahead
        ]
        return Removals(self, ahead)

    @cached_property
    def divisible(self) -> bool:
        """Return whether very many removed folders may be parted; see Note [Parts]."""
        tables = Counter(reference.table for reference in self.references.references)
        folders = self.references.folders.name
        alone = self.tree is not None and max(tables.values()) == 1
        return alone and not self.references.lists and not self.references.ruled(folders)

    @cached_property
    def tree(self) -> tuple[TableName, tuple[str, ...]] | None:
        """The folders' own reference to their parents, if it is by nothing but the key."""
        tables, folders = self.tables, self.references.folders.name
        tree = (folders, (tables.folder_parent,))
        several = [r for r in self.references.references if (r.table, r.columns) == tree]
        plain = [
            r
            for r in several
            if r.folder_columns == (tables.folder_key.column,) and not r.spelled and r.condition is None
        ]
        return tree if len(plain) == len(several) == 1 else None

    def of(self, reference: Reference, batch: Batch) -> Target:
        """Return the columns of a reference that change with the batch."""
        table = self.references.tables[reference.table]
        kind = (reference.folder_columns, reference.spelled)
        if kind not in batch.pairs:
            batch.pairs[kind] = self._pairs(reference, batch)
        return Target(
            table,
            reference.columns,
            journal.row_key(table),
            batch.pairs[kind],
            reference.condition,
            self.fires(table),
            batch.olds if reference.table == self.references.folders.name else (),
        )

    def of_all(self, references: Sequence[Reference], batch: Batch) -> list[Target]:
        """Return the targets of the references that have something to change."""
        used = (reference for reference in references if reference not in batch.unused)
        return [target for reference in used if (target := self.of(reference, batch)).pairs]

    def of_lists(self, batch: Batch) -> list[tuple[ListReference, Target]]:
        """Return the arrays that may have something to change, with their targets."""
        if not batch.removed:
            return []
        return [(one, self._of_list(one, batch)) for one in self.references.lists]

    def _of_list(self, one: ListReference, batch: Batch) -> Target:
        table = self.references.tables[one.table]
        plain = ValueChanges(batch.points, (batch.olds,), (batch.news,), batch.ranks)
        pairs = ValueChanges.of(list(self._spelling(batch)), width=1) if one.spelled else plain
        return Target(table, (one.column,), journal.row_key(table), pairs, one.condition)

    def count_in_lists(self, batch: Batch) -> list[RowCount]:
        """Count the rows whose arrays name a removed folder; a file or folder counts once, see ``count_repeated``."""
        targets = [target for _, target in self.of_lists(batch)]
        return self.backend.lists.count_rows(targets) if targets else []

    def count_repeated(self, batch: Batch) -> list[RowCount]:
        """Correct the counts of files and folders that name one folder in several columns: each counts once."""
        groups = []
        for table in reversed(self.references.holding):
            own = [reference for reference in self.references.references if reference.table == table.name]
            present = [target for target in self.of_all(own, batch) if target.key]
            if len(present) > 1:
                groups.append(present)
        return self.backend.reading.count_repeated(groups) if groups else []

    def rows_by_folder(
        self, folders: Mapping[str, FolderRow], references: Sequence[Reference]
    ) -> dict[str, Counter[str]]:
        """Count the rows that point at each folder by some references, by folder and table."""
        keys = list(folders)
        cells = self.key_cells(keys)
        batch = Batch(list(range(len(keys))), keys, keys, [1] * len(keys), cells, cells, folders=dict(folders))
        targets = [replace(target, spare=()) for target in self.of_all(references, batch)]
        rows: dict[str, Counter[str]] = {}
        for counted in self.backend.reading.count_rows(targets):
            rows.setdefault(keys[counted.point], Counter())[str(counted.table)] += counted.rows
        return rows

    def nested(self, decisions: Sequence[MergeDecision]) -> Iterator[tuple[int, str, str]]:
        """Yield position of the decision, folder and parent of root folders that are moved under another."""
        for place, decision in enumerate(decisions):
            if decision.goes_ahead:
                for folder, parent in decision.plan.nested():
                    yield place, self._key_cell(folder), self._key_cell(parent)

    def fires(self, table: Table) -> bool:
        """Return whether triggers of the host fire when the table's rows change."""
        return bool(table.triggers) and conf.triggers() == TriggerPolicy.FIRE

    def key_cells(self, keys: Sequence[str]) -> Sequence[str]:
        """Return folder keys as cells."""
        return self.backend.cells.key_cells(self.tables.folder_key, keys)

    def _key_cell(self, key: str) -> str:
        return self.backend.cells.key_cell(self.tables.folder_key, key)

    def _pairs(self, reference: Reference, batch: Batch) -> ValueChanges:
        if reference.folder_columns != (self.key_column,):
            return ValueChanges.of(list(self._copying(reference, batch)), width=len(reference.folder_columns))
        if reference.spelled:
            return ValueChanges.of(list(self._spelling(batch)), width=1)
        return ValueChanges(batch.points, (batch.olds,), (batch.news,), batch.ranks)

    def _copying(self, reference: Reference, batch: Batch) -> Iterator[ValueChange]:
        for point, removed, survivor, rank in batch.removals():
            olds = self._copied(batch.folders[removed], reference)
            if None not in olds:  # a null matches nothing: it is not enforced, and not a reference
                yield ValueChange(point, tuple(map(str, olds)), self._copied(batch.folders[survivor], reference), rank)

    def _spelling(self, batch: Batch) -> Iterator[ValueChange]:
        key, text_cell = self.tables.folder_key, self.backend.cells.text_cell
        for point, removed, survivor, rank in batch.removals():
            for old, new in respelled(key, self.references.folder_key, removed, survivor):
                yield ValueChange(point, (text_cell(old),), (text_cell(new),), rank)

    def _copied(self, folder: FolderRow, reference: Reference) -> tuple[Cell, ...]:
        return tuple(
            self._key_cell(folder.key) if column == self.key_column else folder.cells[self.copied_columns.index(column)]
            for column in reference.folder_columns
        )
