"""The messages about columns that look like folder references but are not known ones."""

from collections.abc import Sequence

from cleanup.backends.catalogue import TableName
from cleanup.backends.probes import Hits
from cleanup.backends.query import quoted
from cleanup.backends.references import Reference
from cleanup.references.configured_columns import entry_of, pasted
from cleanup.references.holders import Holder
from cleanup.references.problem import Problem


def by_name(holder: Holder) -> Problem:
    """Report a column that is named after folders."""
    table, column = holder.placed.table, holder.placed.column
    entry = pasted(entry_of(table, column.name))
    looks = f"{table}.{column.name} looks like a folder reference (type {column.type}) but has no foreign key."
    if holder.form in ("value", "list") and not holder.placed.shadow:
        remedy = f"Add {entry} to CLEANUP_EXTRA_REFERENCES if it holds folders, else to CLEANUP_IGNORED_COLUMNS."
    else:
        remedy = _to_leave(entry)
    return Problem("suspected", str(table), column.name, f"{looks} {remedy}")


def by_value(holder: Holder, hits: Hits, *, condition: str) -> Problem:
    """Report a column whose values are keys of folders; ``condition`` is the one for its rows, as Python source."""
    table, column = holder.placed.table, holder.placed.column
    entry = pasted(entry_of(table, column.name))
    holds = (
        f"{table}.{column.name} (type {column.type}) holds keys of folders, in {hits.hits} of {hits.cells} values that "
        f"were looked at, and has no foreign key."
    )
    if holder.form not in ("value", "list") or holder.placed.shadow:
        remedy = _to_leave(entry)
    elif condition:
        remedy = (
            f"Add {{{entry}: {condition}}} to CLEANUP_EXTRA_REFERENCES if such rows are about folders, else {entry} to "
            f"CLEANUP_IGNORED_COLUMNS."
        )
    else:
        remedy = (
            f"Add {entry} to CLEANUP_EXTRA_REFERENCES if they are to move, or to CLEANUP_IGNORED_COLUMNS if they may "
            f"name removed folders."
        )
    return Problem("suspected", str(table), column.name, f"{holds} {remedy}")


def by_other_key(table: TableName, column: str, hits: Hits, *, folders: TableName, key: str) -> Problem:
    """Report a column that holds another key of folders than that by which they are known."""
    entry = pasted(entry_of(table, column))
    referring = f"FOREIGN KEY ({quoted(column)}) REFERENCES {folders.quoted} ({quoted(key)})"
    remedy = f"ALTER TABLE {table.quoted} ADD {referring};" if table.schema else f"recreate {table} with {referring}."
    return Problem(
        "suspected",
        str(table),
        column,
        f"{table}.{column} holds {key} of {folders}, in {hits.hits} of {hits.cells} values that were looked at, and "
        f"has no foreign key. Add one, so that its rows move with the folders: {remedy} Or add {entry} to "
        f"CLEANUP_IGNORED_COLUMNS, if they may name removed folders.",
    )


def mentioned(holder: Holder, hits: Hits) -> Problem:
    """Report a text that names folders somewhere within it."""
    table, column = holder.placed.table, holder.placed.column
    return Problem(
        "mentioned",
        str(table),
        column.name,
        f"{table}.{column.name} mentions folders within longer texts, in {hits.mentions} of {hits.cells} values that "
        f"were looked at. Texts are not changed; resolve_folder() returns where a folder went. To hide this, add "
        f"{pasted(entry_of(table, column.name))} to CLEANUP_IGNORED_COLUMNS.",
    )


def of_kind(holder: Holder, beside: str, *, condition: str, several: bool) -> Problem:
    """Report a column whose rows are about folders if another column says so; ``several`` values of it may."""
    table, column = holder.placed.table, holder.placed.column
    entry = pasted(entry_of(table, column.name))
    return Problem(
        "suspected",
        str(table),
        column.name,
        f"{table}.{column.name} looks like a folder reference where {beside} says so, but has no foreign key. "
        f"Add {{{entry}: {condition}}} to CLEANUP_EXTRA_REFERENCES"
        f"{', without those values that are about something else' if several else ''}, or {entry} to "
        f"CLEANUP_IGNORED_COLUMNS.",
    )


def other_kinds(reference: Reference, rows: int, missing: int, *, condition: str) -> Problem:
    """Report an extra reference that moves rows which are not about folders."""
    (column,) = reference.columns
    entry = pasted(entry_of(reference.table, column))
    remedy = "Remove it from CLEANUP_EXTRA_REFERENCES, or state which rows are about folders:"
    example = condition or '{"kind": "folder"}'
    return Problem(
        "other_kinds",
        str(reference.table),
        column,
        f"{reference} is in CLEANUP_EXTRA_REFERENCES, and {missing} of {rows} rows hold what is not a folder's key, "
        f"so that rows about something else would move with them. {remedy} "
        f"CLEANUP_EXTRA_REFERENCES = {{{entry}: {example}}}.",
    )


def dangling(reference: Reference, rows: int, missing: int, *, condition: str) -> Problem:
    """Report an extra reference in which some rows name no folder."""
    (column,) = reference.columns
    entry = pasted(entry_of(reference.table, column))
    remedy = f" If they are about something else, state which rows are about folders: {{{entry}: {condition}}}."
    return Problem(
        "dangling",
        str(reference.table),
        column,
        f"In {missing} of {rows} rows, {reference} holds what is not the key of a folder; verification reports them."
        f"{remedy if condition else ''}",
    )


def not_looked_at(tables: Sequence[TableName]) -> Problem:
    """Report tables whose values could not be examined."""
    names = ", ".join(str(table) for table in tables)
    return Problem(
        "unprobed",
        "",
        "",
        f"These tables could not be searched for keys of folders, as the current role may not read them or they were "
        f"locked: {names}.",
    )


def _to_leave(entry: str) -> str:
    return (
        f"Its values are not moved and would name removed folders; resolve_folder() returns where those went. "
        f"To leave it so, add {entry} to CLEANUP_IGNORED_COLUMNS."
    )
