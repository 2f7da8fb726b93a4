"""Packages whose public names are imported when they are first used."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = [
    "cleanup.references",
    "cleanup.services",
    "cleanup.services.alerting",
    "cleanup.services.folders",
    "cleanup.services.monitoring",
    "cleanup.services.results",
    "cleanup.services.runs",
]

#: What only merging, undoing, web pages and progress bars need.
HEAVY = [
    "cleanup.admin.pages",
    "cleanup.backends.catalogue",
    "cleanup.backends.changes",
    "cleanup.backends.postgresql.merging",
    "cleanup.backends.sqlite.merging",
    "cleanup.journal",
    "cleanup.references.discovery",
    "cleanup.services.alerting.alerts",
    "cleanup.services.facade",
    "cleanup.services.folders.applications",
    "cleanup.services.folders.vanished",
    "cleanup.services.merging.apply",
    "cleanup.services.merging.decisions",
    "cleanup.services.monitoring.dashboard",
    "cleanup.services.results.cleanup",
    "cleanup.services.rollback.undo",
    "cleanup.services.runs.reports",
    "cleanup.services.runs.team",
    "rich.progress",
]


class TestAPackage:
    @pytest.mark.parametrize("name", PACKAGES)
    def test_has_each_name_that_it_lists(self, name):
        package = importlib.import_module(name)
        assert [public for public in package.__all__ if not hasattr(package, public)] == []

    @pytest.mark.parametrize("name", PACKAGES)
    def test_has_no_other(self, name):
        with pytest.raises(AttributeError, match="has no attribute 'nothing_of_the_kind'"):
            _ = importlib.import_module(name).nothing_of_the_kind


class TestStarting:
    def test_imports_only_what_looking_needs(self):
        """Starting Django, and showing the status, must not cost what merging needs."""
        program = f"""
import sys, django
django.setup()
import cleanup.management.commands.database_cleanup, cleanup.management.verbs.status
print([name for name in {HEAVY} if name in sys.modules])
"""
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
