"""Frappe on PostgreSQL: files and folders in one table, whose key is the path under which a folder was made.

A folder that is moved keeps its key, so that same-named folders come side by side; Frappe itself reads keys as no more
than keys.
"""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Frappe, ERPNext",
    settings="""
        CLEANUP_APPLICATION_MODEL = None
        CLEANUP_FOLDER_MODEL = "host.File"
        CLEANUP_FOLDER_FIELDS = {"parent": "folder", "name": "file_name", "created": "creation"}
        CLEANUP_FOLDER_LIVE = {"is_folder": 1}
        CLEANUP_FILE_MODEL = None
        CLEANUP_EXTRA_REFERENCES = [{"tabDocShare.share_name": {"share_doctype": "File"}}, {"tabComment.reference_name": {"reference_doctype": "File"}}]
        CLEANUP_HISTORY_TABLES = {"tabVersion": "leave"}
        CLEANUP_IGNORED_COLUMNS = ["tabFile.name", "tabFile.file_url"]
    """,  # noqa: E501 - one a line, as in README
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
        CREATE TABLE "tabDocShare" (
            name varchar(140) PRIMARY KEY, "user" varchar(140), share_doctype varchar(140), share_name varchar(140)
        );
        CREATE TABLE "tabComment" (
            name varchar(140) PRIMARY KEY, reference_doctype varchar(140), reference_name varchar(140), content text
        );
        CREATE TABLE "tabVersion" (
            name varchar(140) PRIMARY KEY, ref_doctype varchar(140), docname varchar(140), data text
        );
        INSERT INTO "tabFile" (name, creation, file_name, is_folder, folder) VALUES
            ('Home', now(), 'Home', 1, NULL), ('Home/Letters', now(), 'Letters', 1, 'Home'),
            ('Home/Letters/March', now(), 'March', 1, 'Home/Letters'), ('Home/Plans', now(), 'Plans', 1, 'Home'),
            ('Home/Plans/Letters', now(), 'Letters', 1, 'Home'),
            ('Home/Plans/Letters/March', now(), 'March', 1, 'Home/Plans/Letters'),
            ('Home/Plans/Letters/May', now(), 'May', 1, 'Home/Plans/Letters'),
            ('d41d8cd98f', now(), 'scan.pdf', 0, 'Home/Letters'), ('00b204e980', now(), 'a.pdf', 0, 'Home/Plans'),
            ('0998ecf842', now(), 'b.pdf', 0, 'Home/Plans/Letters'),
            ('7e5b2c11aa', now(), 'c.pdf', 0, 'Home/Plans/Letters/March');
        INSERT INTO "tabDocShare" VALUES ('5a1', 'ann@example.org', 'File', 'Home/Plans/Letters'),
            ('5a2', 'ann@example.org', 'Note', 'Home/Plans/Letters');
        INSERT INTO "tabComment" VALUES ('c01', 'File', 'Home/Plans/Letters/March', 'Which March?');
        INSERT INTO "tabVersion" VALUES ('v01', 'File', 'Home/Plans/Letters', '{}');
    """,
    left=(
        "Home",
        "Home/Letters",
        "Home/Letters/March",
        "Home/Letters/March/c.pdf",
        "Home/Letters/May",
        "Home/Letters/b.pdf",
        "Home/Letters/scan.pdf",
        "Home/Plans",
        "Home/Plans/a.pdf",
    ),
    moved={"tabFile": 3, "tabDocShare": 1, "tabComment": 1},
)
