"""Call a rollback point's primary key id: the column is renamed in the catalogue alone.

Both databases rename it in the index as well, so that the index and the order change for the state alone. Foreign keys
follow it by themselves; snapshot rows have none, and keep their ``point_id``.
"""

from django.db import migrations, models

OPTIONS = {"verbose_name": "undo record", "verbose_name_plural": "undo records"}


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0029_rollback_point_uuid")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RenameField("rollbackpoint", "sequence", "id")],
            state_operations=[
                migrations.RemoveIndex("rollbackpoint", "cleanup_point_application"),
                migrations.RenameField("rollbackpoint", "sequence", "id"),
                migrations.AddIndex(
                    "rollbackpoint",
                    models.Index(fields=["application_key", "-id"], name="cleanup_point_application"),
                ),
                migrations.AlterModelOptions("rollbackpoint", {"ordering": ["-id"], **OPTIONS}),
            ],
        )
    ]
