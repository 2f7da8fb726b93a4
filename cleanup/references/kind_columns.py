"""Columns that give the kind of thing whose key another column holds, as ``res_model`` does for ``res_id``. Pure.

Their names end in a word for a kind, also glued to what stands before it, as PostgreSQL folds ``itemType``, and with a
word after it that says how the kind is given: ``content_type_id``, ``tablename``.
"""

import re

from cleanup.references.host_words import words_of

_KIND = "type|model|kind|class|entity|mode|table|contextlevel"
_KIND_WORD = re.compile(rf"(?:{_KIND})")
_GLUED_KIND = re.compile(rf"(.*?)(?:{_KIND})(?:name|code|id)?")
_GLUED_ID = re.compile(r"(.{2,}?)(?:uuid|guid|uid|id|pk|key|ref)")
_GIVEN_AS = frozenset({"id", "name", "code", "fk", "pk"})

#: Letters of the shortest word that can mean something; what is shorter is a code.
_WORD = re.compile(r"[^\W\d_]{3,}")

Stem = tuple[str, ...]


def stem_of_kind(column: str, *, plain: bool = False) -> Stem | None:
    """Return what a column of kinds is named after, or None if it is not one; ``plain``: its last word is the kind."""
    words = words_of(column)
    if not words or (plain and not _KIND_WORD.fullmatch(words[-1])):
        return None
    if len(words) > 1 and words[-1] in _GIVEN_AS:
        words = words[:-1]
    glued = _GLUED_KIND.fullmatch(words[-1])
    if not glued:
        return None
    return (*words[:-1], *([glued[1]] if glued[1] else []))


def stem_of_id(column: str) -> Stem:
    """Return what a column of ids is named after: its name without the last word, or without a glued ending."""
    words = words_of(column)
    if len(words) > 1:
        return words[:-1]
    glued = _GLUED_ID.fullmatch(words[0]) if words else None
    return (glued[1],) if glued else ()


def is_code(kind: str) -> bool:
    """Return whether a kind is a number or an abbreviation, whose meaning only the host knows."""
    return not _WORD.search(kind)
