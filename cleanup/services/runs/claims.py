"""The results that a worker claims under a lease, records, and gives back.

Every statement that ends a lease compares its token, so a worker that has lost it changes nothing.
"""

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from cleanup import backends, conf
from cleanup.exceptions import LeaseLost
from cleanup.models import Result, Run
from cleanup.services.concurrency.pipeline import BatchAbandoned
from cleanup.services.concurrency.retry import back_off, reconnect, retry_connected
from cleanup.services.runs import totals
from cleanup.services.runs.lifecycle import results_of
from cleanup.services.runs.tasks import Claimed, Outcome

logger = logging.getLogger(__name__)

#: What a result becomes whose attempt does not count.
_NOT_ATTEMPTED: Mapping[str, Any] = {"status": Result.Status.PENDING, "attempts": F("attempts") - 1}


class Claims:
    """What one worker holds of a run."""

    def __init__(self, *, using: str, run: Run, worker: str) -> None:
        self.using = using
        self.run = run
        self.worker = worker
        self._last_key: str | None = None
        # In key order, for locality; undone in reverse, because an image may name a folder that was removed after it.
        self._backwards = run.kind == Run.Kind.ROLLBACK
        self._connection: Any = None
        """The driver's, on which nothing was lost yet."""

    # Claiming.

    def release_lost(self) -> None:
        """On a new connection, give back what the database holds in this worker's name; in the caller's transaction.

        Nothing of it is being processed. But a commit may have lost its answer, giving back may have failed, and a
        crash of the server may have undone work and kept its claim.
        """
        connection = connections[self.using].connection
        if self._connection is None:
            self._connection = connection
        elif self._connection is not connection:
            held = results_of(using=self.using, run=self.run).filter(status=Result.Status.IN_PROGRESS)
            held.filter(worker=self.worker).update(**_NOT_ATTEMPTED)
            self.start_over()
            transaction.on_commit(lambda: setattr(self, "_connection", connection), using=self.using)

    def claim(self, size: int) -> list[Claimed]:
        """Claim at most so many results, and count the attempt; within the caller's transaction."""
        results = results_of(using=self.using, run=self.run).order_by(f"{'-' * self._backwards}application_key")
        if self._last_key is not None and not results.filter(status__in=Result.OPEN).exists():
            return []
        if connections[self.using].features.has_select_for_update_skip_locked:
            results = results.select_for_update(skip_locked=True, of=("self",))
        pending = results.filter(status=Result.Status.PENDING)
        return self._claimed(self._next(size, after=None) or _listed(pending[:1]) or self._expired(results))

    def claim_next(self, size: int) -> list[Claimed]:
        """Do the same with those after the last ones, if there are any; none if the run must not continue."""
        # After the last key: the index entries of finished rows are skipped, not read again at each claim.
        return self._claimed(self._next(size, after=self._last_key))

    def _next(self, size: int, *, after: str | None) -> list[Claimed]:
        worklist = backends.database(using=self.using).worklist
        found = worklist.next_pending(self.run.pk, after=after, size=size, descending=self._backwards)
        return [Claimed(*row) for row in found]

    def _claimed(self, rows: list[Claimed]) -> list[Claimed]:
        if not rows:
            return []
        self._last_key = rows[-1].application_key
        token = uuid.uuid4()
        self._take(Result.objects.using(self.using).filter(pk__in=[row.pk for row in rows]), token)
        return [replace(row, lease_token=token, attempts=row.attempts + 1) for row in rows]

    def start_over(self) -> None:
        """Search for results from the first key again."""
        self._last_key = None

    def _take(self, results: QuerySet[Result], token: uuid.UUID | None) -> None:
        results.update(
            status=Result.Status.IN_PROGRESS,
            lease_token=token,
            lease_expires_at=Now() + conf.lease(),
            attempts=F("attempts") + 1,
            worker=self.worker,
            started_at=Now(),
        )

    def _expired(self, results: QuerySet[Result]) -> list[Claimed]:
        """Return one result whose worker was lost, and fail those that lost too many."""
        expired = results.filter(status=Result.Status.IN_PROGRESS, lease_expires_at__lte=Now())
        exhausted = list(expired.filter(attempts__gte=conf.max_attempts()).values_list("pk", flat=True)[:1000])
        Result.objects.using(self.using).filter(pk__in=exhausted).update(
            status=Result.Status.FAILED,
            error_code="attempts",
            error_class="data",
            error_message="Its worker ended before the work did, at every attempt.",
            ended_at=Now(),
        )
        if exhausted:
            totals.add(using=self.using, run=self.run, outcomes=[Outcome(Result.Status.FAILED)] * len(exhausted))
        rows = _listed(expired.exclude(pk__in=exhausted)[:1])
        Result.objects.using(self.using).filter(pk__in=[row.pk for row in rows]).update(isolated=True)
        return rows

    def claim_points(self, row: Claimed, points: Collection[int | None]) -> list[Claimed]:
        """Claim the results, ours or unclaimed, that undo these points, under the lease of the row that needs them.

        Raises BatchAbandoned, and has given back the row, while another worker holds one of them.
        """
        others = results_of(using=self.using, run=self.run).filter(point__in=points).exclude(pk=row.pk)
        with transaction.atomic(using=self.using):
            if others.filter(status=Result.Status.IN_PROGRESS).exclude(lease_token=row.lease_token).exists():
                self.requeue(row, attempts=F("attempts") - 1, isolated=True)
                back_off(1)
                raise BatchAbandoned
            self._take(others.filter(status=Result.Status.PENDING), row.lease_token)
        claimed = _listed(others.filter(status=Result.Status.IN_PROGRESS, lease_token=row.lease_token))
        return [replace(one, lease_token=row.lease_token) for one in claimed]

    # Recording.

    def lock(self, rows: Sequence[Claimed]) -> None:
        """Lock what is to be processed: until the commit no one can claim it, even if the lease runs out.

        Raises LeaseLost if one is no longer ours, and BatchAbandoned if the run was told to stop in the meantime.
        """
        worklist = backends.database(using=self.using).worklist
        locked = worklist.lock([row.pk for row in rows], token=rows[0].lease_token)
        if len(locked) != len(rows):
            raise LeaseLost
        if not all(locked):
            raise BatchAbandoned

    def record(self, rows: Sequence[Claimed], outcomes: Sequence[Outcome]) -> None:
        """Write the outcomes to the results, in the order of the rows, and add them to the totals."""
        names = [field.name for field in fields(Outcome)]
        model = {field.name: field for field in Result._meta.concrete_fields}
        columns = [(str(model[name].column), str(model[name].db_type(connections[self.using]))) for name in names]
        values = [
            [row.pk, *(getattr(outcome, name) for name in names)] for row, outcome in zip(rows, outcomes, strict=True)
        ]
        backend = backends.database(using=self.using)
        backend.update_many(Result._meta.db_table, "id", columns, values, now="ended_at")
        totals.add(using=self.using, run=self.run, outcomes=outcomes)

    def fail(self, row: Claimed, **description: Any) -> bool:
        """Set a result aside as failed, if it is still ours; return whether it was."""
        with transaction.atomic(using=self.using):
            ours = self._own([row]).update(status=Result.Status.FAILED, ended_at=Now(), **description)
            if ours:
                totals.add(using=self.using, run=self.run, outcomes=[Outcome(Result.Status.FAILED)])
        return bool(ours)

    # Giving back.

    def requeue(self, row: Claimed, **changes: Any) -> None:
        """Let the result be claimed again, if it is still ours."""
        retry_connected(lambda: self._own([row]).update(status=Result.Status.PENDING, **changes), using=self.using)

    def give_back(self, rows: Sequence[Claimed], **description: str) -> None:
        """Let others claim what is still ours, without counting the attempt; if that fails, before the next claim."""
        if not rows:
            return
        try:
            reconnect(self.using)
            self._own(rows).update(**_NOT_ATTEMPTED, **description)
        except (DatabaseError, InterfaceError):  # what matters is the abort, which continues
            logger.warning("the aborted batch could not be given back yet; at the latest, its lease will expire")

    def _own(self, rows: Sequence[Claimed]) -> QuerySet[Result]:
        return Result.objects.using(self.using).filter(
            pk__in=[row.pk for row in rows], lease_token=rows[0].lease_token, status=Result.Status.IN_PROGRESS
        )


def _listed(results: QuerySet[Result]) -> list[Claimed]:
    return [Claimed(*row) for row in results.values_list("pk", "application_key", "point_id", "attempts")]
