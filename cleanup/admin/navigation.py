"""The one navigation: six entries, counts at two of them, and the technical registers under "More"."""

from typing import Any, NamedTuple

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cleanup.admin import access, obstacles
from cleanup.services.monitoring import dashboard

#: Name of the page, words, and the sections in which it is lit.
_ENTRIES = (
    (access.OVERVIEW, gettext_lazy("Overview"), (access.OVERVIEW, "freezeswitch")),
    ("applications", gettext_lazy("Duplicates"), ("applications",)),
    ("decisions", gettext_lazy("Decisions"), ("decisions", "hold")),
    ("folder", gettext_lazy("Find a folder"), ("folder",)),
    ("run_changelist", gettext_lazy("History"), ("run", "result", "rollbackpoint")),
    ("schedule_changelist", gettext_lazy("Settings"), ("schedule",)),
)
_MORE = (
    ("rollbackpoint_changelist", gettext_lazy("Undo records"), ()),
    ("result_changelist", gettext_lazy("Results by application"), ()),
    ("hold_changelist", gettext_lazy("Applications on hold"), ()),
    ("alert_changelist", gettext_lazy("Alerts"), ("alert",)),
    ("consistencycheck_changelist", gettext_lazy("Checks for duplicates"), ("consistencycheck",)),
    ("verification_changelist", gettext_lazy("Database verifications"), ("verification",)),
    ("finding_changelist", gettext_lazy("Problems found"), ("finding",)),
    ("manual", gettext_lazy("Manual"), ("manual",)),
)
_ARGUMENTS = {"manual": ("admin",)}
"""Of those pages that have several: the first."""


class Entry(NamedTuple):
    """One link."""

    address: str
    words: str
    current: bool
    number: int | None = None
    number_words: str = ""
    """What the number counts, for people who cannot see where it stands."""


def context(request: HttpRequest, *, section: str, numbers: dashboard.Numbers | None = None) -> dict[str, Any]:
    """Return what the navigation shows, given its numbers if they are known already."""
    site = access.site_of(request)
    numbers = numbers or obstacles.numbers(request)
    counts = {
        "applications": (numbers.duplicates, _("applications with duplicates")),
        "decisions": (numbers.decisions, _("open")),
    }
    entries = [
        Entry(access.address(site, name), str(words), section in lit, *counts.get(name, ()))
        for name, words, lit in _ENTRIES
    ]
    more = [
        Entry(access.address(site, name, *_ARGUMENTS.get(name, ())), str(words), section in lit)
        for name, words, lit in _MORE
    ]
    return {"entries": entries, "more": more, "in_more": section == "snapshotrow" or any(one.current for one in more)}
