"""Measure, and print a table to paste into the manual: ``python -m tests.benchmarks``.

Everything is a ratio within one run on one machine, the median of the rounds. The seconds beside it are the medians of
this machine on this day.
"""

import argparse
import json
import os
import platform
import shlex
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks import dataset, versions
from tests.benchmarks.measures import Figure, Measures, clean_up
from tests.benchmarks.server import SERVER_SETTINGS, TABLES, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the table: medians."""

    name: str
    ours: float
    base: float
    ratio: float
    limit: float | None
    unit: str

    @property
    def kept(self) -> bool:
        """Return whether the ratio is within its limit."""
        return self.limit is None or self.ratio <= self.limit


def lines(rounds: list[list[Figure]]) -> list[Line]:
    """Return the medians of the rounds; the ratio is the median of the ratios, each within its round."""
    return [
        Line(
            name=figures[0].name,
            ours=median(figure.ours for figure in figures),
            base=median(figure.base for figure in figures),
            ratio=median(figure.ours / figure.base for figure in figures),
            limit=figures[0].limit,
            unit=figures[0].unit,
        )
        for figures in zip(*rounds, strict=True)
    ]


def table(found: list[Line]) -> str:
    """Return the lines in Markdown."""
    rows = ["| measure | ours | compared with | ratio | at most |", "| --- | ---: | ---: | ---: | ---: |"]
    for line in found:
        limit = "" if line.limit is None else f"{line.limit:.2f}{'' if line.kept else ' **missed**'}"
        rows.append(
            f"| {line.name} | {line.ours:.2f} {line.unit} | {line.base:.2f} {line.unit} | {line.ratio:.2f} | {limit} |"
        )
    return "\n".join(rows)


def memory(applications: int, *, tables: str, programs: str) -> Figure:
    """Measure the peak memory of a cleanup on a database of another size."""
    with Stage(applications=applications, tables=tables, programs=programs) as stage, stage.copy("memory") as database:
        peak = clean_up(stage, database).peak_bytes
    name = f"peak memory of a cleanup, {applications:,} applications"
    return Figure(name=name, ours=peak / 1e6, base=150, limit=1, unit="MB")


def processor() -> str:
    """Name the processor."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine())


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--applications", type=int, default=20_000, metavar="N", help="size (default: 20,000)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds, of which the median counts")
    parser.add_argument("--only", nargs="+", choices=Measures.NAMES, default=Measures.NAMES, help="which measures")
    parser.add_argument("--memory", nargs="+", type=int, default=[], metavar="N", help="sizes to measure memory at")
    parser.add_argument("--tables", choices=TABLES, default=TABLES[0], help=f"whose tables (default: {TABLES[0]})")
    parser.add_argument("--server", default="", metavar="DIR", help="directory of a PostgreSQL server's programs")
    parser.add_argument("--servers", nargs="+", metavar="DIR", help="compare several servers, by cleanup and dry run")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def about(options: argparse.Namespace, *servers: str) -> dict[str, Any]:
    """Describe the machine, the command and the data."""
    return {
        "date": f"{datetime.now(tz=UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} x {processor()}",
        "servers": servers,
        "settings": SERVER_SETTINGS,
        "python": platform.python_version(),
        "tables": options.tables,
        "command": shlex.join(["python", "-m", "tests.benchmarks", *sys.argv[1:]]),
        "dataset": asdict(dataset.expected(options.applications)),
    }


def heading(about: dict[str, Any]) -> str:
    """Return the description as a sentence."""
    settings = ", ".join(f"{name} {value}" for name, value in about["settings"].items())
    size = dataset.Expected(**about["dataset"])
    return (
        f"{about['date']}, {about['machine']}, {'; '.join(about['servers'])} ({settings}; else the defaults),"
        f" Python {about['python']}, `{about['command']}`: {about['tables']} tables,"
        f" {size.applications:,} applications, {size.affected:,} with duplicates; {size.folders:,} folders,"
        f" {size.files:,} files; {size.folders_removed:,} folders to remove, {size.files_moved:,} files to move.\n"
    )


def compare_servers(options: argparse.Namespace) -> None:
    """Measure on several servers and print."""
    servers = versions.measured(
        options.servers, applications=options.applications, tables=options.tables, rounds=options.rounds
    )
    described = about(options, *(server.name for server in servers))
    if options.json:
        print(json.dumps({**described, "ratios": versions.ratios(servers)}, indent=2))
    else:
        print(heading(described))
        print("\n".join(versions.table(servers)))
    sys.exit(not versions.kept(servers))


def main() -> None:
    """Measure and print."""
    options = arguments()
    if options.servers:
        compare_servers(options)
    found: list[Line] = []
    with Stage(applications=options.applications, tables=options.tables, programs=options.server) as stage:
        measures = Measures(stage)
        for name in options.only:
            rounds = []
            for number in range(options.rounds):
                rounds.append(list(getattr(measures, name)(number)))
                for figure in rounds[-1]:
                    said = f"{figure.name}: {figure.ours:.2f} {figure.unit}, {figure.base:.2f} {figure.unit}"
                    print(f"round {number + 1}, {said}", file=sys.stderr, flush=True)
            found += lines(rounds)
    found += lines([[memory(size, tables=options.tables, programs=options.server) for size in options.memory]])
    described = about(options, stage.name)
    if options.json:
        print(json.dumps({**described, "lines": [asdict(line) for line in found]}, indent=2))
    else:
        print(heading(described))
        print(table(found))
    sys.exit(not all(line.kept for line in found))


if __name__ == "__main__":
    main()
