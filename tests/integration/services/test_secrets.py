"""Whatever holds a secret is put into the environment, and every output searched for it."""

import os
import re
import stat
import subprocess
import sys
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from cleanup import conf
from cleanup.exceptions import MisconfiguredSetting
from cleanup.services.preflight.shown_settings import CONFIDENTIAL, shown, shown_settings
from project.settings import DEFAULT_EXCEPTION_REPORTER_FILTER
from tests import ROOT
from tests.support import databases
from tests.support.manual import MANUAL
from tests.support.model_roles import SETTINGS_MODULE
from tests.support.trees import is_postgresql

#: Each holds this mark in every part that is secret.
MARK = "hunter2"

SECRETS = {
    "CLEANUP_ALERT_URLS": " ".join(
        [
            f"json://user:{MARK}@127.0.0.1:9/{MARK}?token={MARK}",
            f"slack://T{MARK}AA/B{MARK}AA/{MARK}{MARK}{MARK}aaa",
            f"json://127.0.0.1/{MARK}",
            f"nonsense-{MARK}",
            f"mailto://me:{MARK}@example.invalid",
        ]
    ),
    "CLEANUP_METRICS_TOKEN": f"{MARK}-0123456789abcdef",
    "CLEANUP_ALERT_EMAILS": f"{MARK}@example.invalid",
    "DJANGO_SECRET_KEY": f"{MARK}-" * 10,
    "DJANGO_SECRET_KEY_FALLBACKS": f"{MARK}-{MARK}",
    "DJANGO_EMAIL_USER": "mailer",
    "DJANGO_EMAIL_PASSWORD": MARK,
    "DJANGO_EMAIL_HOST": "127.0.0.1",
    "DJANGO_EMAIL_PORT": "9",
}

#: What says everything that it knows, and logs in both forms: commands, the API, every page of the admin that needs no
#: object.
EVERYTHING = """
import contextlib
import django
from django.conf import settings
for form in ("json", "line"):
    settings.LOGGING["handlers"][form] = {**settings.LOGGING["handlers"]["log"], "formatter": form}
settings.LOGGING["root"]["handlers"] = ["json", "line"]
django.setup()
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import NoReverseMatch, get_resolver, reverse
settings.CLEANUP_FOLDER_DEFAULTS = {"updated_at": "hunter2"}

def say(command, *arguments):
    print("$", command, *arguments, flush=True)
    with contextlib.suppress(SystemExit, CommandError):
        call_command(command, *arguments)

for flag in ("preflight", "status", "check", "verify", "dry-run"):
    say("database_cleanup", f"--{flag}")
    say("database_cleanup", f"--{flag}", "--json")
say("check", "--deploy")
say("cleanup_alerts")
say("cleanup_metrics")
user = User.objects.create_superuser("root-of-secrets")
client = Client(headers={"host": "localhost"}, raise_request_exception=False)
client.force_login(user)

def show(answer):
    print(answer.status_code, dict(answer.headers), answer.content.decode(), flush=True)

for path in ("preflight", "check", "verify", "cleanup?dry_run=true"):
    show(client.post(f"/api/cleanup/{path}"))
for path in ("status", "health", "metrics", "schedules", "alerts", "schema", "docs"):
    show(client.get(f"/api/cleanup/{path}"))
names = get_resolver().namespace_dict["admin"][1].reverse_dict
for name in sorted(name for name in names if isinstance(name, str)):
    with contextlib.suppress(NoReverseMatch):
        show(client.get(reverse(f"admin:{name}")))
settings.DEBUG = True
from django.views.debug import ExceptionReporter
from django.test import RequestFactory
import os
from tests import ROOT
request = RequestFactory(**os.environ).get("/")
try:
    raise ValueError
except ValueError:
    import sys
    print(ExceptionReporter(request, *sys.exc_info()).get_traceback_text())
    print(ExceptionReporter(request, *sys.exc_info()).get_traceback_html())
print("THE END")
"""


def environment(database: str) -> dict[str, str]:
    url = databases.url_of(database)
    if is_postgresql(database):  # the server trusts everyone on its socket, whatever the password
        parts = urlsplit(url)
        url = url.replace(f"{parts.username}:{parts.password or ''}@", f"{parts.username}:{MARK}@", 1)
    own = {"DJANGO_SETTINGS_MODULE": SETTINGS_MODULE, "DATABASE_URL": url, "DJANGO_LOG_LEVEL": "DEBUG"}
    return {**os.environ, **own, **SECRETS}


class TestSecrets:
    def test_stand_in_no_output(self, scratch_database):
        done = subprocess.run(
            [sys.executable, "-c", EVERYTHING],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment(scratch_database),
        )
        assert done.stdout.endswith("THE END\n"), done.stderr[-3000:]
        assert {line[:1] for line in done.stderr.splitlines()} >= {"{", "2"}  # as JSON, and by the year
        found = [line[:500] for line in (done.stdout + done.stderr).splitlines() if MARK in line]
        assert not found

    def test_of_an_alert_url_are_all_but_scheme_and_host(self, monkeypatch):
        monkeypatch.setenv("CLEANUP_ALERT_URLS", SECRETS["CLEANUP_ALERT_URLS"])
        assert shown_settings()["CLEANUP_ALERT_URLS"] == [
            "json://127.0.0.1",
            "slack://",
            "json://127.0.0.1 (2)",
            "no URL",
            "mailto://example.invalid",
        ]

    def test_are_told_from_nothing(self):
        assert [shown("CLEANUP_METRICS_TOKEN", token) for token in ("", MARK)] == ["", "(set)"]

    def test_are_all_that_is_read_from_the_environment_alone(self, settings):
        """A setting that may not stand among Django's settings is one that must not be shown."""
        secret = set()
        for name, read in conf.SETTINGS.items():
            setattr(settings, name, object())
            try:
                read()
            except MisconfiguredSetting as error:
                if "environment only" in str(error):
                    secret.add(name)
            delattr(settings, name)
        assert secret
        assert secret <= CONFIDENTIAL.keys()

    def test_are_hidden_by_a_filter_that_the_project_names(self, settings):
        assert settings.DEFAULT_EXCEPTION_REPORTER_FILTER == DEFAULT_EXCEPTION_REPORTER_FILTER

    def test_stand_in_no_command_of_the_manual(self):
        """What stands in a command line, all users of the machine read in the list of processes."""
        assert not re.findall(
            r"^\$? ?(?:psql|pg_dump|pg_restore|createdb) .*\$\{?DATABASE_URL.*$", MANUAL, re.MULTILINE
        )


class TestTimes:
    def test_are_shown_in_the_unit_of_their_setting(self):
        assert shown("CLEANUP_ALERT_REPEAT_HOURS", timedelta(days=1)) == 24
        assert shown("CLEANUP_LEASE_SECONDS", timedelta(minutes=2)) == 120


class TestFilesThatAreMade:
    @pytest.fixture
    def made(self, tmp_path) -> list[str]:
        script = (
            "import os; os.umask(0); import django; django.setup(); from django.core.management import call_command; "
        )
        script += "call_command('migrate', 'auth', verbosity=0); from django.db import connection as c; c.cursor(); "
        script += "import stat; from pathlib import Path; import sys; "
        script += "print(*[p.name + oct(stat.S_IMODE(p.stat().st_mode)) for p in sorted(Path(sys.argv[1]).iterdir())])"
        own = {"DJANGO_SETTINGS_MODULE": "project.settings", "DJANGO_DATA_DIR": str(tmp_path), "DJANGO_SECRET_KEY": ""}
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": "", **own},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    def test_are_readable_by_their_owner_alone(self, made):
        assert made[:2] == [".secret_key0o600", "db.sqlite30o600"]
        assert all(name.endswith("0o600") for name in made)

    def test_keep_the_mode_that_they_have(self, tmp_path):
        file = tmp_path / "db.sqlite3"
        file.touch(mode=0o640)
        file.chmod(0o640)
        own = {"DJANGO_SETTINGS_MODULE": "project.settings", "DATABASE_URL": f"sqlite:///{file}"}
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "auth", "-v0"], check=True, cwd=ROOT, env={**os.environ, **own}
        )
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
