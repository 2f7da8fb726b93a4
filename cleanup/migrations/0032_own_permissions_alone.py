"""Remove the permissions that Django has made for each model: none of them has ever had a meaning.

Those of the mapped models stay if someone has them: a host may ask for them in pages of its own. Reversed, the models
have theirs again, and ``migrate`` makes the rows; who had them is forgotten.
"""

from django.db import migrations

from cleanup.migrations import _permissions


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0031_control_to_freezeswitch")]

    operations = [
        migrations.AlterModelOptions(
            name="alert",
            options={"default_permissions": (), "ordering": ["-id"], "verbose_name": "alert"},
        ),
        migrations.AlterModelOptions(
            name="automationstate",
            options={"default_permissions": (), "verbose_name": "automation state"},
        ),
        migrations.AlterModelOptions(
            name="consistencycheck",
            options={
                "default_permissions": (),
                "ordering": ["-id"],
                "verbose_name": "check for duplicates",
                "verbose_name_plural": "checks for duplicates",
            },
        ),
        migrations.AlterModelOptions(
            name="finding",
            options={
                "default_permissions": (),
                "verbose_name": "problem found",
                "verbose_name_plural": "problems found",
            },
        ),
        migrations.AlterModelOptions(
            name="heartbeat",
            options={"default_permissions": (), "verbose_name": "heartbeat"},
        ),
        migrations.AlterModelOptions(
            name="hold",
            options={
                "default_permissions": (),
                "verbose_name": "application on hold",
                "verbose_name_plural": "applications on hold",
            },
        ),
        migrations.AlterModelOptions(
            name="idempotencykey",
            options={"default_permissions": (), "verbose_name": "idempotency key"},
        ),
        migrations.AlterModelOptions(
            name="joblease",
            options={"default_permissions": (), "verbose_name": "job lease"},
        ),
        migrations.AlterModelOptions(
            name="queuedapplication",
            options={"default_permissions": (), "verbose_name": "queued application"},
        ),
        migrations.AlterModelOptions(
            name="removedfolder",
            options={"default_permissions": (), "verbose_name": "removed folder"},
        ),
        migrations.AlterModelOptions(
            name="result",
            options={"default_permissions": (), "verbose_name": "result"},
        ),
        migrations.AlterModelOptions(
            name="rollbackpoint",
            options={
                "default_permissions": (),
                "ordering": ["-id"],
                "verbose_name": "undo record",
                "verbose_name_plural": "undo records",
            },
        ),
        migrations.AlterModelOptions(
            name="run",
            options={"default_permissions": (), "ordering": ["-created_at"], "verbose_name": "run"},
        ),
        migrations.AlterModelOptions(
            name="schedule",
            options={"default_permissions": (), "ordering": ["name"], "verbose_name": "schedule"},
        ),
        migrations.AlterModelOptions(
            name="scheduledrun",
            options={"default_permissions": (), "ordering": ["-id"], "verbose_name": "scheduled run"},
        ),
        migrations.AlterModelOptions(
            name="snapshotrow",
            options={
                "default_permissions": (),
                "verbose_name": "entry of an undo record",
                "verbose_name_plural": "entries of undo records",
            },
        ),
        migrations.AlterModelOptions(
            name="snapshotschema",
            options={"default_permissions": (), "verbose_name": "snapshot schema"},
        ),
        migrations.AlterModelOptions(
            name="structurelock",
            options={"default_permissions": (), "verbose_name": "structure lock"},
        ),
        migrations.AlterModelOptions(
            name="verification",
            options={"default_permissions": (), "ordering": ["-id"], "verbose_name": "database verification"},
        ),
        migrations.RunPython(_permissions.remove_those_made_by_django, migrations.RunPython.noop),
    ]
