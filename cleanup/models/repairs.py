"""What people have decided about names that look the same."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from cleanup.models.operations import KEY_LENGTH, NAME_LENGTH


class NameGroup(models.Model):
    """Folders side by side whose names look the same: they are to become one, or to stay as they are."""

    class Decision(models.TextChoices):
        APPROVED = "approved", _("approved")
        DISMISSED = "dismissed", _("dismissed")

    application_key = models.CharField(max_length=KEY_LENGTH)
    parent_key = models.CharField(max_length=KEY_LENGTH)
    looks = models.CharField(max_length=NAME_LENGTH)
    """The beginning of the name that all of them have but for case, Unicode form and blanks."""
    names = models.JSONField(default=list)
    """Those that the decision is about: another one beside them is undecided."""
    decision = models.CharField(max_length=16, choices=Decision)
    stays_key = models.CharField(max_length=KEY_LENGTH, blank=True)
    """The folder that stays; empty: one with the name that most rows use."""
    decided_at = models.DateTimeField(db_default=Now())
    decided_by = models.CharField(max_length=255, blank=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("decision about names")
        verbose_name_plural = _("decisions about names")
        constraints = [
            models.UniqueConstraint(fields=["parent_key", "looks"], name="cleanup_namegroup_once"),
        ]

    def __str__(self) -> str:
        return f"{self.parent_key}: {self.decision}"
