"""The mutants are real faults, and the tests notice them. All of them: `python -m tests.reliability.mutation all`."""

import importlib
import os
import subprocess
import sys
import types

import pytest

from tests import ROOT
from tests.reliability.mutants import mutants_of
from tests.reliability.mutation import SUBJECTS, explained

pytestmark = pytest.mark.slow

SOURCE = '''
def older(a, b):
    """Return the smaller one."""
    if a is None or b < a:
        return b
    return a


def query(live):
    return f"SELECT 1 FROM t WHERE x = 1 AND {live}"
'''


@pytest.fixture
def module(tmp_path) -> types.ModuleType:
    path = tmp_path / "toy.py"
    path.write_text(SOURCE, encoding="utf-8")
    made = types.ModuleType("toy")
    made.__file__ = str(path)
    exec(compile(SOURCE, str(path), "exec"), made.__dict__)
    return made


class TestMutants:
    def test_are_named_after_function_and_change(self, module):
        assert sorted(mutant.name for mutant in mutants_of(module)) == [
            "toy.older: If is negated #1",
            "toy.older: Is becomes IsNot #1",
            "toy.older: Lt becomes LtE #1",
            "toy.older: Or becomes And #1",
            "toy.older: returns nothing #1",
            "toy.older: returns nothing #2",
            "toy.query: = becomes <> #1",
            "toy.query: AND becomes OR #1",
            "toy.query: returns nothing #1",
        ]

    def test_change_one_thing_in_place(self, module):
        (mutant,) = (mutant for mutant in mutants_of(module) if mutant.name == "toy.query: AND becomes OR #1")
        query = module.query
        mutant.apply()
        assert query("live") == "SELECT 1 FROM t WHERE x = 1 OR live"


class TestEverySubject:
    @pytest.mark.parametrize("name", SUBJECTS)
    def test_has_mutants_of_each_function_named(self, name):
        subject = SUBJECTS[name]
        names = [mutant.name for mutant in mutants_of(importlib.import_module(subject.module), only=subject.functions)]
        assert len(names) == len(set(names)) > 20
        assert {
            function for function in subject.functions if not any(f".{function}: " in name for name in names)
        } == set()


class TestExplanations:
    def test_are_of_mutants_that_there_are(self):
        there_are = {
            mutant.name
            for subject in SUBJECTS.values()
            for mutant in mutants_of(importlib.import_module(subject.module), only=subject.functions)
        }
        assert set(explained()) - there_are == set()

    def test_say_why(self):
        assert [name for name, reason in explained().items() if len(reason) < 20] == []


@pytest.mark.slow
class TestTheTestsOfPlanning:
    def test_notice_each_thirtieth_mutant(self):
        command = [sys.executable, "-m", "tests.reliability.mutation", "planning", "--every", "30"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ))
        assert done.returncode == 0, done.stdout + done.stderr
