from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0013_removed_folder_name"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="result",
            index=models.Index(
                condition=Q(("status__in", ["failed", "skipped", "held"])),
                fields=["-id"],
                name="cleanup_result_decision",
            ),
        ),
    ]
