"""What we know about django-q2's clusters, and how work is queued for them.

django-q2 only wakes us. It delivers at least once, counts no attempts when a worker is killed, and may look alive while
it hangs. So a cluster is alive if one of its workers has recently done a task of ours, by the database's clock, and
nothing here relies on a task being delivered exactly once, or at all. A project without django-q2 among its apps has no
clusters, and can do everything else.
"""

import ast
import logging
import multiprocessing
import os
import platform
import time
from collections.abc import Iterator
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.db import connections, router, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.module_loading import import_string

from cleanup import conf
from cleanup.exceptions import MissingApp, NoCluster
from cleanup.models import Heartbeat
from cleanup.retry_limits import FORWARDS_EACH, MAX_FORWARDS
from cleanup.services import origin
from cleanup.services.runs.processes import worker_is_gone

logger = logging.getLogger(__name__)

#: The tasks, by dotted path, because services cannot import them.
TICK = "cleanup.tasks.tick"
HEARTBEAT = "cleanup.tasks.heartbeat"
SIGN_OF_LIFE = "cleanup.tasks.sign_of_life"

#: Pause before it is forwarded.
FORWARD_DELAY_SECONDS = 1.0

#: How old a cluster's own sign of life gets before a task writes another one.
BEAT_EVERY = timedelta(seconds=5)

#: How old it is when the cluster is asked for another one: it may have had nothing to do.
QUIET_AFTER = timedelta(seconds=30)

#: For how many times the patience with a cluster it is asked, and until it is forgotten.
ASKED_FOR, FORGOTTEN_AFTER = 2, 4


def enqueue(task: str, *arguments: Any, using: str, timeout: int | None = None) -> None:
    """Queue a task for the clusters after the commit.

    If that fails, or the process ends in between, the heartbeat finds what was not queued. ``timeout``, in seconds,
    replaces the cluster's own.
    """
    options: dict[str, Any] = {"save": False, "ack_failure": True, "group": "cleanup"}
    if timeout is not None:
        options["timeout"] = timeout
    transaction.on_commit(lambda: _hand_over(task, arguments, options), using=using)


def _hand_over(task: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    try:
        import_string("django_q.tasks.async_task")(task, *arguments, q_options=options)
    except Exception:  # whatever the broker raises: the work itself is in the database, and is found there
        logger.exception("a task could not be queued; the heartbeat will queue it again")


def alive(*, using: str) -> bool:
    """Return whether a cluster has recently given a sign of life."""
    return fresh().using(using).exists()


def fresh() -> QuerySet[Heartbeat]:
    """Return the clusters that have recently given a sign of life."""
    return Heartbeat.objects.filter(beat_at__gt=Now() - conf.heartbeat_patience())


def require_alive(*, using: str) -> None:
    """Raise NoCluster, MissingApp, or RestoredCopy if no cluster would process what is enqueued."""
    origin.refuse_copy(using=using)
    if alive(using=using):
        return
    require_app("The background")
    raise NoCluster


def require_app(what: str) -> None:
    """Raise MissingApp if what relies on clusters cannot be used in this project."""
    if not apps.is_installed("django_q"):
        raise MissingApp(what=what, app="django_q")


def beat(*, using: str) -> None:
    """Write the sign of life of the cluster whose worker this process is; do nothing elsewhere."""
    if multiprocessing.parent_process() is None:
        return
    cluster = this_cluster()
    beats = Heartbeat.objects.using(using)
    own = beats.filter(pk=cluster)
    if own.filter(beat_at__lte=Now() - BEAT_EVERY).update(beat_at=Now()) or own.exists():
        return
    beats.bulk_create([Heartbeat(cluster=cluster, host=platform.node())], ignore_conflicts=True)


def ping_clusters(*, using: str) -> None:
    """Ask the clusters that were recently alive for a sign of life, and forget those that are gone.

    The heartbeat runs in any one of them. Clusters of this machine are known to be gone at once, others when they have
    been silent for a while.
    """
    quiet, gone, forgotten = 0, [], FORGOTTEN_AFTER * conf.heartbeat_patience()
    beats = Heartbeat.objects.using(using)
    for beat in beats.exclude(pk=this_cluster()).annotate(now=Now()):
        silent = beat.now - beat.beat_at
        if silent >= forgotten or worker_is_gone(beat.cluster):
            gone.append(beat.pk)
        elif QUIET_AFTER <= silent < ASKED_FOR * conf.heartbeat_patience():
            quiet += 1
    if gone:
        beats.filter(pk__in=gone).delete()
    if quiet:
        enqueue(SIGN_OF_LIFE, using, min(MAX_FORWARDS, FORWARDS_EACH * (quiet + 1)), using=using)


def handle_ping(*, using: str, forwards: int) -> None:
    """Give a sign of life, and forward the request while others have not: no cluster can be addressed."""
    beat(using=using)
    recent = Now() - ASKED_FOR * conf.heartbeat_patience()
    quiet = Heartbeat.objects.using(using).filter(beat_at__gt=recent, beat_at__lte=Now() - QUIET_AFTER)
    if forwards > 1 and quiet.exclude(pk=this_cluster()).exists():
        time.sleep(FORWARD_DELAY_SECONDS)  # or this cluster, being awake, would be the next to get it
        enqueue(SIGN_OF_LIFE, using, forwards - 1, using=using)


def this_cluster() -> str:
    """Return the name of the cluster of which this process is a worker: its parent is the guard."""
    return f"{platform.node()}:{os.getppid()}"


def this_worker() -> str:
    """Return the name of this process."""
    return f"{platform.node()}:{os.getpid()}"


# django-q2's own schedules, one of which is ours.


def wake(*, using: str) -> None:
    """Have a cluster run the heartbeat now, and once a minute from now on."""
    if schedule_heartbeat(using=using):
        enqueue(HEARTBEAT, using, using=using)


def schedule_heartbeat(*, using: str) -> bool:
    """Create or repair the one django-q2 schedule on which everything depends; False without its table."""
    schedules = _cluster_schedules()
    if schedules is None:
        return False
    wanted = {
        "func": HEARTBEAT,
        "args": f"{using!r},",
        "kwargs": "q_options={'save': False, 'ack_failure': True, 'group': 'cleanup'}",
        "schedule_type": "I",
        "minutes": 1,
        "repeats": -1,
    }
    rows = list(schedules.filter(name=_heartbeat_name(using)).order_by("pk"))
    if not rows:
        schedules.create(name=_heartbeat_name(using), next_run=timezone.now(), **wanted)
        return True
    schedules.filter(pk__in=[row.pk for row in rows[1:]]).delete()
    if rows[0].next_run is None:
        wanted["next_run"] = timezone.now()
    if any(getattr(rows[0], name) != value for name, value in wanted.items()):
        schedules.filter(pk=rows[0].pk).update(**wanted)
    return True


def unreadable_schedules() -> list[int]:
    """Return the ids of django-q2's schedules that its scheduler fails on: it skips all that follow one of them."""
    schedules = _cluster_schedules()
    return [] if schedules is None else list(_unreadable(schedules.exclude(repeats=0).exclude(next_run=None)))


def _unreadable(rows: Any) -> Iterator[int]:
    for row in rows:
        try:
            ast.literal_eval(row.args or "()")
            kwargs = ast.literal_eval(row.kwargs) if row.kwargs else {}
            readable = isinstance(kwargs, dict)
        except (SyntaxError, ValueError, TypeError, MemoryError):
            # It also reads another form of keyword arguments, and ignores invalid ones.
            readable = _reads(row.args)
        if not readable or (row.schedule_type == "C" and find_spec("croniter") is None):
            yield row.pk


def _reads(args: str | None) -> bool:
    try:
        ast.literal_eval(args or "()")
    except (SyntaxError, ValueError, TypeError, MemoryError):
        return False
    return True


def _heartbeat_name(using: str) -> str:
    return f"cleanup heartbeat ({using})"


def _cluster_schedules() -> Any:
    """Return django-q2's schedules, or None without its table."""
    if not apps.is_installed("django_q"):
        return None
    model = apps.get_model("django_q", "Schedule")
    alias = router.db_for_write(model)
    if model._meta.db_table not in connections[alias].introspection.table_names():
        return None
    return model._base_manager.using(alias)
