"""Undo points exactly, or say what stands in the way.

``Undo.undo`` runs inside the caller's transaction and opens none. It never overwrites what people did since: each value
is compared first, and one that is neither what the cleanup made of it nor what it was before is a conflict. A caller
that does not skip conflicts gets RollbackConflict and must undo its transaction.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import Count, QuerySet, Sum

from cleanup import backends, conf, journal
from cleanup.backends.catalogue import ForeignKey, Table, TableName
from cleanup.backends.changes import Images, RowConflict, StructureTable
from cleanup.backends.pinning import unpinned
from cleanup.backends.refusals import refusal_of
from cleanup.exceptions import (
    AlreadyRolledBack,
    InvalidKey,
    PointExpired,
    RollbackConflict,
    Superseded,
    WouldDetach,
)
from cleanup.folder_tables import folder_tables
from cleanup.models import Hold, RemovedFolder, Result, RollbackPoint, Run, SnapshotRow, SnapshotSchema
from cleanup.planning import detached
from cleanup.references import ReferenceMap, schema_changes
from cleanup.services.concurrency.pipeline import ALONE, PipelineSlot
from cleanup.services.errors import broken_guard
from cleanup.services.results import Conflict, Copy
from cleanup.services.rollback.copies import Copies, Copying
from cleanup.services.rollback.guard_check import GuardsInForce
from cleanup.services.rollback.later_merges import LaterChanges
from cleanup.services.rollback.misplaced import Misplaced
from cleanup.signals import Event, merge_undone, send_after_commit

HOLD_REASON = "rolled back"

#: Rows that are restored in less time than a transaction may take.
A_MOMENT = 20_000


@dataclass(frozen=True, slots=True)
class PointOutcome:
    """What undoing one point did."""

    point: RollbackPoint
    folders_restored: int
    files_restored: int
    references_restored: int
    conflicts: tuple[Conflict, ...]
    differences: tuple[Conflict, ...] = ()
    """Of a point taken by hand: how the structure differs from it still."""
    copies: tuple[Copy, ...] = ()
    """Folders that did not come back as they were, but as copies."""
    unproven: tuple[str, ...] = ()
    """What may have written more than is undone or compared: ``triggers`` of the host, the tree ``hook``."""

    @property
    def inexact(self) -> tuple[str, ...]:
        """Why not everything is as it was, or may not be."""
        found = {"conflicts": self.conflicts, "differences": self.differences, "copies": self.copies}
        return (*(name for name, several in found.items() if several), *self.unproven)

    @property
    def exact(self) -> bool:
        """Whether everything is as it was."""
        return not self.inexact

    def as_json(self) -> dict[str, Any]:
        """Return what is kept on the point."""
        limit = conf.list_limit()
        return {
            "exact": self.exact,
            "inexact": list(self.inexact),
            "folders_restored": self.folders_restored,
            "files_restored": self.files_restored,
            "references_restored": self.references_restored,
            "conflicts": [conflict.as_json() for conflict in (*self.conflicts, *self.differences)[:limit]],
            "conflicts_left_out": max(0, len(self.conflicts) + len(self.differences) - limit),
            "copies": [copy.as_json() for copy in self.copies[:limit]],
            "copies_left_out": max(0, len(self.copies) - limit),
        }


class _Journaled(NamedTuple):
    """Points of one snapshot schema, and how many rows the journal has of each, by step and label of the table."""

    points: Sequence[RollbackPoint]
    reader: journal.Reader
    written: Mapping[tuple[int, str], Mapping[int, int]]
    with_triggers: Collection[int] = ()
    """Points whose cleanup fired triggers of the host."""


class Undo:
    """Undoes points on one database; made once per run, for the references are read once."""

    def __init__(self, *, using: str, references: ReferenceMap) -> None:
        self.using = using
        self.references = references
        self.backend: backends.Database = backends.database(using=using)
        self.catalogue = backends.database(using=using).catalogue
        self.tables = folder_tables()
        self._described: dict[TableName, Table] = dict(references.tables)
        self._foreign_keys: list[ForeignKey] | None = None
        self.guards = GuardsInForce(
            using=using, backend=self.backend, tables=self.tables, folders=str(references.folders.name)
        )
        self._schemas: dict[str, SnapshotSchema] = {}
        self._misplaced = Misplaced(backend=self.backend, tables=self.tables, loose_files=references.loose_files)
        self._later_changes = LaterChanges(using=using, backend=self.backend, tables=self.tables)
        self.copies = Copies(using=using, backend=self.backend, tables=self.tables, folders=references.folders)
        self._triggers_fire = conf.triggers() == "fire" and references.has_triggers

    # What the points are.

    def lock(self, sequences: Sequence[int]) -> list[RollbackPoint]:
        """Lock points and return them in key order of their applications."""
        points = RollbackPoint.objects.using(self.using).select_for_update().filter(pk__in=sequences)
        return self._with_schemas(points.order_by("application_key", "-sequence"))

    def _with_schemas(self, points: Iterable[RollbackPoint]) -> list[RollbackPoint]:
        """Give the points their snapshot schemas, of which there are few, each read once."""
        found = list(points)
        unknown = {point.schema_id for point in found} - set(self._schemas)
        if unknown:
            self._schemas.update(SnapshotSchema.objects.using(self.using).in_bulk(unknown))
        for point in found:
            point.schema = self._schemas[point.schema_id]
        return found

    def check(self, points: Sequence[RollbackPoint]) -> None:
        """Raise AlreadyRolledBack, PointExpired or Superseded."""
        for point in points:
            if point.status == RollbackPoint.Status.ROLLED_BACK:
                raise AlreadyRolledBack(rollback_id=point.id, at=point.ended_at or "an unknown time")
            if point.status == RollbackPoint.Status.PURGED:
                raise PointExpired(rollback_id=point.id, at=point.ended_at or "an unknown time")
        newest = _newest([point for point in points if point.kind == RollbackPoint.Kind.CLEANUP])
        later = (
            RollbackPoint.objects.using(self.using)
            .filter(
                application_key__in=list(newest),
                status=RollbackPoint.Status.LIVE,
                kind=RollbackPoint.Kind.CLEANUP,
                sequence__gt=min(newest.values(), default=0),
            )
            .order_by("-sequence")
        )
        for other in later:
            if other.sequence > newest[other.application_key]:
                raise Superseded(application_id=other.application_key, later_id=other.id)

    def later_cleanups(self, point: RollbackPoint) -> list[RollbackPoint]:
        """Return the live cleanup points of the application written after a point, newest first, locked."""
        return self._with_schemas(
            RollbackPoint.objects.using(self.using)
            .select_for_update()
            .filter(
                application_key=point.application_key,
                status=RollbackPoint.Status.LIVE,
                kind=RollbackPoint.Kind.CLEANUP,
                sequence__gt=point.sequence,
            )
            .order_by("-sequence")
        )

    # Undoing.

    def undo(
        self,
        points: Sequence[RollbackPoint],
        *,
        skip_conflicts: bool,
        now: datetime,
        as_copies: bool = False,
        by: str = "",
        slot: PipelineSlot = ALONE,
        latest_first: bool = False,
    ) -> list[PointOutcome]:
        """Undo locked points of different applications.

        They are undone step by step, all at once; ``latest_first``, those of the latest cleanup before others, as rows
        need that several of them changed. A point taken by hand must come alone. For ``as_copies`` see
        ``cleanup.services.rollback.copies``. The slot, which has been entered, ends when nothing is left but to check.
        Raises AlreadyRolledBack, PointExpired, Superseded (SharedRows, where that helps), Guarded, RollbackConflict,
        WouldDetach, WouldMisplace, UnreadableJournal and SchemaChanged.
        """
        self._hold(points)
        if len(points) == 1 and points[0].kind == RollbackPoint.Kind.MANUAL:
            self.check(points)
            undo = partial(self.undo, skip_conflicts=skip_conflicts, as_copies=as_copies, now=now)
            return [self._undo_manual(points[0], undo, now=now, by=by)]
        hanging = self._lock_applications([point.application_key for point in points])
        self.check(points)  # not sooner: a cleanup may have been committed while we waited for the lock
        if not as_copies:
            self.guards.refuse(points)
        groups = [self._journaled(group) for group in _grouped(points, latest_first=latest_first)]
        restore = partial(
            self._restore, groups, applications=hanging, as_copies=as_copies, skip_conflicts=skip_conflicts, slot=slot
        )
        if len(points) > 1 and not latest_first:  # refused, they are undone one by one
            outcomes = restore()
        else:
            outcomes = self._restore_all_or_piecemeal(points[0], restore, as_copies=as_copies)
        self._verify(hanging)
        self._misplaced.refuse({point.sequence: point.application_key for point in points}, nested=self._nested(groups))
        return outcomes

    def _restore_all_or_piecemeal(
        self, point: RollbackPoint, restore: Callable[..., list[PointOutcome]], *, as_copies: bool
    ) -> list[PointOutcome]:
        """Restore at once, or, where the database refuses that, row by row: what it refuses then is a conflict.

        Raises Guarded, where it is a guard that refuses and copies would not be.
        """
        try:
            with transaction.atomic(using=self.using):
                return restore()
        except DatabaseError as error:
            if refusal_of(error) is None:
                raise
            self._refuse_broken_guard(error, as_copies=as_copies)
        try:
            with transaction.atomic(using=self.using):
                return restore(piecemeal=True)
        except DatabaseError as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            self._refuse_broken_guard(error, as_copies=as_copies)
            constraint = refusal.constraint or "a constraint"
            raise RollbackConflict(
                f"What was changed since and what would come back break {constraint} together; nothing was restored.",
                count=1,
                conflicts=(Conflict(refusal.code, point.application_key, "", "", "", refusal.constraint),),
            ) from error

    def _refuse_broken_guard(self, error: DatabaseError, *, as_copies: bool) -> None:
        guard = broken_guard(error)
        if guard is not None and not as_copies:
            raise self.guards.refusal(guard) from error

    def _restore(
        self,
        groups: Sequence[_Journaled],
        *,
        applications: Iterable[str],
        as_copies: bool,
        skip_conflicts: bool,
        slot: PipelineSlot,
        piecemeal: bool = False,
    ) -> list[PointOutcome]:
        outcomes = self._undo_groups(groups, as_copies=as_copies, slot=slot, piecemeal=piecemeal)
        conflicts = [conflict for outcome in outcomes for conflict in outcome.conflicts]
        if conflicts and not skip_conflicts:
            raise RollbackConflict(count=len(conflicts), conflicts=tuple(conflicts))
        if (hook := conf.tree_hook()) is not None:
            self.backend.limit_wait()
            hook(using=self.using, application_ids=list(applications))
        slot.end()
        self.backend.force_constraints()
        return outcomes

    def _nested(self, groups: Sequence[_Journaled]) -> dict[str, str]:
        """Return the applications of the root folders that were nested, by folder."""
        label = str(self.references.folders.name)
        owners = {}
        for group in groups:
            if group.reader.wrote_nested(group.written, label):
                applications = {point.sequence: point.application_key for point in group.points}
                for sequence, (cell,) in group.reader.nested(using=self.using, points=applications, label=label):
                    owners[self.tables.folder_key.text(self.backend.cells.cell_text(cell))] = applications[sequence]
        return owners

    def _hold(self, points: Sequence[RollbackPoint]) -> None:
        """Keep the tables as they are; those that the journal knows and the references do not are read when held."""
        schemas = {point.schema_id: point for point in points}
        named = {name for point in schemas.values() for name in self._reader([point]).tables()}
        others = named - set(self.references.tables)
        described = self.catalogue.describe(others) if others else {}
        also = [table for table in described.values() if table.kind in {"table", "partitioned"}]
        schema_changes.hold(self.backend, self.references, written=[*self.references.written, *also])
        if others:
            self.catalogue = backends.database(using=self.using).catalogue
            self._described, self._foreign_keys = dict(self.references.tables), None

    def _lock_applications(self, keys: Sequence[str]) -> dict[str, set[str]]:
        """Lock applications and folders, and return the folders that no root leads to, by application."""
        ordered = sorted(set(keys))
        self.backend.reading.lock_applications(self.tables, ordered)
        return self._detached(ordered, lock=True)

    def _detached(self, applications: Sequence[str], *, lock: bool) -> dict[str, set[str]]:
        folders: dict[str, list[tuple[str, str | None]]] = {}
        for application, folder, parent in self.backend.reading.read_parents(self.tables, applications, lock=lock):
            folders.setdefault(application, []).append((folder, parent))
        return {application: detached(folders.get(application, ())) for application in applications}

    def _verify(self, before: Mapping[str, set[str]]) -> None:
        """Raise WouldDetach if a folder that a root led to would now hang in the air.

        A missing parent, a cycle, a parent in another application: what people moved since can bring these about, and
        no foreign key forbids them all.
        """
        for application, now in self._detached(list(before), lock=False).items():
            fresh = now - before[application]
            if fresh:
                raise WouldDetach(count=len(fresh), application_id=application, folder_id=min(fresh))

    def _journaled(self, points: Sequence[RollbackPoint]) -> _Journaled:
        """Look up what the journal says of points of one snapshot schema."""
        reader = self._reader(points)
        written: dict[tuple[int, str], dict[int, int]] = {}
        rows = SnapshotRow.objects.using(self.using).filter(point__in=[point.sequence for point in points])
        counts = rows.values_list("kind", "step", "table", "point_id").annotate(Sum("row_count"), Count("images"))
        with_triggers = set()
        for kind, step, table, sequence, count, images in counts:
            if kind == SnapshotRow.Kind.MOVED and images:  # which are kept where triggers fire
                with_triggers.add(sequence)
            if kind == reader.kind(step):
                written.setdefault((step, table), {})[sequence] = count
        self._describe([reader.table_name(label) for _, label in written])
        reader.refuse_altered(written, self._described)
        return _Journaled(points, reader, written, with_triggers)

    def _reader(self, points: Sequence[RollbackPoint]) -> journal.Reader:
        """Return the reader of points of one snapshot schema."""
        return journal.Reader(schema=points[0].schema, backend=self.backend, rollback_id=points[0].id)

    def refuse_unreadable(self, points: QuerySet[RollbackPoint]) -> None:
        """Raise UnreadableJournal where the tables are no longer as one of the points needs them to be."""
        written = SnapshotRow.objects.using(self.using).filter(point__in=points).order_by()
        tables: defaultdict[str, set[tuple[str, int, str]]] = defaultdict(set)
        for schema, kind, step, table in written.values_list("point__schema", "kind", "step", "table").distinct():
            tables[schema].add((kind, step, table))
        for schema, rows in tables.items():
            first = points.filter(schema=schema).select_related("schema").order_by("sequence")[:1]
            reader = self._reader(list(first))
            names = [(step, table) for kind, step, table in rows if kind == reader.kind(step)]
            self._describe([reader.table_name(table) for _, table in names])
            reader.refuse_altered(names, self._described)

    def _undo_groups(
        self, groups: Sequence[_Journaled], *, as_copies: bool, slot: PipelineSlot, piecemeal: bool
    ) -> list[PointOutcome]:
        rows = sum(sum(by_point.values()) for group in groups for by_point in group.written.values())
        soon = rows <= A_MOMENT and len(groups) == 1 and not self._triggers_fire and conf.tree_hook() is None

        def before_moves() -> None:
            if soon:
                slot.change()
                slot.let_next_begin()

        if not soon:  # otherwise folders come back before rows may be changed
            slot.change()
        outcomes: list[PointOutcome] = []
        for group in groups:
            undone = [outcome.point.sequence for outcome in outcomes]
            outcomes += self._undo_group(
                group, as_copies=as_copies, before_moves=before_moves, undone=undone, piecemeal=piecemeal
            )
        return outcomes

    def _undo_group(
        self,
        group: _Journaled,
        *,
        as_copies: bool,
        before_moves: Callable[[], None],
        undone: Sequence[int],
        piecemeal: bool,
    ) -> list[PointOutcome]:
        points, reader, written, with_triggers = group
        copying = self.copies.plan(points, reader=reader) if as_copies else Copying()
        done = reader.undo(
            points=[point.sequence for point in points],
            written=written,
            described=self._described,
            folders=self.references.folders,
            identity=(self.tables.folder_key.column, self.tables.folder_application),
            foreign_keys=self._required(),
            instead=copying.instead,
            nested=copying.nested,
            before_moves=before_moves,
            piecemeal=piecemeal,
        )
        self._later_changes.refuse(done.conflicts, reader=reader, labels={label for _, label in written}, undone=undone)
        returned = _by_point(done.returned)
        moved = _by_point(done.moved)
        self._count_once(moved, group, done.conflicts)
        conflicts: dict[int, list[Conflict]] = {}
        applications = {point.sequence: point.application_key for point in points}
        for conflict in done.conflicts:
            conflicts.setdefault(conflict.point, []).append(self._conflict(conflict, applications[conflict.point]))
        folders, files = self.references.folders.name, self.references.files.name
        missing = {c.key for several in conflicts.values() for c in several if c.table == str(folders)}
        return [
            PointOutcome(
                point=point,
                folders_restored=returned[point.sequence][folders],
                files_restored=moved[point.sequence][files],
                references_restored=(
                    moved[point.sequence].total()
                    - moved[point.sequence][files]
                    + returned[point.sequence].total()
                    - returned[point.sequence][folders]
                ),
                conflicts=tuple(conflicts.get(point.sequence, ())),
                copies=tuple(copy for copy in copying.of(point) if copy.folder_id not in missing),
                unproven=self._unproven(fired=point.sequence in with_triggers),
            )
            for point in points
        ]

    def _count_once(
        self, moved: Mapping[int, Counter[TableName]], group: _Journaled, conflicts: Sequence[RowConflict]
    ) -> None:
        """Count a file, or folder, once that names a folder in several columns, and not where one of them conflicts."""
        points, reader, written, _ = group
        for table in (self.references.files, self.references.folders):
            label = reader.label(table.name)
            steps = [step for step, name in written if name == label and reader.kind(step) == "moved"]
            if len(steps) < 2 or not reader.names_rows_by_key(label):
                continue
            kept = {(conflict.point, conflict.key) for conflict in conflicts if conflict.table == table.name}
            left = Counter(point for point, _ in kept)
            sequences = [point.sequence for point in points]
            for counted in self.backend.undoing.count_journaled(table, label, reader.key(label), points=sequences):
                rows = moved[counted.point]
                rows[table.name] = min(rows[table.name], max(0, counted.rows - left[counted.point]))

    def _unproven(self, *, fired: bool) -> tuple[str, ...]:
        triggers = ("triggers",) if fired or self._triggers_fire else ()
        return triggers if conf.tree_hook() is None else (*triggers, "hook")

    def _undo_manual(
        self,
        point: RollbackPoint,
        undo: Callable[[Sequence[RollbackPoint]], list[PointOutcome]],
        *,
        now: datetime,
        by: str,
    ) -> PointOutcome:
        structures = structure_tables(self.references, self.tables)
        self._reader([point]).refuse_altered(
            [(journal.STRUCTURE_STEP, str(structure.table.name)) for structure in structures], self._described
        )
        folders = files = references = 0
        conflicts: list[Conflict] = []
        copies: dict[str, Copy] = {}
        unproven: dict[str, None] = {}
        for later in self.later_cleanups(point):
            (outcome,) = undo([later])
            folders += outcome.folders_restored
            files += outcome.files_restored
            references += outcome.references_restored
            conflicts += outcome.conflicts
            copies |= {copy.folder_id: copy for copy in outcome.copies}
            unproven |= dict.fromkeys(outcome.unproven)
            self.close([outcome], reason=f"rollback of {point.id}", by=by, now=now, hold=False)
        label = str(self.references.folders.name)
        differences = [
            found
            for found in self._differences(point)
            # That a copy is not what it was is told already.
            if (found.code, found.table) != ("changed", label) or found.key not in copies
        ]
        return PointOutcome(
            point,
            folders,
            files,
            references,
            tuple(conflicts),
            tuple(differences),
            tuple(copies.values()),
            tuple(unproven),
        )

    def _differences(self, point: RollbackPoint) -> list[Conflict]:
        reader = self._reader([point])
        differences: list[Conflict] = []
        for structure in structure_tables(self.references, self.tables):
            label = str(structure.table.name)
            rows = self.backend.undoing.structure_differences(
                structure,
                Images(
                    reader.as_journaled(structure.table),
                    reader.columns(label),
                    reader.key(label),
                    points=[point.sequence],
                    step=None,
                ),
                application=point.application_key,
                key=self.tables.application_key,
                limit=conf.finding_limit(),
            )
            differences += [self._conflict(row, point.application_key) for row in rows]
        return differences

    def _describe(self, names: Sequence[TableName]) -> None:
        unknown = [name for name in set(names) if name not in self._described]
        if unknown:
            self._described.update(self.catalogue.describe(unknown))

    def _required(self) -> list[ForeignKey]:
        """Return the foreign keys that restored rows must satisfy: the catalogue's, and the folder's own two."""
        if self._foreign_keys is None:
            folders, applications = self.references.folders.name, self.references.applications.name
            keys = list(self.catalogue.foreign_keys_of(list(self._described)))
            own = (
                (self.tables.folder_parent, folders, self.tables.folder_key.column),
                (self.tables.folder_application, applications, self.tables.application_key.column),
            )
            present = {(key.table, key.columns) for key in keys}
            keys += [
                ForeignKey("", folders, (column,), target, (other,), "no action", "no action")
                for column, target, other in own
                if (folders, (column,)) not in present
            ]
            self._foreign_keys = keys
        return self._foreign_keys

    def _conflict(self, conflict: RowConflict, application: str) -> Conflict:
        key = ",".join(self.backend.cells.cell_text(cell) for cell in conflict.key)
        ours = {self.references.folders.name: self.tables.folder_key, self.references.files.name: self.tables.file_key}
        if conflict.table in ours:
            with suppress(InvalidKey):  # a key of some other form is named as it is stored
                key = ours[conflict.table].text(key)
        return Conflict(conflict.code, application, str(conflict.table), key, conflict.column, conflict.constraint)

    # Afterwards.

    def close(
        self,
        outcomes: Sequence[PointOutcome],
        *,
        reason: str,
        by: str,
        now: datetime,
        hold: bool = True,
    ) -> None:
        """Mark the points as rolled back, and put their applications on hold, or the next cleanup would merge again."""
        for outcome in outcomes:
            point = outcome.point
            point.status = RollbackPoint.Status.ROLLED_BACK
            point.ended_at, point.ended_by, point.ended_reason = now, by, reason
            point.exact = outcome.exact
            point.outcome = outcome.as_json()
        points = [outcome.point for outcome in outcomes]
        self._store(points)
        Result.objects.using(self.using).filter(
            point__in=[point.sequence for point in points], run__kind=Run.Kind.CLEANUP
        ).update(status=Result.Status.ROLLED_BACK)
        send_after_commit(
            merge_undone, self._undone(points), sender=self.tables.folder, using=self.using, within=unpinned
        )
        if hold:
            Hold.objects.using(self.using).bulk_create(
                [
                    Hold(application_key=point.application_key, reason=reason or HOLD_REASON, created_by=by)
                    for point in points
                ],
                ignore_conflicts=True,
            )

    def _store(self, points: Sequence[RollbackPoint]) -> None:
        names = ("status", "ended_by", "ended_reason", "exact", "outcome")
        fields = {field.name: field for field in RollbackPoint._meta.concrete_fields}
        connection = self.backend.connection
        self.backend.update_many(
            RollbackPoint._meta.db_table,
            "sequence",
            [(str(fields[name].column), str(fields[name].db_type(connection))) for name in names],
            [
                [
                    point.sequence,
                    *(
                        json.dumps(value) if isinstance(value := getattr(point, name), dict) else value
                        for name in names
                    ),
                ]
                for point in points
            ],
            now="ended_at",
        )

    def _undone(self, points: Sequence[RollbackPoint]) -> Iterator[Event]:
        removed: defaultdict[int, dict[str, str]] = defaultdict(dict)
        rows = RemovedFolder.objects.using(self.using).filter(point__in=[point.sequence for point in points])
        for sequence, folder, survivor in rows.values_list("point_id", "folder_key", "survivor_key"):
            removed[sequence][folder] = survivor
        for point in points:
            if point.kind == RollbackPoint.Kind.CLEANUP:  # one taken by hand has removed nothing
                yield Event(point.application_key, point.id, removed[point.sequence])


def take_point(
    *, using: str, references: ReferenceMap, application_id: str, reason: str, created_by: str, now: datetime
) -> RollbackPoint:
    """Store an application's whole folder structure. Runs inside the caller's transaction. Raises SchemaChanged."""
    backend = backends.database(using=using)
    schema_changes.hold(backend, references, written=[references.folders, references.files])
    tables = folder_tables()
    schema = journal.write_schema(using=using, backend=backend, references=references, mapped=tables)
    point = RollbackPoint.objects.using(using).create(
        application_key=application_id,
        kind=RollbackPoint.Kind.MANUAL,
        schema=schema,
        created_at=now,
        created_by=created_by,
        reason=reason,
        expires_at=now + timedelta(days=conf.rollback_days()),
    )
    for structure in structure_tables(references, tables):
        backend.merging.take_structure(
            structure,
            point=point.sequence,
            application=application_id,
            key=tables.application_key,
            step=journal.STRUCTURE_STEP,
        )
    return point


def structure_tables(references: ReferenceMap, tables: Any) -> tuple[StructureTable, ...]:
    """Return the tables that a point taken by hand stores."""
    return (
        StructureTable(references.folders, tables.folder_application),
        StructureTable(references.files, tables.file_application),
    )


def find_point(*, using: str, rollback_id: UUID) -> RollbackPoint | None:
    """Return the point of that id."""
    return RollbackPoint.objects.using(using).filter(id=rollback_id).select_related("schema").first()


def _grouped(points: Sequence[RollbackPoint], *, latest_first: bool) -> list[list[RollbackPoint]]:
    """Part points by snapshot schema, and if asked by the batch that wrote them, in the order of undoing."""
    groups: defaultdict[Any, list[RollbackPoint]] = defaultdict(list)
    for point in points:
        groups[point.created_at if latest_first else None, point.schema_id].append(point)
    return list(groups.values()) if not latest_first else [groups[key] for key in sorted(groups, reverse=True)]


def _newest(points: Sequence[RollbackPoint]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for point in points:
        newest[point.application_key] = max(newest.get(point.application_key, 0), point.sequence)
    return newest


def _by_point(rows: Sequence[Any]) -> Mapping[int, Counter[TableName]]:
    counts: defaultdict[int, Counter[TableName]] = defaultdict(Counter)
    for counted in rows:
        counts[counted.point][counted.table] += counted.rows
    return counts
