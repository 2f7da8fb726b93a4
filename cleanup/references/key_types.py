"""Which columns can hold a key, and how they may spell it, judged by their underlying types.

The underlying type (``Column.stored_type``) of a domain is its base type; on SQLite, which accepts any word as a type,
it is the affinity that SQLite derives from the word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from django.db import models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleanup.backends.catalogue import Column
    from cleanup.backends.folders import Looseness
    from cleanup.backends.probes import KeyKind
    from cleanup.folder_tables import KeyColumn

#: ``any``: what SQLite stores there depends on the value.
Kind = Literal["uuid", "integer", "text", "any", "other"]

#: Types that hold only UUIDs; char(32) is Django's on SQLite.
_UUID = frozenset({"uuid", "guid", "uniqueidentifier", "char(32)"})
_INTEGER = frozenset({"smallint", "integer", "bigint", "int", "mediumint", "int2", "int4", "int8"})
_TEXT = frozenset(
    {"text", "character varying", "character", "char", "varchar", "nchar", "nvarchar", "citext", "name", "clob"}
)
_BY_AFFINITY: dict[str, Kind] = {"INTEGER": "integer", "TEXT": "text", "NUMERIC": "any", "BLOB": "any", "REAL": "other"}
_WHOLE_NUMBERS = re.compile(r"numeric\(\d+,0\)")
_PADDED = re.compile(r"character\((\d+)\)")


def kind_of(column: Column) -> Kind:
    """Return the kind of keys that a column holds."""
    if column.base in _BY_AFFINITY:
        return "uuid" if "".join(column.type.lower().split()) in _UUID else _BY_AFFINITY[column.base]
    stored = column.stored_type.lower()
    bare = stored.partition("(")[0].rpartition(".")[2]
    if stored == "uuid":
        return "uuid"
    if bare in _INTEGER or _WHOLE_NUMBERS.fullmatch(stored):
        return "integer"
    return "text" if bare in _TEXT and not stored.endswith("]") else "other"


def ignores_case(column: Column) -> bool:
    """Return whether a column's type treats texts that differ in case as equal."""
    return column.stored_type.lower().rpartition(".")[2] == "citext"


def kind_of_key(key: KeyColumn) -> KeyKind:
    """Return the kind of keys that a model declares."""
    if key.is_uuid:
        return "uuid"
    return "integer" if isinstance(key.field, models.IntegerField) else "text"


def can_be(column: Column, key: KeyColumn) -> bool:
    """Return whether a column can be that key itself, as its model describes it."""
    kind, wanted = kind_of(column), kind_of_key(key)
    if column.base not in _BY_AFFINITY:
        return kind == wanted
    return kind in {wanted, "any"} or {kind, wanted} == {"uuid", "text"}


def can_hold(column: Column, key: KeyColumn) -> bool:
    """Return whether a column can name rows of that key, in whatever spelling."""
    return can_be(column, key) or kind_of(column) == "text"


def looseness(column: Column, of_key: Column, key: KeyColumn) -> Looseness:
    """Return how to read a column's texts if its type differs from that of the key that it names."""
    if column.base in _BY_AFFINITY:
        return "uuid" if key.is_uuid and kind_of(column) != "uuid" else ""
    if padded_length(of_key) is not None:
        return "" if padded_length(column) is not None else "padded"
    readings: dict[Kind, Looseness] = {"uuid": "uuid", "integer": "integer"}
    return readings.get(kind_of(of_key), "") if kind_of(column) == "text" else ""


def spelled_type(column: Column) -> str:
    """Spell a column's type for people: a domain with its base type."""
    if column.base in _BY_AFFINITY:
        return column.type or "no type"
    return f"{column.type} (over {column.base})" if column.base else column.type


def padded_length(column: Column) -> int | None:
    """Return the length to which PostgreSQL pads what a char(n) column holds; None for any other type."""
    found = _PADDED.fullmatch(column.stored_type)
    return int(found[1]) if found else None


def spellings(key: KeyColumn, column: Column, value: str) -> tuple[str, ...]:
    """Return the ways in which a text column may spell a key that ``column`` holds; equal places, equal ways."""
    length = padded_length(column)
    if length is None:
        return key.spellings(value)
    return value, value.ljust(length)


def respelled(key: KeyColumn, column: Column, old: str, new: str) -> Iterator[tuple[str, str]]:
    """Yield each way to spell one key with the same way to spell another; a UUID of digits alone has no upper case."""
    ways = zip(spellings(key, column, old), spellings(key, column, new), strict=True)
    yield from dict(reversed(list(ways))).items()
