"""What undo records know of files and folders that were deleted since."""

from django.db import connections

from cleanup.folder_tables import folder_tables
from cleanup.services import DatabaseCleanupService
from cleanup.services.folders.vanished import LastKnown, Vanished, last_known
from tests.support.model_roles import File
from tests.support.trees import execute, tree

#: Triggers of the host that fire when files move.
TRIGGERS = {
    "sqlite": (
        (
            "CREATE TRIGGER noted AFTER UPDATE OF :files.folder ON :files BEGIN"
            " UPDATE :files SET :files.name = :files.name WHERE :files.key = NEW.:files.key; END"
        ),
    ),
    "postgresql": (
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        "CREATE TRIGGER noted BEFORE UPDATE ON :files FOR EACH ROW EXECUTE FUNCTION noted()",
    ),
}


def of_deleted_file(using: str) -> LastKnown:
    """Merge a folder with a file into another one, delete the file, and return what is known of it."""
    made = tree(using, "Docs, Docs(scan.pdf)")
    service = DatabaseCleanupService(using=using)
    rollback_id = service.consolidate_duplicate_folders(made.application).rollback_id
    File.objects.using(using).filter(filename="scan.pdf").delete()
    (conflict,) = service.preview_rollback(rollback_id).conflicts
    files = folder_tables().file
    wanted = Vanished(conflict.table, {conflict.key}, files.key, files.folder, files.name)
    return last_known(using=using, applications={made.application}, wanted=[wanted])[conflict.key]


def test_the_folder_that_it_was_in(database):
    assert of_deleted_file(database) == LastKnown(name="", inside="Docs")


def test_its_name_too_if_triggers_fired(scratch_database, settings):
    settings.CLEANUP_TRIGGERS = "fire"
    for statement in TRIGGERS[connections[scratch_database].vendor]:
        execute(scratch_database, statement)
    assert of_deleted_file(scratch_database) == LastKnown(name="scan.pdf", inside="Docs")
