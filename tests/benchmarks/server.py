"""Where the benchmark plays: a PostgreSQL server of its own, a pristine database, and copies of it, one per measure.

The server is set as one for real work would be: what is committed is on disk.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import psycopg

from tests import ROOT, pgserver
from tests.benchmarks import adopted, dataset

PRISTINE = "pristine"

#: What differs from the server's defaults; the same for bare SQL and for us.
SERVER_SETTINGS = {
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
}
#: Seconds between two looks at a process's memory.
_GLANCE = 0.02

_KEPT_FROM_TESTS = ("listen_addresses", "max_connections", "timezone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """How a child process ended."""

    output: str
    seconds: float
    """From fork to exit."""
    peak_bytes: int
    """Of its resident memory; 0 where the system does not tell."""
    processor_seconds: float
    """In user and system mode."""


#: How the tables came to be: by another program, with rows in the tables that refer to folders or without, or by us.
TABLES = ("adopted", "adopted-empty", "own")


@contextlib.contextmanager
def watched(pid: int) -> Iterator[list[int]]:
    """Collect the peaks of a process's resident memory, in bytes, for the block.

    What the kernel accounts for when it has ended begins with the memory of the process that started it.
    """
    peaks, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(_GLANCE):
            with contextlib.suppress(OSError):  # it has ended
                status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
                peaks.extend(int(kilobytes) * 1024 for kilobytes in re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.M))

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield peaks
    finally:
        ended.set()
        watching.join()


class Stage:
    """A running server with a pristine database. Use as a context manager.

    ``programs`` is the directory of the server's programs; without it, those of the tests are taken. One that is not
    ``durable`` is for what only reads: it is filled faster, with the indexes made last.
    """

    def __init__(self, *, applications: int, tables: str = TABLES[0], programs: str = "", durable: bool = True) -> None:
        self.applications = applications
        self.durable = durable
        self.adopted = tables.startswith("adopted")
        self.filled = tables == "adopted"
        self.programs = programs
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Stage":
        with self._stack:
            kept = _KEPT_FROM_TESTS if self.durable else tuple(pgserver.SETTINGS)
            settings = {name: pgserver.SETTINGS[name] for name in kept} | SERVER_SETTINGS
            place = {"PG_BIN": self.programs} if self.programs else {}
            with mock.patch.object(pgserver, "SETTINGS", settings), mock.patch.dict(os.environ, place):
                self.server = pgserver.start()
            self._stack.callback(self.server.stop)
            self.data_directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cleanup-bench-"))
            self._admin = self._stack.enter_context(self.connect("postgres"))
            self.version = self._admin.info.server_version
            ((self.compiles,),) = self._admin.execute("SELECT pg_jit_available()").fetchall()
            self._make_pristine()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def name(self) -> str:
        """Return the server's version, and whether it compiles."""
        compiler = " with the just-in-time compiler" if self.compiles else ""
        return f"PostgreSQL {self.version // 10_000}.{self.version % 10_000}{compiler}"

    def url(self, database: str) -> str:
        """Return the DATABASE_URL of one of its databases."""
        return self.server.url.removesuffix("/postgres") + f"/{database}"

    def connect(self, database: str) -> psycopg.Connection:
        """Open a connection that commits each statement unless told otherwise."""
        return psycopg.connect(self.url(database), autocommit=True)

    def environment(self, database: str) -> dict[str, str]:
        """Return the environment of a process of the product that works on one of the databases."""
        left_out = ("DJANGO_", "CLEANUP_", "PG", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        return kept | {
            "DATABASE_URL": self.url(database),
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DJANGO_DATA_DIR": self.data_directory,
            # Modules are compiled once, as they are when the package is installed.
            "PYTHONPYCACHEPREFIX": f"{self.data_directory}/compiled",
        }

    def processor_seconds(self) -> float:
        """Return the processor time of all sessions so far, once they have ended; 0 where that is not told."""
        if not Path("/proc/self/stat").exists():
            return 0.0
        others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname <> 'postgres'"
        while self._admin.execute(others).fetchone() != (0,):
            time.sleep(0.05)
        time.sleep(0.5)  # a session is gone from the list before its process has ended, and counts
        ((directory,),) = self._admin.execute("SELECT current_setting('data_directory')").fetchall()
        postmaster = Path(directory, "postmaster.pid").read_text(encoding="utf-8").split()[0]
        fields = Path(f"/proc/{postmaster}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")

    def _make_pristine(self) -> None:
        self._admin.execute(f"CREATE DATABASE {PRISTINE}")
        if self.adopted:
            with self.connect(PRISTINE) as connection:
                connection.execute(adopted.TABLES + (adopted.INDEXES if self.durable else ""))
        for target in (("--fake-initial",), ("cleanup_guards", "zero")):
            self.child([sys.executable, "manage.py", "migrate", *target, "--verbosity", "0"], database=PRISTINE)
        with self.connect(PRISTINE) as connection, connection.cursor() as cursor:
            dataset.fill(cursor, applications=self.applications)
            if self.filled:
                adopted.fill(cursor)
            if self.adopted and not self.durable:
                cursor.execute(adopted.INDEXES)
            # Hint bits and statistics are no one's work but the database's own.
            cursor.execute("VACUUM ANALYZE")
        self.checksum = self.checksum_of(PRISTINE) if self.durable else ()

    def checksum_of(self, database: str) -> tuple[int, ...]:
        """Return the checksum of every table that a cleanup may write."""
        tables = ("folders", "files", "notes", "shares") if self.adopted else ("folders", "files")
        with self.connect(database) as connection, connection.cursor() as cursor:
            return dataset.checksum(cursor, tables=tables)

    @contextlib.contextmanager
    def copy(self, name: str) -> Iterator[str]:
        """Yield the name of a fresh copy of the pristine database, which is dropped afterwards."""
        # By copying files, where the server can: a copy through the log would fill it.
        strategy = " STRATEGY file_copy" if self.version >= 150000 else ""
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {PRISTINE}{strategy}")
        try:
            self.settle()
            yield name
        finally:
            self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def settle(self) -> None:
        """Have everything written out that earlier measures left to write."""
        self._admin.execute("CHECKPOINT")

    def child(self, command: Sequence[str], *, database: str, **variables: str) -> Child:
        """Run a process of the product to its end.

        Raises:
            RuntimeError: it failed; the message is what it said.

        """
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            started = time.perf_counter()
            process = subprocess.Popen(
                list(command), cwd=ROOT, env=self.environment(database) | variables, stdout=output, stderr=errors
            )
            with watched(process.pid) as peaks:
                _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            errors.seek(0)
            said = output.read().decode()
            if process.returncode:
                told = f"{said}{errors.read().decode()}"
                raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {told}")
        return Child(
            output=said,
            seconds=seconds,
            peak_bytes=max(peaks),
            processor_seconds=usage.ru_utime + usage.ru_stime,
        )
