"""Checks and verifications in this process, followed by the alerts.

A check relies on the latest verification of the whole database, and carries one out if that is older than a day or can
no longer be right. A check only reads; one that is stored, see ``stored_checks``, re-points late arrivals as well.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from cleanup import queries
from cleanup.folder_tables import folder_tables
from cleanup.models import Verification
from cleanup.references import faults_of_shape
from cleanup.services.alerting import alerts
from cleanup.services.integrity import consistency_check, freshness, verification
from cleanup.services.results import CheckReport, VerificationReport
from cleanup.services.retention import points
from cleanup.text_safety import stored_name

if TYPE_CHECKING:
    from cleanup.services.integrity.check_notes import Notes

#: Age beyond which the latest verification cannot be relied on.
STALE = timedelta(days=1)


def verify(*, using: str, application_id: Any = None, started_by: str = "") -> VerificationReport:
    """Verify one application, or the whole database, and store the latter; the alerts follow that.

    Raises UnknownObject and InvalidKey.
    """
    report = perform_verification(None, using=using, application_id=application_id, started_by=started_by)
    if application_id is None:
        alerts.evaluate_quietly(using=using)
    return report


def perform_verification(
    stored: Verification | None, *, using: str, application_id: Any = None, started_by: str = ""
) -> VerificationReport:
    """Carry out a stored verification, or one without a row yet; the caller evaluates the alerts.

    Rollback points that were written before a verification that passes count as verified. Raises as ``verify``.
    """
    now = timezone.now()
    report = verification.verify(
        using=using, application_id=application_id, started_by=stored_name(started_by), verification=stored
    )
    if report.verification_passed:
        only = None if application_id is None else [folder_tables().application_key.text(application_id)]
        points.mark_verified(using=using, application_ids=only, now=now)
    return report


def check(*, using: str, at_most: int | None = None, notes: "Notes | None" = None) -> CheckReport:
    """Check, and list ``at_most`` so many applications; take notes if asked."""
    now = timezone.now()
    with queries.reading(using=using):
        latest = verification.latest_verification(using=using)
        outdated = latest is None or _is_outdated(latest, using=using, now=now)
    if latest is None or outdated:
        latest = verify(using=using)
    return consistency_check.examine(using=using, now=now, verification=latest, at_most=at_most, notes=notes)


def _is_outdated(latest: VerificationReport, *, using: str, now: datetime) -> bool:
    """Return whether a verification is old, or passed before tables or settings changed or something was undone."""
    if latest.verified_at is None or now - latest.verified_at > STALE:
        return True
    if not latest.verification_passed:
        return False
    return freshness.undone_after(latest.verified_at).using(using).exists() or bool(faults_of_shape(using=using))
