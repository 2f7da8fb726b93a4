"""The deliveries of clusters, made by hand, and schedules that are due."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.module_loading import import_string

from cleanup.models import AutomationState, Schedule


def deliver(queue, *, times: int = 1) -> None:
    """Do what is in the queue, and what comes of it, until it is empty."""
    for _ in range(100):
        if not queue:
            return
        task, arguments = queue.pop(0)
        for _ in range(times):
            import_string(task)(*arguments)
    pytest.fail("the deliveries do not come to an end")


def make_due(database, name, *, ago=timedelta(minutes=1)) -> None:
    """Make a schedule due, once: the time after that is not near, whatever time it is."""
    AutomationState.objects.using(database).filter(pk=1).update(started=True)
    far = (timezone.now().minute + 30) % 60
    Schedule.objects.using(database).filter(pk=name).update(next_run=Now() - ago, minute=far)
