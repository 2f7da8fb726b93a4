"""Refuse what is too much for a request to wait for."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from cleanup import conf, queries
from cleanup.exceptions import TooManyToWait
from cleanup.models import RollbackPoint


def refuse_if_too_many(
    *, using: str, applications: Sequence[Any] | None = None, max_applications: int | None = None
) -> None:
    """Raise TooManyToWait where a cleanup would have more applications than a request waits for."""
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
    """Raise TooManyToWait where a run has more rollback points than a request waits for."""
    limit = conf.api_wait_applications()
    points = RollbackPoint.objects.using(using).filter(run=run_id, status=RollbackPoint.Status.LIVE)
    count = points[: limit + 1].count()
    if count > limit:
        raise TooManyToWait(count=count, limit=limit)
