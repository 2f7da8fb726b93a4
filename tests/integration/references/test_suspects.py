"""References that neither a key nor a model reveals: found by looking at rows."""

import ast
import json
import re
import uuid

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from cleanup.exceptions import PreflightFailed
from cleanup.references import discover
from cleanup.references.probing import probe
from cleanup.services import DatabaseCleanupService
from tests.hostapp.models import OWN_MODELS, Case, Section
from tests.support.model_roles import Folder
from tests.support.trees import dump, execute, fetch, is_postgresql, key_type, raw, spellings, tree


def found(using: str):
    return probe(using=using, references=discover(using=using))


def suspected(using: str) -> list[str]:
    return [f"{p.table.rpartition('.')[2]}.{p.column}" for p in found(using).problems if p.code == "suspected"]


def messages(using: str, code: str) -> list[str]:
    looked = found(using)
    return [p.message for p in (*looked.problems, *looked.warnings) if p.code == code]


def message(using: str, code: str) -> str:
    (text,) = messages(using, code)
    return text


@pytest.fixture
def folder(scratch_database) -> str:
    """The key of a folder that will be removed."""
    return tree(scratch_database, "stays:A, gone:A")["gone"]


class TestAColumnOfFoldersKeys:
    def test_is_suspect_whatever_its_name(self, scratch_database, folder):
        columns = f"what {key_type(scratch_database, Folder)}, which varchar(40), whose text"
        execute(scratch_database, f"CREATE TABLE shelf (id integer PRIMARY KEY, {columns})")
        values = raw(scratch_database, folder), folder.upper(), folder.upper()
        execute(scratch_database, "INSERT INTO shelf VALUES (1, %s, %s, %s)", *values)
        assert sorted(suspected(scratch_database)) == ["shelf.what", "shelf.which", "shelf.whose"]

    def test_is_suspect_where_one_in_a_hundred_is_a_folders(self, scratch_database, folder):
        execute(scratch_database, "CREATE TABLE shelf (id integer PRIMARY KEY, what text)")
        for number in range(99):
            execute(scratch_database, "INSERT INTO shelf VALUES (%s, %s)", number, str(uuid.uuid4()))
        execute(scratch_database, "INSERT INTO shelf VALUES (100, %s)", folder)
        assert suspected(scratch_database) == ["shelf.what"]

    def test_is_suspect_where_only_the_last_of_many_rows_are_folders(self, scratch_database, folder):
        execute(scratch_database, "CREATE TABLE shelf (id integer PRIMARY KEY, what text)")
        execute(
            scratch_database,
            "INSERT INTO shelf WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
            " SELECT i, CASE WHEN i > 600 THEN CAST(%s AS text) END FROM n",
            folder,
        )
        assert suspected(scratch_database) == ["shelf.what"]

    def test_is_known_once_a_setting_names_it(self, scratch_database, folder, settings):
        execute(scratch_database, "CREATE TABLE shelf (id integer PRIMARY KEY, what text)")
        execute(scratch_database, "INSERT INTO shelf VALUES (1, %s)", folder)
        for name in ("CLEANUP_EXTRA_REFERENCES", "CLEANUP_IGNORED_COLUMNS"):
            setattr(settings, name, ["shelf.what"])
            assert suspected(scratch_database) == []
            setattr(settings, name, [])

    def test_is_offered_with_the_condition_that_tells_folders(self, scratch_database, folder):
        execute(scratch_database, "CREATE TABLE note (id integer PRIMARY KEY, entity_type text, entity_id text)")
        for number, (kind, key) in enumerate([("loan", uuid.uuid4()), ("ordner", folder)]):
            execute(scratch_database, "INSERT INTO note VALUES (%s, %s, %s)", number, kind, str(key))
        assert 'note.entity_id": {"entity_type": "ordner"}} to CLEANUP_EXTRA' in message(scratch_database, "suspected")

    @pytest.mark.only("sqlite")
    def test_of_an_index_of_texts_can_only_be_ignored(self, scratch_database, folder, settings):
        execute(scratch_database, "CREATE VIRTUAL TABLE found USING fts5(body, place UNINDEXED)")
        execute(scratch_database, "INSERT INTO found VALUES ('a', %s)", raw(scratch_database, folder))
        text = message(scratch_database, "suspected")
        assert "found_content.c1" in text
        assert "CLEANUP_EXTRA_REFERENCES" not in text
        settings.CLEANUP_EXTRA_REFERENCES = ["found_content.c1"]
        with pytest.raises(PreflightFailed, match="shadow table"):
            DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()

    def test_stops_a_run(self, scratch_database, folder):
        execute(scratch_database, "CREATE TABLE shelf (id integer PRIMARY KEY, what text)")
        execute(scratch_database, "INSERT INTO shelf VALUES (1, %s)", folder)
        service = DatabaseCleanupService(using=scratch_database)
        for start in (service.cleanup_all_duplicate_folders, service.start_cleanup):
            with pytest.raises(PreflightFailed, match=r"shelf\.what"):
                start(**({"in_background": False} if start == service.start_cleanup else {}))
        assert "shelf" in json.dumps(service.preflight()["suspected"])

    def test_stops_no_undo(self, scratch_database):
        before = dump(scratch_database)
        made = tree(scratch_database, "stays:A, gone:A")
        with_folders = dump(scratch_database)
        service = DatabaseCleanupService(using=scratch_database)
        report = service.cleanup_all_duplicate_folders()
        execute(scratch_database, "CREATE TABLE shelf (id integer PRIMARY KEY, what text)")
        execute(scratch_database, "INSERT INTO shelf VALUES (1, %s)", made["stays"])
        service.rollback_cleanup(report.run_id)
        execute(scratch_database, "DROP TABLE shelf")
        assert before != dump(scratch_database) == with_folders


class TestACopyOfAFoldersOwnKey:
    @pytest.fixture
    def slugs(self, scratch_database, folder) -> str:
        """A text in the table of folders that holds each folder's key once more."""
        table, key = Folder.model._meta.db_table, Folder.model._meta.pk.column
        execute(scratch_database, f"ALTER TABLE {table} ADD slug text")
        execute(scratch_database, f"UPDATE {table} SET slug = CAST({key} AS text)")
        return table

    def test_is_no_reference(self, scratch_database, slugs):
        assert suspected(scratch_database) == []

    def test_hides_no_reference_beside_it(self, scratch_database, slugs, folder):
        key = Folder.model._meta.pk.column
        other = f"(SELECT slug FROM {slugs} WHERE {key} <> %s)"
        execute(scratch_database, f"UPDATE {slugs} SET slug = {other}", raw(scratch_database, folder))
        assert suspected(scratch_database) == [f"{slugs}.slug"]


class TestAnotherKeyOfFolders:
    """A number or a slug beside the key, which another table holds without a foreign key."""

    @pytest.fixture
    def numbered(self, scratch_database, folder):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN num integer")
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN slug varchar(40)")
        for number, key in enumerate(
            (key for (key,) in fetch(scratch_database, "SELECT :folders.key FROM :folders")), 7
        ):
            values = (number, f"f-{number}", raw(scratch_database, key))
            execute(scratch_database, "UPDATE :folders SET num = %s, slug = %s WHERE :folders.key = %s", *values)
        for column in ("num", "slug"):
            execute(scratch_database, f"CREATE UNIQUE INDEX one_{column} ON :folders ({column})")
        return scratch_database

    def shelf(self, database: str, column: str, *values: object, table: str = "shelf") -> None:
        execute(database, f"CREATE TABLE {table} (id integer PRIMARY KEY, {column})")
        for number, value in enumerate(values):
            execute(database, f"INSERT INTO {table} VALUES (%s, %s)", number, value)

    def test_is_suspect(self, numbered, settings):
        self.shelf(numbered, "folder_num integer", 7, 8)
        self.shelf(numbered, "target_slug varchar(40)", "f-7", "f-8", table="chest")
        columns = ["chest.target_slug", "shelf.folder_num"]
        assert sorted(suspected(numbered)) == columns
        texts = " ".join(messages(numbered, "suspected"))
        assert "chest.target_slug holds slug of " in texts
        assert "shelf.folder_num holds num of " in texts
        settings.CLEANUP_IGNORED_COLUMNS = columns
        assert suspected(numbered) == []

    @pytest.mark.only("postgresql")
    def test_moves_once_the_foreign_key_is_there_that_is_given(self, numbered):
        self.shelf(numbered, "folder_num integer", 7, 8)
        (remedy,) = re.findall(r"ALTER TABLE [^;]+;", message(numbered, "suspected"))
        execute(numbered, "ALTER TABLE :folders ADD CONSTRAINT num_is_a_key UNIQUE (num)")
        execute(numbered, remedy)
        assert suspected(numbered) == []
        DatabaseCleanupService(using=numbered).cleanup_all_duplicate_folders()
        assert len(set(fetch(numbered, "SELECT folder_num FROM shelf"))) == 1

    def test_is_not_suspect_otherwise(self, numbered):
        self.shelf(numbered, "folder_num integer", 7, 99, 98, table="of_others")  # most are no folder's
        self.shelf(numbered, "quantity integer", 7, 8, table="of_no_such_name")
        self.shelf(numbered, "slug varchar(40)", "f-7", "f-8", table="of_its_own")
        assert suspected(numbered) == []


class TestADocument:
    def test_of_json_is_suspect(self, scratch_database, folder):
        kind = "jsonb" if is_postgresql(scratch_database) else "text"
        columns = [f"settings_{number}" for number in range(len(spellings(folder)))]
        kinds = ", ".join(f"{column} {kind}" for column in columns)
        execute(scratch_database, f"CREATE TABLE prefs (id integer PRIMARY KEY, {kinds})")
        documents = [json.dumps({"upload": {"into": [spelled]}, "colour": "red"}) for spelled in spellings(folder)]
        execute(scratch_database, f"INSERT INTO prefs VALUES (1{', %s' * len(columns)})", *documents)
        assert sorted(suspected(scratch_database)) == [f"prefs.{column}" for column in columns]
        if kind == "jsonb":
            assert "CLEANUP_EXTRA_REFERENCES" not in " ".join(messages(scratch_database, "suspected"))

    @pytest.mark.only("postgresql")
    def test_of_a_list_is_suspect_until_it_is_a_reference(self, scratch_database, settings, folder):
        execute(scratch_database, "CREATE TABLE prefs (id integer PRIMARY KEY, watched uuid[], listed text[])")
        values = ", ".join(f"ARRAY[%s, gen_random_uuid()::text]::{kind}[]" for kind in ("uuid", "text"))
        execute(scratch_database, f"INSERT INTO prefs VALUES (1, {values})", folder, folder)
        assert sorted(suspected(scratch_database)) == ["prefs.listed", "prefs.watched"]
        told = " ".join(messages(scratch_database, "suspected"))
        entries = re.findall(r'Add "(\S+)" to CLEANUP_EXTRA_REFERENCES', told)
        assert len(entries) == 2
        settings.CLEANUP_EXTRA_REFERENCES = entries
        assert suspected(scratch_database) == []

    @pytest.mark.only("postgresql")
    def test_of_a_type_made_of_others_is_suspect(self, scratch_database, folder):
        key = key_type(scratch_database, Folder)
        execute(scratch_database, f"CREATE TYPE place AS (folder {key}, position integer)")
        execute(scratch_database, "CREATE DOMAIN shelf AS place")
        execute(
            scratch_database, f"CREATE TYPE drawers AS RANGE (subtype = {key}, multirange_type_name = several_drawers)"
        )
        values = {
            "place": "ROW(%s, 1)::place",
            "place[]": "ARRAY[ROW(%s, 1)::place]",
            "shelf": "ROW(%s, 1)::place",
            "drawers": "drawers(%s, %s, '[]')",
            "several_drawers": "several_drawers(drawers(%s, %s, '[]'))",
        }
        columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(values))
        execute(scratch_database, f"CREATE TABLE prefs (id integer PRIMARY KEY, {columns})")
        insert = f"INSERT INTO prefs VALUES (1, {', '.join(values.values())})"
        execute(scratch_database, insert, *[folder] * insert.count("%s"))
        assert sorted(suspected(scratch_database)) == [f"prefs.c{number}" for number in range(len(values))]
        assert "CLEANUP_EXTRA_REFERENCES" not in " ".join(messages(scratch_database, "suspected"))

    @pytest.mark.only("postgresql")
    def test_of_labels_is_suspect(self, scratch_database, folder):
        execute(scratch_database, "CREATE EXTENSION ltree")
        execute(scratch_database, "CREATE TABLE acl (id integer PRIMARY KEY, place ltree, other ltree)")
        labels = [f"top.{folder.replace('-', instead)}" for instead in ("", "_")]
        execute(scratch_database, "INSERT INTO acl VALUES (1, %s, %s)", *labels)
        assert sorted(suspected(scratch_database)) == ["acl.other", "acl.place"]

    def test_of_prose_is_a_warning(self, scratch_database, folder):
        execute(scratch_database, "CREATE TABLE log (id integer PRIMARY KEY, line text)")
        execute(scratch_database, "INSERT INTO log VALUES (1, %s)", f"Opened https://host/folders/{folder}/.")
        assert suspected(scratch_database) == []
        assert "log.line" in message(scratch_database, "mentioned")


class TestWhatCannotBeLookedAt:
    @pytest.mark.only("postgresql")
    def test_is_named(self, scratch_database, folder):
        execute(scratch_database, "CREATE TABLE shelf (id integer PRIMARY KEY, what text)")
        execute(scratch_database, "CREATE ROLE looker NOINHERIT")
        try:
            execute(scratch_database, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker")
            execute(scratch_database, "REVOKE ALL ON shelf FROM looker")
            references = discover(using=scratch_database)
            execute(scratch_database, "SET ROLE looker")
            looked = probe(using=scratch_database, references=references)
        finally:
            execute(scratch_database, "RESET ROLE")
            execute(scratch_database, "DROP OWNED BY looker")
            execute(scratch_database, "DROP ROLE looker")
        assert [(w.code, "public.shelf" in w.message) for w in looked.warnings] == [("unprobed", True)]


class TestTheProductsOwnTables:
    @pytest.mark.only("postgresql")
    def test_are_not_searched_in_whatever_schema(self, scratch_database, folder):
        execute(scratch_database, "CREATE SCHEMA tenant")
        execute(scratch_database, "CREATE TABLE tenant.cleanup_removedfolder (id int PRIMARY KEY, what uuid)")
        execute(scratch_database, "INSERT INTO tenant.cleanup_removedfolder VALUES (1, %s)", folder)
        assert suspected(scratch_database) == []


class TestSmallNumbers:
    @pytest.fixture
    def numbered(self, scratch_database, settings):
        """A host with forty folders, whose keys are 1 to 40."""
        for name, value in OWN_MODELS.items():
            setattr(settings, name, value)
        case = Case.objects.using(scratch_database).create()
        sections = [Section(pk=key, title=f"Docs {key}", case=case) for key in range(1, 41)]
        Section.objects.using(scratch_database).bulk_create(sections)
        return scratch_database

    def fill(self, using: str, columns: str, rows, *, table: str = "shelf") -> None:
        execute(using, f"CREATE TABLE {table} (id integer PRIMARY KEY, {columns})")
        for number, row in enumerate(rows, start=1000):
            execute(using, f"INSERT INTO {table} VALUES ({', '.join(['%s'] * (len(row) + 1))})", number, *row)

    def test_are_telling_where_nearly_all_are_folders(self, numbered):
        self.fill(numbered, "res_id integer", [(number,) for number in range(2, 40, 3)])
        assert suspected(numbered) == ["shelf.res_id"]

    def test_say_nothing_otherwise(self, numbered):
        for table, column, values in (
            ("handful", "res_id", range(1, 6)),
            ("all_low", "res_id", range(1, 15)),
            ("half_of_no_one", "res_id", range(2, 80, 3)),
            ("no_id", "quantity", range(2, 40, 3)),
            ("of_another_table", "case_id", range(2, 40, 3)),
        ):
            self.fill(numbered, f"{column} integer", [(number,) for number in values], table=table)
        assert suspected(numbered) == []

    def test_are_telling_where_another_column_names_folders(self, numbered):
        self.fill(numbered, "res_model text, res_id integer", [("app.Section", 3), *(("person", n) for n in range(99))])
        assert suspected(numbered) == ["shelf.res_id"]
        assert '{"res_model": "app.Section"}' in message(numbered, "suspected")

    def test_are_telling_where_nearly_all_of_one_kind_are_folders(self, numbered, settings):
        """A kind may be a number, whose meaning only the host knows."""
        rows = [*((1, number) for number in range(2, 41)), *((2, number) for number in range(20, 90))]
        self.fill(numbered, "mode integer, res_id integer", rows)
        assert suspected(numbered) == ["shelf.res_id"]
        (entry,) = re.findall(r"Add (\{.*\}) to CLEANUP_EXTRA_REFERENCES", message(numbered, "suspected"))
        settings.CLEANUP_EXTRA_REFERENCES = [ast.literal_eval(entry)]
        assert suspected(numbered) == []

    @pytest.mark.parametrize(
        "columns", ["content_type_id integer, object_id integer", "itemtype char(1), itemid integer"]
    )
    def test_are_telling_where_all_of_a_code_are_folders(self, numbered, columns):
        """Few rows are enough if they are of a kind that no word explains."""
        self.fill(numbered, columns, [("1", 38), ("1", 40), ("2", 38), ("2", 90)])
        kind, key = (column.split()[0] for column in columns.split(", "))
        assert suspected(numbered) == [f"shelf.{key}"]
        assert f'{{"{kind}": "1"}}' in message(numbered, "suspected")

    def test_say_nothing_in_few_rows_otherwise(self, numbered):
        for table, rows in {
            "word_that_is_not_the_folders": [("Post", 38), ("Post", 40), ("Photo", 90)],
            "of_one_kind": [("1", 38), ("1", 40)],
            "once": [("1", 38), ("2", 90)],
            "all_low": [("1", 3), ("1", 4), ("2", 90)],
        }.items():
            self.fill(numbered, "object_type text, object_id integer", rows, table=table)
        assert suspected(numbered) == []

    def test_are_telling_where_a_column_ends_like_the_folders_key(self, numbered, monkeypatch):
        rows = [*(("directory", number) for number in range(2, 41)), *(("person", number) for number in range(50, 90))]
        self.fill(numbered, "subject_type text, subject_no integer", rows)
        assert suspected(numbered) == []
        monkeypatch.setattr(Section._meta.pk, "column", "section_no")
        execute(numbered, f"ALTER TABLE {Section._meta.db_table} RENAME COLUMN id TO section_no")
        assert suspected(numbered) == ["shelf.subject_no"]
        assert '{"subject_type": "directory"}' in message(numbered, "suspected")

    def test_say_nothing_where_each_kind_is_like_the_others(self, numbered):
        rows = [(kind, number) for kind in (1, 2) for number in range(20, 90)]
        self.fill(numbered, "mode integer, res_id integer", rows)
        assert suspected(numbered) == []

    def test_say_nothing_beside_a_kind_that_is_about_another_column(self, numbered, settings):
        settings.CLEANUP_EXTRA_REFERENCES = {"shelf.res_id": {"res_model": "section"}}
        self.fill(
            numbered, "res_model text, res_id integer, partner_id integer", [("section", n, 7) for n in (1, 2, 3)]
        )
        assert found(numbered).problems == []

    def test_of_a_table_without_folders_say_nothing(self, numbered):
        Section.objects.using(numbered).all().delete()
        self.fill(numbered, "res_id integer", [(number,) for number in range(1, 40)])
        assert suspected(numbered) == []


class TestAnExtraReference:
    @pytest.fixture
    def numbered(self, scratch_database, settings):
        for name, value in OWN_MODELS.items():
            setattr(settings, name, value)
        settings.CLEANUP_EXTRA_REFERENCES = ["follower.res_id"]
        case = Case.objects.using(scratch_database).create()
        for key in (1, 2, 3, 4):
            Section.objects.using(scratch_database).create(pk=key, title="Docs", case=case)
        execute(scratch_database, "CREATE TABLE follower (id integer PRIMARY KEY, res_model text, res_id integer)")
        return scratch_database

    def fill(self, using: str, *rows: tuple[str, int]) -> None:
        for number, row in enumerate(rows):
            execute(using, "INSERT INTO follower VALUES (%s, %s, %s)", number, *row)

    def test_that_holds_rows_of_other_kinds_is_refused(self, numbered):
        self.fill(numbered, ("section", 1), ("section", 2), *(("person", n) for n in range(1, 201)))
        text = message(numbered, "other_kinds")
        assert "196 of 202" in text
        assert 'follower.res_id": {"res_model": "section"}}' in text

    def test_is_refused_though_all_its_rows_hold_folders_keys(self, numbered):
        self.fill(numbered, ("section", 1), ("person", 2))
        assert "0 of 2" in message(numbered, "other_kinds")

    def test_of_which_few_dangle_is_a_warning(self, numbered):
        self.fill(numbered, *(("section", n) for n in (1, 1, 2, 2, 3, 4, 99)))
        assert "1 of 7" in message(numbered, "dangling")
        assert found(numbered).problems == []

    def test_with_a_condition_is_right(self, numbered, settings):
        self.fill(numbered, ("section", 1), *(("person", n) for n in range(50)))
        settings.CLEANUP_EXTRA_REFERENCES = {"follower.res_id": {"res_model": "section"}}
        assert found(numbered).problems == []

    def test_of_uuids_is_only_warned_of(self, scratch_database, folder, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["note.entity_id"]
        execute(scratch_database, "CREATE TABLE note (id integer PRIMARY KEY, entity_id text)")
        for number, key in enumerate([folder, uuid.uuid4(), uuid.uuid4()]):
            execute(scratch_database, "INSERT INTO note VALUES (%s, %s)", number, str(key))
        assert "2 of 3" in message(scratch_database, "dangling")


class TestTheLook:
    def test_finds_nothing_in_an_ordinary_database(self, database):
        tree(database, "A(3)/B/C, A(2)/B(1)")
        looked = found(database)
        assert (looked.problems, looked.warnings) == ([], [])

    def test_takes_few_statements(self, scratch_database, folder):
        for number in range(60):
            execute(scratch_database, f"CREATE TABLE shelf_{number} (id integer PRIMARY KEY, what text)")
            execute(scratch_database, f"INSERT INTO shelf_{number} VALUES (1, 'x')")
        references = discover(using=scratch_database)
        with CaptureQueriesContext(connections[scratch_database]) as captured:
            probe(using=scratch_database, references=references)
        assert len(captured) < 30

    def test_writes_nothing(self, database):
        references = discover(using=database)
        with CaptureQueriesContext(connections[database]) as captured:
            probe(using=database, references=references)
        words = {query["sql"].lstrip().split()[0] for query in captured}
        assert words <= {"SELECT", "WITH", "PRAGMA", "BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"}
