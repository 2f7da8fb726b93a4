"""The identity that distinguishes a database from its copies: a text, and how two of these compare. Pure.

The first part names the database: a restored dump, or a copied file, has a different one. Copies of a whole server
(base backups, snapshots, promoted standbys) have the same. They differ in marks, which any role may read unless stated
otherwise: the server's ``timeline``, its ``port``, and its data ``directory`` (a digest; only for roles that may read
all settings). A mark that one side lacks is ignored, so identities of older versions and of other roles compare.
"""

from collections.abc import Mapping

_WORDS = {
    "timeline": "its server was promoted, or restored to a point in time (timeline {now}, it was {before})",
    "port": "its server listens on another port ({now}, it was {before})",
    "directory": "its server has another data directory",
}


def spelled(name: str, marks: Mapping[str, object]) -> str:
    """Return the identity's text; marks that are None are unknown and left out."""
    return ";".join([name, *(f"{mark}={value}" for mark, value in marks.items() if value is not None)])


def is_same(before: str, now: str) -> bool:
    """Return whether both are the same database, as far as they show."""
    return not difference(before, now)


def is_promoted(before: str, now: str) -> bool:
    """Return whether it is the same database on a later timeline of its server, wherever that stands."""
    (name, marks), (other, others) = _parts(before), _parts(now)
    return name == other and int(marks.get("timeline", 0)) < int(others.get("timeline", 0))


def difference(before: str, now: str) -> str:
    """Return how the two differ, as the second half of a sentence; empty if they do not."""
    (name, marks), (other, others) = _parts(before), _parts(now)
    if name != other:
        return "it is another database than before, as a restored dump or a copied file is"
    told = [
        words.format(before=marks[mark], now=others[mark])
        for mark, words in _WORDS.items()
        if mark in marks and mark in others and marks[mark] != others[mark]
    ]
    return "; ".join(told)


def _parts(identity: str) -> tuple[str, dict[str, str]]:
    """Split a text; a file's path may hold the separators."""
    if not identity.startswith("postgresql:"):
        return identity, {}
    name, *marks = identity.split(";")
    return name, dict(mark.split("=", 1) for mark in marks if "=" in mark)
