"""Rename the permission ``cleanup.look`` to ``cleanup.view``, with its row, so that users and groups keep it.

Where ``migrate`` has been run in the database of the permissions first, it has made the row of the new name beside the
old one; then grants are moved to it.
"""

from django.db import migrations

from cleanup.migrations import _permissions

OTHERS = [
    ("check", "Can check and verify"),
    ("clean", "Can clean up selected applications, and set and release holds"),
    ("clean_everything", "Can clean up everything"),
    ("roll_back", "Can roll back"),
    ("manage_schedules", "Can change schedules, start and stop the service, and acknowledge alerts"),
    ("freeze", "Can stop everything, and let it go on"),
]


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0027_run_takes_slot_to_exclusive")]

    operations = [
        migrations.AlterModelOptions(
            "control",
            {
                "default_permissions": (),
                "permissions": [_permissions.VIEW, *OTHERS],
                "verbose_name": "cleanup page",
                "verbose_name_plural": "cleanup page",
            },
        ),
        migrations.RunPython(_permissions.look_to_view, _permissions.view_to_look),
    ]
