"""Vaultwarden on PostgreSQL: a flat list of folders, whose names are encrypted."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Vaultwarden",
    settings="""
        CLEANUP_APPLICATION_MODEL = "host.Users"
        CLEANUP_FOLDER_MODEL = "host.Folders"
        CLEANUP_FOLDER_FIELDS = {"parent": None, "application": "user_uuid", "name": "name", "created": "created_at"}
        CLEANUP_FILE_MODEL = None
    """,
    tables=("users", "folders"),
    sql="""
        CREATE TABLE users (uuid char(36) PRIMARY KEY, email varchar(255) NOT NULL UNIQUE);
        CREATE TABLE ciphers (uuid char(36) PRIMARY KEY, user_uuid char(36) REFERENCES users, name text NOT NULL);
        CREATE TABLE folders (
            uuid char(36) PRIMARY KEY, created_at timestamp NOT NULL, updated_at timestamp NOT NULL,
            user_uuid char(36) NOT NULL REFERENCES users, name text NOT NULL
        );
        CREATE TABLE folders_ciphers (
            cipher_uuid char(36) NOT NULL REFERENCES ciphers, folder_uuid char(36) NOT NULL REFERENCES folders,
            PRIMARY KEY (cipher_uuid, folder_uuid)
        );
    """,
    refusal="parent is needed and must name a field; only created may be None.",
)
