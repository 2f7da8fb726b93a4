"""CLEANUP_APPLICATION_FROM = "root": folders below take their application from their root, whatever they hold."""

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError

from cleanup.queries import applications_of
from cleanup.services import DatabaseCleanupService
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import Tree, assert_tree, dump, missing_key, new_key, tree, unchecked

MESS = "old:Case/{docs:Docs(2), Photos(1)}, new:Case/{other:Docs(1)/Tax(2), Docs/Tax(1)}"
MERGED = "old:Case/{docs:Docs(3)/Tax(3), Photos(1)}"


@pytest.fixture(autouse=True)
def roots_tell(settings):
    settings.CLEANUP_APPLICATION_FROM = "root"


def planted(database: str, text: str) -> Tree:
    """Make an application of which root folders alone tell."""
    made = tree(database, text)
    Folder.objects.using(database).exclude(parent=None).update(application=None)
    return made


def told(database: str) -> dict[str, int]:
    """Return what a verification finds, guards apart."""
    counts = DatabaseCleanupService(using=database).verify_cleanup_integrity()["counts"]
    return {code: number for code, number in counts.items() if number and code != "guards_missing"}


def claimed(database: str, application: str) -> None:
    """Write the application to every folder, as the comparison of trees reads it."""
    Folder.objects.using(database).update(application=application)


class TestCleanup:
    def test_merges_below_the_roots(self, database):
        made = planted(database, MESS)
        announced = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(dry_run=True).results
        done = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders().results
        assert [(r.application_id, r.folders_removed, r.files_moved) for r in done] == [(made.application, 4, 2)]
        assert [r.details for r in announced] == [r.details for r in done]
        claimed(database, made.application)
        assert_tree(database, made, MERGED)

    def test_comes_undone(self, database):
        planted(database, MESS)
        was = dump(database)
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        DatabaseCleanupService(using=database).rollback_cleanup(report.run_id)
        assert dump(database) == was

    def test_keeps_applications_apart(self, database):
        planted(database, "Case/Docs")
        planted(database, "Case/Docs")
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert report.total_applications == 0

    def test_ignores_what_other_folders_tell(self, database):
        made = planted(database, MESS)
        other = str(Application.objects.using(database).create(id=new_key(Application)).pk)
        Folder.objects.using(database).filter(pk=made["other"]).update(application=other)
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert [(r.application_id, r.folders_removed) for r in report.results] == [(made.application, 4)]

    def test_nests_roots_of_other_names(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        made = planted(database, "Case/Docs(1), Old/Docs(1)")
        was = dump(database)
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert (report.total_folders_removed, told(database)) == (0, {})
        DatabaseCleanupService(using=database).rollback_cleanup(report.run_id)
        assert dump(database) == was
        assert made.application in told_applications(database)


def told_applications(database: str) -> set[str]:
    """Return the applications that a check finds affected."""
    report = DatabaseCleanupService(using=database).check()
    return {found["application_id"] for found in report["duplicate_applications"]}


class TestVerification:
    def test_is_content_with_folders_that_tell_nothing(self, database):
        planted(database, "Case/Docs(2)/Tax(1)")
        assert told(database) == {}

    def test_finds_duplicates(self, database):
        planted(database, MESS)
        assert told(database) == {"several_roots": 1, "same_named_siblings": 1}

    def test_finds_root_folders_that_tell_nothing(self, database):
        made = planted(database, "root:Case/Docs")
        Folder.objects.using(database).filter(pk=made["root"]).update(application=None)
        assert told(database) == {"folder_without_application": 1}
        findings = DatabaseCleanupService(using=database).verify_cleanup_integrity()["findings"]
        assert made["root"] in {finding["object_key"] for finding in findings}

    def test_finds_root_folders_of_a_missing_application(self, database):
        made = planted(database, "root:Case/Docs")
        with unchecked(database):
            Folder.objects.using(database).filter(pk=made["root"]).update(application=missing_key(Application))
        assert told(database) == {"folder_of_missing_application": 1}

    def test_finds_all_folders_that_name_a_missing_application(self, database):
        tree(database, "Loan/Docs")
        with unchecked(database):
            Folder.objects.using(database).update(application=missing_key(Application))
        assert told(database) == {"folder_of_missing_application": 2}

    def test_finds_files_in_another_applications_folder(self, database):
        made, other = planted(database, "Case/docs:Docs"), planted(database, "Case/Docs(1)")
        File.objects.using(database).filter(application=other.application).update(folder=made["docs"])
        assert told(database) == {"file_in_other_application": 1}


class TestPoints:
    def test_taken_by_hand_store_what_lies_below_the_roots(self, database):
        made = planted(database, "Case/docs:Docs(1)")
        point = DatabaseCleanupService(using=database).create_rollback_point(made.application)
        Folder.objects.using(database).filter(pk=made["docs"]).update(name="Papers")
        result = DatabaseCleanupService(using=database).rollback_cleanup(point)
        assert [(found.code, found.key) for found in result.conflicts] == [("changed", made["docs"])]


class TestGuards:
    def test_count_the_folders_that_have_duplicates_in_them(self, scratch_database):
        made = planted(scratch_database, "root:Case/{Docs, Docs}")
        with pytest.raises(CommandError, match="1 folder has same-named folders in it") as refused:
            call_command("migrate", "cleanup_guards", database=scratch_database, verbosity=0)
        assert made["root"] in str(refused.value)

    def test_forbid_a_second_root_and_a_second_child(self, scratch_database):
        made = planted(scratch_database, "root:Case/docs:Docs")
        call_command("migrate", "cleanup_guards", database=scratch_database, verbosity=0)
        for values in ({"application_id": made.application}, {"parent_id": made["root"]}):
            with pytest.raises(IntegrityError):
                Folder.objects.using(scratch_database).create(id=new_key(), name="Docs", **values)


def test_folders_lead_to_the_application_of_their_root(database):
    made = planted(database, "Case/docs:Docs")
    assert applications_of(using=database, folders=[made["docs"]]) == {made["docs"]: made.application}
