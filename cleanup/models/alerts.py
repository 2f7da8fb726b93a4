"""Alerts: what is wrong, or was, and whether notifications were sent.

One row from the moment a cause is first seen until it is gone; a cause that comes back is a new row. Rows hold codes,
counts and ids, never the names of folders, files or people. ``cleanup.services.alerting.alerts`` is the only writer.
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from cleanup.models.operations import Run


class Alert(models.Model):
    """One cause of concern, and the notifications about it."""

    class Severity(models.TextChoices):
        WARNING = "warning", _("warning")
        CRITICAL = "critical", _("critical")

    class State(models.TextChoices):
        OPEN = "open", _("open")
        ACKNOWLEDGED = "acknowledged", _("acknowledged")
        RESOLVED = "resolved", _("resolved")

    class Notice(models.TextChoices):
        NEW = "new", _("new")
        REPEATED = "repeated", _("repeated")
        ESCALATED = "escalated", _("escalated")
        RESOLVED = "resolved", _("resolved")

    UNRESOLVED = (State.OPEN, State.ACKNOWLEDGED)

    id = models.BigAutoField(primary_key=True)
    fingerprint = models.CharField(max_length=128)
    """The code, and what it is about: two unresolved alerts never share one."""
    code = models.CharField(max_length=64)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.WARNING)
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    message = models.TextField()
    """One sentence."""
    hint = models.TextField(blank=True)
    """What to do, as a command if there is one."""
    detail = models.JSONField(default=dict)
    """Counts and ids."""
    size = models.PositiveBigIntegerField(default=0)
    """How much of it there is, as last seen: applications, errors."""
    first_size = models.PositiveBigIntegerField(default=0)
    run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="alerts")
    correlation_id = models.CharField(max_length=64, blank=True)
    first_seen = models.DateTimeField(db_default=Now())
    last_seen = models.DateTimeField(db_default=Now())
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=255, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    # What has been sent, and what is still to be sent.
    notice = models.CharField(max_length=12, choices=Notice, default=Notice.NEW)
    """The latest notification: sent, or owed."""
    notices = models.PositiveIntegerField(default=1)
    """Number of notifications decided upon."""
    noticed_at = models.DateTimeField(db_default=Now())
    """When the latest one was decided upon."""
    notified_at = models.DateTimeField(null=True, blank=True)
    """When a channel last accepted a notification."""
    owed = models.BooleanField(default=True)
    """A notification is still to be sent."""
    owed_to = models.JSONField(default=list)
    """The channels that have not accepted it; empty: all."""
    told_by = models.JSONField(default=list)
    """The channels that have accepted a notification."""
    sending_until = models.DateTimeField(null=True, blank=True)
    """A process is sending it; after this time, another one may."""

    class Meta:
        default_permissions = ()
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"], condition=Q(state__in=["open", "acknowledged"]), name="cleanup_alert_once"
            )
        ]
        indexes = [models.Index(fields=["owed"], condition=Q(owed=True), name="cleanup_alert_owed")]

    def __str__(self) -> str:
        return f"{self.code} ({self.state})"
