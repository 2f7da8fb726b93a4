"""The plans of statements as a server executed them: what its module auto_explain wrote to the log."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests import pgserver

#: With which the server starts. Times of the nodes would double the work, and are not looked at.
SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
}

#: The lines of an entry begin with a tab. Left out: what the server itself asks, row by row, to check foreign keys.
_ENTRY = re.compile(
    r'duration: [\d.]+ ms  plan:\n(\t\{\n\t  "Query Text": "(?!SELECT 1 FROM ONLY )(?:.*\n)(?:\t.*\n)+)'
)

_LITERALS = (
    (re.compile(r"'[^']*'"), "''"),
    (re.compile(r"\b\d+\b"), "0"),
    (re.compile(r"\((?:(?:''(?:::\w+)?|0), )+"), "(..., "),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node that was executed; rows are those of one loop."""

    kind: str
    of: str
    """The table, index, function or part of the statement that it reads."""
    planned: float
    actual: float
    read: float
    """Rows in all loops, with those that a filter removed."""
    filtered: float
    """Those, which an index did not spare."""
    compared: float
    """Pairs of rows that a join compared in vain, in all loops."""
    in_expression: bool
    """Whether it gives the rows of a subquery in an expression, which is read for each row unless it can be hashed."""
    guessed: bool
    """Whether it need not be read to its end, below a limit or in a subquery that is asked for one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A statement's plan."""

    statement: str
    """Without its values, so that the same statement reads the same."""
    compiled: bool
    recursive: bool
    """No planner can know how often it recurs; it takes ten times for granted."""
    nodes: tuple[Node, ...]

    def tables_scanned(self, *, rows: int) -> set[str]:
        """Return the tables that were read from end to end, in any order, of so many rows or more."""
        return {
            node.of for node in self.nodes if node.filtered >= rows or (node.kind == "Seq Scan" and node.read >= rows)
        }


class Log:
    """What a server has executed since it was last asked."""

    def __init__(self, server: pgserver.Server) -> None:
        self._file = server.directory / "log"
        self._read = 0
        self.plans()

    def plans(self) -> list[Plan]:
        """Return the plans that came since the last call."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            text = file.read().decode()
            self._read = file.tell()
        return [_plan(json.loads(entry[1].replace("\n\t", "\n"))) for entry in _ENTRY.finditer(text)]


def _plan(entry: dict[str, Any]) -> Plan:
    statement = entry["Query Text"]
    for pattern, replacement in _LITERALS:
        statement = pattern.sub(replacement, statement)
    nodes = tuple(_nodes(entry["Plan"], guessed=False))
    return Plan(
        statement=statement,
        compiled="JIT" in entry,
        recursive=any(node.kind == "Recursive Union" for node in nodes),
        nodes=nodes,
    )


def _nodes(node: dict[str, Any], *, guessed: bool) -> Iterator[Node]:
    names = (node.get(f"{what} Name") for what in ("Relation", "CTE", "Function", "Index"))
    guessed |= node.get("Subplan Name", "").startswith(("InitPlan", "SubPlan"))
    if loops := node["Actual Loops"]:
        filtered = node.get("Rows Removed by Filter", 0)
        yield Node(
            kind=node["Node Type"],
            of=next(filter(None, names), ""),
            planned=node["Plan Rows"],
            actual=node["Actual Rows"],
            read=(node["Actual Rows"] + filtered) * loops,
            filtered=filtered * loops,
            compared=node.get("Rows Removed by Join Filter", 0) * loops,
            in_expression=node.get("Subplan Name", "").startswith("SubPlan"),
            guessed=guessed,
        )
    for child in node.get("Plans", ()):
        yield from _nodes(child, guessed=guessed or node["Node Type"] == "Limit")
