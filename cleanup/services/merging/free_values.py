"""Names and numbers that are free, for rows that may take another one to get out of each other's way.

The rows that meet determine what is taken among siblings; nothing is read here.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from cleanup.backends.catalogue import TableName
from cleanup.backends.cells import Cells
from cleanup.backends.changes import Cell, Replaced
from cleanup.backends.collisions import CheckedTable, CollidingRow
from cleanup.numbering import free_name, free_number, loose
from cleanup.policies import NewValuePolicy

_LENGTH = re.compile(r"char[^(]*\((\d+)\)", re.IGNORECASE)

_LARGEST = {"smallint": 2**15 - 1, "int2": 2**15 - 1, "integer": 2**31 - 1, "int4": 2**31 - 1}


class Renumbered(NamedTuple):
    """A row that takes another name or number."""

    table: TableName
    way: NewValuePolicy
    column: str
    row: Replaced


class FreeValues:
    """Names and numbers that are taken among siblings, and the next free ones."""

    def __init__(self, cells: Cells, judged: CheckedTable, met: Sequence[CollidingRow]) -> None:
        self.cells = cells
        self.judged = judged
        self.columns = {column: place for place, column in enumerate(judged.told)}
        self.families: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
        """For each row that moves, by its position: its siblings."""
        self.told: defaultdict[tuple[int, int], set[tuple[Cell, ...]]] = defaultdict(set)
        for row in met:
            if row.rival is None:
                self.told[row.rule, row.family].add(row.cells)
                if row.place > 0:
                    self.families[row.place].add((row.rule, row.family))
        self.taken: dict[tuple[str, tuple[int, int]], set[Any]] = {}

    def find(self, row: CollidingRow, way: tuple[NewValuePolicy, str]) -> Renumbered | None:
        """Return another name or number for a row, or None if there is none."""
        kind, column = way
        cell = row.cells[self.columns[column]]
        families = [self._taken(kind, column, family) for family in self.families[row.place]]
        taken = set().union(*families)
        new: str
        mark: str | int
        if kind == NewValuePolicy.RENAME:
            if cell is None:
                return None
            length = _LENGTH.search(self.judged.table.column(column).type)
            name = free_name(self.cells.cell_text(cell), taken=taken, longest=int(length[1]) if length else None)
            new, mark = self.cells.text_cell(name), loose(name)
        else:
            before = _number(self.cells.cell_text(cell))
            if before is None:
                return None
            number = free_number(before, taken=taken)
            if number > _LARGEST.get(self.judged.table.column(column).type.lower(), 2**63 - 1):
                return None
            new, mark = self.cells.number_cell(number), number
        for family in families:
            family.add(mark)
        return Renumbered(self.judged.table.name, kind, column, Replaced(row.point or 0, row.key, (cell,), (new,)))

    def _taken(self, kind: NewValuePolicy, column: str, family: tuple[int, int]) -> set[Any]:
        if (column, family) not in self.taken:
            cells = [cells[self.columns[column]] for cells in self.told[family]]
            texts = [self.cells.cell_text(cell) for cell in cells if cell is not None]
            marks = map(loose, texts) if kind == NewValuePolicy.RENAME else map(_number, texts)
            self.taken[column, family] = set(marks)
        return self.taken[column, family]


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?\d+", text) else None
