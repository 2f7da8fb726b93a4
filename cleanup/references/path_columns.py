"""Columns of the folder table that repeat a folder's place in its tree, by type and name, and by values. Pure.

A merge moves folders to another parent, and what repeats the place is wrong from then on: paths, lists of ancestors or
children, nested numbers, and counts of children or files. Depths are not changed by a merge, unless root folders are
nested; they are named beside others because the program that keeps those keeps these.

Note [Telling by values]. A sample of folders is compared with their parents. A text is a sign if it begins or ends
with the parent's text and is longer, unless it is only another spelling of the name; or if it holds the parent's key,
or the parent's holds the child's. A UUID in a text is not a coincidence, so one in a hundred is enough; a small number
or a word may be, so nearly all must match, and in more than one way. Two numbers are a sign if the child's interval
lies within the parent's in all rows, and siblings lie apart or every interval has the even inside of gapless numbering.
A number is a sign if it is nearly always how many folders, or files, or both lie in the folder, and not always none.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from cleanup.backends.catalogue import Column, TableName
from cleanup.backends.probes import KeyKind
from cleanup.references.problem import Problem
from cleanup.references.words import split_glued, vocabulary, words_of

# By name.

_PATH = frozenset({"path", "paths", "mpath", "treepath", "fullpath", "pathname", "ltree"})
_BESIDE_PATH = vocabulary(
    "full tree mat materialized materialised m node folder folders directory dir parent parents cache cached id ids pk"
    " pks key keys name names slug slugs display absolute abs relative rel hierarchy hierarchical url text lower hash"
    " virtual logical complete tn ancestor ancestors root category length mp lt str string"
)
_RELATIVES = vocabulary(
    "ancestor ancestors ancestry descendant descendants lineage breadcrumb breadcrumbs crumbs hierarchy children child"
    " subfolder subfolders sibling siblings numchild leaf subtree"
)
_BESIDE_RELATIVES = _BESIDE_PATH | vocabulary(
    "tn list count counts counter number num n nb no total has is all direct depth level path json array order trail"
    " title titles label labels cnt"
)
_WHOLE_NAMES = frozenset({("complete", "name"), ("full", "name"), ("fullname",), ("full", "slug"), ("full", "title")})
_COMPUTED_BY_TREENODE = frozenset({"level", "depth", "index", "order"})
_DEPTHS = frozenset({"level", "depth", "lvl", "lev", "tier", "generation"})
_VOCABULARY = _PATH | (_BESIDE_RELATIVES - {"m", "n", "lt", "no"}) | _RELATIVES | _DEPTHS

_LEFT = re.compile(r"(?P<before>n|tree|node|ns|tn|nested|set|mptt)?_?(?P<side>lft|left|lhs)_?(?P<after>\w*)")
_RIGHTS = {"lft": ("rght", "rgt", "right"), "left": ("right", "rght", "rgt"), "lhs": ("rhs",)}
_AFTER_SIDE = frozenset(
    {"", "key", "val", "value", "id", "idx", "index", "edge", "bound", "no", "num", "number", "pos", "position", "node"}
)


def named(columns: Sequence[Column], *, nests: bool = False) -> set[str]:
    """Return the columns whose type or name shows that they repeat the place in the tree.

    ``nests``: root folders are moved into others, which changes depths.
    """
    found = {column.name for column in columns if _is_path(column)} | set(_nested(columns))
    if found or nests:
        found |= {column.name for column in columns if _is_depth(column.name) and _holds_numbers(column)}
    return found


def _is_path(column: Column) -> bool:
    if column.type.rpartition(".")[2].removesuffix("[]").strip('"') == "ltree":
        return True
    whole = words_of(column.name)
    words = set(split_glued(whole, _VOCABULARY))
    if whole in _WHOLE_NAMES:
        return True
    if words & _PATH and words <= _PATH | _BESIDE_PATH | _RELATIVES:
        return True
    if words & _RELATIVES and words <= _RELATIVES | _BESIDE_RELATIVES:
        return not (words <= {"child", "children", "parent", "id", "key"} and column.type.lower() == "uuid")
    return "tn" in words and len(words) == 2 and bool(words & _COMPUTED_BY_TREENODE)


def _is_depth(name: str) -> bool:
    words = set(split_glued(words_of(name), _DEPTHS | {"tree", "node", "tn"}))
    return bool(words & _DEPTHS) and words <= _DEPTHS | {"tree", "node", "tn", "ns", "folder", "n"}


def _nested(columns: Sequence[Column]) -> Iterator[str]:
    """Yield pairs of numbers named as the two sides of nested sets, and the tree that they count in."""
    numbers = _numbers_by_spelling(columns)
    for left, right in nested_pairs(columns):
        yield from (left, right)
    for spelling, name in numbers.items():
        match = _LEFT.fullmatch(spelling)
        if match is None or match["after"] not in _AFTER_SIDE:
            continue
        if match["side"] == "lft" and {"tree_id", "level"} & set(numbers):
            yield name
        for tree in ("tree_id", "treeid", "tree"):
            if tree in numbers:
                yield numbers[tree]


def nested_pairs(columns: Sequence[Column]) -> Iterator[tuple[str, str]]:
    """Yield pairs of numbers named as the two sides of nested sets."""
    numbers = _numbers_by_spelling(columns)
    for spelling, name in numbers.items():
        match = _LEFT.fullmatch(spelling)
        if match is not None and match["after"] in _AFTER_SIDE:
            for right in _RIGHTS[match["side"]]:
                other = numbers.get(spelling.replace(match["side"], right))
                if other is not None:
                    yield name, other


def depths_among(columns: Sequence[Column]) -> list[str]:
    """Return the numbers named as depths."""
    return [column.name for column in columns if _is_depth(column.name) and _holds_numbers(column)]


def _numbers_by_spelling(columns: Sequence[Column]) -> dict[str, str]:
    return {"_".join(words_of(column.name)): column.name for column in columns if _holds_numbers(column)}


def _holds_numbers(column: Column) -> bool:
    declared = column.type.lower().partition("(")[0]
    return "interval" not in declared and any(
        word in declared for word in ("int", "numeric", "decimal", "number", "real", "double", "float", "serial")
    )


def problem(table: TableName, columns: Sequence[str], *, why: str = "", setting: str = "") -> Problem:
    """Report columns that a merge would make wrong.

    ``why``: the evidence in their values; ``setting``: that of the ready hooks that keep them.
    """
    places = [f"{table}.{column}" for column in columns]
    entries = " and ".join(f'"{place}"' for place in places)
    verb, them = ("looks", "it") if len(columns) == 1 else ("look", "them")
    because = f" ({why})" if why else ""
    own = f'CLEANUP_TREE_HOOK = "package.module.function", a function that computes {them} again'
    hook = f"{setting} (see the manual's path columns), which keeps {them}" if setting else own
    return Problem(
        "path_column",
        str(table),
        ", ".join(columns),
        f"{' and '.join(places)} {verb} like a path in the tree{because}, which a merge would make wrong. Set "
        f"{hook}, or add {entries} to CLEANUP_IGNORED_COLUMNS if nothing depends on {them}.",
    )


def problem_of_flat(table: TableName, columns: Sequence[str]) -> Problem:
    """Report columns that tell where folders lie, although settings say that they lie in no others."""
    places = " and ".join(f"{table}.{column}" for column in columns)
    entries = ", ".join(f'"{table}.{column}"' for column in columns)
    return Problem(
        "path_column",
        str(table),
        ", ".join(columns),
        f"A tree in which only a path tells the parent cannot be cleaned up: CLEANUP_FOLDER_FIELDS names no parent, "
        f"and {places} {'looks' if len(columns) == 1 else 'look'} like a path. Name the field of the parent, or add "
        f"{entries} to CLEANUP_IGNORED_COLUMNS if no folder lies in another one.",
    )


def problem_of_key(table: TableName, key: str, *, why: str) -> Problem:
    """Report a folder key that repeats the place in the tree."""
    return Problem(
        "path_column",
        str(table),
        key,
        f"{table}.{key}, the key of folders, looks like a path in the tree ({why}). A folder that is moved would need "
        f'another key, which a cleanup gives to none. Add "{table}.{key}" to CLEANUP_IGNORED_COLUMNS if nothing '
        f"reads the place in the tree from keys.",
    )


# By values.

_NO_TEXT = re.compile(
    r"bool|timestamp|date|time|interval|uuid$|guid|bytea|blob|binary|money|inet|cidr|macaddr|tsvector|point|polygon|"
    r"geometry|geography|^bit|char\(32\)$"
)

#: Maximum number of numeric columns that are compared in pairs.
MOST_NUMBERS = 12


def candidates(columns: Iterable[Column]) -> list[Column]:
    """Return the columns whose values could repeat the place in the tree."""
    found, numbers = [], 0
    for column in columns:
        if _holds_numbers(column) and not column.type.endswith("[]"):
            numbers += 1
            if numbers <= MOST_NUMBERS:
                found.append(column)
        elif column.type.endswith("[]") or not _NO_TEXT.search(column.type.lower()):
            found.append(column)
    return found


class Family(NamedTuple):
    """A folder and its parent, by key and name, and the texts of the same columns in both."""

    key: str
    parent: str
    name: str
    parent_name: str
    own: tuple[str | None, ...]
    above: tuple[str | None, ...]

    @classmethod
    def of(cls, row: Sequence[str | None]) -> "Family":
        """Return a family as it was sampled."""
        key, parent, name, parent_name, *texts = row
        return cls(key or "", parent or "", name or "", parent_name or "", tuple(texts[::2]), tuple(texts[1::2]))


@dataclass(frozen=True, slots=True)
class Sign:
    """Why a column, or two columns together, are taken to repeat the place in the tree."""

    columns: tuple[str, ...]
    why: str


def telling(columns: Sequence[Column], families: Sequence[Family], *, keys: KeyKind, longest: int) -> list[Sign]:
    """Return the columns whose values repeat the place in the tree. See Note [Telling by values]."""
    found = []
    numbers = {}
    for place, column in enumerate(columns):
        if _holds_numbers(column) and not column.type.endswith("[]"):
            numbers[column.name] = place
            continue
        sign = _sign_of_text(place, families, keys=keys, longest=longest)
        if sign is not None:
            found.append(Sign((column.name,), sign))
    return [*found, *_intervals(numbers, families)]


def _sign_of_text(place: int, families: Sequence[Family], *, keys: KeyKind, longest: int) -> str | None:
    compared = longer = 0
    holding, held = _Keys(keys), _Keys(keys)
    for family in families:
        own, above = family.own[place], family.above[place]
        if own and (len(own) < longest or holding.holds(own, family.parent)):
            holding.add(own, family.parent, family.key)
        if above and (len(above) < longest or held.holds(above, family.key)):
            held.add(above, family.key, family.parent)
        if own and above and max(len(own), len(above)) < longest and _spelled(own) != _spelled(family.name):
            compared += 1
            longer += len(own) > len(above) and (own.startswith(above) or own.endswith(above))
    for of, whose in ((holding, "the parent's key"), (held, "the keys of children")):
        if of.tells:
            return f"it holds {whose} in {of.hits:,} of {of.seen:,} examined folders"
    if compared > 1 and longer * 4 >= compared * 3:
        return f"in {longer:,} of {compared:,} examined folders, the parent's value is a part of it"
    return None


@lru_cache(maxsize=1024)  # defaults and frequent names occur in most rows
def _spelled(text: str) -> str:
    """Return only the letters and digits, because a slug is a name in another spelling."""
    return "".join(filter(str.isalnum, text.casefold()))


@dataclass(slots=True)
class _Keys:
    """How often the key of a relative occurs in a column's values."""

    kind: KeyKind
    seen: int = 0
    hits: int = 0
    hit: set[str] = field(default_factory=set)
    """Keys that occurred."""
    values: set[str] = field(default_factory=set)
    """Values in which they did."""
    whole: int = 0
    """Values that consist of the one key: a reference rather than a path."""
    plain: int = 0
    """Values made of keys alone, with the row's own at one end, or closed in as in ``/1/2/`` and ``[1, 2]``."""

    def holds(self, value: str, key: str) -> bool:
        """Return whether the value contains the key, not as a part of another one."""
        if self.kind == "uuid":
            return key.replace("-", "") in _uuids(value)
        if self.kind == "integer":
            return key in _numbers(value)
        return _stands_in(key, value)

    def add(self, value: str, key: str, own: str) -> None:
        """Count a value that may hold the key; ``own`` is the key of the row that the value is of."""
        self.seen += 1
        if not self.holds(value, key):
            return
        self.hits += 1
        self.hit.add(key)
        self.values.add(value)
        self.whole += _bare(value) == _bare(key)
        self.plain += self._is_made_of_keys(value, own)

    def _is_made_of_keys(self, value: str, own: str) -> bool:
        if self.kind != "integer":
            return _bare(value).endswith(_bare(own)) or not value[-1].isalnum()
        if re.search(r"[^\W\d_]", value):
            return False
        tokens = _numbers(value)
        return own in (tokens[0], tokens[-1]) or not (value[0].isdigit() or value[-1].isdigit())

    @property
    def tells(self) -> bool:
        """Return whether that is not a coincidence."""
        if not self.hits or self.whole == self.hits:
            return False
        if self.kind == "uuid":
            return self.hits * 100 >= self.seen
        if len(self.values) == 1:
            return self.hits == self.seen == self.plain
        return self.hits * 10 >= self.seen * 9 and (len(self.hit) > 2 or self.plain == self.hits)


_UUID = re.compile(r"[0-9a-f]{8}[-_]?(?:[0-9a-f]{4}[-_]?){3}[0-9a-f]{12}")
_DIGITS = re.compile(r"\d{1,19}")


@lru_cache(maxsize=1024)
def _uuids(value: str) -> frozenset[str]:
    return frozenset(found.replace("-", "").replace("_", "") for found in _UUID.findall(value.lower()))


def _numbers(value: str) -> list[str]:
    return [str(int(found)) for found in _DIGITS.findall(value)]


def _stands_in(key: str, value: str) -> bool:
    return key in value and bool(re.search(rf"(?<![^\W_]){re.escape(key)}(?![^\W_])", value))


def _bare(value: str) -> str:
    return value.strip("{}[]()\"' ").replace("-", "").lower()


# Counts.

_COUNTS = ("how many folders lie in it", "how many files lie in it", "how many folders and files lie in it")


def candidates_for_counts(columns: Iterable[Column]) -> list[Column]:
    """Return the columns that could count what lies in a folder."""
    return [column for column in columns if _holds_numbers(column) and not column.type.endswith("[]")]


def counts(columns: Sequence[Column], contents: Sequence[tuple[int, int, tuple[str | None, ...]]]) -> Iterator[Sign]:
    """Yield the columns that count what lies in a folder: of each folder the folders and files, and the values."""
    for place, column in enumerate(columns):
        for number, what in enumerate(_COUNTS):
            seen = [
                ((folders, files, folders + files)[number], value)
                for folders, files, values in contents
                if (value := values[place]) is not None
            ]
            same = [count for count, value in seen if _is_number(value, count)]
            if len(same) * 10 >= len(seen) * 9 and sum(map(bool, same)) > _FEW and len(set(same)) > 1:
                yield Sign((column.name,), f"it is {what} in {len(same):,} of {len(seen):,} examined folders")
                break


def _is_number(value: str, number: int) -> bool:
    try:
        return float(value) == number
    except ValueError:
        return False


# Nested numbers.


class _Interval(NamedTuple):
    low: float
    high: float


def _intervals(numbers: dict[str, int], families: Sequence[Family]) -> Iterator[Sign]:
    for low, low_place in numbers.items():
        for high, high_place in numbers.items():
            if low != high and _are_nested(low_place, high_place, families):
                yield Sign((low, high), "the interval between them lies within the parent's")


def _are_nested(low: int, high: int, families: Sequence[Family]) -> bool:
    by_parent: defaultdict[str, list[_Interval]] = defaultdict(list)
    inside = seen = even = 0
    starts = set()
    for family in families:
        own = _interval(family.own[low], family.own[high])
        above = _interval(family.above[low], family.above[high])
        if own is None or above is None:
            continue
        seen += 1
        inside += above.low <= own.low <= own.high <= above.high and own != above
        even += (own.high - own.low) % 2 == 1
        starts.add(own)
        by_parent[family.parent].append(own)
        if seen > _FEW and inside * 2 < seen:
            return False
    if seen < _FEW or inside * 20 < seen * 19 or len(starts) * 10 < seen * 9:
        return False
    apart = [_lie_apart(siblings) for siblings in by_parent.values() if len(siblings) > 1]
    return even == seen or (len(apart) > 1 and all(apart))


_FEW = 3


def _interval(low: str | None, high: str | None) -> _Interval | None:
    try:
        return None if low is None or high is None else _Interval(float(low), float(high))
    except ValueError:
        return None


def _lie_apart(siblings: list[_Interval]) -> bool:
    ordered = sorted(siblings)
    return all(one.high <= other.low for one, other in pairwise(ordered))
