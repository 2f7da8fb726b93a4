"""The hooks that come along: read the trees of applications, compute, and write what differs.

A hook has no state. Its options name the columns (``options``), ``computing`` says what they should hold, and the
statements are those of the backends. A merge journals what is written; an undo restores it cell by cell, so that a hook
is not needed then.

Note [What a hook reads and locks]. A hook reads the trees of the applications whose folders have changed, from their
roots down, and no others; those folders are locked already. A nested set that counts through the whole table is no
exception: a tree that has become larger moves to the end of the count, and the numbers that it leaves stay free, so
that no other tree changes, and an undo finds its numbers free. Only the end of the count is shared. So where there is
one count, each of our merges and undos locks the folder table against other writers, first of all. A program that
calls a hook has written already, and may hold what another writer waits for: such calls only wait for each other.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, cast

from django.db import transaction

from cleanup import backends, conf
from cleanup.backends import Database
from cleanup.backends.catalogue import Table, TableName
from cleanup.backends.changes import Cell, Replaced
from cleanup.backends.tree_columns import ClosureTable, FolderColumns, NestedNumbers, TreeColumns, counts_through
from cleanup.exceptions import DatabaseUnusable
from cleanup.folder_tables import FolderTables, folder_tables
from cleanup.hooks import closure
from cleanup.hooks import options as options_of
from cleanup.hooks.closure import Differences
from cleanup.hooks.computing import Forest, Node, Value, differing
from cleanup.hooks.options import Place

#: Applications whose columns are computed in one transaction.
_TOGETHER = 100


class Change(NamedTuple):
    """A folder whose columns hold something else than they should: cells, in the order of the columns."""

    application: str
    """That of its root."""
    key: str
    cell: str
    """Its key as a cell."""
    olds: tuple[Cell, ...]
    news: tuple[Cell, ...]

    def at(self, point: int) -> Replaced:
        """Return the change as one of a rollback point."""
        return Replaced(point, (self.cell,), self.olds, self.news)


class Trees:
    """The trees of one database, as the hooks read and compute them."""

    def __init__(self, *, database: Database, tables: FolderTables, folders: Table) -> None:
        self.database = database
        self.tables = tables
        self.folders = folders
        self._described: dict[TableName, Table] = {}

    def changes(self, columns: FolderColumns, applications: Sequence[str]) -> list[Change]:
        """Return the folders of applications whose columns are not in agreement with the tree."""
        cells: dict[str, tuple[Cell, ...]] = {}
        nodes: defaultdict[str, list[Node]] = defaultdict(list)
        names = (*columns.columns, *columns.read)
        for application, folder, parent, held in self.database.reading.read_trees(self.tables, applications, names):
            cells[folder] = held[: len(columns.columns)]
            nodes[application].append(Node(folder, parent, dict(zip(names, map(self._text, held), strict=True))))
        take = _Numbers(self, columns).take
        return [
            Change(application, node.key, self._key(node.key), cells[node.key], tuple(map(self._cell, values)))
            for application in sorted(nodes)
            for node, values in differing(columns, Forest.of(nodes[application]), take=take)
        ]

    def rewrite(self, columns: TreeColumns, applications: Sequence[str]) -> None:
        """Bring the columns of applications into agreement with their trees, without a journal."""
        if isinstance(columns, ClosureTable):
            self.write_closure(columns, self.closure_differences(columns, applications))
        else:
            self.write(columns, self.changes(columns, applications))

    def closure_differences(self, columns: ClosureTable, applications: Sequence[str]) -> Differences:
        """Return what is wrong with a closure table."""
        return closure.differences(
            columns,
            database=self.database,
            tables=self.tables,
            table=self.described(columns),
            applications=applications,
        )

    def write_closure(self, columns: ClosureTable, found: Differences) -> None:
        """Write what differs without a journal. Raises CountMismatch."""
        closure.write(columns, found, database=self.database, table=self.described(columns))

    def described(self, columns: ClosureTable) -> Table:
        """Return the closure table as it is."""
        if columns.table not in self._described:
            self._described |= self.database.catalogue.describe([columns.table])
        return self._described[columns.table]

    def write(self, columns: FolderColumns, changes: Sequence[Change]) -> None:
        """Write changes without a journal. Raises CountMismatch."""
        rows = [change.at(0) for change in changes]
        if rows:
            key = (self.tables.folder_key.column,)
            self.database.merging.set_cells(self.folders, key, columns.columns, rows)

    def _key(self, key: str) -> str:
        return self.database.cells.key_cell(self.tables.folder_key, key)

    def _text(self, cell: Cell) -> str | None:
        return None if cell is None else self.database.cells.cell_text(cell)

    def _cell(self, value: Value) -> Cell:
        if value is None:
            return None
        return (
            self.database.cells.number_cell(value) if isinstance(value, int) else self.database.cells.text_cell(value)
        )


class _Numbers:
    """Numbers of a nested set, or of its trees, that no row has."""

    def __init__(self, trees: Trees, columns: FolderColumns) -> None:
        self.trees = trees
        self.columns = columns
        self._next: int | None = None

    def take(self, count: int) -> int:
        """Return the first of so many numbers that are free."""
        if self._next is None:
            column = cast("NestedNumbers", self.columns).tree or cast("NestedNumbers", self.columns).right
            self._next = self.trees.database.reading.greatest(self.trees.folders, column) + 1
        first, self._next = self._next, self._next + count
        return first


@dataclass(frozen=True, slots=True)
class ReadyHook:
    """One of the hooks that come along, by its name."""

    name: str

    def check(self, options: Mapping[str, Any]) -> None:
        """Refuse options that are wrong whatever the tables. Raises MisconfiguredSetting."""
        options_of.check(options, options_of.OPTIONS[self.name], hook=self.name)

    def resolve(self, options: Mapping[str, Any], place: Place) -> TreeColumns:
        """Return the columns that the hook writes. Raises MisconfiguredSetting."""
        return options_of.RESOLVERS[self.name](options, place)

    def __call__(self, *, using: str, application_ids: Sequence[Any], **options: Any) -> None:
        """Bring the columns of applications into agreement with their trees, in one transaction.

        Without options, with those of the setting. Raises MisconfiguredSetting.
        """
        self.check(options)
        mine = [] if options else [given for hook, given in configured() if hook is self]
        _rewrite([(self, given) for given in mine or [options]], using=using, application_ids=application_ids)


def recompute(*, using: str, application_ids: Iterable[Any] | None = None) -> None:
    """Bring the columns that the ready hooks of the setting keep into agreement with the trees.

    Of all applications, and all trees that stand in their place, if none are given. Raises MisconfiguredSetting.
    """
    for several in _everything(using) if application_ids is None else _chunks(application_ids):
        _rewrite(configured(), using=using, application_ids=several)


def _everything(using: str) -> Iterator[list[str]]:
    sql = backends.database(using=using).folders(folder_tables())
    after = None
    while several := [key for (key,) in sql.fetch(sql.next_units(after, _TOGETHER))]:
        yield several
        after = several[-1]


def _chunks(keys: Iterable[Any]) -> Iterator[list[Any]]:
    remaining = iter(keys)
    while several := list(islice(remaining, _TOGETHER)):
        yield several


def _rewrite(
    hooks: Sequence[tuple[ReadyHook, Mapping[str, Any]]], *, using: str, application_ids: Sequence[Any]
) -> None:
    tables, database = folder_tables(), backends.database(using=using)
    place = place_of(database, tables)
    applications = sorted({tables.application_key.text(key) for key in application_ids})
    trees = Trees(database=database, tables=tables, folders=place.folders)
    every = [hook.resolve(options, place) for hook, options in hooks]
    with transaction.atomic(using=using):
        if any(map(counts_through, every)):
            database.serialize_numbering(place.folders)
        for columns in every:
            trees.rewrite(columns, applications)


def place_of(database: Database, tables: FolderTables, folders: Table | None = None) -> Place:
    """Return where the columns are. Raises DatabaseUnusable."""
    if folders is None:
        name = database.catalogue.resolve(tables.folder_table)
        folders = None if name is None else database.catalogue.describe([name]).get(name)
    if folders is None:
        raise DatabaseUnusable(problem=f"there is no table {tables.folder_table}.", remedy="Run: manage.py migrate")
    return Place(tables.folder, tables.folder_name, folders, database.catalogue)


def configured() -> list[tuple[ReadyHook, Mapping[str, Any]]]:
    """Return the ready hooks of the setting, with their options. Raises MisconfiguredSetting."""
    return [(hook.function, hook.options) for hook in conf.tree_hooks() if isinstance(hook.function, ReadyHook)]


def entries() -> list[Any]:
    """Return the ready hooks of the setting as entries of it. Raises MisconfiguredSetting."""
    return [hook.entry for hook in conf.tree_hooks() if isinstance(hook.function, ReadyHook)]


def hosts() -> list[conf.TreeHook]:
    """Return the host's own hooks. Raises MisconfiguredSetting."""
    return [hook for hook in conf.tree_hooks() if not isinstance(hook.function, ReadyHook)]
