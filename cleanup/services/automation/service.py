"""The automated service, through which programs, the command, the API and the admin control the schedules.

It holds no state but the alias. Nothing runs automatically until it is started; starting and stopping are stored in
rows, so they apply to every process, also to later ones.
"""

from typing import Any

from cleanup.backends.pinning import pinned_verbs
from cleanup.models import Schedule, ScheduledRun
from cleanup.services.arguments import checked_arguments
from cleanup.services.automation import approvals, handlers, heartbeat, schedules, switch
from cleanup.services.automation.schedules import Schedules
from cleanup.services.monitoring import status
from cleanup.services.operations import stored_checks
from cleanup.services.results import JSON


@checked_arguments()
@pinned_verbs()
class AutomatedCleanupService:
    """Start, stop, inspect and change what runs automatically on one database alias."""

    def __init__(self, *, using: str = "default") -> None:
        self.using = using

    @property
    def schedules(self) -> Schedules:
        """Return the schedules by name; assigning an attribute of one stores it."""
        return Schedules(using=self.using)

    def start_automated_service(self, *, started_by: str = "") -> JSON:
        """Let the schedules fire from now on; do nothing if the service is already started. Returns the status.

        Raises RestoredCopy.
        """
        switch.start(using=self.using, started_by=started_by)
        return self.get_service_status()

    def stop_automated_service(self, *, stopped_by: str = "") -> JSON:
        """Let no schedule fire any more; work that has begun is finished. Returns the status."""
        switch.stop(using=self.using, stopped_by=stopped_by)
        return self.get_service_status()

    def adopt_database(self, *, adopted_by: str = "") -> JSON:
        """Adopt a copy: its schedules fire, and interrupted runs are resumed.

        What its schedules missed in the meantime is not made up for. Returns the status.
        """
        switch.adopt(using=self.using, adopted_by=adopted_by)
        return self.get_service_status()

    def get_service_status(self) -> JSON:
        """Return the status JSON, in seven queries."""
        return status.status(using=self.using).as_json()

    def update_schedule(self, name: str, *, changed_by: str = "", **changes: Any) -> Schedule:
        """Change ``enabled``, ``schedule_type``, ``weekday``, ``hour``, ``minute``, limits or ``dry_run_first``.

        Raises UnknownObject, and UsageError for anything else.
        """
        return schedules.update(using=self.using, name=name, by=changed_by, changes=changes)

    def run_schedule(self, name: str, *, started_by: str = "") -> ScheduledRun:
        """Have a cluster run a schedule now. Raises UnknownObject and NoCluster."""
        return heartbeat.run_now(using=self.using, name=name, by=started_by)

    def approve_scheduled_run(self, scheduled_run_id: int, *, approved_by: str = "", reason: str = "") -> ScheduledRun:
        """Have a cluster begin a cleanup that waits for approval.

        Raises UnknownObject, NotWaiting, Busy, Frozen, NoCluster and PreflightFailed.
        """
        return approvals.approve(using=self.using, scheduled_run_id=scheduled_run_id, by=approved_by, reason=reason)

    def decline_scheduled_run(self, scheduled_run_id: int, *, declined_by: str = "", reason: str = "") -> ScheduledRun:
        """End a cleanup that waits for approval. Raises UnknownObject and NotWaiting."""
        return approvals.decline(using=self.using, scheduled_run_id=scheduled_run_id, by=declined_by, reason=reason)

    def run_consistency_check(self, *, started_by: str = "", started_how: str = "service") -> JSON:
        """Check now, in this process; the check is stored. Returns the check's JSON."""
        report = stored_checks.check_and_store(using=self.using, started_by=started_by, started_how=started_how)
        handlers.close_finished(using=self.using)
        return report.as_json()


#: The service of the default database; ``AutomatedCleanupService(using=alias)`` serves another.
automated_cleanup_service = AutomatedCleanupService()
