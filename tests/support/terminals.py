"""Commands on a terminal of their own, a real one."""

import contextlib
import os
import pty
import subprocess
import sys

from tests import ROOT
from tests.support import databases
from tests.support.model_roles import SETTINGS_MODULE


def on_a_terminal(
    database: str, *arguments: str, stderr: int | None = None, answer: str = "", **environment: str
) -> tuple[int, str]:
    """Run manage.py with its three streams on a terminal; return the exit status and what the terminal showed."""
    ours, theirs = pty.openpty()
    own = {"DJANGO_SETTINGS_MODULE": SETTINGS_MODULE, "DATABASE_URL": databases.url_of(database), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs if stderr is None else stderr,
        cwd=ROOT,
        env={**os.environ, **own, "COLUMNS": "200", **environment},
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    shown = b""
    with contextlib.suppress(OSError):  # the terminal ends with its last user
        while chunk := os.read(ours, 65536):
            shown += chunk
    status = process.wait()
    os.close(ours)
    return status, shown.decode().replace("\r\n", "\n")
