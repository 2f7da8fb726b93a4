"""Rename the model of snapshots' schemas, its table, and the rollback point's column that refers to it.

The statements stand here because Django would do more than rename: for the foreign key that is concerned, it validates
all rollback points again on PostgreSQL and rebuilds their table on SQLite. These change the catalogue alone.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0023_request_key_to_idempotency_key")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE cleanup_snapshotlayout RENAME TO cleanup_snapshotschema",
                    "ALTER TABLE cleanup_snapshotschema RENAME TO cleanup_snapshotlayout",
                )
            ],
            state_operations=[migrations.AlterModelTable("snapshotlayout", "cleanup_snapshotschema")],
        ),
        # The table has its new name by now, so that this renames the content type alone.
        migrations.RenameModel("SnapshotLayout", "SnapshotSchema"),
        migrations.AlterModelTable("snapshotschema", None),
        migrations.AlterModelOptions("snapshotschema", {"verbose_name": "snapshot schema"}),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE cleanup_rollbackpoint RENAME COLUMN layout_id TO schema_id",
                    "ALTER TABLE cleanup_rollbackpoint RENAME COLUMN schema_id TO layout_id",
                )
            ],
            state_operations=[migrations.RenameField("rollbackpoint", "layout", "schema")],
        ),
    ]
