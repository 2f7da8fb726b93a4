"""The words of the chart of duplicates over time."""

from collections.abc import Mapping
from datetime import date

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from cleanup.admin.wording import number_text


def day(of: date) -> str:
    """Name a day with its year, as in ``21 February 2026``."""
    return date_format(of, pgettext("date format", "j F Y"))


def short_day(of: date) -> str:
    """Name a day shortly, as in ``21 Feb``."""
    return date_format(of, pgettext("date format", "j M"))


def month(of: date) -> str:
    """Name a month shortly, as in ``Feb``; the first of a year by the year."""
    return f"{of:%Y}" if of.month == 1 else date_format(of, pgettext("date format", "M"))


def summary(duplicates: Mapping[date, int], *, days: int) -> str:
    """Describe the picture: what it began and ended with, and what lay between."""
    if not duplicates:
        return _("Nothing was measured in the last %(days)s days.") % {"days": number_text(days)}
    first, last = min(duplicates), max(duplicates)
    if first == last:
        return _("Applications with duplicates: %(number)s on %(day)s.") % {
            "number": number_text(duplicates[last]),
            "day": day(last),
        }
    return _(
        "Applications with duplicates: %(first)s on %(first_day)s, %(last)s on %(last_day)s; in between, "
        "from %(least)s to %(most)s."
    ) % {
        "first": number_text(duplicates[first]),
        "first_day": day(first),
        "last": number_text(duplicates[last]),
        "last_day": day(last),
        "least": number_text(min(duplicates.values())),
        "most": number_text(max(duplicates.values())),
    }


def readout(of: date, value: int | None, *, runs: int, folders: int) -> str:
    """Describe what is known about a day."""
    ran = cleanups(runs, folders) if runs else ""
    if value is None:
        found = _("%(day)s: not checked.") % {"day": day(of)}
    else:
        words = ngettext(
            "%(day)s: %(number)s application with duplicates.",
            "%(day)s: %(number)s applications with duplicates.",
            value,
        )
        found = words % {"day": day(of), "number": number_text(value)}
    return f"{found} {ran}".rstrip()


def cleanups(runs: int, folders: int) -> str:
    """Count the cleanups of some days, and what they merged."""
    ran = ngettext("%(number)s cleanup", "%(number)s cleanups", runs) % {"number": number_text(runs)}
    merged = ngettext("%(number)s folder merged", "%(number)s folders merged", folders) % {
        "number": number_text(folders)
    }
    return _("%(cleanups)s, %(folders)s.") % {"cleanups": ran, "folders": merged}
