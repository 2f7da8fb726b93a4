"""A ``python`` for the shell whose ``manage.py`` starts at once: forked from a process that has loaded the project.

Loading it takes most of what a short command costs. Each command is still a process of its own: with its arguments,
environment, directory, standard streams and exit status, and with settings that are read from its environment.
Everything but ``python manage.py`` under the project's settings goes to the interpreter itself.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import ROOT, pgserver

PROJECT = "project.settings"

SCRIPT = """#!{python} -IS
import os, sys
if sys.argv[1:2] != ["manage.py"] or os.environ.get("DJANGO_SETTINGS_MODULE") != "{project}":
    os.execv("{python}", ["{python}", *sys.argv[1:]])
import json, signal, socket
order = {{"arguments": sys.argv[1:], "directory": os.getcwd(), "environment": dict(os.environ)}}
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect("{socket}")
    socket.send_fds(connection, [b"!"], [0, 1, 2])
    connection.sendall(json.dumps(order).encode())
    connection.shutdown(socket.SHUT_WR)
    status = int(connection.makefile().read())
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@functools.cache
def directory() -> Path:
    """Return the directory that has this ``python``, to be put first in PATH; it and its process end with the tests."""
    made = Path(tempfile.mkdtemp(prefix="cleanup-python-", dir="/tmp"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    python = Path(sys.executable).parent / "python"
    process = subprocess.Popen(
        [python, "-m", "tests.support.preloaded_python", made / "socket"],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": PROJECT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    atexit.register(process.kill)
    assert process.stdout.readline() == b"ready\n"
    script = made / "python"
    script.write_text(SCRIPT.format(python=python, project=PROJECT, socket=made / "socket"), encoding="utf-8")
    script.chmod(0o755)
    return made


def main(path: str) -> None:
    """Load the project, and fork for each command that is asked for at the socket."""
    import django
    from django.conf import settings
    from django.core.management import get_commands, load_command_class

    pgserver.die_with_parent()
    django.setup()
    importlib.import_module(settings.ROOT_URLCONF)
    for command in ("migrate", *(name for name, app in get_commands().items() if app == "cleanup")):
        load_command_class(get_commands()[command], command)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                break
            connection.close()
    _serve(connection)


def _serve(connection: socket.socket) -> None:
    """Have the command done by a child, and answer with its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    order = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
    child = os.fork()
    if child == 0:
        connection.close()
        _become(streams, **order)
        runpy.run_path(sys.argv[0], run_name="__main__")
        return
    for stream in streams:
        os.close(stream)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(str(status).encode())
    os._exit(0)


def _become(streams: list[int], *, arguments: list[str], directory: str, environment: dict[str, str]) -> None:
    """Be the process that was asked for, from its arguments to its settings."""
    from django.conf import settings
    from django.core.cache import caches
    from django.db import connections
    from django.utils.functional import empty

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout = os.fdopen(0, encoding="utf-8"), os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    # Settings are read when they are first asked for, in manage.py, which reports what is wrong with them.
    del sys.modules[PROJECT]
    settings._wrapped = empty
    for handler in (connections, caches):
        vars(handler).clear()
        handler.__init__()


if __name__ == "__main__":
    main(sys.argv[1])
