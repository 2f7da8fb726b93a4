"""Whether references store keys in the forms that are searched for; any other form is a problem with its remedy.

A bounded sample of the rows of each reference that no foreign key binds to the spelling of the key.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connections, models

from cleanup import backends, conf
from cleanup.backends import spellings
from cleanup.backends.catalogue import Column
from cleanup.backends.references import Reference
from cleanup.backends.spellings import Question
from cleanup.folder_tables import FolderTables
from cleanup.references.description import ReferenceMap
from cleanup.references.key_types import kind_of, padded_length
from cleanup.references.problem import Problem


@dataclass(frozen=True, slots=True)
class KeyStorage:
    """The references of one database."""

    using: str
    tables: FolderTables
    found: ReferenceMap

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each reference that holds keys that would not be found."""
        yield from self._deeper()
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
                    f"rows would be left behind. Convert them to one spelling: {question.remedy}",
                )

    def _deeper(self) -> Iterator[Problem]:
        """Report JSON in which keys could stand where they are not looked for."""
        vendor = backends.database(using=self.using).vendor
        for one in self.found.lists:
            table = self.found.tables[one.table]
            if not one.json or "select" not in table.privileges:
                continue
            only = f" AND {one.condition.literal('r', vendor=vendor)}".replace("%%", "%") if one.condition else ""
            sql = spellings.more_than_arrays_of_texts(
                table, table.column(one.column), rows=conf.large_table() + 1, only=only
            )
            if self._any(sql):
                yield Problem(
                    "key_storage",
                    str(one.table),
                    one.column,
                    f"{one} holds more than arrays of texts: keys of folders that stand deeper would be left behind. "
                    f"Say in CLEANUP_EXTRA_REFERENCES which rows hold arrays, or move the entry to "
                    f"CLEANUP_IGNORED_COLUMNS if it may name removed folders.",
                )

    def _question(self, reference: Reference, column: Column) -> Question | None:
        rows, only, database = conf.large_table() + 1, "", backends.database(using=self.using)
        if reference.condition is not None:
            only = f" AND {reference.condition.literal('r', vendor=database.vendor)}".replace("%%", "%")
        ask = self._by_class if database.storage_classes else self._by_type
        return ask(reference, column, rows=rows, only=only)

    def _by_type(self, reference: Reference, column: Column, *, rows: int, only: str) -> Question | None:
        key = self.found.folder_key
        if reference.spelled and kind_of(column) == "text":
            table = self.found.tables[reference.table]
            return spellings.odd_on_postgresql(table, column, key, rows=rows, only=only)
        if kind_of(key) == "text" and reference.constraint is None and padded_length(key) is None:
            return self._unlike(reference, column, rows=rows, only=only)
        return None

    def _by_class(self, reference: Reference, column: Column, *, rows: int, only: str) -> Question | None:
        if reference.constraint is not None:
            return None
        key, table = self.tables.folder_key, self.found.tables[reference.table]
        if key.is_uuid:
            return spellings.odd_uuids_on_sqlite(table, column, spelled=reference.spelled, rows=rows, only=only)
        if isinstance(key.field, models.IntegerField):
            untyped = column.base == "BLOB"
            return spellings.numbers_as_texts_on_sqlite(table, column, rows=rows, only=only) if untyped else None
        return self._unlike(reference, column, rows=rows, only=only)

    def _unlike(self, reference: Reference, column: Column, *, rows: int, only: str) -> Question:
        table, typed = self.found.tables[reference.table], not backends.database(using=self.using).storage_classes
        return spellings.unlike_text_keys(
            table, column, self.found.folders, self.found.folder_key, typed=typed, rows=rows, only=only
        )

    def _any(self, sql: str) -> bool:
        with connections[self.using].cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() is not None
