"""Folders that a repair made: when it is undone they go, unless something has come to refer to them."""

from collections.abc import Iterator, Sequence

from cleanup import journal
from cleanup.backends.changes import Target, ValueChange, ValueChanges
from cleanup.backends.references import ListReference, Reference
from cleanup.folder_tables import SELF
from cleanup.references.key_types import respelled
from cleanup.services.rollback.tables import CurrentTables


def in_use(cells: Sequence[str], tables: CurrentTables) -> set[str]:
    """Return those of the folders, given by the cells of their keys, that a row refers to."""
    database = tables.backend
    references, arrays = targets_of(cells, tables)
    used = {cells[row.point] for row in database.reading.count_rows(references)}
    if arrays:
        used |= {cells[row.point] for row in database.lists.count_rows(arrays)}
    return used


def targets_of(cells: Sequence[str], tables: CurrentTables) -> tuple[list[Target], list[Target]]:
    """Return the columns and the arrays in which the folders may be named, with their keys as old values."""
    arrays = [_target(one, (one.column,), cells, tables) for one in tables.references.lists]
    return list(_targets(cells, tables)), arrays


def _targets(cells: Sequence[str], tables: CurrentTables) -> Iterator[Target]:
    key = tables.mapped.folder_key.column
    for reference in tables.references.references:
        if key in reference.folder_columns:  # any other is enforced, so that the database would refuse
            column = reference.columns[reference.folder_columns.index(key)]
            yield _target(reference, (column,), cells, tables)


def _target(
    reference: Reference | ListReference, columns: tuple[str, ...], cells: Sequence[str], tables: CurrentTables
) -> Target:
    table = tables.references.tables[reference.table]
    pairs = [
        ValueChange(place, (old,), (old,), 1)
        for place, cell in enumerate(cells)
        for old in (_spellings(cell, tables) if reference.spelled else (cell,))
    ]
    changes = ValueChanges.of(pairs, width=1)
    roots = (table.name, columns) == (tables.references.folders.name, (tables.mapped.folder_parent,))
    itself = roots and tables.mapped.root_parent == SELF  # a root folder that was made is not in use by that
    return Target(table, columns, journal.row_key(table), changes, reference.condition, of_others=itself)


def _spellings(cell: str, tables: CurrentTables) -> list[str]:
    key, text = tables.mapped.folder_key, tables.backend.cells
    folder = key.text(text.cell_text(cell))
    return [text.text_cell(old) for old, _ in respelled(key, tables.references.folder_key, folder, folder)]
