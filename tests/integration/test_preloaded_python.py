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
    "DATABASE_URL=mysql://here/it python manage.py check; echo $?",
    "DJANGO_DEBUG=perhaps python manage.py check; echo $?",
    "python -c 'import sys; sys.exit(7)'; echo $?",
)


def said(command: str, python: str, database: str) -> tuple[str, str]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DATABASE_URL": databases.url_of(database),
        "PATH": f"{python}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    return done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_says_what_the_interpreter_says(database, command):
    real = said(command, str(Path(sys.executable).parent), database)
    assert said(command, str(preloaded_python.directory()), database) == real
