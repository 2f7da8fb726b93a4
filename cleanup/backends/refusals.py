"""What the database refuses, and by which constraint: an attempt in a savepoint, and its error in our terms.

The message and DETAIL of an error stay here: they may hold the names of folders, files and people.
"""

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from django.db import DatabaseError, transaction

T = TypeVar("T")

#: Integrity, data (a value too long, out of range), WITH CHECK OPTION, and what a trigger raises.
_REFUSALS = ("23", "22", "44", "P0")

_CODES = {
    "23505": "unique_taken",
    "23P01": "unique_taken",
    "23503": "missing_target",
    "SQLITE_CONSTRAINT_UNIQUE": "unique_taken",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "unique_taken",
    "SQLITE_CONSTRAINT_ROWID": "unique_taken",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "missing_target",
}

#: SQLite names a constraint's columns, or the index, or its text, after these words; a trigger's text does not match.
_SQLITE_CONSTRAINT = re.compile(r"(?:UNIQUE|CHECK|NOT NULL) constraint failed: (?:index )?(.+)", re.DOTALL)

_FUNCTION = re.compile(r"PL/pgSQL function ([^(]+)\(")


class Refusal(NamedTuple):
    """Why the database refuses to write rows."""

    code: str
    """``unique_taken``, ``missing_target`` or, of any other reason, ``refused``."""
    constraint: str
    """The constraint, unique index, column or trigger function; empty if the database does not say."""


def refusal_of(error: DatabaseError) -> Refusal | None:
    """Return why rows were refused; None for an error that is not about the rows: a lock, a lost connection."""
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None)
    if state:
        if not state.startswith(_REFUSALS):
            return None
        return Refusal(_CODES.get(state, "refused"), _named_by_postgresql(getattr(cause, "diag", None)))
    name = getattr(cause, "sqlite_errorname", None) or ""
    if not name.startswith("SQLITE_CONSTRAINT"):
        return None
    found = _SQLITE_CONSTRAINT.fullmatch(str(cause))
    return Refusal(_CODES.get(name, "refused"), found[1].strip("'") if found else "")


def _named_by_postgresql(diagnosis: object) -> str:
    for label in ("constraint_name", "column_name", "datatype_name"):
        if name := getattr(diagnosis, label, None):
            return str(name)
    function = _FUNCTION.search(getattr(diagnosis, "context", None) or "")
    return function[1] if function else ""


def attempted(action: Callable[[], T], *, using: str) -> T | Refusal:
    """Return what the action returns, or why the database refuses it, in which case nothing of it is left."""
    try:
        with transaction.atomic(using=using):
            return action()
    except DatabaseError as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        return refusal
