"""Progress, kept on the run."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0002_own_tables"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="done_applications",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="run",
            name="done_when_resumed",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="run",
            name="failed_applications",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="run",
            name="files_moved",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="run",
            name="folders_removed",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="run",
            name="resumed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
