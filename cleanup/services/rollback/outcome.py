"""What undoing a point did, and its conflicts."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cleanup import conf
from cleanup.backends.changes import RowConflict
from cleanup.exceptions import InvalidKey
from cleanup.models import RollbackPoint
from cleanup.services.results import Conflict, Copy
from cleanup.services.rollback.tables import CurrentTables


@dataclass(frozen=True, slots=True)
class PointOutcome:
    """What undoing one point did."""

    point: RollbackPoint
    folders_restored: int
    files_restored: int
    references_restored: int
    folders_moved_back: int
    conflicts: tuple[Conflict, ...]
    differences: tuple[Conflict, ...] = ()
    """For a point taken by hand: how the structure still differs from it. For a repair: the folders that it made and
    that stay, because they are in use or were changed."""
    copies: tuple[Copy, ...] = ()
    """Folders that did not come back as they were, but as copies."""
    unproven: tuple[str, ...] = ()
    """What may have written more than is undone or compared: ``triggers`` of the host, the tree ``hook``."""

    @property
    def inexact(self) -> tuple[str, ...]:
        """Why not everything is as it was, or may not be."""
        found = {"conflicts": self.conflicts, "differences": self.differences, "copies": self.copies}
        return (*(name for name, several in found.items() if several), *self.unproven)

    @property
    def exact(self) -> bool:
        """Whether everything is as it was."""
        return not self.inexact

    def as_json(self) -> dict[str, Any]:
        """Return what is kept on the point."""
        limit = conf.list_limit()
        return {
            "exact": self.exact,
            "inexact": list(self.inexact),
            "folders_restored": self.folders_restored,
            "files_restored": self.files_restored,
            "references_restored": self.references_restored,
            "folders_moved_back": self.folders_moved_back,
            "conflicts": [conflict.as_json() for conflict in (*self.conflicts, *self.differences)[:limit]],
            "conflicts_left_out": max(0, len(self.conflicts) + len(self.differences) - limit),
            "copies": [copy.as_json() for copy in self.copies[:limit]],
            "copies_left_out": max(0, len(self.copies) - limit),
        }


def conflicts_by_point(
    rows: Iterable[RowConflict], applications: Mapping[int, str], tables: CurrentTables
) -> dict[int, list[Conflict]]:
    """Return the conflicts by the id of their point; ``applications`` are those of the points."""
    conflicts: dict[int, list[Conflict]] = {}
    for row in rows:
        conflicts.setdefault(row.point, []).append(conflict_of(row, applications[row.point], tables))
    return conflicts


def conflict_of(row: RowConflict, application: str, tables: CurrentTables) -> Conflict:
    """Return a result's entry for a row that was not restored."""
    key = ",".join(tables.backend.cells.cell_text(cell) for cell in row.key)
    mapped, references = tables.mapped, tables.references
    keys = {references.folders.name: mapped.folder_key}
    if references.files and mapped.file:
        keys[references.files.name] = mapped.file.key
    if row.table in keys:
        with suppress(InvalidKey):  # a key in a different form is shown as it is stored
            key = keys[row.table].text(key)
    return Conflict(row.code, application, str(row.table), key, row.column, row.constraint)
