"""The automation's own tables: the switch, heartbeats, schedules and their outcomes, checks, and leases.

Whether something is late, alive or due is determined from these rows by the database's clock, so that a dead cluster is
noticed without its help. Rows here are history: nothing but the purge deletes them.
"""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from cleanup.models.operations import KEY_LENGTH, Run, Verification


class AutomationState(models.Model):
    """The one row that records whether schedules are on, and which database it belongs to."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    started = models.BooleanField(default=False, db_default=False)
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_by = models.CharField(max_length=255, blank=True, default="", db_default="")
    database_identity = models.CharField(max_length=255, blank=True, default="", db_default="")
    """Of the database in which background work is done; a copy has a different one. Empty: not recorded yet."""
    adopted_at = models.DateTimeField(null=True, blank=True)
    """When a copy was last adopted."""
    adopted_by = models.CharField(max_length=255, blank=True, default="", db_default="")

    class Meta:
        default_permissions = ()
        verbose_name = _("automation state")
        constraints = [models.CheckConstraint(condition=Q(id=1), name="cleanup_service_one_row")]

    def __str__(self) -> str:
        return "started" if self.started else "stopped"


class Heartbeat(models.Model):
    """A cluster's last sign of life, written by a task of one of its workers."""

    cluster = models.CharField(max_length=255, primary_key=True)
    """Machine and process of the cluster, as ``host:pid``."""
    host = models.CharField(max_length=255)
    beat_at = models.DateTimeField(db_default=Now())
    first_beat_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        verbose_name = _("heartbeat")

    def __str__(self) -> str:
        return self.cluster


class Schedule(models.Model):
    """What runs automatically, how often, and within which limits; times of day are UTC."""

    class Name(models.TextChoices):
        CONSISTENCY_CHECK = "consistency_check", _("consistency check")
        FULL_CLEANUP = "full_cleanup", _("full cleanup")
        INTEGRITY_VERIFICATION = "integrity_verification", _("integrity verification")
        RETENTION = "retention", _("retention")

    class Cadence(models.TextChoices):
        HOURLY = "hourly", _("hourly")
        DAILY = "daily", _("daily")
        WEEKLY = "weekly", _("weekly")

    class Weekday(models.IntegerChoices):
        MONDAY = 0, _("Monday")
        TUESDAY = 1, _("Tuesday")
        WEDNESDAY = 2, _("Wednesday")
        THURSDAY = 3, _("Thursday")
        FRIDAY = 4, _("Friday")
        SATURDAY = 5, _("Saturday")
        SUNDAY = 6, _("Sunday")

    name = models.CharField(max_length=32, primary_key=True, choices=Name)
    enabled = models.BooleanField(default=True)
    schedule_type = models.CharField(max_length=8, choices=Cadence)
    weekday = models.PositiveSmallIntegerField(default=Weekday.SUNDAY, choices=Weekday)
    """Of a weekly schedule."""
    hour = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(23)])
    """Of a daily or weekly schedule, UTC."""
    minute = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(59)])
    max_applications = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    """Cleanup: applications in a run. Check: applications that it lists. None: no limit."""
    alert_threshold = models.PositiveIntegerField(default=5)
    dry_run_first = models.BooleanField(default=True)
    """The first run only plans."""
    planned_at = models.DateTimeField(null=True, blank=True)
    """When that first run was planned; None: it is still to come."""
    circumstances = models.JSONField(default=dict, blank=True, editable=False)
    """Of a cleanup: the settings and the schema of the last one that was started; empty: none yet."""
    last_run = models.DateTimeField(null=True, blank=True)
    next_run = models.DateTimeField(null=True, blank=True)
    """None while it is disabled or the service is stopped."""
    changed_by = models.CharField(max_length=255, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(hour__lte=23, minute__lte=59, weekday__lte=6), name="cleanup_schedule_time_of_day"
            )
        ]

    def __str__(self) -> str:
        return self.get_name_display()


class ConsistencyCheck(models.Model):
    """One stored consistency check: the points of the chart of duplicates over time."""

    id = models.BigAutoField(primary_key=True)
    started_at = models.DateTimeField(db_default=Now())
    """When it was requested; once it has begun, when it began."""
    ended_at = models.DateTimeField(null=True, blank=True)
    started_by = models.CharField(max_length=255, blank=True)
    started_how = models.CharField(max_length=16, default="service")
    """shell, service, api, admin or schedule; run: after one that has changed something."""
    duplicate_applications = models.PositiveIntegerField(null=True, blank=True)
    waiting_applications = models.PositiveIntegerField(null=True, blank=True)
    """How many of these wait for a person's decision: held, refused, too large."""
    late_arrivals = models.PositiveIntegerField(default=0)
    """Rows that were filed into removed folders and have been re-pointed."""
    needs_cleanup = models.BooleanField(null=True, blank=True)
    alert_threshold_exceeded = models.BooleanField(null=True, blank=True)
    summary = models.JSONField(default=dict)
    """The check's JSON."""
    error = models.TextField(blank=True)
    """Why it ended without a result."""

    class Meta:
        default_permissions = ()
        verbose_name = _("check for duplicates")
        verbose_name_plural = _("checks for duplicates")
        ordering = ["-id"]
        indexes = [models.Index(fields=["-started_at"], name="cleanup_check_newest")]

    def __str__(self) -> str:
        return f"check {self.pk}"


class ScheduledRun(models.Model):
    """One time that a schedule was due, and its outcome."""

    class Status(models.TextChoices):
        STARTED = "started", _("started")
        COMPLETED = "completed", _("completed")
        PLANNED = "planned", _("planned")
        SKIPPED = "skipped", _("skipped")
        FAILED = "failed", _("failed")
        WAITING = "waiting", _("waiting for approval")
        DECLINED = "declined", _("declined")
        EXPIRED = "expired", _("expired")

    id = models.BigAutoField(primary_key=True)
    schedule = models.ForeignKey(Schedule, models.CASCADE, related_name="runs")
    due_at = models.DateTimeField()
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.STARTED)
    reason = models.TextField(blank=True)
    """Why it was skipped, failed, waits, or was not approved."""
    started_by = models.CharField(max_length=255, blank=True)
    """Who ran it by hand; empty if it was due."""
    decided_by = models.CharField(max_length=255, blank=True, default="", db_default="")
    """Who approved or declined it."""
    decided_at = models.DateTimeField(null=True, blank=True)
    run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="scheduled")
    check_done = models.ForeignKey(ConsistencyCheck, models.SET_NULL, null=True, blank=True, related_name="scheduled")
    verification = models.ForeignKey(Verification, models.SET_NULL, null=True, blank=True, related_name="scheduled")
    outcome = models.JSONField(default=dict)
    """Of a plan: the totals of the dry run. Of retention: what was purged. Of a cleanup: ``duplicate_applications``; if
    it waits for approval, also its totals, and under ``reasons`` what is out of the ordinary."""

    class Meta:
        default_permissions = ()
        verbose_name = _("scheduled run")
        ordering = ["-id"]
        indexes = [models.Index(fields=["schedule", "-id"], name="cleanup_scheduledrun_newest")]

    def __str__(self) -> str:
        return f"{self.schedule_id}: {self.status}"

    @classmethod
    def latest_status(cls) -> Subquery:
        """Return, for a query of schedules, how the last time ended that was not skipped."""
        newest = cls.objects.filter(schedule=OuterRef("pk")).exclude(status=cls.Status.SKIPPED).order_by("-id")
        return Subquery(newest.values("status")[:1])


class PreparedPreview(models.Model):
    """What a cleanup of a very large application would do, worked out by a cluster for whoever asked to see it."""

    id = models.BigAutoField(primary_key=True)
    application_key = models.CharField(max_length=KEY_LENGTH, unique=True)
    requested_at = models.DateTimeField(db_default=Now())
    requested_by = models.CharField(max_length=255, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    folders = models.PositiveIntegerField(default=0)
    """The application's, when it was worked out."""
    document = models.JSONField(null=True)
    """The preview's JSON, in outline: of a bounded size."""
    error = models.TextField(blank=True)
    """Why it ended without a preview."""

    class Meta:
        default_permissions = ()
        verbose_name = _("preview")
        verbose_name_plural = _("previews")

    def __str__(self) -> str:
        return self.application_key


class JobLease(models.Model):
    """A worker's slot of a background job: who may work on it now, until when, and which delivery is expected.

    See the note in ``cleanup.services.background.leases``.
    """

    class Kind(models.TextChoices):
        RUN = "run", _("run")
        CHECK = "check", _("check")
        VERIFICATION = "verification", _("verification")
        SCHEDULED = "scheduled", _("scheduled run")
        PREVIEW = "preview", _("preview")

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=16, choices=Kind)
    target = models.CharField(max_length=64)
    """Id of the run, check, verification, scheduled run or preview."""
    run = models.ForeignKey(Run, models.CASCADE, null=True, blank=True, related_name="leases")
    """Of a lease on a run."""
    slot = models.PositiveSmallIntegerField(default=0)
    """Several workers may work on one run."""
    token = models.UUIDField(default=uuid.uuid4)
    """Of the delivery that is expected, or being processed; each is valid once."""
    attempts = models.PositiveSmallIntegerField(default=0)
    """Times that it was begun since it last ended."""
    deliveries = models.PositiveSmallIntegerField(default=1)
    """Tasks enqueued since it was last begun."""
    issued_at = models.DateTimeField(db_default=Now())
    taken_at = models.DateTimeField(null=True, blank=True)
    """None while it waits in the queue."""
    lease_expires_at = models.DateTimeField()
    worker = models.CharField(max_length=255, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("job lease")
        constraints = [models.UniqueConstraint(fields=["kind", "target", "slot"], name="cleanup_tick_one_per_seat")]
        indexes = [
            models.Index(fields=["lease_expires_at"], condition=Q(ended_at=None), name="cleanup_tick_open"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target} slot {self.slot}"
