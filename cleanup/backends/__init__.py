"""What differs between PostgreSQL and SQLite, chosen once by vendor."""

from django.db import connections

from cleanup.backends.database import Database
from cleanup.backends.postgresql import Database as Postgresql
from cleanup.backends.sqlite import Database as Sqlite
from cleanup.exceptions import DatabaseUnusable

_DATABASES: dict[str, type[Database]] = {"postgresql": Postgresql, "sqlite": Sqlite}


def supports(*, using: str) -> bool:
    """Return whether the product supports an alias's kind of database."""
    return connections[using].vendor in _DATABASES


def database(*, using: str) -> Database:
    """Return the database of an alias. Raises DatabaseUnusable for an unsupported kind."""
    connection = connections[using]
    try:
        return _DATABASES[connection.vendor](connection)
    except KeyError:
        raise DatabaseUnusable(
            problem=f"{connection.display_name} is not supported.", remedy="Use PostgreSQL or SQLite."
        ) from None


__all__ = ["Database", "database", "supports"]
