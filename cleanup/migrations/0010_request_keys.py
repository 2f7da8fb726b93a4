"""What clients of the API have asked for."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0009_throttle"),
    ]

    operations = [
        migrations.CreateModel(
            name="RequestKey",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("account", models.CharField(max_length=255)),
                ("key", models.CharField(max_length=255)),
                ("digest", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "run",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="request_keys",
                        to="cleanup.run",
                    ),
                ),
            ],
            options={"verbose_name": "request key"},
        ),
        migrations.AddConstraint(
            model_name="requestkey",
            constraint=models.UniqueConstraint(fields=("account", "key"), name="cleanup_requestkey_once"),
        ),
    ]
