"""Who would newly see files if folders were merged: those who are granted some folders of a group, but not all.

Counts people and groups by table of grants, once in each application: who may see one folder of a group of duplicates
may see the one that stays afterwards, with what came from the others. A folder in which nothing is does not count.
Reads only.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from operator import itemgetter

from cleanup import conf
from cleanup.backends.changes import Cell
from cleanup.references.grants import Grant, grants
from cleanup.services.merging.decisions import MergeDecision
from cleanup.services.merging.targets import MOST_REMOVED, Batch, Removals, Targets

Who = tuple[Cell, ...]


class Widening:
    """Finds it on one database; created once per run."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets
        self.grants = list(grants(targets.references, named=conf.grants(), folder_key=targets.key_column))
        held = {table.name for table in targets.references.holding}
        self._contents = [r for r in targets.references.references if r.table in held]

    def count(self, decisions: Sequence[MergeDecision], removals: Removals) -> list[dict[str, int]]:
        """Return for each decision how many people and groups would newly see files, by table; mostly none.

        ``removals`` are counted by the decisions' positions.
        """
        newcomers: defaultdict[tuple[int, int], set[Who]] = defaultdict(set)
        tables = list(dict.fromkeys(grant.reference.table for grant in self.grants))
        used = self.targets.backend.reading.with_rows(tables) if tables and removals else set()
        for part in removals.parts() if used else ():
            self._note(decisions, part, newcomers)
        found: list[dict[str, int]] = [{} for _ in decisions]
        for (place, number), people in newcomers.items():
            table = str(self.grants[number].reference.table)
            found[place][table] = found[place].get(table, 0) + len(people)
        return found

    def _note(
        self,
        decisions: Sequence[MergeDecision],
        part: Batch,
        newcomers: defaultdict[tuple[int, int], set[Who]],
    ) -> None:
        """Add who would newly see files of some groups, each whole, by decision and grant."""
        members = list(dict.fromkeys(chain(part.survivors, part.removed)))
        granted = [self._granted(grant, members) for grant in self.grants]
        shared = {folder for who_by_folder in granted for folder in who_by_folder}
        if not shared:
            return
        groups = [
            (place, folders)
            for place, folders in _groups(part)
            if decisions[place].goes_ahead and not shared.isdisjoint(folders)
        ]
        filled = self._filled([folder for _, folders in groups for folder in folders])
        for number, who_by_folder in enumerate(granted):
            for place, folders in groups:
                if newly := _newcomers(folders, who_by_folder, filled):
                    newcomers[place, number] |= newly

    def _granted(self, grant: Grant, folders: list[str]) -> dict[str, set[Who]]:
        """Return who is granted each folder."""
        granted: dict[str, set[Who]] = {}
        for some in _several(folders):
            target = self.targets.of(grant.reference, self._batch(some))
            for position, *who in self.targets.backend.reading.principals(target, grant.who):
                granted.setdefault(some[position], set()).add(tuple(who))
        return granted

    def _filled(self, folders: list[str]) -> set[str]:
        """Return the folders in which something is."""
        filled: set[str] = set()
        for some in _several(folders):
            batch = self._batch(some)
            targets = [self.targets.of(r, batch) for r in self._contents if len(r.columns) == 1]
            filled.update(some[counted.point] for counted in self.targets.backend.reading.count_rows(targets))
        return filled

    def _batch(self, keys: list[str]) -> Batch:
        """Return folders that are counted by their position."""
        cells = self.targets.key_cells(keys)
        return Batch(list(range(len(keys))), keys, keys, [1] * len(keys), cells, cells)


def _several(folders: list[str]) -> Iterator[list[str]]:
    """Yield as many folders at a time as a statement takes."""
    return (folders[start : start + MOST_REMOVED] for start in range(0, len(folders), MOST_REMOVED))


def _groups(part: Batch) -> Iterator[tuple[int, list[str]]]:
    """Yield the decision's position and the folders of each group, the one that stays first."""
    for (place, survivor), removals in groupby(part.removals(), key=itemgetter(0, 2)):
        yield place, [survivor, *(removed for _, removed, _, _ in removals)]


def _newcomers(folders: Sequence[str], granted: Mapping[str, set[Who]], filled: set[str]) -> set[Who]:
    """Return who would newly see something in a group: who sees some of it, but not all in which something is."""
    everyone = set[Who]().union(*(granted.get(folder, ()) for folder in folders))
    return {who for who in everyone for folder in folders if folder in filled and who not in granted.get(folder, ())}
