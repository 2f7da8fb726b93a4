"""Changes to the rows of Django's permissions. Frozen: migrations import it.

Permissions may live in another database than the product's own tables, and a host may have no accounts, or migrate them
later; then there is nothing to change. So no dependency on Django's accounts is declared, and its models of today are
used.
"""

from typing import Any

from django.apps import apps as installed
from django.db import connections, router


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
    """Give whoever has one permission the other."""
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
