"""Rename the permission ``cleanup.look`` to ``cleanup.view``, with its row, so that users and groups keep it.

Permissions may live in another database than the product's own tables. There ``migrate`` may have been run first, and
have made the row of the new name beside the old one; then grants are moved to it. No dependency on Django's accounts is
declared and the models of today are used, because a host may have no accounts, or migrate them later: then there is
nothing to rename, and ``migrate`` makes the row by its new name.
"""

from typing import Any

from django.apps import apps as installed
from django.db import connections, migrations, router, transaction

OLD = ("look", "Can look at everything about cleanups")
NEW = ("view", "Can view everything about cleanups")

OTHERS = [
    ("check", "Can check and verify"),
    ("clean", "Can clean up selected applications, and set and release holds"),
    ("clean_everything", "Can clean up everything"),
    ("roll_back", "Can roll back"),
    ("manage_schedules", "Can change schedules, start and stop the service, and acknowledge alerts"),
    ("freeze", "Can stop everything, and let it go on"),
]


def rename(old: tuple[str, str], new: tuple[str, str], *, migrating: str) -> None:
    """Rename the permission in the database where permissions live."""
    if not installed.is_installed("django.contrib.auth"):
        return
    permission = installed.get_model("auth", "Permission")
    here = router.allow_migrate_model(migrating, permission)
    using = migrating if here else router.db_for_write(permission)
    if permission._meta.db_table not in connections[using].introspection.table_names():
        return
    rows = permission._base_manager.using(using)
    of_product = rows.filter(content_type__app_label="cleanup", content_type__model="control")
    with transaction.atomic(using=using):
        held, made = of_product.filter(codename=old[0]).first(), of_product.filter(codename=new[0]).first()
        if held is not None and made is not None:
            move_grants(held, made, using=using)
            held.delete(using=using)
        elif held is not None:
            rows.filter(pk=held.pk).update(codename=new[0], name=new[1])


def move_grants(held: Any, made: Any, *, using: str) -> None:
    """Give whoever has one permission the other."""
    for relation in held._meta.related_objects:
        if not relation.many_to_many:
            continue
        holder, permission = relation.field.m2m_field_name(), relation.field.m2m_reverse_field_name()
        grants = relation.through._base_manager.using(using)
        having = grants.filter(**{permission: made}).values(holder)
        grants.filter(**{permission: held}).exclude(**{f"{holder}__in": having}).update(**{permission: made})


def forwards(_apps: Any, schema_editor: Any) -> None:
    """Rename it."""
    rename(OLD, NEW, migrating=schema_editor.connection.alias)


def backwards(_apps: Any, schema_editor: Any) -> None:
    """Give it its old name again."""
    rename(NEW, OLD, migrating=schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0027_run_takes_slot_to_exclusive")]

    operations = [
        migrations.AlterModelOptions(
            "control",
            {
                "default_permissions": (),
                "permissions": [NEW, *OTHERS],
                "verbose_name": "cleanup page",
                "verbose_name_plural": "cleanup page",
            },
        ),
        migrations.RunPython(forwards, backwards),
    ]
