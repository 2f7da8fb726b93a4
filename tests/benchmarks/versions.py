"""The same measures on several servers, by turns: ``python -m tests.benchmarks --servers DIR DIR ...``.

Each server is compared with bare SQL on itself, and then the ratios with those of the newest one.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from tests.benchmarks.measures import Figure, Measures
from tests.benchmarks.server import Stage

#: Of a server's cleanup to that of the newest server, each as a ratio to its own bare SQL.
LIMIT = 1.2

#: Figures that are shown, by the beginning of their names.
COLUMNS = {
    "cleanup with undo": "cleanup : bare SQL",
    "the same, two workers": "two workers : bare SQL",
    "rollback": "rollback : cleanup",
    "dry run": "dry run : CTE",
}


@dataclass(slots=True)
class Server:
    """A server and what was measured on it, by the beginning of a figure's name."""

    stage: Stage
    measures: Measures = field(init=False)
    figures: dict[str, list[Figure]] = field(default_factory=lambda: {name: [] for name in COLUMNS})

    def __post_init__(self) -> None:
        self.measures = Measures(self.stage)

    @property
    def name(self) -> str:
        """Return what the server is called."""
        return self.stage.name

    def measure(self, number: int) -> None:
        """Measure one round."""
        for figure in (*self.measures.cleanup(number), *self.measures.dry_run(number)):
            name = next((name for name in COLUMNS if figure.name.startswith(name)), None)
            if name:
                self.figures[name].append(figure)
                print(
                    f"round {number + 1}, {self.name}, {figure.name}: {figure.ours / figure.base:.2f}", file=sys.stderr
                )

    def ratio(self, name: str) -> float:
        """Return the median of the rounds."""
        return median(figure.ours / figure.base for figure in self.figures[name])

    def limit(self, name: str) -> float | None:
        """Return what the ratio may be."""
        return self.figures[name][0].limit


def measured(programs: Sequence[str], *, applications: int, tables: str, rounds: int) -> list[Server]:
    """Measure on the servers whose programs are in these directories, and return them, the newest one last."""
    with ExitStack() as stack:
        stages = [Stage(applications=applications, tables=tables, programs=directory) for directory in programs]
        servers = [Server(stack.enter_context(stage)) for stage in stages]
        for number in range(rounds):
            first = number % len(servers)
            for server in (*servers[first:], *servers[:first]):
                server.measure(number)
    return sorted(servers, key=lambda server: (server.stage.version, not server.stage.compiles))


def against_newest(server: Server, servers: Sequence[Server]) -> float:
    """Return how many times the newest server's ratio a server's ratio of the cleanup is."""
    (cleanup, *_) = COLUMNS
    return server.ratio(cleanup) / servers[-1].ratio(cleanup)


def ratios(servers: Sequence[Server]) -> dict[str, dict[str, float]]:
    """Return the medians, by server and column."""
    return {server.name: {COLUMNS[name]: server.ratio(name) for name in COLUMNS} for server in servers}


def kept(servers: Sequence[Server]) -> bool:
    """Return whether every server is as fast as the newest one, about."""
    return all(against_newest(server, servers) <= LIMIT for server in servers)


def table(servers: Sequence[Server]) -> Iterator[str]:
    """Yield the lines of a table in Markdown."""
    limits = [f"at most {servers[-1].limit(name):.1f}" for name in COLUMNS]
    yield f"| server | {' | '.join(COLUMNS.values())} | cleanup, against the newest server's |"
    yield f"| --- |{' ---: |' * (len(COLUMNS) + 1)}"
    yield f"| | {' | '.join(limits)} | at most {LIMIT:.1f} |"
    for server in servers:
        ratios = [_shown(server.ratio(name), server.limit(name)) for name in COLUMNS]
        yield f"| {server.name} | {' | '.join(ratios)} | {_shown(against_newest(server, servers), LIMIT)} |"


def _shown(ratio: float, limit: float | None) -> str:
    return f"{ratio:.2f}{' **missed**' if limit is not None and ratio > limit else ''}"
