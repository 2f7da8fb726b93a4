"""Runs: worklists, interruption, control, failures, and what is remembered of them."""

import logging
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from unittest.mock import ANY

import psycopg
import pytest
from django.db import OperationalError, connections, transaction
from django.db.models import Count
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from cleanup.backends.postgresql.undoing import Undoing
from cleanup.exceptions import Busy, ForeignDatabase, Frozen, InvalidKey, NotResumable, UnknownObject, UsageError
from cleanup.folder_tables import folder_tables
from cleanup.models import Hold, Result, RollbackPoint, Run, SnapshotSchema
from cleanup.references import schema_changes
from cleanup.services import DatabaseCleanupService
from cleanup.services.errors import classify
from cleanup.services.runs import lifecycle, progress
from cleanup.services.runs.tasks import Outcome
from cleanup.services.runs.team import Team
from cleanup.services.runs.worker import Worker
from tests.support import databases, dirty_database
from tests.support.forked_processes import forking
from tests.support.model_roles import File, Folder
from tests.support.trees import named, sql

SECRET = "Tax return of Ms Example.pdf"


def service_of(using: str) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=using)


def only_run(using: str, *, kind: str = Run.Kind.CLEANUP) -> Run:
    return Run.objects.using(using).get(kind=kind)


def statuses(using: str) -> dict[str, int]:
    counted = Result.objects.using(using).values_list("status").annotate(Count("pk"))
    return {str(status): count for status, count in counted}


def execute(using: str, *statements: str) -> None:
    with connections[using].cursor() as cursor:
        for statement in statements:
            cursor.execute(sql(using, statement))


def once(action: Callable[[], object]) -> Callable[[object], None]:
    """Return a progress callback that acts when the first batch is done."""
    waiting = [action]

    def progress(state) -> None:
        if state.done and waiting:
            waiting.pop()()

    return progress


def add_trigger(using: str, *, body: str) -> None:
    """Have something happen before a file named stubborn is filed elsewhere; the body is PL/pgSQL, or SQLite's."""
    if connections[using].vendor == "sqlite":
        execute(
            using,
            "CREATE TRIGGER stubborn BEFORE UPDATE OF :files.folder ON :files"
            f" WHEN OLD.:files.name = '{SECRET}' BEGIN {body} END",
        )
        return
    execute(
        using,
        f"CREATE FUNCTION stubborn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$",
        "CREATE TRIGGER stubborn BEFORE UPDATE OF :files.folder ON :files FOR EACH ROW"
        f" WHEN (OLD.:files.name = '{SECRET}') EXECUTE FUNCTION stubborn()",
    )


def drop_trigger(using: str) -> None:
    execute(using, "DROP TRIGGER stubborn" + (" ON :files" if connections[using].vendor == "postgresql" else ""))


def refusing_body(using: str, *, state: str = "23514") -> str:
    if connections[using].vendor == "sqlite":
        return f"SELECT RAISE(ABORT, '{SECRET} stays here');"
    return f"RAISE EXCEPTION '% stays here', OLD.:files.name USING ERRCODE = '{state}', DETAIL = OLD.:files.name;"


def make_stubborn(using: str, *applications: str) -> None:
    """Name a file stubborn in each application that has to be moved."""
    for application in applications:
        removed = Folder.objects.using(using).filter(application=application, parent=None).order_by("-created_at")
        file = File.objects.using(using).filter(folder__parent=removed[0]).first()
        File.objects.using(using).filter(pk=file.pk).update(filename=SECRET)


@pytest.fixture
def stubborn(scratch_database, settings) -> tuple[str, str]:
    """Return a database of seven applications and the fourth of them, at which the database raises an error."""
    settings.CLEANUP_TRIGGERS = "fire"
    keys = dirty_database.make(scratch_database, applications=7)
    make_stubborn(scratch_database, keys[3])
    add_trigger(scratch_database, body=refusing_body(scratch_database))
    return scratch_database, keys[3]


class TestWorklist:
    def test_holds_each_affected_application_once(self, database):
        affected = dirty_database.make(database, applications=5)
        dirty_database.make_clean(database, applications=3)
        report = service_of(database).cleanup_all_duplicate_folders()
        assert [result.application_id for result in report.results] == affected
        assert report.total_applications == 5

    def test_is_empty_where_nothing_is_to_do(self, database):
        dirty_database.make_clean(database, applications=2)
        report = service_of(database).cleanup_all_duplicate_folders()
        assert (report.status, report.total_applications, report.results) == ("completed", 0, ())

    def test_ends_with_a_status_for_every_application(self, database):
        keys = dirty_database.make(database, applications=4)
        Hold.objects.using(database).create(application_key=keys[0], reason="dispute")
        service_of(database).cleanup_all_duplicate_folders()
        found = dict(Result.objects.using(database).values_list("application_key", "status"))
        assert found == {keys[0]: "held", **dict.fromkeys(keys[1:], "completed")}

    def test_takes_named_applications_alone(self, database):
        keys = dirty_database.make(database, applications=4)
        before = dirty_database.picture(database)
        service_of(database).cleanup_all_duplicate_folders(applications=[keys[2].upper(), keys[2]])
        after = dirty_database.picture(database)
        assert [key for key in keys if before[key] != after[key]] == [keys[2]]

    def test_of_a_limited_run_holds_the_worst(self, database):
        some = dirty_database.Mess()
        sizes = {str(some.application(roots=roots).pk): roots for roots in (2, 5, 3, 2, 4)}
        some.write(database)
        report = service_of(database).cleanup_all_duplicate_folders(max_applications=2)
        assert sorted(sizes[result.application_id] for result in report.results) == [4, 5]

    def test_works_worst_applications_in_key_order(self, database):
        some = dirty_database.Mess()
        for roots in (2, 5, 3, 2, 4):
            some.application(roots=roots)
        some.write(database)
        service_of(database).cleanup_all_duplicate_folders(max_applications=3, batch_size=1)
        points = RollbackPoint.objects.using(database).order_by("id").values_list("application_key", flat=True)
        assert list(points) == sorted(points)

    @pytest.mark.parametrize("wrong", [{"max_applications": 0}, {"batch_size": -1}])
    def test_refuses_numbers_below_one(self, database, wrong):
        with pytest.raises(UsageError):
            service_of(database).cleanup_all_duplicate_folders(**wrong)
        assert not Run.objects.using(database).exists()


class TestReport:
    def test_totals_are_the_sums_of_the_results(self, database):
        some = dirty_database.Mess()
        for number in range(1, 6):
            some.application(roots=number + 1, children=number, files=number)
        some.write(database)
        report = service_of(database).cleanup_all_duplicate_folders(all_results=True)
        totals = (
            report.total_folders_removed,
            report.total_files_moved,
            report.total_child_folders_merged,
            report.successful_cleanups,
        )
        assert totals == (
            sum(result.folders_removed for result in report.results),
            sum(result.files_moved for result in report.results),
            sum(result.child_folders_merged for result in report.results),
            len(report.results),
        )

    def test_totals_are_what_happened_in_the_tables(self, database):
        dirty_database.make(database, applications=6, roots=3, children=2, files=2)
        folders = Folder.objects.using(database)
        before = folders.count(), dict(File.objects.using(database).values_list("pk", "folder_id"))
        report = service_of(database).cleanup_all_duplicate_folders()
        after = folders.count(), dict(File.objects.using(database).values_list("pk", "folder_id"))
        assert report.total_folders_removed == before[0] - after[0]
        assert report.total_files_moved == sum(before[1][key] != after[1][key] for key in after[1])

    def test_totals_are_those_of_the_dry_run(self, database):
        dirty_database.make(database, applications=6, roots=3)
        dry = service_of(database).cleanup_all_duplicate_folders(dry_run=True)
        real = service_of(database).cleanup_all_duplicate_folders()
        names = ("total_applications", "total_folders_removed", "total_files_moved", "total_child_folders_merged")
        assert [getattr(dry, name) for name in names] == [getattr(real, name) for name in names]

    def test_lists_a_hundred_results_and_counts_the_others(self, database):
        dirty_database.make(database, applications=103, children=0)
        report = service_of(database).cleanup_all_duplicate_folders()
        assert (len(report.results), report.results_left_out) == (100, 3)

    def test_run_remembers_how_it_was_asked_for(self, database):
        dirty_database.make(database, applications=1)
        service_of(database).cleanup_all_duplicate_folders(
            batch_size=7, reason="tidy up", started_by="ann", started_how="shell"
        )
        run = only_run(database)
        assert (run.reason, run.started_by, run.started_how, run.options["batch_size"]) == (
            "tidy up",
            "ann",
            "shell",
            7,
        )
        assert run.settings["triggers"] == "refuse"
        assert run.started_at <= run.ended_at


class TestBatches:
    @pytest.fixture(autouse=True)
    def timeless(self, settings):
        """Let nothing depend on how fast the machine is."""
        settings.CLEANUP_TARGET_TRANSACTION_MS = 60_000
        settings.CLEANUP_THROTTLE_SECONDS = 3600

    def statements(self, using: str, **sizes: int) -> list[str]:
        databases.wipe(using)
        dirty_database.make(using, applications=10, **sizes)
        schema_changes.read(using=using)  # which a process does twice the first time
        with CaptureQueriesContext(connections[using]) as captured:
            service_of(using).cleanup_all_duplicate_folders(batch_size=10)
        return told_by_work(captured)

    def test_statements_of_a_cleanup_and_its_rollback_do_not_grow_with_folders_and_files(self, database):
        counts = []
        for sizes in ({"roots": 2, "children": 1, "files": 1}, {"roots": 6, "children": 12, "files": 10}):
            merging = len(self.statements(database, **sizes))
            with CaptureQueriesContext(connections[database]) as captured:
                service_of(database).rollback_cleanup(only_run(database).pk)
            counts.append((merging, len(told_by_work(captured))))
        assert counts[0] == counts[1]

    def test_batch_size_is_the_most_applications_in_a_transaction(self, database):
        dirty_database.make(database, applications=7)
        steps = []
        service_of(database).cleanup_all_duplicate_folders(
            batch_size=3, progress=lambda state: steps.append(state.done)
        )
        batches = Result.objects.using(database).values_list("lease_token").annotate(Count("pk"))
        assert sorted(count for _, count in batches) == [1, 3, 3]

    def test_several_workers_do_what_one_does(self, database):
        if connections[database].vendor == "sqlite":
            with pytest.raises(UsageError, match="one writer"):
                service_of(database).cleanup_all_duplicate_folders(workers=3)
            return
        dirty_database.make(database, applications=40)
        service_of(database).cleanup_all_duplicate_folders()
        alone = dirty_database.picture(database)
        databases.wipe(database)
        dirty_database.make(database, applications=40)
        report = service_of(database).cleanup_all_duplicate_folders(workers=3, batch_size=2)
        assert (report.status, dirty_database.picture(database)) == ("completed", alone)
        assert Result.objects.using(database).values("worker").distinct().count() > 1


class Turns:
    """A CLEANUP_TREE_HOOK, called when a batch has changed its rows; notes who changes rows and who checks them."""

    def __init__(self) -> None:
        self.changing = 0
        self.most_changing = 0
        self.threads: list[int] = []
        self.when_another_comes: Callable[[], object] = lambda: None
        self.before_it_ends: Callable[[], object] = lambda: None

    def __call__(self, *, using: str, application_ids: list[str]) -> None:
        self.changing += 1
        self.most_changing = max(self.most_changing, self.changing)
        if self.threads and threading.get_ident() != self.threads[-1]:
            self.when_another_comes()
        self.threads.append(threading.get_ident())
        time.sleep(0.02)
        self.before_it_ends()
        self.changing -= 1


turns = Turns()


@pytest.mark.only("postgresql")
class TestOneWorkerInTurns:
    APPLICATIONS = 24

    @pytest.fixture
    def turns(self, settings, monkeypatch) -> Turns:
        settings.CLEANUP_BATCH_SIZE = 4
        settings.CLEANUP_TREE_HOOK = f"{__name__}.turns"
        monkeypatch.setattr(sys.modules[__name__], "turns", Turns())
        return turns

    @pytest.mark.parametrize("undoing", [False, True], ids=["cleanup", "rollback"])
    def test_rows_are_changed_by_one_thread_at_a_time(self, database, turns, undoing):
        dirty_database.make(database, applications=self.APPLICATIONS)
        before = dirty_database.picture(database)
        service = service_of(database)
        report = service.cleanup_all_duplicate_folders()
        assert report.successful_cleanups == self.APPLICATIONS
        if undoing:
            turns.threads.clear()
            assert service.rollback_cleanup(report.run_id).successful == self.APPLICATIONS
            assert dirty_database.picture(database) == before
        assert len(set(turns.threads)) == 2
        assert turns.most_changing == 1

    def test_folders_come_back_before_the_turn_to_change_rows(self, database, settings, monkeypatch):
        settings.CLEANUP_BATCH_SIZE = 4
        dirty_database.make(database, applications=self.APPLICATIONS)
        before = dirty_database.picture(database)
        service = service_of(database)
        run = service.cleanup_all_duplicate_folders().run_id
        restore_images, restore_moved = Undoing.restore_images, Undoing.restore_moved
        changing: list[int] = []
        most_changing, came_back = [0], threading.Event()

        def noting_images(self, *arguments, **options):
            if set(changing) - {threading.get_ident()}:
                came_back.set()
            return restore_images(self, *arguments, **options)

        def noting_moves(self, *arguments, **options):
            changing.append(threading.get_ident())
            most_changing[0] = max(most_changing[0], len(changing))
            assert came_back.wait(timeout=60)
            time.sleep(0.02)  # if the other one did not wait for its turn, it would show now
            try:
                return restore_moved(self, *arguments, **options)
            finally:
                changing.remove(threading.get_ident())

        monkeypatch.setattr(Undoing, "restore_images", noting_images)
        monkeypatch.setattr(Undoing, "restore_moved", noting_moves)
        assert service.rollback_cleanup(run).successful == self.APPLICATIONS
        assert dirty_database.picture(database) == before
        assert most_changing == [1]

    def test_a_batch_is_changed_while_the_one_before_is_checked(self, scratch_database, turns, settings):
        settings.CLEANUP_TRIGGERS = "fire"
        settings.CLEANUP_LOCK_TIMEOUT_MS = 20_000
        dirty_database.make(scratch_database, applications=self.APPLICATIONS)
        execute(
            scratch_database,
            "CREATE FUNCTION wait_in_the_end() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN NEW; END $$",
            "CREATE CONSTRAINT TRIGGER wait_in_the_end AFTER UPDATE ON :files DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION wait_in_the_end()",
        )
        with psycopg.connect(databases.url_of(scratch_database)) as session:
            session.execute("SELECT pg_advisory_lock(77)")
            turns.when_another_comes = session.close
            report = service_of(scratch_database).cleanup_all_duplicate_folders()
        assert report.successful_cleanups == self.APPLICATIONS

    def test_a_batch_that_waits_is_given_back_when_the_run_is_told_to_stop(self, database, turns):
        dirty_database.make(database, applications=self.APPLICATIONS)

        def pause() -> None:
            service_of(database).pause()
            connections[database].close()

        def let_pause() -> None:
            if len(turns.threads) == 1:
                while statuses(database)["in_progress"] < 8:  # until the other one has claimed a batch, too
                    time.sleep(0.01)
                person = threading.Thread(target=pause)
                person.start()
                person.join()

        turns.before_it_ends = let_pause
        assert service_of(database).cleanup_all_duplicate_folders().status == "paused"
        found = Result.objects.using(database).values_list("status", "attempts").annotate(Count("pk"))
        assert sorted(found) == [("completed", 1, 4), ("pending", 0, self.APPLICATIONS - 4)]

    @pytest.mark.parametrize(
        "statements",
        [
            ["CREATE TABLE pairs (id int PRIMARY KEY, one {0} REFERENCES :folders, other {0} REFERENCES :folders)"],
            [
                "CREATE TABLE templates (id int PRIMARY KEY, folder {0} REFERENCES :folders)",
                "ALTER TABLE :folders ADD COLUMN template int REFERENCES templates",
            ],
            [
                "CREATE TABLE places (id int PRIMARY KEY, folder {0} UNIQUE REFERENCES :folders)",
                "CREATE TABLE seats (id int PRIMARY KEY REFERENCES places, folder {0} UNIQUE REFERENCES :folders)",
            ],
        ],
        ids=["two folders", "folders", "rows that give way"],
    )
    def test_applications_that_may_depend_on_each_other_are_done_in_order(self, scratch_database, turns, statements):
        dirty_database.make(scratch_database, applications=self.APPLICATIONS)
        key = folder_tables().folder_key.field.rel_db_type(connections[scratch_database])
        execute(scratch_database, *(statement.format(key) for statement in statements))
        report = service_of(scratch_database).cleanup_all_duplicate_folders()
        assert report.successful_cleanups == self.APPLICATIONS
        assert set(turns.threads) == {threading.get_ident()}

    def test_records_of_other_tables_are_undone_in_order(self, database, turns):
        dirty_database.make(database, applications=self.APPLICATIONS)
        report = service_of(database).cleanup_all_duplicate_folders()
        turns.threads.clear()
        SnapshotSchema.objects.using(database).create(digest="0" * 64, format_version=2, document="{}")
        assert service_of(database).rollback_cleanup(report.run_id).successful == self.APPLICATIONS
        assert set(turns.threads) == {threading.get_ident()}

    @pytest.mark.parametrize("why", ["few applications", "a duty cycle", "no second connection"])
    def test_one_thread_works_where_two_would_not_do(self, database, turns, settings, monkeypatch, why):
        dirty_database.make(database, applications=20 if why == "few applications" else self.APPLICATIONS)
        if why == "a duty cycle":
            settings.CLEANUP_DUTY_CYCLE = 0.9
        if why == "no second connection":
            wrapper = type(connections[database])
            connect, main = wrapper.get_new_connection, threading.get_ident()

            def refuse_others(self, params):
                given = params if threading.get_ident() == main else {**params, "user": "nobody_at_all"}
                return connect(self, given)

            monkeypatch.setattr(wrapper, "get_new_connection", refuse_others)
        report = service_of(database).cleanup_all_duplicate_folders()
        assert report.status == "completed"
        assert set(turns.threads) == {threading.get_ident()}


class TestOneBadApplication:
    def test_fails_alone(self, stubborn):
        database, bad = stubborn
        before = dirty_database.picture(database)
        report = service_of(database).cleanup_all_duplicate_folders()
        after = dirty_database.picture(database)
        assert [key for key in before if before[key] == after[key]] == [bad]
        assert (report.status, report.successful_cleanups, report.failed_cleanups) == ("completed", 6, 1)

    def test_is_recorded_with_class_and_code(self, stubborn):
        database, bad = stubborn
        service_of(database).cleanup_all_duplicate_folders()
        result = Result.objects.using(database).get(application_key=bad)
        assert (result.status, result.error_class) == ("failed", "data")
        assert result.error_code in ("23514", "SQLITE_CONSTRAINT_TRIGGER")
        assert result.point is None

    def test_leaves_no_name_in_rows_and_logs(self, stubborn, caplog):
        database, bad = stubborn
        with caplog.at_level(logging.DEBUG, logger="cleanup"):
            service_of(database).cleanup_all_duplicate_folders()
        assert bad in caplog.text
        assert SECRET not in caplog.text
        assert SECRET not in Result.objects.using(database).get(application_key=bad).error_message

    def test_is_tried_again_on_request(self, stubborn):
        database, bad = stubborn
        service = service_of(database)
        report = service.cleanup_all_duplicate_folders()
        drop_trigger(database)
        again = service.resume(report.run_id, retry_failed=True)
        assert (again.status, again.successful_cleanups, again.failed_cleanups) == ("completed", 7, 0)
        assert Result.objects.using(database).get(application_key=bad).error_message == ""

    def test_is_not_tried_again_unasked(self, stubborn):
        database, _ = stubborn
        service = service_of(database)
        report = service.cleanup_all_duplicate_folders()
        drop_trigger(database)
        with pytest.raises(NotResumable):
            service.resume(report.run_id)

    def test_raises_where_it_was_asked_for_alone(self, stubborn):
        database, bad = stubborn
        with pytest.raises(Exception, match="The database refused") as caught:
            service_of(database).consolidate_duplicate_folders(bad)
        assert SECRET not in str(caught.value)


class TestFailureRatio:
    @pytest.fixture
    def failing(self, scratch_database, settings) -> Callable[[int, int], str]:
        """Return a function that makes applications, the first ones of which fail."""
        settings.CLEANUP_TRIGGERS = "fire"

        def make(applications: int, bad: int) -> str:
            keys = dirty_database.make(scratch_database, applications=applications, children=1, files=1)
            make_stubborn(scratch_database, *keys[:bad])
            add_trigger(scratch_database, body=refusing_body(scratch_database))
            return scratch_database

        return make

    def test_over_a_half_of_the_last_fifty_stops_the_run(self, failing, settings):
        settings.CLEANUP_TARGET_TRANSACTION_MS = 60_000  # batches of ten, however slow the machine is
        settings.CLEANUP_DUTY_CYCLE = 0.99  # one batch after the other
        database = failing(60, 30)
        report = service_of(database).cleanup_all_duplicate_folders(batch_size=10)
        assert (report.status, report.failed_cleanups) == ("stopped", 30)
        assert report.status_reason == "30 of the last 50 applications failed"

    def test_a_half_does_not(self, failing):
        database = failing(60, 25)
        assert service_of(database).cleanup_all_duplicate_folders(batch_size=10).status == "completed"

    def test_stopped_run_gives_back_what_it_did_not_do(self, failing, settings):
        settings.CLEANUP_FAILURE_WINDOW = 4
        database = failing(20, 20)
        service_of(database).cleanup_all_duplicate_folders()
        assert statuses(database) == {"failed": 4, "pending": 16}

    def test_stopped_run_goes_on_when_the_cause_is_gone(self, failing, settings):
        settings.CLEANUP_FAILURE_WINDOW = 4
        database = failing(20, 20)
        service = service_of(database)
        stopped = service.cleanup_all_duplicate_folders()
        drop_trigger(database)
        report = service.resume(stopped.run_id, retry_failed=True)
        assert (report.status, report.successful_cleanups) == ("completed", 20)


class TestControlFromAnotherProcess:
    """A process works; here is another one. What it is told, it heeds after the batch that it is at."""

    FREEZE = "UPDATE cleanup_control SET frozen = true, reason = 'stop everything'"

    @pytest.mark.parametrize(
        ("order", "status", "reason"),
        [
            (lambda database, run: execute(database, TestControlFromAnotherProcess.FREEZE), "paused", "frozen: "),
            (lambda database, run: service_of(database).pause(run.pk, reason="lunch"), "paused", "lunch"),
            (lambda database, run: service_of(database).cancel(run.pk, reason="wrong one"), "cancelled", "wrong one"),
        ],
        ids=["frozen by plain SQL", "paused", "cancelled"],
    )
    def test_is_heeded(self, database, order, status, reason):
        dirty_database.make(database, applications=40)
        with forking(database) as processes:
            # It rests between batches: on SQLite a second writer gets its turn then.
            child = processes.start("cleanup_all_duplicate_folders", CLEANUP_BATCH_SIZE=2, CLEANUP_DUTY_CYCLE=0.2)
            child.wait_for(done=2)
            order(database, only_run(database))
            told = statuses(database)["completed"]
            assert child.wait() == 0
        run = only_run(database)
        assert run.status == status
        assert run.status_reason.startswith(reason)
        assert set(statuses(database)) == {"completed", "pending"}
        assert statuses(database)["completed"] <= told + 2


class TestPausing:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_by_a_signal_finishes_the_batch_and_says_why(self, database, number):
        dirty_database.make(database, applications=30)
        with forking(database) as processes:
            child = processes.start("cleanup_all_duplicate_folders", CLEANUP_BATCH_SIZE=2, CLEANUP_DUTY_CYCLE=0.2)
            child.wait_for(done=2)
            child.send(number)
            assert child.wait() == 0
        run = only_run(database)
        assert (run.status, run.status_reason) == ("paused", f"interrupted by {number.name}")
        assert set(statuses(database)) == {"completed", "pending"}

    def test_then_resuming_ends_as_if_undisturbed(self, database):
        dirty_database.make(database, applications=12)
        service = service_of(database)
        service.cleanup_all_duplicate_folders()
        undisturbed = dirty_database.picture(database)
        databases.wipe(database)
        dirty_database.make(database, applications=12)
        paused = service.cleanup_all_duplicate_folders(batch_size=5, progress=once(service.pause))
        report = service.resume(paused.run_id)
        assert (paused.status, report.status) == ("paused", "completed")
        assert (report.successful_cleanups, dirty_database.picture(database)) == (12, undisturbed)

    def test_a_run_that_nobody_works_is_at_once(self, database):
        dirty_database.make(database, applications=3)
        run = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        service_of(database).pause(run.pk, reason="wait for Ann")
        run.refresh_from_db()
        assert (run.status, run.status_reason) == ("paused", "wait for Ann")

    def test_progress_goes_on_where_it_was(self, database):
        dirty_database.make(database, applications=12)
        service = service_of(database)
        paused = service.cleanup_all_duplicate_folders(batch_size=5, progress=once(service.pause))
        seen = []
        service.resume(paused.run_id, progress=lambda state: seen.append(state.done))
        assert (seen[0], seen[-1]) == (5, 12)

    @pytest.mark.only("postgresql")
    def test_by_a_second_signal_aborts_the_batch(self, database):
        keys = dirty_database.make(database, applications=4)
        before = dirty_database.picture(database)
        with forking(database) as processes, locked_application(database, keys[0]) as session:
            child = processes.start("cleanup_all_duplicate_folders", CLEANUP_LOCK_TIMEOUT_MS=60_000)
            wait_for_waiter(session)
            child.send(signal.SIGINT)
            time.sleep(2)  # or both would be noticed as one
            child.send(signal.SIGINT)
            assert child.wait() == 1
            assert "KeyboardInterrupt" in processes.errors.read_text()
        run = only_run(database)
        assert (run.status, statuses(database)) == ("paused", {"pending": 4})
        assert dirty_database.picture(database) == before


class TestFreezing:
    def test_by_plain_sql_pauses_the_run(self, database):
        dirty_database.make(database, applications=12)
        freeze = "UPDATE cleanup_control SET frozen = true, reason = 'migration night'"
        report = service_of(database).cleanup_all_duplicate_folders(
            batch_size=5, progress=once(lambda: execute(database, freeze))
        )
        assert (report.status, report.status_reason) == ("paused", "frozen: migration night")
        assert report.successful_cleanups == 5

    def test_refuses_to_start_and_to_resume(self, database):
        keys = dirty_database.make(database, applications=2)
        service = service_of(database)
        run = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        service.freeze(reason="audit")
        for verb, argument in (
            (service.cleanup_all_duplicate_folders, False),
            (service.consolidate_duplicate_folders, keys[0]),
            (service.resume, run.pk),
            (service.rollback_cleanup, run.pk),
        ):
            with pytest.raises(Frozen, match="audit"):
                verb(argument)

    def test_lets_a_dry_run_look(self, database):
        dirty_database.make(database, applications=2)
        service = service_of(database)
        service.freeze(reason="audit")
        assert service.cleanup_all_duplicate_folders(dry_run=True).total_applications == 2

    def test_is_over_when_lifted(self, database):
        dirty_database.make(database, applications=2)
        service = service_of(database)
        service.freeze(reason="audit")
        service.unfreeze()
        assert service.cleanup_all_duplicate_folders().status == "completed"


class TestOneRunAtATime:
    def test_a_second_one_is_refused_by_the_id_of_the_first(self, database):
        dirty_database.make(database, applications=2)
        first = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        with pytest.raises(Busy, match=str(first.pk)) as caught:
            service_of(database).cleanup_all_duplicate_folders()
        assert caught.value.run_id == first.pk

    def test_the_database_refuses_what_comes_between(self, database):
        dirty_database.make(database, applications=2)
        first = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        with pytest.raises(Busy, match=str(first.pk)):
            lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())

    def test_a_single_application_takes_no_slot(self, database):
        keys = dirty_database.make(database, applications=2)
        lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        assert service_of(database).consolidate_duplicate_folders(keys[0]).folders_removed == 3

    def test_a_stopped_run_may_not_go_on_beside_another(self, database):
        dirty_database.make(database, applications=2)
        stopped = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        Run.objects.using(database).update(status=Run.Status.STOPPED)
        active = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        with pytest.raises(Busy, match=str(active.pk)):
            service_of(database).resume(stopped.pk)


class TestResuming:
    def test_an_unknown_run_is_refused(self, database):
        with pytest.raises(UnknownObject):
            service_of(database).resume(uuid.uuid4())

    def test_what_is_no_id_is_refused(self, database):
        with pytest.raises(InvalidKey):
            service_of(database).resume("../etc/passwd")

    def test_a_completed_run_is_refused(self, database):
        dirty_database.make(database, applications=1)
        report = service_of(database).cleanup_all_duplicate_folders()
        with pytest.raises(NotResumable, match="completed"):
            service_of(database).resume(report.run_id)

    def test_a_cancelled_run_is_refused(self, database):
        dirty_database.make(database, applications=1)
        run = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        service_of(database).cancel(run.pk)
        with pytest.raises(NotResumable, match="cancelled"):
            service_of(database).resume(run.pk, retry_failed=True)

    def test_on_another_database_is_refused(self, database):
        dirty_database.make(database, applications=1)
        run = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        Run.objects.using(database).update(database_identity="the original")
        with pytest.raises(ForeignDatabase, match=str(run.pk)):
            service_of(database).resume(run.pk)
        assert statuses(database) == {"pending": 1}

    def test_on_another_database_can_be_adopted(self, database):
        dirty_database.make(database, applications=1)
        run = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        Run.objects.using(database).update(database_identity="the original")
        assert service_of(database).resume(run.pk, adopt=True).status == "completed"
        assert only_run(database).database_identity == run.database_identity

    def test_a_cancelled_run_is_cancelled_while_it_works(self, database):
        dirty_database.make(database, applications=12)
        service = service_of(database)
        report = service.cleanup_all_duplicate_folders(batch_size=5, progress=once(service.cancel))
        assert (report.status, report.successful_cleanups) == ("cancelled", 5)
        assert only_run(database).ended_at is not None

    def test_joining_a_run_does_not_send_its_worker_away(self, database):
        dirty_database.make(database, applications=12)

        def join() -> None:
            lifecycle.reopen(using=database, run=only_run(database), retry_failed=False)

        report = service_of(database).cleanup_all_duplicate_folders(batch_size=5, progress=once(join))
        assert report.successful_cleanups == 12


class TestLeases:
    @pytest.fixture
    def run(self, database) -> Run:
        dirty_database.make(database, applications=3)
        run = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        Run.objects.using(database).update(status=Run.Status.RUNNING)
        return run

    def worker(self, using: str, run: Run) -> Worker:
        return Team(using=using, run=run, references=schema_changes.read(using=using)).worker()

    def expire(self, using: str, **changes: object) -> None:
        Result.objects.using(using).update(lease_expires_at=Now() - timedelta(seconds=1), **changes)

    def test_what_is_claimed_is_not_claimed_again(self, database, run):
        assert len(self.worker(database, run).claim()) == 3
        assert self.worker(database, run).claim() == []

    def test_a_claim_counts_the_attempt_before_the_work(self, database, run):
        self.worker(database, run).claim()
        assert set(Result.objects.using(database).values_list("status", "attempts")) == {("in_progress", 1)}

    def test_what_ran_out_is_claimed_alone(self, database, run):
        self.worker(database, run).claim()
        self.expire(database)
        assert len(self.worker(database, run).claim()) == 1

    def test_whoever_lost_the_lease_does_nothing(self, database, run):
        late = self.worker(database, run)
        claimed = late.claim()
        self.expire(database)
        self.worker(database, run).process()
        done = dirty_database.picture(database), list(Result.objects.using(database).order_by("pk").values())
        late.process_batch(claimed)
        assert (dirty_database.picture(database), list(Result.objects.using(database).order_by("pk").values())) == done
        assert RollbackPoint.objects.using(database).count() == 3

    def test_what_was_claimed_before_a_freeze_is_given_back(self, database, run):
        worker = self.worker(database, run)
        claimed = worker.claim()
        service_of(database).freeze(reason="audit")
        worker.process_batch(claimed)
        assert set(Result.objects.using(database).values_list("status", "attempts")) == {("pending", 0)}

    @pytest.mark.only("postgresql")
    def test_what_a_claim_holds_whose_commit_lost_its_answer_is_claimed_at_once(self, database, run, monkeypatch):
        connection = connections[database]
        commit = connection._commit

        def lose_the_answer() -> None:
            monkeypatch.undo()
            commit()
            connection.connection.close()
            raise OperationalError("server closed the connection unexpectedly")

        worker = self.worker(database, run)
        monkeypatch.setattr(connection, "_commit", lose_the_answer)
        worker.process()
        assert set(Result.objects.using(database).values_list("status", "attempts")) == {("completed", 1)}

    @pytest.mark.only("postgresql")
    def test_what_could_not_be_given_back_is_claimed_at_once(self, database, run):
        worker = self.worker(database, run)
        claimed = worker.claim()
        service = service_of(database)
        service.freeze(reason="audit")

        def lose_the_connection() -> None:
            connections[database].close()
            raise OperationalError("server closed the connection unexpectedly")

        gives_back = 'UPDATE "cleanup_result" SET "status"'
        with interfering(database, lambda sql: sql.startswith(gives_back), lose_the_connection):
            worker.process_batch(claimed)
        service.unfreeze()
        worker.process()
        assert set(Result.objects.using(database).values_list("status", "attempts")) == {("completed", 1)}

    @pytest.mark.only("postgresql")
    def test_work_that_a_crash_has_undone_without_its_claim_is_claimed_at_once(self, database, run):
        worker = self.worker(database, run)
        claimed = worker.claim()
        connections[database].close()
        assert worker.claim() == [replace(row, lease_token=ANY) for row in claimed]

    def test_whoever_lost_one_lease_of_a_batch_does_the_others(self, database, run):
        late = self.worker(database, run)
        claimed = late.claim()
        Result.objects.using(database).filter(pk=claimed[1].pk).update(lease_token=uuid.uuid4())
        late.process_batch(claimed)
        found = Result.objects.using(database).order_by("application_key").values_list("status", flat=True)
        assert list(found) == ["completed", "in_progress", "completed"]
        assert late.progress.failed == 0

    def test_a_batch_that_is_delivered_twice_is_done_once(self, database, run):
        worker = self.worker(database, run)
        claimed = worker.claim()
        worker.process_batch(claimed)
        worker.process_batch(claimed)
        assert RollbackPoint.objects.using(database).count() == 3
        assert statuses(database) == {"completed": 3}

    def test_after_three_attempts_a_result_is_set_aside(self, database, run):
        keys = list(Result.objects.using(database).order_by("pk").values_list("pk", flat=True))
        self.worker(database, run).claim()
        self.expire(database)
        Result.objects.using(database).filter(pk=keys[1]).update(attempts=3)
        report = service_of(database).resume(run.pk)
        result = Result.objects.using(database).get(pk=keys[1])
        assert (result.status, result.error_code) == ("failed", "attempts")
        assert (report.status, report.successful_cleanups, report.failed_cleanups) == ("completed", 2, 1)

    def test_of_another_machine_is_waited_for(self, database, run, settings):
        settings.CLEANUP_LEASE_SECONDS = 1
        self.worker(database, run).claim()
        Result.objects.using(database).update(worker="elsewhere:1:1")
        started = time.monotonic()
        assert service_of(database).resume(run.pk).status == "completed"
        assert time.monotonic() - started > 0.5


class TestWorkersOfOneProcess:
    """What two workers make of what is left of a run."""

    def team(self, using: str, *, applications: int = 0, workers: int = 2) -> Team:
        run = Run(kind=Run.Kind.CLEANUP, total_applications=applications)
        return Team(using=using, run=run, references=schema_changes.read(using=using), workers=workers)

    def batch_size(self, team: Team, size: int) -> int:
        """Return what a worker claims whose batches have grown to a size."""
        pace = team.worker().pacing
        pace.most = pace._size = size
        return pace.batch_size()

    @pytest.mark.parametrize(("done", "batch"), [(0, 80), (1600, 80), (1760, 60), (1840, 40), (1999, 20)])
    def test_take_less_towards_the_end(self, database, done, batch):
        team = self.team(database, applications=2000)
        team.progress.count([Outcome("completed")] * done)
        assert self.batch_size(team, 80) == batch

    def test_take_no_more_than_a_batch(self, database):
        assert self.batch_size(self.team(database, applications=2000), 3) == 3

    def test_leave_nothing_to_others_where_there_are_none(self, database):
        assert self.batch_size(self.team(database, applications=10, workers=1), 80) == 80

    def test_wait_no_longer_than_for_each_other(self, database, monkeypatch):
        monkeypatch.setattr(progress, "WAIT_SECONDS", 600)
        shared = self.team(database).progress
        waiting = threading.Thread(target=shared.wait, kwargs={"seen": shared.done}, daemon=True)
        waiting.start()
        shared.count([Outcome("completed")])
        waiting.join(timeout=60)
        assert not waiting.is_alive()


class TestRollbackRuns:
    def test_a_paused_one_goes_on(self, database, settings):
        settings.CLEANUP_BATCH_SIZE = 5
        dirty_database.make(database, applications=12)
        before = dirty_database.picture(database)
        service = service_of(database)
        cleaned = service.cleanup_all_duplicate_folders()

        def pause() -> None:
            service.pause(only_run(database, kind=Run.Kind.ROLLBACK).pk)

        paused = service.rollback_cleanup(cleaned.run_id, progress=once(pause))
        assert not paused
        assert (paused.status, paused.successful) == ("paused", 5)
        done = service.resume(paused.run_id)
        assert done
        assert (done.status, done.successful, done.exact) == ("completed", 12, True)
        assert dirty_database.picture(database) == before

    def test_totals_are_those_of_the_cleanup(self, database):
        dirty_database.make(database, applications=5)
        service = service_of(database)
        cleaned = service.cleanup_all_duplicate_folders()
        undone = service.rollback_cleanup(cleaned.run_id)
        assert (undone.folders_restored, undone.files_restored) == (
            cleaned.total_folders_removed,
            cleaned.total_files_moved,
        )

    def test_one_application_in_conflict_holds_back_no_other(self, database):
        keys = dirty_database.make(database, applications=5)
        service = service_of(database)
        cleaned = service.cleanup_all_duplicate_folders()
        moved = File.objects.using(database).filter(application=keys[2])
        elsewhere = Folder.objects.using(database).filter(application=keys[2], parent=None).get()
        moved.update(folder=elsewhere)
        undone = service.rollback_cleanup(cleaned.run_id)
        assert (bool(undone), undone.successful, undone.failed) == (False, 4, 1)
        assert {conflict.application_id for conflict in undone.conflicts} == {keys[2]}


# Errors of real databases.


@contextmanager
def locked_application(using: str, key: str):
    """Hold the lock of an application in a session of its own, and give it."""
    with psycopg.connect(databases.url_of(using)) as session:
        session.execute(sql(using, "SELECT FROM :applications WHERE :applications.key = %s FOR UPDATE"), [key])
        yield session


def wait_for_waiter(session: psycopg.Connection) -> None:
    """Wait until a session waits for this one; other tests' sessions on the same server wait for each other, too."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    for _ in range(3000):
        if session.execute(waiting).fetchone() != (0,):
            return
        time.sleep(0.01)
    raise AssertionError("nobody waits for the lock")


def told_by_work(captured: CaptureQueriesContext) -> list[str]:
    """Leave out what shortens the waits of a transaction that has become late, on a busy machine.

    And what reads SQLite's schema, which is done once a connection.
    """
    told = (query["sql"] for query in captured.captured_queries)
    return [sql for sql in told if "set_config" not in sql and "sqlite_master" not in sql]


@contextmanager
def interfering(using: str, at: Callable[[str], bool], action: Callable[[], None]):
    """Do something from elsewhere, once, just before the first statement that `at` is true of."""
    waiting = [action]

    def wrapper(run, sql, params, many, context):
        if waiting and at(sql):
            waiting.pop()()
        return run(sql, params, many, context)

    with connections[using].execute_wrapper(wrapper):
        yield
    assert not waiting, "that statement never came"


@pytest.mark.only("postgresql")
class TestTransientErrors:
    def test_a_lock_that_is_kept_fails_that_application_alone(self, database, settings):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 20
        keys = dirty_database.make(database, applications=4)
        with locked_application(database, keys[1]):
            report = service_of(database).cleanup_all_duplicate_folders()
        result = Result.objects.using(database).get(application_key=keys[1])
        assert (result.status, result.error_class, result.error_code) == ("failed", "transient", "55P03")
        assert result.attempts == 3
        assert report.successful_cleanups == 3

    def test_a_lock_that_is_given_back_does_no_harm(self, database, settings):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 20
        keys = dirty_database.make(database, applications=4)
        with locked_application(database, keys[1]) as session:
            timer = threading.Timer(0.15, session.rollback)
            timer.start()
            report = service_of(database).cleanup_all_duplicate_folders()
            timer.join()
        assert report.successful_cleanups == 4

    def test_a_deadlock_is_yielded_to_and_tried_again(self, database, settings):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 20_000
        dirty_database.make(database, applications=1)
        execute(database, "SET deadlock_timeout = '100ms'")
        moving = File.objects.using(database).exclude(folder__parent__in=first_root(database))
        outcome = []
        with psycopg.connect(databases.url_of(database)) as host:
            host.execute("SET deadlock_timeout = '20s'")
            host.execute(
                sql(database, "UPDATE :files SET file_size = 1 WHERE :files.key = ANY(%s)"),
                [[file.pk for file in moving]],
            )

            def cross() -> None:
                wait_for_waiter(host)
                host.execute(sql(database, "UPDATE :folders SET updated_at = now()"))
                host.commit()
                outcome.append("the host was let through")

            thread = threading.Thread(target=cross)
            thread.start()
            report = service_of(database).cleanup_all_duplicate_folders()
            thread.join()
        assert (report.successful_cleanups, outcome) == (1, ["the host was let through"])

    @pytest.mark.parametrize("undoing", [False, True], ids=["cleanup", "rollback"])
    def test_waits_that_add_up_do_not_make_the_host_lose(self, database, undoing):
        keys = dirty_database.make(database, applications=3)
        service = service_of(database)
        done = service.cleanup_all_duplicate_folders() if undoing else None
        outcome = []
        with ExitStack() as stack:
            host = stack.enter_context(psycopg.connect(databases.url_of(database)))
            host.execute(
                sql(database, "UPDATE :folders SET updated_at = now() WHERE :folders.application = %s"), keys[:1]
            )
            holders = [stack.enter_context(locked_application(database, key)) for key in keys[1:]]

            def cross() -> None:
                wait_for_waiter(holders[0])
                lock = sql(database, "SELECT FROM :applications WHERE :applications.key = %s FOR KEY SHARE")
                host.execute(lock, keys[:1])
                host.commit()
                outcome.append("the host was let through")

            def give_back() -> None:
                for holder in holders:
                    wait_for_waiter(holder)
                    time.sleep(0.35)  # two of these, and the server looks for deadlocks soon after
                    holder.rollback()

            threads = [threading.Thread(target=target) for target in (cross, give_back)]
            for thread in threads:
                thread.start()
            report = service.rollback_cleanup(done.run_id) if done else service.cleanup_all_duplicate_folders()
            for thread in threads:
                thread.join()
        assert outcome == ["the host was let through"]
        assert report.status == "completed"
        assert not Result.objects.using(database).filter(status="failed").exists()

    def test_a_slow_statement_fails_that_application_alone(self, scratch_database, settings):
        settings.CLEANUP_STATEMENT_TIMEOUT_MS = 200
        settings.CLEANUP_TRIGGERS = "fire"
        keys = dirty_database.make(scratch_database, applications=3)
        make_stubborn(scratch_database, keys[0])
        add_trigger(scratch_database, body="PERFORM pg_sleep(10);")
        report = service_of(scratch_database).cleanup_all_duplicate_folders()
        result = Result.objects.using(scratch_database).get(application_key=keys[0])
        assert (result.error_class, result.error_code, report.successful_cleanups) == ("transient", "57014", 2)

    @pytest.mark.parametrize(
        "statement",
        [
            pytest.param("FOR UPDATE OF r SKIP LOCKED", id="in the claim"),
            pytest.param("AND r.lease_token", id="at the start of the work"),
            pytest.param(named('":files" AS t\n'), id="in the work"),
            pytest.param('UPDATE "cleanup_result" AS t', id="at the end of the work"),
        ],
    )
    def test_a_lost_connection_is_opened_again(self, database, statement):
        dirty_database.make(database, applications=5)
        service = service_of(database)
        execute(database, "SELECT 1")
        pid = connections[database].connection.info.backend_pid

        def terminate() -> None:
            with psycopg.connect(databases.url_of(database)) as session:
                session.execute("SELECT pg_terminate_backend(%s)", [pid])

        with interfering(database, lambda sql: statement in sql, terminate):
            report = service.cleanup_all_duplicate_folders(batch_size=2)
        assert (report.status, report.successful_cleanups) == ("completed", 5)
        assert RollbackPoint.objects.using(database).count() == 5


def first_root(using: str) -> list[uuid.UUID]:
    return [Folder.objects.using(using).filter(parent=None).earliest("created_at").pk]


class TestSystemErrors:
    @pytest.mark.only("postgresql")
    def test_pause_the_run_and_charge_nobody(self, scratch_database, settings):
        settings.CLEANUP_TRIGGERS = "fire"
        keys = dirty_database.make(scratch_database, applications=5)
        make_stubborn(scratch_database, keys[2])
        add_trigger(scratch_database, body=refusing_body(scratch_database, state="53100"))
        report = service_of(scratch_database).cleanup_all_duplicate_folders()
        assert (report.status, report.failed_cleanups) == ("paused", 0)
        assert "53100" in report.status_reason
        assert statuses(scratch_database) == {"completed": 2, "pending": 3}

    @pytest.mark.only("postgresql")
    def test_mended_let_the_run_go_on(self, scratch_database, settings):
        settings.CLEANUP_TRIGGERS = "fire"
        keys = dirty_database.make(scratch_database, applications=5)
        make_stubborn(scratch_database, keys[2])
        add_trigger(scratch_database, body=refusing_body(scratch_database, state="53100"))
        paused = service_of(scratch_database).cleanup_all_duplicate_folders()
        drop_trigger(scratch_database)
        report = service_of(scratch_database).resume(paused.run_id)
        assert (report.status, report.successful_cleanups) == ("completed", 5)

    @pytest.mark.only("sqlite")
    def test_writer_of_another_process_is_waited_for(self, database):
        dirty_database.make(database, applications=5)
        execute(database, "PRAGMA busy_timeout = 20")
        script = [
            "import sqlite3, sys, time",
            "other = sqlite3.connect(sys.argv[1], isolation_level=None)",
            "other.execute('BEGIN IMMEDIATE')",
            "print('locked', flush=True)",
            "time.sleep(0.3)",
            "other.execute('ROLLBACK')",
        ]

        def lock() -> None:
            process = subprocess.Popen(
                [sys.executable, "-c", "\n".join(script), connections[database].settings_dict["NAME"]],
                stdout=subprocess.PIPE,
            )
            assert process.stdout.readline() == b"locked\n"
            others.append(process)

        others: list[subprocess.Popen] = []
        report = service_of(database).cleanup_all_duplicate_folders(batch_size=2, progress=once(lock))
        for process in others:
            process.communicate()
        assert (report.status, report.successful_cleanups) == ("completed", 5)


@pytest.mark.only("postgresql")
class TestErrorClasses:
    @pytest.mark.parametrize(
        ("state", "kind"),
        [
            ("40001", "transient"),
            ("40P01", "transient"),
            ("55P03", "transient"),
            ("57014", "transient"),
            ("57P01", "transient"),
            ("25P03", "transient"),
            ("08006", "transient"),
            ("23505", "data"),
            ("23503", "data"),
            ("23514", "data"),
            ("22P02", "data"),
            ("P0001", "data"),
            ("25006", "system"),
            ("42501", "system"),
            ("42P01", "system"),
            ("53100", "system"),
            ("53200", "system"),
            ("53300", "system"),
            ("XX001", "system"),
        ],
    )
    def test_follow_the_sqlstate(self, database, state, kind):
        body = f"RAISE EXCEPTION '{SECRET}' USING ERRCODE = '{state}', DETAIL = '{SECRET}', CONSTRAINT = 'one_root'"
        with pytest.raises(Exception, match=SECRET) as caught:
            execute(database, f"DO $$ BEGIN {body}; END $$")
        found = classify(caught.value)
        assert (found.kind, found.code) == (kind, state)
        assert "one_root" in found.message
        assert SECRET not in found.message

    def test_a_read_only_transaction_is_the_systems(self, database):
        with pytest.raises(Exception, match="read-only") as caught, transaction.atomic(using=database):
            execute(database, "SET TRANSACTION READ ONLY", "DELETE FROM :files")
        assert classify(caught.value).kind == "system"
