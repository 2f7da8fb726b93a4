"""Decide how the duplicate folders of one application become single folders.

The live root folders of an application are one group, whatever their names, or one group for each name. The oldest
folder of a group survives, except that one already under the surviving parent takes precedence over one that has to be
moved there. The survivor takes the children of all members, children of the same name are a group again, and so on
down.

Pure: no database, no clock, no Django. The order of the input never matters, nothing recurses, the time is near-linear.
Every folder is in at most one group, so a survivor is never removed. What cannot be reached from a root is never
touched. See Note [Numbers] in ``cleanup.forests``.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import chain, islice, repeat
from operator import attrgetter
from typing import NamedTuple

from cleanup.forests import NONE, Fates, Forest, Group, Groups, Move, Moves, Removed, Staying, column
from cleanup.packing import Texts
from cleanup.policies import DifferentRootsPolicy

# The key only breaks ties. The database produces no ties, but even then the order of the input must not matter.
_by_age = attrgetter("age", "key")

#: In a forest of so many folders, those that come from few parents are not sorted, but merged, which takes no memory.
_MANY, _FEW = 20_000, 100

_as_json = json.JSONEncoder(separators=(",", ":")).encode


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


@dataclass(frozen=True, slots=True)
class Plan:
    """Hold all that a merge changes among the folders of one application.

    Groups and moves come parents before children. `left_alone` are the keys, sorted, of the folders that no root of the
    application leads to: below a missing parent or a parent of another application, or in or below a cycle.
    `different_roots`: the live roots have different names; `refused`: the plan is empty for that reason.
    `roots_removed` counts the removed folders that were roots. `roots` are the root folders that take in others, the
    oldest first. `removed` maps each removed folder to the one that stays. `fates`: where that comes from, if the plan
    was made here.
    """

    groups: Sequence[Group]
    moves: Sequence[Move]
    left_alone: tuple[str, ...] = ()
    different_roots: bool = False
    refused: bool = False
    roots_removed: int = 0
    roots: tuple[str, ...] = field(default=(), compare=False)
    fates: Fates | None = field(default=None, repr=False, compare=False)
    removed: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        survivors: Mapping[str, str] = (
            Removed(self.fates)
            if self.fates
            else {key: group.survivor for group in self.groups for key in group.removed}
        )
        object.__setattr__(self, "removed", survivors)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield each removed folder with the one that stays."""
        return chain.from_iterable(zip(removed, repeat(survivor)) for survivor, removed in self.merged())

    def merged(self, *, deepest_first: bool = False) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield each folder that takes in others, with these in order; parents before children, or after them."""
        if self.fates:
            survivors = self.fates.grouped
            return map(self.fates.merged, reversed(survivors) if deepest_first else survivors)
        groups = reversed(self.groups) if deepest_first else self.groups
        return ((group.survivor, group.removed) for group in groups)

    def nested(self) -> Iterator[tuple[str, str]]:
        """Yield each root folder that is moved under another, with that one."""
        if self.fates:
            yield from self.fates.nested()
        else:
            yield from ((move.folder, move.new_parent) for move in self.moves if move.old_parent is None)

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

    def staying(self) -> Staying:
        """Return the folders that stay, to be looked for afterwards."""
        return (self.fates or Fates(_forest(()))).staying()

    @property
    def inside_removed(self) -> int:
        """Count the removed folders directly in a removed folder."""
        return self.fates.inside_removed if self.fates else 0

    @property
    def digest(self) -> str:
        """Give the SHA-256, in hexadecimal, of groups and moves; equal digests mean equal changes."""
        digest = hashlib.sha256(b"[[")
        for several, end in ((self.groups, b"],["), (self.moves, b"]]")):
            remaining, between = iter(several), b""
            while some := list(islice(remaining, 1000)):  # never all of them at once
                digest.update(between + _as_json(some)[1:-1].encode("ascii"))
                between = b","
            digest.update(end)
        return digest.hexdigest()


def plan_merge(
    rows: Iterable[FolderRow] | Forest, *, different_roots: DifferentRootsPolicy = DifferentRootsPolicy.MERGE
) -> Plan:
    """Plan the merge of the folders of one application; `rows` are all of them, in any order. A forest is used up.

    Live roots of different names are merged like others (`merge`), moved under the oldest root with their names kept
    (`nest`), a reason for an empty, refused plan (`refuse`), or stay side by side, each with those of its own name
    merged into it (`keep`).

    Raises ValueError for a key that appears twice and for an unknown `different_roots`.
    """
    if different_roots not in list(DifferentRootsPolicy):
        raise ValueError(f"different_roots must be one of {', '.join(DifferentRootsPolicy)}, not {different_roots!r}")
    walk = _Walk(rows if isinstance(rows, Forest) else _forest(rows))
    walk.merge_roots(different_roots)
    walk.descend()
    if walk.roots_differ and different_roots == DifferentRootsPolicy.REFUSE:
        return Plan((), (), walk.left_alone(), different_roots=True, refused=True)
    return Plan(
        Groups(walk.fates),
        Moves(walk.fates),
        walk.left_alone(),
        different_roots=walk.roots_differ,
        roots_removed=walk.fates.roots_removed,
        roots=tuple(walk.fates.keys[root] for root in walk.roots),
        fates=walk.fates,
    )


def _forest(rows: Iterable[FolderRow]) -> Forest:
    folders = sorted(rows, key=_by_age)
    keys, names = Texts([folder.key for folder in folders]), dict[str, int]()
    if len(keys) != len(folders):
        raise ValueError("a folder key appears twice")
    return Forest(
        keys,
        parents=keys.numbers([folder.parent for folder in folders], none=NONE),
        names=[names.setdefault(folder.name, len(names)) if folder.live else NONE for folder in folders],
        ages=range(len(folders)),  # in which they are
    )


class _Walk:
    """Go down from the roots, level by level, and collect what merges and what moves; see Note [Numbers]."""

    def __init__(self, forest: Forest) -> None:
        self.forest = forest
        self.oldest_root = NONE
        self.oldest_child = column(len(forest.keys))
        self.next_oldest = column(len(forest.keys))
        """The next one of the same parent."""
        self._list_children()
        self.fates = Fates(forest)
        self.first_named = column(max(forest.names, default=NONE) + 1)
        """By the number of a name, the folder of that name that was last seen first in its parent."""
        self.top = NONE
        """The oldest live root."""
        self.roots: list[int] = []
        """The roots that take in others."""
        self.roots_differ = False
        self.nested = column(0)
        """Roots that become children of the oldest."""
        self.staying = column(0)
        """The queue of the walk."""

    def _list_children(self) -> None:
        parents, oldest_child, next_oldest = self.forest.parents, self.oldest_child, self.next_oldest
        for folder in reversed(self.forest.by_age()):
            parent = parents[folder]
            if parent == NONE:
                next_oldest[folder], self.oldest_root = self.oldest_root, folder
            else:
                next_oldest[folder] = oldest_child[parent]
                oldest_child[parent] = folder

    def _siblings(self, oldest: int) -> Iterator[int]:
        """Yield a folder and the others of its parent, the oldest first."""
        while oldest != NONE:
            yield oldest
            oldest = self.next_oldest[oldest]

    def merge_roots(self, different_roots: DifferentRootsPolicy) -> None:
        names = self.forest.names
        for root in self._siblings(self.oldest_root):
            if names[root] == NONE:
                self.staying.append(root)
                continue
            if self.top == NONE:
                self.top = self.first_named[names[root]] = root
            same = names[root] == names[self.top]
            self.roots_differ |= not same
            if not same and different_roots == DifferentRootsPolicy.NEST:
                self.nested.append(root)
                continue
            survivor = self.top
            if not same and different_roots == DifferentRootsPolicy.KEEP:
                survivor = self.first_named[names[root]]
                if survivor == NONE:
                    survivor = self.first_named[names[root]] = root
            if survivor == root:
                self.staying.append(root)
            else:
                self.fates.remove(root, survivor)
        self.fates.grouped = array("i", filter(self.fates.takes_in, self.staying))  # by their own age
        self.roots = [root for root in self.staying if self.fates.takes_in(root) or (self.nested and root == self.top)]

    def descend(self) -> None:
        for folder in self.staying:  # grows as it is walked, hence no recursion
            oldest = self.oldest_child[folder]
            if self.fates.takes_in(folder) or folder == self.top:
                self._merge_children(folder, chain(self._siblings(oldest), self._arriving(folder)))
            elif oldest != NONE:
                self._merge_children(folder, self._siblings(oldest))

    def left_alone(self) -> tuple[str, ...]:
        if len(self.staying) + self.fates.removals == self.forest.size:
            return ()
        reached = bytearray(len(self.forest.keys))
        for folder in self.staying:
            reached[folder] = True
        folders = (folder for folder in self.forest.by_age() if not reached[folder] and self.fates.into[folder] == NONE)
        return tuple(sorted(map(self.forest.keys.__getitem__, folders)))

    def _arriving(self, folder: int) -> Iterable[int]:
        """Return what comes from the folders that become this one, and nested roots, the oldest first."""
        several: list[Iterable[int]] = [
            self._siblings(self.oldest_child[twin])
            for twin in self.fates.removed(folder)
            if self.oldest_child[twin] != NONE
        ]
        if folder == self.top and self.nested:
            several.append(self.nested)
        if self.forest.size < _MANY or len(several) > _FEW:
            return sorted(chain.from_iterable(several), key=self.forest.ages.__getitem__)
        return merge(*several, key=self.forest.ages.__getitem__) if several else ()

    def _merge_children(self, parent: int, children: Iterable[int]) -> None:
        fates, staying, names, first_named = self.fates, self.staying, self.forest.names, self.first_named
        parents = fates.parents
        for child in children:
            name = names[child]
            if name != NONE:
                first = first_named[name]
                if first != NONE and parents[first] == parent:
                    fates.remove(child, first)
                    continue
                first_named[name] = child
            staying.append(child)
            if parents[child] != parent:
                fates.move(child, parent)
