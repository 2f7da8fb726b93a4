"""The exact text form of values, and its readable form; see Note [Cells]."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from cleanup.backends.catalogue import Table
    from cleanup.backends.changes import Cell
    from cleanup.folder_tables import KeyColumn


class Cells(ABC):
    """One connection's cells."""

    encoding: ClassVar[str]
    """The name of the cells' form in a snapshot schema."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    @abstractmethod
    def key_cell(self, key: KeyColumn, value: str) -> str:
        """Return the cell of a key that is given in the product's spelling."""

    def key_cells(self, key: KeyColumn, values: Sequence[str]) -> Sequence[str]:
        """Return the cells of many."""
        return [self.key_cell(key, value) for value in values]

    @abstractmethod
    def text_cell(self, text: str) -> str:
        """Return the cell of a text value."""

    @abstractmethod
    def number_cell(self, number: int) -> str:
        """Return the cell of an integer."""

    @abstractmethod
    def key_value(self, name: str, key: KeyColumn) -> str:
        """Return the SQL of the key whose cell is a parameter."""

    @abstractmethod
    def image(self, table: Table) -> str:
        """Return the SQL of the image of row ``t``: the array of its cells."""

    @abstractmethod
    def selected(self, cells: Any) -> tuple[Any, ...]:
        """Return several cells that were selected as one value."""

    @abstractmethod
    def cell_text(self, cell: Cell) -> str:
        """Return a cell readable for people, for messages."""
