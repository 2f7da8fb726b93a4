"""Rename the model of the freeze switch. Its table keeps its name: runbooks hold ``UPDATE cleanup_control``.

The permissions belong to the model's content type, which Django renames with the model where both live in one database.
Where ``migrate`` has been run in another one first, it has made the new content type and its permissions beside the old
ones; then grants and the admin's history are moved to them.
"""

from typing import Any

from django.apps import apps as installed
from django.db import migrations, transaction

from cleanup.migrations import _permissions

OLD, NEW = "control", "freezeswitch"
FREEZE = ("freeze", "Can stop everything and resume it")
FREEZE_BEFORE = ("freeze", "Can stop everything, and let it go on")

PERMISSIONS = [
    ("view", "Can view everything about cleanups"),
    ("check", "Can check and verify"),
    ("clean", "Can clean up selected applications, and set and release holds"),
    ("clean_everything", "Can clean up everything"),
    ("roll_back", "Can roll back"),
    ("manage_schedules", "Can change schedules, start and stop the service, and acknowledge alerts"),
    FREEZE,
]


def move(old: str, new: str, freeze: tuple[str, str], *, migrating: str) -> None:
    """Move the permissions, whoever has them, and the admin's history to the content type of the new name."""
    using = _permissions.database(migrating=migrating)
    if using is None:
        return
    types = installed.get_model("contenttypes", "ContentType")._base_manager.using(using).filter(app_label="cleanup")
    rows = _permissions.rows(using=using)
    with transaction.atomic(using=using):
        if not types.filter(model=new).exists():
            types.filter(model=old).update(model=new)
        for held in rows.filter(content_type__model=old):
            made = rows.filter(content_type__model=new, codename=held.codename).first()
            if made is None:
                rows.filter(pk=held.pk).update(content_type=types.get(model=new))
            else:
                _permissions.move_grants(held, made, using=using)
                held.delete(using=using)
        _move_history(types, old, new, using=using)
        rows.filter(content_type__model=new, codename=freeze[0]).update(name=freeze[1])
    installed.get_model("contenttypes", "ContentType").objects.clear_cache()


def _move_history(types: Any, old: str, new: str, *, using: str) -> None:
    if installed.is_installed("django.contrib.admin") and types.filter(model=old).exists():
        entries = installed.get_model("admin", "LogEntry")._base_manager.using(using)
        entries.filter(content_type__in=types.filter(model=old)).update(content_type=types.get(model=new))


def forwards(_apps: Any, schema_editor: Any) -> None:
    """Move them."""
    move(OLD, NEW, FREEZE, migrating=schema_editor.connection.alias)


def backwards(_apps: Any, schema_editor: Any) -> None:
    """Move them back."""
    move(NEW, OLD, FREEZE_BEFORE, migrating=schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0030_rollback_point_id")]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, backwards),
        migrations.AlterModelTable("control", "cleanup_control"),
        migrations.RenameModel("Control", "FreezeSwitch"),
        migrations.AlterModelOptions(
            "freezeswitch",
            {
                "default_permissions": (),
                "permissions": PERMISSIONS,
                "verbose_name": "overview",
                "verbose_name_plural": "overview",
            },
        ),
        migrations.RunPython(forwards, migrations.RunPython.noop),
    ]
