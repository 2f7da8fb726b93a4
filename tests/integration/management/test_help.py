"""What the shell is told of the commands: help with examples, and completion."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import load_command_class

from cleanup.management.commands.database_cleanup import EXAMPLES, chosen_verb, refuse_contradictions
from tests import ROOT
from tests.support.manual import blocks

KEY = "3f0c9a52-0000-4000-8000-000000000001"
SHOWN = [line.split("  ")[1] for line in EXAMPLES.splitlines() if line.startswith("  manage.py")]


@pytest.mark.parametrize("line", SHOWN)
def test_examples_of_the_help_can_be_given(line):
    arguments = shlex.split(line.replace("ID", KEY).replace("RUN", KEY))[2:]
    parser = load_command_class("cleanup", "database_cleanup").create_parser("manage.py", "database_cleanup")
    options = vars(parser.parse_args(arguments))
    refuse_contradictions(chosen_verb(options), options)


def test_help_leaves_each_example_on_its_line():
    parser = load_command_class("cleanup", "database_cleanup").create_parser("manage.py", "database_cleanup")
    assert EXAMPLES in parser.format_help()


@pytest.mark.parametrize(
    ("words", "begun", "completed"),
    [(["./manage.py"], "--rol", "--rollback="), ([sys.executable, "manage.py"], "--ru", "--runs")],
    ids=["script", "python"],
)
def test_bash_completes_as_the_manual_shows(words, begun, completed):
    (lines,) = blocks("bash")
    typed = [*words, "database_cleanup", begun]
    script = f"""{lines}
COMP_WORDS=({shlex.join(typed)}) COMP_CWORD={len(typed) - 1}
_manage_py {shlex.quote(typed[0])} {begun} database_cleanup
echo "${{COMPREPLY[@]}}"
"""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, cwd=ROOT, env={**os.environ, "PATH": path}
    )
    assert done.stdout.split() == [completed]
