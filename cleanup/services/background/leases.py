"""Leases of background work: it is done in bounded pieces, each requeued for the next delivery.

Note [Slots, tokens, leases]. A job lease is a row: a worker's slot at one job, with a token for the one delivery that
is expected. A task brings the token; acquiring the lease exchanges it for a new one in a conditional UPDATE, so of any
number of deliveries one works and the others do nothing. The holder renews the lease while it works; at its end the
lease is requeued or ended. A lease that expires, because its worker was killed or its delivery was lost, is issued
again by the heartbeat: a worker that still has the old token can no longer record anything. Correctness does not depend
on this, because a run's applications are claimed one by one under leases of their own.

Note [Busy clusters fetch ahead]. A cluster takes a delivery or two into its memory that it has no worker for, while
another one is idle. So a delivery that no worker has taken after some seconds is repeated by active workers, a few
times at growing intervals; the one that was fetched is then worthless, and costs a query.
"""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.models import F, Model, Q, QuerySet
from django.db.models.functions import Now

from cleanup import conf
from cleanup.backends.pinning import pinning
from cleanup.models import JobLease, Run
from cleanup.retry_limits import MAX_DELIVERIES
from cleanup.services.background import clusters
from cleanup.services.runs.processes import worker_is_gone

#: Seconds between renewals of a held lease, each of which looks for leases that no one has acquired.
RENEW_EVERY = 2.0

#: Timeout for work that cannot be split, in seconds; the clusters' own timeout is meant for short tasks.
LONG_TIMEOUT = 6 * 3600


def issue(*, using: str, kind: JobLease.Kind, target: Model, slot: int = 0) -> None:
    """Have a cluster acquire a lease, as soon as what is written is committed; a held lease continues."""
    run = target if isinstance(target, Run) else None
    lease, created = JobLease.objects.using(using).get_or_create(
        kind=kind, target=str(target.pk), slot=slot, defaults={"run": run, "lease_expires_at": Now() + _patience()}
    )
    if created:
        _deliver(lease, using=using)
    elif lease.ended_at is not None or lease.taken_at is None:
        reissue(lease, using=using)


def reissue(lease: JobLease, *, using: str, requeued: bool = False) -> bool:
    """Enqueue a delivery that makes all others worthless; return False if the token has changed in the meantime."""
    token = uuid.uuid4()
    progress = {"attempts": 0, "deliveries": 1} if requeued else {"deliveries": F("deliveries") + 1}
    changed = (
        JobLease.objects.using(using)
        .filter(pk=lease.pk, token=lease.token)
        .update(
            token=token,
            issued_at=Now(),
            taken_at=None,
            ended_at=None,
            worker="",
            lease_expires_at=Now() + _patience(),
            **progress,
        )
    )
    if changed:
        lease.token = token
        _deliver(lease, using=using)
    return bool(changed)


def _deliver(lease: JobLease, *, using: str) -> None:
    timeout = None if lease.kind == JobLease.Kind.RUN else LONG_TIMEOUT
    clusters.enqueue(clusters.TICK, using, lease.pk, str(lease.token), using=using, timeout=timeout)


def _patience() -> timedelta:
    """Return how long a delivery may wait, or a worker be silent, until it counts as lost."""
    return conf.tick() * 2


def left_behind(*, using: str) -> tuple[list[JobLease], list[Run]]:
    """Return the leases whose delivery or worker is lost, and the runs that should continue but have no lease left.

    In one query. Only runs that were started in the background count.
    """
    going_on = Q(run__status__in=Run.CLAIMABLE)
    rows = JobLease.objects.using(using).filter(going_on | Q(ended_at=None)).select_related("run").annotate(now=Now())
    leases = list(rows.order_by("pk"))
    lost: list[JobLease] = [lease for lease in leases if lease.ended_at is None and _is_lost(lease, now=lease.now)]
    leased = {lease.run_id for lease in leases if lease.ended_at is None}
    abandoned = {lease.run.pk: lease.run for lease in leases if lease.run is not None and lease.run_id not in leased}
    return lost, list(abandoned.values())


def _is_lost(lease: JobLease, *, now: datetime) -> bool:
    return lease.lease_expires_at <= now or worker_is_gone(lease.worker)


def acquire(*, using: str, lease_id: int, token: str) -> "HeldLease | None":
    """Acquire the lease if this delivery is the expected one; otherwise return None."""
    rows = JobLease.objects.using(using)
    lease = rows.filter(pk=lease_id, token=token, ended_at=None, taken_at=None).first()
    if lease is None:
        return None
    new = uuid.uuid4()
    taken = rows.filter(pk=lease_id, token=token).update(
        token=new,
        taken_at=Now(),
        worker=clusters.this_worker(),
        attempts=F("attempts") + 1,
        deliveries=0,
        lease_expires_at=Now() + _patience(),
    )
    lease.token, lease.attempts = new, lease.attempts + 1
    return HeldLease(lease, using=using) if taken else None


class HeldLease:
    """A job lease that this process has acquired."""

    def __init__(self, row: JobLease, *, using: str) -> None:
        self.row = row
        self.using = using
        self.target = row.target
        self.attempts = row.attempts
        self._renewed = time.monotonic()

    def renew_if_due(self) -> None:
        """Between batches, every few seconds: renew the lease, and issue others again that were lost."""
        if time.monotonic() - self._renewed < RENEW_EVERY:
            return
        self._renewed = time.monotonic()
        with transaction.atomic(using=self.using):
            self._renew()
            clusters.beat(using=self.using)
            for other in self._others().filter(deliveries__lt=MAX_DELIVERIES).annotate(now=Now()):
                waits = other.taken_at is None and other.now - other.issued_at >= timedelta(seconds=2**other.deliveries)
                if waits or _is_lost(other, now=other.now):
                    reissue(other, using=self.using)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease from a thread, during work that has no pauses for that."""
        over = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(over,), name="keeper", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()

    def _keep(self, over: threading.Event) -> None:
        try:
            with pinning(using=self.using):
                self._keep_until(over)
        finally:
            connections[self.using].close()

    def _keep_until(self, over: threading.Event) -> None:
        while not over.wait(conf.tick().total_seconds() / 2):
            with suppress(DatabaseError, InterfaceError):  # perhaps the next time; otherwise the lease expires
                self._renew()
                clusters.beat(using=self.using)

    def is_shared(self) -> bool:
        """Return whether another worker holds the same lease."""
        others = self._others().exclude(taken_at=None).annotate(now=Now())
        return any(not _is_lost(other, now=other.now) for other in others)

    def requeue(self) -> None:
        """Have the work continued by another delivery."""
        with transaction.atomic(using=self.using):
            reissue(self.row, using=self.using, requeued=True)

    def end(self) -> None:
        """End the lease for good."""
        self._own().update(ended_at=Now(), attempts=0, token=uuid.uuid4())

    def _renew(self) -> None:
        self._own().update(lease_expires_at=Now() + _patience())

    def _own(self) -> "QuerySet[JobLease]":
        return JobLease.objects.using(self.using).filter(pk=self.row.pk, token=self.row.token)

    def _others(self) -> "QuerySet[JobLease]":
        rows = JobLease.objects.using(self.using).filter(kind=self.row.kind, target=self.target, ended_at=None)
        return rows.exclude(pk=self.row.pk)
