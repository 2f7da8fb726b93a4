"""Find rows that a later cleanup of another application changed again: that one has to be undone first.

A row may name folders of two applications: the merge of one changes its key, and the merge of the other journals it by
the new key. Undone in the wrong order, it is not found, and if skipped it would be lost for good.

Reads the journal, and only of what conflicts. A cleanup changes a row because of a removed folder that the row named;
so the points that may have changed it are found by where removed folders went. If that is not conclusive (a row that
names several folders, or folders by another key), all live points with rows of the table are examined.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from django.db.models import Min, QuerySet

from cleanup import journal
from cleanup.backends import Database
from cleanup.backends.catalogue import TableName
from cleanup.backends.changes import Cell, RowConflict
from cleanup.exceptions import InvalidKey, SharedRows
from cleanup.folder_tables import FolderTables
from cleanup.models import RemovedFolder, RollbackPoint, SnapshotRow, SnapshotSchema
from cleanup.paging import in_pages

#: Keys in one statement.
_PAGE = 500

#: What a later change of the row looks like.
_CODES = {"row_missing", "changed", "missing_target"}


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that is not as the cleanup left it, by the key that the cleanup left."""

    conflict: RowConflict
    label: str
    key: tuple[Cell, ...]
    folders: frozenset[str]
    """Keys of folders that it may have named since."""


class LaterChanges:
    """Finds later points of other applications on one database."""

    def __init__(self, *, using: str, backend: Database, tables: FolderTables) -> None:
        self.using = using
        self.backend = backend
        self.tables = tables
        self._readers: dict[str, journal.Reader] = {}

    def refuse(
        self,
        conflicts: Sequence[RowConflict],
        *,
        reader: journal.Reader,
        labels: Iterable[str],
        undone: Collection[int],
    ) -> None:
        """Raise SharedRows if a live point, other than ``undone`` ones, has changed the row of a conflict later."""
        by_table = {reader.schema.table_name(label): label for label in labels}
        rows = [
            row
            for conflict in conflicts
            if conflict.code in _CODES and conflict.table in by_table
            for row in self._rows(conflict, reader, by_table[conflict.table])
        ]
        rows += self._images(conflicts, reader, by_table)
        if not rows:
            return
        later = self._later(rows, reader, undone)
        if not later:
            return
        counts = Counter(point_id for point_id, _ in later.values())
        points = RollbackPoint.objects.using(self.using).in_bulk(counts)
        first, table = max(later.values())
        raise SharedRows(
            count=counts[first],
            table=table,
            application_id=points[first].application_key,
            later_id=points[first].uuid,
            later=tuple(sorted(counts)),
        )

    def _rows(self, conflict: RowConflict, reader: journal.Reader, label: str) -> Iterator[_Row]:
        if not conflict.columns:
            return
        key = reader.schema.key(label)
        left = {**dict(zip(key, conflict.key, strict=True)), **dict(zip(conflict.columns, conflict.news, strict=True))}
        yield _Row(conflict, label, tuple(left[column] for column in key), self._named(left.values()))

    def _images(
        self, conflicts: Sequence[RowConflict], reader: journal.Reader, by_table: dict[TableName, str]
    ) -> Iterator[_Row]:
        """Yield the removed rows that name what no longer exists."""
        missing: defaultdict[TableName, dict[tuple[Cell, ...], RowConflict]] = defaultdict(dict)
        for conflict in conflicts:
            if conflict.code == "missing_target" and not conflict.columns and conflict.table in by_table:
                missing[conflict.table][conflict.key] = conflict
        for table, by_key in missing.items():
            label = by_table[table]
            points = {conflict.point for conflict in by_key.values()}
            for image in reader.images(points=points, label=label):
                key = tuple(image[column] for column in reader.schema.key(label))
                if key in by_key:
                    named = (image.get(column) for column in by_key[key].column.split("+"))
                    yield _Row(by_key[key], label, (), self._named(named))

    def _named(self, cells: Iterable[Cell]) -> frozenset[str]:
        """Return the keys of the folders that the cells would name."""
        keys = set()
        for cell in cells:
            if cell is not None:
                with suppress(InvalidKey):  # a value of a different kind
                    keys.add(self.tables.folder_key.text(self.backend.cells.cell_text(cell)))
        return frozenset(keys)

    def _later(
        self, rows: Sequence[_Row], reader: journal.Reader, undone: Collection[int]
    ) -> dict[_Row, tuple[int, str]]:
        """Return the last live point of another application that changed a row, and the table."""
        removals = self._removals({key for row in rows for key in row.folders}, undone)
        found: dict[_Row, tuple[int, str]] = {}
        wanted: defaultdict[str, dict[tuple[Cell, ...], _Row]] = defaultdict(dict)
        candidates: defaultdict[str, set[int]] = defaultdict(set)
        for row in rows:
            points = {point for key in row.folders for point in removals.get(key, ()) if point != row.conflict.point}
            if not row.key and points:  # the folders that it names were removed by them
                found[row] = max(points), str(row.conflict.table)
            elif row.key:
                wanted[row.label][row.key] = row
                candidates[row.label] |= points
        for label, by_key in wanted.items():
            journaled = self._journaled(reader.schema.table_name(label), label, undone)
            if reader.schema.names_folders_once(label, self.tables.folder_key.column):
                journaled = journaled.filter(point__in=candidates[label])
            for row, point in self._matches(journaled, by_key):
                found[row] = point, str(row.conflict.table)
        return found

    def _removals(self, keys: Collection[str], undone: Collection[int]) -> dict[str, list[int]]:
        removals: defaultdict[str, list[int]] = defaultdict(list)
        ordered = sorted(keys)
        for start in range(0, len(ordered), _PAGE):
            removed = RemovedFolder.objects.using(self.using).filter(
                folder_key__in=ordered[start : start + _PAGE], point__status=RollbackPoint.Status.LIVE
            )
            for key, point in removed.values_list("folder_key", "point_id"):
                if point not in undone:
                    removals[key].append(point)
        return removals

    def _journaled(self, table: TableName, label: str, undone: Collection[int]) -> QuerySet[SnapshotRow]:
        rows = SnapshotRow.objects.using(self.using).exclude(kind=SnapshotRow.Kind.STRUCTURE)
        rows = rows.filter(table__in={label, str(table), table.unquoted}, point__status=RollbackPoint.Status.LIVE)
        return rows.exclude(point__in=undone).select_related("point")

    def _matches(
        self, journaled: QuerySet[SnapshotRow], by_key: dict[tuple[Cell, ...], _Row]
    ) -> Iterator[tuple[_Row, int]]:
        """Yield, in the order in which they were written, the changes of wanted rows after those that conflict."""
        label = next(iter(by_key.values())).label
        points = {row.conflict.point for row in by_key.values()}
        own = SnapshotRow.objects.using(self.using).filter(point__in=points, table=label).order_by()
        since = dict(own.values_list("point_id").annotate(Min("id")))
        for row in chain.from_iterable(in_pages(journaled.filter(id__gt=min(since.values())), size=_PAGE)):
            for key in self._reader(row.point).row_keys(row):
                known = by_key.get(key)
                if known is not None and row.point_id != known.conflict.point and row.pk > since[known.conflict.point]:
                    yield known, row.point_id

    def _reader(self, point: RollbackPoint) -> journal.Reader:
        if point.schema_id not in self._readers:
            schema = SnapshotSchema.objects.using(self.using).get(pk=point.schema_id)
            self._readers[point.schema_id] = journal.Reader(schema=schema, backend=self.backend, rollback_id=point.uuid)
        return self._readers[point.schema_id]
