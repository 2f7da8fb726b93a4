"""Undo points exactly, or report what prevents it.

``Undo.undo`` runs inside the caller's transaction and opens none. It never overwrites what people have done since: each
value is compared first, and one that is neither what the cleanup set nor what it was before is a conflict. A caller
that does not skip conflicts gets RollbackConflict and must roll back its transaction.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from cleanup.backends.refusals import refusal_of
from cleanup.exceptions import RollbackConflict
from cleanup.models import RollbackPoint
from cleanup.packing import Numbers
from cleanup.references import ReferenceMap
from cleanup.services.concurrency.pipeline import ALONE, PipelineSlot
from cleanup.services.errors import broken_guard
from cleanup.services.results import Conflict, Copy
from cleanup.services.rollback import manual_points
from cleanup.services.rollback.close import close
from cleanup.services.rollback.detached import Detached
from cleanup.services.rollback.groups import Group, Groups
from cleanup.services.rollback.guard_check import GuardsInForce
from cleanup.services.rollback.misplaced import Misplaced
from cleanup.services.rollback.outcome import PointOutcome
from cleanup.services.rollback.points import Points
from cleanup.services.rollback.tables import CurrentTables
from cleanup.services.rollback.tree_hooks import HooksAfterUndo


class Undo:
    """Undoes points on one database; created once per run, because the references are read once."""

    def __init__(self, *, using: str, references: ReferenceMap) -> None:
        self.tables = CurrentTables(using=using, references=references)
        self.points = Points(using=using)
        backend, mapped = self.tables.backend, self.tables.mapped
        self.guards = GuardsInForce(using=using, backend=backend, tables=mapped, references=references)
        self._groups = Groups(self.tables)
        self._hooks = HooksAfterUndo(self.tables)
        self._detached = Detached(backend=backend, tables=mapped)
        self._misplaced = Misplaced(backend=backend, tables=mapped, loose_files=references.loose_files)

    def lock(self, point_ids: Sequence[int]) -> list[RollbackPoint]:
        """Lock points and return them in key order of their applications."""
        return self.points.lock(point_ids)

    def refuse_unreadable(self, points: QuerySet[RollbackPoint]) -> None:
        """Raise UnreadableJournal if the tables are no longer as one of the points needs them."""
        self._groups.refuse_unreadable(points)

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
        ``cleanup.services.rollback.copies``. The slot, which has begun, ends when nothing is left but to check. Raises
        AlreadyRolledBack, PointExpired, Superseded (SharedRows, if that helps), Guarded, RollbackConflict,
        WouldDetach, WouldMisplace, UnreadableJournal and SchemaChanged.
        """
        self.tables.hold(points)
        if len(points) == 1 and points[0].kind == RollbackPoint.Kind.MANUAL:
            self.points.check(points)
            undo = partial(self.undo, skip_conflicts=skip_conflicts, as_copies=as_copies, now=now)
            return [self._undo_manual(points[0], undo, now=now, by=by)]
        hanging = self._detached.lock([point.application_key for point in points])
        self.points.check(points)  # not earlier: a cleanup may have been committed while we waited for the lock
        if not as_copies:
            self.guards.refuse(points)
        groups = self._groups.read(points, latest_first=latest_first)
        refuse = partial(self._refuse_out_of_place, points, groups, hanging)
        restore = partial(
            self._restore,
            groups,
            applications=hanging,
            as_copies=as_copies,
            refuse_conflicts=None if skip_conflicts else refuse,
            slot=slot,
        )
        together = len(points) > 1 and not latest_first  # if refused, they are undone one by one
        outcomes = restore() if together else self._restore_all_or_piecemeal(points[0], restore, as_copies=as_copies)
        refuse()
        return outcomes

    def _refuse_out_of_place(
        self, points: Sequence[RollbackPoint], groups: Sequence[Group], hanging: Mapping[str, Numbers]
    ) -> None:
        """Raise WouldDetach or WouldMisplace if what was restored is out of place now."""
        applications = {point.id: point.application_key for point in points}
        self._detached.refuse(hanging, applications, put_back=self._groups.put_back(groups))
        merges = {point.id: point.application_key for point in points if point.kind != RollbackPoint.Kind.REPAIR}
        if merges:
            self._misplaced.refuse(merges, nested=self._groups.nested(groups))

    def _restore_all_or_piecemeal(
        self, point: RollbackPoint, restore: Callable[..., list[PointOutcome]], *, as_copies: bool
    ) -> list[PointOutcome]:
        """Restore at once, or, if the database refuses that, row by row: what it then refuses is a conflict.

        Raises Guarded, if a guard refuses and copies would help; they help against no repair.
        """
        as_copies = as_copies or point.kind == RollbackPoint.Kind.REPAIR
        try:
            with transaction.atomic(using=self.tables.using):
                return restore()
        except DatabaseError as error:
            if refusal_of(error) is None:
                raise
            self._refuse_broken_guard(error, as_copies=as_copies)
        try:
            with transaction.atomic(using=self.tables.using):
                return restore(piecemeal=True)
        except DatabaseError as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            self._refuse_broken_guard(error, as_copies=as_copies)
            constraint = refusal.constraint or "a constraint"
            raise RollbackConflict(
                f"What was changed since and what would be restored violate {constraint} together; nothing was "
                f"restored.",
                count=1,
                conflicts=(Conflict(refusal.code, point.application_key, "", "", "", refusal.constraint),),
            ) from error

    def _refuse_broken_guard(self, error: DatabaseError, *, as_copies: bool) -> None:
        guard = broken_guard(error)
        if guard is not None and not as_copies:
            raise self.guards.refusal(guard) from error

    def _restore(
        self,
        groups: Sequence[Group],
        *,
        applications: Iterable[str],
        as_copies: bool,
        refuse_conflicts: Callable[[], None] | None,
        slot: PipelineSlot,
        piecemeal: bool = False,
    ) -> list[PointOutcome]:
        outcomes = self._groups.undo(groups, as_copies=as_copies, slot=slot, piecemeal=piecemeal)
        conflicts = [conflict for outcome in outcomes for conflict in outcome.conflicts]
        if conflicts and refuse_conflicts is not None:
            refuse_conflicts()  # what would be refused even if they are skipped is said first, as a preview does
            raise RollbackConflict(count=len(conflicts), conflicts=tuple(conflicts))
        outcomes = self._hooks.call(groups, outcomes, applications=list(applications))
        slot.end()
        self.tables.backend.check_deferred_constraints()
        return outcomes

    def _undo_manual(
        self,
        point: RollbackPoint,
        undo: Callable[[Sequence[RollbackPoint]], list[PointOutcome]],
        *,
        now: datetime,
        by: str,
    ) -> PointOutcome:
        manual_points.refuse_altered(point, self.tables)
        folders = files = references = moved_back = 0
        conflicts: list[Conflict] = []
        copies: dict[str, Copy] = {}
        unproven: dict[str, None] = {}
        for later in self.points.later_cleanups(point):
            (outcome,) = undo([later])
            folders += outcome.folders_restored
            files += outcome.files_restored
            references += outcome.references_restored
            moved_back += outcome.folders_moved_back
            conflicts += outcome.conflicts
            copies |= {copy.folder_id: copy for copy in outcome.copies}
            unproven |= dict.fromkeys(outcome.unproven)
            self.close([outcome], reason=f"rollback of {point.uuid}", by=by, now=now, hold=False)
        label = str(self.tables.references.folders.name)
        differences = [
            found
            for found in manual_points.differences(point, self.tables)
            # That a copy is not what it was has been reported already.
            if (found.code, found.table) != ("changed", label) or found.key not in copies
        ]
        return PointOutcome(
            point,
            folders,
            files,
            references,
            moved_back,
            tuple(conflicts),
            tuple(differences),
            tuple(copies.values()),
            tuple(unproven),
        )

    def close(
        self, outcomes: Sequence[PointOutcome], *, reason: str, by: str, now: datetime, hold: bool = True
    ) -> None:
        """Mark the points as rolled back; without ``hold``, the next cleanup merges again."""
        close(outcomes, tables=self.tables, reason=reason, by=by, now=now, hold=hold)
