"""What a rollback of a run leaves as it is: applications whose points have expired, or were rolled back before."""

from typing import NamedTuple

from django.db.models import Count, Exists, OuterRef, Q

from cleanup import conf
from cleanup.models import Result, RollbackPoint, Run
from cleanup.services.results import NotRestored


class LeftBehind(NamedTuple):
    """The points of a run that are not rolled back with it."""

    listed: tuple[NotRestored, ...] = ()
    left_out: int = 0
    expired: int = 0
    """Applications that can no longer be restored."""
    changed: int = 0
    """Applications that were rolled back before, but not exactly, or were cleaned again since."""


def left_behind(*, using: str, source: Run, by: Run | None = None) -> LeftBehind:
    """Return what a rollback of the run ``source`` leaves as it is; ``by`` is the run that rolls it back, if any."""
    points = RollbackPoint.objects.using(using).filter(run=source).exclude(status=RollbackPoint.Status.LIVE)
    if by is not None:
        points = points.filter(~Exists(Result.objects.using(using).filter(run=by, point=OuterRef("pk"))))
    cleaned_again = RollbackPoint.objects.using(using).filter(
        application_key=OuterRef("application_key"),
        kind__in=RollbackPoint.OF_CHANGES,
        status=RollbackPoint.Status.LIVE,
        id__gt=OuterRef("id"),
    )
    expired = Q(status=RollbackPoint.Status.PURGED)
    differs = ~expired & (~Q(exact=True) | Q(Exists(cleaned_again)))
    totals = points.aggregate(
        all=Count("pk"),
        expired=Count("application_key", filter=expired, distinct=True),
        changed=Count("application_key", filter=differs, distinct=True),
    )
    rows = points.order_by("id").values_list("application_key", "uuid", "status")[: conf.list_limit()]
    listed = tuple(NotRestored(application, rollback_id, _code(status)) for application, rollback_id, status in rows)
    return LeftBehind(listed, totals["all"] - len(listed), totals["expired"], totals["changed"])


def _code(status: str) -> str:
    return "expired" if status == RollbackPoint.Status.PURGED else "already_rolled_back"


def inexact_of(behind: LeftBehind) -> dict[str, None]:
    """Return why what is left as it is makes the rollback of a run inexact."""
    spoiling = {"expired": behind.expired, "already_rolled_back": behind.changed}
    return {name: None for name, number in spoiling.items() if number}
