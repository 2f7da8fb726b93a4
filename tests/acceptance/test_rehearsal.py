"""The whole story on tables as they are in the wild: adopt, look, clean, verify, roll back; equal to the byte."""

import pytest
from django.core.management import call_command

from cleanup.services import DatabaseCleanupService
from tests.acceptance import foreign_database
from tests.support.trees import dump


@pytest.fixture
def adopted(blank_database) -> str:
    """Make and fill the tables, and adopt them by the one command."""
    foreign_database.create(blank_database)
    foreign_database.fill(blank_database)
    untouched = dump(blank_database)
    call_command("migrate", "cleanup", database=blank_database, fake_initial=True, verbosity=0)
    assert {name: dump(blank_database)[name] for name in untouched} == untouched
    return blank_database


class TestRehearsal:
    def test_is_exact_to_the_byte(self, adopted):
        service = DatabaseCleanupService(using=adopted)
        before = dump(adopted)
        assert service.preflight()["problems"] == []
        assert not service.verify_cleanup_integrity()["verification_passed"]

        foreseen = service.cleanup_all_duplicate_folders(dry_run=True)
        report = service.cleanup_all_duplicate_folders()
        assert (report.failed_cleanups, report.set_aside) == (0, 0)
        assert report.total_folders_removed == foreseen.total_folders_removed > 0
        assert report.total_files_moved == foreseen.total_files_moved

        merged = dump(adopted)
        expected = {name: len(rows) for name, rows in before.items()}
        expected["folders"] -= report.total_folders_removed
        assert {name: len(rows) for name, rows in merged.items()} == expected
        assert service.verify_cleanup_integrity()["verification_passed"]
        assert service.cleanup_all_duplicate_folders(dry_run=True).total_applications == 0

        result = service.rollback_cleanup(report.run_id)
        assert (result.exact, result.failed) == (True, 0)
        assert dump(adopted) == before
