"""All of 0002 to 0038 at once, for a database that has none of them.

One that has some goes through the others one by one, so the replaced migrations stay. Tables get their first names and
are renamed, because indexes, constraints and sequences keep the names they were created with: the catalogue is the
same, whichever way a database came here. Models have the names of today alone, since to rename one takes Django long.
"""

import uuid
from collections.abc import Callable

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from cleanup.migrations import _permissions
from cleanup.migrations._operations import (
    CreateModels,
    RunWithoutModels,
    create_control_row,
    create_indexes,
    restore,
    tune,
)

#: What was called otherwise at first: models, and fields of models.
FIRST_NAMES = {
    "AutomationState": "Service",
    "FreezeSwitch": "Control",
    "IdempotencyKey": "RequestKey",
    "JobLease": "Tick",
    "JobLease.slot": "seat",
    "Result.isolated": "alone",
    "RollbackPoint.id": "sequence",
    "RollbackPoint.schema": "layout",
    "RollbackPoint.uuid": "id",
    "Run.exclusive": "takes_slot",
    "Run.paused_by_error": "halted",
    "SnapshotSchema": "SnapshotLayout",
}


def first_name(name: str) -> str:
    """Return what a model, or a field of a model, was called at first."""
    return FIRST_NAMES[name]


def name_of_today(name: str) -> str:
    """Return what a model, or a field of a model, is called."""
    return name.rpartition(".")[2]


def rename_table(old: str, new: str) -> migrations.RunSQL:
    """Rename a table in the catalogue, and back."""
    return migrations.RunSQL(f"ALTER TABLE {old} RENAME TO {new}", f"ALTER TABLE {new} RENAME TO {old}")


def rename_column(table: str, old: str, new: str) -> migrations.RunSQL:
    """Rename a column in the catalogue, and back."""
    rename = f"ALTER TABLE {table} RENAME COLUMN"
    return migrations.RunSQL(f"{rename} {old} TO {new}", f"{rename} {new} TO {old}")


def own_models(called: Callable[[str], str]) -> list[migrations.CreateModel]:
    """Return the operations that create the models, under one set of names or the other."""
    return [
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
                "default_permissions": (),
                "verbose_name": "application on hold",
                "verbose_name_plural": "applications on hold",
            },
        ),
        migrations.CreateModel(
            name=called("SnapshotSchema"),
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("format_version", models.PositiveSmallIntegerField()),
                ("document", models.TextField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "default_permissions": (),
                "verbose_name": "snapshot schema",
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
                ("error", models.TextField(blank=True, db_default="", default="")),
            ],
            options={
                "default_permissions": (),
                "ordering": ["-id"],
                "verbose_name": "database verification",
                "verbose_name_plural": "database verifications",
            },
        ),
        migrations.CreateModel(
            name=called("FreezeSwitch"),
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("frozen", models.BooleanField(db_default=False, default=False)),
                ("reason", models.TextField(blank=True, db_default="", default="")),
                ("changed_at", models.DateTimeField(blank=True, null=True)),
                ("changed_by", models.CharField(blank=True, db_default="", default="", max_length=255)),
            ],
            options={
                "db_table": "cleanup_control",
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="cleanup_control_one_row")],
                "default_permissions": (),
                "permissions": [
                    ("view", "Can view everything about cleanups"),
                    ("check", "Can check and verify"),
                    ("clean", "Can clean up selected applications, and set and release holds"),
                    ("clean_everything", "Can clean up everything"),
                    ("roll_back", "Can roll back"),
                    ("manage_schedules", "Can change schedules, start and stop the service, and acknowledge alerts"),
                    ("freeze", "Can stop everything and resume it"),
                ],
                "verbose_name": "overview",
                "verbose_name_plural": "overview",
            },
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("cleanup", "cleanup"), ("rollback", "rollback"), ("repair", "repair")], max_length=16
                    ),
                ),
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
                (called("Run.exclusive"), models.BooleanField(default=True)),
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
                ("done_applications", models.PositiveIntegerField(default=0)),
                ("done_when_resumed", models.PositiveIntegerField(default=0)),
                ("failed_applications", models.PositiveIntegerField(default=0)),
                ("files_moved", models.PositiveBigIntegerField(default=0)),
                ("folders_removed", models.PositiveBigIntegerField(default=0)),
                ("resumed_at", models.DateTimeField(blank=True, null=True)),
                (called("Run.paused_by_error"), models.BooleanField(default=False)),
                ("probes", models.JSONField(default=dict)),
                ("waiting_since", models.DateTimeField(blank=True, null=True)),
                ("held_applications", models.PositiveIntegerField(default=0)),
                ("skipped_applications", models.PositiveIntegerField(default=0)),
            ],
            options={
                "indexes": [models.Index(fields=["-created_at"], name="cleanup_run_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        # By name, because Q sorts them: so each way has its own order.
                        condition=models.Q(
                            **{called("Run.exclusive"): True},
                            kind="cleanup",
                            status__in=["pending", "running", "pausing", "paused"],
                        ),
                        fields=("kind",),
                        name="cleanup_run_one_active",
                    )
                ],
                "default_permissions": (),
                "ordering": ["-created_at"],
                "verbose_name": "run",
                "verbose_name_plural": "runs",
            },
        ),
        migrations.CreateModel(
            name="RollbackPoint",
            fields=[
                (called("RollbackPoint.id"), models.BigAutoField(primary_key=True, serialize=False)),
                (
                    called("RollbackPoint.uuid"),
                    models.UUIDField(default=uuid.uuid4, editable=False, unique=True, verbose_name="id"),
                ),
                ("application_key", models.CharField(max_length=255)),
                (
                    "kind",
                    models.CharField(
                        choices=[("cleanup", "cleanup"), ("manual", "taken by hand"), ("repair", "repair")],
                        max_length=16,
                    ),
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
                    called("RollbackPoint.schema"),
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="points",
                        to=f"cleanup.{called('SnapshotSchema').lower()}",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["application_key", f"-{called('RollbackPoint.id')}"], name="cleanup_point_application"
                    ),
                    models.Index(
                        condition=models.Q(("status", "live")), fields=["expires_at"], name="cleanup_point_expiry"
                    ),
                    models.Index(
                        condition=models.Q(("status", "rolled_back")), fields=["ended_at"], name="cleanup_point_undone"
                    ),
                ],
                "default_permissions": (),
                "ordering": ["-id"],
                "verbose_name": "undo record",
                "verbose_name_plural": "undo records",
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
                (called("Result.isolated"), models.BooleanField(default=False)),
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
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "pending")),
                        fields=["run", "application_key"],
                        name="cleanup_result_open",
                    ),
                    models.Index(fields=["application_key", "-id"], name="cleanup_result_application"),
                    models.Index(
                        condition=models.Q(("status__in", ["failed", "skipped", "held"])),
                        fields=["run", "status", "application_key"],
                        name="cleanup_result_unusual",
                    ),
                    models.Index(
                        condition=models.Q(("status__in", ["failed", "skipped", "held"])),
                        fields=["-id"],
                        name="cleanup_result_decision",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("run", "application_key"), name="cleanup_result_once_per_run")
                ],
                "default_permissions": (),
                "verbose_name": "result",
                "verbose_name_plural": "results",
            },
        ),
        migrations.CreateModel(
            name="SnapshotRow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("moved", "moved"),
                            ("removed", "removed"),
                            ("inserted", "inserted"),
                            ("structure", "structure"),
                        ],
                        max_length=16,
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
                "default_permissions": (),
                "verbose_name": "entry of an undo record",
                "verbose_name_plural": "entries of undo records",
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
                "indexes": [models.Index(fields=["verification", "code"], name="cleanup_finding_code")],
                "default_permissions": (),
                "verbose_name": "problem found",
                "verbose_name_plural": "problems found",
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
                ("name", models.CharField(blank=True, db_default="", max_length=255)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["folder_key"], name="cleanup_removedfolder_key"),
                    models.Index(fields=["name", "-id"], name="cleanup_removedfolder_name"),
                ],
                "default_permissions": (),
                "verbose_name": "removed folder",
            },
        ),
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
                "default_permissions": (),
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
                "default_permissions": (),
                "verbose_name": "structure lock",
            },
        ),
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("cluster", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("host", models.CharField(max_length=255)),
                ("beat_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("first_beat_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "default_permissions": (),
                "verbose_name": "heartbeat",
            },
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
                "indexes": [models.Index(fields=["-started_at"], name="cleanup_check_newest")],
                "default_permissions": (),
                "ordering": ["-id"],
                "verbose_name": "check for duplicates",
                "verbose_name_plural": "checks for duplicates",
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
                ("changed_at", models.DateTimeField(blank=True, null=True)),
                ("changed_by", models.CharField(blank=True, max_length=255)),
                ("circumstances", models.JSONField(blank=True, default=dict, editable=False)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("hour__lte", 23), ("minute__lte", 59), ("weekday__lte", 6)),
                        name="cleanup_schedule_time_of_day",
                    )
                ],
                "default_permissions": (),
                "ordering": ["name"],
                "verbose_name": "schedule",
                "verbose_name_plural": "schedules",
            },
        ),
        migrations.CreateModel(
            name=called("AutomationState"),
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("started", models.BooleanField(db_default=False, default=False)),
                ("changed_at", models.DateTimeField(blank=True, null=True)),
                ("changed_by", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("adopted_at", models.DateTimeField(blank=True, null=True)),
                ("adopted_by", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("database_identity", models.CharField(blank=True, db_default="", default="", max_length=255)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="cleanup_service_one_row")],
                "default_permissions": (),
                "verbose_name": "automation state",
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
                            ("waiting", "waiting for approval"),
                            ("declined", "declined"),
                            ("expired", "expired"),
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
                ("started_by", models.CharField(blank=True, max_length=255)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("decided_by", models.CharField(blank=True, db_default="", default="", max_length=255)),
            ],
            options={
                "indexes": [models.Index(fields=["schedule", "-id"], name="cleanup_scheduledrun_newest")],
                "default_permissions": (),
                "ordering": ["-id"],
                "verbose_name": "scheduled run",
            },
        ),
        migrations.CreateModel(
            name=called("JobLease"),
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
                            ("preview", "preview"),
                        ],
                        max_length=16,
                    ),
                ),
                ("target", models.CharField(max_length=64)),
                (called("JobLease.slot"), models.PositiveSmallIntegerField(default=0)),
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
                        related_name="leases",
                        to="cleanup.run",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at", None)), fields=["lease_expires_at"], name="cleanup_tick_open"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "target", called("JobLease.slot")), name="cleanup_tick_one_per_seat"
                    )
                ],
                "default_permissions": (),
                "verbose_name": "job lease",
            },
        ),
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
                ("told_by", models.JSONField(default=list)),
            ],
            options={
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
                "default_permissions": (),
                "ordering": ["-id"],
                "verbose_name": "alert",
                "verbose_name_plural": "alerts",
            },
        ),
        migrations.CreateModel(
            name=called("IdempotencyKey"),
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
                        related_name="idempotency_keys",
                        to="cleanup.run",
                    ),
                ),
                ("answer", models.TextField(null=True)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("account", "key"), name="cleanup_requestkey_once")],
                "default_permissions": (),
                "verbose_name": "idempotency key",
            },
        ),
        migrations.CreateModel(
            name="PreparedPreview",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("application_key", models.CharField(max_length=255, unique=True)),
                ("requested_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("requested_by", models.CharField(blank=True, max_length=255)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("folders", models.PositiveIntegerField(default=0)),
                ("document", models.JSONField(null=True)),
                ("error", models.TextField(blank=True)),
            ],
            options={
                "verbose_name": "preview",
                "verbose_name_plural": "previews",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="NameGroup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("application_key", models.CharField(max_length=255)),
                ("parent_key", models.CharField(max_length=255)),
                ("looks", models.CharField(max_length=255)),
                ("names", models.JSONField(default=list)),
                (
                    "decision",
                    models.CharField(choices=[("approved", "approved"), ("dismissed", "dismissed")], max_length=16),
                ),
                ("stays_key", models.CharField(blank=True, max_length=255)),
                ("decided_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("decided_by", models.CharField(blank=True, max_length=255)),
            ],
            options={
                "verbose_name": "decision about names",
                "verbose_name_plural": "decisions about names",
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("parent_key", "looks"), name="cleanup_namegroup_once")],
            },
        ),
    ]


class Migration(migrations.Migration):
    replaces = [
        ("cleanup", "0002_own_tables"),
        ("cleanup", "0003_run_progress"),
        ("cleanup", "0004_storage"),
        ("cleanup", "0005_queue_and_structure_lock"),
        ("cleanup", "0006_permissions"),
        ("cleanup", "0007_automation"),
        ("cleanup", "0008_alerts"),
        ("cleanup", "0009_throttle"),
        ("cleanup", "0010_request_keys"),
        ("cleanup", "0011_unusual_results"),
        ("cleanup", "0012_screen_words"),
        ("cleanup", "0013_removed_folder_name"),
        ("cleanup", "0014_results_to_decide"),
        ("cleanup", "0015_who_changed_schedules"),
        ("cleanup", "0016_four_numbers"),
        ("cleanup", "0017_answers_to_keys"),
        ("cleanup", "0018_channels_that_told"),
        ("cleanup", "0019_database_of_the_service"),
        ("cleanup", "0020_undone_points"),
        ("cleanup", "0021_service_to_automation_state"),
        ("cleanup", "0022_tick_to_job_lease"),
        ("cleanup", "0023_request_key_to_idempotency_key"),
        ("cleanup", "0024_snapshot_layout_to_schema"),
        ("cleanup", "0025_result_alone_to_isolated"),
        ("cleanup", "0026_run_halted_to_paused_by_error"),
        ("cleanup", "0027_run_takes_slot_to_exclusive"),
        ("cleanup", "0028_permission_look_to_view"),
        ("cleanup", "0029_rollback_point_uuid"),
        ("cleanup", "0030_rollback_point_id"),
        ("cleanup", "0031_control_to_freezeswitch"),
        ("cleanup", "0032_own_permissions_alone"),
        ("cleanup", "0033_inserted_rows"),
        ("cleanup", "0034_plural_names"),
        ("cleanup", "0035_repairs"),
        ("cleanup", "0036_approvals"),
        ("cleanup", "0037_prepared_preview"),
        ("cleanup", "0038_name_groups"),
    ]

    dependencies = [
        ("cleanup", "0001_mapped_tables"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                CreateModels(own_models(first_name)),
                RunWithoutModels(create_indexes, migrations.RunPython.noop),
                migrations.RunPython(create_control_row, migrations.RunPython.noop),
                RunWithoutModels(tune, restore),
                rename_table("cleanup_service", "cleanup_automationstate"),
                rename_table("cleanup_tick", "cleanup_joblease"),
                rename_column("cleanup_joblease", "seat", "slot"),
                rename_table("cleanup_requestkey", "cleanup_idempotencykey"),
                rename_table("cleanup_snapshotlayout", "cleanup_snapshotschema"),
                rename_column("cleanup_rollbackpoint", "layout_id", "schema_id"),
                rename_column("cleanup_result", "alone", "isolated"),
                rename_column("cleanup_run", "halted", "paused_by_error"),
                rename_column("cleanup_run", "takes_slot", "exclusive"),
                rename_column("cleanup_rollbackpoint", "id", "uuid"),
                rename_column("cleanup_rollbackpoint", "sequence", "id"),
            ],
            state_operations=[CreateModels(own_models(name_of_today))],
        ),
        # The names of permissions, which may live in another database, where an older version has made them.
        RunWithoutModels(_permissions.look_to_view, _permissions.view_to_look),
        RunWithoutModels(_permissions.control_to_freezeswitch, _permissions.freezeswitch_to_control),
        RunWithoutModels(_permissions.remove_those_made_by_django, migrations.RunPython.noop),
    ]
