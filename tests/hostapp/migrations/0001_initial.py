"""Every table of the test app."""

import uuid

import django.db.models.deletion
from django.apps import apps
from django.db import migrations, models

from cleanup import conf
from tests.hostapp.models import copy_of_key


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("cleanup", "0001_mapped_tables"),
        migrations.swappable_dependency(conf.folder_model()),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="Bookmark",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "folder",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=conf.folder_model()
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Cover",
            fields=[
                (
                    "folder",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        serialize=False,
                        to=conf.folder_model(),
                    ),
                ),
                ("picture", models.CharField(max_length=100)),
            ],
        ),
        migrations.CreateModel(
            name="Tag",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("label", models.CharField(max_length=100)),
                ("folders", models.ManyToManyField(related_name="tags", to=conf.folder_model())),
            ],
        ),
        migrations.CreateModel(
            name="Dossier",
            fields=[],
            options={"proxy": True},
            bases=(conf.folder_model().lower(),),
        ),
        migrations.CreateModel(
            name="Contract",
            fields=[
                (
                    "folder_ptr",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                        to=conf.folder_model(),
                    ),
                ),
                ("title", models.CharField(max_length=100)),
            ],
            bases=(conf.folder_model().lower(),),
        ),
        migrations.CreateModel(
            name="Clause",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "contract",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="hostapp.contract"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Watch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "watched",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, to=conf.folder_model()
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Note",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("object_id", models.CharField(max_length=64)),
                ("text", models.TextField()),
                (
                    "content_type",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="contenttypes.contenttype"),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["content_type", "object_id"], name="hostapp_note_subject")],
            },
        ),
        migrations.CreateModel(
            name="Scan",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("about_id", copy_of_key(apps.get_model(conf.folder_model()))),
                (
                    "about_type",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="contenttypes.contenttype"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Counter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("object_id", models.IntegerField()),
                (
                    "content_type",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="contenttypes.contenttype"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Case",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ],
        ),
        migrations.CreateModel(
            name="Section",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=100)),
                ("made_at", models.DateTimeField(null=True)),
                (
                    "above",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to="hostapp.section"),
                ),
                (
                    "case",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to="hostapp.case"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Document",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=100)),
                (
                    "section",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to="hostapp.section"),
                ),
                (
                    "case",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to="hostapp.case"),
                ),
            ],
        ),
    ]
