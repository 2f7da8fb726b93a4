"""Root folders whose parent column is not null: it holds their own key, or a key that no folder has."""

import re
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connections

from cleanup import conf
from cleanup.backends.pinning import pinning
from cleanup.backends.shapes import root_marks
from cleanup.exceptions import MisconfiguredSetting, RollbackConflict
from cleanup.folder_tables import SELF, folder_tables, misconfigurations
from cleanup.guard_names import Guard
from cleanup.guards.differences import guard_differences
from cleanup.guards.guard_ddl import enforcement
from cleanup.models import Hold
from cleanup.queries import affected_applications
from cleanup.services import DatabaseCleanupService
from cleanup.services.folders import get_or_create_folder_structure
from cleanup.services.merging.preview import preview
from tests.hostapp.models import OWN_MODELS, Case, Document, Section
from tests.integration.integrity.test_verification import drop_foreign_keys
from tests.integration.references.test_tree_shape import mark_roots
from tests.support.model_roles import Application, Folder
from tests.support.trees import Tree, assert_tree, dump, execute, fetch, is_postgresql, key_type, raw, tree, unchecked

MESS = (
    "a:Loan/{docs:Docs(a.txt), Photos, Loan(z.txt)}, b:Loan(b.txt)/{Docs(c.txt)/Old, Docs}, Loan/Letters, c:Case(d.txt)"
)


@pytest.fixture(params=["self", "mark"])
def marked(request, scratch_database, settings) -> str:
    """Return a database in which roots are marked, once ``mark`` was called."""
    marks = root_marks(folder_tables().folder_key)
    settings.CLEANUP_ROOT_PARENT = SELF if request.param == "self" else marks[0]
    settings.CLEANUP_STANDARD_FOLDERS = ("Docs",)
    if request.param == "mark":
        drop_foreign_keys(scratch_database)
    return scratch_database


def sown(database: str, *texts: str) -> list[Tree]:
    made = [tree(database, text) for text in texts]
    mark_roots(database, folder_tables().root_parent)
    return made


def held(database: str) -> dict[str, str]:
    """Return the folders that no folder is above, with what their parent columns hold."""
    tables = folder_tables()
    rows = [
        (str(key), None if parent is None else tables.folder_key.text(parent))
        for key, parent in Folder.objects.using(database).values_list("pk", "parent_id")
    ]
    return {key: parent for key, parent in rows if tables.parent_of(key, parent) is None}


class TestAMerge:
    @pytest.mark.parametrize(
        ("different_roots", "after"),
        [
            ("merge", "a:Loan(b.txt, d.txt)/{docs:Docs(a.txt, c.txt)/Old, Photos, Loan(z.txt), Letters}"),
            ("keep", "a:Loan(b.txt)/{docs:Docs(a.txt, c.txt)/Old, Photos, Loan(z.txt), Letters}, Case(d.txt)"),
            ("nest", "a:Loan(b.txt)/{docs:Docs(a.txt, c.txt)/Old, Photos, Loan(z.txt), Letters, Case(d.txt)}"),
        ],
    )
    def test_is_announced_done_and_undone_exactly(self, marked, settings, different_roots, after):
        settings.CLEANUP_DIFFERENT_ROOTS = different_roots
        loan, _ = sown(marked, MESS, "Loan/Docs")
        before = dump(marked)
        service = DatabaseCleanupService(using=marked)
        assert service.preflight()["problems"] == []
        assert [found.application_id for found in affected_applications(using=marked)] == [loan.application]
        announced = service.cleanup_all_duplicate_folders(dry_run=True)
        assert dump(marked) == before
        report = service.cleanup_all_duplicate_folders()
        for name in ("total_folders_removed", "total_files_moved", "total_child_folders_merged"):
            assert getattr(report, name) == getattr(announced, name)
        assert [r.references_moved for r in report.results] == [r.references_moved for r in announced.results]
        assert_tree(marked, loan, after)
        assert set(held(marked).values()) <= {*held(marked), folder_tables().root_parent}
        verified = service.verify_cleanup_integrity()
        assert (verified["verification_passed"], set(verified["counts"])) == (True, {"guards_missing"})
        assert service.rollback_cleanup(report.run_id).exact
        assert dump(marked) == before
        Hold.objects.using(marked).all().delete()
        assert service.cleanup_all_duplicate_folders().total_folders_removed == report.total_folders_removed

    def test_looks_at_null_as_well(self, marked):
        (loan,) = sown(marked, "old:Loan(a.txt)")
        tree(marked, "Loan(b.txt)", application=loan.application)
        before = dump(marked)
        service = DatabaseCleanupService(using=marked)
        (announced,) = service.cleanup_all_duplicate_folders(dry_run=True).results
        run = service.cleanup_all_duplicate_folders()
        assert announced.references_moved == run.results[0].references_moved == 1
        assert_tree(marked, loan, "old:Loan(a.txt, b.txt)")
        assert service.rollback_cleanup(run.run_id).exact
        assert dump(marked) == before

    def test_is_shown_beforehand(self, marked):
        (loan,) = sown(marked, MESS)
        shown = preview(using=marked, application_id=loan.application)
        assert [line.folder_id for line in shown.after if line.depth == 0] == [loan["a"]]
        assert len([line for line in shown.before if line.depth == 0]) == 4

    def test_comes_back_as_copies(self, marked):
        (loan,) = sown(marked, "top:Loan, gone:Loan(1)/x:Docs")
        service = DatabaseCleanupService(using=marked)
        service.rollback_cleanup(service.cleanup_all_duplicate_folders().run_id, as_copies=True)
        assert_tree(marked, loan, 'top:Loan/gone:"Loan (restored)"(1)/x:Docs')
        assert service.verify_cleanup_integrity()["verification_passed"]

    def test_comes_back_as_a_copy_that_is_a_root(self, marked, settings):
        (loan,) = sown(marked, "top:Loan, gone:Loan(1)")
        service = DatabaseCleanupService(using=marked)
        run = service.cleanup_all_duplicate_folders().run_id
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        Folder.objects.using(marked).filter(pk=loan["top"]).update(name="Case")
        assert service.rollback_cleanup(run, as_copies=True).exact
        assert_tree(marked, loan, "top:Case, gone:Loan(1)")
        assert len(held(marked)) == 2

    def test_comes_back_beside_what_was_done_since(self, marked, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        (loan,) = sown(marked, "top:Loan, gone:Loan(a.txt), case:Case(b.txt)")
        service = DatabaseCleanupService(using=marked)
        point = service.consolidate_duplicate_folders(loan.application).rollback_id
        execute(
            marked,
            "UPDATE :files SET :files.folder = %s WHERE :files.key = %s",
            raw(marked, loan["case"]),
            raw(marked, loan["a.txt"]),
        )
        with pytest.raises(RollbackConflict):
            service.rollback_cleanup(point)
        service.rollback_cleanup(point, skip_conflicts=True)
        assert_tree(marked, loan, "top:Loan, gone:Loan, case:Case(a.txt, b.txt)")
        assert len(held(marked)) == 3

    def test_goes_on_beside_a_unique_key_of_parent_and_name(self, marked):
        execute(marked, "CREATE UNIQUE INDEX place ON :folders (:folders.parent, :folders.name)")
        (loan,) = sown(marked, "a:Loan/{x:X, Case}, b:Case/{X, Y}")
        before = dump(marked)
        service = DatabaseCleanupService(using=marked)
        report = service.cleanup_all_duplicate_folders()
        assert report.failed_cleanups == 0
        assert_tree(marked, loan, "a:Loan/{x:X, Case, Y}")
        assert service.rollback_cleanup(report.run_id).exact
        assert dump(marked) == before


class TestVerification:
    def test_still_finds_what_is_wrong(self, marked):
        loan, other = sown(marked, "top:Loan/{a:A/b:B, lost:Lost}", "Loan/Docs")
        service = DatabaseCleanupService(using=marked)
        assert service.verify_cleanup_integrity()["verification_passed"]
        execute(
            marked,
            "UPDATE :folders SET :folders.parent = %s WHERE :folders.key = %s",
            raw(marked, loan["b"]),
            raw(marked, loan["a"]),
        )
        for application in (None, loan.application):
            report = service.verify_cleanup_integrity(application)
            assert [f["object_key"] for f in report["findings"] if f["code"] == "cycle"] == sorted(
                [loan["a"], loan["b"]]
            )
        assert service.verify_cleanup_integrity(other.application)["verification_passed"]

    def test_tells_of_roots_marked_in_yet_another_way(self, marked):
        drop_foreign_keys(marked)
        loan, _ = sown(marked, "top:Loan", "Loan")
        other = SELF if folder_tables().root_parent != SELF else root_marks(folder_tables().folder_key)[0]
        value = loan["top"] if other == SELF else other
        execute(
            marked,
            "UPDATE :folders SET :folders.parent = %s WHERE :folders.key = %s",
            raw(marked, value),
            raw(marked, loan["top"]),
        )
        warnings = {w["code"]: w["message"] for w in DatabaseCleanupService(using=marked).preflight()["warnings"]}
        assert "as CLEANUP_ROOT_PARENT says, or with a null" in warnings["mixed_roots"]

    def test_knows_what_says_no_folder_in_other_columns(self, scratch_database, settings):
        """A program writes 0 wherever it names no folder, not only in the parents of root folders."""
        drop_foreign_keys(scratch_database)
        mark = settings.CLEANUP_ROOT_PARENT = root_marks(folder_tables().folder_key)[0]
        settings.CLEANUP_EXTRA_REFERENCES = ["pin.target"]
        (loan,) = sown(scratch_database, "Loan(a.txt, b.txt)")
        execute(scratch_database, f"CREATE TABLE pin (id integer PRIMARY KEY, target {key_type(scratch_database)})")
        execute(scratch_database, "INSERT INTO pin VALUES (1, %s)", raw(scratch_database, mark))
        name = "UPDATE :files SET :files.folder = %s WHERE :files.name = 'a.txt'"
        execute(scratch_database, name, raw(scratch_database, mark))
        service = DatabaseCleanupService(using=scratch_database)
        assert "dangling" not in {warning["code"] for warning in service.preflight()["warnings"]}
        for application in (None, loan.application):
            verified = service.verify_cleanup_integrity(application)
            assert verified["verification_passed"]
            assert set(verified["counts"]) - {"guards_missing"} == {"file_without_folder"}


class TestStructure:
    @pytest.mark.mapped_models("make their keys themselves")
    def test_makes_roots_as_the_others_are(self, marked):
        (loan,) = sown(marked, "Loan")
        Folder.objects.using(marked).all().delete()
        made = get_or_create_folder_structure(application_id=loan.application, using=marked)
        again = get_or_create_folder_structure(application_id=loan.application, using=marked)
        assert (again.root_id, again.created) == (made.root_id, ())
        assert_tree(marked, loan, "Application/Docs")
        assert held(marked) == {made.root_id: folder_tables().held_by_root(made.root_id)}

    def test_takes_the_root_that_is_there(self, marked):
        (loan,) = sown(marked, "top:Loan/Docs")
        made = get_or_create_folder_structure(application_id=loan.application, using=marked)
        assert (made.root_id, made.created) == (loan["top"], ())


class TestGuards:
    @pytest.mark.parametrize("different_roots", ["merge", "keep"])
    def test_are_put_and_recognised(self, marked, settings, different_roots):
        settings.CLEANUP_DIFFERENT_ROOTS = different_roots
        (loan,) = sown(marked, "top:Loan/{Loan, Docs}")
        call_command("migrate", "cleanup_guards", database=marked, verbosity=0)
        assert guard_differences(using=marked) == []
        with pytest.raises(IntegrityError):
            sown_root(marked, loan, "Loan")
        with pytest.raises(IntegrityError):
            tree(marked, "Loan", application=loan.application)
        call_command("migrate", "cleanup_guards", "zero", database=marked, verbosity=0)

    def test_stop_at_duplicates(self, marked):
        (loan,) = sown(marked, "Loan, Loan")
        found = guard_differences(using=marked)
        assert Guard.ONE_ROOT in {one.guard for one in found}
        with pytest.raises(CommandError, match="1 application has several root folders"):
            call_command("migrate", "cleanup_guards", database=marked, verbosity=0)
        assert loan


def sown_root(database: str, loan: Tree, name: str) -> None:
    """Make another root folder that is marked, as a host would."""
    other = tree(database, f"new:{name}")
    mark_roots(database, folder_tables().root_parent, application=other.application)
    statement = "UPDATE :folders SET :folders.application = %s WHERE :folders.key = %s"
    execute(database, statement, raw(database, loan.application, Application), raw(database, other["new"]))


def drop_foreign_key_of(database: str, table: str, column: str) -> None:
    """Drop the foreign key of a column of a table without rows."""
    if is_postgresql(database):
        keys = (
            "SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass AND conrelid = confrelid"
        )
        for (name,) in fetch(database, keys, table):
            execute(database, f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        return
    made = fetch(database, "SELECT sql FROM sqlite_master WHERE tbl_name = %s AND sql <> ''", table)
    key = rf'("{column}" \w+ NULL) REFERENCES "\w+" \("id"\) DEFERRABLE INITIALLY DEFERRED'
    with connections[database].constraint_checks_disabled():
        execute(database, f"DROP TABLE {table}")
        for (statement,) in made:
            execute(database, re.sub(key, r"\1", statement))


def problem(settings, value: object) -> str:
    settings.CLEANUP_ROOT_PARENT = value
    with pytest.raises(MisconfiguredSetting) as caught:
        folder_tables()
    (told,) = [str(error) for error in misconfigurations()]
    assert told == str(caught.value)
    return told


class TestTheSetting:
    @pytest.mark.mapped_models("have UUIDs for keys")
    @pytest.mark.parametrize("value", ["", "none", True, [], 1.5])
    def test_must_be_a_value_of_the_key_s_type(self, settings, value):
        assert 'is neither "self" nor a UUID' in problem(settings, value)

    @pytest.mark.parametrize("value", ["", "x", False, 1.0, None.__class__])
    def test_must_be_a_number_if_keys_are(self, settings, value):
        for name, model in OWN_MODELS.items():
            setattr(settings, name, model)
        assert 'is neither "self" nor a whole number' in problem(settings, value)

    @pytest.mark.parametrize("value", [None, SELF])
    def test_is_null_or_the_own_key(self, settings, value):
        settings.CLEANUP_ROOT_PARENT = value
        assert folder_tables().root_parent == value


@pytest.mark.mapped_models("sets the models itself")
class TestNumberedRoots:
    """Keys that are numbers, which the database gives."""

    @pytest.fixture(params=["self", 0, -1])
    def numbered(self, request, scratch_database, settings):
        for name, value in OWN_MODELS.items():
            setattr(settings, name, value)
        settings.CLEANUP_ROOT_PARENT = request.param
        settings.CLEANUP_STANDARD_FOLDERS = ("Docs",)
        settings.CLEANUP_IGNORED_COLUMNS = ["*.above_id"] if request.param != "self" else []
        return scratch_database

    def root(self, database: str, case: Case, title: str) -> Section:
        made = Section(title=title, case=case, made_at=datetime(2020, 1, 1, tzinfo=UTC))
        made.save(using=database)
        mark = conf.root_parent()
        with unchecked(database):
            Section.objects.using(database).filter(pk=made.pk).update(above_id=made.pk if mark == SELF else mark)
        return made

    def assert_put_and_lifted(self, database: str, guard: Guard) -> None:
        with pinning(using=database):
            work = enforcement(using=database)
            work.put(guard)
            assert work.sql.standing()[guard].whole
            work.lift(guard)
            assert guard not in work.sql.standing()

    def test_are_merged_and_undone_and_made_by_the_service(self, numbered, settings):
        if settings.CLEANUP_ROOT_PARENT != SELF:
            drop_foreign_key_of(numbered, "hostapp_section", "above_id")
        case = Case.objects.using(numbered).create()
        first, second = self.root(numbered, case, "Root"), self.root(numbered, case, "Root")
        for root in (first, second):
            docs = Section.objects.using(numbered).create(title="Docs", above=root, case=case)
            Document.objects.using(numbered).create(title="a", section=docs, case=case)
        before = dump(numbered)
        service = DatabaseCleanupService(using=numbered)
        assert service.preflight()["problems"] == []
        report = service.cleanup_all_duplicate_folders()
        assert (report.total_folders_removed, report.total_files_moved) == (2, 1)
        assert service.verify_cleanup_integrity()["verification_passed"]
        for guard in (Guard.ONE_ROOT, Guard.ONE_NAME):
            self.assert_put_and_lifted(numbered, guard)
        assert service.rollback_cleanup(report.run_id).exact
        assert dump(numbered) == before

        case = Case.objects.using(numbered).create()
        made = get_or_create_folder_structure(application_id=case.pk, using=numbered)
        root = Section.objects.using(numbered).get(pk=made.root_id)
        assert root.above_id == (root.pk if settings.CLEANUP_ROOT_PARENT == SELF else settings.CLEANUP_ROOT_PARENT)
        assert get_or_create_folder_structure(application_id=case.pk, using=numbered).created == ()
