"""Generated columns that hold a folder's key: they follow the column that they copy, and cannot be changed themselves.

A plain copy is left out of what moves, and the column that it copies is moved in its place. A column that is computed
in any other way cannot be moved by changing what it is computed from: the result cannot be predicted.
"""

import re

from cleanup.backends.catalogue import Table
from cleanup.backends.query import quoted
from cleanup.references.problem import Problem

#: An identifier, bare or quoted, in any number of parentheses, cast or not.
_COPY = re.compile(r'\(*\s*(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<bare>\w+))\s*\)*(?:::[\w\s.()"]+)?\s*\)*')


def copied_column(table: Table, column: str) -> str | None:
    """Return the column that a generated one is a copy of; None if it is computed in another way."""
    described = table.column(column)
    match = _COPY.fullmatch(described.expression.strip())
    if match is None or len(described.computed_from) != 1:
        return None
    (source,) = described.computed_from
    named = (match["quoted"] or "").replace('""', '"') or match["bare"]
    return source if named.lower() == source.lower() and not table.column(source).generated else None


def computed(table: Table, column: str) -> Problem:
    """Report a generated column that refers to folders and is not a plain copy."""
    return Problem(
        "generated",
        str(table.name),
        column,
        f"{table.name}.{column} refers to folders and is generated from {table.column(column).expression}, so that it "
        f"cannot be moved. Drop it during the run, or make it a plain copy of the column that holds the key: "
        f"ALTER TABLE {table.name.quoted} DROP COLUMN {quoted(column)};",
    )


def referenced_copy(table: Table, column: str, referencing: str) -> Problem:
    """Report a foreign key to a generated copy of a folder's key, which would have to change in the same statement."""
    return Problem(
        "generated",
        str(table.name),
        column,
        f"{referencing} references {table.name}.{column}, a generated copy of a folder's key, which changes when the "
        f"folder is merged. Let it reference the column that is copied.",
    )
