"""Alerts, and what has been said about them."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0007_automation"),
    ]

    operations = [
        migrations.CreateModel(
            name="Alert",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("fingerprint", models.CharField(max_length=128)),
                ("code", models.CharField(max_length=64)),
                (
                    "severity",
                    models.CharField(
                        choices=[("warning", "warning"), ("critical", "critical")], default="warning", max_length=8
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "open"), ("acknowledged", "acknowledged"), ("resolved", "resolved")],
                        default="open",
                        max_length=12,
                    ),
                ),
                ("message", models.TextField()),
                ("hint", models.TextField(blank=True)),
                ("detail", models.JSONField(default=dict)),
                ("size", models.PositiveBigIntegerField(default=0)),
                ("first_size", models.PositiveBigIntegerField(default=0)),
                ("correlation_id", models.CharField(blank=True, max_length=64)),
                ("first_seen", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("last_seen", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                ("acknowledged_by", models.CharField(blank=True, max_length=255)),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                (
                    "notice",
                    models.CharField(
                        choices=[
                            ("new", "new"),
                            ("repeated", "repeated"),
                            ("escalated", "escalated"),
                            ("resolved", "resolved"),
                        ],
                        default="new",
                        max_length=12,
                    ),
                ),
                ("notices", models.PositiveIntegerField(default=1)),
                ("noticed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("notified_at", models.DateTimeField(blank=True, null=True)),
                ("owed", models.BooleanField(default=True)),
                ("owed_to", models.JSONField(default=list)),
                ("sending_until", models.DateTimeField(blank=True, null=True)),
                (
                    "run",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="alerts",
                        to="cleanup.run",
                    ),
                ),
            ],
            options={
                "verbose_name": "alert",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(condition=models.Q(("owed", True)), fields=["owed"], name="cleanup_alert_owed")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["open", "acknowledged"])),
                        fields=("fingerprint",),
                        name="cleanup_alert_once",
                    )
                ],
            },
        ),
    ]
