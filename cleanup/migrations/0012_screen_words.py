from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0011_unusual_results"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="control",
            options={
                "default_permissions": (),
                "permissions": [
                    ("look", "Can look at everything about cleanups"),
                    ("check", "Can check and verify"),
                    ("clean", "Can clean up selected applications, and set and release holds"),
                    ("clean_everything", "Can clean up everything"),
                    ("roll_back", "Can roll back"),
                    ("manage_schedules", "Can change schedules, start and stop the service, and acknowledge alerts"),
                    ("freeze", "Can stop everything, and let it go on"),
                ],
                "verbose_name": "cleanup page",
                "verbose_name_plural": "cleanup page",
            },
        ),
        migrations.AlterModelOptions(
            name="finding",
            options={"verbose_name": "problem found", "verbose_name_plural": "problems found"},
        ),
        migrations.AlterModelOptions(
            name="hold",
            options={"verbose_name": "application not to touch", "verbose_name_plural": "applications not to touch"},
        ),
        migrations.AlterModelOptions(
            name="rollbackpoint",
            options={"ordering": ["-sequence"], "verbose_name": "undo record", "verbose_name_plural": "undo records"},
        ),
        migrations.AlterModelOptions(
            name="snapshotrow",
            options={"verbose_name": "entry of an undo record", "verbose_name_plural": "entries of undo records"},
        ),
    ]
