"""What the admin's own log says was done: stored in English, the same for all, and translated where it is shown.

A message without a number is marked with ``gettext_noop`` where it is logged. One with a number stands here, because
its translation depends on the number.
"""

import re
from collections.abc import Callable

from django.utils import translation
from django.utils.translation import gettext, ngettext

from cleanup.admin import wording

Words = Callable[[int], str]


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


_COUNTED: tuple[Words, ...] = (cleanup_started, everything_started)


def in_english(words: Words, number: int) -> str:
    """Return a message with a number, as it is logged."""
    with translation.override("en"):
        return words(number) % {"number": wording.number_text(number)}


def translated(logged: str) -> str:
    """Return a message as it is shown; one that is not ours stays as it is."""
    if not logged or (digits := re.search(r"\d[\d,]*", logged)) is None:
        return gettext(logged) if logged else ""
    number = int(digits[0].replace(",", ""))
    words = next((one for one in _COUNTED if in_english(one, number) == logged), None)
    return logged if words is None else words(number) % {"number": wording.number_text(number)}
