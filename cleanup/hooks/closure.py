"""The rows that a closure table should have, compared with those that it has."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cleanup.backends import Database
from cleanup.backends.catalogue import Table
from cleanup.backends.changes import Cell, Keys, Replaced
from cleanup.backends.tree_columns import ClosureTable
from cleanup.folder_tables import FolderTables
from cleanup.hooks.computing import Forest, Node


class Extra(NamedTuple):
    """A row that should not be there, by the cells of its key."""

    application: str
    key: tuple[str, ...]


class Wrong(NamedTuple):
    """A row with another depth than it should have."""

    application: str
    key: tuple[str, ...]
    old: Cell
    new: Cell

    def at(self, point: int) -> Replaced:
        """Return the change as one of a rollback point."""
        return Replaced(point, self.key, (self.old,), (self.new,))


class Missing(NamedTuple):
    """A row that should be there, by the cells of the columns."""

    application: str
    cells: tuple[Cell, ...]


class Differences(NamedTuple):
    """What is wrong with a closure table, for some applications."""

    extra: list[Extra]
    wrong: list[Wrong]
    missing: list[Missing]

    def __bool__(self) -> bool:
        return any(self[:])


def differences(
    columns: ClosureTable, *, database: Database, tables: FolderTables, table: Table, applications: Sequence[str]
) -> Differences:
    """Compare the rows about the folders of applications with their trees."""
    owners: dict[str, str] = {}
    nodes: defaultdict[str, list[Node]] = defaultdict(list)
    for application, folder, parent, _ in database.reading.read_trees(tables, applications, (tables.folder_name,)):
        owners[folder] = application
        nodes[application].append(Node(folder, parent, {}))
    should = {
        (above, below): depth
        for application in nodes
        for above, below, depth in pairs_of(Forest.of(nodes[application]), own=columns.own)
    }
    found = Differences([], [], [])
    key = table.row_key or ()
    rows = database.reading.read_closure(table, columns, key, tables, sorted(owners)) if owners else ()
    for cells, above, below, depth in rows:
        application = owners[below]
        expected = should.pop((above, below), None)
        if expected is None:  # a folder that is no ancestor, or the second row about one that is
            found.extra.append(Extra(application, cells))
        elif columns.depth is not None and depth != (new := database.cells.number_cell(expected)):
            found.wrong.append(Wrong(application, cells, depth, new))
    for (above, below), distance in should.items():
        key_cells = (database.cells.key_cell(tables.folder_key, one) for one in (above, below))
        number = () if columns.depth is None else (database.cells.number_cell(distance),)
        found.missing.append(Missing(owners[below], (*key_cells, *number)))
    return found


def pairs_of(forest: Forest, *, own: bool) -> Iterator[tuple[str, str, int]]:
    """Yield each folder's ancestors: (ancestor, folder, depth); the folder itself if ``own``."""
    lines: dict[str, tuple[str, ...]] = {}
    for node, above in forest.downward():
        line = () if above is None else (*lines[above.key], above.key)
        if forest.children.get(node.key):
            lines[node.key] = line
        for distance, ancestor in enumerate(reversed(line), 1):
            yield ancestor, node.key, distance
        if own:
            yield node.key, node.key, 0


def write(columns: ClosureTable, found: Differences, *, database: Database, table: Table) -> None:
    """Write what differs, without a journal."""
    key = table.row_key or ()
    if found.extra:
        database.merging.drop_rows(table, key, Keys.of([(0, one.key) for one in found.extra]))
    if found.wrong and columns.depth is not None:
        database.merging.set_cells(table, key, (columns.depth,), [one.at(0) for one in found.wrong])
    if found.missing:
        database.merging.insert_rows(table, columns.columns, [(0, one.cells) for one in found.missing], step=None)
