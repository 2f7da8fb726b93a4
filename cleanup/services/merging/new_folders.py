"""New folders of an application, with the values that the host's model, and the settings, ask for."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from django.db import models
from django.utils import timezone

from cleanup import conf
from cleanup.exceptions import InvalidName, MisconfiguredSetting
from cleanup.folder_tables import SELF, FolderTables, fields_to_provide
from cleanup.models import Folder
from cleanup.text_safety import fault_of_name


def insert(folders: Sequence[models.Model], *, using: str, tables: FolderTables) -> list[str]:
    """Insert folders of a maker by one statement that changes nothing else, and return their keys."""
    rows: models.QuerySet[Any] = models.QuerySet(tables.folder, using=using)
    rows.bulk_create(folders)
    if tables.root_parent == SELF:
        parent = cast("models.Field[Any, Any]", tables.folder._meta.get_field(conf.folder_fields()["parent"])).attname
        roots = [folder.pk for folder in folders if getattr(folder, parent) is None]
        tables.folder._base_manager.using(using).filter(pk__in=roots).update(**{parent: models.F("pk")})
    return [tables.folder_key.text(folder.pk) for folder in folders]


class FolderMaker:
    """Creates folders of one application."""

    def __init__(self, *, using: str, tables: FolderTables, application: str) -> None:
        self.using = using
        self.tables = tables
        self.application = application
        self.fields: dict[str, models.Field[Any, Any]] = {
            role: cast(
                "models.Field[Any, Any]", tables.folder._meta.get_field(name)
            )  # a column, or it would have been refused earlier
            for role, name in conf.folder_fields().items()
            if name is not None
        }

    def refuse_name(self, name: Any) -> None:
        """Raise InvalidName for an invalid name, or one that is longer than the column."""
        longest = getattr(self.fields["name"], "max_length", None)
        fault = fault_of_name(name)
        if fault is None and longest is not None and len(name) > longest:
            fault = f"it is longer than {longest} characters"
        if fault is not None:
            raise InvalidName(problem=fault)

    def root_name(self) -> str:
        """Return the name that a root folder would get. Raises MisconfiguredSetting and InvalidName."""
        name = conf.root_folder()
        return self._named(name, None, self._given(name, None))

    def make(self, name: str, parent: str | None) -> str:
        """Insert one folder through the host's model, whose ``save()`` and signals run, and return its key.

        Raises MisconfiguredSetting and database errors.
        """
        folder = self._new(name, parent)
        folder.save(using=self.using, force_insert=True)
        return self._saved(folder, parent)

    def prepare(self, name: str, parent: str | None, *, computed: Collection[str] = ()) -> models.Model:
        """Return a folder for ``insert``; the columns ``computed``, which tree hooks keep, hold anything until then.

        Raises MisconfiguredSetting.
        """
        return self._new(name, parent, computed=computed)

    def _new(self, name: str, parent: str | None, *, computed: Collection[str] = ()) -> models.Model:
        given = self._given(name, parent)
        given |= {name: value for name, value in self._until_computed(computed).items() if name not in given}
        lacking = [field for field in fields_to_provide() if field not in given and f"{field}_id" not in given]
        if lacking:
            raise MisconfiguredSetting(
                setting="CLEANUP_FOLDER_DEFAULTS",
                problem=f"{self.tables.folder._meta.label} requires {', '.join(lacking)}, which has no default. "
                f"Provide it here.",
            )
        name = self._named(name, parent, given)
        folder = self.tables.folder(**{**self._live(), **given, **self._mapped(name, parent)})
        created = self.fields.get("created")
        if created and getattr(folder, created.attname) is None:
            setattr(folder, created.attname, timezone.now())
        if isinstance(folder, Folder):
            folder.updated_at = folder.updated_at or folder.created_at
        if parent is None:
            self._mark_root(folder)
        return folder

    def _saved(self, folder: models.Model, parent: str | None) -> str:
        if parent is None:
            self._mark_saved_root(folder)
        return self.tables.folder_key.text(folder.pk)

    def _until_computed(self, columns: Collection[str]) -> dict[str, Any]:
        """Return fields of these columns that must not be null, each with a value of its type."""
        fields = [field for field in self.tables.folder._meta.concrete_fields if field.column in columns]
        return {field.name: 0 if isinstance(field, models.IntegerField) else "" for field in fields if not field.null}

    def _mark_root(self, folder: models.Model) -> None:
        """Have a root folder hold what CLEANUP_ROOT_PARENT says. Raises MisconfiguredSetting."""
        field, mark = self.fields["parent"], self.tables.root_parent
        held = folder.pk if mark == SELF else _python(self.tables.folder_key.field, mark)
        if held is None and not field.null:
            raise MisconfiguredSetting(
                setting="CLEANUP_FOLDER_DEFAULTS",
                problem=f"a root folder of {self.tables.folder._meta.label} holds its own key, which is not known "
                f"before it is saved. Provide {self.tables.folder_key.field.name} here.",
            )
        setattr(folder, field.attname, held)

    def _mark_saved_root(self, folder: models.Model) -> None:
        """Have a root folder hold its own key where the database has just given it one."""
        parent = self.fields["parent"].attname
        if self.tables.root_parent == SELF and getattr(folder, parent) is None:
            self.tables.folder._base_manager.using(self.using).filter(pk=folder.pk).update(**{parent: folder.pk})

    def _named(self, name: str, parent: str | None, given: dict[str, Any]) -> str:
        """Return a folder's name, and take another one for a root folder out of what is given for it."""
        if parent is None and "name" in given:
            name = given.pop("name")
            self.refuse_name(name)
        return name

    def _given(self, name: str, parent: str | None) -> dict[str, Any]:
        defaults: Any = conf.folder_defaults()
        if callable(defaults):
            defaults = defaults(using=self.using, application_id=self.application, name=name, parent_id=parent)
        if not isinstance(defaults, Mapping):
            problem = f"the function returned {type(defaults).__name__} and not a mapping of fields to values."
            raise MisconfiguredSetting(setting="CLEANUP_FOLDER_DEFAULTS", problem=problem)
        return dict(defaults)

    def _live(self) -> dict[str, Any]:
        columns = {field.column: field.attname for field in self.tables.folder._meta.concrete_fields}
        return {columns[column]: value for column, value in (self.tables.live or {}).items() if column in columns}

    def _mapped(self, name: str, parent: str | None) -> dict[str, Any]:
        return {
            self.fields["name"].attname: name,
            self.fields["parent"].attname: _python(self.tables.folder_key.field, parent),
            self.fields["application"].attname: _python(self.tables.application_key.field, self.application),
        }


def _python(field: "models.Field[Any, Any]", key: str | None) -> Any:
    return None if key is None else field.to_python(key)
