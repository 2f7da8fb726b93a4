"""Resolve the settings to the tables and columns of application, folder and file.

The only place that knows how a host's models are named. Keys travel through the product as text: ``KeyColumn`` converts
them to what the database driver takes, and back, with one spelling per key.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, cast

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from cleanup import conf
from cleanup.exceptions import (
    InheritedModel,
    InvalidKey,
    MisconfiguredSetting,
    UnknownField,
    UnknownModel,
    UnsupportedKey,
)
from cleanup.policies import ApplicationSource, DifferentRootsPolicy, SharedFoldersPolicy
from cleanup.text_safety import is_storable


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A key column: UUID, integer or text."""

    field: "models.Field[Any, Any]"
    what: str
    """Noun for messages: application, folder, file."""

    @property
    def column(self) -> str:
        """Name of the column."""
        return str(self.field.column)

    def text(self, value: Any) -> str:
        """Spell a key as the product does: canonical for UUIDs, decimal for integers.

        Raises InvalidKey.
        """
        try:
            python = self.field.to_python(value)
        except (ValidationError, ValueError, TypeError, OverflowError):
            raise InvalidKey(value=value, what=self.what) from None
        if python is None or (isinstance(python, str) and not is_storable(python)):
            raise InvalidKey(value=value, what=self.what)
        if isinstance(python, str) and python.endswith(" ") and _is_padded(self.field):
            python = python.rstrip(" ")
        if isinstance(python, int) and not -(2**63) <= python < 2**63:
            raise InvalidKey(value=value, what=self.what)
        return str(python)

    def texts(self, values: Iterable[Any]) -> list[str]:
        """Spell those values that can be keys, each once; others, as of a time when keys were others, are left out."""
        found: dict[str, None] = {}
        for value in values:
            with suppress(InvalidKey):
                found[self.text(value)] = None
        return list(found)

    def raw(self, value: Any, *, connection: BaseDatabaseWrapper) -> str:
        """Spell a key as the text form of what the database holds (on SQLite a UUID has no hyphens)."""
        prepared = self.field.get_db_prep_value(self.field.to_python(value), connection)
        return str(prepared)

    @property
    def is_uuid(self) -> bool:
        """Return whether keys are UUIDs."""
        return isinstance(self.field, models.UUIDField)

    @property
    def is_integer(self) -> bool:
        """Return whether keys are integers."""
        return isinstance(self.field, models.IntegerField)

    def spellings(self, value: str) -> tuple[str, ...]:
        """Return the ways in which text columns (generic foreign keys, loose references) may spell this key."""
        if not self.is_uuid:
            return (value,)
        key = uuid.UUID(value)
        plain = (str(key), key.hex, f"{{{key}}}")
        return (*plain, *(spelling.upper() for spelling in plain))


class Ownership(Enum):
    """Where a folder's application is recorded."""

    FOLDER = auto()
    """In each folder."""
    ROOT = auto()
    """In root folders; others belong to that of their root."""
    SHARED = auto()
    """In each folder; root folders without one, with all below them that has none either, are trees, as in TREE."""
    TREE = auto()
    """Nowhere: the root folders of one name, with all that is below them, are a tree of their own."""


#: CLEANUP_ROOT_PARENT: a root folder holds its own key.
SELF = "self"


@dataclass(frozen=True, slots=True)
class FileTable:
    """The file model and its mapped columns."""

    model: type[models.Model]
    key: KeyColumn
    folder: str
    application: str | None
    name: str | None

    @property
    def table(self) -> str:
        """The table, as the model spells it."""
        return self.model._meta.db_table

    @property
    def columns(self) -> tuple[str, ...]:
        """The mapped columns."""
        return tuple(name for name in (self.key.column, self.folder, self.application, self.name) if name is not None)


@dataclass(frozen=True, slots=True)
class FolderTables:
    """The mapped models and their columns.

    Without applications, a tree is what stands in their place: ``application`` is the folder model, and the key that of
    the tree's oldest root folder.
    """

    ownership: Ownership
    application: type[models.Model]
    folder: type[models.Model]
    application_key: KeyColumn
    folder_key: KeyColumn
    folder_parent: str
    """If folders lie in no others, their key: each is a root folder that holds its own."""
    folder_application: str | None
    folder_name: str
    folder_created: str | None
    """None: folders have no time, and the lowest key counts as the oldest."""
    file: FileTable | None
    """None: rows that refer to folders are references like any other."""
    live: Mapping[str, Any] | None
    """Column values of a live folder; None: all are live."""
    survivor_column: str | None = None
    """The column of applications that names the root folder which stays, if one does."""
    root_parent: str | None = None
    """What a root's parent column may hold beside null: ``SELF`` for its own key, or a key that is no folder's."""

    @property
    def flat(self) -> bool:
        """Return whether no folder lies in another one."""
        return self.folder_parent == self.folder_key.column

    def parent_of(self, folder: str, held: str | None) -> str | None:
        """Return the parent of a folder whose parent column holds a key: None for a root folder."""
        return None if held == (folder if self.root_parent == SELF else self.root_parent) else held

    def held_by_root(self, folder: str) -> str | None:
        """Return what the parent column of a root folder holds."""
        return folder if self.root_parent == SELF else self.root_parent

    @property
    def models(self) -> tuple[type[models.Model], ...]:
        """The mapped models, each once."""
        return tuple(dict.fromkeys((self.application, self.folder, *((self.file.model,) if self.file else ()))))

    @property
    def tables(self) -> tuple[str, ...]:
        """The mapped tables, as the models spell them."""
        return tuple(model._meta.db_table for model in self.models)

    @property
    def inherits(self) -> bool:
        """Return whether folders belong where their root folder does, whatever they hold themselves."""
        return self.ownership in (Ownership.ROOT, Ownership.TREE)

    @property
    def takes_structures(self) -> bool:
        """Return whether an application can be given folders: each names it, and lies in another one."""
        return not self.inherits and not self.flat

    @property
    def owner_columns(self) -> tuple[str, ...]:
        """The column of folders that names their application, if there is one."""
        return () if self.folder_application is None else (self.folder_application,)

    @property
    def folder_columns(self) -> tuple[str, ...]:
        """The mapped columns of folders."""
        return (
            self.folder_key.column,
            self.folder_parent,
            *self.owner_columns,
            self.folder_name,
            *((self.folder_created,) if self.folder_created else ()),
        )

    @property
    def application_table(self) -> str:
        """Table of applications, as the model spells it."""
        return self.application._meta.db_table

    @property
    def folder_table(self) -> str:
        """Table of folders, as the model spells it."""
        return self.folder._meta.db_table


#: The type of a char(n) column, and of a domain over it, in PostgreSQL's description of a query's columns.
_BPCHAR = 1042


def _is_padded(field: "models.Field[Any, Any]") -> bool:
    """Return whether the database pads a key with spaces (char(n)), which are ignored in comparisons.

    The database is asked only about keys that end with a space; a model is the same on all databases.
    """
    connection = connections[conf.database()]
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, field.model._meta.db_table)
    return any(column.name == field.column and column.type_code == _BPCHAR for column in described)


def folder_tables() -> FolderTables:
    """Resolve the settings. Raises MisconfiguredSetting."""
    owner = conf.application_model()
    folder = _model("CLEANUP_FOLDER_MODEL", conf.folder_model())
    application = folder if owner is None else _model("CLEANUP_APPLICATION_MODEL", owner)
    of_folder = conf.folder_fields()
    ownership = _ownership()
    if ownership == Ownership.SHARED:
        _refuse_ambiguous_keys(application, folder)
    folder_key = KeyColumn(_primary_key(folder, "CLEANUP_FOLDER_MODEL"), "a folder")
    if flat := of_folder["parent"] is None:
        _refuse_other_than_flat(ownership)
    return FolderTables(
        ownership=ownership,
        application=application,
        folder=folder,
        application_key=KeyColumn(
            _primary_key(application, "CLEANUP_APPLICATION_MODEL"), "a tree" if owner is None else "an application"
        ),
        folder_key=folder_key,
        folder_parent=folder_key.column if flat else _column(folder, "CLEANUP_FOLDER_FIELDS", of_folder["parent"]),
        folder_application=(
            None if owner is None else _column(folder, "CLEANUP_FOLDER_FIELDS", of_folder["application"])
        ),
        folder_name=_column(folder, "CLEANUP_FOLDER_FIELDS", of_folder["name"]),
        folder_created=_column_or_none(folder, "CLEANUP_FOLDER_FIELDS", of_folder["created"]),
        file=_file_table(),
        live=conf.folder_live(),
        survivor_column=_survivor_column(application),
        root_parent=SELF if flat else _root_parent(folder),
    )


def _survivor_column(application: type[models.Model]) -> str | None:
    """Return the column of CLEANUP_SURVIVOR, which may be a field; a host's table has columns that no model knows."""
    name = conf.survivor_column()
    fields = {field.name: field.column for field in application._meta.concrete_fields}
    return None if name is None else fields.get(name, name)


def _root_parent(folder: type[models.Model]) -> str | None:
    value = conf.root_parent()
    if value is None or value == SELF:
        return cast("str | None", value)
    key = KeyColumn(_primary_key(folder, "CLEANUP_FOLDER_MODEL"), "a folder")
    kind = "a UUID" if key.is_uuid else "a whole number" if isinstance(key.field, models.IntegerField) else "a text"
    wrong = MisconfiguredSetting(
        setting="CLEANUP_ROOT_PARENT", problem=f'{value!r} is neither "self" nor {kind}, as keys of folders are.'
    )
    if isinstance(value, bool | float):
        raise wrong
    try:
        return key.text(value)
    except InvalidKey:
        raise wrong from None


def _file_table() -> FileTable | None:
    label = conf.file_model()
    if label is None:
        return None
    model, fields = _model("CLEANUP_FILE_MODEL", label), conf.file_fields()
    return FileTable(
        model=model,
        key=KeyColumn(_primary_key(model, "CLEANUP_FILE_MODEL"), "a file"),
        folder=_column(model, "CLEANUP_FILE_FIELDS", fields["folder"]),
        application=_column_or_none(model, "CLEANUP_FILE_FIELDS", fields["application"]),
        name=_column_or_none(model, "CLEANUP_FILE_FIELDS", fields["name"]),
    )


def _ownership() -> Ownership:
    if conf.application_model() is None:
        return Ownership.TREE
    if conf.shared_folders() == SharedFoldersPolicy.MERGE:
        return Ownership.SHARED
    return Ownership.ROOT if conf.application_from() == ApplicationSource.ROOT else Ownership.FOLDER


def _refuse_other_than_flat(ownership: Ownership) -> None:
    """Refuse settings that speak of a tree where folders lie in no others, or that would merge all that one has."""
    keep = DifferentRootsPolicy.KEEP
    if ownership != Ownership.TREE and conf.different_roots() != keep:
        problem = f'it must be "{keep}" where folders have no parent: all folders of an application are root folders.'
        raise MisconfiguredSetting(setting="CLEANUP_DIFFERENT_ROOTS", problem=problem)
    for setting, value in (("CLEANUP_ROOT_PARENT", conf.root_parent()), ("CLEANUP_TREE_HOOK", conf.tree_hooks())):
        if value not in (None, ()):
            problem = "it is of no use where CLEANUP_FOLDER_FIELDS says that folders have no parent."
            raise MisconfiguredSetting(setting=setting, problem=problem)


def _refuse_ambiguous_keys(application: type[models.Model], folder: type[models.Model]) -> None:
    """Refuse trees beside applications if a tree's key might be an application's, or they cannot be compared."""
    keys = (application._meta.pk, folder._meta.pk)
    if not all(isinstance(key, models.UUIDField) for key in keys) or conf.application_from() == ApplicationSource.ROOT:
        problem = '"merge" needs applications and folders with UUIDs as keys, and each folder to tell its application.'
        raise MisconfiguredSetting(setting="CLEANUP_SHARED_FOLDERS", problem=problem)


def misconfigurations() -> Iterator[MisconfiguredSetting]:
    """Yield everything wrong with the settings that name models and fields; ``folder_tables`` raises only the first.

    Settings of the wrong form are reported by the functions that read them.
    """
    folder_fields = _named("CLEANUP_FOLDER_FIELDS", lambda: _mapped_fields(conf.folder_fields()))
    file_fields = _named("CLEANUP_FILE_FIELDS", lambda: conf.file_fields().values())
    defaults = _named("CLEANUP_FOLDER_DEFAULTS", _constant_defaults)
    labels = _named("CLEANUP_APPLICATION_LABEL", conf.application_label)
    parts: tuple[tuple[str, Callable[[], str | None], list[tuple[str, str]]], ...] = (
        ("CLEANUP_APPLICATION_MODEL", conf.application_model, labels),
        ("CLEANUP_FOLDER_MODEL", conf.folder_model, folder_fields + defaults),
        ("CLEANUP_FILE_MODEL", conf.file_model, file_fields),
    )
    fits = True
    for setting, label, fields in parts:
        try:
            if (named := label()) is None:
                continue
            model = _model(setting, named)
        except MisconfiguredSetting as error:
            yield error
            fits = False
            continue
        checks: list[Callable[[], object]] = [
            partial(_primary_key, model, setting),
            *(partial(_column, model, *field) for field in fields),
        ]
        if setting == "CLEANUP_FOLDER_MODEL":
            checks.append(partial(_root_parent, model))
        for check in checks:
            try:
                check()
            except MisconfiguredSetting as error:
                yield error
                fits = False
    if fits:
        try:
            folder_tables()  # what settings ask of each other
        except MisconfiguredSetting as error:
            yield error


def _mapped_fields(fields: Mapping[str, str | None]) -> Iterator[str | None]:
    """Yield the fields that have a part to play."""
    return (field for part, field in fields.items() if part != "application" or conf.application_model() is not None)


def _named(setting: str, read: Callable[[], Iterable[str | None]]) -> list[tuple[str, str]]:
    """Return the setting with each field that it names; nothing if it cannot be read."""
    try:
        return [(setting, field) for field in read() if field is not None]
    except MisconfiguredSetting:
        return []


def _constant_defaults() -> Mapping[str, Any]:
    defaults = conf.folder_defaults()
    return defaults if isinstance(defaults, Mapping) else {}


def fields_to_provide() -> tuple[str, ...]:
    """Return the fields that a new folder needs and for which neither the model nor the product has a value.

    CLEANUP_FOLDER_DEFAULTS must give them. Raises MisconfiguredSetting.
    """
    tables = folder_tables()
    of_role = set(_mapped_fields(conf.folder_fields()))
    columns = set(tables.live or ())
    return tuple(
        field.name
        for field in tables.folder._meta.concrete_fields
        if field.name not in of_role and field.column not in columns and not _gets_value(field)
    )


def _gets_value(field: "models.Field[Any, Any]") -> bool:
    return bool(
        field.null
        or field.blank
        or field.has_default()
        or field.db_default is not models.NOT_PROVIDED
        or field.generated
        or getattr(field, "auto_now", False)
        or getattr(field, "auto_now_add", False)
        or (field.remote_field is not None and getattr(field.remote_field, "parent_link", False))
    )


def _model(setting: str, label: str) -> type[models.Model]:
    try:
        model = apps.get_model(label, require_ready=False)
    except (LookupError, ValueError) as error:
        problem = f"{label!r} is not an installed model ({error})."
        raise UnknownModel(setting=setting, problem=problem, value=label) from None
    if parents := [parent._meta.label for parent in model._meta.concrete_model._meta.parents]:
        problem = (
            f"{model._meta.label} inherits from {', '.join(parents)} by multi-table inheritance, so that its fields "
            f"are not columns of one table."
        )
        raise InheritedModel(setting=setting, problem=problem)
    return model


def _primary_key(model: type[models.Model], setting: str) -> "models.Field[Any, Any]":
    key = model._meta.pk
    allowed = (models.UUIDField, models.IntegerField, models.CharField, models.TextField)
    if not isinstance(key, allowed):
        kind = type(key).__name__
        problem = f"the primary key of {model._meta.label}, {kind}, is not a UUID, integer or text column."
        raise UnsupportedKey(setting=setting, problem=problem)
    return key


def _column_or_none(model: type[models.Model], setting: str, name: str | None) -> str | None:
    return None if name is None else _column(model, setting, name)


def _column(model: type[models.Model], setting: str, name: str) -> str:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        problem = f"{model._meta.label} has no field {name!r}."
        raise UnknownField(setting=setting, problem=problem, value=name, model=model) from None
    if not isinstance(field, models.Field) or field not in model._meta.concrete_fields:
        kind = "a many-to-many field" if field.many_to_many else "a field without a column"
        problem = f"{model._meta.label}.{name} is {kind}; the name of a column's field is needed."
        if setting == "CLEANUP_FILE_FIELDS":
            problem += " If a link table files them, set CLEANUP_FILE_MODEL = None: its rows are moved all the same."
        raise UnknownField(setting=setting, problem=problem, value=name, model=model)
    if isinstance(field, models.ForeignKey) and not field.target_field.primary_key:
        other, target = field.target_field.model._meta.label, field.target_field.name
        problem = (
            f"{model._meta.label}.{name} refers to {target}, which is not the primary key of {other}. If the table of "
            f"{other} keeps {target} unique, let the model say primary_key=True there; the table stays as it is."
        )
        raise MisconfiguredSetting(setting=setting, problem=problem)
    return str(field.column)
