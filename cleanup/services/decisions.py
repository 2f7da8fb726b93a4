"""What waits for a person: applications that a cleanup or an undo left alone, and will leave alone again.

Bounded reads: the latest results that ended so, less those that a later run has settled.
"""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from cleanup.models import Hold, QueuedApplication, Result, Run
from cleanup.services.consolidation import MISSING

#: Of each kind.
MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class Decision:
    """One application that waits."""

    application_id: str
    code: str
    """``held``, ``too_large``, ``conflict`` and the like."""
    result: Result | None = None
    hold: Hold | None = None

    @property
    def undo(self) -> bool:
        """Tell whether it is an undo that waits, not a cleanup."""
        return self.result is not None and self.result.run.kind == Run.Kind.ROLLBACK


def decisions(*, using: str) -> tuple[Decision, ...]:
    """Return what waits for a person, newest first: what was refused or failed, then what is queued, then holds."""
    found: dict[str, Decision] = {}
    for result in _unsettled(using=using):
        found.setdefault(
            result.application_key, Decision(result.application_key, result.error_code or result.status, result)
        )
    for queued in QueuedApplication.objects.using(using).filter(refused=True).order_by("-queued_at")[:MOST_LISTED]:
        found.setdefault(queued.application_key, Decision(queued.application_key, queued.code))
    for hold in Hold.objects.using(using).order_by("-id")[:MOST_LISTED]:
        earlier = found.pop(hold.application_key, None)
        found[hold.application_key] = Decision(hold.application_key, "held", earlier.result if earlier else None, hold)
    return tuple(found.values())


def _unsettled(*, using: str) -> list[Result]:
    later = Result.objects.filter(application_key=OuterRef("application_key"), pk__gt=OuterRef("pk")).exclude(
        status__in=Result.OPEN
    )
    waiting = Result.objects.using(using).filter(status__in=Result.UNUSUAL)
    rows = waiting.exclude(error_code__in=["", MISSING]).filter(~Exists(later))
    return list(rows.select_related("run", "point").order_by("-pk")[:MOST_LISTED])
