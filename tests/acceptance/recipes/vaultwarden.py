"""Vaultwarden on PostgreSQL: a flat list of folders, whose names are encrypted.

Two names are the same here if they are the same cipher text, as where a client has sent one request twice.
"""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Vaultwarden",
    settings="""
        CLEANUP_APPLICATION_MODEL = "host.Users"
        CLEANUP_DIFFERENT_ROOTS = "keep"
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
        INSERT INTO users VALUES ('0b9f61d6-59a7-4f0e-9d2c-000000000001', 'ann@example.org'),
            ('0b9f61d6-59a7-4f0e-9d2c-000000000002', 'bo@example.org');
        INSERT INTO folders VALUES
            ('f01d0000-0000-4000-8000-000000000001', '2024-03-01', now(), '0b9f61d6-59a7-4f0e-9d2c-000000000001', '2.q1|bank|m1='),
            ('f01d0000-0000-4000-8000-000000000002', '2024-03-02', now(), '0b9f61d6-59a7-4f0e-9d2c-000000000001', '2.q1|bank|m1='),
            ('f01d0000-0000-4000-8000-000000000003', '2024-03-02', now(), '0b9f61d6-59a7-4f0e-9d2c-000000000001', '2.q2|mail|m2='),
            ('f01d0000-0000-4000-8000-000000000004', '2024-03-03', now(), '0b9f61d6-59a7-4f0e-9d2c-000000000002', '2.q1|bank|m1=');
        INSERT INTO ciphers SELECT 'c1b40000-0000-4000-8000-00000000000' || n, '0b9f61d6-59a7-4f0e-9d2c-000000000001', '2.x|' || n
            FROM generate_series(1, 3) n;
        INSERT INTO folders_ciphers VALUES
            ('c1b40000-0000-4000-8000-000000000001', 'f01d0000-0000-4000-8000-000000000001'),
            ('c1b40000-0000-4000-8000-000000000001', 'f01d0000-0000-4000-8000-000000000002'),
            ('c1b40000-0000-4000-8000-000000000002', 'f01d0000-0000-4000-8000-000000000002'),
            ('c1b40000-0000-4000-8000-000000000003', 'f01d0000-0000-4000-8000-000000000003');
    """,  # noqa: E501 - rows
    left=("2.q1|bank|m1=", "2.q1|bank|m1=", "2.q2|mail|m2="),
    moved={"folders_ciphers": 1},
    merged_links={"folders_ciphers": 1},
)
