"""PgBouncer between the tests and their server: in transaction mode, each transaction gets another session of it."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connections

from tests import pgserver

#: Few, and taken in turn, so that a session that was left in some state is met again by someone else.
SESSIONS = 4

CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}{password}

[pgbouncer]
pool_mode = {mode}
default_pool_size = {sessions}
server_round_robin = 1
max_client_conn = 100
auth_type = any
listen_addr =
listen_port = 6432
unix_socket_dir = {directory}
pidfile =
"""


def program() -> str:
    """Return where PgBouncer is; the test is skipped without it."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    return found


@contextlib.contextmanager
def between(using: str, *, mode: str = "transaction") -> Iterator[None]:
    """Put it between an alias and its database."""
    connection = connections[using]
    parameters = connection.settings_dict
    usual = {name: parameters[name] for name in ("HOST", "PORT")}
    user, directory = pgserver.User.needed(), Path(tempfile.mkdtemp(prefix="cleanup-bouncer-"))
    try:
        configuration = directory / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(
                host=parameters["HOST"],
                port=parameters["PORT"] or 5432,
                user=parameters["USER"],
                password=f" password='{parameters['PASSWORD']}'" if parameters["PASSWORD"] else "",
                sessions=SESSIONS,
                mode=mode,
                directory=directory,
            ),
            encoding="utf-8",
        )
        if user:
            for path in (directory, configuration):
                shutil.chown(path, user.uid, user.gid)
        with (
            (directory / "log").open("wb") as log,
            subprocess.Popen(
                [program(), "-q", configuration],
                stderr=log,
                cwd=directory,
                preexec_fn=pgserver.die_with_parent,  # noqa: PLW1509 - it only asks the kernel for a signal
                **(user.arguments() if user else {}),
            ) as process,
        ):
            try:
                _wait_until_ready(directory, process)
                connection.close()
                parameters.update(HOST=str(directory), PORT="6432")
                yield
            finally:
                connection.close()
                parameters.update(usual)
                process.kill()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _wait_until_ready(directory: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host=str(directory), port=6432, dbname="postgres", user="postgres").close()
            return
        time.sleep(0.02)
    raise AssertionError((directory / "log").read_text(encoding="utf-8"))
