"""The folder tree as a whole: live folders, roots of other conventions, inherited applications, names of roots."""

import json
import re
from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from cleanup.backends.shapes import root_marks
from cleanup.exceptions import PreflightFailed
from cleanup.folder_tables import folder_tables
from cleanup.references import discover, row_problems
from cleanup.services import DatabaseCleanupService
from tests.integration.integrity.test_verification import drop_foreign_keys
from tests.support.model_roles import Application, Folder
from tests.support.trees import assert_tree, dump, execute, fetch, raw, tree, unchecked

FOREST = "Loan/{Docs/Tax, Docs/Bank}, Loan/Docs"


def problems(database: str) -> dict[str, str]:
    return {p["code"]: p["message"] for p in DatabaseCleanupService(using=database).preflight()["problems"]}


def warnings(database: str) -> dict[str, str]:
    codes = ("mixed_roots", "application_of_root", "different_roots")
    found = DatabaseCleanupService(using=database).preflight()["warnings"]
    return {w["code"]: w["message"] for w in found if w["code"] in codes}


def errors(database: str) -> dict[str, list[str]]:
    """Return the hints of a verification's errors by code."""
    report = DatabaseCleanupService(using=database).verify_cleanup_integrity()
    assert not report["verification_passed"]
    found: dict[str, list[str]] = {}
    for finding in report["findings"]:
        found.setdefault(finding["code"], []).append(finding["hint"])
    return found


def run_statements(database: str, text: str) -> None:
    """Execute the statements that a text ends with, as they stand."""
    for statement in re.findall(r"(?:UPDATE|WITH RECURSIVE|ALTER TABLE) [^;]*;", text):
        with unchecked(database):
            execute(database, statement.replace("%", "%%"))


class TestOrdinaryTrees:
    def test_cause_no_warning(self, database):
        for forest in ("", "Loan", "Loan/{Docs(2)/Tax, Photos}", FOREST):
            for _ in range(3):
                tree(database, forest)
            assert (problems(database), warnings(database)) == ({}, {})

    def test_may_have_folders_without_application(self, database):
        tree(database, "Loan/Docs")
        with unchecked(database):
            Folder.objects.using(database).update(application=None)
        tree(database, "Loan")
        assert warnings(database) == {}


class TestLiveFolders:
    @pytest.fixture(autouse=True)
    def never(self, scratch_database, settings):
        """Name a value that no folder has."""
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN trashed integer NOT NULL DEFAULT 0")
        settings.CLEANUP_FOLDER_LIVE = {"trashed": 7}

    def test_that_there_are_none_stops_a_run_and_is_no_success_of_a_verification(self, scratch_database):
        tree(scratch_database, FOREST)
        assert "no folder of" in problems(scratch_database)["no_live_folder"]
        with pytest.raises(PreflightFailed, match=r"no folder of .* is live"):
            DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        (hint,) = errors(scratch_database)["no_live_folder"]
        assert fetch(scratch_database, hint) == [(0, 7)]

    def test_that_there_are_none_is_no_success_of_a_check(self, scratch_database, settings):
        settings.CLEANUP_FOLDER_LIVE = None
        tree(scratch_database, "Loan")
        service = DatabaseCleanupService(using=scratch_database)
        assert not service.check()["needs_cleanup"]
        settings.CLEANUP_FOLDER_LIVE = {"trashed": 7}
        assert service.check()["needs_cleanup"]

    def test_that_there_are_none_forbids_guards(self, scratch_database):
        tree(scratch_database, "Loan")
        with pytest.raises(CommandError, match=r"no folder of .* is live"):
            call_command("migrate", "cleanup_guards", database=scratch_database, verbosity=0)

    def test_that_there_can_be_none_is_known_before_there_is_any(self, scratch_database, settings):
        settings.CLEANUP_FOLDER_LIVE = {"trashed": None}
        assert "trashed is never null" in problems(scratch_database)["no_live_folder"]

    def test_need_not_be_there_where_there_are_no_folders(self, scratch_database):
        assert problems(scratch_database) == {}

    def test_do_not_stand_in_the_way_of_an_undo(self, scratch_database, settings):
        settings.CLEANUP_FOLDER_LIVE = None
        tree(scratch_database, FOREST)
        service = DatabaseCleanupService(using=scratch_database)
        before = dump(scratch_database)
        run = service.cleanup_all_duplicate_folders()
        settings.CLEANUP_FOLDER_LIVE = {"trashed": 7}
        assert service.rollback_cleanup(run.run_id).exact
        assert dump(scratch_database) == before

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize("value", [False, "no"])
    def test_told_by_a_value_of_another_type_are_a_wrong_setting(self, scratch_database, settings, value):
        settings.CLEANUP_FOLDER_LIVE = {"trashed": value}
        tree(scratch_database, FOREST)
        assert f"CLEANUP_FOLDER_LIVE = {{'trashed': {value!r}}}" in problems(scratch_database)["misconfigured"]
        with transaction.atomic(using=scratch_database):
            assert "misconfigured" in problems(scratch_database)


def mark_roots(database: str, mark: str, *, application: str | None = None) -> None:
    """Have roots point to themselves, or hold what another program holds for null."""
    value = ":folders.key" if mark == "self" else "%s"
    params = [] if mark == "self" else [raw(database, mark)]
    among = "" if application is None else " AND :folders.application = %s"
    params += [] if application is None else [raw(database, application, Application)]
    execute(database, f"UPDATE :folders SET :folders.parent = {value} WHERE :folders.parent IS NULL{among}", *params)


class TestRoots:
    @pytest.fixture(autouse=True)
    def unchecked_parents(self, scratch_database):
        drop_foreign_keys(scratch_database)

    def each_mark(self, database: str) -> Iterator[str]:
        """Yield every sign of roots, each time with no folder there."""
        for mark in ["self", *root_marks(folder_tables().folder_key)]:
            execute(database, "DELETE FROM :folders")
            yield mark

    def test_that_are_none_stop_a_run_and_are_made_by_what_is_told(self, scratch_database, settings):
        for mark in self.each_mark(scratch_database):
            made = tree(scratch_database, FOREST)
            mark_roots(scratch_database, mark)
            text = problems(scratch_database)["no_root_folder"]
            with pytest.raises(PreflightFailed, match="No folder of"):
                DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
            settings.CLEANUP_ROOT_PARENT = mark
            assert problems(scratch_database) == {}
            settings.CLEANUP_ROOT_PARENT = None
            assert f'set CLEANUP_ROOT_PARENT = "{mark}"' in text
            run_statements(scratch_database, text)
            assert problems(scratch_database) == {}
            DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
            assert_tree(scratch_database, made, "Loan/Docs/{Tax, Bank}")

    def test_that_are_none_are_no_success_of_a_verification(self, scratch_database):
        for mark in self.each_mark(scratch_database):
            tree(scratch_database, FOREST)
            mark_roots(scratch_database, mark)
            found = errors(scratch_database)
            code = "cycle" if mark == "self" else "missing_parent"
            assert set(found) - {"guards_missing"} == {"no_root_folder", code}
            (hint,) = set(found[code])
            assert "A root folder has a null parent here" in hint
            assert len(fetch(scratch_database, hint)) == 2
            run_statements(scratch_database, hint)
            assert problems(scratch_database) == {}

    def test_of_two_kinds_are_warned_of(self, scratch_database):
        for mark in self.each_mark(scratch_database):
            tree(scratch_database, "Loan, Loan")
            made = tree(scratch_database, FOREST)
            mark_roots(scratch_database, mark, application=made.application)
            text = warnings(scratch_database)["mixed_roots"]
            assert re.match(r"2 folders of .* with a null .* are root folders; ", text)
            assert "; 2 point to " in text
            run_statements(scratch_database, text)
            assert "mixed_roots" not in warnings(scratch_database)

    def test_that_are_none_forbid_guards(self, scratch_database):
        tree(scratch_database, "Loan")
        mark_roots(scratch_database, "self")
        with pytest.raises(CommandError, match="by which a root folder is known"):
            call_command("migrate", "cleanup_guards", database=scratch_database, verbosity=0)

    @pytest.mark.only("postgresql")
    def test_that_may_not_be_null_are_made_so_by_the_statements_given(self, scratch_database):
        tree(scratch_database, FOREST)
        mark_roots(scratch_database, "self")
        execute(scratch_database, "ALTER TABLE :folders ALTER COLUMN :folders.parent SET NOT NULL")
        run_statements(scratch_database, problems(scratch_database)["no_root_folder"])
        assert problems(scratch_database) == {}

    def test_whose_sign_is_unknown_show_where_to_look(self, scratch_database):
        made = tree(scratch_database, "top:Loan/docs:Docs")
        below = raw(scratch_database, made["docs"])
        execute(scratch_database, "UPDATE :folders SET :folders.parent = %s WHERE :folders.parent IS NULL", below)
        text = problems(scratch_database)["no_root_folder"]
        assert "the values do not show another sign of roots. See them with: SELECT" in text


class TestApplications:
    def orphaned(self, database: str) -> str:
        """Leave the application to the roots alone."""
        made = tree(database, FOREST)
        tree(database, "Loan/Docs")
        with unchecked(database):
            Folder.objects.using(database).exclude(parent=None).update(application=None)
        return made.application

    def test_of_roots_alone_are_warned_of_and_handed_down_by_the_statement_given(self, scratch_database):
        application = self.orphaned(scratch_database)
        text = warnings(scratch_database)["application_of_root"]
        assert text.startswith("6 folders of ")
        assert "(for example " in text
        run_statements(scratch_database, text)
        assert warnings(scratch_database) == {}
        DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        assert_tree(scratch_database, application, "Loan/Docs/{Tax, Bank}")

    def test_of_roots_alone_are_found_by_each_verification(self, scratch_database):
        self.orphaned(scratch_database)
        report = DatabaseCleanupService(using=scratch_database).verify_cleanup_integrity()
        hints = {f["hint"] for f in report["findings"] if f["code"] == "folder_without_application"}
        assert report["counts"]["folder_without_application"] == 6
        (hint,) = hints
        assert len(fetch(scratch_database, hint)) == 6
        run_statements(scratch_database, hint)
        assert warnings(scratch_database) == {}


class TestNamesOfRoots:
    def test_that_differ_are_counted_with_three_examples(self, database):
        made = [tree(database, "Loan, Case/Docs") for _ in range(5)]
        tree(database, "Loan/Docs, Loan")
        text = warnings(database)["different_roots"]
        assert text.startswith("5 applications have root folders of different names (")
        first = made[0].application
        assert f"{first}: “Case”, “Loan”" in text
        assert (text.count("“Case”"), "it is 'merge'" in text) == (3, True)

    def test_are_shown_harmless_and_short(self, database):
        tree(database, f'"A\u202eb", "B{"x" * 200}", C, D, E, F, G')
        text = warnings(database)["different_roots"]
        assert ("\u202e" in text, "\\u202e" in text, "x" * 61 in text) == (False, True, False)
        assert text.count("“") == 4
        json.dumps(text)

    def test_differ_in_case(self, database):
        tree(database, "Loan, loan")
        assert "different_roots" in warnings(database)

    def test_of_one_live_root_do_not_differ(self, scratch_database, settings):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN trashed integer NOT NULL DEFAULT 0")
        settings.CLEANUP_FOLDER_LIVE = {"trashed": 0}
        tree(scratch_database, "Loan, Case")
        execute(scratch_database, "UPDATE :folders SET trashed = 1 WHERE :folders.name = 'Case'")
        assert warnings(scratch_database) == {}


class TestASmallTable:
    def test_is_looked_at_within_a_transaction(self, database):
        tree(database, FOREST)
        with transaction.atomic(using=database):
            assert row_problems(using=database, references=discover(using=database)) == []
