"""What must hold after a process was struck down: applications are whole, and going on leads to the end."""

import time
from collections.abc import Callable
from typing import Any

from django.db import connections

from cleanup.models import Result, RollbackPoint, Run
from cleanup.services import DatabaseCleanupService
from tests.support import dirty_database


def let_sessions_end(using: str) -> None:
    """Wait for the server to notice: it ends the statement it is at, were it a COMMIT, before it does."""
    connection = connections[using]
    while connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            if cursor.fetchone() == (0,):
                return
        time.sleep(0.01)


def assert_whole(using: str, *, before: dirty_database.Picture, after: dirty_database.Picture) -> int:
    """Assert that each application is exactly as before or as after, and return how many are as after.

    An application is as after a merge if and only if its rollback point is live.
    """
    now = dirty_database.picture(using)
    assert now.keys() == before.keys()
    torn = [key for key in now if now[key] not in (before[key], after[key])]
    assert not torn
    merged = {key for key in now if now[key] != before[key]}
    points = RollbackPoint.objects.using(using).filter(status=RollbackPoint.Status.LIVE)
    assert sorted(points.values_list("application_key", flat=True)) == sorted(merged)
    return len(merged)


def go_on(using: str, kind: str, start: Callable[[], Any], *, applications: int) -> Run:
    """Resume the run of a kind, or start it if it was killed before there was one; return it, ended."""
    runs = Run.objects.using(using).filter(kind=kind)
    run = runs.first()
    if run is None:
        start()
    elif run.status != Run.Status.COMPLETED:
        DatabaseCleanupService(using=using).resume(run.pk)
    run = runs.get()
    results = Result.objects.using(using).filter(run=run)
    assert run.status == Run.Status.COMPLETED, run.status_reason
    assert {result.error_message for result in results if result.status == Result.Status.FAILED} == set()
    assert len(results) == applications
    return run
