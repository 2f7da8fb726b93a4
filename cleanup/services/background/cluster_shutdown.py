"""Remove a cluster's heartbeat when the cluster ends.

The last of a cluster's processes to end is its monitor, which learns of every task that was done. It records in which
databases the cluster has given signs of life. A cluster that is killed removes nothing, and is forgotten by the
heartbeat, see ``clusters.forget_dead``.
"""

import logging
import multiprocessing
import signal
import sys
from collections.abc import Mapping
from multiprocessing.util import Finalize
from typing import Any

from django.db import DatabaseError, InterfaceError, connections
from django.utils.module_loading import import_string

from cleanup.models import Heartbeat
from cleanup.services.background import clusters

logger = logging.getLogger(__name__)

_seen: set[str] = set()


def connect() -> None:
    """Connect to the signals of a cluster's monitor, in whichever process becomes it."""
    import_string("django_q.signals.post_execute").connect(_note, dispatch_uid="cleanup farewell")


def _note(*, task: Mapping[str, Any], **_: Any) -> None:
    """Record the database that one of our tasks worked on."""
    if multiprocessing.parent_process() is None or not str(task.get("func")).startswith("cleanup.tasks."):
        return  # not in a cluster, if tests run tasks at once, or not one of our tasks
    using = str(next(iter(task.get("args") or ()), ""))
    if using not in connections or using in _seen:
        return
    _seen.add(using)
    Finalize(None, _leave, args=(using, clusters.this_cluster()), exitpriority=1)
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # process managers send it to all of a cluster's processes
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def _leave(using: str, cluster: str) -> None:
    try:
        Heartbeat.objects.using(using).filter(pk=cluster).delete()
    except (DatabaseError, InterfaceError):
        logger.warning("the cluster could not remove its heartbeat; another one will")
