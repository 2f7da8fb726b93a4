"""The tests of the engine once more, with other models in the parts: `tests/othermodels` instead of the mapped tables.

Each file is a pytest of its own, since Django's settings and models are one to a process. By turns a test runs on one
database or the other; all of a file on both is

    pytest --ds=tests.settings_own_models -m "not mapped_models" tests/integration/test_rollback.py
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FILES = (
    "acceptance/test_keys.py",
    "integration/test_adversary.py",
    "integration/test_command.py",
    "integration/test_consolidation.py",
    "integration/test_forests.py",
    "integration/test_integrity.py",
    "integration/test_preflight.py",
    "integration/test_queries.py",
    "integration/test_retention.py",
    "integration/test_rollback.py",
    "integration/test_runs.py",
    "reliability/test_kill.py",
)
