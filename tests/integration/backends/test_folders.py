"""What is read about folders: no more than was asked for."""

import uuid
from datetime import UTC, datetime

import pytest

from cleanup import backends
from cleanup.backends.folders import FolderSql, Looseness
from cleanup.backends.query import Query
from cleanup.folder_tables import folder_tables
from cleanup.models import RemovedFolder, RollbackPoint, SnapshotSchema
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import Tree, change, is_postgresql, missing_key, tree


@pytest.fixture
def loan(loose) -> Tree:
    tree(loose, "Case/Docs(d.txt)")
    return tree(loose, "top:Loan/{docs:Docs(a.txt, b.txt), photos:Photos/old:Old(c.txt)}")


def folder_sql(database: str) -> FolderSql:
    return backends.database(using=database).folders(folder_tables())


class TestOwners:
    @pytest.mark.parametrize("named_by", ["folder", "root"])
    def test_are_those_of_the_given_folders(self, loose, loan, settings, named_by):
        settings.CLEANUP_APPLICATION_FROM = named_by
        sql = folder_sql(loose)
        owners = sql.fetch(sql.owners_of([loan["old"], loan["top"]]))
        assert sorted(owners) == sorted((loan[label], loan.application) for label in ("old", "top"))

    def test_are_told_once_by_all_files_of_the_given_folders(self, loose, loan):
        sql = folder_sql(loose)
        assert sql.fetch(sql.owners_of_files([loan["docs"]])) == [(loan["docs"], loan.application)]

    @pytest.mark.parametrize(("model", "label"), [(Folder, "docs"), (File, "a.txt")])
    def test_need_not_exist_to_be_named_by_a_row(self, loose, loan, model, label):
        missing = missing_key(Application)
        change(loose, model, loan[label], application=missing)
        sql = folder_sql(loose)
        assert sql.fetch(sql.told_by_rows([missing])) == [(missing,)]


class TestFilesThatNameTheirFolderInAText:
    def lies_in(self, database: str, spelled: str, folder: str, *, loose_files: Looseness) -> bool:
        sql = backends.database(using=database).folders(folder_tables(), loose_files=loose_files)
        lies = sql.files_of("CAST(%(spelled)s AS text)", folder)
        return bool(sql.fetch(Query(f"SELECT 1 WHERE {lies}", {"spelled": spelled})))

    @pytest.mark.parametrize("form", ["{}", "{{{}}}"])
    @pytest.mark.parametrize("spell", [str, str.upper])
    def test_lie_in_it_however_they_spell_its_uuid(self, loose, form, spell):
        one, other = uuid.UUID(int=0xABC), uuid.UUID(int=0xABD)
        folder = f"'{one}'::uuid" if is_postgresql(loose) else f"'{one.hex}'"
        for key, expected in ((one, True), (other, False)):
            assert self.lies_in(loose, form.format(spell(str(key))), folder, loose_files="uuid") is expected

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize(("spelled", "expected"), [("17", True), ("18", False)])
    def test_lie_in_it_if_they_have_its_number(self, loose, spelled, expected):
        assert self.lies_in(loose, spelled, "17", loose_files="integer") is expected


class TestPaths:
    def names(self, database: str, *folders: str) -> list[str]:
        sql = folder_sql(database)
        return [name for _, name in sql.fetch(sql.paths_of(folders, levels=5))]

    def test_lead_from_the_root_to_the_folder(self, loose, loan):
        assert self.names(loose, loan["old"]) == ["Loan", "Photos", "Old"]

    def test_end_where_a_folder_is_its_own_parent(self, loose, loan):
        change(loose, Folder, loan["photos"], parent=loan["photos"])
        assert self.names(loose, loan["old"]) == ["Photos", "Old"]

    def test_have_an_end_where_parents_go_round_in_a_circle(self, loose, loan):
        change(loose, Folder, loan["photos"], parent=loan["old"])
        assert self.names(loose, loan["old"]) == ["Old", "Photos", "Old", "Photos", "Old"]


class TestRestoredWithoutRoot:
    @pytest.fixture
    def point(self, loose, loan) -> int:
        """Return a point that removed two folders, which are back, and one that is not."""
        return self.removed(loose, loan, "photos", "old")

    def removed(self, database: str, made: Tree, *labels: str) -> int:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        schema = SnapshotSchema.objects.using(database).create(digest="d", format_version=1, document="{}")
        point = RollbackPoint.objects.using(database).create(
            application_key=made.application, kind="cleanup", schema=schema, created_at=now, expires_at=now
        )
        for key in (*(made[label] for label in labels), missing_key(Folder)):
            RemovedFolder.objects.using(database).create(point=point, folder_key=key, survivor_key=made["top"])
        return point.pk

    def found(self, database: str, *points: int) -> list[tuple]:
        sql = folder_sql(database)
        return sql.fetch(sql.restored_without_root(points))

    def test_are_none_where_a_root_leads_to_all(self, loose, loan, point):
        change(loose, Folder, loan["docs"], parent=loan["docs"])
        assert self.found(loose, point) == []

    def test_are_none_below_the_only_root(self, loose):
        made = tree(loose, "top:Loan/docs:Docs")
        assert self.found(loose, self.removed(loose, made, "docs")) == []

    def test_are_counted_and_the_first_is_named(self, loose, loan, point):
        change(loose, Folder, loan["photos"], parent=loan["old"])
        assert self.found(loose, point) == [(point, loan["photos"], 2)]
        assert self.found(loose, point + 1) == []

    def test_are_those_alone_to_which_none_leads(self, loose, loan, point):
        change(loose, Folder, loan["old"], parent=missing_key(Folder))
        assert self.found(loose, point) == [(point, loan["old"], 1)]
