"""The totals of a run, which equal the sum of its results at every moment.

Note [Totals of a run]. The transaction that ends a result adds it to its run, and touches the run last, so that its row
is locked for little more than the commit. So no worker owes the run anything, whether it is killed or rests while
others end the run. A recount first locks the run's row, in a statement of its own: what was added is committed by then,
and seen; what is not yet added comes on top.
"""

from collections.abc import Collection
from typing import Any, Protocol

from django.db import transaction
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce

from cleanup import backends
from cleanup.models import Result, Run

_TOTALS: dict[str, Any] = {
    "done_applications": Count("pk", filter=~Q(status__in=Result.OPEN)),
    "failed_applications": Count("pk", filter=Q(status=Result.Status.FAILED)),
    "held_applications": Count("pk", filter=Q(status=Result.Status.HELD)),
    "skipped_applications": Count("pk", filter=Q(status=Result.Status.SKIPPED)),
    "folders_removed": Coalesce(Sum("folders_removed"), 0),
    "files_moved": Coalesce(Sum("files_moved"), 0),
}


class Ended(Protocol):
    """The outcome for one application."""

    @property
    def status(self) -> str:
        """A status of ``Result``."""

    @property
    def folders_removed(self) -> int:
        """Folders that were merged into others."""

    @property
    def files_moved(self) -> int:
        """Files that were filed elsewhere."""


def sums(*, using: str, run: Run) -> dict[str, int]:
    """Return the sums of the results, by the names of the run's fields."""
    return Result.objects.using(using).filter(run=run).aggregate(**_TOTALS)


def add(*, using: str, run: Run, outcomes: Collection[Ended]) -> None:
    """Add the results that were just ended; the last statement of the transaction that ended them."""
    added = {
        "done_applications": len(outcomes),
        "failed_applications": sum(outcome.status == Result.Status.FAILED for outcome in outcomes),
        "held_applications": sum(outcome.status == Result.Status.HELD for outcome in outcomes),
        "skipped_applications": sum(outcome.status == Result.Status.SKIPPED for outcome in outcomes),
        "folders_removed": sum(outcome.folders_removed for outcome in outcomes),
        "files_moved": sum(outcome.files_moved for outcome in outcomes),
    }
    backends.database(using=using).worklist.add(run.pk, added)


def recount(*, using: str, run: Run) -> dict[str, int]:
    """Count the results again after they were changed in another way; return the totals."""
    with transaction.atomic(using=using):
        row = Run.objects.using(using).filter(pk=run.pk)
        row.update(done_applications=F("done_applications"))  # locks it
        counted = sums(using=using, run=run)
        row.update(**counted)
    return counted
