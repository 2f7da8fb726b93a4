"""Decide how the duplicate folders of one application become single folders.

The live root folders of an application are one group, whatever their names, or one group for each name. The oldest
folder of a group survives, except that one already under the surviving parent takes precedence over one that has to be
moved there. The survivor takes the children of all members, children of the same name are a group again, and so on
down.

Pure: no database, no clock, no Django. The order of the input never matters, nothing recurses, the time is near-linear.
Every folder is in at most one group, so a survivor is never removed. What cannot be reached from a root is never
touched.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from cleanup.policies import DifferentRootsPolicy

# The key only breaks ties. The database produces no ties, but even then the order of the input must not matter.
_by_age = attrgetter("age", "key")


class FolderRow(NamedTuple):
    """Describe one folder, as far as the merge depends on it.

    `age` is the rank in survivor order, unique within the application: by default in (created, key) order, nulls last,
    hence the name. A folder that is not `live`
    (soft-deleted) is never in a group, never survives and is never removed; the folders below it are merged among
    themselves. `cells` are further columns, which the merge ignores.
    """

    key: str
    parent: str | None
    name: str
    age: int
    live: bool = True
    cells: Sequence[str | None] = ()


class Group(NamedTuple):
    """Name the folders that become one folder.

    `removed` is in survivor order: those already under the surviving parent first, then by age. `parent` is the
    surviving parent, None for a group of root folders.
    """

    survivor: str
    removed: tuple[str, ...]
    roots: bool
    parent: str | None


class Move(NamedTuple):
    """Name a folder that stays and gets another parent; `old_parent` is None for a root that is nested."""

    folder: str
    old_parent: str | None
    new_parent: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Hold all that a merge changes among the folders of one application.

    Groups and moves come parents before children. `left_alone` are the keys, sorted, of the folders that no root of the
    application leads to: below a missing parent or a parent of another application, or in or below a cycle.
    `different_roots`: the live roots have different names; `refused`: the plan is empty for that reason.
    `roots_removed` counts the removed folders that were roots. `roots` are the root folders that take in others, the
    oldest first. `removed` maps each removed folder to the one that stays.
    """

    groups: tuple[Group, ...]
    moves: tuple[Move, ...]
    left_alone: tuple[str, ...] = ()
    different_roots: bool = False
    refused: bool = False
    roots_removed: int = 0
    roots: tuple[str, ...] = field(default=(), compare=False)
    removed: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        survivors = {key: group.survivor for group in self.groups for key in group.removed}
        object.__setattr__(self, "removed", survivors)

    @property
    def empty(self) -> bool:
        """Return whether the plan changes nothing."""
        return not self.groups and not self.moves

    @property
    def folders_removed(self) -> int:
        """Count the folders that the plan removes."""
        return len(self.removed)

    @property
    def child_folders_merged(self) -> int:
        """Count the removed folders that were not roots."""
        return len(self.removed) - self.roots_removed

    @property
    def digest(self) -> str:
        """Give the SHA-256, in hexadecimal, of groups and moves; equal digests mean equal changes."""
        content = (
            [(group.survivor, group.removed, group.roots, group.parent) for group in self.groups],
            [(move.folder, move.old_parent, move.new_parent) for move in self.moves],
        )
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode("ascii")).hexdigest()


def plan_merge(
    rows: Iterable[FolderRow], *, different_roots: DifferentRootsPolicy = DifferentRootsPolicy.MERGE
) -> Plan:
    """Plan the merge of the folders of one application; `rows` are all of them, in any order.

    Live roots of different names are merged like others (`merge`), moved under the oldest root with their names kept
    (`nest`), a reason for an empty, refused plan (`refuse`), or stay side by side, each with those of its own name
    merged into it (`keep`).

    Raises ValueError for a key that appears twice and for an unknown `different_roots`.
    """
    if different_roots not in list(DifferentRootsPolicy):
        raise ValueError(f"different_roots must be one of {', '.join(DifferentRootsPolicy)}, not {different_roots!r}")
    folders = sorted(rows, key=_by_age)
    if len({folder.key for folder in folders}) != len(folders):
        raise ValueError("a folder key appears twice")
    walk = _Walk(folders)
    walk.merge_roots(different_roots)
    walk.descend()
    if walk.roots_differ and different_roots == DifferentRootsPolicy.REFUSE:
        return Plan((), (), walk.left_alone(), different_roots=True, refused=True)
    return Plan(
        tuple(walk.groups),
        tuple(walk.moves),
        walk.left_alone(),
        different_roots=walk.roots_differ,
        roots_removed=walk.roots_removed,
        roots=tuple(walk.roots),
    )


def detached(parents: Iterable[tuple[str, str | None]]) -> set[str]:
    """Return the folders that no root leads to; `parents` are the folders of one application with their parents."""
    children: dict[str | None, list[str]] = {}
    left = set()
    for key, parent in parents:
        children.setdefault(parent, []).append(key)
        left.add(key)
    reached = children.get(None, [])
    for key in reached:  # grows as it is walked
        reached += children.get(key, ())
    return left.difference(reached)


class _Walk:
    """Go down from the roots, level by level, and collect what merges and what moves; lists start in age order."""

    __slots__ = (
        "children",
        "folders",
        "groups",
        "moves",
        "nested",
        "removed",
        "roots",
        "roots_differ",
        "roots_removed",
        "staying",
        "top",
        "twins",
    )

    def __init__(self, folders: list[FolderRow]) -> None:
        self.folders = folders
        self.children: dict[str | None, list[FolderRow]] = {}
        for folder in folders:
            self.children.setdefault(folder.parent, []).append(folder)
        self.top: FolderRow | None = None  # the oldest live root
        self.roots: list[str] = []  # the roots that take in others
        self.roots_differ = False
        self.nested: list[FolderRow] = []  # roots that become children of the oldest
        self.staying: list[FolderRow] = []  # the queue of the walk
        self.twins: dict[str, tuple[str, ...]] = {}  # survivor -> the folders that merge into it, if any has children
        self.groups: list[Group] = []
        self.moves: list[Move] = []
        self.removed = 0
        self.roots_removed = 0

    def merge_roots(self, different_roots: DifferentRootsPolicy) -> None:
        roots = self.children.get(None, [])
        live = [root for root in roots if root.live]
        groups = self._root_groups(live, different_roots) if live else []
        survivors = {group[0].key for group in groups}
        self.staying = [root for root in roots if not root.live or root.key in survivors]
        for survivor, *others in groups:
            if others or self.nested:
                self.roots.append(survivor.key)
            if others:
                self.roots_removed += len(others)
                self._add_group(survivor.key, [root.key for root in others], None)

    def _root_groups(self, live: list[FolderRow], different_roots: DifferentRootsPolicy) -> list[list[FolderRow]]:
        """Return the live roots that become one root each, and set aside those that are nested."""
        same_named: dict[str, list[FolderRow]] = {}
        for root in live:
            same_named.setdefault(root.name, []).append(root)
        self.roots_differ = len(same_named) > 1
        self.top = live[0]
        if different_roots == DifferentRootsPolicy.KEEP:
            return list(same_named.values())
        if different_roots == DifferentRootsPolicy.NEST:
            self.nested = [root for root in live if root.name != self.top.name]
            return [same_named[self.top.name]]
        return [live]

    def descend(self) -> None:
        for folder in self.staying:  # grows as it is walked, hence no recursion
            arriving = self._arriving(folder)
            if arriving or folder.key in self.children:
                self._merge_children(folder.key, chain(self.children.get(folder.key, ()), arriving))

    def left_alone(self) -> tuple[str, ...]:
        if len(self.staying) + self.removed == len(self.folders):
            return ()
        reached = {folder.key for folder in self.staying}.union(*(group.removed for group in self.groups))
        return tuple(sorted(folder.key for folder in self.folders if folder.key not in reached))

    def _arriving(self, folder: FolderRow) -> list[FolderRow]:
        arriving = list(self.nested) if folder is self.top else []
        for twin in self.twins.get(folder.key, ()):
            arriving += self.children.get(twin, ())
        return sorted(arriving, key=_by_age)

    def _merge_children(self, parent: str, children: Iterable[FolderRow]) -> None:
        first: dict[str, FolderRow] = {}
        merging: dict[str, list[str]] = {}
        for child in children:
            if child.live and (survivor := first.setdefault(child.name, child)) is not child:
                merging.setdefault(survivor.key, []).append(child.key)
                self.roots_removed += child.parent is None
                continue
            self.staying.append(child)
            if child.parent != parent:
                self.moves.append(Move(child.key, child.parent, parent))
        first.clear()  # among many folders, these are large
        for key in list(merging):
            self._add_group(key, merging.pop(key), parent)

    def _add_group(self, survivor: str, removed: list[str], parent: str | None) -> None:
        group = Group(survivor, tuple(removed), parent is None, parent)
        self.groups.append(group)
        self.removed += len(removed)
        if not self.children.keys().isdisjoint(removed):
            self.twins[survivor] = group.removed
