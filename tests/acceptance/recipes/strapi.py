"""Strapi 5 on PostgreSQL: a link table tells the parent, and a path beside it."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Strapi 5",
    settings="""
        CLEANUP_APPLICATION_MODEL = None
        CLEANUP_FOLDER_MODEL = "host.Folder"
        CLEANUP_FOLDER_FIELDS = {"parent": "parents", "name": "name", "created": "created_at"}
        CLEANUP_FILE_MODEL = None
    """,
    models="""
        from django.db import models


        class Folder(models.Model):
            name = models.CharField(max_length=255)
            path = models.CharField(max_length=255)
            created_at = models.DateTimeField(null=True)
            parents = models.ManyToManyField("self", db_table="upload_folders_parent_lnk", symmetrical=False)

            class Meta:
                managed = False
                db_table = "upload_folders"
    """,
    refusal="host.Folder.parents is a many-to-many field; the name of a column's field is needed.",
)
