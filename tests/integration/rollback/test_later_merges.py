"""Rows that name folders of two applications: in whichever order these are undone, nothing is lost, or it is refused.

``link`` is a table whose key is its two folders; ``pair`` has a key of its own, and room for one row of two folders.
"""

import itertools

import pytest

from cleanup import exceptions
from cleanup.models import RollbackPoint
from cleanup.services import DatabaseCleanupService
from tests.support.model_roles import File, Folder
from tests.support.trees import dump, execute, fetch, key_type, label, raw, tree

TABLES = {
    "link": (
        "CREATE TABLE link (source {key} NOT NULL REFERENCES :folders, target {key} NOT NULL REFERENCES :folders,"
        " PRIMARY KEY (source, target))"
    ),
    "pair": (
        "CREATE TABLE pair (id integer PRIMARY KEY, source {key} REFERENCES :folders, target {key} REFERENCES :folders,"
        " UNIQUE (source, target))"
    ),
}


@pytest.fixture(params=TABLES)
def table(request, scratch_database, settings):
    """Make the table and return its name."""
    settings.CLEANUP_COLLISIONS = {request.param: "keep_survivor"}
    execute(scratch_database, TABLES[request.param].format(key=key_type(scratch_database)))
    for column in ("source", "target"):
        execute(scratch_database, f"CREATE INDEX by_{column} ON {request.param} ({column})")
    return request.param


def put(database: str, table: str, source: str, target: str) -> None:
    """Add a row."""
    number = f"(SELECT count(*) FROM {table}), " if table == "pair" else ""
    execute(database, f"INSERT INTO {table} SELECT {number}{_value(database)}, {_value(database)}", source, target)


def _value(database: str) -> str:
    return f"CAST(%s AS {key_type(database)})"


def rows(database: str, table: str) -> list[tuple]:
    return sorted(fetch(database, f"SELECT source, target FROM {table}"), key=str)


@pytest.fixture
def two(scratch_database):
    """Make two applications with a folder to be removed in each."""
    return [tree(scratch_database, "stays:A, gone:A"), tree(scratch_database, "stays:A, gone:A")]


def clean(database: str, made) -> object:
    return DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application).rollback_id


def undo(database: str, point, **options):
    return DatabaseCleanupService(using=database).rollback_cleanup(point, **options)


class TestRowOfTwoApplications:
    @pytest.mark.parametrize("turned", [False, True])
    def test_is_refused_to_the_earlier_cleanup_and_names_the_later(self, scratch_database, table, two, turned):
        ends = [raw(scratch_database, made["gone"]) for made in (reversed(two) if turned else two)]
        put(scratch_database, table, *ends)
        was = dump(scratch_database)
        first, second = (clean(scratch_database, made) for made in two)
        if table == "pair":  # its key does not change: either may be undone alone
            undo(scratch_database, first)
        else:
            before = dump(scratch_database, own=True)
            for options in ({}, {"skip_conflicts": True}):
                with pytest.raises(exceptions.Superseded, match=str(second)) as caught:
                    undo(scratch_database, first, **options)
                assert (caught.value.code, caught.value.table) == ("superseded", label(scratch_database, table))
            with pytest.raises(exceptions.Superseded, match=str(second)):
                DatabaseCleanupService(using=scratch_database).preview_rollback(first)
            assert dump(scratch_database, own=True) == before
        assert undo(scratch_database, second).exact
        if table == "link":
            assert undo(scratch_database, first).exact
        assert dump(scratch_database) == was

    def test_that_gave_way_to_a_twin_later_is_not_lost(self, scratch_database, table, two):
        ones, others = ([raw(scratch_database, made[name]) for name in ("stays", "gone")] for made in two)
        for source, target in itertools.product(ones, others):
            put(scratch_database, table, source, target)
        was = dump(scratch_database)
        first, second = (clean(scratch_database, made) for made in two)
        assert len(rows(scratch_database, table)) == 1
        for options in ({}, {"skip_conflicts": True}):
            with pytest.raises(exceptions.Superseded, match=str(second)):
                undo(scratch_database, first, **options)
        undo(scratch_database, second)
        assert undo(scratch_database, first).exact
        assert dump(scratch_database) == was

    def test_that_people_deleted_since_is_a_conflict_as_ever(self, scratch_database, table, two):
        put(scratch_database, table, *(raw(scratch_database, made["gone"]) for made in two))
        first = clean(scratch_database, two[0])
        execute(scratch_database, f"DELETE FROM {table}")
        clean(scratch_database, two[1])
        with pytest.raises(exceptions.RollbackConflict) as caught:
            undo(scratch_database, first)
        assert [conflict.code for conflict in caught.value.conflicts] == ["row_missing"]

    def test_is_no_obstacle_once_the_later_cleanup_is_undone(self, scratch_database, table, two):
        put(scratch_database, table, *(raw(scratch_database, made["gone"]) for made in two))
        first, second = (clean(scratch_database, made) for made in two)
        undo(scratch_database, second)
        assert not RollbackPoint.objects.using(scratch_database).filter(uuid=second, status="live").exists()
        assert undo(scratch_database, first).exact


class TestWholeRun:
    @pytest.fixture
    def was(self, scratch_database, table):
        """Make several applications, whose rows name folders of each other in both directions."""
        made = [tree(scratch_database, "stays:A, gone:A") for _ in range(3)]
        for one, other in itertools.permutations(made, 2):
            put(scratch_database, table, raw(scratch_database, one["gone"]), raw(scratch_database, other["gone"]))
        return dump(scratch_database)

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_is_undone_exactly(self, scratch_database, was, size):
        service = DatabaseCleanupService(using=scratch_database)
        done = service.cleanup_all_duplicate_folders(batch_size=size)
        preview = service.preview_rollback(done.run_id)
        result = undo(scratch_database, done.run_id)
        assert dump(scratch_database) == was
        assert (result.exact, result.successful, result.failed) == (True, 3, 0)
        assert (preview.conflicts, preview.folders_restored) == ((), 3)

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize("workers", [2, 3])
    def test_is_undone_exactly_by_several_workers(self, scratch_database, was, workers):
        service = DatabaseCleanupService(using=scratch_database)
        done = service.cleanup_all_duplicate_folders(workers=workers, batch_size=1)
        result = undo(scratch_database, done.run_id, workers=workers)
        assert dump(scratch_database) == was
        assert (result.exact, result.successful, result.failed) == (True, 3, 0)


class TestFolderGivenToAnotherApplication:
    def test_and_merged_there_has_to_come_back_first(self, database):
        one, other = tree(database, "stays:A/inner:B, gone:A/B(x.pdf)"), tree(database, "A/B@0")
        first = clean(database, one)
        Folder.objects.using(database).filter(pk=one["inner"]).update(application=other.application)
        root = Folder.objects.using(database).get(application=other.application, parent=None)
        Folder.objects.using(database).filter(pk=one["inner"]).update(parent=root.pk)
        second = clean(database, other)
        assert File.objects.using(database).get(pk=one["x.pdf"]).folder_id != one["inner"]
        with pytest.raises(exceptions.Superseded, match=str(second)):
            undo(database, first, skip_conflicts=True)
