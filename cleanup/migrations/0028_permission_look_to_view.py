"""Rename the permission ``cleanup.look`` to ``cleanup.view``, with its row, so that users and groups keep it.

Where ``migrate`` has been run in the database of the permissions first, it has made the row of the new name beside the
old one; then grants are moved to it.
"""

from typing import Any

from django.db import migrations, transaction

from cleanup.migrations import _permissions

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
    using = _permissions.database(migrating=migrating)
    if using is None:
        return
    rows = _permissions.rows(using=using)
    of_product = rows.filter(content_type__model="control")
    with transaction.atomic(using=using):
        held, made = of_product.filter(codename=old[0]).first(), of_product.filter(codename=new[0]).first()
        if held is not None and made is not None:
            _permissions.move_grants(held, made, using=using)
            held.delete(using=using)
        elif held is not None:
            rows.filter(pk=held.pk).update(codename=new[0], name=new[1])


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
