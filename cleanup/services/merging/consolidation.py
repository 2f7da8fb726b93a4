"""Merge the folders of a batch of applications: examine, then apply.

``examine`` decides for each application what would be done, or why not; it is all that a dry run does. ``apply``
carries the decisions out. Both run inside the caller's transaction and open none; ``looking`` opens a dry run's.

Note [One transaction per batch]. What a batch does to its applications, the snapshot rows that undo it and the results
that report it are one transaction: after a crash every application is as it was or merged, journaled and reported.
Applications and then folders are locked in key order; plans are made on the locked rows; before the folders are deleted
it is proved that nothing points at them, by a count where the database itself would not refuse.
"""

import uuid
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import repeat
from typing import Any, NamedTuple

from cleanup import backends, conf, journal
from cleanup.backends.bulk_insert import insert_each
from cleanup.backends.catalogue import Table, TableName
from cleanup.backends.changes import Cell, Counted, Forwarding, Keys, Pair, Pairs, Target
from cleanup.backends.collisions import Change
from cleanup.backends.pinning import batch
from cleanup.exceptions import (
    ApplicationError,
    DifferentRoots,
    DifferingColumns,
    ProofFailed,
    TooLarge,
    UnkeyedRows,
)
from cleanup.folder_tables import FolderTables, folder_tables
from cleanup.models import Hold, Result, RollbackPoint, Run, SnapshotLayout
from cleanup.models.operations import NAME_LENGTH
from cleanup.phrases import with_reason
from cleanup.planning import FolderRow, Plan, plan_merge
from cleanup.references import Reference, ReferenceMap
from cleanup.references.key_types import kind_of, respelled
from cleanup.services.concurrency.pipeline import Turn
from cleanup.services.merging.collisions import Collisions, GivingWay, Renumbered, reported
from cleanup.services.results import FolderCleanupResult, RootFolder


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Which applications that are otherwise set aside are wanted all the same."""

    held: bool = False
    large: bool = False


#: Folders that are removed in about the time that it takes to read and plan a batch.
A_MOMENT = 5000

#: Holds that are read whether they concern anybody or not: mostly there are none.
FEW_HOLDS = 100

#: The parent of a folder that should not be there.
NOWHERE = object()

#: Code of an application that does not exist.
MISSING = "application_missing"

#: The plan of an application that is left alone.
NOTHING = plan_merge(())


@dataclass(slots=True)
class Decision:
    """What is to be done with one application, or why it is left alone."""

    application: str
    plan: Plan = NOTHING
    status: str = ""
    """Empty: go ahead. Otherwise the status of its result."""
    code: str = ""
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    parents: dict[str, str | None] = field(default_factory=dict)
    """Of the folders that stay, as they will be; used up when the merge is checked."""
    folders: dict[str, FolderRow] = field(default_factory=dict)
    """Every folder, where they were compared or more of them is copied than the key; it may be a hundred thousand."""
    giving_way: list[GivingWay] = field(default_factory=list)
    """Rows that give way to a twin or a survivor's row."""
    renumbered: list[Renumbered] = field(default_factory=list)
    """Rows that take another name or number."""

    @property
    def goes_ahead(self) -> bool:
        """Tell whether something is to be done."""
        return not self.status and not self.plan.empty

    def refuse(self, error: ApplicationError) -> None:
        """Leave the application untouched and say why."""
        self.status, self.code, self.message = Result.Status.FAILED, error.code, str(error)

    def set_aside(self, status: str, code: str, message: str) -> None:
        """Leave the application for a person, or because there is nothing to do."""
        self.status, self.code, self.message = status, code, message


class Point(NamedTuple):
    """A rollback point as written."""

    id: uuid.UUID
    sequence: int


@dataclass(slots=True)
class Batch:
    """The removed folders of decisions, column by column, and what the statements are told of them."""

    points: list[int] = field(default_factory=list)
    """The sequence of the rollback point, or while nothing is journaled a number of the caller's, to count by."""
    removed: list[str] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    """In survivor order, from 1."""
    olds: Sequence[str] = ()
    """The removed folders' keys as cells."""
    news: Sequence[str] = ()
    """The survivors'."""
    folders: dict[str, FolderRow] = field(default_factory=dict)
    """Of its decisions, where they have them."""
    pairs: dict[tuple[tuple[str, ...], bool], Pairs] = field(default_factory=dict)
    """Made once for all references, by the folder columns that these copy, and whether they may be spelled in several
    ways."""

    def add(self, point: int, decision: Decision) -> None:
        """Add the folders that a decision removes."""
        for group in decision.plan.groups:
            self.removed += group.removed
            self.survivors += repeat(group.survivor, len(group.removed))
            self.ranks += range(1, len(group.removed) + 1)
        self.points += repeat(point, decision.plan.folders_removed)
        self.folders |= decision.folders


class Consolidation:
    """Examines and merges batches on one database; made once per run, for the references are read once."""

    def __init__(self, *, using: str, references: ReferenceMap) -> None:
        self.using = using
        self.references = references
        self.backend: backends.Database = backends.database(using=using)
        self.tables: FolderTables = folder_tables()
        self.steps = journal.steps_of(references)
        self.key_column = self.tables.folder_key.column
        self.collisions = Collisions(references=references, backend=self.backend, tables=self.tables)
        #: The step in which rows of a table give way: before any of its rows moves.
        self._leaving: dict[TableName, int] = {}
        for step in self.steps:
            if step.kind == "removed":
                for reference in step.references:
                    self._leaving.setdefault(reference.table, step.number)
        self._unkeyed = [r for r in references.references if not journal.row_key(references.tables[r.table])]
        #: Further columns of folders that composite references copy.
        self.copied_columns = tuple(
            sorted({c for r in references.references for c in r.folder_columns if c != self.key_column})
        )
        #: Not what makes the tree, nor numbers and UUIDs that no two folders share.
        known = {
            self.key_column,
            self.tables.folder_parent,
            self.tables.folder_application,
            self.tables.folder_name,
            self.tables.folder_created,
        }
        alone = {unique.columns for unique in references.folders.uniques if unique.simple}
        self.compared_columns = tuple(
            column.name
            for column in references.folders.columns
            if not column.generated
            and column.name not in known
            and not ((column.name,) in alone and kind_of(column) in {"integer", "uuid"})
        )

    # Examine.

    def examine(
        self, applications: Sequence[str], *, include: Inclusion, lock: bool, compare: bool = False
    ) -> list[Decision]:
        """Decide about each application, in the order given; reads only, and locks if asked.

        ``compare`` adds to each decision the columns in which removed folders differ from their survivors.
        """
        decisions = [Decision(application) for application in applications]
        holds = self._set_aside_held(decisions, include)
        self._set_aside_missing_and_large(decisions, include)
        if lock:
            open_keys = [decision.application for decision in decisions if not decision.status]
            self._set_aside_missing(decisions, self.backend.reading.lock_applications(self.tables, open_keys))
        compare = compare or conf.differing_columns() == "refuse"
        self._plan(decisions, lock=lock, compare=compare)
        if holds or self._unkeyed or self.collisions.ruled:
            batch = self._batch(decisions)
            if batch.removed:
                if holds:
                    self._refuse_held_rows(decisions, batch)
                self._refuse_unkeyed(decisions, batch)
            self._find_collisions(decisions, batch)
        return decisions

    def _set_aside_held(self, decisions: Sequence[Decision], include: Inclusion) -> bool:
        """Set aside what is on hold, and tell whether any application is that must be left alone."""
        if include.held:
            return False
        holds = Hold.objects.using(self.using).order_by().values_list("application_key", "reason")
        reasons = some = dict(holds[:FEW_HOLDS])
        if len(some) == FEW_HOLDS:
            reasons = dict(holds.filter(application_key__in=[decision.application for decision in decisions]))
        for decision in decisions:
            if decision.application in reasons:
                reason = with_reason("The application is on hold", reasons[decision.application])
                decision.set_aside(Result.Status.HELD, "held", reason)
        return bool(some)

    def _set_aside_missing_and_large(self, decisions: Sequence[Decision], include: Inclusion) -> None:
        limit = conf.large_application()
        counts = self.backend.reading.count_folders(self.tables, [d.application for d in decisions if not d.status])
        self._set_aside_missing(decisions, counts)
        for decision in decisions:
            folders = counts.get(decision.application, 0)
            if folders > limit and not include.large:
                error = TooLarge(folders=folders, limit=limit)
                decision.set_aside(Result.Status.SKIPPED, error.code, str(error))

    def _set_aside_missing(self, decisions: Sequence[Decision], existing: Container[str]) -> None:
        for decision in decisions:
            if not decision.status and decision.application not in existing:
                decision.set_aside(Result.Status.SKIPPED, MISSING, "The application does not exist.")

    def _plan(self, decisions: Sequence[Decision], *, lock: bool, compare: bool) -> None:
        wanted = [decision.application for decision in decisions if not decision.status]
        if not wanted:
            return
        columns = self.copied_columns
        if compare:
            columns += (*self.compared_columns, self.tables.folder_created)
        folders = self.backend.reading.read_folders(self.tables, wanted, lock=lock, columns=columns)
        for decision in decisions:
            if decision.status:
                continue
            rows = folders.pop(decision.application, [])
            plan = decision.plan = plan_merge(rows, different_roots=conf.different_roots())
            if not plan.empty:
                decision.parents = {row.key: row.parent for row in rows if row.key not in plan.removed}
                decision.parents.update((move.folder, move.new_parent) for move in plan.moves)
            if columns:
                decision.folders = {row.key: row for row in rows}
            if plan.refused:
                decision.refuse(DifferentRoots())
            elif compare and not decision.plan.empty:
                self._compare(decision)

    def _compare(self, decision: Decision) -> None:
        differing: Counter[str] = Counter()
        for removed in decision.plan.removed:
            differing.update(self.differences(decision, removed))
        if differing:
            decision.details["differing_columns"] = dict(sorted(differing.items()))
            if conf.differing_columns() == "refuse":
                decision.refuse(DifferingColumns(columns=", ".join(sorted(differing))))

    def differences(self, decision: Decision, removed: str) -> list[str]:
        """Return the columns in which a removed folder differs from its survivor; ``examine`` must have compared."""
        one, other = decision.folders[removed], decision.folders[decision.plan.removed[removed]]
        differing = [self.tables.folder_name] if one.name != other.name else []
        start, end = len(self.copied_columns), len(self.copied_columns) + len(self.compared_columns)
        cells = zip(self.compared_columns, one.cells[start:end], other.cells[start:end], strict=True)
        return differing + [column for column, left, right in cells if left != right]

    def _batch(self, decisions: Sequence[Decision], points: Mapping[int, Point] | None = None) -> Batch:
        """Put together what goes ahead; without points, rows are counted by the decision's place."""
        batch = Batch()
        for place, decision in enumerate(decisions):
            if decision.goes_ahead:
                batch.add(place if points is None else points[place].sequence, decision)
        batch.olds, batch.news = self._key_cells(batch.removed), self._key_cells(batch.survivors)
        return batch

    # From a batch to what the statements need.

    def _target(self, reference: Reference, batch: Batch) -> Target:
        table = self.references.tables[reference.table]
        spare: Sequence[Cell] = ()
        if reference.table == self.references.folders.name:
            spare = batch.olds
        kind = (reference.folder_columns, reference.spelled)
        if kind not in batch.pairs:
            batch.pairs[kind] = self._pairs(reference, batch)
        key, images = journal.row_key(table), self._fires(table)
        return Target(table, reference.columns, key, batch.pairs[kind], reference.condition, images, spare)

    def _fires(self, table: Table) -> bool:
        """Tell whether triggers of the host fire where the table's rows change."""
        return bool(table.triggers) and conf.triggers() == "fire"

    def _pairs(self, reference: Reference, batch: Batch) -> Pairs:
        if reference.folder_columns != (self.key_column,):
            return Pairs.of(list(self._copying(reference, batch)), width=len(reference.folder_columns))
        if reference.spelled:
            return Pairs.of(list(self._spelling(batch)), width=1)
        return Pairs(batch.points, (batch.olds,), (batch.news,), batch.ranks)

    def _copying(self, reference: Reference, batch: Batch) -> Iterator[Pair]:
        for point, removed, survivor, rank in self._removals(batch):
            olds = self._copied(batch.folders[removed], reference)
            if None not in olds:  # a null matches nothing: it is not enforced, and not a reference
                yield Pair(point, tuple(map(str, olds)), self._copied(batch.folders[survivor], reference), rank)

    def _spelling(self, batch: Batch) -> Iterator[Pair]:
        key, text_cell = self.tables.folder_key, self.backend.cells.text_cell
        for point, removed, survivor, rank in self._removals(batch):
            for old, new in respelled(key, self.references.folder_key, removed, survivor):
                yield Pair(point, (text_cell(old),), (text_cell(new),), rank)

    def _removals(self, batch: Batch) -> Iterator[tuple[int, str, str, int]]:
        return zip(batch.points, batch.removed, batch.survivors, batch.ranks, strict=True)

    def _copied(self, folder: FolderRow, reference: Reference) -> tuple[Cell, ...]:
        return tuple(
            self._key_cell(folder.key) if column == self.key_column else folder.cells[self.copied_columns.index(column)]
            for column in reference.folder_columns
        )

    def _key_cell(self, key: str) -> str:
        return self.backend.cells.key_cell(self.tables.folder_key, key)

    def _key_cells(self, keys: Sequence[str]) -> Sequence[str]:
        return self.backend.cells.key_cells(self.tables.folder_key, keys)

    # Refusals that need a look at the rows.

    def _refuse_held_rows(self, decisions: list[Decision], batch: Batch) -> None:
        """Refuse applications whose merge would write, by reference, to an application on hold."""
        targets = []
        for reference in self.references.references:
            if reference.columns == (self.tables.folder_parent,) and reference.table == self.references.folders.name:
                column = self.tables.folder_application
            elif reference.columns == (self.tables.file_folder,) and reference.table == self.references.files.name:
                column = self.tables.file_application
            else:
                continue
            targets.append((self._target(reference, batch), column))
        owners = self.backend.reading.owners(targets, self.tables.application_key)
        others = [owner for owner in owners if owner.application != decisions[owner.point].application]
        if not others:
            return
        holds = Hold.objects.using(self.using).filter(application_key__in={owner.application for owner in others})
        held = set(holds.values_list("application_key", flat=True))
        for owner in others:
            if owner.application in held:
                decisions[owner.point].set_aside(
                    Result.Status.HELD,
                    "held",
                    f"{owner.rows} rows of {owner.table} belong to {owner.application}, which is on hold.",
                )

    def _refuse_unkeyed(self, decisions: list[Decision], batch: Batch) -> None:
        for counted in self.backend.reading.count_rows([self._target(r, batch) for r in self._unkeyed]):
            decisions[counted.point].refuse(UnkeyedRows(count=counted.rows, table=str(counted.table)))

    def _find_collisions(self, decisions: list[Decision], batch: Batch) -> None:
        changes = {
            table: [
                Change(replace(target, spare=()), target.columns)
                for reference in self.references.references
                if reference.table == table and (target := self._target(reference, batch)).pairs
            ]
            for table in self.collisions.ruled
        }
        folders = self.references.folders
        if folders.name in changes and (nested := list(self._nested(decisions))):
            pairs = Pairs.of([Pair(point, (folder,), (parent,)) for point, folder, parent in nested], width=1)
            target = Target(folders, (self.key_column,), journal.row_key(folders), pairs)
            changes[folders.name].append(Change(target, (self.tables.folder_parent,)))
        found = self.collisions.foresee(changes, spare=batch.olds)
        for place, foreseen in sorted(found.items()):
            decision = decisions[place]
            if foreseen.obstacles:
                decision.details["collisions"] = reported(foreseen)
                decision.refuse(self.collisions.error(foreseen, decision.application))
            else:
                decision.giving_way, decision.renumbered = foreseen.giving_way, foreseen.renumbered

    # A dry run.

    @contextmanager
    def looking(self, *, session_name: str) -> Iterator[None]:
        """Pin the form of values for a moment, in a transaction that only reads.

        On SQLite nothing is pinned, and there is no transaction: a project may have them begin with the write lock.
        """
        if self.backend.one_writer:
            yield
            return
        with batch(self.backend, session_name=session_name, writing=False):
            yield

    def foresee(self, decisions: list[Decision]) -> list[FolderCleanupResult]:
        """Count what ``apply`` would do."""
        batch = self._batch(decisions)
        moved: dict[int, Counter[str]] = {}
        if batch.removed:
            targets = [self._target(r, batch) for r in self.references.references]
            for counted in self.backend.reading.count_rows([target for target in targets if target.pairs]):
                moved.setdefault(counted.point, Counter())[str(counted.table)] += counted.rows
            for counted in self._repeated(batch):
                moved[counted.point][str(counted.table)] -= counted.rows
        for place, decision in enumerate(decisions):
            if decision.goes_ahead:
                counts = moved.setdefault(place, Counter())
                nested = sum(1 for move in decision.plan.moves if move.old_parent is None)
                counts[str(self.references.folders.name)] += nested
                for row in decision.giving_way:
                    counts[str(row.table)] -= row.moves
        return [
            replace(
                self._result(decision, moved.get(place, Counter())), root_folder=self._root_that_would_stay(decision)
            )
            for place, decision in enumerate(decisions)
        ]

    def _root_that_would_stay(self, decision: Decision) -> RootFolder | None:
        """Return the root folder that would stay of several; None also where ``examine`` did not compare."""
        root = decision.folders.get(decision.plan.root or "") if decision.goes_ahead else None
        return root and RootFolder(root.key, root.name)

    def _repeated(self, batch: Batch) -> list[Counted]:
        """Count the files and folders that name one folder in several columns once less for each further column."""
        groups = []
        for table in (self.references.files, self.references.folders):
            targets = [self._target(r, batch) for r in self.references.references if r.table == table.name]
            present = [target for target in targets if target.pairs and target.key]
            if len(present) > 1:
                groups.append(present)
        return self.backend.reading.count_repeated(groups) if groups else []

    def rows_by_folder(self, decision: Decision) -> dict[str, Counter[str]]:
        """Count the rows that point at each folder of an application that was compared, by folder and table.

        Folders that lie in folders are left out.
        """
        keys = list(decision.folders)
        cells = self._key_cells(keys)
        batch = Batch(list(range(len(keys))), keys, keys, [1] * len(keys), cells, cells, folders=decision.folders)
        tree = (self.references.folders.name, (self.tables.folder_parent,))
        targets = [
            replace(self._target(reference, batch), spare=())
            for reference in self.references.references
            if (reference.table, reference.columns) != tree
        ]
        rows: dict[str, Counter[str]] = {}
        for counted in self.backend.reading.count_rows([target for target in targets if target.pairs]):
            rows.setdefault(keys[counted.point], Counter())[str(counted.table)] += counted.rows
        return rows

    def _result(self, decision: Decision, moved: Mapping[str, int], rollback_id: Any = None) -> FolderCleanupResult:
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
            details |= self.collisions.told(decision.renumbered)
        return FolderCleanupResult(
            application_id=decision.application,
            status=Result.Status.COMPLETED,
            folders_removed=decision.plan.folders_removed,
            files_moved=moved.get(str(self.references.files.name), 0),
            child_folders_merged=decision.plan.child_folders_merged,
            references_moved=sum(moved.values()),
            rollback_id=rollback_id,
            details=details,
        )

    # Apply.

    def apply(
        self,
        decisions: list[Decision],
        *,
        layout: SnapshotLayout,
        run: Run | None,
        created_by: str,
        now: datetime,
        turn: Turn,
    ) -> tuple[list[FolderCleanupResult], dict[str, Point]]:
        """Carry the decisions out and return the results in their order, and the points by application.

        The turn, which has begun, ends when nothing is left but to check. Raises CountMismatch, ProofFailed and
        database errors, upon which the caller's transaction must be undone.
        """
        hook = conf.tree_hook()
        points = self._write_points(decisions, layout=layout, run=run, created_by=created_by, now=now)
        batch = self._batch(decisions, points)
        turn.change()
        moved: dict[int, Counter[str]] = {place: Counter() for place in points}
        place_of = {point.sequence: place for place, point in points.items()}
        if points:
            for counted in self._repeated(batch) if batch.removed else ():
                moved[place_of[counted.point]][str(counted.table)] -= counted.rows
            for step in self.steps:
                if step.replaced:
                    self._replace_cells(step, decisions, points)
                elif step.kind == "moved":
                    rows = self._move(step, batch) if step.references else self._nest(step, decisions, points)
                    self._count(moved, place_of, rows)
                elif step.references:
                    self._remove_yielding(step, decisions, points)
                elif batch.removed:  # not, where roots are nested and nothing merges
                    self._prove(batch)
                    if hook is None and self._removes_soon(batch):
                        turn.let_next_begin()
                    self._remove_folders(step, batch)
            if hook is not None:
                merged = [decision.application for decision in decisions if decision.goes_ahead]
                self.backend.limit_wait()
                hook(using=self.using, application_ids=merged)
            turn.end()
            self._check_merged(decisions)
            self.backend.force_constraints()
        results = [
            self._result(decision, moved.get(place, Counter()), points[place].id if place in points else None)
            for place, decision in enumerate(decisions)
        ]
        return results, {decisions[place].application: point for place, point in points.items()}

    def _write_points(
        self, decisions: Sequence[Decision], *, layout: SnapshotLayout, run: Run | None, created_by: str, now: datetime
    ) -> dict[int, Point]:
        places = {decision.application: place for place, decision in enumerate(decisions) if decision.goes_ahead}
        if not places:
            return {}
        key = RollbackPoint._meta.get_field("id")
        ids = {application: key.get_default() for application in places}
        spelled = (str(key.get_db_prep_save(value, self.backend.connection)) for value in ids.values())
        written = insert_each(
            RollbackPoint,
            self.backend.reading.listed(
                list(zip(ids, spelled, strict=True)), [("application_key", "text"), ("id", "uuid")]
            ),
            ("application_key", "id"),
            {
                "kind": RollbackPoint.Kind.CLEANUP,
                "run": run.pk if run else None,
                "layout": layout.pk,
                "created_at": now,
                "created_by": created_by,
                "expires_at": now + timedelta(days=conf.rollback_days()),
            },
            using=self.using,
            returning=("application_key", "sequence"),
        )
        return {places[application]: Point(ids[application], sequence) for application, sequence in written}

    def _count(self, moved: dict[int, Counter[str]], place_of: Mapping[int, int], rows: Iterable[Counted]) -> None:
        for counted in rows:
            moved[place_of[counted.point]][str(counted.table)] += counted.rows

    def _move(self, step: journal.Step, batch: Batch) -> list[Counted]:
        targets = [self._target(reference, batch) for reference in step.references]
        # A table without a key was found to have no row to move.
        moving = [target for target in targets if target.pairs and target.key]
        return self.backend.merging.move(moving, step=step.number) if moving else []

    def _nest(self, step: journal.Step, decisions: Sequence[Decision], points: Mapping[int, Point]) -> list[Counted]:
        sequences = {place: point.sequence for place, point in points.items()}
        rows = [(sequences[place], folder, parent) for place, folder, parent in self._nested(decisions)]
        if not rows:
            return []
        return self.backend.merging.nest(
            self.references.folders, self.key_column, self.tables.folder_parent, rows, step=step.number
        )

    def _nested(self, decisions: Sequence[Decision]) -> Iterator[tuple[int, str, str]]:
        """Yield place of the decision, folder and parent of root folders that are put under another."""
        for place, decision in enumerate(decisions):
            if decision.goes_ahead:
                for move in decision.plan.moves:
                    if move.old_parent is None:
                        yield place, self._key_cell(move.folder), self._key_cell(move.new_parent)

    def _remove_yielding(self, step: journal.Step, decisions: Sequence[Decision], points: Mapping[int, Point]) -> None:
        leaving: dict[TableName, list[tuple[int, tuple[str, ...]]]] = {}
        for place, decision in enumerate(decisions):
            if decision.goes_ahead:
                for row in decision.giving_way:
                    if self._leaving[row.table] == step.number:
                        leaving.setdefault(row.table, []).append((points[place].sequence, row.key))
        for name, rows in leaving.items():
            table = self.references.tables[name]
            keys = Keys([point for point, _ in rows], tuple(zip(*(key for _, key in rows), strict=True)))
            self.backend.merging.remove(table, journal.row_key(table), keys, step=step.number)

    def _replace_cells(self, step: journal.Step, decisions: Sequence[Decision], points: Mapping[int, Point]) -> None:
        for name, column in step.replaced:
            rows = [
                one.row._replace(point=points[place].sequence)
                for place, decision in enumerate(decisions)
                if decision.goes_ahead
                for one in decision.renumbered
                if (one.table, one.column) == (name, column)
            ]
            if rows:
                table = self.references.tables[name]
                self.backend.merging.replace_cells(table, journal.row_key(table), column, rows, step=step.number)

    def _removes_soon(self, batch: Batch) -> bool:
        """Tell whether removing the folders takes but a moment: few, and nothing of the host's fires."""
        return len(batch.removed) <= A_MOMENT and not self._fires(self.references.folders)

    def _remove_folders(self, step: journal.Step, batch: Batch) -> None:
        self.backend.merging.remove(
            self.references.folders,
            (self.key_column,),
            Keys(batch.points, (batch.olds,)),
            step=step.number,
            forwarding=Forwarding(batch.removed, batch.survivors, self.tables.folder_name, NAME_LENGTH),
        )

    def _prove(self, batch: Batch) -> None:
        """Prove that nothing points at a folder that is about to be deleted.

        Where an enforced foreign key would refuse the DELETE, the database itself is the proof.
        """
        unproven = [reference for reference in self.references.references if not reference.proven]
        targets = [self._target(reference, batch) for reference in unproven]
        for counted in self.backend.reading.count_rows([target for target in targets if target.pairs]):
            raise ProofFailed(count=counted.rows, table=str(counted.table))

    def _check_merged(self, decisions: Sequence[Decision]) -> None:
        """Look at the rows as they are now: each folder is where it was to be, and none else is there.

        Where somebody or something has changed more, plan again: nothing may be left to do, or newly out of reach of a
        root.
        """
        merged = {decision.application: decision for decision in decisions if decision.goes_ahead}
        others_write = conf.triggers() == "fire" and self.references.has_triggers
        if not others_write and conf.tree_hook() is None:
            changed = self._differing(merged)
            merged = {key: decision for key, decision in merged.items() if key in changed}
        if merged:
            self._plan_again({key: decision.plan for key, decision in merged.items()})

    def _differing(self, merged: Mapping[str, Decision]) -> set[str]:
        """Return the applications of which a folder is not where it was to be, missing, or new."""
        differing = set()
        for application, folder, parent in self.backend.reading.read_parents(self.tables, list(merged), lock=False):
            decision = merged.get(application)
            # A folder may spell its application in another way than the application does; then it is found missing.
            if decision is not None and decision.parents.pop(folder, NOWHERE) != parent:
                differing.add(application)
        return differing.union(application for application, decision in merged.items() if decision.parents)

    def _plan_again(self, merged: Mapping[str, Plan]) -> None:
        folders = self.backend.reading.read_folders(self.tables, list(merged), lock=False)
        for application, before in merged.items():
            after = plan_merge(folders.get(application, ()), different_roots=conf.different_roots())
            if not after.empty or after.left_alone != before.left_alone:
                raise ProofFailed(
                    f"Application {application} would not be as planned after the merge; the merge was undone."
                )
