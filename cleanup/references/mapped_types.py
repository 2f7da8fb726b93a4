"""Whether the types of the mapped columns can hold and compare keys, each problem with its remedy.

A column that cannot hold what it is mapped to is a problem that stops everything; it is never left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleanup.backends.query import quoted
from cleanup.exceptions import DatabaseUnusable
from cleanup.references.key_types import can_be, can_hold, kind_of, padded_length, spelled_type
from cleanup.references.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.db import models

    from cleanup.backends.catalogue import Column, Table, TableName
    from cleanup.folder_tables import FolderTables, KeyColumn
    from cleanup.references.description import ReferenceMap

CODE = "mapped_type"

_FIELDS = {"uuid": "UUIDField", "integer": "BigIntegerField", "text": "CharField"}

#: Types, besides those of keys, that PostgreSQL sorts by time, or as one would expect.
_SORTED = ("timestamp", "date", "time", "interval", "numeric", "double precision", "real", "bytea")


def cannot_hold(table: Table, column: Column, *, target: TableName, key: Column) -> Problem:
    """Report a column that should name rows of a table but cannot."""
    if table.name.schema:
        change = (
            f"ALTER TABLE {table.name.quoted} ALTER COLUMN {quoted(column.name)} TYPE {key.type} "
            f"USING {quoted(column.name)}::text::{key.type};"
        )
    else:
        change = f"recreate the table with the type {key.type} for it (SQLite cannot change it)."
    return Problem(
        CODE,
        str(table.name),
        column.name,
        f"{table.name}.{column.name} is of type {spelled_type(column)}, and should name rows of {target}, whose key "
        f"{key.name} is of type {spelled_type(key)}: the two cannot be compared, so rows would be left behind. "
        f"Give it the type of the key: {change}",
    )


def collated_otherwise(table: Table, column: Column, *, target: TableName, key: Column) -> Problem | None:
    """Report a column of another collation than the key that it names, so that no statement can compare the two."""
    if not column.collation or not key.collation or column.collation == key.collation:
        return None
    return Problem(
        CODE,
        str(table.name),
        column.name,
        f"{table.name}.{column.name} has the collation {column.collation}, and names rows of {target}, whose key "
        f"{key.name} has the collation {key.collation}: PostgreSQL does not compare the two unless a query says how. "
        f"Give it the collation of the key: ALTER TABLE {table.name.quoted} ALTER COLUMN {quoted(column.name)} TYPE "
        f"{column.type} COLLATE {key.collation};",
    )


def are_unlike(references: ReferenceMap) -> bool:
    """Return whether a mapped column is of a type that cannot be compared, so that the rows cannot be queried."""
    return any(problem.code == CODE for problem in references.problems)


def refuse_unlike_types(references: ReferenceMap) -> None:
    """Raise DatabaseUnusable if a mapped column is of a type that cannot be compared."""
    for problem in references.problems:
        if problem.code == CODE:
            raise DatabaseUnusable(
                problem=problem.message, remedy="All of them: manage.py database_cleanup --preflight"
            )


@dataclass(frozen=True, slots=True)
class MappedTypes:
    """The mapped columns of one database."""

    tables: FolderTables
    found: ReferenceMap
    spelled: Mapping[tuple[TableName, str], str]
    """The database's spelling of the columns."""
    by_class: bool

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each mapped column of an unsuitable type."""
        tables, found = self.tables, self.found
        keys = [(found.folders, tables.folder_key, tables.folder, "CLEANUP_FOLDER_MODEL")]
        if found.applications.name != found.folders.name:
            owner = (found.applications, tables.application_key, tables.application, "CLEANUP_APPLICATION_MODEL")
            keys.insert(0, owner)
        if found.files and tables.file:
            keys.append((found.files, tables.file.key, tables.file.model, "CLEANUP_FILE_MODEL"))
        for table, key, model, setting in keys:
            column = self._column(table, key.column)
            if not can_be(column, key):
                yield self._unlike_model(table, column, key=key, model=model, setting=setting)
        yield from self._unlike_keys()
        yield from self._others()

    def _unlike_keys(self) -> Iterator[Problem]:
        """Report columns that cannot hold the key that they should name."""
        tables, found = self.tables, self.found
        to_folder, to_application = (found.folders, tables.folder_key), (found.applications, tables.application_key)
        references = [
            (found.folders, tables.folder_parent, to_folder),
            *((found.folders, column, to_application) for column in tables.owner_columns),
        ]
        if found.files and tables.file:
            references.append((found.files, tables.file.folder, to_folder))
            if tables.file.application:
                references.append((found.files, tables.file.application, to_application))
        for table, name, (target, key) in references:
            column, target_key = self._column(table, name), self._column(target, key.column)
            of_file = table == found.files and target == found.folders
            if not self._names(column, target_key, key, of_file=of_file):
                if can_be(target_key, key) or column.stored_type != target_key.stored_type:
                    yield cannot_hold(table, column, target=target.name, key=target_key)
            elif problem := collated_otherwise(table, column, target=target.name, key=target_key):
                yield problem

    def _column(self, table: Table, name: str) -> Column:
        return table.column(self.spelled.get((table.name, name), name))

    def _names(self, column: Column, target: Column, key: KeyColumn, *, of_file: bool) -> bool:
        """Return whether a column can be compared with the key that it should name.

        A text may name any key, but only the column by which files name their folder is read that way.
        """
        if not self.by_class and not of_file:
            alike = padded_length(target) is None or padded_length(column) is not None
            return kind_of(column) == kind_of(target) != "other" and alike
        return can_hold(column, key) or kind_of(column) == kind_of(target) != "other"

    def _unlike_model(
        self, table: Table, column: Column, *, key: KeyColumn, model: type[models.Model], setting: str
    ) -> Problem:
        kind = type(key.field).__name__
        message = (
            f"{table.name}.{column.name} is of type {spelled_type(column)}, and the key of {model._meta.label} is a "
            f"{kind}: the two cannot be compared. "
        )
        wanted = _FIELDS.get(kind_of(column))
        if wanted is None:
            message += "Keys are UUIDs, integers or texts: change the type of the column."
        elif model._meta.app_label == "cleanup":
            message += f"Describe the table by a model of your own, whose key is a {wanted}, and name it in {setting}."
        else:
            message += f"Make the field {key.field.name} of {model._meta.label} a {wanted}."
        return Problem(CODE, str(table.name), column.name, message)

    def _others(self) -> Iterator[Problem]:
        """Report names that are not text, and times that cannot be sorted; SQLite accepts and sorts everything."""
        if self.by_class:
            return
        folders, files, tables = self.found.folders, self.found.files, self.tables
        names = [(folders, tables.folder_name)]
        if files and tables.file and tables.file.name:
            names.append((files, tables.file.name))
        for table, name in names:
            column = self._column(table, name)
            if kind_of(column) != "text":
                yield Problem(
                    CODE,
                    str(table.name),
                    column.name,
                    f"{table.name}.{column.name} is of type {spelled_type(column)}, and names are compared as texts. "
                    f"Name a column of a text type in {self._fields(table)}.",
                )
        if tables.folder_created is None:
            return
        column = self._column(folders, tables.folder_created)
        if kind_of(column) == "other" and not column.stored_type.startswith(_SORTED):
            yield Problem(
                CODE,
                str(folders.name),
                column.name,
                f"{folders.name}.{column.name} is of type {spelled_type(column)}, by which no folder is older than "
                f"another. Name a column with a time in {self._fields(folders)}.",
            )

    def _fields(self, table: Table) -> str:
        part = "FOLDER" if table == self.found.folders else "FILE"
        return f"CLEANUP_{part}_FIELDS"
