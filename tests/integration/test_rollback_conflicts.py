"""What the database would refuse on undo: listed, skippable, named, and decided in a bounded number of statements."""

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from cleanup import exceptions
from cleanup.services import DatabaseCleanupService
from tests.integration.trees import Tree, dump, execute, label, raw, tree


def clean(database: str, made: Tree):
    """Merge one application and return the id of its rollback point."""
    return DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application).rollback_id


def undo(database: str, point, **options):
    return DatabaseCleanupService(using=database).rollback_cleanup(point, **options)


def preview(database: str, point):
    return DatabaseCleanupService(using=database).preview_rollback(point)


def refused(database: str, point) -> list[tuple[str, str, str, str]]:
    """Have a rollback refuse, see that it has changed nothing, and return its conflicts."""
    before = dump(database, own=True)
    with pytest.raises(exceptions.RollbackConflict) as caught:
        undo(database, point)
    assert dump(database, own=True) == before
    conflicts = [(c.code, c.table, c.key, c.column) for c in caught.value.conflicts]
    assert [(c.code, c.table, c.key, c.column) for c in preview(database, point).conflicts] == conflicts
    return conflicts


class TestConflictAtTheTopOfADeepTree:
    def deep(self, database: str, depth: int):
        """Merge two chains of folders, have a slug of the top one taken meanwhile, and return the point."""
        chain = "gone:A/" + "/".join("B" for _ in range(depth - 1))
        made = tree(database, f"stays:A/{'/'.join('B' for _ in range(depth - 1))}, {chain}")
        execute(database, "UPDATE :folders SET slug = 'top' WHERE :folders.key = %s", raw(database, made["gone"]))
        point = clean(database, made)
        execute(database, "UPDATE :folders SET slug = 'top' WHERE :folders.key = %s", raw(database, made["stays"]))
        return made, point

    def test_leaves_out_everything_below(self, scratch_database):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN slug varchar(30)")
        execute(scratch_database, "CREATE UNIQUE INDEX one_slug ON :folders (slug)")
        made, point = self.deep(scratch_database, 40)
        conflicts = refused(scratch_database, point)
        assert conflicts[0] == ("unique_taken", label(scratch_database, ":folders"), made["gone"], "slug")
        assert [code for code, *_ in conflicts[1:]] == ["missing_target"] * 39
        assert not undo(scratch_database, point, skip_conflicts=True).exact

    def test_takes_as_many_statements_as_at_the_top_of_a_flat_one(self, scratch_database):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN slug varchar(30)")
        execute(scratch_database, "CREATE UNIQUE INDEX one_slug ON :folders (slug)")
        counts = []
        for depth in (3, 60):
            _, point = self.deep(scratch_database, depth)
            with CaptureQueriesContext(connections[scratch_database]) as statements:
                preview(scratch_database, point)
            counts.append(len(statements))
            execute(scratch_database, "UPDATE :folders SET slug = NULL")
        assert counts[0] == counts[1]
