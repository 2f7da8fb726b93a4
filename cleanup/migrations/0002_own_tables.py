"""The app's own tables."""

import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from cleanup.migrations._operations import create_control_row


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0001_mapped_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="Hold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("application_key", models.CharField(max_length=255, unique=True)),
                ("reason", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("created_by", models.CharField(blank=True, max_length=255)),
            ],
            options={
                "verbose_name": "hold",
            },
        ),
        migrations.CreateModel(
            name="SnapshotLayout",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("format_version", models.PositiveSmallIntegerField()),
                ("document", models.TextField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "snapshot layout",
            },
        ),
        migrations.CreateModel(
            name="Verification",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("passed", models.BooleanField(blank=True, null=True)),
                ("counts", models.JSONField(default=dict)),
                ("summary", models.JSONField(default=dict)),
                ("started_by", models.CharField(blank=True, max_length=255)),
            ],
            options={
                "verbose_name": "verification",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Control",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("frozen", models.BooleanField(db_default=False, default=False)),
                ("reason", models.TextField(blank=True, db_default="", default="")),
                ("changed_at", models.DateTimeField(blank=True, null=True)),
                ("changed_by", models.CharField(blank=True, db_default="", default="", max_length=255)),
            ],
            options={
                "verbose_name": "control",
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="cleanup_control_one_row")],
            },
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[("cleanup", "cleanup"), ("rollback", "rollback")], max_length=16)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("running", "running"),
                            ("pausing", "pausing"),
                            ("paused", "paused"),
                            ("completed", "completed"),
                            ("stopped", "stopped"),
                            ("cancelled", "cancelled"),
                        ],
                        default="pending",
                        max_length=16,
                    ),
                ),
                ("status_reason", models.TextField(blank=True)),
                ("takes_slot", models.BooleanField(default=True)),
                ("correlation_id", models.CharField(max_length=64)),
                ("started_by", models.CharField(blank=True, max_length=255)),
                ("started_how", models.CharField(max_length=16)),
                ("reason", models.TextField(blank=True)),
                ("options", models.JSONField(default=dict)),
                ("settings", models.JSONField(default=dict)),
                ("code_version", models.CharField(max_length=32)),
                ("database_identity", models.CharField(max_length=255)),
                ("total_applications", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("heartbeat_at", models.DateTimeField(blank=True, null=True)),
                ("waiting_for", models.TextField(blank=True)),
                ("peak_memory_bytes", models.BigIntegerField(blank=True, null=True)),
                ("seconds_worked", models.FloatField(default=0)),
                (
                    "source_run",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rollbacks",
                        to="cleanup.run",
                    ),
                ),
            ],
            options={
                "verbose_name": "run",
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="RollbackPoint",
            fields=[
                ("sequence", models.BigAutoField(primary_key=True, serialize=False)),
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("application_key", models.CharField(max_length=255)),
                (
                    "kind",
                    models.CharField(choices=[("cleanup", "cleanup"), ("manual", "taken by hand")], max_length=16),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("live", "live"), ("rolled_back", "rolled back"), ("purged", "purged")],
                        default="live",
                        max_length=16,
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("created_by", models.CharField(blank=True, max_length=255)),
                ("reason", models.TextField(blank=True)),
                ("expires_at", models.DateTimeField()),
                ("verified_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by", models.CharField(blank=True, max_length=255)),
                ("ended_reason", models.TextField(blank=True)),
                ("exact", models.BooleanField(blank=True, null=True)),
                ("outcome", models.JSONField(default=dict)),
                (
                    "run",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="points",
                        to="cleanup.run",
                    ),
                ),
                (
                    "layout",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="points", to="cleanup.snapshotlayout"
                    ),
                ),
            ],
            options={
                "verbose_name": "rollback point",
                "ordering": ["-sequence"],
            },
        ),
        migrations.CreateModel(
            name="Result",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("application_key", models.CharField(max_length=255)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("in_progress", "in progress"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                            ("held", "held"),
                            ("rolled_back", "rolled back"),
                        ],
                        default="pending",
                        max_length=16,
                    ),
                ),
                ("folders", models.PositiveIntegerField(default=0)),
                ("folders_removed", models.PositiveIntegerField(default=0)),
                ("files_moved", models.PositiveBigIntegerField(default=0)),
                ("child_folders_merged", models.PositiveIntegerField(default=0)),
                ("references_moved", models.PositiveBigIntegerField(default=0)),
                ("details", models.JSONField(default=dict)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("alone", models.BooleanField(default=False)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                ("error_class", models.CharField(blank=True, max_length=16)),
                ("error_message", models.TextField(blank=True)),
                ("lease_token", models.UUIDField(blank=True, null=True)),
                ("lease_expires_at", models.DateTimeField(blank=True, null=True)),
                ("worker", models.CharField(blank=True, max_length=255)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "point",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="results",
                        to="cleanup.rollbackpoint",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="results", to="cleanup.run"
                    ),
                ),
            ],
            options={
                "verbose_name": "result",
            },
        ),
        migrations.CreateModel(
            name="SnapshotRow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("moved", "moved"), ("removed", "removed"), ("structure", "structure")], max_length=16
                    ),
                ),
                ("step", models.PositiveSmallIntegerField()),
                ("table", models.CharField(max_length=130)),
                ("row_count", models.PositiveIntegerField()),
                ("changes", models.TextField(blank=True, null=True)),
                ("keys", models.TextField(blank=True, null=True)),
                ("images", models.TextField(blank=True, null=True)),
                (
                    "point",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rows",
                        to="cleanup.rollbackpoint",
                    ),
                ),
            ],
            options={
                "verbose_name": "snapshot row",
            },
        ),
        migrations.CreateModel(
            name="Finding",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("code", models.CharField(max_length=64)),
                ("severity", models.CharField(choices=[("error", "error"), ("warning", "warning")], max_length=8)),
                ("table", models.CharField(max_length=130)),
                ("object_key", models.CharField(max_length=255)),
                ("application_key", models.CharField(blank=True, max_length=255)),
                ("detail", models.JSONField(default=dict)),
                ("hint", models.TextField(blank=True)),
                (
                    "verification",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="findings", to="cleanup.verification"
                    ),
                ),
            ],
            options={
                "verbose_name": "finding",
            },
        ),
        migrations.CreateModel(
            name="RemovedFolder",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("folder_key", models.CharField(max_length=255)),
                ("survivor_key", models.CharField(max_length=255)),
                (
                    "point",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="removed_folders",
                        to="cleanup.rollbackpoint",
                    ),
                ),
            ],
            options={
                "verbose_name": "removed folder",
                "indexes": [models.Index(fields=["folder_key"], name="cleanup_removedfolder_key")],
            },
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["-created_at"], name="cleanup_run_newest"),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("kind", "cleanup"),
                    ("status__in", ["pending", "running", "pausing", "paused"]),
                    ("takes_slot", True),
                ),
                fields=("kind",),
                name="cleanup_run_one_active",
            ),
        ),
        migrations.AddIndex(
            model_name="result",
            index=models.Index(
                condition=models.Q(("status", "pending")), fields=["run", "application_key"], name="cleanup_result_open"
            ),
        ),
        migrations.AddIndex(
            model_name="result",
            index=models.Index(fields=["application_key", "-id"], name="cleanup_result_application"),
        ),
        migrations.AddConstraint(
            model_name="result",
            constraint=models.UniqueConstraint(fields=("run", "application_key"), name="cleanup_result_once_per_run"),
        ),
        migrations.AddIndex(
            model_name="rollbackpoint",
            index=models.Index(fields=["application_key", "-sequence"], name="cleanup_point_application"),
        ),
        migrations.AddIndex(
            model_name="rollbackpoint",
            index=models.Index(
                condition=models.Q(("status", "live")), fields=["expires_at"], name="cleanup_point_expiry"
            ),
        ),
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(fields=["verification", "code"], name="cleanup_finding_code"),
        ),
        migrations.RunPython(create_control_row, migrations.RunPython.noop),
    ]
