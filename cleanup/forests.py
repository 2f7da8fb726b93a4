"""The folders of one application as columns of numbers, and what a merge makes of them. Pure.

Note [Numbers]. Within a plan, folders and names are numbers, and what is known of folders are columns, arrays by the
folder's number: a tree of a million folders takes some seventy bytes a folder while it is planned, and fifty
afterwards. What a plan holds becomes texts only as it is read.
"""

from abc import abstractmethod
from array import array
from collections.abc import Iterator, Mapping, MutableSequence, Sequence
from itertools import chain, repeat
from typing import NamedTuple, TypeVar, overload

from cleanup.packing import UNKNOWN, Numbers, PackedTexts

T = TypeVar("T")

#: What a column holds for no folder; in the column of parents, a root folder has it.
NONE = -1

#: In a hierarchy: what is the parent of folders, but not among them.
_ABSENT = -2

_UNSEEN, _DETACHED, _ATTACHED = range(3)


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


class Forest:
    """The folders of one application; see Note [Numbers].

    A parent that is none of the folders has a number, too, but no age.
    """

    __slots__ = ("ages", "keys", "names", "parents", "size")

    def __init__(self, keys: Numbers, parents: MutableSequence[int], names: Sequence[int], ages: Sequence[int]) -> None:
        self.keys = keys
        self.parents = parents
        self.names = names
        """The number of a live folder's name, NONE of other folders."""
        self.ages = ages
        """From 0, without a gap."""
        self.size = len(ages) - ages.count(NONE)
        """How many folders there are."""

    @property
    def live_roots(self) -> int:
        """How many live folders are roots."""
        return sum(name != NONE and parent == NONE for name, parent in zip(self.names, self.parents, strict=True))

    def twins(self) -> Iterator[int]:
        """Yield the live folders beside which there is one of the same name; of several, all but one."""
        names, parents = self.names, self.parents
        last, before, last_root = column(len(self.keys)), column(len(self.keys)), NONE
        for folder, name in enumerate(names):
            if name != NONE:
                parent = parents[folder]
                if parent == NONE:
                    before[folder], last_root = last_root, folder
                else:
                    before[folder], last[parent] = last[parent], folder
        last.append(last_root)
        seen_in = column(max(names, default=NONE) + 1)
        for parent, youngest in enumerate(last):
            folder = youngest
            while folder != NONE:
                if seen_in[names[folder]] == parent:
                    yield folder
                seen_in[names[folder]] = parent
                folder = before[folder]

    def by_age(self) -> Sequence[int]:
        """Return the numbers of the folders, the oldest first."""
        if isinstance(self.ages, range):
            return self.ages
        ordered = column(self.size)
        for number, age in enumerate(self.ages):
            if age != NONE:
                ordered[age] = number
        return ordered


class ForestMaker:
    """Takes in very many folders, one by one."""

    def __init__(self, keys: Numbers) -> None:
        self._keys = keys
        self._names = PackedTexts()
        self._parents, self._named, self._ages = column(0), column(0), column(0)
        self._size = 0

    def add(self, key: str, parent: str | None, name: str, age: int | None = None, *, live: bool = True) -> None:
        """Add a folder; the ages of all begin with 0, without a gap, or it is younger than the others so far.

        Raises ValueError for a key that was there.
        """
        number = self._keys.number(key)
        above = NONE if parent is None else self._keys.number(parent)
        self._grow()
        if self._ages[number] != NONE:
            raise ValueError("a folder key appears twice")
        self._parents[number], self._ages[number] = above, self._size if age is None else age
        self._size += 1
        if live:
            self._named[number] = self._names.number(name)

    def __contains__(self, key: str) -> bool:
        number = self._keys.find(key)
        return number != UNKNOWN and self._ages[number] != NONE

    def move(self, key: str, parent: str | None) -> None:
        """Let a folder that was added have another parent."""
        above = NONE if parent is None else self._keys.number(parent)
        self._grow()
        self._parents[self._keys.find(key)] = above

    def _grow(self) -> None:
        if new := len(self._keys) - len(self._ages):
            for one in (self._parents, self._named, self._ages):
                one.extend(repeat(NONE, new))

    def forest(self) -> Forest:
        """Return the forest; to know which names are the same, their numbers are enough."""
        return Forest(self._keys, self._parents, self._named, self._ages)


def column(size: int) -> "array[int]":
    """Return a column that holds nothing yet."""
    return array("i", [NONE]) * size


class Hierarchy:
    """The folders of one application with their parents, to find those that no root leads to."""

    __slots__ = ("_keys", "_parents")

    def __init__(self, keys: Numbers) -> None:
        """Take in the numbers of no keys yet."""
        self._keys = keys
        self._parents = column(0)

    def add(self, key: str, parent: str | None) -> None:
        """Add a folder."""
        number = self._keys.number(key)
        above = NONE if parent is None else self._keys.number(parent)
        parents = self._parents
        while len(parents) <= number or len(parents) <= above:
            parents.append(_ABSENT)
        parents[number] = above

    def detached(self) -> Iterator[str]:
        """Yield the folders below a parent that is not among them, and those in or below a cycle."""
        parents = self._parents
        states = bytearray(len(parents))
        for start in range(len(parents)):
            folder, path = start, []
            while folder >= 0 and states[folder] == _UNSEEN:
                states[folder] = _DETACHED  # unless the way leads to a root; a cycle leads back to here
                path.append(folder)
                folder = parents[folder]
            if folder == NONE or (folder >= 0 and states[folder] == _ATTACHED):
                for passed in path:
                    states[passed] = _ATTACHED
        for folder, parent in enumerate(parents):
            if states[folder] == _DETACHED and parent != _ABSENT:
                yield self._keys[folder]


class Fates:
    """What becomes of each folder in a merge; uses up the forest, whose parents it changes."""

    __slots__ = (
        "_ages",
        "_ring",
        "grouped",
        "inside_removed",
        "into",
        "keys",
        "moved",
        "moved_from",
        "parents",
        "removals",
        "roots_removed",
    )

    def __init__(self, forest: Forest) -> None:
        size = len(forest.keys)
        self._ages = forest.ages
        self.keys = forest.keys
        self.parents = forest.parents
        """The parents of folders once it is done."""
        self.into = column(size)
        """The survivors of removed folders."""
        self.grouped = column(0)
        """The survivors, parents before children."""
        self.moved = column(0)
        """The folders that get another parent, in the same order."""
        self.moved_from = column(0)
        """Their parents until then."""
        self._ring = column(size)
        """The removed folders of a group in a ring, and of a survivor the last of them."""
        self.removals = 0
        """How many folders are removed."""
        self.roots_removed = 0
        """How many of them are roots."""
        self.inside_removed = 0
        """How many of them lie directly in another."""

    def remove(self, folder: int, survivor: int) -> None:
        """Let a folder become another one."""
        ring, last = self._ring, self._ring[survivor]
        if last == NONE:
            ring[folder] = folder
            self.grouped.append(survivor)
        else:
            ring[folder] = ring[last]
            ring[last] = folder
        ring[survivor] = folder
        self.into[folder] = survivor
        self.removals += 1
        parent = self.parents[folder]
        if parent == NONE:
            self.roots_removed += 1
        elif self.into[parent] != NONE:
            self.inside_removed += 1

    def move(self, folder: int, parent: int) -> None:
        """Let a folder have another parent."""
        self.moved.append(folder)
        self.moved_from.append(self.parents[folder])
        self.parents[folder] = parent

    def takes_in(self, survivor: int) -> bool:
        """Return whether another folder becomes this one."""
        return self._ring[survivor] != NONE

    def removed(self, survivor: int) -> Iterator[int]:
        """Yield the folders that become this one, in order."""
        last = folder = self._ring[survivor]
        while last != NONE:
            folder = self._ring[folder]
            yield folder
            if folder == last:
                return

    def merged(self, survivor: int) -> tuple[str, list[str]]:
        """Return the keys of a folder and of those that become it, in order."""
        key, folders = self.keys.__getitem__, [*self.removed(survivor)]
        return key(survivor), [*map(key, folders)]

    def nested(self) -> Iterator[tuple[str, str]]:
        """Yield the keys of roots that get a parent, each with it."""
        for folder, parent in zip(self.moved, self.moved_from, strict=True):
            if parent == NONE:
                yield self.keys[folder], self.keys[self.parents[folder]]

    def key(self, folder: int) -> str | None:
        """Return the key of a folder, None for the parent of a root."""
        return None if folder == NONE else self.keys[folder]

    def staying(self) -> "Staying":
        """Return the folders that are not removed, to be looked for afterwards."""
        due = bytearray(len(self.keys))
        for folder, age in enumerate(self._ages):
            due[folder] = age != NONE and self.into[folder] == NONE
        return Staying(self.keys, self.parents, due)


class Staying:
    """The folders that stay, and where they should be; each is ticked off once it has been seen there."""

    __slots__ = ("_due", "_keys", "_parents")

    def __init__(self, keys: Numbers, parents: Sequence[int], due: bytearray) -> None:
        self._keys = keys
        self._parents = parents
        self._due = due

    def __len__(self) -> int:
        """Return how many have not been seen."""
        return self._due.count(1)

    def tick_off(self, folder: str, parent: str | None) -> bool:
        """Return whether this folder should be there, and has not been seen before."""
        number = self._keys.find(folder)
        if number == UNKNOWN or not self._due[number]:
            return False
        self._due[number] = 0
        return self._parents[number] == (NONE if parent is None else self._found(parent))

    def _found(self, parent: str) -> int | None:
        number = self._keys.find(parent)
        return None if number == UNKNOWN else number


class _View(Sequence[T]):
    """Equal to the tuple of what it yields."""

    __slots__ = ("_fates",)

    def __init__(self, fates: Fates) -> None:
        self._fates = fates

    @abstractmethod
    def _one(self, place: int) -> T:
        """Return what stands at a place."""

    def __iter__(self) -> Iterator[T]:
        return map(self._one, range(len(self)))

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        if isinstance(place, slice):
            return tuple(map(self._one, range(*place.indices(len(self)))))
        return self._one(place)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, tuple | _View) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


class Groups(_View[Group]):
    """The groups of a merge."""

    def __len__(self) -> int:
        return len(self._fates.grouped)

    def _one(self, place: int) -> Group:
        fates = self._fates
        survivor = fates.grouped[place]
        removed = tuple(map(fates.keys.__getitem__, fates.removed(survivor)))
        parent = fates.key(fates.parents[survivor])
        return Group(fates.keys[survivor], removed, parent is None, parent)


class Moves(_View[Move]):
    """The moves of a merge."""

    def __len__(self) -> int:
        return len(self._fates.moved)

    def _one(self, place: int) -> Move:
        fates = self._fates
        folder = fates.moved[place]
        return Move(fates.keys[folder], fates.key(fates.moved_from[place]), fates.keys[fates.parents[folder]])


class Removed(Mapping[str, str]):
    """Each removed folder with the one that stays."""

    __slots__ = ("_fates",)

    def __init__(self, fates: Fates) -> None:
        self._fates = fates

    def __len__(self) -> int:
        return self._fates.removals

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._fates.merged(survivor)[1] for survivor in self._fates.grouped)

    def __getitem__(self, key: str) -> str:
        folder = self._fates.keys.find(key)
        if folder == UNKNOWN or self._fates.into[folder] == NONE:
            raise KeyError(key)
        return self._fates.keys[self._fates.into[folder]]


class Survivors(Mapping[str, str]):
    """The same, taken in one by one: a folder that is given twice has the survivor that it was given last."""

    __slots__ = ("_into", "_keys")

    def __init__(self, keys: Numbers) -> None:
        """Take in the numbers of no keys yet."""
        self._keys = keys
        self._into = column(0)

    def add(self, folder: str, survivor: str) -> None:
        """Add a removed folder with the one that stays."""
        number, into = self._keys.number(folder), self._keys.number(survivor)
        self._into.extend(repeat(NONE, len(self._keys) - len(self._into)))
        self._into[number] = into

    def __len__(self) -> int:
        return len(self._into) - self._into.count(NONE)

    def __iter__(self) -> Iterator[str]:
        return (self._keys[folder] for folder, into in enumerate(self._into) if into != NONE)

    def __getitem__(self, key: str) -> str:
        folder = self._keys.find(key)
        if folder == UNKNOWN or self._into[folder] == NONE:
            raise KeyError(key)
        return self._keys[self._into[folder]]
