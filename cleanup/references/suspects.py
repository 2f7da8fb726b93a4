"""Columns that look like folder references and are none that is known: the sentences about them."""

from cleanup.references.description import Problem
from cleanup.references.holders import Holder
from cleanup.references.named import entry_of, pasted


def by_name(holder: Holder) -> Problem:
    """Report a column that is named after folders."""
    table, column = holder.placed.table, holder.placed.column
    entry = pasted(entry_of(table, column.name))
    looks = f"{table}.{column.name} looks like a folder reference (type {column.type}) but has no foreign key."
    if holder.form == "value":
        remedy = f"Add {entry} to CLEANUP_EXTRA_REFERENCES if it holds folders, else to CLEANUP_IGNORED_COLUMNS."
    else:
        remedy = _to_leave(entry)
    return Problem("suspected", str(table), column.name, f"{looks} {remedy}")


def _to_leave(entry: str) -> str:
    return (
        f"Its values are not moved and would name folders that are gone; resolve_folder() tells where those went. "
        f"To leave it so, add {entry} to CLEANUP_IGNORED_COLUMNS."
    )
