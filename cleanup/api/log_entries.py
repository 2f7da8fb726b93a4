"""Entries in the admin's log, for actions that leave no row of their own to record who did it."""

from typing import cast

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import models
from rest_framework.request import Request


def add_log_entry(request: Request, what: models.Model, message: str) -> None:
    """Leave an entry, as the admin does for the same action; do nothing if the project has no admin."""
    if not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.models import CHANGE, LogEntry  # noqa: PLC0415  # it may not be there

    LogEntry.objects.create(
        user_id=cast("int", request.user.pk),
        content_type_id=ContentType.objects.get_for_model(what, for_concrete_model=False).pk,
        object_id=str(what.pk),
        object_repr=str(what)[:200],
        action_flag=CHANGE,
        change_message=message,
    )
