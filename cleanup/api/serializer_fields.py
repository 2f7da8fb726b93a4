"""Strict input fields: a boolean is a boolean, a number a number, and unknown fields are refused."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models
from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from rest_framework import serializers

from cleanup.exceptions import InvalidKey
from cleanup.folder_tables import KeyColumn, folder_tables

#: A UUID, with or without its hyphens.
UUID_FORM = re.compile(r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}")

#: A moment, as RFC 3339 spells it.
MOMENT_FORM = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class Flag(serializers.BooleanField):
    """A boolean of a JSON body: nothing but true and false."""

    def to_internal_value(self, data: Any) -> bool:
        """Refuse 0, "no" and the like, which mean one thing to one program and another to the next."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class QueryFlag(serializers.BooleanField):
    """A boolean of a query: true or false, in any case (``True`` is what Python's clients send)."""

    def to_internal_value(self, data: Any) -> bool:
        """Refuse anything else, the empty value too."""
        value = {"true": True, "false": False}.get(str(data).lower())
        if value is None:
            self.fail("invalid", input=data)
        return value


class QueryNumber(serializers.IntegerField):
    """A whole number of a query: plain digits."""

    def to_internal_value(self, data: Any) -> int:
        """Refuse signs, blanks, fractions, and the digits of other scripts."""
        if not re.fullmatch(r"[0-9]{1,20}", str(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


class QueryUuid(serializers.UUIDField):
    """A UUID of a query, in the usual form."""

    def to_internal_value(self, data: Any) -> UUID:
        """Refuse braces, ``urn:uuid:`` and numbers."""
        if not UUID_FORM.fullmatch(str(data)):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class QueryMoment(serializers.DateTimeField):
    """A moment of a query, with its offset from UTC."""

    def to_internal_value(self, value: Any) -> datetime:
        """Refuse days, weeks, and times of an unknown zone."""
        if not MOMENT_FORM.fullmatch(str(value)):
            self.fail("invalid", format="2026-11-01T08:00:00Z")
        return super().to_internal_value(value)


class Number(serializers.IntegerField):
    """A whole number of a JSON body."""

    def to_internal_value(self, data: Any) -> int:
        """Refuse text, fractions and booleans."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """Text of a JSON body, kept as it is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        """Refuse numbers."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


def key_text(column: KeyColumn, value: str | int) -> str:
    """Return a key as the product spells it, if it came in the usual form. Raises InvalidKey."""
    text = column.text(value)
    is_number = isinstance(column.field, models.IntegerField)
    if (column.is_uuid and not UUID_FORM.fullmatch(str(value))) or (is_number and text != str(value)):
        raise InvalidKey(value=value, what=column.what)
    return text


class Key(serializers.Field[str, Any, str, Any]):
    """A key of an application or a folder, of whatever type."""

    default_error_messages = {"invalid": "Not a valid id."}

    def __init__(self, *, of: str, **options: Any) -> None:
        self.of = of
        super().__init__(**options)

    @property
    def column(self) -> KeyColumn:
        """Return what the key is."""
        tables = folder_tables()
        return {"application": tables.application_key, "folder": tables.folder_key}[self.of]

    def to_internal_value(self, data: Any) -> str:
        """Spell the key as the product does. Raises ValidationError."""
        if isinstance(data, bool) or not isinstance(data, str | int):
            self.fail("invalid")
        try:
            return key_text(self.column, data)
        except InvalidKey:
            self.fail("invalid")

    def to_representation(self, value: Any) -> str:
        """Return it as text, whatever it is."""
        return str(value)


class KeySchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # it registers itself
    """Describe keys in the schema."""

    target_class = Key

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        """Return the OpenAPI form."""
        return key_schema(self.target.column)


class TextSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # it registers itself
    """Exclude from the schema what no database can store."""

    target_class = Text

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        """Return the OpenAPI form."""
        described = auto_schema._map_serializer_field(self.target, direction, bypass_extensions=True)
        return {**described, "pattern": r"^[^\u0000]*$"}


def key_schema(column: KeyColumn) -> dict[str, Any]:
    """Return the OpenAPI form of a key."""
    if column.is_uuid:
        return {"type": "string", "format": "uuid"}
    return {"type": "string"}


class Input(serializers.Serializer[Any]):
    """Input fields; an unknown one is refused."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuse what is not declared. Raises ValidationError."""
        if isinstance(data, dict) and (unknown := data.keys() - self.fields.keys()):
            raise serializers.ValidationError(dict.fromkeys(sorted(map(str, unknown)), "Unknown field."))
        return super().to_internal_value(data)


class InputSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # it registers itself
    """Declare in the schema that unknown fields are refused."""

    target_class = Input
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        """Return the OpenAPI form."""
        described = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**described, "additionalProperties": False}
