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
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tests import ROOT
from tests.support import databases
from tests.support.model_roles import SETTINGS_MODULE

NURSERY = """
import gc, importlib, inspect, json, os, signal, sys, traceback
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from cleanup.services import DatabaseCleanupService
from tests import ROOT

class Fault:
    # Strikes this process at its n-th statement, before or after the database has done it. A COMMIT is a statement.
    def __init__(self, *, at, of, after, how):
        self.left, self.of, self.after, self.how = at, of, after, how
    def __call__(self, execute, sql, *arguments):
        if self.of not in str(sql):
            return execute(sql, *arguments)
        self.left -= 1
        strikes = self.left == 0  # kept here: a statement may bring others with it, as that which pins settings
        if strikes and not self.after:
            self.trigger(sql)
        try:
            return execute(sql, *arguments)
        finally:
            if strikes and self.after:
                self.trigger(sql)
    def commit(self):
        self(lambda sql: self.commit_it(), "COMMIT")
    def trigger(self, sql):
        say(struck=" ".join(str(sql).split())[:200])
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        os.read(0, 1)  # halted: until the parent's parent has done something to the database

def say(**what):
    os.write(1, (json.dumps(what) + "\\n").encode())

def do(verb, *arguments):
    if verb == "migrate":
        call_command(verb, *arguments, interactive=False, verbosity=0)
        return
    verb = getattr(DatabaseCleanupService(), verb)
    told = {}
    if "progress" in inspect.signature(verb).parameters:
        told["progress"] = lambda progress: say(done=progress.done)
    verb(*arguments, **told)

def obey(order):
    vars(settings._wrapped).update(order["settings"])
    for path, value in order["constants"].items():
        module, _, name = path.rpartition(".")
        setattr(importlib.import_module(module), name, value)
    fault = Fault(**order["fault"])
    connection = connections["default"]
    fault.commit_it, connection._commit = connection._commit, fault.commit
    with connection.execute_wrapper(fault):
        do(order["verb"], *order["arguments"])
    say(statements=order["fault"]["at"] - fault.left)

gc.freeze()
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

#: Seconds after which a silent child is taken to hang.
PATIENCE = 120

#: More statements than any order executes.
NEVER = 10**9


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls a process at one of its statements."""

    at: int
    of: str = ""
    """What the statements contain that are counted."""
    after: bool = False
    """When the database has done the statement."""
    how: Literal["kill", "halt"] = "kill"
    """Halted, it goes on when it is told to."""

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} statement {self.at}"


@dataclass(slots=True)
class ForkedProcesses:
    """Gives orders to one child at a time."""

    process: Any
    """subprocess.Popen with pipes."""
    errors: Path
    child: "Child | None" = None

    def start(
        self,
        verb: str,
        *arguments: Any,
        fault: Fault | None = None,
        constants: dict[str, Any] | None = None,
        **settings: Any,
    ) -> "Child":
        """Have a new process call a verb of the service on the database, or migrate it.

        Constants are named by their dotted paths.
        """
        order = {
            "verb": verb,
            "arguments": [str(argument) for argument in arguments],
            "fault": asdict(fault or Fault(NEVER)),
            "constants": constants or {},
            "settings": settings,
        }
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        self.child = Child(self, self.read()["pid"])
        return self.child

    def read(self) -> dict[str, Any]:
        """Read the next line of a child or of its parent."""
        watchdog = threading.Timer(PATIENCE, os.killpg, (self.process.pid, signal.SIGKILL))
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        assert line, f"the processes has died, or said nothing for {PATIENCE} seconds: {self.errors.read_text()}"
        return json.loads(line)


@dataclass(slots=True)
class Child:
    """One process at work."""

    processes: ForkedProcesses
    pid: int
    statements: int = 0
    """Executed, if it came to its end."""
    status: int | None = None
    struck: str = ""
    """The statement at which the fault was triggered."""

    def send(self, number: signal.Signals) -> None:
        """Send a signal; to one that has ended already there is nothing to send."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait_for(self, *, done: int) -> None:
        """Return when so many applications are done."""
        while (said := self.processes.read()).get("done", -1) < done:
            assert "ended" not in said, f"it ended too early: {self.processes.errors.read_text()}"

    def wait(self) -> int:
        """Return how it ended: 0, 1 after an exception, or minus the number of the signal that killed it."""
        while "ended" not in (said := self.processes.read()):
            self._hear(said)
        self.status = said["ended"]
        return self.status

    def wait_for_halt(self) -> bool:
        """Return whether it halts where it was to; otherwise it has ended before."""
        while "ended" not in (said := self.processes.read()):
            self._hear(said)
            if self.struck:
                return True
        self.status = said["ended"]
        return False

    def go_on(self) -> None:
        """Let it go on after a halt."""
        self.processes.process.stdin.write("\n")
        self.processes.process.stdin.flush()

    def _hear(self, said: dict[str, Any]) -> None:
        self.statements = said.get("statements", self.statements)
        self.struck = said.get("struck", self.struck)


@contextlib.contextmanager
def forking(using: str) -> Iterator[ForkedProcesses]:
    """Open a processes whose children work on what stands behind an alias."""
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
            start_new_session=True,
        ) as process:
            opened = ForkedProcesses(process, Path(errors.name))
            try:
                yield opened
            finally:
                if opened.child is not None and opened.child.status is None:  # a test that failed
                    opened.child.send(signal.SIGKILL)
                process.stdin.close()
                process.wait(timeout=30)
