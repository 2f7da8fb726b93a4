"""Runs that no worker is processing although they were not stopped: their process was killed.

A command's run waits for ``--resume``, because a person is at the shell. A request has no one: its client may be gone,
or waits for an answer that never comes. So the heartbeat queues a run of a request for the clusters. A run that was
about to pause has no worker left to do so, and is paused.
"""

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from cleanup import conf
from cleanup.models import JobLease, Result, Run
from cleanup.services.runs.processes import worker_is_gone

#: The triggers of runs that no one at a shell will resume.
BY_REQUEST = ("api", "admin")


def left_by_requests(*, using: str) -> list[Run]:
    """Return the runs of requests that no worker is processing; one query if there are none.

    Those with a job lease are found by ``leases.left_behind``. A run that was about to pause is paused on the way.
    """
    to_pause = Q(status=Run.Status.PAUSING)
    begun = Q(status__in=Run.CLAIMABLE, started_how__in=BY_REQUEST)
    leased = Q(Exists(JobLease.objects.filter(run=OuterRef("pk"))))
    runs = Run.objects.using(using).filter(to_pause | (begun & ~leased))
    left = [run for run in runs.order_by("created_at") if is_unattended(run, using=using)]
    paused = [run.pk for run in left if run.status == Run.Status.PAUSING]
    if paused:
        Run.objects.using(using).filter(to_pause, pk__in=paused).move_to(Run.Status.PAUSED)
    return [run for run in left if run.pk not in paused]


def is_unattended(run: Run, *, using: str) -> bool:
    """Return whether no worker is processing a run.

    A worker of this machine is known to be gone. Others count as present by a lease that has not expired, or by a
    recent sign of life of the run: between two batches a worker holds nothing.
    """
    results = Result.objects.using(using).filter(run=run, status=Result.Status.IN_PROGRESS)
    workers = set(results.order_by().values_list("worker", flat=True).distinct())
    gone = set(filter(worker_is_gone, workers))
    if results.filter(worker__in=workers - gone, lease_expires_at__gt=Now()).exists():
        return False
    return bool(gone) or _is_silent(run, using=using)


def _is_silent(run: Run, *, using: str) -> bool:
    since = Now() - conf.lease()
    silent = Q(created_at__lte=since)
    for name in ("started_at", "resumed_at", "heartbeat_at"):
        silent &= Q(**{name: None}) | Q(**{f"{name}__lte": since})
    return Run.objects.using(using).filter(silent, pk=run.pk).exists()
