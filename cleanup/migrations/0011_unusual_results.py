"""An index to list what failed or was set aside in a run of a million applications."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0010_request_keys"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="result",
            index=models.Index(
                condition=models.Q(("status__in", ["failed", "skipped", "held"])),
                fields=["run", "status", "application_key"],
                name="cleanup_result_unusual",
            ),
        ),
    ]
