"""What others do between two batches of an undo: deploys, holds, and the undo of a run that overlaps it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connections

from cleanup import exceptions
from cleanup.models import Hold, Result
from cleanup.services import CleanupReport, DatabaseCleanupService
from cleanup.services.results import RollbackResult
from cleanup.signals import merge_undone
from tests.support.trees import dump, execute, is_postgresql, tree


@pytest.fixture
def service(scratch_database) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=scratch_database)


@pytest.fixture
def was(scratch_database, settings) -> dict[str, list[str]]:
    settings.CLEANUP_BATCH_SIZE = 1
    execute(scratch_database, "ALTER TABLE :folders ADD COLUMN note varchar(20)")
    for _ in range(3):
        tree(scratch_database, "A/Docs(1), A/Docs(2)")
    execute(scratch_database, "UPDATE :folders SET note = 'words'")
    return dump(scratch_database)


@pytest.fixture
def run(service, was) -> CleanupReport:
    return service.cleanup_all_duplicate_folders()


@contextmanager
def after_the_first(action: Callable[[], object]) -> Iterator[None]:
    """Do something as soon as one application is undone."""
    heard = []

    def receive(**_: object) -> None:
        heard.append(1)
        if len(heard) == 1:
            action()

    merge_undone.connect(receive)
    try:
        yield
    finally:
        merge_undone.disconnect(receive)
    assert heard


class TestDeploys:
    def undo(self, service: DatabaseCleanupService, run: CleanupReport, *statements: str) -> RollbackResult:
        with after_the_first(lambda: [execute(service.using, statement) for statement in statements]):
            return service.rollback_cleanup(run.run_id)

    def test_that_add_tables_and_indexes_are_no_obstacle(self, scratch_database, service, was, run):
        statements = "CREATE TABLE later (id integer PRIMARY KEY, note text)", "CREATE INDEX notes ON :folders (note)"
        assert self.undo(service, run, *statements).exact
        assert dump(scratch_database) == was | {"later": []}

    def test_that_add_columns_are_no_obstacle(self, scratch_database, service, was, run):
        statements = (
            "ALTER TABLE :files ADD COLUMN later integer DEFAULT 5",
            "ALTER TABLE :folders ADD COLUMN later integer NOT NULL DEFAULT 7",
        )
        assert self.undo(service, run, *statements).exact
        after = dump(scratch_database)
        assert {name: len(rows) for name, rows in after.items()} == {name: len(rows) for name, rows in was.items()}
        assert after != was

    @pytest.fixture
    def statements(self, scratch_database) -> tuple[str, ...]:
        """Return a change of a column that was journaled, and what takes it back."""
        if is_postgresql(scratch_database):
            return tuple(f"ALTER TABLE :folders ALTER note TYPE varchar({size})" for size in (5, 20))
        return tuple(f"ALTER TABLE :folders RENAME COLUMN {names}" for names in ("note TO remark", "remark TO note"))

    def test_that_change_a_column_stop_the_rest_until_it_is_as_it_was(self, service, was, run, statements):
        undone = self.undo(service, run, statements[0])
        assert (undone.successful, undone.failed) == (1, 2)
        failed = Result.objects.using(service.using).filter(run=undone.run_id, status="failed")
        assert all("folders.note" in result.error_message for result in failed)
        execute(service.using, statements[1])
        again = service.rollback_cleanup(run.run_id)
        assert (again.successful, again.failed) == (2, 0)
        assert dump(service.using) == was


class TestHolds:
    def test_put_on_what_is_to_be_undone_do_not_stop_it(self, scratch_database, service, was, run):
        held = [result.application_id for result in run.results]
        with after_the_first(lambda: [service.hold(application, reason="audit") for application in held]):
            undone = service.rollback_cleanup(run.run_id)
        assert (undone.exact, dump(scratch_database)) == (True, was)
        assert Hold.objects.using(scratch_database).filter(reason="audit").count() == 3


class TestOverlappingRuns:
    @pytest.mark.only("postgresql")
    def test_undone_at_once_come_back_one_after_the_other(self, scratch_database, service, was, run):
        merged = dump(scratch_database)
        tree(scratch_database, "A/Docs(3)", application=run.results[0].application_id)
        came = {name: set(rows) - set(merged[name]) for name, rows in dump(scratch_database).items()}
        second = service.cleanup_all_duplicate_folders()

        def undo(which: CleanupReport) -> RollbackResult:
            try:
                return service.rollback_cleanup(which.run_id)
            finally:
                connections[scratch_database].close()

        with ThreadPoolExecutor() as pool:
            later, earlier = pool.map(undo, (second, run))
        assert (later.exact, earlier.failed in (0, 1)) == (True, True)
        if earlier.failed:
            assert service.rollback_cleanup(run.run_id).exact
        with pytest.raises(exceptions.AlreadyRolledBack):
            service.rollback_cleanup(second.run_id)
        assert {name: set(rows) for name, rows in dump(scratch_database).items()} == {
            name: {*rows, *came[name]} for name, rows in was.items()
        }
