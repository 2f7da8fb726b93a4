"""The product's permissions, one per kind of deed, for every door: admin, API, and whoever builds another.

They belong to the content type of ``Control``, whose ``Meta`` lists them; those that Django makes for each model say
nothing here.
"""

from enum import StrEnum


class Permission(StrEnum):
    """As ``User.has_perm`` takes it: app label and codename."""

    LOOK = "cleanup.look"
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


#: What each allows, as the screens where permissions are granted say it.
DESCRIPTIONS = {
    Permission.LOOK: "Can look at everything about cleanups",
    Permission.CHECK: "Can check and verify",
    Permission.CLEAN: "Can clean up selected applications, and set and release holds",
    Permission.CLEAN_EVERYTHING: "Can clean up everything",
    Permission.ROLL_BACK: "Can roll back",
    Permission.MANAGE_SCHEDULES: "Can change schedules, start and stop the service, and acknowledge alerts",
    Permission.FREEZE: "Can stop everything, and let it go on",
}
