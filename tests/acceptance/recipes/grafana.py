"""Grafana on PostgreSQL: texts as keys, unique in an organisation only, and each folder again among the dashboards.

The folder's own row there, which has its key, gives way to that of the folder that stays.
"""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Grafana",
    settings="""
        CLEANUP_APPLICATION_MODEL = "host.Org"
        CLEANUP_DIFFERENT_ROOTS = "keep"
        CLEANUP_FOLDER_MODEL = "host.Folder"
        CLEANUP_FOLDER_FIELDS = {"parent": "parent", "application": "org", "name": "title", "created": "created"}
        CLEANUP_FILE_MODEL = None
        CLEANUP_EXTRA_REFERENCES = ["dashboard.folder_uid", {"dashboard.uid": {"is_folder": True}}, "alert_rule.namespace_uid", "library_element.folder_uid"]
        CLEANUP_COLLISIONS = {"dashboard": "keep_survivor"}
        CLEANUP_IGNORED_COLUMNS = ["dashboard.folder_id", "library_element.folder_id", "permission.scope", "permission.identifier"]
    """,  # noqa: E501 - one a line, as in the manual
    foreign_keys={"Folder.uid": "primary_key=True", "Folder.parent_uid": "self", "Folder.org_id": "Org"},
    models="""
        from django.db import models


        class Org(models.Model):
            id = models.BigAutoField(primary_key=True)
            name = models.CharField(max_length=190)

            class Meta:
                managed = False
                db_table = "org"


        class Folder(models.Model):
            uid = models.CharField(max_length=40, primary_key=True)
            org = models.ForeignKey(Org, models.DO_NOTHING)
            title = models.CharField(max_length=189)
            parent = models.ForeignKey("self", models.DO_NOTHING, db_column="parent_uid", null=True)
            created = models.DateTimeField()
            updated = models.DateTimeField()

            class Meta:
                managed = False
                db_table = "folder"
    """,
    sql="""
        CREATE TABLE org (id bigserial PRIMARY KEY, version integer NOT NULL, name varchar(190) NOT NULL);
        CREATE TABLE folder (
            id bigserial PRIMARY KEY, uid varchar(40) NOT NULL, org_id bigint NOT NULL, title varchar(189) NOT NULL,
            description varchar(255), parent_uid varchar(40), created timestamp NOT NULL, updated timestamp NOT NULL
        );
        CREATE UNIQUE INDEX "UQE_folder_uid_org_id" ON folder (uid, org_id);
        CREATE UNIQUE INDEX "UQE_folder_title_parent_uid_org_id" ON folder (title, parent_uid, org_id);
        CREATE INDEX "IDX_folder_parent_uid_org_id" ON folder (parent_uid, org_id);
        CREATE TABLE dashboard (
            id bigserial PRIMARY KEY, slug varchar(189) NOT NULL, title varchar(189) NOT NULL, data text NOT NULL,
            org_id bigint NOT NULL, uid varchar(40), folder_id bigint NOT NULL DEFAULT 0, folder_uid varchar(40),
            is_folder boolean NOT NULL DEFAULT false, created timestamp NOT NULL, updated timestamp NOT NULL
        );
        CREATE UNIQUE INDEX "UQE_dashboard_org_id_uid" ON dashboard (org_id, uid);
        CREATE TABLE alert_rule (
            id bigserial PRIMARY KEY, org_id bigint NOT NULL, title varchar(190) NOT NULL, uid varchar(40) NOT NULL,
            namespace_uid varchar(40) NOT NULL, rule_group varchar(190) NOT NULL
        );
        CREATE UNIQUE INDEX "UQE_alert_rule_org_id_namespace_uid_title" ON alert_rule (org_id, namespace_uid, title);
        CREATE TABLE library_element (
            id bigserial PRIMARY KEY, org_id bigint NOT NULL, folder_id bigint NOT NULL, folder_uid varchar(40),
            uid varchar(40) NOT NULL, name varchar(150) NOT NULL, kind bigint NOT NULL, model text NOT NULL
        );
        CREATE TABLE permission (
            id bigserial PRIMARY KEY, role_id bigint NOT NULL, action varchar(190) NOT NULL, scope varchar(190),
            kind varchar(40) NOT NULL DEFAULT '', attribute varchar(40) NOT NULL DEFAULT '',
            identifier varchar(40) NOT NULL DEFAULT ''
        );
        INSERT INTO org (version, name) VALUES (0, 'Main Org.'), (0, 'Other');
        INSERT INTO folder (uid, org_id, title, parent_uid, created, updated) VALUES
            ('ae1', 1, 'Ops', NULL, '2024-03-01', '2024-03-01'), ('ae2', 1, 'Ops', NULL, '2024-03-02', '2024-03-02'),
            ('ae3', 1, 'Net', 'ae1', now(), now()), ('ae4', 1, 'Net', 'ae2', now(), now()),
            ('ae5', 1, 'Web', 'ae2', now(), now()), ('ae6', 2, 'Ops', NULL, now(), now());
        INSERT INTO dashboard (slug, title, data, org_id, uid, folder_uid, is_folder, created, updated)
            SELECT lower(title), title, '{}', org_id, uid, parent_uid, true, created, updated FROM folder ORDER BY id;
        INSERT INTO dashboard (slug, title, data, org_id, uid, folder_id, folder_uid, created, updated) VALUES
            ('load', 'Load', '{}', 1, 'd01', 1, 'ae1', now(), now()), ('disk', 'Disk', '{}', 1, 'd02', 2, 'ae2', now(), now()),
            ('errors', 'Errors', '{}', 1, 'd03', 4, 'ae4', now(), now()), ('home', 'Home', '{}', 1, 'd04', 0, NULL, now(), now());
        INSERT INTO alert_rule (org_id, title, uid, namespace_uid, rule_group) VALUES (1, 'Disk full', 'r01', 'ae2', 'disk');
        INSERT INTO permission (role_id, action, scope, kind, attribute, identifier) VALUES
            (1, 'folders:read', 'folders:uid:ae2', 'folders', 'uid', 'ae2');
    """,  # noqa: E501 - rows
    left=("Ops", "Ops", "Ops/Net", "Ops/Web"),
    moved={"folder": 1, "dashboard": 3, "alert_rule": 1},
    merged_links={"dashboard": 2},
)
