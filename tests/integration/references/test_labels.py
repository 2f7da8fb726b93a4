"""Tables whose names hold dots and quotes: each has a label of its own, in the journal, in reports and in settings."""

import json

import pytest

from cleanup import backends, exceptions
from cleanup.backends.catalogue import TableName
from cleanup.models import SnapshotRow, SnapshotSchema
from cleanup.services import DatabaseCleanupService
from tests.support.trees import dump, execute, fetch, is_postgresql, key_type, raw, tree


def make(database: str, table: str, gone: str, *, rows: int) -> None:
    execute(database, f"CREATE TABLE {table} (id integer PRIMARY KEY, about {key_type(database)} REFERENCES :folders)")
    for number in range(rows):
        execute(database, f"INSERT INTO {table} VALUES ({number}, %s)", gone)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        (TableName("s", "a.b"), 's."a.b"'),
        (TableName("s.a", "b"), '"s.a".b'),
        (TableName("", "a.b"), '"a.b"'),
        (TableName("s", 'a"b'), 's."a""b"'),
        (TableName("s", "a b"), "s.a b"),
    ],
)
def test_no_two_tables_share_a_label(name, label):
    assert str(name) == label


@pytest.mark.only("postgresql")
class TestTwoTablesOfOnePath:
    @pytest.fixture
    def made(self, scratch_database):
        made = tree(scratch_database, "stays:A, gone:A")
        for schema in ("s", '"s.a"'):
            execute(scratch_database, f"CREATE SCHEMA {schema}")
        gone = raw(scratch_database, made["gone"])
        make(scratch_database, 's."a.b"', gone, rows=2)
        make(scratch_database, '"s.a".b', gone, rows=3)
        return made

    def test_are_undone_each_by_its_own_rows(self, scratch_database, made):
        was = dump(scratch_database)
        service = DatabaseCleanupService(using=scratch_database)
        (planned,) = service.cleanup_all_duplicate_folders(dry_run=True).results
        done = service.consolidate_duplicate_folders(made.application)
        assert planned.details["moved"] == done.details["moved"] == {'s."a.b"': 2, '"s.a".b': 3}
        execute(scratch_database, 'DELETE FROM "s.a".b WHERE id = 1')
        with pytest.raises(exceptions.RollbackConflict) as caught:
            service.rollback_cleanup(done.rollback_id)
        assert [(c.code, c.table, c.key) for c in caught.value.conflicts] == [("row_missing", '"s.a".b', "1")]
        (survivor,) = {about for (about,) in fetch(scratch_database, 'SELECT about FROM "s.a".b')}
        execute(scratch_database, 'INSERT INTO "s.a".b VALUES (1, %s)', survivor)
        assert service.rollback_cleanup(done.rollback_id).exact
        assert dump(scratch_database) == was

    def test_are_named_in_settings_by_their_labels(self, scratch_database, made):
        names = ['s."a.b"', '"s.a".b', '"s"."a.b"', "public.cleanup_run"]
        found = backends.database(using=scratch_database).catalogue.resolve_all(names)
        assert found == {
            names[0]: TableName("s", "a.b"),
            names[1]: TableName("s.a", "b"),
            names[2]: TableName("s", "a.b"),
            names[3]: TableName("public", "cleanup_run"),
        }


def test_a_journal_of_a_version_that_did_not_quote_is_undone(scratch_database):
    made = tree(scratch_database, "stays:A, gone:A(1)")
    if is_postgresql(scratch_database):
        execute(scratch_database, "CREATE SCHEMA s")
    table = 's."a.b"' if is_postgresql(scratch_database) else '"a.b"'
    make(scratch_database, table, raw(scratch_database, made["gone"]), rows=2)
    was = dump(scratch_database)
    service = DatabaseCleanupService(using=scratch_database)
    done = service.consolidate_duplicate_folders(made.application)

    old = table.replace('"', "")
    schema = SnapshotSchema.objects.using(scratch_database).get()
    schema.document = schema.document.replace(json.dumps(table), json.dumps(old))
    assert json.loads(schema.document)["tables"][old]["name"] == "a.b"
    schema.save(using=scratch_database)
    rows = SnapshotRow.objects.using(scratch_database).filter(table=table)
    assert rows.update(table=old) == 1
    assert service.rollback_cleanup(done.rollback_id).exact
    assert dump(scratch_database) == was
