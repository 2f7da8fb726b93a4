"""The house is in order: lint, format, types, imports, migrations, deployment, and what the wheel brings.

The message of a failure is the tool's own, and so the instruction.
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests import ROOT

SCRIPTS = Path(sys.executable).parent

# As the manual documents them for production.
PRODUCTION = {
    "DJANGO_ALLOWED_HOSTS": "cleanup.example.com",
    "DJANGO_CSRF_TRUSTED_ORIGINS": "https://cleanup.example.com",
    "DJANGO_HTTPS": "true",
    "DJANGO_BEHIND_PROXY": "true",
}


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings", **environment},
    )


def assert_passes(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode != 0:
        pytest.fail(f"{' '.join(done.args)}\n{done.stdout}{done.stderr}", pytrace=False)


class TestCode:
    def test_passes_the_linter(self):
        assert_passes(run(SCRIPTS / "ruff", "check", "."))

    def test_is_formatted(self):
        assert_passes(run(SCRIPTS / "ruff", "format", "--check", "--diff", "."))

    @pytest.mark.slow
    def test_passes_the_type_checker(self):
        assert_passes(run(SCRIPTS / "mypy"))

    def test_imports_point_down(self):
        assert_passes(run(SCRIPTS / "lint-imports", "--no-cache", "--no-logo"))


class TestProject:
    def test_has_no_pending_migration(self):
        assert_passes(run(sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"))

    def test_is_fit_to_deploy_with_the_documented_settings(self):
        command = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
        assert_passes(run(sys.executable, *command, **PRODUCTION))

    def test_is_fit_to_deploy_with_a_secret_of_its_own(self, tmp_path):
        command = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
        own = {**PRODUCTION, "DJANGO_SECRET_KEY": "", "DJANGO_DATA_DIR": str(tmp_path)}
        assert_passes(run(sys.executable, *command, **own))


class TestConstraints:
    PINS = (ROOT / "project" / "constraints.txt").read_text(encoding="utf-8")

    def test_name_no_host(self):
        assert "://" not in self.PINS

    def test_pin_everything_that_the_project_asks_for(self):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        asked_for = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
        names = {re.match(r"[a-z0-9-]+", requirement).group() for requirement in asked_for}
        pinned = set(re.findall(r"^([a-z0-9-]+)==", self.PINS, re.MULTILINE))
        assert names - pinned - {project["name"]} == set()

    def test_are_exact(self):
        pins = [line for line in self.PINS.splitlines() if line and not line.startswith("#")]
        assert [pin for pin in pins if "==" not in pin] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """Build the wheel from a copy, without the network and without anything an earlier build left behind."""
    source = tmp_path_factory.mktemp("source")
    for name in ("cleanup", "project", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "manage.py"):
        shutil.copy(ROOT / name, source)
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "dist", ".")
    assert_passes(run(sys.executable, "-m", "pip", "wheel", *options, cwd=source))
    (built,) = (source / "dist").iterdir()
    return zipfile.ZipFile(built)


class TestWheel:
    def test_brings_every_file_of_the_app_and_nothing_else(self, wheel):
        app = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / "cleanup").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        brought = {name for name in wheel.namelist() if ".dist-info/" not in name and not name.endswith("/")}
        assert brought == app

    def test_is_typed(self, wheel):
        assert "cleanup/py.typed" in wheel.namelist()

    def test_needs_few_packages(self, wheel):
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        requirements = re.findall(r"^Requires-Dist: (.*)$", wheel.read(name).decode(), re.MULTILINE)
        needed = {re.split(r"[^a-z0-9-]", line)[0] for line in requirements if "extra ==" not in line}
        assert needed == {
            "django",
            "django-q2",
            "djangorestframework",
            "markdown-it-py",
            "psycopg",
            "rich",
            "tenacity",
        }


class TestSkippedTests:
    def outcome(self, tmp_path: Path, body: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_it.py").write_text(f"import pytest\n\n\ndef test_it():\n    {body}\n", encoding="utf-8")
        # Nothing of the suite but what it does about skips: no servers, no databases.
        own = ("-p", "tests.conftest", "-p", "no:django", "-p", "no:schemathesis", "-p", "no:cacheprovider")
        return run(sys.executable, "-m", "pytest", *own, tmp_path, **environment)

    def test_fail_the_run(self, tmp_path):
        done = self.outcome(tmp_path, "pytest.skip('no time')")
        assert (done.returncode, "should have run" in done.stdout) == (1, True)

    @pytest.mark.slow
    def test_are_expected_failures_too(self, tmp_path):
        assert self.outcome(tmp_path, "pytest.xfail('known')").returncode == 1

    @pytest.mark.slow
    def test_may_lack_a_browser_on_a_developers_machine(self, tmp_path):
        assert self.outcome(tmp_path, "pytest.skip('Chromium is not installed')", CI="").returncode == 0

    def test_may_lack_nothing_in_ci(self, tmp_path):
        assert self.outcome(tmp_path, "pytest.skip('Chromium is not installed')", CI="true").returncode == 1
