"""These tests need the third set of models in the parts: a process has one set of settings."""

from django.apps import apps
from django.conf import settings

_PLAYING = apps.is_installed("tests.treemodels")
_OWNED = settings.CLEANUP_APPLICATION_MODEL == "library.Desk"

collect_ignore = [
    *([] if _PLAYING and _OWNED else ["test_trees.py", "test_large_trees.py"]),
    *([] if _PLAYING and not _OWNED else ["test_without_applications.py"]),
]
