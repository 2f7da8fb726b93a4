"""Runs that wait for a table whose definition another session is changing.

Since when a run waits is stored with it: in the background it passes from worker to worker every few seconds, and all
of them together wait no longer than ``CLEANUP_THROTTLE_PATIENCE_SECONDS``.
"""

from typing import Any

from django.db.models import Case, DateTimeField, F, QuerySet, Value, When
from django.db.models.functions import Now

from cleanup import conf
from cleanup.models import Run

#: What the run waits for, and why it is paused in the end.
TABLES_LOCKED = "a table is locked by a session that changes its definition"
LOCKED_TOO_LONG = "a table has been locked for too long by a session that changes its definition"

#: The changes of a run that no longer waits for anything else.
NO_OTHER_WAIT: dict[str, Any] = {
    "waiting_for": Case(When(waiting_for=TABLES_LOCKED, then=Value(TABLES_LOCKED)), default=Value("")),
    "waiting_since": Case(
        When(waiting_for=TABLES_LOCKED, then=F("waiting_since")), default=None, output_field=DateTimeField()
    ),
}


def is_too_long(run: Run, *, using: str) -> bool:
    """Record that the run waits for a table, and return whether it has waited for too long."""
    row = _row(run, using)
    row.exclude(waiting_for=TABLES_LOCKED).update(waiting_for=TABLES_LOCKED, waiting_since=Now())
    row.update(heartbeat_at=Now())
    return row.filter(waiting_since__lte=Now() - conf.throttle_patience()).exists()


def end(run: Run, *, using: str) -> None:
    """Record that the tables are free."""
    _row(run, using).filter(waiting_for=TABLES_LOCKED).update(waiting_for="", waiting_since=None)


def _row(run: Run, using: str) -> "QuerySet[Run]":
    return Run.objects.using(using).filter(pk=run.pk)
