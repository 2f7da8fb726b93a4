"""What discovery has read from a database, in the form that the checks need."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from django.db import connections

from cleanup.backends.catalogue import Catalogue, Column, PlacedColumn, Table, TableName
from cleanup.backends.query import quoted
from cleanup.backends.references import Reference
from cleanup.folder_tables import FolderTables
from cleanup.references.collision_policies import Policy
from cleanup.references.configured_columns import NamedColumn, NamedColumns
from cleanup.references.description import ReferenceMap
from cleanup.references.host_words import HostWords


@dataclass(frozen=True)
class Survey:
    """The survey of one database."""

    using: str
    tables: FolderTables
    catalogue: Catalogue
    found: ReferenceMap
    named: NamedColumns
    names: Mapping[str, TableName]
    """Tables by their spelling in models and settings."""
    columns: Mapping[TableName, Mapping[str, str]]
    described: Mapping[TableName, Table]
    """The tables of the map, and those that settings name."""
    linked: Collection[tuple[TableName, str]]
    """Columns that belong to some foreign key or relation."""
    own: Collection[str]
    """The product's own tables, by their names in any schema."""
    candidates: Collection[PlacedColumn]
    """Columns that may be named after folders."""
    words: HostWords
    unmatched: Collection[NamedColumn]
    """Patterns that match no column."""

    def spelling(self, table: TableName, column: str) -> str | None:
        """Return the database's spelling of a column, or None if there is none."""
        return self.columns.get(table, {}).get(self.catalogue.column_spelling(column))

    def ignored(self) -> set[tuple[TableName, str]]:
        """Return the columns that settings ignore."""
        return {
            (self.names[entry.table], column)
            for entry in self.named.ignored_columns
            if entry.table in self.names and (column := self.spelling(self.names[entry.table], entry.column))
        }

    @cached_property
    def known(self) -> frozenset[tuple[TableName, str]]:
        """Columns whose meaning is known: references, keys, what settings ignore, the mapped ones."""
        references = {(reference.table, column) for reference in self.found.references for column in reference.columns}
        lists = {(one.table, one.column) for one in self.found.lists}
        return frozenset(references | lists | set(self.linked) | self.ignored() | self.mapped_columns())

    def further_columns(self) -> frozenset[str]:
        """Return the columns of the folder table that are not mapped, refer to nothing and are not ignored."""
        folders = self.found.folders.name
        known = self.mapped_columns() | self.ignored()
        referring = {column for reference in self.references_of(folders) for column in reference.columns}
        referring |= {one.column for one in self.found.lists if one.table == folders}
        return frozenset(
            column.name
            for column in self.found.folders.columns
            if (folders, column.name) not in known and column.name not in referring
        )

    def mapped_columns(self) -> set[tuple[TableName, str]]:
        """Return the columns that settings map."""
        return {
            (table.name, self.spelling(table.name, name) or name)
            for table in self.found.mapped
            for name in self.mapped_names(table.name)
        }

    def mapped_names(self, table: TableName) -> tuple[str, ...]:
        """Return the columns that are mapped in a table, as the settings name them."""
        tables = self.tables
        mapped: dict[TableName, tuple[str, ...]] = {
            self.found.applications.name: (tables.application_key.column,),
            self.found.folders.name: tables.folder_columns,
        }
        return tables.file.columns if tables.file and table == self.found.file_table else mapped[table]

    def written_tables(self) -> list[Table]:
        """Return the tables that a run may write, in the order of their names."""
        return [table for _, table in sorted(self.found.tables.items())]

    def references_of(self, table: TableName) -> list[Reference]:
        """Return the references of a table."""
        return [reference for reference in self.found.references if reference.table == table]

    def changed_columns(self, table: TableName) -> set[str]:
        """Return the columns of a table that a run changes."""
        policy = self.found.policies.get(table, Policy())
        columns = {column for reference in self.references_of(table) for column in reference.columns}
        columns |= {one.column for one in self.found.lists if one.table == table}
        if table == self.found.folders.name:
            columns |= self.found.kept_columns
        return columns | {column for _, column in policy.changes}

    @property
    def role(self) -> str:
        """The current role, as SQL names it."""
        return quoted(str(connections[self.using].settings_dict["USER"] or "CURRENT_USER"))

    def index_name(self, table: TableName, column: str) -> str:
        """Return a name and a space, because SQLite needs one; PostgreSQL finds a free one."""
        return "" if table.schema else quoted(f"{table.name}_{column}"[:59] + "_idx") + " "

    def folder_column(self, column: str) -> Column:
        """Return a column of the folder table by its name in the settings."""
        return self.found.folders.column(self.spelling(self.found.folders.name, column) or column)
