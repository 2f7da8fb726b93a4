"""Everything of a test in its one database: accounts and tokens, too."""

from cleanup import conf


class Everything:
    """A router."""

    def db_for_read(self, model, **hints):
        return conf.database()

    def db_for_write(self, model, **hints):
        return conf.database()

    def allow_relation(self, one, other, **hints):
        return True
