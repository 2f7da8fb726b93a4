"""Snapshot rows: what they say, in which order they are written and undone, and the snapshot schema they are read by.

Invariants: a point's rows are written in the transaction that changes the rows they describe; the snapshot schema names
every table, column and type that they need, so that an old journal can be read, or refused by name, under a newer
schema.

Note [Form of the journal]. A snapshot schema is a JSON document: ``format`` (this module's FORMAT_VERSION),
``encoding`` of the cells (see Note [Cells] in backends.changes), ``tables``: label -> ``schema``, ``name``, ``key``
(columns), ``columns`` ([name, type] of every stored column, generated ones left out), ``numbers`` of those columns in
the table, ``oid``, ``definitions`` of types of the host's own by column (these three are missing where an older version
wrote), and ``steps``: step -> ``kind`` (moved or removed) and ``targets`` (label, columns, folder columns). A snapshot
row belongs to a step and a table:

- moved: ``changes`` [{"from": [old cells], "to": [new cells], "keys": [[first key cell of each row], ...]}, ...], the
  cells in the order of the target's columns and the table's key, the keys as before the change; at most a thousand rows
  share a snapshot row. Where a changed column belongs to the key, the key after the change is the key before it with
  the new value put in. Where triggers of the host fired, ``images`` has, for each change, [before, after] of each whole
  row, for people to look at (SQLite: null for after). Format 1 had one change a snapshot row: ``changes`` {column:
  [old, new]} and ``keys`` {key column: [cell of each row]}; it can be undone still.
  A step whose targets copy no column of folders gives rows that would collide another name or number.
- removed: ``images`` [[cell of each of the snapshot schema's columns], ...].
- structure: as removed, but nothing was removed: what a point taken by hand has seen.

Undo goes through the steps from the last to the first: folders come back first, then moves are undone, then rows that
had to give way to a twin return.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat, zip_longest
from typing import Any, Literal

from cleanup.backends import Database
from cleanup.backends.catalogue import Column, ForeignKey, Table, TableName
from cleanup.backends.changes import (
    NOTHING_INSTEAD,
    Cell,
    Counted,
    Images,
    Instead,
    Part,
    Restoration,
    Returned,
    RowConflict,
    UndoTarget,
)
from cleanup.backends.refusals import Refusal, attempted
from cleanup.backends.retyping import alterations
from cleanup.exceptions import UnreadableJournal
from cleanup.folder_tables import FolderTables
from cleanup.models import SnapshotRow, SnapshotSchema
from cleanup.piecemeal import JournaledRow, Needs, missing, restore_piecemeal
from cleanup.references import Reference, ReferenceMap

FORMAT_VERSION = 2

STRUCTURE_STEP = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a merge, in order."""

    number: int
    kind: Literal["moved", "removed"]
    references: tuple[Reference, ...] = ()
    """Moved: references that change in one statement. Removed: those whose colliding rows give way."""
    replaced: tuple[tuple[TableName, str], ...] = ()
    """Columns that take another name or number where rows would collide."""


def steps_of(references: ReferenceMap) -> list[Step]:
    """Return the steps of a merge.

    Where policies want it, other names and numbers, of each table one column a step, since a snapshot row says by its
    step and table which column it is of; for each step of references the rows that give way, then the moves; then the
    root folders that are nested; last the removed folders. The first and the last two have no references.
    """
    steps: list[Step] = []
    replaced = [
        [(table, column) for _, column in policy.changes] for table, policy in sorted(references.policies.items())
    ]
    for columns in zip_longest(*replaced):
        steps.append(Step(len(steps) + 1, "moved", replaced=tuple(one for one in columns if one is not None)))
    by_step: dict[int, list[Reference]] = {}
    for reference in references.references:
        by_step.setdefault(reference.step, []).append(reference)
    for number in sorted(by_step):
        group = tuple(by_step[number])
        steps.append(Step(len(steps) + 1, "removed", group))
        steps.append(Step(len(steps) + 1, "moved", group))
    steps.append(Step(len(steps) + 1, "moved"))
    steps.append(Step(len(steps) + 1, "removed"))
    return steps


def row_key(table: Table) -> tuple[str, ...]:
    """Return the columns that the journal identifies the table's rows by; empty where there are none."""
    return table.row_key or ()


def write_schema(*, using: str, backend: Database, references: ReferenceMap, mapped: FolderTables) -> SnapshotSchema:
    """Return the stored snapshot schema of the tables as they are now, writing it if it is new."""
    document = _document(backend, references, mapped)
    schema, _ = SnapshotSchema.objects.using(using).get_or_create(
        digest=_digest(document), defaults={"format_version": FORMAT_VERSION, "document": document}
    )
    return schema


def schema_digest(*, backend: Database, references: ReferenceMap, mapped: FolderTables) -> str:
    """Return the digest of the snapshot schema of the tables as they are now."""
    return _digest(_document(backend, references, mapped))


def _digest(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()


def _document(backend: Database, references: ReferenceMap, mapped: FolderTables) -> str:
    tables = {}
    for name, table in sorted(references.tables.items()):
        stored = [column for column in table.columns if not column.generated]
        tables[str(name)] = {
            "schema": name.schema,
            "name": name.name,
            "key": list(row_key(table)),
            "columns": [[column.name, column.type] for column in stored],
            "numbers": [column.number for column in stored],
            "oid": table.oid,
            "definitions": {column.name: column.definition for column in stored if column.definition},
        }
    folders = str(references.folders.name)
    steps: dict[str, Any] = {}
    for step in steps_of(references):
        targets = [[str(r.table), list(r.columns), list(r.folder_columns)] for r in step.references]
        if step.replaced:
            targets = [[str(table), [column], []] for table, column in step.replaced]
        elif not step.references:
            targets = [[folders, [mapped.folder_parent], [mapped.folder_key.column]]]
        steps[str(step.number)] = {"kind": step.kind, "targets": targets}
    return json.dumps(
        {"format": FORMAT_VERSION, "encoding": backend.cells.encoding, "tables": tables, "steps": steps},
        sort_keys=True,
        ensure_ascii=False,
    )


@dataclass(frozen=True, slots=True)
class Undone:
    """What undoing points did, and what stood in its way."""

    returned: tuple[Counted, ...]
    """Removed rows that are back."""
    moved: tuple[Counted, ...]
    """Rows whose old values are back."""
    conflicts: tuple[RowConflict, ...]


class Reader:
    """Reads and undoes the points of one snapshot schema against the tables as they are now."""

    def __init__(self, *, schema: SnapshotSchema, backend: Database, rollback_id: Any) -> None:
        """Take a snapshot schema. Raises UnreadableJournal for a foreign format or encoding."""
        self.backend = backend
        self.rollback_id = rollback_id
        document = json.loads(schema.document)
        if document["format"] > FORMAT_VERSION:
            raise self._unreadable(f"its format {document['format']} is newer than this program's {FORMAT_VERSION}.")
        if document["encoding"] != backend.cells.encoding:
            raise self._unreadable(f"it was written on another kind of database ({document['encoding']}).")
        self._format: int = document["format"]
        self._labels: dict[TableName, str] = {
            TableName(table["schema"], table["name"]): label for label, table in document["tables"].items()
        }
        self._tables: dict[str, dict[str, Any]] = document["tables"]
        self._tables |= {str(name): document["tables"][label] for name, label in self._labels.items()}
        self._steps: list[tuple[int, str, list[tuple[str, tuple[str, ...], tuple[str, ...]]]]] = sorted(
            (int(number), step["kind"], [(label, tuple(own), tuple(folder)) for label, own, folder in step["targets"]])
            for number, step in document["steps"].items()
        )

    def _unreadable(self, problem: str) -> UnreadableJournal:
        return UnreadableJournal(rollback_id=self.rollback_id, problem=problem)

    def kind(self, step: int) -> str:
        """Return what a step did: ``moved`` or ``removed``; empty for a step that the snapshot schema does not know."""
        return next((kind for number, kind, _ in self._steps if number == step), "")

    def label(self, name: TableName) -> str:
        """Return what the snapshot schema calls a table; older ones did not quote what holds a dot."""
        return self._labels.get(name, str(name))

    def _written_as(self, label: str) -> str:
        return self.label(self.table_name(label))

    def as_journaled(self, table: Table) -> Table:
        """Return a table with the label that its snapshot rows bear."""
        return replace(table, label=self.label(table.name))

    def table_name(self, label: str) -> TableName:
        """Return the table that a label of the snapshot schema means."""
        entry = self._tables[label]
        return TableName(entry["schema"], entry["name"])

    def table(self, label: str) -> Table:
        """Return the table that a label of the snapshot schema means as it was, as far as the snapshot schema says."""
        entry = self._tables[label]
        numbers, definitions = entry.get("numbers"), entry.get("definitions", {})
        columns = [
            Column(name, kind, number=number, definition=definitions.get(name, ""))
            for (name, kind), number in zip(entry["columns"], numbers or repeat(0), strict=numbers is not None)
        ]
        return Table(self.table_name(label), tuple(columns), oid=entry.get("oid", 0))

    def refuse_altered(self, written: Iterable[tuple[int, str]], described: Mapping[TableName, Table]) -> None:
        """Raise UnreadableJournal if what (step, table label) say cannot be written back: it names table and column.

        The images of rows need every column, changes those that changed and the key.
        """
        needed: dict[str, set[str]] = {}
        for step, label in sorted(written):
            columns = needed.setdefault(label, set())
            if self.kind(step) == "moved":
                columns.update(*(own for own in self._moved_columns(step, label)), self.key(label))
            else:
                columns.update(self.columns(label))
        for label, columns in needed.items():
            table = described.get(self.table_name(label))
            if table is None:
                raise self._unreadable(f"table {label} is gone.")
            then = self.table(label)
            ordered = [column for column in self.columns(label) if column in columns]
            for clause in alterations(then, table, ordered):
                raise self._unreadable(f"{clause}.")

    def _moved_columns(self, step: int, label: str) -> list[tuple[str, ...]]:
        targets = next(targets for number, _, targets in self._steps if number == step)
        return [own for table, own, _ in targets if table == label]

    def tables(self) -> set[TableName]:
        """Return all tables of the snapshot schema."""
        return {self.table_name(label) for label in self._tables}

    def columns(self, label: str) -> list[str]:
        """Return the stored columns of a table in the order of its images."""
        return [name for name, _ in self._tables[label]["columns"]]

    def key(self, label: str) -> tuple[str, ...]:
        """Return the key columns of a table."""
        return tuple(self._tables[label]["key"])

    def before(
        self, *, using: str, points: Sequence[int], label: str, column: str
    ) -> tuple[dict[Cell, Cell], list[dict[str, Cell]]]:
        """Return what undoing brings back in a table with a key of one column.

        The old value of a column by the key of each row that moved, and the removed rows, by column.
        """
        moved: dict[Cell, Cell] = {}
        removed: list[dict[str, Cell]] = []
        columns = self.columns(label)
        (key,) = self.key(label)
        rows = SnapshotRow.objects.using(using).filter(point__in=points, table=self._written_as(label))
        rows = rows.order_by("step", "pk")
        for row in rows.iterator(chunk_size=500):
            if row.kind == SnapshotRow.Kind.REMOVED:
                removed += [dict(zip(columns, image, strict=True)) for image in json.loads(row.images or "[]")]
            elif row.kind == SnapshotRow.Kind.MOVED:
                for olds, keys in self._changes(row):
                    if column in olds:
                        for cell in keys[key]:
                            moved.setdefault(cell, olds[column])  # of several moves, the first
        return moved, removed

    def _changes(self, row: SnapshotRow) -> Iterator[tuple[dict[str, Cell], dict[str, list[Cell]]]]:
        """Yield the changes of a snapshot row, of either format: old cells by column, key cells by key column."""
        changes = json.loads(row.changes or "[]")
        if self._format == 1:
            yield {column: old for column, (old, _) in changes.items()}, json.loads(row.keys or "{}")
            return
        targets = next(targets for number, _, targets in self._steps if number == row.step)
        columns = next(columns for label, columns, _ in targets if label == row.table)
        for change in changes:
            keys = dict(zip(self.key(row.table), change["keys"], strict=True))
            yield dict(zip(columns, change["from"], strict=True)), keys

    def row_keys(self, row: SnapshotRow) -> Iterator[tuple[Cell, ...]]:
        """Yield the keys of the rows that a snapshot row tells of, as they were before the change."""
        key = self.key(row.table)
        if row.kind != SnapshotRow.Kind.MOVED:
            places = [self.columns(row.table).index(column) for column in key]
            for image in json.loads(row.images or "[]"):
                yield tuple(image[place] for place in places)
        elif self._format == 1:
            keys = json.loads(row.keys or "{}")
            yield from zip(*(keys[column] for column in key), strict=True)
        else:
            for change in json.loads(row.changes or "[]"):
                yield from zip(*change["keys"], strict=True)

    def nested(self, *, using: str, points: Collection[int], label: str) -> Iterator[tuple[int, tuple[Cell, ...]]]:
        """Yield point and key of the root folders that were nested."""
        rows = SnapshotRow.objects.using(using).filter(point__in=points, step=self._steps[-2][0])
        rows = rows.filter(table=self._written_as(label))
        for row in rows.iterator(chunk_size=500):
            for key in self.row_keys(row):
                yield row.point_id, key

    def wrote_nested(self, written: Collection[tuple[int, str]], label: str) -> bool:
        """Return whether root folders were nested at all, by the (step, table label) that have snapshot rows."""
        return (self._steps[-2][0], self._written_as(label)) in written

    def images(self, *, using: str, points: Collection[int], label: str) -> Iterator[dict[str, Cell]]:
        """Yield the removed rows of a table, by column."""
        columns = self.columns(label)
        rows = SnapshotRow.objects.using(using).filter(point__in=points, kind=SnapshotRow.Kind.REMOVED)
        rows = rows.filter(table=self._written_as(label))
        for images in rows.values_list("images", flat=True).iterator(chunk_size=500):
            for image in json.loads(images or "[]"):
                yield dict(zip(columns, image, strict=True))

    def names_rows_by_key(self, label: str) -> bool:
        """Return whether the rows that moved together are told by their keys alone, as since format 2."""
        return self._format > 1 and bool(self.key(label))

    def names_folders_once(self, label: str, key: str) -> bool:
        """Return whether rows of a table name one folder, by the folder's ``key``."""
        targets = [(own, folder) for _, kind, found in self._steps for table, own, folder in found if table == label]
        return all(folder == (key,) for _, folder in targets) and len(set(targets)) == 1

    def undo(
        self,
        *,
        points: Sequence[int],
        written: Mapping[tuple[int, str], Mapping[int, int]],
        described: dict[TableName, Table],
        folders: Table,
        identity: tuple[str, ...],
        foreign_keys: Sequence[ForeignKey],
        instead: Instead = NOTHING_INSTEAD,
        nested: Collection[int] = (),
        before_moves: Callable[[], None] = lambda: None,
        piecemeal: bool = False,
    ) -> Undone:
        """Undo the points, last step first.

        ``piecemeal``: rows that the database refuses are conflicts, and the others are restored (see
        ``cleanup.piecemeal``); otherwise its error is raised.

        ``written`` says which (step, table label) have snapshot rows at all, and of how many rows, by point;
        ``described`` are the tables as they are; a folder is the one it was where it has the same ``identity``
        (columns); ``foreign_keys`` are those that restored rows must satisfy; ``instead`` the removed folders that do
        not come back as they were; ``nested`` the points whose nested root folders stay nested; ``before_moves`` is
        called when the folders are back, before anything that others see is changed. What
        conflicts is left as it is and listed: a caller that wants all or nothing undoes the transaction.
        Raises CountMismatch, and UnreadableJournal naming what is gone.
        """
        returned: list[Counted] = []
        moved: list[Counted] = []
        conflicts: list[RowConflict] = []
        folders = self.as_journaled(folders)
        nesting = self._steps[-2][0]
        for number, kind, targets in reversed(self._steps):
            if number == nesting:
                before_moves()
            present = [target for target in targets if (number, target[0]) in written]
            if kind == "removed":
                for label in dict.fromkeys(label for label, _, _ in present):
                    table = self._described(label, self.columns(label), described)
                    own = instead if table.name == folders.name else NOTHING_INSTEAD
                    done = self._restore_images(
                        label,
                        table,
                        points=points,
                        step=number,
                        foreign_keys=foreign_keys,
                        instead=own,
                        rows=sum(written[number, label].values()),
                        piecemeal=piecemeal,
                    )
                    returned += done.returned
                    conflicts += done.conflicts
            elif present:
                moving = [point for point in points if point not in nested] if number == nesting else points
                undo_targets = []
                for label, columns, folder_columns in present:
                    table = self._described(label, [*columns, *self.key(label)], described)
                    must_exist = (folders, folder_columns) if conflicts and folder_columns else None
                    back = Returned(self._steps[-1][0], self.columns(folders.journaled_as), identity)
                    rows = sum(written[number, label].get(point, 0) for point in moving)
                    undo_targets.append(
                        UndoTarget(table, columns, self.key(label), must_exist, back, self._format, rows)
                    )
                restore = self._restore_moved_piecemeal if piecemeal else self.backend.undoing.restore_moved
                outcome = restore(undo_targets, points=moving, step=number)
                if any(folder_columns for _, _, folder_columns in present):  # else the same rows are counted already
                    moved += outcome.restored
                conflicts += outcome.conflicts
        return Undone(tuple(returned), tuple(moved), tuple(conflicts))

    def _described(self, label: str, columns: Sequence[str], described: dict[TableName, Table]) -> Table:
        table = described.get(self.table_name(label))
        if table is None:
            raise self._unreadable(f"table {label} is gone.")
        present = {column.name for column in table.columns if not column.generated}
        for column in columns:
            if column not in present:
                raise self._unreadable(f"column {label}.{column} is gone or was renamed.")
        return self.as_journaled(table)

    def _restore_images(
        self,
        label: str,
        table: Table,
        *,
        points: Sequence[int],
        step: int,
        foreign_keys: Sequence[ForeignKey],
        instead: Instead,
        rows: int,
        piecemeal: bool,
    ) -> Undone:
        images = Images(table, self.columns(label), self.key(label), points=points, step=step, instead=instead)
        own_keys = [foreign_key for foreign_key in foreign_keys if foreign_key.table == table.name]

        def restore(part: Part | None = None) -> Restoration:
            wanted = replace(
                images, left_out=() if part else frozenset(left_out), rows=None if part else rows, part=part
            )
            done = self.backend.undoing.restore_images(wanted, foreign_keys=own_keys)
            if piecemeal:
                self.backend.check_now(table)
            return done

        using = self.backend.connection.alias
        conflicts: list[RowConflict] = []
        left_out: set[tuple[Cell, ...]] = set()
        while True:
            done = attempted(restore, using=using) if piecemeal else restore()
            if isinstance(done, Refusal):
                several = [row for row in self._rows(label, points=points, step=step) if row.key not in left_out]
                needs = self._needs(images, foreign_keys=own_keys)
                done = restore_piecemeal(
                    several, lambda part: restore(_part(part)), using=using, table=table.name, needs=needs
                )
                return Undone(tuple(done.restored), (), (*conflicts, *done.conflicts))
            if not done.conflicts:
                return Undone(tuple(done.restored), (), tuple(conflicts))
            # What needs a row that stays away stays away as well, to any depth; decided at once, not level by level.
            away = {conflict.key for conflict in done.conflicts}
            needs = self._needs(images, foreign_keys=own_keys)
            conflicts += done.conflicts
            conflicts += (below := list(missing(needs.dependents(away, away=left_out), table.name)))
            left_out |= away | {conflict.key for conflict in below}

    def _needs(self, images: Images, *, foreign_keys: Sequence[ForeignKey]) -> Needs:
        return Needs(
            link
            for foreign_key in foreign_keys
            if foreign_key.target == images.table.name
            and {*foreign_key.columns, *foreign_key.target_columns} <= set(images.columns)
            for link in self.backend.undoing.image_links(images, foreign_key=foreign_key)
        )

    def _restore_moved_piecemeal(
        self, targets: Sequence[UndoTarget], *, points: Sequence[int], step: int
    ) -> Restoration:
        tables = [target.table.name for target in targets]
        later = tables if len(tables) > 1 else ()  # tables that change by keys of each other fit only in the end

        def restore(several: Sequence[UndoTarget]) -> Restoration:
            done = self.backend.undoing.restore_moved(several, points=points, step=step)
            for target in several:
                self.backend.check_now(target.table, apart_from=later)
            return done

        using = self.backend.connection.alias
        done = attempted(lambda: restore(targets), using=using)
        if not isinstance(done, Refusal):
            return done
        restored: list[Counted] = []
        conflicts: list[RowConflict] = []
        for target in targets:
            label = next(label for label in self._tables if self.table_name(label) == target.table.name)

            def restore_part(part: Sequence[JournaledRow], target: UndoTarget = target) -> Restoration:
                return restore([replace(target, part=_part(part), rows=None)])

            outcome = restore_piecemeal(
                self._rows(label, points=points, step=step),
                restore_part,
                using=using,
                table=target.table.name,
                needs=Needs(),
            )
            restored += outcome.restored
            conflicts += outcome.conflicts
        return Restoration(restored, conflicts)

    def _rows(self, label: str, *, points: Sequence[int], step: int) -> list[JournaledRow]:
        """Return the rows that the journal has of a step in a table."""
        key, columns = self.key(label), self.columns(label)
        rows = SnapshotRow.objects.using(self.backend.connection.alias)
        found = []
        for row in rows.filter(point__in=points, table=label, step=step).order_by("pk").iterator(chunk_size=100):
            if self.kind(step) == SnapshotRow.Kind.REMOVED:
                places = [columns.index(column) for column in key]
                keys = [tuple(image[place] for place in places) for image in json.loads(row.images or "[]")]
            else:
                keys = [
                    cells
                    for _, by_column in self._changes(row)
                    for cells in zip(*(by_column[column] for column in key), strict=True)
                ]
            found += [JournaledRow(row.pk, row.point_id, cells) for cells in keys]
        return found


def _part(rows: Sequence[JournaledRow]) -> Part:
    return Part(sorted({row.snapshot for row in rows}), [row.key for row in rows])
