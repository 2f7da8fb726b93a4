"""The reads of rows that discovery needs, as portable SQL: identifiers quoted, values as parameters."""

from collections.abc import Sequence

from cleanup.backends.catalogue import Column, Table
from cleanup.backends.conditions import Condition
from cleanup.backends.folders import FolderSql
from cleanup.backends.forest import Scope
from cleanup.backends.keys import digits_in_text, same_key
from cleanup.backends.query import Query, joined, quote, quoted


def odd_uuids(table: Table, column: str) -> str:
    """Select, on SQLite, the UUIDs that are not stored as 32 lower-case hexadecimal digits; takes no parameters."""
    key = quoted(column)
    return (
        f"SELECT {key} FROM {table.name.quoted}"
        f" WHERE typeof({key}) <> 'text' OR length({key}) <> 32 OR {key} GLOB '*[^0-9a-f]*'"
    )


def repeated_keys(table: Table, column: str) -> str:
    """Select the values that a column holds in several rows; takes no parameters."""
    key = quoted(column)
    return f"SELECT {key} FROM {table.name.quoted} GROUP BY {key} HAVING count(*) > 1"


def row_that_would_move(
    sql: FolderSql,
    table: Table,
    folders: Table,
    columns: Sequence[tuple[str, str]],
    *,
    spelled: bool,
    condition: Condition | None,
) -> Query:
    """Select 1 if a row of ``table`` names a folder of an application with several roots or same-named siblings.

    ``columns`` are pairs of a column and the column of folders that it copies; ``spelled`` and ``condition`` as in a
    reference: any spelling of a UUID, and what the row must be like.
    """
    session = sql.session
    equal = _equal_on_postgresql if session.vendor == "postgresql" else _equal
    conditions: list[str | Query] = [
        equal(table.column(own), folders.column(other), spelled=spelled) for own, other in columns
    ]
    if condition is not None:
        conditions.append(condition.sql("r", vendor=session.vendor))
    return sql.block(
        """
        WITH RECURSIVE {live_roots}, {siblings}
        SELECT 1
          FROM {table} AS r
          JOIN {owned} AS f ON {joined}
         WHERE f.{owner} IN (SELECT application FROM live_roots WHERE surplus > 0
                              UNION
                             SELECT application FROM siblings)
         LIMIT 1
        """,
        live_roots=sql.live_roots(Scope()),
        siblings=sql.same_named_siblings(Scope()),
        table=session.relation(table.name),
        owned=sql.owned(Scope()),
        joined=joined(" AND ", conditions),
    )


def _equal_on_postgresql(own: Column, other: Column, *, spelled: bool) -> str:
    return same_key(f"r.{quote(own.name)}", f"f.{quote(other.name)}", own=own, of_key=other, spelled=spelled)


def _equal(own: Column, other: Column, *, spelled: bool) -> str:
    left, right = f"r.{quote(own.name)}", f"f.{quote(other.name)}"
    if spelled:
        left, right = (digits_in_text(f"CAST({side} AS text)") for side in (left, right))
    elif own.type != other.type:
        left, right = f"CAST({left} AS text)", f"CAST({right} AS text)"
    return f"{left} = {right}"
