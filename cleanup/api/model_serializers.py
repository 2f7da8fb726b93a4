"""Rows of the product's own tables as JSON, for lists and details."""

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from cleanup.models import (
    Alert,
    ConsistencyCheck,
    Finding,
    Hold,
    Result,
    RollbackPoint,
    Run,
    Schedule,
    ScheduledRun,
    SnapshotRow,
    Verification,
)
from cleanup.services.automation.schedules import CHANGEABLE


class RunResource(serializers.ModelSerializer[Run]):
    """A run, with its progress."""

    run_id = serializers.UUIDField(source="id")
    source_run_id = serializers.UUIDField(allow_null=True, help_text="Of a rollback: the run that it rolls back.")
    successful_applications = serializers.IntegerField(help_text="Done, and neither failed nor left alone.")
    applications_per_second = serializers.SerializerMethodField()
    seconds_left = serializers.IntegerField(allow_null=True)
    undoable_until = serializers.DateTimeField(
        allow_null=True, help_text="Until when all that can still be undone of it can be; null: nothing can."
    )
    url = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = [
            "run_id",
            "kind",
            "status",
            "status_reason",
            "source_run_id",
            "correlation_id",
            "started_by",
            "started_how",
            "reason",
            "options",
            "total_applications",
            "done_applications",
            "successful_applications",
            "failed_applications",
            "held_applications",
            "skipped_applications",
            "folders_removed",
            "files_moved",
            "applications_per_second",
            "seconds_left",
            "waiting_for",
            "created_at",
            "started_at",
            "ended_at",
            "heartbeat_at",
            "undoable_until",
            "url",
        ]

    def get_applications_per_second(self, run: Run) -> float | None:
        """Round the rate."""
        rate = run.applications_per_second
        return None if rate is None else round(rate, 2)

    def get_url(self, run: Run) -> str:
        """Return the run's own path."""
        return url_of_run(run.pk)


class RunDetail(RunResource):
    """A run, and the circumstances under which it was started."""

    class Meta(RunResource.Meta):
        fields = [
            *RunResource.Meta.fields,
            "settings",
            "code_version",
            "database_identity",
            "peak_memory_bytes",
            "seconds_worked",
        ]


class ResultResource(serializers.ModelSerializer[Result]):
    """One application of a run."""

    result_id = serializers.IntegerField(source="id")
    run_id = serializers.UUIDField()
    application_id = serializers.CharField(source="application_key")
    rollback_id = serializers.UUIDField(source="point.uuid", default=None, allow_null=True)

    class Meta:
        model = Result
        fields = [
            "result_id",
            "run_id",
            "application_id",
            "status",
            "folders_removed",
            "files_moved",
            "child_folders_merged",
            "references_moved",
            "attempts",
            "error_code",
            "error_class",
            "error_message",
            "rollback_id",
            "details",
            "started_at",
            "ended_at",
        ]


class PointResource(serializers.ModelSerializer[RollbackPoint]):
    """A rollback point."""

    rollback_id = serializers.UUIDField(source="uuid")
    application_id = serializers.CharField(source="application_key")
    run_id = serializers.UUIDField(allow_null=True)

    class Meta:
        model = RollbackPoint
        fields = [
            "rollback_id",
            "application_id",
            "kind",
            "status",
            "run_id",
            "created_at",
            "created_by",
            "reason",
            "expires_at",
            "verified_at",
            "ended_at",
            "ended_by",
            "ended_reason",
            "exact",
            "outcome",
        ]


class SnapshotRowResource(serializers.ModelSerializer[SnapshotRow]):
    """What a rollback point holds: rows that moved with one change, or images of removed rows."""

    snapshot_row_id = serializers.IntegerField(source="id")
    changes = serializers.CharField(allow_null=True, help_text="JSON, in the journal's form.")
    keys = serializers.CharField(allow_null=True, help_text="JSON, in the journal's form.")
    images = serializers.CharField(allow_null=True, help_text="JSON, in the journal's form.")

    class Meta:
        model = SnapshotRow
        fields = ["snapshot_row_id", "kind", "step", "table", "row_count", "changes", "keys", "images"]


class VerificationResource(serializers.ModelSerializer[Verification]):
    """A verification of the whole database."""

    verification_id = serializers.IntegerField(source="id")

    class Meta:
        model = Verification
        fields = ["verification_id", "started_at", "ended_at", "passed", "counts", "started_by"]


class FindingResource(serializers.ModelSerializer[Finding]):
    """A stored finding."""

    finding_id = serializers.IntegerField(source="id")
    verification_id = serializers.IntegerField()
    application_id = serializers.SerializerMethodField()

    class Meta:
        model = Finding
        fields = [
            "finding_id",
            "verification_id",
            "code",
            "severity",
            "table",
            "object_key",
            "application_id",
            "detail",
            "hint",
        ]

    def get_application_id(self, finding: Finding) -> str | None:
        """Return null if it belongs to none."""
        return finding.application_key or None


class AlertResource(serializers.ModelSerializer[Alert]):
    """An alert."""

    alert_id = serializers.IntegerField(source="id")
    run_id = serializers.UUIDField(allow_null=True)

    class Meta:
        model = Alert
        fields = [
            "alert_id",
            "code",
            "severity",
            "state",
            "message",
            "hint",
            "detail",
            "run_id",
            "correlation_id",
            "first_seen",
            "last_seen",
            "notified_at",
            "acknowledged_at",
            "acknowledged_by",
            "resolved_at",
        ]


class HoldResource(serializers.ModelSerializer[Hold]):
    """A hold: this application is left alone."""

    application_id = serializers.CharField(source="application_key")

    class Meta:
        model = Hold
        fields = ["application_id", "reason", "created_at", "created_by"]


class ScheduleResource(serializers.ModelSerializer[Schedule]):
    """A schedule."""

    class Meta:
        model = Schedule
        fields = [
            "name",
            *CHANGEABLE,
            "planned_at",
            "last_run",
            "next_run",
            "changed_by",
            "changed_at",
        ]


class ScheduledRunResource(serializers.ModelSerializer[ScheduledRun]):
    """One execution of a schedule, and its outcome."""

    scheduled_run_id = serializers.IntegerField(source="id")
    schedule = serializers.CharField(source="schedule_id")
    run_id = serializers.UUIDField(allow_null=True)

    class Meta:
        model = ScheduledRun
        fields = [
            "scheduled_run_id",
            "schedule",
            "due_at",
            "started_at",
            "ended_at",
            "started_by",
            "status",
            "reason",
            "decided_by",
            "decided_at",
            "outcome",
            "run_id",
        ]


class CheckResource(serializers.ModelSerializer[ConsistencyCheck]):
    """A stored consistency check."""

    check_id = serializers.IntegerField(source="id")

    class Meta:
        model = ConsistencyCheck
        fields = [
            "check_id",
            "started_at",
            "ended_at",
            "started_by",
            "started_how",
            "duplicate_applications",
            "waiting_applications",
            "late_arrivals",
            "needs_cleanup",
            "alert_threshold_exceeded",
            "error",
        ]


class TokenResource(serializers.Serializer[Any]):
    """A token, without the token."""

    token_id = serializers.CharField(source="token_key", help_text="The token's first characters.")
    created_at = serializers.DateTimeField(source="created")
    expires_at = serializers.DateTimeField(source="expiry", allow_null=True)


class NewTokenResource(TokenResource):
    """A token that was just created: the only time that it is shown."""

    token = serializers.CharField(allow_null=True, help_text="Null in the answer to a request that is sent again.")


def url_of_run(run_id: object) -> str:
    """Return the path at which a run is found."""
    return reverse("cleanup-api:run", args=[run_id])
