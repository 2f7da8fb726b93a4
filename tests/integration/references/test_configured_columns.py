"""Columns that settings name: conditions, patterns, names in quotes, and discovered ones that are left alone."""

import pytest

from cleanup.references import discover
from cleanup.services import DatabaseCleanupService
from tests.hostapp.models import OWN_MODELS, Case, Section, Watch
from tests.support.model_roles import Folder
from tests.support.trees import dump, execute, fetch, key_type, tree


def messages(using: str, code: str) -> list[str]:
    return [problem.message for problem in discover(using=using).problems if problem.code == code]


def sources(using: str, table: str) -> list[str]:
    return [r.source for r in discover(using=using).references if r.table.name == table]


def clean(using: str):
    """Merge all that there is; nothing may fail."""
    report = DatabaseCleanupService(using=using).cleanup_all_duplicate_folders()
    assert report.failed_cleanups == 0
    return report


def findings(using: str) -> int:
    answer = DatabaseCleanupService(using=using).verify_cleanup_integrity()
    return answer["counts"].get("dangling_reference", 0)


@pytest.fixture
def numbered(scratch_database, settings):
    """A host whose folders have small numbers for keys, 2 a duplicate of 1, and rows that follow people and folders."""
    for name, value in OWN_MODELS.items():
        setattr(settings, name, value)
    case = Case.objects.using(scratch_database).create()
    for key in (1, 2):
        Section.objects.using(scratch_database).create(pk=key, title="Docs", case=case)
    execute(
        scratch_database,
        "CREATE TABLE follower (id integer PRIMARY KEY, kind varchar(20), res_id integer, who integer,"
        " UNIQUE (kind, res_id, who))",
    )
    execute(scratch_database, "INSERT INTO follower VALUES (1, 'section', 1, 7), (2, 'section', 2, 8)")
    people = ", ".join(f"({number + 10}, 'person', {number}, 8)" for number in range(1, 41))
    execute(scratch_database, f"INSERT INTO follower VALUES {people}")
    return scratch_database


CONDITION = {"follower.res_id": {"kind": "section"}}


class TestAConditionalReference:
    def test_announces_and_moves_rows_about_folders_alone_and_is_undone_exactly(self, numbered, settings):
        settings.CLEANUP_EXTRA_REFERENCES = CONDITION
        before = dump(numbered)
        people = fetch(numbered, "SELECT * FROM follower WHERE kind = 'person' ORDER BY id")
        report = DatabaseCleanupService(using=numbered).cleanup_all_duplicate_folders(dry_run=True)
        moved = report.results[0].details["moved"]
        assert [count for table, count in moved.items() if table.endswith("follower")] == [1]
        run = clean(numbered).run_id
        assert fetch(numbered, "SELECT res_id FROM follower WHERE kind = 'section' ORDER BY id") == [(1,), (1,)]
        assert fetch(numbered, "SELECT * FROM follower WHERE kind = 'person' ORDER BY id") == people
        assert findings(numbered) == 0, "a row of another kind is no dangling one"
        DatabaseCleanupService(using=numbered).rollback_cleanup(run)
        assert dump(numbered) == before

    def test_reports_rows_about_folders_as_dangling(self, numbered, settings):
        settings.CLEANUP_EXTRA_REFERENCES = CONDITION
        execute(numbered, "INSERT INTO follower VALUES (3, 'section', 99, 9), (4, 'person', 99, 9)")
        assert findings(numbered) == 1

    def test_takes_numbers_lists_nulls_and_several_columns(self, numbered, settings):
        execute(numbered, "ALTER TABLE follower ADD COLUMN mode integer")
        execute(numbered, "UPDATE follower SET mode = 1 WHERE kind = 'section'")
        settings.CLEANUP_EXTRA_REFERENCES = [
            {"follower.res_id": {"kind": ["section", "it's 100%"], "mode": [1, None], "who": (7, 8, 9)}}
        ]
        execute(numbered, "INSERT INTO follower VALUES (3, 'section', 2, 9, 2), (4, 'section', 2, 7, NULL)")
        execute(numbered, "UPDATE follower SET who = 6 WHERE id = 1")
        clean(numbered)
        rows = fetch(numbered, "SELECT id, res_id FROM follower WHERE kind = 'section' ORDER BY id")
        assert rows == [(1, 1), (2, 1), (3, 2), (4, 1)]
        assert findings(numbered) == 0

    def test_gives_way_to_a_row_of_another_kind_where_the_key_does_not_know_kinds(self, numbered, settings):
        settings.CLEANUP_EXTRA_REFERENCES = {"seat.res_id": {"kind": "section"}}
        execute(numbered, "CREATE TABLE seat (id integer PRIMARY KEY, kind varchar(20), res_id integer UNIQUE)")
        execute(numbered, "INSERT INTO seat VALUES (1, 'person', 1), (2, 'section', 2)")
        settings.CLEANUP_IGNORED_COLUMNS = ["follower.res_id"]
        report = DatabaseCleanupService(using=numbered).cleanup_all_duplicate_folders(dry_run=True)
        assert [result.error_code for result in report.results] == ["collision"]

    @pytest.mark.parametrize(
        ("condition", "message"), [({"nowhere": 1}, "which is not a column of the table"), ({"kind": "person"}, None)]
    )
    def test_names_columns_that_are_there(self, numbered, settings, condition, message):
        settings.CLEANUP_EXTRA_REFERENCES = {"follower.res_id": condition}
        found = messages(numbered, "misconfigured")
        assert [message in text for text in found] == ([True] if message else [])

    def test_stands_beside_no_foreign_key(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = {"hostapp_bookmark.folder_id": {"id": 1}}
        (text,) = messages(scratch_database, "misconfigured")
        assert "Remove the condition" in text

    def test_replaces_what_a_model_says(self, database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = {"hostapp_note.object_id": {"text": "moves"}}
        (reference,) = [r for r in discover(using=database).references if r.table.name == "hostapp_note"]
        assert (reference.source, reference.condition.columns) == ("setting", ("text",))


class TestAPattern:
    @pytest.fixture
    def shares(self, scratch_database):
        for table in ("a_shares", "b_shares"):
            column = key_type(scratch_database, Folder)
            execute(scratch_database, f"CREATE TABLE {table} (id integer PRIMARY KEY, folder_id {column})")
        return scratch_database

    def test_names_every_column_that_it_covers(self, shares, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["*_shares.folder_id"]
        assert (sources(shares, "a_shares"), sources(shares, "b_shares")) == (["setting"], ["setting"])
        assert discover(using=shares).problems == ()

    def test_ignores_every_column_that_it_covers(self, shares, settings):
        settings.CLEANUP_IGNORED_COLUMNS = ["*_shares.folder_id"]
        assert sources(shares, "a_shares") == []
        assert discover(using=shares).problems == ()

    def test_takes_a_condition(self, shares, settings):
        settings.CLEANUP_EXTRA_REFERENCES = {"*.?_shares.folder_id": {"id": [1, 2]}}
        conditions = [r.condition for r in discover(using=shares).references if r.table.name.endswith("_shares")]
        assert [condition.columns for condition in conditions] == [("id",), ("id",)]

    def test_that_covers_nothing_is_reported(self, shares, settings):
        settings.CLEANUP_IGNORED_COLUMNS = ["*_shares.*", "*.nowhere_*"]
        assert messages(shares, "misconfigured") == [
            "CLEANUP_IGNORED_COLUMNS has *.nowhere_*, which matches no column."
        ]

    @pytest.mark.only("postgresql")
    def test_covers_many_schemas(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["*.shares.folder_id"]
        for schema in ("one", "two"):
            execute(scratch_database, f"CREATE SCHEMA {schema}")
            execute(scratch_database, f"CREATE TABLE {schema}.shares (id int PRIMARY KEY, folder_id uuid)")
        assert sources(scratch_database, "shares") == ["setting", "setting"]


class TestANameThatIsOffered:
    TABLES = ("staff", "the.staff", 'sta"ff', "100%", "Staff List", "sta*ff")
    COLUMNS = ("homeFolderId", "the.folder", 'fol"folder', "Folder No")

    def test_can_be_pasted(self, scratch_database, settings):
        tables, columns = ([self.quoted(name) for name in names] for names in (self.TABLES, self.COLUMNS))
        keys = ", ".join(f"{column} {key_type(scratch_database, Folder)}" for column in columns)
        for table in tables:
            execute(scratch_database, f"CREATE TABLE {table} (id integer PRIMARY KEY, {keys})")
        offers = messages(scratch_database, "suspected")
        entries = [eval(text.partition(" Add ")[2].partition(" to CLEANUP_EXTRA")[0]) for text in offers]
        assert len(set(entries)) == len(tables) * len(columns)
        settings.CLEANUP_EXTRA_REFERENCES = entries
        for table in self.TABLES:
            assert sources(scratch_database, table) == ["setting"] * len(columns)
        assert discover(using=scratch_database).problems == ()

    def quoted(self, name: str) -> str:
        return '"{}"'.format(name.replace('"', '""').replace("%", "%%"))

    def test_may_be_quoted_by_hand(self, scratch_database, settings):
        execute(
            scratch_database,
            f'CREATE TABLE staff (id integer PRIMARY KEY, "homeFolderId" {key_type(scratch_database)})',
        )
        settings.CLEANUP_EXTRA_REFERENCES = ['staff."homeFolderId"']
        assert sources(scratch_database, "staff") == ["setting"]


class TestAnIgnoredColumn:
    def test_may_be_a_generic_reference(self, database, settings):
        settings.CLEANUP_IGNORED_COLUMNS = ["hostapp_note.object_id"]
        assert sources(database, "hostapp_note") == []
        assert discover(using=database).problems == ()

    def test_may_be_a_relation_without_a_foreign_key(self, database, settings):
        settings.CLEANUP_IGNORED_COLUMNS = ["hostapp_watch.watched_id"]
        assert sources(database, "hostapp_watch") == []

    def test_that_dangles_is_no_finding(self, database, settings):
        settings.CLEANUP_IGNORED_COLUMNS = ["hostapp_watch.watched_id"]
        made = tree(database, "stays:A, gone:A")
        Watch.objects.using(database).create(watched_id=made["gone"])
        clean(database)
        assert findings(database) == 0

    def test_may_not_be_a_foreign_key(self, database, settings):
        settings.CLEANUP_IGNORED_COLUMNS = ["hostapp_bookmark.folder_id"]
        (text,) = messages(database, "misconfigured")
        assert "foreign key" in text
        assert "cannot be ignored" in text

    def test_may_not_be_the_parent_of_folders(self, database, settings):
        settings.CLEANUP_IGNORED_COLUMNS = ["folders.parent_id"]
        (text,) = messages(database, "misconfigured")
        assert "cannot be ignored" in text


class TestTheHostsOwnWords:
    @pytest.fixture(autouse=True)
    def own_models(self, settings):
        for name, value in OWN_MODELS.items():
            setattr(settings, name, value)

    def shelve(self, database: str, names: list[str]) -> None:
        columns = ", ".join(f'"{name}" integer' for name in names)
        execute(database, f"CREATE TABLE shelf (id integer PRIMARY KEY, {columns})")

    def test_make_columns_suspect(self, scratch_database):
        names = [
            *("section", "section_id", "homeSectionId", "SECTIONS", "old section no", "sectionid"),
            *("dir_id", "directory"),
        ]
        self.shelve(scratch_database, names)
        suspects = [p.column for p in discover(using=scratch_database).problems if p.code == "suspected"]
        assert sorted(suspects) == sorted(names)

    def test_are_not_seen_in_others(self, scratch_database):
        self.shelve(scratch_database, ["section_count", "intersection", "sort_dir", "director_id", "parent_id"])
        assert discover(using=scratch_database).problems == ()


class TestTheProductsOwnTables:
    @pytest.mark.only("postgresql")
    def test_are_never_suspect_in_whatever_schema(self, scratch_database):
        execute(scratch_database, "CREATE SCHEMA tenant")
        execute(scratch_database, "CREATE TABLE tenant.cleanup_removedfolder (id int PRIMARY KEY, folder_id uuid)")
        assert discover(using=scratch_database).problems == ()
