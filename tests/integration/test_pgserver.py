import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import ROOT, pgserver


def start_in_a_process() -> tuple[subprocess.Popen, str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.pgserver"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert line.startswith("DATABASE_URL="), process.stderr.read()
    return process, line.removeprefix("DATABASE_URL=").strip()


def directory_of(url: str) -> Path:
    return Path(url.partition("@")[2].rpartition("/")[0].replace("%2F", "/"))


def is_running(pid: int) -> bool:
    # A zombie no longer runs; the process that adopted it reaps it in its own time.
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class TestServer:
    def test_serves_its_url(self):
        process, url = start_in_a_process()
        try:
            done = subprocess.run(
                [sys.executable, "manage.py", "migrate", "contenttypes", "-v0"],
                check=False,
                cwd=ROOT,
                env={**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings", "DATABASE_URL": url},
            )
            assert done.returncode == 0
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_leaves_nothing_behind_when_stopped(self, number):
        process, url = start_in_a_process()
        process.send_signal(number)
        process.communicate(timeout=30)
        assert not directory_of(url).exists()

    def test_dies_with_whoever_started_it(self):
        process, url = start_in_a_process()
        directory = directory_of(url)
        server = int((directory / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
        process.kill()
        process.communicate(timeout=30)
        deadline = time.monotonic() + 10
        while is_running(server) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_running(server)
        pgserver.sweep()
        assert not directory.exists()


class TestSession:
    def test_without_postgresql_fails_and_says_what_to_do(self):
        environment = {name: value for name, value in os.environ.items() if name != "CLEANUP_TEST_POSTGRES_URL"}
        environment.pop("PYTEST_XDIST_WORKER", None)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "tests/unit/test_environment.py"],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**environment, "PG_BIN": "/nowhere"},
        )
        assert done.returncode != 0
        assert "PG_BIN" in done.stderr
        assert "Traceback" not in done.stderr
