"""Predict whether a guard that is in force forbids what undoing a point would restore.

Reads only: the folders as they are, and the journal. The catalogue determines whether a guard is in force.
"""

from collections.abc import Iterable, Iterator

from cleanup import journal
from cleanup.backends import Database
from cleanup.backends.changes import NO_NAME, Cell
from cleanup.backends.guards import InstalledGuard
from cleanup.backends.pinning import together
from cleanup.backends.query import pasteable, quoted
from cleanup.backends.scripting import Forbidding
from cleanup.exceptions import Guarded
from cleanup.folder_tables import FolderTables, Ownership
from cleanup.forests import NONE, Forest
from cleanup.guard_names import Guard, lifting
from cleanup.models import RollbackPoint
from cleanup.references import ReferenceMap


class GuardsInForce:
    """The guards of one database, looked up once, to check points that are to be undone."""

    def __init__(self, *, using: str, backend: Database, tables: FolderTables, references: ReferenceMap) -> None:
        self.using = using
        self.backend = backend
        self.tables = tables
        self.folders = str(references.folders.name)
        """Label of the folder table in the journal."""
        self._sql = backend.guards(
            tables,
            folders=references.folders.name,
            files=references.files.name if references.files else None,
            loose_files=references.loose_files,
        )
        with together(using=using):
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
        points, tables = [point.id], self.tables
        if not reader.wrote(points=points, label=self.folders):
            return
        forest = self.backend.reading.forest_maker(tables, point.application_key)
        blank, shared = False, tables.ownership == Ownership.SHARED
        for image in reader.images(points=points, label=self.folders):
            key, name = self._key(image[tables.folder_key.column]), self._name(image[tables.folder_name])
            blank |= not name.strip()
            shared &= all(image[owner] is None for owner in tables.owner_columns)
            if key not in forest:  # it may have been made again
                forest.add(key, self._parent(key, image[tables.folder_parent]), name)
        moves = reader.moved(points=points, label=self.folders, column=tables.folder_parent)
        for cell, parent in moves:  # of several of one folder, the first is the last here
            if (key := self._key(cell)) in forest:
                forest.move(key, self._parent(key, parent))
        if blank and Guard.BLANK_NAME in self._standing:
            yield Guard.BLANK_NAME
        yield from self._broken(forest.forest(), shared=shared)

    def _broken(self, forest: Forest, *, shared: bool) -> Iterator[Guard]:
        """Yield the guards that forbid such a forest; ``shared``: its folders are of a tree beside applications."""
        one_root = self._standing.get(Guard.ONE_ROOT)
        by_name = one_root is not None and (one_root.by_name or shared)
        twins = {forest.parents[folder] == NONE for folder in forest.twins()}
        if one_root is not None and (True in twins if by_name else forest.live_roots > 1):
            yield Guard.ONE_ROOT
        if False in twins and Guard.ONE_NAME in self._standing:
            yield Guard.ONE_NAME

    def _name(self, cell: Cell) -> str:
        return NO_NAME if cell is None else self.backend.cells.cell_text(cell)

    def _parent(self, folder: str, cell: Cell) -> str | None:
        return self.tables.parent_of(folder, None if cell is None else self._key(cell))

    def _key(self, cell: Cell) -> str:
        return self.tables.folder_key.text(self.backend.cells.cell_text(cell))
