"""Decide whether what was read under one description of a table can be written back under another. Pure.

A value is journaled in its text form. It means the same today only in a column that is the same one and whose type is
the same or a wider one: cents that became euros and local times that became UTC have text forms that fit but are wrong.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import NamedTuple

from cleanup.backends.catalogue import Column, Table

_TYPE = re.compile(r"(?P<name>[^()\[\]]*)(?:\((?P<sizes>[^)]*)\)(?P<rest>[^()\[\]]*))?(?P<arrays>(?:\[\])*)")

_SYNONYMS = {
    "varchar": "character varying",
    "nvarchar": "character varying",
    "char": "character",
    "nchar": "character",
    "varbit": "bit varying",
    "decimal": "numeric",
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
}
_TEXTS = {"character varying", "text", "citext"}
_INTEGERS = {"smallint": 2, "integer": 4, "bigint": 8}
_TIMES = {"timestamp", "time", "interval"}
_TIME_DIGITS = 6


class _Type(NamedTuple):
    name: str
    sizes: tuple[int, ...]
    rest: str
    """Such as ``with time zone``, and the brackets of an array."""


def alterations(then: Table, now: Table, needed: Collection[str]) -> Iterator[str]:
    """Yield, as clauses that name the columns, why values of the ``needed`` columns of ``then`` do not fit ``now``."""
    today = {column.name: column for column in now.columns}
    renamed = _renamed(then, now)
    taken = {new: old for old, new in renamed.items()}
    for name in needed:
        before, after = then.column(name), today.get(name)
        if name in renamed:
            yield f"column {then.name}.{name} is named {renamed[name]} now; rename it back"
        elif name in taken:
            yield f"column {then.name}.{name} is what was {taken[name]}, under another name; rename it back"
        elif after is None or after.generated:
            yield f"column {then.name}.{name} is gone or was renamed"
        elif not widens(before.type, after.type):
            yield f"column {then.name}.{name} was of type {before.type} and is of type {after.type} now"
        elif not _same_definition(before, after):
            yield f"type {after.type} of column {then.name}.{name} is not defined as it was"


def _renamed(then: Table, now: Table) -> dict[str, str]:
    """Return the new names of renamed columns.

    In the same table numbers say it. In a copy (restored, or rebuilt by SQLite) numbers move up where a column is left
    out, but the order stays: there only names that went round in a circle were surely changed, and a name is taken
    for the new one of a column that is gone where nothing else could be it.
    """
    names = {column.number: column.name for column in now.columns if column.number}
    moved = {
        column.name: names[column.number]
        for column in then.columns
        if column.number in names and names[column.number] != column.name
    }
    if then.oid and then.oid == now.oid:
        return moved
    known, present = {column.name for column in then.columns}, {column.name for column in now.columns}
    return {
        name: new
        for name, new in moved.items()
        if _goes_round(name, moved) or (name not in present and new not in known)
    }


def _goes_round(name: str, moved: dict[str, str]) -> bool:
    at = moved.get(name)
    while at is not None and at != name:  # no two have the same new name, so no other circle is entered
        at = moved.get(at)
    return at == name


def widens(then: str, now: str) -> bool:
    """Return whether each value of one type is, in its text form, the same value in another type."""
    before, after = _parsed(then), _parsed(now)
    if before == after:
        return True
    if before.rest != after.rest:
        return False
    if {before.name, after.name} <= _TEXTS:
        return _at_least(before.sizes, after.sizes)
    if {before.name, after.name} <= _INTEGERS.keys():
        return _INTEGERS[before.name] <= _INTEGERS[after.name]
    if before.name == after.name:
        return before.name in _SIZED and _SIZED[before.name](before.sizes, after.sizes)
    return before.sizes == after.sizes and _same_but_for_schema(before.name, after.name)


def _parsed(text: str) -> _Type:
    plain = text if '"' in text else " ".join(text.lower().split())
    found = _TYPE.fullmatch(plain)
    sizes = found and [size.strip() for size in (found["sizes"] or "").split(",") if size.strip()]
    if not found or not all(size.lstrip("-").isdigit() for size in sizes or ()):
        return _Type(text, (), "")
    name, rest = found["name"].strip(), found["rest"] or ""
    for kind in _TIMES:  # if no precision separates the words
        if name.startswith(f"{kind} "):
            name, rest = kind, name.removeprefix(kind)
    return _Type(_SYNONYMS.get(name, name), tuple(map(int, sizes or ())), rest.strip() + found["arrays"])


def _at_least(then: tuple[int, ...], now: tuple[int, ...]) -> bool:
    """Return whether a length is at least as long; without one, anything fits."""
    return not now or (bool(then) and then <= now)


def _numbers_fit(then: tuple[int, ...], now: tuple[int, ...]) -> bool:
    """Return whether neither digits before the point nor after it are lost; without sizes, none are."""
    if not now or not then:
        return not now
    (before, scale), (after, new_scale) = ((*sizes, 0)[:2] for sizes in (then, now))
    return new_scale >= scale and after - new_scale >= before - scale


def _no_less(then: tuple[int, ...], now: tuple[int, ...], *, unsaid: int) -> bool:
    return (then or (unsaid,)) <= (now or (unsaid,))


#: Types of which a wider one has the same name.
_SIZED: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    "bit varying": _at_least,
    "numeric": _numbers_fit,
    "character": partial(_no_less, unsaid=1),
    **dict.fromkeys(_TIMES, partial(_no_less, unsaid=_TIME_DIGITS)),
}


def _same_but_for_schema(then: str, now: str) -> bool:
    """Return whether two names differ only in the schema, which is spelled or not depending on the search path."""
    return f".{now}".endswith(f".{then}") or f".{then}".endswith(f".{now}")


def _same_definition(then: Column, now: Column) -> bool:
    if not then.definition or then.definition == now.definition:
        return True
    before, after = _listed(then.definition), _listed(now.definition)
    if before is None or after is None:
        return before is None and after is None and widens(then.definition, now.definition)
    labels = all(isinstance(part, str) for part in before + after)
    return labels and set(before) <= set(after)


def _listed(definition: str) -> list[object] | None:
    parsed = json.loads(definition) if definition.startswith("[") else None
    return parsed if isinstance(parsed, list) else None
