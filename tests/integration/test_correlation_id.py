"""One id from the request to the log line, and log lines that machines can read and that name no one."""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys

import pytest
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from cleanup import correlation
from cleanup.logs import ContextFilter, JsonFormatter, LineFormatter
from cleanup.models import Run
from cleanup.services import DatabaseCleanupService
from tests import ROOT
from tests.support import databases, dirty_database
from tests.support.model_roles import File
from tests.support.trees import execute, tree

HEADER = "X-Correlation-ID"

NAME = "Ms Example"

#: What a log must survive, and must not hold.
HOSTILE = f"{NAME} [31m %s %(name)s {{0}} \x1b[31m"

#: Statements whose errors quote a name.
FAILING = {"postgresql": f"SELECT '{NAME}'::integer", "default": f'SELECT "{NAME}" FROM "{NAME}"'}


def answer(request):
    return HttpResponse(correlation.current())


async def answer_later(request):
    return HttpResponse(correlation.current())


urlpatterns = [path("now", answer), path("later", answer_later)]


@pytest.mark.urls(__name__)
class TestRequest:
    def test_keeps_the_id_that_it_brings(self):
        response = Client().get("/now", headers={HEADER: "order-2026.11_25"})
        assert (response.headers[HEADER], response.content) == ("order-2026.11_25", b"order-2026.11_25")

    def test_is_given_an_id(self):
        response = Client().get("/now")
        assert len(response.headers[HEADER]) == 32
        assert response.headers[HEADER].encode() == response.content

    @pytest.mark.parametrize("text", ["short", "a" * 65, "two words", "Ms Example!", "<script>alert(1)</script>"])
    def test_is_given_another_id_for_what_can_be_none(self, text):
        assert Client().get("/now", headers={HEADER: text}).headers[HEADER] != text

    def test_has_an_id_of_its_own(self):
        assert Client().get("/now").headers[HEADER] != Client().get("/now").headers[HEADER]
        assert correlation.current() == ""

    def test_may_be_asynchronous(self):
        response = asyncio.run(AsyncClient().get("/later", headers={HEADER: "order-2026"}))
        assert (response.headers[HEADER], response.content) == ("order-2026", b"order-2026")

    def test_that_is_refused_has_one_too(self):
        assert HEADER in Client().get("/nowhere").headers


class TestRun:
    def test_bears_the_id_of_what_started_it(self, database):
        dirty_database.make(database, applications=1)
        with correlation.bound(correlation_id="order-2026"):
            DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert Run.objects.using(database).get().correlation_id == "order-2026"

    def test_has_one_of_its_own_elsewhere(self, database):
        dirty_database.make(database, applications=1)
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert len(Run.objects.using(database).get().correlation_id) == 32


def logged(using: str, *arguments: str) -> tuple[list[dict], str]:
    """Run the command in a process of its own that logs all it can; return the lines, and everything it wrote."""
    environment = {
        **os.environ,
        "DATABASE_URL": databases.url_of(using),
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DJANGO_LOG_FORMAT": "JSON",
        "DJANGO_LOG_LEVEL": "DEBUG",
    }
    command = [sys.executable, "manage.py", "database_cleanup", "--no-input", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    return [line for line in lines if line["logger"].startswith("cleanup")], done.stdout + done.stderr


@pytest.mark.mapped_models("another process has the project's settings")
class TestProcess:
    @pytest.mark.only("postgresql")
    def test_puts_the_id_of_the_run_on_each_line_of_each_worker(self, scratch_database):
        dirty_database.make(scratch_database, applications=30)
        lines, _ = logged(scratch_database, "--cleanup", "--workers", "2", "--batch-size", "5")
        run = Run.objects.using(scratch_database).get()
        done = [line for line in lines if line.get("event") == "batch_done"]
        assert {(line["correlation_id"], line["run"]) for line in done} == {(run.correlation_id, str(run.pk))}
        assert sum(line["applications"] for line in done) == 30

    def test_tells_of_the_run_in_fields(self, scratch_database):
        dirty_database.make(scratch_database, applications=3)
        lines, _ = logged(scratch_database, "--cleanup")
        (left,) = [line for line in lines if line.get("event") == "run_left"]
        assert (left["status"], left["applications"], left["failed"], left["level"]) == ("completed", 3, 0, "INFO")

    @pytest.mark.only("postgresql")
    def test_tells_of_a_failure_in_codes_and_names_nobody(self, scratch_database):
        dirty_database.make(scratch_database, applications=3)
        failing = tree(scratch_database, f'"{HOSTILE}"/stays:Docs, "{HOSTILE}"/Docs(1)')
        File.objects.using(scratch_database).filter(application=failing.application).update(filename=NAME)
        # What a domain forbids is not foreseen, so that the database itself refuses.
        execute(scratch_database, f"CREATE DOMAIN place AS uuid CHECK (VALUE <> '{failing['stays']}')")
        execute(scratch_database, "ALTER TABLE files ALTER folder_id TYPE place")
        lines, everything = logged(scratch_database, "--cleanup")
        failures = [line for line in lines if line.get("event") == "application_failed"]
        assert {(line["application"], line["sqlstate"], line["error_class"]) for line in failures} == {
            (failing.application, "23514", "data")
        }
        assert NAME not in everything


class TestLine:
    def written(self, formatter: logging.Formatter, act) -> str:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        handler.addFilter(ContextFilter())
        logger = logging.getLogger("cleanup.test")
        logger.addHandler(handler)
        act(logger)
        logger.removeHandler(handler)
        return stream.getvalue()

    def fail(self, using: str, logger: logging.Logger) -> None:
        try:
            execute(using, FAILING[using])
        except DatabaseError:
            logger.exception("it failed", extra={"event": "failed", "secret": NAME})

    def test_is_one_object(self):
        with correlation.bound(correlation_id="order-2026", run="7"):
            text = self.written(JsonFormatter(), lambda logger: logger.warning("two\nlines", extra={"event": "test"}))
        line = json.loads(text)
        assert text.count("\n") == 1
        assert (line["message"], line["event"], line["run"], line["correlation_id"]) == (
            "two\nlines",
            "test",
            "7",
            "order-2026",
        )

    def test_for_people_ends_with_its_fields(self):
        formatter = LineFormatter("{levelname} {message}", style="{")
        with correlation.bound(correlation_id="order-2026"):
            text = self.written(formatter, lambda logger: logger.warning("so it is", extra={"attempt": 2}))
        assert text == "WARNING so it is [correlation_id=order-2026 attempt=2]\n"

    @pytest.mark.parametrize("formatter", [JsonFormatter(), LineFormatter()], ids=["json", "line"])
    def test_tells_an_error_without_its_words(self, database, formatter):
        text = self.written(formatter, lambda logger: self.fail(database, logger))
        assert ("22P02" if database == "postgresql" else "SQLITE_ERROR") in text
        assert NAME not in text
