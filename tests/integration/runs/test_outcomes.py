"""What became of a run's applications, in four numbers that are told apart wherever a run is told of."""

import json
from importlib import import_module
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections

from cleanup.models import Result, Run
from cleanup.services import DatabaseCleanupService
from tests.support.trees import tree

NUMBERS = ("successful_applications", "held_applications", "skipped_applications", "failed_applications")


@pytest.fixture
def run(database, settings) -> Run:
    """Return a run with four applications cleaned up, three on hold, two left alone, and one that failed."""
    settings.CLEANUP_LARGE_APPLICATION = 6
    settings.CLEANUP_DIFFERENT_ROOTS = "refuse"
    service = DatabaseCleanupService(using=database)
    for text, number in (("A, A", 7), ("A*7", 2), ("A, B", 1)):
        made = [tree(database, text).application for _ in range(number)]
        for key in made[4:]:
            service.hold(key)
    report = service.cleanup_all_duplicate_folders()
    return Run.objects.using(database).get(pk=report.run_id)


class TestFourNumbers:
    def test_of_a_run_are_the_sums_of_its_results(self, database, run):
        assert [getattr(run, name) for name in NUMBERS] == [4, 3, 2, 1]
        assert run.done_applications == run.total_applications == 10

    def test_of_a_report_are_those_of_the_dry_run(self, database, run):
        service = DatabaseCleanupService(using=database)
        done = service.report(run.pk).as_json()
        service.rollback_cleanup(run.pk)
        keys = Result.objects.using(database).filter(run=run).values_list("application_key", flat=True)
        for key in keys.filter(status=Result.Status.ROLLED_BACK):
            service.release(key)
        planned = service.cleanup_all_duplicate_folders(dry_run=True).as_json()
        names = ("successful_cleanups", "held_applications", "skipped_applications", "failed_cleanups", "set_aside")
        assert [done[name] for name in names] == [planned[name] for name in names] == [4, 3, 2, 1, 5]

    def test_do_not_change_when_it_is_undone(self, database, run):
        service = DatabaseCleanupService(using=database)
        assert service.report(run.pk).rollback_points == 4
        service.rollback_cleanup(run.pk)
        run.refresh_from_db()
        assert [getattr(run, name) for name in NUMBERS] == [4, 3, 2, 1]
        assert service.report(run.pk).rollback_points == 0

    def test_stand_in_the_status_of_an_active_run(self, database, run):
        Run.objects.using(database).filter(pk=run.pk).update(status=Run.Status.PAUSED)
        active = DatabaseCleanupService(using=database).status()["active_run"]
        assert [active[name] for name in NUMBERS] == [4, 3, 2, 1]

    def test_are_counted_for_runs_of_before(self, database, run):
        Run.objects.using(database).update(held_applications=0, skipped_applications=0)
        migration = import_module("cleanup.migrations.0016_four_numbers")
        with connections[database].schema_editor() as editor:
            migration.count(apps, editor)
        run.refresh_from_db()
        assert (run.held_applications, run.skipped_applications) == (3, 2)


class TestCommand:
    def told(self, database, *arguments: str) -> str:
        out = StringIO()
        try:
            call_command("database_cleanup", *arguments, database=database, stdout=out, stderr=StringIO())
        except SystemExit:  # applications failed
            return out.getvalue()
        return out.getvalue()

    def test_tells_them_apart(self, database, settings):
        settings.CLEANUP_LARGE_APPLICATION = 6
        held = tree(database, "A, A").application
        DatabaseCleanupService(using=database).hold(held)
        tree(database, "A*7")
        out = self.told(database, "--cleanup", "--no-input")
        assert "2 applications: 0 cleaned up, 0 failed or refused, 1 on hold, 1 left alone." in out

    def test_offers_no_undo_where_nothing_was_cleaned_up(self, database):
        DatabaseCleanupService(using=database).hold(tree(database, "A, A").application)
        assert "Undo" not in self.told(database, "--cleanup", "--no-input")

    def test_offers_no_undo_of_what_was_undone(self, database, run):
        DatabaseCleanupService(using=database).rollback_cleanup(run.pk)
        Run.objects.using(database).filter(pk=run.pk).update(status=Run.Status.STOPPED)
        assert "Undo" not in self.told(database, "--resume", str(run.pk))

    def test_stand_in_its_json(self, database, run):
        Run.objects.using(database).filter(pk=run.pk).update(status=Run.Status.PAUSED)
        told = json.loads(self.told(database, "--status", "--json"))["active_run"]
        assert [told[name] for name in NUMBERS] == [4, 3, 2, 1]
