"""Predict whether a guard that is in force forbids what undoing a point would restore.

Reads only: the folders as they are, and the journal. The catalogue determines whether a guard is in force.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cleanup import journal
from cleanup.backends import Database
from cleanup.backends.changes import Cell
from cleanup.backends.guards import InstalledGuard
from cleanup.backends.query import pasteable, quoted
from cleanup.backends.scripting import Forbidding
from cleanup.exceptions import Guarded
from cleanup.folder_tables import FolderTables, Ownership
from cleanup.guard_names import Guard, lifting
from cleanup.guards.guard_ddl import guard_sql_of
from cleanup.models import RollbackPoint


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a live folder."""

    parent: str | None
    name: Cell


class GuardsInForce:
    """The guards of one database, looked up once, to check points that are to be undone."""

    def __init__(self, *, using: str, backend: Database, tables: FolderTables, folders: str) -> None:
        self.using = using
        self.backend = backend
        self.tables = tables
        self.folders = folders
        """Label of the folder table in the journal."""
        self._sql = guard_sql_of(using=using)
        standing = self._sql.standing()
        # The one against several roots may be in force in the form that other settings ask for.
        self._standing = {g: s for g, s in standing.items() if s.usable or s.by_name is not None}

    def refuse(self, points: Iterable[RollbackPoint]) -> None:
        """Raise Guarded for a point whose undoing a guard forbids; it names the one that is lifted first.

        If no guard could, the points are not even read.
        """
        for forbidden in self._forbidden_by_point(points):
            for guard in Guard:  # lifting a guard also lifts those after it
                if guard in forbidden:
                    raise self.refusal(guard)

    def forbidding(self, points: Iterable[RollbackPoint]) -> list[Forbidding]:
        """Return the guards that forbid undoing the points, with the SQL that lifts each."""
        found = set[Guard]().union(*self._forbidden_by_point(points))
        return [self._as_sql(guard) for guard in Guard if guard in found]

    def _as_sql(self, guard: Guard) -> Forbidding:
        standing = self._standing[guard]
        lift = "; ".join(f"{pasteable(statement)}" for statement in self._sql.drop(guard))
        return Forbidding(standing.name, standing.table, f"{lift};" if standing.ours else self._drop(standing))

    def _forbidden_by_point(self, points: Iterable[RollbackPoint]) -> Iterator[set[Guard]]:
        if self._standing.keys() & {Guard.ONE_ROOT, Guard.ONE_NAME, Guard.BLANK_NAME}:
            for point in points:
                if point.kind == RollbackPoint.Kind.CLEANUP:
                    yield set(self._forbidden(point))

    def refusal(self, guard: Guard) -> Guarded:
        """Return the refusal that names a guard and the command that lifts it."""
        standing = self._standing.get(guard)
        if standing is None or standing.ours:
            return Guarded(guard=guard, command=lifting(guard, using=self.using))
        return Guarded(guard=standing.name, command=self._drop(standing))

    def _drop(self, standing: InstalledGuard) -> str:
        """Return how to drop what is not ours but equivalent to a guard."""
        name = f"{quoted(standing.table.schema)}.{quoted(standing.name)}" if standing.table.schema else standing.name
        concurrently = "CONCURRENTLY " if self.backend.builds_concurrently else ""
        return f"DROP INDEX {concurrently}{name}; (or, of a constraint, ALTER TABLE ... DROP CONSTRAINT)"

    def _forbidden(self, point: RollbackPoint) -> Iterator[Guard]:
        reader = journal.Reader(schema=point.schema, backend=self.backend, rollback_id=point.uuid)
        moved, removed = reader.before(points=[point.id], label=self.folders, column=self.tables.folder_parent)
        if not moved and not removed:
            return
        names = [image[self.tables.folder_name] for image in removed]
        if Guard.BLANK_NAME in self._standing and any(not self.backend.cells.cell_text(name).strip() for name in names):
            yield Guard.BLANK_NAME
        places = self._places_after(point, moved, removed)
        one_root = self._standing.get(Guard.ONE_ROOT)
        if one_root is not None:
            by_name = one_root.by_name or self._is_shared(removed)
            roots = Counter(place.name if by_name else None for place in places if place.parent is None)
            if any(number > 1 for number in roots.values()):
                yield Guard.ONE_ROOT
        siblings = Counter(place for place in places if place.parent is not None)
        if Guard.ONE_NAME in self._standing and any(number > 1 for number in siblings.values()):
            yield Guard.ONE_NAME

    def _is_shared(self, removed: Sequence[dict[str, Cell]]) -> bool:
        """Return whether the removed folders are of a tree beside applications."""
        if self.tables.ownership != Ownership.SHARED:
            return False
        return all(image[owner] is None for image in removed for owner in self.tables.owner_columns)

    def _places_after(
        self, point: RollbackPoint, moved: dict[Cell, Cell], removed: list[dict[str, Cell]]
    ) -> list[_Place]:
        """Return where the application's live folders would be."""
        tables, application = self.tables, point.application_key
        now = dict(self.backend.reading.read_folders(tables, [application], lock=False)).get(application, ())
        back = {self._key(cell): cell for cell in moved}
        places = []
        for folder in now:
            if folder.live:
                cell = back.get(folder.key)
                parent = folder.parent if cell is None else self._parent(folder.key, moved[cell])
                places.append(_Place(parent, self.backend.cells.text_cell(folder.name)))
        for image in removed:
            parent = self._parent(self._key(image[tables.folder_key.column]), image[tables.folder_parent])
            places.append(_Place(parent, image[tables.folder_name]))
        return places

    def _parent(self, folder: str, cell: Cell) -> str | None:
        return self.tables.parent_of(folder, None if cell is None else self._key(cell))

    def _key(self, cell: Cell) -> str:
        return self.tables.folder_key.text(self.backend.cells.cell_text(cell))
