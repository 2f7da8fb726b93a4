"""Outages and closed ends: what was done is told, what was not is resumed, and no one reads a traceback."""

import os
import subprocess
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

from cleanup.models import Result, Run
from cleanup.services import DatabaseCleanupService
from cleanup.services.results import Progress
from tests import pgserver
from tests.integration.management.test_command import MERGED, MESS, ROOT, command, environment, run_command
from tests.support import databases, dirty_database
from tests.support.trees import assert_tree, execute, is_postgresql, tree


class TestOutput:
    def cleanup(self, database: str, redirection: str) -> subprocess.CompletedProcess[str]:
        """Clean up with standard output as a shell would redirect it."""
        return subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *command("--cleanup", "--no-input")],
            check=False,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(database),
        )

    def test_on_a_full_disk_is_told_after_the_deed(self, database):
        loan = tree(database, MESS)
        done = self.cleanup(database, "> /dev/full")
        run = Run.objects.using(database).get()
        assert (done.returncode, run.status) == (1, "completed")
        assert f"Run {run.pk} did its work" in done.stderr
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        assert_tree(database, loan, MERGED)

    def test_that_is_closed_leaves_the_exit_status(self, database):
        loan = tree(database, MESS)
        done = self.cleanup(database, ">&-")
        assert (done.returncode, "Traceback" in done.stderr) == (0, False)
        assert_tree(database, loan, MERGED)

    def test_that_is_closed_by_its_reader_is_told_after_the_deed(self, database):
        loan = tree(database, MESS)
        done = self.cleanup(database, "| sleep 0")
        assert "did its work" in done.stderr
        assert "Traceback" not in done.stderr
        assert_tree(database, loan, MERGED)


@pytest.mark.only("postgresql")
@pytest.mark.slow
class TestLostDatabase:
    @pytest.fixture
    def server(self) -> Iterator[pgserver.Server]:
        server = pgserver.start()
        yield server
        server.stop()

    def test_in_the_foreground_is_told_with_run_progress_and_the_way_on(self, blank_database, server):
        with databases.elsewhere(blank_database, server):
            call_command("migrate", database=blank_database, verbosity=0)
            call_command("migrate", "cleanup_guards", "zero", database=blank_database, verbosity=0)
            dirty_database.make(blank_database, applications=40)
            process = subprocess.Popen(
                command("--cleanup", "--no-input", "--batch-size", "1"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env=environment(blank_database) | {"DATABASE_URL": server.url, "CLEANUP_DUTY_CYCLE": "0.1"},
            )
            while not Result.objects.using(blank_database).filter(status=Result.Status.COMPLETED).exists():
                time.sleep(0.05)
            execute(blank_database, "CHECKPOINT")  # this server does not wait for the disk, others do
            connections[blank_database].close()
            server.crash()
            _, err = process.communicate(timeout=120)
            server.restart()
            run = Run.objects.using(blank_database).get()
            assert process.returncode == 3, err
            assert f"lost during run {run.pk}" in err
            assert "of 40 applications are done" in err
            assert f"--resume {run.pk}" in err
            assert "Traceback" not in err
            report = DatabaseCleanupService(using=blank_database).resume(run.pk)
            assert report.successful_cleanups == 40


class TestErrorInTheMidstOfARun:
    """Of the database, in what is noted of the run: the exit status is not that of a call that changed nothing."""

    @pytest.fixture(params=["NEW.status = 'running'", "NEW.done_applications > 0"])
    def refusing(self, request, scratch_database) -> str:
        dirty_database.make(scratch_database, applications=4)
        if is_postgresql(scratch_database):
            execute(
                scratch_database,
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN IF {request.param} THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$",
            )
            execute(
                scratch_database,
                "CREATE TRIGGER t BEFORE UPDATE ON cleanup_run FOR EACH ROW EXECUTE FUNCTION refuse()",
            )
        else:
            execute(
                scratch_database,
                f"CREATE TRIGGER t BEFORE UPDATE ON cleanup_run WHEN {request.param}"
                " BEGIN SELECT RAISE(ABORT, 'no'); END",
            )
        return scratch_database

    def test_names_the_run_and_the_way_on(self, refusing):
        done = run_command(refusing, "--cleanup", "--no-input")
        run = Run.objects.using(refusing).get()
        assert done.status == 3
        assert f"Run {run.pk} was interrupted: The database refused" in done.sentence
        assert f"Resume it with: manage.py database_cleanup --resume {run.pk}" in done.sentence


@pytest.mark.only("postgresql")
@pytest.mark.slow
class TestConnections:
    LIMIT = 3
    ROLE = f"few_{os.getpid()}"  # roles are the whole server's

    @pytest.fixture
    def few(self, scratch_database) -> Iterator[str]:
        """Work as a role that is admitted a few connections."""
        execute(scratch_database, f"CREATE ROLE {self.ROLE} LOGIN CONNECTION LIMIT {self.LIMIT} PASSWORD 'few'")
        execute(scratch_database, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {self.ROLE}")
        execute(scratch_database, f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {self.ROLE}")
        execute(scratch_database, f"GRANT EXECUTE ON FUNCTION pg_control_system() TO {self.ROLE}")
        dirty_database.make(scratch_database, applications=60)
        parameters = connections[scratch_database].settings_dict
        usual = {name: parameters[name] for name in ("USER", "PASSWORD")}
        connections[scratch_database].close()
        parameters.update(USER=self.ROLE, PASSWORD="few")
        yield scratch_database
        connections[scratch_database].close()
        parameters.update(usual)
        execute(scratch_database, f"DROP OWNED BY {self.ROLE}")
        execute(scratch_database, f"DROP ROLE {self.ROLE}")

    def test_that_are_fewer_than_workers_end_the_others_only(self, few):
        report = DatabaseCleanupService(using=few).cleanup_all_duplicate_folders(batch_size=1, workers=self.LIMIT + 2)
        assert (report.successful_cleanups, report.failed_cleanups) == (60, 0)
        assert report.status == "completed"

    def test_that_are_lost_end_one_worker(self, few, caplog):
        url = databases.url_of(few).replace(f"{self.ROLE}:few@", "postgres@")
        cut = []

        def cut_one(_: Progress) -> None:
            if not cut:
                with psycopg.connect(url, autocommit=True) as session:
                    session.execute(f"ALTER ROLE {self.ROLE} CONNECTION LIMIT 1")
                    others = f"SELECT pid FROM pg_stat_activity WHERE usename = '{self.ROLE}' AND pid <> %s"
                    cut.extend(session.execute(others, [connections[few].connection.info.backend_pid]).fetchall())
                    for pid in cut:
                        session.execute("SELECT pg_terminate_backend(%s)", pid)

        service = DatabaseCleanupService(using=few)
        report = service.cleanup_all_duplicate_folders(batch_size=1, workers=2, progress=cut_one)
        assert (report.successful_cleanups, report.failed_cleanups) == (60, 0)
        assert "a worker lost its connection" in caplog.text
