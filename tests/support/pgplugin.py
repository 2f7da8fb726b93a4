"""The early pytest plugin: before anything reads the settings, the environment is clean and PostgreSQL runs.

CLEANUP_TEST_POSTGRES_URL names a server to use (databases are created and dropped there); without it, one is started,
shared by all workers of pytest-xdist, and stopped at the end. Without either, the tests fail: they are never skipped.
"""

import atexit
import os
import shutil
import sys
import tempfile

from tests import pgserver

POSTGRES_URL = "CLEANUP_TEST_POSTGRES_URL"
DATA_DIR = "DJANGO_DATA_DIR"


def clean_environment() -> None:
    """Forget what the developer's shell says about other databases and settings."""
    for name in list(os.environ):
        ours = name.startswith(("DJANGO_", "DATABASE_", "CLEANUP_")) and not name.startswith("CLEANUP_TEST_")
        libpq = name.startswith("PG") and name not in {"PG_BIN", "PGPASSWORD", "PGPASSFILE"}
        if ours or libpq:
            del os.environ[name]
    os.environ["DJANGO_SECRET_KEY"] = "only-for-tests-" + "0123456789abcdefghijklmnopqrstuvwxyz-" * 2
    directory = tempfile.mkdtemp(prefix="cleanup-test-", dir=pgserver.room())
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.environ[DATA_DIR] = directory


def provide_postgresql() -> None:
    """Start a server, unless there is one to use."""
    if os.environ.get(POSTGRES_URL):
        return
    try:
        server = pgserver.start()
    except pgserver.NoPostgreSQLError as error:
        sys.exit(f"ERROR: {error}")
    os.environ[POSTGRES_URL] = server.url
    atexit.register(server.stop)


if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker inherits all of this with the environment
    clean_environment()
    provide_postgresql()
