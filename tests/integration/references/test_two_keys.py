"""Folders that bear a number beside their key, and rows that name them by both: one row, moved once, counted once."""

import pytest

from cleanup.services import DatabaseCleanupService
from cleanup.services.integrity import verification
from tests.support.model_roles import File
from tests.support.trees import Tree, dump, execute, fetch, raw, tree, unchecked


@pytest.fixture
def made(scratch_database) -> Tree:
    execute(scratch_database, "ALTER TABLE :folders ADD COLUMN num bigint")
    execute(scratch_database, "CREATE UNIQUE INDEX folders_num ON :folders (num)")
    execute(scratch_database, "ALTER TABLE :folders ADD COLUMN parent_num bigint REFERENCES :folders (num)")
    execute(scratch_database, "ALTER TABLE :files ADD COLUMN folder_num bigint REFERENCES :folders (num)")
    execute(scratch_database, "CREATE TABLE favourite (id integer PRIMARY KEY, num bigint REFERENCES :folders (num))")
    made = tree(scratch_database, "A(1)/{B(1), C/D}, A(2)/{B(1)/E(1), C(1)/D(x.pdf, y.pdf)}")
    ranked = "(SELECT count(*) FROM :folders AS o WHERE o.:folders.key <= :folders.:folders.key)"
    execute(scratch_database, f"UPDATE :folders SET num = {ranked}")
    for table, named in ((":folders", "parent"), (":files", "folder")):
        number = f"(SELECT f.num FROM :folders AS f WHERE f.:folders.key = {table}.{table}.{named})"
        execute(scratch_database, f"UPDATE {table} SET {named}_num = {number}")
    execute(scratch_database, "INSERT INTO favourite SELECT num, num FROM :folders")
    return made


def apart(database: str) -> list[tuple]:
    """Return the folders and files whose two references name two folders."""
    return [
        row
        for table, named in ((":folders", "parent"), (":files", "folder"))
        for row in fetch(
            database,
            f"SELECT x.{table}.key FROM {table} AS x LEFT JOIN :folders AS f ON f.:folders.key = x.{table}.{named}"
            f" WHERE coalesce(f.num, 0) <> coalesce(x.{named}_num, 0)",
        )
    ]


class TestRowsThatNameAFolderTwice:
    def test_move_in_both_columns_and_are_counted_once(self, scratch_database, made):
        was = dump(scratch_database)
        service = DatabaseCleanupService(using=scratch_database)
        (planned,) = service.cleanup_all_duplicate_folders(dry_run=True).results
        done = service.consolidate_duplicate_folders(made.application)
        assert apart(scratch_database) == []
        assert (planned.files_moved, done.files_moved) == (6, 6)
        assert planned.details["moved"] == done.details["moved"]
        assert planned.references_moved == done.references_moved

        back = service.rollback_cleanup(done.rollback_id)
        assert dump(scratch_database) == was
        assert (back.files_restored, back.references_restored) == (6, done.references_moved - 6)

    def test_are_not_counted_where_one_column_conflicts(self, scratch_database, made):
        service = DatabaseCleanupService(using=scratch_database)
        done = service.consolidate_duplicate_folders(made.application)
        ((number,),) = fetch(scratch_database, "SELECT max(num) FROM :folders")
        moved = raw(scratch_database, made["x.pdf"], File)
        execute(scratch_database, "UPDATE :files SET folder_num = %s WHERE :files.key = %s", number, moved)
        back = service.rollback_cleanup(done.rollback_id, skip_conflicts=True)
        assert (len(back.conflicts), back.files_restored) == (1, 5)


class TestRowsThatNameAFolderByTheNumberAlone:
    def test_are_found_in_the_whole_and_in_no_application_where_none_has_it(self, scratch_database, made):
        with unchecked(scratch_database):
            execute(scratch_database, "INSERT INTO favourite VALUES (1000, 1000)")
        for application, codes in ((None, ["dangling_reference"]), (made.application, [])):
            report = verification.verify(using=scratch_database, application_id=application)
            assert [one.code for one in report.findings if "favourite" in one.table] == codes
