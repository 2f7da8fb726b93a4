"""Rename what says of a run that no other may be active beside it: the column is renamed in the catalogue alone.

Both databases rename it in the condition of the unique index as well, so that the index changes for the state alone.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0026_run_halted_to_paused_by_error")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RenameField("run", "takes_slot", "exclusive")],
            state_operations=[
                migrations.RemoveConstraint("run", "cleanup_run_one_active"),
                migrations.RenameField("run", "takes_slot", "exclusive"),
                migrations.AddConstraint(
                    "run",
                    models.UniqueConstraint(
                        fields=["kind"],
                        condition=models.Q(
                            kind="cleanup", exclusive=True, status__in=["pending", "running", "pausing", "paused"]
                        ),
                        name="cleanup_run_one_active",
                    ),
                ),
            ],
        )
    ]
