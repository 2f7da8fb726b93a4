"""The tests' settings with trees that nothing owns: see `tests/test_own_models.py`."""

import os

from tests.settings_tree_models import *  # noqa: F403 - settings are a module of names
from tests.settings_tree_models import DATABASES

CLEANUP_APPLICATION_MODEL = None
CLEANUP_FOLDER_FIELDS = {"parent": "above", "name": "heading", "created": None}

# Beside the other runs' on one server.
if "postgresql" in DATABASES:
    DATABASES["postgresql"]["TEST"]["NAME"] = f"test_trees_{os.getpid()}"
