"""Health answers within two seconds, whatever the database does, from a real web server."""

import contextlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import psycopg
import pytest

from tests import pgserver
from tests.reliability.serving import ROOT, Answer, serving

pytestmark = [pytest.mark.slow, pytest.mark.waits]

LIMIT = 2


@pytest.fixture(scope="module")
def postgresql():
    server = pgserver.start(max_connections="20")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def served(postgresql):
    """Serve on a server of its own, which may be stopped; with one connection in the pool."""
    environment = {"DATABASE_URL": postgresql.url, "DJANGO_SETTINGS_MODULE": "tests.cluster_settings"}
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, check=True, cwd=ROOT, env={**os.environ, **environment})
    with serving(**environment, DATABASE_POOL_SIZE="1") as server:
        assert server.ask("health").status == 200
        yield server


@contextlib.contextmanager
def session(postgresql, statement: str):
    """Hold what a statement locks."""
    with psycopg.connect(host=str(postgresql.directory), user="postgres", dbname="postgres") as other:
        other.execute(statement)
        yield other


@contextlib.contextmanager
def silent(postgresql):
    """Stop all processes of the server, which stay connected."""
    parent = psutil.Process(postgresql.process.pid)
    processes = [parent, *parent.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(processes):
            process.resume()


def assert_bad_and_prompt(*answers: Answer) -> None:
    assert {(answer.status, answer.body["status"]) for answer in answers} == {(503, "not ok")}
    assert max(answer.seconds for answer in answers) < LIMIT


class TestHealth:
    def test_is_prompt_when_the_server_is_silent_and_good_when_it_is_back(self, served, postgresql):
        with silent(postgresql):
            assert_bad_and_prompt(*(served.ask("health") for _ in range(6)))
            with ThreadPoolExecutor(6) as many:
                assert_bad_and_prompt(*many.map(lambda _: served.ask("health"), range(6)))
        until = time.monotonic() + 10
        while served.ask("health").status != 200:
            assert time.monotonic() < until

    @pytest.mark.parametrize(
        "table", ["cleanup_automationstate", "cleanup_run", "cleanup_alert", "pg_catalog.pg_class"]
    )
    def test_is_prompt_when_what_it_reads_is_locked(self, served, postgresql, table):
        with session(postgresql, f"LOCK {table} IN ACCESS EXCLUSIVE MODE"):
            assert_bad_and_prompt(served.ask("health"))

    def test_is_prompt_about_somebody_whose_account_is_locked(self, served, postgresql):
        with session(postgresql, "LOCK knox_authtoken IN ACCESS EXCLUSIVE MODE"):
            answer = served.ask("health", Authorization=f"Bearer {'a' * 64}")
        assert answer.seconds < LIMIT

    def test_is_prompt_and_good_when_the_pool_is_exhausted(self, served, postgresql):
        lock = "LOCK knox_authtoken IN ACCESS EXCLUSIVE MODE"
        with ThreadPoolExecutor(1) as waiting, session(postgresql, lock) as other:
            asked = waiting.submit(served.ask, "status", Authorization=f"Bearer {'a' * 64}")
            while not other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
                time.sleep(0.05)
            answer = served.ask("health")
            assert not asked.done()
        assert (answer.status, answer.seconds < LIMIT) == (200, True)

    def test_is_prompt_when_connections_are_refused(self, served, postgresql):
        with contextlib.ExitStack() as all_of_them:
            with contextlib.suppress(psycopg.OperationalError):
                for _ in range(30):
                    all_of_them.enter_context(session(postgresql, "SELECT 1"))
            assert_bad_and_prompt(served.ask("health"))

    def test_is_prompt_when_there_is_no_server(self, served, postgresql):
        postgresql.crash()
        try:
            assert_bad_and_prompt(served.ask("health"), served.ask("health"))
        finally:
            postgresql.restart()
