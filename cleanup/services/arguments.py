"""Strict arguments of services: a bool is not a number, a text not a flag, and unknown names are refused.

The annotations of a method declare what it takes; nothing is declared twice. A failure is one of the product's errors,
and also a TypeError.
"""

import inspect
import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import wraps
from types import FunctionType, NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin
from uuid import UUID

from django.db import connections

from cleanup import backends
from cleanup.exceptions import InvalidArgument, InvalidKey, UsageError

C = TypeVar("C", bound=type[Any])

#: The largest number that the databases' own columns and limits hold.
LARGEST = 2**31 - 1

_EXPECTED = {
    bool: "True or False",
    int: "a whole number",
    str: "text",
    NoneType: "None",
    Iterable: "a list",
    Callable: "a function",
}


def checked_arguments(*, but: Collection[str] = ()) -> Callable[[C], C]:
    """Make every public method of a class refuse what its annotations do not allow; it checks ``but`` itself."""

    def decorate(service: C) -> C:
        for name, verb in list(vars(service).items()):
            if isinstance(verb, FunctionType) and not name.startswith("_"):
                setattr(service, name, _checked(verb, but))
        return service

    return decorate


def _checked(verb: Callable[..., Any], but: Collection[str]) -> Callable[..., Any]:
    signature = inspect.signature(verb)
    kinds = {
        name: found
        for name, parameter in signature.parameters.items()
        if name not in but and (found := _kinds(parameter.annotation))
    }

    @wraps(verb)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.using not in connections:
            raise UsageError(f"There is no database {self.using!r} in DATABASES; use one of: {', '.join(connections)}.")
        try:
            given = signature.bind(self, *args, **kwargs).arguments
        except TypeError as error:
            raise InvalidArgument(_misfit(signature, kwargs, error), method=verb.__name__) from None
        for name, value in given.items():
            if name in kinds:
                refuse_other_kinds(name, value, kinds[name])
        return verb(self, *args, **kwargs)

    return checked


def _misfit(signature: inspect.Signature, kwargs: Mapping[str, Any], error: TypeError) -> str:
    names = [name for name in signature.parameters if name != "self"]
    unknown = sorted(set(kwargs) - set(names))
    if unknown:
        known = f"it takes {', '.join(names)}" if names else "it takes none"
        return f"There is no argument {', '.join(unknown)}; {known}."
    told = str(error)
    return f"{told[:1].upper()}{told[1:]}."


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """Return the types that an annotation allows, as far as known; empty: everything."""
    members = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    kinds = []
    for member in members:
        origin = get_origin(member)
        if member in _EXPECTED:
            kinds.append(member)
        elif origin is Callable:
            kinds.append(Callable)
        elif isinstance(origin, type) and issubclass(origin, Iterable):
            kinds.append(Iterable)
        else:
            return ()
    return tuple(kinds)


def refuse_other_kinds(name: str, value: Any, kinds: Collection[Any]) -> None:
    """Raise InvalidArgument if a value is of none of these types."""
    if not any(_is_of(value, kind) for kind in kinds):
        expected = " or ".join(_EXPECTED[kind] for kind in kinds)
        raise InvalidArgument(argument=name, expected=expected, given=reprlib.repr(value))


def _is_of(value: Any, kind: Any) -> bool:
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is Iterable:
        return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    return callable(value) if kind is Callable else isinstance(value, kind)


def refuse_impossible_numbers(*, using: str, workers: int = 1, **numbers: int | None) -> None:
    """Raise UsageError if a number is out of range, or the database has no use for so many workers."""
    for name, number in {**numbers, "workers": workers}.items():
        if number is not None and not 1 <= number <= LARGEST:
            limit = "at least 1" if number < 1 else f"at most {LARGEST}"
            raise UsageError(f"{name} must be {limit}, not {number}.")
    if workers > 1 and backends.database(using=using).one_writer:
        raise UsageError("SQLite has one writer at a time, so further workers would only wait. Use one worker.")


def uuid_of(value: Any, *, what: str) -> UUID:
    """Return the id of a run or a rollback point. Raises InvalidKey."""
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError:
        raise InvalidKey(value=value, what=what) from None
