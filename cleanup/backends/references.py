"""The columns that hold folders' keys, as parameters of statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cleanup.backends.catalogue import Action, Table, TableName
from cleanup.backends.conditions import Condition


@dataclass(frozen=True, slots=True)
class Reference:
    """Columns of a table that hold a folder's key (or another unique key of folders).

    References of one ``step`` change in one statement, because the key of one contains the folder and another
    references that key. Steps ascend; wider keys come before narrower ones over the same column.
    """

    table: TableName
    columns: tuple[str, ...]
    folder_columns: tuple[str, ...]
    """The columns of the folder table that ``columns`` copy, in the same order."""
    step: int
    source: str
    """``catalogue``, ``model``, ``generic`` or ``setting``."""
    constraint: str | None = None
    on_delete: Action | None = None
    proven: bool = False
    """The database itself refuses to delete a folder that is still referenced here."""
    enforced: bool = False
    """A foreign key checks it in every row, whatever it does on delete: who would refer to a locked folder waits."""
    condition: Condition | None = None
    """Which rows are about folders, where further columns say it (content types, kinds); None: all."""
    spelled: bool = False
    """A text column over UUID keys, or over keys that are padded (char(n)): any spelling may occur."""

    def __str__(self) -> str:
        return f"{self.table}.{'+'.join(self.columns)}"


@dataclass(frozen=True, slots=True)
class ListReference:
    """A column whose values are arrays of folders' keys."""

    table: TableName
    column: str
    condition: Condition | None = None
    spelled: bool = False
    """An array of texts over UUID keys, or over keys that are padded: any spelling may occur."""
    json: bool = False
    """JSON, of which the texts in arrays count."""

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


class References(Protocol):
    """All references to folders in one database."""

    @property
    def applications(self) -> Table:
        """The table of applications."""

    @property
    def folders(self) -> Table:
        """The table of folders."""

    @property
    def file_table(self) -> TableName:
        """The name of the table of files; that of no table if none is mapped."""

    @property
    def references(self) -> Sequence[Reference]:
        """In the order in which they change."""

    @property
    def tables(self) -> dict[TableName, Table]:
        """Every table that a run may write."""
