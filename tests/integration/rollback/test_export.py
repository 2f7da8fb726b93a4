"""An undo as a script, which the database's own shell runs after the product is gone."""

import json
import re
import stat

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command

from cleanup import exceptions
from cleanup.services import DatabaseCleanupService
from tests.hostapp.models import Bookmark, Cover, Note, Tag
from tests.support.model_roles import File, Folder
from tests.support.trees import Tree, dump, execute, is_postgresql, key_type, label, named, raw, tree
from tests.support.undo_scripts import ScriptFailedError, export, run, uninstall

ODD = (
    r'A/"100% {0} [b]\"' + "'" + r'"(1)*3, A/"' + "\u202eabc" + r'"(1)*2, A/":x \\! ls $$ %s"(1)*2, A@-/B/{C(1)/D, E}, '
    "A/B/C(2)"
)

#: Rows that name folders, in tables of every kind; the folders are called as in the tree.
BOTH = r"""
    CREATE TABLE plain (code varchar(30) PRIMARY KEY, folder {key} NOT NULL REFERENCES :folders, what {blob});
    INSERT INTO plain VALUES ('O''Brien\', {gone}, NULL), ('%%s \! {{0}}', {gone}, {bytes}), ('', {stays}, NULL);

    CREATE TABLE linked (one {key} NOT NULL REFERENCES :folders, other {key} NOT NULL REFERENCES :folders, rank integer,
        PRIMARY KEY (one, other));
    INSERT INTO linked VALUES ({gone}, {gone}, 1), ({gone}, {stays}, 2), ({again}, {gone}, 3)
"""
ON_POSTGRESQL = r"""
    CREATE TABLE typed (number bigint GENERATED ALWAYS AS IDENTITY, folder {key} REFERENCES :folders,
        twice bigint GENERATED ALWAYS AS (number * 2) STORED, doc json, loose jsonb, span interval, few numeric,
        many text[], PRIMARY KEY (number, folder));
    INSERT INTO typed (folder, doc, loose, span, few, many) VALUES
        ({gone}, '{{"a" :  1, "a": 2}}', '{{"b": "\u00e9"}}', '1 mon -1 day', 1.500, ARRAY['x,y', NULL, '\', '"']),
        ({stays}, 'null', 'null', '0', 'NaN', '{{}}');

    CREATE TABLE parted (id integer PRIMARY KEY, folder {key} REFERENCES :folders) PARTITION BY HASH (id);
    CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO parted VALUES (1, {gone}), (2, {again}), (3, {gone}), (4, {stays});

    CREATE TABLE watched (id integer PRIMARY KEY, list {key}[]);
    INSERT INTO watched VALUES (1, ARRAY[{gone}, {stays}, NULL, {again}, {gone}]::{key}[])
"""
ON_SQLITE = """
    CREATE TABLE typed (number PRIMARY KEY, folder {key} REFERENCES :folders, anything, measure REAL,
        twice GENERATED ALWAYS AS (number * 2)) WITHOUT ROWID;
    INSERT INTO typed VALUES
        (1, {gone}, 9223372036854775807, 0.1),
        ('1', {gone}, -9223372036854775808, 5e-324),
        (2.5, {gone}, CAST(x'610a62006327' AS TEXT), 9e999),
        (x'00', {stays}, x'ff', -1.7976931348623157e308)
"""


def clean(database: str, made: Tree) -> object:
    """Merge one application and return the id of its rollback point."""
    return DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application).rollback_id


def of_host(database: str) -> dict[str, list[str]]:
    """Return the tables that are not the product's, nor Django's."""
    return {name: rows for name, rows in dump(database).items() if not name.startswith(("django_", "auth_"))}


@pytest.fixture
def everything(scratch_database, settings) -> Tree:
    """Make an application whose folders are named by rows of every kind."""
    postgresql = is_postgresql(scratch_database)
    settings.CLEANUP_EXTRA_REFERENCES = ["watched.list"] if postgresql else []
    settings.CLEANUP_COLLISIONS = {"linked": "keep_survivor"}
    made = tree(scratch_database, f"stays:A/again:Z, gone:A/Z(1), {ODD}")
    slots = {name: f"'{raw(scratch_database, key)}'" for name, key in made.keys.items()}
    slots |= {"key": key_type(scratch_database), "blob": "bytea" if postgresql else "blob"}
    slots |= {"bytes": r"'\x00ff27'" if postgresql else "x'00ff27'"}
    for statement in (BOTH.rstrip() + ";\n" + (ON_POSTGRESQL if postgresql else ON_SQLITE)).split(";\n"):
        execute(scratch_database, statement.format(**slots))
    Bookmark._base_manager.using(scratch_database).create(folder_id=made["gone"])
    Cover.objects.using(scratch_database).create(folder_id=made["gone"], picture="front.png")
    Tag.objects.using(scratch_database).create(label="both").folders.set([made["stays"], made["gone"]])
    kind = ContentType.objects.db_manager(scratch_database).get_for_model(Folder.model)
    Note.objects.using(scratch_database).create(content_type=kind, object_id=made["gone"], text="call back")
    return made


class TestScript:
    def test_restores_everything_without_the_product(self, scratch_database, everything):
        was = of_host(scratch_database)
        script = export(scratch_database, clean(scratch_database, everything))
        assert of_host(scratch_database).keys() == was.keys()
        assert sum(of_host(scratch_database)[name] != was[name] for name in was) > 8
        uninstall(scratch_database)
        told = run(scratch_database, script)
        assert of_host(scratch_database) == was
        assert "proven" in told

    def test_that_runs_twice_changes_nothing_and_is_then_recorded_as_exact(
        self, scratch_database, settings, everything
    ):
        settings.CLEANUP_COLLISIONS = {}
        execute(scratch_database, "DROP TABLE linked")  # a row whose key changed twice is not found by half of it
        was = of_host(scratch_database)
        point = clean(scratch_database, everything)
        script = export(scratch_database, point)
        first, again = run(scratch_database, script), run(scratch_database, script)
        assert "still installed" in first
        assert "0" not in re.findall(r"restored \| (\d+)", first)
        assert set(re.findall(r"restored \| (\d+)", again)) == {"0"}
        result = DatabaseCleanupService(using=scratch_database).rollback_cleanup(point)
        assert (result.exact, result.folders_restored, result.files_restored) == (True, 0, 0)
        assert of_host(scratch_database) == was

    def test_restores_a_run_of_several_applications_at_once(self, scratch_database):
        for _ in range(3):
            tree(scratch_database, "A(1)/B, A(2)/{B(1), C}")
        was = of_host(scratch_database)
        report = DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders(batch_size=1)
        script = export(scratch_database, report.run_id)
        assert script.count("Removed rows come back") == 1
        uninstall(scratch_database)
        run(scratch_database, script)
        assert of_host(scratch_database) == was

    def test_restores_the_latest_first_where_applications_share_rows(self, scratch_database, settings):
        settings.CLEANUP_COLLISIONS = {"link": "keep_survivor"}
        key = key_type(scratch_database)
        execute(
            scratch_database,
            f"CREATE TABLE link (source {key} NOT NULL REFERENCES :folders, target {key} NOT NULL REFERENCES :folders,"
            " PRIMARY KEY (source, target))",
        )
        execute(scratch_database, "CREATE INDEX by_target ON link (target)")
        two = [tree(scratch_database, "stays:A, gone:A") for _ in range(2)]
        ends = [raw(scratch_database, made["gone"]) for made in two]
        execute(scratch_database, "INSERT INTO link VALUES (%s, %s)", *ends)
        was = of_host(scratch_database)
        report = DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders(batch_size=1)
        script = export(scratch_database, report.run_id)
        uninstall(scratch_database)
        run(scratch_database, script)
        assert of_host(scratch_database) == was

    def test_of_a_point_taken_by_hand_undoes_the_cleanups_since(self, scratch_database):
        made = tree(scratch_database, "A(1), A(1)")
        service = DatabaseCleanupService(using=scratch_database)
        point = service.create_rollback_point(made.application)
        was = of_host(scratch_database)
        with pytest.raises(exceptions.Refused, match="nothing to undo"):
            export(scratch_database, point)
        clean(scratch_database, made)
        tree(scratch_database, "A(1)@9/B", application=made.application)
        clean(scratch_database, made)
        script = export(scratch_database, point)
        uninstall(scratch_database)
        run(scratch_database, script)
        now, folders, files = of_host(scratch_database), named(":folders"), named(":files")
        assert (set(was[folders]) < set(now[folders]), len(now[folders])) == (True, 4)
        assert set(was[files]) < set(now[files])


CONFLICTS = {
    "changed": "UPDATE :files SET :files.folder = NULL WHERE :files.name = 'moved.pdf'",
    "row_missing": "DELETE FROM :files WHERE :files.name = 'moved.pdf'",
    "row_exists": "INSERT INTO :folders (:folders.key, :folders.name, :folders.application)"
    " SELECT {gone}, 'other', :applications.key FROM :applications LIMIT 1",
}


#: Table, event and column of a trigger that has a row name the folder that stayed.
MEDDLING = {
    "removed": (":folders", "INSERT", ":folders.parent"),
    "moved": (":files", "UPDATE", ":files.folder"),
}
MEDDLE_ON_POSTGRESQL = (
    "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.{column} = '{key}'; RETURN NEW; END $$",
    "CREATE TRIGGER meddle BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION meddle()",
)
MEDDLE_ON_SQLITE = (
    (
        "CREATE TRIGGER meddle AFTER {event} ON {table} BEGIN"
        " UPDATE {table} SET {column} = '{key}' WHERE rowid = NEW.rowid; END"
    ),
)


class TestConflict:
    @pytest.mark.parametrize("code", CONFLICTS)
    def test_stops_by_its_name_and_changes_nothing(self, scratch_database, code):
        made = tree(scratch_database, "stays:A, gone:A(moved.pdf)/B, A(2)")
        point = clean(scratch_database, made)
        script = export(scratch_database, point)
        execute(scratch_database, CONFLICTS[code].format(gone=f"'{raw(scratch_database, made['gone'])}'"))
        before = dump(scratch_database, own=True)
        with pytest.raises(ScriptFailedError) as caught:
            run(scratch_database, script)
        assert dump(scratch_database, own=True) == before
        key, part = (made["gone"], Folder) if code == "row_exists" else (made["moved.pdf"], File)
        for word in (code, raw(scratch_database, key, part)):
            assert re.search(rf"\b{re.escape(word)}\b", str(caught.value))
        with pytest.raises(exceptions.RollbackConflict):
            export(scratch_database, point)

    @pytest.mark.only("postgresql")
    def test_stops_a_script_that_bypasses_triggers(self, scratch_database, settings):
        settings.CLEANUP_TRIGGERS = "bypass"
        script = export(scratch_database, clean(scratch_database, tree(scratch_database, "A, A(moved.pdf)")))
        assert "session_replication_role = 'replica'" in script
        execute(scratch_database, CONFLICTS["changed"])
        with pytest.raises(ScriptFailedError, match=f"Conflict in {label(scratch_database, ':files')}"):
            run(scratch_database, script)

    def test_stops_a_script_whose_table_was_altered(self, scratch_database):
        script = export(scratch_database, clean(scratch_database, tree(scratch_database, "A, A(1)")))
        execute(scratch_database, "ALTER TABLE :files RENAME COLUMN :files.folder TO box_id")
        before = dump(scratch_database, own=True)
        with pytest.raises(ScriptFailedError, match=f"{named(':files.folder')}.* is gone"):
            run(scratch_database, script)
        assert dump(scratch_database, own=True) == before

    def test_stops_a_script_where_a_generated_column_is_stored_now(self, scratch_database):
        kept = "STORED" if is_postgresql(scratch_database) else "VIRTUAL"
        generated = f"loud text GENERATED ALWAYS AS (upper(name)) {kept}"
        execute(scratch_database, f"ALTER TABLE folders ADD COLUMN {generated}")
        made = tree(scratch_database, "A, A(1)")
        was = of_host(scratch_database)
        script = export(scratch_database, clean(scratch_database, made))
        execute(scratch_database, "ALTER TABLE folders DROP COLUMN loud")
        execute(scratch_database, "ALTER TABLE folders ADD COLUMN loud text")
        with pytest.raises(ScriptFailedError, match="loud is gone"):
            run(scratch_database, script)
        execute(scratch_database, "ALTER TABLE folders DROP COLUMN loud")
        execute(scratch_database, f"ALTER TABLE folders ADD COLUMN {generated}")
        run(scratch_database, script)
        assert of_host(scratch_database) == was

    @pytest.mark.parametrize(("table", "event", "column"), MEDDLING.values(), ids=MEDDLING)
    def test_stops_a_script_whose_rows_a_trigger_changes(self, scratch_database, table, event, column):
        made = tree(scratch_database, "stays:A, A(1)")
        key = raw(scratch_database, made["stays"])
        script = export(scratch_database, clean(scratch_database, made))
        for statement in MEDDLE_ON_POSTGRESQL if is_postgresql(scratch_database) else MEDDLE_ON_SQLITE:
            execute(scratch_database, statement.format(table=table, event=event, column=column, key=key))
        before = dump(scratch_database, own=True)
        with pytest.raises(ScriptFailedError, match=f"{named(table)} is not as it was"):
            run(scratch_database, script)
        assert dump(scratch_database, own=True) == before

    def test_names_the_later_cleanup_that_must_be_undone_first(self, database):
        made = tree(database, "A, A")
        first = clean(database, made)
        tree(database, "A@9", application=made.application)
        second = clean(database, made)
        with pytest.raises(exceptions.Superseded, match=str(second)):
            export(database, first)


class TestGuard:
    def test_keeps_a_script_from_running_until_it_is_lifted(self, scratch_database):
        tree(scratch_database, "A(1)/{B(1), C}, A/B")
        was = of_host(scratch_database)
        report = DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        call_command("migrate", "cleanup_guards", database=scratch_database, verbosity=0)
        merged = of_host(scratch_database)
        script = export(scratch_database, report.run_id)
        with pytest.raises(ScriptFailedError, match="cleanup_one_root_per_application"):
            run(scratch_database, script)
        assert of_host(scratch_database) == merged
        for _, lift in re.findall(r"-- Guard (\w+) forbids what comes back. Lift it first: (.*);", script):
            execute(scratch_database, lift)
        run(scratch_database, script)
        assert of_host(scratch_database) == was


@pytest.mark.only("sqlite")
class TestUnscriptable:
    def test_names_what_the_shell_does_not_know(self, scratch_database):
        execute(
            scratch_database, "ALTER TABLE :files ADD COLUMN code text CHECK (django_date_extract('year', code) > 1)"
        )
        point = clean(scratch_database, tree(scratch_database, "A, A(1)"))
        with pytest.raises(exceptions.Unscriptable, match=rf"cannot write to {named(':files')}: .*django_date_extract"):
            export(scratch_database, point)


class TestCommand:
    def test_writes_a_file_that_only_its_owner_reads(self, database, tmp_path, capsys):
        made = tree(database, "A(1), A(2)")
        point = clean(database, made)
        file = tmp_path / "undo.sql"
        call_command(
            "database_cleanup", export_undo=str(point), output=str(file), json=True, database=database, verbosity=0
        )
        document = json.loads(capsys.readouterr().out)
        assert document["rows"] == {label(database, ":files"): 2, label(database, ":folders"): 1}
        assert (document["rollback_id"], document["applications"], document["guards"]) == (str(point), 1, [])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["undo.sql"]
        call_command("database_cleanup", export_undo=str(point), database=database, verbosity=0)
        shown = capsys.readouterr()
        assert shown.out.splitlines()[1:] == file.read_text().splitlines()[1:]
        assert "restores 3 rows of 1 application" in shown.err

    def test_refuses_two_documents_on_standard_output(self, database):
        with pytest.raises(CommandError, match="needs --output") as caught:
            call_command("database_cleanup", export_undo="x", json=True, database=database)
        assert caught.value.returncode == 2
