"""Checks and verifications: carried out in this process or by the clusters, stored, and followed by the alerts.

A check relies on the latest verification of the whole database, and carries one out if that is older than a day or can
no longer be right. A check only reads, except that a stored one re-points late arrivals.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from cleanup.folder_tables import folder_tables
from cleanup.models import ConsistencyCheck, Schedule, Verification
from cleanup.references import faults_of_shape, schema_changes
from cleanup.services import freeze
from cleanup.services.alerting import alerts
from cleanup.services.background import clusters, dispatch
from cleanup.services.integrity import consistency_check, freshness, rechecks, verification
from cleanup.services.results import CheckReport, VerificationReport
from cleanup.services.retention import points
from cleanup.services.runs.late_arrivals import LateArrivals
from cleanup.services.runs.lifecycle import Actor
from cleanup.text_safety import stored_name

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


def check(*, using: str, at_most: int | None = None) -> CheckReport:
    """Check, and list ``at_most`` so many applications."""
    now = timezone.now()
    latest = verification.latest_verification(using=using)
    if latest is None or _is_outdated(latest, using=using, now=now):
        latest = verify(using=using)
    return consistency_check.examine(using=using, now=now, verification=latest, at_most=at_most)


def _is_outdated(latest: VerificationReport, *, using: str, now: datetime) -> bool:
    """Return whether a verification is old, or passed before the tables, or a setting, became what they are."""
    if latest.verified_at is None or now - latest.verified_at > STALE:
        return True
    return bool(latest.verification_passed and faults_of_shape(using=using))


def check_and_store(*, using: str, started_by: str = "", started_how: str = "service") -> CheckReport:
    """Check in this process, and store the check."""
    checks = ConsistencyCheck.objects.using(using)
    stored = checks.create(started_by=started_by[:255], started_how=started_how)
    try:
        return perform(stored, using=using)
    except Exception as error:
        checks.filter(pk=stored.pk).update(ended_at=Now(), error=type(error).__name__)
        raise


def perform(stored: ConsistencyCheck, *, using: str) -> CheckReport:
    """Carry out a stored check: re-point late arrivals, unless all cleaning is frozen, and store the result.

    One that follows a run leaves late arrivals to the hourly one, and verifies if the run may have changed the result.
    """
    arrived = 0
    after_a_run = stored.started_how == rechecks.AFTER_A_RUN
    if after_a_run and freshness.verification_is_outdated(using=using):
        verify(using=using)
    if not after_a_run and not freeze.is_frozen(using=using):
        arrived = sum(LateArrivals(using=using, references=schema_changes.read(using=using)).sweep().values())
    at_most = None
    if stored.started_how == "schedule":
        at_most = Schedule.objects.using(using).get(pk=Schedule.Name.CONSISTENCY_CHECK).max_applications
    report = replace(check(using=using, at_most=at_most), late_arrivals=arrived)
    ConsistencyCheck.objects.using(using).filter(pk=stored.pk).update(
        ended_at=Now(),
        duplicate_applications=report.duplicate_applications_found,
        waiting_applications=report.waiting_for_decision,
        late_arrivals=arrived,
        needs_cleanup=report.needs_cleanup,
        alert_threshold_exceeded=report.alert_threshold_exceeded,
        summary=report.as_json(),
    )
    return report


def start_check(*, using: str, actor: Actor) -> ConsistencyCheck:
    """Queue a check for a cluster. Raises NoCluster."""
    clusters.require_alive(using=using)
    return dispatch.start_check(using=using, actor=actor)


def start_verification(*, using: str, actor: Actor) -> Verification:
    """Queue a verification for a cluster. Raises NoCluster."""
    clusters.require_alive(using=using)
    return dispatch.start_verification(using=using, actor=actor)
