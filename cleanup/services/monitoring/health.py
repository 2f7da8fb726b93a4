"""The health check, from stored rows, so that a dead cluster is noticed without its help."""

import logging

from django.db import DatabaseError, InterfaceError

from cleanup import backends
from cleanup.backends.pinning import batch
from cleanup.models import Alert
from cleanup.services.errors import classify
from cleanup.services.monitoring.status import status as status_of
from cleanup.services.results import HealthReport, HealthVerdict

logger = logging.getLogger(__name__)

#: Milliseconds that a statement may take. The queries here take a few, unless something is wrong.
PATIENCE_MS = 800


def health(*, using: str) -> HealthVerdict:
    """Return ``ok`` and why: the database answers, and if the service is started, a cluster works and nothing is late.

    Alerts are reported, but change nothing: they are about the data, not about the service.
    """
    try:
        backend = backends.database(using=using)
        with batch(backend, session_name="cleanup health", writing=False):
            backend.limit_statements(PATIENCE_MS)
            status = status_of(using=using)
            alerts = Alert.objects.using(using).filter(state__in=Alert.UNRESOLVED)
            critical = alerts.filter(severity=Alert.Severity.CRITICAL).count()
    except (DatabaseError, InterfaceError) as error:
        found = classify(error)
        logger.error("unhealthy: %s", found.message, extra={"event": "unhealthy", "code": found.code})  # noqa: TRY400  # its text quotes what it may not
        return HealthVerdict(ok=False, database=found.code)
    overdue = tuple(sorted(name for name, schedule in status.schedules.items() if schedule.overdue))
    return HealthReport(
        ok=(status.running or not status.started) and not overdue,
        database="ok",
        started=status.started,
        running=status.running,
        frozen=status.frozen,
        heartbeat_at=status.heartbeat_at,
        overdue=overdue,
        critical_alerts=critical,
    )
