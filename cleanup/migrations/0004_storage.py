"""How PostgreSQL stores the journal: faster to write, the same to read."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def tune(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Keep snapshot rows in one piece, and compare keys by their bytes."""
    if schema_editor.connection.vendor != "postgresql":
        return
    # A row of up to a page is then neither compressed nor cut into pieces, which cost more than writing it.
    schema_editor.execute("ALTER TABLE cleanup_snapshotrow SET (toast_tuple_target = 8160)")
    # Most collations compare far slower than bytes, and these keys are only ever looked up.
    schema_editor.execute('ALTER TABLE cleanup_removedfolder ALTER COLUMN folder_key TYPE varchar(255) COLLATE "C"')


def restore(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Go back to the defaults."""
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute("ALTER TABLE cleanup_snapshotrow RESET (toast_tuple_target)")
    schema_editor.execute(
        'ALTER TABLE cleanup_removedfolder ALTER COLUMN folder_key TYPE varchar(255) COLLATE "default"'
    )


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0003_run_progress")]

    operations = [migrations.RunPython(tune, restore)]
