"""Runs that nobody works at, though nobody has stopped them: their process was killed in the midst.

A command's run waits for ``--resume``, since a person sits at the shell. A request has no one: its client may be gone,
or waits for an answer that never comes. So a run that a request worked at is handed to the clusters by the heartbeat.
A run that was to pause has nobody left who could, and is paused.
"""

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from cleanup import conf
from cleanup.models import JobLease, Result, Run
from cleanup.services.runs.lifecycle import worker_is_gone

#: How a run was started that no one at a shell will resume.
BY_REQUEST = ("api", "admin")


def left_by_requests(*, using: str) -> list[Run]:
    """Return the runs of requests that nobody works at, in one query where there are none.

    Those with a job lease are found by ``leases.left_behind``. A run that was to pause is paused on the way.
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
    """Return whether nobody works at a run.

    A worker of this machine is known to be gone. Of others, a lease that has not run out says that they are there, and
    so does a sign of life on the run: between two batches a worker holds nothing.
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
