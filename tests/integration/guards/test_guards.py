"""Guards: each forbids its row, none merges data, all can be lifted and put back, and no one waits for them.

The shared database stands without guards; tests put them in place in a copy of their own, or have one in which all
stand.
"""

import io
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connections, transaction
from django.db.migrations.state import StateApps
from django.db.models.signals import pre_migrate

from cleanup.backends.postgresql.lock_waits import ONE_AT_A_TIME, Sessions
from cleanup.exceptions import Guarded
from cleanup.guard_names import FOLDER_KEY, MADE_BY, Guard, on
from cleanup.guards.differences import guard_differences
from cleanup.guards.guard_ddl import applied_migrations, guard_sql_of, standings
from cleanup.models import Application, File, Folder, RollbackPoint
from cleanup.services import DatabaseCleanupService
from cleanup.services.errors import broken_guard
from tests.integration.guards.test_migrations import make_wild
from tests.support import databases
from tests.support.trees import START, Tree, assert_tree, dump, execute, new_key, tree


def migrate_as_users_do(database: str, *target: str) -> str:
    out = io.StringIO()
    call_command("migrate", *target, database=database, interactive=False, stdout=out)
    return out.getvalue()


def migrate(database: str, *target: str) -> str:
    """Migrate the guards, without the models of all apps as they once were: those are half of the work.

    No guard looks at them. Receivers of the command's signals do, and leave alone what has no models.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StateApps, "render_multiple", lambda state_apps, models: None)
        return migrate_as_users_do(database, *(target or ("cleanup_guards",)))


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
        migrate_as_users_do(scratch_database, "cleanup_guards")
        guarded = databases.schema(scratch_database)
        assert standing(scratch_database) == set(Guard)
        migrate_as_users_do(scratch_database, "cleanup_guards", "zero")
        assert databases.schema(scratch_database) == bare
        migrate_as_users_do(scratch_database, "cleanup_guards")
        assert databases.schema(scratch_database) == guarded

    def test_forbid_their_row_until_they_are_lifted_one_by_one(self, guarded_database, subtests):
        made = {guard: trees(guarded_database) for guard in Guard}
        for guard in Guard:
            with subtests.test(f"{guard} forbids"), pytest.raises(IntegrityError):
                Forbidden.do(guard, guarded_database, *made[guard])
        for guard in sorted(Guard, key=lambda guard: MADE_BY[guard], reverse=True):
            before = f"{int(MADE_BY[guard][:4]) - 1:04}"
            migrate(guarded_database, "cleanup_guards", before)
            with subtests.test(f"{guard} is lifted"):
                assert guard not in standing(guarded_database)
                assert applied(guarded_database)[-1:] == [before]
                Forbidden.do(guard, guarded_database, *made[guard])

    def test_allow_what_is_in_order(self, guarded_database):
        loan, other = trees(guarded_database)
        folder(guarded_database, loan.application, "docs", loan["root"])
        folder(guarded_database, loan.application, "Docs", loan["docs"])
        folder(guarded_database, None, "Docs")
        folder(guarded_database, None, "Docs")
        file(guarded_database, None, other["other"])
        file(guarded_database, loan.application, loan["docs"])

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
    def test_let_a_tree_move_to_another_application_in_one_transaction(self, guarded_database):
        loan, _ = trees(guarded_database)
        application = Application.objects.using(guarded_database).create(id=new_key())
        with transaction.atomic(using=guarded_database):
            for model in (Folder, File):
                rows = model.objects.using(guarded_database).filter(application=loan.application)
                rows.update(application=application)
        assert loan.folders == 0

    @pytest.mark.parametrize("number", ["0001", "0002", "0004", "0006", "0008"])
    def test_can_be_read_as_sql(self, database, number, capsys):
        call_command("sqlmigrate", "cleanup_guards", number, database=database)
        call_command("sqlmigrate", "cleanup_guards", number, database=database, backwards=True)
        assert standing(database) == set()


class TestDirtyData:
    """Data that forbids a guard stops its migration before anything is changed."""

    @pytest.fixture(params=list(Guard))
    def dirty(self, request, scratch_database) -> str:
        self.guard = request.param
        self.loan, other = trees(scratch_database)
        Forbidden.do(self.guard, scratch_database, self.loan, other)
        return scratch_database

    def test_is_told_and_refused_and_changes_nothing(self, dirty, subtests):
        with subtests.test("is told by the check beforehand"):
            err = io.StringIO()
            call_command("check", databases=[dirty], stderr=err)
            assert ("cleanup_guards.W001" in err.getvalue(), self.guard in err.getvalue()) == (True, True)
            assert f"HINT: {COMMANDS[self.guard]}" in err.getvalue()
        before = dump(dirty)
        with subtests.test("refuses with number, example and command"):
            error = refused(dirty)
            message = str(error)
            assert error.returncode == 3
            assert self.guard in message
            assert COMMANDS[self.guard] in message
            assert ": 1 " in message
            rows = [model.objects.using(dirty).values_list("pk", flat=True) for model in (Application, Folder, File)]
            assert any(str(key) in message for keys in rows for key in keys)
        with subtests.test("changes nothing"):
            schema = databases.schema(dirty)
            refused(dirty)
            assert databases.schema(dirty) == schema
            after = dump(dirty)
            for each in (before, after):
                each.pop("django_migrations")
            assert after == before
            assert self.guard not in standing(dirty)


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
        assert "1 live rollback point can be undone only as copies, or after lifting it" in str(
            refused(scratch_database)
        )

    def fail_to_build(self, database: str, loan: Tree) -> None:
        """Leave an invalid index behind, and no duplicate."""
        columns = "folders (application_id) WHERE parent_id IS NULL"
        with pytest.raises(IntegrityError):
            execute(database, f"CREATE UNIQUE INDEX CONCURRENTLY {Guard.ONE_ROOT} ON {columns}")
        Folder.objects.using(database).filter(pk=loan["second"]).delete()

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize(
        "statement",
        [
            f"DROP INDEX {Guard.ONE_ROOT}",
            f"REINDEX INDEX {Guard.ONE_ROOT}",
            f"DROP INDEX {Guard.ONE_ROOT}; CREATE UNIQUE INDEX o ON folders (application_id) WHERE parent_id IS NULL",
        ],
        ids=["dropped", "rebuilt", "replaced"],
    )
    def test_meets_what_somebody_else_has_done_with_the_leftover_meanwhile(self, scratch_database, statement):
        self.fail_to_build(scratch_database, tree(scratch_database, "Loan, second:Loan"))
        migrate(scratch_database, "cleanup_guards", "0001")
        url = databases.url_of(scratch_database)
        with psycopg.connect(url, autocommit=True) as other, psycopg.connect(url) as blocking:
            blocking.execute("UPDATE files SET file_size = 1")

            def end() -> None:
                other.execute(statement)
                blocking.rollback()

            ending = threading.Timer(1, end)
            ending.start()
            migrate(scratch_database, "cleanup_guards", "0002")
            ending.join()
        assert standing(scratch_database) == {Guard.ONE_ROOT}

    @pytest.mark.only("postgresql")
    def test_passes_after_duplicates_came_about_while_it_was_built(self, scratch_database, monkeypatch):
        loan = tree(scratch_database, "Loan")
        migrate(scratch_database, "cleanup_guards", "0001")

        def build_late(sessions, **options) -> None:
            if not Folder.objects.using(scratch_database).filter(name="Late").exists():
                folder(scratch_database, loan.application, "Late")
            wait(sessions, **options)

        wait = Sessions.wait_for_old_transactions
        monkeypatch.setattr(Sessions, "wait_for_old_transactions", build_late)
        assert "duplicates appeared while it was being built" in str(refused(scratch_database))
        assert not [name for name in databases.schema(scratch_database) if name.endswith(Guard.ONE_ROOT)]
        folder(scratch_database, loan.application, "Not refused")
        DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        migrate(scratch_database)
        assert standing(scratch_database) == set(Guard)

    @pytest.mark.only("postgresql")
    def test_clears_what_a_failed_build_left(self, scratch_database):
        self.fail_to_build(scratch_database, tree(scratch_database, "Loan, second:Loan"))
        migrate(scratch_database)
        assert standing(scratch_database) == set(Guard)

    def test_passes_where_a_try_died_before_it_was_recorded(self, guarded_database):
        execute(guarded_database, "DELETE FROM django_migrations WHERE app = 'cleanup_guards'")
        migrate(guarded_database)
        assert (standing(guarded_database), applied(guarded_database)[-1]) == (set(Guard), "0008")

    def test_passes_where_lifting_died_before_it_was_recorded(self, guarded_database):
        execute(guarded_database, f"DROP INDEX {Guard.ONE_ROOT}")
        migrate(guarded_database, "cleanup_guards", "zero")
        assert standing(guarded_database) == set()


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
        self.point = RollbackPoint.objects.using(scratch_database).get(application_key=loan.application).uuid
        migrate(scratch_database, "cleanup_guards", MADE_BY[self.guard])
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

    def test_is_refused_naming_guard_and_command(self, merged, subtests):
        number = f"{int(MADE_BY[self.guard][:4]) - 1:04}"
        on = "" if merged == "default" else f" --database {merged}"
        for verb in ("point", "skipping", "run", "preview", "preview of run"):
            with subtests.test(verb):
                error = self.refusal(merged, verb)
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

    def test_cleanup_and_rollback_work_beside_the_one_against_same_names(self, guarded_database):
        execute(guarded_database, f"DROP INDEX {Guard.ONE_ROOT}")
        loan = tree(guarded_database, "Loan/{Docs(2)/X, A}, Loan/{Docs(1)/{X, Y}, B}, Loan/Docs")
        before = dump(guarded_database)
        service = DatabaseCleanupService(using=guarded_database)
        result = service.consolidate_duplicate_folders(loan.application)
        assert (result.status, result.folders_removed) == ("completed", 5)
        assert service.rollback_cleanup(result.rollback_id).exact
        assert dump(guarded_database) == before

    def test_cleanup_and_rollback_work_beside_the_other_guards(self, guarded_database):
        for guard in (Guard.ONE_ROOT, Guard.ONE_NAME):
            execute(guarded_database, f"DROP INDEX {guard}")
        loan = tree(guarded_database, "Loan/{Docs(2)/X, A, A(1)}, Loan/{Docs(1)/{X, Y}, B}, Loan")
        before = dump(guarded_database)
        service = DatabaseCleanupService(using=guarded_database)
        assert service.preflight()["problems"] == []
        result = service.consolidate_duplicate_folders(loan.application)
        assert (result.status, result.folders_removed) == ("completed", 5)
        assert service.verify_cleanup_integrity(loan.application)["verification_passed"]
        assert service.rollback_cleanup(result.rollback_id).exact
        assert dump(guarded_database) == before


class TestVerification:
    def missing(self, database: str) -> set[str]:
        report = DatabaseCleanupService(using=database).verify_cleanup_integrity()
        return {f["object_key"] for f in report["findings"] if f["code"] == "guards_missing"}

    def test_lists_all_where_there_are_none(self, database):
        assert self.missing(database) == set(Guard)

    def test_lists_none_where_all_are_there(self, guarded_database):
        assert self.missing(guarded_database) == set()

    def test_lists_those_that_do_not_hold_for_older_rows(self, scratch_database):
        migrate(scratch_database, "cleanup_guards", "0005")
        fk = {Guard.PARENT_APPLICATION, Guard.FILE_APPLICATION}
        assert self.missing(scratch_database) == fk | {Guard.OWN_PARENT, Guard.BLANK_NAME}

    def warned(self, database: str) -> set[str]:
        return {warning["code"] for warning in DatabaseCleanupService(using=database).preflight()["warnings"]}

    def test_goes_with_a_word_of_the_preflight(self, database):
        assert "guards" in self.warned(database)

    def test_goes_with_none_of_the_preflight_where_all_are_there(self, guarded_database):
        assert "guards" not in self.warned(guarded_database)


class TestPlainMigrate:
    def test_brings_the_guards_where_the_data_allows_them(self, blank_database):
        migrate_as_users_do(blank_database, "contenttypes")
        call_command("migrate", database=blank_database, verbosity=0)
        assert standing(blank_database) == set(Guard)

    def test_migrates_all_else_on_dirty_data_and_then_stops(self, blank_database):
        make_wild(blank_database)
        with pytest.raises(CommandError, match=r"has several root folders.*All other apps are migrated") as caught:
            call_command("migrate", database=blank_database, fake_initial=True, verbosity=0)
        assert caught.value.returncode == 3
        tables = set(connections[blank_database].introspection.table_names())
        assert {"django_session", "django_q_task", "cleanup_run"} <= tables
        assert (standing(blank_database), applied(blank_database)) == (set(), ["0001"])

    def test_goes_on_when_the_data_is_mended(self, blank_database, settings):
        make_wild(blank_database)
        with pytest.raises(CommandError):
            call_command("migrate", database=blank_database, fake_initial=True, verbosity=0)
        settings.CLEANUP_TRIGGERS = "fire"
        DatabaseCleanupService(using=blank_database).cleanup_all_duplicate_folders()
        execute(blank_database, "DELETE FROM files WHERE folder_id IN (SELECT id FROM folders WHERE color IS NULL)")
        execute(blank_database, "DELETE FROM folders WHERE name LIKE '%%parent'")
        migrate(blank_database)
        assert standing(blank_database) == set(Guard)

    @pytest.mark.only("postgresql")
    def test_migrates_all_else_where_another_session_is_in_the_way(self, blank_database, settings):
        settings.CLEANUP_GUARD_WAIT_SECONDS = 1
        migrate_as_users_do(blank_database, "cleanup")
        with psycopg.connect(databases.url_of(blank_database)) as other:
            other.execute("SELECT count(*) FROM folders")
            named = rf"pid {other.info.backend_pid}\b.*All other apps are migrated"
            with pytest.raises(CommandError, match=named) as caught:
                call_command("migrate", database=blank_database, verbosity=0)
        assert caught.value.returncode == 3
        assert {"django_session", "django_q_task"} <= set(connections[blank_database].introspection.table_names())
        assert applied(blank_database) == []
        call_command("migrate", database=blank_database, verbosity=0)
        assert standing(blank_database) == set(Guard)

    def test_of_one_app_says_nothing_of_guards(self, scratch_database):
        tree(scratch_database, "Loan*2")
        migrate_as_users_do(scratch_database, "auth")

    def test_tells_how_many_rollback_points_it_binds(self, scratch_database):
        loan = tree(scratch_database, "Loan*2")
        DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders(loan.application)
        assert "1 live rollback point" in migrate(scratch_database)


class TestConstraintsOfTheHost:
    ONE_ROOT = "CREATE UNIQUE INDEX host_root ON folders (application_id) WHERE parent_id IS NULL"
    ONE_NAME = "CREATE UNIQUE INDEX host_name ON folders (name, parent_id)"
    INDEXES = {
        "alike": (ONE_ROOT, ONE_NAME),
        # A unique index lets nulls pass anyway.
        "without nulls": (f"{ONE_ROOT} AND application_id IS NOT NULL", f"{ONE_NAME} WHERE name IS NOT NULL"),
    }
    CONSTRAINTS = {
        Guard.PARENT_APPLICATION: "FOREIGN KEY (application_id, parent_id) REFERENCES folders (application_id, id)",
        Guard.OWN_PARENT: "CHECK (id <> parent_id)",
    }

    @pytest.mark.parametrize("indexes", INDEXES.values(), ids=INDEXES)
    def test_are_not_doubled_and_not_dropped(self, scratch_database, indexes):
        for index in indexes:
            execute(scratch_database, index)
        migrate(scratch_database)
        assert standing(scratch_database) == set(Guard)
        both = (Guard.ONE_ROOT, Guard.ONE_NAME)
        assert not [name for name in databases.schema(scratch_database) if name.endswith(both)]
        migrate(scratch_database, "cleanup_guards", "zero")
        assert standing(scratch_database) == set(both)

    @pytest.mark.only("postgresql")
    def test_of_other_kinds_neither(self, scratch_database):
        execute(scratch_database, "CREATE UNIQUE INDEX host_key ON folders (application_id, id)")
        for number, constraint in enumerate(self.CONSTRAINTS.values()):
            execute(scratch_database, f"ALTER TABLE folders ADD CONSTRAINT of_the_host_{number} {constraint}")
        migrate(scratch_database)
        names = {name.rpartition(".")[2] for name in databases.schema(scratch_database)}
        assert names & {*self.CONSTRAINTS, FOLDER_KEY} == set()
        migrate(scratch_database, "cleanup_guards", "zero")
        assert standing(scratch_database) == set(self.CONSTRAINTS)
        assert "host_key" in str(databases.schema(scratch_database))

    def test_that_forbid_less_do_not_count(self, scratch_database):
        for statement in (
            "CREATE UNIQUE INDEX host_loans ON folders (application_id) WHERE parent_id IS NULL AND name = 'Loan'",
            "CREATE UNIQUE INDEX host_names ON folders (application_id, name) WHERE parent_id IS NULL",
            "CREATE INDEX host_roots ON folders (application_id) WHERE parent_id IS NULL",
        ):
            execute(scratch_database, statement)
        migrate(scratch_database, "cleanup_guards", "0002")
        assert any(name.endswith(Guard.ONE_ROOT) for name in databases.schema(scratch_database))


class TestObjectsOfTheHostWithNamesOfGuards:
    TAKEN = {
        "on another table": f"CREATE UNIQUE INDEX {Guard.ONE_ROOT} ON files (id)",
        "not unique": f"CREATE INDEX {Guard.ONE_ROOT} ON folders (application_id) WHERE parent_id IS NULL",
        "of other columns": f"CREATE UNIQUE INDEX {Guard.ONE_NAME} ON folders (id, name)",
        "no index at all": f"CREATE TABLE {Guard.ONE_NAME} (id integer PRIMARY KEY)",
    }
    CONSTRAINTS = {
        Guard.OWN_PARENT: "CHECK (name <> 'root')",
        Guard.BLANK_NAME: "CHECK (parent_id <> id)",
        Guard.FILE_APPLICATION: "CHECK (file_size >= 0)",
    }

    def assert_left(self, database: str) -> None:
        before = databases.schema(database)
        told = str(refused(database))
        assert "has its name" in told
        assert "Rename it" in told
        assert not before - databases.schema(database)
        migrate(database, "cleanup_guards", "zero")
        assert databases.schema(database) == before

    @pytest.mark.parametrize("taken", list(TAKEN))
    def test_are_told_and_never_touched(self, scratch_database, taken):
        execute(scratch_database, self.TAKEN[taken])
        self.assert_left(scratch_database)

    @pytest.mark.only("postgresql")
    def test_are_told_and_never_touched_where_a_guard_stands_on_the_name(self, scratch_database):
        execute(scratch_database, f"CREATE INDEX {FOLDER_KEY} ON folders (name)")
        self.assert_left(scratch_database)

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize("guard", list(CONSTRAINTS))
    def test_are_told_and_never_touched_where_they_are_constraints(self, scratch_database, guard):
        table = "files" if guard == Guard.FILE_APPLICATION else "folders"
        execute(scratch_database, f"ALTER TABLE {table} ADD CONSTRAINT {guard} {self.CONSTRAINTS[guard]}")
        self.assert_left(scratch_database)

    @pytest.mark.only("sqlite")
    def test_are_told_and_never_touched_where_they_are_triggers(self, scratch_database):
        name = f"{Guard.OWN_PARENT}_insert"
        execute(scratch_database, f"CREATE TRIGGER {name} AFTER INSERT ON folders BEGIN SELECT 1; END")
        self.assert_left(scratch_database)

    def test_are_told_by_the_check(self, scratch_database):
        execute(scratch_database, self.TAKEN["on another table"])
        (told,) = [
            message.msg
            for message in run_checks(tags=["database"], databases=[scratch_database])
            if message.id == "cleanup_guards.W001"
        ]
        assert Guard.ONE_ROOT in told
        assert "Rename it" in told


class TestTrashedFolders:
    KINDS = (("trashed_at", None, "timestamp"), ("state", "it's 100%", "text"), ("gone", False, "bool"))

    @pytest.fixture(params=KINDS)
    def trash(self, request, scratch_database, settings):
        column, live, kind = request.param
        settings.CLEANUP_FOLDER_LIVE = {column: live}
        default = {"timestamp": "", "text": "NOT NULL DEFAULT 'it''s 100%%'", "bool": "NOT NULL DEFAULT false"}[kind]
        execute(scratch_database, f"ALTER TABLE folders ADD COLUMN {column} {kind} {default}")
        value = {"timestamp": "'2020-01-01 00:00'", "text": "'trashed'", "bool": "true"}[kind]
        self.trashed = f"UPDATE folders SET {column} = {value} WHERE name = 'Trash' OR name = ' '"
        return scratch_database

    def test_lie_outside_the_guards(self, trash):
        loan = tree(trash, 'root:Loan/{Trash, Trash, docs:Docs}, Trash, " "')
        execute(trash, self.trashed)
        migrate(trash)
        assert standing(trash) == set(Guard)
        with pytest.raises(IntegrityError):
            folder(trash, loan.application, "Another")
        with pytest.raises(IntegrityError):
            folder(trash, loan.application, "Docs", loan["root"])

    @pytest.mark.parametrize("trash", [KINDS[1]], indirect=True, ids=["state"])
    def test_are_held_to_them_again_when_the_setting_changes(self, trash, settings):
        migrate(trash)
        settings.CLEANUP_FOLDER_LIVE = None
        err = io.StringIO()
        call_command("check", databases=[trash], stderr=err)
        assert "cleanup_guards.W002" in err.getvalue()
        migrate(trash, "cleanup_guards", "0001")
        migrate(trash)
        assert standing(trash) == set(Guard)


def set_right(database: str, command: str) -> None:
    """Run a command that a difference of the guards gives."""
    for part in command.split("&&"):
        words = shlex.split(part.replace(on(database), ""))
        assert words[:2] == ["manage.py", "migrate"]
        was = set(guard_sql_of(using=database).standing())
        migrate(database, *words[2:])
        sql = guard_sql_of(using=database)
        assert was - set(sql.standing()) <= set(Guard) - set(sql.guards)


def differences(database: str) -> dict[str, str]:
    """Return what differs by guard, and see that verification, preflight and check tell the same."""
    found = guard_differences(using=database)
    service = DatabaseCleanupService(using=database)
    findings = [f for f in service.verify_cleanup_integrity()["findings"] if f["code"] == "guards_missing"]
    assert [(f["object_key"], f["detail"]["difference"], f["hint"]) for f in findings] == [
        (one.guard, one.kind, one.command) for one in found
    ]
    warned = " ".join(w["message"] for w in service.preflight()["warnings"] if w["code"] == "guards")
    told = " ".join(f"{m.msg} {m.hint}" for m in run_checks(databases=[database]) if m.id == "cleanup_guards.W002")
    for one in found:
        assert one.guard in warned
        assert one.command in warned
        assert not one.migrated or (str(one) in told and one.command in told)
    return {one.guard: one.kind.value for one in found}


class TestRootsThatAreKept:
    @pytest.fixture(autouse=True)
    def keep(self, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"

    def test_have_one_root_for_each_name(self, scratch_database):
        loan = tree(scratch_database, "Loan, Case")
        migrate(scratch_database, "cleanup_guards", "0002")
        assert standing(scratch_database) == {Guard.ONE_ROOT}
        folder(scratch_database, loan.application, "loan")
        with pytest.raises(IntegrityError) as caught:
            folder(scratch_database, loan.application, "Loan")
        assert broken_guard(caught.value) == Guard.ONE_ROOT

    def test_go_up_down_and_up_again(self, scratch_database):
        bare = databases.schema(scratch_database)
        migrate(scratch_database, "cleanup_guards", "0002")
        guarded = databases.schema(scratch_database)
        migrate(scratch_database, "cleanup_guards", "zero")
        assert databases.schema(scratch_database) == bare
        migrate(scratch_database, "cleanup_guards", "0002")
        assert databases.schema(scratch_database) == guarded

    def test_forbid_it_where_there_are_two_of_a_name(self, scratch_database):
        loan = tree(scratch_database, "Loan, Loan, Case")
        tree(scratch_database, "Loan, Case")
        told = str(refused(scratch_database))
        assert "1 application has several root folders with the same name" in told
        assert loan.application in told
        DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        migrate(scratch_database, "cleanup_guards", "0002")

    def test_let_each_root_be_one_of_the_host(self, scratch_database):
        execute(scratch_database, "CREATE UNIQUE INDEX ours ON folders (application_id, name) WHERE parent_id IS NULL")
        migrate(scratch_database, "cleanup_guards", "0002")
        there = guard_sql_of(using=scratch_database).standing()[Guard.ONE_ROOT]
        assert (there.name, there.ours) == ("ours", False)

    def test_bind_the_undo_of_same_named_roots_alone(self, scratch_database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "merge"
        service = DatabaseCleanupService(using=scratch_database)
        points = {}
        for text in ("Loan, Case", "Loan, Loan"):
            loan = tree(scratch_database, text)
            points[text] = service.consolidate_duplicate_folders(loan.application).rollback_id
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        migrate(scratch_database, "cleanup_guards", "0002")
        assert service.rollback_cleanup(points["Loan, Case"]).exact
        with pytest.raises(Guarded, match=Guard.ONE_ROOT):
            service.rollback_cleanup(points["Loan, Loan"])
        assert len(service.rollback_cleanup(points["Loan, Loan"], as_copies=True).copies) == 1

    @pytest.mark.only("postgresql")
    def test_may_not_have_names_too_long_for_an_index(self, scratch_database):
        execute(scratch_database, "ALTER TABLE folders ALTER COLUMN name TYPE text")
        tree(scratch_database, f'"{"x" * 3000}"')
        assert "1 folder has a name of over 2,600 bytes" in str(refused(scratch_database))


class TestOtherSettings:
    """The guards differ from what the settings ask for; what is told mends it."""

    def test_of_different_roots_ask_for_another_form_or_not(self, guarded_database, settings):
        """Those that are merged and those that are nested ask for the same one."""
        trees(guarded_database)
        for same, other in (
            ("merge", "keep"),
            ("keep", "nest"),
            ("nest", "keep"),
            ("keep", "merge"),
            ("nest", "merge"),
        ):
            settings.CLEANUP_DIFFERENT_ROOTS = same
            assert differences(guarded_database) == {}
            settings.CLEANUP_DIFFERENT_ROOTS = other
            if "keep" in (same, other):
                assert differences(guarded_database) == {Guard.ONE_ROOT: "outdated"}
                (one,) = guard_differences(using=guarded_database)
                set_right(guarded_database, one.command)
            assert (differences(guarded_database), standing(guarded_database)) == ({}, set(Guard))

    def test_that_the_data_forbids_are_told_with_what_comes_first(self, scratch_database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        migrate(scratch_database, "cleanup_guards", "0002")
        tree(scratch_database, "Loan, Case")
        settings.CLEANUP_DIFFERENT_ROOTS = "merge"
        (told,) = [m for m in run_checks(databases=[scratch_database]) if m.id == "cleanup_guards.W002"]
        assert "1 application has several root folders" in told.hint
        assert "--cleanup" in told.hint
        assert "Then: manage.py migrate cleanup_guards 0001" in told.hint

    def test_refuse_an_undo_by_the_form_that_is_in_force(self, scratch_database, settings):
        loan = tree(scratch_database, "Loan, Case")
        service = DatabaseCleanupService(using=scratch_database)
        point = service.consolidate_duplicate_folders(loan.application).rollback_id
        migrate(scratch_database, "cleanup_guards", "0002")
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        with pytest.raises(Guarded, match=Guard.ONE_ROOT):
            service.rollback_cleanup(point)
        service.rollback_cleanup(point, as_copies=True)
        assert_tree(scratch_database, loan, 'Loan/"Case (restored)"')

    # Of the indexes one each, and of the two that share a key.
    @pytest.mark.parametrize("left_out", [[*Guard][::2], [*Guard][1::2]], ids=["one half", "the other half"])
    def test_leave_guards_out(self, scratch_database, settings, left_out):
        settings.CLEANUP_GUARDS = [one for one in Guard if one not in left_out]
        loan, other = trees(scratch_database)
        migrate(scratch_database)
        assert standing(scratch_database) == set(Guard) - set(left_out)
        assert differences(scratch_database) == {}
        for guard in left_out:
            Forbidden.do(guard, scratch_database, loan, other)
        migrate(scratch_database, "cleanup_guards", "zero")

    @pytest.mark.parametrize("guard", [Guard.ONE_ROOT, Guard.FILE_APPLICATION, Guard.BLANK_NAME])
    def test_no_longer_want_a_guard_and_want_it_again(self, guarded_database, settings, guard):
        for wanted, kind in ([one for one in Guard if one != guard], "unwanted"), (list(Guard), "missing"):
            settings.CLEANUP_GUARDS = wanted
            assert differences(guarded_database) == {guard: kind}
            (one,) = guard_differences(using=guarded_database)
            set_right(guarded_database, one.command)
            assert (differences(guarded_database), standing(guarded_database)) == ({}, set(wanted))

    def test_can_want_none(self, scratch_database, settings):
        settings.CLEANUP_GUARDS = ()
        tree(scratch_database, "Loan, Loan")
        migrate(scratch_database)
        assert (standing(scratch_database), differences(scratch_database)) == (set(), {})
        assert "cleanup_guards.W001" not in {m.id for m in run_checks(databases=[scratch_database])}

    def test_do_not_concern_what_is_the_host_s(self, scratch_database, settings):
        settings.CLEANUP_GUARDS = [one for one in Guard if one != Guard.ONE_ROOT]
        execute(scratch_database, "CREATE UNIQUE INDEX ours ON folders (application_id) WHERE parent_id IS NULL")
        migrate(scratch_database)
        assert differences(scratch_database) == {}

    @pytest.mark.parametrize("number", ["0002", "0004", "0006"])
    def test_show_in_the_sql(self, database, settings, number, capsys):
        settings.CLEANUP_GUARDS = ()
        call_command("sqlmigrate", "cleanup_guards", number, database=database)
        assert "CREATE" not in capsys.readouterr().out


class TestOtherTrees:
    """Settings say in another way whose the folders are; what stands from before is told, and what is told mends it."""

    FROM_ROOTS = {"CLEANUP_APPLICATION_FROM": "root"}
    NONE = {"CLEANUP_APPLICATION_MODEL": None}
    MARKED = {"CLEANUP_ROOT_PARENT": "self"}
    INDEXES = {Guard.ONE_ROOT: "outdated", Guard.ONE_NAME: "outdated"}
    OF_OWNERS = {Guard.PARENT_APPLICATION: "unwanted", Guard.FILE_APPLICATION: "unwanted"}
    CASES = {
        "applications of roots": (FROM_ROOTS, {Guard.ONE_NAME: "outdated", **OF_OWNERS}),
        "no applications": (NONE, INDEXES | OF_OWNERS),
        "marked roots": (MARKED, INDEXES | {Guard.OWN_PARENT: "unwanted"}),
    }

    @pytest.mark.parametrize("case", CASES)
    def test_are_told_and_mended_there_and_back(self, guarded_database, settings, case):
        changed, expected = self.CASES[case]
        tree(guarded_database, "Loan/Docs(1)")
        for name, value in changed.items():
            setattr(settings, name, value)
        assert differences(guarded_database) == expected
        set_right(guarded_database, guard_differences(using=guarded_database)[0].command)
        assert differences(guarded_database) == {}
        for name in changed:
            delattr(settings, name)
        assert set(differences(guarded_database)) == set(expected)
        set_right(guarded_database, guard_differences(using=guarded_database)[0].command)
        assert (differences(guarded_database), standing(guarded_database)) == ({}, set(Guard))


class TestHostileNames:
    def test_of_table_and_columns_are_quoted(self, scratch_database, monkeypatch):
        odd = 'odd "fol%der) WHERE x AND y'
        quoted = '"' + odd.replace('"', '""').replace("%", "%%") + '"'
        execute(scratch_database, f"ALTER TABLE folders RENAME TO {quoted}")
        execute(scratch_database, f"ALTER TABLE {quoted} RENAME COLUMN parent_id TO {quoted}")
        monkeypatch.setattr(Folder._meta, "db_table", odd)
        monkeypatch.setattr(Folder._meta.get_field("parent"), "column", odd)
        migrate(scratch_database)
        assert standing(scratch_database) == set(Guard)
        migrate(scratch_database, "cleanup_guards", "zero")
        assert standing(scratch_database) == set()

    @pytest.mark.only("postgresql")
    def test_of_a_schema_too(self, scratch_database):
        execute(scratch_database, 'CREATE SCHEMA "an ""odd one"')
        for table in ("folders", "files"):
            execute(scratch_database, f'ALTER TABLE {table} SET SCHEMA "an ""odd one"')
        name = connections[scratch_database].ops.quote_name(connections[scratch_database].settings_dict["NAME"])
        execute(scratch_database, f'ALTER DATABASE {name} SET search_path = public, "an ""odd one"')
        connections[scratch_database].close()
        migrate(scratch_database)
        assert standing(scratch_database) == set(Guard)
        migrate(scratch_database, "cleanup_guards", "zero")
        assert standing(scratch_database) == set()


@pytest.mark.only("postgresql")
class TestNames:
    def test_too_long_for_an_index_are_refused_and_counted(self, scratch_database):
        execute(scratch_database, "ALTER TABLE folders ALTER COLUMN name TYPE text")
        tree(scratch_database, f"Loan/{'x' * 3000}")
        assert "1 folder has a name of over 2,600 bytes" in str(refused(scratch_database))
        assert applied(scratch_database) == ["0001", "0002"]

    def test_that_differ_in_case_are_two_whatever_the_type(self, scratch_database):
        execute(scratch_database, "CREATE EXTENSION citext")
        execute(scratch_database, "ALTER TABLE folders ALTER COLUMN name TYPE citext")
        loan = tree(scratch_database, "root:Loan/{Docs, docs}")
        migrate(scratch_database)
        assert standing(scratch_database) == set(Guard)
        folder(scratch_database, loan.application, "DOCS", loan["root"])
        for name in ("Docs", " \t"):
            with pytest.raises(IntegrityError):
                folder(scratch_database, loan.application, name, loan["root"])

    def test_that_are_twins_come_back_as_copies_whatever_the_type(self, scratch_database):
        execute(scratch_database, "CREATE EXTENSION citext")
        execute(scratch_database, "ALTER TABLE folders ALTER COLUMN name TYPE citext")
        loan = tree(scratch_database, "Loan/{Docs(1), gone:Docs(2), docs, DOCS, DOCS}")
        service = DatabaseCleanupService(using=scratch_database)
        result = service.consolidate_duplicate_folders(loan.application)
        migrate(scratch_database, "cleanup_guards", "0003")
        service.rollback_cleanup(result.rollback_id, as_copies=True)
        copies = '"Docs (restored)"(2), docs, DOCS, "DOCS (restored 2)"'
        assert_tree(scratch_database, loan, f"Loan/{{Docs(1), gone:{copies}}}")


@pytest.mark.only("sqlite")
class TestRebuiltTable:
    def test_has_its_guards_again_after_the_migrate_that_rebuilt_it(self, guarded_database):
        migrate_as_users_do(guarded_database, "sessions", "zero")

        def rebuild(using, **_):
            with connections[using].schema_editor() as editor:
                editor._remake_table(Folder)
                editor._remake_table(File)
            assert standing(using) & {Guard.ONE_ROOT, Guard.OWN_PARENT, Guard.FILE_APPLICATION} == set()

        host = apps.get_app_config("hostapp")
        pre_migrate.connect(rebuild, sender=host)
        try:
            migrate_as_users_do(guarded_database, "sessions")
        finally:
            pre_migrate.disconnect(rebuild, sender=host)
        assert standing(guarded_database) == set(Guard)

    def test_is_noticed_by_the_check(self, guarded_database):
        execute(guarded_database, f"DROP TRIGGER {Guard.OWN_PARENT}_update")
        err = io.StringIO()
        call_command("check", databases=[guarded_database], stderr=err)
        assert ("cleanup_guards.W002" in err.getvalue(), Guard.OWN_PARENT in err.getvalue()) == (True, True)


@pytest.mark.only("postgresql")
class TestOtherSessions:
    """No one waits long for a guard, and a session that makes it wait is named."""

    @pytest.fixture
    def loan(self, scratch_database, settings) -> Tree:
        settings.CLEANUP_GUARD_WAIT_SECONDS = 1
        return tree(scratch_database, "root:Loan/Docs(1)")

    @contextmanager
    def session(self, database: str, *statements: str) -> Iterator[psycopg.Connection]:
        """Another program's open transaction."""
        with psycopg.connect(databases.url_of(database), application_name="nightly report") as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            for statement in statements:
                connection.execute(statement)
            yield connection
            connection.rollback()

    @contextmanager
    def writer(self, database: str) -> Iterator[list[float]]:
        """Someone who renames a folder all the time; yields the waits."""
        waits: list[float] = []
        stop = threading.Event()
        connection = psycopg.connect(databases.url_of(database), autocommit=True)

        def write() -> None:
            while not stop.is_set():
                began = time.monotonic()
                connection.execute("UPDATE folders SET updated_at = now() WHERE parent_id IS NULL")
                waits.append(time.monotonic() - began)
                time.sleep(0.005)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield waits
        finally:
            stop.set()
            thread.join()
            connection.close()

    @pytest.mark.parametrize("statement", ["UPDATE files SET file_size = 1", "SELECT count(*) FROM folders"])
    def test_that_are_old_are_named_and_nothing_is_left(self, scratch_database, loan, statement):
        before = databases.schema(scratch_database)
        with self.session(scratch_database, statement) as other:
            message = str(refused(scratch_database))
            assert f"pid {other.info.backend_pid} (nightly report)" in message
            assert "idle in transaction" in message
        assert databases.schema(scratch_database) == before
        migrate(scratch_database, "cleanup_guards", "0002")
        assert standing(scratch_database) == {Guard.ONE_ROOT}

    @pytest.mark.parametrize(
        ("number", "statement"),
        [("0003", "UPDATE files SET file_size = 1"), ("0006", "SELECT count(*) FROM folders")],
    )
    def test_that_hold_a_lock_are_named_while_writers_go_on(self, scratch_database, loan, number, statement):
        migrate(scratch_database, "cleanup_guards", number)
        with self.session(scratch_database, statement) as other, self.writer(scratch_database) as waits:
            assert f"pid {other.info.backend_pid} (nightly report)" in str(refused(scratch_database))
        assert len(waits) > 20
        assert max(waits) < 1

    def test_that_write_meanwhile_hardly_wait(self, scratch_database, loan):
        with self.writer(scratch_database) as waits:
            migrate(scratch_database)
            migrate(scratch_database, "cleanup_guards", "zero")
        assert len(waits) > 20
        assert max(waits) < 1

    def test_that_end_in_time_are_waited_for(self, scratch_database, loan, settings):
        settings.CLEANUP_GUARD_WAIT_SECONDS = 20
        with self.session(scratch_database, "UPDATE files SET file_size = 1") as other:
            ending = threading.Timer(1, other.rollback)
            ending.start()
            migrate(scratch_database, "cleanup_guards", "0002")
            ending.join()
        assert standing(scratch_database) == {Guard.ONE_ROOT}

    def test_that_hold_a_row_without_a_snapshot_do_not_matter(self, scratch_database, loan):
        with psycopg.connect(databases.url_of(scratch_database)) as other:
            other.execute("SELECT 1 FROM folders FOR UPDATE")
            migrate(scratch_database, "cleanup_guards", "0003")
            other.rollback()

    def test_that_migrate_too_are_refused(self, scratch_database, loan):
        with psycopg.connect(databases.url_of(scratch_database)) as other:
            other.execute("SELECT pg_advisory_lock(%s)", [ONE_AT_A_TIME])
            assert "another migration of guards is running" in str(refused(scratch_database))

    def test_of_a_role_that_does_not_own_the_tables_is_refused(self, scratch_database, loan):
        execute(scratch_database, "CREATE ROLE no_owner")
        execute(scratch_database, "GRANT ALL ON ALL TABLES IN SCHEMA public TO no_owner")
        try:
            execute(scratch_database, "SET ROLE no_owner")
            assert "only the owner of public.folders may do that" in str(refused(scratch_database))
        finally:
            execute(scratch_database, "RESET ROLE")
            execute(scratch_database, "DROP OWNED BY no_owner")
            execute(scratch_database, "DROP ROLE no_owner")
