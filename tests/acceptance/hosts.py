"""Projects of hosts, as a newcomer would write them: one app, a few settings, a manage.py of their own.

Each command is a process: forked from one that has loaded the host's settings and apps, for that takes most of what a
short command costs.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.test_project import ROOT

PROJECT = """
import os
import dj_database_url
SECRET_KEY = "a secret of the host's project, long enough for every check there is"
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "host", "cleanup", "cleanup.guards"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""

SETTINGS = (
    PROJECT
    + """
CLEANUP_APPLICATION_MODEL = "host.Case"
CLEANUP_FOLDER_MODEL = "host.Folder"
CLEANUP_FILE_MODEL = "host.Document"
CLEANUP_FOLDER_FIELDS = {"parent": "parent", "application": "case", "name": "name", "created": "created"}
CLEANUP_FILE_FIELDS = {"folder": "folder", "application": "case", "name": "name"}
"""
)

MODELS = """
from django.db import models

class Case(models.Model):
    reference = models.CharField(max_length=20)

class Folder(models.Model):
    name = models.CharField(max_length=50)
    parent = models.ForeignKey("self", models.CASCADE, null=True)
    case = models.ForeignKey(Case, models.CASCADE)
    created = models.DateTimeField(auto_now_add=True)

class Document(models.Model):
    name = models.CharField(max_length=50)
    folder = models.ForeignKey(Folder, models.CASCADE, null=True)
    case = models.ForeignKey(Case, models.CASCADE)
"""

FILL = """
from host.models import Case, Document, Folder
case = Case.objects.create(reference="L-1")
for _ in range(2):
    root = Folder.objects.create(name="Loan", case=case)
    folder = Folder.objects.create(name="Docs", case=case, parent=root)
    Document.objects.create(name="scan.pdf", folder=folder, case=case)
"""


PREPARE = """
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
call_command("migrate", "cleanup_guards", "zero", verbosity=0)
"""


#: Has each command that is asked for done by a child, whose input and output are files, and prints its status.
LOADED = """
import gc, json, os, runpy, sys
import django
django.setup()
gc.freeze()
os.write(1, b"0\\n")
for line in sys.stdin:
    order = json.loads(line)
    if (child := os.fork()) == 0:
        os.dup2(os.open(order["input"], os.O_RDONLY), 0)
        sys.stdin = os.fdopen(0)
        os.dup2(os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        sys.argv = ["django", *order["words"]]
        runpy.run_module("django", run_name="__main__", alter_sys=True)
        break
    os.write(1, b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

_loaded: dict["Host", subprocess.Popen[str]] = {}


def unload() -> None:
    """End the processes that have loaded hosts."""
    while _loaded:
        _, process = _loaded.popitem()
        with process:
            process.stdin.close()


@dataclass(frozen=True)
class Host:
    """One project, in a directory of its own, on one database."""

    directory: Path
    url: str

    def manage(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a management command, standard error joined to its output."""
        process = self._process()
        given, said = self.directory / "input.txt", self.directory / "output.txt"
        given.write_text(stdin, encoding="utf-8")
        process.stdin.write(json.dumps({"words": words, "input": str(given), "output": str(said)}) + "\n")
        process.stdin.flush()
        status = int(process.stdout.readline())
        return subprocess.CompletedProcess(words, status, said.read_text(encoding="utf-8"))

    def _process(self) -> subprocess.Popen[str]:
        """Return the process that has loaded the host."""
        if self not in _loaded:
            environment = {
                **os.environ,
                "DATABASE_URL": self.url,
                "DJANGO_SETTINGS_MODULE": "settings",
                "PYTHONPATH": os.pathsep.join([str(self.directory), str(ROOT)]),
            }
            _loaded[self] = subprocess.Popen(
                [sys.executable, "-c", LOADED],
                cwd=self.directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert _loaded[self].stdout.readline() == "0\n"
        return _loaded[self]

    def done(self, *words: str, stdin: str = "") -> str:
        """Run a command that has to succeed, and return its output."""
        process = self.manage(*words, stdin=stdin)
        assert process.returncode == 0, process.stdout
        return process.stdout

    def refused(self, *words: str) -> str:
        """Run a command that has to be refused in words, and return them."""
        process = self.manage(*words)
        assert process.returncode != 0, process.stdout
        assert "Traceback" not in process.stdout
        return process.stdout

    def prepare(self) -> None:
        """Make the tables, without guards, and fill them, all in one process."""
        self.done("shell", "--verbosity", "0", stdin=PREPARE + FILL)


def make(directory: Path, *, url: str, settings: str = "", models: str = MODELS, base: str = SETTINGS) -> Host:
    """Write the project. An app without a package for migrations is made by --run-syncdb."""
    app = directory / "host"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "models.py").write_text(dedent(models), encoding="utf-8")
    (directory / "settings.py").write_text(base + dedent(settings), encoding="utf-8")
    return Host(directory, url)
