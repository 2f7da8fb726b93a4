"""The tables as they are now, kept unchanged during an undo: those of the references, and those of old journals."""

from collections.abc import Sequence

from cleanup import backends, journal
from cleanup.backends.catalogue import ForeignKey, Table, TableName
from cleanup.folder_tables import folder_tables
from cleanup.models import RollbackPoint
from cleanup.references import ReferenceMap, schema_changes


class CurrentTables:
    """The tables of one database; created once per run, because the references are read once."""

    def __init__(self, *, using: str, references: ReferenceMap) -> None:
        self.using = using
        self.references = references
        self.backend: backends.Database = backends.database(using=using)
        self.mapped = folder_tables()
        self.described: dict[TableName, Table] = dict(references.tables)
        self._catalogue = backends.database(using=using).catalogue
        self._foreign_keys: list[ForeignKey] | None = None

    def reader(self, points: Sequence[RollbackPoint]) -> journal.Reader:
        """Return the reader of points of one snapshot schema."""
        return journal.Reader(schema=points[0].schema, backend=self.backend, rollback_id=points[0].uuid)

    def hold(self, points: Sequence[RollbackPoint]) -> None:
        """Keep the tables as they are; those that only the journal knows are read once held."""
        schemas = {point.schema_id: point for point in points}
        named = {name for point in schemas.values() for name in self.reader([point]).schema.tables()}
        others = named - set(self.references.tables)
        described = self._catalogue.describe(others) if others else {}
        also = [table for table in described.values() if table.kind in {"table", "partitioned"}]
        schema_changes.hold(self.backend, self.references, written=[*self.references.written, *also])
        if others:
            self._catalogue = backends.database(using=self.using).catalogue
            self.described, self._foreign_keys = dict(self.references.tables), None

    def describe(self, names: Sequence[TableName]) -> None:
        """Read the tables that are not yet known."""
        unknown = [name for name in set(names) if name not in self.described]
        if unknown:
            self.described.update(self._catalogue.describe(unknown))

    def required_keys(self) -> list[ForeignKey]:
        """Return the foreign keys that restored rows must satisfy: the catalogue's, and the folder's own two."""
        if self._foreign_keys is None:
            folders, applications = self.references.folders.name, self.references.applications.name
            keys = list(self._catalogue.foreign_keys_of(list(self.described)))
            own = [(self.mapped.folder_parent, folders, self.mapped.folder_key.column)]
            own += [(column, applications, self.mapped.application_key.column) for column in self.mapped.owner_columns]
            present = {(key.table, key.columns) for key in keys}
            exempt = self.backend.folders(self.mapped).root_mark
            keys += [
                ForeignKey(
                    *("", folders, (column,), target, (other,), "no action", "no action"),
                    exempt=exempt if column == self.mapped.folder_parent else "",
                )
                for column, target, other in own
                if (folders, (column,)) not in present
            ]
            self._foreign_keys = keys
        return self._foreign_keys
