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
from cleanup.services.results import CleanupReport, RollbackResult

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
    """Return what stands below the fields of a class, by field; nothing where its source is not at hand."""
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


class StartedRollback(DocumentSerializer):
    """What a rollback did, or would do."""

    document = RollbackResult
    url = serializers.CharField(required=False, help_text="Of the rollback run.")


Any_ = serializers.Serializer[Any]


class DuplicateApplication(Any_):
    """An application with duplicates."""

    application_id = Key(of="application")
    root_folders = serializers.IntegerField(help_text="Live root folders.")
    duplicates = serializers.IntegerField(help_text="Folders beyond the first of each group.")


class CheckedApplication(DuplicateApplication):
    """An application with duplicates, as a check lists it."""

    waiting_for_decision = serializers.BooleanField(help_text="On hold, refused or too large.")


class FindingDocument(Any_):
    """One thing that a verification has to say."""

    code = serializers.CharField()
    severity = serializers.CharField(help_text="error or warning")
    table = serializers.CharField()
    object_key = serializers.CharField()
    application_id = serializers.CharField(allow_null=True)
    detail = serializers.DictField()
    hint = serializers.CharField(help_text="A command, or the SELECT that lists all.")


class VerificationDocument(Any_):
    """An integrity verification."""

    verification_id = serializers.IntegerField(allow_null=True, help_text="Null for one application.")
    verification_passed = serializers.BooleanField()
    duplicate_parent_folders = serializers.IntegerField(help_text="Applications with several roots.")
    duplicate_child_folders = serializers.IntegerField(help_text="Same-named folders beyond the first of each group.")
    orphaned_files = serializers.IntegerField()
    orphaned_folders = serializers.IntegerField()
    inconsistent_applications = serializers.ListField(child=serializers.CharField())
    inconsistent_applications_left_out = serializers.IntegerField()
    findings = FindingDocument(many=True)
    findings_left_out = serializers.IntegerField()
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Findings by code.")
    verified_at = serializers.DateTimeField(required=False, help_text="Of the whole database.")


class CheckDocument(Any_):
    """A consistency check."""

    check_time = serializers.DateTimeField()
    duplicate_applications_found = serializers.IntegerField()
    duplicate_applications = CheckedApplication(many=True)
    duplicate_applications_left_out = serializers.IntegerField()
    waiting_for_decision = serializers.IntegerField(help_text="Applications among them.")
    late_arrivals = serializers.IntegerField(help_text="Rows that were re-pointed.")
    integrity_verification = VerificationDocument()
    needs_cleanup = serializers.BooleanField()
    alert_threshold_exceeded = serializers.BooleanField()


class ActiveRun(Any_):
    """A run at work."""

    run_id = serializers.UUIDField()
    status = serializers.CharField()
    status_reason = serializers.CharField()
    worked = serializers.BooleanField()
    silent_seconds = serializers.IntegerField(
        allow_null=True, help_text="Since its last sign of life, where that is longer than half a minute."
    )
    total_applications = serializers.IntegerField()
    done_applications = serializers.IntegerField()
    successful_applications = serializers.IntegerField(help_text="Done, and neither failed nor left alone.")
    failed_applications = serializers.IntegerField()
    held_applications = serializers.IntegerField(help_text="On hold.")
    skipped_applications = serializers.IntegerField(help_text="Left alone: too large, or not there.")
    folders_removed = serializers.IntegerField()
    files_moved = serializers.IntegerField()
    applications_per_second = serializers.FloatField(allow_null=True)
    seconds_left = serializers.IntegerField(allow_null=True)
    heartbeat_at = serializers.DateTimeField(allow_null=True)
    waiting_for = serializers.CharField(allow_blank=True, help_text="Why it waits; empty: it does not.")
    correlation_id = serializers.CharField(allow_blank=True)


class ScheduleStatus(Any_):
    """A schedule, in the status."""

    enabled = serializers.BooleanField()
    schedule_type = serializers.CharField()
    last_run = serializers.DateTimeField(allow_null=True)
    next_run = serializers.DateTimeField(allow_null=True)
    overdue = serializers.BooleanField()
    max_applications_per_run = serializers.IntegerField(allow_null=True)
    alert_threshold = serializers.IntegerField()
    dry_run_first = serializers.BooleanField()


class Statistics(Any_):
    """What was done so far."""

    total_runs = serializers.IntegerField()
    successful_runs = serializers.IntegerField()
    failed_runs = serializers.IntegerField()
    applications_cleaned = serializers.IntegerField()
    folders_removed = serializers.IntegerField()
    files_moved = serializers.IntegerField()
    last_run_time = serializers.DateTimeField(allow_null=True)


class HandedOver(Any_):
    """A check or verification that a cluster is to do, or has done."""

    kind = serializers.CharField(help_text="check or verification")
    id = serializers.IntegerField()
    status = serializers.CharField(help_text="pending, completed or failed")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    started_by = serializers.CharField(allow_blank=True)
    found_something = serializers.BooleanField(allow_null=True, help_text="Duplicates, or errors; null: no answer.")
    error = serializers.CharField(allow_blank=True, help_text="Why there is no answer.")


class RestoredCopy(Any_):
    """That the database is a copy in which clusters do nothing until it is adopted."""

    message = serializers.CharField()
    command = serializers.CharField(help_text="Adopts it.")


class LastCheck(Any_):
    """What the latest check found, and what that is worth."""

    check_time = serializers.DateTimeField()
    duplicate_applications = serializers.IntegerField()
    waiting_for_decision = serializers.IntegerField()
    age_seconds = serializers.IntegerField()
    current = serializers.BooleanField(
        help_text="Younger than two periods of its schedule, or a day where none renews it, and nothing changed since."
    )
    changed_since = serializers.BooleanField(help_text="A run has changed folders since it began.")


class StatusDocument(Any_):
    """What the service is doing."""

    running = serializers.BooleanField(help_text="Started, a cluster is alive, and the database is no restored copy.")
    cluster_alive = serializers.BooleanField()
    last_check = LastCheck(allow_null=True)
    started = serializers.BooleanField()
    restored_copy = RestoredCopy(allow_null=True)
    frozen = serializers.BooleanField()
    frozen_reason = serializers.CharField(allow_blank=True)
    heartbeat_at = serializers.DateTimeField(allow_null=True)
    schedules = serializers.DictField(child=ScheduleStatus(), help_text="By name.")
    statistics = Statistics()
    active_run = ActiveRun(allow_null=True)
    handed_over = HandedOver(many=True, help_text="To be done in the background, and the latest answer of each kind.")


class _OrUnknown(serializers.JSONField):
    """What was found, or "unknown" where the role may not look."""


class PreflightDocument(Any_):
    """Whether a cleanup can run, and what the answer rests on."""

    ok = serializers.BooleanField()
    problems = serializers.ListField(child=serializers.DictField())
    warnings = serializers.ListField(child=serializers.DictField())
    identity = serializers.DictField(help_text="Server, database, and the server's settings.")
    role = serializers.DictField(help_text="The current role and its grants.")
    foreign_keys = _OrUnknown()
    indexes = _OrUnknown()
    references = _OrUnknown()
    triggers = _OrUnknown()
    row_security = _OrUnknown()
    collations = _OrUnknown()
    suspected = _OrUnknown()
    settings = serializers.DictField(help_text="The settings in force, without secrets.")
    estimate = _OrUnknown()
