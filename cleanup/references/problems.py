"""Problems of foreign keys and of kinds of tables, each with the table, the column and the remedy."""

from collections.abc import Iterable, Iterator

from cleanup.backends.catalogue import ForeignKey, Table
from cleanup.backends.query import quoted
from cleanup.references.graph import Graph, Unorderable, Unrestricted
from cleanup.references.problem import Problem


def moving_key(key: ForeignKey, columns: Iterable[str]) -> Problem:
    """Report a foreign key to columns of folders that a merge changes in folders that stay."""
    moving = ", ".join(columns)
    remedy = "recreate the table without it (SQLite cannot drop it)."
    if key.table.schema:
        remedy = f"drop it: ALTER TABLE {key.table.quoted} DROP CONSTRAINT {quoted(key.name)};"
    return Problem(
        "moving_key",
        str(key.table),
        ", ".join(key.columns),
        f"Table {key.table} references column {moving} of {key.target} by the foreign key {key.name}, and a merge "
        f"changes that column in folders that stay. Let the foreign key name the folder's key alone, or {remedy}",
    )


#: The kinds of tables that have rows of their own.
ORDINARY = frozenset({"table", "partitioned"})


def described_kind(table: Table) -> str:
    """Return what a table is, as a noun."""
    return table.kind if "view" in table.kind else f"{table.kind} table"


def not_a_table(table: Table, column: str) -> Problem:
    """Report a reference in something that cannot be written and journaled."""
    return Problem(
        "view" if "view" in table.kind else table.kind,
        str(table.name),
        column,
        f"{table.name}.{column} is a folder reference, but {table.name} is a {described_kind(table)}, whose rows "
        f"cannot be moved and journaled here. Name the table behind it in CLEANUP_EXTRA_REFERENCES.",
    )


def _kinds(case: Unrestricted) -> str:
    return " and ".join(case.site.condition.columns if case.site.condition else ())


def of_graph(found: Graph, unorderable: Iterable[Unorderable]) -> Iterator[Problem]:
    """Report keys that cannot be changed together."""
    for one in unorderable:
        sites, keys = ", ".join(str(site) for site in one.sites), ", ".join(key.name for key in one.keys)
        remedy = " ".join(
            f"ALTER TABLE {key.table.quoted} ALTER CONSTRAINT {quoted(key.name)} DEFERRABLE;" for key in one.keys
        )
        yield Problem(
            "two_keys",
            str(one.sites[0].table),
            ", ".join(column for site in one.sites for column in site.columns),
            f"{sites} would have to change in one statement, because the foreign keys {keys} are checked after each. "
            f"Make them deferrable: {remedy}",
        )
    for case in found.unrestricted:
        yield Problem(
            "generic_key",
            str(case.key.table),
            ", ".join(case.key.columns),
            f"Table {case.key.table} references {case.site} by the foreign key {case.key.name} without "
            f"{_kinds(case)}, so that its rows about folders cannot be told from others. Add that to the "
            f"key.",
        )
