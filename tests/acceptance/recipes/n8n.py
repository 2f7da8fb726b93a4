"""n8n on PostgreSQL: projects own many top folders; workflows in them, and a link table of tags."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="n8n",
    settings="""
        CLEANUP_APPLICATION_MODEL = "host.Project"
        CLEANUP_DIFFERENT_ROOTS = "keep"
        CLEANUP_FOLDER_MODEL = "host.Folder"
        CLEANUP_FOLDER_FIELDS = {"parent": "parentfolderid", "application": "projectid", "name": "name", "created": "createdat"}
        CLEANUP_FILE_MODEL = None
    """,  # noqa: E501 - one a line, as in the manual
    tables=("project", "folder"),
    sql="""
        CREATE TABLE project (
            id varchar(36) PRIMARY KEY, name varchar(255) NOT NULL, type varchar(36) NOT NULL,
            "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
        );
        CREATE TABLE tag_entity (id varchar(36) PRIMARY KEY, name varchar(24) NOT NULL UNIQUE);
        CREATE TABLE folder (
            id varchar(36) PRIMARY KEY, name varchar(128) NOT NULL,
            "parentFolderId" varchar(36) REFERENCES folder ON DELETE CASCADE,
            "projectId" varchar(36) NOT NULL REFERENCES project ON DELETE CASCADE,
            "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
            "updatedAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
        );
        CREATE UNIQUE INDEX "IDX_14f68deffaf858465715995508" ON folder ("projectId", id);
        CREATE TABLE folder_tag (
            "folderId" varchar(36) NOT NULL REFERENCES folder ON DELETE CASCADE,
            "tagId" varchar(36) NOT NULL REFERENCES tag_entity ON DELETE CASCADE,
            PRIMARY KEY ("folderId", "tagId")
        );
        CREATE TABLE workflow_entity (
            id varchar(36) PRIMARY KEY, name varchar(128) NOT NULL, active boolean NOT NULL, nodes json NOT NULL,
            connections json NOT NULL, settings json, "isArchived" boolean NOT NULL DEFAULT false,
            "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
            "parentFolderId" varchar(36) REFERENCES folder ON DELETE CASCADE
        );
        INSERT INTO project VALUES ('VvC5lhE1DmFM6Qfw', 'Ann', 'personal'), ('7Zbq0dPY3aQ9yUVm', 'Sales', 'team');
        INSERT INTO tag_entity VALUES ('kD2wq8Bv5nQz1RtX', 'live'), ('pL9mS4cJ7hYf0GuE', 'draft');
        INSERT INTO folder (id, name, "parentFolderId", "projectId", "createdAt") VALUES
            ('2aXb4Cd6Ef8Gh0Ij', 'Leads', NULL, '7Zbq0dPY3aQ9yUVm', '2025-03-01'),
            ('3bYc5De7Fg9Hi1Jk', 'Leads', NULL, '7Zbq0dPY3aQ9yUVm', '2025-03-02'),
            ('4cZd6Ef8Gh0Ij2Kl', 'Reports', NULL, '7Zbq0dPY3aQ9yUVm', '2025-03-03'),
            ('5dAe7Fg9Hi1Jk3Lm', 'Web', '2aXb4Cd6Ef8Gh0Ij', '7Zbq0dPY3aQ9yUVm', '2025-03-04'),
            ('6eBf8Gh0Ij2Kl4Mn', 'Web', '3bYc5De7Fg9Hi1Jk', '7Zbq0dPY3aQ9yUVm', '2025-03-05'),
            ('7fCg9Hi1Jk3Lm5No', 'Leads', NULL, 'VvC5lhE1DmFM6Qfw', '2025-03-06');
        INSERT INTO folder_tag SELECT id, 'kD2wq8Bv5nQz1RtX' FROM folder;
        INSERT INTO folder_tag VALUES ('6eBf8Gh0Ij2Kl4Mn', 'pL9mS4cJ7hYf0GuE');
        INSERT INTO workflow_entity (id, name, active, nodes, connections, "parentFolderId")
            SELECT reverse(id), 'Sync ' || name, false, '[]', '{}', id FROM folder;
    """,
    left=("Leads", "Leads", "Leads/Web", "Reports"),
    moved={"folder_tag": 1, "workflow_entity": 2},
    merged_links={"folder_tag": 2},
)
