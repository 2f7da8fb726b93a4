"""Points taken by hand: an application's whole structure, stored, and later compared with the current one."""

from datetime import datetime, timedelta

from cleanup import backends, conf, journal
from cleanup.backends import Database
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
    for structure in _structure_tables(references, tables, backend, application_id):
        backend.merging.take_structure(structure, point=point.id, step=journal.STRUCTURE_STEP)
    return point


def _structure_tables(
    references: ReferenceMap, tables: FolderTables, backend: Database, application: str
) -> tuple[StructureTable, ...]:
    """Return the tables that a point taken by hand stores."""
    sql = backend.folders(tables, loose_files=references.loose_files)
    folders = StructureTable(references.folders, sql.folder_belongs("t", application))
    if references.files is None:
        return (folders,)
    return (folders, StructureTable(references.files, sql.file_belongs("t", application)))


def refuse_altered(point: RollbackPoint, tables: CurrentTables) -> None:
    """Raise UnreadableJournal if a table that the point stores is no longer as the point needs it."""
    stored = (tables.references.folders, tables.references.files)
    names = [(journal.STRUCTURE_STEP, str(table.name)) for table in stored if table is not None]
    tables.reader([point]).schema.refuse_altered(names, tables.described)


def differences(point: RollbackPoint, tables: CurrentTables) -> list[Conflict]:
    """Return how the structure differs from what the point stored."""
    schema = tables.reader([point]).schema
    found: list[Conflict] = []
    for structure in _structure_tables(tables.references, tables.mapped, tables.backend, point.application_key):
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
            limit=conf.finding_limit(),
        )
        found += [conflict_of(row, point.application_key, tables) for row in rows]
    return found
