"""The points to undo: find, lock and check them.

Note [Renamed trees]. A tree is named by its oldest root folder. If ``CLEANUP_SURVIVOR`` lets another stay, the merge
gives the tree another name, and later points have that one: what a point's own application became is looked up among
the folders that it removed.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import F

from cleanup.exceptions import AlreadyRolledBack, PointExpired, Superseded
from cleanup.folder_tables import Ownership, folder_tables
from cleanup.models import RemovedFolder, RollbackPoint, SnapshotSchema


def find_point(*, using: str, rollback_id: UUID) -> RollbackPoint | None:
    """Return the point of that id."""
    return RollbackPoint.objects.using(using).filter(uuid=rollback_id).select_related("schema").first()


class Points:
    """The points of one database; created once per run, because snapshot schemas are read once."""

    def __init__(self, *, using: str) -> None:
        self.using = using
        self._schemas: dict[str, SnapshotSchema] = {}

    def lock(self, point_ids: Sequence[int]) -> list[RollbackPoint]:
        """Lock points and return them in key order of their applications."""
        points = RollbackPoint.objects.using(self.using).select_for_update().filter(pk__in=point_ids)
        return self._with_schemas(points.order_by("application_key", "-id"))

    def _with_schemas(self, points: Iterable[RollbackPoint]) -> list[RollbackPoint]:
        """Attach the snapshot schemas to the points; there are few, and each is read once."""
        found = list(points)
        unknown = {point.schema_id for point in found} - set(self._schemas)
        if unknown:
            self._schemas.update(SnapshotSchema.objects.using(self.using).in_bulk(unknown))
        for point in found:
            point.schema = self._schemas[point.schema_id]
        return found

    def check(self, points: Sequence[RollbackPoint]) -> None:
        """Raise AlreadyRolledBack, PointExpired or Superseded."""
        for point in points:
            if point.status == RollbackPoint.Status.ROLLED_BACK:
                raise AlreadyRolledBack(rollback_id=point.uuid, at=point.ended_at or "an unknown time")
            if point.status == RollbackPoint.Status.PURGED:
                raise PointExpired(rollback_id=point.uuid, at=point.ended_at or "an unknown time")
        newest = self._newest([point for point in points if point.kind in RollbackPoint.OF_CHANGES])
        later = (
            RollbackPoint.objects.using(self.using)
            .filter(
                application_key__in=list(newest),
                status=RollbackPoint.Status.LIVE,
                kind__in=RollbackPoint.OF_CHANGES,
                id__gt=min(newest.values(), default=0),
            )
            .order_by("-id")
        )
        for other in later:
            if other.id > newest[other.application_key]:
                raise Superseded(application_id=other.application_key, later_id=other.uuid)

    def later_cleanups(self, point: RollbackPoint) -> list[RollbackPoint]:
        """Return the live points of later changes of the application, newest first, locked."""
        found: dict[int, RollbackPoint] = {}
        names = {point.application_key: point.id}
        while names:
            further = self._with_schemas(
                RollbackPoint.objects.using(self.using)
                .select_for_update()
                .filter(
                    application_key__in=list(names),
                    status=RollbackPoint.Status.LIVE,
                    kind__in=RollbackPoint.OF_CHANGES,
                    id__gt=min(names.values()),
                )
                .exclude(id__in=list(found))
            )
            found |= {later.id: later for later in further}
            names = self._renamed(further)
        return [found[later] for later in sorted(found, reverse=True)]

    def _newest(self, points: Sequence[RollbackPoint]) -> dict[str, int]:
        """Return the id of the newest point of each application, under the name that it has after it, too."""
        newest = self._renamed(points)
        for point in points:
            newest[point.application_key] = max(newest.get(point.application_key, 0), point.id)
        return newest

    def _renamed(self, points: Sequence[RollbackPoint]) -> dict[str, int]:
        """Return the ids of points by the name that they have given to their tree. See Note [Renamed trees]."""
        if not points or folder_tables().ownership not in (Ownership.TREE, Ownership.SHARED):
            return {}
        named = RemovedFolder.objects.using(self.using).filter(
            point__in=[point.id for point in points], folder_key=F("point__application_key")
        )
        return dict(named.order_by("point_id").values_list("survivor_key", "point_id"))
