"""Arrays of folder keys that ``CLEANUP_EXTRA_REFERENCES`` names."""

from collections.abc import Iterator, Mapping

from cleanup.backends.catalogue import Check, Column, Table, TableName, UniqueKey
from cleanup.backends.lists import element_of, is_array, is_json
from cleanup.backends.references import ListReference
from cleanup.folder_tables import KeyColumn
from cleanup.references.key_types import can_hold, kind_of, padded_length
from cleanup.references.problem import Problem
from cleanup.references.resolved_names import ResolvedNames


def lists_of(names: ResolvedNames, described: Mapping[TableName, Table]) -> Iterator[ListReference]:
    """Yield the arrays that settings name and that can hold folders' keys."""
    key = described[names.folders].column(names.key)
    padded = padded_length(key) is not None
    for entry in names.named.extra_references:
        table = described.get(names.by_spelling[entry.table]) if entry.table in names.by_spelling else None
        column = names.column(table.name, entry.column) if table else None
        if table is None or column is None or table.kind not in ("table", "partitioned"):
            continue
        held = table.column(column)
        if is_array(held) and not held.generated and can_be_element(held, names.tables.folder_key):
            condition = entry.condition
            if condition is not None:
                spelled = {name: names.column(table.name, name) for name in condition.columns}
                condition = condition.renamed({name: own for name, own in spelled.items() if own is not None})
            text = kind_of(element_of(held)) == "text"
            in_any_spelling = text and (names.tables.folder_key.is_uuid or padded)
            yield ListReference(table.name, column, condition, in_any_spelling, is_json(held))


def can_be_element(column: Column, key: KeyColumn) -> bool:
    """Return whether a column's arrays can hold a key; in JSON, a number has several forms, and so is none."""
    return not (is_json(column) and key.is_integer) and can_hold(element_of(column), key)


def problems_of(lists: tuple[ListReference, ...], described: Mapping[TableName, Table]) -> Iterator[Problem]:
    """Report arrays whose elements cannot be moved and journaled."""
    for one in lists:
        table = described[one.table]
        if table.row_key is None:
            remedy = "Add a primary key, or move the entry to CLEANUP_IGNORED_COLUMNS."
            message = f"{one} is an array of folders, and {one.table} has no key to journal its rows by. {remedy}"
            yield Problem("unkeyed", str(one.table), one.column, message)
        changing = table.dependent([one.column])
        rules: list[UniqueKey | Check] = [*table.uniques, *table.exclusions, *table.checks]
        for rule in rules:
            if changing & set(rule.columns):
                message = (
                    f"{one} is an array of folders in the rule {rule.name}, and what would break a rule is not "
                    f"foreseen in arrays. Drop the rule, or move the entry to CLEANUP_IGNORED_COLUMNS."
                )
                yield Problem("misconfigured", str(one.table), one.column, message)
