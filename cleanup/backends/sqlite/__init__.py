"""SQLite, room by room."""

from cleanup import backends
from cleanup.backends.sqlite.session import Session


class Database(Session, backends.Database):
    """One connection to SQLite."""

    package = __name__
