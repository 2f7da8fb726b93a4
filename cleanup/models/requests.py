"""The requests of API clients that must not be carried out twice."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from cleanup.models.operations import Run


class IdempotencyKey(models.Model):
    """An Idempotency-Key, and the answer to the request with it; the key of a run is deleted with the run."""

    id = models.BigAutoField(primary_key=True)
    account = models.CharField(max_length=255)
    """Key of the user, as text."""
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64)
    """Of the request: the same key with a different request is a mistake."""
    run = models.ForeignKey(Run, models.CASCADE, null=True, related_name="idempotency_keys")
    answer = models.TextField(null=True)
    """As it is sent again, without secrets; None while the request is running."""
    created_at = models.DateTimeField(db_default=Now())
    """Set again by the request that takes over from one whose process has died."""

    class Meta:
        default_permissions = ()
        verbose_name = _("idempotency key")
        constraints = [models.UniqueConstraint(fields=["account", "key"], name="cleanup_requestkey_once")]

    def __str__(self) -> str:
        return self.key
