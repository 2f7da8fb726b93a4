"""Parts and conditions of indexes from a catalogue, in one spelling, however they were written."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""\s+|(?P<string>'(?:[^']|'')*')|"(?P<quoted>(?:[^"]|"")*)"|(?P<word>\w+)|(?P<other>::|<>|!=|.)"""
)
_KEYWORDS = frozenset({"and", "or", "is", "not", "null", "true", "false", "collate"})


def conditions_of(predicate: str | None) -> frozenset[tuple[str, ...]] | None:
    """Return the conditions joined by AND, each in one spelling, however written; None if it is more than that."""
    if predicate is None:
        return frozenset()
    found: list[list[str]] = [[]]
    for word in spelled(predicate):
        if word == "<or>":
            return None
        if word == "<and>":
            found.append([])
        else:
            found[-1].append(word)
    return frozenset(_one_way(condition) for condition in found)


def _one_way(condition: list[str]) -> tuple[str, ...]:
    match condition:
        case [column, "=", "<true>"] | [column, "<is>", "<true>"]:
            return (column,)
        case [column, "=", "<false>"] | [column, "<is>", "<false>"]:
            return ("<not>", column)
        case _:
            return tuple(condition)


def spelled(sql: str) -> Iterator[str]:
    """Yield tokens without parentheses, casts and the quotes of identifiers; keywords in angle brackets."""
    casting = False
    for match in _TOKEN.finditer(sql):
        kind, text = match.lastgroup, match.group()
        if kind is None or text in "()":
            continue
        if text == "::":
            casting = True
            continue
        keyword = kind == "word" and text.lower() in _KEYWORDS
        if casting and not keyword and kind in {"word", "quoted"}:
            continue
        casting = False
        if keyword:
            yield f"<{text.lower()}>"
        elif kind == "quoted":
            yield match["quoted"].replace('""', '"')
        else:
            yield "<>" if text == "!=" else text


def predicate_of(create_index: str) -> str | None:
    """Return what follows WHERE in a CREATE INDEX statement."""
    depth = 0
    for match in _TOKEN.finditer(create_index):
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        if match.lastgroup == "word" and match.group().lower() == "where" and not depth:
            return create_index[match.end() :]
    return None


def column_of(part: str) -> str | None:
    """Return the column that a key part is, its cast and collation apart; None for any other expression."""
    tokens = list(spelled(part))
    if "<collate>" in tokens:
        tokens = tokens[: tokens.index("<collate>")]
    return tokens[0] if len(tokens) == 1 else None
