"""What verification decides in Python, exactly: names that are similar, folders in cycles.

Pure functions of the database's answers.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


def normalized(name: str) -> str:
    """Return a name without differences of case, Unicode form, and kind and number of spaces."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def similar_groups(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield groups of names that differ, but not once they are normalized."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[normalized(name)].append(name)
    for _, group in sorted(groups.items()):
        if len(set(group)) > 1:
            yield sorted(group)


@dataclass(frozen=True, slots=True)
class Edge:
    """A folder that has a parent."""

    folder: str
    parent: str
    application: str | None


def in_cycles(edges: Sequence[Edge]) -> list[Edge]:
    """Return the folders that are their own ancestors, in key order."""
    by_folder = {edge.folder: edge for edge in edges}
    visited: dict[str, str] = {}  # folder -> the climb that passed it
    members: list[Edge] = []
    for start in by_folder:
        folder = start
        while folder in by_folder and folder not in visited:
            visited[folder] = start
            folder = by_folder[folder].parent
        if folder in by_folder and visited[folder] == start:  # this climb has come full circle
            members += _circle(by_folder, folder)
    return sorted(members, key=lambda edge: edge.folder)


def _circle(by_folder: dict[str, Edge], first: str) -> Iterator[Edge]:
    folder = first
    while True:
        yield by_folder[folder]
        folder = by_folder[folder].parent
        if folder == first:
            return
