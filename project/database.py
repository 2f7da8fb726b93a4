"""DATABASE_URL to an entry of Django's DATABASES, tuned for what this project does to a database.

The URL may hold a password: no message of this module repeats any part of it but the scheme.
"""

import os
import sqlite3
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

POSTGRESQL = "django.db.backends.postgresql"
SQLITE = "django.db.backends.sqlite3"
SCHEMES = "postgresql://user:password@host:5432/name or sqlite:////path/to/file"
#: What `make_usable` sets.
USABLE = {"DateStyle": "ISO", "IntervalStyle": "postgres", "default_transaction_read_only": "off"}
UNREADABLE = (
    f"DATABASE_URL cannot be read: it must look like {SCHEMES}, "
    "with characters such as @ : / ? # % in the user name and password percent-encoded."
)


def parse_database_url(
    url: str,
    *,
    default_file: Path,
    pool_size: int = 0,
    transaction_pooling: bool = False,
) -> dict[str, Any]:
    """Return the entry for a URL; the SQLite file `default_file` where it is empty.

    `pool_size`: connections a process keeps open at most, 0 for no pool. `transaction_pooling`: a proxy that gives
    every transaction another server connection stands between, so nothing may be kept on a connection.

    Raises:
        ImproperlyConfigured: the URL cannot be understood.

    """
    if not url:
        return sqlite(name=str(default_file), options={})
    import dj_database_url  # noqa: PLC0415  # settings that lack it say so in a sentence

    try:
        parsed: dict[str, Any] = dict(dj_database_url.parse(url))
    except dj_database_url.UnknownSchemeError:
        raise ImproperlyConfigured(f"DATABASE_URL must look like {SCHEMES}.") from None
    except ValueError:
        raise ImproperlyConfigured(UNREADABLE) from None
    options = parsed.get("OPTIONS", {})
    if parsed["ENGINE"] == SQLITE:
        return sqlite(name=parsed["NAME"], options=options)
    if parsed["ENGINE"] == POSTGRESQL:
        return postgresql(parsed, options=options, pool_size=0 if transaction_pooling else pool_size)
    scheme = url.partition(":")[0]
    raise ImproperlyConfigured(f"DATABASE_URL names {scheme}, but only PostgreSQL and SQLite work: {SCHEMES}.")


def sqlite(*, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return an entry for SQLite on which several processes can work without "database is locked".

    IMMEDIATE, because a transaction that reads first and writes later cannot wait for its lock; WAL, so that readers
    and the writer do not wait for each other.
    """
    if name == ":memory:":
        raise ImproperlyConfigured(
            "DATABASE_URL names an SQLite database in memory, which would be gone when the command ends: "
            "name a file, as in sqlite:////path/to/file."
        )
    tuned = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
    }
    refuse_unknown(options, known=tuned)
    return {"ENGINE": SQLITE, "NAME": name, "OPTIONS": tuned | options | {"factory": PrivateConnection}}


class PrivateConnection(sqlite3.Connection):
    """A connection to SQLite that makes a missing file readable by its owner alone.

    SQLite gives the files beside it (``-wal``, ``-shm``, ``-journal``) the same mode. A file that is there keeps the
    one that it has.
    """

    def __init__(self, database: str, *arguments: Any, **options: Any) -> None:
        if not database.startswith(("file:", ":memory:")):
            with suppress(OSError):  # it exists, or SQLite will report what is wrong
                os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        super().__init__(database, *arguments, **options)


def postgresql(parsed: dict[str, Any], *, options: dict[str, Any], pool_size: int) -> dict[str, Any]:
    """Return an entry for PostgreSQL; what the URL asks for (sslmode, options, ...) is passed on to libpq."""
    if "@" in parsed["NAME"]:
        # A slash in a password ends the host part early: what follows it would pass for the database's name.
        raise ImproperlyConfigured(UNREADABLE)
    if not parsed["NAME"] and not {"service", "dbname"} & options.keys():
        raise ImproperlyConfigured(f"DATABASE_URL names no database: it must look like {SCHEMES}.")
    from psycopg import pq  # noqa: PLC0415  # takes a while to import, and SQLite does without

    libpq = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    refuse_unknown(options, known=libpq | {"assume_role"})
    tuned: dict[str, Any] = {
        "connect_timeout": 10,
        "application_name": "cleanup",
        # No prepared statements, which a proxy loses. It is Django's default, said aloud.
        "prepare_threshold": None,
    }
    if pool_size:
        tuned["pool"] = {"min_size": 0, "max_size": pool_size, "timeout": 10}
    return {
        **parsed,
        "CONN_HEALTH_CHECKS": True,
        # The product pages by key. A server-side cursor outside a transaction breaks behind a proxy.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": tuned | options,
    }


def make_usable(*, connection: Any, **_: Any) -> None:
    """Set for a new session what Django cannot work without, where the server, the database or the role set another.

    Django reads dates in ISO's form alone, and writes its migrations and sessions in transactions that it does not
    declare READ WRITE. An address that asks for these settings is left with them. The cleanup's own transactions pin
    many more (cleanup.backends.postgresql.settings). Connect to ``connection_created``, except behind a proxy, where a
    session is not ours alone.
    """
    if connection.vendor != "postgresql":
        return
    asked_for = str(connection.settings_dict["OPTIONS"].get("options", "")).lower()
    told = connection.connection.info.parameter_status  # by the server at the beginning: costs no round trip
    for name, wanted in USABLE.items():
        if not (told(name) or wanted).startswith(wanted) and name.lower() not in asked_for:
            connection.connection.execute(f"SET {name} = '{wanted}'")


def refuse_unknown(options: dict[str, Any], *, known: Collection[str]) -> None:
    """Refuse an option that no connection could be made with.

    Raises:
        ImproperlyConfigured: names the option, not its value.

    """
    for name in options:
        if name not in known:
            raise ImproperlyConfigured(f"DATABASE_URL has the unknown option {name!r}.")
