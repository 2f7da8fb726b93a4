"""PostgreSQL's own text form of values, in and out.

Note [Text form]. ``column::text`` under pinned DateStyle, IntervalStyle, bytea_output, extra_float_digits, TimeZone and
lc_monetary, and ``text::type`` back, is how pg_dump moves values: exact for every type, infinities, json spacing and
array bounds included. If the host has defined its own cast to or from text, which would be used, the type's
output and input functions are called in other ways: by concat, and by a cast from bpchar. Types are spelled by
``format_type``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from cleanup.backends import cells
from cleanup.backends.query import Query, label, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from cleanup.backends.catalogue import Column, Table
    from cleanup.backends.changes import Cell
    from cleanup.folder_tables import KeyColumn

#: Keys in most databases; a comma in one of them shows in the number of commas.
_PLAIN_ITEMS = re.compile(r"[0-9A-Za-z_-]+(?:,[0-9A-Za-z_-]+)*").fullmatch

#: An explicit cast to these silently cuts or rounds a value to its length; an assignment refuses.
_LENGTHS = re.compile(r"^(character varying|character|numeric)\(\d+(?:,-?\d+)?\)")


class Cells(cells.Cells):
    """A cell of a key or text is the key or the text."""

    encoding: ClassVar[str] = "postgresql-text"

    def key_cell(self, key: KeyColumn, value: str) -> str:
        return value

    def key_cells(self, key: KeyColumn, values: Sequence[str]) -> Sequence[str]:
        return values

    def text_cell(self, text: str) -> str:
        return text

    def number_cell(self, number: int) -> str:
        return str(number)

    def key_value(self, name: str, key: KeyColumn) -> str:
        return f"%({name})s::text::{key.field.rel_db_type(self.connection)}"

    def image(self, table: Table) -> str:
        return f"to_json({text_array([shown(column) for column in table.columns if not column.generated])})"

    def selected(self, cells: Any) -> tuple[Any, ...]:
        return tuple(cells)

    def cell_text(self, cell: Cell) -> str:
        return "NULL" if cell is None else cell


def bare(column: Column) -> str:
    """Return the type that a column's values are cast to.

    Without its length ("character" alone would mean one character). And not the domain but what it is over: its checks
    are for what is stored, and the assignment makes them; a key that is looked for may be none that it admits.
    """
    return _LENGTHS.sub(lambda match: {"character": "bpchar"}.get(match[1], match[1]), column.stored_type)


def typed(column: Column) -> str:
    """Return what a cell is cast to so that its type's input function reads it, whatever casts the host has made."""
    kind = bare(column)
    return f"bpchar::{kind}" if column.casts_in else kind


def shown(column: Column, *, alias: str = "t") -> str:
    """Return a column of a row such that a cast to text gives the form of its type's output function."""
    return shown_value(f"{alias}.{quote(column.name)}", column)


def shown_value(value: str, column: Column) -> str:
    """Return a value of a column's type in such a form."""
    # What is null is not what is a row of nulls, which IS NULL calls null, too.
    return f"(CASE WHEN {value} IS DISTINCT FROM NULL THEN concat({value}) END)" if column.casts_out else value


def text_array(expressions: Iterable[str]) -> str:
    """Return an array of the texts of expressions."""
    # ARRAY[...] rather than json_build_array(...): no limit of a hundred arguments.
    return "ARRAY[" + ", ".join(f"{expression}::text" for expression in expressions) + "]"


def array_cast(connection: BaseDatabaseWrapper, key: KeyColumn) -> str:
    """Return how a parameter becomes an array of keys."""
    return f"::text[]::{key.field.rel_db_type(connection)}[]"


def is_text(key: KeyColumn) -> bool:
    """Return whether a key compares by a collation."""
    return key.field.get_internal_type() in ("CharField", "TextField", "SlugField")


def relation_of(columns: Mapping[str, str], values: Iterable[str], *, number: int | str = "") -> Query:
    """Return a relation ``given`` of parameters, each the text form of an array; ``columns`` are names and types.

    The parameters are called as the columns, with the ``number``.
    """
    names = [name if number == "" else f"{name}_{number}" for name in columns]
    arrays = ", ".join(f"%({name})s::{kind}[]" for name, kind in zip(names, columns.values(), strict=True))
    params = dict(zip(names, values, strict=True))
    return Query(f"unnest({arrays})\n  AS given({', '.join(columns)})", params)


def key_columns(key: Sequence[str]) -> dict[str, str]:
    """Return the columns of a key's cells in such a relation."""
    return {label("key", column): "text" for column in key}


def key_condition(table: Table, key: tuple[str, ...]) -> str:
    """Return the condition that row ``t`` has the key of ``given``."""
    return " AND ".join(f"t.{quote(name)} = given.{label('key', name)}::{typed(table.column(name))}" for name in key)


def numbers(values: Sequence[int]) -> str:
    """Return the text form of an array of integers."""
    return f"{{{','.join(map(str, values))}}}"


def array(values: Sequence[Cell]) -> str:
    """Return the text form of an array (PostgreSQL, 8.15.6): quoted once, many times faster than item by item."""
    present = [value for value in values if value is not None]
    joined = ",".join(present)
    plain = len(present) == len(values) and joined.count(",") == len(values) - 1
    if plain and _PLAIN_ITEMS(joined) and "null" not in joined.lower():
        return f"{{{joined}}}"
    return f"{{{','.join(map(_array_item, values))}}}"


def _array_item(value: Cell) -> str:
    if value is None:
        return "NULL"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
