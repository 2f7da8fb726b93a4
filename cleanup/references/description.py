"""What is known of everything that points at a folder, as plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cleanup.backends.catalogue import TableName
from cleanup.backends.tree_columns import ClosureTable, counts_through
from cleanup.references.collision_policies import Policy
from cleanup.references.host_words import HostWords

if TYPE_CHECKING:
    from cleanup.backends.catalogue import Column, ForeignKey, Table
    from cleanup.backends.conditions import Condition
    from cleanup.backends.folders import Looseness
    from cleanup.backends.references import ListReference, Reference
    from cleanup.backends.tree_columns import TreeColumns
    from cleanup.references.problem import Problem

_NO_TABLE = TableName("", "")


@dataclass(frozen=True, slots=True)
class Untold:
    """A column that may name folders but is not a reference."""

    table: TableName
    column: str
    condition: Condition | None
    """Which rows of it are about folders; None: all that are not null."""
    history: str
    """What keeps such tables; empty: the table is not a history."""


@dataclass(frozen=True, slots=True)
class ReferenceMap:
    """All references to folders in one database."""

    applications: Table
    folders: Table
    files: Table | None
    """None: no table of files is mapped."""
    folder_key: Column
    """The column with the folders' key."""
    loose_files: Looseness
    """How to read the text by which files name their folders, if its type differs from the key's."""
    references: tuple[Reference, ...]
    """In the order of their steps; within a step, a copy comes before what it copies."""
    tables: dict[TableName, Table] = field(default_factory=dict)
    """Every table that a run may write, described (folders, files and applications too)."""
    ignored_columns: frozenset[str] = frozenset()
    """Columns of the folder table that settings ignore."""
    further_columns: frozenset[str] = frozenset()
    """The columns of the folder table that are not mapped, refer to nothing and are not ignored."""
    problems: tuple[Problem, ...] = ()
    """What prevents a run from starting."""
    automatic_many_to_many: frozenset[TableName] = frozenset()
    """Tables of automatic many-to-many relations: an exact twin may be removed without a policy."""
    inbound_keys: dict[TableName, tuple[ForeignKey, ...]] = field(default_factory=dict)
    """The foreign keys, and relations of models, that reference rows of tables of the map other than folders."""
    policies: dict[TableName, Policy] = field(default_factory=dict)
    """What becomes of rows that collide, unless their application is refused."""
    catalogue_digest: str = field(default="", compare=False)
    """The catalogue's digest from before it was read; empty if nothing will be written with it."""

    known: frozenset[tuple[TableName, str]] = frozenset()
    """Columns whose meaning is known: references, other foreign keys, what settings ignore."""
    linked: frozenset[tuple[TableName, str]] = frozenset()
    """Columns that belong to some foreign key or relation."""
    untold: tuple[Untold, ...] = ()
    """Columns that name folders by content type, or in a history that is left alone, but are not references."""
    histories: frozenset[TableName] = frozenset()
    """History tables that are left alone."""
    words: HostWords = HostWords(frozenset())  # noqa: RUF009 - it is frozen
    """The host's words for folders."""
    lists: tuple[ListReference, ...] = ()
    """Arrays of keys of folders, in the order of their steps."""
    tree_columns: tuple[TreeColumns, ...] = ()
    """What the ready tree hooks of the settings keep."""
    watched: tuple[str, ...] = ()
    """The columns of the folder table that are compared before and after a tree hook of the host's own."""

    @property
    def kept_columns(self) -> frozenset[str]:
        """The columns of the folder table that ready tree hooks keep."""
        kept = (columns for columns in self.tree_columns if not isinstance(columns, ClosureTable))
        return frozenset(column for columns in kept for column in columns.columns)

    @property
    def counts_through(self) -> bool:
        """Return whether a nested set counts through the whole folder table, which then has one writer at a time."""
        return any(counts_through(columns) for columns in self.tree_columns)

    @property
    def holding(self) -> tuple[Table, ...]:
        """The tables whose rows are never dropped: folders, and files if these are mapped."""
        return (self.folders, *((self.files,) if self.files else ()))

    @property
    def mapped(self) -> tuple[Table, ...]:
        """The tables of the mapped models, each once: without applications there are only the others."""
        return tuple({table.name: table for table in (self.applications, *self.holding)}.values())

    @property
    def file_table(self) -> TableName:
        """The name of the table of files; that of no table if none is mapped, so that none of its rows are found."""
        return self.files.name if self.files else _NO_TABLE

    @property
    def has_triggers(self) -> bool:
        """Return whether a table that a run may write has triggers."""
        return any(table.triggers for table in self.tables.values())

    def changing(self, table: TableName) -> frozenset[str]:
        """Return the columns that change when folders are replaced, and those that are computed from them.

        A table without a key has none: its rows do not move.
        """
        described = self.tables[table]
        columns = {column for reference in self.references if reference.table == table for column in reference.columns}
        return described.dependent(columns) if described.row_key else frozenset()

    def deciding(self, table: TableName) -> frozenset[str]:
        """Return the columns whose values decide for which rows of the table a reference holds."""
        conditions = (reference.condition for reference in self.references if reference.table == table)
        return frozenset(column for condition in conditions if condition for column in condition.columns)

    def ruled(self, table: TableName) -> bool:
        """Return whether moving the table's rows could break a rule of its own."""
        described, changing = self.tables[table], self.changing(table)
        rules = (*described.uniques, *described.exclusions)
        return bool(changing) and (
            any(changing & set(rule.columns) for rule in rules)
            or any(check.binds(changing) for check in described.checks)
        )

    def links(self, table: TableName) -> bool:
        """Return whether the table only links a folder to something else, so that exact twins may become one.

        An automatic many-to-many table, or one whose key has several columns, a folder's among them; and nothing
        references it.
        """
        if self.inbound_keys.get(table) or any(table == held.name for held in self.holding):
            return False
        key = self.tables[table].row_key or ()
        several = len(key) > 1 and bool(self.changing(table) & set(key))
        return several or table in self.automatic_many_to_many

    def loses_rows(self, table: TableName) -> bool:
        """Return whether a run removes rows of the table, so that its undo inserts them."""
        if table == self.folders.name:
            return True
        if any(isinstance(kept, ClosureTable) and kept.table == table for kept in self.tree_columns):
            return True
        if table == self.file_table or not self.ruled(table):
            return False
        return self.links(table) or self.policies.get(table, Policy()).keep_survivor

    @property
    def written(self) -> list[Table]:
        """The tables that merging and undoing write, in the order of their names."""
        names = {held.name for held in self.holding} | {reference.table for reference in self.references}
        names |= {one.table for one in self.lists}
        return [self.tables[name] for name in sorted(names)]

    @property
    def applications_are_independent(self) -> bool:
        """Return whether no application's merge, or undoing it, depends on what another one's does.

        A row that refers to two folders may belong to two applications: both merges change it, one may remove it. And
        what refers to a row that refers to folders needs that row: a folder may come back only after it, and not while
        it moves; a row that gave way comes back only after the one that gave way before it. An array may name folders
        of many applications; and where one nested set counts through the table, there is one writer at a time.
        """
        if self.lists or self.counts_through:
            return False
        referring = Counter(reference.table for reference in self.references)
        giving_way = {table for table in referring if self.ruled(table)}
        return max(referring.values(), default=0) <= 1 and not any(
            key.table == self.folders.name or (table in giving_way and key.table in giving_way)
            for table in referring.keys() - {self.folders.name}
            for key in self.inbound_keys.get(table, ())
        )

    @property
    def inbound(self) -> dict[TableName, int]:
        """Tables (other than folders) of the map whose rows are referenced by further foreign keys, with how many."""
        return {table: len(keys) for table, keys in self.inbound_keys.items()}
