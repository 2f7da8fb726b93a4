"""The migration operations behind the mapped tables, and the product's own. Frozen: migrations import them.

Tables that were adopted with ``--fake-initial`` belong to another program, and reversing the migration never drops
them. A table that 0001 creates is marked as such. Dumps carry the mark along, so it names the table as well: by the
server and the table's number there, or by the file. And what holds rows is dropped in no case, nor what stands beside
it, whatever the mark says.
"""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, cast

from django.apps import apps as installed
from django.apps.registry import Apps
from django.core.management.base import CommandError
from django.db import migrations, router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState, StateApps

from cleanup import conf

logger = logging.getLogger(__name__)

MARK = "created by cleanup.0001"

#: The mapped tables, and which model of the host may play the part of each.
MAPPED = {
    "customer_applications": conf.application_model,
    "folders": conf.folder_model,
    "files": conf.file_model,
}

#: The mark of a table, as an expression.
_MARK_ON_POSTGRESQL = """
    format(
        '{mark} as %s/%s',
        CASE WHEN has_function_privilege('pg_control_system()', 'EXECUTE')
             THEN (SELECT system_identifier FROM pg_control_system())
        END,
        to_regclass({table})::oid
    )
"""


class CreateMappedTable(migrations.CreateModel):
    """Create a mapped table and mark it; on reversal, drop it only if it is empty and has its own mark."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        table = model._meta.db_table
        if not schema_editor.collect_sql and _exists(schema_editor, table):
            # What migrate shows as a sentence, where a database error would be a traceback.
            raise CommandError(
                f"Table {table} exists already. To adopt the tables of another program, which must have all three, "
                f"run: manage.py migrate cleanup --fake-initial",
                returncode=2,
            )
        if schema_editor.connection.vendor == "sqlite":
            # SQLite has no comments on tables, but keeps the text of CREATE TABLE, comment and all.
            schema_editor.sql_create_table = f"CREATE TABLE %(table)s /* {_mark_in(schema_editor)} */ (%(definition)s)"
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            vars(schema_editor).pop("sql_create_table", None)
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(_comment(schema_editor, table), params=None)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if not self.allow_migrate_model(
            schema_editor.connection.alias, from_state.apps.get_model(app_label, self.name)
        ):
            return
        kept = next(_to_keep(schema_editor), None)
        if kept is None:
            super().database_backwards(app_label, schema_editor, from_state, to_state)
        else:
            logger.warning("the table of %s is kept: %s", self.name, kept)


def _exists(schema_editor: BaseDatabaseSchemaEditor, table: str) -> bool:
    names = schema_editor.connection.introspection.table_names()
    if schema_editor.connection.vendor == "sqlite":  # where Folders and folders are one table
        return table.lower() in {name.lower() for name in names}
    return table in names


def _to_keep(schema_editor: BaseDatabaseSchemaEditor) -> Iterator[str]:
    """Yield why the mapped tables are not to be dropped: they go together or not at all."""
    for table, label in MAPPED.items():
        if not (label() or "").startswith("cleanup.") or not _exists(schema_editor, table):
            continue
        with schema_editor.connection.cursor() as cursor:
            if not _is_marked(schema_editor, cursor, table):
                yield f"{table} was not created by this migration, or in another database"
            cursor.execute(f"SELECT 1 FROM {schema_editor.quote_name(table)} LIMIT 1")  # noqa: S608  # a quoted name
            if cursor.fetchone():
                yield f"{table} holds rows"


def _is_marked(schema_editor: BaseDatabaseSchemaEditor, cursor: Any, table: str) -> bool:
    """Return whether a table has the mark that it was given when it was created, and not that of another one."""
    if schema_editor.connection.vendor == "sqlite":
        cursor.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = %s", [table])
        row = cursor.fetchone()
        return bool(row and f"/* {_mark_in(schema_editor)} */" in row[0])
    name = _quoted_text(schema_editor, table)
    cursor.execute(
        f"SELECT obj_description(to_regclass({name}), 'pg_class') = {_MARK_ON_POSTGRESQL.format(mark=MARK, table=name)}"
    )
    return bool(cursor.fetchone()[0])


def _mark_in(schema_editor: BaseDatabaseSchemaEditor) -> str:
    """Return the mark of SQLite's tables: it names the file."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT file FROM pragma_database_list WHERE name = 'main'")
        (name,) = cursor.fetchone()
    path = Path(name).resolve() if name else None
    file = f"{path}:{path.stat().st_ino}" if path else "memory"
    return f"{MARK} in {hashlib.sha256(file.encode()).hexdigest()[:16]}"


def _comment(schema_editor: BaseDatabaseSchemaEditor, table: str) -> str:
    """Return the statement that marks a table of PostgreSQL."""
    name = _quoted_text(schema_editor, table)
    mark = _MARK_ON_POSTGRESQL.format(mark=MARK, table=name)
    return dedent(f"""
        DO $$
        BEGIN
            EXECUTE format('COMMENT ON TABLE %s IS %L', {name}, {mark});
        END
        $$""")


def _quoted_text(schema_editor: BaseDatabaseSchemaEditor, table: str) -> str:
    """Return a table's quoted name as a text of SQL."""
    return "'" + schema_editor.quote_name(table).replace("'", "''") + "'"


class CreateModels(migrations.SeparateDatabaseAndState):
    """Create models that Django renders once all of them are known, not again with each that comes."""

    def __init__(self, models: list[migrations.CreateModel]) -> None:
        super().__init__(database_operations=models, state_operations=models)

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        vars(state).pop("apps", None)
        super().state_forwards(app_label, state)

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        for operation in self.database_operations:
            operation.database_forwards(app_label, schema_editor, from_state, to_state)


class RunWithoutModels(migrations.RunPython):
    """Call a function that uses no models of the state, which Django would have to render for it."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,  # noqa: ARG002
        to_state: ProjectState,  # noqa: ARG002
    ) -> None:
        if router.allow_migrate(schema_editor.connection.alias, app_label, **self.hints):
            self.code(cast("StateApps", installed), schema_editor)


def create_control_row(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Put the one row of the freeze switch in place."""
    name = "Control"  # as it was called then; a literal would be looked for among the models of today
    apps.get_model("cleanup", name).objects.using(schema_editor.connection.alias).get_or_create(pk=1)


def tune(_apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Keep snapshot rows in one piece, and compare keys by their bytes."""
    if schema_editor.connection.vendor != "postgresql":
        return
    # A row of up to a page is then neither compressed nor cut into pieces, which cost more than writing it.
    schema_editor.execute("ALTER TABLE cleanup_snapshotrow SET (toast_tuple_target = 8160)")
    # Most collations compare far slower than bytes, and these keys are only ever looked up.
    schema_editor.execute('ALTER TABLE cleanup_removedfolder ALTER COLUMN folder_key TYPE varchar(255) COLLATE "C"')


def restore(_apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Go back to the defaults."""
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute("ALTER TABLE cleanup_snapshotrow RESET (toast_tuple_target)")
    schema_editor.execute(
        'ALTER TABLE cleanup_removedfolder ALTER COLUMN folder_key TYPE varchar(255) COLLATE "default"'
    )


def create_indexes(_apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make now the indexes and foreign keys that Django makes at a migration's end, of the tables made so far.

    They get their names from tables and columns as these are called now, before they are renamed.
    """
    for statement in schema_editor.deferred_sql:
        schema_editor.execute(statement, None)
    schema_editor.deferred_sql.clear()
