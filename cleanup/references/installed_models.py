"""What the installed models declare about columns that point at rows of other tables.

Read from the fields, forward, over every model: hidden relations, automatic many-to-many tables, proxies, children of
multi-table inheritance and unmanaged models included. Managers and routers are ignored: a table that exists in the
database counts, whichever app or program migrates it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db import models

from cleanup.folder_tables import FolderTables


@dataclass(frozen=True, slots=True)
class Relation:
    """Columns of one table that hold a key of another; tables as the models spell them."""

    table: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GenericRelation:
    """A generic foreign key: the column of the content type and that of the key."""

    table: str
    type_column: str
    key_column: str


def all_models() -> list[type[models.Model]]:
    """Return every installed model but those of other swappable choices, automatic ones included."""
    return list(apps.get_models(include_auto_created=True))


def own_tables(tables: FolderTables) -> set[str]:
    """Return the tables of this product itself, as its models spell them."""
    mapped = set(tables.models)
    return {
        model._meta.db_table
        for model in all_models()
        if model not in mapped and model._meta.app_config.name.partition(".")[0] == "cleanup"
    }


def own_table_names(tables: FolderTables) -> frozenset[str]:
    """Return the names of those tables without a schema: there may be a set of them in each of several schemas."""
    return frozenset(name.rpartition(".")[2].strip('"') for name in own_tables(tables))


def relations() -> Iterator[Relation]:
    """Yield every relation of every model that is held in columns."""
    for model in all_models():
        for field in (*model._meta.local_fields, *model._meta.private_fields):
            # A GenericRelation is a ForeignObject too, but of the one-to-many kind, and no column of its own model.
            if isinstance(field, models.ForeignObject) and (field.many_to_one or field.one_to_one):
                pairs = field.related_fields
                yield Relation(
                    table=model._meta.db_table,
                    columns=tuple(str(own.column) for own, _ in pairs),
                    target=pairs[0][1].model._meta.db_table,
                    target_columns=tuple(str(other.column) for _, other in pairs),
                )


def automatic_many_to_many() -> set[str]:
    """Return the tables of automatic many-to-many relations."""
    return {model._meta.db_table for model in all_models() if model._meta.auto_created}


def generic_relations() -> Iterator[GenericRelation]:
    """Yield every generic foreign key."""
    if not apps.is_installed("django.contrib.contenttypes"):
        return
    from django.contrib.contenttypes.fields import GenericForeignKey  # noqa: PLC0415 - fails where not installed

    for model in all_models():
        for field in model._meta.private_fields:
            if isinstance(field, GenericForeignKey):
                type_field, key_field = (model._meta.get_field(name) for name in (field.ct_field, field.fk_field))
                if isinstance(type_field, models.Field) and isinstance(key_field, models.Field):
                    yield GenericRelation(key_field.model._meta.db_table, str(type_field.column), str(key_field.column))


def content_type_table() -> str | None:
    """Return the table of content types, or None if they are not installed."""
    if not apps.is_installed("django.contrib.contenttypes"):
        return None
    return apps.get_model("contenttypes", "ContentType")._meta.db_table


def content_types(folder: type[models.Model], *, using: str) -> tuple[int, ...]:
    """Return the content types under which rows may name a folder: of the model, its proxies, parents and children.

    One query; none is created.
    """
    wanted = models.Q()
    for model in _family(folder):
        wanted |= models.Q(app_label=model._meta.app_label, model=model._meta.model_name)
    found = apps.get_model("contenttypes", "ContentType")._base_manager.db_manager(using).filter(wanted)
    return tuple(sorted(found.values_list("pk", flat=True)))


def _family(folder: type[models.Model]) -> Iterable[type[models.Model]]:
    concrete = folder._meta.concrete_model or folder
    kin = {concrete, *folder._meta.get_parent_list()}
    # Django's list of models lacks the folder's own for as long as another one was in its place when it was made.
    return kin | {model for model in all_models() if model._meta.concrete_model in kin or concrete in model.__mro__}
