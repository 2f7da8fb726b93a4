"""An undo by the shell alone, on tables as they are in the wild, in a database whose owner has set what can be set."""

import pytest
from django.core.management import call_command

from cleanup.services import DatabaseCleanupService
from tests.acceptance import foreign_database
from tests.acceptance.test_hostile_settings import make_hostile, plain_dump
from tests.support.trees import dump, execute, is_postgresql
from tests.support.undo_scripts import ScriptFailedError, export, run, uninstall


def rows_of_host(database: str) -> dict[str, list[str]]:
    found = plain_dump(database) if is_postgresql(database) else dump(database)
    return {name: rows for name, rows in found.items() if not name.startswith("django_")}


def test_is_exact_to_the_byte_once_nothing_is_in_its_way(blank_database):
    foreign_database.create(blank_database)
    foreign_database.fill(blank_database)
    call_command("migrate", "cleanup", database=blank_database, fake_initial=True, verbosity=0)
    before = rows_of_host(blank_database)
    report = DatabaseCleanupService(using=blank_database).cleanup_all_duplicate_folders()
    script = export(blank_database, report.run_id)
    uninstall(blank_database)
    cleaned = rows_of_host(blank_database)
    assert cleaned != before
    execute(blank_database, "CREATE TABLE kept AS SELECT id, folder_id FROM files")
    execute(blank_database, "UPDATE files SET folder_id = NULL")
    if is_postgresql(blank_database):
        make_hostile(blank_database)
    with pytest.raises(ScriptFailedError, match=r"files.*changed.*folder_id holds NULL"):
        run(blank_database, script)
    if is_postgresql(blank_database):
        execute(blank_database, "SET default_transaction_read_only = off")
    execute(blank_database, "UPDATE files SET folder_id = (SELECT k.folder_id FROM kept AS k WHERE k.id = files.id)")
    execute(blank_database, "DROP TABLE kept")
    assert rows_of_host(blank_database) == cleaned
    run(blank_database, script)
    assert rows_of_host(blank_database) == before
