"""The totals of a run equal the sum of its results, no matter which workers processed it and how it was interrupted."""

from collections.abc import Callable

import pytest
from django.db.models import Count, Q, Sum

from cleanup.models import Hold, Result, Run
from cleanup.references import schema_changes
from cleanup.services import DatabaseCleanupService
from cleanup.services.runs import lifecycle, reports
from cleanup.services.runs.late_arrivals import LateArrivals
from cleanup.services.runs.team import Team
from tests.support import dirty_database
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import execute, fetch, tree

APPLICATIONS = 6


def kept(run: Run) -> tuple[int, ...]:
    run.refresh_from_db()
    return run.done_applications, run.failed_applications, run.folders_removed, run.files_moved


def summed(run: Run) -> tuple[int, ...]:
    found = run.results.aggregate(
        done=Count("pk", filter=~Q(status__in=Result.OPEN)),
        failed=Count("pk", filter=Q(status="failed")),
        folders=Sum("folders_removed"),
        files=Sum("files_moved"),
    )
    return found["done"], found["failed"], found["folders"], found["files"]


def assert_totals_are_sums(run: Run, *, done: int | None = None) -> None:
    assert kept(run) == summed(run)
    assert done is None or run.done_applications == done


class Killed(BaseException):
    """The process no longer exists."""


@pytest.fixture
def cleanup(database) -> Run:
    dirty_database.make(database, applications=APPLICATIONS)
    held = Application.objects.using(database).order_by("pk").last()
    Hold.objects.using(database).create(application_key=str(held.pk))
    return lifecycle.create_cleanup(using=database, options=lifecycle.Options(batch_size=2), actor=lifecycle.Actor())


@pytest.fixture(params=["cleanup", "undo"])
def run(request, database) -> Run:
    if request.param == "cleanup":
        return request.getfixturevalue("cleanup")
    dirty_database.make(database, applications=APPLICATIONS)
    report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
    source = Run.objects.using(database).get(pk=report.run_id)
    options = lifecycle.Options(batch_size=2)
    return lifecycle.create_rollback(
        using=database, source=source, point=None, options=options, actor=lifecycle.Actor()
    )


def team(run: Run, after_first: Callable[[], None] | None = None) -> Team:
    """Return a team that works in batches of two, and does something after its first."""
    waiting = [after_first] if after_first else []

    def progress(state) -> None:
        if state.done and waiting:
            waiting.pop()()

    using = run._state.db
    return Team(using=using, run=run, references=schema_changes.read(using=using), batch_size=2, progress=progress)


class TestOfALongRun:
    """Its results are read in pages."""

    MANY = 2_100

    def make(self, database: str, kind: str, details: dict[str, object]) -> Run:
        run = Run.objects.using(database).create(kind=kind, status="completed", total_applications=self.MANY)
        rows = (
            Result(run=run, application_key=str(number or ""), status="completed", details=details)
            for number in range(self.MANY)
        )
        Result.objects.using(database).bulk_create(rows)
        return run

    def test_a_rollback(self, database):
        run = self.make(database, "rollback", {"folders_restored": 2, "files_restored": 3})
        restored = reports.rollback_report(run, using=database)
        assert (restored.folders_restored, restored.files_restored) == (2 * self.MANY, 3 * self.MANY)

    def test_a_cleanup(self, database):
        run = self.make(database, "cleanup", {"moved": {"files": 3}})
        assert reports.cleanup_report(run, using=database).total_rows_moved == {"files": 3 * self.MANY}


class TestOfTwoTeams:
    def test_are_right_where_one_ends_the_run_while_the_other_rests(self, run):
        team(run, after_first=lambda: team(Run.objects.using(run._state.db).get(pk=run.pk)).work()).work()
        assert_totals_are_sums(run, done=APPLICATIONS)

    def test_are_right_where_the_run_was_paused_and_resumed_while_one_rested(self, run):
        def pause_and_resume() -> None:
            using = run._state.db
            again = Run.objects.using(using).get(pk=run.pk)
            lifecycle.halt(using=using, run=again, reason="a test")
            lifecycle.reopen(using=using, run=again, retry_failed=False)
            team(again).work()

        team(run, after_first=pause_and_resume).work()
        assert_totals_are_sums(run, done=APPLICATIONS)


class TestOfAWorkerThatIsKilled:
    def kill_after_a_batch(self, run: Run) -> None:
        def kill() -> None:
            raise Killed

        with pytest.raises(Killed):
            team(run, after_first=kill).work()

    def test_hold_what_it_has_done(self, run):
        self.kill_after_a_batch(run)
        assert_totals_are_sums(run, done=2)

    def test_are_right_when_the_run_is_cancelled(self, run):
        self.kill_after_a_batch(run)
        lifecycle.cancel(using=run._state.db, run=run, reason="a test")
        assert_totals_are_sums(run, done=2)

    def test_are_right_when_the_run_goes_on(self, run):
        self.kill_after_a_batch(run)
        lifecycle.reopen(using=run._state.db, run=run, retry_failed=False)
        team(run).work()
        assert_totals_are_sums(run, done=APPLICATIONS)

    def test_count_what_is_set_aside_after_too_many_attempts(self, run):
        using = run._state.db
        Run.objects.using(using).filter(pk=run.pk).update(status="running")
        team(run).worker().claim()
        run.results.filter(status="in_progress").update(attempts=3, lease_expires_at=run.created_at)
        worker = team(run).worker()
        while claimed := worker.claim():
            worker.process_batch(claimed)
        assert_totals_are_sums(run, done=APPLICATIONS)
        assert run.failed_applications == 2


class TestOfAFailure:
    def test_count_it_at_once_and_no_more_when_it_is_to_be_tried_again(self, cleanup):
        using = cleanup._state.db
        Run.objects.using(using).filter(pk=cleanup.pk).update(options={**cleanup.options, "plan_hash": "of another"})
        cleanup.refresh_from_db()
        team(cleanup).work()
        assert_totals_are_sums(cleanup, done=APPLICATIONS)
        assert cleanup.failed_applications == APPLICATIONS - 1
        lifecycle.reopen(using=using, run=cleanup, retry_failed=True)
        assert_totals_are_sums(cleanup, done=1)
        lifecycle.cancel(using=using, run=cleanup, reason="a test")
        assert_totals_are_sums(cleanup, done=1)


@pytest.mark.only("postgresql")
class TestOfARunThatHasEnded:
    def test_count_a_file_that_arrives_late(self, scratch_database):
        key = "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND confrelid = %s::regclass"
        tables = [f'"{model.objects.model._meta.db_table}"' for model in (File, Folder)]
        ((constraint,),) = fetch(scratch_database, key, *tables)
        execute(scratch_database, f'ALTER TABLE {tables[0]} DROP CONSTRAINT "{constraint}"')
        made = tree(scratch_database, "stays:A(1), gone:A(late.pdf)")
        report = DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        File.objects.using(scratch_database).filter(pk=made["late.pdf"]).update(folder_id=made["gone"])
        references = schema_changes.read(using=scratch_database)
        assert LateArrivals(using=scratch_database, references=references).sweep().total() == 1
        run = Run.objects.using(scratch_database).get(pk=report.run_id)
        assert_totals_are_sums(run, done=1)
        assert run.files_moved == 2
