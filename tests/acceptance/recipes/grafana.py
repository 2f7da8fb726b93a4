"""Grafana on PostgreSQL: the parent is named by a text that is unique in an organisation only."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Grafana",
    settings="""
        CLEANUP_APPLICATION_MODEL = None
        CLEANUP_FOLDER_MODEL = "host.Folder"
        CLEANUP_FOLDER_FIELDS = {"parent": "parent", "name": "title", "created": "created"}
        CLEANUP_FILE_MODEL = None
    """,
    models="""
        from django.db import models


        class Folder(models.Model):
            uid = models.CharField(max_length=40, primary_key=True)
            org_id = models.BigIntegerField()
            title = models.CharField(max_length=189)
            parent = models.ForeignKey("self", models.DO_NOTHING, db_column="parent_uid", null=True)
            created = models.DateTimeField()
            updated = models.DateTimeField()

            class Meta:
                managed = False
                db_table = "folder"
    """,
    sql="""
        CREATE TABLE folder (
            id bigserial PRIMARY KEY, uid varchar(40), org_id bigint NOT NULL, title varchar(189) NOT NULL,
            description varchar(255), parent_uid varchar(40), created timestamp NOT NULL, updated timestamp NOT NULL
        );
        CREATE UNIQUE INDEX "UQE_folder_uid_org_id" ON folder (uid, org_id);
        CREATE UNIQUE INDEX "UQE_folder_title_parent_uid_org_id" ON folder (title, parent_uid, org_id);
        CREATE INDEX "IDX_folder_parent_uid_org_id" ON folder (parent_uid, org_id);
        INSERT INTO folder (uid, org_id, title, parent_uid, created, updated) VALUES
            ('ae1', 1, 'Ops', NULL, now(), now()), ('ae2', 1, 'Ops', NULL, now(), now()),
            ('ae3', 1, 'Net', 'ae2', now(), now()), ('ae1', 2, 'Ops', NULL, now(), now());
    """,
    refusal='Nothing keeps public.folder.uid unique. Add a key: CREATE UNIQUE INDEX ON "public"."folder" ("uid");',
)
