"""What is measured. A measure yields the figures of one round: ours, what it is compared with, and a limit."""

import ast
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from tests.benchmarks import adopted, baselines, dataset
from tests.benchmarks.clusters import clusters, seconds_in_background
from tests.benchmarks.server import Child, Stage
from tests.benchmarks.writer import Filing, filing, watching

#: Starts Django on the project's other apps: what the product adds to that is its own.
_DJANGO_ALONE = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS={apps}, Q_CLUSTER={{"orm": "default", "timeout": 300, "retry": 660}}, USE_TZ=True)
django.setup()
"""
_CHILD = [sys.executable, "-m", "tests.benchmarks.child"]

#: Share of the time that a gentle cleanup works, and how many applications it cleans: a minute or so.
GENTLE, GENTLE_APPLICATIONS = "0.04", 300

#: Starts that a figure is the median of.
_STARTS = 11

#: Of ten folders each.
_GUARDED_APPLICATIONS = 100_000

#: Name, verb, the bare SQL that answers the same, and limit.
_READS = (
    ("verification : its anti-joins", "verify", baselines.VERIFICATION, 1.2),
    # The check tells of the verification just made, as every hour's check but one a week does.
    ("check : its two GROUP BYs", "check", baselines.CHECK, 1.2),
    ("dry run : its recursive CTE", "dry-run", baselines.DRY_RUN, 2.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One round's figure."""

    name: str
    ours: float
    base: float
    limit: float | None = None
    """Of ours to base, as a ratio; none: shown, not judged."""
    unit: str = "s"


@dataclass(frozen=True, slots=True)
class _Round:
    """What the parts of a round took, by their names."""

    seconds: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    """Seconds, with the server's."""
    peaks: dict[str, int] = field(default_factory=dict)
    """Bytes."""


def _run(stage: Stage, database: str, verb: str) -> Child:
    return stage.child([*_CHILD, verb], database=database)


def _figures(child: Child) -> tuple[float, float]:
    """Return the seconds that a verb took, and those of them in the database's statements."""
    answer = json.loads(child.output)
    return float(answer["seconds"]), float(answer["in_statements"])


def clean_up(stage: Stage, database: str, *options: str, workers: int = 1, **variables: str) -> Child:
    """Clean up as an operator would, with these variables in the environment."""
    command = [sys.executable, "manage.py", "database_cleanup", "--cleanup", "--no-input", "--json"]
    return stage.child([*command, "--workers", str(workers), *options], database=database, **variables)


def roll_back(stage: Stage, database: str, **variables: str) -> Child:
    """Undo the latest cleanup, with these variables in the environment."""
    run = latest_cleanup(stage, database)
    command = [sys.executable, "manage.py", "database_cleanup", "--rollback", run, "--no-input", "--json"]
    return stage.child(command, database=database, **variables)


def latest_cleanup(stage: Stage, database: str) -> str:
    """Return the id of the latest cleanup run."""
    with stage.connect(database) as connection:
        query = "SELECT id::text FROM cleanup_run WHERE kind = 'cleanup' ORDER BY created_at DESC LIMIT 1"
        ((run,),) = connection.execute(query).fetchall()
    return str(run)


def _bare(stage: Stage, database: str, statements: tuple[str, ...]) -> float:
    with stage.connect(database) as connection:
        started = time.perf_counter()
        with connection.transaction(), connection.cursor() as cursor:
            baselines.run(cursor, statements)
        return time.perf_counter() - started


def _require(*, same: bool, what: str) -> None:
    if not same:
        raise AssertionError(f"{what}: the figures mean nothing, for the rows are not what they must be.")


class Measures:
    """The measures on one stage; what one bare-SQL cleanup leaves is remembered, for ours must leave the same."""

    NAMES = ("cleanup", "reads", "start", "writer", "gentle", "extremes", "guards", "clusters")

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._merged: tuple[int, ...] | None = None

    # Cleanup, two workers, rollback.

    def cleanup(self, number: int) -> Iterator[Figure]:
        """Compare whole processes with one bare transaction, and undoing with doing."""
        # Turn about, for the machine may be slower at one time than at another.
        parts = [self._bare_cleanup, self._one_worker, self._two_workers]
        parts = parts[number % 3 :] + parts[: number % 3]
        done = _Round()
        for part in parts:
            part(done)
        base = done.seconds["bare"]
        yield Figure(name="cleanup with undo : bare SQL without", ours=done.seconds["cleanup"], base=base, limit=1.3)
        yield Figure(name="the same, two workers", ours=done.seconds["two workers"], base=base, limit=0.9)
        undone = done.seconds["rollback"]
        yield Figure(name="rollback : its cleanup", ours=undone, base=done.seconds["cleanup"], limit=1.0)
        if base := done.processor["bare"]:
            name = "processor time, ours and the server's, of the cleanup : of the bare SQL"
            yield Figure(name=name, ours=done.processor["cleanup"], base=base)
        for name, peak in done.peaks.items():
            yield Figure(name=f"peak memory, {name}", ours=peak / 1e6, base=150.0, limit=1.0, unit="MB")

    def clusters(self, number: int) -> Iterator[Figure]:
        """Compare two clusters of one process each with one such cluster."""
        seconds = {}
        for clusters_at_work in (1, 2) if number % 2 == 0 else (2, 1):
            with self.stage.copy("clusters") as database:
                with clusters(self.stage, database, number=clusters_at_work):
                    seconds[clusters_at_work] = seconds_in_background(self.stage, database)
                self._require_merged(database, what=f"{clusters_at_work} clusters")
        yield Figure(name="two clusters : one cluster, in the background", ours=seconds[2], base=seconds[1], limit=0.75)

    def _bare_cleanup(self, done: _Round) -> None:
        with self.stage.copy("bare") as database:
            statements = baselines.cleanup(adopted.MOVES if self.stage.adopted else ())
            before = self.stage.processor_seconds()
            done.seconds["bare"] = _bare(self.stage, database, statements)
            done.processor["bare"] = self.stage.processor_seconds() - before
            self._require_merged(database, what="bare SQL")

    def _one_worker(self, done: _Round) -> None:
        with self.stage.copy("cleanup") as database:
            before = self.stage.processor_seconds()
            cleaned = clean_up(self.stage, database)
            done.processor["cleanup"] = cleaned.processor_seconds + self.stage.processor_seconds() - before
            done.seconds["cleanup"], done.peaks["cleanup"] = cleaned.seconds, cleaned.peak_bytes
            self._require_merged(database, what="cleanup")
            self.stage.settle()
            undone = roll_back(self.stage, database)
            done.seconds["rollback"], done.peaks["rollback"] = undone.seconds, undone.peak_bytes
            _require(same=self.stage.checksum_of(database) == self.stage.checksum, what="rollback")

    def _two_workers(self, done: _Round) -> None:
        with self.stage.copy("workers") as database:
            done.seconds["two workers"] = clean_up(self.stage, database, workers=2).seconds
            self._require_merged(database, what="cleanup by two workers")

    def _require_merged(self, database: str, *, what: str) -> None:
        found = self.stage.checksum_of(database)
        self._merged = self._merged or found
        _require(same=found == self._merged, what=what)

    # Reads.

    def reads(self, _number: int) -> Iterator[Figure]:
        """Compare verification, check and dry run with bare SQL that answers the same; the verbs alone."""
        with self.stage.copy("reads") as database:
            for read in _READS:
                yield self._read(database, *read)
            seconds, in_statements = _figures(_run(self.stage, database, "api-check"))
            yield Figure(name="check over the API : its statements", ours=seconds, base=in_statements, limit=1.2)

    def dry_run(self, _number: int) -> Iterator[Figure]:
        """Compare the dry run alone, as ``reads`` does."""
        with self.stage.copy("dry_run") as database:
            yield self._read(database, *_READS[-1])

    def _read(self, database: str, name: str, verb: str, statements: tuple[str, ...], limit: float) -> Figure:
        base = _bare(self.stage, database, statements)
        return Figure(name=name, ours=_figures(_run(self.stage, database, verb))[0], base=base, limit=limit)

    def start(self, _number: int) -> Iterator[Figure]:
        """Compare a command that only looks with starting Django on the same project without the product, by turns."""
        look = [sys.executable, "manage.py", "database_cleanup", "--status"]
        list_apps = [sys.executable, "-c", "from project.settings import *; print(INSTALLED_APPS)"]
        with self.stage.copy("start") as database:
            apps = ast.literal_eval(self.stage.child(list_apps, database=database).output)
            others = [app for app in apps if not app.startswith("cleanup")]
            alone = [sys.executable, "-c", _DJANGO_ALONE.format(apps=others)]
            pairs = [
                [self.stage.child(command, database=database).seconds for command in (look, alone)]
                for _ in range(_STARTS)
            ]
        ours, base = (median(seconds) for seconds in zip(*pairs, strict=True))
        yield Figure(name="`--status` : starting Django alone", ours=ours, base=base, limit=1.5)

    # A foreground writer.

    def writer(self, _number: int) -> Iterator[Figure]:
        """Compare a clerk's waits while a cleanup runs with those while none does."""
        with (
            self.stage.copy("writer") as database,
            self.stage.connect(database) as connection,
            self.stage.connect(database) as observer,
        ):
            with filing(connection) as alone:
                time.sleep(10)
            with filing(connection) as beside, watching(observer) as locks:
                clean_up(self.stage, database)
        for name, ours, base in (
            ("p95", beside.p95, alone.p95),
            ("longest wait", max(beside.waits), max(alone.waits)),
        ):
            yield Figure(
                name=f"a writer's {name} beside a cleanup : alone", ours=ours * 1000, base=base * 1000, unit="ms"
            )
        yield Figure(name="longest lock of a cleanup : a second", ours=locks.longest * 1000, base=1000.0, unit="ms")

    def gentle(self, _number: int) -> Iterator[Figure]:
        """Compare the clerk's waits while a cleanup rests most of the time with those before and after it."""
        with self.stage.copy("gentle") as database, self.stage.connect(database) as connection:
            with filing(connection) as before:
                time.sleep(10)
            with filing(connection) as beside:
                done = clean_up(
                    self.stage, database, "--max-applications", str(GENTLE_APPLICATIONS), CLEANUP_DUTY_CYCLE=GENTLE
                )
            with filing(connection) as after:
                time.sleep(10)
            waits = [*before.waits, *after.waits]
        name = f"a writer's p95 beside a cleanup at a duty cycle of {GENTLE} : alone"
        yield Figure(name=name, ours=beside.p95 * 1000, base=Filing(waits).p95 * 1000, limit=1.1, unit="ms")
        name = f"applications cleaned in a second, at a duty cycle of {GENTLE}"
        rate = GENTLE_APPLICATIONS / done.seconds
        yield Figure(name=name, ours=rate, base=rate, unit="a/s")

    # What is largest.

    def extremes(self, _number: int) -> Iterator[Figure]:
        """Measure the memory for a folder of a million files and an application of a hundred thousand folders."""
        with self.stage.copy("extremes") as database:
            with self.stage.connect(database) as connection, connection.cursor() as cursor:
                dataset.add_extremes(cursor, files=1_000_000, folders=100_000)
            before = self.stage.checksum_of(database)
            dry_run = [sys.executable, "manage.py", "database_cleanup", "--dry-run", "--include-large", "--json"]
            expected = self.stage.child(dry_run, database=database)
            done = clean_up(self.stage, database, "--include-large")
            report = json.loads(done.output)
            if report["failed_cleanups"]:
                raise AssertionError(report["results"])
            totals = ("total_folders_removed", "total_files_moved")
            announced = json.loads(expected.output)
            _require(same=all(announced[total] == report[total] for total in totals), what="dry run")
            undone = roll_back(self.stage, database)
            _require(same=self.stage.checksum_of(database) == before, what="rollback")
        for name, child in (("dry run", expected), ("cleanup", done), ("rollback", undone)):
            peak = child.peak_bytes / 1e6
            yield Figure(name=f"peak memory of the extremes' {name}", ours=peak, base=150.0, limit=1.0, unit="MB")

    # The same writer beside migrations.

    def guards(self, _number: int) -> Iterator[Figure]:
        """Compare a clerk's longest wait, while the guards are put in place and lifted, with a second.

        In a database of its own: a million folders, and nothing to clean.
        """
        with self.stage.copy("guards") as database, self.stage.connect(database) as connection:
            connection.execute("TRUNCATE customer_applications, folders, files CASCADE")
            dataset.fill(connection.cursor(), applications=_GUARDED_APPLICATIONS, files=1, clean=True)
            connection.execute("VACUUM ANALYZE")
            ((folders,),) = connection.execute("SELECT count(*) FROM folders").fetchall()
            for what, target in (("put in place", ()), ("lifted", ("zero",))):
                with filing(connection, touching=True) as beside:
                    command = [sys.executable, "manage.py", "migrate", "cleanup_guards", *target]
                    seconds = self.stage.child(command, database=database).seconds
                yield Figure(
                    name=f"a writer's longest wait while guards of {folders:,} folders are {what}",
                    ours=max(beside.waits) * 1000,
                    base=1000.0,
                    limit=1.0,
                    unit="ms",
                )
                _require(same=not beside.failures, what=f"guards {what}")
                yield Figure(name=f"guards of {folders:,} folders {what}", ours=seconds, base=seconds)
