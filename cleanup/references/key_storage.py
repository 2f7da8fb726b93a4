"""Whether references hold keys as they are looked for; what is kept or spelled otherwise is a problem with its remedy.

A bounded look at the rows of each reference that no foreign key holds to the spelling of the key.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connections, models

from cleanup import conf
from cleanup.backends import spelling_sql
from cleanup.backends.catalogue import Column
from cleanup.backends.spelling_sql import Question
from cleanup.folder_tables import FolderTables
from cleanup.references.description import Problem, Reference, ReferenceMap
from cleanup.references.key_types import kind_of, padded_length


@dataclass(frozen=True, slots=True)
class KeyStorage:
    """The references of one database."""

    using: str
    tables: FolderTables
    found: ReferenceMap

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each reference that holds keys which would not be found."""
        for reference in self.found.references:
            if reference.folder_columns != (self.found.folder_key.name,):
                continue
            table = self.found.tables[reference.table]
            column = table.column(reference.columns[0])
            question = self._question(reference, column) if "select" in table.privileges else None
            if question is not None and self._any(question.sql):
                yield Problem(
                    "key_storage",
                    str(table.name),
                    column.name,
                    f"{reference} holds keys of {self.found.folders.name} (type {self.found.folder_key.type}) in a "
                    f"spelling of its own (type {column.type or 'none'}), in which they would not be found, and the "
                    f"rows be left behind. Bring them into one spelling: {question.remedy}",
                )

    def _question(self, reference: Reference, column: Column) -> Question | None:
        rows, only, vendor = conf.large_table() + 1, "", connections[self.using].vendor
        if reference.condition is not None:
            only = f" AND {reference.condition.literal('r', vendor=vendor)}".replace("%%", "%")
        ask = self._on_postgresql if vendor == "postgresql" else self._on_sqlite
        return ask(reference, column, rows=rows, only=only)

    def _on_postgresql(self, reference: Reference, column: Column, *, rows: int, only: str) -> Question | None:
        key = self.found.folder_key
        if reference.spelled and kind_of(column) == "text":
            table = self.found.tables[reference.table]
            return spelling_sql.odd_on_postgresql(table, column, key, rows=rows, only=only)
        if kind_of(key) == "text" and reference.constraint is None and padded_length(key) is None:
            return self._unlike(reference, column, rows=rows, only=only)
        return None

    def _on_sqlite(self, reference: Reference, column: Column, *, rows: int, only: str) -> Question | None:
        if reference.constraint is not None:
            return None
        key, table = self.tables.folder_key, self.found.tables[reference.table]
        if key.is_uuid:
            return spelling_sql.odd_uuids_on_sqlite(table, column, spelled=reference.spelled, rows=rows, only=only)
        if isinstance(key.field, models.IntegerField):
            untyped = column.base == "BLOB"
            return spelling_sql.numbers_as_texts_on_sqlite(table, column, rows=rows, only=only) if untyped else None
        return self._unlike(reference, column, rows=rows, only=only)

    def _unlike(self, reference: Reference, column: Column, *, rows: int, only: str) -> Question:
        table, postgresql = self.found.tables[reference.table], connections[self.using].vendor == "postgresql"
        return spelling_sql.unlike_text_keys(
            table, column, self.found.folders, self.found.folder_key, postgresql=postgresql, rows=rows, only=only
        )

    def _any(self, sql: str) -> bool:
        with connections[self.using].cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() is not None
