"""Rows that a run would have to move but that have no key to journal them by."""

import re

from cleanup import backends
from cleanup.backends import rows_to_move
from cleanup.backends.catalogue import Table
from cleanup.backends.references import Reference
from cleanup.folder_tables import folder_tables
from cleanup.references.description import ReferenceMap
from cleanup.references.mapped_types import are_unlike
from cleanup.references.problem import Problem

_COLUMN = r'(?:"(?:[^"]|"")+"|\w+)'
#: How a table is partitioned, if it is by columns alone.
_BY_COLUMNS = re.compile(rf"\w+ \(({_COLUMN}(?:, {_COLUMN})*)\)")


def blocking_rows(*, using: str, references: ReferenceMap) -> list[Problem]:
    """Return a problem for each table without a row key in which some row would have to move.

    Such a row names a folder of an application that has several live roots or same-named siblings. One statement for
    each reference of such a table. Tables that the role may not read are left out: they are already problems.
    """
    if are_unlike(references):
        return []
    database = backends.database(using=using)
    found = []
    for reference in references.references:
        table = references.tables[reference.table]
        if table.row_key is None and "select" in table.privileges and _any_row(database, references, reference):
            found.append(_problem(table, reference, remedy=_remedy(table, database)))
    return found


def _any_row(database: backends.Database, references: ReferenceMap, reference: Reference) -> bool:
    query = rows_to_move.row_that_would_move(
        database.folders(folder_tables()),
        references.tables[reference.table],
        references.folders,
        list(zip(reference.columns, reference.folder_columns, strict=True)),
        spelled=reference.spelled,
        condition=reference.condition,
    )
    return bool(database.fetch(query))


def _remedy(table: Table, database: backends.Database) -> str:
    if not database.alters_columns:
        return "Recreate the table with one, or create a unique index over columns that are NOT NULL."
    if table.kind == "partitioned":
        return _remedy_of_partitioned(table, database.catalogue.partition_key(table.name))
    # One that forbids overlaps is a primary key, but does not identify a row.
    key = "UNIQUE" if table.exclusions else "PRIMARY KEY"
    return f"Add one: ALTER TABLE {table.name.quoted} ADD COLUMN cleanup_id bigint GENERATED ALWAYS AS IDENTITY {key};"


def _remedy_of_partitioned(table: Table, partitioning: str) -> str:
    """Return what adds a key, which has to contain the columns that the table is partitioned by."""
    by = _BY_COLUMNS.fullmatch(partitioning)
    if by is None:
        return f"No key can be added, because it is partitioned by {partitioning}. Recreate the table with one."
    added = f"ADD COLUMN cleanup_id uuid NOT NULL DEFAULT gen_random_uuid(), ADD PRIMARY KEY (cleanup_id, {by[1]})"
    return f"Add one: ALTER TABLE {table.name.quoted} {added};"


def _problem(table: Table, reference: Reference, *, remedy: str) -> Problem:
    return Problem(
        "unkeyed",
        str(table.name),
        ", ".join(reference.columns),
        f"{table.name} has rows that would have to move ({reference}) and no key to journal them by. {remedy}",
    )
