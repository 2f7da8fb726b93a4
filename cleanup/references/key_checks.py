"""Checks of mapped tables and their keys: kind, type, uniqueness, and the form in which keys are stored.

Note [Shared keys]. Some programs keep a folder's key unique only together with its owner, and draw it at random. That
will do while no two folders have one key, which is checked before a run starts. If a program makes such a folder
later, a batch that removes the other one finds that it would remove two, and changes nothing.
"""

from collections.abc import Iterator

from django.db import connections

from cleanup import backends
from cleanup.backends import rows_to_move
from cleanup.backends.catalogue import Column, Table
from cleanup.backends.query import quoted
from cleanup.references.key_storage import KeyStorage
from cleanup.references.key_types import ignores_case, spelled_type
from cleanup.references.mapped_types import MappedTypes, collated_otherwise
from cleanup.references.problem import Problem
from cleanup.references.problems import ORDINARY, described_kind
from cleanup.references.survey import Survey


class KeyChecks:
    """The checks of one database."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey

    def mapped_kind(self) -> Iterator[Problem]:
        """Report mapped names that are not tables of rows of their own."""
        found = self.survey.found
        settings = {
            found.applications.name: "CLEANUP_APPLICATION_MODEL",
            found.file_table: "CLEANUP_FILE_MODEL",
            found.folders.name: "CLEANUP_FOLDER_MODEL",
        }
        for table in found.mapped:
            if table.kind not in ORDINARY:
                yield Problem(
                    "view" if "view" in table.kind else table.kind,
                    str(table.name),
                    "",
                    f"{table.name} is a {described_kind(table)}, whose rows cannot be moved and journaled here. Name "
                    f"a model of the table behind it in {settings[table.name]}.",
                )

    def mapped_types(self) -> Iterator[Problem]:
        """Report mapped columns of types that cannot hold or compare what they are mapped to."""
        spelled = {
            (table.name, column): found
            for table in self.survey.found.mapped
            for column in self.survey.mapped_names(table.name)
            if (found := self.survey.spelling(table.name, column)) is not None
        }
        by_class = backends.database(using=self.survey.using).storage_classes
        yield from MappedTypes(self.survey.tables, self.survey.found, spelled, by_class=by_class).problems()
        yield from self._collations_of_references()

    def _collations_of_references(self) -> Iterator[Problem]:
        """Report references of unmapped columns that have another collation than what they name."""
        found, mapped = self.survey.found, self.survey.mapped_columns()
        for reference in found.references:
            table = found.tables[reference.table]
            for name, of_folder in zip(reference.columns, reference.folder_columns, strict=True):
                key = found.folders.column(of_folder)
                problem = collated_otherwise(table, table.column(name), target=found.folders.name, key=key)
                if problem is not None and (table.name, name) not in mapped:
                    yield problem

    def folder_key(self) -> Iterator[Problem]:
        """Report a folder table whose key is not unique, or is not compared byte by byte. See Note [Shared keys]."""
        folders, key = self.survey.found.folders, self.survey.folder_column(self.survey.tables.folder_key.column)
        if folders.kind not in ORDINARY:  # a view can have no key; it is already a problem
            return
        plain = [unique.columns for unique in folders.uniques if unique.simple or unique.primary]
        with_others = [columns for columns in plain if key.name in columns]
        repeated = rows_to_move.repeated_keys(folders, key.name)
        if not with_others:
            yield Problem(
                "unkeyed",
                str(folders.name),
                key.name,
                f"Nothing keeps {folders.name}.{key.name} unique{self._making_unique(folders, key)}",
            )
        elif (key.name,) not in plain and "select" in folders.privileges and self._any(f"{repeated} LIMIT 1"):
            others = ", ".join(column for column in with_others[0] if column != key.name)
            yield Problem(
                "unkeyed",
                str(folders.name),
                key.name,
                f"{folders.name}.{key.name} is unique together with {others} alone, and several folders have one "
                f"key: what refers to one of them cannot be told from what refers to another. "
                f"See the keys with: {repeated};",
            )
        elif folders.row_key not in (None, (key.name,)) and not key.not_null:
            yield Problem(
                "unkeyed",
                str(folders.name),
                key.name,
                f"{folders.name}.{key.name} may be null, and so identifies no folder. "
                + (
                    f"Forbid that: ALTER TABLE {folders.name.quoted} ALTER COLUMN {quoted(key.name)} SET NOT NULL;"
                    if folders.name.schema
                    else "Recreate the table with NOT NULL."
                ),
            )
        yield from self._collation(folders, key)

    def _collation(self, folders: Table, key: Column) -> Iterator[Problem]:
        for unique in folders.uniques:
            if unique.columns == (key.name,) and not unique.simple and unique.predicate is None:
                yield Problem(
                    "collation",
                    str(folders.name),
                    key.name,
                    f"{folders.name}.{key.name} is compared by a collation of its own ({unique.parts[0]}): a reference "
                    f"may spell a key in another way, and would be missed. Give the column a binary collation.",
                )
        if key.collation and self._is_nondeterministic(folders, key):
            yield Problem(
                "collation",
                str(folders.name),
                key.name,
                f"{folders.name}.{key.name} has the collation {key.collation}, which treats different texts as equal: "
                f"a reference may spell a key in another way, and an undo could not restore that. Give the column, "
                f"and those that reference it, a deterministic collation.",
            )
        if ignores_case(key):
            yield Problem(
                "collation",
                str(folders.name),
                key.name,
                f"{folders.name}.{key.name} is of type {spelled_type(key)}, which ignores case: a reference may spell "
                f"a key in another way, and an undo could not restore that. Make the column, and those that "
                f"reference it, of type text.",
            )

    def _is_nondeterministic(self, table: Table, column: Column) -> bool:
        server = backends.database(using=self.survey.using).server
        return server.collation(table.name, column.name).deterministic is False

    def _making_unique(self, table: Table, column: Column) -> str:
        """Return how to keep a column unique, as the end of the sentence that nothing does."""
        partitioning = self.survey.catalogue.partition_key(table.name) if table.kind == "partitioned" else ""
        if partitioning and not partitioning.endswith((f"({column.name})", f"({quoted(column.name)})")):
            return (
                f", and no index can: the table is partitioned by {partitioning}, and a unique index of it has to "
                f"contain those columns. Partition it by {column.name}, or map a table that is not partitioned."
            )
        index = self.survey.index_name(table.name, column.name)
        return f". Add a key: CREATE UNIQUE INDEX {index}ON {table.name.quoted} ({quoted(column.name)});"

    def key_storage(self) -> Iterator[Problem]:
        """Report UUID keys that SQLite stores differently from how Django searches for them."""
        if not backends.database(using=self.survey.using).storage_classes:
            return
        keys = {
            self.survey.found.applications.name: (self.survey.found.applications, self.survey.tables.application_key),
            self.survey.found.folders.name: (self.survey.found.folders, self.survey.tables.folder_key),
        }
        for table, key in keys.values():
            odd = rows_to_move.odd_uuids(table, self.survey.spelling(table.name, key.column) or key.column)
            if key.is_uuid and self._any(f"{odd} LIMIT 1"):
                yield Problem(
                    "key_storage",
                    str(table.name),
                    key.column,
                    f"{table.name}.{key.column} holds UUIDs that are not stored as 32 lower-case hexadecimal digits, "
                    f"so that they cannot be found. See them with: {odd};",
                )

    def spellings(self) -> Iterator[Problem]:
        """Report references that store keys in forms that are not searched for; unsuitable types cannot be queried."""
        if not any(self.mapped_types()):
            yield from KeyStorage(self.survey.using, self.survey.tables, self.survey.found).problems()

    def _any(self, sql: str) -> bool:
        with connections[self.survey.using].cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() is not None
