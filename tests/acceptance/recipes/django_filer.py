"""django-filer: unique names below a parent, but not among top folders; permissions by folder."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="django-filer",
    settings="""
        CLEANUP_APPLICATION_MODEL = None
        CLEANUP_FOLDER_MODEL = "filer.Folder"
        CLEANUP_FOLDER_FIELDS = {"parent": "parent", "name": "name", "created": "created_at"}
        CLEANUP_FILE_MODEL = "filer.File"
        CLEANUP_FILE_FIELDS = {"folder": "folder", "application": None, "name": "original_filename"}
    """,
    apps=("easy_thumbnails", "polymorphic", "filer"),
    fill="""
        from django.contrib.auth.models import User
        from filer.models import File, Folder, FolderPermission, Image

        ann = User.objects.create_user("ann")
        for names in (("Photos", "Logos"), ("Photos", "Texts")):
            root = Folder.objects.create(name="Press", owner=ann)
            FolderPermission.objects.create(folder=root, user=ann, type=FolderPermission.ALL, can_read=1)
            for name in names:
                folder = Folder.objects.create(name=name, parent=root, owner=ann)
                File.objects.create(folder=folder, original_filename="text.pdf", owner=ann)
                Image.objects.create(folder=folder, original_filename="photo.jpg", owner=ann, _width=1, _height=1)
        Folder.objects.create(name="Staff", owner=ann)
    """,
    left=("Press", "Press/Logos", "Press/Photos", "Press/Texts", "Staff"),
    moved={"filer_file": 2, "filer_folder": 1, "filer_folderpermission": 1},
)
