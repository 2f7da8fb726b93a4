"""OCA's dms on Odoo and PostgreSQL: paths of keys and of names, link tables, and rows that name their kind."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Odoo, OCA dms",
    settings="""
        CLEANUP_APPLICATION_MODEL = "host.DmsStorage"
        CLEANUP_DIFFERENT_ROOTS = "keep"
        CLEANUP_FOLDER_MODEL = "host.DmsDirectory"
        CLEANUP_FOLDER_FIELDS = {"parent": "parent", "application": "storage", "name": "name", "created": "create_date"}
        CLEANUP_FILE_MODEL = "host.DmsFile"
        CLEANUP_FILE_FIELDS = {"folder": "directory", "application": "storage", "name": "name"}
        CLEANUP_EXTRA_REFERENCES = [{"mail_message.res_id": {"model": "dms.directory"}}, {"mail_followers.res_id": {"res_model": "dms.directory"}}]
        CLEANUP_COLLISIONS = {"mail_followers": "keep_survivor"}
        CLEANUP_TREE_HOOK = ["cleanup.hooks.materialized_path", {"hook": "cleanup.hooks.materialized_path", "path": "complete_name", "of": "name", "separator": " / "}]
    """,  # noqa: E501 - one a line, as in the manual
    tables=("dms_storage", "dms_directory", "dms_file", "res_users"),
    sql="""
        CREATE TABLE res_users (id serial PRIMARY KEY, login varchar NOT NULL UNIQUE);
        CREATE TABLE dms_storage (id serial PRIMARY KEY, name varchar NOT NULL, save_type varchar NOT NULL);
        CREATE TABLE dms_tag (id serial PRIMARY KEY, name varchar NOT NULL);
        CREATE TABLE dms_access_group (id serial PRIMARY KEY, name varchar NOT NULL);
        CREATE TABLE dms_directory (
            id serial PRIMARY KEY, name varchar NOT NULL, parent_path varchar, is_root_directory boolean,
            storage_id integer REFERENCES dms_storage ON DELETE RESTRICT,
            parent_id integer REFERENCES dms_directory ON DELETE RESTRICT, complete_name varchar, color integer,
            inherit_group_ids boolean, create_uid integer REFERENCES res_users ON DELETE SET NULL,
            create_date timestamp, write_uid integer REFERENCES res_users ON DELETE SET NULL, write_date timestamp
        );
        CREATE INDEX dms_directory_parent_path_index ON dms_directory (parent_path);
        CREATE INDEX dms_directory_parent_id_index ON dms_directory (parent_id);
        CREATE TABLE dms_file (
            id serial PRIMARY KEY, name varchar NOT NULL,
            directory_id integer NOT NULL REFERENCES dms_directory ON DELETE RESTRICT,
            storage_id integer REFERENCES dms_storage ON DELETE SET NULL, size double precision, mimetype varchar,
            create_date timestamp
        );
        CREATE TABLE dms_directory_tag_rel (
            did integer NOT NULL REFERENCES dms_directory ON DELETE CASCADE,
            tid integer NOT NULL REFERENCES dms_tag ON DELETE CASCADE, PRIMARY KEY (did, tid)
        );
        CREATE TABLE dms_directory_groups_rel (
            aid integer NOT NULL REFERENCES dms_directory ON DELETE CASCADE,
            gid integer NOT NULL REFERENCES dms_access_group ON DELETE CASCADE, PRIMARY KEY (aid, gid)
        );
        CREATE TABLE mail_message (id serial PRIMARY KEY, model varchar, res_id integer, body text);
        CREATE TABLE mail_followers (
            id serial PRIMARY KEY, res_model varchar NOT NULL, res_id integer, partner_id integer,
            CONSTRAINT mail_followers_res_partner_res_model_id_uniq UNIQUE (res_model, res_id, partner_id)
        );
        INSERT INTO dms_storage (name, save_type) VALUES ('Office', 'database'), ('Plant', 'file');
        INSERT INTO dms_tag (name) VALUES ('signed');
        INSERT INTO dms_access_group (name) VALUES ('staff'), ('guests');
        INSERT INTO dms_directory (name, storage_id, parent_id, parent_path, complete_name, create_date) VALUES
            ('Offers', 1, NULL, '1/', 'Offers', '2024-01-01'),
            ('Offers', 1, NULL, '2/', 'Offers', '2024-01-02'),
            ('Invoices', 1, NULL, '3/', 'Invoices', '2024-01-03'),
            ('2024', 1, 1, '1/4/', 'Offers / 2024', '2024-01-04'),
            ('2024', 1, 2, '2/5/', 'Offers / 2024', '2024-01-05'),
            ('March', 1, 5, '2/5/6/', 'Offers / 2024 / March', '2024-01-06'),
            ('Offers', 2, NULL, '7/', 'Offers', '2024-01-07');
        INSERT INTO dms_file (name, directory_id, storage_id) SELECT name || '.pdf', id, storage_id FROM dms_directory;
        INSERT INTO dms_directory_tag_rel SELECT id, 1 FROM dms_directory;
        INSERT INTO dms_directory_groups_rel VALUES (1, 1), (2, 2);
        INSERT INTO mail_message (model, res_id) VALUES ('dms.directory', 2), ('res.partner', 2), ('dms.file', 5);
        INSERT INTO mail_followers (res_model, res_id, partner_id)
            VALUES ('dms.directory', 1, 9), ('dms.directory', 2, 9), ('dms.directory', 2, 8), ('res.partner', 2, 9);
    """,
    left=("Invoices", "Offers", "Offers", "Offers/2024", "Offers/2024/March"),
    moved={"dms_directory": 1, "dms_file": 2, "dms_directory_groups_rel": 1, "mail_message": 1, "mail_followers": 1},
    merged_links={"dms_directory_tag_rel": 2, "mail_followers": 1},
)
