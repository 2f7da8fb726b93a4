"""The product's own tables: runs, results, rollback points and their snapshot rows, holds, verifications.

They live in the database of the mapped tables, so that one transaction covers both; keys of mapped rows are kept as
text, and no foreign key points at a mapped table. Rows here are history: nothing but the purge deletes them.
"""

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Case, Min, OuterRef, Q, Subquery, When
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from cleanup.permissions import DESCRIPTIONS

KEY_LENGTH = 255
#: Characters of a folder's name that can be searched for: they fit an index, however long the host's names are.
NAME_LENGTH = 255


class FreezeSwitchQuerySet(models.QuerySet["FreezeSwitch"]):
    """The freeze switch, queried in SQL."""

    def frozen(self) -> Self:
        """Return the row while the switch is on, otherwise nothing."""
        return self.filter(frozen=True)


class FreezeSwitch(models.Model):
    """The one row with the freeze switch; ``UPDATE cleanup_control SET frozen = true`` stops all cleaning."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    frozen = models.BooleanField(default=False, db_default=False)
    reason = models.TextField(blank=True, default="", db_default="")
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_by = models.CharField(max_length=255, blank=True, default="", db_default="")

    objects = FreezeSwitchQuerySet.as_manager()

    class Meta:
        db_table = "cleanup_control"  # as in the statement above, which runbooks hold
        verbose_name = _("overview")
        verbose_name_plural = _("overview")
        default_permissions = ()
        permissions = [(permission.codename, text) for permission, text in DESCRIPTIONS.items()]
        constraints = [models.CheckConstraint(condition=Q(id=1), name="cleanup_control_one_row")]

    def __str__(self) -> str:
        return str(_("everything is stopped") if self.frozen else _("cleanups are allowed"))


class Hold(models.Model):
    """Leave this application alone: nothing is written to it, not even by reference."""

    application_key = models.CharField(max_length=KEY_LENGTH, unique=True)
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=255, blank=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("application on hold")
        verbose_name_plural = _("applications on hold")

    def __str__(self) -> str:
        return self.application_key


class QueuedApplication(models.Model):
    """Duplicates that the folder service found and left: a cleanup run with a limit takes these applications first."""

    application_key = models.CharField(max_length=KEY_LENGTH, primary_key=True)
    code = models.CharField(max_length=64)
    """Why they were left: frozen, held, too_large, or the code of the failure."""
    message = models.TextField(blank=True)
    refused = models.BooleanField(default=False)
    """Merging was tried and will fail again unless something changes: it is not retried before a run."""
    queued_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        verbose_name = _("queued application")

    def __str__(self) -> str:
        return f"{self.application_key}: {self.code}"


class StructureLock(models.Model):
    """Written by each transaction that creates folders of an application; see the backends' ``serialize``."""

    application_key = models.CharField(max_length=KEY_LENGTH, primary_key=True)
    taken_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        verbose_name = _("structure lock")

    def __str__(self) -> str:
        return self.application_key


class RunQuerySet(models.QuerySet["Run"]):
    """Runs by state, and the one way to change it."""

    def claimable(self) -> Self:
        """Return the runs whose applications workers may claim."""
        return self.filter(status__in=Run.CLAIMABLE)

    def active(self) -> Self:
        """Return the runs that are neither over nor stopped."""
        return self.filter(status__in=Run.ACTIVE)

    def exclusive_cleanup(self) -> Self:
        """Return the cleanup run that holds the database's one slot."""
        return self.active().filter(kind=Run.Kind.CLEANUP, exclusive=True)

    def of_no_named_applications(self) -> Self:
        """Return the runs that were over all applications, or the worst of them."""
        return self.filter(Q(options__applications=None) | Q(options__applications__isnull=True))

    def with_undoable_until(self) -> Self:
        """Annotate until when all that can still be undone of a run can be; None if nothing can, or if it is active."""
        live = RollbackPoint.objects.filter(run=OuterRef("pk"), status=RollbackPoint.Status.LIVE)
        first = live.order_by().values("run").annotate(first=Min("expires_at")).values("first")
        ended = Q(kind__in=Run.UNDOABLE) & ~Q(status__in=Run.ACTIVE)
        return self.annotate(undoable_until=Case(When(ended, then=Subquery(first))))

    def move_to(self, status: "Run.Status", **changes: Any) -> int:
        """Move the runs that may take this state to it; return how many did.

        The condition is part of the UPDATE: whatever another session does in between, no other transition happens.
        """
        return self.filter(status__in=Run.sources(status)).update(status=status, **changes)


class Run(models.Model):
    """A durable worklist over many applications."""

    class Kind(models.TextChoices):
        CLEANUP = "cleanup", _("cleanup")
        ROLLBACK = "rollback", _("rollback")
        REPAIR = "repair", _("repair")

    #: Kinds that write rollback points, so that they can be rolled back.
    UNDOABLE = (Kind.CLEANUP, Kind.REPAIR)

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        RUNNING = "running", _("running")
        PAUSING = "pausing", _("pausing")
        PAUSED = "paused", _("paused")
        COMPLETED = "completed", _("completed")
        STOPPED = "stopped", _("stopped")
        CANCELLED = "cancelled", _("cancelled")

    #: What may follow each state. A run may be resumed in any state but the last: its workers may have been killed.
    TRANSITIONS: ClassVar[Mapping[str, tuple[Status, ...]]] = {
        # Workers may claim. A pending run completes if the last application ends while another worker joins.
        Status.PENDING: (
            Status.PENDING,
            Status.RUNNING,
            Status.PAUSING,
            Status.PAUSED,
            Status.COMPLETED,
            Status.STOPPED,
            Status.CANCELLED,
        ),
        # A worker has begun.
        Status.RUNNING: (
            Status.PENDING,
            Status.PAUSING,
            Status.PAUSED,
            Status.COMPLETED,
            Status.STOPPED,
            Status.CANCELLED,
        ),
        # A person asked it to pause; its workers finish their batches.
        Status.PAUSING: (Status.PENDING, Status.PAUSED, Status.STOPPED, Status.CANCELLED),
        # By a person, or by an error that stops every application. A further error replaces the reason, and a last
        # batch that fails may still stop it.
        Status.PAUSED: (Status.PENDING, Status.PAUSED, Status.STOPPED, Status.CANCELLED),
        # Too many applications failed.
        Status.STOPPED: (Status.PENDING, Status.CANCELLED),
        # Reopened only to retry failed applications.
        Status.COMPLETED: (Status.PENDING,),
        Status.CANCELLED: (),
    }

    CLAIMABLE = (Status.PENDING, Status.RUNNING)
    #: Workers should be processing these.
    IN_PROGRESS = (*CLAIMABLE, Status.PAUSING)
    ACTIVE = (*IN_PROGRESS, Status.PAUSED)
    OVER = (Status.COMPLETED, Status.CANCELLED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=Kind)
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    status_reason = models.TextField(blank=True)
    paused_by_error = models.BooleanField(default=False)
    """It was paused by an error, not by a person."""
    exclusive = models.BooleanField(default=True)
    """False for a single named application, which may be processed beside the active run."""
    source_run = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="rollbacks")
    correlation_id = models.CharField(max_length=64)
    started_by = models.CharField(max_length=255, blank=True)
    started_how = models.CharField(max_length=16)
    """shell, service, api, admin or schedule."""
    reason = models.TextField(blank=True)
    options = models.JSONField(default=dict)
    """What was requested: limit, batch size, included states, conflict handling."""
    settings = models.JSONField(default=dict)
    """The settings in force when it started."""
    code_version = models.CharField(max_length=32)
    database_identity = models.CharField(max_length=255)
    total_applications = models.PositiveIntegerField(default=0)
    # The sums of its results at every moment; see Note [Totals of a run] in ``cleanup.services.runs.totals``.
    done_applications = models.PositiveIntegerField(default=0)
    failed_applications = models.PositiveIntegerField(default=0)
    held_applications = models.PositiveIntegerField(default=0)
    skipped_applications = models.PositiveIntegerField(default=0)
    """Left alone, because too large or missing."""
    folders_removed = models.PositiveBigIntegerField(default=0)
    files_moved = models.PositiveBigIntegerField(default=0)
    resumed_at = models.DateTimeField(null=True, blank=True)
    """When it last began to run."""
    done_when_resumed = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    waiting_for = models.TextField(blank=True)
    """Why it waits, while the database is under pressure."""
    waiting_since = models.DateTimeField(null=True, blank=True)
    probes = models.JSONField(default=dict)
    """The throttle's latest figures; "unknown" for what it cannot measure."""
    peak_memory_bytes = models.BigIntegerField(null=True, blank=True)
    seconds_worked = models.FloatField(default=0)
    restored = models.JSONField(default=dict)
    """Of a completed rollback: what came back, and why that is not exactly what was there; see ``reports.restored``."""

    objects = RunQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind"],
                condition=Q(kind="cleanup", exclusive=True, status__in=["pending", "running", "pausing", "paused"]),
                name="cleanup_run_one_active",
            )
        ]
        indexes = [models.Index(fields=["-created_at"], name="cleanup_run_newest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @classmethod
    def sources(cls, status: str) -> list[Status]:
        """Return the states that this one may follow."""
        return [source for source in cls.Status if status in cls.TRANSITIONS[source]]

    @property
    def is_claimable(self) -> bool:
        """Whether workers may claim its applications."""
        return self.status in self.CLAIMABLE

    @property
    def is_in_progress(self) -> bool:
        """Whether workers should be processing it."""
        return self.status in self.IN_PROGRESS

    @property
    def is_active(self) -> bool:
        """Whether it is neither over nor stopped."""
        return self.status in self.ACTIVE

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good; a stopped run can be resumed."""
        return self.status in self.OVER

    @property
    def can_pause(self) -> bool:
        """Whether it may be paused."""
        return self.Status.PAUSING in self.TRANSITIONS[self.status]

    @property
    def can_cancel(self) -> bool:
        """Whether it may be ended for good."""
        return self.Status.CANCELLED in self.TRANSITIONS[self.status]

    @property
    def can_resume(self) -> bool:
        """Whether resuming it is useful while its workers live: it is waiting, or has failed applications to retry."""
        has_failures = self.status == self.Status.COMPLETED and self.failed_applications > 0
        return self.status in (self.Status.PAUSED, self.Status.STOPPED) or has_failures

    @property
    def successful_applications(self) -> int:
        """Return how many are done and were neither left alone nor failed, whether or not they were undone later."""
        aside = self.failed_applications + self.held_applications + self.skipped_applications
        return max(0, self.done_applications - aside)

    @property
    def applications_per_second(self) -> float | None:
        """Rate since the run last began, by the database's clock; None before there is one."""
        if self.resumed_at is None or self.heartbeat_at is None:
            return None
        seconds = (self.heartbeat_at - self.resumed_at).total_seconds()
        return (self.done_applications - self.done_when_resumed) / seconds if seconds > 0 else None

    @property
    def seconds_left(self) -> int | None:
        """Remaining time at that rate; None if unknown."""
        rate = self.applications_per_second
        return round((self.total_applications - self.done_applications) / rate) if rate else None


class Result(models.Model):
    """One application of a run: the worklist row, and its outcome."""

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        IN_PROGRESS = "in_progress", _("in progress")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        SKIPPED = "skipped", _("skipped")
        HELD = "held", _("held")
        ROLLED_BACK = "rolled_back", _("rolled back")

    OPEN = (Status.PENDING, Status.IN_PROGRESS)
    UNUSUAL = (Status.FAILED, Status.SKIPPED, Status.HELD)
    """The states of the partial indexes: a filter by all of them uses those."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, models.CASCADE, related_name="results")
    application_key = models.CharField(max_length=KEY_LENGTH)
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    folders = models.PositiveIntegerField(default=0)
    """Folders of the application when the worklist was created."""
    folders_removed = models.PositiveIntegerField(default=0)
    files_moved = models.PositiveBigIntegerField(default=0)
    child_folders_merged = models.PositiveIntegerField(default=0)
    references_moved = models.PositiveBigIntegerField(default=0)
    details = models.JSONField(default=dict)
    """Rows moved by table, rows removed by table; of a rollback: what was restored, and the conflicts."""
    attempts = models.PositiveSmallIntegerField(default=0)
    isolated = models.BooleanField(default=False)
    """Its batch failed, or its last attempt did not end: to be claimed alone."""
    error_code = models.CharField(max_length=64, blank=True)
    error_class = models.CharField(max_length=16, blank=True)
    """transient, data or system."""
    error_message = models.TextField(blank=True)
    point = models.ForeignKey("RollbackPoint", models.SET_NULL, null=True, blank=True, related_name="results")
    """Cleanup: the point written. Rollback: the point rolled back."""
    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=255, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("result")
        verbose_name_plural = _("results")
        constraints = [models.UniqueConstraint(fields=["run", "application_key"], name="cleanup_result_once_per_run")]
        indexes = [
            models.Index(fields=["run", "application_key"], condition=Q(status="pending"), name="cleanup_result_open"),
            models.Index(fields=["application_key", "-id"], name="cleanup_result_application"),
            models.Index(
                fields=["-id"], condition=Q(status__in=["failed", "skipped", "held"]), name="cleanup_result_decision"
            ),
            models.Index(
                fields=["run", "status", "application_key"],
                condition=Q(status__in=["failed", "skipped", "held"]),
                name="cleanup_result_unusual",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.application_key}: {self.status}"


class SnapshotSchema(models.Model):
    """The tables' columns, types and keys as they were, and the format, shared by the points written under them."""

    digest = models.CharField(primary_key=True, max_length=64)
    format_version = models.PositiveSmallIntegerField()
    document = models.TextField()
    """JSON; see the note on the journal's form in ``cleanup.journal``."""
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        verbose_name = _("snapshot schema")

    def __str__(self) -> str:
        return self.digest[:12]


class RollbackPoint(models.Model):
    """The header that owns the snapshot rows of one application; ``id`` orders the points of an application."""

    class Kind(models.TextChoices):
        CLEANUP = "cleanup", _("cleanup")
        MANUAL = "manual", _("taken by hand")
        REPAIR = "repair", _("repair")

    #: Kinds whose points were written with changes, which a rollback undoes.
    OF_CHANGES = (Kind.CLEANUP, Kind.REPAIR)

    class Status(models.TextChoices):
        LIVE = "live", _("live")
        ROLLED_BACK = "rolled_back", _("rolled back")
        PURGED = "purged", _("purged")

    id = models.BigAutoField(primary_key=True)
    uuid = models.UUIDField("id", unique=True, default=uuid.uuid4, editable=False)
    application_key = models.CharField(max_length=KEY_LENGTH)
    kind = models.CharField(max_length=16, choices=Kind)
    status = models.CharField(max_length=16, choices=Status, default=Status.LIVE)
    run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="points")
    schema = models.ForeignKey(SnapshotSchema, models.PROTECT, related_name="points")
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=255, blank=True)
    reason = models.TextField(blank=True)
    expires_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True, blank=True)
    """When a verification of the application last passed after the point was written."""
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=255, blank=True)
    ended_reason = models.TextField(blank=True)
    exact = models.BooleanField(null=True, blank=True)
    """Of a rolled-back point: everything was restored as it was."""
    outcome = models.JSONField(default=dict)
    """Of a rolled-back point: counts restored, conflicts skipped."""

    class Meta:
        default_permissions = ()
        verbose_name = _("undo record")
        verbose_name_plural = _("undo records")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["application_key", "-id"], name="cleanup_point_application"),
            models.Index(fields=["expires_at"], condition=Q(status="live"), name="cleanup_point_expiry"),
            models.Index(fields=["ended_at"], condition=Q(status="rolled_back"), name="cleanup_point_undone"),
        ]

    def __str__(self) -> str:
        return str(self.uuid)


class SnapshotRow(models.Model):
    """What was there before: rows that moved with one change, or images of rows that were removed."""

    class Kind(models.TextChoices):
        MOVED = "moved", _("moved")
        REMOVED = "removed", _("removed")
        INSERTED = "inserted", _("inserted")
        STRUCTURE = "structure", _("structure")

    id = models.BigAutoField(primary_key=True)
    # No constraint: written in one transaction with the point, which is never deleted; checking costs a tenth of a run.
    point = models.ForeignKey(RollbackPoint, models.CASCADE, related_name="rows", db_constraint=False)
    kind = models.CharField(max_length=16, choices=Kind)
    step = models.PositiveSmallIntegerField()
    """Order of writing within the point; undone in the opposite order."""
    table = models.CharField(max_length=130)
    """The table's label in the snapshot schema."""
    row_count = models.PositiveIntegerField()
    changes = models.TextField(null=True, blank=True)
    """Moved: JSON; see the note on the journal's form in ``cleanup.journal``."""
    keys = models.TextField(null=True, blank=True)
    """Moved, in the first format alone: JSON, key column -> the rows' values before the change."""
    images = models.TextField(null=True, blank=True)
    """Removed, structure: JSON, one array per row, values in the snapshot schema's column order."""

    class Meta:
        default_permissions = ()
        verbose_name = _("entry of an undo record")
        verbose_name_plural = _("entries of undo records")

    def __str__(self) -> str:
        return f"{self.kind} {self.table}: {self.row_count}"


class RemovedFolder(models.Model):
    """Where a removed folder went, for as long as results are kept; old links can follow."""

    id = models.BigAutoField(primary_key=True)
    folder_key = models.CharField(max_length=KEY_LENGTH)
    survivor_key = models.CharField(max_length=KEY_LENGTH)
    name = models.CharField(max_length=NAME_LENGTH, blank=True, db_default="")
    """The beginning of its name, for searches; its image in the snapshot row has the whole name."""
    point = models.ForeignKey(RollbackPoint, models.CASCADE, related_name="removed_folders", db_constraint=False)

    class Meta:
        default_permissions = ()
        verbose_name = _("removed folder")
        indexes = [models.Index(fields=["folder_key"], name="cleanup_removedfolder_key")]

    def __str__(self) -> str:
        return f"{self.folder_key} -> {self.survivor_key}"


class Verification(models.Model):
    """One whole-database integrity verification."""

    id = models.BigAutoField(primary_key=True)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)
    passed = models.BooleanField(null=True, blank=True)
    counts = models.JSONField(default=dict)
    """Findings by code, also those beyond the stored ones."""
    summary = models.JSONField(default=dict)
    started_by = models.CharField(max_length=255, blank=True)
    error = models.TextField(blank=True, default="", db_default="")
    """Why it ended without a result; ``passed`` is None then."""

    class Meta:
        default_permissions = ()
        verbose_name = _("database verification")
        verbose_name_plural = _("database verifications")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"verification {self.pk}"


class Finding(models.Model):
    """One thing that a verification found."""

    class Severity(models.TextChoices):
        ERROR = "error", _("error")
        WARNING = "warning", _("warning")

    id = models.BigAutoField(primary_key=True)
    verification = models.ForeignKey(Verification, models.CASCADE, related_name="findings")
    code = models.CharField(max_length=64)
    severity = models.CharField(max_length=8, choices=Severity)
    table = models.CharField(max_length=130)
    object_key = models.CharField(max_length=KEY_LENGTH)
    application_key = models.CharField(max_length=KEY_LENGTH, blank=True)
    detail = models.JSONField(default=dict)
    hint = models.TextField(blank=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("problem found")
        verbose_name_plural = _("problems found")
        indexes = [models.Index(fields=["verification", "code"], name="cleanup_finding_code")]

    def __str__(self) -> str:
        return f"{self.code} {self.table} {self.object_key}"
