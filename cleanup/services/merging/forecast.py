"""The dry run: what merging applications would do, counted on the rows as they are now.

Invariants: nothing is written and no row is locked. Many applications are examined a page at a time, each page in a
snapshot of its own, so that memory is flat and no transaction is long.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice

from cleanup import backends
from cleanup.backends.catalogue import TableName
from cleanup.backends.changes import Target
from cleanup.backends.pinning import batch as pinned_batch
from cleanup.folder_tables import SELF
from cleanup.references import ReferenceMap
from cleanup.services.concurrency.second_thread import second_thread
from cleanup.services.merging.decisions import USUAL, Inclusion, MergeDecision
from cleanup.services.merging.examine import Examiner, Planned
from cleanup.services.merging.outcome import result_of
from cleanup.services.merging.targets import Batch, Targets
from cleanup.services.results import FolderCleanupResult

#: Applications whose sizes are read together.
MOST_APPLICATIONS = 1_000
#: Folders of applications that are examined together, unless a single one has more.
MOST_FOLDERS = 10_000

Forecast = tuple[MergeDecision, FolderCleanupResult]


@dataclass(slots=True)
class Page:
    """Applications that are examined together."""

    applications: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    """The folders of those that exist."""
    folders: int = 0

    def add(self, application: str, size: int | None) -> None:
        """Add an application; without a size, it does not exist."""
        self.applications.append(application)
        if size is not None:
            self.sizes[application] = size
            self.folders += size


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
        whole: bool = False,
    ) -> None:
        """Take the options; for ``compare`` and ``whole`` see ``Examiner.examine``."""
        self.targets = Targets(using=using, references=references)
        self.examiner = Examiner(self.targets)
        self.session_name = session_name
        self.include = include
        self.compare = compare
        self.whole = whole

    def pages(self, applications: Iterable[str], *, overlap: bool = False) -> Iterator[list[Forecast]]:
        """Yield the expected outcomes for the applications, in order, a page at a time, outside its snapshot.

        Pages may ``overlap``: then each second one is made by a second thread.
        """
        pages = self._divided(applications)
        first = list(islice(pages, 2 if overlap else 0))
        with second_thread(using=self.targets.using) if len(first) > 1 else nullcontext() as thread:
            other = thread and thread.submit(self._beside).result()
            pages, waiting = chain(first, pages), deque[Future[list[Forecast]]]()
            while two := list(islice(pages, 2 if other else 1)):
                # Two large applications at once would take twice the memory.
                if thread and other and len(two) > 1 and sum(page.folders for page in two) <= 2 * MOST_FOLDERS:
                    waiting.append(thread.submit(partial(other.page, two[1])))
                    found = self.page(two[0])
                    # Of the pages before: neither thread waits for the other one's slower page.
                    if len(waiting) > 1:
                        yield waiting.popleft().result()
                    yield found
                else:
                    while waiting:
                        yield waiting.popleft().result()
                    yield from map(self.page, two)
            yield from (future.result() for future in waiting)

    def page(self, page: "Page") -> list[Forecast]:
        """Make the forecasts of a page."""
        with self.snapshot():
            return self.forecast(page.applications, sizes=page.sizes)

    def _beside(self) -> "Forecaster":
        """Return the same forecaster on this thread's connection."""
        return Forecaster(
            using=self.targets.using,
            references=self.targets.references,
            session_name=self.session_name,
            include=self.include,
            compare=self.compare,
            whole=self.whole,
        )

    def _divided(self, applications: Iterable[str]) -> Iterator["Page"]:
        """Yield applications in pages of a bounded number of folders."""
        remaining = iter(applications)
        while several := list(islice(remaining, MOST_APPLICATIONS)):
            with self.snapshot():
                sizes = self.targets.backend.reading.count_folders(self.targets.tables, several)
            page = Page()
            for application in several:
                size = sizes.get(application, 0)
                if page.applications and page.folders + size > MOST_FOLDERS:
                    yield page
                    page = Page()
                page.add(application, sizes.get(application))
            yield page

    def snapshot(self) -> AbstractContextManager[None]:
        """Return the snapshot that ``forecast`` needs."""
        return read_snapshot(self.targets.backend, session_name=self.session_name)

    def forecast(self, applications: Sequence[str], *, sizes: Mapping[str, int] | None = None) -> list[Forecast]:
        """Decide about a few applications, and count what ``apply`` would do, in the order given."""
        planned = self.examiner.plan(
            applications, include=self.include, lock=False, compare=self.compare, whole=self.whole, sizes=sizes
        )
        counts = self._counts(planned)
        folders = self.targets.references.folders.name
        self.examiner.judge(planned, tables={folders, *(table for rows in counts.values() for table in rows)})
        return [(decision, self._expected(decision, counts[place])) for place, decision in enumerate(planned.decisions)]

    def _expected(self, decision: MergeDecision, counts: Counter[TableName]) -> FolderCleanupResult:
        return result_of(decision, self._moved(decision, counts), targets=self.targets, roots=decision.roots)

    def _counts(self, planned: Planned) -> dict[int, Counter[TableName]]:
        """Count the rows that hold a removed folder's key, by the decision's position and table."""
        reading, removals = self.targets.backend.reading, planned.removals
        counts: dict[int, Counter[TableName]] = {place: Counter() for place in range(len(planned.decisions))}
        for part in removals.parts():
            for counted in reading.count_rows(self._counted(part)):
                counts[counted.point][counted.table] += counted.rows
            for point in self._own_parents(part):
                counts[point][self.targets.references.folders.name] -= 1
            for counted in self.targets.count_in_lists(part):
                counts[counted.point][counted.table] += counted.rows
            for counted in self.targets.count_repeated(part):
                counts[counted.point][counted.table] -= counted.rows
        return counts

    def _own_parents(self, batch: Batch) -> Iterator[int]:
        """Yield the point of each removed root folder that is counted, as it holds its own key, and does not move."""
        if self.targets.tree is not None and self.targets.tables.root_parent == SELF:
            held = self.targets.backend.reading.held_parents(self.targets.tables, batch.olds)
            yield from (point for point, old in zip(batch.points, batch.olds, strict=True) if held.get(old) == old)

    def _moved(self, decision: MergeDecision, counts: Counter[TableName]) -> Counter[str]:
        """Return how many rows would be re-pointed, by table."""
        moved = Counter({str(table): rows for table, rows in counts.items()})
        folders = str(self.targets.references.folders.name)
        moved[folders] += sum(1 for _ in decision.plan.nested())
        if self.targets.tree is not None:
            moved[folders] -= decision.plan.inside_removed
        for row in decision.giving_way:
            moved[str(row.table)] -= row.moves
        return moved

    def _counted(self, batch: Batch) -> list[Target]:
        """Return what is counted.

        Of the folders directly in removed ones, it is known how many are removed themselves, and so do not move: the
        database need not look at each.
        """
        targets = self.targets.of_all(self.targets.references.references, batch)
        return [
            replace(target, spare=()) if self.targets.tree == (target.table.name, target.columns) else target
            for target in targets
        ]

    def rows_by_folder(self, decision: MergeDecision) -> dict[str, Counter[str]]:
        """Count the rows that point at each folder of an application that was compared, by folder and table.

        Folders inside folders are left out.
        """
        references, tables = self.targets.references, self.targets.tables
        tree = (references.folders.name, (tables.folder_parent,))
        others = [r for r in references.references if (r.table, r.columns) != tree]
        return self.targets.rows_by_folder(decision.folders, others)
