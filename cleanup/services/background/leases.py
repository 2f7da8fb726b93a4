"""Ticks: background work in bounded pieces, each handed on to the next delivery.

Note [Seats, tokens, leases]. A tick is a row: a seat at one piece of work, with a token for the one delivery that is
expected. A task brings the token; taking the seat exchanges it for a new one in a conditional UPDATE, so of any number
of deliveries one works and the others do nothing. Whoever works holds a lease, renewed as it goes on; at its end the
seat is issued anew, or ended. A seat whose lease ran out, because its worker was killed or its delivery got lost, is
issued anew by the heartbeat: whatever is underway with the old token has no say any more. Correctness does not hang on
any of this, for a run's applications are claimed one by one under leases of their own.

Note [Busy clusters fetch ahead]. A cluster takes a delivery or two into its memory that it has no worker for, while
another one is idle. So a delivery that nobody has taken after some seconds is made again by those at work, a few times
at growing distances; the one that was fetched is then worth nothing, and costs a query.
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
from cleanup.models import Run, Tick
from cleanup.services.background import clusters
from cleanup.services.runs.lifecycle import worker_is_gone

#: Seconds between looks at the own seat, and at those that nobody has taken.
LOOK_EVERY = 2.0

#: Deliveries of a waiting seat, beyond which only the heartbeat makes another one.
DELIVERIES = 5

#: What work that cannot be handed on may take, in seconds; the clusters' own timeout is about short tasks.
LONG_TIMEOUT = 6 * 3600


def issue(*, using: str, kind: Tick.Kind, target: Model, seat: int = 0) -> None:
    """Have a seat taken by a cluster, as soon as what is written is committed; whoever sits in it goes on."""
    run = target if isinstance(target, Run) else None
    tick, created = Tick.objects.using(using).get_or_create(
        kind=kind, target=str(target.pk), seat=seat, defaults={"run": run, "lease_expires_at": Now() + _patience()}
    )
    if created:
        _deliver(tick, using=using)
    elif tick.ended_at is not None or tick.taken_at is None:
        reissue(tick, using=using)


def reissue(tick: Tick, *, using: str, handed_on: bool = False) -> bool:
    """Enqueue a delivery that makes all others worthless; return False where the token has changed meanwhile."""
    token = uuid.uuid4()
    progress = {"attempts": 0, "deliveries": 1} if handed_on else {"deliveries": F("deliveries") + 1}
    changed = (
        Tick.objects.using(using)
        .filter(pk=tick.pk, token=tick.token)
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
        tick.token = token
        _deliver(tick, using=using)
    return bool(changed)


def _deliver(tick: Tick, *, using: str) -> None:
    timeout = None if tick.kind == Tick.Kind.RUN else LONG_TIMEOUT
    clusters.enqueue(clusters.TICK, using, tick.pk, str(tick.token), using=using, timeout=timeout)


def _patience() -> timedelta:
    """Return how long a delivery may wait, or a worker be silent, until it counts as lost."""
    return conf.tick() * 2


def left_behind(*, using: str) -> tuple[list[Tick], list[Run]]:
    """Return the seats whose delivery or worker is lost, and the runs that ought to go on and have no seat left.

    In one query. Of runs, those count that were begun in the background.
    """
    going_on = Q(run__status__in=[Run.Status.PENDING, Run.Status.RUNNING])
    seats = Tick.objects.using(using).filter(going_on | Q(ended_at=None)).select_related("run").annotate(now=Now())
    found = list(seats.order_by("pk"))
    lost: list[Tick] = [seat for seat in found if seat.ended_at is None and _is_lost(seat, now=seat.now)]
    seated = {seat.run_id for seat in found if seat.ended_at is None}
    abandoned = {seat.run.pk: seat.run for seat in found if seat.run is not None and seat.run_id not in seated}
    return lost, list(abandoned.values())


def _is_lost(seat: Tick, *, now: datetime) -> bool:
    return seat.lease_expires_at <= now or worker_is_gone(seat.worker)


def take(*, using: str, tick_id: int, token: str) -> "Seat | None":
    """Take the seat, if this delivery is the one that is expected."""
    ticks = Tick.objects.using(using)
    tick = ticks.filter(pk=tick_id, token=token, ended_at=None, taken_at=None).first()
    if tick is None:
        return None
    new = uuid.uuid4()
    taken = ticks.filter(pk=tick_id, token=token).update(
        token=new,
        taken_at=Now(),
        worker=clusters.this_worker(),
        attempts=F("attempts") + 1,
        deliveries=0,
        lease_expires_at=Now() + _patience(),
    )
    tick.token, tick.attempts = new, tick.attempts + 1
    return Seat(tick, using=using) if taken else None


class Seat:
    """A tick that this process has taken."""

    def __init__(self, tick: Tick, *, using: str) -> None:
        self.tick = tick
        self.using = using
        self.target = tick.target
        self.attempts = tick.attempts
        self._looked = time.monotonic()

    def look(self) -> None:
        """Between batches, every few seconds: renew the lease, and have seats handed out again that nobody works in."""
        if time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked = time.monotonic()
        with transaction.atomic(using=self.using):
            self._renew()
            clusters.beat(using=self.using)
            for other in self._others().filter(deliveries__lt=DELIVERIES).annotate(now=Now()):
                waits = other.taken_at is None and other.now - other.issued_at >= timedelta(seconds=2**other.deliveries)
                if waits or _is_lost(other, now=other.now):
                    reissue(other, using=self.using)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease from a thread, beside work that has no pauses to do so."""
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
            with suppress(DatabaseError, InterfaceError):  # the next time, perhaps; else the lease runs out
                self._renew()
                clusters.beat(using=self.using)

    def is_shared(self) -> bool:
        """Tell whether somebody else works at the same."""
        others = self._others().exclude(taken_at=None).annotate(now=Now())
        return any(not _is_lost(other, now=other.now) for other in others)

    def hand_on(self) -> None:
        """Have the work go on with another delivery."""
        with transaction.atomic(using=self.using):
            reissue(self.tick, using=self.using, handed_on=True)

    def end(self) -> None:
        """Leave the seat for good."""
        self._own().update(ended_at=Now(), attempts=0, token=uuid.uuid4())

    def _renew(self) -> None:
        self._own().update(lease_expires_at=Now() + _patience())

    def _own(self) -> "QuerySet[Tick]":
        return Tick.objects.using(self.using).filter(pk=self.tick.pk, token=self.tick.token)

    def _others(self) -> "QuerySet[Tick]":
        ticks = Tick.objects.using(self.using).filter(kind=self.tick.kind, target=self.target, ended_at=None)
        return ticks.exclude(pk=self.tick.pk)
