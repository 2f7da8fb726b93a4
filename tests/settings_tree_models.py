"""The tests' settings with the third set of models in the parts, which has no files: see `tests/test_own_models.py`."""

import os

from tests.settings import *  # noqa: F403 - settings are a module of names
from tests.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS]
INSTALLED_APPS.insert(INSTALLED_APPS.index("tests.hostapp"), "tests.treemodels")

CLEANUP_APPLICATION_MODEL = "library.Desk"
CLEANUP_FOLDER_MODEL = "library.Topic"
CLEANUP_FILE_MODEL = None
CLEANUP_FOLDER_FIELDS = {"parent": "above", "application": "desk", "name": "heading", "created": None}

# Beside the other runs' on one server.
if "postgresql" in DATABASES:
    DATABASES["postgresql"]["TEST"]["NAME"] = f"test_tree_models_{os.getpid()}"
