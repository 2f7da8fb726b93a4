"""The columns that repeat a folder's place in its tree, by the convention in which they do. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleanup.backends.catalogue import TableName


def _present(*columns: str | None) -> tuple[str, ...]:
    return tuple(column for column in columns if column is not None)


class _InFolders:
    """What stands in columns of the folder table itself."""

    __slots__ = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the folder table that are written."""
        raise NotImplementedError

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are only read."""
        return ()


@dataclass(frozen=True, slots=True)
class NestedNumbers(_InFolders):
    """Two numbers between which lie those of all that is below, without a gap; counted in each tree or in all."""

    left: str
    right: str
    tree: str | None = None
    """The number of the tree; None: one count goes through the whole table."""
    level: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return _present(self.left, self.right, self.tree, self.level)


@dataclass(frozen=True, slots=True)
class WrittenPath(_InFolders):
    """A text of what stands for the ancestors, and for the folder itself if ``own``."""

    path: str
    of: str
    """What stands for a folder: ``key``; ``hex``, a UUID without hyphens; or the name of a column."""
    separator: str = "/"
    leading: bool = False
    """The text begins with the separator."""
    trailing: bool = False
    own: bool = True
    depth: str | None = None
    children: str | None = None
    """The number of children."""

    @property
    def columns(self) -> tuple[str, ...]:
        return _present(self.path, self.depth, self.children)

    @property
    def read(self) -> tuple[str, ...]:
        return () if self.of in ("key", "hex") else (self.of,)


@dataclass(frozen=True, slots=True)
class SteppedPath(_InFolders):
    """A text of steps of one length, each a number among siblings, written in an alphabet (treebeard)."""

    path: str
    step: int
    alphabet: str
    depth: str | None = None
    children: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return _present(self.path, self.depth, self.children)


@dataclass(frozen=True, slots=True)
class LabelPath(_InFolders):
    """PostgreSQL's ltree: the parent's path and a label that a folder keeps."""

    path: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.path,)


@dataclass(frozen=True, slots=True)
class ClosureTable:
    """A table with a row for each folder and each of its ancestors, and for itself if ``own``."""

    table: TableName
    ancestor: str
    descendant: str
    depth: str | None = None
    own: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the closure table that are written."""
        return _present(self.ancestor, self.descendant, self.depth)


#: What repeats the place in columns of the folder table itself.
FolderColumns = NestedNumbers | WrittenPath | SteppedPath | LabelPath
TreeColumns = FolderColumns | ClosureTable


def counts_through(columns: TreeColumns) -> bool:
    """Return whether one count goes through the whole folder table."""
    return isinstance(columns, NestedNumbers) and columns.tree is None
