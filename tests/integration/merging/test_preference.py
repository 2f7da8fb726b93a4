"""CLEANUP_SURVIVOR: which folder of a group stays."""

import pytest

from cleanup.exceptions import MisconfiguredSetting, PreflightFailed, StalePlan
from cleanup.folder_tables import folder_tables
from cleanup.services import DatabaseCleanupService
from cleanup.services.folders import get_or_create_folder_structure
from cleanup.services.merging.preview import preview
from cleanup.services.results import Reason
from tests.hostapp.models import Bookmark
from tests.support.model_roles import Application, Folder
from tests.support.trees import Tree, assert_tree, dump, execute, fetch, key_type, raw, tree

ROOTS = "old:Loan(1)/{x:X@9, y:X@8(2)}, mid:Loan(3)/{X, Y}, new:Loan/Z"


def by_name(*, using: str, folder_ids: list[str]) -> list[str]:
    """Prefer the folders that were made in the tenth minute, then the others by their keys, backwards."""
    made = Folder.objects.using(using).filter(pk__in=folder_ids, created_at__minute=9).values_list("pk")
    first = [str(key) for (key,) in made]
    return [*first, "no such folder", *sorted(set(folder_ids) - set(first), reverse=True)]


def nothing(**_: object) -> None:
    """Return no list."""


def assert_agreed(database: str, loan: Tree, reason: Reason) -> None:
    """See that preview, dry run, cleanup and undo agree about an application."""
    before = dump(database)
    service = DatabaseCleanupService(using=database)
    shown = preview(using=database, application_id=loan.application)
    assert reason in {group.reason for group in shown.groups}
    announced = service.cleanup_all_duplicate_folders(dry_run=True)
    assert dump(database) == before
    report = service.cleanup_all_duplicate_folders()
    (told,), (done,) = announced.results, report.results
    assert (told.folders_removed, told.files_moved, told.references_moved) == (
        done.folders_removed,
        done.files_moved,
        done.references_moved,
    )
    staying = {
        str(key) for (key,) in Folder.objects.using(database).filter(application=loan.application).values_list("pk")
    }
    assert staying == {line.folder_id for line in shown.after}
    assert {root.folder_id for root in told.root_folders} <= staying
    assert service.verify_cleanup_integrity()["verification_passed"]
    merged = dump(database)
    assert service.rollback_cleanup(report.run_id).exact
    assert dump(database) == before
    service.release(loan.application)
    service.cleanup_all_duplicate_folders()
    assert dump(database) == merged


class TestTheNewest:
    @pytest.fixture(autouse=True)
    def newest(self, settings):
        settings.CLEANUP_SURVIVOR = "newest"

    def test_stays(self, database):
        loan = tree(database, "Loan@1(1)/{X@9, Y}, new:Loan@7/{x:X@3(1), X@2}, Loan@-")
        assert_agreed(database, loan, Reason.NEWEST)
        assert_tree(database, loan, "new:Loan(1)/{x:X(1), Y}")

    def test_goes_after_one_that_is_there(self, database):
        loan = tree(database, "Loan@1/X@9, new:Loan@7/there:X@3")
        shown = preview(using=database, application_id=loan.application)
        assert [(group.survivor_id, group.reason) for group in shown.groups] == [
            (loan["new"], Reason.NEWEST),
            (loan["there"], Reason.ALREADY_THERE),
        ]

    def test_is_the_root_that_a_caller_gets(self, database, settings):
        settings.CLEANUP_STANDARD_FOLDERS = ()
        loan = tree(database, "Loan@1, new:Loan@7")
        DatabaseCleanupService(using=database).freeze(reason="year end")
        assert get_or_create_folder_structure(application_id=loan.application, using=database).root_id == loan["new"]


class TestTheFullest:
    @pytest.fixture(autouse=True)
    def fullest(self, settings):
        settings.CLEANUP_SURVIVOR = "fullest"

    def test_stays(self, database):
        loan = tree(database, ROOTS)
        assert_agreed(database, loan, Reason.FULLEST)
        assert_tree(database, loan, "mid:Loan(4)/{X(2), Y, Z}")

    def test_is_what_most_rows_of_any_table_point_at(self, database):
        loan = tree(database, "Loan(1), full:Loan")
        for _ in range(2):
            Bookmark._base_manager.using(database).create(folder_id=loan["full"])
        assert_agreed(database, loan, Reason.FULLEST)
        assert_tree(database, loan, "full:Loan(1)")

    def test_is_the_oldest_of_equals(self, database):
        loan = tree(database, "Loan@2(1), old:Loan@1(1), Loan@3")
        DatabaseCleanupService(using=database).consolidate_duplicate_folders(loan.application)
        assert_tree(database, loan, "old:Loan(2)")

    def test_makes_a_plan_stale_when_it_becomes_another(self, database):
        loan = tree(database, "a:Loan(1), b:Loan")
        shown = preview(using=database, application_id=loan.application)
        for _ in range(2):
            Bookmark._base_manager.using(database).create(folder_id=loan["b"])
        with pytest.raises(StalePlan):
            DatabaseCleanupService(using=database).consolidate_duplicate_folders(
                loan.application, plan_hash=shown.plan_hash
            )

    def test_is_the_root_that_a_caller_gets(self, database, settings):
        settings.CLEANUP_STANDARD_FOLDERS = ()
        loan = tree(database, "Loan, full:Loan(1)")
        DatabaseCleanupService(using=database).freeze(reason="year end")
        assert get_or_create_folder_structure(application_id=loan.application, using=database).root_id == loan["full"]

    def test_is_counted_in_as_many_statements_however_many_folders(self, database, django_assert_max_num_queries):
        for _ in range(20):
            tree(database, ROOTS)
        service = DatabaseCleanupService(using=database)
        service.cleanup_all_duplicate_folders(dry_run=True)
        with django_assert_max_num_queries(60, using=database):
            service.cleanup_all_duplicate_folders(dry_run=True)


class TestTheOneThatTheApplicationNames:
    @pytest.fixture
    def named(self, scratch_database, settings):
        column = f"root_folder_id {key_type(scratch_database)} REFERENCES :folders"
        execute(scratch_database, f"ALTER TABLE :applications ADD COLUMN {column}")
        settings.CLEANUP_SURVIVOR = "root_folder_id"
        return scratch_database

    def name(self, database: str, loan: Tree, folder: str) -> None:
        execute(
            database,
            "UPDATE :applications SET root_folder_id = %s WHERE :applications.key = %s",
            raw(database, loan[folder]),
            raw(database, loan.application, Application),
        )

    def test_stays(self, named):
        loan = tree(named, ROOTS)
        self.name(named, loan, "new")
        assert_agreed(named, loan, Reason.NAMED)
        assert_tree(named, loan, "new:Loan(4)/{X(2), Y, Z}")

    def test_is_told_where_the_name_moves_like_any_reference(self, named, settings):
        loan = tree(named, "a:Loan, b:Loan")
        self.name(named, loan, "b")
        settings.CLEANUP_SURVIVOR = "oldest"
        DatabaseCleanupService(using=named).consolidate_duplicate_folders(loan.application)
        ((root,),) = fetch(named, "SELECT root_folder_id FROM :applications")
        assert folder_tables().folder_key.text(root) == loan["a"]

    def test_is_the_oldest_where_it_names_none(self, named):
        loan = tree(named, "a:Loan/{X(1), X}, Loan")
        assert_agreed(named, loan, Reason.OLDEST)
        assert_tree(named, loan, "a:Loan/X(1)")

    def test_is_the_oldest_where_it_names_another_s(self, named):
        loan, other = tree(named, "a:Loan, Loan"), tree(named, "b:Loan")
        execute(named, "UPDATE :applications SET root_folder_id = %s", raw(named, other["b"]))
        assert_agreed(named, loan, Reason.OLDEST)

    def test_goes_with_roots_that_are_kept(self, named, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        loan = tree(named, "Case, Loan, b:Loan(1)")
        self.name(named, loan, "b")
        DatabaseCleanupService(using=named).consolidate_duplicate_folders(loan.application)
        assert_tree(named, loan, "Case, b:Loan(1)")

    def test_must_be_named_by_a_column(self, named, settings):
        settings.CLEANUP_SURVIVOR = "oldes"
        tree(named, "Loan, Loan")
        with pytest.raises(
            PreflightFailed, match="CLEANUP_SURVIVOR = 'oldes' is neither oldest, newest, fullest nor a"
        ):
            DatabaseCleanupService(using=named).cleanup_all_duplicate_folders()


class TestTheOneThatAFunctionPrefers:
    def test_stays(self, database, settings):
        settings.CLEANUP_SURVIVOR = f"{__name__}.by_name"
        loan = tree(database, "Loan@1, b:Loan@9(1)/{Y@2, y:Y@3}, Loan@5/X(1)")
        assert_agreed(database, loan, Reason.CHOSEN)
        assert_tree(database, loan, "b:Loan(1)/{y:Y, X(1)}")

    def test_must_be_a_list(self, database, settings):
        settings.CLEANUP_SURVIVOR = f"{__name__}.nothing"
        loan = tree(database, "Loan, Loan")
        before = dump(database)
        with pytest.raises(MisconfiguredSetting, match="the function returned NoneType and not a list of ids"):
            preview(using=database, application_id=loan.application)
        result = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert result.failed_cleanups == 1
        assert dump(database) == before


class TestTheSetting:
    def test_names_a_field_or_a_column(self, settings):
        settings.CLEANUP_SURVIVOR = "anything"
        assert folder_tables().survivor_column == "anything"

    @pytest.mark.mapped_models("there are applications")
    def test_has_no_column_without_applications(self, settings):
        settings.CLEANUP_APPLICATION_MODEL = None
        settings.CLEANUP_SURVIVOR = "root_id"
        with pytest.raises(MisconfiguredSetting, match="without applications there is no column"):
            folder_tables()
