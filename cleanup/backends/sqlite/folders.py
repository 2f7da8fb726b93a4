"""SQLite's dialect for reads of the mapped tables."""

import json
from collections.abc import Sequence

from django.db.models import IntegerField

from cleanup.backends import folders
from cleanup.backends.folders import BLANKS, containing
from cleanup.backends.keys import digits_in_text, hyphenated
from cleanup.backends.query import Query, block, joined, quote
from cleanup.folder_tables import KeyColumn


class FolderSql(folders.FolderSql):
    """SQLite's dialect. There is no transaction: a project may make them begin with a write lock."""

    def text(self, key: KeyColumn, expression: str) -> str:
        if not key.is_uuid:
            return f"CAST({expression} AS text)"
        return f"CASE WHEN length({expression}) = 32 THEN {hyphenated(expression)} ELSE {expression} END"

    def value(self, key: KeyColumn, expression: str) -> str:
        if key.is_uuid:
            return f"replace({expression}, '-', '')"
        if isinstance(key.field, IntegerField):
            return f"CAST({expression} AS integer)"
        return expression

    def trimmed(self, expression: str) -> str:
        return f"trim({expression}, char({', '.join(str(ord(blank)) for blank in BLANKS)}))"

    def among(self, key: KeyColumn, expression: str, keys: Sequence[str]) -> Query:
        value = self.value(key, "k.value")
        return Query(
            f"{expression} IN (SELECT {value} FROM json_each(%(keys)s) AS k)", {"keys": json.dumps(list(keys))}
        )

    def numbered(self, expression: str, numbers: Sequence[int]) -> Query:
        return Query(
            f"{expression} IN (SELECT value FROM json_each(%(numbers)s))", {"numbers": json.dumps(list(numbers))}
        )

    def folder_of_file(self, expression: str) -> str:
        return digits_in_text(expression) if self.loose_files else expression

    def _spelled_ways(self, key: str) -> list[str]:
        written = hyphenated(key)
        return [key, written, f"'{{' || {written} || '}}'"]

    def spelled_key(self, expression: str) -> str:
        if not self.tables.folder_key.is_uuid:
            return self.text(self.tables.folder_key, expression)
        return self.text(self.tables.folder_key, digits_in_text(expression))

    def ages(self, prefix: str, *, newest_first: bool = False) -> str:
        turned = " DESC" if newest_first else ""
        key = f"{prefix}{self.folder_key} COLLATE BINARY{turned}"
        if self.tables.folder_created is None:
            return key
        created = f"{prefix}{quote(self.tables.folder_created)}"
        return f"{created} IS NULL, {created} COLLATE BINARY{turned}, {key}"

    def children(self, condition: str) -> str:
        return f"CROSS JOIN {self.folders} AS f ON {condition}"

    def walked(self, expression: str) -> str:
        return f"{expression} IN (SELECT w.folder FROM forest AS w)"

    def bytewise(self, expression: str) -> str:
        return f"{expression} COLLATE BINARY"

    def contains(self, expression: str, text: str) -> Query:
        # LIKE ignores the case of ASCII letters alone.
        spellings = dict.fromkeys((text, text.lower(), text.upper(), text.title()))
        parts = [
            Query(
                f"{expression} LIKE %(contained_{number})s ESCAPE '\\'", {f"contained_{number}": containing(spelling)}
            )
            for number, spelling in enumerate(spellings)
        ]
        return block("({any_of})", any_of=joined(" OR ", parts))
