"""``CLEANUP_FOLDER_FIELDS = {"parent": None}``: folders that lie in no others."""

import uuid
from collections.abc import Iterator

import pytest
from django.core.management import call_command

from cleanup.exceptions import Guarded, MisconfiguredSetting, NoStructures
from cleanup.folder_tables import folder_tables
from cleanup.services import DatabaseCleanupService
from cleanup.services.folders import get_or_create_folder_structure
from tests.integration.guards.test_migrations import create
from tests.support import databases
from tests.support.trees import dump, execute, fetch, is_postgresql, tree

pytestmark = pytest.mark.mapped_models("makes their tables itself")


def make(database: str) -> None:
    create(database, "customer_applications", "files")
    key, time = ("uuid", "timestamptz") if is_postgresql(database) else ("char(32)", "datetime")
    execute(
        database,
        f"CREATE TABLE folders (id {key} PRIMARY KEY, name varchar(255) NOT NULL, application_id {key},"
        f" created_at {time}, updated_at {time})",
    )
    call_command("migrate", "cleanup", database=database, fake_initial=True, verbosity=0)


@pytest.fixture
def flat(database, settings) -> Iterator[str]:
    """Yield a database for this test alone."""
    settings.CLEANUP_FOLDER_FIELDS = {"parent": None}
    settings.CLEANUP_DIFFERENT_ROOTS = "keep"
    with databases.prepared(database, make, start=databases.blank):
        databases.adopt(database)
        yield database


def key(number: int) -> str:
    return uuid.UUID(int=number).hex


def folders(database: str, *names: str) -> None:
    """Make an application with folders of these names."""
    execute(database, "INSERT INTO customer_applications (id) VALUES (%s)", key(1))
    for number, name in enumerate(names, start=2):
        row = "INSERT INTO folders (id, name, application_id) VALUES (%s, %s, %s)"
        execute(database, row, key(number), name, key(1))


def names_of(database: str) -> list[str]:
    return [name for (name,) in fetch(database, "SELECT name FROM folders ORDER BY name")]


class TestFlatFolders:
    def test_are_merged_by_name_and_undone_exactly(self, flat):
        folders(flat, "Docs", "Docs", "Mail")
        before = dump(flat)["folders"]
        service = DatabaseCleanupService(using=flat)
        assert service.preflight()["problems"] == []
        foreseen = service.cleanup_all_duplicate_folders(dry_run=True)
        report = service.cleanup_all_duplicate_folders()
        assert report.total_folders_removed == foreseen.total_folders_removed == 1
        assert names_of(flat) == ["Docs", "Mail"]
        assert service.verify_cleanup_integrity()["verification_passed"]
        service.rollback_cleanup(report.run_id)
        assert dump(flat)["folders"] == before

    def test_come_back_as_copies_beside_their_survivor(self, flat):
        folders(flat, "Docs", "Docs")
        service = DatabaseCleanupService(using=flat)
        report = service.cleanup_all_duplicate_folders()
        call_command("migrate", "cleanup_guards", database=flat, verbosity=0)
        with pytest.raises(Guarded):
            service.rollback_cleanup(report.run_id)
        service.rollback_cleanup(report.run_id, as_copies=True)
        assert names_of(flat) == ["Docs", "Docs (restored)"]
        call_command("migrate", "cleanup_guards", "zero", database=flat, verbosity=0)

    def test_get_no_structures(self, flat):
        folders(flat)
        with pytest.raises(NoStructures):
            get_or_create_folder_structure(application_id=key(1), using=flat)

    @pytest.mark.parametrize(
        ("setting", "value"), [("DIFFERENT_ROOTS", "merge"), ("ROOT_PARENT", 0), ("TREE_HOOK", "cleanup.hooks.mptt")]
    )
    def test_are_refused_with_settings_of_trees(self, settings, flat, setting, value):
        setattr(settings, f"CLEANUP_{setting}", value)
        with pytest.raises(MisconfiguredSetting, match=f"CLEANUP_{setting}"):
            folder_tables()


def test_folders_that_lie_in_others_are_refused_as_a_list(scratch_database, settings):
    tree(scratch_database, "Loan/Docs, Loan/Docs")
    settings.CLEANUP_FOLDER_FIELDS = {"parent": None}
    settings.CLEANUP_DIFFERENT_ROOTS = "keep"
    (problem,) = DatabaseCleanupService(using=scratch_database).preflight()["problems"]
    assert (problem["code"], problem["column"]) == ("misconfigured", "parent_id")
