"""What an older version journaled can be rolled back by this one, or is refused naming what is gone.

The files in `journals` are rows as that version wrote them. A new format is written down by the first run of these
tests, to be committed, and never written again.
"""

import pytest

from cleanup.exceptions import RollbackConflict, UnreadableJournal
from cleanup.journal import FORMAT_OF_MERGES, FORMAT_VERSION
from cleanup.models import RollbackPoint
from cleanup.services import DatabaseCleanupService
from tests.reliability import journals
from tests.support import undo_scripts
from tests.support.model_roles import File, Folder
from tests.support.trees import dump, execute

FORMATS = range(1, FORMAT_OF_MERGES + 1)

pytestmark = pytest.mark.mapped_models("the journals are of the mapped tables")


@pytest.mark.parametrize("version", FORMATS)
class TestJournalOfFormat:
    def test_is_kept_as_it_was_written(self, database, version):
        path = journals.path(version, database)
        if not path.exists():
            assert version == FORMAT_OF_MERGES, "only the version that writes a format can write its journal down"
            journals.write(version, database)
            pytest.fail(f"{path.name} was written: commit it, and never change it")
        assert journals.load(version, database)["schema"]["format_version"] == version

    def test_is_rolled_back_exactly(self, database, version):
        text = journals.load(version, database)
        assert journals.tables(database) == text["after"]
        result = DatabaseCleanupService(using=database).rollback_cleanup(text["point"]["uuid"])
        assert (result.exact, result.folders_restored) == (True, len(text["removed"]))
        assert journals.tables(database) == text["before"]

    def test_is_undone_exactly_by_a_script(self, database, version):
        text = journals.load(version, database)
        undo_scripts.run(database, undo_scripts.export(database, text["point"]["uuid"]))
        assert journals.tables(database) == text["before"]

    def test_comes_back_as_copies(self, database, version):
        text = journals.load(version, database)
        service = DatabaseCleanupService(using=database)
        result = service.rollback_cleanup(text["point"]["uuid"], as_copies=True)
        assert (result.conflicts, result.folders_restored) == ((), len(text["removed"]))
        assert {row["id"] for row in journals.tables(database)["folders"]} == {
            row["id"] for row in text["before"]["folders"]
        }
        assert service.check()["duplicate_applications_found"] == 0

    def test_still_knows_where_folders_went(self, database, version):
        text = journals.load(version, database)
        for row in text["removed"]:
            now = DatabaseCleanupService(using=database).resolve_folder(row["folder_key"])
            assert Folder.objects.using(database).filter(pk=now).exists()

    def test_overwrites_nothing_that_people_did(self, database, version):
        text = journals.load(version, database)
        moved = next(
            now["id"]
            for now, then in zip(text["after"]["files"], text["before"]["files"], strict=True)
            if now["folder_id"] != then["folder_id"]
        )
        File.objects.using(database).filter(pk=moved).update(folder=None)
        with pytest.raises(RollbackConflict) as caught:
            DatabaseCleanupService(using=database).rollback_cleanup(text["point"]["uuid"])
        assert [conflict.code for conflict in caught.value.conflicts] == ["changed"]
        DatabaseCleanupService(using=database).rollback_cleanup(text["point"]["uuid"], skip_conflicts=True)
        assert [str(file.pk) for file in File.objects.using(database).filter(folder=None)] == [str(_uuid(moved))]

    @pytest.mark.parametrize(
        ("change", "column"),
        [
            ("ALTER TABLE folders RENAME COLUMN updated_at TO touched_at", "folders.updated_at"),
            ("ALTER TABLE hostapp_bookmark RENAME COLUMN folder_id TO directory_id", "hostapp_bookmark.folder_id"),
        ],
    )
    def test_is_refused_where_a_column_is_gone_and_named(self, scratch_database, version, change, column):
        text = journals.load(version, scratch_database)
        execute(scratch_database, change)
        before = dump(scratch_database, own=True)
        with pytest.raises(UnreadableJournal, match=column):
            DatabaseCleanupService(using=scratch_database).rollback_cleanup(text["point"]["uuid"])
        assert dump(scratch_database, own=True) == before
        assert RollbackPoint.objects.using(scratch_database).get().status == RollbackPoint.Status.LIVE


def _uuid(text: str) -> str:
    return text if "-" in text else f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class TestJournalOfARepair:
    def test_is_kept_as_it_was_written(self, database):
        path = journals.path(FORMAT_VERSION, database)
        if not path.exists():
            journals.write_repair(FORMAT_VERSION, database)
            pytest.fail(f"{path.name} was written: commit it, and never change it")
        assert journals.load(FORMAT_VERSION, database)["schema"]["format_version"] == FORMAT_VERSION

    def test_is_rolled_back_exactly(self, database):
        text = journals.load(FORMAT_VERSION, database)
        assert journals.tables(database) == text["after"]
        assert DatabaseCleanupService(using=database).rollback_cleanup(text["point"]["uuid"]).exact
        assert journals.tables(database) == text["before"]
