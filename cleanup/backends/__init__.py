"""What differs between PostgreSQL and SQLite, chosen once by vendor."""

from django.db import connections

from cleanup.backends.base import Backend
from cleanup.backends.postgresql import PostgresBackend
from cleanup.backends.sqlite import SqliteBackend
from cleanup.exceptions import DatabaseUnusable

_BACKENDS: dict[str, type[Backend]] = {"postgresql": PostgresBackend, "sqlite": SqliteBackend}


def backend_for(*, using: str) -> Backend:
    """Return the backend of a database alias. Raises DatabaseUnusable for another kind of database."""
    connection = connections[using]
    try:
        return _BACKENDS[connection.vendor](connection)
    except KeyError:
        raise DatabaseUnusable(
            problem=f"{connection.display_name} is not supported.", remedy="Use PostgreSQL or SQLite."
        ) from None


__all__ = ["Backend", "PostgresBackend", "backend_for"]
