"""CLEANUP_SHARED_FOLDERS = "merge": root folders without an application are trees beside those that have one."""

import pytest

from cleanup.checks import check_models
from cleanup.exceptions import MisconfiguredSetting
from cleanup.folder_tables import folder_tables
from cleanup.models import Hold
from cleanup.services import DatabaseCleanupService
from tests.support.model_roles import File, Folder
from tests.support.trees import Tree, dump, tree


@pytest.fixture(autouse=True)
def merged(settings):
    settings.CLEANUP_SHARED_FOLDERS = "merge"


def shared(database: str, text: str) -> Tree:
    """Make folders and files without an application."""
    made = tree(database, text)
    Folder.objects.using(database).filter(application=made.application).update(application=None)
    File.objects.using(database).filter(application=made.application).update(application=None)
    return made


def service(database: str) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=database)


def told(database: str) -> dict[str, int]:
    """Return what a verification finds, guards and files without application apart."""
    counts = service(database).verify_cleanup_integrity()["counts"]
    return {code: number for code, number in counts.items() if number and code != "guards_missing"}


@pytest.fixture
def made(database) -> tuple[Tree, Tree]:
    return tree(database, "Loan/Docs(1), Loan/Docs(2)"), shared(
        database, "old:Common/Docs(1), Common/{Docs(2), New}, B"
    )


class TestCleanup:
    def test_merges_applications_and_trees_each_by_itself(self, database, made):
        owned, common = made
        was = dump(database)
        announced = service(database).cleanup_all_duplicate_folders(dry_run=True).results
        report = service(database).cleanup_all_duplicate_folders()
        found = {result.application_id: (result.folders_removed, result.files_moved) for result in report.results}
        assert found == {owned.application: (2, 2), common["old"]: (2, 2)}
        assert [(r.application_id, r.details) for r in announced] == [
            (r.application_id, r.details) for r in report.results
        ]
        assert told(database) == {}
        service(database).rollback_cleanup(report.run_id)
        assert dump(database) == was

    def test_merges_no_shared_folder_with_one_of_an_application(self, database):
        made = tree(database, "root:Loan")
        tree(database, "Loan")
        shared(database, "Loan")
        shared(database, "Sub, Sub")
        Folder.objects.using(database).filter(application=None, name="Sub").update(parent=made["root"])
        assert service(database).cleanup_all_duplicate_folders().total_applications == 0

    def test_leaves_them_alone_by_default(self, database, settings, made):
        del settings.CLEANUP_SHARED_FOLDERS
        report = service(database).cleanup_all_duplicate_folders()
        assert [result.application_id for result in report.results] == [made[0].application]

    def test_takes_one_tree_and_holds_another(self, database, made):
        common = made[1]
        assert service(database).consolidate_duplicate_folders(common["old"]).folders_removed == 2
        shared(database, "Common")
        Hold.objects.using(database).create(application_key=common["old"])
        report = service(database).cleanup_all_duplicate_folders()
        assert {r.application_id: r.status for r in report.results} == {
            made[0].application: "completed",
            common["old"]: "held",
        }


class TestVerification:
    def test_finds_duplicates_of_both(self, database, made):
        assert told(database) == {"several_roots": 2}

    def test_of_a_tree_finds_its_own(self, database, made):
        counts = service(database).verify_cleanup_integrity(made[1]["old"])["counts"]
        assert counts["several_roots"] == 1


class TestSetting:
    def test_warns_that_no_guard_keeps_duplicates_out(self, database):
        assert "unguarded_trees" in {warning["code"] for warning in service(database).preflight()["warnings"]}

    def test_needs_folders_that_tell(self, settings):
        settings.CLEANUP_APPLICATION_FROM = "root"
        with pytest.raises(MisconfiguredSetting, match="CLEANUP_SHARED_FOLDERS") as refused:
            folder_tables()
        assert [message.msg for message in check_models()] == [str(refused.value)]
