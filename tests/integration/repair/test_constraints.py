"""Repairs of tables with guards and triggers: what these forbid is named, and what can be undone is."""

import itertools

import pytest
from django.core.management import call_command

from cleanup.exceptions import RollbackConflict
from cleanup.models import RollbackPoint
from cleanup.services import DatabaseCleanupService
from tests.integration.repair.corruptions import CORRUPTIONS
from tests.support.model_roles import File, Folder
from tests.support.trees import (
    dump,
    execute,
    is_postgresql,
)


def put_guards(database: str) -> None:
    call_command("migrate", "cleanup_guards", database=database, verbosity=0)


def rows(database: str) -> dict[str, list[str]]:
    return {name: rows for name, rows in dump(database).items() if name != "django_migrations"}


class TestUnderGuards:
    @pytest.mark.parametrize("code", CORRUPTIONS)
    def test_what_they_forbid_is_a_conflict_of_the_undo(self, loose, service, loan, other, code):
        CORRUPTIONS[code](loose, loan, other)
        before, _ = rows(loose), service.repair(code)
        put_guards(loose)
        repaired, point = rows(loose), RollbackPoint.objects.using(loose).get().uuid
        previewed = service.preview_rollback(point)
        assert rows(loose) == repaired
        if not previewed.conflicts:
            assert service.rollback_cleanup(point).exact
            assert rows(loose) == before
            return
        with pytest.raises(RollbackConflict):
            service.rollback_cleanup(point)
        assert rows(loose) == repaired
        undone = service.rollback_cleanup(point, skip_conflicts=True)
        assert (undone.exact, len(undone.conflicts)) == (False, len(previewed.conflicts))


class TestWithFiringTriggers:
    @pytest.fixture
    def touched(self, loose, settings) -> str:
        """Return a database in which every row that is written gets another time, and is counted elsewhere."""
        settings.CLEANUP_TRIGGERS = "fire"
        execute(loose, "CREATE TABLE log (what text)")
        touch = "INSERT INTO log VALUES ('touched')"
        if is_postgresql(loose):
            execute(
                loose,
                "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$"
                f" BEGIN {touch}; NEW.created_at = '2030-01-01'; RETURN NEW; END $$",
            )
        for table, when in itertools.product((":folders", ":files"), ("INSERT", "UPDATE")):
            if is_postgresql(loose):
                body = "EXECUTE FUNCTION touch()"
                execute(loose, f"CREATE TRIGGER touch_{when} BEFORE {when} ON {table} FOR EACH ROW {body}")
            else:
                body = f"{touch}; UPDATE {table} SET created_at = '2030-01-01' WHERE rowid = NEW.rowid;"
                execute(loose, f"CREATE TRIGGER touch_{table[1:]}_{when} AFTER {when} ON {table} BEGIN {body} END")
        return loose

    def cells(self, database: str) -> tuple[list, list]:
        """Return what a repair may change."""
        folders = Folder.objects.using(database).values_list("pk", "parent", "application", "name")
        return sorted(folders, key=str), sorted(
            File.objects.using(database).values_list("pk", "folder", "application"), key=str
        )

    @pytest.mark.parametrize("code", CORRUPTIONS)
    def test_what_the_repair_changed_comes_back(self, touched, loan, other, code):
        service = DatabaseCleanupService(using=touched)
        CORRUPTIONS[code](touched, loan, other)
        before, report = self.cells(touched), service.repair(code)
        assert (report.failed_cleanups, bool(report.findings_repaired)) == (0, True)
        undone = service.rollback_cleanup(report.run_id)
        assert (undone.conflicts, undone.inexact) == ((), ("triggers",))
        assert self.cells(touched) == before
