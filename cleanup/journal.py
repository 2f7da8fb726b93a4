"""Snapshot rows: their contents, the order in which they are written and undone, and the schema they are read by.

Invariants: a point's rows are written in the transaction that changes the rows they describe; the snapshot schema names
every table, column and type that they need, so that an old journal can be read, or refused by name, under a newer
schema.

Note [Form of the journal]. A snapshot schema is a JSON document: ``format`` (this module's FORMAT_VERSION),
``encoding`` of the cells (see Note [Cells] in backends.changes), ``tables``: label -> ``schema``, ``name``, ``key``
(columns), ``columns`` ([name, type] of every stored column, generated ones left out), ``numbers`` of those columns in
the table, ``oid``, ``definitions`` of types of the host's own by column (these three are missing where an older version
wrote), ``computed``: generated column -> the stored columns that it is computed from (missing where there is none, or
an older version wrote), and ``steps``: step -> ``kind`` (moved or removed) and ``targets`` (label, columns, folder
columns). A snapshot row belongs to a step and a table:

- moved: ``changes`` [{"from": [old cells], "to": [new cells], "keys": [[first key cell of each row], ...]}, ...], the
  cells in the order of the target's columns and the table's key, the keys as before the change; at most a thousand rows
  share a snapshot row. If a changed column belongs to the key, the key after the change is the key before it with the
  new value put in. If triggers of the host fired, ``images`` has, for each change, [before, after] of each whole row,
  for people to look at (SQLite: null for after). Format 1 had one change a snapshot row: ``changes`` {column: [old,
  new]} and ``keys`` {key column: [cell of each row]}; it can still be undone.
  A step whose targets copy no column of folders gives rows that would collide another name or number, or, with
  ``hook``, is what a tree hook made of columns that repeat a folder's place (since format 3, after all others).
  With ``array`` (since format 3) elements of an array moved, and the keys have one more member, the position.
- removed: ``images`` [[cell of each of the snapshot schema's columns], ...].
- inserted: the same, of rows that a tree hook or a repair inserted.
- structure: as removed, but nothing was removed: the folders when a point was taken by hand.

Format 4 is that of repairs; a cleanup still writes format 3. Its steps begin with those marked ``repair``: two that
inserted folders (a root folder, then one in a root folder), then for each mapped column that a repair may change one
that moved rows of folders or files. The target's folder columns are those of the folders' key, as where rows moved with
a removed folder, but the old value need not name a folder that exists. What a repair inserted stays when it is undone
if anything has come to refer to it.

Undo goes through the steps in reverse: folders come back first, then moves are undone, then rows that had to give way
to a twin return.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat, zip_longest
from typing import Any, Literal, NamedTuple

from cleanup.backends import Database
from cleanup.backends.catalogue import Column, Table, TableName
from cleanup.backends.changes import Cell, Replaced
from cleanup.backends.references import ListReference, Reference
from cleanup.backends.retyping import alterations
from cleanup.backends.tree_columns import ClosureTable, TreeColumns
from cleanup.exceptions import UnreadableJournal
from cleanup.folder_tables import FolderTables
from cleanup.models import SnapshotRow, SnapshotSchema
from cleanup.references import ReferenceMap

FORMAT_VERSION = 4
#: Of journals without repairs, so that earlier versions can undo them.
FORMAT_OF_MERGES = 3

STRUCTURE_STEP = 0

#: Snapshot rows read together, each of which describes a thousand rows at most.
_PAGE = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a merge, in order."""

    number: int
    kind: Literal["moved", "removed", "inserted"]
    references: tuple[Reference, ...] = ()
    """Moved: references that change in one statement. Removed: those whose colliding rows give way."""
    replaced: tuple[tuple[TableName, str], ...] = ()
    """Columns that take another name or number if rows would collide."""
    array: ListReference | None = None
    """An array of folders' keys, which changes element by element."""
    kept: TreeColumns | None = None
    """What a ready tree hook computes from the tree."""
    watched: str = ""
    """A column that a tree hook of the host's may write."""
    repaired: tuple[TableName, str] | None = None
    """The column, of folders or files, that a repair changes."""
    makes: str = ""
    """The folder that a repair makes: ``root`` or ``recovered``."""

    @property
    def by_repair(self) -> bool:
        """Return whether only a repair takes this step."""
        return self.repaired is not None or bool(self.makes)

    @property
    def of_removed(self) -> bool:
        """Return whether the step moves what refers to removed folders, or removes these."""
        return bool(self.references) if self.kind == "moved" else self.kind == "removed" and not self.references

    @property
    def by_hook(self) -> bool:
        """Return whether a tree hook writes in this step."""
        return self.kept is not None or bool(self.watched)


def repair_steps(references: ReferenceMap, mapped: FolderTables) -> list[Step]:
    """Return the steps that a repair takes before those of a merge; see Note [Form of the journal]."""
    folders = [mapped.folder_parent, *mapped.owner_columns, mapped.folder_name]
    columns = [(references.folders.name, column) for column in folders]
    if mapped.file is not None:
        files = (mapped.file.folder, mapped.file.application)
        columns += [(references.file_table, column) for column in files if column is not None]
    made = [Step(number, "inserted", makes=which) for number, which in enumerate(("root", "recovered"), 1)]
    return made + [Step(number, "moved", repaired=column) for number, column in enumerate(columns, len(made) + 1)]


def steps_of(references: ReferenceMap, repairs: Sequence[Step] = ()) -> list[Step]:
    """Return the steps of a merge, after those of a repair if they are given.

    First, if policies ask for it, other names and numbers, one column of a table per step, because a snapshot row's
    step and table identify the column; for each step of references the rows that give way, then the moves; then the
    elements of arrays, one step for each column; then the
    root folders that are nested; then the removed folders; last what tree hooks write, one step for what one of them
    keeps, or for a column. The first and these last have no references.
    """
    steps = list(repairs)
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
    for one in references.lists:
        steps.append(Step(len(steps) + 1, "moved", array=one))
    steps.append(Step(len(steps) + 1, "moved"))
    steps.append(Step(len(steps) + 1, "removed"))
    for kept in references.tree_columns:
        kinds: tuple[Literal["removed", "moved", "inserted"], ...] = ("moved",)
        if isinstance(kept, ClosureTable):
            kinds = ("removed", "moved", "inserted") if kept.depth else ("removed", "inserted")
        steps += [Step(len(steps) + number, kind, kept=kept) for number, kind in enumerate(kinds, 1)]
    for column in references.watched:
        steps.append(Step(len(steps) + 1, "moved", watched=column))
    return steps


def row_key(table: Table) -> tuple[str, ...]:
    """Return the columns by which the journal identifies the table's rows; empty if there are none."""
    return table.row_key or ()


def _identifies(key: Collection[str], table: Table) -> bool:
    """Return whether values of the columns are those of one row of the table at most."""
    return table.identified_by in key or any(
        (unique.primary or unique.simple) and set(unique.columns) <= set(key) for unique in table.uniques
    )


def write_schema(
    *,
    using: str,
    backend: Database,
    references: ReferenceMap,
    mapped: FolderTables,
    repairs: Sequence[Step] = (),
) -> SnapshotSchema:
    """Return the stored snapshot schema of the tables as they are now, writing it if it is new."""
    document = _document(backend, references, mapped, repairs)
    schema, _ = SnapshotSchema.objects.using(using).get_or_create(
        digest=_digest(document), defaults={"format_version": _format(repairs), "document": document}
    )
    return schema


def schema_digest(*, backend: Database, references: ReferenceMap, mapped: FolderTables) -> str:
    """Return the digest of the snapshot schema of the tables as they are now."""
    return _digest(_document(backend, references, mapped))


def _format(repairs: Sequence[Step]) -> int:
    return FORMAT_VERSION if repairs else FORMAT_OF_MERGES


def _digest(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()


def _document(backend: Database, references: ReferenceMap, mapped: FolderTables, repairs: Sequence[Step] = ()) -> str:
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
        if len(stored) < len(table.columns):
            tables[str(name)]["computed"] = _computed(table)
    steps = {str(step.number): _described(step, references, mapped) for step in steps_of(references, repairs)}
    return json.dumps(
        {"format": _format(repairs), "encoding": backend.cells.encoding, "tables": tables, "steps": steps},
        sort_keys=True,
        ensure_ascii=False,
    )


def _computed(table: Table) -> dict[str, list[str]]:
    """Return, by generated column, the stored columns that it is computed from."""
    computed: dict[str, list[str]] = {column.name: [] for column in table.columns if column.generated}
    for column in table.columns:
        if not column.generated:
            for name in computed.keys() & table.dependent([column.name]):
                computed[name].append(column.name)
    return computed


def _described(step: Step, references: ReferenceMap, mapped: FolderTables) -> dict[str, Any]:
    """Return the snapshot schema's entry of a step."""
    described: dict[str, Any] = {"kind": step.kind, "targets": _targets(step, references, mapped)}
    if step.array is not None:
        described["array"] = True
    if step.by_repair:
        described["repair"] = True
    if step.by_hook:
        described["hook"] = "host" if step.kept is None else "ready"
    return described


def _targets(step: Step, references: ReferenceMap, mapped: FolderTables) -> list[Any]:
    folders, key = str(references.folders.name), mapped.folder_key.column
    if step.replaced:
        return [[str(table), [column], []] for table, column in step.replaced]
    if step.array is not None:
        return [[str(step.array.table), [step.array.column], [key]]]
    if step.by_hook:
        return [_written_by_hook(step, folders)]
    if step.repaired is not None:
        return [[str(step.repaired[0]), [step.repaired[1]], [key]]]
    if not step.references:
        return [[folders, [mapped.folder_parent], [key]]]
    return [[str(r.table), list(r.columns), list(r.folder_columns)] for r in step.references]


def _written_by_hook(step: Step, folders: str) -> list[Any]:
    if isinstance(step.kept, ClosureTable):
        depth = [step.kept.depth] if step.kind == "moved" else list(step.kept.columns)
        return [str(step.kept.table), depth, []]
    return [folders, [step.watched] if step.kept is None else list(step.kept.columns), []]


def moves(*, using: str, points: Sequence[int], step: int) -> dict[int, list[Replaced]]:
    """Return the rows that a step of the current format moved, by the snapshot row that describes them."""
    snapshots = SnapshotRow.objects.using(using).filter(point__in=points, step=step, kind=SnapshotRow.Kind.MOVED)
    return {
        row.pk: [
            Replaced(row.point_id, key, tuple(change["from"]), tuple(change["to"]))
            for change in json.loads(row.changes or "[]")
            for key in zip(*change["keys"], strict=True)
        ]
        for row in snapshots.order_by("pk")
    }


def forget(*, using: str, snapshots: Iterable[int]) -> None:
    """Delete snapshot rows, whose contents are written in another way."""
    SnapshotRow.objects.using(using).filter(pk__in=list(snapshots)).delete()


class JournaledRow(NamedTuple):
    """One row that a snapshot row describes."""

    snapshot: int
    point: int
    key: tuple[Cell, ...]


class JournaledTarget(NamedTuple):
    """What a step changed in one table."""

    label: str
    columns: tuple[str, ...]
    folder_columns: tuple[str, ...]


class JournaledStep(NamedTuple):
    """One step of a merge, as the snapshot schema records it."""

    number: int
    kind: str
    targets: list[JournaledTarget]
    array: bool = False
    """Elements of arrays moved: a row's key is followed by the position."""
    hook: str = ""
    """Whose tree hook wrote: ``ready`` or ``host``; empty: none."""
    repair: bool = False
    """A repair took it."""


class JournaledSchema:
    """The contents of a stored snapshot schema: the tables as they were, and the steps that were taken."""

    def __init__(self, *, schema: SnapshotSchema, backend: Database, rollback_id: Any) -> None:
        """Take a snapshot schema. Raises UnreadableJournal for a foreign format or encoding."""
        self.backend = backend
        self.rollback_id = rollback_id
        document = json.loads(schema.document)
        if document["format"] > FORMAT_VERSION:
            raise self._unreadable(f"its format {document['format']} is newer than this program's {FORMAT_VERSION}.")
        if document["encoding"] != backend.cells.encoding:
            raise self._unreadable(f"it was written on another kind of database ({document['encoding']}).")
        self.format: int = document["format"]
        self._labels: dict[TableName, str] = {
            TableName(table["schema"], table["name"]): label for label, table in document["tables"].items()
        }
        self._tables: dict[str, dict[str, Any]] = document["tables"]
        self._tables |= {str(name): document["tables"][label] for name, label in self._labels.items()}
        self.steps = sorted(
            JournaledStep(
                int(number),
                step["kind"],
                [JournaledTarget(label, tuple(own), tuple(folder)) for label, own, folder in step["targets"]],
                step.get("array", False),
                step.get("hook", ""),
                step.get("repair", False),
            )
            for number, step in document["steps"].items()
        )

    def _unreadable(self, problem: str) -> UnreadableJournal:
        return UnreadableJournal(rollback_id=self.rollback_id, problem=problem)

    @property
    def nesting(self) -> int:
        """The number of the step in which root folders were nested."""
        return self._ordinary[-2].number

    @property
    def removal(self) -> int:
        """The number of the step in which folders were removed."""
        return self._ordinary[-1].number

    @property
    def _ordinary(self) -> list[JournaledStep]:
        return [step for step in self.steps if not step.hook]

    def of_arrays(self, step: int) -> bool:
        """Return whether elements of arrays moved in a step."""
        return any(one.number == step and one.array for one in self.steps)

    def by_repair(self, step: int) -> bool:
        """Return whether a repair took a step."""
        return any(one.number == step and one.repair for one in self.steps)

    def by_hook(self, step: int) -> bool:
        """Return whether a tree hook wrote in a step."""
        return any(one.number == step and one.hook for one in self.steps)

    def points_at_folders(self, step: int) -> bool:
        """Return whether rows moved in a step, other than by a tree hook."""
        return any(one.number == step and one.kind == "moved" for one in self._ordinary)

    @property
    def calls_hooks(self) -> bool:
        """Return whether tree hooks wrote after the merge."""
        return len(self._ordinary) < len(self.steps)

    @property
    def called_hosts_hook(self) -> bool:
        """Return whether a tree hook of the host's own was called."""
        return any(step.hook == "host" for step in self.steps)

    def kept(self, columns: Sequence[str]) -> bool:
        """Return whether a ready tree hook kept these columns, so that undoing its step restores them."""
        return any(step.hook == "ready" and step.targets[0].columns == tuple(columns) for step in self.steps)

    def kind(self, step: int) -> str:
        """Return what a step did: ``moved`` or ``removed``; empty for a step that the snapshot schema does not know."""
        return next((one.kind for one in self.steps if one.number == step), "")

    def label(self, name: TableName) -> str:
        """Return what the snapshot schema calls a table; older ones did not quote names with a dot."""
        return self._labels.get(name, str(name))

    def written_as(self, label: str) -> str:
        """Return the label in the snapshot rows of a table."""
        return self.label(self.table_name(label))

    def as_journaled(self, table: Table) -> Table:
        """Return a table with the label of its snapshot rows."""
        return replace(table, label=self.label(table.name))

    def table_name(self, label: str) -> TableName:
        """Return the table that a label of the snapshot schema means."""
        entry = self._tables[label]
        return TableName(entry["schema"], entry["name"])

    def table(self, label: str) -> Table:
        """Return the table that a label of the snapshot schema means, as it was then, as far as the schema says."""
        entry = self._tables[label]
        numbers, definitions = entry.get("numbers"), entry.get("definitions", {})
        columns = [
            Column(name, kind, number=number, definition=definitions.get(name, ""))
            for (name, kind), number in zip(entry["columns"], numbers or repeat(0), strict=numbers is not None)
        ]
        return Table(self.table_name(label), tuple(columns), oid=entry.get("oid", 0))

    def refuse_altered(self, written: Iterable[tuple[int, str]], described: Mapping[TableName, Table]) -> None:
        """Raise UnreadableJournal, naming table and column, if what (step, table label) changed cannot be written back.

        Images of rows need every column; changes need the changed columns and the key.
        """
        written = list(written)
        changed = self._changed(written)
        for label, columns in self.needed(written).items():
            table = self.present(label, (), described)
            for name in self._stored_since(label, table, changed[label]):
                raise self._unreadable(f"column {label}.{name} was computed by the database and is stored now.")
            then = self.table(label)
            ordered = [column for column in self.columns(label) if column in columns]
            for clause in alterations(then, table, ordered):
                raise self._unreadable(f"{clause}.")
            if not _identifies(self.key(label), table):
                raise self._unreadable(
                    f"rows of table {label} are recorded by {', '.join(self.key(label))}, and no unique key over that"
                    f" is left; create one."
                )

    def needed(self, written: Iterable[tuple[int, str]]) -> dict[str, set[str]]:
        """Return, by label of the table, the columns that undoing what (step, table label) changed needs."""
        written = list(written)
        needed = self._changed(written)
        for step, label in written:
            if self.kind(step) == "moved":
                needed[label].update(self.key(label))
        return needed

    def _changed(self, written: Iterable[tuple[int, str]]) -> dict[str, set[str]]:
        """Return, by label of the table, the columns that undoing what (step, table label) changed writes."""
        changed: dict[str, set[str]] = {}
        for step, label in sorted(written):
            columns = changed.setdefault(label, set())
            if self.kind(step) == "moved":
                columns.update(*(target.columns for target in self.targets(step) if target.label == label))
            else:
                columns.update(self.columns(label))
        return changed

    def _stored_since(self, label: str, table: Table, changed: Collection[str]) -> Iterator[str]:
        """Yield columns that were computed from what is to be written back, and that the database no longer computes.

        What they held is in no snapshot row.
        """
        stored = {column.name for column in table.columns if not column.generated}
        for name, sources in self._tables[label].get("computed", {}).items():
            if name in stored and not set(sources).isdisjoint(changed):
                yield name

    def targets(self, step: int) -> list[JournaledTarget]:
        """Return what a step changed."""
        return next(one.targets for one in self.steps if one.number == step)

    def present(self, label: str, columns: Sequence[str], described: Mapping[TableName, Table]) -> Table:
        """Return a table as it is now, which must still have the columns. Raises UnreadableJournal."""
        table = described.get(self.table_name(label))
        if table is None:
            raise self._unreadable(f"table {label} is gone or was renamed.")
        stored = {column.name for column in table.columns if not column.generated}
        for column in columns:
            if column not in stored:
                raise self._unreadable(f"column {label}.{column} is gone or was renamed.")
        return self.as_journaled(table)

    def tables(self) -> set[TableName]:
        """Return all tables of the snapshot schema."""
        return {self.table_name(label) for label in self._tables}

    def columns(self, label: str) -> list[str]:
        """Return the stored columns of a table in the order of its images."""
        return [name for name, _ in self._tables[label]["columns"]]

    def key(self, label: str) -> tuple[str, ...]:
        """Return the key columns of a table."""
        return tuple(self._tables[label]["key"])

    def names_rows_by_key(self, label: str) -> bool:
        """Return whether rows that moved together are identified by their keys alone, as since format 2."""
        return self.format > 1 and bool(self.key(label))

    def names_folders_once(self, label: str, key: str) -> bool:
        """Return whether rows of a table name one folder, by the folder's ``key``."""
        targets = {target for step in self._ordinary for target in step.targets if target.label == label}
        return len(targets) == 1 and all(target.folder_columns == (key,) for target in targets)


class Reader:
    """Reads the snapshot rows of points of one snapshot schema."""

    def __init__(self, *, schema: SnapshotSchema, backend: Database, rollback_id: Any) -> None:
        """Take a snapshot schema. Raises UnreadableJournal for a foreign format or encoding."""
        self.schema = JournaledSchema(schema=schema, backend=backend, rollback_id=rollback_id)
        self._rows = SnapshotRow.objects.using(backend.connection.alias)

    def wrote(self, *, points: Sequence[int], label: str) -> bool:
        """Return whether rows of a table were changed."""
        rows = self._rows.filter(point__in=points, table=self.schema.written_as(label))
        return rows.exclude(kind=SnapshotRow.Kind.STRUCTURE).exists()

    def moved(self, *, points: Sequence[int], label: str, column: str) -> Iterator[tuple[Cell, Cell]]:
        """Yield key and old value of a column for each move in a table with a single-column key, the latest first.

        As a dictionary: of several moves of one row, the value before the first.
        """
        (key,) = self.schema.key(label)
        rows = self._rows.filter(point__in=points, kind=SnapshotRow.Kind.MOVED, table=self.schema.written_as(label))
        for row in rows.order_by("-step", "-pk").iterator(chunk_size=_PAGE):
            for olds, keys in self.changes(row):
                if column in olds:
                    yield from ((cell, olds[column]) for cell in keys[key])

    def changes(self, row: SnapshotRow) -> Iterator[tuple[dict[str, Cell], dict[str, list[Cell]]]]:
        """Yield the changes of a snapshot row, of either format: old cells by column, key cells by key column."""
        changes = json.loads(row.changes or "[]")
        if self.schema.format == 1:
            yield {column: old for column, (old, _) in changes.items()}, json.loads(row.keys or "{}")
            return
        columns = next(target.columns for target in self.schema.targets(row.step) if target.label == row.table)
        for change in changes:
            key = self.schema.key(row.table)
            keys = dict(zip(key, change["keys"][: len(key)], strict=True))
            yield dict(zip(columns, change["from"], strict=True)), keys

    def row_keys(self, row: SnapshotRow) -> Iterator[tuple[Cell, ...]]:
        """Yield the keys of the rows that a snapshot row describes, as they were before the change."""
        key = self.schema.key(row.table)
        if row.kind != SnapshotRow.Kind.MOVED:
            places = [self.schema.columns(row.table).index(column) for column in key]
            for image in json.loads(row.images or "[]"):
                yield tuple(image[place] for place in places)
        elif self.schema.format == 1:
            keys = json.loads(row.keys or "{}")
            yield from zip(*(keys[column] for column in key), strict=True)
        else:
            for change in json.loads(row.changes or "[]"):
                yield from zip(*change["keys"][: len(key)], strict=True)  # without a position in an array

    def nested(self, *, points: Collection[int], label: str) -> Iterator[tuple[int, tuple[Cell, ...]]]:
        """Yield point and key of the root folders that were nested."""
        rows = self._rows.filter(point__in=points, step=self.schema.nesting)
        rows = rows.filter(table=self.schema.written_as(label))
        for row in rows.iterator(chunk_size=_PAGE):
            for key in self.row_keys(row):
                yield row.point_id, key

    def wrote_nested(self, written: Collection[tuple[int, str]], label: str) -> bool:
        """Return whether root folders were nested at all, by the (step, table label) that have snapshot rows."""
        return (self.schema.nesting, self.schema.written_as(label)) in written

    def images(self, *, points: Collection[int], label: str) -> Iterator[dict[str, Cell]]:
        """Yield the removed rows of a table, by column."""
        columns = self.schema.columns(label)
        rows = self._rows.filter(point__in=points, kind=SnapshotRow.Kind.REMOVED)
        rows = rows.filter(table=self.schema.written_as(label)).order_by("step", "pk")
        for images in rows.values_list("images", flat=True).iterator(chunk_size=_PAGE):
            for image in json.loads(images or "[]"):
                yield dict(zip(columns, image, strict=True))

    def rows(self, label: str, *, points: Sequence[int], step: int) -> list[JournaledRow]:
        """Return the rows in the journal for a step and a table."""
        rows = self._rows.filter(point__in=points, table=label, step=step).order_by("pk")
        return [
            JournaledRow(row.pk, row.point_id, key)
            for row in rows.iterator(chunk_size=_PAGE)
            for key in self.row_keys(row)
        ]
