"""Rows that name folders in a spelling, or a storage class, that a merge does not search for; SQL without parameters.

Each question is about at most so many rows of a table, and each remedy is an UPDATE that can be pasted.
"""

from dataclasses import dataclass

from cleanup.backends import keys
from cleanup.backends.catalogue import Column, Table
from cleanup.backends.keys import hyphenated
from cleanup.backends.query import quoted


@dataclass(frozen=True, slots=True)
class Question:
    """Whether some row is odd, and what fixes those that are."""

    sql: str
    remedy: str


def _among(table: Table, column: Column, condition: str, *, rows: int, only: str = "") -> str:
    name = quoted(column.name)
    where = f"{name} IS NOT NULL{only}"
    some = f"SELECT {name} AS value FROM {table.name.quoted} AS r WHERE {where} LIMIT {rows}"
    return f"SELECT 1 FROM ({some}) AS s WHERE {condition} LIMIT 1"


def odd_on_postgresql(table: Table, column: Column, key: Column, *, rows: int, only: str) -> Question:
    """Find texts that spell a UUID, or a key of char(n), in an unusual way."""
    name = quoted(column.name)
    condition = keys.odd_spellings(name, of_key=key)
    one_way = f"({keys.uuid_in_text(name)})::text" if key.stored_type == "uuid" else f"rtrim({name}::text, ' ')"
    return Question(
        _among(table, column, keys.odd_spellings("s.value", of_key=key), rows=rows, only=only),
        f"UPDATE {table.name.quoted} AS r SET {name} = {one_way} WHERE {condition}{only};",
    )


def more_than_arrays_of_texts(table: Table, column: Column, *, rows: int, only: str) -> str:
    """Find JSON that is no array, or one with objects or arrays in it."""
    deeper = "SELECT FROM jsonb_array_elements(s.value) AS m WHERE jsonb_typeof(m) IN ('object', 'array')"
    condition = f"CASE jsonb_typeof(s.value) WHEN 'array' THEN EXISTS ({deeper}) ELSE s.value <> 'null' END"
    return _among(table, column, condition, rows=rows, only=only)


def odd_uuids_on_sqlite(table: Table, column: Column, *, spelled: bool, rows: int, only: str) -> Question:
    """Ask for UUIDs that are no texts, or are spelled in a way of their own (not ``spelled``: in any but one)."""

    def condition(value: str) -> str:
        digits = keys.digits_in_text(f"CAST({value} AS text)")
        ways = [digits]
        if spelled:
            written = hyphenated(digits)
            ways += [written, f"'{{' || {written} || '}}'"]
            ways += [f"upper({way})" for way in ways]
        is_uuid = f"length({digits}) = 32 AND {digits} NOT GLOB '*[^0-9a-f]*'"
        return f"(typeof({value}) <> 'text' OR {is_uuid} AND {value} NOT IN ({', '.join(ways)}))"

    name = quoted(column.name)
    digits = f"CASE WHEN typeof({name}) = 'blob' AND length({name}) = 16 THEN hex({name}) ELSE CAST({name} AS text) END"
    return Question(
        _among(table, column, condition("s.value"), rows=rows, only=only),
        f"UPDATE {table.name.quoted} AS r SET {name} = {keys.digits_in_text(digits)}"
        f" WHERE {name} IS NOT NULL AND {condition(name)}{only};",
    )


def numbers_as_texts_on_sqlite(table: Table, column: Column, *, rows: int, only: str) -> Question:
    """Find integers that are stored as texts, in a column that converts nothing."""

    def condition(value: str) -> str:
        return f"typeof({value}) = 'text' AND CAST(CAST({value} AS integer) AS text) = trim({value})"

    name = quoted(column.name)
    return Question(
        _among(table, column, condition("s.value"), rows=rows, only=only),
        f"UPDATE {table.name.quoted} AS r SET {name} = CAST({name} AS integer) WHERE {condition(name)}{only};",
    )


def unlike_text_keys(
    table: Table, column: Column, folders: Table, key: Column, *, typed: bool, rows: int, only: str
) -> Question:
    """Ask for texts that name no folder as they stand, and would in another case, trimmed, or as a UUID."""
    at, name = quoted(key.name), quoted(column.name)

    def ways(value: str) -> str:
        text = f"{value}::text" if typed else value
        digits = keys.digits_in_text(text)
        written = hyphenated(digits)
        forms = [f"lower({text})", f"upper({text})", f"trim({text})", digits, written]
        return ", ".join([*forms, f"upper({digits})", f"upper({written})"])

    def there(condition: str) -> str:
        return f"EXISTS (SELECT 1 FROM {folders.name.quoted} AS f WHERE f.{at} {condition})"

    value, otherwise = f"r.{name}", f"IN ({ways('s.value')})"
    return Question(
        _among(table, column, f"NOT {there('= s.value')} AND {there(otherwise)}", rows=rows, only=only),
        f"UPDATE {table.name.quoted} AS r SET {name} = f.{at} FROM {folders.name.quoted} AS f WHERE f.{at} IN"
        f" ({ways(value)}) AND NOT EXISTS (SELECT 1 FROM {folders.name.quoted} AS g WHERE g.{at} = {value}){only};",
    )
