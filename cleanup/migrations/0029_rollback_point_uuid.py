"""Call a rollback point's UUID uuid: the column is renamed in the catalogue alone, and JSON has it as rollback_id."""

import uuid

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0028_permission_look_to_view")]

    operations = [
        migrations.RenameField("rollbackpoint", "id", "uuid"),
        migrations.AlterField(
            "rollbackpoint", "uuid", models.UUIDField("id", default=uuid.uuid4, editable=False, unique=True)
        ),
    ]
