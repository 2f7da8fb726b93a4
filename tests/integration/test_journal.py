"""The journal's own rules: how steps are numbered, and what a reader tells of what a snapshot schema says."""

import json
import uuid

import pytest
from django.utils import timezone

from cleanup import backends, journal
from cleanup.models import RollbackPoint, SnapshotRow, SnapshotSchema
from cleanup.references import discover

#: Two tables whose keys are of each other, and so change in one step.
DOCUMENT = {
    "format": 2,
    "tables": {
        "files": {"schema": "", "name": "files", "key": ["id"], "columns": [["id", "text"], ["folder_id", "text"]]},
        "folders": {"schema": "", "name": "folders", "key": ["id"], "columns": [["id", "text"], ["parent_id", "text"]]},
    },
    "steps": {
        "1": {"kind": "moved", "targets": [["files", ["folder_id"], ["id"]], ["folders", ["parent_id"], ["id"]]]},
    },
}


class TestStepsOf:
    def test_are_numbered_from_one_without_a_gap(self, database):
        # Steps are undone by these numbers from the last to the first, and 0 is that of points taken by hand.
        steps = journal.steps_of(discover(using=database))
        assert [step.number for step in steps] == list(range(1, len(steps) + 1))
        assert journal.STRUCTURE_STEP == 0

    def test_move_what_is_left_after_rows_have_given_way(self, database):
        references = discover(using=database)
        *ordinary, nested, removed = journal.steps_of(references)
        assert [step.kind for step in ordinary] == ["removed", "moved"] * (len(ordinary) // 2)
        assert {r for step in ordinary for r in step.references} == set(references.references)
        assert ((nested.kind, nested.references), (removed.kind, removed.references)) == (
            ("moved", ()),
            ("removed", ()),
        )


class TestReader:
    @pytest.fixture
    def point(self, database):
        document = json.dumps(DOCUMENT | {"encoding": backends.database(using=database).cells.encoding})
        schema = SnapshotSchema.objects.using(database).create(digest="d", format_version=2, document=document)
        now = timezone.now()
        return RollbackPoint.objects.using(database).create(
            application_key="a", kind="cleanup", schema=schema, created_at=now, expires_at=now
        )

    def test_tells_the_rows_of_one_of_the_tables_that_changed_in_one_step(self, database, point):
        for table, keys in {"files": ["file"], "folders": ["one", "two"]}.items():
            changes = [{"from": ["old"], "to": ["new"], "keys": [keys]}]
            SnapshotRow.objects.using(database).create(
                point=point, kind="moved", step=1, table=table, row_count=len(keys), changes=json.dumps(changes)
            )
        reader = journal.Reader(
            schema=point.schema, backend=backends.database(using=database), rollback_id=uuid.uuid4()
        )
        moved = dict(reader.moved(points=[point.id], label="folders", column="parent_id"))
        removed = list(reader.images(points=[point.id], label="folders"))
        assert (moved, removed) == ({"one": "old", "two": "old"}, [])
