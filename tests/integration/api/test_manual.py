"""What the manual says of the API is there, and its examples happen against a server."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from cleanup import conf
from cleanup.api.urls import ROUTES
from cleanup.exceptions import ApplicationError, Refused
from cleanup.models import Heartbeat
from cleanup.permissions import Permission
from tests.integration.test_readme import ROOT, as_pattern, environment_of, examples, shell
from tests.support import databases
from tests.support.manual import blocks, missing, section
from tests.support.trees import tree

SECTION = section("The REST API")
pytestmark = pytest.mark.slow


class TestEverythingStandsInIt:
    def test_every_path(self):
        paths = {re.sub(r"<\w+:(\w+)>", r"{\1}", route) for route, _, _ in ROUTES}
        assert missing(paths, SECTION) == []

    def test_every_permission(self):
        required = re.findall(r"^\| `[^|]*\| [A-Z, ]+ \| ([^|]*) \|", SECTION, re.MULTILINE)
        assert {permission.codename for permission in Permission} <= set(re.findall(r"\w+", " ".join(required)))

    def test_every_kind_of_limit(self):
        assert missing(conf.api_rates(), SECTION) == []

    @pytest.mark.only("sqlite")
    def test_every_problem(self, caller):
        told = set(re.findall(r"urn:cleanup:problem:(\w+)", caller.get("schema").content.decode()))
        refusals = {kind.code for kind in (*Refused.__subclasses__(), *ApplicationError.__subclasses__(), Refused)}
        assert missing(told - refusals, SECTION) == []


class Server:
    """The project, serving a database on a port of its own."""

    def __init__(self, database: str) -> None:
        self.environment = environment_of(databases.url_of(database))
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api/cleanup"
        command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def wait(self) -> None:
        for _ in range(600):
            try:
                httpx.get(f"{self.url}/status", timeout=5)
            except httpx.TransportError:
                if self.process.poll() is not None:
                    pytest.fail(self.process.stderr.read().decode())
            else:
                return
        pytest.fail("the server does not answer")

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate()


@pytest.fixture
def server(scratch_database):
    User.objects.db_manager(scratch_database).create_superuser("root")
    tree(scratch_database, "Loan/Docs(2), Loan/{Docs(1), Photos(1)}, Archive/Docs(1)")
    tree(scratch_database, "Loan/{Docs(1), Docs(1)}")
    tree(scratch_database, "Loan/Docs(1)")
    Heartbeat.objects.using(scratch_database).create(cluster="elsewhere:1", host="elsewhere")
    serving = Server(scratch_database)
    try:
        serving.wait()
        yield serving
    finally:
        serving.stop()


class TestExamples:
    def test_with_curl_happen_as_shown(self, server):
        shown = examples("The REST API")
        script = "\n".join(f"{example.command}\necho '<end>'" for example in shown)
        script = script.replace("http://127.0.0.1:8000/api/cleanup", server.url)
        done = shell(script, server.environment)
        printed = [part.strip() + "\n" if part.strip() else "" for part in done.stdout.split("<end>\n")]
        assert done.returncode == 0, done.stderr
        for example, output in zip(shown, printed, strict=False):
            assert re.fullmatch(as_pattern(example.output), output), f"$ {example.command}\n{output}\n{done.stderr}"

    def test_with_httpx_happen_as_shown(self, server, tmp_path: Path):
        token = shell("python manage.py cleanup_token root", server.environment).stdout.strip()
        (program,) = blocks("python", SECTION)
        (tmp_path / "program.py").write_text(program, encoding="utf-8")
        environment = {**server.environment, "API": server.url, "TOKEN": token}
        done = shell(f"python {tmp_path}/program.py", environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(r"completed \d\nrolled_back\n202 pending\n", done.stdout)


class TestThePageToTryIt:
    @pytest.fixture
    def page(self, caller):
        caller.client.force_login(caller.user)
        return caller.client.get("/api/cleanup/docs")

    @pytest.mark.only("sqlite")
    def test_takes_nothing_from_another_server(self, page, caller):
        found = re.findall(r'(?:src|href|data-schema)="([^"]+)"', page.content.decode())
        assert all(url.startswith(("/static/", "/api/cleanup/schema", "data:")) for url in found)
        answers = [caller.client.get(url) for url in found if url.startswith("/")]
        assert {answer.status_code for answer in answers} == {200}
        for answer in answers:
            answer.close()

    @pytest.mark.only("sqlite")
    def test_runs_no_script_that_stands_in_it(self, page):
        assert re.findall(r"<script[^>]*>([^<]+)<", page.content.decode()) == []
        assert "script-src 'self';" in page.headers["Content-Security-Policy"]

    @pytest.mark.only("sqlite")
    def test_is_not_for_everybody(self, make_caller):
        unprivileged = make_caller()
        unprivileged.client.force_login(unprivileged.user)
        assert unprivileged.client.get("/api/cleanup/docs").status_code == 403


@pytest.mark.only("sqlite")
class TestTokenCommand:
    def test_refuses_whom_it_does_not_know(self, served):
        with pytest.raises(CommandError):
            call_command("cleanup_token", "nobody")

    def test_keeps_within_the_longest_life(self, make_caller, settings):
        settings.CLEANUP_API_TOKEN_HOURS = 5
        make_caller(name="ann")
        with pytest.raises(CommandError):
            call_command("cleanup_token", "ann", hours=6)
