"""Real processes that clean and roll back, to be stopped and killed: forked from one that has loaded Django already.

A child is told by JSON what to do; it reports its progress, and its parent how it ended, in lines of JSON.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import databases
from tests.parts import SETTINGS_MODULE

ROOT = Path(__file__).resolve().parent.parent.parent

NURSERY = """
import json, os, signal, sys, traceback
import django
django.setup()
from django.conf import settings
from django.db import connection
from cleanup.services import DatabaseCleanupService

class Killer:
    # Kills this process at its n-th statement, before or after the database has done it.
    def __init__(self, at, done):
        self.left, self.done = at, done
    def __call__(self, execute, sql, params, many, context):
        self.left -= 1
        if self.left == 0 and not self.done:
            os.kill(os.getpid(), signal.SIGKILL)
        result = execute(sql, params, many, context)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

def say(**what):
    os.write(1, (json.dumps(what) + "\\n").encode())

def obey(order):
    vars(settings._wrapped).update(order["settings"])
    killer = Killer(order["die_at"], order["die_after"])
    with connection.execute_wrapper(killer):
        verb = getattr(DatabaseCleanupService(), order["verb"])
        verb(*order["arguments"], progress=lambda progress: say(done=progress.done))
    say(statements=order["die_at"] - killer.left)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            say(pid=os.getpid())
            obey(json.loads(line))
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    say(ended=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

#: More statements than any order executes.
NEVER = 10**9


@dataclass(slots=True)
class Nursery:
    """Gives orders to one child at a time."""

    process: Any
    """subprocess.Popen with pipes."""
    errors: Path
    child: "Child | None" = None

    def start(
        self, verb: str, *arguments: Any, die_at: int = NEVER, die_after: bool = False, **settings: Any
    ) -> "Child":
        """Have a new process call a verb of the service on the database."""
        order = {
            "verb": verb,
            "arguments": [str(argument) for argument in arguments],
            "die_at": die_at,
            "die_after": die_after,
            "settings": settings,
        }
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        self.child = Child(self, self.read()["pid"])
        return self.child

    def read(self) -> dict[str, Any]:
        """Read the next line of a child or of its parent."""
        line = self.process.stdout.readline()
        assert line, f"the nursery has died: {self.errors.read_text()}"
        return json.loads(line)


@dataclass(slots=True)
class Child:
    """One process at work."""

    nursery: Nursery
    pid: int
    statements: int = 0
    """Executed, if it came to its end."""
    status: int | None = None

    def send(self, number: signal.Signals) -> None:
        """Send a signal; to one that has ended already there is nothing to send."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait_for(self, *, done: int) -> None:
        """Return when so many applications are done."""
        while (said := self.nursery.read()).get("done", -1) < done:
            assert "ended" not in said, f"it ended too early: {self.nursery.errors.read_text()}"

    def wait(self) -> int:
        """Return how it ended: 0, 1 after an exception, or minus the number of the signal that killed it."""
        while "ended" not in (said := self.nursery.read()):
            self.statements = said.get("statements", self.statements)
        self.status = said["ended"]
        return self.status


@contextlib.contextmanager
def nursery(using: str) -> Iterator[Nursery]:
    """Open a nursery whose children work on what stands behind an alias."""
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as errors:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": SETTINGS_MODULE,
            "DATABASE_URL": databases.url_of(using),
            "DJANGO_LOG_LEVEL": "CRITICAL",
        }
        with subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env=environment,
        ) as process:
            opened = Nursery(process, Path(errors.name))
            try:
                yield opened
            finally:
                if opened.child is not None and opened.child.status is None:  # a test that failed
                    opened.child.send(signal.SIGKILL)
                process.stdin.close()
                process.wait(timeout=30)
