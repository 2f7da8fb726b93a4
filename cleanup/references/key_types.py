"""Which columns can hold a folder's key, judged by their types as the database spells them."""

from typing import Literal

from django.db import models

from cleanup.backends.catalogue import Column
from cleanup.folder_tables import KeyColumn

Kind = Literal["uuid", "integer", "text", "other"]

#: What holds UUIDs and nothing else; char(32) is Django's on SQLite.
_UUID = frozenset({"uuid", "guid", "uniqueidentifier", "char(32)"})
_UUID_TEXT = frozenset({"char(36)", "varchar(32)", "varchar(36)"})
_INTEGER = frozenset({"smallint", "integer", "bigint", "int", "mediumint", "int2", "int4", "int8"})
_TEXT = frozenset(
    {"text", "character varying", "character", "char", "varchar", "nchar", "nvarchar", "citext", "name", "clob"}
)


def kind_of(column: Column) -> Kind:
    """Return the kind of keys that a column holds."""
    declared = " ".join(column.type.lower().split())
    base = declared.partition("(")[0].strip().removesuffix(" unsigned")
    if declared in _UUID:
        return "uuid"
    if base in _INTEGER:
        return "integer"
    return "text" if base in _TEXT or not declared else "other"


def can_hold(column: Column, key: KeyColumn) -> bool:
    """Tell whether a column can name rows of that key, in whatever spelling."""
    kind = kind_of(column)
    if key.is_uuid:
        return kind in {"uuid", "text"}
    if isinstance(key.field, models.IntegerField):
        return kind in {"integer", "text"}
    return kind == "text" or column.type.lower() == "char(32)"


def suspect_types(column: Column, key: KeyColumn, *, vendor: str) -> set[str]:
    """Return the types, as ``Catalogue.folder_columns`` wants them, of columns that may name rows of ``column``."""
    declared = "".join(column.type.lower().split()) if vendor == "sqlite" else column.type.partition("(")[0]
    if key.is_uuid:
        return {declared} | (_UUID | _UUID_TEXT if vendor == "sqlite" else {"uuid"})
    if isinstance(key.field, models.IntegerField):
        return {declared} | _INTEGER | ({f"{kind}unsigned" for kind in _INTEGER} if vendor == "sqlite" else set())
    return {declared} | _TEXT
