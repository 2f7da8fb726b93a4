"""PostgreSQL's dialect for reads of the mapped tables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import transaction

from cleanup.backends import folders, keys
from cleanup.backends.folders import containing
from cleanup.backends.postgresql.cells import is_text
from cleanup.backends.query import Query, quote
from cleanup.folder_tables import KeyColumn


class FolderSql(folders.FolderSql):
    """PostgreSQL's dialect."""

    def text(self, key: KeyColumn, expression: str) -> str:
        return f"{expression}::text"

    def value(self, key: KeyColumn, expression: str) -> str:
        return f"{expression}::text::{key.field.rel_db_type(self.session.connection)}"

    def removed_key(self) -> str:
        key = self.tables.folder_key
        # That column has a collation of its own, as the host's may have, and two that differ cannot be compared.
        return self.value(key, "textin(textout(r.folder_key))") if is_text(key) else super().removed_key()

    def as_recorded(self, target: str) -> str:
        return self.bytewise(target) if is_text(self.tables.folder_key) else target

    def among(self, key: KeyColumn, expression: str, among: Sequence[str]) -> Query:
        array = f"%(keys)s::text[]::{key.field.rel_db_type(self.session.connection)}[]"
        return Query(f"{expression} = ANY({array})", {"keys": list(among)})

    def numbered(self, expression: str, numbers: Sequence[int]) -> Query:
        return Query(f"{expression} = ANY(%(numbers)s)", {"numbers": list(numbers)})

    def folder_of_file(self, expression: str) -> str:
        if self.loose_files == "uuid":
            return keys.uuid_in_text(expression)
        if self.loose_files == "integer":
            return keys.integer_in_text(expression)
        return f"{expression}::bpchar" if self.loose_files == "padded" else expression

    def _spelled_ways(self, key: str) -> list[str]:
        return [f"{key}::text", f"replace({key}::text, '-', '')", f"'{{' || {key}::text || '}}'"]

    def spelled_key(self, expression: str) -> str:
        if not self.tables.folder_key.is_uuid:
            return f"rtrim({expression}::text, ' ')"
        return f"coalesce(({keys.uuid_in_text(expression)})::text, {expression}::text)"

    def ages(self, prefix: str, *, newest_first: bool = False) -> str:
        turned = " DESC" if newest_first else ""
        collation = ' COLLATE "C"' if is_text(self.tables.folder_key) else ""
        key = f"{prefix}{self.folder_key}{collation}{turned}"
        if self.tables.folder_created is None:
            return key
        return f"{prefix}{quote(self.tables.folder_created)}{turned} NULLS LAST, {key}"

    def children(self, condition: str) -> str:
        # OFFSET 0 has them looked up for each folder: a recursion is expected to find hundreds of times what it does.
        children = f"SELECT f.{self.folder_key} FROM {self.folders} AS f WHERE {condition} OFFSET 0"
        return f"CROSS JOIN LATERAL ({children}) AS f"

    def walked(self, expression: str) -> str:
        return f"{expression} = ANY (ARRAY(SELECT w.folder FROM forest AS w))"

    def bytewise(self, expression: str) -> str:
        # As text, because citext ignores the collation.
        return f'{expression}::text COLLATE "C"'

    def contains(self, expression: str, text: str) -> Query:
        # A column may have a collation under which ILIKE fails; a trigram index serves all the same.
        return Query(f'{expression}::text COLLATE "default" ILIKE %(contained)s', {"contained": containing(text)})

    @contextmanager
    def reading(self) -> Iterator[None]:
        connection = self.session.connection
        if connection.in_atomic_block:  # the caller's transaction, pinned by the caller
            yield
            return
        # Row level security would hide rows and turn others into orphans; switched off, it is an explicit error.
        with transaction.atomic(using=connection.alias):
            self.session.begin()
            yield
