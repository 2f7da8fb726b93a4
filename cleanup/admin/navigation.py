"""The one navigation: six entries, counts at two of them, the technical registers under "More", and help."""

from datetime import datetime
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.utils.translation import gettext as _

from cleanup.admin import access, obstacles, titles
from cleanup.services.monitoring import dashboard

#: Names of the pages, each with the sections in which it is lit.
_ENTRIES = {
    access.OVERVIEW: (access.OVERVIEW, "freezeswitch"),
    "applications": ("applications",),
    "decisions": ("decisions", "hold"),
    "folder": ("folder",),
    "run_changelist": ("run", "result", "rollbackpoint"),
    "schedule_changelist": ("schedule",),
}
_MORE = {
    "rollbackpoint_changelist": (),
    "result_changelist": (),
    "hold_changelist": (),
    "alert_changelist": ("alert",),
    "consistencycheck_changelist": ("consistencycheck",),
    "verification_changelist": ("verification",),
    "finding_changelist": ("finding",),
    "manual": ("manual",),
}
_ARGUMENTS = {"manual": ("admin",)}
"""Of those pages that have several: the first."""

_PAGES = ("admin", "the-pages")
_RUNS = ("safety", "how-a-run-is-safe")
#: What the manual says about the pages of a section: its chapter, and the heading in it.
HELP = {
    access.OVERVIEW: _PAGES,
    "freezeswitch": _PAGES,
    "applications": ("safety", "the-merge"),
    "decisions": _PAGES,
    "hold": _PAGES,
    "folder": _PAGES,
    "run": _RUNS,
    "result": _RUNS,
    "rollbackpoint": _RUNS,
    "snapshotrow": _RUNS,
    "schedule": ("operations", "automation"),
    "alert": ("operations", "alerts"),
    "consistencycheck": ("operations", "automation"),
    "verification": ("safety", "integrity-verification"),
    "finding": ("safety", "repairs"),
}


class Entry(NamedTuple):
    """One link."""

    address: str
    words: str
    current: bool
    number: int | None = None
    number_words: str = ""
    """What the number counts, for people who cannot see where it stands."""
    counted_at: datetime | None = None
    """When it was counted, if that may have changed since."""


def context(request: HttpRequest, *, section: str, numbers: dashboard.Numbers | None = None) -> dict[str, Any]:
    """Return what the navigation shows, given its numbers if they are known already."""
    site = access.site_of(request)
    numbers = numbers or obstacles.numbers(request)
    counts: dict[str, tuple[int | None, str, datetime | None]] = {
        "applications": (numbers.duplicates, _("applications with duplicates"), numbers.counted_at),
        "decisions": (numbers.decisions, _("open"), None),
    }
    entries = [
        Entry(access.address(site, name), titles.of(name), section in lit, *counts.get(name, ()))
        for name, lit in _ENTRIES.items()
    ]
    more = [
        Entry(access.address(site, name, *_ARGUMENTS.get(name, ())), titles.of(name), section in lit)
        for name, lit in _MORE.items()
    ]
    chapter, anchor = HELP.get(section, ("", ""))
    return {
        "entries": entries,
        "more": more,
        "in_more": section == "snapshotrow" or any(one.current for one in more),
        "help": f"{access.address(site, 'manual', chapter)}#{anchor}" if chapter else "",
    }
