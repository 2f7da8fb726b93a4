"""The migration operation behind the mapped tables. Frozen: migration 0001 imports it.

A table that 0001 creates is marked as such, and only a marked table is dropped when the migration is reversed: tables
that were adopted with ``--fake-initial`` belong to somebody else.
"""

from typing import Any

from django.apps.registry import Apps
from django.core.management.base import CommandError
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState

MARK = "created by cleanup.0001"


class CreateMappedTable(migrations.CreateModel):
    """Create a mapped table and mark it; on reversal, drop it only if it bears the mark."""

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
            schema_editor.sql_create_table = f"CREATE TABLE %(table)s /* {MARK} */ (%(definition)s)"
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            vars(schema_editor).pop("sql_create_table", None)
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"COMMENT ON TABLE {schema_editor.quote_name(table)} IS '{MARK}'")

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = from_state.apps.get_model(app_label, self.name)
        if _is_marked(schema_editor, model):
            super().database_backwards(app_label, schema_editor, from_state, to_state)


def _exists(schema_editor: BaseDatabaseSchemaEditor, table: str) -> bool:
    names = schema_editor.connection.introspection.table_names()
    if schema_editor.connection.vendor == "sqlite":  # where Folders and folders are one table
        return table.lower() in {name.lower() for name in names}
    return table in names


def _is_marked(schema_editor: BaseDatabaseSchemaEditor, model: Any) -> bool:
    table = model._meta.db_table
    with schema_editor.connection.cursor() as cursor:
        if schema_editor.connection.vendor == "sqlite":
            cursor.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = %s", [table])
        else:
            cursor.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", [schema_editor.quote_name(table)])
        row = cursor.fetchone()
    return bool(row and row[0] and MARK in row[0])


def create_control_row(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Put the one row of the freeze switch in place."""
    apps.get_model("cleanup", "Control").objects.using(schema_editor.connection.alias).get_or_create(pk=1)
