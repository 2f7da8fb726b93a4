"""Frappe on PostgreSQL: files and folders in one table, whose key is the path."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Frappe, ERPNext",
    settings="""
        CLEANUP_APPLICATION_MODEL = None
        CLEANUP_FOLDER_MODEL = "host.File"
        CLEANUP_FOLDER_FIELDS = {"parent": "folder", "name": "file_name", "created": "creation"}
        CLEANUP_FOLDER_LIVE = {"is_folder": 1}
        CLEANUP_FILE_MODEL = None
        CLEANUP_IGNORED_COLUMNS = ["tabFile.file_url"]
    """,
    models="""
        from django.db import models


        class File(models.Model):
            name = models.CharField(primary_key=True, max_length=140)
            creation = models.DateTimeField()
            file_name = models.CharField(max_length=140)
            folder = models.ForeignKey("self", models.DO_NOTHING, db_column="folder", null=True)
            is_folder = models.SmallIntegerField()

            class Meta:
                managed = False
                db_table = "tabFile"
    """,
    sql="""
        CREATE TABLE "tabFile" (
            name varchar(140) PRIMARY KEY, creation timestamp, modified timestamp, owner varchar(140),
            docstatus smallint NOT NULL DEFAULT 0, file_name varchar(140), is_private smallint NOT NULL DEFAULT 0,
            is_home_folder smallint NOT NULL DEFAULT 0, is_folder smallint NOT NULL DEFAULT 0, folder varchar(255),
            attached_to_doctype varchar(140), attached_to_name varchar(140), file_url text
        );
        INSERT INTO "tabFile" (name, creation, file_name, is_folder, folder) VALUES
            ('Home', now(), 'Home', 1, NULL), ('Home/Letters', now(), 'Letters', 1, 'Home'),
            ('Home/Letters/March', now(), 'March', 1, 'Home/Letters'), ('Home/Plans', now(), 'Plans', 1, 'Home'),
            ('d41d8cd98f', now(), 'scan.pdf', 0, 'Home/Letters'), ('00b204e980', now(), 'a.pdf', 0, 'Home/Plans'),
            ('0998ecf842', now(), 'b.pdf', 0, 'Home/Plans'), ('7e5b2c11aa', now(), 'c.pdf', 0, 'Home/Plans');
    """,
    refusal="public.tabFile.name, the key of folders, looks like a path in the tree",
)
