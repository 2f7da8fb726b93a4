"""Folders that arrive below a folder that is gone: hooks keep their columns as they keep those of a merge."""

import pytest

from cleanup import hooks
from cleanup.models import SnapshotRow
from cleanup.references import schema_changes
from cleanup.services import DatabaseCleanupService
from cleanup.services.runs.late_arrivals import LateArrivals
from tests.hostapp import paths
from tests.integration.hooks.test_closure import TABLES, disagreeing
from tests.integration.hooks.test_ready import KINDS, Kind, _labelled, install
from tests.support.model_roles import Folder
from tests.support.trees import Tree, dump, execute, key_type, raw, tree

FOREST = "Loan/{kept:Docs/{Tax, Bank/Old}, Photos}, Loan/{gone:Docs/{Tax/May, Letters}, lost:Photos}"


@pytest.fixture
def service(loose) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=loose)


@pytest.fixture
def made(loose) -> Tree:
    return tree(loose, FOREST)


def arrive(database: str, made: Tree, label: str, folder: str) -> Tree:
    """File a new folder, and one in it, in a folder that is gone."""
    late = tree(database, f"{folder}:{folder}/below:Below(1)", application=made.application)
    execute(
        database,
        "UPDATE :folders SET :folders.parent = %s WHERE :folders.key = %s",
        raw(database, made[label]),
        raw(database, late[folder]),
    )
    return late


def sweep(database: str) -> int:
    """Do what the end of a run and every check do; return the rows that were moved."""
    return LateArrivals(using=database, references=schema_changes.read(using=database)).sweep().total()


def forget(database: str, late: Tree, *labels: str) -> None:
    """Delete what has arrived, to compare the rest."""
    execute(database, "DELETE FROM :files WHERE :files.folder = %s", raw(database, late["below"]))
    for label in labels:
        execute(database, "DELETE FROM :folders WHERE :folders.key = %s", raw(database, late[label]))


class TestLateFolder:
    @pytest.fixture(params=KINDS)
    def kind(self, request) -> Kind:
        return KINDS[request.param]

    @pytest.fixture
    def ready(self, loose, settings, made, kind) -> Tree:
        install(loose, settings, kind)
        return made

    def test_has_the_columns_of_its_new_place(self, loose, ready, kind, service):
        service.consolidate_duplicate_folders(ready.application)
        arrive(loose, ready, "gone", "Late")
        assert sweep(loose) == 1
        assert kind.disagreeing(loose) == []

    def test_goes_back_with_what_the_hook_wrote(self, loose, ready, kind, service):
        before = dump(loose)
        point = service.consolidate_duplicate_folders(ready.application).rollback_id
        late = arrive(loose, ready, "gone", "Late")
        arrived = self.held(loose, kind, late)
        sweep(loose)
        result = service.rollback_cleanup(point)
        assert (self.held(loose, kind, late), result.conflicts) == (arrived, ())
        forget(loose, late, "Late", "below")
        assert dump(loose) == before

    def test_may_be_one_of_several(self, loose, ready, kind, service):
        before = dump(loose)
        point = service.consolidate_duplicate_folders(ready.application).rollback_id
        first = arrive(loose, ready, "gone", "Late")
        sweep(loose)
        second = arrive(loose, ready, "lost", "Later")
        sweep(loose)
        assert kind.disagreeing(loose) == []
        assert service.rollback_cleanup(point).conflicts == ()
        forget(loose, first, "Late", "below")
        forget(loose, second, "Later", "below")
        assert dump(loose) == before

    def test_is_repaired_with_them(self, loose, ready, kind, service):
        service.consolidate_duplicate_folders(ready.application)
        arrive(loose, ready, "gone", "Late")
        before = dump(loose)
        report = service.repair("late_arrival")
        assert (report.findings_repaired, kind.disagreeing(loose)) == (1, [])
        service.rollback_cleanup(report.run_id)
        assert dump(loose) == before

    def held(self, database: str, kind: Kind, late: Tree) -> list[tuple]:
        rows = kind.rows(database)
        return [rows[raw(database, late[label])].held for label in ("Late", "below")]


class TestLateFolderOfATree:
    """Without applications; the tree may have another key since the merge."""

    @pytest.mark.parametrize("survivor", ["oldest", "newest"])
    def test_has_the_columns_of_its_new_place_and_loses_them_again(self, loose, settings, made, service, survivor):
        kind = KINDS["mptt"]
        install(loose, settings, kind)
        settings.CLEANUP_APPLICATION_MODEL = None
        settings.CLEANUP_SURVIVOR = survivor
        before = dump(loose)
        run = service.cleanup_all_duplicate_folders().run_id
        removed = {"oldest": "gone", "newest": "kept"}[survivor]
        late = arrive(loose, made, removed, "Late")
        assert sweep(loose) == 1
        assert kind.disagreeing(loose) == []
        service.rollback_cleanup(run)
        forget(loose, late, "Late", "below")
        assert dump(loose) == before


class TestWhatPeopleChangedBefore:
    @pytest.mark.parametrize("name", ["nested sets", "parent_path"])
    def test_is_a_conflict_still(self, loose, settings, made, service, name):
        kind = KINDS[name]
        install(loose, settings, kind)
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        column, declared = next(iter(kind.columns.items()))
        value = "'later'" if "integer" not in declared else "7000"
        execute(loose, f"UPDATE :folders SET {column} = {value} WHERE :folders.name = 'May'")
        arrive(loose, made, "gone", "Late")
        sweep(loose)
        assert kind.disagreeing(loose) == []
        result = service.rollback_cleanup(point, skip_conflicts=True)
        assert [(conflict.code, column in conflict.column) for conflict in result.conflicts] == [("changed", True)]
        assert kind.disagreeing(loose) == []


@pytest.mark.only("postgresql")
class TestLateFolderInAnLtree(TestLateFolder):
    @pytest.fixture
    def kind(self, loose) -> Kind:
        execute(loose, "CREATE EXTENSION ltree")
        return Kind("cleanup.hooks.ltree", {"spot": "ltree"}, _labelled)


class TestLateFolderInAClosureTable:
    @pytest.fixture(params=TABLES)
    def ready(self, request, loose, settings, made) -> Tree:
        settings.CLEANUP_TREE_HOOK = {"hook": "cleanup.hooks.closure_table", "table": "lines"}
        serial = "serial" if "postgresql" in loose else "integer"
        execute(loose, TABLES[request.param].format(kind=key_type(loose), serial=serial))
        hooks.recompute(using=loose)
        return made

    def test_has_the_rows_of_its_new_place_and_loses_them_again(self, loose, ready, service):
        before = dump(loose)
        point = service.consolidate_duplicate_folders(ready.application).rollback_id
        late = arrive(loose, ready, "gone", "Late")
        sweep(loose)
        assert disagreeing(loose) == set()
        assert service.rollback_cleanup(point).conflicts == ()
        assert disagreeing(loose) == set()
        for column in ("ancestor_id", "descendant_id"):
            for label in ("Late", "below"):
                execute(loose, f"DELETE FROM lines WHERE {column} = %s", raw(loose, late[label]))
        forget(loose, late, "Late", "below")
        assert dump(loose) == before


class TestLateFolderOfAHostsHook:
    @pytest.fixture
    def ready(self, loose, settings, made) -> Tree:
        settings.CLEANUP_TREE_HOOK = "tests.hostapp.paths.rebuild"
        execute(loose, "ALTER TABLE :folders ADD COLUMN path text")
        paths.rebuild(using=loose, application_ids=[made.application])
        return made

    def test_is_told_to_it_and_goes_back_without_it(self, loose, settings, ready, service):
        before = dump(loose)
        point = service.consolidate_duplicate_folders(ready.application).rollback_id
        late = arrive(loose, ready, "gone", "Late")
        sweep(loose)
        assert self.path(loose, late["below"]) == "Loan/Docs/Late/Below"
        settings.CLEANUP_TREE_HOOK = None
        settings.CLEANUP_IGNORED_COLUMNS = [f"{Folder.model._meta.db_table}.path"]
        assert service.rollback_cleanup(point).conflicts == ()
        assert self.path(loose, late["below"]) is None
        forget(loose, late, "Late", "below")
        assert dump(loose) == before

    def test_stays_where_it_is_if_that_refuses(self, loose, settings, ready, service):
        service.consolidate_duplicate_folders(ready.application)
        arrive(loose, ready, "gone", "Late")
        settings.CLEANUP_TREE_HOOK = f"{__name__}.refusing"
        rows = SnapshotRow.objects.using(loose).count()
        before = dump(loose)
        assert (sweep(loose), dump(loose)) == (0, before)
        assert SnapshotRow.objects.using(loose).count() == rows

    def path(self, database: str, key: str) -> str | None:
        return Folder.objects.using(database).extra(select={"path": "path"}).values_list("path", flat=True).get(pk=key)


def refusing(*, using: str, application_ids: list[str]) -> None:
    """Refuse."""
    raise RuntimeError
