"""However a dry run divides its work, it announces what the cleanup then does, and reads no large application whole."""

import threading
import time

import psycopg
import pytest
from django.db import connections, transaction

from cleanup.backends.reading import Reading
from cleanup.services import DatabaseCleanupService
from cleanup.services.merging import examine, forecast, targets
from tests.support import databases
from tests.support.model_roles import Folder
from tests.support.trees import raw, tree

SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

#: Several levels, roots of several names, files on all levels, and folders that stay below ones that are removed.
TREES = (
    "Loan(1)/{Docs(2)/A(1), Photos}, Loan(1)/{Docs(1)/{A(2)/X, B(1)}, Photos(1)/P}",
    "Loan, Lease(2)/Docs(1)",
    "Loan/{Docs/{A, A(1)/A, A/A(2)}}",
)


@pytest.fixture
def applications(database) -> list[str]:
    """Make twelve applications, below one of whose folders that are removed lies a folder of another."""
    made = [tree(database, TREES[number % len(TREES)]) for number in range(12)]
    other = tree(database, "Loan/Docs, Loan/Docs")
    below = Folder.objects.using(database).filter(application_id=raw(database, made[0].application), name="B").get()
    stray = Folder.objects.using(database).filter(application_id=raw(database, other.application), name="Docs").first()
    Folder.objects.using(database).filter(pk=stray.pk).update(parent=below.parent)
    return sorted([*(one.application for one in made), other.application])


def announced(database: str) -> list[dict]:
    report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(dry_run=True, all_results=True)
    return [result.as_json() for result in report.results]


@pytest.fixture
def threads(monkeypatch) -> list[str]:
    """Return the names of the threads that count rows, in order."""
    names: list[str] = []
    count_rows = Reading.count_rows

    def noting(self, targets):
        names.append(threading.current_thread().name)
        return count_rows(self, targets)

    monkeypatch.setattr(Reading, "count_rows", noting)
    return names


class TestPages:
    @pytest.mark.parametrize("folders", [1, 12, 30])
    def test_announce_the_same_however_they_are_divided(self, database, applications, monkeypatch, folders):
        at_once = announced(database)
        monkeypatch.setattr(forecast, "MOST_FOLDERS", folders)
        monkeypatch.setattr(forecast, "MOST_APPLICATIONS", 5)
        monkeypatch.setattr(targets, "MOST_REMOVED", 2)
        assert announced(database) == at_once
        assert len(at_once) == 13

    def test_announce_what_the_cleanup_does(self, database, applications, monkeypatch):
        monkeypatch.setattr(forecast, "MOST_FOLDERS", 12)
        expected = {one["application_id"]: one for one in announced(database)}
        service = DatabaseCleanupService(using=database)
        done = service.cleanup_all_duplicate_folders(all_results=True)
        names = ("status", "folders_removed", "files_moved", "child_folders_merged", "references_moved")
        for result in done.results:
            one = expected.pop(result.application_id)
            assert [getattr(result, name) for name in names] == [one[name] for name in names]
            assert result.details.get("moved") == one["details"].get("moved")
        assert not expected


@pytest.mark.only("postgresql")
class TestTheSecondThread:
    @pytest.fixture(autouse=True)
    def small_pages(self, monkeypatch):
        monkeypatch.setattr(forecast, "MOST_FOLDERS", 30)

    def test_takes_each_second_page(self, database, applications, threads):
        announced(database)
        assert len(threads) > 2
        assert len(set(threads)) == 2

    def test_leaves_no_connection_behind(self, database, applications):
        with psycopg.connect(databases.url_of(database), autocommit=True) as session:
            before = session.execute(SESSIONS).fetchone()
            announced(database)
            until = time.monotonic() + 30  # a session ends a moment after its client has left
            while (after := session.execute(SESSIONS).fetchone()) != before and time.monotonic() < until:
                time.sleep(0.05)
            assert after == before

    def test_is_not_needed_for_a_single_page(self, database, applications, threads, monkeypatch):
        monkeypatch.setattr(forecast, "MOST_FOLDERS", 10_000)
        announced(database)
        assert set(threads) == {threading.current_thread().name}

    def test_does_not_read_beside_a_transaction_of_the_caller(self, database, threads):
        with transaction.atomic(using=database):
            for _ in range(12):
                tree(database, TREES[0])
            results = announced(database)
        assert (len(results), set(threads)) == (12, {threading.current_thread().name})

    def test_does_not_read_in_another_schema(self, database, applications, threads):
        with connections[database].cursor() as cursor:
            cursor.execute("CREATE SCHEMA elsewhere")
            cursor.execute("SET search_path = public, elsewhere")
        try:
            announced(database)
        finally:
            with connections[database].cursor() as cursor:
                cursor.execute("RESET search_path")
                cursor.execute("DROP SCHEMA elsewhere")
        assert set(threads) == {threading.current_thread().name}

    def test_leaves_a_database_alone_that_is_to_have_rests(self, database, applications, threads, settings):
        settings.CLEANUP_DUTY_CYCLE = 0.5
        announced(database)
        assert set(threads) == {threading.current_thread().name}

    def test_raises_its_errors_here(self, database, applications, monkeypatch):
        here = threading.current_thread()
        count_rows = Reading.count_rows

        def failing(self, targets):
            if threading.current_thread() is not here:
                raise ZeroDivisionError
            return count_rows(self, targets)

        monkeypatch.setattr(Reading, "count_rows", failing)
        with pytest.raises(ZeroDivisionError):
            announced(database)


class TestALargeApplication:
    def test_is_compared_like_others(self, database, applications, monkeypatch):
        at_once = announced(database)
        monkeypatch.setattr(examine, "MOST_COMPARED", 0)
        monkeypatch.setattr(examine, "FOLDERS_COMPARED_AT_ONCE", 1)
        assert announced(database) == at_once
        assert any("name" in one["details"].get("differing_columns", {}) for one in at_once)

    def test_is_refused_for_columns_that_differ(self, database, applications, monkeypatch, settings):
        settings.CLEANUP_DIFFERING_COLUMNS = "refuse"
        at_once = announced(database)
        monkeypatch.setattr(examine, "MOST_COMPARED", 0)
        assert announced(database) == at_once
        assert {one["error_code"] for one in at_once} > {""}
