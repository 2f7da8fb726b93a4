"""Generated columns that hold a folder's key: a copy follows by itself, and any other is refused by name."""

import pytest

from cleanup.references import discover
from cleanup.services import DatabaseCleanupService
from tests.support.trees import assert_tree, dump, execute, is_postgresql, raw, tree

MESS = "old:Loan/kept:Docs(a.txt), new:Loan/gone:Docs(b.txt)"
MERGED = "Loan/Docs(a.txt, b.txt)"


def generated(database: str) -> list[str]:
    return [problem.message for problem in discover(using=database).problems if problem.code == "generated"]


@pytest.mark.mapped_models("names their tables")
class TestGeneratedColumns:
    @pytest.fixture
    def key(self, scratch_database) -> str:
        return "uuid" if is_postgresql(scratch_database) else "char(32)"

    def pins(self, database: str, key: str, column: str, *, enforced: str = "") -> None:
        text = f"CREATE TABLE pins (id integer PRIMARY KEY, folder_id {key} NOT NULL {enforced}, {column})"
        execute(database, text)

    @pytest.mark.parametrize("enforced", ["REFERENCES folders", ""])
    @pytest.mark.parametrize("action", ["", "ON DELETE CASCADE"])
    def test_that_copy_a_key_follow(self, scratch_database, key, enforced, action):
        column = f'"copyOf" {key} GENERATED ALWAYS AS (folder_id) STORED REFERENCES folders {action}'
        self.pins(scratch_database, key, column, enforced=enforced)
        loan = tree(scratch_database, MESS)
        for number, label in enumerate(("old", "kept", "new", "gone")):
            pinned = raw(scratch_database, loan[label])
            execute(scratch_database, f"INSERT INTO pins (id, folder_id) VALUES ({number}, '{pinned}')")
        before = dump(scratch_database)
        service = DatabaseCleanupService(using=scratch_database)
        assert service.preflight()["problems"] == []
        foreseen = service.cleanup_all_duplicate_folders(dry_run=True)
        report = service.cleanup_all_duplicate_folders()
        moved = [result.details["moved"] for result in (*foreseen.results, *report.results)]
        assert [next(rows for table, rows in each.items() if table.endswith("pins")) for each in moved] == [2, 2]
        assert_tree(scratch_database, loan, MERGED)
        assert service.rollback_cleanup(report.run_id).exact
        assert {name: rows for name, rows in dump(scratch_database).items() if name in before} == before

    def test_that_are_computed_are_refused_by_name(self, scratch_database, key):
        self.pins(
            scratch_database,
            key,
            f"other_id {key}, either {key} GENERATED ALWAYS AS (coalesce(other_id, folder_id)) STORED"
            f" REFERENCES folders",
            enforced="REFERENCES folders",
        )
        (told,) = generated(scratch_database)
        assert "pins.either" in told
        assert "coalesce" in told.lower()

    def test_that_others_reference_are_refused_by_name(self, scratch_database, key):
        column = f"copy {key} GENERATED ALWAYS AS (folder_id) STORED UNIQUE REFERENCES folders"
        self.pins(scratch_database, key, column, enforced="REFERENCES folders")
        execute(scratch_database, f"CREATE TABLE labels (id integer PRIMARY KEY, pin {key} REFERENCES pins (copy))")
        (told,) = generated(scratch_database)
        assert "labels references" in told
        assert "pins.copy" in told

    def test_that_are_named_as_references_are_their_copied_columns(self, scratch_database, key, settings):
        self.pins(scratch_database, key, f"copy {key} GENERATED ALWAYS AS (folder_id) STORED")
        settings.CLEANUP_EXTRA_REFERENCES = ["pins.copy"]
        found = [str(reference) for reference in discover(using=scratch_database).references]
        assert [name for name in found if "pins" in name] == [name for name in found if name.endswith("pins.folder_id")]
