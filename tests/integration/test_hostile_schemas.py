"""What a hostile or unlucky host does to the engine: odd keys, odd names, and writers at the worst moments."""

import pytest
from django.db import models
from django.test.utils import isolate_apps

from cleanup import exceptions, folder_tables
from cleanup.models import Run
from cleanup.references.discovery import discover
from cleanup.services import DatabaseCleanupService
from cleanup.services.runs import late_arrivals, pacing
from tests.hostapp.models import OWN_MODELS, Case, Document, Section
from tests.support.trees import dump, execute, fetch, is_postgresql, key_type, raw, tree


def clean(database, made):
    return DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application).rollback_id


def undo(database, point, **options):
    return DatabaseCleanupService(using=database).rollback_cleanup(point, **options)


@pytest.fixture
def text_keys(monkeypatch):
    """Let models with text for keys play the parts; their tables are made by the test."""
    with isolate_apps("tests.hostapp"):

        class Client(models.Model):
            id = models.CharField(primary_key=True, max_length=100)

            class Meta:
                app_label = "hostapp"
                db_table = "client"

            def __str__(self):
                return self.id

        class Drawer(models.Model):
            id = models.CharField(primary_key=True, max_length=100)
            name = models.CharField(max_length=100)
            parent = models.ForeignKey("self", models.CASCADE, null=True)
            client = models.ForeignKey(Client, models.CASCADE, null=True)
            created_at = models.DateTimeField(null=True)

            class Meta:
                app_label = "hostapp"
                db_table = "drawer"

            def __str__(self):
                return self.id

        class Sheet(models.Model):
            id = models.CharField(primary_key=True, max_length=100)
            name = models.CharField(max_length=100)
            drawer = models.ForeignKey(Drawer, models.CASCADE, null=True)
            client = models.ForeignKey(Client, models.CASCADE, null=True)

            class Meta:
                app_label = "hostapp"
                db_table = "sheet"

            def __str__(self):
                return self.id

    roles = {
        "CLEANUP_APPLICATION_MODEL": Client,
        "CLEANUP_FOLDER_MODEL": Drawer,
        "CLEANUP_FILE_MODEL": Sheet,
    }
    monkeypatch.setattr(folder_tables, "_model", lambda setting, label: roles[setting])
    of_folder = {"parent": "parent", "application": "client", "name": "name", "created": "created_at"}
    of_file = {"folder": "drawer", "application": "client", "name": "name"}
    monkeypatch.setattr(folder_tables.conf, "folder_fields", lambda: of_folder)
    monkeypatch.setattr(folder_tables.conf, "file_fields", lambda: of_file)
    monkeypatch.setattr(folder_tables.conf, "folder_live", lambda: None)

    def make(database, key="text", reference="text", action=""):
        time = "timestamptz" if is_postgresql(database) else "datetime"
        execute(database, f"CREATE TABLE client (id {key} PRIMARY KEY)")
        execute(
            database,
            f"CREATE TABLE drawer (id {key} PRIMARY KEY, name varchar(100) NOT NULL, parent_id {key}"
            f" REFERENCES drawer (id), client_id {key} REFERENCES client (id), created_at {time})",
        )
        execute(
            database,
            f"CREATE TABLE sheet (id {key} PRIMARY KEY, name varchar(100) NOT NULL, drawer_id {reference}"
            f" REFERENCES drawer (id) {action}, client_id {key} REFERENCES client (id))",
        )

    return make


def fill(database, *drawers, sheets=()):
    execute(database, "INSERT INTO client VALUES ('one')")
    for drawer in drawers:
        execute(database, "INSERT INTO drawer VALUES (%s, 'A', NULL, 'one', NULL)", drawer)
    for sheet, drawer in sheets:
        execute(database, "INSERT INTO sheet VALUES (%s, 's', %s, 'one')", sheet, drawer)


class TestTextKeys:
    @pytest.mark.only("sqlite")
    def test_that_are_compared_without_case_stop_the_run(self, scratch_database, text_keys):
        """SQLite compares a foreign key by the collation of its target: a row that says bb hangs on folder BB."""
        text_keys(
            scratch_database,
            key="varchar(100) COLLATE NOCASE",
            reference="varchar(100)",
            action="ON DELETE CASCADE",
        )
        fill(scratch_database, "AA", "BB", sheets=[("1", "bb")])
        before = dump(scratch_database)
        with pytest.raises(exceptions.PreflightFailed, match="collation"):
            DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders("one")
        assert dump(scratch_database) == before

    @pytest.mark.only("postgresql")
    def test_of_a_type_that_ignores_case_stop_the_run(self, scratch_database, text_keys):
        execute(scratch_database, "CREATE EXTENSION IF NOT EXISTS citext")
        text_keys(scratch_database, key="citext", reference="citext")
        fill(scratch_database, "AA", "BB", sheets=[("1", "bb")])
        before = dump(scratch_database)
        with pytest.raises(exceptions.PreflightFailed, match="is of type citext"):
            DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders("one")
        assert dump(scratch_database) == before

    @pytest.mark.only("postgresql")
    def test_that_do_not_fit_a_referencing_column_are_not_cut(self, scratch_database, text_keys, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["memo.folder"]
        text_keys(scratch_database)
        execute(scratch_database, "CREATE TABLE memo (id integer PRIMARY KEY, folder varchar(4))")
        fill(scratch_database, "aaaaaaaa", "bb")
        execute(scratch_database, "INSERT INTO memo VALUES (1, 'bb')")
        with pytest.raises(exceptions.CleanupError):
            DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders("one")
        assert fetch(scratch_database, "SELECT folder FROM memo") == [("bb",)]

    @pytest.mark.only("postgresql")
    def test_that_are_cut_elsewhere_match_nothing(self, scratch_database, text_keys, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["memo.folder"]
        text_keys(scratch_database)
        execute(scratch_database, "CREATE TABLE memo (id integer PRIMARY KEY, folder varchar(4))")
        fill(scratch_database, "aa", "bbbbbbbb", "bbbb")
        execute(scratch_database, "UPDATE drawer SET client_id = NULL WHERE id = 'bbbb'")
        execute(scratch_database, "INSERT INTO memo VALUES (1, 'bbbb')")
        DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders("one")
        assert fetch(scratch_database, "SELECT folder FROM memo") == [("bbbb",)]

    @pytest.mark.only("postgresql")
    def test_of_a_collation_of_their_own_come_back(self, scratch_database, text_keys, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["memo.drawer"]
        key = 'text COLLATE "POSIX"'
        text_keys(scratch_database, key=key, reference=key)
        execute(scratch_database, f"CREATE TABLE memo (id integer PRIMARY KEY, drawer {key})")
        fill(scratch_database, "aa", "bb", sheets=[("1", "bb")])
        execute(scratch_database, "INSERT INTO memo VALUES (1, 'bb')")
        before = dump(scratch_database)
        service = DatabaseCleanupService(using=scratch_database)
        point = service.consolidate_duplicate_folders("one").rollback_id
        assert fetch(scratch_database, "SELECT drawer FROM memo") == [("aa",)]
        assert service.verify_cleanup_integrity("one")["verification_passed"]
        assert service.rollback_cleanup(point).exact
        assert dump(scratch_database) == before

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize("table", ["sheet", "memo"])
    def test_of_another_collation_than_what_names_them_stop_the_run(self, scratch_database, text_keys, table):
        """PostgreSQL compares two collations of columns only where a query says by which."""
        key = 'text COLLATE "POSIX"'
        other = 'text COLLATE "C"'
        text_keys(scratch_database, key=key, reference=other if table == "sheet" else key)
        columns = f"id integer PRIMARY KEY, drawer_id {other if table == 'memo' else key} REFERENCES drawer (id)"
        execute(scratch_database, f"CREATE TABLE memo ({columns})")
        fill(scratch_database, "aa", "bb")
        with pytest.raises(exceptions.PreflightFailed) as caught:
            DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders("one")
        (problem,) = caught.value.data["problems"]
        assert (problem.code, problem.table, problem.column) == ("mapped_type", f"public.{table}", "drawer_id")
        execute(scratch_database, problem.message.partition("Give it the collation of the key: ")[2])
        assert DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders("one").folders_removed == 1

    def test_in_short_columns_come_back(self, scratch_database, text_keys):
        text_keys(scratch_database, key="varchar(10)", reference="varchar(10)")
        fill(scratch_database, "aa", "bb", sheets=[("1", "bb")])
        before = dump(scratch_database)
        result = DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders("one")
        assert result.folders_removed == 1
        undo(scratch_database, result.rollback_id)
        assert dump(scratch_database) == before

    def test_may_be_strange(self, scratch_database, text_keys):
        text_keys(scratch_database)
        odd = '{b,"c\\}'
        sheets = [("1", odd), ("NULL", ""), ("{}", "null"), ("\\", "ü'%s")]
        fill(scratch_database, "NULL", odd, "null", "", "ü'%s", sheets=sheets)
        before = dump(scratch_database)
        result = DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders("one")
        assert result.folders_removed == 4
        undo(scratch_database, result.rollback_id)
        assert dump(scratch_database) == before

    def test_that_no_database_can_hold_are_invalid(self, scratch_database, text_keys):
        text_keys(scratch_database)
        with pytest.raises(exceptions.InvalidKey):
            DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders("\udc80")


#: What our statements call their own relations and columns.
TABLES = ["images", "m", "v", "j", "gone", "moved", "moved0", "absent", "ranked", "candidates"]
COLUMNS = ["point", "rank", "t", "m", "old_subject", "new_subject", "value_subject", "held_subject", "kept_subject"]
COLUMNS += ["key_id", "keys_id", "raw_id", "__key_id", "__keys", "row_count", "target", "q", "i", "s", "value", "key"]
COLUMNS += ["image", "chunk", "a", "b", "f", "r", "j", "Upper", '100% "c"']


@pytest.mark.parametrize("table", [*TABLES, "100% T", "x" * 63, "order"])
def test_a_table_of_any_name_is_moved_and_restored(scratch_database, settings, table):
    settings.CLEANUP_COLLISIONS = {table: "keep_survivor"}
    name, *columns = ('"' + name.replace('"', '""').replace("%", "%%") + '"' for name in (table, *COLUMNS))
    subject = f"subject {key_type(scratch_database)} UNIQUE REFERENCES :folders ON DELETE CASCADE"
    texts = ", ".join(f"{column} text" for column in columns)
    execute(scratch_database, f"CREATE TABLE {name} (id integer PRIMARY KEY, {subject}, {texts})")
    made = tree(scratch_database, "stays:A, gone:A, other:A")
    for number, label in enumerate(["gone", "other"], start=1):
        values = (number, raw(scratch_database, made[label]), *COLUMNS)
        execute(scratch_database, f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(values))})", *values)
    before = dump(scratch_database)
    undo(scratch_database, clean(scratch_database, made))
    assert dump(scratch_database) == before


@pytest.mark.parametrize("column", ["x" * 62, 'Upper (100%) "c"', "order_"])
def test_columns_of_any_name_are_moved_and_restored(scratch_database, column):
    number, folder = (f"{column}{end}".replace('"', '""').replace("%", "%%") for end in "ab")
    key = f'PRIMARY KEY ("{number}", "{folder}"), UNIQUE ("{folder}", "{number}")'
    references = f'"{folder}" {key_type(scratch_database)} REFERENCES :folders'
    execute(scratch_database, f'CREATE TABLE odd ("{number}" integer NOT NULL, {references}, {key})')
    made = tree(scratch_database, "stays:A, gone:A")
    execute(scratch_database, "INSERT INTO odd VALUES (1, %s)", raw(scratch_database, made["gone"]))
    before = dump(scratch_database)
    point = clean(scratch_database, made)
    assert dump(scratch_database)["odd"] != before["odd"]
    undo(scratch_database, point)
    assert dump(scratch_database) == before


class TestRollbackOfARun:
    def test_undoes_the_newest_first(self, scratch_database, monkeypatch):
        """What was removed first may name a folder that was removed after it."""
        monkeypatch.setattr(pacing, "FIRST_BATCH", 1)
        column = f"template {key_type(scratch_database)} REFERENCES :folders"
        execute(scratch_database, f"ALTER TABLE :folders ADD COLUMN {column}")
        first, second = tree(scratch_database, "A, gone:A"), tree(scratch_database, "A, gone:A")
        ends = (raw(scratch_database, second["gone"]), raw(scratch_database, first["gone"]))
        execute(scratch_database, "UPDATE :folders SET template = %s WHERE :folders.key = %s", *ends)
        before = dump(scratch_database)
        service = DatabaseCleanupService(using=scratch_database)
        result = service.rollback_cleanup(service.cleanup_all_duplicate_folders(batch_size=1).run_id)
        assert (result.failed, result.exact) == (0, True)
        assert dump(scratch_database) == before


class TestTwoReferencesOfOneUniqueKey:
    """Rows that collide because both of their references move."""

    @pytest.fixture
    def linked(self, scratch_database):
        key = f"{key_type(scratch_database)} NOT NULL REFERENCES :folders"
        execute(scratch_database, f"CREATE TABLE link (id integer PRIMARY KEY, a {key}, b {key}, UNIQUE (a, b))")
        made = tree(scratch_database, "A/{s1:B, r1:B, s2:C, r2:C}")
        keys = [raw(scratch_database, made[label]) for label in ("s1", "s2", "r1", "r2")]
        execute(scratch_database, "INSERT INTO link VALUES (1, %s, %s), (2, %s, %s)", *keys)
        return made

    def test_leave_the_application_untouched(self, scratch_database, linked):
        before = dump(scratch_database)
        with pytest.raises(exceptions.Collision, match="link"):
            clean(scratch_database, linked)
        assert dump(scratch_database) == before

    def test_keep_the_row_that_stays_on_demand(self, scratch_database, linked, settings):
        settings.CLEANUP_COLLISIONS = {"link": "keep_survivor"}
        before = dump(scratch_database)
        point = clean(scratch_database, linked)
        assert fetch(scratch_database, "SELECT id FROM link") == [(1,)]
        undo(scratch_database, point)
        assert dump(scratch_database) == before


@pytest.mark.parametrize("reason", ["\udc80", "a\x00b", "x" * 100_000, "%s {0}"])
def test_a_reason_may_be_anything(database, reason):
    made = tree(database, "A, A")
    service = DatabaseCleanupService(using=database)
    point = service.consolidate_duplicate_folders(made.application, reason=reason, started_by=reason).rollback_id
    assert service.rollback_cleanup(point, reason=reason, started_by=reason)


class TestLateArrival:
    def test_is_not_looked_for_where_a_foreign_key_forbids_it(self, scratch_database):
        """Whatever the key does on delete."""
        column = f"folder {key_type(scratch_database)} REFERENCES :folders"
        execute(scratch_database, f"CREATE TABLE memo (id integer PRIMARY KEY, {column} ON DELETE CASCADE)")
        references = discover(using=scratch_database)
        sweep = late_arrivals.LateArrivals(using=scratch_database, references=references)
        looked_for = {str(reference.table) for _, found in sweep.steps for reference in found}
        assert not any("memo" in table for table in looked_for)

    def test_that_collides_does_not_keep_the_run_from_ending(self, scratch_database, settings, monkeypatch):
        settings.CLEANUP_EXTRA_REFERENCES = ["memo.folder"]
        unique = f"folder {key_type(scratch_database)} UNIQUE"
        execute(scratch_database, f"CREATE TABLE memo (id integer PRIMARY KEY, {unique})")
        made = tree(scratch_database, "stays:A, gone:A")
        execute(scratch_database, "INSERT INTO memo VALUES (1, %s)", raw(scratch_database, made["stays"]))
        original = late_arrivals.LateArrivals.sweep

        def sweep(self, **options):
            execute(scratch_database, "INSERT INTO memo VALUES (2, %s)", raw(scratch_database, made["gone"]))
            return original(self, **options)

        monkeypatch.setattr(late_arrivals.LateArrivals, "sweep", sweep)
        report = DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        assert report.status == Run.Status.COMPLETED


@pytest.mark.only("sqlite")
def test_numbers_that_columns_of_text_name_come_back(scratch_database, settings):
    """SQLite finds the number 7 by the text '7', because it compares them as the key's column would hold them."""
    for name, value in OWN_MODELS.items():
        setattr(settings, name, value)
    execute(scratch_database, "DROP TABLE hostapp_document")
    execute(scratch_database, "DROP TABLE hostapp_section")
    execute(
        scratch_database,
        "CREATE TABLE hostapp_section (id integer PRIMARY KEY, title text NOT NULL,"
        " above_id text REFERENCES hostapp_section (id), case_id integer, made_at datetime)",
    )
    execute(
        scratch_database,
        "CREATE TABLE hostapp_document (id integer PRIMARY KEY, title text NOT NULL,"
        " section_id text REFERENCES hostapp_section (id), case_id integer)",
    )
    case = Case.objects.using(scratch_database).create()
    for key, above, title in ((1, None, "A"), (2, None, "A"), (3, 1, "B"), (4, 2, "B")):
        Section.objects.using(scratch_database).create(pk=key, above_id=above, title=title, case=case)
    Document.objects.using(scratch_database).create(pk=1, section_id=4, title="x.pdf", case=case)
    before = dump(scratch_database)
    service = DatabaseCleanupService(using=scratch_database)
    result = service.consolidate_duplicate_folders(case.pk)
    assert (result.folders_removed, result.files_moved) == (2, 1)
    assert service.rollback_cleanup(result.rollback_id).exact
    assert dump(scratch_database) == before
