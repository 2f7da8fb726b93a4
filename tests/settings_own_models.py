"""The tests' settings with a second set of models in the parts, see `tests/test_own_models.py`."""

import os

from tests.settings import *  # noqa: F403 - settings are a module of names
from tests.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS]
INSTALLED_APPS.insert(INSTALLED_APPS.index("tests.hostapp"), "tests.othermodels")

CLEANUP_APPLICATION_MODEL = "archive.Customer"
CLEANUP_FOLDER_MODEL = "archive.Binder"
CLEANUP_FILE_MODEL = "archive.Paper"
CLEANUP_FOLDER_FIELDS = {"parent": "inside", "application": "client", "name": "caption", "created": "opened"}
CLEANUP_FILE_FIELDS = {"folder": "binder", "application": "customer", "name": "heading"}
CLEANUP_FOLDER_DEFAULTS = "tests.othermodels.new_folders.code_of"
CLEANUP_FOLDER_LIVE = {"is_deleted": False}

# Beside the other run's on one server.
if "postgresql" in DATABASES:
    DATABASES["postgresql"]["TEST"]["NAME"] = f"test_own_models_{os.getpid()}"
