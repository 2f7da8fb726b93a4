"""Does the cost of a file stay the same as the database grows? ``python -m tests.benchmarks.scale``.

Each size is a database of its own, filled by COPY with the trees of `dataset`. A clerk files forty scans a second while
the cleanup runs; then the run is rolled back.
"""

import argparse
import contextlib
import os
import random
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from tests.benchmarks import baselines, dataset
from tests.benchmarks.__main__ import processor
from tests.benchmarks.measures import clean_up, roll_back
from tests.benchmarks.server import Stage
from tests.benchmarks.writer import filing

#: More than the smallest database's cost of a file.
LIMIT = 1.2

COPIES = (
    "COPY customer_applications (id) FROM STDIN",
    "COPY folders (id, name, parent_id, application_id, created_at, updated_at) FROM STDIN",
    """
    COPY files (id, filename, original_filename, file_path, file_size, mime_type, application_id, folder_id, created_at)
    FROM STDIN
    """,
)
START = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What one database took."""

    files: int
    moved: int
    seconds: float
    peak: float
    undo_seconds: float
    undo_peak: float
    clerk_p95: float
    clerk_longest: float
    clerk_failures: int

    @property
    def cost(self) -> float:
        """Microseconds of the cleanup for each file that it moved."""
        return self.seconds / self.moved * 1e6


def applications_for(files: int) -> int:
    """Return how many applications have about so many files."""
    hundred = dataset.expected(90)  # three times the ten applications and three kinds after which it repeats
    return max(90, files * 90 // hundred.files)


def fill_by_copy(connections: tuple[psycopg.Connection, ...], *, applications: int) -> None:
    """Fill the mapped tables, one connection for each; the shape is that of `dataset.expected`."""
    keys = random.Random(1)
    with contextlib.ExitStack() as stack:
        copies = []
        for connection, statement in zip(connections, COPIES, strict=True):
            connection.execute("SET session_replication_role = replica")
            copies.append(stack.enter_context(connection.cursor().copy(statement)))
        for number in range(1, applications + 1):
            application = uuid.UUID(int=keys.getrandbits(128))
            copies[0].write_row((application,))
            for _ in range(2 + (number // 10) % 3 if number % 10 < 3 else 1):
                _write_tree(copies[1], copies[2], application, number, keys)


def _write_tree(
    folders: psycopg.Copy, files: psycopg.Copy, application: uuid.UUID, number: int, keys: random.Random
) -> None:
    places: dict[int | None, uuid.UUID | None] = {None: None}
    for place, parent, name in dataset.TREE:
        folder = places[place] = uuid.UUID(int=keys.getrandbits(128))
        at = START + timedelta(minutes=number, microseconds=keys.randrange(60_000_000))
        folders.write_row((folder, name, places[parent], application, at, at))
        for scan in range(dataset.FILES_PER_FOLDER):
            title = f"scan-{scan}.pdf"
            key = uuid.UUID(int=keys.getrandbits(128))
            files.write_row((key, title, title, f"{folder}/{title}", 1000, "application/pdf", application, folder, at))


def _one(cursor: psycopg.Cursor, query: str) -> int:
    (number,) = cursor.execute(query).fetchone()
    return int(number)


def measure(stage: Stage, files: int) -> Size:
    """Fill, clean up beside the clerk, see that nothing is left or lost, and undo."""
    applications = applications_for(files)
    expected = dataset.expected(applications)
    with stage.copy(f"files_{files}") as database, contextlib.ExitStack() as stack:
        connections = tuple(stack.enter_context(stage.connect(database)) for _ in COPIES)
        fill_by_copy(connections, applications=applications)
        connection = connections[0]
        cursor = connection.cursor()
        connection.execute("SET session_replication_role = origin")
        connection.execute("VACUUM ANALYZE")
        stage.settle()
        before = _one(cursor, "SELECT count(*) FROM files")
        with filing(connection) as beside:
            done = clean_up(stage, database)
        after = _one(cursor, "SELECT count(*) FROM files")
        left = [found for statement in baselines.CHECK for found in cursor.execute(statement).fetchall()]
        if (before, after, left) != (expected.files, expected.files + len(beside.waits) - beside.failures, []):
            raise AssertionError(f"{expected}, {before} files before, {after} after, {len(left)} duplicates left")
        stage.settle()
        undone = roll_back(stage, database)
    return Size(
        files=expected.files,
        moved=expected.files_moved,
        seconds=done.seconds,
        peak=done.peak_bytes / 1e6,
        undo_seconds=undone.seconds,
        undo_peak=undone.peak_bytes / 1e6,
        clerk_p95=beside.p95 * 1000,
        clerk_longest=max(beside.waits) * 1000,
        clerk_failures=beside.failures,
    )


def table(sizes: list[Size]) -> Iterator[str]:
    """Yield the lines of a table in Markdown."""
    yield "| files | of them moved | cleanup | per moved file | memory | undo | memory | clerk's p95 | longest wait |"
    yield f"|{' ---: |' * 9}"
    for size in sizes:
        missed = " **missed**" if size.cost > LIMIT * sizes[0].cost else ""
        yield (
            f"| {size.files:,} | {size.moved:,} | {size.seconds:.1f} s | {size.cost:.0f} µs{missed}"
            f" | {size.peak:.0f} MB | {size.undo_seconds:.1f} s | {size.undo_peak:.0f} MB | {size.clerk_p95:.1f} ms"
            f" | {size.clerk_longest:.0f} ms |"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--files", nargs="+", type=int, default=[100_000, 1_000_000, 10_000_000], metavar="N")
    options = parser.parse_args()
    sizes = []
    with Stage(applications=0) as stage:
        for files in options.files:
            sizes.append(measure(stage, files))
            print(sizes[-1], file=sys.stderr, flush=True)
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    print(f"{datetime.now(tz=UTC):%Y-%m-%d}, {os.cpu_count()} x {processor()}, load averages {load} at the end\n")
    print("\n".join(table(sizes)))
    sys.exit(any(size.cost > LIMIT * sizes[0].cost for size in sizes))


if __name__ == "__main__":
    main()
