"""What differs between PostgreSQL and SQLite, chosen once by vendor."""

from django.db import connections

from cleanup.backends.base import Backend
from cleanup.backends.collisions import CollisionSql
from cleanup.backends.postgresql import PostgresBackend
from cleanup.backends.postgresql_collisions import PostgresCollisionSql
from cleanup.backends.sqlite import SqliteBackend
from cleanup.backends.sqlite_collisions import SqliteCollisionSql
from cleanup.exceptions import DatabaseUnusable

_BACKENDS: dict[str, type[Backend]] = {"postgresql": PostgresBackend, "sqlite": SqliteBackend}

_COLLISIONS: dict[str, type[CollisionSql]] = {"postgresql": PostgresCollisionSql, "sqlite": SqliteCollisionSql}


def backend_for(*, using: str) -> Backend:
    """Return the backend of a database alias. Raises DatabaseUnusable for another kind of database."""
    connection = connections[using]
    try:
        return _BACKENDS[connection.vendor](connection)
    except KeyError:
        raise DatabaseUnusable(
            problem=f"{connection.display_name} is not supported.", remedy="Use PostgreSQL or SQLite."
        ) from None


def collision_sql_of(backend: Backend) -> CollisionSql:
    """Return how a backend foresees collisions."""
    return _COLLISIONS[backend.connection.vendor](backend)


__all__ = ["Backend", "PostgresBackend", "backend_for", "collision_sql_of"]
