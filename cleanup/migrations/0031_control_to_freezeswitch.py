"""Rename the model of the freeze switch. Its table keeps its name: runbooks hold ``UPDATE cleanup_control``.

The permissions belong to the model's content type, which is renamed. Where ``migrate`` has made the new content type
and its permissions beside the old ones, grants and the admin's history are moved to them.
"""

from django.db import migrations

from cleanup.migrations import _permissions

PERMISSIONS = [
    ("view", "Can view everything about cleanups"),
    ("check", "Can check and verify"),
    ("clean", "Can clean up selected applications, and set and release holds"),
    ("clean_everything", "Can clean up everything"),
    ("roll_back", "Can roll back"),
    ("manage_schedules", "Can change schedules, start and stop the service, and acknowledge alerts"),
    _permissions.FREEZE,
]


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0030_rollback_point_id")]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, _permissions.freezeswitch_to_control),
        migrations.AlterModelTable("control", "cleanup_control"),
        # In the state alone: with the model, Django would rename the content type, or warn that there is one already.
        migrations.SeparateDatabaseAndState(state_operations=[migrations.RenameModel("Control", "FreezeSwitch")]),
        migrations.AlterModelOptions(
            "freezeswitch",
            {
                "default_permissions": (),
                "permissions": PERMISSIONS,
                "verbose_name": "overview",
                "verbose_name_plural": "overview",
            },
        ),
        migrations.RunPython(_permissions.control_to_freezeswitch, migrations.RunPython.noop),
    ]
