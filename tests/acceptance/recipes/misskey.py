"""Misskey on PostgreSQL: a drive for each user, short texts as keys that tell the time, columns in camel case."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Misskey",
    settings="""
        CLEANUP_APPLICATION_MODEL = "host.User"
        CLEANUP_DIFFERENT_ROOTS = "keep"
        CLEANUP_FOLDER_MODEL = "host.DriveFolder"
        CLEANUP_FOLDER_FIELDS = {"parent": "parentid", "application": "userid", "name": "name", "created": None}
        CLEANUP_FILE_MODEL = "host.DriveFile"
        CLEANUP_FILE_FIELDS = {"folder": "folderid", "application": "userid", "name": "name"}
    """,
    tables=("user", "drive_folder", "drive_file"),
    sql="""
        CREATE TABLE "user" (id varchar(32) PRIMARY KEY, username varchar(128) NOT NULL);
        CREATE TABLE drive_folder (
            id varchar(32) PRIMARY KEY, name varchar(128) NOT NULL,
            "userId" varchar(32) REFERENCES "user" ON DELETE CASCADE,
            "parentId" varchar(32) REFERENCES drive_folder ON DELETE SET NULL
        );
        CREATE INDEX ON drive_folder ("userId");
        CREATE INDEX ON drive_folder ("parentId");
        CREATE TABLE drive_file (
            id varchar(32) PRIMARY KEY, "userId" varchar(32) REFERENCES "user" ON DELETE SET NULL,
            md5 varchar(32) NOT NULL, name varchar(256) NOT NULL, type varchar(128) NOT NULL, size integer NOT NULL,
            url varchar(1024) NOT NULL, "folderId" varchar(32) REFERENCES drive_folder ON DELETE SET NULL
        );
        CREATE INDEX ON drive_file ("userId", "folderId", id);
        INSERT INTO "user" VALUES ('9abc0000', 'ann'), ('9abc0001', 'bo');
        INSERT INTO drive_folder VALUES
            ('9f000001', 'Pictures', '9abc0000', NULL), ('9f000002', 'Pictures', '9abc0000', NULL),
            ('9f000003', 'Cats', '9abc0000', '9f000001'), ('9f000004', 'Cats', '9abc0000', '9f000002'),
            ('9f000005', 'Dogs', '9abc0000', '9f000002'), ('9f000006', 'Pictures', '9abc0001', NULL);
        INSERT INTO drive_file
            SELECT 'f' || id, "userId", md5(id), 'a.png', 'image/png', 1, 'https://example.org/' || md5(id), id
              FROM drive_folder;
    """,
    left=("Pictures", "Pictures", "Pictures/Cats", "Pictures/Dogs"),
    moved={"drive_folder": 1, "drive_file": 2},
)
