"""What real databases do to a run: each error is provoked, and the run ends as its class says.

Deadlock, lock timeout, statement timeout and lost connections are in test_runs.
"""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, connections, transaction

from cleanup import backends
from cleanup.exceptions import ProofFailed
from cleanup.models import Result, Run
from cleanup.services import DatabaseCleanupService
from cleanup.services.concurrency.retry import retry
from cleanup.services.errors import classify
from tests.integration.runs.test_lifecycle import add_trigger, interfering, make_stubborn, once
from tests.support import databases, dirty_database
from tests.support.trees import execute, fetch, named, sql, tree


def service_of(using: str) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=using)


def result_of(using: str, application: str) -> Result:
    return Result.objects.using(using).get(application_key=application)


@pytest.mark.only("postgresql")
class TestSerializationFailure:
    @pytest.fixture
    def strict(self, scratch_database) -> str:
        """Have every transaction see the database as it was when it began."""
        name = connections[scratch_database].settings_dict["NAME"]
        execute(scratch_database, f'ALTER DATABASE "{name}" SET default_transaction_isolation = "repeatable read"')
        connections[scratch_database].close()
        return scratch_database

    def test_does_not_happen_where_the_database_asks_for_stricter_isolation(self, strict):
        (key,) = dirty_database.make(strict, applications=1)

        def interfere() -> None:
            with psycopg.connect(databases.url_of(strict)) as session:
                session.execute(sql(strict, "UPDATE :files SET file_size = file_size + 1"))

        with interfering(strict, lambda statement: named('":files" AS t\n') in statement, interfere):
            report = service_of(strict).cleanup_all_duplicate_folders()
        assert (report.status, report.successful_cleanups) == ("completed", 1)
        assert result_of(strict, key).attempts == 1

    def test_is_tried_again(self, strict, settings):
        settings.CLEANUP_TRIGGERS = "fire"
        (key,) = dirty_database.make(strict, applications=1)
        make_stubborn(strict, key)
        execute(strict, "CREATE SEQUENCE tries")
        add_trigger(strict, body="IF nextval('tries') = 1 THEN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END IF;")
        report = service_of(strict).cleanup_all_duplicate_folders()
        assert (report.status, report.successful_cleanups) == ("completed", 1)
        assert (result_of(strict, key).attempts, result_of(strict, key).error_code) == (2, "")

    def test_that_never_ends_fails_that_application_alone(self, strict, settings):
        settings.CLEANUP_TRIGGERS = "fire"
        keys = dirty_database.make(strict, applications=3)
        make_stubborn(strict, keys[1])
        add_trigger(strict, body="RAISE EXCEPTION 'no' USING ERRCODE = '40001';")
        report = service_of(strict).cleanup_all_duplicate_folders()
        assert (report.status, report.successful_cleanups, report.failed_cleanups) == ("completed", 2, 1)
        failed = result_of(strict, keys[1])
        assert (failed.error_class, failed.error_code, failed.attempts) == ("transient", "40001", 3)


@pytest.mark.only("postgresql")
class TestFullDisk:
    """A limit on temporary files is the disk that can be filled without a disk of one's own; 53100 is in test_runs."""

    def test_pauses_the_run_and_charges_nobody(self, database):
        tree(database, "Loan, Loan")  # is done before the disk is full
        large = tree(database, "Loan/Docs(3000), Loan/Docs(3000)")

        def fill() -> None:
            execute(database, "SET work_mem = '64kB'")
            execute(database, "SET temp_file_limit = 0")

        try:
            report = service_of(database).cleanup_all_duplicate_folders(batch_size=1, progress=once(fill))
        finally:
            execute(database, "RESET work_mem")
            execute(database, "RESET temp_file_limit")
        result = result_of(database, large.application)
        assert (report.status, result.status, result.attempts) == ("paused", "pending", 0)
        assert (result.error_class, result.error_code) == ("system", "53400")
        assert service_of(database).resume(report.run_id).successful_cleanups == 2


@pytest.mark.only("sqlite")
class TestFullSqlite:
    def test_pauses_the_run_and_charges_nobody(self, scratch_database):
        large = tree(scratch_database, "Loan/Docs(3000), Loan/Docs(3000)")
        service = service_of(scratch_database)

        def fill() -> None:
            ((pages,),) = fetch(scratch_database, "PRAGMA page_count")
            execute(scratch_database, f"PRAGMA max_page_count = {pages}")

        with interfering(scratch_database, lambda statement: "cleanup_snapshotrow" in statement, fill):
            report = service.cleanup_all_duplicate_folders()
        result = result_of(scratch_database, large.application)
        assert (report.status, result.error_class, result.error_code) == ("paused", "system", "SQLITE_FULL")
        execute(scratch_database, "PRAGMA max_page_count = 1000000")
        assert service.resume(report.run_id).successful_cleanups == 1

    def test_that_may_only_be_read_loses_nothing(self, scratch_database):
        dirty_database.make(scratch_database, applications=3)
        service = service_of(scratch_database)
        with pytest.raises(DatabaseError, match="readonly") as caught:
            service.cleanup_all_duplicate_folders(
                batch_size=1, progress=once(lambda: execute(scratch_database, "PRAGMA query_only = on"))
            )
        assert classify(caught.value).kind == "system"
        execute(scratch_database, "PRAGMA query_only = off")
        run = Run.objects.using(scratch_database).get()
        assert service.resume(run.pk).successful_cleanups == 3


@pytest.mark.only("postgresql")
class TestReadOnlyDatabase:
    def test_after_a_failover_loses_nothing(self, scratch_database):
        dirty_database.make(scratch_database, applications=4)
        service = service_of(scratch_database)
        options = connections[scratch_database].settings_dict["OPTIONS"]
        pid = fetch(scratch_database, "SELECT pg_backend_pid()")[0][0]

        def fail_over() -> None:
            options["options"] = "-c default_transaction_read_only=on"  # what is reached now takes no changes
            with psycopg.connect(databases.url_of(scratch_database), autocommit=True) as session:
                session.execute("SELECT pg_terminate_backend(%s)", [pid])

        with pytest.raises(DatabaseError, match="read-only") as caught:
            service.cleanup_all_duplicate_folders(batch_size=1, progress=once(fail_over))
        assert classify(caught.value).kind == "system"
        del options["options"]
        connections[scratch_database].close()
        run = Run.objects.using(scratch_database).get()
        assert service.resume(run.pk).successful_cleanups == 4


@pytest.mark.only("postgresql")
class TestTooManyConnections:
    @pytest.fixture
    def limited(self, scratch_database) -> Iterator[object]:
        """Yield a connection of a role that is admitted no further one."""
        execute(scratch_database, "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0 PASSWORD 'crowded'")
        connection = connections[scratch_database].copy()
        connection.settings_dict = {**connection.settings_dict, "USER": "crowded", "PASSWORD": "crowded"}
        yield connection
        connection.close()
        execute(scratch_database, "DROP ROLE crowded")

    def test_are_the_systems(self, limited):
        with pytest.raises(OperationalError) as caught:
            limited.ensure_connection()
        found = classify(caught.value)
        assert (found.kind, found.code) == ("system", "53300")
        assert "crowded" not in found.message

    def test_are_waited_for(self, scratch_database, limited):
        def connect() -> str:
            with limited.cursor() as cursor:
                cursor.execute("SELECT current_user")
                return cursor.fetchone()[0]

        def make_room() -> None:
            execute(scratch_database, "ALTER ROLE crowded CONNECTION LIMIT 1")

        assert retry(connect, attempts=3, before_retry=make_room) == "crowded"


class TestWords:
    def told(self, database: str, sql: str) -> str:
        with pytest.raises(DatabaseError) as caught, transaction.atomic(using=database):
            backends.database(using=database).fetch(sql)
        return classify(caught.value).message

    @pytest.mark.only("postgresql")
    def test_name_the_tables_of_a_statement_that_met_a_wrong_value(self, database):
        sql = 'SELECT * FROM "public"."auth_user" WHERE id::text::int < 0 OR \'Anna Muster\'::int = 1'
        told = self.told(database, sql)
        assert "SQLSTATE 22P02), in a statement on public.auth_user" in told
        assert "--preflight" in told
        assert "Anna" not in told

    @pytest.mark.only("postgresql")
    def test_of_the_server_are_shown_where_they_name_the_schema_alone(self, database):
        assert 'column "colour" does not exist' in self.told(database, 'SELECT colour FROM "auth_user"')

    @pytest.mark.only("postgresql")
    def test_of_a_trigger_are_not_shown_whatever_its_state(self, database):
        raised = "DO $$ BEGIN RAISE EXCEPTION 'Anna Muster may not' USING ERRCODE = '42501'; END $$"
        told = self.told(database, raised)
        assert "Anna" not in told
        assert "--preflight" in told

    @pytest.mark.only("sqlite")
    def test_name_the_columns_of_a_unique_key(self, database):
        execute(database, "INSERT INTO auth_group (name) VALUES ('Anna')")
        told = self.told(database, "INSERT INTO auth_group (name) VALUES ('Anna')")
        assert "UNIQUE constraint failed: auth_group.name" in told


class TestPatience:
    @pytest.mark.only("postgresql")
    def test_ends(self, database):
        tried = []

        def action() -> None:
            tried.append(1)
            execute(database, "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '55P03'; END $$")

        with pytest.raises(DatabaseError):
            retry(action, attempts=3, before_retry=lambda: None)
        assert len(tried) == 3

    def test_is_not_for_what_stays_wrong(self, database):
        tried = []

        def action() -> None:
            tried.append(1)
            execute(database, "SELECT * FROM no_such_table")

        with pytest.raises(DatabaseError):
            retry(action, attempts=3, before_retry=lambda: None)
        assert len(tried) == 1


class TestClasses:
    def test_know_our_own_errors(self):
        found = classify(ProofFailed(table="files", count=1))
        assert (found.kind, found.code) == ("transient", "proof_failed")

    @pytest.mark.parametrize(
        ("error", "kind"), [(MemoryError(), "system"), (OSError(), "system"), (KeyError("a"), "data")]
    )
    def test_know_what_is_no_error_of_a_database(self, error, kind):
        assert classify(error).kind == kind

    @pytest.mark.only("postgresql")
    def test_never_quote_a_row(self, database):
        with pytest.raises(DatabaseError) as caught, transaction.atomic(using=database):
            execute(database, "SELECT 'Ms Example'::integer")
        assert "Example" not in classify(caught.value).message
