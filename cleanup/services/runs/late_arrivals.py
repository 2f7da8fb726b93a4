"""Late arrivals: rows that a writer filed into a folder while it was being removed.

Without a foreign key, an INSERT that was open before the merge's lock and is committed after its DELETE leaves a row
that points at a removed folder. Such rows are moved to where the folder went and journaled under the point that removed
it, so that undoing the point takes them back with the rest. If folders are among them, the tree hooks are called.
"""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial
from typing import NamedTuple

from django.db.models import F, Max

from cleanup import backends, journal
from cleanup.backends.catalogue import Table, TableName
from cleanup.backends.changes import RowCount, Target, ValueChange, ValueChanges
from cleanup.backends.pinning import batch
from cleanup.backends.references import ListReference, Reference
from cleanup.backends.tree_columns import ClosureTable
from cleanup.exceptions import CountMismatch, ProofFailed, SchemaChanged
from cleanup.folder_tables import folder_tables
from cleanup.models import Hold, RemovedFolder, Result, RollbackPoint, Run
from cleanup.queries import applications_of
from cleanup.references import ReferenceMap, schema_changes
from cleanup.references.key_types import respelled
from cleanup.retry_limits import SCHEMA_READS
from cleanup.services.concurrency.retry import retry_lock_conflicts
from cleanup.services.errors import classify
from cleanup.services.merging.forwarding import Forwarding
from cleanup.services.merging.targets import Targets
from cleanup.services.merging.tree_hooks import JournaledHooks
from cleanup.services.runs import totals

logger = logging.getLogger(__name__)

#: Removed folders examined in one transaction.
PAGE = 2000


class Removed(NamedTuple):
    """A removed folder."""

    pk: int
    folder: str
    survivor: str
    point: int
    application: str


def are_possible(*, using: str) -> bool:
    """Return whether there is a merge that rows can be late for; what refers to folders need not be known for that."""
    points = RollbackPoint.objects.using(using)
    return points.filter(status=RollbackPoint.Status.LIVE, kind=RollbackPoint.Kind.CLEANUP).exists()


class LateArrivals:
    """Finds rows that point at removed folders, and re-points them."""

    def __init__(self, *, using: str, references: ReferenceMap) -> None:
        self.using = using
        self.backend = backends.database(using=using)
        self.tables = folder_tables()
        self._take(references)

    def _take(self, references: ReferenceMap) -> None:
        """Use these references from now on."""
        self.references = references
        self._forwarding = Forwarding(using=self.using, tables=self.tables, folder_key=references.folder_key)
        # The current one. Points of others are left alone: their steps have other numbers, late rows are findings.
        self._schema = journal.schema_digest(backend=self.backend, references=references, mapped=self.tables)
        key, steps = (self.tables.folder_key.column,), journal.steps_of(references)
        # With an enforced foreign key no row can arrive late, whatever it does on delete: who refers to a folder waits
        # for the merge, and fails. Composite references always have one.
        self.steps = [
            (step.number, [r for r in step.references if not r.enforced and r.folder_columns == key])
            for step in steps
            if step.kind == "moved"
        ]
        self.steps = [(number, found) for number, found in self.steps if found]
        self.arrays = [(step.number, step.array) for step in steps if step.array is not None]
        targets = Targets(using=self.using, references=references)
        self.hooks = JournaledHooks(targets, [step for step in steps if step.by_hook])

    def sweep(self, *, run: Run | None = None) -> Counter[str]:
        """Re-point the late arrivals of a run's removed folders, or of all; return rows moved by table.

        Works in pages, each a transaction of its own.
        """
        moved: Counter[str] = Counter()
        after = attempt = 0
        if (self.steps or self.arrays) and run is not None:
            self._update_statistics(run)
        is_last = False
        while (self.steps or self.arrays) and not is_last and (page := self._page(run, after)):
            try:
                self._move_page(page, moved)
            except SchemaChanged:
                attempt += 1
                if attempt == SCHEMA_READS:
                    break  # the next check looks again
                self._take(schema_changes.read(using=self.using))
                continue
            after, attempt, is_last = page[-1].pk, 0, len(page) < PAGE
        return moved

    def _update_statistics(self, run: Run) -> None:
        """Let the planner know of what the run has removed, or it sorts all of it again for each page."""
        if Run.objects.using(self.using).filter(pk=run.pk, folders_removed__gt=PAGE).exists():
            self.backend.update_statistics(RemovedFolder._meta.db_table, RollbackPoint._meta.db_table)

    def _move_page(self, page: Sequence[Removed], moved: Counter[str]) -> None:
        try:
            moved += retry_lock_conflicts(partial(self._move_together, page), using=self.using)
        except Exception as error:
            if not _stays(error):
                raise
            for row in page:
                self._move_alone(row, moved)

    def _move_alone(self, row: Removed, moved: Counter[str]) -> None:
        """Move what has arrived in one folder, or leave it there, as a finding."""
        try:
            moved += self._move_together([row])
        except Exception as error:
            if not _stays(error):
                raise
            logger.warning(
                "what has arrived in removed folder %s stays there: %s",
                row.folder,
                classify(error).message,
                extra={"event": "late_arrival_stays"},
            )

    def _move_together(self, page: Sequence[Removed]) -> Counter[str]:
        moved: Counter[str] = Counter()
        with batch(self.backend, session_name="cleanup late arrivals"):
            schema_changes.hold(self.backend, self.references, written=self._written())
            for counted in self._move(page):
                moved[str(counted.table)] += counted.rows
        return moved

    def _written(self) -> list[Table]:
        names = {reference.table for _, references in self.steps for reference in references}
        names |= {one.table for _, one in self.arrays}
        if self.hooks:
            names |= self._trees
        return [self.references.tables[name] for name in sorted(names)]

    def _page(self, run: Run | None, after: int) -> list[Removed]:
        removed = RemovedFolder.objects.using(self.using).filter(pk__gt=after, **self._current("point__"))
        if run is not None:
            removed = removed.filter(point__run=run)
        columns = ("pk", "folder_key", "survivor_key", "point_id", "point__application_key")
        return list(map(Removed._make, removed.order_by("pk").values_list(*columns)[:PAGE]))

    def _current(self, prefix: str) -> dict[str, str]:
        """Return what selects the points of merges whose steps are the current ones."""
        return {
            f"{prefix}status": RollbackPoint.Status.LIVE,
            f"{prefix}kind": RollbackPoint.Kind.CLEANUP,
            f"{prefix}schema": self._schema,
        }

    def _move(self, page: Sequence[Removed]) -> list[RowCount]:
        # One statement for all tables: hardly ever has a row arrived.
        arrived = self._arrived(page)
        if not arrived:
            return []
        settled = self._settled(page)
        points = self._points_of_trees(settled, self._folders_among(arrived)) if self.hooks else {}
        moved: list[RowCount] = []
        for number, references in self.steps:
            if targets := self._targets(references, settled):
                moved += self.backend.merging.move(targets, step=number)
        for number, one in self.arrays:
            if targets := self._array_targets(one, settled):
                moved += self.backend.lists.move(targets, step=number)
        if points and self._folders_among(moved):
            self.hooks.call_again(points)
        for counted in moved:
            files = counted.rows if counted.table == self.references.file_table else 0
            Result.objects.using(self.using).filter(point=counted.point, run__kind=Run.Kind.CLEANUP).update(
                references_moved=F("references_moved") + counted.rows, files_moved=F("files_moved") + files
            )
        changed = Run.objects.using(self.using).filter(points__in={counted.point for counted in moved})
        for run in changed.distinct().order_by("pk"):
            totals.recount(using=self.using, run=run)
        return moved

    def _arrived(self, page: Sequence[Removed]) -> list[RowCount]:
        """Count the rows that point at one of the folders, wherever that went."""
        pairs = [(row.point, row.folder, row.survivor) for row in page]
        targets = self._targets([reference for _, references in self.steps for reference in references], pairs)
        lists = [target for _, one in self.arrays for target in self._array_targets(one, pairs)]
        return [*self.backend.reading.count_rows(targets), *(self.backend.lists.count_rows(lists) if lists else ())]

    @property
    def _trees(self) -> set[TableName]:
        """The tables that make the trees which the hooks describe."""
        closures = (kept.table for kept in self.references.tree_columns if isinstance(kept, ClosureTable))
        return {self.references.folders.name, *closures}

    def _folders_among(self, counted: Sequence[RowCount]) -> set[int]:
        """Return the points under which folders move, or what describes their trees."""
        return {one.point for one in counted if one.table in self._trees}

    def _points_of_trees(self, settled: Sequence[tuple[int, str, str]], points: Collection[int]) -> dict[str, int]:
        """Lock the trees in which folders have arrived; return the points that journal what hooks write in each.

        That is the latest of its application, which is undone first.
        """
        ends = {end: point for point, _, end in settled if point in points}
        owners = applications_of(using=self.using, folders=sorted(ends))
        if not owners:
            return {}
        self.backend.reading.lock_folders(self.tables, sorted(set(owners.values())))
        points_of = RollbackPoint.objects.using(self.using).filter(**self._current(""))
        latest = dict(
            points_of.filter(application_key__in=set(owners.values()))
            .values_list("application_key")
            .annotate(Max("id"))
            .order_by()
        )
        for end, application in owners.items():
            latest[application] = max(latest.get(application, 0), ends[end])
        return latest

    def _settled(self, page: Sequence[Removed]) -> list[tuple[int, str, str]]:
        """Return (point, removed, final survivor) for folders that are still gone, without those on hold."""
        held = set(
            Hold.objects.using(self.using)
            .filter(application_key__in={row.application for row in page})
            .values_list("application_key", flat=True)
        )
        candidates = [row for row in page if row.application not in held]
        ends = self._forwarding.ends([(row.folder, row.survivor) for row in candidates])
        return [(row.point, row.folder, ends[row.folder]) for row in candidates if row.folder in ends]

    def _targets(self, references: Sequence[Reference], settled: Sequence[tuple[int, str, str]]) -> list[Target]:
        ways = {reference.spelled for reference in references}
        changes = {spelled: self._changes(settled, spelled=spelled) for spelled in ways}
        targets = [
            Target(table, r.columns, journal.row_key(table), changes[r.spelled], r.condition)
            for r in references
            if (table := self.references.tables[r.table])
        ]
        return [target for target in targets if target.pairs and target.key]

    def _array_targets(self, one: ListReference, settled: Sequence[tuple[int, str, str]]) -> list[Target]:
        table = self.references.tables[one.table]
        changes = self._changes(settled, spelled=one.spelled)
        return [Target(table, (one.column,), journal.row_key(table), changes, one.condition)] if changes else []

    def _changes(self, settled: Sequence[tuple[int, str, str]], *, spelled: bool) -> ValueChanges:
        pairs = (
            ValueChange(point, (old,), (new,))
            for point, removed, survivor in settled
            for old, new in self._spelled(removed, survivor, spelled=spelled)
        )
        return ValueChanges.of(list(pairs), width=1)

    def _spelled(self, removed: str, survivor: str, *, spelled: bool) -> list[tuple[str, str]]:
        key = self.tables.folder_key
        if not spelled:
            return [(self.backend.cells.key_cell(key, removed), self.backend.cells.key_cell(key, survivor))]
        ways = respelled(key, self.references.folder_key, removed, survivor)
        return [(self.backend.cells.text_cell(old), self.backend.cells.text_cell(new)) for old, new in ways]


def _stays(error: Exception) -> bool:
    """Return whether a row stays where it is: it collides with a unique key, or a tree hook has no place for it."""
    return isinstance(error, CountMismatch | ProofFailed) or classify(error).kind == "data"
