"""Refuse what is too large for a request to wait for."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q

from cleanup import conf, queries
from cleanup.exceptions import TooLargeToPreview, TooManyToWait
from cleanup.models import RemovedFolder, RollbackPoint


def refuse_if_too_many(
    *, using: str, applications: Sequence[Any] | None = None, max_applications: int | None = None
) -> None:
    """Raise TooManyToWait if a cleanup would have more applications than a request waits for."""
    limit = conf.api_wait_applications()
    if applications is not None:
        count = len(applications)
    elif max_applications is not None and max_applications <= limit:
        return
    else:
        count = queries.count_affected(using=using)
        count = count if max_applications is None else min(count, max_applications)
    if count > limit:
        raise TooManyToWait(count=count, limit=limit)


def refuse_if_too_many_points(*, using: str, run_id: UUID) -> None:
    """Raise TooManyToWait if a run has more rollback points than a request waits for."""
    limit = conf.api_wait_applications()
    points = RollbackPoint.objects.using(using).filter(run=run_id, status=RollbackPoint.Status.LIVE)
    count = points[: limit + 1].count()
    if count > limit:
        raise TooManyToWait(count=count, limit=limit)


def refuse_if_large_undo(*, using: str, rollback_id: UUID, command: str) -> None:
    """Raise TooLargeToPreview, with the command that can, if an undo would restore more folders than a request can."""
    if is_large_undo(using=using, rollback_id=rollback_id):
        raise TooLargeToPreview(limit=conf.large_application(), command=f"manage.py database_cleanup {command}")


def is_large_undo(*, using: str, rollback_id: UUID) -> bool:
    """Return whether a rollback point, or a run, would restore more than ``CLEANUP_LARGE_APPLICATION`` folders.

    A point that was taken by hand restores those of its application's later cleanups.
    """
    points = RollbackPoint.objects.using(using)
    undone = Q(uuid=rollback_id) | Q(run=rollback_id)
    taken = points.filter(uuid=rollback_id, kind=RollbackPoint.Kind.MANUAL).first()
    if taken is not None:
        undone |= Q(application_key=taken.application_key, id__gt=taken.id)
    live = points.filter(undone, status=RollbackPoint.Status.LIVE)
    limit = conf.large_application()
    return RemovedFolder.objects.using(using).filter(point__in=live)[: limit + 1].count() > limit
