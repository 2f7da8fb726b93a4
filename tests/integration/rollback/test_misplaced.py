"""Folders that people gave to another application after a merge: undoing it brings no finding that was not there."""

import pytest

from cleanup import exceptions
from cleanup.services import DatabaseCleanupService
from tests.support.model_roles import File, Folder
from tests.support.trees import dump, tree


def clean(database: str, made) -> object:
    return DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application).rollback_id


def errors(database: str) -> set[tuple[str, str]]:
    """Return the findings of applications that are not duplicates."""
    found = DatabaseCleanupService(using=database).verify_cleanup_integrity()["findings"]
    return {
        (finding["code"], finding["object_key"])
        for finding in found
        if finding["severity"] == "error" and finding["code"] not in {"several_roots", "same_named_siblings"}
    }


def refused(database: str, point, match: str) -> None:
    before = dump(database, own=True)
    for options in ({}, {"skip_conflicts": True}):
        with pytest.raises(exceptions.Refused, match=match) as caught:
            DatabaseCleanupService(using=database).rollback_cleanup(point, **options)
        assert caught.value.code in {"would_misplace", "would_detach"}
    assert dump(database, own=True) == before


@pytest.fixture
def scene(database):
    """Merge a folder with a file and a folder in it, and have another application."""
    made = tree(database, "root:R/{stays:A, gone:A(x.pdf)/moved:B}")
    other = tree(database, "home:H")
    return made, other, clean(database, made)


class TestSurvivorGivenToAnotherApplication:
    def give(self, database, made, other, *, folders, files=()):
        Folder.objects.using(database).filter(pk__in=[made[name] for name in folders]).update(
            application=other.application
        )
        Folder.objects.using(database).filter(pk=made["stays"]).update(parent=other["home"])
        File.objects.using(database).filter(pk__in=[made[name] for name in files]).update(application=other.application)

    def test_with_all_that_is_in_it_keeps_it(self, database, scene):
        made, other, point = scene
        self.give(database, made, other, folders=("stays", "moved"), files=("x.pdf",))
        assert errors(database) == set()
        refused(database, point, "another application")
        assert errors(database) == set()

    def test_with_its_files_keeps_them(self, database, scene):
        made, other, point = scene
        Folder.objects.using(database).filter(pk=made["moved"]).delete()
        self.give(database, made, other, folders=("stays",), files=("x.pdf",))
        refused(database, point, "another application")  # first, since it would be refused without the conflict, too
        with pytest.raises(exceptions.WouldMisplace):
            DatabaseCleanupService(using=database).preview_rollback(point)
        assert errors(database) == set()

    def test_alone_is_no_obstacle_for_what_comes_home(self, database, scene):
        made, other, point = scene
        self.give(database, made, other, folders=("stays",))
        was = errors(database)
        assert was
        DatabaseCleanupService(using=database).rollback_cleanup(point)
        assert errors(database) < was

    def test_and_given_back_is_undone_exactly(self, database, scene):
        made, other, point = scene
        self.give(database, made, other, folders=("stays", "moved"), files=("x.pdf",))
        Folder.objects.using(database).filter(pk__in=[made["stays"], made["moved"]]).update(
            application=made.application
        )
        Folder.objects.using(database).filter(pk=made["stays"]).update(parent=made["root"])
        File.objects.using(database).filter(pk=made["x.pdf"]).update(application=made.application)
        assert DatabaseCleanupService(using=database).rollback_cleanup(point).exact


class TestParentGivenToAnotherApplication:
    def test_keeps_its_removed_folders(self, database, scene):
        made, other, point = scene
        Folder.objects.using(database).filter(pk__in=[made[name] for name in ("root", "stays", "moved")]).update(
            application=other.application
        )
        File.objects.using(database).filter(pk=made["x.pdf"]).update(application=other.application)
        refused(database, point, "Nothing was restored")

    def test_keeps_a_nested_root_folder(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        made, other = tree(database, "stays:A, nested:B"), tree(database, "home:H")
        point = clean(database, made)
        Folder.objects.using(database).filter(application=made.application).update(application=other.application)
        Folder.objects.using(database).filter(pk=made["stays"]).update(parent=other["home"])
        refused(database, point, "root folders of another application")


class TestWhatWasThereBefore:
    def test_is_no_obstacle(self, database):
        made, other = tree(database, "A/{B, gone:B(1)}"), tree(database, "R/strange:S(theirs.pdf)")
        Folder.objects.using(database).filter(pk=other["strange"]).update(parent=made["gone"])
        File.objects.using(database).filter(pk=other["theirs.pdf"]).update(folder=made["gone"])
        was, found = dump(database), errors(database)
        assert found
        assert DatabaseCleanupService(using=database).rollback_cleanup(clean(database, made)).exact
        assert dump(database) == was
