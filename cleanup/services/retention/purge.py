"""The purge of what has been kept long enough, in small transactions."""

from dataclasses import replace

from django.utils import timezone

from cleanup.services.results import PurgeReport
from cleanup.services.retention import history, points


def purge(*, using: str, preview: bool = False) -> PurgeReport:
    """Remove the snapshot rows of expired points, and old history; a preview only counts."""
    now = timezone.now()
    purged = points.purge(using=using, preview=preview, now=now)
    return replace(purged, history=history.purge(using=using, preview=preview, now=now))
