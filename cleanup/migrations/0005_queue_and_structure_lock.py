"""Applications that are queued for the next cleanup, and the lock of the folder service."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0004_storage"),
    ]

    operations = [
        migrations.CreateModel(
            name="QueuedApplication",
            fields=[
                ("application_key", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("code", models.CharField(max_length=64)),
                ("message", models.TextField(blank=True)),
                ("refused", models.BooleanField(default=False)),
                ("queued_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "queued application",
            },
        ),
        migrations.CreateModel(
            name="StructureLock",
            fields=[
                ("application_key", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("taken_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "structure lock",
            },
        ),
    ]
