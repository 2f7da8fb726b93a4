"""Tables that point at folders. No column of theirs that lacks a foreign key is named after folders, so that a process
without these models does not suspect it."""

# ruff: noqa: DJ008 - no one looks at these rows

import uuid

from django.apps import apps
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models

from cleanup import conf

# The folders are those of the settings; apps whose models play a part stand before this one.
FOLDER = conf.folder_model()
Folder = apps.get_model(FOLDER, require_ready=False)


def copy_of_key(model):
    """Return a field that holds keys of the model."""
    key = model._meta.pk
    kind = models.BigIntegerField if isinstance(key, models.AutoField | models.BigAutoField) else type(key)
    return kind(max_length=key.max_length)


class HiddenManager(models.Manager):
    """A default manager that shows nothing."""

    def get_queryset(self):
        return super().get_queryset().none()


class Bookmark(models.Model):
    """Without a way back from the folder, and hidden by its manager."""

    folder = models.ForeignKey(FOLDER, models.CASCADE, related_name="+")

    objects = HiddenManager()


class Cover(models.Model):
    """One to one, and its own key."""

    folder = models.OneToOneField(FOLDER, models.PROTECT, primary_key=True)
    picture = models.CharField(max_length=100)


class Tag(models.Model):
    """Many to many, by an automatic table."""

    label = models.CharField(max_length=100)
    folders = models.ManyToManyField(FOLDER, related_name="tags")


#: What the automatic table calls its folder.
TAGGED = Tag.folders.field.m2m_reverse_field_name()


class Dossier(Folder):
    """A proxy, with a content type of its own."""

    class Meta:
        proxy = True


class Contract(Folder):
    """A child table, whose key is the folder's."""

    folder_ptr = models.OneToOneField(FOLDER, models.CASCADE, parent_link=True, primary_key=True)
    title = models.CharField(max_length=100)


class Clause(models.Model):
    """Points at the child, and so copies the folder's key."""

    contract = models.ForeignKey(Contract, models.CASCADE)


class Watch(models.Model):
    """A relation without a foreign key in the database."""

    watched = models.ForeignKey(FOLDER, models.DO_NOTHING, db_constraint=False)


class Note(models.Model):
    """Generic, its key as text."""

    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.CharField(max_length=64)
    subject = GenericForeignKey("content_type", "object_id")
    text = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["content_type", "object_id"], name="hostapp_note_subject")]


class Scan(models.Model):
    """Generic, its key of the type that the folder's is."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    about_type = models.ForeignKey(ContentType, models.CASCADE)
    about_id = copy_of_key(Folder)
    about = GenericForeignKey("about_type", "about_id")


class Counter(models.Model):
    """Generic, its key a number: it cannot point at a folder whose key is a UUID."""

    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.IntegerField()
    counted = GenericForeignKey("content_type", "object_id")


class Case(models.Model):
    """Owns sections: a host's own application model, with a number for its key."""


class Section(models.Model):
    """A host's own folder model."""

    title = models.CharField(max_length=100)
    above = models.ForeignKey("self", models.CASCADE, null=True)
    case = models.ForeignKey(Case, models.CASCADE, null=True)
    made_at = models.DateTimeField(null=True)


class Document(models.Model):
    """A host's own file model."""

    title = models.CharField(max_length=100)
    section = models.ForeignKey(Section, models.CASCADE, null=True)
    case = models.ForeignKey(Case, models.CASCADE, null=True)


# The settings that let them play the parts.
OWN_MODELS = {
    "CLEANUP_APPLICATION_MODEL": "hostapp.Case",
    "CLEANUP_FOLDER_MODEL": "hostapp.Section",
    "CLEANUP_FILE_MODEL": "hostapp.Document",
    "CLEANUP_FOLDER_FIELDS": {"parent": "above", "application": "case", "name": "title", "created": "made_at"},
    "CLEANUP_FILE_FIELDS": {"folder": "section", "application": "case", "name": "title"},
}
