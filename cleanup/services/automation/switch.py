"""The switch of the schedules: start, stop, and adopt a copy. Nothing runs automatically until it is started."""

from django.db import transaction
from django.db.models.functions import Now

from cleanup.backends.pinning import pinning
from cleanup.models import AutomationState, Schedule
from cleanup.services import origin
from cleanup.services.alerting import alerts
from cleanup.services.automation import schedules
from cleanup.services.background import clusters


def start(*, using: str, started_by: str = "") -> None:
    """Let the schedules fire from now on; do nothing if the service is already started.

    Raises RestoredCopy, and MissingApp where there can be no cluster.
    """
    origin.refuse_copy(using=using)
    clusters.require_app("The automated service")
    _switch(using=using, started=True, changed_by=started_by)


def stop(*, using: str, stopped_by: str = "") -> None:
    """Let no schedule fire any more; work that has begun is finished."""
    _switch(using=using, started=False, changed_by=stopped_by)


def adopt(*, using: str, adopted_by: str = "") -> None:
    """Adopt a copy: its schedules fire, and interrupted runs are resumed.

    What its schedules missed in the meantime is not made up for.
    """
    install(using=using)
    was_copy = origin.copied(using=using) is not None
    with transaction.atomic(using=using):
        origin.adopt(using=using, by=adopted_by[:255])
        if was_copy:
            Schedule.objects.using(using).update(next_run=None)
            schedules.arrange(using=using)
        clusters.wake(using=using)
    alerts.evaluate_quietly(using=using)


def install(*, using: str) -> None:
    """Create the missing rows of the service; existing ones stay as they are."""
    with pinning(using=using):
        AutomationState.objects.using(using).bulk_create([AutomationState(pk=1)], ignore_conflicts=True)
        origin.record(using=using)
        schedules.install(using=using)
        clusters.schedule_heartbeat(using=using)


def _switch(*, using: str, started: bool, changed_by: str) -> None:
    install(using=using)
    with transaction.atomic(using=using):
        changed = (
            AutomationState.objects.using(using)
            .filter(pk=1)
            .exclude(started=started)
            .update(started=started, changed_at=Now(), changed_by=changed_by[:255])
        )
        if changed:
            schedules.arrange(using=using)
        if started:
            clusters.wake(using=using)
