"""Where django-q2 keeps its own: beside what the test is about, as in production, whatever alias that has."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.test import override_settings


class QueueRouter:
    """Sends django-q2's models to one alias."""

    alias = "default"

    def db_for_read(self, model, **hints) -> str | None:
        return self.alias if model._meta.app_label == "django_q" else None

    db_for_write = db_for_read


@contextmanager
def queue_in(using: str) -> Iterator[None]:
    """Have django-q2's queue and schedules in a database, for this process."""
    from django_q.conf import Conf  # it reads the settings

    usual = Conf.ORM, QueueRouter.alias
    Conf.ORM = QueueRouter.alias = using
    try:
        with override_settings(DATABASE_ROUTERS=["tests.support.queues.QueueRouter"]):
            yield
    finally:
        Conf.ORM, QueueRouter.alias = usual
