"""Does the cost of a file stay the same as the database grows? ``python -m tests.benchmarks.scale``.

Each size is a database of its own, filled with the trees of `dataset`; very many applications have small ones. A clerk
files forty scans a second: alone, beside a part of the cleanup that rests most of the time, and beside the rest of it
at full speed, which is then rolled back.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from tests.benchmarks import adopted, baselines, dataset
from tests.benchmarks.__main__ import processor
from tests.benchmarks.measures import GENTLE, GENTLE_APPLICATIONS, clean_up, roll_back
from tests.benchmarks.server import TABLES, Stage
from tests.benchmarks.writer import Filing, filing, watching

#: More than the smallest database's cost of a file.
LIMIT = 1.2

#: Seconds that the clerk works alone.
ALONE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a database is filled with."""

    applications: int
    tree: dataset.Tree = dataset.TREE
    files: int = dataset.FILES_PER_FOLDER

    @property
    def expected(self) -> dataset.Expected:
        """Return how many rows that makes."""
        return dataset.expected(self.applications, tree=self.tree, files=self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one database took. Times are in seconds, memory in MB, the clerk's waits and locks in milliseconds."""

    expected: dataset.Expected
    moved: int
    seconds: float
    peak: float
    undo_seconds: float
    undo_peak: float
    alone_p95: float
    gentle_p95: float
    p95: float
    longest_wait: float
    longest_lock: float

    @property
    def cost(self) -> float:
        """Microseconds of the cleanup for each file that it moved."""
        return self.seconds / self.moved * 1e6


def size_of(files: int) -> Size:
    """Return a size of about so many files."""
    hundred = dataset.expected(90)  # three times the ten applications and three kinds after which it repeats
    return Size(applications=max(90, files * 90 // hundred.files))


def small_size_of(applications: int) -> Size:
    """Return a size of so many applications that have few folders and files each."""
    return Size(applications=applications, tree=dataset.SMALL_TREE, files=1)


def fill(stage: Stage, connection: psycopg.Connection, size: Size) -> None:
    """Fill an empty database of the stage."""
    with connection.cursor() as cursor:
        dataset.fill(cursor, applications=size.applications, tree=size.tree, files=size.files)
        if stage.filled:
            adopted.fill(cursor)
        cursor.execute("VACUUM ANALYZE")
    stage.settle()


def _one(connection: psycopg.Connection, query: str) -> int:
    ((number,),) = connection.execute(query).fetchall()
    return int(number)


def _require_whole(connection: psycopg.Connection, size: Size, clerk: tuple[Filing, ...]) -> None:
    """Raise AssertionError unless every file is there, those that the clerk filed too, and no duplicate is left."""
    filed = sum(len(filing.waits) - filing.failures for filing in clerk)
    files = _one(connection, "SELECT count(*) FROM files")
    left = [found for statement in baselines.CHECK for found in connection.execute(statement).fetchall()]
    if (files, left) != (size.expected.files + filed, []):
        raise AssertionError(f"{size.expected}, {filed} filed, {files} files after, {len(left)} duplicates left")


def measure(stage: Stage, size: Size) -> Measured:
    """Fill, clean up beside the clerk, see that nothing is left or lost, and undo."""
    gently = min(GENTLE_APPLICATIONS, size.expected.affected // 4)
    with (
        stage.copy(f"applications_{size.applications}") as database,
        stage.connect(database) as connection,
        stage.connect(database) as observer,
    ):
        fill(stage, connection, size)
        with filing(connection) as alone:
            time.sleep(ALONE)
        with filing(connection) as gentle:
            clean_up(stage, database, "--max-applications", str(gently), CLEANUP_DUTY_CYCLE=GENTLE)
        with filing(connection) as beside, watching(observer) as locks:
            done = clean_up(stage, database)
        _require_whole(connection, size, (alone, gentle, beside))
        stage.settle()
        undone = roll_back(stage, database)
    return Measured(
        expected=size.expected,
        moved=json.loads(done.output)["total_files_moved"],
        seconds=done.seconds,
        peak=done.peak_bytes / 1e6,
        undo_seconds=undone.seconds,
        undo_peak=undone.peak_bytes / 1e6,
        alone_p95=alone.p95 * 1000,
        gentle_p95=gentle.p95 * 1000,
        p95=beside.p95 * 1000,
        longest_wait=max(beside.waits) * 1000,
        longest_lock=locks.longest * 1000,
    )


def costly(measured: list[Measured]) -> list[Measured]:
    """Return what costs too much for each file, beside the smallest database of the same trees."""
    return [size for size in measured if size.cost > LIMIT * measured[0].cost]


def table(measured: list[Measured]) -> Iterator[str]:
    """Yield the lines of a table in Markdown."""
    yield (
        "| applications | files | moved | cleanup | per moved file | memory | undo | memory"
        f" | clerk's p95 alone | at a duty cycle of {GENTLE} | at full speed | longest wait | longest lock |"
    )
    yield f"|{' ---: |' * 13}"
    missed = costly(measured)
    for size in measured:
        yield (
            f"| {size.expected.applications:,} | {size.expected.files:,} | {size.moved:,} | {size.seconds:.1f} s"
            f" | {size.cost:.0f} µs{' **missed**' if size in missed else ''} | {size.peak:.0f} MB"
            f" | {size.undo_seconds:.1f} s | {size.undo_peak:.0f} MB | {size.alone_p95:.1f} ms"
            f" | {size.gentle_p95:.1f} ms | {size.p95:.1f} ms | {size.longest_wait:.0f} ms"
            f" | {size.longest_lock:.0f} ms |"
        )


def arguments() -> Any:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--files", nargs="*", type=int, default=[100_000, 1_000_000, 10_000_000], metavar="N")
    parser.add_argument(
        "--applications", nargs="*", type=int, default=[], metavar="N", help="sizes of many applications, small ones"
    )
    parser.add_argument("--tables", choices=TABLES, default=TABLES[0], help=f"whose tables (default: {TABLES[0]})")
    parser.add_argument("--server", default="", metavar="DIR", help="directory of a PostgreSQL server's programs")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = arguments()
    kinds = ([size_of(files) for files in options.files], [small_size_of(number) for number in options.applications])
    tables = []
    with Stage(applications=0, tables=options.tables, programs=options.server) as stage:
        for sizes in filter(None, kinds):
            tables.append([])
            for size in sizes:
                tables[-1].append(measure(stage, size))
                print(tables[-1][-1], file=sys.stderr, flush=True)
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    print(
        f"{datetime.now(tz=UTC):%Y-%m-%d}, {os.cpu_count()} x {processor()}, {stage.name}, {options.tables} tables,"
        f" load averages {load} at the end"
    )
    for measured in tables:
        print("\n" + "\n".join(table(measured)))
    sys.exit(any(costly(measured) for measured in tables))


if __name__ == "__main__":
    main()
