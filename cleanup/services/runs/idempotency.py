"""Carry out a request that is sent twice with one key only once, and answer both times with the first answer.

Note [One key, one answer]. What takes a moment is done ``at_once``: key, changes and answer are one transaction, the
key first, so of two requests with one key the database lets one through and makes the other wait for it; whatever ends
the process leaves all of it or nothing. What takes longer is ``claimed``: the key is committed before the work, with
the run that the work is kept in, if there is one; the answer follows. While the first request is running, others wait a
moment and are then refused; if its process has died, the next one takes its place, and continues the same run. A
refused request leaves no key behind, unless its run can still continue.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from django.db import DatabaseError, IntegrityError, InterfaceError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from cleanup.backends.pinning import pinning
from cleanup.exceptions import InProgress, KeyReused
from cleanup.models import IdempotencyKey, Run
from cleanup.services.concurrency.retry import retry_lock_conflicts
from cleanup.services.runs import lifecycle

T = TypeVar("T")

#: How long a request waits for the answer of another one with the same key.
PATIENCE = timedelta(seconds=5)
_LOOK_EVERY = timedelta(milliseconds=100)

#: How long a request without a run counts as running: it changes nothing that could not be done twice.
LEASE = timedelta(minutes=10)
#: How long one with a run does, before we check whether a worker is processing the run.
LEASE_WITH_RUN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """A request with a key, and how its answer is stored and loaded."""

    account: str
    key: str
    digest: str
    """Of the whole request."""
    write: Callable[[T], str]
    read: Callable[[str], T]


def at_once(asked: Asked[T] | None, act: Callable[[], T], *, using: str) -> T:
    """Carry out the request in one transaction, or return the first answer. Raises KeyReused, and what ``act`` raises.

    ``act`` is repeated if it yields to others' locks. Here and below, a request without a key is simply carried out.
    """
    if asked is None:
        return act()

    def attempt() -> T | None:
        with transaction.atomic(using=using):
            row = _insert(asked, using=using)
            if row is None:
                return None
            answer = act()
            row.answer = asked.write(answer)
            row.save(using=using, update_fields=["answer"])
            return answer

    with pinning(using=using):
        while True:
            answer = retry_lock_conflicts(attempt, using=using)
            if answer is not None:
                return answer
            earlier = _find(asked, using=using)
            if earlier is not None:
                return _answer_of(earlier, asked)


def claimed(asked: Asked[T] | None, act: Callable[[], T], *, using: str) -> T:
    """Carry out the request, or return the first answer. Raises KeyReused, InProgress, and what ``act`` raises."""
    if asked is None:
        return act()
    return _claimed(asked, lambda _: act(), using=using, start=None)


def claimed_with(asked: Asked[T] | None, start: Callable[[], Run], act: Callable[[Run], T], *, using: str) -> T:
    """Carry out the request with a run, or return the first answer; raises as ``claimed``.

    ``start`` writes the run, in the transaction of the key. ``act`` receives it, or the run that an interrupted request
    was processing.
    """
    if asked is None:
        return act(start())
    return _claimed(asked, lambda row: act(row.run or start()), using=using, start=start)


def _claimed(asked: Asked[T], act: Callable[[IdempotencyKey], T], *, using: str, start: Callable[[], Run] | None) -> T:
    with pinning(using=using):
        row = _claim(asked, using=using, start=start)
        if row.answer is not None:
            return asked.read(row.answer)
        try:
            answer = act(row)
        except Exception:
            _free(row, using=using)
            raise
        IdempotencyKey.objects.using(using).filter(pk=row.pk).update(answer=asked.write(answer))
        return answer


def _claim(asked: Asked[T], *, using: str, start: Callable[[], Run] | None) -> IdempotencyKey:
    """Return the row of the key: with an answer, or ours to answer. Raises KeyReused and InProgress."""

    def attempt() -> IdempotencyKey | None:
        with transaction.atomic(using=using):
            row = _insert(asked, using=using)
            if row is not None and start is not None:
                row.run = start()
                row.save(using=using, update_fields=["run"])
            return row

    until = time.monotonic() + PATIENCE.total_seconds()
    while True:
        row = retry_lock_conflicts(attempt, using=using)
        if row is not None:
            return row
        earlier = _find(asked, using=using)
        if earlier is not None and (earlier.answer is not None or _take_over(earlier, using=using)):
            return earlier
        if time.monotonic() > until:
            raise InProgress
        time.sleep(_LOOK_EVERY.total_seconds())


def _insert(asked: Asked[T], *, using: str) -> IdempotencyKey | None:
    """Write the key; return None if it already exists. Waits for the transaction that writes it."""
    try:
        with transaction.atomic(using=using):
            return IdempotencyKey.objects.using(using).create(account=asked.account, key=asked.key, digest=asked.digest)
    except IntegrityError:
        return None


def _find(asked: Asked[T], *, using: str) -> IdempotencyKey | None:
    """Return the row of the key; None if it was given up in the meantime. Raises KeyReused."""
    keys = IdempotencyKey.objects.using(using).select_related("run")
    row = keys.filter(account=asked.account, key=asked.key).first()
    if row is not None and row.digest != asked.digest:
        raise KeyReused
    return row


def _answer_of(row: IdempotencyKey, asked: Asked[T]) -> T:
    if row.answer is None:
        raise InProgress
    return asked.read(row.answer)


def _take_over(row: IdempotencyKey, *, using: str) -> bool:
    """Make the key ours if the process that had it is gone: only one of several contenders gets it."""
    if row.run is not None and lifecycle.alive(using=using, run=row.run):
        return False
    lease = LEASE if row.run is None else LEASE_WITH_RUN
    rows = IdempotencyKey.objects.using(using).filter(pk=row.pk, answer=None, created_at__lte=Now() - lease)
    return bool(rows.update(created_at=Now()))


def _free(row: IdempotencyKey, *, using: str) -> None:
    """Give the key up after a failure, unless its run can still continue."""
    over = Q(run=None) | Q(run__status__in=Run.OVER)
    with suppress(DatabaseError, InterfaceError):  # it must not hide the failure
        IdempotencyKey.objects.using(using).filter(over, pk=row.pk, answer=None).delete()
