"""What a run waits for, since when, what it saw, and whether it was halted by what went wrong."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0008_alerts")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="halted",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="run",
            name="probes",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="run",
            name="waiting_since",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
