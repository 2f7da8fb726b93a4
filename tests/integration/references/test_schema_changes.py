"""Deploys of the host while a cleanup, an undo or a caller is at work: nothing is lost, or it stops and says why."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from cleanup import backends, exceptions
from cleanup.models import QueuedApplication, Result, RollbackPoint, Run
from cleanup.references import schema_changes
from cleanup.references.readiness import ready_references
from cleanup.services import DatabaseCleanupService
from cleanup.services.folders.structure import get_or_create_folder_structure
from cleanup.services.runs import late_arrivals, lifecycle
from tests.support import databases
from tests.support.trees import (
    Tree,
    assert_tree,
    dump,
    execute,
    fetch,
    is_postgresql,
    key_type,
    label,
    named,
    raw,
    sql,
    tree,
)

#: Two roots and two folders of one name below them; three applications of this are merged in three batches.
DUPLICATES = "stays:A/B(x.pdf), gone:A/B(y.pdf)"

CASCADE, SET_NULL = "ON DELETE CASCADE", "ON DELETE SET NULL"


def service_of(database: str) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=database)


def run_sql(database: str, *statements: str) -> None:
    for statement in statements:
        execute(database, statement.replace("KEYTYPE", key_type(database)))


def tags(action: str = "", *, name: str = "tag") -> tuple[str, str]:
    """Return what a deploy does that makes a table whose rows belong to folders, and fills it."""
    return (
        f"CREATE TABLE {name} (id integer PRIMARY KEY, folder KEYTYPE REFERENCES :folders {action}, word text)",
        f"INSERT INTO {name} SELECT row_number() OVER (ORDER BY :folders.key), :folders.key, 'important' FROM :folders",
    )


COLOR = (
    "ALTER TABLE :folders ADD COLUMN color varchar(100)",
    "UPDATE :folders SET color = 'of ' || CAST(:folders.key AS varchar(50))",
)


def trigger(database: str, table: str) -> str:
    """Return what makes a trigger that spoils what is written to a table."""
    if not is_postgresql(database):
        return f"CREATE TRIGGER spoil AFTER UPDATE ON {table} BEGIN UPDATE :files SET :files.name = 'spoiled'; END"
    return (
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        f" CREATE TRIGGER spoil BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION spoil()"
    )


def after_batches(number: int, action: Callable[[], object]) -> Callable[[object], None]:
    """Return a progress callback that does something once, when so many applications are done."""
    waiting = [action]

    def progress(state) -> None:
        if waiting and state.done >= number:
            waiting.pop()()

    return progress


def in_another_session(database: str, *statements: str) -> None:
    """Execute and commit statements elsewhere."""
    with psycopg.connect(databases.url_of(database), autocommit=True) as session:
        for statement in statements:
            session.execute(sql(database, statement.replace("KEYTYPE", key_type(database))))


@contextmanager
def once_after(monkeypatch, target: object, name: str, action: Callable[[], object]) -> Iterator[None]:
    """Do something once, when a function has been called."""
    original, waiting = getattr(target, name), [action]

    def wrapper(*args, **options):
        answer = original(*args, **options)
        if waiting:
            waiting.pop()()
        return answer

    with monkeypatch.context() as patches:
        patches.setattr(target, name, wrapper)
        yield
    assert not waiting, f"{name} was not called"


@pytest.fixture
def loans(scratch_database) -> list[Tree]:
    return [tree(scratch_database, DUPLICATES) for _ in range(3)]


@pytest.fixture
def prepared(scratch_database, loans) -> dict[str, list[str]]:
    """Have a table of rows that refer to folders and a column of folders, and return all rows."""
    run_sql(scratch_database, *tags(name="note"), *COLOR)
    return dump(scratch_database)


def clean_and_deploy(database: str, *statements: str):
    """Clean up in batches of one application, with a deploy after the first of them."""
    deploy = after_batches(1, lambda: run_sql(database, *statements))
    return service_of(database).cleanup_all_duplicate_folders(batch_size=1, progress=deploy)


class TestBetweenTwoBatches:
    @pytest.mark.parametrize("action", [CASCADE, SET_NULL, ""])
    def test_a_table_that_refers_to_folders_loses_nothing(self, scratch_database, loans, action):
        before, tagged = dump(scratch_database), []
        deploy = after_batches(
            1, lambda: (run_sql(scratch_database, *tags(action)), tagged.append(dump(scratch_database)["tag"]))
        )
        report = service_of(scratch_database).cleanup_all_duplicate_folders(batch_size=1, progress=deploy)
        assert (report.status, report.successful_cleanups) == ("completed", 3)
        dangling = "SELECT count(*) FROM tag WHERE folder IS NULL OR folder NOT IN (SELECT :folders.key FROM :folders)"
        assert fetch(scratch_database, f"{dangling} OR word <> 'important'") == [(0,)]

        assert service_of(scratch_database).rollback_cleanup(report.run_id).exact
        after = dump(scratch_database)
        assert [after.pop("tag")] == tagged
        assert after == before

    def test_a_column_of_folders_is_in_the_images(self, scratch_database, loans):
        seen = []
        deploy = after_batches(1, lambda: (run_sql(scratch_database, *COLOR), seen.append(colors(scratch_database))))
        report = service_of(scratch_database).cleanup_all_duplicate_folders(batch_size=1, progress=deploy)
        assert service_of(scratch_database).rollback_cleanup(report.run_id).exact
        colored = {key: color for key, color in colors(scratch_database).items() if color}
        assert [colored] == seen

    def test_snapshot_schemas_are_as_many_as_there_were(self, scratch_database, loans):
        clean_and_deploy(scratch_database, *COLOR)
        schemas = RollbackPoint.objects.using(scratch_database).order_by("id").values_list("schema", flat=True)
        first, *others = schemas
        assert (len(others), len(set(others)), first in others) == (2, 1, False)

    def test_tables_are_read_again_as_often_as_they_change(self, scratch_database):
        """Each batch but the first meets another change: to a type, a column, a name."""
        changes = [
            "ALTER TABLE :folders RENAME COLUMN color TO colour",
            "ALTER TABLE :folders DROP COLUMN colour",
            "ALTER TABLE note RENAME COLUMN folder TO place",
            "ALTER TABLE note RENAME TO memo",
            "ALTER TABLE memo DROP COLUMN word",
        ]
        if is_postgresql(scratch_database):
            types = ("ALTER TABLE :folders ALTER color TYPE text", "ALTER TABLE note ALTER word SET NOT NULL")
            changes = [*types, *changes]
        many = len(changes) + 1
        for _ in range(many):
            tree(scratch_database, DUPLICATES)
        run_sql(scratch_database, *tags(name="note"), *COLOR)
        noted = len(dump(scratch_database)["note"])
        waiting = list(changes)

        def progress(state) -> None:
            while waiting and state.done > len(changes) - len(waiting):
                run_sql(scratch_database, waiting.pop(0))

        report = service_of(scratch_database).cleanup_all_duplicate_folders(batch_size=1, progress=progress)
        assert (report.status, report.successful_cleanups, report.failed_cleanups) == ("completed", many, 0)
        assert waiting == []
        assert len(dump(scratch_database)["memo"]) == noted

    def test_a_unique_key_makes_rows_collide(self, scratch_database, prepared):
        report = clean_and_deploy(
            scratch_database,
            "DELETE FROM note WHERE folder IN (SELECT folder FROM note GROUP BY folder HAVING count(*) > 1)",
            "CREATE UNIQUE INDEX one_word ON note (folder, word)",
        )
        results = Result.objects.using(scratch_database).order_by("pk").values_list("status", "error_code")
        assert list(results) == [("completed", ""), ("failed", "collision"), ("failed", "collision")]
        assert report.status == "completed"

    def test_a_trigger_pauses_the_run_which_goes_on_without_it(self, scratch_database, loans):
        report = clean_and_deploy(scratch_database, trigger(scratch_database, ":files"))
        run = Run.objects.using(scratch_database).get()
        assert (report.status, run.paused_by_error, report.successful_cleanups) == ("paused", True, 1)
        assert f"trigger spoil on {label(scratch_database, ':files')}" in report.status_reason
        assert_tree(scratch_database, loans[1], DUPLICATES)
        pending = Result.objects.using(scratch_database).filter(status="pending").order_by("pk")
        assert list(pending.values_list("attempts", "error_code")) == [(0, "schema_changed"), (0, "")]

        where = f" ON {named(':files')}" if is_postgresql(scratch_database) else ""
        execute(scratch_database, f"DROP TRIGGER spoil{where}")
        assert service_of(scratch_database).resume(report.run_id).status == "completed"
        assert_tree(scratch_database, loans[1], "stays:A/B(x.pdf, y.pdf)")

    def test_a_column_that_looks_like_a_reference_pauses_the_run(self, scratch_database, loans):
        report = clean_and_deploy(scratch_database, "CREATE TABLE memo (id integer PRIMARY KEY, folder_id KEYTYPE)")
        assert report.status == "paused"
        assert "memo.folder_id" in report.status_reason

    def test_a_mapped_table_that_is_gone_pauses_the_run(self, scratch_database, loans):
        report = clean_and_deploy(scratch_database, "ALTER TABLE :files RENAME TO documents")
        assert report.status == "paused"
        assert named(":files") in report.status_reason
        execute(scratch_database, "ALTER TABLE documents RENAME TO :files")
        assert service_of(scratch_database).resume(report.run_id).status == "completed"

    def test_what_does_not_matter_costs_nothing(self, scratch_database, loans):
        statements = ("CREATE TABLE other (id integer PRIMARY KEY)", "CREATE INDEX word ON :files (:files.name)")
        report = clean_and_deploy(scratch_database, *statements)
        assert (report.status, report.successful_cleanups) == ("completed", 3)
        assert set(Result.objects.using(scratch_database).values_list("attempts", flat=True)) == {1}

    def test_tables_that_change_over_and_over_pause_the_run(self, scratch_database, loans, monkeypatch):
        original, numbers = schema_changes.read, iter(range(100))

        def read(**options):
            references = original(**options)
            run_sql(scratch_database, f"CREATE TABLE other_{next(numbers)} (id integer PRIMARY KEY)")
            return references

        monkeypatch.setattr(schema_changes, "read", read)
        report = service_of(scratch_database).cleanup_all_duplicate_folders()
        assert (report.status, report.status_reason) == ("paused", "tables are changed over and over")
        assert set(Result.objects.using(scratch_database).values_list("status", "attempts")) == {("pending", 0)}


def colors(database: str) -> dict[str, str]:
    return dict(fetch(database, "SELECT CAST(:folders.key AS varchar(50)), color FROM :folders"))


class TestBeforeTheFirstBatch:
    @pytest.mark.parametrize("verb", ["cleanup_all_duplicate_folders", "consolidate_duplicate_folders"])
    def test_a_foreign_key_is_seen(self, scratch_database, monkeypatch, verb):
        made = tree(scratch_database, DUPLICATES)
        deployed = once_after(
            monkeypatch, lifecycle, "create_cleanup", lambda: run_sql(scratch_database, *tags(CASCADE))
        )
        with deployed:
            arguments = [made.application] if verb.startswith("consolidate") else []
            getattr(service_of(scratch_database), verb)(*arguments)
        assert_tree(scratch_database, made, "stays:A/B(x.pdf, y.pdf)")
        assert fetch(scratch_database, "SELECT count(*) FROM tag") == [(4,)]

    def test_what_forbids_to_go_on_is_an_error_that_says_so(self, scratch_database, monkeypatch):
        made = tree(scratch_database, DUPLICATES)
        statements = ("CREATE TABLE memo (id integer PRIMARY KEY, folder_id KEYTYPE)",)
        with (
            once_after(monkeypatch, lifecycle, "create_cleanup", lambda: run_sql(scratch_database, *statements)),
            pytest.raises(exceptions.SchemaChanged, match=r"memo\.folder_id"),
        ):
            service_of(scratch_database).consolidate_duplicate_folders(made.application)
        assert_tree(scratch_database, made, DUPLICATES)

    def test_a_point_taken_by_hand_has_the_new_column(self, scratch_database, monkeypatch):
        made = tree(scratch_database, "A")
        with once_after(monkeypatch, schema_changes, "read", lambda: run_sql(scratch_database, *COLOR)):
            point = service_of(scratch_database).create_rollback_point(made.application)
        schema = RollbackPoint.objects.using(scratch_database).get(uuid=point).schema
        assert '"color"' in schema.document


class TestDuringARollback:
    def undo_and_deploy(self, database: str, *statements: str):
        report = service_of(database).cleanup_all_duplicate_folders()
        deploy = after_batches(1, lambda: run_sql(database, *statements))
        return service_of(database).rollback_cleanup(report.run_id, progress=deploy)

    @pytest.fixture(autouse=True)
    def batches_of_one(self, settings):
        settings.CLEANUP_BATCH_SIZE = 1

    def test_a_table_that_refers_to_folders_is_no_obstacle(self, scratch_database, loans):
        before = dump(scratch_database)
        result = self.undo_and_deploy(scratch_database, *tags(CASCADE))
        after = dump(scratch_database)
        assert (result.status, result.exact, len(after.pop("tag"))) == ("completed", True, 8)
        assert after == before

    def test_a_column_is_no_obstacle(self, scratch_database, loans):
        result = self.undo_and_deploy(scratch_database, *COLOR)
        assert (result.status, result.exact) == ("completed", True)
        for loan in loans:
            assert_tree(scratch_database, loan, DUPLICATES)

    def test_a_trigger_pauses_it(self, scratch_database, loans):
        result = self.undo_and_deploy(scratch_database, trigger(scratch_database, ":folders"))
        run = Run.objects.using(scratch_database).get(kind="rollback")
        assert (result.status, result.successful) == ("paused", 1)
        assert f"trigger spoil on {label(scratch_database, ':folders')}" in run.status_reason

    def test_a_column_that_is_gone_is_named(self, scratch_database, prepared):
        result = self.undo_and_deploy(scratch_database, "ALTER TABLE :folders DROP COLUMN color")
        failed = Result.objects.using(scratch_database).filter(run__kind="rollback", status="failed")
        assert (result.successful, result.exact) == (1, False)
        messages = set(failed.values_list("error_code", flat=True))
        assert messages == {"unreadable_journal"}

    def test_of_one_point_reads_again(self, scratch_database, monkeypatch):
        made = tree(scratch_database, DUPLICATES)
        before = dump(scratch_database)
        point = service_of(scratch_database).consolidate_duplicate_folders(made.application).rollback_id
        with once_after(monkeypatch, schema_changes, "read", lambda: run_sql(scratch_database, *tags(CASCADE))):
            assert service_of(scratch_database).rollback_cleanup(point).exact
        after = dump(scratch_database)
        assert len(after.pop("tag")) == 2
        assert after == before

    def test_of_one_point_is_refused_with_a_trigger(self, scratch_database, monkeypatch):
        made = tree(scratch_database, DUPLICATES)
        point = service_of(scratch_database).consolidate_duplicate_folders(made.application).rollback_id
        spoiling = trigger(scratch_database, ":files")
        with (
            once_after(monkeypatch, schema_changes, "read", lambda: run_sql(scratch_database, spoiling)),
            pytest.raises(exceptions.PreflightFailed, match="spoil"),
        ):
            service_of(scratch_database).rollback_cleanup(point)
        assert_tree(scratch_database, made, "stays:A/B(x.pdf, y.pdf)")

    def test_a_preview_looks_again(self, scratch_database, monkeypatch):
        made = tree(scratch_database, DUPLICATES)
        point = service_of(scratch_database).consolidate_duplicate_folders(made.application).rollback_id
        with once_after(monkeypatch, schema_changes, "read", lambda: run_sql(scratch_database, *COLOR)):
            assert service_of(scratch_database).preview_rollback(point).folders_restored == 2


class TestLateArrivals:
    def sweep_and_deploy(self, database: str, settings, monkeypatch, *statements: str) -> Tree:
        """File something late into a removed folder, and change tables before it is found."""
        settings.CLEANUP_EXTRA_REFERENCES = ["memo.folder"]
        run_sql(database, "CREATE TABLE memo (id integer PRIMARY KEY, folder KEYTYPE)")
        made = tree(database, DUPLICATES)
        original = late_arrivals.LateArrivals.sweep

        def sweep(self, **options):
            run_sql(database, *statements)
            execute(database, "INSERT INTO memo VALUES (1, %s)", raw(database, made["gone"]))
            return original(self, **options)

        monkeypatch.setattr(late_arrivals.LateArrivals, "sweep", sweep)
        report = service_of(database).cleanup_all_duplicate_folders()
        assert report.status == Run.Status.COMPLETED
        return made

    def test_go_with_the_tables_as_they_are(self, scratch_database, settings, monkeypatch):
        unique = "CREATE UNIQUE INDEX place ON memo (folder)"
        made = self.sweep_and_deploy(scratch_database, settings, monkeypatch, unique)
        assert str(fetch(scratch_database, "SELECT folder FROM memo")[0][0]) == str(
            raw(scratch_database, made["stays"])
        )

    def test_stay_where_their_point_has_other_steps(self, scratch_database, settings, monkeypatch):
        made = self.sweep_and_deploy(scratch_database, settings, monkeypatch, *tags(CASCADE))
        assert str(fetch(scratch_database, "SELECT folder FROM memo")[0][0]) == str(raw(scratch_database, made["gone"]))
        assert fetch(scratch_database, "SELECT count(*) FROM tag") == [(2,)]


@pytest.mark.only("postgresql")
class TestBesideOpenTransactions:
    """What is in another session's hands when a batch asks for its tables."""

    @pytest.fixture
    def committed_when_waited_for(self, scratch_database, monkeypatch):
        """Have a table made in a transaction that is committed when, and not before, a batch waits for its tables."""

        @contextmanager
        def deployed(*statements: str, seconds: float = 0) -> Iterator[None]:
            with psycopg.connect(databases.url_of(scratch_database)) as session:

                def commit() -> None:
                    wait_for_waiter(session)
                    time.sleep(seconds)
                    session.commit()

                thread = threading.Thread(target=commit)

                def begin() -> None:
                    for statement in statements:
                        session.execute(sql(scratch_database, statement.replace("KEYTYPE", key_type(scratch_database))))
                    thread.start()

                with once_after(monkeypatch, lifecycle, "create_cleanup", begin):
                    yield
                thread.join()

        return deployed

    def test_what_is_committed_while_a_batch_waits_is_seen(self, scratch_database, committed_when_waited_for):
        made = tree(scratch_database, DUPLICATES)
        with committed_when_waited_for(*tags(CASCADE)):
            service_of(scratch_database).cleanup_all_duplicate_folders()
        assert_tree(scratch_database, made, "stays:A/B(x.pdf, y.pdf)")
        assert fetch(scratch_database, "SELECT count(*) FROM tag") == [(4,)]

    def test_a_long_deploy_is_waited_for_and_fails_nobody(self, scratch_database, committed_when_waited_for, settings):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 20
        for _ in range(4):
            tree(scratch_database, DUPLICATES)
        with committed_when_waited_for(*tags(CASCADE), seconds=2):
            report = service_of(scratch_database).cleanup_all_duplicate_folders()
        assert (report.status, report.successful_cleanups) == ("completed", 4)
        assert set(Result.objects.using(scratch_database).values_list("attempts", flat=True)) == {1}

    def test_a_deploy_that_does_not_end_pauses_the_run(self, scratch_database, settings, monkeypatch):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 20
        settings.CLEANUP_THROTTLE_PATIENCE_SECONDS = 0.1
        tree(scratch_database, DUPLICATES)
        with psycopg.connect(databases.url_of(scratch_database)) as session:

            def begin() -> None:
                session.execute(sql(scratch_database, tags()[0].replace("KEYTYPE", key_type(scratch_database))))

            with once_after(monkeypatch, lifecycle, "create_cleanup", begin):
                report = service_of(scratch_database).cleanup_all_duplicate_folders()
            session.rollback()
        assert report.status == "paused"
        assert "locked for too long" in report.status_reason

    def test_ddl_waits_until_a_batch_is_committed(self, scratch_database, monkeypatch):
        tree(scratch_database, DUPLICATES)
        does_nothing = "FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        refused = []

        def alter() -> None:
            with psycopg.connect(databases.url_of(scratch_database), options="-c lock_timeout=50ms") as session:
                for statement in (tags()[0], COLOR[0], f"CREATE TRIGGER late BEFORE UPDATE ON :files {does_nothing}"):
                    text = sql(scratch_database, statement.replace("KEYTYPE", key_type(scratch_database)))
                    try:
                        session.execute(text)
                    except psycopg.errors.LockNotAvailable:
                        refused.append(statement)
                    session.rollback()

        with once_after(monkeypatch, schema_changes, "hold", alter):
            service_of(scratch_database).cleanup_all_duplicate_folders()
        assert len(refused) == 3

    def test_two_threads_in_turn_read_again_once_each(self, scratch_database):
        for _ in range(12):
            tree(scratch_database, DUPLICATES)
        deploy = after_batches(2, lambda: in_another_session(scratch_database, *tags(CASCADE)))
        report = service_of(scratch_database).cleanup_all_duplicate_folders(batch_size=2, progress=deploy)
        assert (report.status, report.successful_cleanups) == ("completed", 12)
        count = "SELECT count(*), count(folder) FROM tag"
        ((rows, filed),) = fetch(scratch_database, count)
        assert rows == filed > 24

    def test_several_workers_read_again(self, scratch_database):
        for _ in range(12):
            tree(scratch_database, DUPLICATES)
        deploy = after_batches(2, lambda: in_another_session(scratch_database, *tags(SET_NULL)))
        report = service_of(scratch_database).cleanup_all_duplicate_folders(batch_size=2, workers=3, progress=deploy)
        assert (report.status, report.successful_cleanups) == ("completed", 12)
        assert fetch(scratch_database, "SELECT count(*) FROM tag WHERE folder IS NULL") == [(0,)]


def wait_for_waiter(session: psycopg.Connection) -> None:
    """Wait until a session waits for this one."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    for _ in range(3000):
        if session.execute(waiting).fetchone() != (0,):
            return
        time.sleep(0.01)
    raise AssertionError("nobody waits for the lock")


def structure(database: str, loan: Tree):
    return get_or_create_folder_structure(application_id=loan.application, using=database)


@pytest.mark.only("postgresql")
class TestInline:
    """A merge within a transaction of the caller's: on SQLite no one else can write meanwhile."""

    MERGED = "Application, Application/Borrower(1)"

    def test_reads_again(self, scratch_database, monkeypatch):
        loan = tree(scratch_database, self.MERGED)
        deploy = lambda: in_another_session(scratch_database, *tags(CASCADE))  # noqa: E731
        with once_after(monkeypatch, schema_changes, "read", deploy), transaction.atomic(using=scratch_database):
            assert structure(scratch_database, loan).rollback_id is not None
        assert fetch(scratch_database, "SELECT count(*), count(folder) FROM tag") == [(3, 3)]

    def test_leaves_duplicates_where_a_trigger_came(self, scratch_database, monkeypatch):
        loan = tree(scratch_database, self.MERGED)
        deploy = lambda: in_another_session(scratch_database, trigger(scratch_database, ":files"))  # noqa: E731
        with once_after(monkeypatch, schema_changes, "read", deploy), transaction.atomic(using=scratch_database):
            assert structure(scratch_database, loan).queued
        assert dict(QueuedApplication.objects.using(scratch_database).values_list("application_key", "code")) == {
            loan.application: "preflight"
        }

    def test_goes_on_in_repeatable_read(self, scratch_database):
        loan = tree(scratch_database, self.MERGED)
        with transaction.atomic(using=scratch_database):
            execute(scratch_database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            fetch(scratch_database, "SELECT 1")
            assert structure(scratch_database, loan).rollback_id is not None

    def test_sees_what_its_snapshot_does_not(self, scratch_database):
        loan = tree(scratch_database, self.MERGED)
        with transaction.atomic(using=scratch_database):
            execute(scratch_database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            fetch(scratch_database, "SELECT 1")
            in_another_session(scratch_database, *tags(CASCADE))
            assert structure(scratch_database, loan).queued
        found = QueuedApplication.objects.using(scratch_database).get()
        assert (found.code, found.refused) == ("schema_changed", False)
        assert fetch(scratch_database, "SELECT count(*) FROM tag") == [(3,)]

    def test_an_undo_is_refused_by_an_older_snapshot(self, scratch_database):
        made = tree(scratch_database, DUPLICATES)
        point = service_of(scratch_database).consolidate_duplicate_folders(made.application).rollback_id
        with transaction.atomic(using=scratch_database):
            execute(scratch_database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            fetch(scratch_database, "SELECT 1")
            in_another_session(scratch_database, *COLOR)
            with pytest.raises(exceptions.SchemaChanged):
                service_of(scratch_database).rollback_cleanup(point)
        assert_tree(scratch_database, made, "stays:A/B(x.pdf, y.pdf)")

    def test_joins_a_transaction_that_has_changed_tables_itself(self, scratch_database):
        loan = tree(scratch_database, self.MERGED)
        with transaction.atomic(using=scratch_database):
            run_sql(scratch_database, *tags(CASCADE))
            connections[scratch_database].check_constraints()
            assert structure(scratch_database, loan).rollback_id is not None
        assert fetch(scratch_database, "SELECT count(*), count(folder) FROM tag") == [(3, 3)]


#: What a deploy may do to tables that are read and written, and to others that may come to matter.
CHANGES = (
    "CREATE TABLE tag (id integer PRIMARY KEY, folder KEYTYPE REFERENCES :folders)",
    "CREATE TABLE remark (id integer PRIMARY KEY, note integer REFERENCES note)",
    "CREATE TABLE unrelated (id integer PRIMARY KEY, folder_id KEYTYPE)",
    "ALTER TABLE note ADD COLUMN x integer",
    "ALTER TABLE :files ADD COLUMN x integer",
    "CREATE UNIQUE INDEX u ON note (word, id)",
)
CHANGES_ON_POSTGRESQL = (
    "ALTER TABLE note ADD CHECK (word <> '')",
    "ALTER TABLE :folders ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE :folders DISABLE TRIGGER ALL",
    "CREATE TABLE child () INHERITS (note)",
    "CREATE PUBLICATION all_of_it FOR ALL TABLES",
    "CREATE PUBLICATION part_of_it FOR TABLE note",
    "CREATE RULE r AS ON DELETE TO note DO INSTEAD NOTHING",
    "REVOKE ALL ON note FROM CURRENT_USER",
)


class TestDigest:
    def test_is_another_one_after_a_change(self, scratch_database):
        run_sql(scratch_database, *tags(name="note"))
        references = schema_changes.read(using=scratch_database)
        unseen = []
        for statement in CHANGES + (CHANGES_ON_POSTGRESQL if is_postgresql(scratch_database) else ()):
            with transaction.atomic(using=scratch_database):
                run_sql(scratch_database, statement)
                digest = backends.database(using=scratch_database).catalogue_digest(references.tables)
                transaction.set_rollback(True, using=scratch_database)
            if digest == references.catalogue_digest:
                unseen.append(statement)
        assert unseen == []

    @pytest.mark.only("postgresql")
    def test_is_read_in_one_transaction_with_the_tables(self, database):
        schema_changes.read(using=database)  # twice, the first time
        with CaptureQueriesContext(connections[database]) as captured:
            schema_changes.read(using=database)
        assert [query["sql"] for query in captured if query["sql"].startswith("BEGIN")] == ["BEGIN"]

    @pytest.mark.only("sqlite")
    def test_is_of_all_tables_so_that_they_are_read_once(self, database, monkeypatch):
        monkeypatch.setattr(schema_changes, "_last_tables", {})
        with CaptureQueriesContext(connections[database]) as captured:
            schema_changes.read(using=database)
        assert sum("foreign_keys" in query["sql"] for query in captured) == 1

    @pytest.mark.only("postgresql")
    def test_is_the_same_after_work(self, scratch_database):
        run_sql(scratch_database, *tags(name="note"))
        references = schema_changes.read(using=scratch_database)
        run_sql(scratch_database, "UPDATE note SET id = -id", "CREATE TEMP TABLE t (id integer)", "ANALYZE", "VACUUM")
        digest = backends.database(using=scratch_database).catalogue_digest(references.tables)
        assert digest == references.catalogue_digest

    @pytest.mark.only("postgresql")
    def test_partitions_count(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE note (id integer, folder KEYTYPE REFERENCES :folders) PARTITION BY RANGE (id)",
            "CREATE TABLE note_1 PARTITION OF note FOR VALUES FROM (0) TO (10)",
        )
        references = schema_changes.read(using=scratch_database)
        run_sql(scratch_database, "CREATE UNIQUE INDEX u ON note_1 (id)")
        digest = backends.database(using=scratch_database).catalogue_digest(references.tables)
        assert digest != references.catalogue_digest


@pytest.mark.only("postgresql")
class TestLocks:
    def held(self, database: str) -> set[str]:
        rows = fetch(
            database,
            "SELECT relname::text FROM pg_locks JOIN pg_class c ON c.oid = relation AND relkind IN ('r', 'p')"
            " WHERE mode = 'RowExclusiveLock' AND pid = pg_backend_pid()",
        )
        return {name for (name,) in rows}

    def test_are_on_what_is_written_before_any_row_is(self, scratch_database):
        run_sql(scratch_database, *tags(name="note"))
        references = schema_changes.read(using=scratch_database)
        with transaction.atomic(using=scratch_database):
            schema_changes.hold(backends.database(using=scratch_database), references)
            assert self.held(scratch_database) == {table.name.name for table in references.written}
            assert {named(":folders"), named(":files"), "note"} <= self.held(scratch_database)

    def test_need_no_more_than_a_privilege_on_a_column(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE note (id integer PRIMARY KEY, folder KEYTYPE REFERENCES :folders) PARTITION BY RANGE (id)",
            "CREATE TABLE note_1 PARTITION OF note FOR VALUES FROM (0) TO (10)",
            "CREATE ROLE clerk_of_columns",
            "GRANT SELECT, UPDATE (folder) ON note TO clerk_of_columns",
            "GRANT SELECT, UPDATE ON :files TO clerk_of_columns",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON :folders TO clerk_of_columns",
            "GRANT SELECT, UPDATE ON :applications TO clerk_of_columns",
            "GRANT SELECT ON django_content_type TO clerk_of_columns",
        )
        try:
            with transaction.atomic(using=scratch_database):
                execute(scratch_database, "SET LOCAL ROLE clerk_of_columns")
                references = schema_changes.read(using=scratch_database)
                schema_changes.hold(backends.database(using=scratch_database), references)
                assert {named(":folders"), named(":files"), "note", "note_1"} <= self.held(scratch_database)
        finally:
            run_sql(scratch_database, "DROP OWNED BY clerk_of_columns", "DROP ROLE clerk_of_columns")


def test_nothing_is_written_by_references_that_were_read_to_look(database):
    references = ready_references(using=database, probe="not")
    with pytest.raises(exceptions.SchemaChanged), transaction.atomic(using=database):
        schema_changes.hold(backends.database(using=database), references)
