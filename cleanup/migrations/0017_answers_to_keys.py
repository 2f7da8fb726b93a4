"""What was answered to a request with an Idempotency-Key."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0016_four_numbers"),
    ]

    operations = [
        migrations.AddField(
            model_name="requestkey",
            name="answer",
            field=models.TextField(null=True),
        ),
    ]
