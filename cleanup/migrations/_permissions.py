"""Changes to the rows of Django's permissions. Frozen: migrations import it.

Permissions may live in another database than the product's own tables, and a host may have no accounts, or migrate them
later; then there is nothing to change. So no dependency on Django's accounts is declared, and its models of today are
used.
"""

from typing import Any

from django.apps import apps as installed
from django.db import connections, router, transaction

LOOK = ("look", "Can look at everything about cleanups")
VIEW = ("view", "Can view everything about cleanups")
CONTROL, FREEZE_SWITCH = "control", "freezeswitch"
FREEZE = ("freeze", "Can stop everything and resume it")
FREEZE_BEFORE = ("freeze", "Can stop everything, and let it go on")
MAPPED = ("application", "folder", "file")
DEFAULT = ("add", "change", "delete", "view")


def database(*, migrating: str) -> str | None:
    """Return the database in which permissions live, None if there is none."""
    if not installed.is_installed("django.contrib.auth"):
        return None
    permission = installed.get_model("auth", "Permission")
    here = router.allow_migrate_model(migrating, permission)
    using = migrating if here else router.db_for_write(permission)
    return using if permission._meta.db_table in connections[using].introspection.table_names() else None


def rows(*, using: str) -> Any:
    """Return the product's permissions."""
    permission = installed.get_model("auth", "Permission")
    return permission._base_manager.using(using).filter(content_type__app_label="cleanup")


def grants(permission: Any) -> list[tuple[Any, str, str]]:
    """Return the tables of grants, each with the names of its holder and its permission."""
    return [
        (relation.through, relation.field.m2m_field_name(), relation.field.m2m_reverse_field_name())
        for relation in permission._meta.related_objects
        if relation.many_to_many
    ]


def move_grants(held: Any, made: Any, *, using: str) -> None:
    """Give all who have one permission the other."""
    for through, holder, permission in grants(held):
        granted = through._base_manager.using(using)
        having = granted.filter(**{permission: made}).values(holder)
        granted.filter(**{permission: held}).exclude(**{f"{holder}__in": having}).update(**{permission: made})


def is_granted(permission: Any, *, using: str) -> bool:
    """Return whether a user or a group has the permission."""
    return any(
        through._base_manager.using(using).filter(**{name: permission}).exists()
        for through, _, name in grants(permission)
    )


def rename(old: tuple[str, str], new: tuple[str, str], *, migrating: str) -> None:
    """Rename the permission in the database where permissions live."""
    using = database(migrating=migrating)
    if using is None:
        return
    of_product = rows(using=using).filter(content_type__model="control")
    with transaction.atomic(using=using):
        held, made = of_product.filter(codename=old[0]).first(), of_product.filter(codename=new[0]).first()
        if held is not None and made is not None:
            move_grants(held, made, using=using)
            held.delete(using=using)
        elif held is not None:
            rows(using=using).filter(pk=held.pk).update(codename=new[0], name=new[1])


def look_to_view(_apps: Any, schema_editor: Any) -> None:
    """Rename the permission to view, as 0028 does."""
    rename(LOOK, VIEW, migrating=schema_editor.connection.alias)


def view_to_look(_apps: Any, schema_editor: Any) -> None:
    """Give the permission to view its old name again."""
    rename(VIEW, LOOK, migrating=schema_editor.connection.alias)


def move(old: str, new: str, freeze: tuple[str, str], *, migrating: str) -> None:
    """Move the permissions, which people and groups keep, and the admin's history to the new name's content type."""
    using = database(migrating=migrating)
    if using is None:
        return
    types = installed.get_model("contenttypes", "ContentType")._base_manager.using(using).filter(app_label="cleanup")
    own = rows(using=using)
    with transaction.atomic(using=using):
        if not types.filter(model=new).exists():
            types.filter(model=old).update(model=new)
        for held in own.filter(content_type__model=old):
            made = own.filter(content_type__model=new, codename=held.codename).first()
            if made is None:
                own.filter(pk=held.pk).update(content_type=types.get(model=new))
            else:
                move_grants(held, made, using=using)
                held.delete(using=using)
        _move_history(types, old, new, using=using)
        own.filter(content_type__model=new, codename=freeze[0]).update(name=freeze[1])
    installed.get_model("contenttypes", "ContentType").objects.clear_cache()


def _move_history(types: Any, old: str, new: str, *, using: str) -> None:
    if installed.is_installed("django.contrib.admin") and types.filter(model=old).exists():
        entries = installed.get_model("admin", "LogEntry")._base_manager.using(using)
        entries.filter(content_type__in=types.filter(model=old)).update(content_type=types.get(model=new))


def control_to_freezeswitch(_apps: Any, schema_editor: Any) -> None:
    """Move the permissions to the freeze switch, as 0031 does."""
    move(CONTROL, FREEZE_SWITCH, FREEZE, migrating=schema_editor.connection.alias)


def freezeswitch_to_control(_apps: Any, schema_editor: Any) -> None:
    """Move the permissions back."""
    move(FREEZE_SWITCH, CONTROL, FREEZE_BEFORE, migrating=schema_editor.connection.alias)


def remove_those_made_by_django(_apps: Any, schema_editor: Any) -> None:
    """Remove the permissions that Django has made for each model, as 0032 does."""
    using = database(migrating=schema_editor.connection.alias)
    if using is None:
        return
    for row in rows(using=using).select_related("content_type"):
        model = row.content_type.model
        made_by_django = row.codename in {f"{action}_{model}" for action in DEFAULT}
        if made_by_django and not (model in MAPPED and is_granted(row, using=using)):
            row.delete(using=using)
