"""The classes of errors: transient, data and system, from SQLSTATE and exception class; one table.

Of a database error, its SQLSTATE, constraint, table and column are stored and shown, with what to do: never its
DETAIL, which may hold the names of folders, files and people, and its message only if that can name nothing but
parts of the schema.
"""

import re
from dataclasses import dataclass
from typing import Literal

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError

from cleanup.backends.session import STATEMENT_TABLES
from cleanup.exceptions import ApplicationError, CleanupError, CountMismatch, LeaseLost, ProofFailed, SchemaChanged
from cleanup.folder_tables import Ownership, folder_tables
from cleanup.guard_names import GUARDS_BY_NAME, Guard

ErrorClass = Literal["transient", "data", "system"]

#: Classes (two characters) and single SQLSTATEs; the longer one wins. PostgreSQL, appendix A.
_BY_SQLSTATE: dict[str, ErrorClass] = {
    "08": "transient",  # connection exception
    "21": "data",
    "22": "data",
    "23": "data",  # integrity constraint violation
    "25006": "system",  # read-only transaction
    "25P03": "transient",  # idle-in-transaction timeout
    "40": "transient",  # serialization failure, deadlock
    "42501": "system",  # insufficient privilege
    "42": "system",  # a table or column is gone
    "44": "data",
    "53": "system",  # disk full, out of memory, too many connections
    "54": "data",  # too complex, too many columns
    "55P03": "transient",  # lock not available
    "57014": "transient",  # statement timeout or cancelled
    "57": "transient",  # server shuts down or starts
    "58": "system",  # I/O error
    "P0": "data",  # raised by a trigger
    "XX": "system",
}

#: SQLite gives no SQLSTATE; its error names say enough.
_BY_SQLITE_NAME: dict[str, ErrorClass] = {
    "SQLITE_BUSY": "transient",
    "SQLITE_LOCKED": "transient",
    "SQLITE_CONSTRAINT": "data",
    "SQLITE_FULL": "system",
    "SQLITE_IOERR": "system",
    "SQLITE_READONLY": "system",
    "SQLITE_CORRUPT": "system",
    "SQLITE_NOMEM": "system",
    "SQLITE_CANTOPEN": "system",
}

#: What a server with no connection left, or none for this role or database, reports; nearly all do so in English.
_NO_CONNECTION_LEFT = re.compile("too many (clients|connections)|remaining connection slots")


#: What to do about an error, by the beginning of its SQLSTATE; the longest match wins.
_ADVICE: dict[str, str] = {
    "22": "A value does not fit the type of its column: compare the columns that --preflight lists with your models.",
    "23502": "The column was made NOT NULL, or a value is missing: change the row or the column.",
    "23503": "A row refers to one that does not exist, or is still referred to: see --verify.",
    "23505": "Another row has that unique value: change one of the two, or set a policy in CLEANUP_COLLISIONS.",
    "23514": "The row would break the check: change the row or the constraint.",
    "23P01": "Another row excludes it: change one of the two.",
    "25006": "Use the primary, or let the role write.",
    "40": "Another session interfered.",
    "42501": "See the grants that the role needs with --preflight.",
    "42": "The tables are not what was expected: see --preflight.",
    "53100": "Free space on the server's disk.",
    "53200": "The server is short of memory.",
    "53300": "Let the role have more connections, or use fewer workers.",
    "55P03": "Another session holds the rows or the table.",
    "55": "See the table's state with --preflight.",
    "57014": "It took longer than CLEANUP_STATEMENT_TIMEOUT_MS, or an administrator ended it.",
    "57": "The server ended the connection.",
    "P0": "A function in the database refused it: see what its triggers raise.",
}

#: States in which the server's own message names tables, columns, types and roles, and never a value.
_NAMES_ONLY = ("0A", "25", "40", "42", "53", "54", "55", "57")

#: The source of PL/pgSQL's RAISE, whatever its state: a text of the host's, which may name people.
_RAISED = "pl_exec.c"

#: Constraints of SQLite whose message names tables and columns.
_SQLITE_NAMES_ONLY = frozenset(
    f"SQLITE_CONSTRAINT_{kind}" for kind in ("UNIQUE", "PRIMARYKEY", "NOTNULL", "CHECK", "FOREIGNKEY", "ROWID")
)


#: The attribute of an exception that ended the work on a run: the run, for its report.
RUN_AT_WORK = "cleanup_run"


@dataclass(frozen=True, slots=True)
class Classified:
    """An error as it is stored and shown."""

    kind: ErrorClass
    code: str
    message: str


def broken_guard(error: DatabaseError) -> Guard | None:
    """Return the guard of our own name that a row violated, None for another constraint."""
    name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or str(error)
    if name in GUARDS_BY_NAME:
        return GUARDS_BY_NAME[name]
    # Of a unique index, SQLite names the columns instead.
    tables = folder_tables()
    table = tables.folder_table.strip('"')
    of_siblings = () if tables.inherits else tables.owner_columns
    unique = {
        tables.owner_columns: Guard.ONE_ROOT,
        (*tables.owner_columns, tables.folder_name): Guard.ONE_ROOT,
        (tables.folder_parent, *of_siblings, tables.folder_name): Guard.ONE_NAME,
    }
    if tables.ownership == Ownership.SHARED:
        unique |= {(tables.folder_name,): Guard.ONE_ROOT, (tables.folder_parent, tables.folder_name): Guard.ONE_NAME}
    for columns, guard in unique.items():
        if name == f"UNIQUE constraint failed: {', '.join(f'{table}.{column}' for column in columns)}":
            return guard
    return None


def classify(error: BaseException) -> Classified:
    """Classify an exception; an unexpected one counts as a data error of the current application."""
    if isinstance(error, CountMismatch | ProofFailed | LeaseLost | SchemaChanged):  # others wrote in the meantime
        return Classified("transient", error.code, str(error))
    if isinstance(error, ApplicationError | CleanupError):
        return Classified("data", error.code, str(error))
    if isinstance(error, DatabaseError | InterfaceError):
        return _classify_database_error(error)
    if isinstance(error, MemoryError | OSError):
        return Classified("system", type(error).__name__, f"{type(error).__name__} on this machine.")
    return Classified("data", "unexpected", f"An unexpected {type(error).__name__}; see the log.")


def _classify_database_error(error: DatabaseError | InterfaceError) -> Classified:
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None)
    if state:
        kind = _BY_SQLSTATE.get(state, _BY_SQLSTATE.get(state[:2], "data"))
        return Classified(kind, state, _sentence(state, error))
    name = getattr(cause, "sqlite_errorname", None)
    if name:
        base = "_".join(name.split("_")[:2])
        kind = _BY_SQLITE_NAME.get(base, "data")
        detail = f": {cause}" if name in _SQLITE_NAMES_ONLY or str(cause).startswith("no such ") else ""
        return Classified(kind, name, f"The database refused ({name}){detail}.")
    if isinstance(error, IntegrityError):
        return Classified("data", "integrity", "The database refused (integrity).")
    if isinstance(error, OperationalError | InterfaceError):  # a lost or failed connection has no SQLSTATE
        if _NO_CONNECTION_LEFT.search(str(cause)):
            return Classified("system", "53300", "The database accepts no more connections (SQLSTATE 53300).")
        return Classified("transient", "connection", "The connection to the database was lost.")
    return Classified("data", type(error).__name__, f"The database refused ({type(error).__name__}).")


def _sentence(state: str, error: BaseException) -> str:
    """Describe what PostgreSQL refused, and what to do, without any value."""
    cause = error.__cause__
    diagnosis = getattr(cause, "diag", None)
    parts = [f"The database refused ({type(cause).__name__}, SQLSTATE {state})"]
    for label in ("constraint_name", "table_name", "column_name"):
        value = getattr(diagnosis, label, None)
        if value:
            parts.append(f"{label.removesuffix('_name')} {value}")
    if not getattr(diagnosis, "table_name", None) and (tables := vars(error).get(STATEMENT_TABLES)):
        parts.append(f"in a statement on {', '.join(tables)}")
    primary = ""
    if state.startswith(_NAMES_ONLY) and getattr(diagnosis, "source_file", None) != _RAISED:
        primary = f": {getattr(diagnosis, 'message_primary', None) or ''}".rstrip(": ")
    fitting = max((start for start in _ADVICE if state.startswith(start)), key=len, default="")
    return f"{', '.join(parts)}{primary}. {_ADVICE.get(fitting, '')}".rstrip()


#: Beginnings of the SQLSTATEs that mean that the connection is gone, or that none can be made.
_WITHOUT_CONNECTION = ("connection", "08", "57P", "53300")


def is_anticipated(error: BaseException) -> bool:
    """Return whether an error is one of ours or the database's; the traceback of the latter quotes rows."""
    return isinstance(error, CleanupError | DatabaseError | InterfaceError)


def is_lost(error: BaseException) -> bool:
    """Return whether an error means that the connection to the database is gone, or that none can be made."""
    return isinstance(error, DatabaseError | InterfaceError) and classify(error).code.startswith(_WITHOUT_CONNECTION)
