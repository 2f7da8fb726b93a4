"""Points that are undone together: those of one snapshot schema, with the outcome for each.

Runs inside the caller's transaction and opens none.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet, Sum

from cleanup import conf, journal
from cleanup.backends.catalogue import TableName
from cleanup.backends.changes import RowConflict, RowCount
from cleanup.hooks import ready
from cleanup.models import RollbackPoint, SnapshotRow
from cleanup.policies import TriggerPolicy
from cleanup.services.concurrency.pipeline import PipelineSlot
from cleanup.services.rollback.copies import Copies, Copying
from cleanup.services.rollback.later_merges import LaterChanges
from cleanup.services.rollback.outcome import PointOutcome, conflicts_by_point
from cleanup.services.rollback.revert import Reverted, Reverter
from cleanup.services.rollback.tables import CurrentTables

#: Rows that can be restored in less time than a transaction may take.
A_MOMENT = 20_000


@dataclass(frozen=True, slots=True)
class Group:
    """Points of one snapshot schema, and how many rows the journal has of each, by step and label of the table."""

    points: Sequence[RollbackPoint]
    reader: journal.Reader
    written: Mapping[tuple[int, str], Mapping[int, int]]
    with_triggers: Collection[int]
    """Points whose cleanup fired triggers of the host."""

    @property
    def point_ids(self) -> list[int]:
        """Return the points' ids."""
        return [point.id for point in self.points]

    @property
    def applications(self) -> dict[int, str]:
        """Return the points' applications, by id."""
        return {point.id: point.application_key for point in self.points}

    @property
    def rows(self) -> int:
        """Return how many rows there are to restore."""
        return sum(sum(by_point.values()) for by_point in self.written.values())


class Groups:
    """Reads and undoes groups on one database; created once per run."""

    def __init__(self, tables: CurrentTables) -> None:
        self.tables = tables
        self.references = tables.references
        common: dict[str, Any] = {"using": tables.using, "backend": tables.backend, "tables": tables.mapped}
        self._later_changes = LaterChanges(**common)
        self._copies = Copies(**common, folders=self.references.folders)
        self._triggers_fire = conf.triggers() == TriggerPolicy.FIRE and self.references.has_triggers

    # What the journal says.

    def read(self, points: Sequence[RollbackPoint], *, latest_first: bool) -> list[Group]:
        """Group points by snapshot schema, and optionally by the batch that wrote them, in the order of undoing.

        Raises UnreadableJournal.
        """
        groups: defaultdict[Any, list[RollbackPoint]] = defaultdict(list)
        for point in points:
            groups[point.created_at if latest_first else None, point.schema_id].append(point)
        ordered = sorted(groups, reverse=True) if latest_first else list(groups)
        return [self._read(groups[key]) for key in ordered]

    def _read(self, points: Sequence[RollbackPoint]) -> Group:
        reader = self.tables.reader(points)
        written: dict[tuple[int, str], dict[int, int]] = {}
        rows = self._snapshot_rows.filter(point__in=[point.id for point in points])
        counts = rows.values_list("kind", "step", "table", "point_id").annotate(Sum("row_count"), Count("images"))
        with_triggers = set()
        for kind, step, table, point_id, count, images in counts:
            if kind == SnapshotRow.Kind.MOVED and images:  # which are kept if triggers fire
                with_triggers.add(point_id)
            if kind == reader.schema.kind(step):
                written.setdefault((step, table), {})[point_id] = count
        self._refuse_altered(reader.schema, written)
        return Group(points, reader, written, with_triggers)

    def refuse_unreadable(self, points: QuerySet[RollbackPoint]) -> None:
        """Raise UnreadableJournal if the tables are no longer as one of the points needs them."""
        written = self._snapshot_rows.filter(point__in=points).order_by()
        tables: defaultdict[str, set[tuple[str, int, str]]] = defaultdict(set)
        for key, kind, step, table in written.values_list("point__schema", "kind", "step", "table").distinct():
            tables[key].add((kind, step, table))
        for key, rows in tables.items():
            first = points.filter(schema=key).select_related("schema").order_by("id")[:1]
            schema = self.tables.reader(list(first)).schema
            self._refuse_altered(schema, [(step, table) for kind, step, table in rows if kind == schema.kind(step)])

    def _refuse_altered(self, schema: journal.JournaledSchema, written: Collection[tuple[int, str]]) -> None:
        self.tables.describe([schema.table_name(label) for _, label in written])
        schema.refuse_altered(written, self.tables.described)

    @property
    def _snapshot_rows(self) -> QuerySet[SnapshotRow]:
        return SnapshotRow.objects.using(self.tables.using)

    def nested(self, groups: Sequence[Group]) -> dict[str, str]:
        """Return the applications of the root folders that were nested, by folder."""
        label = str(self.references.folders.name)
        owners = {}
        for group in groups:
            if group.reader.wrote_nested(group.written, label):
                applications = group.applications
                for point_id, (cell,) in group.reader.nested(points=applications, label=label):
                    key = self.tables.mapped.folder_key.text(self.tables.backend.cells.cell_text(cell))
                    owners[key] = applications[point_id]
        return owners

    def put_back(self, groups: Sequence[Group]) -> dict[str, set[str]]:
        """Return the folders that undoing repairs moved, by application: they go back to where they were wrong."""
        folders: defaultdict[str, set[str]] = defaultdict(set)
        key = self.tables.mapped.folder_key
        for group in groups:
            label = group.reader.schema.label(self.references.folders.name)
            applications = group.applications
            for step, name in group.written:
                if name == label and (points := self._repaired(group, step, label)):
                    for row in group.reader.rows(label, points=points, step=step):
                        folders[applications[row.point]].add(key.text(self.tables.backend.cells.cell_text(row.key[0])))
        return folders

    def _repaired(self, group: Group, step: int, label: str) -> list[int]:
        """Return the points whose folders a step of a repair moved.

        That is one of its own or, where no folder was removed with it, one that late arrivals went along with.
        """
        schema = group.reader.schema
        if schema.by_repair(step):
            return group.point_ids
        removed = group.written.get((schema.removal, label), {})
        return [
            point.id
            for point in group.points
            if point.kind == RollbackPoint.Kind.REPAIR and point.id not in removed and schema.points_at_folders(step)
        ]

    # Undoing.

    def undo(
        self, groups: Sequence[Group], *, as_copies: bool, slot: PipelineSlot, piecemeal: bool
    ) -> list[PointOutcome]:
        """Undo the groups, one after the other; conflicts are listed."""
        few = sum(group.rows for group in groups) <= A_MOMENT
        hooks = bool(conf.tree_hooks()) or any(group.reader.schema.calls_hooks for group in groups)
        soon = few and len(groups) == 1 and not self._triggers_fire and not hooks

        def before_moves() -> None:
            if soon:
                slot.change()
                slot.let_next_begin()

        if not soon:  # otherwise folders come back before rows may be changed
            slot.change()
        outcomes: list[PointOutcome] = []
        for group in groups:
            merged = [point for point in group.points if point.kind != RollbackPoint.Kind.REPAIR]
            copying = self._copies.plan(merged, reader=group.reader) if as_copies and merged else Copying()
            done = self._revert(group, copying, piecemeal=piecemeal, before_moves=before_moves)
            self._later_changes.refuse(
                done.conflicts,
                reader=group.reader,
                labels={label for _, label in group.written},
                undone=[outcome.point.id for outcome in outcomes],
            )
            outcomes += self._outcomes(group, copying, done)
        return outcomes

    def _revert(self, group: Group, copying: Copying, *, piecemeal: bool, before_moves: Callable[[], None]) -> Reverted:
        reverter = Reverter(
            group.reader,
            self.tables,
            points=group.point_ids,
            written=group.written,
            instead=copying.instead,
            nested=copying.nested,
            piecemeal=piecemeal,
        )
        return reverter.revert(before_moves)

    def _outcomes(self, group: Group, copying: Copying, done: Reverted) -> list[PointOutcome]:
        returned = _by_point(done.returned)
        moved = _by_point(done.moved)
        self._count_once(moved, group, done.conflicts)
        conflicts = conflicts_by_point(done.conflicts, group.applications, self.tables)
        kept = conflicts_by_point(done.kept, group.applications, self.tables)
        folders, files = self.references.folders.name, self.references.file_table
        missing = {c.key for several in conflicts.values() for c in several if c.table == str(folders)}
        return [
            PointOutcome(
                point=point,
                folders_restored=returned[point.id][folders],
                files_restored=moved[point.id][files],
                references_restored=(
                    moved[point.id].total()
                    - moved[point.id][files]
                    + returned[point.id].total()
                    - returned[point.id][folders]
                ),
                folders_moved_back=moved[point.id][folders],
                conflicts=tuple(conflicts.get(point.id, ())),
                differences=tuple(kept.get(point.id, ())),
                copies=tuple(copy for copy in copying.of(point) if copy.folder_id not in missing),
                unproven=self._unproven(group.reader.schema, fired=point.id in group.with_triggers),
            )
            for point in group.points
        ]

    def _count_once(
        self, moved: Mapping[int, Counter[TableName]], group: Group, conflicts: Sequence[RowConflict]
    ) -> None:
        """Count a file or folder that names a folder in several columns once, and never if one of them conflicts."""
        schema = group.reader.schema
        for table in reversed(self.references.holding):
            label = schema.label(table.name)
            steps = [step for step, name in group.written if name == label and schema.points_at_folders(step)]
            if len(steps) < 2 or not schema.names_rows_by_key(label):
                continue
            kept = {(conflict.point, conflict.key) for conflict in conflicts if conflict.table == table.name}
            left = Counter(point for point, _ in kept)
            for counted in self.tables.backend.undoing.count_journaled(
                table, label, schema.key(label), points=group.point_ids
            ):
                rows = moved[counted.point]
                rows[table.name] = min(rows[table.name], max(0, counted.rows - left[counted.point]))

    def _unproven(self, schema: journal.JournaledSchema, *, fired: bool) -> tuple[str, ...]:
        triggers = ("triggers",) if fired or self._triggers_fire else ()
        return (*triggers, "hook") if schema.called_hosts_hook or ready.hosts() else triggers


def _by_point(rows: Sequence[RowCount]) -> Mapping[int, Counter[TableName]]:
    counts: defaultdict[int, Counter[TableName]] = defaultdict(Counter)
    for counted in rows:
        counts[counted.point][counted.table] += counted.rows
    return counts
