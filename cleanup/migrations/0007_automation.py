"""The tables of the automation."""

import uuid

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0006_permissions"),
    ]

    operations = [
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("cluster", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("host", models.CharField(max_length=255)),
                ("beat_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("first_beat_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "heartbeat",
            },
        ),
        migrations.AddField(
            model_name="verification",
            name="error",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.CreateModel(
            name="ConsistencyCheck",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("started_by", models.CharField(blank=True, max_length=255)),
                ("started_how", models.CharField(default="service", max_length=16)),
                ("duplicate_applications", models.PositiveIntegerField(blank=True, null=True)),
                ("waiting_applications", models.PositiveIntegerField(blank=True, null=True)),
                ("late_arrivals", models.PositiveIntegerField(default=0)),
                ("needs_cleanup", models.BooleanField(blank=True, null=True)),
                ("alert_threshold_exceeded", models.BooleanField(blank=True, null=True)),
                ("summary", models.JSONField(default=dict)),
                ("error", models.TextField(blank=True)),
            ],
            options={
                "verbose_name": "consistency check",
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["-started_at"], name="cleanup_check_newest")],
            },
        ),
        migrations.CreateModel(
            name="Schedule",
            fields=[
                (
                    "name",
                    models.CharField(
                        choices=[
                            ("consistency_check", "consistency check"),
                            ("full_cleanup", "full cleanup"),
                            ("integrity_verification", "integrity verification"),
                            ("retention", "retention"),
                        ],
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
                (
                    "schedule_type",
                    models.CharField(
                        choices=[("hourly", "hourly"), ("daily", "daily"), ("weekly", "weekly")], max_length=8
                    ),
                ),
                (
                    "weekday",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (0, "Monday"),
                            (1, "Tuesday"),
                            (2, "Wednesday"),
                            (3, "Thursday"),
                            (4, "Friday"),
                            (5, "Saturday"),
                            (6, "Sunday"),
                        ],
                        default=6,
                    ),
                ),
                (
                    "hour",
                    models.PositiveSmallIntegerField(
                        default=0, validators=[django.core.validators.MaxValueValidator(23)]
                    ),
                ),
                (
                    "minute",
                    models.PositiveSmallIntegerField(
                        default=0, validators=[django.core.validators.MaxValueValidator(59)]
                    ),
                ),
                (
                    "max_applications",
                    models.PositiveIntegerField(
                        blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                ("alert_threshold", models.PositiveIntegerField(default=5)),
                ("dry_run_first", models.BooleanField(default=True)),
                ("planned_at", models.DateTimeField(blank=True, null=True)),
                ("last_run", models.DateTimeField(blank=True, null=True)),
                ("next_run", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "schedule",
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("hour__lte", 23), ("minute__lte", 59), ("weekday__lte", 6)),
                        name="cleanup_schedule_time_of_day",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Service",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("started", models.BooleanField(db_default=False, default=False)),
                ("changed_at", models.DateTimeField(blank=True, null=True)),
                ("changed_by", models.CharField(blank=True, db_default="", default="", max_length=255)),
            ],
            options={
                "verbose_name": "service",
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="cleanup_service_one_row")],
            },
        ),
        migrations.CreateModel(
            name="ScheduledRun",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("due_at", models.DateTimeField()),
                ("started_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("started", "started"),
                            ("completed", "completed"),
                            ("planned", "planned"),
                            ("skipped", "skipped"),
                            ("failed", "failed"),
                        ],
                        default="started",
                        max_length=16,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("outcome", models.JSONField(default=dict)),
                (
                    "check_done",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="scheduled",
                        to="cleanup.consistencycheck",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="scheduled",
                        to="cleanup.run",
                    ),
                ),
                (
                    "schedule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="runs", to="cleanup.schedule"
                    ),
                ),
                (
                    "verification",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="scheduled",
                        to="cleanup.verification",
                    ),
                ),
            ],
            options={
                "verbose_name": "scheduled run",
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["schedule", "-id"], name="cleanup_scheduledrun_newest")],
            },
        ),
        migrations.CreateModel(
            name="Tick",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("run", "run"),
                            ("check", "check"),
                            ("verification", "verification"),
                            ("scheduled", "scheduled run"),
                        ],
                        max_length=16,
                    ),
                ),
                ("target", models.CharField(max_length=64)),
                ("seat", models.PositiveSmallIntegerField(default=0)),
                ("token", models.UUIDField(default=uuid.uuid4)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("deliveries", models.PositiveSmallIntegerField(default=1)),
                ("issued_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("taken_at", models.DateTimeField(blank=True, null=True)),
                ("lease_expires_at", models.DateTimeField()),
                ("worker", models.CharField(blank=True, max_length=255)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "run",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ticks",
                        to="cleanup.run",
                    ),
                ),
            ],
            options={
                "verbose_name": "tick",
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at", None)), fields=["lease_expires_at"], name="cleanup_tick_open"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "target", "seat"), name="cleanup_tick_one_per_seat")
                ],
            },
        ),
    ]
