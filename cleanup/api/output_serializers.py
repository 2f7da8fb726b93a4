"""The documents that the services return, as serializers for the schema; nothing is rendered with these.

A serializer is derived from the document's dataclass: types and nulls from the annotations, help from the text below
each field. A library for that would declare fields with a default as not required, and leave the text out.
"""

import ast
import inspect
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from rest_framework import serializers

from cleanup.api.serializer_fields import Key
from cleanup.services.results import CleanupReport, RepairReport, RollbackResult

_FIELDS: Mapping[type, type[serializers.Field[Any, Any, Any, Any]]] = {
    bool: serializers.BooleanField,
    int: serializers.IntegerField,
    float: serializers.FloatField,
    datetime: serializers.DateTimeField,
    UUID: serializers.UUIDField,
}


class DocumentSerializer(serializers.Serializer[Any]):
    """The fields of a document, and those that are declared here."""

    document: ClassVar[type[Any]]

    def get_fields(self) -> dict[str, Any]:
        """Derive a field from each of the document's."""
        hints = get_type_hints(self.document, include_extras=True)
        texts = {name: text for kind in self.document.__mro__[-2::-1] for name, text in _texts_of(kind).items()}
        derived = {
            field.name: _field_of(
                hints[field.name], required=not field.metadata.get("optional"), help_text=texts.get(field.name)
            )
            for field in fields(self.document)
        }
        return derived | super().get_fields()


@cache
def serializer_of(document: Any) -> type[DocumentSerializer]:
    """Return the serializer of a dataclass, under its name."""
    return type(document.__name__, (DocumentSerializer,), {"document": document, "__doc__": document.__doc__})


def _field_of(hint: Any, **options: Any) -> Any:
    """Return the field that describes values of a type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        options["allow_null"] = NoneType in args
        others = [arg for arg in args if arg is not NoneType]
        return _field_of(others[0], **options) if len(others) == 1 else serializers.JSONField(**options)
    if origin is Annotated:
        return Key(of=args[1], **options)
    if origin is tuple:
        return _list_of(args[0], **options)
    if origin is Mapping:
        return serializers.DictField(**options, **({} if args[1] is Any else {"child": _field_of(args[1])}))
    kind: Any = (
        serializer_of(hint)
        if isinstance(hint, type) and is_dataclass(hint)
        else _FIELDS.get(hint, serializers.CharField)
    )
    return kind(**options)


def _list_of(hint: Any, **options: Any) -> Any:
    if is_dataclass(hint):
        return _field_of(hint, many=True, **options)
    return serializers.ListField(child=_field_of(hint), **options)


def _texts_of(kind: type) -> Mapping[str, str]:
    """Return what stands below the fields of a class, by field; nothing if its source is not available."""
    return _texts_in(kind.__module__).get(kind.__name__, {})


@cache
def _texts_in(module: str) -> Mapping[str, Mapping[str, str]]:
    try:
        source = inspect.getsource(sys.modules[module])
    except OSError:
        return {}
    return {
        node.name: {
            field.target.id: inspect.cleandoc(text.value.value)
            for field, text in pairwise(node.body)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
        }
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }


class StartedCleanup(DocumentSerializer):
    """A cleanup, as far as it has come."""

    document = CleanupReport
    url = serializers.CharField(required=False, help_text="Of the run.")


class StartedRepair(DocumentSerializer):
    """A repair, as far as it has come."""

    document = RepairReport
    url = serializers.CharField(required=False, help_text="Of the run.")


class StartedRollback(DocumentSerializer):
    """What a rollback did, or would do."""

    document = RollbackResult
    url = serializers.CharField(required=False, help_text="Of the rollback run.")
