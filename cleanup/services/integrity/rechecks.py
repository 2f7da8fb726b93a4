"""Start a check when a run has changed folders.

Note [Checked again]. When a run changes folders, the latest check is outdated until there is a later one. So when a run
has ended, been paused or been cancelled, in whatever process, a cluster checks again: after a piece of work, and at the
heartbeat for runs that ended elsewhere. This is decided from stored rows alone, and while one check is pending, no
other is started however many runs end; what ends in the meantime is found when that check ends.
"""

from datetime import UTC, datetime

from django.db.models import DateTimeField, Exists, Subquery, Value
from django.db.models.functions import Coalesce

from cleanup.models import ConsistencyCheck, Run
from cleanup.services.background import dispatch
from cleanup.services.integrity.freshness import runs_after, undone_after
from cleanup.services.runs.lifecycle import Actor

#: The trigger of a check that follows a run.
AFTER_A_RUN = "run"

_LONG_AGO = Value(datetime(1, 1, 2, tzinfo=UTC), output_field=DateTimeField())


def renew(*, using: str) -> ConsistencyCheck | None:
    """Start a check if something was changed since the newest one began, unless one is pending; return it.

    Active runs are waited for. One query if there is nothing to do. See Note [Checked again].
    """
    began = Subquery(ConsistencyCheck.objects.order_by("-id").values("started_at")[:1])
    ended = runs_after(Coalesce(began, _LONG_AGO)).exclude(status__in=Run.IN_PROGRESS)
    undone = undone_after(Coalesce(began, _LONG_AGO))
    waited_for = ConsistencyCheck.objects.filter(ended_at=None)
    changed = Run.objects.using(using).filter(~Exists(waited_for), Exists(ended) | Exists(undone))
    if not changed.exists():
        return None
    return dispatch.start_check(using=using, actor=Actor(how=AFTER_A_RUN))
