"""Directus 11 on PostgreSQL: no owner, no time; files, and settings that name a folder."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Directus",
    settings="""
        CLEANUP_APPLICATION_MODEL = None
        CLEANUP_FOLDER_MODEL = "host.DirectusFolders"
        CLEANUP_FOLDER_FIELDS = {"parent": "parent", "name": "name", "created": None}
        CLEANUP_FILE_MODEL = "host.DirectusFiles"
        CLEANUP_FILE_FIELDS = {"folder": "folder", "application": None, "name": "filename_download"}
        CLEANUP_HISTORY_TABLES = {"directus_activity": "leave", "directus_revisions": "leave"}
    """,
    tables=("directus_folders", "directus_files", "directus_users"),
    sql="""
        CREATE TABLE directus_users (id uuid PRIMARY KEY, email varchar(255) UNIQUE);
        CREATE TABLE directus_folders (
            id uuid PRIMARY KEY, name varchar(255) NOT NULL, parent uuid REFERENCES directus_folders
        );
        CREATE TABLE directus_files (
            id uuid PRIMARY KEY, storage varchar(255) NOT NULL, filename_disk varchar(255),
            filename_download varchar(255) NOT NULL, title varchar(255), type varchar(255),
            folder uuid REFERENCES directus_folders ON DELETE SET NULL, uploaded_by uuid REFERENCES directus_users,
            created_on timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP, filesize bigint, width integer, height integer,
            description text, location text, tags text, metadata json, focal_point_x integer, tus_id varchar(64),
            tus_data json, uploaded_on timestamptz
        );
        CREATE TABLE directus_settings (
            id serial PRIMARY KEY, project_name varchar(100) NOT NULL DEFAULT 'Directus',
            storage_default_folder uuid REFERENCES directus_folders ON DELETE SET NULL
        );
        CREATE TABLE directus_activity (
            id serial PRIMARY KEY, action varchar(45) NOT NULL, "user" uuid,
            timestamp timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP, collection varchar(64) NOT NULL,
            item varchar(255) NOT NULL
        );
        CREATE TABLE directus_revisions (
            id serial PRIMARY KEY, activity integer NOT NULL REFERENCES directus_activity ON DELETE CASCADE,
            collection varchar(64) NOT NULL, item varchar(255) NOT NULL, data json, delta json,
            parent integer REFERENCES directus_revisions
        );
        INSERT INTO directus_folders VALUES
            ('10000000-0000-4000-8000-000000000001', 'Photos', NULL),
            ('10000000-0000-4000-8000-000000000002', 'Photos', NULL),
            ('10000000-0000-4000-8000-000000000003', 'Contracts', NULL),
            ('10000000-0000-4000-8000-000000000011', '2024', '10000000-0000-4000-8000-000000000001'),
            ('10000000-0000-4000-8000-000000000012', '2024', '10000000-0000-4000-8000-000000000002'),
            ('10000000-0000-4000-8000-000000000013', '2025', '10000000-0000-4000-8000-000000000002');
        INSERT INTO directus_files (id, storage, filename_download, folder)
            SELECT gen_random_uuid(), 'local', name || '.jpg', id FROM directus_folders;
        INSERT INTO directus_settings (storage_default_folder) VALUES ('10000000-0000-4000-8000-000000000002');
        INSERT INTO directus_activity (action, collection, item)
            SELECT 'create', 'directus_folders', id FROM directus_folders;
        INSERT INTO directus_revisions (activity, collection, item, data)
            SELECT id, collection, item, '{}' FROM directus_activity;
    """,
    left=("Contracts", "Photos", "Photos/2024", "Photos/2025"),
    moved={"directus_folders": 1, "directus_files": 2, "directus_settings": 1},
)
