"""Rows that follow their folder, in the words of the host's models.

Where no files are mapped, these stand in the place of files: how many of what.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from django.apps import apps
from django.utils.translation import gettext as _

from cleanup.folder_tables import folder_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.db import models


def without_folders(rows: Mapping[str, int]) -> Iterator[tuple[int, str, str]]:
    """Yield number, noun and its plural of the rows of each table other than that of folders, the most first.

    A table of no model is named by itself.
    """
    folders = bare(folder_tables().folder_table)
    for table, number in sorted(rows.items(), key=lambda item: (-item[1], item[0])):
        if number and bare(table) != folders:
            model = _models().get(bare(table))
            yield (
                (number, str(model._meta.verbose_name), str(model._meta.verbose_name_plural))
                if model
                else (number, _("row of %s") % table, _("rows of %s") % table)
            )


@cache
def _models() -> dict[str, type[models.Model]]:
    return {bare(model._meta.db_table): model for model in apps.get_models(include_auto_created=True)}


def noun(table: str) -> str:
    """Return what the host calls a row of the table."""
    model = _models().get(bare(table))
    return str(model._meta.verbose_name) if model else _("row of %s") % table


def bare(table: str) -> str:
    """Return a table's name without its schema and quotes."""
    return table.rpartition(".")[2].strip('"')
