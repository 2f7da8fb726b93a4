"""The dry run: what merging applications would do, counted on the rows as they are now.

Invariants: nothing is written and no row is locked. Many applications are examined a page at a time, each page in a
snapshot of its own, so that memory is flat and no transaction is long.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import islice

from cleanup import backends
from cleanup.backends.pinning import batch as pinned_batch
from cleanup.references import ReferenceMap
from cleanup.services.merging.decisions import USUAL, Inclusion, MergeDecision
from cleanup.services.merging.examine import Examiner
from cleanup.services.merging.outcome import result_of
from cleanup.services.merging.targets import Batch, Targets
from cleanup.services.results import FolderCleanupResult, RootFolder

#: Applications examined together.
PAGE = 200

Forecast = tuple[MergeDecision, FolderCleanupResult]


@contextmanager
def read_snapshot(backend: backends.Database, *, session_name: str) -> Iterator[None]:
    """Pin the form of values briefly, in a read-only transaction.

    On SQLite nothing is pinned, and there is no transaction: a project may make them begin with the write lock.
    """
    if backend.one_writer:
        yield
        return
    with pinned_batch(backend, session_name=session_name, writing=False):
        yield


class Forecaster:
    """Makes dry runs on one database; created once for all pages, because the references are read once."""

    def __init__(
        self,
        *,
        using: str,
        references: ReferenceMap,
        session_name: str,
        include: Inclusion = USUAL,
        compare: bool = False,
    ) -> None:
        """Take the options; for ``compare`` see ``Examiner.examine``."""
        self.targets = Targets(using=using, references=references)
        self.examiner = Examiner(self.targets)
        self.session_name = session_name
        self.include = include
        self.compare = compare

    def pages(self, applications: Iterable[str]) -> Iterator[list[Forecast]]:
        """Yield the expected outcomes for the applications, in order, a page at a time, outside its snapshot."""
        remaining = iter(applications)
        while page := list(islice(remaining, PAGE)):
            yield self._page(page)

    def _page(self, applications: Sequence[str]) -> list[Forecast]:
        with self.snapshot():
            return self.forecast(applications)

    def snapshot(self) -> AbstractContextManager[None]:
        """Return the snapshot that ``forecast`` needs."""
        return read_snapshot(self.targets.backend, session_name=self.session_name)

    def forecast(self, applications: Sequence[str]) -> list[Forecast]:
        """Decide about a few applications, and count what ``apply`` would do, in the order given."""
        decisions = self.examiner.examine(applications, include=self.include, lock=False, compare=self.compare)
        moved = self._moved(decisions)
        return [
            (decision, self._expected(decision, moved.get(place, Counter())))
            for place, decision in enumerate(decisions)
        ]

    def _expected(self, decision: MergeDecision, moved: Counter[str]) -> FolderCleanupResult:
        roots = _roots_that_would_stay(decision)
        result = result_of(decision, moved, targets=self.targets)
        return replace(result, root_folder=roots[0] if roots else None, root_folders=roots)

    def _moved(self, decisions: Sequence[MergeDecision]) -> dict[int, Counter[str]]:
        """Count the rows that would be re-pointed, by the decision's position and table."""
        reading, references = self.targets.backend.reading, self.targets.references
        batch = self.targets.batch(decisions)
        moved: dict[int, Counter[str]] = {}
        if batch.removed:
            for counted in reading.count_rows(self.targets.of_all(references.references, batch)):
                moved.setdefault(counted.point, Counter())[str(counted.table)] += counted.rows
            for counted in self.targets.count_repeated(batch):
                moved[counted.point][str(counted.table)] -= counted.rows
        for place, decision in enumerate(decisions):
            if decision.goes_ahead:
                counts = moved.setdefault(place, Counter())
                counts[str(references.folders.name)] += sum(
                    1 for move in decision.plan.moves if move.old_parent is None
                )
                for row in decision.giving_way:
                    counts[str(row.table)] -= row.moves
        return moved

    def rows_by_folder(self, decision: MergeDecision) -> dict[str, Counter[str]]:
        """Count the rows that point at each folder of an application that was compared, by folder and table.

        Folders inside folders are left out.
        """
        keys = list(decision.folders)
        cells = self.targets.key_cells(keys)
        batch = Batch(list(range(len(keys))), keys, keys, [1] * len(keys), cells, cells, folders=decision.folders)
        tree = (self.targets.references.folders.name, (self.targets.tables.folder_parent,))
        others = [r for r in self.targets.references.references if (r.table, r.columns) != tree]
        targets = [replace(target, spare=()) for target in self.targets.of_all(others, batch)]
        rows: dict[str, Counter[str]] = {}
        for counted in self.targets.backend.reading.count_rows(targets):
            rows.setdefault(keys[counted.point], Counter())[str(counted.table)] += counted.rows
        return rows


def _roots_that_would_stay(decision: MergeDecision) -> tuple[RootFolder, ...]:
    """Return which root folders would take in others; none also if folders were not compared."""
    if not (decision.goes_ahead and decision.folders):
        return ()
    return tuple(RootFolder(root, decision.folders[root].name) for root in decision.plan.roots)
