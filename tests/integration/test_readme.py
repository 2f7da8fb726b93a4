"""README and its chapters: nothing that exists is missing from them, and what they show happens."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import psycopg
import pytest
from django.apps import apps
from django.core.management import BaseCommand, call_command, load_command_class
from django.db import connections
from django.dispatch import Signal

from cleanup import conf, exceptions, manual
from cleanup import signals as signals_of_cleanup
from cleanup.backends.finding_kinds import CODES
from cleanup.models import Run
from cleanup.permissions import Permission
from cleanup.services import DatabaseCleanupService, results
from tests import ROOT
from tests.support import databases, preloaded_python, psql
from tests.support.manual import CHAPTERS, MANUAL, README, anchors, blocks, missing, section
from tests.support.trees import Tree, execute, fetch, is_postgresql, new_key, raw, tree

KINDS_OF_ERRORS = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]
CODES_OF_ERRORS = {kind.code for kind in KINDS_OF_ERRORS if issubclass(kind, exceptions.CleanupError)}


def sources(*patterns: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for pattern in patterns for path in sorted(ROOT.glob(pattern)))


class TestFirstBlocks:
    def test_are_the_two_commands(self):
        install = "python3 -m venv .venv && .venv/bin/pip install -c project/constraints.txt"
        assert blocks("shell", README) == [
            f"{install} '.[project]' && .venv/bin/python manage.py cleanup_demo\n",
            f"{install} '.[test]' && .venv/bin/pytest\n",
        ]

    def test_come_before_all_others(self):
        assert re.findall(r"^```(\w+)$", README, re.MULTILINE)[:2] == ["shell", "shell"]


class TestEverythingStandsInIt:
    @pytest.mark.parametrize(
        "command", ["database_cleanup", "cleanup_alerts", "cleanup_demo", "cleanup_metrics", "cleanup_probe"]
    )
    def test_every_flag(self, command):
        own, of_django = (
            {option for action in made.create_parser("manage.py", command)._actions for option in action.option_strings}
            for made in (load_command_class("cleanup", command), BaseCommand())
        )
        assert missing({option for option in own - of_django if option.startswith("--")}, MANUAL) == []

    def test_every_setting(self):
        settings = re.findall(r'"(CLEANUP_[A-Z_]+)"', Path(conf.__file__).read_text(encoding="utf-8"))
        assert len(settings) > 20
        assert missing(settings, section("Settings")) == []

    def test_every_default_of_a_setting(self):
        defaults = re.findall(r'"(CLEANUP_[A-Z_]+)", ([\d_]+)\)', Path(conf.__file__).read_text(encoding="utf-8"))
        assert len(defaults) > 10
        for setting, default in defaults:
            assert f"| `{setting}` | {default.replace('_', '')} |" in section("Settings")

    def test_every_environment_variable(self):
        names = re.findall(r'"((?:DJANGO|DATABASE)_[A-Z_]+)"', sources("project/*.py"))
        assert missing(set(names) - {"DJANGO_SETTINGS_MODULE"}, section("Installation")) == []

    def test_every_refusal(self):
        text = sources("cleanup/references/*.py", "cleanup/services/preflight/report.py")
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
        assert missing(CODES_OF_ERRORS - {"error", "refused", "application"}, section("The service")) == []

    def test_every_method_of_the_service(self):
        methods = [name for name in dir(DatabaseCleanupService) if not name.startswith("_")]
        assert missing(methods, section("The service")) == []

    def test_every_table_of_its_own(self):
        tables = {
            model._meta.db_table
            for model in apps.get_app_config("cleanup").get_models()
            if model._meta.db_table.startswith("cleanup_")
        }
        assert missing(tables, section("Installation")) == []
        assert missing(tables, section("Roles and grants")) == []


class TestEverythingStandsInOneRow:
    """Of all tables of the chapters: two descriptions of one thing would come apart."""

    def rows(self, names, text: str = MANUAL) -> dict[str, int]:
        """Return the names that no row describes, or several do."""
        cells = re.findall(r"^ *\| *(.*?) \| ", text, re.MULTILINE)
        counts = {name: sum(not missing([name], cell) for cell in cells) for name in names}
        return {name: number for name, number in counts.items() if number != 1}

    def test_each_action_and_option(self):
        parser = load_command_class("cleanup", "database_cleanup").create_parser("manage.py", "database_cleanup")
        of_django = BaseCommand().create_parser("manage.py", "database_cleanup")
        known = {option for action in of_django._actions for option in action.option_strings}
        own = {option for action in parser._actions for option in action.option_strings}
        # It is an action, and an option of another.
        assert self.rows(own - known) == {"--adopt": 2}

    def test_each_setting(self):
        names = re.findall(r'"(CLEANUP_[A-Z_]+)"', Path(conf.__file__).read_text(encoding="utf-8"))
        assert self.rows(names) == {}

    def test_each_permission(self):
        assert self.rows(Permission) == {}

    def test_each_finding(self):
        assert self.rows(CODES, section("Integrity verification")) == {}

    def test_each_system_check(self):
        assert self.rows(re.findall(r'"(cleanup\.[EW]\d+)"', sources("cleanup/checks.py"))) == {}


class TestChapters:
    def test_leave_readme_short(self):
        assert len(README.encode()) <= 15_000

    def test_are_all_linked_from_readme(self):
        assert set(re.findall(r"\]\(cleanup/docs/(\w+\.md)\)", README)) >= set(CHAPTERS)

    @pytest.mark.parametrize("page", ["README.md", *(f"cleanup/docs/{name}" for name in CHAPTERS)])
    def test_link_to_what_exists(self, page):
        for link in re.findall(r"\]\((?!https:)([^)\s]+)\)", (ROOT / page).read_text(encoding="utf-8")):
            file, _, anchor = link.partition("#")
            target = (ROOT / page).parent / file if file else ROOT / page
            assert target.is_file(), link
            assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link

    @pytest.mark.parametrize("code", manual.SECTIONS)
    def test_explain_what_errors_refer_to(self, code):
        chapter, anchor = manual.SECTIONS[code]
        assert code in CODES_OF_ERRORS
        assert anchor in anchors(CHAPTERS[f"{chapter}.md"])

    def test_are_found_from_any_directory(self, tmp_path, monkeypatch):
        assert manual.path_of("safety") == "cleanup/docs/safety.md"
        monkeypatch.chdir(tmp_path)
        assert Path(manual.path_of("safety")).is_file()

    def test_have_tables_whose_rows_are_whole(self):
        for name, text in {"README.md": README, **CHAPTERS}.items():
            for table in re.findall(r"(?:^ *\|.*\|\n)+", text, re.MULTILINE):
                cells = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
                assert len(set(cells)) == 1, (name, table)

    def test_have_no_title_twice(self):
        titles = [title for text in CHAPTERS.values() for title in re.findall(r"^## (.*)$", text, re.MULTILINE)]
        assert sorted(titles) == sorted(set(titles))


#: The documents under JSON, by their titles.
DOCUMENTS = {
    "Check": results.CheckReport,
    "Verify": results.VerificationReport,
    "Cleanup and dry run": results.CleanupReport,
    "Each of results": results.FolderCleanupResult,
    "Rollback": results.RollbackResult,
    "Undo script": results.UndoScript,
    "Status": results.StatusReport,
    "Runs": results.RunList,
    "Each of runs": results.ListedRun,
    "Purge": results.PurgeReport,
    "With --background": results.Enqueued,
    "Probe": results.LivenessReport,
    "Preflight": results.PreflightReport,
    "Its estimate": results.Estimate,
}


def fields_of(hint: Any) -> Iterator[str]:
    """Yield the fields of a document and of its parts, but for parts that are described by themselves."""
    for part in get_args(hint):
        yield from fields_of(part)
    if is_dataclass(hint):
        for field in fields(hint):
            yield field.name
            inner = get_type_hints(hint)[field.name]
            if not {inner, *get_args(inner)} & set(DOCUMENTS.values()):
                yield from fields_of(inner)


class TestJson:
    @pytest.mark.parametrize("title", DOCUMENTS)
    def test_names_exactly_the_fields_of(self, title):
        _, text = section("JSON").split(f"\n### {title}\n")
        text = text.split("\n### ")[0]
        declared = list(dict.fromkeys(fields_of(DOCUMENTS[title])))
        values = re.findall(r"``(\w+)``", sources("cleanup/services/results/*.py"))
        told = re.findall(r"`(\w+)`", text)
        assert [name for name in declared if name not in told] == []
        assert [name for name in told if name not in (*declared, *values)] == []


# --- What it shows


@dataclass(frozen=True, slots=True)
class Example:
    command: str
    output: str


def examples(title: str) -> list[Example]:
    found = []
    for block in blocks("console", section(title)):
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


def last_run(database: str) -> str:
    return str(Run.objects.using(database).filter(kind="cleanup").order_by("-created_at").first().pk)


def shell(command: str, environment: dict[str, str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
    )


def environment_of(url: str) -> dict[str, str]:
    """Return what commands of a shell need to work on a database; their ``python`` starts faster than a stranger's."""
    path = os.pathsep.join([str(preloaded_python.directory()), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings", "DATABASE_URL": url, "PATH": path}


def service_file(directory: Path, database: str) -> Path:
    """Write the database down as libpq's service "cleanup"."""
    parameters = connections[database].settings_dict
    names = {"host": "HOST", "port": "PORT", "dbname": "NAME", "user": "USER", "password": "PASSWORD"}
    lines = [f"{name}={parameters[key]}" for name, key in names.items() if parameters[key]]
    file = directory / "pg_service.conf"
    file.write_text("\n".join(["[cleanup]", *lines, ""]), encoding="utf-8")
    return file


def assert_happen(database: str, shown: list[Example], environment: dict[str, str], cwd: Path = ROOT) -> None:
    """Execute commands one after the other, and see that each prints what is shown."""
    for example in shown:
        command = example.command
        if "RUN" in command:
            command = command.replace("RUN", last_run(database))
        done = shell(command, environment, cwd)
        assert done.returncode in (0, 1), f"$ {command}\n{done.stderr}"
        assert re.fullmatch(as_pattern(example.output), done.stdout), f"$ {command}\n{done.stdout}"


STORY = ("The service", "Making folders", "Signals")  # their examples in Python are one program


class TestExamples:
    @pytest.fixture
    def demonstrated(self, blank_database) -> dict[str, str]:
        environment = environment_of(databases.url_of(blank_database))
        done = shell("python manage.py cleanup_demo --applications 5", environment)
        assert done.returncode == 0, done.stderr
        return environment

    @pytest.mark.slow
    def test_on_the_console_happen_as_shown(self, demonstrated, blank_database):
        assert_happen(blank_database, [*examples("Monitoring"), *examples("The command")], demonstrated)

    @pytest.mark.only("postgresql")
    def test_of_audit_and_undo_by_script_happen_as_shown(self, demonstrated, blank_database, tmp_path):
        for name in ("manage.py", "cleanup"):  # it leaves files where it runs
            (tmp_path / name).symlink_to(ROOT / name)
        path = f"{demonstrated['PATH']}{os.pathsep}{psql.find().parent}"
        known = {
            **demonstrated,
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "PGSERVICEFILE": str(service_file(tmp_path, blank_database)),
        }
        assert_happen(blank_database, [*examples("Audit"), *examples("Undo without this program")], known, tmp_path)

    def test_stand_in_a_section_that_is_executed(self):
        shown = (
            "Adopting an existing database",
            "Your own models",
            "The command",
            "The REST API",
            "Audit",
            "Undo without this program",
            "Monitoring",
        )
        assert sum(len(blocks("console", section(title))) for title in shown) == len(blocks("console")) - 1  # README's
        written = ("Your own models", "The REST API", "Monitoring", "References and refusals", *STORY)
        assert sum(len(blocks("python", section(title))) for title in written) == len(blocks("python"))

    def test_of_settings_are_understood(self, settings):
        written: dict[str, object] = {}
        for block in blocks("python", section("References and refusals")):
            exec(block, written)  # it is what the manual says
        settings.CLEANUP_EXTRA_REFERENCES = written["CLEANUP_EXTRA_REFERENCES"]
        settings.CLEANUP_TREE_HOOK = written["CLEANUP_TREE_HOOK"]
        assert len(conf.extra_references()) == 4
        assert len(conf.tree_hooks()) == 1

    def test_in_python_run(self, demonstrated):
        story = [block for title in STORY for block in blocks("python", section(title))]
        script = "\n".join(["import django\ndjango.setup()", *story])
        done = subprocess.run(
            [sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=ROOT, env=demonstrated
        )
        (logged,) = done.stderr.splitlines()
        assert (done.returncode, "alert verification_errors" in logged) == (0, True)  # the demonstration undoes merges
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


class TestAdoption:
    @pytest.fixture
    def dirty(self, blank_database) -> str:
        """Make the database of another program, with duplicates."""
        for statement in HOST_TABLES.split(";\n")[:-1]:
            sqlite = statement.replace("timestamptz", "datetime").replace("uuid", "char(32)")
            execute(blank_database, statement if is_postgresql(blank_database) else sqlite)
        tree(blank_database, "Loan/Docs(2), Loan/{Docs(1), Photos(1)}, Archive/Docs(1)")
        tree(blank_database, "Loan/{Docs(1), Docs(1)}")
        tree(blank_database, "Loan/Docs(1)")
        return blank_database

    @pytest.mark.slow
    def test_goes_as_shown(self, dirty):
        shown = examples("Adopting an existing database")
        assert_happen(dirty, shown, environment_of(databases.url_of(dirty)))
        assert fetch(dirty, "SELECT count(*) FROM folders") == [(8,)]

    @pytest.mark.slow
    def test_takes_the_five_commands_of_readme(self, dirty):
        (block,) = blocks("console", README)
        environment = environment_of(databases.url_of(dirty))
        if not is_postgresql(dirty):  # a stranger's python, to be sure of it
            environment["PATH"] = environment["PATH"].partition(os.pathsep)[2]
        done = [shell(line, environment) for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE)]
        assert [command.returncode for command in done] == [0] * 5, [command.stderr for command in done]
        assert fetch(dirty, "SELECT count(*) FROM folders") == [(7,)]


class TestOwnCodeUnderTheGuards:
    @pytest.fixture
    def guarded(self, scratch_database) -> Tree:
        loan = tree(scratch_database, "root:Loan")
        call_command("migrate", "cleanup_guards", database=scratch_database, verbosity=0)
        return loan

    def sql(self, place: dict[str, str]) -> list[str]:
        (block,) = blocks("sql", section("Making folders"))
        for name, value in place.items():
            block = block.replace(f":{name}", f"'{value}'")
        return block.split(";\n")[:2]

    def test_in_plain_sql_makes_one_folder(self, scratch_database, guarded):
        for _ in range(2):
            keys = {"id": new_key(), "parent_id": guarded["root"], "application_id": guarded.application}
            place = {column: raw(scratch_database, key) for column, key in keys.items()}
            insert, select = self.sql({**place, "name": "Docs"})
            execute(scratch_database, insert)
            assert len(fetch(scratch_database, select)) == 1
        assert fetch(scratch_database, "SELECT count(*) FROM folders") == [(2,)]

    @pytest.mark.parametrize("parent", ["root", None])
    def test_in_django_makes_one_folder(self, scratch_database, guarded, parent):
        code = next(block for block in blocks("python", section("Making folders")) if "def get_or_create" in block)
        place = {
            "application_id": guarded.application,
            "parent_id": guarded[parent] if parent else None,
            "name": "Docs",
        }
        script = f"{code}\nfor _ in range(2):\n    print(get_or_create_folder(**{place!r}).pk)\n"
        done = subprocess.run(
            [preloaded_python.directory() / "python", "manage.py", "shell", "--verbosity", "0"],
            check=False,
            capture_output=True,
            text=True,
            input=script,
            cwd=ROOT,
            env=environment_of(databases.url_of(scratch_database)),
        )
        made = done.stdout.split()
        assert (len(made), len(set(made))) == (2, 1), done.stderr

    def test_with_sqlalchemy_can_be_read(self):
        code = next(block for block in blocks("text", section("Making folders")) if "sqlalchemy" in block)
        compile(code, "python.md", "exec")


class TestYourOwnModels:
    """A project made of what the manual shows: its models, filled, and then its settings."""

    SETTINGS = """
import dj_database_url, os

SECRET_KEY = "only for a test"
INSTALLED_APPS = ["django.contrib.contenttypes", "archive"]
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
    FILL = """
import django; django.setup()
from archive.models import Case, Document, Section
for reference in ("2023-0001", "2023-0002"):
    case = Case.objects.create(reference=reference)
    for _ in range(2):
        root = Section.objects.create(title="Loan", case=case)
        child = Section.objects.create(title="Borrower", case=case, inside=root)
        Document.objects.create(heading="passport.pdf", section=child, case=case)
"""

    @pytest.fixture
    def environment(self, blank_database) -> dict[str, str]:
        return {**environment_of(databases.url_of(blank_database)), "DJANGO_SETTINGS_MODULE": "mysite.settings"}

    @pytest.fixture
    def host(self, environment, tmp_path) -> Path:
        models, settings, *_ = blocks("python", section("Your own models"))
        files = {"archive/models.py": models, "mysite/settings.py": self.SETTINGS, "fill.py": self.FILL}
        files["manage.py"] = (ROOT / "manage.py").read_text(encoding="utf-8")
        for name, text in {**files, "archive/__init__.py": "", "mysite/__init__.py": ""}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        made = "python manage.py makemigrations archive -v0 && python manage.py migrate -v0 && python fill.py"
        done = shell(made, environment, tmp_path)
        assert done.returncode == 0, done.stderr
        (tmp_path / "mysite/settings.py").write_text(self.SETTINGS + settings, encoding="utf-8")
        return tmp_path

    def test_go_as_shown_and_leave_no_migration_to_make(self, blank_database, host, environment):
        assert_happen(blank_database, examples("Your own models"), environment, host)
        done = shell("python manage.py makemigrations --check --dry-run", environment, host)
        assert (done.returncode, done.stdout) == (0, "No changes detected\n")


@pytest.mark.slow
@pytest.mark.only("postgresql")
class TestGrants:
    ROLES = ("cleanup_cluster", "cleanup_look", "cleanup_work", "cleanup_migrate")

    @pytest.fixture
    def granted(self, blank_database):
        """The database of another program, adopted with the roles of the manual."""
        statements, _ = blocks("sql", section("Roles and grants"))
        before, after = re.split(r"^-- now, as cleanup_migrate: .*\n", statements, flags=re.MULTILINE)
        execute(blank_database, HOST_TABLES)
        with contextlib.ExitStack() as stack:
            # Roles are the whole server's, and another process of the tests may be about to make the same.
            turn = stack.enter_context(
                psycopg.connect(databases.url_of(blank_database), dbname="postgres", autocommit=True)
            )
            turn.execute("SELECT pg_advisory_lock(hashtext('cleanup roles'))")
            stack.callback(self.drop_roles, blank_database)
            execute(blank_database, before)
            for command in re.findall(r"manage.py (.*?)(?=;|$)", statements, flags=re.MULTILINE):
                done = self.run_as(blank_database, "cleanup_migrate", command)
                assert done.returncode == 0, done.stderr
            execute(blank_database, after)
            yield blank_database

    def drop_roles(self, database: str) -> None:
        for role in self.ROLES:
            if fetch(database, f"SELECT FROM pg_roles WHERE rolname = '{role}'"):
                execute(database, f"DROP OWNED BY {role}")
                execute(database, f"DROP ROLE {role}")

    def run_as(self, database: str, role: str, command: str) -> subprocess.CompletedProcess[str]:
        environment = environment_of(f"{databases.url_of(database)}?options=-crole%3D{role}")
        return shell(f"python manage.py {command}", environment)

    def test_let_the_first_look_and_not_change(self, granted):
        tree(granted, "Loan*2")
        for verb in ("--check", "--verify", "--status", "--runs"):
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

    @pytest.fixture
    def queued(self, granted):
        """The same with django-q2's tables, and with a cluster that is alive."""
        _, statements = blocks("sql", section("Roles and grants"))
        (migrate,) = re.findall(r"manage.py (.*)", statements)
        done = self.run_as(granted, "cleanup_migrate", migrate)
        assert done.returncode == 0, done.stderr
        execute(granted, statements)
        execute(granted, "INSERT INTO cleanup_heartbeat (cluster, host) VALUES ('elsewhere:1', 'elsewhere')")
        return granted

    def test_let_the_second_start_in_the_background_and_not_write_schedules(self, queued):
        tree(queued, "Loan/Docs(1), Loan/Docs(1)")
        done = self.run_as(queued, "cleanup_work", "database_cleanup --cleanup --no-input --background")
        assert done.returncode == 0, done.stderr
        assert fetch(queued, "SELECT count(*) > 0 FROM django_q_ormq") == [(True,)]
        for table in ("django_q_schedule", "django_q_task"):
            for privilege in ("SELECT", "INSERT", "UPDATE"):
                allowed = fetch(queued, f"SELECT has_table_privilege('cleanup_work', '{table}', '{privilege}')")
                assert allowed == [(False,)]
        done = self.run_as(queued, "cleanup_work", "database_cleanup --start")
        assert (done.returncode, "permission denied for table django_q_schedule" in done.stderr) == (2, True)

    def test_let_clusters_and_those_who_start_the_service_do_so(self, queued):
        done = self.run_as(queued, "cleanup_cluster", "database_cleanup --start")
        assert done.returncode == 0, done.stderr
        assert fetch(queued, "SELECT started FROM cleanup_automationstate") == [(True,)]
