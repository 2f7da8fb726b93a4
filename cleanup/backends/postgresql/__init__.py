"""PostgreSQL, room by room."""

from cleanup import backends
from cleanup.backends.postgresql.session import Session


class Database(Session, backends.Database):
    """One connection to PostgreSQL."""

    package = __name__
