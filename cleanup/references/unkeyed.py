"""Rows that a run would have to move and that have no key to journal them by."""

from django.db import connections

from cleanup.backends import reference_sql
from cleanup.backends.catalogue import Table
from cleanup.folder_tables import folder_tables
from cleanup.references.description import Problem, Reference, ReferenceMap
from cleanup.references.mapped_types import are_unlike


def blocking_rows(*, using: str, references: ReferenceMap) -> list[Problem]:
    """Return a problem for each table without a row key of which some row would have to move.

    Such a row names a folder of an application that has several live roots or same-named siblings. One statement for
    each reference of such a table. Tables that the role may not read are left out: they are problems already.
    """
    if are_unlike(references):
        return []
    vendor = connections[using].vendor
    found = []
    for reference in references.references:
        table = references.tables[reference.table]
        if table.row_key is None and "select" in table.privileges and _any_row(using, references, reference):
            found.append(_problem(table, reference, vendor=vendor))
    return found


def _any_row(using: str, references: ReferenceMap, reference: Reference) -> bool:
    sql, params = reference_sql.row_that_would_move(
        references.tables[reference.table],
        references.folders,
        list(zip(reference.columns, reference.folder_columns, strict=True)),
        folder_tables(),
        spelled=reference.spelled,
        condition=reference.condition,
        vendor=connections[using].vendor,
    )
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone() is not None


def _problem(table: Table, reference: Reference, *, vendor: str) -> Problem:
    if vendor == "sqlite":
        remedy = "Make the table anew with one, or create a unique index over columns that are NOT NULL."
    else:
        added = "ADD COLUMN cleanup_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        remedy = f"Add one: ALTER TABLE {table.name.quoted} {added};"
    return Problem(
        "unkeyed",
        str(table.name),
        ", ".join(reference.columns),
        f"{table.name} has rows that would have to move ({reference}) and no primary key to journal them by. {remedy}",
    )
