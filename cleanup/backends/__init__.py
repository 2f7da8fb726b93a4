"""What differs between PostgreSQL and SQLite, chosen once by vendor."""

from django.db import connections
from django.utils.module_loading import import_string

from cleanup.backends.database import Database
from cleanup.exceptions import DatabaseUnusable

#: By vendor. Only the kind that is used is imported, as Django does with its own.
_DATABASES = {"postgresql": "cleanup.backends.postgresql.Database", "sqlite": "cleanup.backends.sqlite.Database"}


def supports(*, using: str) -> bool:
    """Return whether the product supports an alias's kind of database."""
    return connections[using].vendor in _DATABASES


def database(*, using: str) -> Database:
    """Return the database of an alias. Raises DatabaseUnusable for an unsupported kind."""
    connection = connections[using]
    if not supports(using=using):
        raise DatabaseUnusable(
            problem=f"{connection.display_name} is not supported.", remedy="Use PostgreSQL or SQLite."
        )
    kind: type[Database] = import_string(_DATABASES[connection.vendor])
    return kind(connection)


__all__ = ["Database", "database", "supports"]
