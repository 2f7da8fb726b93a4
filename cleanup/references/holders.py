"""Which columns could hold keys of folders, and in what form. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from django.db import models

from cleanup.backends.catalogue import Column, PlacedColumn
from cleanup.folder_tables import KeyColumn
from cleanup.references.host_words import words_of
from cleanup.references.key_types import Kind, kind_of

#: A value is a key or, if it is text, may contain keys; a list or a document contains any number of them.
Form = Literal["value", "list", "document", "bytes"]

_DOCUMENTS = frozenset({"json", "jsonb", "xml", "hstore", "ltree"})
#: Types that SQLite stores as given, and that mean something else to hosts.
_NO_TEXTS = frozenset(
    {"date", "datetime", "timestamp", "time", "bool", "boolean", "numeric", "decimal", "number", "money"}
)
_BYTES = frozenset({"bytea", "blob", "binary"})
#: Last words of columns that say something about a folder, and hold none.
_DESCRIBING = frozenset({"type", "kind", "class", "status", "state", "colour", "color", "icon", "title", "description"})
_UUID_LENGTH = re.compile(r"\((?:32|36)\)$")


@dataclass(frozen=True, slots=True)
class Holder:
    """A column that could hold keys of folders."""

    placed: PlacedColumn
    kind: Kind
    """Of its values, or of the elements of its lists."""
    form: Form

    @property
    def place(self) -> "tuple[object, str]":
        """Table and column."""
        return self.placed.table, self.placed.column.name


def holders(columns: Iterable[PlacedColumn], key: KeyColumn) -> Iterator[Holder]:
    """Yield the columns that could hold a folder's key."""
    kinds = _kinds(key)
    for placed in columns:
        base = placed.base.lower().partition("(")[0].rpartition(".")[2].strip()
        if base in _DOCUMENTS or placed.compound:
            if "uuid" in kinds or not isinstance(key.field, models.IntegerField):
                yield Holder(placed, "text", "document")
        elif base in _BYTES:
            if "uuid" in kinds and not placed.array:
                yield Holder(placed, "other", "bytes")
        else:
            kind = kind_of(replace(placed.column, type=placed.base))
            if kind == "any" and base not in _NO_TEXTS:
                kind = "text"  # a type name of the host's own on SQLite, or none
            if kind in kinds:
                yield Holder(placed, kind, "list" if placed.array else "value")


def _kinds(key: KeyColumn) -> frozenset[Kind]:
    if key.is_uuid:
        return frozenset({"uuid", "text"})
    return frozenset({"integer", "text"} if isinstance(key.field, models.IntegerField) else {"text", "uuid"})


def by_name_alone(holder: Holder, key: Column, *, says_id: bool, logical: KeyColumn) -> bool:
    """Return whether a column that is named after folders is suspect even without examining its values.

    If keys are not text, a text may just as well be a folder's name, unless its name says that it holds an id or it is
    as long as a UUID.
    """
    if holder.kind == "text" and _DESCRIBING.intersection(words_of(holder.placed.column.name)[-1:]):
        return False
    if holder.kind == kind_of(key):
        return True
    if logical.is_uuid and holder.kind == "text":
        return says_id or bool(_UUID_LENGTH.search(holder.placed.column.type))
    return holder.kind in _kinds(logical) - {"text"}
