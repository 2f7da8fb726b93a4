"""Holds: applications that every cleanup leaves alone."""

from collections.abc import Collection
from typing import Any

from django.db import transaction

from cleanup import queries
from cleanup.exceptions import UnknownObject
from cleanup.folder_tables import folder_tables
from cleanup.models import Hold
from cleanup.text_safety import storable, stored_name


def hold(*, using: str, application_id: Any, reason: str = "", created_by: str = "") -> None:
    """Leave this application alone from now on. Raises UnknownObject and InvalidKey."""
    Hold.objects.using(using).update_or_create(
        application_key=queries.existing_application(using=using, application_id=application_id),
        defaults={"reason": storable(reason), "created_by": stored_name(created_by)},
    )


def release(*, using: str, application_id: Any) -> None:
    """End the hold. Raises UnknownObject if there is none, and InvalidKey."""
    application_key = folder_tables().application_key.text(application_id)
    deleted, _ = Hold.objects.using(using).filter(application_key=application_key).delete()
    if not deleted:
        raise UnknownObject(what="hold of application", key=application_key)


def release_several(*, using: str, hold_ids: Collection[int]) -> list[Hold]:
    """End these holds and return them, without those that were ended already."""
    with transaction.atomic(using=using):
        held = list(Hold.objects.using(using).select_for_update().filter(pk__in=hold_ids).order_by("pk"))
        Hold.objects.using(using).filter(pk__in=[hold.pk for hold in held]).delete()
    return held
