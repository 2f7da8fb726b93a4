"""Hootenanny on PostgreSQL: the parent of a top folder is 0, and a link table files maps."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Hootenanny",
    settings="""
        CLEANUP_APPLICATION_MODEL = "host.Users"
        CLEANUP_DIFFERENT_ROOTS = "keep"
        CLEANUP_FOLDER_MODEL = "host.Folders"
        CLEANUP_FOLDER_FIELDS = {"parent": "parent_id", "application": "user", "name": "display_name", "created": "created_at"}
        CLEANUP_ROOT_PARENT = 0
        CLEANUP_FILE_MODEL = None
    """,  # noqa: E501 - one a line, as in the manual
    tables=("users", "folders"),
    sql="""
        CREATE TABLE users (id bigserial PRIMARY KEY, display_name varchar(255) NOT NULL, email varchar(255));
        CREATE TABLE maps (id bigserial PRIMARY KEY, display_name varchar(255) NOT NULL, user_id bigint NOT NULL);
        CREATE TABLE folders (
            id bigserial PRIMARY KEY, created_at timestamp, display_name varchar(255) NOT NULL,
            parent_id bigint NOT NULL DEFAULT 0, user_id bigint NOT NULL REFERENCES users, public boolean DEFAULT false
        );
        CREATE TABLE folder_map_mappings (
            id bigserial PRIMARY KEY, map_id bigint NOT NULL REFERENCES maps,
            folder_id bigint NOT NULL REFERENCES folders ON DELETE CASCADE
        );
        INSERT INTO users (display_name) VALUES ('Ann'), ('Bo');
        INSERT INTO folders (display_name, parent_id, user_id, created_at) VALUES
            ('Rivers', 0, 1, '2020-01-01'), ('Rivers', 0, 1, '2020-01-02'), ('Roads', 0, 1, '2020-01-03'),
            ('Danube', 1, 1, '2020-01-04'), ('Danube', 2, 1, '2020-01-05'), ('Rhine', 2, 1, '2020-01-06'),
            ('Rivers', 0, 2, '2020-01-07');
        INSERT INTO maps (display_name, user_id) SELECT 'Map ' || id, user_id FROM folders;
        INSERT INTO folder_map_mappings (map_id, folder_id) SELECT id, id FROM folders;
    """,
    left=("Rivers", "Rivers", "Rivers/Danube", "Rivers/Rhine", "Roads"),
    moved={"folders": 1, "folder_map_mappings": 2},
)
