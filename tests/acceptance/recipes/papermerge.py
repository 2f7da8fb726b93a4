"""Papermerge: folders inherit key, title and parent from another model's table."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Papermerge",
    settings="""
        CLEANUP_APPLICATION_MODEL = None
        CLEANUP_FOLDER_MODEL = "host.Folder"
        CLEANUP_FOLDER_FIELDS = {"parent": "parent", "name": "title", "created": "created_at"}
        CLEANUP_FILE_MODEL = None
    """,
    models="""
        from django.db import models


        class BaseTreeNode(models.Model):
            title = models.CharField(max_length=200)
            ctype = models.CharField(max_length=16)
            parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
            created_at = models.DateTimeField(auto_now_add=True)


        class Folder(BaseTreeNode):
            pass


        class Document(BaseTreeNode):
            pass
    """,
    refusal="host.Folder inherits from host.BaseTreeNode by multi-table inheritance, so that its fields are not "
    "columns of one table.",
)
