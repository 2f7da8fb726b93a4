"""On a terminal a person gets sentences; the log gets its lines elsewhere."""

import io
import logging
import os
import pty
import re
import select
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from cleanup.exceptions import UsageError
from cleanup.management.base import ERRORS_KEPT_BACK
from tests.support.terminals import on_a_terminal
from tests.support.trees import tree

MESS = "Loan/Docs(x.txt), Loan/Docs(a.txt), Loan"
LINE = re.compile(r"\d{4}-\d\d-\d\d [\d:,]+ [A-Z]+ [\w.]+: ")
JSON_LINE = re.compile(r'\{"time": ')

pytestmark = pytest.mark.only("sqlite")


@pytest.fixture
def loan(database):
    return tree(database, MESS)


def cleanup(database: str, *arguments: str, **given) -> str:
    environment = {"DJANGO_LOG_LEVEL": "DEBUG", **given}
    status, shown = on_a_terminal(database, "database_cleanup", "--cleanup", "--no-input", *arguments, **environment)
    assert status == 0, shown
    return shown


class TestTerminal:
    def test_shows_no_log_line_of_the_demonstration(self, blank_database):
        status, shown = on_a_terminal(blank_database, "cleanup_demo", "--applications", "5", DJANGO_LOG_LEVEL="DEBUG")
        assert (status, LINE.findall(shown)) == (0, [])
        assert "every value is as it was" in shown

    def test_shows_no_log_line_of_a_cleanup(self, database, loan):
        shown = cleanup(database)
        assert LINE.findall(shown) == []
        assert "1 application: 1 cleaned up" in shown

    def test_shows_none_in_json_either(self, database, loan):
        assert JSON_LINE.findall(cleanup(database, DJANGO_LOG_FORMAT="JSON")) == []

    @pytest.mark.parametrize(
        "arguments",
        [
            ("database_cleanup", "--verify"),
            ("database_cleanup", "--cleanup"),
            ("cleanup_alerts",),
            ("cleanup_metrics",),
            ("cleanup_probe",),
            ("cleanup_token", "nobody"),
        ],
        ids=" ".join,
    )
    def test_shows_none_of_any_command(self, database, loan, arguments):
        _, shown = on_a_terminal(database, *arguments, answer="no\n", DJANGO_LOG_LEVEL="DEBUG")
        assert LINE.findall(shown) == []
        assert shown


class TestErrors:
    @pytest.fixture
    def screen(self):
        """A terminal that the log goes to."""
        ours, theirs = pty.openpty()
        with os.fdopen(theirs, "w") as stream:
            handler = logging.StreamHandler(stream)
            logging.getLogger("host").addHandler(handler)
            yield ours
            logging.getLogger("host").removeHandler(handler)
        os.close(ours)

    def test_that_were_kept_off_the_terminal_are_mentioned(self, database, screen, monkeypatch):
        monkeypatch.setattr("cleanup.management.commands.cleanup_probe.liveness.probe", log_an_error)
        out, err = io.StringIO(), io.StringIO()
        with pytest.raises(CommandError):
            call_command("cleanup_probe", database=database, stdout=out, stderr=err)
        assert select.select([screen], [], [], 0)[0] == []
        assert err.getvalue().endswith(f"{ERRORS_KEPT_BACK}\n")

    def test_are_on_the_terminal_again_when_the_command_has_ended(self, database, screen):
        call_command("cleanup_alerts", database=database, stdout=io.StringIO(), stderr=io.StringIO())
        logging.getLogger("host").error("a line")
        assert os.read(screen, 100) == b"a line\r\n"


def log_an_error(**_):
    logging.getLogger("host").error("a line")
    raise UsageError("It has failed.")


class TestLog:
    def test_is_shown_on_a_terminal_by_verbosity(self, database, loan):
        assert LINE.search(cleanup(database, "--verbosity", "2"))

    def test_is_shown_on_a_terminal_by_a_setting(self, database, loan):
        assert LINE.search(cleanup(database, CLEANUP_LOG_ON_TERMINAL="true"))

    def test_goes_to_standard_error_that_is_none(self, database, loan, tmp_path):
        path = tmp_path / "stderr"
        with path.open("w") as stderr:
            shown = cleanup(database, stderr=stderr.fileno())
        assert LINE.findall(shown) == []
        assert LINE.search(path.read_text())

    def test_goes_to_a_file_that_its_owner_alone_reads(self, database, loan, tmp_path):
        path = tmp_path / "cleanup.log"
        cleanup(database, DJANGO_LOG_FILE=str(path))
        assert LINE.search(path.read_text())
        assert path.stat().st_mode & 0o777 == 0o600

    def test_names_a_file_that_cannot_be_written(self, database, tmp_path):
        path = Path(tmp_path) / "missing" / "cleanup.log"
        status, shown = on_a_terminal(database, "cleanup_probe", DJANGO_LOG_FILE=str(path))
        assert status != 0
        assert f"DJANGO_LOG_FILE is {path}, which cannot be written" in shown
