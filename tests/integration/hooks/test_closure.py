"""The hook that keeps a closure table: its rows agree with the tree, and an undo restores them exactly."""

import shlex

import pytest

from cleanup import exceptions, hooks
from cleanup.references import discover
from cleanup.services import DatabaseCleanupService
from cleanup.services.integrity import verification
from tests.support.trees import dump, execute, fetch, key_type, tree

FOREST = "Loan/{Docs/{Tax, Bank/Old}, Photos}, Loan/{Docs/{Tax/May, Letters}, Mail}, Rest/{Docs/Tax, Bills/Due}"

#: A table with a key of both columns, and one with a key of its own.
TABLES = {
    "linked": "CREATE TABLE lines (ancestor_id {kind} NOT NULL REFERENCES :folders, descendant_id {kind} NOT NULL"
    " REFERENCES :folders, depth integer NOT NULL, PRIMARY KEY (ancestor_id, descendant_id))",
    "numbered": "CREATE TABLE lines (id {serial} PRIMARY KEY, ancestor_id {kind} NOT NULL REFERENCES :folders,"
    " descendant_id {kind} NOT NULL REFERENCES :folders, depth integer NOT NULL)",
}
LINES = """
    WITH RECURSIVE lines(ancestor, folder, depth) AS (
        SELECT :folders.key, :folders.key, 0 FROM :folders
         UNION ALL
        SELECT w.ancestor, f.:folders.key, w.depth + 1
          FROM lines AS w JOIN :folders AS f ON f.:folders.parent = w.folder)
    SELECT ancestor, folder, depth FROM lines"""


def disagreeing(database: str) -> set[tuple]:
    """Return the rows that are there and should not be, or the other way round."""
    rows = fetch(database, "SELECT ancestor_id, descendant_id, depth FROM lines")
    assert len(set(rows)) == len(rows)
    return set(rows) ^ set(fetch(database, LINES))


@pytest.fixture(params=TABLES)
def made(request, scratch_database, settings):
    """Make trees, and a closure table that the hook fills."""
    settings.CLEANUP_TREE_HOOK = {"hook": "cleanup.hooks.closure_table", "table": "lines"}
    made = tree(scratch_database, FOREST)
    other = tree(scratch_database, "Case/Docs")
    serial = "serial" if "postgresql" in scratch_database else "integer"
    execute(scratch_database, TABLES[request.param].format(kind=key_type(scratch_database), serial=serial))
    hooks.recompute(using=scratch_database)
    assert disagreeing(scratch_database) == set()
    assert other.folders == 2
    return made


@pytest.fixture
def service(scratch_database) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=scratch_database)


class TestClosureTable:
    @pytest.mark.parametrize("roots", ["merge", "nest"])
    def test_is_kept_through_a_merge_and_its_undo(self, scratch_database, settings, made, service, roots):
        settings.CLEANUP_DIFFERENT_ROOTS = roots
        before = dump(scratch_database)
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        assert disagreeing(scratch_database) == set()
        result = service.rollback_cleanup(point)
        assert dump(scratch_database) == before
        assert (result.exact, result.conflicts) == (True, ())

    def test_is_undone_exactly_once_the_hook_is_gone(self, scratch_database, settings, made, service):
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        before = dump(scratch_database)
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        settings.CLEANUP_TREE_HOOK = None
        assert service.rollback_cleanup(point).exact
        assert dump(scratch_database) == before

    def test_counts_no_row_of_the_hook(self, scratch_database, settings, made, service):
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        (expected,) = service.cleanup_all_duplicate_folders(dry_run=True).results
        result = service.consolidate_duplicate_folders(made.application)
        assert expected.details["moved"] == result.details["moved"]
        assert expected.references_moved == result.references_moved

    def test_leaves_what_was_changed_since(self, scratch_database, settings, made, service):
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        due = "(SELECT f.:folders.key FROM :folders AS f WHERE f.:folders.name = 'Due')"
        execute(scratch_database, f"UPDATE lines SET depth = 70 WHERE descendant_id = {due} AND depth = 3")
        with pytest.raises(exceptions.RollbackConflict) as caught:
            service.rollback_cleanup(point)
        assert [conflict.code for conflict in caught.value.conflicts] == ["changed"]
        service.rollback_cleanup(point, skip_conflicts=True)
        assert disagreeing(scratch_database) == set()


class TestVerification:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE lines SET depth = depth + 1 WHERE descendant_id = {due} AND depth = {depth}",
            "DELETE FROM lines WHERE descendant_id = {due} AND depth = {depth}",
            "UPDATE lines SET ancestor_id = {mail} WHERE descendant_id = {due} AND depth = {depth}",
        ],
    )
    @pytest.mark.parametrize("depth", [0, 1, 2])
    def test_finds_rows_that_do_not_agree(self, scratch_database, made, statement, depth):
        assert self.found(scratch_database) == []
        keys = {
            name.lower(): f"(SELECT f.:folders.key FROM :folders AS f WHERE f.:folders.name = '{name}')"
            for name in ("Due", "Mail")
        }
        execute(scratch_database, statement.format(depth=depth, **keys))
        findings = self.found(scratch_database)
        assert {finding.application_id for finding in findings} == {made.application}
        exec(shlex.split(findings[0].hint)[-1])  # it is what a shell is given
        assert (self.found(scratch_database), disagreeing(scratch_database)) == ([], set())

    def found(self, database: str) -> list:
        report = verification.verify(using=database)
        return [finding for finding in report.findings if finding.code == "path_out_of_date"]


def test_a_closure_table_without_references_is_refused(scratch_database, settings):
    settings.CLEANUP_TREE_HOOK = {"hook": "cleanup.hooks.closure_table", "table": "lines"}
    execute(scratch_database, "CREATE TABLE lines (ancestor integer, descendant integer, depth integer)")
    (problem, *_) = discover(using=scratch_database).problems
    assert "lines must have a primary key and refer to folders" in problem.message
