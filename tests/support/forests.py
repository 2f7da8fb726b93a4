"""Make forests of folders, good and broken, and say by a plain recursive model what their merge should give.

The model restates the rule of the merge on nested trees, without regard to speed or depth: use it on small forests. It
shares no code with the planner. Names made here are valid in every database (no NUL, no lone surrogates, at most 255
characters).
"""

import random
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from cleanup.planning import FolderRow, Plan
from cleanup.policies import DifferentRootsPolicy

PLAIN_NAMES = ("Borrower", "Guarantor", "Collateral", "Business")
ODD_NAMES = (
    "",
    " ",
    "borrower",
    "Borrower ",
    "Caf\u00e9",
    "Cafe\u0301",
    "100% {0} %s",
    'O\'Brien "x" \\ ;--',
    "<b>&amp;</b>[red]",
    "tab\tline\nbell\x07",
    "\u202eright-to-left",
    "\U0001f4c1",
    "L" * 255,
)


# --- the model


@dataclass(frozen=True, slots=True)
class Merged:
    """Hold the parent of each folder that stays, the survivor of each that goes, and what is left alone."""

    parents: dict[str, str | None] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    left_alone: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Tree:
    row: FolderRow
    children: "list[_Tree]"


def merge_by_model(rows: Sequence[FolderRow], *, different_roots: DifferentRootsPolicy = "merge") -> Merged:
    """Merge the folders of one application by the recursive model."""
    merged = Merged()
    trees = [_tree(row, rows) for row in rows if row.parent is None]
    inside = {key for tree in trees for key in _keys(tree)}
    for row in rows:
        if row.key not in inside:
            merged.left_alone.add(row.key)
            merged.parents[row.key] = row.parent
    live = sorted((tree for tree in trees if tree.row.live), key=lambda tree: tree.row.age)
    if different_roots == "refuse" and len({tree.row.name for tree in live}) > 1:
        merged.parents.update({row.key: row.parent for row in rows})
        return merged
    for tree in trees:
        if not tree.row.live:
            _merge([tree], None, merged)
    if live and different_roots == "keep":
        for name in {tree.row.name for tree in live}:
            _merge([tree for tree in live if tree.row.name == name], None, merged)
    elif live:
        nested = [tree for tree in live if different_roots == "nest" and tree.row.name != live[0].row.name]
        group = [tree for tree in live if not any(tree is other for other in nested)]
        _merge([_Tree(group[0].row, group[0].children + nested), *group[1:]], None, merged)
    return merged


def _tree(row: FolderRow, rows: Sequence[FolderRow]) -> _Tree:
    return _Tree(row, [_tree(child, rows) for child in rows if child.parent == row.key])


def _keys(tree: _Tree) -> list[str]:
    return [tree.row.key] + [key for child in tree.children for key in _keys(child)]


def _merge(group: list[_Tree], parent: str | None, merged: Merged) -> None:
    """Make one folder of a group, under `parent`, then do the same with each name among the children of its members."""
    survivor, *others = sorted(group, key=lambda tree: (tree.row.parent != parent, tree.row.age))
    merged.parents[survivor.row.key] = parent
    for other in others:
        merged.removed[other.row.key] = survivor.row.key
    children = [child for member in group for child in member.children]
    for child in children:
        if not child.row.live:
            _merge([child], survivor.row.key, merged)
    for name in {child.row.name for child in children if child.row.live}:
        _merge([child for child in children if child.row.live and child.row.name == name], survivor.row.key, merged)


# --- carrying out a plan


def apply_plan(rows: Iterable[FolderRow], plan: Plan) -> list[FolderRow]:
    """Give the folders as they are once the plan has been carried out."""
    parents = {move.folder: move.new_parent for move in plan.moves}
    return [row._replace(parent=parents.get(row.key, row.parent)) for row in rows if row.key not in plan.removed]


# --- forests for hypothesis


@st.composite
def forests(draw: st.DrawFn, *, max_size: int = 14) -> list[FolderRow]:
    """Draw forests rich in duplicates, some with cycles, missing parents or folders that are not live."""
    size = draw(st.integers(0, max_size))
    ages = draw(st.permutations(range(size)))
    some_dead = draw(st.booleans())
    broken = draw(st.booleans())
    names = st.one_of(st.sampled_from("ab"), st.sampled_from("ab"), st.sampled_from(ODD_NAMES[:6]))
    rows = []
    for number in range(size):
        within = st.integers(0, (size if broken else max(number, 1)) - 1).map(str)
        parents = st.one_of(st.none(), within, within, within) if number else st.none()
        if broken:
            parents = st.one_of(parents, within, st.just("missing"))
        live = not some_dead or draw(st.integers(0, 3)) > 0
        rows.append(FolderRow(str(number), draw(parents), draw(names), ages[number], live))
    return rows


# --- forests by seed, for tests that fill databases


@dataclass(frozen=True, slots=True)
class Folder:
    """Describe one folder as a database would hold it; `created` is in seconds, None for null."""

    key: str
    parent: str | None
    name: str
    created: int | None
    live: bool = True


def random_folders(
    rng: random.Random,
    *,
    size: int | None = None,
    roots: int | None = None,
    names: Sequence[str] = PLAIN_NAMES,
    odd_names: float = 0.1,
    null_created: float = 0.2,
    broken: float = 0.0,
    dead: float = 0.0,
    foreign: Sequence[str] = (),
) -> list[Folder]:
    """Make the folders of one application, in random order, keyed by UUID.

    `odd_names`, `null_created`, `broken` and `dead` are shares between 0 and 1. A broken folder hangs under a folder of
    `foreign` (keys of other applications), under a missing one, or in a cycle. Creation times repeat now and then.
    """
    size = rng.randint(1, 30) if size is None else size
    roots = rng.choice((1, 1, 2, 3, 13)) if roots is None else roots
    keys = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(size)]
    folders = []
    for number, key in enumerate(keys):
        parent = None if number < roots else keys[rng.randrange(number)]
        if rng.random() < broken:
            missing = str(uuid.UUID(int=rng.getrandbits(128), version=4))
            itself_or_later = keys[rng.randrange(number, size)]
            parent = rng.choice([missing, itself_or_later, *(rng.sample(foreign, 1) if foreign else ())])
        name = rng.choice(ODD_NAMES if rng.random() < odd_names else names)
        created = None if rng.random() < null_created else rng.randrange(2 * size)
        folders.append(Folder(key, parent, name, created, rng.random() >= dead))
    rng.shuffle(folders)
    return folders


def ranked(folders: Iterable[Folder]) -> list[FolderRow]:
    """Give the rows the planner takes, with ages as the database ranks them: by creation, nulls last, then by key."""
    by_age = sorted(folders, key=lambda folder: (folder.created is None, folder.created or 0, folder.key))
    return [FolderRow(folder.key, folder.parent, folder.name, age, folder.live) for age, folder in enumerate(by_age)]


def random_forest(
    rng: random.Random,
    *,
    size: int | None = None,
    roots: int | None = None,
    broken: float = 0.1,
    dead: float = 0.1,
) -> list[FolderRow]:
    """Make planner rows by seed, in random order; see `random_folders`."""
    rows = ranked(random_folders(rng, size=size, roots=roots, broken=broken, dead=dead))
    rng.shuffle(rows)
    return rows
