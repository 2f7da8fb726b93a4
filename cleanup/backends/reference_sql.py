"""The reads of rows that discovery needs, as portable SQL: identifiers quoted, values as parameters."""

from collections.abc import Sequence
from typing import Any

from cleanup.backends.catalogue import Column, Table, quoted
from cleanup.backends.conditions import Condition
from cleanup.backends.key_sql import digits_in_text, same_key
from cleanup.folder_tables import FolderTables


def _q(name: str) -> str:
    """Quote for a statement with parameters, in which a percent sign is doubled."""
    return quoted(name).replace("%", "%%")


def odd_uuids(table: Table, column: str) -> str:
    """Select, on SQLite, the UUIDs that are not stored as 32 lower-case hexadecimal digits; takes no parameters."""
    key = quoted(column)
    return (
        f"SELECT {key} FROM {table.name.quoted}"
        f" WHERE typeof({key}) <> 'text' OR length({key}) <> 32 OR {key} GLOB '*[^0-9a-f]*'"
    )


def row_that_would_move(
    table: Table,
    folders: Table,
    columns: Sequence[tuple[str, str]],
    tables: FolderTables,
    *,
    spelled: bool,
    condition: Condition | None,
    vendor: str,
) -> tuple[str, list[Any]]:
    """Select 1 if a row of ``table`` names a folder of an application with several roots or same-named siblings.

    ``columns`` are pairs of a column and the column of folders that it copies; ``spelled`` and ``condition`` as in a
    reference: any spelling of a UUID, and what the row must be like.
    """
    params: list[Any] = []
    equal = _equal_on_postgresql if vendor == "postgresql" else _equal
    joined = [equal(table.column(own), folders.column(other), spelled=spelled) for own, other in columns]
    if condition is not None:
        kind, params = condition.sql("r", vendor=vendor)
        joined.append(kind)
    application, parent, name = (
        _q(column) for column in (tables.folder_application, tables.folder_parent, tables.folder_name)
    )
    relation = folders.name.quoted.replace("%", "%%")
    grouped = f'{name} COLLATE "C"' if vendor == "postgresql" else f"{name} COLLATE BINARY"
    live = "".join(
        f" AND {_q(column)} IS NULL" if value is None else f" AND {_q(column)} = %s"
        for column, value in (tables.live or {}).items()
    )
    params += 2 * [value for value in (tables.live or {}).values() if value is not None]
    sql = (
        f"SELECT 1 FROM {table.name.quoted.replace('%', '%%')} r JOIN {relation} f ON {' AND '.join(joined)}"
        f" WHERE f.{application} IN ("
        f"SELECT {application} FROM {relation} WHERE {parent} IS NULL AND {application} IS NOT NULL{live}"
        f" GROUP BY {application} HAVING count(*) > 1"
        f" UNION SELECT {application} FROM {relation} WHERE {parent} IS NOT NULL AND {application} IS NOT NULL{live}"
        f" GROUP BY {application}, {parent}, {grouped} HAVING count(*) > 1) LIMIT 1"
    )
    return sql, params


def _equal_on_postgresql(own: Column, other: Column, *, spelled: bool) -> str:
    return same_key(f"r.{_q(own.name)}", f"f.{_q(other.name)}", own=own, of_key=other, spelled=spelled)


def _equal(own: Column, other: Column, *, spelled: bool) -> str:
    left, right = f"r.{_q(own.name)}", f"f.{_q(other.name)}"
    if spelled:
        left, right = (digits_in_text(f"CAST({side} AS text)") for side in (left, right))
    elif own.type != other.type:
        left, right = f"CAST({left} AS text)", f"CAST({right} AS text)"
    return f"{left} = {right}"
