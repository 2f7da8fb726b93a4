"""Sim on PostgreSQL: folders of workflows in a workspace, whose parents no foreign key keeps."""

from tests.acceptance.recipes.recipe import Recipe

RECIPE = Recipe(
    program="Sim",
    settings="""
        CLEANUP_APPLICATION_MODEL = "host.Workspace"
        CLEANUP_DIFFERENT_ROOTS = "keep"
        CLEANUP_FOLDER_MODEL = "host.WorkflowFolder"
        CLEANUP_FOLDER_FIELDS = {"parent": "parent", "application": "workspace", "name": "name", "created": "created_at"}
        CLEANUP_FILE_MODEL = None
    """,  # noqa: E501 - one a line, as in the manual
    tables=("workspace", "workflow_folder"),
    foreign_keys={"WorkflowFolder.parent_id": "self"},
    sql="""
        CREATE TABLE workspace (id text PRIMARY KEY, name text NOT NULL);
        CREATE TABLE workflow_folder (
            id text PRIMARY KEY, name text NOT NULL, user_id text NOT NULL,
            workspace_id text NOT NULL REFERENCES workspace ON DELETE CASCADE, parent_id text, color text,
            is_expanded boolean NOT NULL DEFAULT true, sort_order integer NOT NULL DEFAULT 0,
            created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now()
        );
        CREATE INDEX workflow_folder_workspace_parent_idx ON workflow_folder (workspace_id, parent_id);
        CREATE TABLE workflow (
            id text PRIMARY KEY, name text NOT NULL, workspace_id text REFERENCES workspace ON DELETE CASCADE,
            folder_id text REFERENCES workflow_folder ON DELETE SET NULL
        );
        INSERT INTO workspace VALUES ('w-1', 'Team'), ('w-2', 'Other');
        INSERT INTO workflow_folder (id, name, user_id, workspace_id, parent_id, created_at) VALUES
            ('5f0d2d0c-0000-4000-8000-000000000001', 'Mail', 'u-1', 'w-1', NULL, '2025-01-01'),
            ('5f0d2d0c-0000-4000-8000-000000000002', 'Mail', 'u-2', 'w-1', NULL, '2025-01-02'),
            ('5f0d2d0c-0000-4000-8000-000000000003', 'Out', 'u-2', 'w-1', '5f0d2d0c-0000-4000-8000-000000000002', now()),
            ('5f0d2d0c-0000-4000-8000-000000000004', 'Chat', 'u-1', 'w-1', NULL, now()),
            ('5f0d2d0c-0000-4000-8000-000000000005', 'Mail', 'u-3', 'w-2', NULL, now());
        INSERT INTO workflow SELECT 'f' || id, 'Agent', workspace_id, id FROM workflow_folder;
    """,  # noqa: E501 - rows
    left=("Chat", "Mail", "Mail", "Mail/Out"),
    moved={"workflow_folder": 1, "workflow": 1},
)
