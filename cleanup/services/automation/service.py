"""The automated service: what a program, the command, the API and the admin say to the schedules.

It holds no state but the alias. Nothing runs by itself until it is started; starting and stopping are rows, so they
hold for every process, and for those that come later.
"""

from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from cleanup.backends.pinning import pinned_verbs, pinning
from cleanup.models import AutomationState, ConsistencyCheck, Schedule, ScheduledRun
from cleanup.services import origin
from cleanup.services.alerting import alerts
from cleanup.services.arguments import checked_arguments
from cleanup.services.automation import handlers, heartbeat, schedules
from cleanup.services.automation.schedules import Schedules
from cleanup.services.background import clusters
from cleanup.services.facade import DatabaseCleanupService
from cleanup.services.integrity import consistency_check
from cleanup.services.monitoring import status
from cleanup.services.results import JSON


@checked_arguments()
@pinned_verbs()
class AutomatedCleanupService:
    """Start, stop, look at and change what is done by itself on one database alias."""

    def __init__(self, *, using: str = "default") -> None:
        self.using = using

    @property
    def schedules(self) -> Schedules:
        """Return the schedules by name; assigning an attribute of one writes it down."""
        return Schedules(using=self.using)

    def start_automated_service(self, *, started_by: str = "") -> JSON:
        """Let the schedules fire from now on; what is started already stays as it is. Returns the status.

        Raises RestoredCopy.
        """
        origin.refuse_copy(using=self.using)
        return self._switch(started=True, by=started_by)

    def stop_automated_service(self, *, stopped_by: str = "") -> JSON:
        """Let no schedule fire any more; what they have begun goes on to its end. Returns the status."""
        return self._switch(started=False, by=stopped_by)

    def _switch(self, *, started: bool, by: str) -> JSON:
        install(using=self.using)
        with transaction.atomic(using=self.using):
            changed = (
                AutomationState.objects.using(self.using)
                .filter(pk=1)
                .exclude(started=started)
                .update(started=started, changed_at=Now(), changed_by=by[:255])
            )
            if changed:
                schedules.arrange(using=self.using)
            if started:
                clusters.wake(using=self.using)
        return self.get_service_status()

    def adopt_database(self, *, adopted_by: str = "") -> JSON:
        """Make a copy the database in which work is done: its schedules fire, interrupted runs are resumed.

        What its schedules missed meanwhile is not made up for. Returns the status.
        """
        install(using=self.using)
        was_copy = origin.copied(using=self.using) is not None
        with transaction.atomic(using=self.using):
            origin.adopt(using=self.using, by=adopted_by[:255])
            if was_copy:
                Schedule.objects.using(self.using).update(next_run=None)
                schedules.arrange(using=self.using)
            clusters.wake(using=self.using)
        alerts.evaluate_quietly(using=self.using)
        return self.get_service_status()

    def get_service_status(self) -> JSON:
        """Return the status JSON, in seven queries."""
        return status.status(using=self.using)

    def update_schedule(self, name: str, *, changed_by: str = "", **changes: Any) -> Schedule:
        """Change ``enabled``, ``schedule_type``, ``weekday``, ``hour``, ``minute``, limits or ``dry_run_first``.

        Raises UnknownObject, and UsageError for anything else.
        """
        return schedules.update(using=self.using, name=name, by=changed_by, changes=changes)

    def run_schedule(self, name: str, *, started_by: str = "") -> ScheduledRun:
        """Have a cluster do now what a schedule is for. Raises UnknownObject and NoCluster."""
        return heartbeat.run_now(using=self.using, name=name, by=started_by)

    def run_consistency_check(self, *, started_by: str = "", started_how: str = "service") -> JSON:
        """Check now, in this process; the check is stored. Returns the check's JSON."""
        checks = ConsistencyCheck.objects.using(self.using)
        check = checks.create(started_by=started_by[:255], started_how=started_how)
        verify = DatabaseCleanupService(using=self.using).verify_cleanup_integrity
        try:
            answer = consistency_check.perform(check, using=self.using, now=timezone.now(), verify=verify)
        except Exception as error:
            checks.filter(pk=check.pk).update(ended_at=Now(), error=type(error).__name__)
            raise
        handlers.close_finished(using=self.using)
        return answer


def install(*, using: str) -> None:
    """Make the rows that the service stands on, where they are not there yet; what is there stays as it is."""
    with pinning(using=using):
        AutomationState.objects.using(using).bulk_create([AutomationState(pk=1)], ignore_conflicts=True)
        origin.record(using=using)
        schedules.install(using=using)
        clusters.schedule_heartbeat(using=using)
