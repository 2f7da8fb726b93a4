"""What hosts are told after the commit."""

import logging
from contextlib import contextmanager

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from cleanup.models import Folder
from cleanup.services import DatabaseCleanupService
from cleanup.signals import folders_merged, merge_undone
from tests.support.trees import tree


@contextmanager
def heard(signal):
    """Collect what a receiver is told."""
    events = []

    def receive(signal, **event):
        events.append(event)

    signal.connect(receive)
    try:
        yield events
    finally:
        signal.disconnect(receive)


@pytest.fixture
def service(database):
    return DatabaseCleanupService(using=database)


@pytest.fixture
def loan(database):
    return tree(database, "old:Loan/kept:Docs, young:Loan/gone:Docs")


def merged(loan) -> dict[str, str]:
    return {loan["young"]: loan["old"], loan["gone"]: loan["kept"]}


class TestFoldersMerged:
    def test_says_where_each_folder_went(self, database, service, loan):
        with heard(folders_merged) as events:
            result = service.consolidate_duplicate_folders(loan.application)
        assert events == [
            {
                "sender": Folder,
                "using": database,
                "application_id": loan.application,
                "rollback_id": result.rollback_id,
                "removed_to_survivor": merged(loan),
            }
        ]

    def test_comes_once_for_each_application_of_a_run(self, database, service):
        loans = [tree(database, "Loan, Loan") for _ in range(7)]
        tree(database, "Loan")
        with heard(folders_merged) as events:
            service.cleanup_all_duplicate_folders(batch_size=3)
        assert [event["application_id"] for event in events] == [loan.application for loan in loans]

    def test_comes_after_the_commit(self, database, service, loan):
        seen = []

        def receive(**event):
            seen.append((connections[database].in_atomic_block, loan.folders))

        folders_merged.connect(receive)
        try:
            service.cleanup_all_duplicate_folders()
        finally:
            folders_merged.disconnect(receive)
        assert seen == [(False, 2)]

    def test_comes_after_the_commit_of_the_caller(self, database, service, loan):
        with heard(folders_merged) as events:
            with transaction.atomic(using=database):
                service.get_or_create_folder_structure(loan.application)
                assert events == []
            assert [event["removed_to_survivor"] for event in events] == [merged(loan)]

    def test_does_not_come_if_the_caller_takes_it_back(self, database, service, loan):
        with heard(folders_merged) as events, transaction.atomic(using=database):
            service.get_or_create_folder_structure(loan.application)
            transaction.set_rollback(True, using=database)
        assert events == []

    def test_does_not_come_from_a_dry_run(self, service, loan):
        with heard(folders_merged) as events:
            service.cleanup_all_duplicate_folders(dry_run=True)
        assert events == []

    def test_does_not_come_for_what_is_left_alone(self, service, loan):
        service.hold(loan.application)
        with heard(folders_merged) as events:
            service.cleanup_all_duplicate_folders()
        assert events == []

    def test_is_no_hindrance_when_a_receiver_raises(self, database, service, caplog):
        for _ in range(2):
            tree(database, "Loan, Loan")

        def receive(**event):
            raise RuntimeError("no index")

        folders_merged.connect(receive)
        try:
            with heard(folders_merged) as events, caplog.at_level(logging.ERROR, logger="django.dispatch"):
                report = service.cleanup_all_duplicate_folders()
        finally:
            folders_merged.disconnect(receive)
        assert (report.status, report.successful_cleanups, len(events)) == ("completed", 2, 2)
        assert "no index" in caplog.text


class TestMergeUndone:
    def test_says_which_folders_are_there_again(self, database, service, loan):
        point = service.consolidate_duplicate_folders(loan.application).rollback_id
        with heard(merge_undone) as events:
            service.rollback_cleanup(point)
        assert events == [
            {
                "sender": Folder,
                "using": database,
                "application_id": loan.application,
                "rollback_id": point,
                "removed_to_survivor": merged(loan),
            }
        ]

    def test_comes_for_each_application_of_a_run(self, database, service):
        loans = {tree(database, "Loan, Loan").application for _ in range(4)}
        run = service.cleanup_all_duplicate_folders().run_id
        with heard(merge_undone) as events:
            service.rollback_cleanup(run)
        assert {event["application_id"] for event in events} == loans

    def test_comes_for_each_merge_that_a_point_taken_by_hand_undoes(self, service, loan):
        point = service.create_rollback_point(loan.application)
        merge = service.consolidate_duplicate_folders(loan.application).rollback_id
        with heard(merge_undone) as events:
            service.rollback_cleanup(point)
        assert [event["rollback_id"] for event in events] == [merge]

    def test_does_not_come_from_a_preview(self, service, loan):
        point = service.consolidate_duplicate_folders(loan.application).rollback_id
        with heard(merge_undone) as events:
            service.preview_rollback(point)
        assert events == []

    def test_costs_nothing_where_nobody_listens(self, database, service, loan):
        point = service.consolidate_duplicate_folders(loan.application).rollback_id
        with CaptureQueriesContext(connections[database]) as captured:
            service.rollback_cleanup(point)
        assert not [query for query in captured.captured_queries if 'FROM "cleanup_removedfolder"' in query["sql"]]


@pytest.mark.only("postgresql")
class TestDurability:
    """What others are told of is on disk; what only the database knows may wait for the end of the run."""

    @pytest.fixture
    def commits(self, database, monkeypatch) -> list[tuple[bool, str]]:
        """Note of each commit whether it merged something, and whether it waits for the disk."""
        connection = connections[database]
        connection.ensure_connection()
        commit, found = connection._commit, []

        def note() -> None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT EXISTS (SELECT FROM cleanup_rollbackpoint WHERE xmin::text = "
                    "pg_current_xact_id_if_assigned()::xid::text), current_setting('synchronous_commit')"
                )
                found.append(cursor.fetchone())
            commit()

        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = local")
        monkeypatch.setattr(connection, "_commit", note)
        yield found
        with connection.cursor() as cursor:
            cursor.execute("RESET synchronous_commit")

    def test_of_a_batch_comes_with_the_end_of_its_run(self, database, service, loan, commits):
        service.cleanup_all_duplicate_folders()
        assert [waits for merging, waits in commits if merging] == ["off"]
        assert commits[-1] == (False, "local")

    def test_of_a_batch_that_others_are_told_of_comes_first(self, service, loan, commits):
        with heard(folders_merged):
            service.cleanup_all_duplicate_folders()
        assert [waits for merging, waits in commits if merging] == ["local"]

    def test_of_a_single_application_comes_with_it(self, service, loan, commits):
        service.consolidate_duplicate_folders(loan.application)
        assert "local" in [waits for _, waits in commits[[merging for merging, _ in commits].index(True) :]]
