"""Retention: the snapshot rows of expired rollback points go, the points themselves stay as history.

Invariants: a point and all of its snapshot rows go in one transaction, so that a live point always has all of them;
the newest live point of an application that no verification has passed since is kept; forwarding addresses of removed
folders are never touched. A purge that was interrupted is simply started again.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet, Sum

from cleanup.models import RollbackPoint, Run, SnapshotRow, SnapshotSchema, StructureLock
from cleanup.paging import in_pages
from cleanup.services.results import PurgeReport

#: Points examined together.
POINTS_PER_PAGE = 100

#: Snapshot rows deleted in one transaction, unless a single point has more.
ROWS_PER_TRANSACTION = 1000

#: No run and no transaction lasts as long: a run writes its snapshot schema some time before the first point.
_GRACE = timedelta(days=1)

_REASON = "expired"


def purge(*, using: str, preview: bool, now: datetime, include_unverified: bool = False) -> PurgeReport:
    """Remove the snapshot rows of the points that have expired by ``now``; a preview only counts them.

    With ``include_unverified``, no expired point is kept. ``now`` is stamped on the points, and they are counted by
    this stamp: two purges have two times.
    """
    expired = _expired(using, now)
    kept = 0 if include_unverified else expired.filter(_UNVERIFIED).count()
    purgeable = expired if include_unverified else expired.exclude(_UNVERIFIED)
    if preview:
        return _answer(purgeable, _rows_of(using, purgeable), preview=True, kept=kept)
    rows = described = 0
    for page in _pages(purgeable, size=POINTS_PER_PAGE):
        for group in _groups(using, page):
            gone, gone_described = _purge_together(purgeable, group, using=using, now=now)
            rows += gone
            described += gone_described
    _remove_unused_schemas(using, now)
    _remove_old_locks(using, now)
    purged = _points(using).filter(status=RollbackPoint.Status.PURGED, ended_at=now)
    return _answer(purged, {"rows": rows, "described": described}, preview=False, kept=kept)


def mark_verified(*, using: str, application_ids: Sequence[str] | None, now: datetime) -> int:
    """Stamp the live points of applications that have passed a verification begun at ``now``; None means all.

    Points written later and points stamped before are left as they are. Returns the number of points stamped.
    """
    open_points = _points(using).filter(status=RollbackPoint.Status.LIVE, verified_at=None, created_at__lte=now)
    if application_ids is not None:
        open_points = open_points.filter(application_key__in=application_ids)
    return sum(
        open_points.filter(pk__in=page).update(verified_at=now)
        for page in _pages(open_points, size=ROWS_PER_TRANSACTION)
    )


def _points(using: str) -> "QuerySet[RollbackPoint]":
    return RollbackPoint.objects.using(using)


def _expired(using: str, now: datetime) -> "QuerySet[RollbackPoint]":
    return _points(using).filter(status=RollbackPoint.Status.LIVE, expires_at__lte=now)


#: The newest live point of its application, and no verification has passed since it was written.
_UNVERIFIED = Q(verified_at=None) & ~Exists(
    RollbackPoint.objects.filter(
        application_key=OuterRef("application_key"),
        status=RollbackPoint.Status.LIVE,
        id__gt=OuterRef("id"),
    )
)


def _rows_of(using: str, points: "QuerySet[RollbackPoint]") -> dict[str, Any]:
    rows = SnapshotRow.objects.using(using).filter(point__in=points.order_by())
    return rows.aggregate(rows=Count("pk"), described=Sum("row_count"))


def _answer(points: "QuerySet[RollbackPoint]", rows: dict[str, Any], *, preview: bool, kept: int) -> PurgeReport:
    found = points.aggregate(
        points=Count("pk"),
        applications=Count("application_key", distinct=True),
        oldest=Min("created_at"),
        newest=Max("created_at"),
    )
    return PurgeReport(
        preview=preview,
        points=found["points"],
        applications=found["applications"],
        snapshot_rows=rows["rows"],
        rows_described=rows["described"] or 0,
        kept_unverified=kept,
        oldest=found["oldest"],
        newest=found["newest"],
    )


def _pages(points: "QuerySet[RollbackPoint]", *, size: int) -> Iterator[list[int]]:
    """Yield the points' ids, oldest first: a point is newest of its application only when older ones are gone."""
    ids: QuerySet[Any] = points.values_list("pk", named=True)
    for page in in_pages(ids, size=size):
        yield [row.pk for row in page]


def _groups(using: str, page: Sequence[int]) -> Iterator[list[int]]:
    """Split a page so that each part has few enough snapshot rows for one transaction."""
    counts = dict(
        SnapshotRow.objects.using(using).filter(point__in=page).values_list("point").annotate(rows=Count("pk"))
    )
    group: list[int] = []
    rows = 0
    for point in page:
        rows += counts.get(point, 0)
        if group and rows > ROWS_PER_TRANSACTION:
            yield group
            group, rows = [], counts.get(point, 0)
        group.append(point)
    if group:
        yield group


def _purge_together(
    purgeable: "QuerySet[RollbackPoint]", group: Sequence[int], *, using: str, now: datetime
) -> tuple[int, int]:
    """Purge the rest of the group in one transaction; return its rows, and the rows they described.

    A point that is locked is being rolled back: it is left to the next purge.
    """
    with transaction.atomic(using=using):
        locked = list(
            purgeable.filter(pk__in=group)
            .select_for_update(skip_locked=True)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        rows = SnapshotRow.objects.using(using).filter(point__in=locked)
        described = rows.aggregate(described=Sum("row_count"))["described"] or 0
        gone, _ = rows.delete()
        _points(using).filter(pk__in=locked).update(
            status=RollbackPoint.Status.PURGED, ended_at=now, ended_reason=_REASON
        )
    return gone, described


def _remove_unused_schemas(using: str, now: datetime) -> None:
    """Remove snapshot schemas that no point was ever written under, unless a run may be about to write one."""
    if Run.objects.using(using).active().exists():
        return
    unused = SnapshotSchema.objects.using(using).filter(points=None, created_at__lte=now - _GRACE)
    unused.delete()


def _remove_old_locks(using: str, now: datetime) -> None:
    """Remove what the folder service keeps for transactions with an older snapshot: none is that old."""
    old = StructureLock.objects.using(using).filter(taken_at__lte=now - _GRACE)
    while page := list(old.values_list("pk", flat=True)[:ROWS_PER_TRANSACTION]):
        old.filter(pk__in=page).delete()
