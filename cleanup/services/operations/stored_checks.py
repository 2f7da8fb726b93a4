"""Checks that are stored, and what is left to the clusters: checks by schedule, on request, and after a run."""

from dataclasses import replace

from django.db.models.functions import Now

from cleanup.models import ConsistencyCheck, Schedule, Verification
from cleanup.references import schema_changes
from cleanup.services import freeze
from cleanup.services.background import clusters, dispatch
from cleanup.services.integrity import freshness, rechecks
from cleanup.services.integrity.check_notes import Notes
from cleanup.services.integrity.outlook import NOTED
from cleanup.services.operations.checks import check, verify
from cleanup.services.results import CheckReport
from cleanup.services.runs import late_arrivals
from cleanup.services.runs.lifecycle import Actor


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
    if not after_a_run and not freeze.is_frozen(using=using) and late_arrivals.are_possible(using=using):
        arrived = sum(
            late_arrivals.LateArrivals(using=using, references=schema_changes.read(using=using)).sweep().values()
        )
    at_most = None
    if stored.started_how == "schedule":
        at_most = Schedule.objects.using(using).get(pk=Schedule.Name.CONSISTENCY_CHECK).max_applications
    notes = Notes()
    report = replace(check(using=using, at_most=at_most, notes=notes), late_arrivals=arrived)
    summary = report.as_json() | {NOTED: notes.as_json(using=using)}
    ConsistencyCheck.objects.using(using).filter(pk=stored.pk).update(
        ended_at=Now(),
        duplicate_applications=report.duplicate_applications_found,
        waiting_applications=report.waiting_for_decision,
        late_arrivals=arrived,
        needs_cleanup=report.needs_cleanup,
        alert_threshold_exceeded=report.alert_threshold_exceeded,
        summary=summary,
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
