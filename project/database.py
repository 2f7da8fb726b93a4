"""DATABASE_URL to an entry of Django's DATABASES, tuned for what this project does to a database.

The URL may hold a password: no message of this module repeats any part of it but the scheme.
"""

from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

POSTGRESQL = "django.db.backends.postgresql"
SQLITE = "django.db.backends.sqlite3"
SCHEMES = "postgresql://user:password@host:5432/name or sqlite:////path/to/file"


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
    try:
        parsed: dict[str, Any] = dict(dj_database_url.parse(url))
    except dj_database_url.UnknownSchemeError:
        raise ImproperlyConfigured(f"DATABASE_URL must look like {SCHEMES}.") from None
    except ValueError:
        raise ImproperlyConfigured(
            f"DATABASE_URL cannot be read: it must look like {SCHEMES}, "
            "with characters such as @ : / ? # % in the user name and password percent-encoded."
        ) from None
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
    return {
        "ENGINE": SQLITE,
        "NAME": name,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
            **options,
        },
    }


def postgresql(parsed: dict[str, Any], *, options: dict[str, Any], pool_size: int) -> dict[str, Any]:
    """Return an entry for PostgreSQL; what the URL asks for (sslmode, options, ...) is passed on to libpq."""
    if not parsed["NAME"] and "service" not in options:
        raise ImproperlyConfigured(f"DATABASE_URL names no database: it must look like {SCHEMES}.")
    # libpq wants text, and how many connections are kept is this module's to say.
    passed_on = {key: str(value) for key, value in options.items() if key != "pool"}
    pool: dict[str, Any] = {"pool": {"min_size": 0, "max_size": pool_size, "timeout": 10}} if pool_size else {}
    return {
        **parsed,
        "CONN_HEALTH_CHECKS": True,
        # The product pages by key. A server-side cursor outside a transaction breaks behind a proxy.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        # prepare_threshold None: no prepared statements, which proxies lose. It is Django's default, said aloud.
        "OPTIONS": {"connect_timeout": "10", "application_name": "cleanup", **passed_on, "prepare_threshold": None}
        | pool,
    }
