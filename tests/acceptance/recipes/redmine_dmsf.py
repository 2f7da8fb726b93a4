"""Redmine DMSF on PostgreSQL: no foreign keys at all, a trash, and links whose target another column names."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Redmine DMSF",
    settings="""
        CLEANUP_APPLICATION_MODEL = "host.Projects"
        CLEANUP_DIFFERENT_ROOTS = "keep"
        CLEANUP_FOLDER_MODEL = "host.DmsfFolders"
        CLEANUP_FOLDER_FIELDS = {"parent": "dmsf_folder", "application": "project", "name": "title", "created": "created_at"}
        CLEANUP_FOLDER_LIVE = {"deleted": 0}
        CLEANUP_FILE_MODEL = "host.DmsfFiles"
        CLEANUP_FILE_FIELDS = {"folder": "dmsf_folder", "application": "project", "name": "name"}
        CLEANUP_EXTRA_REFERENCES = ["dmsf_links.dmsf_folder_id", "dmsf_folder_permissions.dmsf_folder_id", {"dmsf_links.target_id": {"target_type": "DmsfFolder"}}, {"dmsf_locks.entity_id": {"entity_type": 1}}]
    """,  # noqa: E501 - one a line, as in the manual
    foreign_keys={
        "DmsfFolders.project_id": "Projects",
        "DmsfFolders.dmsf_folder_id": "self",
        "DmsfFiles.project_id": "Projects",
        "DmsfFiles.dmsf_folder_id": "DmsfFolders",
    },
    tables=("projects", "dmsf_folders", "dmsf_files"),
    sql="""
        CREATE TABLE projects (id serial PRIMARY KEY, name varchar NOT NULL, identifier varchar);
        CREATE TABLE dmsf_folders (
            id serial PRIMARY KEY, project_id integer NOT NULL, dmsf_folder_id integer, title varchar NOT NULL,
            description text, notification boolean NOT NULL DEFAULT false, user_id integer NOT NULL,
            created_at timestamp NOT NULL, updated_at timestamp NOT NULL, deleted integer NOT NULL DEFAULT 0,
            deleted_by_user_id integer, system boolean NOT NULL DEFAULT false
        );
        CREATE INDEX index_dmsf_folders_on_project_id ON dmsf_folders (project_id);
        CREATE INDEX index_dmsf_folders_on_dmsf_folder_id ON dmsf_folders (dmsf_folder_id);
        CREATE TABLE dmsf_files (
            id serial PRIMARY KEY, project_id integer NOT NULL, dmsf_folder_id integer, name varchar NOT NULL,
            notification boolean NOT NULL DEFAULT false, deleted integer NOT NULL DEFAULT 0,
            deleted_by_user_id integer, created_at timestamp NOT NULL, updated_at timestamp NOT NULL
        );
        CREATE TABLE dmsf_links (
            id serial PRIMARY KEY, target_project_id integer NOT NULL, target_id integer,
            target_type varchar(10) NOT NULL, name varchar NOT NULL, project_id integer NOT NULL,
            dmsf_folder_id integer, deleted integer NOT NULL DEFAULT 0, user_id integer
        );
        CREATE TABLE dmsf_locks (
            id serial PRIMARY KEY, entity_id integer NOT NULL, user_id integer NOT NULL, entity_type integer NOT NULL,
            lock_type_cd integer NOT NULL, lock_scope_cd integer NOT NULL, uuid varchar(36)
        );
        CREATE TABLE dmsf_folder_permissions (
            id serial PRIMARY KEY, dmsf_folder_id integer, object_id integer NOT NULL,
            object_type varchar(30) NOT NULL, created_at timestamp DEFAULT CURRENT_TIMESTAMP
        );
        INSERT INTO projects (name) VALUES ('Bridge'), ('Tunnel');
        INSERT INTO dmsf_folders (project_id, dmsf_folder_id, title, user_id, created_at, updated_at, deleted) VALUES
            (1, NULL, 'Plans', 5, '2024-01-01', '2024-01-01', 0),
            (1, NULL, 'Plans', 5, '2024-01-02', '2024-01-02', 0),
            (1, NULL, 'Plans', 5, '2023-01-01', '2023-01-01', 1),
            (1, 1, 'Draft', 5, '2024-01-03', '2024-01-03', 0),
            (1, 2, 'Draft', 5, '2024-01-04', '2024-01-04', 0),
            (1, NULL, 'Letters', 5, '2024-01-05', '2024-01-05', 0),
            (2, NULL, 'Plans', 5, '2024-01-06', '2024-01-06', 0);
        INSERT INTO dmsf_files (project_id, dmsf_folder_id, name, created_at, updated_at)
            SELECT project_id, id, title || '.dwg', created_at, updated_at FROM dmsf_folders;
        INSERT INTO dmsf_links (target_project_id, target_id, target_type, name, project_id, dmsf_folder_id) VALUES
            (1, 2, 'DmsfFolder', 'see', 2, 7), (1, 2, 'DmsfFile', 'see', 1, 5);
        INSERT INTO dmsf_locks (entity_id, user_id, entity_type, lock_type_cd, lock_scope_cd)
            VALUES (5, 5, 1, 0, 0), (5, 5, 0, 0, 0);
        INSERT INTO dmsf_folder_permissions (dmsf_folder_id, object_id, object_type) VALUES (2, 3, 'Role');
    """,
    left=("Letters", "Plans", "Plans", "Plans", "Plans/Draft"),
    moved={"dmsf_files": 2, "dmsf_links": 2, "dmsf_locks": 1, "dmsf_folder_permissions": 1},
)
