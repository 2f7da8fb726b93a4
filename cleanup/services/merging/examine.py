"""Decide for each application of a batch what would be done, or why not; a dry run does no more than this.

Runs inside the caller's transaction and opens none; reads only, and locks if asked.

Note [Order of refusals]. Holds and sizes are checked before any folder is read; plans are made on the folders, locked
if they will be carried out; what can only be seen in the rows that would change comes last, for what is left.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from operator import attrgetter, ne

from cleanup import conf, journal
from cleanup.backends.catalogue import TableName
from cleanup.backends.changes import NO_NAME, Cell, Target, ValueChange, ValueChanges
from cleanup.backends.collisions import Change
from cleanup.exceptions import DifferentRoots, DifferingColumns, TooLarge, UnkeyedRows, Widens
from cleanup.models import Hold, Result
from cleanup.phrases import with_reason
from cleanup.planning import FolderRow, Plan, plan_merge
from cleanup.policies import DifferencePolicy, TriggerPolicy, WideningPolicy
from cleanup.references.key_types import kind_of
from cleanup.services.merging.collision_messages import CollisionMessages
from cleanup.services.merging.collisions import CollisionForecast, Collisions
from cleanup.services.merging.decisions import MISSING, MOST_COMPARED, Inclusion, MergeDecision
from cleanup.services.merging.preference import ranked, ranks_folders
from cleanup.services.merging.suggested_policies import reported
from cleanup.services.merging.targets import Batch, Removals, Targets
from cleanup.services.merging.widening import Widening
from cleanup.services.results import RootFolder

#: Holds that are read whether or not they matter here: mostly there are none.
FEW_HOLDS = 100


_name = attrgetter("name")

#: And how many removed folders are compared at a time instead.
FOLDERS_COMPARED_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Planned:
    """Decisions that rows may still refuse."""

    decisions: list[MergeDecision]
    removals: Removals
    """Of what goes ahead as planned."""
    holds: bool
    """Some applications are on hold, and must be left alone."""
    compare: bool = False
    """People are shown what differs, and who would newly see files."""


class Examiner:
    """Decides on one database; created once per run."""

    takes_forests = True
    """Plans large applications whose folders are packed, in place of ``plan_of``."""

    def __init__(self, targets: Targets) -> None:
        references, tables = targets.references, targets.tables
        self.targets = targets
        self.references = references
        self.tables = tables
        self.backend = targets.backend
        self.collisions = Collisions(references=references, backend=targets.backend, tables=tables)
        self.widening = Widening(targets)
        self._refuses_widening = conf.widening() == WideningPolicy.REFUSE
        self._messages = CollisionMessages(references=references, backend=targets.backend, tables=tables)
        others_write = conf.triggers() == TriggerPolicy.FIRE and references.has_triggers
        held = {table.name for table in references.holding}
        #: Of rows that most batches do not have, and that only others could add.
        self._sparse = [r for r in references.references if r.enforced and r.table not in held and not others_write]
        self._unkeyed = [r for r in references.references if not journal.row_key(references.tables[r.table])]
        #: Not the columns of the tree and what hooks compute from it, nor numbers and UUIDs that no two folders share.
        known = {*tables.folder_columns, *references.kept_columns}
        alone = {unique.columns for unique in references.folders.uniques if unique.simple}
        self.compared_columns = tuple(
            column.name
            for column in references.folders.columns
            if not column.generated
            and column.name not in known
            and not ((column.name,) in alone and kind_of(column) in {"integer", "uuid"})
        )

    def examine(self, applications: Sequence[str], *, include: Inclusion, lock: bool) -> list[MergeDecision]:
        """Decide about each application, in the order given."""
        planned = self.plan(applications, include=include, lock=lock)
        if lock:
            self._note_unused(planned)
        self.judge(planned)
        return planned.decisions

    def plan(
        self,
        applications: Sequence[str],
        *,
        include: Inclusion,
        lock: bool,
        compare: bool = False,
        whole: bool = False,
        sizes: Mapping[str, int] | None = None,
    ) -> Planned:
        """Decide about each application, in the order given, as far as its folders tell.

        ``compare`` adds to each decision the columns in which removed folders differ from their survivors; ``whole``
        every folder, with the cells of these columns and of the time of its creation. ``sizes`` are the numbers of
        folders of those that exist, if known.
        """
        decisions = [MergeDecision(application) for application in applications]
        holds = self._set_aside_held(decisions, include)
        if sizes is None:
            sizes = self.backend.reading.count_folders(self.tables, [d.application for d in decisions if not d.status])
        self._set_aside_missing_and_large(decisions, include, sizes)
        if lock:
            open_keys = [decision.application for decision in decisions if not decision.status]
            self._set_aside_missing(decisions, self.backend.reading.lock_applications(self.tables, open_keys))
        differences = compare or conf.differing_columns() == DifferencePolicy.REFUSE
        folders = sum(sizes.get(decision.application, 0) for decision in decisions if not decision.status)
        self._plan(decisions, lock=lock, compare=differences, whole=whole, folders=folders)
        return Planned(decisions, self.targets.removals(decisions), holds, compare)

    def judge(self, planned: Planned, *, tables: Container[TableName] | None = None) -> None:
        """Refuse what cannot be done to the rows that would change.

        ``tables`` are those that have such rows, if known.
        """
        decisions, removals = planned.decisions, planned.removals
        if removals and planned.holds:
            self._refuse_held_rows(decisions, removals)
        if removals and self._unkeyed:
            self._refuse_unkeyed(decisions, removals)
        if removals and (planned.compare or self._refuses_widening):
            self._note_widening(decisions, removals)
        ruled = [table for table in self.collisions.ruled if tables is None or table in tables]
        if ruled:
            self._find_collisions(decisions, removals, ruled)

    def differences(self, decision: MergeDecision, removed: str) -> list[str]:
        """Return the columns in which a removed folder differs from its survivor; the decision must be whole."""
        one, other = decision.folders[removed], decision.folders[decision.plan.removed[removed]]
        differing = [self.tables.folder_name] if one.name != other.name else []
        start = len(self.targets.copied_columns)
        end = start + len(self.compared_columns)
        cells = zip(self.compared_columns, one.cells[start:end], other.cells[start:end], strict=True)
        return differing + [column for column, left, right in cells if left != right]

    # Before any folder is read.

    def _set_aside_held(self, decisions: Sequence[MergeDecision], include: Inclusion) -> bool:
        """Set aside what is on hold, and return whether any application is on hold and must be left alone."""
        if include.held:
            return False
        holds = Hold.objects.using(self.targets.using).order_by().values_list("application_key", "reason")
        reasons = some = dict(holds[:FEW_HOLDS])
        if len(some) == FEW_HOLDS:
            reasons = dict(holds.filter(application_key__in=[decision.application for decision in decisions]))
        for decision in decisions:
            if decision.application in reasons:
                reason = with_reason("The application is on hold", reasons[decision.application])
                decision.set_aside(Result.Status.HELD, "held", reason)
        return bool(some)

    def _set_aside_missing_and_large(
        self, decisions: Sequence[MergeDecision], include: Inclusion, sizes: Mapping[str, int]
    ) -> None:
        limit = conf.large_application()
        self._set_aside_missing(decisions, sizes)
        for decision in decisions:
            folders = sizes.get(decision.application, 0)
            if folders > limit and not include.large:
                error = TooLarge(folders=folders, limit=limit)
                decision.set_aside(Result.Status.SKIPPED, error.code, str(error))

    def _set_aside_missing(self, decisions: Sequence[MergeDecision], existing: Container[str]) -> None:
        for decision in decisions:
            if not decision.status and decision.application not in existing:
                decision.set_aside(Result.Status.SKIPPED, MISSING, "The application does not exist.")

    # With the folders read.

    def _plan(
        self, decisions: Sequence[MergeDecision], *, lock: bool, compare: bool, whole: bool, folders: int
    ) -> None:
        wanted = {decision.application: decision for decision in decisions if not decision.status}
        if not wanted:
            return
        many = folders > MOST_COMPARED
        apart = compare and many and not whole
        columns = self.targets.copied_columns + (self.compared_columns if compare and not apart else ())
        if whole and self.tables.folder_created:
            columns += (self.tables.folder_created,)
        if many and self.takes_forests and not (columns or whole or ranks_folders()):
            self._plan_packed(wanted, lock=lock, compare=compare)
        else:
            read = self.backend.reading.read_folders(self.tables, list(wanted), lock=lock, columns=columns, many=many)
            for application, rows in ranked(read, self.targets):
                if application in wanted:
                    self._plan_one(wanted[application], rows, lock=lock, keep=whole)
                    if compare:
                        self._compare(wanted[application], rows, cells=not apart)
                rows.clear()  # of a large application, they take more than all that follows
        if apart:
            self._compare_apart(decisions)

    def _plan_packed(self, wanted: Mapping[str, MergeDecision], *, lock: bool, compare: bool) -> None:
        """Plan applications with very many folders, of which only what the plan needs is kept in memory."""
        for application, forest in self.backend.reading.read_forests(self.tables, list(wanted), lock=lock):
            if application in wanted:
                decision = wanted[application]
                self._decide(decision, plan_merge(forest, different_roots=conf.different_roots()), lock=lock)
                if compare:
                    self._note_roots(decision, self._names_of(decision.plan.roots))

    def _plan_one(self, decision: MergeDecision, rows: Sequence[FolderRow], *, lock: bool, keep: bool) -> None:
        self._decide(decision, self.plan_of(decision.application, rows), lock=lock)
        if keep or self.targets.copied_columns:
            decision.folders = {row.key: row for row in rows}

    def plan_of(self, application: str, rows: Sequence[FolderRow]) -> Plan:  # noqa: ARG002  # others depend on it
        """Plan what becomes of an application's folders."""
        return plan_merge(rows, different_roots=conf.different_roots())

    def _decide(self, decision: MergeDecision, plan: Plan, *, lock: bool) -> None:
        decision.plan = plan
        if lock and not plan.empty:
            decision.staying = plan.staying()
        if plan.refused:
            decision.refuse(DifferentRoots())

    def _note_roots(self, decision: MergeDecision, names: Mapping[str, str]) -> None:
        if decision.goes_ahead:
            decision.roots = tuple(RootFolder(root, names[root]) for root in decision.plan.roots)

    def _names_of(self, folders: Sequence[str]) -> dict[str, str]:
        cells = self.backend.reading.read_cells(self.tables, folders, (self.tables.folder_name,)) if folders else {}
        return {key: NO_NAME if name is None else self.backend.cells.cell_text(name) for key, (name,) in cells.items()}

    def _compare(self, decision: MergeDecision, rows: Sequence[FolderRow], *, cells: bool) -> None:
        """Take down the roots that stay and, with the cells read, the columns that differ."""
        if not decision.goes_ahead:
            return
        self._note_roots(decision, {row.key: row.name for row in rows if row.parent is None})
        if not cells:
            return
        folders = {row.key: row for row in rows}
        pairs = list(decision.plan.pairs())
        ones, others = ([folders[pair[place]] for pair in pairs] for place in (0, 1))
        start = len(self.targets.copied_columns)
        end = start + len(self.compared_columns)
        names = {self.tables.folder_name: sum(map(ne, map(_name, ones), map(_name, others)))}
        own, other = ([row.cells[start:end] for row in several] for several in (ones, others))
        self._note_differences(decision, names | _differing(self.compared_columns, own, other))

    def _compare_apart(self, decisions: Sequence[MergeDecision]) -> None:
        """Compare the folders of large applications some at a time, so that their cells are never all in memory."""
        columns = (self.tables.folder_name, *self.compared_columns)
        for decision in decisions:
            remaining, differing = decision.plan.pairs(), Counter[str]()
            while decision.goes_ahead and (pairs := list(islice(remaining, FOLDERS_COMPARED_AT_ONCE))):
                keys = list(dict.fromkeys(chain.from_iterable(pairs)))
                cells = self.backend.reading.read_cells(self.tables, keys, columns)
                present = [pair for pair in pairs if cells.keys() >= set(pair)]  # not locked, they may have gone
                ones, others = ([cells[pair[place]] for pair in present] for place in (0, 1))
                differing.update(_differing(columns, ones, others))
            self._note_differences(decision, differing)

    def _note_differences(self, decision: MergeDecision, differing: Mapping[str, int]) -> None:
        if columns := {column: number for column, number in sorted(differing.items()) if number}:
            decision.details["differing_columns"] = columns
            if conf.differing_columns() == DifferencePolicy.REFUSE:
                decision.refuse(DifferingColumns(columns=", ".join(columns)))

    # In the rows that would change.

    def _note_unused(self, planned: Planned) -> None:
        """Look once for the references of all tables but the mapped ones: most batches have few of them, or none."""
        used = {
            rows.table
            for part in planned.removals.parts()
            for rows in self.backend.reading.count_rows(self.targets.of_all(self._sparse, part))
        }
        planned.removals.unused = frozenset(reference for reference in self._sparse if reference.table not in used)
        for decision in planned.decisions:
            decision.unused = planned.removals.unused

    def _note_widening(self, decisions: Sequence[MergeDecision], removals: Removals) -> None:
        for decision, widened in zip(decisions, self.widening.count(decisions, removals), strict=True):
            if widened:
                decision.details["widening"] = widened
                if self._refuses_widening:
                    decision.refuse(Widens(count=sum(widened.values()), tables=", ".join(sorted(widened))))

    def _refuse_held_rows(self, decisions: Sequence[MergeDecision], removals: Removals) -> None:
        """Refuse applications whose merge would write, by reference, to an application on hold."""
        tables, file = self.tables, self.tables.file
        owner_columns: dict[tuple[TableName, tuple[str, ...]], str] = {}
        if file and file.application:
            owner_columns[self.references.file_table, (file.folder,)] = file.application
        if tables.folder_application and not tables.inherits:
            owner_columns[self.references.folders.name, (tables.folder_parent,)] = tables.folder_application
        others: Counter[tuple[int, TableName, str]] = Counter()
        for batch in removals.parts():
            targets = [
                (self.targets.of(reference, batch), column)
                for reference in self.references.references
                if (column := owner_columns.get((reference.table, reference.columns))) is not None
            ]
            for owner in self.backend.reading.owners(targets, tables.application_key):
                if owner.application != decisions[owner.point].application:
                    others[owner.point, owner.table, owner.application] += owner.rows
        if not others:
            return
        holds = Hold.objects.using(self.targets.using).filter(application_key__in={key for _, _, key in others})
        held = set(holds.values_list("application_key", flat=True))
        for (place, table, application), rows in others.items():
            if application in held:
                decisions[place].set_aside(
                    Result.Status.HELD, "held", f"{rows} rows of {table} belong to {application}, which is on hold."
                )

    def _refuse_unkeyed(self, decisions: Sequence[MergeDecision], removals: Removals) -> None:
        rows: Counter[tuple[int, TableName]] = Counter()
        for batch in removals.parts():
            for counted in self.backend.reading.count_rows([self.targets.of(r, batch) for r in self._unkeyed]):
                rows[counted.point, counted.table] += counted.rows
        for (place, table), number in rows.items():
            decisions[place].refuse(UnkeyedRows(count=number, table=str(table)))

    def _find_collisions(
        self, decisions: Sequence[MergeDecision], removals: Removals, tables: Sequence[TableName]
    ) -> None:
        forecasts: defaultdict[int, CollisionForecast] = defaultdict(CollisionForecast)
        for batch in removals.parts() if removals.parted else [removals.whole()]:
            changes = self._changes(decisions, batch, tables)
            for place, forecast in self.collisions.forecast(changes, spare=batch.olds).items():
                forecasts[place].add(forecast)
        for place, forecast in sorted(forecasts.items()):
            decision = decisions[place]
            if forecast.colliding:
                decision.details["collisions"] = reported(forecast)
                decision.refuse(self._messages.error(forecast, decision.application))
            else:
                decision.giving_way, decision.renumbered = forecast.giving_way, forecast.renumbered

    def _changes(
        self, decisions: Sequence[MergeDecision], batch: Batch, tables: Sequence[TableName]
    ) -> dict[TableName, list[Change]]:
        """Return the changes of tables whose rows may collide."""
        changes: dict[TableName, list[Change]] = {table: [] for table in tables}
        for table, several in changes.items():
            own = [reference for reference in self.references.references if reference.table == table]
            several += [Change(replace(target, spare=()), target.columns) for target in self.targets.of_all(own, batch)]
        folders = self.references.folders
        if folders.name in changes and (nested := list(self.targets.nested(decisions))):
            pairs = ValueChanges.of(
                [ValueChange(point, (folder,), (parent,)) for point, folder, parent in nested], width=1
            )
            target = Target(folders, (self.targets.key_column,), journal.row_key(folders), pairs)
            changes[folders.name].append(Change(target, (self.tables.folder_parent,)))
        return changes


def _differing(
    columns: Sequence[str], ones: Sequence[Sequence[Cell]], others: Sequence[Sequence[Cell]]
) -> dict[str, int]:
    """Count the pairs of folders whose cells differ, by column; without pairs there is nothing to count."""
    cells = zip(columns, zip(*ones, strict=True), zip(*others, strict=True), strict=bool(ones))
    return {column: sum(map(ne, one, other)) for column, one, other in cells}
