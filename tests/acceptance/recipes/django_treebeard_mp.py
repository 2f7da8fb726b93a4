"""django-treebeard's materialized path: the path alone tells the parent."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="django-treebeard, MP_Node and NS_Node",
    settings="""
        CLEANUP_APPLICATION_MODEL = None
        CLEANUP_FOLDER_MODEL = "host.Folder"
        CLEANUP_FOLDER_FIELDS = {"parent": None, "name": "name", "created": None}
        CLEANUP_FILE_MODEL = None
    """,
    apps=("treebeard",),
    models="""
        from django.db import models
        from treebeard.mp_tree import MP_Node


        class Folder(MP_Node):
            name = models.CharField(max_length=50)
    """,
    fill="""
        from host.models import Folder

        for _ in range(2):
            Folder.add_root(name="Letters").add_child(name="2024")
    """,
    refusal="A tree in which only a path tells the parent cannot be cleaned up",
)
