"""Open WebUI on PostgreSQL: text keys with the user in the primary key, seconds for times, no foreign keys."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Open WebUI",
    settings="""
        CLEANUP_APPLICATION_MODEL = "host.User"
        CLEANUP_DIFFERENT_ROOTS = "keep"
        CLEANUP_FOLDER_MODEL = "host.Folder"
        CLEANUP_FOLDER_FIELDS = {"parent": "parent", "application": "user", "name": "name", "created": "created_at"}
        CLEANUP_FILE_MODEL = None
        CLEANUP_EXTRA_REFERENCES = ["chat.folder_id"]
    """,
    foreign_keys={"Folder.id": "primary_key=True", "Folder.parent_id": "self", "Folder.user_id": "User"},
    models="""
        from django.db import models


        class User(models.Model):
            id = models.TextField(primary_key=True)

            class Meta:
                managed = False
                db_table = "user"


        class Folder(models.Model):
            id = models.TextField(primary_key=True)
            parent = models.ForeignKey("self", models.DO_NOTHING, null=True)
            user = models.ForeignKey(User, models.DO_NOTHING)
            name = models.TextField()
            created_at = models.BigIntegerField()

            class Meta:
                managed = False
                db_table = "folder"
    """,
    sql="""
        CREATE TABLE "user" (id text PRIMARY KEY, name text NOT NULL, email text);
        CREATE TABLE folder (
            id text NOT NULL, parent_id text, user_id text NOT NULL, name text NOT NULL, items json, meta json,
            is_expanded boolean NOT NULL, created_at bigint NOT NULL, updated_at bigint NOT NULL, data json,
            PRIMARY KEY (id, user_id)
        );
        CREATE TABLE chat (
            id text PRIMARY KEY, user_id text, title text, chat json, created_at bigint, updated_at bigint,
            share_id text UNIQUE, archived boolean NOT NULL DEFAULT false, pinned boolean, meta json, folder_id text
        );
        INSERT INTO "user" (id, name) VALUES ('7d0b', 'Ann'), ('91cc', 'Bo');
        INSERT INTO folder (id, parent_id, user_id, name, is_expanded, created_at, updated_at) VALUES
            ('a0000000-0000-4000-8000-000000000001', NULL, '7d0b', 'Work', true, 1718000001, 1718000001),
            ('a0000000-0000-4000-8000-000000000002', NULL, '7d0b', 'Work', false, 1718000002, 1718000002),
            ('a0000000-0000-4000-8000-000000000003', NULL, '7d0b', 'Home', false, 1718000003, 1718000003),
            ('a0000000-0000-4000-8000-000000000004', 'a0000000-0000-4000-8000-000000000002', '7d0b', 'Ideas', false,
             1718000004, 1718000004),
            ('a0000000-0000-4000-8000-000000000005', NULL, '91cc', 'Work', false, 1718000005, 1718000005);
        INSERT INTO chat (id, user_id, title, folder_id) SELECT md5(id), user_id, 'New chat', id FROM folder;
    """,
    left=("Home", "Work", "Work", "Work/Ideas"),
    moved={"chat": 1, "folder": 1},
)
