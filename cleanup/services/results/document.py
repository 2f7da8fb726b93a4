"""What documents are made of: their base, the form of their values, and types that they share."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from types import FunctionType
from typing import Annotated, Any, Literal

JSON = dict[str, Any]

#: Keys as text; their form in the API's schema depends on your models.
ApplicationId = Annotated[str, "application"]
FolderId = Annotated[str, "folder"]

#: For what the current role may not read.
Unknown = Literal["unknown"]
UNKNOWN: Unknown = "unknown"

#: Metadata of a field that is left out of the JSON if it is None.
OPTIONAL = {"optional": True}


#: Most values of a long document are of these types, and of no other that is sent in another form.
_AS_THEY_ARE = frozenset({bool, int, float, str, type(None)})


def plain(value: Any) -> Any:
    """Return a value in JSON form: a dataclass by its fields, a time in ISO 8601, a function by its dotted path."""
    return value if type(value) in _AS_THEY_ARE else _converted(value)


def _converted(value: Any) -> Any:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if is_dataclass(value):
        kind: Any = type(value)
        values = ((name, getattr(value, name), optional) for name, optional in _fields(kind))
        return {name: plain(held) for name, held, optional in values if held is not None or not optional}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


@cache
def _fields(kind: type) -> tuple[tuple[str, bool], ...]:
    """Return the names of a dataclass's fields, and whether each is left out if it is None."""
    return tuple((declared.name, bool(declared.metadata.get("optional"))) for declared in fields(kind))


class Document:
    """A document that is sent as JSON: a frozen dataclass."""

    __slots__ = ()

    def as_json(self) -> JSON:
        """Return the JSON form."""
        document: JSON = plain(self)
        return document
