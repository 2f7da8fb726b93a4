"""Turn an exception into the one sentence that a person at a shell sees, and the exit status.

PostgreSQL's DETAIL and the values in a message may hold names of people and files. Of errors about tables and
privileges, only the primary message is shown; of all others, what the services would store.
"""

from dataclasses import dataclass
from typing import Any

from django.db import Error as DatabaseFailure
from django.db import OperationalError

from cleanup.exceptions import CleanupError
from cleanup.services.errors import classify, is_lost
from cleanup.services.results import plain

#: Exit status for wrong usage, unknown ids and databases that cannot be used.
WRONG_USAGE = 2
#: Exit status if something prevents what was asked.
REFUSED = 3

MIGRATE = "manage.py migrate cleanup --fake-initial"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure as it is reported."""

    code: str
    message: str
    exit_status: int
    data: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"error": {"code": self.code, "message": self.message, **plain(self.data)}}


def failure_of(error: CleanupError | DatabaseFailure) -> Failure:
    """Describe an exception."""
    if isinstance(error, CleanupError):
        return Failure(error.code, str(error), error.exit_status, error.data)
    return Failure("database", _database_sentence(error), WRONG_USAGE, {})


def interrupted_run(error: DatabaseFailure, *, run_id: object, done: int, total: int, how_to_resume: str) -> Failure:
    """Describe an error of the database that ended the work on a run, part of which may be done."""
    what = f"The database was lost during run {run_id}" if is_lost(error) else f"Run {run_id} was interrupted"
    data = {"run_id": str(run_id), "done_applications": done, "total_applications": total}
    message = (
        f"{what}: {classify(error).message} "
        f"{done:,} of {total:,} applications are done; none of the others is half done. {how_to_resume}"
    )
    return Failure("database_lost" if is_lost(error) else "database", message, REFUSED, data)


def _database_sentence(error: DatabaseFailure) -> str:
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or ""
    name = getattr(cause, "sqlite_errorname", None) or ""
    # The primary message of these names tables, columns and roles, and no values.
    primary = str(getattr(getattr(cause, "diag", None), "message_primary", None) or "")
    message = " ".join((primary or str(error)).split())
    if cause is None and not isinstance(error, OperationalError):  # raised by a migration of ours
        return message
    if state in ("42P01", "42703", "3F000") or message.startswith(("no such table", "no such column")):
        sentence = f"The database lacks tables that the cleanup needs ({message}). Create or adopt them with: {MIGRATE}"
    elif state == "42501":
        sentence = (
            f"The database role is not allowed to do that ({message}). See which grants it needs with --preflight."
        )
    elif state == "25006" or name.startswith("SQLITE_READONLY"):
        sentence = "The database is read-only. Use the primary, or make the file writable."
    elif name in ("SQLITE_CANTOPEN", "SQLITE_NOTADB"):
        sentence = f"The database cannot be opened ({message})."
    elif not state and not name and isinstance(error, OperationalError):
        sentence = f"The database cannot be reached: {message}"
    else:
        sentence = classify(error).message
    return sentence
