"""Undo the steps of a merge, last step first, for points of one snapshot schema.

Folders come back first, then moves are undone, then rows that had to give way return. Conflicts are left as they are
and listed: a caller that wants all or nothing rolls back the transaction.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cleanup import journal
from cleanup.backends.catalogue import ForeignKey, Table
from cleanup.backends.changes import (
    NO_REPLACEMENTS,
    Cell,
    Images,
    Part,
    ReplacementCells,
    Restoration,
    Returned,
    RowConflict,
    RowCount,
    UndoTarget,
)
from cleanup.backends.refusals import Refusal, attempted
from cleanup.services.rollback.made_folders import in_use
from cleanup.services.rollback.piecemeal import Needs, missing, restore_piecemeal
from cleanup.services.rollback.tables import CurrentTables

if TYPE_CHECKING:
    from cleanup.backends import Database
    from cleanup.backends.scripting import Script


@dataclass(slots=True)
class Reverted:
    """What undoing points did, and what conflicted."""

    returned: list[RowCount] = field(default_factory=list)
    """Removed rows that were restored."""
    moved: list[RowCount] = field(default_factory=list)
    """Rows whose old values were restored."""
    conflicts: list[RowConflict] = field(default_factory=list)
    kept: list[RowConflict] = field(default_factory=list)
    """Folders that a repair made and that stay, because they are in use or were changed."""


class Reverter:
    """Undoes points of one snapshot schema; created for one attempt.

    ``written``: which (step, table label) have snapshot rows at all, and of how many rows, by point; ``instead``: the
    removed folders that do not come back as they were; ``nested``: the points whose nested root folders stay nested.
    ``piecemeal``: rows that the database refuses are conflicts, and the others are restored; otherwise its error is
    raised.
    """

    def __init__(
        self,
        reader: journal.Reader,
        tables: CurrentTables,
        *,
        points: Sequence[int],
        written: Mapping[tuple[int, str], Mapping[int, int]],
        instead: ReplacementCells,
        nested: Collection[int],
        piecemeal: bool,
    ) -> None:
        self.reader = reader
        self.schema = reader.schema
        self.tables = tables
        self.backend = tables.backend
        self.rooms: Database | Script = tables.backend
        self.using = tables.using
        self.folders = tables.references.folders
        self.points = points
        self.written = written
        self.instead = instead
        self.nested = nested
        self.piecemeal = piecemeal
        self.done = Reverted()

    def revert(self, before_moves: Callable[[], None]) -> Reverted:
        """Undo the points.

        ``before_moves`` is called when the folders are back, before anything that others see is changed. Raises
        CountMismatch, and UnreadableJournal naming what is gone.
        """
        for step in reversed(self.schema.steps):
            if step.number == self.schema.nesting:
                before_moves()
            present = [target for target in step.targets if (step.number, target.label) in self.written]
            if step.kind == "inserted":
                for label in dict.fromkeys(target.label for target in present):
                    self._remove_rows(step.number, label)
            elif step.kind == "removed":
                for label in dict.fromkeys(target.label for target in present):
                    self._return_rows(step.number, label)
            elif present:
                self._undo_moves(step.number, present)
        return self.done

    # Removed rows.

    def _remove_rows(self, step: int, label: str) -> None:
        columns = self.schema.columns(label)
        table, rows = self.schema.present(label, columns, self.tables.described), self.written[step, label]
        key = self.schema.key(label)
        images = Images(table, columns, key, points=self.points, step=step, rows=sum(rows.values()), inserted=True)
        if self.schema.by_repair(step):  # what people have filed there, or made of it, stays
            self.done.kept += self.rooms.undoing.remove_images(self._without_used(images, label))
        else:
            self.done.conflicts += self.rooms.undoing.remove_images(images)

    def _without_used(self, images: Images, label: str) -> Images:
        """Leave out the folders that are in use by now."""
        made = {str(row.key[0]): row for row in self.reader.rows(label, points=self.points, step=images.step or 0)}
        used = [made[cell] for cell in sorted(in_use(list(made), self.tables))]
        self.done.kept += [RowConflict(row.point, self.folders.name, "in_use", row.key) for row in used]
        return replace(images, left_out=[row.key for row in used], rows=(images.rows or 0) - len(used))

    def _return_rows(self, step: int, label: str) -> None:
        columns = self.schema.columns(label)
        table = self.schema.present(label, columns, self.tables.described)
        own = self.instead if table.name == self.folders.name else NO_REPLACEMENTS
        images = Images(table, columns, self.schema.key(label), points=self.points, step=step, instead=own)
        own_keys = [foreign_key for foreign_key in self.tables.required_keys() if foreign_key.table == table.name]
        left_out: set[tuple[Cell, ...]] = set()

        def restore(part: Part | None = None) -> Restoration:
            rows = sum(self.written[step, label].values())
            whole = replace(images, left_out=frozenset(left_out), rows=rows)
            wanted = replace(images, part=part) if part else whole
            outcome = self.rooms.undoing.restore_images(wanted, foreign_keys=own_keys)
            if self.piecemeal:
                self.backend.check_now(table)
            return outcome

        while True:
            outcome = attempted(restore, using=self.using) if self.piecemeal else restore()
            if isinstance(outcome, Refusal):
                rows = self.reader.rows(label, points=self.points, step=step)
                outcome = restore_piecemeal(
                    [row for row in rows if row.key not in left_out],
                    lambda part: restore(_part(part)),
                    using=self.using,
                    table=table.name,
                    needs=self._needs(images, own_keys),
                )
                break
            if not outcome.conflicts:
                break
            # Rows that need one that is not restored are not restored either, to any depth; decided all at once.
            away = {conflict.key for conflict in outcome.conflicts}
            needs = self._needs(images, own_keys)
            below = list(missing(needs.dependents(away, away=left_out), table.name))
            self.done.conflicts += (*outcome.conflicts, *below)
            left_out |= away | {conflict.key for conflict in below}
        if not self.schema.by_hook(step):
            self.done.returned += outcome.restored
        self.done.conflicts += outcome.conflicts

    def _needs(self, images: Images, foreign_keys: Sequence[ForeignKey]) -> Needs:
        return Needs(
            link
            for foreign_key in foreign_keys
            if foreign_key.target == images.table.name
            and {*foreign_key.columns, *foreign_key.target_columns} <= set(images.columns)
            for link in self.rooms.undoing.image_links(images, foreign_key=foreign_key)
        )

    # Rows that moved.

    def _undo_moves(self, step: int, present: Sequence[journal.JournaledTarget]) -> None:
        nesting = step == self.schema.nesting
        may_be_missing = nesting or self.schema.by_repair(step) or self._moved_late
        points = [point for point in self.points if point not in self.nested] if nesting else self.points
        targets = [self._target(step, target, points, must_exist=not may_be_missing) for target in present]
        if self.schema.of_arrays(step):
            outcome = self.rooms.lists.restore(targets[0], points=points, step=step)
        elif self.piecemeal:
            outcome = self._restore_moved_piecemeal(targets, points=points, step=step)
        else:
            outcome = self.rooms.undoing.restore_moved(targets, points=points, step=step)
        if any(target.folder_columns for target in present):  # otherwise the same rows have already been counted
            self.done.moved += outcome.restored
        self.done.conflicts += outcome.conflicts

    def _target(
        self, step: int, target: journal.JournaledTarget, points: Sequence[int], *, must_exist: bool
    ) -> UndoTarget:
        """Return what is undone; what a nested root, a late arrival, or what was repaired held may name no folder."""
        label, key = target.label, self.schema.key(target.label)
        folders, mapped = self.schema.as_journaled(self.folders), self.tables.mapped
        table = self.schema.present(label, [*target.columns, *key], self.tables.described)
        identity = (mapped.folder_key.column, *mapped.owner_columns)
        returned = Returned(self.schema.removal, self.schema.columns(folders.journaled_as), identity)
        refused = self.schema.by_repair(step) and self._is_refused_by_commit(table, target.columns)
        is_asked = refused or (must_exist and bool(self.done.conflicts))
        return UndoTarget(
            table,
            target.columns,
            key,
            must_exist=(folders, target.folder_columns) if is_asked and target.folder_columns else None,
            returned=None if refused else returned,
            form=self.schema.format,
            rows=sum(self.written[step, label].get(point, 0) for point in points),
        )

    @property
    def _moved_late(self) -> bool:
        """Return whether rows were moved only because they named folders that had been removed before.

        They name these again, which do not come back with them.
        """
        return (self.schema.removal, self.schema.label(self.folders.name)) not in self.written

    def _is_refused_by_commit(self, table: Table, columns: tuple[str, ...]) -> bool:
        """Return whether only COMMIT would refuse a value that names no folder: then it has to be found before."""
        return self.backend.one_writer and any(
            reference.enforced and (reference.table, reference.columns) == (table.name, columns)
            for reference in self.tables.references.references
        )

    def _restore_moved_piecemeal(
        self, targets: Sequence[UndoTarget], *, points: Sequence[int], step: int
    ) -> Restoration:
        tables = [target.table.name for target in targets]
        later = tables if len(tables) > 1 else ()  # tables that change by keys of each other only fit in the end

        def restore(several: Sequence[UndoTarget]) -> Restoration:
            outcome = self.rooms.undoing.restore_moved(several, points=points, step=step)
            for target in several:
                self.backend.check_now(target.table, apart_from=later)
            return outcome

        outcome = attempted(lambda: restore(targets), using=self.using)
        if not isinstance(outcome, Refusal):
            return outcome
        restored: list[RowCount] = []
        conflicts: list[RowConflict] = []
        for target in targets:

            def restore_part(part: Sequence[journal.JournaledRow], target: UndoTarget = target) -> Restoration:
                return restore([replace(target, part=_part(part), rows=None)])

            rows = self.reader.rows(target.table.journaled_as, points=points, step=step)
            outcome = restore_piecemeal(rows, restore_part, using=self.using, table=target.table.name, needs=Needs())
            restored += outcome.restored
            conflicts += outcome.conflicts
        return Restoration(restored, conflicts)


def _part(rows: Sequence[journal.JournaledRow]) -> Part:
    return Part(sorted({row.snapshot for row in rows}), [row.key for row in rows])
