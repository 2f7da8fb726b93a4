"""A row goes back to the folder that it named only if that very folder is back, not to another one with its value."""

import pytest

from cleanup import exceptions
from cleanup.services import DatabaseCleanupService
from tests.support.model_roles import File, Folder
from tests.support.trees import dump, execute, fetch, label, raw, tree


@pytest.fixture
def scene(scratch_database):
    """Merge a folder that a note names by its slug; then another folder takes the slug."""
    execute(scratch_database, "ALTER TABLE :folders ADD COLUMN slug varchar(40)")
    execute(scratch_database, "CREATE UNIQUE INDEX folders_slug ON :folders (slug)")
    execute(
        scratch_database,
        "CREATE TABLE note (id integer PRIMARY KEY, slug varchar(40) REFERENCES :folders (slug))",
    )
    made = tree(scratch_database, "stays:A, gone:A(x.pdf), also:A")
    for name in ("stays", "gone", "also"):
        slug = "UPDATE :folders SET slug = %s WHERE :folders.key = %s"
        execute(scratch_database, slug, name, raw(scratch_database, made[name]))
    execute(scratch_database, "INSERT INTO note VALUES (1, 'gone'), (2, 'also'), (3, 'stays')")
    done = DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders(made.application)
    assert fetch(scratch_database, "SELECT DISTINCT slug FROM note") == [("stays",)]
    return made, done.rollback_id


def notes(database: str) -> list[str]:
    return [slug for (slug,) in fetch(database, "SELECT slug FROM note ORDER BY id")]


class TestTargetByAnotherKey:
    def test_is_not_another_folder_that_took_the_value(self, scratch_database, scene):
        made, point = scene
        other = tree(scratch_database, "new:N")
        slug = "UPDATE :folders SET slug = 'gone' WHERE :folders.key = %s"
        execute(scratch_database, slug, raw(scratch_database, other["new"]))
        before = dump(scratch_database, own=True)
        with pytest.raises(exceptions.RollbackConflict) as caught:
            DatabaseCleanupService(using=scratch_database).rollback_cleanup(point)
        assert dump(scratch_database, own=True) == before
        conflicts = {(c.code, c.table, c.key) for c in caught.value.conflicts}
        assert conflicts == {
            ("unique_taken", label(scratch_database, ":folders"), made["gone"]),
            ("missing_target", label(scratch_database, ":files"), made["x.pdf"]),
            ("missing_target", label(scratch_database, "note"), "1"),
        }

        DatabaseCleanupService(using=scratch_database).rollback_cleanup(point, skip_conflicts=True)
        assert notes(scratch_database) == ["stays", "also", "stays"]
        assert str(File.objects.using(scratch_database).get(pk=made["x.pdf"]).folder_id) == made["stays"]

    def test_is_the_folder_that_came_back(self, scratch_database, scene):
        _, point = scene
        DatabaseCleanupService(using=scratch_database).rollback_cleanup(point)
        assert notes(scratch_database) == ["gone", "also", "stays"]


class TestTargetByItsId:
    def test_is_not_a_folder_of_another_application(self, database):
        made, other = tree(database, "stays:A, gone:A(x.pdf), also:A(y.pdf)"), tree(database, "B")
        point = DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application).rollback_id
        Folder.objects.using(database).create(id=made["gone"], name="imported", application_id=other.application)
        with pytest.raises(exceptions.RollbackConflict) as caught:
            DatabaseCleanupService(using=database).rollback_cleanup(point)
        assert {(c.code, c.key) for c in caught.value.conflicts} == {
            ("row_exists", made["gone"]),
            ("missing_target", made["x.pdf"]),
        }
        DatabaseCleanupService(using=database).rollback_cleanup(point, skip_conflicts=True)
        folders = {name: str(File.objects.using(database).get(pk=made[name]).folder_id) for name in ("x.pdf", "y.pdf")}
        assert folders == {"x.pdf": made["stays"], "y.pdf": made["also"]}

    def test_may_have_another_name_than_it_had(self, database):
        made = tree(database, "stays:A, gone:A(x.pdf)")
        point = DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application).rollback_id
        Folder.objects.using(database).create(id=made["gone"], name="anew", application_id=made.application)
        DatabaseCleanupService(using=database).rollback_cleanup(point, skip_conflicts=True)
        assert str(File.objects.using(database).get(pk=made["x.pdf"]).folder_id) == made["gone"]
