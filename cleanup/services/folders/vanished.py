"""What undo records know of files and folders that were moved by a cleanup and deleted since.

A bounded number of entries is read: of a very large application, some rows stay unknown.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from cleanup import queries
from cleanup.backends import database
from cleanup.backends.changes import Cell
from cleanup.exceptions import UnreadableJournal
from cleanup.folder_tables import KeyColumn, folder_tables
from cleanup.journal import Reader
from cleanup.models import RollbackPoint, SnapshotRow
from cleanup.services.folders import places

#: The newest undo records that are looked into, and entries of them: of at most a thousand rows each.
MOST_POINTS = 50
MOST_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class LastKnown:
    """One file or folder as it was before a cleanup moved it."""

    name: str
    """Empty unless the undo record holds the whole row, as it does if the host's triggers fire."""
    inside: str
    """The name of the folder that it lay in; empty if that is unknown."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """Rows of one of the mapped tables."""

    table: str
    """As conflicts name it."""
    keys: Collection[str]
    key: KeyColumn
    folder: str
    """The column of the folder that a row lies in."""
    name: str | None
    """The column of its name."""


def last_known(*, using: str, applications: Collection[str], wanted: Collection[Vanished]) -> dict[str, LastKnown]:
    """Return what is known of the rows of these applications, by key; those of which nothing is are missing."""
    points = RollbackPoint.objects.using(using).filter(
        application_key__in=set(applications), kind__in=RollbackPoint.OF_CHANGES
    )
    by_id = {point.pk: point for point in points.select_related("schema").order_by("-id")[:MOST_POINTS]}
    by_table = {one.table: one for one in wanted}
    rows = SnapshotRow.objects.using(using).filter(point__in=by_id, table__in=by_table, kind=SnapshotRow.Kind.MOVED)
    found: dict[str, tuple[str, str]] = {}
    for row in rows.order_by("-point_id", "id")[:MOST_ENTRIES]:
        point = by_id[row.point_id]
        try:
            reader = Reader(schema=point.schema, backend=database(using=using), rollback_id=point.uuid)
        except UnreadableJournal:
            continue
        for key, name, folder in _moved(reader, row, by_table[row.table]):
            found.setdefault(key, (name, folder))
    return _named(found, using=using)


def _moved(reader: Reader, row: SnapshotRow, wanted: Vanished) -> Iterator[tuple[str, str, str]]:
    """Yield key, name and folder, as they were, of the wanted rows that moved into a folder."""
    names = dict(_names(reader, row, wanted)) if row.images and wanted.name else {}
    for before, keys in reader.changes(row):
        if wanted.folder in before:
            folder = _text(reader, folder_tables().folder_key, before[wanted.folder])
            for cell in keys[wanted.key.column]:
                if (key := _text(reader, wanted.key, cell)) in wanted.keys:
                    yield key, names.get(key, ""), folder


def _names(reader: Reader, row: SnapshotRow, wanted: Vanished) -> Iterator[tuple[str, str]]:
    columns = reader.schema.columns(row.table)
    key, name = columns.index(wanted.key.column), columns.index(str(wanted.name))
    for change in json.loads(row.images or "[]"):
        for before, _after in change:
            if before[name] is not None:
                yield _text(reader, wanted.key, before[key]), reader.schema.backend.cells.cell_text(before[name])


def _text(reader: Reader, column: KeyColumn, cell: Cell) -> str:
    """Spell a key; empty if there is none, or one of a time when keys were others."""
    if cell is None:
        return ""
    return next(iter(column.texts([reader.schema.backend.cells.cell_text(cell)])), "")


def _named(found: Mapping[str, tuple[str, str]], *, using: str) -> dict[str, LastKnown]:
    """Give the folders their names: those that they have, or had when they were merged."""
    folders = sorted({folder for _, folder in found.values() if folder})
    names = {key: path[-1] for key, path in queries.paths_of(using=using, folders=folders).items()}
    gone = [folder for folder in folders if folder not in names]
    names |= places.merged_names(using=using, folders=gone) if gone else {}
    known = {key: LastKnown(name, names.get(folder, "")) for key, (name, folder) in found.items()}
    return {key: one for key, one in known.items() if one.name or one.inside}
