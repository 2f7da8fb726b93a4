"""The mapped tables, which another program may own.

They do nothing on delete and have no constraint beyond their keys: that is up to the owner of the tables. No migration
after 0001 may touch them, because on SQLite Django would rebuild the table and lose what it does not know. If the
settings name a host's models, relations point at those, as in migration 0001: otherwise Django would want a migration.
"""

import uuid

from django.db import models

from cleanup import conf

#: Even if nothing owns folders, the product's own models refer to something.
_APPLICATION = conf.application_model() or conf.OWN_APPLICATION


class Application(models.Model):
    """The owner of a folder tree: a loan application, a case, a customer."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)

    class Meta:
        default_permissions = ()
        db_table = "customer_applications"
        swappable = "CLEANUP_APPLICATION_MODEL"

    def __str__(self) -> str:
        return str(self.pk)


class Folder(models.Model):
    """A folder; without a parent it is a root folder."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=255)
    parent = models.ForeignKey(conf.folder_model(), models.DO_NOTHING, null=True, blank=True, related_name="children")
    application = models.ForeignKey(_APPLICATION, models.DO_NOTHING, null=True, blank=True, related_name="folders")
    created_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        db_table = "folders"
        swappable = "CLEANUP_FOLDER_MODEL"

    def __str__(self) -> str:
        return self.name


class File(models.Model):
    """A file; a folder may contain two of the same name."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    filename = models.CharField(max_length=255)
    original_filename = models.CharField(max_length=255)
    display_name = models.CharField(max_length=255, null=True, blank=True)
    file_path = models.TextField()
    file_size = models.BigIntegerField()
    mime_type = models.CharField(max_length=100)
    uploaded_by = models.UUIDField(null=True, blank=True)
    application = models.ForeignKey(_APPLICATION, models.DO_NOTHING, null=True, blank=True, related_name="files")
    folder = models.ForeignKey(conf.folder_model(), models.DO_NOTHING, null=True, blank=True, related_name="files")
    created_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        db_table = "files"
        swappable = "CLEANUP_FILE_MODEL"

    def __str__(self) -> str:
        return self.filename
