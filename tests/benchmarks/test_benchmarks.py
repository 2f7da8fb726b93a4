"""The benchmark measures what it says: its dataset has the promised shape, and its bare SQL merges it."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from django.db import connections, transaction

from tests.benchmarks import adopted, baselines, dataset, scale, server, versions
from tests.benchmarks.measures import Figure

APPLICATIONS = 40

COUNTS = """
SELECT (SELECT count(*) FROM customer_applications), (SELECT count(*) FROM folders), (SELECT count(*) FROM files),
       (SELECT count(*) FROM files AS f JOIN folders AS d ON (d.id, d.application_id) = (f.folder_id, f.application_id))
"""


@pytest.fixture
def cursor(database):
    with connections[database].cursor() as cursor:
        dataset.fill(cursor, applications=APPLICATIONS)
        yield cursor


def counts(cursor) -> tuple[int, ...]:
    cursor.execute(COUNTS)
    return tuple(cursor.fetchone())


def test_the_memory_of_a_process_is_not_that_of_its_parent():
    ballast = b"x" * 300_000_000
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])
    with server.watched(process.pid) as peaks:
        process.wait()
    assert 0 < max(peaks) < len(ballast) / 3


@pytest.mark.only("postgresql")
class TestDataset:
    def test_has_the_promised_shape(self, cursor):
        promised = dataset.expected(APPLICATIONS)
        assert counts(cursor) == (promised.applications, promised.folders, promised.files, promised.files)

    def test_has_duplicates_in_three_of_ten_applications(self):
        promised = dataset.expected(20_000)
        assert (promised.affected, promised.folders_removed, promised.files_moved) == (6000, 119_990, 479_960)


@pytest.mark.only("postgresql")
class TestCleanup:
    def test_removes_and_moves_what_is_promised(self, cursor, database):
        promised = dataset.expected(APPLICATIONS)
        with transaction.atomic(using=database):
            baselines.run(cursor, baselines.cleanup())
        folders = promised.folders - promised.folders_removed
        assert counts(cursor) == (promised.applications, folders, promised.files, promised.files)

    def test_leaves_nothing_to_find(self, cursor, database):
        with transaction.atomic(using=database):
            baselines.run(cursor, baselines.cleanup())
        for statement in baselines.CHECK:
            cursor.execute(statement)
            assert cursor.fetchall() == []


@pytest.mark.only("postgresql")
class TestAdoptedTables:
    def test_are_merged_by_the_bare_sql_with_all_that_refers_to_folders(self, blank_database):
        promised = dataset.expected(APPLICATIONS)
        with connections[blank_database].cursor() as cursor:
            cursor.execute(adopted.TABLES + adopted.INDEXES)
            dataset.fill(cursor, applications=APPLICATIONS)
            adopted.fill(cursor)
            further = "SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM shares)"
            cursor.execute(further)
            before = cursor.fetchone()
            with transaction.atomic(using=blank_database):
                baselines.run(cursor, baselines.cleanup(adopted.MOVES))
            cursor.execute(further)
            assert cursor.fetchone() == before == (promised.folders // 30, promised.folders // 10)
            folders = promised.folders - promised.folders_removed
            assert counts(cursor) == (promised.applications, folders, promised.files, promised.files)


@pytest.mark.only("postgresql")
class TestReads:
    @pytest.mark.parametrize("statements", [baselines.CHECK, baselines.DRY_RUN, baselines.VERIFICATION])
    def test_run(self, cursor, statements):
        baselines.run(cursor, statements)


@pytest.mark.only("postgresql")
class TestScale:
    @pytest.mark.parametrize("size", [scale.size_of(5760), scale.small_size_of(90)])
    def test_fills_with_the_promised_shape(self, database, size):
        promised = size.expected
        with connections[database].cursor() as cursor:
            dataset.fill(cursor, applications=size.applications, tree=size.tree, files=size.files)
            assert counts(cursor) == (promised.applications, promised.folders, promised.files, promised.files)
            with transaction.atomic(using=database):
                baselines.run(cursor, baselines.cleanup())
            folders = promised.folders - promised.folders_removed
            assert counts(cursor) == (promised.applications, folders, promised.files, promised.files)


class TestVersions:
    def server(self, version: int, *ratios: float) -> versions.Server:
        stage = SimpleNamespace(name=f"PostgreSQL {version}", version=version * 10_000, compiles=False)
        names = ("cleanup with undo : bare SQL without", "the same, two workers", "rollback : its cleanup", "dry run")
        server = versions.Server(stage)
        for name, ratio, key in zip(names, ratios, versions.COLUMNS, strict=True):
            server.figures[key].append(Figure(name=name, ours=ratio, base=1.0, limit=1.5))
        return server

    def test_compares_each_server_with_the_newest(self):
        servers = [self.server(14, 1.4, 0.9, 0.8, 1.6), self.server(18, 1.0, 0.7, 0.8, 1.2)]
        *_, old, new = versions.table(servers)
        assert old == "| PostgreSQL 14 | 1.40 | 0.90 | 0.80 | 1.60 **missed** | 1.40 **missed** |"
        assert new == "| PostgreSQL 18 | 1.00 | 0.70 | 0.80 | 1.20 | 1.00 |"
        assert not versions.kept(servers)
