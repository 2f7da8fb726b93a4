"""What commands say is in sentences: one line each, times as people read them, failures by name."""

import re
from pathlib import Path

import pytest
from django.test import Client

from cleanup.models import Run
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from tests.integration.management.test_command import run_command
from tests.support.trees import tree

REASON = "year end\nERROR: forged\r\x1b[31m\u2028over."
IN_ONE_LINE = "year end ERROR: forged \\x1b[31m over"
ISO = re.compile(r"\d{4}-\d\d-\d\dT")

# How a sentence looks does not depend on the database.
pytestmark = pytest.mark.only("sqlite")


@pytest.fixture
def loan(database):
    return tree(database, "Loan/Docs(x.txt), Loan/Docs(a.txt), Loan")


@pytest.fixture
def service(database):
    return DatabaseCleanupService(using=database)


class TestReasons:
    def test_of_a_freeze_stand_in_one_line(self, database, loan, service):
        service.freeze(reason=REASON)
        told = run_command(database, "--cleanup", "--no-input").sentence
        assert (
            told
            == f"All cleaning is frozen ({IN_ONE_LINE}). Allow it again with: manage.py database_cleanup --unfreeze"
        )

    def test_of_a_freeze_are_left_out_where_there_is_none(self, database, loan, service):
        service.freeze(reason="")
        assert run_command(database, "--cleanup", "--no-input").sentence.startswith("All cleaning is frozen. Allow")
        assert "Cleaning is frozen.\n" in run_command(database, "--status").out

    def test_of_a_hold_stand_in_one_line(self, database, loan, service):
        service.hold(loan.application, reason=REASON)
        done = run_command(database, "--cleanup", "--no-input", "--application", loan.application)
        assert f"{loan.application}: The application is on hold: {IN_ONE_LINE}." in done.out.splitlines()

    def test_of_a_pause_stand_in_one_line(self, database, loan, service):
        run = service.start_cleanup(in_background=False)
        done = run_command(database, "--pause", str(run.pk), "--reason", REASON)
        lines = [line for line in done.out.splitlines() if "paus" in line]
        assert len(lines) == 1
        assert f": {IN_ONE_LINE}. 0 of 1 application done (" in lines[0]

    def test_of_a_run_that_paused_end_with_one_full_stop(self, database, loan, service):
        run = service.start_cleanup(in_background=False)
        service.freeze(reason="year end.")
        run_command(database, "--unfreeze")
        Run.objects.using(database).filter(pk=run.pk).update(status="paused", status_reason="The database refused (x).")
        told = run_command(database, "--status").out
        assert f"Run {run.pk} is paused: The database refused (x). 0 of 1 application done (" in told
        assert f"No worker is processing it. Resume it with: manage.py database_cleanup --resume {run.pk}\n" in told


class TestTimes:
    def test_in_the_status_are_read_by_people(self, database, loan, service):
        service.cleanup_all_duplicate_folders()
        AutomatedCleanupService(using=database).start_automated_service()
        told = run_command(database, "--status").out
        assert ISO.findall(told) == []
        assert len(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", told)) == 7  # of four schedules, and three of the run

    def test_in_a_check_are_read_by_people(self, database, loan):
        told = run_command(database, "--check").out
        assert ISO.findall(told) == []
        assert re.search(r"The latest verification, on \d{4}-\d\d-\d\d \d\d:\d\d UTC, ", told)

    def test_of_what_was_rolled_back_are_read_by_people(self, database, loan, service):
        run = service.cleanup_all_duplicate_folders().run_id
        service.rollback_cleanup(run)
        told = run_command(database, "--rollback", str(run), "--no-input").sentence
        assert re.search(r"was already rolled back, at \d{4}-\d\d-\d\d \d\d:\d\d UTC\.", told)

    def test_in_json_stay_as_programs_read_them(self, database, loan, service):
        AutomatedCleanupService(using=database).start_automated_service()
        status = run_command(database, "--status", "--json").json
        assert all(ISO.match(schedule["next_run"]) for schedule in status["schedules"].values())


class TestMetricsFile:
    def failing(self, database, path: Path) -> str:
        done = run_command(database, "--output", str(path), command="cleanup_metrics")
        assert (done.status, done.out) == (2, "")
        return done.sentence

    def test_in_a_directory_that_is_not_there_is_a_sentence(self, database, tmp_path):
        path = tmp_path / "missing" / "x.prom"
        assert self.failing(database, path) == f"Cannot write {path}: No such file or directory."

    def test_that_is_a_directory_is_a_sentence(self, database, tmp_path):
        path = tmp_path / "x.prom"
        path.mkdir()
        assert self.failing(database, path) == f"Cannot write {path}: Is a directory."
        assert list(tmp_path.iterdir()) == [path]

    def test_that_no_collector_would_read_is_refused(self, database, tmp_path):
        assert "must end in .prom" in self.failing(database, tmp_path / "x.txt")

    def test_without_a_name_is_refused(self, database):
        assert "must end in .prom" in self.failing(database, Path())


class TestLogin:
    @pytest.mark.parametrize("following", ["https://evil.example.com/", "//evil.example.com", "", "/admin/"])
    def test_leads_to_a_page_of_ours(self, database, django_user_model, following):
        django_user_model.objects.create_superuser("root", password="long enough")
        login = {"username": "root", "password": "long enough", "next": following}
        assert Client().post("/admin/login/", login).url == "/admin/"
