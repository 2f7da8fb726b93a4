"""Who would newly see files if folders were merged: those who are granted some folders of a group, but not all.

Counts people and groups by table of grants, once in each application: who may see one folder of a group of duplicates
may see the one that stays afterwards, with what came from the others. A folder in which nothing is does not count.
Reads only.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from cleanup import conf
from cleanup.backends.changes import Cell
from cleanup.references.grants import Grant, grants
from cleanup.services.merging.decisions import MergeDecision
from cleanup.services.merging.targets import MOST_REMOVED, Batch, Targets

Who = tuple[Cell, ...]

Member = tuple[int, str, str]
"""The decision's position, the folder that stays, and one of its group."""


class Widening:
    """Finds it on one database; created once per run."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets
        self.grants = list(grants(targets.references, named=conf.grants(), folder_key=targets.key_column))
        held = {table.name for table in targets.references.holding}
        self._contents = [r for r in targets.references.references if r.table in held]

    def count(self, decisions: Sequence[MergeDecision]) -> list[dict[str, int]]:
        """Return for each decision how many people and groups would newly see files, by table; mostly none."""
        newcomers: defaultdict[tuple[int, int], set[Who]] = defaultdict(set)
        remaining = self._members(decisions) if self.grants else iter(())
        while places := list(_some(remaining)):
            self._note(places, newcomers)
        found: list[dict[str, int]] = [{} for _ in decisions]
        for (place, number), people in newcomers.items():
            table = str(self.grants[number].reference.table)
            found[place][table] = found[place].get(table, 0) + len(people)
        return found

    def _members(self, decisions: Sequence[MergeDecision]) -> Iterator[list[Member]]:
        """Yield the groups that become one folder each."""
        for place, decision in enumerate(decisions):
            if decision.goes_ahead:
                for group in decision.plan.groups:
                    yield [(place, group.survivor, folder) for folder in (group.survivor, *group.removed)]

    def _note(self, places: Sequence[Member], newcomers: defaultdict[tuple[int, int], set[Who]]) -> None:
        """Add who would newly see files of some groups, each whole, by decision and grant."""
        batch = self._batch([folder for _, _, folder in places])
        groups: dict[tuple[int, str], list[int]] = {}
        for number, (place, survivor, _) in enumerate(places):
            groups.setdefault((place, survivor), []).append(number)
        granted = [(grant, self._granted(grant, batch)) for grant in self.grants]
        filled = self._filled(batch, groups, granted)
        for number, (_, who_by_folder) in enumerate(granted):
            for place, people in _newcomers(groups, who_by_folder, filled).items():
                newcomers[place, number] |= people

    def _batch(self, keys: list[str]) -> Batch:
        """Return folders that are counted by their position."""
        cells = self.targets.key_cells(keys)
        return Batch(list(range(len(keys))), keys, keys, [1] * len(keys), cells, cells)

    def _granted(self, grant: Grant, batch: Batch) -> dict[int, set[Who]]:
        """Return who is granted each folder, by its position."""
        granted: dict[int, set[Who]] = {}
        target = self.targets.of(grant.reference, batch)
        for position, *who in self.targets.backend.reading.principals(target, grant.who):
            granted.setdefault(position, set()).add(tuple(who))
        return granted

    def _filled(
        self,
        batch: Batch,
        groups: Mapping[tuple[int, str], list[int]],
        granted: Sequence[tuple[Grant, Mapping[int, set[Who]]]],
    ) -> set[int]:
        """Return the positions of the folders in which something is, of the groups that some are granted."""
        shared = {position for _, who in granted for position in who}
        asked = sorted({n for numbers in groups.values() if not shared.isdisjoint(numbers) for n in numbers})
        if not asked:
            return set()
        some = self._batch([batch.removed[number] for number in asked])
        reading = self.targets.backend.reading
        counted = reading.count_rows([self.targets.of(r, some) for r in self._contents if len(r.columns) == 1])
        return {asked[rows.point] for rows in counted if rows.rows}


def _some(groups: Iterator[list[Member]]) -> Iterator[Member]:
    """Yield the members of the next groups, until they are many."""
    members = 0
    while members < MOST_REMOVED and (group := next(groups, None)):
        members += len(group)
        yield from group


def _newcomers(
    groups: Mapping[tuple[int, str], list[int]], granted: Mapping[int, set[Who]], filled: set[int]
) -> dict[int, set[Who]]:
    """Return who would newly see something, by the position of the decision."""
    found: dict[int, set[Who]] = {}
    for (place, _), numbers in groups.items():
        if granted.keys().isdisjoint(numbers):
            continue
        everyone = set().union(*(granted.get(number, set()) for number in numbers))
        newly = {who for who in everyone for n in numbers if n in filled and who not in granted.get(n, set())}
        if newly:
            found.setdefault(place, set()).update(newly)
    return found
