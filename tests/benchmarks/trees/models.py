"""Models of tables that are there."""

# ruff: noqa: DJ008 - no one looks at these rows

from django.db import models


class TreeFolder(models.Model):
    """A folder."""

    id = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=255)
    parent = models.ForeignKey("self", models.DO_NOTHING, null=True)
    created_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "folders"


class TreeFile(models.Model):
    """A file."""

    id = models.UUIDField(primary_key=True)
    filename = models.CharField(max_length=255)
    folder = models.ForeignKey(TreeFolder, models.DO_NOTHING, null=True)

    class Meta:
        managed = False
        db_table = "files"
