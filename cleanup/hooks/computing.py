"""What the columns that repeat a folder's place should hold, computed from the tree. Pure.

Everything here walks without recursion, in time that grows with the folders (and with the length of paths). A tree
whose columns are right stays as it is; a root keeps its number or path, and what hangs below a new parent comes after
what is there.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cleanup.backends.tree_columns import FolderColumns, LabelPath, NestedNumbers, SteppedPath, WrittenPath
from cleanup.exceptions import ProofFailed

Value = str | int | None


@dataclass(frozen=True, slots=True)
class Node:
    """A folder, with what its columns hold as text."""

    key: str
    parent: str | None
    values: Mapping[str, str | None]

    def number(self, column: str | None) -> int | None:
        """Return what a column holds as a number, if it is one."""
        text = None if column is None else self.values[column]
        return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None


class StepsExhausted(ProofFailed):
    """Folder {folder_id} has more children than steps of this length and alphabet can number; nothing was changed."""


@dataclass(slots=True)
class Forest:
    """Whole trees."""

    roots: list[Node] = field(default_factory=list)
    children: defaultdict[str, list[Node]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> "Forest":
        """Return the trees of folders; what has a parent elsewhere is a root."""
        listed = list(nodes)
        keys = {node.key for node in listed}
        forest = cls()
        for node in listed:
            if node.parent in keys and node.parent is not None:
                forest.children[node.parent].append(node)
            else:
                forest.roots.append(node)
        return forest

    def downward(self) -> Iterator[tuple[Node, Node | None]]:
        """Yield each folder after its parent, with the parent."""
        waiting: list[tuple[Node, Node | None]] = [(root, None) for root in self.roots]
        while waiting:
            node, above = waiting.pop()
            yield node, above
            waiting += [(child, node) for child in self.children.get(node.key, ())]


def compute(columns: FolderColumns, forest: Forest, *, take: Callable[[int], int]) -> dict[str, tuple[Value, ...]]:
    """Return what the columns should hold, by folder, in the order of ``columns.columns``.

    ``take`` returns the first of so many numbers of a nested set, or of its trees, that no row of the table has.
    """
    if isinstance(columns, NestedNumbers):
        return _Numbering(columns, forest, take).run()
    if isinstance(columns, WrittenPath):
        return _written(columns, forest)
    if isinstance(columns, SteppedPath):
        return _stepped(columns, forest)
    return _labelled(columns, forest)


def differing(
    columns: FolderColumns, forest: Forest, *, take: Callable[[int], int]
) -> Iterator[tuple[Node, tuple[Value, ...]]]:
    """Yield the folders whose columns hold something else, with what they should hold."""
    should = compute(columns, forest, take=take)
    for node, _ in forest.downward():
        values = should.get(node.key)
        if values is None:
            continue
        held = [
            node.number(name) if isinstance(new, int) else node.values[name] for name, new in _paired(columns, values)
        ]
        if tuple(held) != values:
            yield node, values


def _paired(columns: FolderColumns, values: tuple[Value, ...]) -> Iterator[tuple[str, Value]]:
    return zip(columns.columns, values, strict=True)


# Nested sets.


class _Numbering:
    """Numbers whole trees."""

    def __init__(self, columns: NestedNumbers, forest: Forest, take: Callable[[int], int]) -> None:
        self.columns = columns
        self.forest = forest
        self.take = take
        self.found: dict[str, tuple[Value, ...]] = {}
        self._end = -math.inf
        """The last number of the trees that have kept theirs, where one count goes through all."""

    def run(self) -> dict[str, tuple[Value, ...]]:
        trees: set[int] = set()
        for root in sorted(self.forest.roots, key=self._place):
            tree = root.number(self.columns.tree)
            if self.columns.tree is not None and (tree is None or tree in trees):
                tree = self.take(1)
            trees |= set() if tree is None else {tree}
            self._number(root, self._first(root), tree)
        return self.found

    def _first(self, root: Node) -> int:
        """Return the root's number: the one that it has, unless its tree would then reach into others."""
        left, right = root.number(self.columns.left), root.number(self.columns.right)
        if self.columns.tree is not None:
            return max(1, left or 1)
        needed = 2 * self._size(root)
        if left is None or right is None or left <= self._end or needed > right - left + 1:
            return self.take(needed)
        self._end = left + needed - 1
        return left

    def _size(self, root: Node) -> int:
        count, waiting = 0, [root]
        while waiting:
            count += 1
            waiting += self.forest.children.get(waiting.pop().key, ())
        return count

    def _number(self, root: Node, first: int, tree: int | None) -> None:
        level = root.number(self.columns.level) or 0
        lefts: list[int] = []
        waiting = [(root, False)]
        for number in range(first, first + 2 * self._size(root)):
            node, ends = waiting.pop()
            if ends:
                left = lefts.pop()
                found = (left, number, tree, level + len(lefts))
                given = (self.columns.left, self.columns.right, self.columns.tree, self.columns.level)
                values = tuple(value for value, column in zip(found, given, strict=True) if column is not None)
                self.found[node.key] = values
            else:
                lefts.append(number)
                waiting.append((node, True))
                waiting += [(child, False) for child in reversed(self._ordered(node))]

    def _ordered(self, parent: Node) -> list[Node]:
        """Return the children in their order: those that lie within the parent's numbers, then those that came."""
        tree, left, right = (parent.number(name) for name in (self.columns.tree, self.columns.left, self.columns.right))

        def place(child: Node) -> tuple[bool, tuple[float, float, str]]:
            own = child.number(self.columns.left)
            within = own is not None and left is not None and right is not None and left < own < right
            return not within or child.number(self.columns.tree) != tree, self._place(child)

        return sorted(self.forest.children.get(parent.key, ()), key=place)

    def _place(self, node: Node) -> tuple[float, float, str]:
        tree, left = node.number(self.columns.tree), node.number(self.columns.left)
        return (math.inf if tree is None else tree, math.inf if left is None else left, node.key)


# Texts.


def _written(columns: WrittenPath, forest: Forest) -> dict[str, tuple[Value, ...]]:
    joined: dict[str, str] = {}
    depths: dict[str, int] = {}
    found = {}
    start, end = (columns.separator if wanted else "" for wanted in (columns.leading, columns.trailing))
    for node, above in forest.downward():
        element = _element(columns, node)
        joined[node.key] = element if above is None else joined[above.key] + columns.separator + element
        depths[node.key] = _depth(columns.depth, node, None if above is None else depths[above.key])
        path: str | None
        if columns.own:
            path = start + joined[node.key] + end
        elif above is not None:
            path = start + joined[above.key] + end
        else:  # nothing above: however that is written
            path = node.values[columns.path]
            path = path if not path or path == columns.separator else ""
        found[node.key] = _with_counts(columns, path, depths[node.key], forest, node)
    return found


def _element(columns: WrittenPath, node: Node) -> str:
    if columns.of == "key":
        return node.key
    return node.key.replace("-", "") if columns.of == "hex" else node.values[columns.of] or ""


def _depth(column: str | None, node: Node, above: int | None) -> int:
    return node.number(column) or 0 if above is None else above + 1


def _with_counts(
    columns: WrittenPath | SteppedPath, path: str | None, depth: int, forest: Forest, node: Node
) -> tuple[Value, ...]:
    counts = ((depth, columns.depth), (len(forest.children.get(node.key, ())), columns.children))
    return (path, *(value for value, column in counts if column is not None))


def _stepped(columns: SteppedPath, forest: Forest) -> dict[str, tuple[Value, ...]]:
    found: dict[str, tuple[Value, ...]] = {}
    paths = {root.key: root.values[columns.path] for root in forest.roots}
    last = _last_steps(columns, forest)
    for node, _ in forest.downward():
        path = paths.get(node.key)
        if not path or len(path) % columns.step:
            continue  # a root without a path gives none to what is below
        found[node.key] = _with_counts(columns, path, len(path) // columns.step, forest, node)
        for child, step in _steps(columns, node, forest.children.get(node.key, ()), last):
            paths[child.key] = path + step
    return found


def _last_steps(columns: SteppedPath, forest: Forest) -> dict[str, int]:
    """Return the number of the last step below each path that any folder has, or had above it before it moved.

    What comes gets a later one: while rows are written one by one, no path may be there twice.
    """
    last: dict[str, int] = {}
    for node, _ in forest.downward():
        path = node.values[columns.path] or ""
        for start in range(0, len(path), columns.step):
            number = _number_of(path[start : start + columns.step], columns.alphabet)
            last[path[:start]] = max(number, last.get(path[:start], 0))
    return last


def _steps(
    columns: SteppedPath, parent: Node, children: Iterable[Node], last: Mapping[str, int]
) -> Iterator[tuple[Node, str]]:
    """Yield each child with its step: the one that it has below this parent, or the next that is free."""
    above = parent.values[columns.path] or ""
    taken: dict[str, Node] = {}
    coming = []
    for child in sorted(children, key=lambda child: (child.values[columns.path] or "", child.key)):
        path = child.values[columns.path] or ""
        step = path[len(above) :]
        if above and path.startswith(above) and len(step) == columns.step and step not in taken:
            taken[step] = child
        else:
            coming.append(child)
    yield from ((child, step) for step, child in taken.items())
    for number, child in enumerate(coming, last.get(above, 0) + 1):
        step = _step_of(number, columns)
        if len(step) > columns.step:
            raise StepsExhausted(folder_id=parent.key)
        yield child, step


def _number_of(step: str, alphabet: str) -> int:
    number = 0
    for letter in step:
        number = number * len(alphabet) + max(0, alphabet.find(letter))
    return number


def _step_of(number: int, columns: SteppedPath) -> str:
    letters = []
    while number:
        number, digit = divmod(number, len(columns.alphabet))
        letters.append(columns.alphabet[digit])
    return "".join(reversed(letters)).rjust(columns.step, columns.alphabet[0])


def _labelled(columns: LabelPath, forest: Forest) -> dict[str, tuple[Value, ...]]:
    paths: dict[str, str] = {}
    for node, above in forest.downward():
        path = node.values[columns.path]
        label = path.rpartition(".")[2] if path else re.sub(r"\W", "_", node.key)
        paths[node.key] = f"{paths[above.key]}.{label}" if above is not None else path or label
    return {key: (path,) for key, path in paths.items()}
