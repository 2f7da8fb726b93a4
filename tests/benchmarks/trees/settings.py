"""The project's settings where no application owns folders."""

from project.settings import *  # noqa: F403 - settings are a module of names
from project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.benchmarks.trees"]
CLEANUP_APPLICATION_MODEL = None
CLEANUP_FOLDER_MODEL = "trees.TreeFolder"
CLEANUP_FILE_MODEL = "trees.TreeFile"
CLEANUP_FILE_FIELDS = {"application": None}
CLEANUP_STATEMENT_TIMEOUT_MS = 600_000  # of a machine that is busy
