"""What rows say in sentences, translated where it is shown.

Rows, logs and the JSON documents hold English, whoever has caused them and whatever LANGUAGE_CODE is. A text of which
the form is known here is recognised by it; any other, such as a person's own words, is shown as it is.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache

from django.utils import formats, translation
from django.utils.translation import gettext, gettext_lazy, gettext_noop, ngettext

from cleanup.text_safety import safe

Words = Callable[[int], str]

#: What people call the schedules.
SCHEDULES = {
    "consistency_check": gettext_lazy("check for duplicates"),
    "full_cleanup": gettext_lazy("full cleanup"),
    "integrity_verification": gettext_lazy("database verification"),
    "retention": gettext_lazy("remove expired undo records"),
}


# What is logged with a number; ``number`` is what the plural depends on, here and below.


def cleanup_started(number: int) -> str:
    """Return the words for a cleanup of chosen applications."""
    return ngettext(
        "Started a cleanup of %(number)s application.", "Started a cleanup of %(number)s applications.", number
    )


def everything_started(number: int) -> str:
    """Return the words for a cleanup of all applications."""
    return ngettext(
        "Started a cleanup of everything (%(number)s application).",
        "Started a cleanup of everything (%(number)s applications).",
        number,
    )


_COUNTED: tuple[Words, ...] = (
    cleanup_started,
    everything_started,
    lambda number: ngettext(
        "%(number)s application with duplicate folders, more than the threshold of %(threshold)s.",
        "%(number)s applications with duplicate folders, more than the threshold of %(threshold)s.",
        number,
    ),
    lambda number: ngettext(
        "The latest verification of the database found %(number)s error.",
        "The latest verification of the database found %(number)s errors.",
        number,
    ),
    lambda number: ngettext(
        "The latest verification of the database found %(number)s place with duplicates.",
        "The latest verification of the database found %(number)s places with duplicates.",
        number,
    ),
    lambda number: ngettext(
        "Cleanup run %(run)s could not finish %(number)s application.",
        "Cleanup run %(run)s could not finish %(number)s applications.",
        number,
    ),
    lambda number: ngettext(
        "Rollback run %(run)s could not finish %(number)s application.",
        "Rollback run %(run)s could not finish %(number)s applications.",
        number,
    ),
    lambda number: ngettext(
        "Repair run %(run)s could not finish %(number)s application.",
        "Repair run %(run)s could not finish %(number)s applications.",
        number,
    ),
    lambda number: ngettext(
        "The schedule %(schedule)s waits for your approval to clean up %(number)s application.",
        "The schedule %(schedule)s waits for your approval to clean up %(number)s applications.",
        number,
    ),
    lambda number: ngettext(
        "Repair run %(run)s could not finish %(number)s application.",
        "Repair run %(run)s could not finish %(number)s applications.",
        number,
    ),
    lambda number: ngettext(
        "%(number)s of the last %(most)s applications failed",
        "%(number)s of the last %(most)s applications failed",
        number,
    ),
)

_PLAIN = (
    # Alerts.
    gettext_noop("The schedule %(schedule)s has been due since %(moment)s."),
    gettext_noop("The schedule %(schedule)s failed: %(reason)s."),
    gettext_noop("The schedule %(schedule)s failed."),
    gettext_noop("Cleanup run %(run)s was stopped: %(reason)s."),
    gettext_noop("Rollback run %(run)s was stopped: %(reason)s."),
    gettext_noop("Repair run %(run)s was stopped: %(reason)s."),
    gettext_noop("Cleanup run %(run)s is paused: %(reason)s."),
    gettext_noop("Rollback run %(run)s is paused: %(reason)s."),
    gettext_noop("Repair run %(run)s is paused: %(reason)s."),
    gettext_noop("Cleanup run %(run)s is active, but no worker is processing it."),
    gettext_noop("Rollback run %(run)s is active, but no worker is processing it."),
    gettext_noop("Repair run %(run)s is active, but no worker is processing it."),
    gettext_noop(
        "This database is a copy that was not adopted: %(reason)s. "
        "Schedules, clusters and interrupted runs do nothing here."
    ),
    gettext_noop("Notifications cannot be sent by %(channel)s: %(reason)s."),
    # Why a run does not go on.
    gettext_noop("paused by request"),
    gettext_noop("cancelled by request"),
    gettext_noop("paused by %(person)s: %(words)s"),
    gettext_noop("cancelled by %(person)s: %(words)s"),
    gettext_noop("paused by %(person)s"),
    gettext_noop("cancelled by %(person)s"),
    gettext_noop("frozen: %(reason)s"),
    gettext_noop("frozen"),
    gettext_noop("aborted"),
    gettext_noop("interrupted by %(signal)s"),
    gettext_noop("the database has been under pressure for too long: %(reason)s"),
    gettext_noop("a table is locked by a session that changes its definition"),
    gettext_noop("a table has been locked for too long by a session that changes its definition"),
    # Why a copy is one.
    gettext_noop("it is another database than before, as a restored dump or a copied file is"),
    gettext_noop("the server no longer says which database it is"),
    # Why a schedule did nothing.
    gettext_noop("Everything is stopped."),
    gettext_noop("Run %(run)s is active."),
    gettext_noop("The previous run, due at %(moment)s, has not finished."),
    gettext_noop("Its worker was lost %(times)s times."),
    # Why an application is on hold, if the person who undid its cleanup gave no reason; the second in earlier versions.
    gettext_noop("its cleanup was undone"),
    gettext_noop("rolled back"),
    # Why a run had stopped that was resumed.
    gettext_noop("Resumed the run. It had stopped: %(reason)s"),
    # Why a run was started, if no person has.
    gettext_noop("scheduled"),
    # Why everything is stopped, if the person gave no reason.
    gettext_noop("stopped in the admin"),
)

#: How a text begins that names what has changed.
_TABLES_CHANGED = gettext_noop("tables were changed in the meantime")

#: How a text begins that names what keeps a run from starting.
_NOT_STARTED = gettext_noop("The run was stopped before it started:")

#: Parts of a text that are texts of rows themselves.
_TEXTS = {"reason"}


def in_english(words: Words, number: int) -> str:
    """Return a text with a number, as it is to be stored."""
    with translation.override("en"):
        return words(number) % {"number": _number(number)}


def shown(stored: str) -> str:
    """Return a text in the person's language, with invisible characters escaped."""
    if (translation.get_language() or "en").partition("-")[0] == "en":
        return safe(stored)
    for pattern, words in _forms():
        if match := pattern.fullmatch(stored):
            return words(_plural(match)) % {name: _part(name, text) for name, text in match.groupdict().items()}
    return safe(stored)


def without_messages(stored: str) -> str:
    """Return a text as it is shown to people in the office: of a reason that only IT can read, that it is for IT."""
    for pattern, words in _forms():
        if match := pattern.fullmatch(stored):
            parts = match.groupdict()
            told = {name: _part(name, text) for name, text in parts.items()}
            if "reason" in parts and not is_known(parts["reason"]):
                told["reason"] = gettext("IT has to look at it")
            return words(_plural(match)) % told
    return safe(stored)


def is_known(stored: str) -> bool:
    """Return whether a text is one of ours, so that it was written for people."""
    return any(pattern.fullmatch(stored) for pattern, _words in _forms())


def is_about_tables(stored: str) -> bool:
    """Return whether a text names tables that were changed while a run was at work."""
    return stored.startswith(_TABLES_CHANGED)


def is_about_not_starting(stored: str) -> bool:
    """Return whether a text names what was found before a run, so that it did not start."""
    return stored.startswith(_NOT_STARTED)


def logged(stored: str) -> str:
    """Return what the admin's log says was done in the person's language; there it is one of a few texts of ours."""
    return gettext(stored) if stored and gettext(stored) != stored else shown(stored)


@cache
def _forms() -> tuple[tuple[re.Pattern[str], Words], ...]:
    """Return how each text is recognised, and its translation for a number."""
    return tuple(_recognised())


def _recognised() -> Iterator[tuple[re.Pattern[str], Words]]:
    for words in _COUNTED:
        with translation.override("en"):
            forms = (words(1), words(2))
        yield from ((_pattern(form), words) for form in forms)
    for text in _PLAIN:
        yield _pattern(text), _without_number(text)


def _without_number(text: str) -> Words:
    return lambda _number: gettext(text)


def _pattern(form: str) -> re.Pattern[str]:
    """Return a pattern that matches a form with its slots filled; a number in one consists of digits and commas."""
    slots = {"number": r"\d[\d,]*", "most": r"\d[\d,]*", "threshold": r"\d[\d,]*"}
    parts = re.split(r"%\((\w+)\)s", form)
    text = "".join(
        f"(?P<{part}>{slots.get(part, '.+?')})" if place % 2 else re.escape(part) for place, part in enumerate(parts)
    )
    return re.compile(text, re.DOTALL)


def _plural(match: re.Match[str]) -> int:
    return int(match.groupdict().get("number", "2").replace(",", ""))


def _part(name: str, text: str) -> str:
    if name in _TEXTS:
        return shown(text)
    if name == "schedule":
        return str(SCHEDULES.get(text, text))
    return _number(int(text.replace(",", ""))) if re.fullmatch(r"\d[\d,]*", text) else safe(text)


def _number(number: int) -> str:
    return formats.number_format(number, use_l10n=True, force_grouping=True)
