"""Guards: each forbids its row, none merges data, all can be lifted and put back, and nobody waits for them.

The shared database stands without guards; tests put them in place in a copy of their own.
"""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connections, transaction

from cleanup.exceptions import Guarded
from cleanup.guard_names import FOLDER_KEY, MADE_BY, Guard
from cleanup.guards.enforcement import applied_migrations, guard_sql_of, standings
from cleanup.models import Application, File, Folder, RollbackPoint
from cleanup.services import DatabaseCleanupService
from tests import databases
from tests.integration.test_migrations import make_wild
from tests.integration.trees import START, Tree, dump, execute, fetch, is_postgresql, new_key, tree


def migrate(database: str, *target: str) -> str:
    out = io.StringIO()
    call_command("migrate", *(target or ("cleanup_guards",)), database=database, interactive=False, stdout=out)
    return out.getvalue()


def refused(database: str, *target: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        migrate(database, *target)
    return caught.value


def standing(database: str) -> set[str]:
    there = standings(guard_sql_of(using=database), applied=applied_migrations(using=database))
    return {guard for guard, found in there.items() if found.whole}


def applied(database: str) -> list[str]:
    return sorted(name[:4] for name in applied_migrations(using=database))


def folder(database: str, application: str | None, name: str = "Docs", parent: str | None = None) -> Folder:
    return Folder.objects.using(database).create(
        id=new_key(), name=name, parent_id=parent, application_id=application, created_at=START
    )


def file(database: str, application: str | None, parent: str) -> File:
    return File.objects.using(database).create(
        id=new_key(),
        filename="a",
        original_filename="a",
        file_path="/a",
        file_size=1,
        mime_type="text/plain",
        application_id=application,
        folder_id=parent,
    )


class Forbidden:
    """What each guard forbids, done to a tree ``root:Loan/docs:Docs(1)`` and to another application's ``other:``."""

    @staticmethod
    def do(guard: Guard, database: str, loan: Tree, other: Tree) -> None:
        if guard == Guard.ONE_ROOT:
            folder(database, loan.application, "Another")
        elif guard == Guard.ONE_NAME:
            folder(database, loan.application, "Docs", loan["root"])
        elif guard == Guard.PARENT_APPLICATION:
            folder(database, loan.application, "Astray", other["other"])
        elif guard == Guard.FILE_APPLICATION:
            file(database, loan.application, other["other"])
        elif guard == Guard.OWN_PARENT:
            Folder.objects.using(database).filter(pk=loan["docs"]).update(parent=loan["docs"])
        else:
            folder(database, loan.application, "\u2003 \t", loan["root"])


COMMANDS = {
    Guard.ONE_ROOT: "manage.py database_cleanup --cleanup",
    Guard.ONE_NAME: "manage.py database_cleanup --cleanup",
    **dict.fromkeys(set(Guard) - {Guard.ONE_ROOT, Guard.ONE_NAME}, "manage.py database_cleanup --verify"),
}


def trees(database: str) -> tuple[Tree, Tree]:
    return tree(database, "root:Loan/docs:Docs(1)"), tree(database, "other:Loan/Docs(1)")


class TestGuards:
    def test_go_up_down_and_up_again(self, scratch_database):
        trees(scratch_database)
        bare = databases.schema(scratch_database)
        migrate(scratch_database)
        guarded = databases.schema(scratch_database)
        assert standing(scratch_database) == set(Guard)
        migrate(scratch_database, "cleanup_guards", "zero")
        assert databases.schema(scratch_database) == bare
        migrate(scratch_database)
        assert databases.schema(scratch_database) == guarded

    @pytest.mark.parametrize("guard", Guard)
    def test_are_lifted_one_by_one(self, scratch_database, guard):
        migrate(scratch_database)
        before = f"{int(MADE_BY[guard][:4]) - 1:04}"
        migrate(scratch_database, "cleanup_guards", before)
        assert guard not in standing(scratch_database)
        assert applied(scratch_database)[-1:] == [before]

    @pytest.mark.parametrize("guard", Guard)
    def test_forbid_their_row(self, scratch_database, guard):
        loan, other = trees(scratch_database)
        migrate(scratch_database)
        with pytest.raises(IntegrityError):
            Forbidden.do(guard, scratch_database, loan, other)

    @pytest.mark.parametrize("guard", Guard)
    def test_allow_it_when_lifted(self, scratch_database, guard):
        loan, other = trees(scratch_database)
        migrate(scratch_database)
        migrate(scratch_database, "cleanup_guards", f"{int(MADE_BY[guard][:4]) - 1:04}")
        Forbidden.do(guard, scratch_database, loan, other)

    def test_allow_what_is_in_order(self, scratch_database):
        loan, other = trees(scratch_database)
        migrate(scratch_database)
        folder(scratch_database, loan.application, "docs", loan["root"])
        folder(scratch_database, loan.application, "Docs", loan["docs"])
        folder(scratch_database, None, "Docs")
        folder(scratch_database, None, "Docs")
        file(scratch_database, None, other["other"])
        file(scratch_database, loan.application, loan["docs"])

    def test_touch_no_row(self, scratch_database):
        trees(scratch_database)
        before = dump(scratch_database)
        migrate(scratch_database)
        migrate(scratch_database, "cleanup_guards", "zero")
        after = dump(scratch_database)
        for each in (before, after):
            each.pop("django_migrations")
        assert after == before

    @pytest.mark.only("postgresql")
    def test_let_a_tree_move_to_another_application_in_one_transaction(self, scratch_database):
        loan, _ = trees(scratch_database)
        migrate(scratch_database)
        application = Application.objects.using(scratch_database).create(id=new_key())
        with transaction.atomic(using=scratch_database):
            for model in (Folder, File):
                rows = model.objects.using(scratch_database).filter(application=loan.application)
                rows.update(application=application)
        assert loan.folders == 0

    @pytest.mark.parametrize("number", ["0001", "0002", "0004", "0006", "0008"])
    def test_can_be_read_as_sql(self, scratch_database, number, capsys):
        call_command("sqlmigrate", "cleanup_guards", number, database=scratch_database)
        call_command("sqlmigrate", "cleanup_guards", number, database=scratch_database, backwards=True)
        assert standing(scratch_database) == set()


class TestDirtyData:
    """Data that forbids a guard stops its migration before anything is changed."""

    @pytest.fixture(params=list(Guard))
    def dirty(self, request, scratch_database) -> str:
        self.guard = request.param
        self.loan, other = trees(scratch_database)
        Forbidden.do(self.guard, scratch_database, self.loan, other)
        return scratch_database

    def test_refuses_with_number_example_and_command(self, dirty):
        message = str(refused(dirty))
        assert self.guard in message
        assert COMMANDS[self.guard] in message
        assert ": 1 " in message
        rows = [model.objects.using(dirty).values_list("pk", flat=True) for model in (Application, Folder, File)]
        assert any(str(key) in message for keys in rows for key in keys)

    def test_changes_nothing(self, dirty):
        before = dump(dirty)
        refused(dirty)
        schema = databases.schema(dirty)
        refused(dirty)
        assert databases.schema(dirty) == schema
        after = dump(dirty)
        for each in (before, after):
            each.pop("django_migrations")
        assert after == before
        assert self.guard not in standing(dirty)

    def test_exits_as_refused(self, dirty):
        assert refused(dirty).returncode == 3

    def test_is_told_by_the_check_beforehand(self, dirty):
        err = io.StringIO()
        call_command("check", databases=[dirty], stderr=err)
        assert ("cleanup_guards.W001" in err.getvalue(), self.guard in err.getvalue()) == (True, True)
        assert f"HINT: {COMMANDS[self.guard]}" in err.getvalue()


class TestSecondTry:
    def test_passes_after_the_cleanup(self, scratch_database):
        tree(scratch_database, "Loan/{Docs(2), Docs(1)}, Loan/Docs*3")
        assert "--cleanup" in str(refused(scratch_database))
        DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        migrate(scratch_database)
        assert standing(scratch_database) == set(Guard)

    def test_names_the_rollback_points_that_it_binds(self, scratch_database):
        first = tree(scratch_database, "Loan*2")
        service = DatabaseCleanupService(using=scratch_database)
        service.consolidate_duplicate_folders(first.application)
        tree(scratch_database, "Loan*2")
        assert "1 live rollback point can be undone only after lifting it" in str(refused(scratch_database))

    @pytest.mark.only("postgresql")
    def test_clears_what_a_failed_build_left(self, scratch_database):
        loan = tree(scratch_database, "Loan, second:Loan")
        with pytest.raises(IntegrityError):
            execute(
                scratch_database,
                f"CREATE UNIQUE INDEX CONCURRENTLY {Guard.ONE_ROOT} ON folders (application_id)"
                " WHERE parent_id IS NULL",
            )
        Folder.objects.using(scratch_database).filter(pk=loan["second"]).delete()
        migrate(scratch_database)
        assert standing(scratch_database) == set(Guard)

    def test_passes_where_a_try_died_before_it_was_recorded(self, scratch_database):
        migrate(scratch_database)
        execute(scratch_database, "DELETE FROM django_migrations WHERE app = 'cleanup_guards'")
        migrate(scratch_database)
        assert (standing(scratch_database), applied(scratch_database)[-1]) == (set(Guard), "0008")

    def test_passes_where_lifting_died_before_it_was_recorded(self, scratch_database):
        migrate(scratch_database)
        execute(scratch_database, f"DROP INDEX {Guard.ONE_ROOT}")
        migrate(scratch_database, "cleanup_guards", "zero")
        assert standing(scratch_database) == set()


class TestRollback:
    """One that would bring forbidden duplicates back says so first, and works exactly once the guard is lifted."""

    TREES = {
        Guard.ONE_ROOT: "Loan/{Docs(2), a:A}, Loan/Docs(1)",
        Guard.ONE_NAME: "Loan/{Docs(2), Docs(1)/B, A}",
    }

    @pytest.fixture(params=list(TREES))
    def merged(self, request, scratch_database):
        self.guard = request.param
        loan = tree(scratch_database, self.TREES[self.guard])
        self.before = dump(scratch_database)
        self.service = DatabaseCleanupService(using=scratch_database)
        self.report = self.service.cleanup_all_duplicate_folders()
        self.point = RollbackPoint.objects.using(scratch_database).get(application_key=loan.application).id
        migrate(scratch_database)
        self.after = dump(scratch_database, own=True)
        self.before["django_migrations"] = self.after["django_migrations"]
        return scratch_database

    def refusal(self, database: str, verb: str) -> Guarded:
        act = {
            "point": lambda: self.service.rollback_cleanup(self.point),
            "skipping": lambda: self.service.rollback_cleanup(self.point, skip_conflicts=True),
            "run": lambda: self.service.rollback_cleanup(self.report.run_id),
            "preview": lambda: self.service.preview_rollback(self.point),
            "preview of run": lambda: self.service.preview_rollback(self.report.run_id),
        }[verb]
        with pytest.raises(Guarded) as caught:
            act()
        return caught.value

    @pytest.mark.parametrize("verb", ["point", "skipping", "run", "preview", "preview of run"])
    def test_is_refused_naming_guard_and_command(self, merged, verb):
        error = self.refusal(merged, verb)
        number = f"{int(MADE_BY[self.guard][:4]) - 1:04}"
        on = "" if merged == "default" else f" --database {merged}"
        assert (error.guard, error.exit_status) == (self.guard, 3)
        assert error.command == f"manage.py migrate cleanup_guards {number}{on}"
        assert dump(merged, own=True) == self.after

    @pytest.mark.parametrize("verb", ["point", "run"])
    def test_works_exactly_after_lifting(self, merged, verb):
        migrate(merged, *self.refusal(merged, "point").command.split(" --")[0].split()[2:])
        result = self.service.rollback_cleanup(self.point if verb == "point" else self.report.run_id)
        self.before.pop("django_migrations")
        after = dump(merged)
        after.pop("django_migrations")
        assert (result.exact, after) == (True, self.before)

    def test_names_a_constraint_that_is_not_ours(self, merged):
        migrate(merged, "cleanup_guards", "zero")
        columns = {
            Guard.ONE_ROOT: "(application_id) WHERE parent_id IS NULL",
            Guard.ONE_NAME: "(parent_id, name)",
        }
        execute(merged, f"CREATE UNIQUE INDEX of_the_host ON folders {columns[self.guard]}")
        self.after = dump(merged, own=True)
        error = self.refusal(merged, "point")
        assert (error.guard, "DROP INDEX" in error.command) == ("of_the_host", True)


class TestRollbackUnderGuards:
    def test_works_where_nothing_forbidden_returns(self, scratch_database):
        """What was a second root has become a child since, by hand: so no second root returns."""
        loan = tree(scratch_database, "Loan/A, Loan/B")
        service = DatabaseCleanupService(using=scratch_database)
        service.consolidate_duplicate_folders(loan.application)
        point = service.create_rollback_point(loan.application)
        migrate(scratch_database)
        assert service.rollback_cleanup(point)

    def test_cleanup_and_rollback_work_beside_the_other_guards(self, scratch_database):
        migrate(scratch_database)
        for guard in (Guard.ONE_ROOT, Guard.ONE_NAME):
            execute(scratch_database, f"DROP INDEX {guard}")
        loan = tree(scratch_database, "Loan/{Docs(2)/X, A, A(1)}, Loan/{Docs(1)/{X, Y}, B}, Loan")
        before = dump(scratch_database)
        service = DatabaseCleanupService(using=scratch_database)
        assert service.preflight()["problems"] == []
        result = service.consolidate_duplicate_folders(loan.application)
        assert (result.status, result.folders_removed) == ("completed", 5)
        assert service.verify_cleanup_integrity(loan.application)["verification_passed"]
        assert service.rollback_cleanup(result.rollback_id).exact
        assert dump(scratch_database) == before


class TestVerification:
    def missing(self, database: str) -> set[str]:
        report = DatabaseCleanupService(using=database).verify_cleanup_integrity()
        return {f["object_key"] for f in report["findings"] if f["code"] == "guards_missing"}

    def test_lists_all_where_there_are_none(self, database):
        assert self.missing(database) == set(Guard)

    def test_lists_none_where_all_are_there(self, scratch_database):
        migrate(scratch_database)
        assert self.missing(scratch_database) == set()

    def test_lists_those_that_do_not_hold_for_older_rows(self, scratch_database):
        migrate(scratch_database, "cleanup_guards", "0005")
        fk = {Guard.PARENT_APPLICATION, Guard.FILE_APPLICATION}
        assert self.missing(scratch_database) == fk | {Guard.OWN_PARENT, Guard.BLANK_NAME}

    def test_goes_with_a_word_of_the_preflight(self, scratch_database):
        service = DatabaseCleanupService(using=scratch_database)
        assert "guards" in {warning["code"] for warning in service.preflight()["warnings"]}
        migrate(scratch_database)
        assert "guards" not in {warning["code"] for warning in service.preflight()["warnings"]}
