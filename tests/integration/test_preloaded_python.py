"""What the shell of the tests takes for ``python`` does as the interpreter does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.support import databases, preloaded_python

COMMANDS = (
    "python manage.py database_cleanup --status --json; echo $?",
    "echo | python manage.py database_cleanup --check 2>/dev/null | wc -l",
    "python manage.py database_cleanup --rollback nonsense; echo $?",
)

#: They end before a database is opened.
WITHOUT_DATABASE = (
    "DATABASE_URL=mysql://here/it python manage.py check; echo $?",
    "DJANGO_DEBUG=perhaps python manage.py check; echo $?",
    "python -c 'import sys; sys.exit(7)'; echo $?",
)


def said(command: str, python: str, url: str) -> tuple[str, str]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DATABASE_URL": url,
        "PATH": f"{python}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    return done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_says_what_the_interpreter_says(database, command):
    assert_says_the_same(command, databases.url_of(database))


@pytest.mark.slow
@pytest.mark.parametrize("command", WITHOUT_DATABASE)
def test_says_what_the_interpreter_says_without_a_database(command):
    assert_says_the_same(command, "sqlite:///never-opened.sqlite3")


def assert_says_the_same(command: str, url: str) -> None:
    real = said(command, str(Path(sys.executable).parent), url)
    assert said(command, str(preloaded_python.directory()), url) == real
