"""The notice on pages of a database that is a restored copy, with the button that adopts it."""

from typing import Any

from django.http import HttpRequest

from cleanup import stored_texts
from cleanup.admin import access
from cleanup.permissions import to_adopt
from cleanup.services import origin


def notice(request: HttpRequest) -> dict[str, Any]:
    """Return what a page says about a copy that was not adopted; nothing if the database is not one."""
    return notice_of(request, origin.copied(using=access.database()))


def notice_of(request: HttpRequest, found: origin.Copied | None) -> dict[str, Any]:
    """Return the same, given what is already known about the database."""
    if found is None:
        return {}
    runs = origin.interrupted(using=access.database())
    return {
        "copied": stored_texts.shown(found.difference),
        "adopt_command": origin.ADOPT,
        "interrupted_runs": len(runs),
        "may_adopt": all(any(access.may(request, one) for one in permissions) for permissions in to_adopt(runs)),
    }
