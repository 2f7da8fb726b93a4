"""What verification decides in Python, exactly: names that look alike, folders in cycles, guards that are missing.

Pure functions of what the database answered.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cleanup.backends.catalogue import UniqueKey
from cleanup.folder_tables import FolderTables


def looks(name: str) -> str:
    """Return what remains of a name when case, Unicode form, and kind and number of blanks do not count."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def alike(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield groups of names that differ, and only in their looks."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[looks(name)].append(name)
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
    """Return the folders that climbing from themselves comes back to, in key order."""
    by_folder = {edge.folder: edge for edge in edges}
    visited: dict[str, str] = {}  # folder -> the climb that came by
    members: list[Edge] = []
    for start in by_folder:
        folder = start
        while folder in by_folder and folder not in visited:
            visited[folder] = start
            folder = by_folder[folder].parent
        if folder in by_folder and visited[folder] == start:  # this very climb came full circle
            members += _circle(by_folder, folder)
    return sorted(members, key=lambda edge: edge.folder)


def _circle(by_folder: dict[str, Edge], first: str) -> Iterator[Edge]:
    folder = first
    while True:
        yield by_folder[folder]
        folder = by_folder[folder].parent
        if folder == first:
            return


def missing_guards(tables: FolderTables, uniques: Sequence[UniqueKey]) -> Iterator[tuple[str, list[str]]]:
    """Yield name and columns of each guard against new duplicates that no unique index of folders stands for."""
    if not any(_one_root(tables, unique) for unique in uniques):
        yield "one_root_per_application", [tables.folder_application]
    if not any(_one_name(tables, unique) for unique in uniques):
        yield "one_name_per_parent", [tables.folder_parent, tables.folder_name]


def _one_root(tables: FolderTables, unique: UniqueKey) -> bool:
    columns = set(unique.columns)
    if len(unique.parts) != 1 or not _is_keyed(unique, tables.folder_application):
        return False
    if unique.predicate is None:
        return columns == {tables.folder_application}
    roots_only = re.search(rf'\b{re.escape(tables.folder_parent)}\b"?\)* IS NULL', unique.predicate, re.IGNORECASE)
    return roots_only is not None and columns <= {tables.folder_application, tables.folder_parent, *(tables.live or ())}


def _one_name(tables: FolderTables, unique: UniqueKey) -> bool:
    needed = {tables.folder_parent, tables.folder_name}
    keyed = {column for column in unique.columns if _is_keyed(unique, column)}
    beside = set(unique.columns) - keyed
    return needed <= keyed <= {*needed, tables.folder_application} and beside <= set(tables.live or ())


def _is_keyed(unique: UniqueKey, column: str) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(column)}(?!\w)", part) for part in unique.parts)
