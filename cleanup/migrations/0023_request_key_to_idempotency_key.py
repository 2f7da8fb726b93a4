"""Rename the model of the API's idempotency keys, and its table.

The table is renamed in the catalogue: no row is read or written. The constraint keeps its name, since SQLite would
rebuild the table to change it.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0022_tick_to_job_lease")]

    operations = [
        migrations.RenameModel("RequestKey", "IdempotencyKey"),
        migrations.AlterModelOptions("idempotencykey", {"verbose_name": "idempotency key"}),
        migrations.AlterField(
            "idempotencykey",
            "run",
            models.ForeignKey(
                "cleanup.Run", django.db.models.deletion.CASCADE, null=True, related_name="idempotency_keys"
            ),
        ),
    ]
