"""The three mapped tables, and nothing else, so that ``migrate --fake-initial`` can adopt existing ones."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

from cleanup import conf
from cleanup.migrations._operations import CreateMappedTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(label)
        for label in (conf.application_model(), conf.folder_model(), conf.file_model())
        if label is not None and not label.startswith("cleanup.")
    ]

    operations = [
        CreateMappedTable(
            name="Application",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
            ],
            options={
                "default_permissions": (),
                "db_table": "customer_applications",
                "swappable": "CLEANUP_APPLICATION_MODEL",
            },
        ),
        CreateMappedTable(
            name="Folder",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=255)),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="children",
                        to=conf.folder_model(),
                    ),
                ),
                (
                    "application",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="folders",
                        to=conf.application_model() or conf.OWN_APPLICATION,
                    ),
                ),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("updated_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "default_permissions": (),
                "db_table": "folders",
                "swappable": "CLEANUP_FOLDER_MODEL",
            },
        ),
        CreateMappedTable(
            name="File",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("filename", models.CharField(max_length=255)),
                ("original_filename", models.CharField(max_length=255)),
                ("display_name", models.CharField(blank=True, max_length=255, null=True)),
                ("file_path", models.TextField()),
                ("file_size", models.BigIntegerField()),
                ("mime_type", models.CharField(max_length=100)),
                ("uploaded_by", models.UUIDField(blank=True, null=True)),
                (
                    "application",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="files",
                        to=conf.application_model() or conf.OWN_APPLICATION,
                    ),
                ),
                (
                    "folder",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="files",
                        to=conf.folder_model(),
                    ),
                ),
                ("created_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "default_permissions": (),
                "db_table": "files",
                "swappable": "CLEANUP_FILE_MODEL",
            },
        ),
    ]
