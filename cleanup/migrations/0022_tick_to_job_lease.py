"""Rename the model of background work's leases, its table, and the number of a worker's slot.

Table and column are renamed in the catalogue: no row is read or written, and leases that are held stay held. The index
and the constraint keep their names, since SQLite would rebuild them to change them; the constraint's fields are the
state's alone.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0021_service_to_automation_state")]

    operations = [
        migrations.RenameModel("Tick", "JobLease"),
        migrations.AlterModelOptions("joblease", {"verbose_name": "job lease"}),
        migrations.AlterField(
            "joblease",
            "run",
            models.ForeignKey(
                "cleanup.Run", django.db.models.deletion.CASCADE, null=True, blank=True, related_name="leases"
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RenameField("joblease", "seat", "slot")],
            state_operations=[
                migrations.RemoveConstraint("joblease", "cleanup_tick_one_per_seat"),
                migrations.RenameField("joblease", "seat", "slot"),
                migrations.AddConstraint(
                    "joblease",
                    models.UniqueConstraint(fields=["kind", "target", "slot"], name="cleanup_tick_one_per_seat"),
                ),
            ],
        ),
    ]
