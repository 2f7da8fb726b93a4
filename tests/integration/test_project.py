import os
import subprocess
import sys

import pytest
from django.test import Client

from tests import ROOT
from tests.support import databases


def run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings", **environment},
    )


class TestManage:
    @pytest.mark.parametrize(
        ("url", "sentence"),
        [
            ("postgresql://me:hunter2@127.0.0.1:1/x", "Database: connection failed"),
            ("sqlite:////nowhere/at/all.db", "Database: unable to open database file"),
            ("postgresql://me:hunter2@host:port/x", "Configuration: DATABASE_URL cannot be read"),
        ],
    )
    def test_answers_an_unusable_database_with_one_sentence(self, url, sentence):
        done = run_python("manage.py", "migrate", "--plan", DATABASE_URL=url)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith(sentence)
        assert "hunter2" not in done.stderr

    def test_tells_the_whole_story_on_request(self):
        done = run_python("manage.py", "migrate", "--plan", "--traceback", DATABASE_URL="sqlite:////nowhere/x.db")
        assert "Traceback" in done.stderr

    def test_collects_garbage_once_a_command_begins(self):
        done = run_python("manage.py", "shell", "-v0", "-c", "import gc; print(gc.isenabled())")
        assert done.stdout == "True\n"

    def test_names_the_extra_that_is_missing(self, tmp_path):
        lacking = "import sys\nsys.modules.update(csp=None, whitenoise=None)\n"
        (tmp_path / "sitecustomize.py").write_text(lacking, encoding="utf-8")
        done = run_python("manage.py", "cleanup_demo", PYTHONPATH=str(tmp_path))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            "Configuration: The project cannot be used without django-csp and whitenoise. "
            "Run: pip install 'cleanup[project]'\n"
        )


class TestWebServer:
    def test_serves_static_files_itself(self):
        response = Client().get("/static/admin/css/base.css")
        response.close()
        assert response.status_code == 200

    def test_answers_no_stranger_host(self):
        assert Client(headers={"host": "evil.example.com"}).get("/").status_code == 400

    @pytest.mark.only("postgresql")
    def test_keeps_a_bounded_pool_of_connections(self, database):
        script = """
import threading
from project.wsgi import application
from django.db import connection, connections
barrier = threading.Barrier(8)
pids = set()
def work():
    for _ in range(5):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid() FROM pg_sleep(0.01)")
            pids.add(cursor.fetchone())
        connection.close()
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(pids))
connection.close_pool()
"""
        done = run_python("-c", script, DATABASE_URL=databases.url_of(database), DATABASE_POOL_SIZE="3")
        assert (done.stderr, done.stdout) == ("", "3\n")


class TestSchemaOfItsOwn:
    @pytest.mark.only("postgresql")
    def test_is_asked_for_by_the_url(self, blank_database):
        with databases.connections[blank_database].cursor() as cursor:
            cursor.execute("CREATE SCHEMA own")
        url = f"{databases.url_of(blank_database)}?options=-csearch_path%3Down,public"
        done = run_python("manage.py", "migrate", "contenttypes", "-v0", DATABASE_URL=url)
        assert (done.returncode, done.stderr) == (0, "")
        with databases.connections[blank_database].cursor() as cursor:
            cursor.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'django_content_type'")
            assert cursor.fetchall() == [("own",)]


class TestSQLite:
    def test_loses_no_transaction_that_reads_and_then_writes(self, tmp_path):
        url = f"sqlite:///{tmp_path}/counter.db"
        script = """
import django; django.setup()
from django.db import connection, transaction
with connection.cursor() as cursor:
    for _ in range(50):
        with transaction.atomic():
            cursor.execute("SELECT n FROM counter")
            n = cursor.fetchone()[0]
            cursor.execute("UPDATE counter SET n = %s", [n + 1])
"""
        setup = "import django; django.setup(); from django.db import connection as c; k = c.cursor(); "
        run_python("-c", setup + "k.execute('CREATE TABLE counter AS SELECT 0 AS n')", DATABASE_URL=url)
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings", "DATABASE_URL": url}
        workers = [subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment) for _ in range(3)]
        assert [worker.wait() for worker in workers] == [0, 0, 0]
        done = run_python("-c", setup + "print(k.execute('SELECT n FROM counter').fetchone()[0])", DATABASE_URL=url)
        assert done.stdout == "150\n"
