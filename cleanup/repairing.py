"""Decide how what a verification has found becomes right: which folders and files get another place, owner or name.

What has no place goes into the folder that holds what was recovered, in the root folder of its application; what its
files place elsewhere goes there. A plan names cells only: nothing is deleted, and no folder is merged.

Pure: no database, no clock, no Django. The order of the input never matters, nothing recurses. A change never makes two
siblings whose names are the same, or look the same.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter
from typing import Literal, NamedTuple

from cleanup.analysis import Edge, normalized
from cleanup.planning import FolderRow, Plan, plan_merge
from cleanup.policies import DifferentRootsPolicy

#: The keys of folders that a plan makes; no folder's key begins like this.
NEW_ROOT = "\x00root"
NEW_RECOVERED = "\x00recovered"

Column = Literal["parent", "application", "name", "folder"]


class Reason(StrEnum):
    """Why something that was found is left as it is."""

    NO_APPLICATION = "no_application"
    MISSING_APPLICATION = "missing_application"
    UNDECIDED = "undecided"
    NOT_APPROVED = "not_approved"
    UNREACHABLE = "unreachable"


class Names(NamedTuple):
    """What folders are called that are made or named."""

    recovered: str
    root: str
    unnamed: str
    longest: int | None = None
    """Characters that a name may have."""


class Found(NamedTuple):
    """One row with a finding: a folder, or a file."""

    key: str
    application: str | None
    target: str | None
    """The folder that it names as its parent, or lies in."""


class Change(NamedTuple):
    """One cell that changes; a key may be that of a folder that the plan makes."""

    row: Literal["folder", "file"]
    key: str
    column: Column
    old: str | None
    new: str


class Left(NamedTuple):
    """One row with a finding that is left as it is."""

    row: Literal["folder", "file"]
    key: str
    application: str | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """All that a repair changes for one application."""

    makes: tuple[str, ...] = ()
    """Of ``NEW_ROOT`` and ``NEW_RECOVERED``, the folders that are made, parents first."""
    root: str | None = None
    """The root folder that the folder of what was recovered is made in, if there is one."""
    changes: tuple[Change, ...] = ()
    mended: tuple[str, ...] = ()
    """The keys of the rows whose finding goes."""

    @property
    def empty(self) -> bool:
        """Return whether the plan changes nothing."""
        return not self.changes and not self.mended

    @property
    def digest(self) -> str:
        """Give the SHA-256, in hexadecimal, of what changes; equal digests mean equal changes."""
        content = json.dumps([self.makes, self.root, sorted(self.changes, key=str), self.mended], separators=(",", ":"))
        return hashlib.sha256(content.encode("ascii")).hexdigest()


class Alike(NamedTuple):
    """Folders side by side whose names look the same, to become one."""

    parent: str
    members: tuple[str, ...]
    stays: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the applications around the findings."""

    folders: Mapping[str, Sequence[FolderRow]]
    """By application, also of missing ones: all of them."""
    existing: Collection[str]
    """The applications that exist."""
    owners: Mapping[str, str]
    """The applications of the folders that are named by findings, by key."""
    file_owners: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The applications, whether they exist or not, that the files in a folder tell."""
    paths: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The names from the root down to folders that hold files of other applications."""


def plan_alike(rows: Iterable[FolderRow], groups: Sequence[Alike]) -> Plan:
    """Plan the merge of folders whose names look the same, and of what is below them, and nothing else."""
    folders = {row.key: row for row in rows}
    stays = {key: group.stays for group in groups for key in group.members}
    children: defaultdict[str | None, list[str]] = defaultdict(list)
    for row in folders.values():
        children[row.parent].append(row.key)
    merging = set(stays)
    reached = list(stays)
    for key in reached:  # which grows
        below = [child for child in children[key] if child not in merging]
        merging.update(below)
        reached += below

    def named(row: FolderRow) -> FolderRow:
        if row.key in stays:
            first = row.key == stays[row.key]
            return row._replace(name=folders[stays[row.key]].name, age=-1 if first else row.age)
        return row if row.key in merging else row._replace(name=f"{row.name}\x00{row.key}")

    return plan_merge(map(named, folders.values()), different_roots=DifferentRootsPolicy.KEEP)


def parts_of(
    several: Iterable[Found], folders: Mapping[str, Sequence[FolderRow]]
) -> Iterator[tuple[Found, list[FolderRow]]]:
    """Yield findings, each with the folder and all below it in its application: every folder once, parents first."""
    by_application: defaultdict[str, list[Found]] = defaultdict(list)
    for found in several:
        if found.application is not None:
            by_application[found.application].append(found)
    for application, own in sorted(by_application.items()):
        rows = {row.key: row for row in folders.get(application, ())}
        children: defaultdict[str | None, list[FolderRow]] = defaultdict(list)
        for row in sorted(rows.values(), key=attrgetter("age", "key")):
            children[row.parent].append(row)
        present = [found for found in own if found.key in rows]
        present.sort(key=lambda found: (rows[found.key].age, found.key))
        flagged = {found.key for found in present}
        tops = [found for found in present if found.target not in flagged]
        seen: set[str] = set()
        for found in (*tops, *present):  # those in a cycle have no top
            if found.key in seen:
                continue
            seen.add(found.key)
            part = [rows[found.key]]
            for row in part:  # which grows
                below = [child for child in children[row.key] if child.key not in seen]
                seen.update(child.key for child in below)
                part += below
            yield found, part


class Home:
    """The folders of one application, and what the repair makes of them."""

    def __init__(self, rows: Iterable[FolderRow], names: Names) -> None:
        self.names = names
        self.rows = {row.key: row for row in sorted(rows, key=attrgetter("age", "key"))}
        self.root = next((row.key for row in self.rows.values() if row.live and row.parent is None), None)
        self.makes: list[str] = []
        self.changes: list[Change] = []
        self.mended: list[str] = []
        self._inside: dict[tuple[str | None, str], str] = {}
        for row in self.rows.values():
            if row.live:
                self._inside.setdefault((row.parent, row.name), row.key)
        self._taken: dict[str | None, set[str]] = {}

    def plan(self) -> RepairPlan:
        """Return what was decided."""
        root = self.root if self.makes == [NEW_RECOVERED] else None
        return RepairPlan(tuple(self.makes), root, tuple(self.changes), tuple(self.mended))

    def recovered(self) -> str:
        """Return the folder of what was recovered, which is made if need be."""
        if NEW_RECOVERED in self.makes:
            return NEW_RECOVERED
        if self.root is None:
            self.makes.append(NEW_ROOT)
        elif present := self._inside.get((self.root, self.names.recovered)):
            return present
        self.makes.append(NEW_RECOVERED)
        return NEW_RECOVERED

    def within(self, path: Sequence[str]) -> str | None:
        """Return the folder at a path whose first name is that of the root, by any name."""
        at = self.root
        for name in path[1:]:
            at = None if at is None else self._inside.get((at, name))
        return at

    def place(self, row: FolderRow, parent: str, *, mended: bool = True) -> None:
        """Move a folder, which gets another name if its own is taken there."""
        if row.parent != parent:
            self.changes.append(Change("folder", row.key, "parent", row.parent, parent))
        if row.live:
            self.rename(row, self._free(row.name, parent, row.key))
        if mended:
            self.mended.append(row.key)

    def rename(self, row: FolderRow, name: str) -> None:
        """Give a folder another name."""
        if name != row.name:
            self.changes.append(Change("folder", row.key, "name", row.name, name))

    def name(self, row: FolderRow) -> None:
        """Give a folder without a name one."""
        self.rename(row, self._free(self.names.unnamed, row.parent, row.key))
        self.mended.append(row.key)

    def _free(self, name: str, parent: str | None, key: str) -> str:
        """Return a name that no live sibling has or resembles, and take it; no name is one, too."""
        if parent not in self._taken:
            siblings = (row for row in self.rows.values() if row.live and row.key != key and row.parent == parent)
            self._taken[parent] = {normalized(row.name) for row in siblings}
        taken, number = self._taken[parent], 1
        if normalized(name) in taken and is_blank(name):
            name = self.names.unnamed
        candidate = name
        while normalized(candidate) in taken:
            number += 1
            candidate = fitted(name, f" ({number})", self.names.longest)
        taken.add(normalized(candidate))
        return candidate


def is_blank(name: str) -> bool:
    """Return whether a folder's name is blank, or it has none."""
    return name.startswith("\x00") or not normalized(name)


def fitted(name: str, suffix: str, longest: int | None) -> str:
    """Return a name with a suffix, cut to the length that a name may have."""
    return (name if longest is None else name[: max(0, longest - len(suffix))]) + suffix


class Repairs:
    """The plans of one kind of repair, by the application that each concerns; and what is left as it is."""

    def __init__(self, around: Surroundings, names: Names) -> None:
        self.around = around
        self.names = names
        self.left: list[Left] = []
        self.sources: defaultdict[str, set[str]] = defaultdict(set)
        """For each application with a plan, those of the rows that it concerns."""
        self._homes: dict[str, Home] = {}

    def plans(self) -> dict[str, RepairPlan]:
        """Return the plans that change something, by application."""
        made = {application: home.plan() for application, home in sorted(self._homes.items())}
        return {application: plan for application, plan in made.items() if not plan.empty}

    def home(self, application: str, source: str | None = None) -> Home:
        """Return an application's folders, to decide about what came from a source."""
        self.sources[application].add(application if source is None else source)
        if application not in self._homes:
            self._homes[application] = Home(self.around.folders.get(application, ()), self.names)
        return self._homes[application]

    def owner_of(self, found: Found, row: Literal["folder", "file"]) -> str | None:
        """Return the application that a row tells, if it exists; leave the row as it is otherwise."""
        if found.application in self.around.existing:
            return found.application
        reason = Reason.NO_APPLICATION if found.application is None else Reason.MISSING_APPLICATION
        self.left.append(Left(row, found.key, found.application, reason))
        return None

    # Folders.

    def missing_parents(self, several: Iterable[Found]) -> None:
        """Put folders whose parent is missing among what was recovered."""
        for row, home in self._rows(several):
            home.place(row, home.recovered())

    def cycles(self, edges: Iterable[Edge]) -> None:
        """Take one folder out of each cycle; the others stay below it, those of other applications, too."""
        by_folder = {edge.folder: edge for edge in edges}
        waiting = set(by_folder)
        for start in sorted(by_folder):
            circle, at = [], start
            while at in waiting:
                waiting.remove(at)
                circle.append(by_folder[at])
                at = by_folder[at].parent
            self._break(circle)

    def _break(self, circle: Sequence[Edge]) -> None:
        """Take out the oldest folder of the first application that there is."""
        owners = {edge.application for edge in circle if edge.application is not None}
        owner = min(owners & set(self.around.existing), default=None)
        if owner is None:
            for edge in circle:
                self.owner_of(Found(edge.folder, edge.application, edge.parent), "folder")
            return
        home = self.home(owner)
        self.sources[owner] |= owners
        oldest = next((key for key in home.rows if key in {edge.folder for edge in circle}), None)
        if oldest is not None:
            home.place(home.rows[oldest], home.recovered(), mended=False)
            home.mended += sorted(edge.folder for edge in circle if edge.application is not None)

    def blank_names(self, several: Iterable[Found]) -> None:
        """Give folders a name."""
        for row, home in self._rows(several):
            home.name(row)

    def _rows(self, several: Iterable[Found]) -> Iterator[tuple[FolderRow, Home]]:
        """Yield the folders of findings, by age, with their applications' folders."""
        rows: list[tuple[FolderRow, str]] = []
        for found in several:
            if (owner := self.owner_of(found, "folder")) is not None:
                row = self.home(owner).rows.get(found.key)
                if row is not None:
                    rows.append((row, owner))
        for row, application in sorted(rows, key=lambda one: (one[1], one[0].age, one[0].key)):
            yield row, self.home(application)

    def foreign_parents(self, several: Sequence[Found]) -> None:
        """Put folders in a folder of another application where their files are at home, or among what was recovered."""
        for found, part in parts_of(several, self.around.folders):
            if (owner := self.owner_of(found, "folder")) is not None:
                told = self._told(part)
                self._settle(found, part, next(iter(told)) if len(told) == 1 else owner)

    def missing_applications(self, several: Sequence[Found]) -> None:
        """Give folders of a missing application to that of their files, or of their parent."""
        for found, part in parts_of(several, self.around.folders):
            told = self._told(part)
            above = self.around.owners.get(found.target or "")
            if len(told) == 1:
                self._settle(found, part, next(iter(told)))
            elif above is not None and above in self.around.existing:
                self._settle(found, part, above)
            else:
                self.left += [Left("folder", row.key, found.application, Reason.UNDECIDED) for row in part]

    def _told(self, part: Sequence[FolderRow]) -> set[str]:
        """Return the existing applications that the files in folders tell."""
        told = {owner for row in part for owner in self.around.file_owners.get(row.key, ())}
        return told & set(self.around.existing)

    def _settle(self, found: Found, part: Sequence[FolderRow], owner: str) -> None:
        """Give folders, the first of which is above the others, to an application."""
        home, (top, *others) = self.home(owner, found.application), part
        stays = found.target is not None and self.around.owners.get(found.target) == owner
        home.place(top, found.target if stays and found.target is not None else home.recovered())
        if owner == found.application:
            return
        whole = found.application not in self.around.existing
        for row in others:
            home.place(row, row.parent or "", mended=whole)
        home.changes += [Change("folder", row.key, "application", found.application, owner) for row in part]

    def computed(self, several: Iterable[Found]) -> None:
        """Have what tree hooks keep of folders computed again."""
        for found in sorted(several, key=lambda found: found.key):
            if (owner := self.owner_of(found, "folder")) is not None:
                self.home(owner).mended.append(found.key)

    # Files.

    def files_without_folder(self, several: Iterable[Found]) -> None:
        """File what lies in a missing folder among what was recovered."""
        for found in sorted(several, key=lambda found: found.key):
            if (owner := self.owner_of(found, "file")) is not None:
                home = self.home(owner)
                self._file(home, found, home.recovered())

    def foreign_files(self, several: Iterable[Found]) -> None:
        """File what lies in a folder of another application in its own: at the same path, if that exists."""
        for found in sorted(several, key=lambda found: found.key):
            if (owner := self.owner_of(found, "file")) is not None:
                home = self.home(owner)
                path = self.around.paths.get(found.target or "", ())
                place = home.within(path) if path else None
                self._file(home, found, place or home.recovered())

    def files_of_missing_applications(self, several: Iterable[Found]) -> None:
        """Give files of a missing application to that of the folder that they lie in."""
        for found in sorted(several, key=lambda found: found.key):
            owner = self.around.owners.get(found.target or "")
            if owner is None or owner not in self.around.existing:
                self.left.append(Left("file", found.key, found.application, Reason.UNDECIDED))
                continue
            home = self.home(owner, found.application)
            home.changes.append(Change("file", found.key, "application", found.application, owner))
            home.mended.append(found.key)

    def _file(self, home: Home, found: Found, folder: str) -> None:
        home.changes.append(Change("file", found.key, "folder", found.target, folder))
        home.mended.append(found.key)
