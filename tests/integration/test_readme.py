"""README is the manual: nothing that exists is missing from it, and what it shows happens."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import BaseCommand, load_command_class
from django.dispatch import Signal

from cleanup import conf, exceptions
from cleanup import signals as signals_of_cleanup
from cleanup.services import DatabaseCleanupService
from cleanup.services.findings import CODES
from tests import databases
from tests.integration.trees import execute, fetch, tree

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def missing(names, text: str) -> list[str]:
    """Return the names that do not stand in the text as words of code."""
    return sorted(name for name in set(names) if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text))


def sources(*patterns: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for pattern in patterns for path in sorted(ROOT.glob(pattern)))


class TestFirstBlocks:
    def test_are_the_two_commands(self):
        install = "python3 -m venv .venv && .venv/bin/pip install -c project/constraints.txt"
        assert blocks("shell") == [
            f"{install} . && .venv/bin/python manage.py cleanup_demo\n",
            f"{install} '.[test]' && .venv/bin/pytest\n",
        ]

    def test_come_before_all_others(self):
        assert re.findall(r"^```(\w+)$", README, re.MULTILINE)[:2] == ["shell", "shell"]


class TestEverythingStandsInIt:
    @pytest.mark.parametrize("command", ["database_cleanup", "cleanup_demo"])
    def test_every_flag(self, command):
        own, of_django = (
            {option for action in made.create_parser("manage.py", command)._actions for option in action.option_strings}
            for made in (load_command_class("cleanup", command), BaseCommand())
        )
        assert missing({option for option in own - of_django if option.startswith("--")}, README) == []

    def test_every_setting(self):
        settings = re.findall(r'"(CLEANUP_[A-Z_]+)"', Path(conf.__file__).read_text(encoding="utf-8"))
        assert len(settings) > 20
        assert missing(settings, section("Settings")) == []

    def test_every_default_of_a_setting(self):
        defaults = re.findall(r'"(CLEANUP_[A-Z_]+)", ([\d_]+)\)', Path(conf.__file__).read_text(encoding="utf-8"))
        assert len(defaults) > 10
        for setting, default in defaults:
            assert f"| `{setting}` | {default.replace('_', '')} |" in README

    def test_every_environment_variable(self):
        names = re.findall(r'"((?:DJANGO|DATABASE)_[A-Z_]+)"', sources("project/*.py"))
        assert missing(set(names) - {"DJANGO_SETTINGS_MODULE"}, section("Installation")) == []

    def test_every_refusal(self):
        text = sources("cleanup/references/*.py", "cleanup/services/preflight.py")
        codes = re.findall(r'(?:Problem|_about_server)\(\s*"(\w+)"', text)
        assert len(codes) > 15
        assert missing(codes, section("References and refusals")) == []

    def test_every_finding(self):
        assert missing(CODES, section("Integrity verification")) == []

    def test_every_system_check(self):
        ids = re.findall(r'"(cleanup\.[EW]\d+)"', sources("cleanup/checks.py"))
        assert missing(ids, section("System checks")) == []

    def test_every_signal(self):
        signals = [name for name, value in vars(signals_of_cleanup).items() if isinstance(value, Signal)]
        assert missing(signals, section("Signals")) == []

    def test_every_error_code(self):
        kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]
        codes = {kind.code for kind in kinds if issubclass(kind, exceptions.CleanupError)}
        assert missing(codes - {"error", "refused", "application"}, section("Python")) == []

    def test_every_method_of_the_service(self):
        methods = [name for name in vars(DatabaseCleanupService) if not name.startswith("_")]
        assert missing(methods, section("Python")) == []

    def test_every_table_of_its_own(self):
        tables = {
            model._meta.db_table
            for model in apps.get_app_config("cleanup").get_models()
            if model._meta.db_table.startswith("cleanup_")
        }
        assert missing(tables, section("Installation")) == []
        assert missing(tables, section("Roles and grants")) == []

    def test_every_link_leads_somewhere(self):
        titles = re.findall(r"^##+ (.*)$", README, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
        assert set(re.findall(r"\]\(#([\w-]+)\)", README)) - anchors == set()


class TestJson:
    @pytest.fixture
    def service(self, database):
        tree(database, "Loan/Docs(1), Loan/Docs(1)")
        return DatabaseCleanupService(using=database)

    def test_has_no_field_that_is_not_in_it(self, service):
        report = service.cleanup_all_duplicate_folders()
        documents = [
            service.check(),
            service.verify_cleanup_integrity(),
            report.as_json(),
            report.results[0].as_json(),
            service.rollback_cleanup(report.run_id).as_json(),
            service.status(),
            service.status()["statistics"],
            service.purge(preview=True),
            service.preflight(),
        ]
        fields = [name for document in documents for name in document]
        assert missing(fields, section("JSON")) == []


# --- What it shows


@dataclass(frozen=True, slots=True)
class Example:
    command: str
    output: str


def examples() -> list[Example]:
    found = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append(Example(command, output))
    return found


def as_pattern(output: str) -> str:
    """Let ``...`` stand for the rest of a line, or by itself for any lines."""
    lines = [
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + r"\n"
        for line in output.splitlines()
    ]
    return "".join(lines)


def last_run(environment: dict[str, str]) -> str:
    script = (
        "import django; django.setup(); from cleanup.models import Run; "
        "print(Run.objects.filter(kind='cleanup').order_by('-created_at').first().pk)"
    )
    return shell(f'python -c "{script}"', environment).stdout.strip()


def shell(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
    )


def environment_of(url: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings", "DATABASE_URL": url, "PATH": path}


class TestExamples:
    @pytest.fixture
    def demonstrated(self, blank_database) -> dict[str, str]:
        environment = environment_of(databases.url_of(blank_database))
        done = shell("python manage.py cleanup_demo --applications 5", environment)
        assert done.returncode == 0, done.stderr
        return environment

    def test_on_the_console_happen_as_shown(self, demonstrated):
        for example in examples():
            command = example.command
            if "RUN" in command:
                command = command.replace("RUN", last_run(demonstrated))
            done = shell(command, demonstrated)
            assert done.returncode in (0, 1), f"$ {command}\n{done.stderr}"
            assert re.fullmatch(as_pattern(example.output), done.stdout), f"$ {command}\n{done.stdout}"

    def test_in_python_run(self, demonstrated):
        script = "\n".join(["import django\ndjango.setup()", *blocks("python")])  # one story
        done = subprocess.run(
            [sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=ROOT, env=demonstrated
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "completed" in done.stdout


HOST_TABLES = """
CREATE TABLE customer_applications (id uuid PRIMARY KEY);
CREATE TABLE folders (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL, parent_id uuid REFERENCES folders,
    application_id uuid REFERENCES customer_applications, created_at timestamptz, updated_at timestamptz
);
CREATE TABLE files (
    id uuid PRIMARY KEY, filename varchar(255) NOT NULL, original_filename varchar(255) NOT NULL,
    display_name varchar(255), file_path text NOT NULL, file_size bigint NOT NULL, mime_type varchar(100) NOT NULL,
    uploaded_by uuid, application_id uuid REFERENCES customer_applications, folder_id uuid REFERENCES folders,
    created_at timestamptz
);
"""


@pytest.mark.only("postgresql")
class TestGrants:
    ROLES = ("cleanup_look", "cleanup_work", "cleanup_migrate")

    @pytest.fixture
    def granted(self, blank_database):
        """The database of another program, adopted with the roles of README."""
        (statements,) = blocks("sql")
        before, after = re.split(r"^-- now, as cleanup_migrate: .*\n", statements, flags=re.MULTILINE)
        execute(blank_database, HOST_TABLES)
        try:
            execute(blank_database, before)
            for command in re.findall(r"manage.py (.*?)(?=;|$)", statements, flags=re.MULTILINE):
                done = self.run_as(blank_database, "cleanup_migrate", command)
                assert done.returncode == 0, done.stderr
            execute(blank_database, after)
            yield blank_database
        finally:
            for role in self.ROLES:
                execute(blank_database, f"DROP OWNED BY {role}")
                execute(blank_database, f"DROP ROLE {role}")

    def run_as(self, database: str, role: str, command: str) -> subprocess.CompletedProcess[str]:
        environment = environment_of(f"{databases.url_of(database)}?options=-crole%3D{role}")
        return shell(f"python manage.py {command}", environment)

    def test_let_the_first_look_and_not_change(self, granted):
        tree(granted, "Loan*2")
        for verb in ("--check", "--verify", "--status"):
            done = self.run_as(granted, "cleanup_look", f"database_cleanup {verb}")
            assert done.returncode in (0, 1), done.stderr
        done = self.run_as(granted, "cleanup_look", "database_cleanup --cleanup --no-input")
        assert (done.returncode, "GRANT" in done.stderr) == (3, True)

    def test_let_the_second_work(self, granted):
        loan = tree(granted, "Loan/Docs(1), Loan/Docs(1)")
        verbs = ("--preflight", "--dry-run", "--cleanup --no-input", "--purge --no-input", "--freeze", "--unfreeze")
        for verb in verbs:
            done = self.run_as(granted, "cleanup_work", f"database_cleanup {verb}")
            assert done.returncode == 0, f"{verb}: {done.stdout}{done.stderr}"
        assert loan.folders == 2
        ((run,),) = fetch(granted, "SELECT id FROM cleanup_run")
        done = self.run_as(granted, "cleanup_work", f"database_cleanup --rollback {run} --no-input")
        assert done.returncode == 0, done.stderr
        assert loan.folders == 4
