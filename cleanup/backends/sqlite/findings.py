"""SQLite's dialect for verification."""

from collections.abc import Callable, Sequence

from cleanup.backends import findings
from cleanup.backends.catalogue import Column
from cleanup.backends.folders import BLANKS
from cleanup.backends.keys import digits_in_text, hyphenated
from cleanup.backends.query import Query, quote
from cleanup.backends.sqlite.folders import FolderSql

#: As columns of UUIDs are declared on SQLite.
_UUID_TYPES = ("char(32)", "uuid")


class FindingSql(FolderSql, findings.FindingSql):
    """SQLite's dialect; ``cleanup_looks`` is a function that the connection must know."""

    def teach(self, normalize: Callable[[str], str]) -> None:
        def looks_of(name: object) -> str | None:
            return normalize(name) if isinstance(name, str) else None  # what is not text is similar to nothing else

        self.session.connection.ensure_connection()
        self.session.connection.connection.create_function("cleanup_looks", 1, looks_of, deterministic=True)

    def is_blank(self, expression: str, *, unicode: bool) -> Query:
        return Query(f"trim({expression}, %(blanks)s) = ''", {"blanks": BLANKS})

    def fold(self, expression: str, *, unicode: bool, collation: str) -> Query:
        return Query(f"cleanup_looks({expression})")

    def row_text(self, columns: Sequence[Column]) -> str:
        return " || ',' || ".join(self._cell_text(column) for column in columns) or "''"

    def _cell_text(self, column: Column) -> str:
        cell = f"x.{quote(column.name)}"
        if column.type.replace(" ", "").lower() not in _UUID_TYPES:
            return f"CAST({cell} AS text)"
        return f"CASE WHEN length({cell}) = 32 THEN {hyphenated(cell)} ELSE {cell} END"

    def same_key(self, loose: str, key: str, *, own: Column, of_key: Column, spelled: bool) -> str:
        if spelled and self.tables.folder_key.is_uuid:
            return f"{key} = {digits_in_text(loose)}"
        return f"{key} = {loose}"
