"""The tests of the engine once more, with other models in the parts: `tests/othermodels` instead of the mapped tables,
and `tests/treemodels`, which have no files, or neither files nor anything that owns their trees.

They are a pytest of their own, since a process has one set of settings. By turns a test runs on one database or the
other, and CI runs of the file that goes through merge and undo what can differ with the models; ``--every-file`` runs
them all. On both databases it is

    .venv/bin/pytest --ds=tests.settings_own_models -m "not mapped_models" tests/integration/rollback/test_undo.py
"""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.test_project import ROOT, assert_passes, run

CORE = ("tests/integration/rollback/test_undo.py",)
#: Of these, in CI: what depends on the columns of a model, and is not run with the models without files instead.
FEW = tuple(
    f"tests/integration/rollback/test_undo.py::{name}"
    for name in (
        "TestUndo",
        "TestWhatPeopleDidSince",
        "TestConflict",
        "TestPreview",
        "TestChangedSchema",
        "test_a_point_describes_itself",
        "TestPathColumns",
    )
)
MORE = (
    "tests/integration/test_hostile_schemas.py",
    "tests/integration/management/test_command.py",
    "tests/integration/merging/test_consolidation.py",
    "tests/integration/merging/test_marked_roots.py",
    "tests/integration/merging/test_preference.py",
    "tests/integration/rollback/test_copies.py",
    "tests/integration/merging/test_forests.py",
    "tests/integration/integrity/test_verification.py",
    "tests/integration/references/test_observed.py",
    "tests/integration/preflight/test_report.py",
    "tests/integration/test_queries.py",
    "tests/integration/retention/test_points.py",
    "tests/integration/runs/test_lifecycle.py",
    "tests/integration/references/test_tree_shape.py",
    "tests/reliability/test_kill.py",
    "tests/integration/hooks/test_ready.py",
    "tests/integration/hooks/test_closure.py",
    "tests/integration/references/test_arrays.py",
    "tests/integration/rollback/test_export.py",
    "tests/integration/repair/test_export.py",
)
#: What the models without files run, too; the tests of what only they have are among them.
WITHOUT_FILES = (
    "tests/integration/rollback/test_undo.py",
    "tests/integration/rollback/test_export.py",
    "tests/integration/repair/test_export.py",
    "tests/treemodels/test_trees.py",
    "tests/treemodels/test_large_trees.py",
)
#: Of these, in CI.
FEW_WITHOUT_FILES = (
    "tests/integration/rollback/test_undo.py::TestUndo",
    "tests/integration/rollback/test_undo.py::TestPointTakenByHand",
    "tests/integration/rollback/test_undo.py::TestWholeRun",
    "tests/treemodels/test_trees.py",
    "tests/treemodels/test_large_trees.py",
)
#: What all of them run.
ALWAYS = ("tests/integration/test_pending_migrations.py",)
#: What the same models run where nothing owns the trees.
WITHOUT_APPLICATIONS = ("tests/treemodels/test_without_applications.py",)
OPTIONS = ("-n", "0", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis")
SHORT = ("--one-database-each", "--hypothesis-profile=few")

#: Tests that are about the mapped tables themselves, by file. Whoever adds one says so here.
MAPPED_ONLY = {
    "tests/integration/hooks/test_ready.py": 1,
    "tests/integration/integrity/test_verification.py": 1,
    "tests/integration/test_queries.py": 1,
    "tests/integration/references/test_arrays.py": 1,
    "tests/integration/merging/test_consolidation.py": 1,
    "tests/integration/preflight/test_report.py": 1,
    "tests/integration/references/test_observed.py": 1,
    "tests/integration/repair/test_export.py": 1,
    "tests/integration/merging/test_marked_roots.py": 3,
    "tests/integration/merging/test_preference.py": 1,
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_pass(request, monkeypatch):
    files = CORE + MORE if request.config.getoption("every_file") else FEW
    _pass(monkeypatch, files, settings="tests.settings_own_models", left_out="mapped_models")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_pass_without_files(request, monkeypatch):
    files = WITHOUT_FILES if request.config.getoption("every_file") else FEW_WITHOUT_FILES
    _pass(monkeypatch, files, settings="tests.settings_tree_models", left_out="mapped_models or file_model")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_pass_without_applications(monkeypatch):
    _pass(monkeypatch, WITHOUT_APPLICATIONS, settings="tests.settings_trees", left_out="mapped_models")


def _pass(monkeypatch, files, *, settings, left_out):
    # Not a worker of this pytest: it makes databases and a directory of its own, on the same server.
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        monkeypatch.delenv(name)
    few = {"DJANGO_SETTINGS_MODULE": "", "CLEANUP_TEST_KILLS": "4"}
    those = ("-m", f"not ({left_out})", f"--ds={settings}")
    assert_passes(run(sys.executable, "-m", "pytest", *OPTIONS, *those, *SHORT, *ALWAYS, *files, **few))


def test_are_left_out_of_few_tests():
    texts = {file: Path(ROOT / file).read_text(encoding="utf-8") for file in CORE + MORE}
    found = {file: len(re.findall(r"mapped_models\(", text)) for file, text in texts.items()}
    assert {file: number for file, number in found.items() if number} == MAPPED_ONLY
