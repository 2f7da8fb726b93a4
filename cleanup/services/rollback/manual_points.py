"""Points taken by hand: an application's whole structure, stored, and later compared with the current one."""

from datetime import datetime, timedelta

from cleanup import backends, conf, journal
from cleanup.backends.changes import Images, StructureTable
from cleanup.folder_tables import FolderTables, folder_tables
from cleanup.models import RollbackPoint
from cleanup.references import ReferenceMap, schema_changes
from cleanup.services.results import Conflict
from cleanup.services.rollback.outcome import conflict_of
from cleanup.services.rollback.tables import CurrentTables


def take_point(
    *, using: str, references: ReferenceMap, application_id: str, reason: str, created_by: str, now: datetime
) -> RollbackPoint:
    """Store an application's whole folder structure. Runs inside the caller's transaction. Raises SchemaChanged."""
    backend = backends.database(using=using)
    schema_changes.hold(backend, references, written=references.holding)
    tables = folder_tables()
    schema = journal.write_schema(using=using, backend=backend, references=references, mapped=tables)
    point = RollbackPoint.objects.using(using).create(
        application_key=application_id,
        kind=RollbackPoint.Kind.MANUAL,
        schema=schema,
        created_at=now,
        created_by=created_by,
        reason=reason,
        expires_at=now + timedelta(days=conf.rollback_days()),
    )
    for structure in _structure_tables(references, tables):
        backend.merging.take_structure(
            structure,
            point=point.id,
            application=application_id,
            key=tables.application_key,
            step=journal.STRUCTURE_STEP,
        )
    return point


def _structure_tables(references: ReferenceMap, tables: FolderTables) -> tuple[StructureTable, ...]:
    """Return the tables that a point taken by hand stores."""
    folders = StructureTable(references.folders, tables.folder_application)
    if not (references.files and tables.file and tables.file.application):
        return (folders,)
    return (folders, StructureTable(references.files, tables.file.application))


def refuse_altered(point: RollbackPoint, tables: CurrentTables) -> None:
    """Raise UnreadableJournal if a table that the point stores is no longer as the point needs it."""
    stored = _structure_tables(tables.references, tables.mapped)
    names = [(journal.STRUCTURE_STEP, str(structure.table.name)) for structure in stored]
    tables.reader([point]).schema.refuse_altered(names, tables.described)


def differences(point: RollbackPoint, tables: CurrentTables) -> list[Conflict]:
    """Return how the structure differs from what the point stored."""
    schema = tables.reader([point]).schema
    found: list[Conflict] = []
    for structure in _structure_tables(tables.references, tables.mapped):
        label = str(structure.table.name)
        rows = tables.backend.undoing.structure_differences(
            structure,
            Images(
                schema.as_journaled(structure.table),
                schema.columns(label),
                schema.key(label),
                points=[point.id],
                step=None,
            ),
            application=point.application_key,
            key=tables.mapped.application_key,
            limit=conf.finding_limit(),
        )
        found += [conflict_of(row, point.application_key, tables) for row in rows]
    return found
