"""The product's permissions, and the one policy that says which of them an action requires.

Admin and API both ask here, so that what one refuses, the other refuses. Each function returns permissions of which any
one is enough. The command line requires none: access to the shell is access to the database.
The permissions belong to the content type of ``FreezeSwitch``, whose ``Meta`` lists them; no other model has any.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Protocol

from django.utils.translation import gettext_noop


class Permission(StrEnum):
    """As ``User.has_perm`` takes it: app label and codename."""

    VIEW = "cleanup.view"
    CHECK = "cleanup.check"
    CLEAN = "cleanup.clean"
    CLEAN_EVERYTHING = "cleanup.clean_everything"
    ROLL_BACK = "cleanup.roll_back"
    MANAGE_SCHEDULES = "cleanup.manage_schedules"
    FREEZE = "cleanup.freeze"

    @property
    def codename(self) -> str:
        """Without the app label."""
        return self.value.partition(".")[2]


#: What each allows, as shown on the screens where permissions are granted; stored there in English.
DESCRIPTIONS = {
    Permission.VIEW: gettext_noop("Can view everything about cleanups"),
    Permission.CHECK: gettext_noop("Can check and verify"),
    Permission.CLEAN: gettext_noop("Can clean up selected applications, and set and release holds"),
    Permission.CLEAN_EVERYTHING: gettext_noop("Can clean up everything"),
    Permission.ROLL_BACK: gettext_noop("Can roll back"),
    Permission.MANAGE_SCHEDULES: gettext_noop(
        "Can change schedules, start and stop the service, and acknowledge alerts"
    ),
    Permission.FREEZE: gettext_noop("Can stop everything and resume it"),
}

#: The groups that come along: whoever looks after the folders of an office, and whoever only wants to know.
GROUPS = {
    gettext_noop("Cleanup viewers"): (Permission.VIEW,),
    gettext_noop("Cleanup operators"): (
        Permission.VIEW,
        Permission.CHECK,
        Permission.CLEAN,
        Permission.ROLL_BACK,
        Permission.FREEZE,
    ),
}

#: Permissions of which any one is enough.
AnyOf = tuple[Permission, ...]

#: For selected applications; a user who may clean up everything may clean up some.
CLEANING: AnyOf = (Permission.CLEAN, Permission.CLEAN_EVERYTHING)
#: Required before it is known which run is meant.
CONTROLLING: AnyOf = (*CLEANING, Permission.ROLL_BACK)
#: Required before it is known what the schedule starts.
RUNNING_SCHEDULES: AnyOf = (Permission.CHECK, *CLEANING, Permission.MANAGE_SCHEDULES)

#: Applications that a user who may not clean up everything may clean up without naming them.
FEW = 10


class RunLike(Protocol):
    """The attributes of a run that matter here."""

    kind: str
    options: dict[str, Any]


def to_clean_up(*, named: bool, most: int | None) -> AnyOf:
    """Return what a cleanup of named applications, or of the worst ``most`` (None: all), requires."""
    few = named or (most is not None and most <= FEW)
    return CLEANING if few else (Permission.CLEAN_EVERYTHING,)


def to_plan(*, named: bool, most: int | None) -> AnyOf:
    """Return what a dry run requires."""
    return tuple(dict.fromkeys((Permission.CHECK, *CLEANING, *to_clean_up(named=named, most=most))))


def to_control(run: RunLike) -> AnyOf:
    """Return what pausing, resuming and cancelling a run require: the same as starting that run."""
    if run.kind == "rollback":
        return (Permission.ROLL_BACK,)
    return to_clean_up(named=bool(run.options.get("applications")), most=run.options.get("max_applications"))


def to_run_schedule(name: str, *, most: int | None) -> AnyOf:
    """Return what running a schedule by hand requires: the same as starting its work by hand."""
    if name == "full_cleanup":
        return to_clean_up(named=False, most=most)
    return (Permission.MANAGE_SCHEDULES,) if name == "retention" else (Permission.CHECK,)


def to_change_schedule(name: str, changes: Mapping[str, Any], *, most: int | None) -> list[AnyOf]:
    """Return everything that changing a schedule requires; ``most`` is its limit."""
    asked: list[AnyOf] = [(Permission.MANAGE_SCHEDULES,)]
    if name == "full_cleanup" and "max_applications" in changes:
        limit = changes["max_applications"]
        raised = most is not None and (limit is None or limit > most)
        asked += [to_clean_up(named=False, most=limit)] if raised else []
    return asked


def to_adopt(interrupted: Iterable[RunLike]) -> list[AnyOf]:
    """Return everything that adopting a copy requires: the same as starting its schedules and resuming its runs."""
    return list(dict.fromkeys([(Permission.MANAGE_SCHEDULES,), *map(to_control, interrupted)]))
