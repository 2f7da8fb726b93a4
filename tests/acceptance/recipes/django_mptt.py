"""django-mptt: nested sets, kept by the ready hook."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="django-mptt",
    vendor="sqlite",
    settings="""
        CLEANUP_APPLICATION_MODEL = None
        CLEANUP_FOLDER_MODEL = "host.Folder"
        CLEANUP_FOLDER_FIELDS = {"parent": "parent", "name": "name", "created": None}
        CLEANUP_FILE_MODEL = "host.Document"
        CLEANUP_FILE_FIELDS = {"folder": "folder", "application": None, "name": "name"}
        CLEANUP_TREE_HOOK = "cleanup.hooks.mptt"
    """,
    apps=("mptt",),
    models="""
        from django.db import models
        from mptt.models import MPTTModel, TreeForeignKey


        class Folder(MPTTModel):
            name = models.CharField(max_length=50)
            parent = TreeForeignKey("self", models.CASCADE, null=True, blank=True, related_name="children")


        class Document(models.Model):
            name = models.CharField(max_length=50)
            folder = models.ForeignKey(Folder, models.CASCADE)
    """,
    fill="""
        from host.models import Document, Folder

        for names in (("Docs", "Mail"), ("Docs", "Photos")):
            root = Folder.objects.create(name="Loan")
            for name in names:
                folder = Folder.objects.create(name=name, parent=root)
                Folder.objects.create(name="2024", parent=folder)
                Document.objects.create(name="scan.pdf", folder=folder)
        Folder.objects.create(name="Other")
    """,
    still="""
        from django.db import transaction
        from host.models import Folder

        def shape():
            return list(Folder.objects.values_list("pk", "lft", "rght", "level").order_by("pk"))

        kept = shape()
        with transaction.atomic():
            Folder.objects.rebuild()
            assert shape() == kept, (kept, shape())
            transaction.set_rollback(True)
    """,
    left=(
        "Loan",
        "Loan/Docs",
        "Loan/Docs/2024",
        "Loan/Mail",
        "Loan/Mail/2024",
        "Loan/Photos",
        "Loan/Photos/2024",
        "Other",
    ),
    moved={"host_folder": 1, "host_document": 1},
)
