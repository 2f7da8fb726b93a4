"""What is known of everything that points at a folder, as plain data."""

from dataclasses import dataclass, field

from cleanup.backends.catalogue import Action, ForeignKey, Table, TableName


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
    """In the order of their steps; within a step, a copy comes before what it copies."""
    tables: dict[TableName, Table] = field(default_factory=dict)
    """Every table that a run may write, described (folders, files and applications too)."""
    problems: tuple[Problem, ...] = ()
    automatic_many_to_many: frozenset[TableName] = frozenset()
    """Tables of automatic many-to-many relations: an exact twin may go without asking."""
    inbound_keys: dict[TableName, tuple[ForeignKey, ...]] = field(default_factory=dict)
    """The foreign keys, and relations of models, that reference rows of tables of the map other than folders."""

    @property
    def has_triggers(self) -> bool:
        """Tell whether a table that a run may write has triggers."""
        return any(table.triggers for table in self.tables.values())

    @property
    def inbound(self) -> dict[TableName, int]:
        """Tables (other than folders) of the map whose rows are referenced by further foreign keys, with how many."""
        return {table: len(keys) for table, keys in self.inbound_keys.items()}
