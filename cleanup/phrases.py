"""Reasons and times as parts of sentences. Pure: no Django, no database."""

from datetime import UTC, datetime
from typing import Any

from cleanup.text_safety import safe


def as_reason(text: str) -> str:
    """Return a reason in one line, invisible characters escaped, without a full stop: the sentence has its own."""
    return safe(" ".join(text.split())).removesuffix(".")


def with_reason(statement: str, reason: str) -> str:
    """Return a sentence that gives the reason after a colon, if there is one."""
    told = as_reason(reason)
    return f"{statement}: {told}." if told else f"{statement}."


def as_time(moment: datetime | str) -> str:
    """Return a moment, or its ISO form, in UTC and to the minute, as in ``2026-11-28 15:11 UTC``."""
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def in_sentence(value: Any) -> Any:
    """Format a value for the message of an error: a moment as people read it, text in one line."""
    if isinstance(value, datetime):
        return as_time(value)
    return " ".join(value.splitlines()) if isinstance(value, str) else value
