"""Late arrivals: rows that name a removed folder go to where it went, under a point of their own.

The hourly check does this, too, for the points that the present schema describes; a repair does it for all.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from django.db.models import QuerySet

from cleanup.backends.changes import RowCount
from cleanup.backends.forest import Scope
from cleanup.backends.references import Reference
from cleanup.forests import Group
from cleanup.models import RemovedFolder, RollbackPoint
from cleanup.paging import in_pages
from cleanup.planning import Plan
from cleanup.references import ReferenceMap
from cleanup.services.merging.forwarding import Forwarding
from cleanup.services.merging.targets import Batch, Targets
from cleanup.services.repair.decisions import Decider, RepairDecision
from cleanup.services.repair.worklist import Worklist

#: Removed folders examined together.
PAGE = 2000


class LateDecider(Decider):
    """Decides on one database about late arrivals; created once per run."""

    def __init__(self, *, using: str, references: ReferenceMap, code: str) -> None:
        super().__init__(using=using, references=references, code=code)
        self.targets = Targets(using=using, references=references)
        self._forwarding = Forwarding(using=using, tables=self.tables, folder_key=references.folder_key)

    def worklist(self, scopes: Iterable[Scope]) -> Worklist:
        """Return the applications whose removed folders are still named."""
        worklist, removed = Worklist(), self._removed()
        for scope in scopes:
            if scope.keys is not None:
                removed = removed.filter(point__application_key__in=scope.keys)
        for page in in_pages(removed, size=PAGE):
            removals = self._settled(page)
            for counted in self._count([(row.folder_key, end) for row, end in removals]):
                application = removals[counted.point][0].point.application_key
                worklist.sources.setdefault(application, {application})
        return worklist

    def _removed(self) -> QuerySet[RemovedFolder]:
        removed = RemovedFolder.objects.using(self.using).filter(point__status=RollbackPoint.Status.LIVE)
        return removed.select_related("point")

    def _settled(self, rows: Sequence[RemovedFolder]) -> list[tuple[RemovedFolder, str]]:
        """Return the folders that are still gone, each with the one that it leads to."""
        ends = self._forwarding.ends([(row.folder_key, row.survivor_key) for row in rows])
        return [(row, ends[row.folder_key]) for row in rows if row.folder_key in ends]

    def _count(self, removals: Sequence[tuple[str, str]]) -> list[RowCount]:
        """Count the rows that name removed folders, by position and table."""
        batch = Batch(
            list(range(len(removals))),
            [removed for removed, _ in removals],
            [end for _, end in removals],
            [1] * len(removals),
            self.targets.key_cells([removed for removed, _ in removals]),
            self.targets.key_cells([end for _, end in removals]),
        )
        counted = self.backend.reading.count_rows(self.targets.of_all(movable(self.targets), batch))
        return counted + self.targets.count_in_lists(batch)

    def decide(self, waiting: Mapping[str, RepairDecision], applications: set[str], *, lock: bool) -> None:
        """Decide where the rows of applications go."""
        if lock:
            self.backend.reading.lock_folders(self.tables, sorted(applications))
        rows = list(self._removed().filter(point__application_key__in=waiting).order_by("pk"))
        removals = self._settled(rows)
        counts: dict[int, Counter[str]] = {}
        for counted in self._count([(row.folder_key, end) for row, end in removals]):
            counts.setdefault(counted.point, Counter())[str(counted.table)] += counted.rows
        for place, by_table in sorted(counts.items()):
            row, end = removals[place]
            decision = waiting[row.point.application_key]
            group = Group(end, (row.folder_key,), roots=False, parent=None)
            decision.plan = Plan((*decision.plan.groups, group), ())
            decision.moved.update(by_table)

    def mended(self, decision: RepairDecision) -> int:
        """Return how many rows are moved."""
        return decision.moved.total()


def movable(targets: Targets) -> list[Reference]:
    """Return the references that rows can make to a folder that is gone."""
    key = (targets.key_column,)
    return [one for one in targets.references.references if not one.proven and one.folder_columns == key]
