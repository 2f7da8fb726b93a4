"""Does a folder of a tree of a million cost as much as one of many small trees?

``python -m tests.benchmarks.one_tree``

No application owns the folders. The cases of `dataset`, three in ten of which stand there two to four times, are the
roots of small trees, or all of them lie in a single root folder. Costs are processor time, ours and the server's
together, so that they can be compared on a machine that does other work, too.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from tests.benchmarks import dataset
from tests.benchmarks.__main__ import processor
from tests.benchmarks.measures import clean_up, latest_cleanup, roll_back
from tests.benchmarks.server import TABLES, Child, Stage

#: Times the cost of a folder of many small trees, and MB of memory.
MOST_COST, MOST_MEMORY = 1.3, 150.0

SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.benchmarks.trees.settings"}

#: No application, and a name of its own for each case.
_CASES = (
    "UPDATE folders AS f SET name = 'Case ' || f.application_id WHERE f.parent_id IS NULL",
    "UPDATE folders SET application_id = NULL",
    "UPDATE files SET application_id = NULL",
)
_ONE_ROOT = (
    "INSERT INTO folders (id, name, created_at) VALUES (gen_random_uuid(), 'Cases', '2020-01-01')",
    """
    UPDATE folders SET parent_id = (SELECT id FROM folders WHERE name = 'Cases')
     WHERE parent_id IS NULL AND name <> 'Cases'
    """,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one database took: seconds of processor time, MB."""

    trees: str
    folders: int
    removed: int
    costs: dict[str, float]
    seconds: dict[str, float]
    peaks: dict[str, float]

    def cost(self, verb: str) -> float:
        """Microseconds for each folder."""
        return self.costs[verb] / self.folders * 1e6


def fill(connection: psycopg.Connection, folders: int, *, one: bool) -> None:
    """Fill an empty database with about so many folders."""
    cases = folders // 16  # as many as ten cases make on average
    with connection.cursor() as cursor:
        dataset.fill(cursor, applications=cases, files=1)
        cursor.execute("SET session_replication_role = replica")
        for statement in (*_CASES, *(_ONE_ROOT if one else ())):
            cursor.execute(statement)
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM FULL ANALYZE folders")
        cursor.execute("VACUUM FULL ANALYZE files")


def measure(stage: Stage, folders: int, *, one: bool) -> Measured:
    """Fill, look, clean up, verify and undo."""
    trees = "one tree" if one else "many trees"
    costs, seconds, peaks = {}, {}, {}

    def noted(verb: str, act: Any) -> Child:
        stage.settle()
        before = stage.processor_seconds()
        child: Child = act()
        costs[verb] = child.processor_seconds + stage.processor_seconds() - before
        seconds[verb] = child.seconds
        peaks[verb] = child.peak_bytes / 1e6
        print(f"{trees}, {folders:,}, {verb}: {costs[verb]:.1f} s, {peaks[verb]:.0f} MB", file=sys.stderr, flush=True)
        return child

    with stage.copy(f"tree_{folders}_{int(one)}") as database:
        with stage.connect(database) as connection:
            fill(connection, folders, one=one)
            ((number,),) = connection.execute("SELECT count(*) FROM folders").fetchall()
        before = stage.checksum_of(database)

        def command(*options: str) -> Child:
            line = [sys.executable, "manage.py", "database_cleanup", *options]
            return stage.child(line, database=database, **SETTINGS)

        announced = noted("dry run", lambda: command("--dry-run", "--include-large", "--json"))
        done = noted("cleanup", lambda: clean_up(stage, database, "--include-large", **SETTINGS))
        reports = [json.loads(child.output) for child in (announced, done)]
        totals = [
            [report[name] for name in ("total_folders_removed", "total_files_moved", "total_rows_moved")]
            for report in reports
        ]
        if totals[0] != totals[1] or not totals[0][0]:
            raise AssertionError(f"{totals[0]} announced, {totals[1]} done")
        run = latest_cleanup(stage, database)
        noted("verification", lambda: command("--verify", "--json"))
        noted("preview of the rollback", lambda: command("--rollback", run, "--preview", "--json"))
        noted(
            "export of the undo", lambda: command("--export-undo", run, "--output", f"{stage.data_directory}/undo.sql")
        )
        noted("rollback", lambda: roll_back(stage, database, **SETTINGS))
        if stage.checksum_of(database) != before:
            raise AssertionError("the rollback did not restore what was there")
    return Measured(trees=trees, folders=number, removed=totals[1][0], costs=costs, seconds=seconds, peaks=peaks)


def table(measured: list[Measured]) -> Iterator[str]:
    """Yield the lines of a table in Markdown; the first one is what the others are compared with."""
    yield "| trees | folders | removed | verb | processor time | a folder | beside the first | time | memory |"
    yield f"| --- | ---: | ---: | --- |{' ---: |' * 5}"
    for one in measured:
        for verb in one.costs:
            ratio = one.cost(verb) / measured[0].cost(verb)
            yield (
                f"| {one.trees} | {one.folders:,} | {one.removed:,} | {verb} | {one.costs[verb]:.1f} s"
                f" | {one.cost(verb):.0f} µs | {ratio:.2f}{' **missed**' if ratio > MOST_COST else ''}"
                f" | {one.seconds[verb]:.1f} s"
                f" | {one.peaks[verb]:.0f} MB{' **missed**' if one.peaks[verb] > MOST_MEMORY else ''} |"
            )


def arguments() -> Any:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.one_tree", description=__doc__.splitlines()[0])
    parser.add_argument("--folders", nargs="*", type=int, default=[200_000, 1_000_000], metavar="N")
    parser.add_argument("--many", type=int, default=200_000, metavar="N", help="folders of many small trees")
    parser.add_argument("--tables", choices=TABLES, default="adopted-empty", help="whose tables")
    parser.add_argument("--server", default="", metavar="DIR", help="directory of a PostgreSQL server's programs")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = arguments()
    measured = []
    with Stage(applications=0, tables=options.tables, programs=options.server) as stage:
        if options.many:
            measured.append(measure(stage, options.many, one=False))
        measured += [measure(stage, folders, one=True) for folders in options.folders]
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    print(
        f"{datetime.now(tz=UTC):%Y-%m-%d}, {os.cpu_count()} x {processor()}, {stage.name}, {options.tables} tables,"
        f" load averages {load} at the end\n"
    )
    print("\n".join(table(measured)))


if __name__ == "__main__":
    main()
