"""The statements that change mapped tables and journal what they change.

Invariants: every method is a constant number of statements whatever the number of rows; rows changed are rows
journaled.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from cleanup.backends.catalogue import Table
from cleanup.backends.changes import Counted, Forwarding, Keys, Replaced, StructureTable, Target
from cleanup.backends.session import Room
from cleanup.folder_tables import KeyColumn


class Merging(Room, ABC):
    """One connection's journaled writes."""

    @abstractmethod
    def move(self, targets: Sequence[Target], *, step: int) -> list[Counted]:
        """Change the targets' rows and journal them, all in one statement where the database can.

        Raises CountMismatch when rows moved and rows journaled differ.
        """

    def nest(
        self, table: Table, key: str, column: str, rows: Sequence[tuple[int, str, str]], *, step: int
    ) -> list[Counted]:
        """Put root folders, given as (point, key cell, parent cell), under a parent, journaled.

        Raises CountMismatch.
        """
        replaced = [Replaced(point, (folder,), None, parent) for point, folder, parent in rows]
        return self.replace_cells(table, (key,), column, replaced, step=step)

    @abstractmethod
    def replace_cells(
        self, table: Table, key: tuple[str, ...], column: str, rows: Sequence[Replaced], *, step: int
    ) -> list[Counted]:
        """Give one column of rows other values, journaled. Raises CountMismatch where it holds others than said."""

    @abstractmethod
    def remove(
        self,
        table: Table,
        key: tuple[str, ...],
        rows: Keys,
        *,
        step: int,
        forwarding: Forwarding | None = None,
    ) -> list[Counted]:
        """Delete rows and journal their images.

        With ``forwarding``, in the order of ``rows``, the folders' forwarding addresses are recorded too. Raises
        CountMismatch.
        """

    @abstractmethod
    def take_structure(
        self, structure: StructureTable, *, point: int, application: str, key: KeyColumn, step: int
    ) -> int:
        """Store images of the table's rows that belong to the application and return their number."""
