"""Parameters and answers of the statements on mapped tables: plain data.

Note [Cells]. A cell is one column's value as text, from which the same value can be restored: PostgreSQL's own text
form under pinned settings, on SQLite the storage class and the value. NULL is None. Keys, changes and images in the
journal are made of cells, and cells are compared as text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from cleanup.backends.catalogue import Table, TableName, UniqueKey
    from cleanup.backends.conditions import Condition
    from cleanup.backends.query import Query

Cell = str | None

#: The name by which a folder without one is planned; no text equals it.
NO_NAME = "\x00"

#: Maximum number of rows whose keys share one snapshot row.
ROWS_PER_SNAPSHOT_ROW = 1000


class ValueChange(NamedTuple):
    """One change of values: the cells before and after, in the order of the target's columns."""

    point: int
    """Id of the rollback point that journals it."""
    old: tuple[str, ...]
    new: tuple[Cell, ...]
    rank: int = 0
    """Position of the removed folder in survivor order, from 1; the survivor has 0."""


@dataclass(frozen=True, slots=True)
class ValueChanges:
    """Many changes, column by column: a change has the same position in every list."""

    points: Sequence[int]
    olds: tuple[Sequence[str], ...]
    news: tuple[Sequence[Cell], ...]
    ranks: Sequence[int]

    @classmethod
    def of(cls, changes: Sequence[ValueChange], *, width: int) -> ValueChanges:
        """Return changes of so many columns."""
        places = range(width)
        return cls(
            [pair.point for pair in changes],
            tuple([pair.old[place] for pair in changes] for place in places),
            tuple([pair.new[place] for pair in changes] for place in places),
            [pair.rank for pair in changes],
        )

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True)
class Target:
    """Columns of one table that change together from old to new: one reference, as the statements need it."""

    table: Table
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """The row key; may contain some of ``columns``."""
    pairs: ValueChanges
    condition: Condition | None = None
    """The condition on rows to be changed; None: all that hold an old value."""
    images: bool = False
    """Triggers of the host fire on this table: journal the whole rows before and after as well."""
    spare: Sequence[Cell] = ()
    """Keys of rows of this table to leave as they are (single-column key): they are about to be removed."""
    of_others: bool = False
    """Leave rows as they are that name themselves (single columns)."""


@dataclass(frozen=True, slots=True)
class RowCount:
    """Rows moved or removed, by rollback point and table."""

    point: int
    table: TableName
    rows: int


class Replaced(NamedTuple):
    """A row, by the cells of its key, some columns of which take other values."""

    point: int
    key: tuple[str, ...]
    olds: tuple[Cell, ...]
    news: tuple[Cell, ...]


class Owner(NamedTuple):
    """An application to which rows of a table belong."""

    table: TableName
    point: int
    application: str
    rows: int


@dataclass(frozen=True, slots=True)
class Keys:
    """Rows by the cells of their keys, column by column, each with the rollback point that journals it."""

    points: Sequence[int]
    columns: tuple[Sequence[str], ...]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, tuple[str, ...]]]) -> Keys:
        """Return the keys of rows, each with its point."""
        return cls([point for point, _ in rows], tuple(zip(*(key for _, key in rows), strict=True)))

    def __len__(self) -> int:
        return len(self.points)


class Forwarding(NamedTuple):
    """Where removed folders went: keys in the product's spelling, column by column."""

    removed: Sequence[str]
    survivors: Sequence[str]
    name: str
    """The column with the name for searches."""
    longest: int
    """Characters of it that are kept."""


@dataclass(frozen=True, slots=True)
class Returned:
    """Rows that a step has removed, as far as they are restored: the same rows, not others with their values."""

    step: int
    columns: Sequence[str]
    """The snapshot schema's, in its order."""
    identity: tuple[str, ...]
    """The columns that identify a row as the same."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the rows of a step in one table."""

    snapshots: Sequence[int]
    """The snapshot rows that describe them."""
    keys: Sequence[tuple[Cell, ...]]


@dataclass(frozen=True, slots=True)
class UndoTarget:
    """Columns of one table whose moves are to be undone."""

    table: Table
    columns: tuple[str, ...]
    key: tuple[str, ...]
    must_exist: tuple[Table, tuple[str, ...]] | None = None
    """Table and columns in which the old values must exist, if some of its rows were not restored."""
    returned: Returned | None = None
    """And only these rows of that table."""
    form: int = 2
    """Format of the snapshot rows; see Note [Form of the journal] in ``cleanup.journal``."""
    rows: int | None = None
    """How many rows have moved according to the journal, if known."""
    part: Part | None = None
    """Undo only the moves of these rows."""


@dataclass(frozen=True, slots=True)
class ReplacementCells:
    """Cells that replace those of removed rows when they come back, in a table with a single-column key."""

    columns: tuple[str, ...] = ()
    cells: Mapping[Cell, tuple[Cell, ...]] = field(default_factory=dict)
    """By key cell, in the order of ``columns``."""


#: Every row comes back as it was.
NO_REPLACEMENTS = ReplacementCells()


@dataclass(frozen=True, slots=True)
class Images:
    """Images of one table's rows in a journal."""

    table: Table
    columns: Sequence[str]
    """The snapshot schema's, in its order."""
    key: tuple[str, ...]
    points: Sequence[int]
    step: int | None
    """None: those of rows that were not removed, but stored by a point taken by hand."""
    left_out: Collection[tuple[Cell, ...]] = ()
    """Without those of these keys."""
    instead: ReplacementCells = NO_REPLACEMENTS
    rows: int | None = None
    """How many there are in all according to the journal, if known."""
    part: Part | None = None
    """Only these."""
    inserted: bool = False
    """Images of rows that were not removed, but inserted."""

    @property
    def uniques(self) -> list[UniqueKey]:
        """The unique keys of the table, other than its rows' key, that an image has all columns of."""
        return [
            unique
            for unique in self.table.uniques
            if set(unique.columns) != set(self.key) and set(unique.columns) <= set(self.columns)
        ]


@dataclass(frozen=True, slots=True)
class StructureTable:
    """A table whose rows belong to an application, and the condition of such a row ``t``."""

    table: Table
    belongs: Query


@dataclass(frozen=True, slots=True)
class RowConflict:
    """One row that was not restored, and why (codes of ``results.Conflict``)."""

    point: int
    table: TableName
    code: str
    key: tuple[Cell, ...]
    column: str = ""
    columns: tuple[str, ...] = ()
    """Of a row that moved: the columns that the cleanup gave new values."""
    news: tuple[Cell, ...] = ()
    """Those values."""
    constraint: str = ""
    """The name of the constraint, if one prevents it."""


class ImageLink(NamedTuple):
    """A removed row that can come back only with, or after, another removed row of its table."""

    point: int
    key: tuple[Cell, ...]
    needs: tuple[Cell, ...]
    column: str
    """The foreign key's columns, joined by ``+``."""


@dataclass(frozen=True, slots=True)
class Restoration:
    """What undoing one step did, and its conflicts."""

    restored: Sequence[RowCount]
    conflicts: Sequence[RowConflict]
