"""These tests need the third set of models in the parts: a process has one set of settings."""

from django.apps import apps

collect_ignore = [] if apps.is_installed("tests.treemodels") else ["test_trees.py"]
