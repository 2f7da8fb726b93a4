"""django-treebeard's adjacency list: a parent, and a position among siblings."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="django-treebeard, AL_Node",
    vendor="sqlite",
    settings="""
        CLEANUP_APPLICATION_MODEL = None
        CLEANUP_FOLDER_MODEL = "host.Folder"
        CLEANUP_FOLDER_FIELDS = {"parent": "parent", "name": "name", "created": None}
        CLEANUP_FILE_MODEL = "host.Document"
        CLEANUP_FILE_FIELDS = {"folder": "folder", "application": None, "name": "name"}
    """,
    apps=("treebeard",),
    models="""
        from django.db import models
        from treebeard.al_tree import AL_Node


        class Folder(AL_Node):
            parent = models.ForeignKey(
                "self", models.CASCADE, related_name="children_set", null=True, blank=True, db_index=True
            )
            sib_order = models.PositiveIntegerField()
            name = models.CharField(max_length=50)


        class Document(models.Model):
            name = models.CharField(max_length=50)
            folder = models.ForeignKey(Folder, models.CASCADE)
    """,
    fill="""
        from host.models import Document, Folder

        for names in (("Docs", "Mail"), ("Docs", "Photos")):
            root = Folder.add_root(name="Loan")
            for name in names:
                folder = root.add_child(name=name)
                Document.objects.create(name="scan.pdf", folder=folder)
        Folder.add_root(name="Other")
    """,
    left=("Loan", "Loan/Docs", "Loan/Mail", "Loan/Photos", "Other"),
    moved={"host_folder": 1, "host_document": 1},
)
