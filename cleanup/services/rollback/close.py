"""Close points that were undone: mark them, and prevent the next cleanup from merging them again."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from cleanup.backends import Database
from cleanup.backends.pinning import unpinned
from cleanup.forests import Survivors
from cleanup.models import Hold, RemovedFolder, Result, RollbackPoint, Run
from cleanup.services.rollback.outcome import PointOutcome
from cleanup.services.rollback.tables import CurrentTables
from cleanup.signals import Event, merge_undone, send_after_commit

HOLD_REASON = "its cleanup was undone"


def close(
    outcomes: Sequence[PointOutcome],
    *,
    tables: CurrentTables,
    reason: str,
    by: str,
    now: datetime,
    hold: bool = True,
) -> None:
    """Mark the points as rolled back, and put their applications on hold, or the next cleanup would merge again."""
    using = tables.using
    for outcome in outcomes:
        point = outcome.point
        point.status = RollbackPoint.Status.ROLLED_BACK
        point.ended_at, point.ended_by, point.ended_reason = now, by, reason
        point.exact = outcome.exact
        point.outcome = outcome.as_json()
    points = [outcome.point for outcome in outcomes]
    _store(points, tables.backend)
    Result.objects.using(using).filter(point__in=[point.id for point in points], run__kind__in=Run.UNDOABLE).update(
        status=Result.Status.ROLLED_BACK
    )
    send_after_commit(
        merge_undone, _undone(points, tables=tables), sender=tables.mapped.folder, using=using, within=unpinned
    )
    if hold:
        Hold.objects.using(using).bulk_create(
            [
                Hold(application_key=point.application_key, reason=reason or HOLD_REASON, created_by=by)
                for point in points
                # No schedule repairs anything, so what a repair did does not come back by itself.
                if point.kind != RollbackPoint.Kind.REPAIR
            ],
            ignore_conflicts=True,
        )


def _store(points: Sequence[RollbackPoint], backend: Database) -> None:
    names = ("status", "ended_by", "ended_reason", "exact", "outcome")
    fields = {field.name: field for field in RollbackPoint._meta.concrete_fields}
    connection = backend.connection
    backend.update_many(
        RollbackPoint._meta.db_table,
        "id",
        [(str(fields[name].column), str(fields[name].db_type(connection))) for name in names],
        [
            [
                point.id,
                *(json.dumps(value) if isinstance(value := getattr(point, name), dict) else value for name in names),
            ]
            for point in points
        ],
        now="ended_at",
    )


def _undone(points: Sequence[RollbackPoint], *, tables: CurrentTables) -> Iterator[Event]:
    removed: defaultdict[int, Survivors] = defaultdict(lambda: Survivors(tables.backend.reading.numbers(tables.mapped)))
    rows = RemovedFolder.objects.using(tables.using).filter(point__in=[point.id for point in points])
    for point_id, folder, survivor in rows.values_list("point_id", "folder_key", "survivor_key").iterator():
        removed[point_id].add(folder, survivor)
    for point in points:
        # A point taken by hand has removed nothing, and a repair rarely does.
        if point.kind == RollbackPoint.Kind.CLEANUP or removed[point.id]:
            yield Event(point.application_key, point.uuid, removed[point.id])
