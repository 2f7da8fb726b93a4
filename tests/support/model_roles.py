"""The models that play the parts, spoken to in the words of the mapped ones, whatever a host calls its fields.

`Application`, `Folder` and `File` stand for the models of the settings, so that one test serves any of them. Where no
model of files is mapped, `File` stands for rows that are filed by a column of their own.
"""

import os
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models

from cleanup import conf
from cleanup.folder_tables import folder_tables

#: Columns of the mapped tables that play no part and that other files need not have.
MAPPED_ONLY = {"original_filename", "file_path", "mime_type"}

#: What is filed where no model of files is mapped, by the model of folders: the model and the names of its fields.
FILED = {"library.Topic": ("library.Entry", {"folder": "topic", "application": None, "name": "title"})}


def _words() -> dict[type[models.Model], dict[str, str | None]]:
    tables, of_folder, of_file = folder_tables(), conf.folder_fields(), conf.file_fields()
    if tables.file is None:
        label, of_file = FILED[tables.folder._meta.label]
    file = tables.file.model if tables.file else apps.get_model(label)
    of_application = {"id": "pk"}
    return {
        # Where nothing owns folders, a root stands for its tree.
        tables.application: of_application,
        tables.folder: {**of_application, "created_at": of_folder["created"], **of_folder},
        file: {**of_file, "id": "pk", "key": "pk", "filename": of_file["name"]},
    }


def has(model: type[models.Model], word: str) -> bool:
    """Return whether a model has the field, or what plays the part."""
    return WORDS[model].get(word.removesuffix("_id"), word) is not None and not (OTHERS and word in MAPPED_ONLY)


def own(model: type[models.Model], path: str) -> str:
    """Return what the model calls a field, or a path of them, such as ``folder__parent`` or ``parent_id``."""
    word, _, rest = path.partition("__")
    stem = word.removesuffix("_id")
    if stem not in WORDS[model]:
        return path
    name = WORDS[model][stem]
    assert name is not None, f"{model._meta.label} has no {stem}"
    related = None if name == "pk" else model._meta.get_field(name).related_model
    below = own(related, rest) if related in WORDS and rest else rest
    return name + word[len(stem) :] + (f"__{below}" if below else "")


class Rows(models.QuerySet):
    """Rows of one of the three tables, by the mapped words."""

    def _own(self, values: dict[str, Any]) -> dict[str, Any]:
        return {own(self.model, name): value for name, value in values.items()}

    def _known(self, values: dict[str, Any]) -> dict[str, Any]:
        return self._own({name: value for name, value in values.items() if has(self.model, name)})

    def _filter_or_exclude_inplace(self, negate, args, kwargs):
        super()._filter_or_exclude_inplace(negate, args, self._own(kwargs))

    def update(self, **values):
        return super().update(**self._own(values))

    def create(self, **values):
        return super().create(**self._known(values))

    def get_or_create(self, defaults, **values):
        return super().get_or_create(self._own(defaults), **self._own(values))

    def values_list(self, *names, **options):
        return super().values_list(*(own(self.model, name) for name in names), **options)

    def order_by(self, *names):
        return super().order_by(*("-" * name.startswith("-") + own(self.model, name.lstrip("-")) for name in names))

    def earliest(self, name):
        return super().earliest(own(self.model, name))

    def make(self, **values) -> models.Model:
        """Return a row that is not written yet."""
        return self.model(**self._known(values))


@dataclass(frozen=True, slots=True)
class Part:
    """One of the three models; it is called, and asked for `objects`, as the mapped one would be."""

    model: type[models.Model]

    @property
    def objects(self) -> Rows:
        return Rows(self.model)

    def __call__(self, **values) -> models.Model:
        return self.objects.make(**values)


def as_counted(files: int, references: int = 0) -> tuple[int, int]:
    """Return files and other references as results count them: without a model of files, all are references."""
    return (files, references) if folder_tables().file else (0, files + references)


WORDS = _words()
Application, Folder, File = Part(folder_tables().application), Part(folder_tables().folder), Part(list(WORDS)[-1])
#: Whether other models than the mapped ones play.
OTHERS = Folder.model._meta.label != "cleanup.Folder"
#: Settings with which a process of its own works on a test's database.
SETTINGS_MODULE = os.environ["DJANGO_SETTINGS_MODULE"] if OTHERS else "project.settings"
