"""Carry out decisions: write the points, move the rows, prove and delete, check.

Runs inside the caller's transaction and opens none.

Note [One transaction per batch]. What a batch does to its applications, the snapshot rows that undo it and the results
that report it are one transaction: after a crash every application is as it was or merged, journaled and reported.
Applications and then folders are locked in key order; plans are made on the locked rows; before the folders are deleted
it is proved that nothing points at them, by a count if the database itself would not refuse.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from cleanup import conf, journal
from cleanup.backends.bulk_insert import insert_each_returning
from cleanup.backends.changes import Forwarding, Keys, RowCount
from cleanup.exceptions import ProofFailed
from cleanup.folder_tables import Ownership
from cleanup.models import RollbackPoint, Run, SnapshotSchema
from cleanup.models.operations import NAME_LENGTH
from cleanup.planning import Plan, plan_merge
from cleanup.policies import TriggerPolicy
from cleanup.services.concurrency.pipeline import PipelineSlot
from cleanup.services.merging.decisions import MOST_COMPARED, MergeDecision
from cleanup.services.merging.outcome import result_of
from cleanup.services.merging.targets import Batch, Removals, Targets
from cleanup.services.merging.tree_hooks import JournaledHooks
from cleanup.services.results import FolderCleanupResult

#: Folders that can be removed in about the time that it takes to read and plan a batch.
A_MOMENT = 5000


class Point(NamedTuple):
    """A rollback point as written."""

    uuid: UUID
    id: int


@dataclass(frozen=True, slots=True)
class Merge:
    """A batch as it is carried out; places are the decisions' positions."""

    going_ahead: Mapping[int, MergeDecision]
    point_ids: Mapping[int, int]
    """Of the decisions' points."""
    removals: Removals
    batch: Batch
    """All of them, or the part that is being carried out."""
    nested: Sequence[tuple[int, str, str]]
    """Id of the point, folder and parent of root folders that are moved under another."""


class Merger:
    """Merges batches on one database; created once per run."""

    kind = RollbackPoint.Kind.CLEANUP
    """Of the points."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets
        self.references = targets.references
        self.tables = targets.tables
        self.backend = targets.backend
        self.steps = journal.steps_of(targets.references, self.repairs())
        self.hooks = JournaledHooks(targets, [step for step in self.steps if step.by_hook])
        #: The step in which rows of a table give way: before any of its rows moves.
        self._leaving = {
            reference.table: step.number
            for step in reversed(self.steps)
            if step.kind == "removed"
            for reference in step.references
        }

    def repairs(self) -> Sequence[journal.Step]:
        """Return the steps that come before those of a merge."""
        return ()

    def apply(
        self,
        decisions: Sequence[MergeDecision],
        *,
        schema: SnapshotSchema,
        run: Run | None,
        created_by: str,
        now: datetime,
        slot: PipelineSlot,
    ) -> tuple[list[FolderCleanupResult], dict[str, Point]]:
        """Carry out the decisions and return the results in their order, and the points by application.

        The slot, which has been entered, ends when only deleting folders and checking is left. Raises CountMismatch,
        ProofFailed and database errors, after which the caller's transaction must be rolled back.
        """
        points = self._write_points(decisions, schema=schema, run=run, created_by=created_by, now=now)
        point_ids = {place: point.id for place, point in points.items()}
        removals = self.targets.removals(decisions, point_ids)
        merge = Merge(
            going_ahead={place: decisions[place] for place in sorted(points)},
            point_ids=point_ids,
            removals=removals,
            batch=Batch() if removals.parted else removals.whole(),
            nested=[(point_ids[place], folder, parent) for place, folder, parent in self.targets.nested(decisions)],
        )
        slot.change()
        if self._changes_soon(merge):
            slot.let_next_begin()
        moved = self._carry_out(merge, slot) if points else {}
        results = [
            result_of(
                decision,
                moved.get(point_ids.get(place, 0), Counter()),
                targets=self.targets,
                rollback_id=points[place].uuid if place in points else None,
            )
            for place, decision in enumerate(decisions)
        ]
        return results, {decisions[place].application: point for place, point in points.items()}

    def _write_points(
        self,
        decisions: Sequence[MergeDecision],
        *,
        schema: SnapshotSchema,
        run: Run | None,
        created_by: str,
        now: datetime,
    ) -> dict[int, Point]:
        """Write a point for each decision that goes ahead, and return them by its position."""
        places = {decision.application: place for place, decision in enumerate(decisions) if decision.goes_ahead}
        if not places:
            return {}
        key = RollbackPoint._meta.get_field("uuid")
        uuids = {application: key.get_default() for application in places}
        spelled = (str(key.get_db_prep_save(value, self.backend.connection)) for value in uuids.values())
        written = insert_each_returning(
            RollbackPoint,
            self.backend.reading.listed(
                list(zip(uuids, spelled, strict=True)), [("application_key", "text"), ("uuid", "uuid")]
            ),
            ("application_key", "uuid"),
            {
                "kind": self.kind,
                "run": run.pk if run else None,
                "schema": schema.pk,
                "created_at": now,
                "created_by": created_by,
                "expires_at": now + timedelta(days=conf.rollback_days()),
            },
            using=self.targets.using,
            returning=("application_key", "id"),
        )
        return {places[application]: Point(uuids[application], point_id) for application, point_id in written}

    def _carry_out(self, merge: Merge, slot: PipelineSlot) -> dict[int, Counter[str]]:
        """Merge, and return the rows that were moved, by id of the point and table."""
        moved: dict[int, Counter[str]] = {point_id: Counter() for point_id in merge.point_ids.values()}
        if merge.batch.removed:
            for counted in self.targets.count_repeated(merge.batch):
                moved[counted.point][str(counted.table)] -= counted.rows
        for step, part in self._steps_of(merge):
            for counted in self._take(step, part, slot):
                moved[counted.point][str(counted.table)] += counted.rows
        self.hooks.call(self._points(merge))
        slot.end()
        self._check_merged({self._name_now(decision): decision for decision in merge.going_ahead.values()})
        self.backend.check_deferred_constraints()
        return moved

    def _steps_of(self, merge: Merge) -> Iterator[tuple[journal.Step, Merge]]:
        """Yield the steps, each with what it takes up; see Note [Parts] in ``cleanup.services.merging.targets``."""
        steps = [step for step in self.steps if not step.by_hook]
        if not merge.removals.parted:
            yield from ((step, merge) for step in steps)
            return
        yield from ((step, merge) for step in steps if not step.of_removed)
        for part in merge.removals.parts():
            yield from ((step, replace(merge, batch=part)) for step in steps if step.of_removed)

    def _points(self, merge: Merge) -> dict[str, int]:
        """Return the applications whose trees have changed, each with the id of the point that journals it."""
        return {self._name_now(decision): merge.point_ids[place] for place, decision in merge.going_ahead.items()}

    def _name_now(self, decision: MergeDecision) -> str:
        """Return the application's key after the merge; a tree is named by a root folder that may have been removed."""
        if self.tables.ownership not in (Ownership.SHARED, Ownership.TREE):
            return decision.application
        return decision.plan.removed.get(decision.application, decision.application)

    # Steps.

    def _take(self, step: journal.Step, merge: Merge, slot: PipelineSlot) -> list[RowCount]:
        """Take one step, and return the rows that it moved."""
        if step.array is not None:
            return self._move_elements(step, merge.batch)
        if step.kind == "moved" and not step.replaced:
            return self._move(step, merge.batch) if step.references else self._nest(step, merge)
        if step.replaced:
            self._replace_cells(step, merge)
        elif step.references:
            self._remove_yielding(step, merge)
        elif merge.batch.removed:  # False if roots are nested and nothing merges
            self._prove(merge.batch)
            if self._changes_soon(merge):
                # The last step, and these folders are in no other batch, which may now move its rows. If foreign
                # keys are immediate, the DELETE checks them row by row, and so takes a third of the batch's time.
                slot.end()
            self._remove_folders(step, merge.batch)
        return []

    def _replace_cells(self, step: journal.Step, merge: Merge) -> None:
        for name, column in step.replaced:
            rows = [
                one.row._replace(point=merge.point_ids[place])
                for place, decision in merge.going_ahead.items()
                for one in decision.renumbered
                if (one.table, one.column) == (name, column)
            ]
            if rows:
                table = self.references.tables[name]
                self.backend.merging.replace_cells(table, journal.row_key(table), (column,), rows, step=step.number)

    def _remove_yielding(self, step: journal.Step, merge: Merge) -> None:
        for name in (name for name, number in self._leaving.items() if number == step.number):
            rows = [
                (merge.point_ids[place], row.key)
                for place, decision in merge.going_ahead.items()
                for row in decision.giving_way
                if row.table == name
            ]
            if rows:
                table = self.references.tables[name]
                self.backend.merging.remove(table, journal.row_key(table), Keys.of(rows), step=step.number)

    def _move(self, step: journal.Step, batch: Batch) -> list[RowCount]:
        # A table without a key was found to have no row to move.
        moving = [target for target in self.targets.of_all(step.references, batch) if target.key]
        return self.backend.merging.move(moving, step=step.number) if moving else []

    def _move_elements(self, step: journal.Step, batch: Batch) -> list[RowCount]:
        targets = [target for one, target in self.targets.of_lists(batch) if one == step.array]
        return self.backend.lists.move(targets, step=step.number) if targets else []

    def _nest(self, step: journal.Step, merge: Merge) -> list[RowCount]:
        if not merge.nested:
            return []
        held = self.backend.reading.held_parents(self.tables, [folder for _, folder, _ in merge.nested])
        return self.backend.merging.nest(
            self.references.folders,
            self.targets.key_column,
            self.tables.folder_parent,
            [(point, folder, held.get(folder), parent) for point, folder, parent in merge.nested],
            step=step.number,
        )

    def _prove(self, batch: Batch) -> None:
        """Prove that nothing points at a folder that is about to be deleted.

        If an enforced foreign key would refuse the DELETE, the database itself is the proof. What has been found unused
        under the folders' lock has not been used since.
        """
        unproven = [reference for reference in self.references.references if not reference.proven]
        for counted in self.backend.reading.count_rows(self.targets.of_all(unproven, batch)):
            raise ProofFailed(count=counted.rows, table=str(counted.table))
        for counted in self.targets.count_in_lists(batch):
            raise ProofFailed(count=counted.rows, table=str(counted.table))

    def _changes_soon(self, merge: Merge) -> bool:
        """Return whether it takes only a moment: few folders to remove, and no code of the host to call.

        That code might change what the next batch has locked.
        """
        fires = any(map(self.targets.fires, self.references.written))
        return len(merge.removals) <= A_MOMENT and not fires and not self.hooks

    def _remove_folders(self, step: journal.Step, batch: Batch) -> None:
        self.backend.merging.remove(
            self.references.folders,
            (self.targets.key_column,),
            Keys(batch.points, (batch.olds,)),
            step=step.number,
            forwarding=Forwarding(batch.removed, batch.survivors, self.tables.folder_name, NAME_LENGTH),
        )

    # Checks.

    def _check_merged(self, merged: Mapping[str, MergeDecision]) -> None:
        """Check the rows as they are now: each folder is where it should be, and there are no others.

        If anything else was changed, plan again: nothing may be left to do, or newly out of reach of a root.
        """
        others_write = conf.triggers() == TriggerPolicy.FIRE and self.references.has_triggers
        if not others_write and not self.hooks.hosts:
            changed = self._differing(merged)
            merged = {key: decision for key, decision in merged.items() if key in changed}
        if merged:
            self._plan_again({key: decision.plan for key, decision in merged.items()})

    def _differing(self, merged: Mapping[str, MergeDecision]) -> set[str]:
        """Return the applications of which a folder is missing, new, or not where it should be."""
        differing = set()
        many = sum(len(decision.staying) for decision in merged.values()) > MOST_COMPARED
        for application, folder, parent in self.backend.reading.read_parents(
            self.tables, list(merged), lock=False, many=many
        ):
            decision = merged.get(application)
            # A folder may spell its application differently from the application itself; then it counts as missing.
            if decision is not None and not decision.staying.tick_off(folder, parent):
                differing.add(application)
        return differing.union(application for application, decision in merged.items() if decision.staying)

    def _plan_again(self, merged: Mapping[str, Plan]) -> None:
        folders = dict(self.backend.reading.read_folders(self.tables, list(merged), lock=False))
        for application, before in merged.items():
            after = plan_merge(folders.get(application, ()), different_roots=conf.different_roots())
            if not after.empty or after.left_alone != before.left_alone:
                raise ProofFailed(
                    f"Application {application} would not be as planned after the merge; the merge was undone."
                )
