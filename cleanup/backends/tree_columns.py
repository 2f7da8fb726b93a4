"""The columns that repeat a folder's place in its tree, by the convention in which they do. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleanup.backends.catalogue import TableName


@dataclass(frozen=True, slots=True)
class NestedNumbers:
    """Two numbers between which lie those of all that is below, without a gap; counted in each tree or in all."""

    left: str
    right: str
    tree: str | None = None
    """The number of the tree; None: one count goes through the whole table."""
    level: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the folder table that are written."""
        return tuple(column for column in (self.left, self.right, self.tree, self.level) if column is not None)

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are only read."""
        return ()


@dataclass(frozen=True, slots=True)
class WrittenPath:
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
        """The columns of the folder table that are written."""
        return tuple(column for column in (self.path, self.depth, self.children) if column is not None)

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are only read."""
        return () if self.of in ("key", "hex") else (self.of,)


@dataclass(frozen=True, slots=True)
class SteppedPath:
    """A text of steps of one length, each a number among siblings, written in an alphabet (treebeard)."""

    path: str
    step: int
    alphabet: str
    depth: str | None = None
    children: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the folder table that are written."""
        return tuple(column for column in (self.path, self.depth, self.children) if column is not None)

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are only read."""
        return ()


@dataclass(frozen=True, slots=True)
class LabelPath:
    """PostgreSQL's ltree: the parent's path and a label that a folder keeps."""

    path: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the folder table that are written."""
        return (self.path,)

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are only read."""
        return ()


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
        return tuple(column for column in (self.ancestor, self.descendant, self.depth) if column is not None)


#: What repeats the place in columns of the folder table itself.
FolderColumns = NestedNumbers | WrittenPath | SteppedPath | LabelPath
TreeColumns = FolderColumns | ClosureTable


def counts_through(columns: TreeColumns) -> bool:
    """Return whether one count goes through the whole folder table."""
    return isinstance(columns, NestedNumbers) and columns.tree is None
