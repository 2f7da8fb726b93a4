import contextlib
import getpass
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings
from django.utils import timezone

from cleanup.models import FreezeSwitch, Hold, RemovedFolder, Result, RollbackPoint, Run
from cleanup.services import DatabaseCleanupService
from tests import ROOT
from tests.support import databases
from tests.support.model_roles import SETTINGS_MODULE, File
from tests.support.trees import assert_tree, dump, execute, is_postgresql, key_type, raw, tree

MESS = "Loan/Docs(x.txt, y.txt), Loan/{Docs(a.txt), Photos(b.jpg)}, Loan"
MERGED = "Loan/{Docs(a.txt, x.txt, y.txt), Photos(b.jpg)}"
UNKNOWN = "0c7b1f6e-2f5a-4d0e-9a43-6f1d2c3b4a59"


@dataclass(frozen=True, slots=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one sentence on standard error, less the lines that name the database and lead to the manual."""
        lines = [line for line in self.err.splitlines() if not line.startswith(("Database: ", "See the manual ("))]
        assert len(lines) == 1, lines
        return lines[0]


def run_command(database: str, *arguments: str, command: str = "database_cleanup") -> Done:
    """Run the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    try:
        call_command(command, *arguments, database=database, stdout=out, stderr=err)
    except SystemExit as exit_:
        status = exit_.code
    except CommandError as error:
        status = error.returncode
        err.write(f"{error}\n")
    return Done(status, out.getvalue(), err.getvalue())


def environment(database: str) -> dict[str, str]:
    own = {"DJANGO_SETTINGS_MODULE": SETTINGS_MODULE, "DATABASE_URL": databases.url_of(database)}
    return {**os.environ, **own, "TERM": "xterm", "COLUMNS": "200"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", "database_cleanup", *arguments]


def run_process(database: str, *arguments: str, url: str = "") -> Done:
    """Run the command in a process of its own, without a terminal."""
    given = environment(database) | ({"DATABASE_URL": url} if url else {})
    done = subprocess.run(
        command(*arguments), check=False, capture_output=True, text=True, cwd=ROOT, env=given, stdin=subprocess.DEVNULL
    )
    return Done(done.returncode, done.stdout, done.stderr)


def run_on_a_terminal(database: str, *arguments: str, answer: str) -> Done:
    """Run the command on a terminal of its own; what it says is in ``err``, its standard output is a pipe."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*arguments), stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, cwd=ROOT, env=environment(database)
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    said = b""
    with contextlib.suppress(OSError):  # the terminal ends with its last user
        while chunk := os.read(ours, 65536):
            said += chunk
    out, _ = process.communicate()
    os.close(ours)
    return Done(process.returncode, out.decode(), said.decode())


class FakeTerminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def answering(monkeypatch):
    """Let a person sit at standard input who gives this answer."""
    return lambda answer: monkeypatch.setattr("sys.stdin", FakeTerminal(f"{answer}\n"))


@pytest.fixture
def loan(database):
    return tree(database, MESS)


@pytest.fixture
def cleaned(database, loan):
    """The report of a run that has cleaned one application."""
    return DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()


class TestDatabaseLine:
    def test_comes_first_and_masks_the_password(self, database):
        done = run_process(database, "--status")
        first = done.err.splitlines()[0]
        expected = "Database: postgresql://" if is_postgresql(database) else "Database: sqlite:////"
        assert first.startswith(expected)

    @pytest.mark.only("postgresql")
    def test_never_tells_a_password(self, database):
        url = "postgresql://me:hunter2@127.0.0.1:1/x"
        done = run_process(database, "--check", url=url)
        assert done.status == 2
        assert done.err.startswith("Database: postgresql://me:***@127.0.0.1:1/x\n")
        assert "cannot be reached" in done.sentence
        assert "hunter2" not in done.err

    @pytest.mark.only("postgresql")
    def test_names_the_service_that_says_where_it_is(self, database):
        done = run_process(database, "--check", url="postgresql:///?service=nowhere")
        assert (done.status, done.err.splitlines()[0]) == (2, "Database: postgresql:///?service=nowhere")


# Decided before any database is asked.
@pytest.mark.only("sqlite")
class TestVerbs:
    def test_is_one_of_many(self, database):
        done = run_command(database)
        assert (done.status, done.out) == (2, "")
        assert "--cleanup" in done.sentence

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (["--dry-run", "--cleanup"], "--dry-run and --cleanup cannot be used together"),
            (["--resume", UNKNOWN, "--dry-run"], "--dry-run and --resume"),
            (["--rollback", UNKNOWN, "--verify"], "--verify and --rollback"),
            (
                ["--status", "--application", "x"],
                "--application cannot be used with --status; it works with --dry-run, --cleanup, --verify",
            ),
            (["--cleanup", "--skip-conflicts"], "--skip-conflicts cannot be used with --cleanup"),
            (["--check", "--all-results"], "--all-results cannot be used with --check"),
            (["--dry-run", "--retry-failed"], "--retry-failed cannot be used with --dry-run"),
            (["--cleanup", "--preview"], "--preview cannot be used with --cleanup"),
            (["--verify", "--application", "x", "--application", "y"], "one --application"),
            (["--cleanup", "--application", "x", "--max-applications", "1"], "cannot be used together"),
            (["--cleanup", "--batch-size", "-5"], "--batch-size must be at least 1, not -5"),
            (["--cleanup", "--max-applications", "0"], "--max-applications must be at least 1, not 0"),
            (["--dry-run", "--workers", "0"], "--workers must be at least 1, not 0"),
            (["--status", "--batch-size", "0"], "--batch-size cannot be used with --status"),
        ],
    )
    def test_contradictions_are_one_sentence(self, database, arguments, named):
        done = run_command(database, *arguments)
        assert (done.status, done.out) == (2, "")
        assert named in done.sentence

    @pytest.mark.parametrize("arguments", [["--nonsense"], ["--clean"], ["--cleanup", "--batch-size", "many"]])
    def test_that_do_not_exist_are_refused_without_a_traceback(self, database, arguments):
        done = run_process(database, *arguments)
        assert (done.status, done.out) == (2, "")
        assert "Traceback" not in done.err
        assert done.err.count("\n") == 2  # usage and sentence

    def test_name_an_unknown_alias(self):
        done = run_command("nowhere", "--status")
        assert (done.status, done.out) == (2, "")
        assert "'nowhere'" in done.sentence


class TestUnusableDatabase:
    def test_without_tables_names_the_command_that_makes_them(self, blank_database):
        done = run_command(blank_database, "--status")
        assert (done.status, done.out) == (2, "")
        assert "manage.py migrate cleanup --fake-initial" in done.sentence

    @pytest.mark.parametrize("verb", ["--check", "--dry-run", "--verify", "--cleanup"])
    def test_is_one_sentence_for_every_verb(self, blank_database, verb):
        done = run_command(blank_database, verb, "--no-input")
        assert (done.status, done.out) == (2, "")
        assert done.sentence

    @pytest.mark.only("postgresql")
    def test_that_is_read_only_changes_nothing(self, scratch_database):
        loan = tree(scratch_database, MESS)
        url = f"{databases.url_of(scratch_database)}?options=-cdefault_transaction_read_only%3Don"
        done = run_process(scratch_database, "--cleanup", "--no-input", url=url)
        assert (done.status, done.out) == (2, "")
        assert "read-only" in done.sentence
        assert_tree(scratch_database, loan, MESS)

    @pytest.mark.only("sqlite")
    def test_that_is_no_database_is_one_sentence(self, database, tmp_path):
        (tmp_path / "text.db").write_text("this is a text, and a text is not a database" * 100)
        done = run_process(database, "--status", url=f"sqlite:///{tmp_path}/text.db")
        assert (done.status, done.out) == (2, "")
        assert "cannot be opened" in done.sentence


class TestDryRun:
    def test_lists_applications_and_totals_and_changes_nothing(self, database, loan):
        before = dump(database, own=True)
        done = run_command(database, "--dry-run")
        assert done.status == 0
        assert loan.application in done.out
        assert "3 folders would be removed, 1 of them child folders; 1 file would be moved." in done.out
        assert dump(database, own=True) == before

    def test_caps_its_list(self, database, monkeypatch):
        monkeypatch.setattr("cleanup.conf.list_limit", lambda: 2)
        for _ in range(3):
            tree(database, "Loan*2")
        assert "... and 1 more. --all-results lists all." in run_command(database, "--dry-run").out
        assert "more" not in run_command(database, "--dry-run", "--all-results").out

    def test_has_the_totals_of_the_cleanup(self, database, loan):
        foretold = run_command(database, "--dry-run", "--json").json
        done = run_command(database, "--cleanup", "--no-input", "--json").json
        totals = ("total_applications", "total_folders_removed", "total_files_moved", "total_child_folders_merged")
        assert [foretold[name] for name in totals] == [done[name] for name in totals]
        assert (foretold["dry_run"], foretold["run_id"]) == (True, None)

    @pytest.mark.parametrize(
        ("options", "several", "says"), [((), False, True), ((), True, False), (("--verbosity", "2"), True, True)]
    )
    def test_says_which_root_folder_would_stay(self, database, options, several, says):
        made = tree(database, 'older:"[red]Loan", younger:Loan')
        if several:
            tree(database, "Loan*2")
        root = f"of its duplicate root folders, “[red]Loan” ({made['older']}) would stay."
        assert (root in run_command(database, "--dry-run", *options).out) == says

    def test_gives_a_reason_that_applications_share_once(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "refuse"
        for _ in range(5):
            tree(database, "Loan, Lease")
        out = run_command(database, "--dry-run").out
        assert out.count("Its root folders have different names") == 1
        assert " and 2 more: Its root folders" in out

    def test_offers_no_cleanup_that_would_do_nothing(self, database, loan):
        Hold.objects.using(database).create(application_key=loan.application, reason="audit")
        out = run_command(database, "--dry-run").out
        assert out.endswith("Nothing was changed. To clean up what is on hold, add --include-held.\n")
        assert "--cleanup" in run_command(database, "--dry-run", "--include-held").out

    def test_of_named_applications_looks_at_those(self, database, loan):
        other = tree(database, "Loan*2")
        done = run_command(database, "--dry-run", "--application", other.application, "--json").json
        assert [result["application_id"] for result in done["results"]] == [other.application]


class TestCleanup:
    def test_counts_the_rows_that_gave_way(self, scratch_database, settings):
        settings.CLEANUP_COLLISIONS = {"pin": "keep_survivor"}
        key = key_type(scratch_database)
        execute(scratch_database, f"CREATE TABLE pin (folder {key} PRIMARY KEY REFERENCES :folders)")
        made = tree(scratch_database, "stays:Loan, gone:Loan")
        for folder in ("stays", "gone"):
            execute(scratch_database, "INSERT INTO pin VALUES (%s)", raw(scratch_database, made[folder]))
        expected = run_command(scratch_database, "--dry-run").out
        assert "pin would be removed, as the folder that stays keeps its own." in expected
        assert "pin removed, as the folder that stays" in run_command(scratch_database, "--cleanup", "--no-input").out

    def test_merges_and_says_how_to_undo_it(self, database, loan):
        done = run_command(database, "--cleanup", "--no-input")
        assert done.status == 0
        assert_tree(database, loan, MERGED)
        assert f"--rollback {Run.objects.using(database).get().pk}" in done.out

    def test_is_recorded_with_who_and_why(self, database, loan):
        run_command(database, "--cleanup", "--force", "--reason", "spring")
        run = Run.objects.using(database).get()
        assert (run.started_by, run.started_how, run.reason) == (getpass.getuser(), "shell", "spring")

    def test_without_a_terminal_needs_no_input(self, database, loan):
        done = run_process(database, "--cleanup")
        assert (done.status, done.out) == (2, "")
        assert "--no-input" in done.sentence
        assert_tree(database, loan, MESS)

    def test_asks_first(self, database, loan, answering):
        answering("n")
        done = run_command(database, "--cleanup")
        assert done.status == 3
        assert "Merge the duplicate folders of 1 application? [y/N]" in done.err
        assert done.err.endswith("Cancelled. Nothing was changed.\n")
        assert "CommandError" not in done.err
        assert_tree(database, loan, MESS)

    def test_goes_ahead_when_told_yes(self, database, loan, answering):
        answering("y")
        assert run_command(database, "--cleanup").status == 0
        assert_tree(database, loan, MERGED)

    def test_asks_nothing_where_nothing_is_to_do(self, database, answering):
        answering("n")
        done = run_command(database, "--cleanup")
        assert (done.status, "[y/N]" in done.err) == (0, False)

    def test_takes_the_worst_up_to_a_limit(self, database, loan):
        other = tree(database, "Loan*2")
        run_command(database, "--cleanup", "--no-input", "--max-applications", "1")
        assert_tree(database, loan, MERGED)
        assert_tree(database, other, "Loan*2")

    def test_fails_for_an_application_that_is_refused_and_does_the_others(self, database, loan, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "refuse"
        odd = tree(database, "Loan, Lease")
        done = run_command(database, "--cleanup", "--no-input")
        assert done.status == 1
        assert f"{odd.application}: Its root folders have different names" in done.out
        assert_tree(database, loan, MERGED)

    def test_leaves_what_is_on_hold_without_complaint(self, database, loan):
        Hold.objects.using(database).create(application_key=loan.application, reason="audit")
        done = run_command(database, "--cleanup", "--no-input")
        assert (done.status, "1 on hold" in done.out) == (0, True)

    def test_complains_of_a_hold_on_what_was_named(self, database, loan):
        Hold.objects.using(database).create(application_key=loan.application, reason="audit")
        assert run_command(database, "--cleanup", "--no-input", "--application", loan.application).status == 1
        done = run_command(database, "--cleanup", "--no-input", "--application", loan.application, "--include-held")
        assert done.status == 0
        assert_tree(database, loan, MERGED)

    @pytest.mark.parametrize("application", ["", "no-uuid", "\x1b[31m", UNKNOWN])
    def test_of_an_unknown_application_is_refused(self, database, loan, application):
        done = run_command(database, "--cleanup", "--no-input", "--application", application)
        assert (done.status, done.out) == (2, "")
        assert "\x1b" not in done.sentence
        assert_tree(database, loan, MESS)

    def test_beside_an_active_run_is_refused_with_its_id(self, database, cleaned):
        Run.objects.using(database).update(status="running")
        done = run_command(database, "--cleanup", "--no-input")
        assert done.status == 3
        assert str(cleaned.run_id) in done.sentence

    @pytest.mark.only("sqlite")
    def test_has_one_worker_on_sqlite(self, database, loan):
        done = run_command(database, "--cleanup", "--no-input", "--workers", "2")
        assert done.status == 2
        assert "SQLite" in done.sentence

    @pytest.mark.only("postgresql")
    def test_has_many_workers_on_postgresql(self, database, loan):
        done = run_command(database, "--cleanup", "--no-input", "--workers", "2")
        assert done.status == 0
        assert_tree(database, loan, MERGED)


class TestOnATerminal:
    def test_shows_a_bar_and_obeys_a_no(self, database, loan):
        refused = run_on_a_terminal(database, "--cleanup", answer="n\n")
        assert refused.status == 3
        assert_tree(database, loan, MESS)
        done = run_on_a_terminal(database, "--cleanup", "--json", answer="y\n")
        assert (done.status, done.json["successful_cleanups"]) == (0, 1)
        assert "1/1" in done.err


class TestJson:
    @pytest.mark.parametrize("verb", ["--check", "--dry-run", "--verify", "--status", "--preflight", "--purge"])
    def test_is_one_document_and_nothing_else(self, database, loan, verb):
        assert isinstance(run_command(database, verb, "--json", "--no-input").json, dict)

    def test_of_a_failure_has_a_code(self, database, loan):
        FreezeSwitch.objects.using(database).update_or_create(pk=1, defaults={"frozen": True, "reason": "audit"})
        done = run_command(database, "--cleanup", "--no-input", "--json")
        assert (done.status, done.json["error"]["code"], done.json["error"]["reason"]) == (3, "frozen", "audit")

    def test_escapes_what_terminals_obey(self, database):
        tree(database, '"\x1b[31m\u202ered"*2')
        done = run_command(database, "--verify", "--json")
        assert "\x1b" not in done.out
        assert "\u202e" not in done.out


class TestCheck:
    def test_finds_nothing_on_a_clean_database(self, database):
        tree(database, "Loan/Docs")
        assert run_command(database, "--check").status == 0

    def test_finds_duplicates(self, database, loan):
        done = run_command(database, "--check")
        assert done.status == 1
        assert "1 application has duplicate folders." in done.out
        assert loan.application in done.out

    def test_has_the_documented_fields(self, database, loan):
        document = run_command(database, "--check", "--json").json
        assert document["duplicate_applications_found"] == 1
        assert {"check_time", "integrity_verification", "needs_cleanup", "alert_threshold_exceeded"} < set(document)


class TestVerify:
    def test_passes_a_clean_database(self, database):
        tree(database, "Loan/Docs(1)")
        done = run_command(database, "--verify")
        assert (done.status, "The verification passed" in done.out) == (0, True)

    def test_lists_findings_with_what_helps(self, database, loan):
        done = run_command(database, "--verify")
        assert done.status == 1
        assert "several_roots" in done.out
        assert f"--cleanup --application {loan.application}" in done.out

    def test_says_how_to_see_a_repair(self, database):
        tree(database, 'Loan/" "')
        out = run_command(database, "--verify").out
        assert "See how it would be repaired with: manage.py database_cleanup --repair blank_name --dry-run" in out

    def test_of_one_application_looks_at_it_alone(self, database, loan):
        clean = tree(database, "Loan")
        assert run_command(database, "--verify", "--application", clean.application).status == 0
        assert run_command(database, "--verify", "--application", loan.application).status == 1

    def test_prints_names_without_obeying_them(self, database):
        tree(database, 'Loan/"Docs [/old]\x1b[2J\u202e"*2')
        out = run_command(database, "--verify").out
        assert "Docs [/old]\\x1b[2J\\u202e" in out
        assert "\x1b" not in out


class TestStatus:
    def test_tells_what_was_done(self, database, cleaned):
        done = run_command(database, "--status")
        assert done.status == 0
        assert "No cleanup run is active." in done.out

    def test_has_the_documented_fields(self, database):
        document = run_command(database, "--status", "--json").json
        assert {"running", "frozen", "schedules", "statistics", "active_run"} <= set(document)

    def test_names_the_latest_runs_to_roll_back(self, database, cleaned):
        undo = DatabaseCleanupService(using=database).rollback_cleanup(cleaned.run_id).run_id
        done = run_command(database, "--status", "--json").json["latest_runs"]
        assert [(run["run_id"], run["kind"], run["status"]) for run in done] == [
            (str(undo), "rollback", "completed"),
            (str(cleaned.run_id), "cleanup", "completed"),
        ]
        assert str(cleaned.run_id) in run_command(database, "--status").out

    def test_names_a_run_once_though_its_workers_hold_several_applications(self, database, cleaned):
        held = {"run_id": cleaned.run_id, "status": "in_progress", "worker": "host:1"}
        for key in ("a", "b"):
            Result.objects.using(database).create(
                application_key=key, lease_expires_at=timezone.now() + timedelta(hours=1), **held
            )
        done = run_command(database, "--status", "--json").json["latest_runs"]
        assert [run["run_id"] for run in done] == [str(cleaned.run_id)]

    def test_leaves_active_runs_out_of_the_latest(self, database, cleaned):
        Run.objects.using(database).update(status="paused", ended_at=None)
        assert run_command(database, "--status", "--json").json["latest_runs"] == []

    def test_tells_of_a_run_that_nobody_works_on(self, database, cleaned):
        Run.objects.using(database).update(status="paused", status_reason="lunch")
        out = run_command(database, "--status").out
        assert f"Run {cleaned.run_id} is paused: lunch." in out
        assert f"--resume {cleaned.run_id}" in out


class TestRuns:
    @pytest.fixture
    def undo(self, database, cleaned):
        return DatabaseCleanupService(using=database).rollback_cleanup(cleaned.run_id, reason="a mistake").run_id

    def listed(self, database, *options):
        done = run_command(database, "--runs", *options, "--json")
        assert done.status == 0
        return done.json

    def test_say_what_was_done_by_whom_and_what_can_be_undone(self, database, loan):
        run_command(database, "--cleanup", "--no-input", "--reason", "spring")
        (run,) = self.listed(database)["results"]
        assert (run["kind"], run["status"], run["reason"]) == ("cleanup", "completed", "spring")
        assert (run["started_by"], run["started_how"]) == (getpass.getuser(), "shell")
        assert (run["successful_applications"], run["failed_applications"]) == (1, 0)
        assert run["undoable_until"] > run["ended_at"]
        out = run_command(database, "--runs").out
        assert run["run_id"] in out
        assert "--rollback RUN --preview" in out

    def test_come_newest_first_up_to_a_limit(self, database, cleaned, undo):
        runs = [run["run_id"] for run in self.listed(database)["results"]]
        assert runs == [str(undo), str(cleaned.run_id)]
        shown = self.listed(database, "--limit", "1")
        assert ([run["run_id"] for run in shown["results"]], shown["results_left_out"]) == ([str(undo)], 1)
        assert "... and 1 more." in run_command(database, "--runs", "--limit", "1").out

    def test_that_were_rolled_back_cannot_be_undone_again(self, database, cleaned, undo):
        assert [run["undoable_until"] for run in self.listed(database)["results"]] == [None, None]
        assert self.listed(database)["results"][0]["source_run_id"] == str(cleaned.run_id)

    def test_of_an_application_name_its_rollback_point(self, database, loan, cleaned):
        tree(database, "Loan, Loan")
        run_command(database, "--cleanup", "--no-input")
        untouched = tree(database, "Loan").application
        assert "No such runs." in run_command(database, "--runs", "--application", untouched).out
        (run,) = self.listed(database, "--application", loan.application)["results"]
        point = RollbackPoint.objects.using(database).get(run=cleaned.run_id)
        assert (run["run_id"], run["rollback_id"]) == (str(cleaned.run_id), str(point.uuid))
        assert str(point.uuid) in run_command(database, "--runs", "--application", loan.application).out

    def test_are_filtered(self, database, cleaned, subtests):
        for options, found in (
            (("--state", "completed"), True),
            (("--state", "paused"), False),
            (("--since", "2020-01-01"), True),
            (("--since", "2999-01-01T08:00+02:00"), False),
        ):
            with subtests.test(options=options):
                assert bool(self.listed(database, *options)["results"]) == found
                assert (str(cleaned.run_id) in run_command(database, "--runs", *options).out) == found

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            (("--limit", "0"), "at least 1"),
            (("--application", UNKNOWN, "--application", UNKNOWN), "one --application"),
        ],
    )
    def test_are_not_asked_for_in_other_ways(self, database, options, named):
        done = run_command(database, "--runs", *options)
        assert (done.status, named in done.err) == (2, True)

    @pytest.mark.parametrize(
        ("options", "named"), [(("--state", "odd"), "completed"), (("--since", "yesterday"), "2026-11-01")]
    )
    def test_are_of_no_other_state_and_time(self, database, options, named):
        done = run_process(database, "--runs", *options)
        assert (done.status, named in done.err, "Traceback" in done.err) == (2, True, False)


class TestPreflight:
    def test_says_yes(self, database, loan):
        done = run_command(database, "--preflight")
        assert done.status == 0
        assert "Yes: a cleanup can run." in done.out

    @pytest.fixture
    def trashed(self, scratch_database, settings):
        """A column for soft deletion that no setting speaks of."""
        settings.CLEANUP_FOLDER_LIVE = None
        del settings.CLEANUP_FOLDER_LIVE
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN deleted_at timestamp")

    def test_says_that_applications_would_be_refused(self, scratch_database):
        made = tree(scratch_database, "one:Loan, two:Loan")
        one, two = (raw(scratch_database, made[name]) for name in ("one", "two"))
        kind = "uuid" if is_postgresql(scratch_database) else "char(32)"
        columns = f"id integer PRIMARY KEY, folder_id {kind}, person integer, UNIQUE (folder_id, person)"
        execute(scratch_database, f"CREATE TABLE shares ({columns})")
        execute(scratch_database, f"INSERT INTO shares VALUES (1, '{one}', 1), (2, '{two}', 1)")
        with override_settings(CLEANUP_EXTRA_REFERENCES=["shares.folder_id"]):
            done = run_command(scratch_database, "--preflight")
        assert (done.status, "Yes: a cleanup can run, but it would refuse applications" in done.out) == (0, True)

    def test_says_no_with_the_reason(self, scratch_database, trashed):
        done = run_command(scratch_database, "--preflight")
        assert done.status == 3
        assert "deleted_at" in done.out
        assert "No: a cleanup would stop" in done.out

    def test_is_what_stops_a_cleanup(self, scratch_database, trashed):
        loan = tree(scratch_database, MESS)
        done = run_command(scratch_database, "--cleanup", "--no-input")
        assert (done.status, "deleted_at" in done.err) == (3, True)
        assert "See the manual (cleanup/docs/references.md#references-and-refusals)." in done.err
        assert_tree(scratch_database, loan, MESS)


class TestRollback:
    def test_of_a_run_restores_everything(self, database, loan):
        before = dump(database)
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        done = run_command(database, "--rollback", str(report.run_id), "--no-input", "--reason", "mistake")
        assert done.status == 0
        assert "Everything is as it was before." in done.out
        assert dump(database) == before

    def test_of_a_point_keeps_the_reason(self, database, cleaned):
        point = RollbackPoint.objects.using(database).get()
        assert run_command(database, "--rollback", str(point.uuid), "--no-input", "--reason", "mistake").status == 0
        point.refresh_from_db()
        assert (point.status, point.ended_reason, point.ended_by) == ("rolled_back", "mistake", getpass.getuser())

    def test_preview_changes_nothing(self, database, cleaned):
        before = dump(database, own=True)
        done = run_command(database, "--rollback", str(cleaned.run_id), "--preview")
        assert (done.status, "would be restored" in done.out) == (0, True)
        assert dump(database, own=True) == before

    def test_shows_the_preview_and_asks(self, database, loan, cleaned, answering):
        answering("n")
        done = run_command(database, "--rollback", str(cleaned.run_id))
        assert done.status == 3
        assert "3 folders, 1 file" in done.err
        assert "would be restored" in done.err
        assert_tree(database, loan, MERGED)

    def test_without_a_terminal_needs_no_input(self, database, loan, cleaned):
        done = run_process(database, "--rollback", str(cleaned.run_id))
        assert (done.status, "--no-input" in done.sentence) == (2, True)
        assert_tree(database, loan, MERGED)

    def test_twice_is_refused(self, database, cleaned):
        run_command(database, "--rollback", str(cleaned.run_id), "--no-input")
        done = run_command(database, "--rollback", str(cleaned.run_id), "--no-input")
        assert (done.status, done.out) == (3, "")
        assert "already rolled back" in done.sentence

    @pytest.mark.parametrize("rollback_id", ["", "x", UNKNOWN])
    def test_of_an_unknown_id_is_refused(self, database, rollback_id):
        done = run_command(database, "--rollback", rollback_id, "--no-input")
        assert (done.status, done.out) == (2, "")
        assert done.sentence

    def test_refuses_conflicts_and_names_them(self, database, loan, cleaned):
        point = RollbackPoint.objects.using(database).get()
        File.objects.using(database).filter(pk=loan["a.txt"]).update(folder=None)
        done = run_command(database, "--rollback", str(point.uuid), "--no-input")
        assert done.status == 3
        assert "--skip-conflicts" in done.err
        assert loan["a.txt"] in done.out
        skipped = run_command(database, "--rollback", str(point.uuid), "--no-input", "--skip-conflicts")
        assert skipped.status == 0
        assert "Everything else is as it was before." in skipped.out

    def test_as_copies_shows_what_is_not_as_it_was(self, database, cleaned):
        run, (copied, *_) = str(cleaned.run_id), RemovedFolder.objects.using(database).order_by("pk")
        told = run_command(database, "--rollback", run, "--as-copies", "--preview")
        assert (told.status, " would come back as copies, to avoid duplicates." in told.out) == (0, True)
        done = run_command(database, "--rollback", run, "--as-copies", "--no-input")
        assert (done.status, " came back as copies, to avoid duplicates." in done.out) == (0, True)
        assert copied.folder_key in told.out
        assert copied.folder_key in done.out
        assert "Everything else is as it was before." in done.out

    def test_as_copies_is_in_the_question(self, database, loan, cleaned, answering):
        answering("n")
        done = run_command(database, "--rollback", str(cleaned.run_id), "--as-copies")
        assert (done.status, "would come back as copies" in done.err) == (3, True)
        assert_tree(database, loan, MERGED)

    def test_as_copies_tells_the_machine_too(self, database, cleaned):
        done = run_command(database, "--rollback", str(cleaned.run_id), "--as-copies", "--no-input", "--json")
        document = json.loads(done.out)
        assert (document["exact"], document["copies_left_out"]) == (False, 0)
        assert {tuple(copy) for copy in document["copies"]} == {("application_id", "folder_id", "renamed", "parent_id")}

    def test_of_an_expired_point_is_refused(self, database, cleaned):
        RollbackPoint.objects.using(database).update(status="purged", ended_at=timezone.now())
        done = run_command(database, "--rollback", str(RollbackPoint.objects.using(database).get().uuid), "--no-input")
        assert (done.status, "expired" in done.sentence) == (3, True)


class TestResume:
    def test_goes_on(self, database, loan):
        service = DatabaseCleanupService(using=database)
        run = service.cleanup_all_duplicate_folders(max_applications=1)
        Run.objects.using(database).update(status="paused")
        done = run_command(database, "--resume", str(run.run_id))
        assert (done.status, Run.objects.using(database).get().status) == (0, "completed")

    def test_retries_what_failed(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "refuse"
        odd = tree(database, "Loan, Lease")
        run_command(database, "--cleanup", "--no-input")
        run = str(Run.objects.using(database).get().pk)
        settings.CLEANUP_DIFFERENT_ROOTS = "merge"
        assert run_command(database, "--resume", run, "--retry-failed").status == 0
        assert_tree(database, odd, "Loan")

    def test_of_a_completed_run_is_refused(self, database, cleaned):
        done = run_command(database, "--resume", str(cleaned.run_id))
        assert (done.status, "cannot be resumed" in done.sentence) == (3, True)

    def test_on_a_copy_of_the_database_needs_to_be_told(self, database, cleaned):
        Run.objects.using(database).update(status="paused", database_identity="elsewhere")
        done = run_command(database, "--resume", str(cleaned.run_id))
        assert (done.status, "--adopt" in done.sentence) == (3, True)
        assert run_command(database, "--resume", str(cleaned.run_id), "--adopt").status == 0


class TestControl:
    def test_freeze_stops_cleaning_until_unfrozen(self, database, loan):
        frozen = run_command(database, "--freeze", "--reason", "audit [/b]")
        assert (frozen.status, "frozen: audit [/b]." in frozen.out) == (0, True)
        assert run_command(database, "--cleanup", "--no-input").status == 3
        assert run_command(database, "--unfreeze").status == 0
        assert run_command(database, "--cleanup", "--no-input").status == 0

    def test_pause_and_cancel_the_active_run(self, database, cleaned):
        Run.objects.using(database).update(status="running")
        paused = run_command(database, "--pause", "--reason", "lunch", "--json")
        assert (paused.status, paused.json["status"]) == (0, "paused")
        cancelled = run_command(database, "--cancel", str(cleaned.run_id))
        assert (cancelled.status, "cancelled" in cancelled.out) == (0, True)

    @pytest.mark.parametrize("verb", ["--pause", "--cancel"])
    def test_need_a_run(self, database, verb):
        assert run_command(database, verb).status == 2
        assert run_command(database, verb, UNKNOWN).status == 2


class TestPurge:
    @pytest.fixture
    def expired(self, database, cleaned):
        RollbackPoint.objects.using(database).update(expires_at=timezone.now(), verified_at=timezone.now())

    def test_preview_changes_nothing(self, database, expired):
        before = dump(database, own=True)
        done = run_command(database, "--purge", "--preview")
        assert (done.status, "1 expired rollback point of 1 application would be purged" in done.out) == (0, True)
        assert dump(database, own=True) == before

    def test_asks(self, database, expired, answering):
        answering("n")
        assert run_command(database, "--purge").status == 3
        assert RollbackPoint.objects.using(database).get().status == "live"

    def test_purges(self, database, expired):
        assert run_command(database, "--purge", "--no-input").status == 0
        assert RollbackPoint.objects.using(database).get().status == "purged"


class TestClosedPipe:
    def test_is_no_failure_of_the_cleanup(self, database, loan):
        ours, theirs = os.pipe()
        os.close(ours)
        process = subprocess.run(
            command("--cleanup", "--no-input"),
            check=False,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(database),
        )
        os.close(theirs)
        assert process.returncode == 128 + signal.SIGPIPE
        database_line, told = process.stderr.splitlines()
        assert database_line.startswith("Database: ")
        assert f"Run {Run.objects.using(database).get().pk} did its work" in told
        assert "Broken pipe" in told
        assert_tree(database, loan, MERGED)


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_finish_the_batch_and_pause(self, database, number):
        loans = [tree(database, "Loan/Docs(1), Loan/Docs(1)") for _ in range(90)]
        process = subprocess.Popen(
            command("--cleanup", "--no-input", "--batch-size", "1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(database),
        )
        self._await_first_result(database)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        run = Run.objects.using(database).get()
        assert (process.returncode, run.status) == (3, "paused")
        assert f"--resume {run.pk}" in err
        assert "not yet done" in out
        assert "Traceback" not in err
        assert run_command(database, "--resume", str(run.pk), "--batch-size", "100").status == 0
        for loan in loans:
            assert loan.folders == 2

    def _await_first_result(self, database):
        for _ in range(600):
            if RollbackPoint.objects.using(database).exists():
                return
            time.sleep(0.02)
        pytest.fail("the run did not begin")
