"""The JSON that the services return, described for the schema; nothing is rendered with these.

The fields, and what they mean, stand in the manual under JSON.
"""

from typing import Any

from rest_framework import serializers

from cleanup.api.serializer_fields import Key

Any_ = serializers.Serializer[Any]


class DuplicateApplication(Any_):
    """An application with duplicates."""

    application_id = Key(of="application")
    root_folders = serializers.IntegerField(help_text="Live root folders.")
    duplicates = serializers.IntegerField(help_text="Folders beyond the first of each group.")


class CheckedApplication(DuplicateApplication):
    """An application with duplicates, as a check lists it."""

    waiting_for_decision = serializers.BooleanField(help_text="On hold, refused or too large.")


class FindingDocument(Any_):
    """One thing that a verification has to say."""

    code = serializers.CharField()
    severity = serializers.CharField(help_text="error or warning")
    table = serializers.CharField()
    object_key = serializers.CharField()
    application_id = serializers.CharField(allow_null=True)
    detail = serializers.DictField()
    hint = serializers.CharField(help_text="A command, or the SELECT that lists all.")


class VerificationDocument(Any_):
    """An integrity verification."""

    verification_id = serializers.IntegerField(allow_null=True, help_text="Null for one application.")
    verification_passed = serializers.BooleanField()
    duplicate_parent_folders = serializers.IntegerField(help_text="Applications with several roots.")
    duplicate_child_folders = serializers.IntegerField(help_text="Same-named folders beyond the first of each group.")
    orphaned_files = serializers.IntegerField()
    orphaned_folders = serializers.IntegerField()
    inconsistent_applications = serializers.ListField(child=serializers.CharField())
    inconsistent_applications_left_out = serializers.IntegerField()
    findings = FindingDocument(many=True)
    findings_left_out = serializers.IntegerField()
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Findings by code.")
    verified_at = serializers.DateTimeField(required=False, help_text="Of the whole database.")


class CheckDocument(Any_):
    """A consistency check."""

    check_time = serializers.DateTimeField()
    duplicate_applications_found = serializers.IntegerField()
    duplicate_applications = CheckedApplication(many=True)
    duplicate_applications_left_out = serializers.IntegerField()
    waiting_for_decision = serializers.IntegerField(help_text="Applications among them.")
    late_arrivals = serializers.IntegerField(help_text="Rows that were re-pointed.")
    integrity_verification = VerificationDocument()
    needs_cleanup = serializers.BooleanField()
    alert_threshold_exceeded = serializers.BooleanField()


class RootFolderDocument(Any_):
    """The root folder that stays where an application has several."""

    folder_id = Key(of="folder")
    name = serializers.CharField()


class ResultDocument(Any_):
    """What came of one application."""

    application_id = serializers.CharField()
    status = serializers.CharField()
    folders_removed = serializers.IntegerField()
    files_moved = serializers.IntegerField()
    child_folders_merged = serializers.IntegerField()
    references_moved = serializers.IntegerField()
    error_code = serializers.CharField()
    error_message = serializers.CharField()
    rollback_id = serializers.UUIDField(allow_null=True)
    details = serializers.DictField()
    root_folder = RootFolderDocument(
        allow_null=True, help_text="Of a dry run, where there are several root folders: the one that would stay."
    )


class CleanupDocument(Any_):
    """A cleanup, as far as it has come."""

    run_id = serializers.UUIDField(allow_null=True, help_text="Null for a dry run.")
    dry_run = serializers.BooleanField()
    status = serializers.CharField()
    status_reason = serializers.CharField()
    total_applications = serializers.IntegerField()
    successful_cleanups = serializers.IntegerField()
    failed_cleanups = serializers.IntegerField()
    set_aside = serializers.IntegerField(help_text="Held or skipped.")
    held_applications = serializers.IntegerField(help_text="On hold.")
    skipped_applications = serializers.IntegerField(help_text="Left alone: too large, or not there.")
    total_folders_removed = serializers.IntegerField()
    total_files_moved = serializers.IntegerField()
    total_child_folders_merged = serializers.IntegerField()
    start_time = serializers.DateTimeField()
    end_time = serializers.DateTimeField(allow_null=True)
    results = ResultDocument(many=True)
    results_left_out = serializers.IntegerField()
    collision_policies = serializers.DictField(
        help_text="What to set as CLEANUP_COLLISIONS so that applications refused for collisions can be cleaned up."
    )
    rollback_points = serializers.IntegerField(help_text="Those of the run that can still be rolled back.")
    url = serializers.CharField(required=False, help_text="Of the run.")


class ConflictDocument(Any_):
    """One value that a rollback would overwrite, or a row that it cannot restore."""

    code = serializers.CharField()
    application_id = serializers.CharField()
    table = serializers.CharField()
    key = serializers.CharField()
    column = serializers.CharField(allow_blank=True)
    constraint = serializers.CharField(allow_blank=True, help_text="The constraint that stands in the way.")


class NotRestoredDocument(Any_):
    """One application of a run whose rollback point is left as it is."""

    application_id = serializers.CharField()
    rollback_id = serializers.UUIDField()
    code = serializers.CharField(help_text="expired or already_rolled_back")


class CopyDocument(Any_):
    """A folder that came back as a copy."""

    application_id = Key(of="application")
    folder_id = Key(of="folder")
    renamed = serializers.BooleanField(help_text="It has another name than before.")
    parent_id = Key(of="folder", allow_null=True, help_text="The folder that it lies in now, if that is another one.")


class RollbackDocument(Any_):
    """What a rollback did, or would do."""

    rollback_id = serializers.UUIDField()
    status = serializers.CharField()
    folders_restored = serializers.IntegerField()
    files_restored = serializers.IntegerField()
    references_restored = serializers.IntegerField()
    conflicts = ConflictDocument(many=True)
    conflicts_left_out = serializers.IntegerField()
    copies = CopyDocument(many=True, help_text="Folders that came back as copies.")
    copies_left_out = serializers.IntegerField()
    exact = serializers.BooleanField()
    inexact = serializers.ListField(child=serializers.CharField(), help_text="Why it is not exact, or may not be.")
    expired = serializers.IntegerField(help_text="Applications of a run that cannot be brought back any more.")
    not_restored = NotRestoredDocument(many=True)
    not_restored_left_out = serializers.IntegerField()
    run_id = serializers.UUIDField(allow_null=True)
    total_applications = serializers.IntegerField()
    successful = serializers.IntegerField()
    failed = serializers.IntegerField()
    url = serializers.CharField(required=False, help_text="Of the rollback run.")


class ActiveRun(Any_):
    """A run at work."""

    run_id = serializers.UUIDField()
    status = serializers.CharField()
    status_reason = serializers.CharField()
    worked = serializers.BooleanField()
    silent_seconds = serializers.IntegerField(
        allow_null=True, help_text="Since its last sign of life, where that is longer than half a minute."
    )
    total_applications = serializers.IntegerField()
    done_applications = serializers.IntegerField()
    successful_applications = serializers.IntegerField(help_text="Done, and neither failed nor left alone.")
    failed_applications = serializers.IntegerField()
    held_applications = serializers.IntegerField(help_text="On hold.")
    skipped_applications = serializers.IntegerField(help_text="Left alone: too large, or not there.")
    folders_removed = serializers.IntegerField()
    files_moved = serializers.IntegerField()
    applications_per_second = serializers.FloatField(allow_null=True)
    seconds_left = serializers.IntegerField(allow_null=True)
    heartbeat_at = serializers.DateTimeField(allow_null=True)
    waiting_for = serializers.CharField(allow_blank=True, help_text="Why it waits; empty: it does not.")
    correlation_id = serializers.CharField(allow_blank=True)


class ScheduleStatus(Any_):
    """A schedule, in the status."""

    enabled = serializers.BooleanField()
    schedule_type = serializers.CharField()
    last_run = serializers.DateTimeField(allow_null=True)
    next_run = serializers.DateTimeField(allow_null=True)
    overdue = serializers.BooleanField()
    max_applications_per_run = serializers.IntegerField(allow_null=True)
    alert_threshold = serializers.IntegerField()
    dry_run_first = serializers.BooleanField()


class Statistics(Any_):
    """What was done so far."""

    total_runs = serializers.IntegerField()
    successful_runs = serializers.IntegerField()
    failed_runs = serializers.IntegerField()
    applications_cleaned = serializers.IntegerField()
    folders_removed = serializers.IntegerField()
    files_moved = serializers.IntegerField()
    last_run_time = serializers.DateTimeField(allow_null=True)


class HandedOver(Any_):
    """A check or verification that a cluster is to do, or has done."""

    kind = serializers.CharField(help_text="check or verification")
    id = serializers.IntegerField()
    status = serializers.CharField(help_text="pending, completed or failed")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    started_by = serializers.CharField(allow_blank=True)
    found_something = serializers.BooleanField(allow_null=True, help_text="Duplicates, or errors; null: no answer.")
    error = serializers.CharField(allow_blank=True, help_text="Why there is no answer.")


class RestoredCopy(Any_):
    """That the database is a copy in which clusters do nothing until it is adopted."""

    message = serializers.CharField()
    command = serializers.CharField(help_text="Adopts it.")


class LastCheck(Any_):
    """What the latest check found, and what that is worth."""

    check_time = serializers.DateTimeField()
    duplicate_applications = serializers.IntegerField()
    waiting_for_decision = serializers.IntegerField()
    age_seconds = serializers.IntegerField()
    current = serializers.BooleanField(
        help_text="Younger than two periods of its schedule, or a day where none renews it, and nothing changed since."
    )
    changed_since = serializers.BooleanField(help_text="A run has changed folders since it began.")


class StatusDocument(Any_):
    """What the service is doing."""

    running = serializers.BooleanField(help_text="Started, a cluster is alive, and the database is no restored copy.")
    cluster_alive = serializers.BooleanField()
    last_check = LastCheck(allow_null=True)
    started = serializers.BooleanField()
    restored_copy = RestoredCopy(allow_null=True)
    frozen = serializers.BooleanField()
    frozen_reason = serializers.CharField(allow_blank=True)
    heartbeat_at = serializers.DateTimeField(allow_null=True)
    schedules = serializers.DictField(child=ScheduleStatus(), help_text="By name.")
    statistics = Statistics()
    active_run = ActiveRun(allow_null=True)
    handed_over = HandedOver(many=True, help_text="To be done in the background, and the latest answer of each kind.")


class _OrUnknown(serializers.JSONField):
    """What was found, or "unknown" where the role may not look."""


class PreflightDocument(Any_):
    """Whether a cleanup can run, and what the answer rests on."""

    ok = serializers.BooleanField()
    problems = serializers.ListField(child=serializers.DictField())
    warnings = serializers.ListField(child=serializers.DictField())
    identity = serializers.DictField(help_text="Server, database, and the server's settings.")
    role = serializers.DictField(help_text="The current role and its grants.")
    foreign_keys = _OrUnknown()
    indexes = _OrUnknown()
    references = _OrUnknown()
    triggers = _OrUnknown()
    row_security = _OrUnknown()
    collations = _OrUnknown()
    suspected = _OrUnknown()
    settings = serializers.DictField(help_text="The settings in force, without secrets.")
    estimate = _OrUnknown()


class FolderDocument(Any_):
    """One folder, before and after."""

    folder_id = serializers.CharField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField(allow_null=True)
    live = serializers.BooleanField()
    parent_id = serializers.CharField(allow_null=True)
    fate = serializers.CharField(help_text="survivor, merged, moved, kept or left_alone")
    reasons = serializers.ListField(child=serializers.CharField())
    into = serializers.CharField(allow_null=True)
    parent_after = serializers.CharField(allow_null=True)
    files = serializers.IntegerField()
    files_after = serializers.IntegerField()
    linked_records = serializers.DictField(child=serializers.IntegerField())
    differing_columns = serializers.ListField(child=serializers.CharField())


class LineDocument(Any_):
    """A line of a drawn tree."""

    folder_id = serializers.CharField()
    depth = serializers.IntegerField()


class GroupDocument(Any_):
    """Folders that become one."""

    survivor_id = serializers.CharField()
    name = serializers.CharField()
    roots = serializers.BooleanField()
    parent_id = serializers.CharField(allow_null=True)
    removed = serializers.ListField(child=serializers.CharField())
    files_moved = serializers.IntegerField()
    linked_records_moved = serializers.IntegerField()
    reason = serializers.CharField(help_text="oldest or already_there")


class ObstacleDocument(Any_):
    """Why a cleanup would leave the application alone."""

    code = serializers.CharField()
    message = serializers.CharField()


class PreviewDocument(Any_):
    """What merging one application would do."""

    application_id = serializers.CharField()
    plan_hash = serializers.CharField()
    made_at = serializers.DateTimeField()
    obstacles = ObstacleDocument(many=True)
    folders_removed = serializers.IntegerField()
    child_folders_merged = serializers.IntegerField()
    folders_moved = serializers.IntegerField()
    files_moved = serializers.IntegerField()
    references_moved = serializers.DictField(child=serializers.IntegerField())
    rows_removed = serializers.DictField(child=serializers.IntegerField())
    groups = GroupDocument(many=True)
    groups_left_out = serializers.IntegerField()
    folders = FolderDocument(many=True)
    folders_left_out = serializers.IntegerField()
    before = LineDocument(many=True)
    after = LineDocument(many=True)
