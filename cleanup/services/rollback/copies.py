"""Decide how folders come back as copies if they would be duplicates again.

A second root folder (of its name, if ``CLEANUP_DIFFERENT_ROOTS`` is ``keep``) becomes a child of the existing root
folder, and gets a suffix; so does a folder whose name is taken in its place, or is blank; every other folder comes back
as it was. Nothing that exists gives way: root folders that were nested stay nested. That is what the guards allow, and
it is the same whichever of them are in place, unless one was made under another ``CLEANUP_DIFFERENT_ROOTS``.

Reads only: the locked folders as they are, and the journal.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple

from cleanup import conf, journal
from cleanup.backends import Database
from cleanup.backends.catalogue import Table
from cleanup.backends.changes import Cell, ReplacementCells
from cleanup.backends.guards import LONGEST_NAME_BYTES
from cleanup.folder_tables import FolderTables
from cleanup.guard_names import Guard
from cleanup.guards.guard_ddl import guard_sql_of
from cleanup.models import RemovedFolder, RollbackPoint
from cleanup.planning import FolderRow
from cleanup.policies import DifferentRootsPolicy
from cleanup.services.results import Copy

_SUFFIX = re.compile(r"(?:^| )\(restored(?: \d+)?\)$")
_LENGTH = re.compile(r"char[^(]*\((\d+)\)", re.IGNORECASE)


class Returning(NamedTuple):
    """A removed folder as it was."""

    key: str
    parent: str | None
    name: str


class Place(NamedTuple):
    """Where a copy comes back."""

    parent: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Copying:
    """The folders that do not come back as they were."""

    instead: ReplacementCells = field(default_factory=ReplacementCells)
    nested: frozenset[int] = frozenset()
    """Points whose nested root folders stay where they are."""
    by_point: Mapping[int, Sequence[Copy]] = field(default_factory=dict)

    def of(self, point: RollbackPoint) -> Sequence[Copy]:
        """Return the copies of a point."""
        return self.by_point.get(point.id, ())


class Copies:
    """Plans copies on one database."""

    def __init__(self, *, using: str, backend: Database, tables: FolderTables, folders: Table) -> None:
        self.using = using
        self.backend = backend
        self.tables = tables
        self.folders = folders

    def plan(self, points: Sequence[RollbackPoint], *, reader: journal.Reader) -> Copying:
        """Decide about locked points of one snapshot schema and of different applications."""
        tables, label = self.tables, str(self.folders.name)
        needed = {tables.folder_key.column, tables.folder_parent, tables.folder_name, tables.folder_created} - {None}
        if not needed <= set(reader.schema.columns(label)):
            return Copying()  # the undo reports which column is gone
        cells: dict[Cell, tuple[Cell, ...]] = {}
        nested = set()
        copies: dict[int, list[Copy]] = {}
        applications = [point.application_key for point in points]
        folders = dict(self.backend.reading.read_folders(tables, applications, lock=False))
        for point in points:
            moved = dict(reader.moved(points=[point.id], label=label, column=tables.folder_parent))
            removed = list(reader.images(points=[point.id], label=label))
            forest = self._forest(folders.get(point.application_key, ()), moved)
            places = list(forest.places(self._returning(removed), self._survivors(forest, point)))
            cells |= {self._cell(folder.key): self._cells(folder.key, place) for folder, place in places}
            staying = forest.staying()
            if staying is not None:
                nested.add(point.id)
            copies[point.id] = list(self._copies(point, places, staying or {}))
        return Copying(ReplacementCells((tables.folder_parent, tables.folder_name), cells), frozenset(nested), copies)

    def _forest(self, present: Sequence[FolderRow], moved: Mapping[Cell, Cell]) -> "Forest":
        moving = {key: self._parent(key, old) for key, old in ((self._key(cell), old) for cell, old in moved.items())}
        return Forest(
            sorted(present, key=attrgetter("age")),
            moving=moving,
            longest=self._longest_name(),
            one_root=self._one_root,
            flat=self.tables.flat,
        )

    @cached_property
    def _one_root(self) -> bool:
        """Whether root folders of other names are duplicates, too: for the settings, or for the guard in force."""
        if conf.different_roots() != DifferentRootsPolicy.KEEP:
            return True
        standing = guard_sql_of(using=self.using).standing().get(Guard.ONE_ROOT)
        return standing is not None and standing.by_name is False

    def _copies(
        self, point: RollbackPoint, places: Sequence[tuple[Returning, Place]], staying: Mapping[str, str]
    ) -> Iterator[Copy]:
        for folder, place in places:
            elsewhere = place.parent if place.parent != folder.parent else None
            yield Copy(point.application_key, folder.key, place.name != folder.name, elsewhere)
        for key, parent in staying.items():
            yield Copy(point.application_key, key, renamed=False, parent_id=parent)

    def _cells(self, folder: str, place: Place) -> tuple[Cell, ...]:
        held = self.tables.held_by_root(folder) if place.parent is None else place.parent
        return None if held is None else self._cell(held), self.backend.cells.text_cell(place.name)

    def _cell(self, key: str) -> Cell:
        return self.backend.cells.key_cell(self.tables.folder_key, key)

    def _returning(self, images: Sequence[Mapping[str, Cell]]) -> list[Returning]:
        """Return the removed folders, the oldest first."""
        tables, field = self.tables, self.tables.folder_key.field

        def age(image: Mapping[str, Cell]) -> tuple[bool, str, Any]:
            created = image[tables.folder_created] if tables.folder_created else None
            return created is None, created or "", field.to_python(self._key(image[tables.folder_key.column]))

        return [
            Returning(
                key := self._key(image[tables.folder_key.column]),
                self._parent(key, image[tables.folder_parent]),
                self.backend.cells.cell_text(image[tables.folder_name]),
            )
            for image in sorted(images, key=age)
        ]

    def _survivors(self, forest: "Forest", point: RollbackPoint) -> Collection[str]:
        """Return what removed folders had been merged into, if that decides between several root folders."""
        if len(forest.roots) < 2:
            return ()
        removed = RemovedFolder.objects.using(self.using).filter(point=point.id)
        return set(removed.values_list("survivor_key", flat=True))

    def _key(self, cell: Cell) -> str:
        return self.tables.folder_key.text(self.backend.cells.cell_text(cell))

    def _parent(self, folder: str, cell: Cell) -> str | None:
        return self.tables.parent_of(folder, None if cell is None else self._key(cell))

    def _longest_name(self) -> int | None:
        """Return how many characters the column and the model's field allow."""
        limits = [getattr(self.tables.folder._meta.get_field(conf.folder_fields()["name"]), "max_length", None)]
        if declared := _LENGTH.search(self.folders.column(self.tables.folder_name).type):
            limits.append(int(declared[1]))
        return min((limit for limit in limits if limit), default=None)


class Forest:
    """The folders of one application, among which removed ones are placed."""

    def __init__(
        self,
        present: Sequence[FolderRow],
        *,
        moving: Mapping[str, str | None],
        longest: int | None,
        one_root: bool,
        flat: bool,
    ) -> None:
        """Take the folders in order of age, and those that go back to where they were, with their old parents.

        ``flat``: no folder can lie in another one, so that a copy is only renamed.
        """
        self.present = {row.key: row for row in present}
        self.roots = {row.key: row.name for row in present if row.live and row.parent is None}
        self.one_root = one_root
        self.flat = flat
        self.moving = moving
        self.longest = longest
        self.taken: defaultdict[str | None, set[str]] = defaultdict(set)
        self._folded: defaultdict[str | None, set[str]] = defaultdict(set)
        self._numbers: defaultdict[tuple[str | None, str], Iterator[int]] = defaultdict(lambda: itertools.count(1))
        for row in present:
            if row.live:  # wherever it is while others come back
                self._take(row.parent, row.name)
                self._take(moving.get(row.key, row.parent), row.name)

    def places(self, returning: Sequence[Returning], survivors: Collection[str]) -> Iterator[tuple[Returning, Place]]:
        """Yield the folders that cannot come back as they were, and where they come back instead.

        ``survivors`` are preferred among several root folders.
        """
        for folder in returning:
            if folder.key in self.present:  # created again, or already back: the undo compares it with what it was
                continue
            parent, name = folder.parent, folder.name
            if parent is None and (roots := self._roots_in_the_way(name)):
                parent = next((root for root in roots if root in survivors), roots[0])
            elif parent is None:
                self.roots[folder.key] = name
            if parent != folder.parent or not name.strip() or name in self.taken[parent]:
                name = self._free_name(parent, name)
                yield folder, Place(parent, name)
            self._take(parent, name)

    def staying(self) -> dict[str, str] | None:
        """Return the nested root folders that cannot be root folders again, with their parents; None if all can.

        Call it after ``places``.
        """
        nested = [key for key, old in self.moving.items() if old is None]
        rows = [self.present[key] for key in nested if key in self.present]
        if self.one_root:
            fit = len(nested) + len(self.roots) == 1
        else:
            names = [*self.roots.values(), *(row.name for row in rows)]
            fit = len(set(names)) == len(names)
        return None if fit or not nested else {row.key: row.parent for row in rows if row.parent is not None}

    def _roots_in_the_way(self, name: str) -> list[str]:
        """Return the root folders beside which a root folder of the name would be a duplicate."""
        return [key for key, other in self.roots.items() if not self.flat and (self.one_root or other == name)]

    def _take(self, parent: str | None, name: str) -> None:
        self.taken[parent].add(name)
        self._folded[parent].add(name.casefold())

    def _free_name(self, parent: str | None, name: str) -> str:
        """Return the name with a suffix that no folder there has, however names are compared."""
        base = _SUFFIX.sub("", name)
        for number in self._numbers[parent, base]:
            candidate = self._fit(base, "(restored)" if number == 1 else f"(restored {number})")
            if candidate.casefold() not in self._folded[parent]:
                return candidate
        raise AssertionError  # there is always another number

    def _fit(self, base: str, suffix: str) -> str:
        room = None if self.longest is None else max(0, self.longest - len(suffix) - 1)
        base = base[:room].encode(errors="ignore")[: LONGEST_NAME_BYTES - len(suffix) - 1].decode(errors="ignore")
        return f"{base} {suffix}" if base.strip() else suffix
