"""Values as they stand in a statement that takes no parameters."""

import re
from typing import Any

from cleanup.backends.query import Query

_BACKSLASH = "\\"
#: Of which many print.
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_PARAMETER = re.compile(r"%\((\w+)\)s|%%")


def literal(text: str) -> str:
    """Return a text as a literal, whatever the current value of standard_conforming_strings.

    What does not print is escaped, so that a person reads what the server does.
    """
    if text.isprintable() and "\\" not in text:
        return _quoted(text)
    return f" E{_quoted(_UNPRINTABLE.sub(_escaped, text.replace(_BACKSLASH, _BACKSLASH * 2)))}"


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    return character if character.isprintable() else f"\\U{ord(character):08X}"


def rendered(query: Query | str) -> str:
    """Return a statement with its parameters in place, as one sends it without a driver."""
    text, params = (query.text, query.params) if isinstance(query, Query) else (query, {})
    return _PARAMETER.sub(lambda found: value(params[found[1]]) if found[1] else "%", text)


def value(given: Any) -> str:
    """Return a parameter as a literal: a text, a number, or a list of numbers."""
    if given is None:
        return "NULL"
    if isinstance(given, int):
        return str(given)
    if isinstance(given, list):
        return literal(f"{{{','.join(str(int(number)) for number in given)}}}")
    return literal(given)
