"""SQLite's cells: storage class and value.

Note [Storage classes]. A cell is ``i:`` and decimal digits, ``r:`` and a hexadecimal float, ``t:`` and the text, ``x:``
and the bytes of a text that is not valid or holds NUL, ``b:`` and the bytes of a blob; NULL is None. Two
functions that are registered on each connection encode and decode; JSON's own numbers and texts lose digits and NULs.

Note [Affinity]. A column may convert what is written to it (42 becomes '42'). Old values are journaled as they were
found, so that they come back exactly; a new value is recognised in the form it was given in and in the converted one.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models

from cleanup.backends import cells
from cleanup.backends.changes import NO_NAME
from cleanup.backends.query import quote
from cleanup.backends.sqlite.catalogue import affinity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cleanup.backends.catalogue import Table
    from cleanup.backends.changes import Cell
    from cleanup.folder_tables import KeyColumn

#: json_array takes this many arguments at least, however SQLite was built.
_ARGUMENTS = 100

_COLLATION = re.compile(r"""\sCOLLATE\s+("[^"]+"|\w+)\s*$""", re.IGNORECASE)


class Cells(cells.Cells):
    """Storage class and value."""

    encoding: ClassVar[str] = "sqlite-class"

    def key_cell(self, key: KeyColumn, value: str) -> str:
        if key.is_uuid:
            return "t:" + value.replace("-", "").lower()
        raw = key.raw(value, connection=self.connection)
        return f"i:{raw}" if isinstance(key.field, models.IntegerField) else self.text_cell(raw)

    def text_cell(self, text: str) -> str:
        return "x:" + text.encode().hex() if "\x00" in text else "t:" + text

    def number_cell(self, number: int) -> str:
        return f"i:{number}"

    def key_value(self, name: str, key: KeyColumn) -> str:
        return decoded(f"%({name})s")

    def image(self, table: Table) -> str:
        return json_array([encoded(f"t.{quote(column.name)}") for column in table.columns if not column.generated])

    def selected(self, cells: Any) -> tuple[Any, ...]:
        return tuple(json.loads(cells))

    def cell_text(self, cell: Cell) -> str:
        if cell is None:
            return "NULL"
        return str(float.fromhex(cell[2:])) if cell.startswith("r:") else cell[2:]


def codec(encoding: str) -> tuple[Callable[[str, Any], Cell], Callable[[Cell], Any]]:
    """Return the functions that encode and decode cells in a database of that text encoding."""
    codec = {"UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}.get(encoding, "utf-8")

    def encode(storage_class: str, value: Any) -> Cell:
        if value is None:
            return None
        if storage_class == "text":
            try:
                text = value.decode(codec)
            except UnicodeDecodeError:
                return "x:" + str(value.hex())
            return "x:" + str(value.hex()) if "\x00" in text else "t:" + str(text)
        if storage_class == "integer":
            return f"i:{value}"
        return "r:" + float(value).hex() if storage_class == "real" else "b:" + bytes(value).hex()

    def decode(cell: Cell) -> Any:
        if cell is None:
            return None
        storage_class, value = cell[:2], cell[2:]
        if storage_class == "t:":
            return value
        if storage_class == "i:":
            return int(value)
        return float.fromhex(value) if storage_class == "r:" else bytes.fromhex(value)

    return encode, decode


def encoded(value: str) -> str:
    """Return the cell of a value; a text is passed as its bytes, because it may not be valid text."""
    return (
        f"cleanup_encode(typeof({value}), CASE typeof({value}) WHEN 'text' THEN CAST({value} AS BLOB) ELSE {value} END)"
    )


def decoded(cell: str) -> str:
    """Return the value of a cell."""
    return (
        f"CASE substr({cell}, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode({cell}) AS TEXT) ELSE cleanup_decode({cell}) END"
    )


def listed(name: str) -> str:
    """Return the values of a parameter that is a JSON array of cells."""
    return f"(SELECT {decoded('value')} FROM json_each(%({name})s))"


def member(place: int, *, of: str = "value") -> str:
    """Return a member of a JSON array."""
    return f"json_extract({of}, '$[{place}]')"


def applied(value: str, declared: str) -> str:
    """Return a value as a column of that declared type would hold it: SQLite's rules of affinity.

    A comparison with CAST(x AS NUMERIC) tells whether the whole text is a number.
    """
    stored = affinity(declared)
    if stored == "TEXT":
        return (
            f"(SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END"
            f" FROM (SELECT {value} AS a))"
        )
    if stored == "BLOB":
        return value
    number = "REAL" if stored == "REAL" else "NUMERIC"
    return (
        f"(SELECT CASE WHEN typeof(a) IN ('text', 'integer') AND CAST(a AS {number}) = a THEN CAST(a AS {number})"
        f" ELSE a END FROM (SELECT {value} AS a))"
    )


def json_array(cells: Sequence[str]) -> str:
    """Return the JSON array of cells, however many there are."""
    if len(cells) <= _ARGUMENTS:
        return f"json_array({', '.join(cells)})"
    parts = [
        # Cells are quoted texts or null, so brackets are at the ends alone.
        f"trim(json_array({', '.join(cells[start : start + _ARGUMENTS])}), '[]')"
        for start in range(0, len(cells), _ARGUMENTS)
    ]
    return "('[' || " + " || ',' || ".join(parts) + " || ']')"


def as_json(value: Any) -> str:
    """Return a parameter that json_each reads."""
    return json.dumps(value, ensure_ascii=False)


def name_of(cell: Cell) -> str:
    """Return a folder's name from its cell; one that is not text gets a name that no text has."""
    return cell[2:] if cell is not None and cell.startswith("t:") else NO_NAME + (cell or "")


def searched_name(cell: Cell, longest: int) -> str:
    """Return the beginning of a folder's name, for searches; empty if it is not text."""
    name = name_of(cell)
    return "" if name.startswith(NO_NAME) else name[:longest]


def collation(part: str) -> str:
    """Return the collation that a part of a unique key names at its end."""
    named = _COLLATION.search(part)
    return named[1] if named else "BINARY"
