"""Titles: of an admin site that is there for the cleanup alone, and of the pages that the navigation leads to."""

from django.utils.translation import gettext_lazy as _

SITE = _("Folder cleanup")
INDEX = _("What would you like to do?")

#: What a page is called: in the navigation, in its own heading, and on the way back to it.
PAGES = {
    "overview": _("Overview"),
    "applications": _("Duplicates"),
    "decisions": _("Decisions"),
    "folder": _("Find a folder"),
    "run_changelist": _("History"),
    "schedule_changelist": _("Settings"),
    "rollbackpoint_changelist": _("Undo records"),
    "result_changelist": _("Results by application"),
    "hold_changelist": _("Applications on hold"),
    "alert_changelist": _("Alerts"),
    "consistencycheck_changelist": _("Checks for duplicates"),
    "verification_changelist": _("Database verifications"),
    "finding_changelist": _("Problems found"),
    "snapshotrow_changelist": _("Entries of undo records"),
    "manual": _("Manual"),
}


def of(name: str) -> str:
    """Return what a page is called."""
    return str(PAGES[name])
