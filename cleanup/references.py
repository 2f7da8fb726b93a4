"""Everything that points at a folder: one description that preflight, merge, journal, undo and verification share.

Discovered from the models and from the database's catalogue, never listed by hand. It fails closed: what cannot be
moved, or cannot be journaled, is a Problem, and a run with problems does not start.
"""

from dataclasses import dataclass, field

from cleanup.backends.catalogue import Action, Table, TableName


@dataclass(frozen=True, slots=True)
class GenericKey:
    """The content types under which a generic foreign key names folders."""

    column: str
    content_types: tuple[int, ...]


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
    generic: GenericKey | None = None
    spelled: bool = False
    """A text column over UUID keys: any spelling may occur."""

    def __str__(self) -> str:
        return f"{self.table}.{'+'.join(self.columns)}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a run may not start; ``message`` names table, column and remedy."""

    code: str
    table: str
    column: str
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class ReferenceMap:
    """All references to folders in one database."""

    applications: Table
    folders: Table
    files: Table
    references: tuple[Reference, ...]
    """In the order of their steps."""
    tables: dict[TableName, Table] = field(default_factory=dict)
    """Every table that a run may write, described (folders, files and applications too)."""
    problems: tuple[Problem, ...] = ()
    automatic_many_to_many: frozenset[TableName] = frozenset()
    """Tables of automatic many-to-many relations: an exact twin may go without asking."""
    inbound: dict[TableName, int] = field(default_factory=dict)
    """Tables (other than folders) of the map whose rows are referenced by further foreign keys, with how many."""
