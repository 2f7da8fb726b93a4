"""What the rows of the folder table say: path columns and states by their values."""

import ast
import re

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from cleanup.exceptions import PreflightFailed
from cleanup.references import discover, row_problems, row_warnings
from cleanup.services import DatabaseCleanupService
from tests.support.trees import drop_foreign_keys, dump, execute, fetch, key_type, label, raw, tree

FOREST = "Loan/{Docs/{Tax, Bank/Old}, Photos/Front}, Loan/{Docs/{Tax, Letters}, Mail}"

ANCESTORS = """
    WITH RECURSIVE walk(folder, spot) AS (
        SELECT :folders.key, CAST('' AS text) FROM :folders WHERE :folders.parent IS NULL
        UNION ALL
        SELECT f.:folders.key, {step} FROM walk AS w JOIN :folders AS f ON f.:folders.parent = w.folder)
    UPDATE :folders SET {column} = (SELECT {value} FROM walk AS w WHERE w.folder = :folders.:folders.key)"""

#: What a column may hold, as SQL of one step down from the parent, and of the value.
PATHS = {
    "keys of ancestors": ("w.spot || '/' || CAST(w.folder AS text)", "w.spot || '/'"),
    "keys with the own": ("w.spot || CAST(w.folder AS text) || '/'", "w.spot || CAST(w.folder AS text) || '/'"),
    "names": ("w.spot || '/' || f.:folders.name", "'root' || w.spot"),
    "a list": ("w.spot || ', \"' || CAST(w.folder AS text) || '\"'", "'[' || substr(w.spot, 3) || ']'"),
}


def add(database: str, definition: str) -> None:
    execute(database, f"ALTER TABLE :folders ADD COLUMN {definition}")


def fill(database: str, column: str, path: str) -> None:
    step, value = PATHS[path]
    execute(database, ANCESTORS.format(column=column, step=step, value=value))


def problems(database: str) -> list[tuple[str, str]]:
    found = row_problems(using=database, references=discover(using=database))
    return [(problem.code, problem.column) for problem in found]


def warnings(database: str) -> list[str]:
    return [warning.message for warning in row_warnings(using=database, references=discover(using=database))]


class TestPathColumns:
    def test_are_known_by_their_values(self, scratch_database):
        tree(scratch_database, FOREST)
        for number, path in enumerate(PATHS):
            add(scratch_database, f"spot_{number} text")
            fill(scratch_database, f"spot_{number}", path)
        expected = [("path_column", f"spot_{number}") for number in range(len(PATHS))]
        assert sorted(problems(scratch_database)) == expected

    def test_are_known_by_what_they_count(self, scratch_database):
        tree(scratch_database, "Loan/{Docs(2)/{Tax(1), Bank/Old(3)}, Photos/Front(1)}, Loan/{Docs/{Tax, Mail/In}}")
        folders = "(SELECT count(*) FROM :folders AS c WHERE c.:folders.parent = :folders.:folders.key)"
        files = "(SELECT count(*) FROM :files AS x WHERE x.:files.folder = :folders.:folders.key)"
        tallies = {"folders": folders, "files": files, "folders and files": f"{folders} + {files}"}
        for number, value in enumerate(tallies.values()):
            add(scratch_database, f"tally_{number} integer")
            execute(scratch_database, f"UPDATE :folders SET tally_{number} = {value}")
        found = row_problems(using=scratch_database, references=discover(using=scratch_database))
        told = {problem.column: (problem.code, problem.message) for problem in found}
        assert told.keys() == {f"tally_{number}" for number in range(len(tallies))}
        for number, what in enumerate(tallies):
            code, message = told[f"tally_{number}"]
            assert code == "path_column"
            assert f"it is how many {what} lie in it" in message

    @pytest.mark.only("postgresql")
    @pytest.mark.mapped_models("the key is a UUID")
    def test_count_files_that_name_their_folder_in_a_text(self, scratch_database):
        tree(scratch_database, "Loan/{Docs(2)/{Tax(1), Bank/Old(3)}, Photos/Front(1), Mail(1)}")
        drop_foreign_keys(scratch_database)
        execute(scratch_database, "ALTER TABLE files ALTER COLUMN folder_id TYPE varchar(36)")
        add(scratch_database, "tally integer")
        count = "(SELECT count(*) FROM files AS x WHERE x.folder_id = folders.id::text)"
        execute(scratch_database, f"UPDATE folders SET tally = {count}")
        assert problems(scratch_database) == [("path_column", "tally")]

    @pytest.mark.parametrize(("policy", "found"), [("merge", False), ("nest", True)])
    def test_are_depths_where_root_folders_are_nested(self, scratch_database, settings, policy, found):
        settings.CLEANUP_DIFFERENT_ROOTS = policy
        add(scratch_database, "level integer")
        of_catalogue = {(problem.code, problem.column) for problem in discover(using=scratch_database).problems}
        assert (("path_column", "level") in of_catalogue) == found

    def test_are_not_numbers_that_count_something_else(self, scratch_database):
        tree(scratch_database, FOREST)
        add(scratch_database, "tally integer")
        execute(scratch_database, "UPDATE :folders SET tally = length(:folders.name)")
        add(scratch_database, "opened integer DEFAULT 0")
        add(scratch_database, "never integer")
        assert problems(scratch_database) == []

    def test_stop_a_run_before_it_starts(self, scratch_database):
        tree(scratch_database, FOREST)
        add(scratch_database, "location text")
        fill(scratch_database, "location", "keys of ancestors")
        before = dump(scratch_database)
        with pytest.raises(PreflightFailed, match=r"location looks like a path .*\(it holds the parent's key"):
            DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        assert dump(scratch_database) == before

    @pytest.mark.parametrize("setting", ["CLEANUP_IGNORED_COLUMNS", "CLEANUP_EXTRA_REFERENCES", "CLEANUP_TREE_HOOK"])
    def test_are_passed_over_where_a_setting_says_so(self, scratch_database, settings, setting):
        tree(scratch_database, FOREST)
        add(scratch_database, "spot text")
        fill(scratch_database, "spot", "keys of ancestors")
        entry = [f"{label(scratch_database, ':folders')}.spot"]
        setattr(settings, setting, "tests.hostapp.paths.rebuild" if setting == "CLEANUP_TREE_HOOK" else entry)
        assert problems(scratch_database) == []

    def test_give_the_entry_to_paste(self, scratch_database, settings):
        tree(scratch_database, FOREST)
        add(scratch_database, '"my Spot" text')
        fill(scratch_database, '"my Spot"', "names")
        (found,) = row_problems(using=scratch_database, references=discover(using=scratch_database))
        settings.CLEANUP_IGNORED_COLUMNS = re.findall(r'"([^"]*\.my Spot)"', found.message)
        assert len(settings.CLEANUP_IGNORED_COLUMNS) == 1
        assert DatabaseCleanupService(using=scratch_database).preflight()["ok"]

    def test_are_two_where_numbers_are_nested(self, scratch_database):
        made = tree(scratch_database, FOREST)
        for column in ("first_one", "last_one"):
            add(scratch_database, f"{column} integer")
        _number(scratch_database, made.application)
        assert problems(scratch_database) == [("path_column", "first_one, last_one")]

    @pytest.mark.only("postgresql")
    def test_are_known_in_other_types(self, scratch_database):
        tree(scratch_database, FOREST)
        add(scratch_database, "plain text")
        fill(scratch_database, "plain", "a list")
        kinds = ("text[]", "jsonb", "json", "varchar(1000)")
        for number, kind in enumerate(kinds):
            value = {"text[]": "ARRAY(SELECT jsonb_array_elements_text(plain::jsonb))"}.get(kind, f"plain::{kind}")
            add(scratch_database, f"spot_{number} {kind}")
            execute(scratch_database, f"UPDATE :folders SET spot_{number} = {value}")
        execute(scratch_database, "ALTER TABLE :folders DROP COLUMN plain")
        expected = [("path_column", f"spot_{number}") for number in range(len(kinds))]
        assert sorted(problems(scratch_database)) == expected

    def test_are_not_what_says_nothing_of_the_tree(self, scratch_database):
        tree(scratch_database, FOREST)
        own_key = "'urn:' || CAST(:folders.key AS text)"
        for number, value in enumerate((":folders.name", "lower(:folders.name)", own_key, "'2020-01-01'", "''")):
            add(scratch_database, f"spot_{number} text")
            execute(scratch_database, f"UPDATE :folders SET spot_{number} = {value}")
        assert problems(scratch_database) == []

    def test_cost_nothing_where_there_is_no_further_column(self, database, settings):
        found = discover(using=database)
        settings.CLEANUP_IGNORED_COLUMNS = [  # a key of text might be a path
            f"{label(database, ':folders')}.{column}" for column in {*found.further_columns, found.folder_key.name}
        ]
        references = discover(using=database)
        with CaptureQueriesContext(connections[database]) as captured:
            row_problems(using=database, references=references)
        assert not [query for query in captured if "JOIN" in query["sql"]]

    @pytest.mark.only("postgresql")
    def test_are_not_looked_for_by_a_role_that_may_not(self, scratch_database):
        tree(scratch_database, FOREST)
        add(scratch_database, "spot text")
        execute(scratch_database, "CREATE ROLE looker_on")
        try:
            execute(scratch_database, "SET ROLE looker_on")
            answer = DatabaseCleanupService(using=scratch_database).preflight()
            assert "privilege" in {problem["code"] for problem in answer["problems"]}
        finally:
            execute(scratch_database, "RESET ROLE")
            execute(scratch_database, "DROP ROLE looker_on")


def _number(database: str, application: str) -> None:
    """Number the folders of an application as nested sets do."""
    rows = fetch(database, "SELECT :folders.key, :folders.parent FROM :folders ORDER BY :folders.key")
    below: dict = {}
    for key, parent in rows:
        below.setdefault(parent, []).append(key)
    count = 0

    def walk(folder: object) -> None:
        nonlocal count
        count += 1
        first = count
        for child in below.get(folder, ()):
            walk(child)
        count += 1
        execute(
            database, "UPDATE :folders SET first_one = %s, last_one = %s WHERE :folders.key = %s", first, count, folder
        )

    for root in below[None]:
        walk(root)


class TestMarksOfDeletion:
    @pytest.mark.parametrize(
        ("definition", "live"),
        [
            ('"isDeleted" boolean NOT NULL DEFAULT false', '{"isDeleted": False}'),
            ('"deletedAt" timestamp NULL', '{"deletedAt": None}'),
            ("in_trash integer NOT NULL DEFAULT 0", '{"in_trash": 0}'),
            ("deleted char(1) NOT NULL DEFAULT 'N'", '{"deleted": "N"}'),
            ("removed_on date NOT NULL DEFAULT '9999-12-31'", '{"removed_on": "9999-12-31"}'),
        ],
    )
    def test_are_answered_by_the_setting_that_is_given(self, scratch_database, settings, definition, live):
        undecided(scratch_database, settings)
        tree(scratch_database, FOREST)
        add(scratch_database, definition)
        (found,) = [p for p in discover(using=scratch_database).problems if p.code == "soft_delete"]
        assert f"CLEANUP_FOLDER_LIVE = {live}, or" in found.message
        settings.CLEANUP_FOLDER_LIVE = ast.literal_eval(live)
        report = DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders(dry_run=True)
        assert (report.total_applications, report.failed_cleanups) == (1, 0)


class TestTablesThatListDeletedFolders:
    @pytest.fixture
    def gone(self, scratch_database, settings):
        """The folder that a cleanup removes, as a value."""
        undecided(scratch_database, settings)
        return raw(scratch_database, tree(scratch_database, "stays:A, gone:A")["gone"])

    def listed(self, database: str, definition: str, *cells: object) -> None:
        name, _, further = definition.partition(" ")
        execute(database, f"CREATE TABLE {name} (folder {key_type(database)} PRIMARY KEY REFERENCES :folders{further})")
        if cells:
            execute(database, f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(cells))})", *cells)

    def soft_deletes(self, database: str) -> list[str]:
        return [problem["message"] for problem in DatabaseCleanupService(using=database).preflight()["problems"]]

    def test_stop_a_run_until_it_is_decided(self, scratch_database, settings, gone):
        self.listed(scratch_database, "trash", gone)
        self.listed(scratch_database, "deleted_folders , at timestamp", gone, None)
        self.listed(scratch_database, "folder_state , deleted_at timestamp", gone, "2024-01-01")
        messages = self.soft_deletes(scratch_database)
        assert len(messages) == 3
        for table in ("trash", "deleted_folders", "folder_state"):
            assert f"{table} says which folders are deleted (folder)" in " ".join(messages)
        with pytest.raises(PreflightFailed, match="says which folders are deleted"):
            DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        settings.CLEANUP_FOLDER_LIVE = None
        assert self.soft_deletes(scratch_database) == []

    def test_are_no_tables_of_other_things(self, scratch_database, gone):
        self.listed(scratch_database, "folder_state , deleted_at timestamp", gone, None)
        self.listed(scratch_database, "folder_settings , colour text", gone, "red")
        assert self.soft_deletes(scratch_database) == []

    @pytest.mark.usefixtures("gone")
    def test_say_nothing_while_they_are_empty(self, scratch_database):
        self.listed(scratch_database, "trash")
        assert self.soft_deletes(scratch_database) == []

    def test_have_one_row_for_each_folder(self, scratch_database, gone):
        columns = f"id integer PRIMARY KEY, folder {key_type(scratch_database)} REFERENCES :folders"
        execute(scratch_database, f"CREATE TABLE removed ({columns})")
        execute(scratch_database, "INSERT INTO removed VALUES (1, %s)", gone)
        assert self.soft_deletes(scratch_database) == []


def undecided(database: str, settings) -> None:
    """Leave it open which folders are live, and pass over what marks them in the models of the tests."""
    settings.CLEANUP_FOLDER_LIVE = None
    del settings.CLEANUP_FOLDER_LIVE
    settings.CLEANUP_IGNORED_COLUMNS = [f"{p.table}.{p.column}" for p in discover(using=database).problems]


class TestStates:
    @pytest.fixture(autouse=True)
    def undecided(self, scratch_database, settings):
        undecided(scratch_database, settings)

    def test_that_say_deleted_are_warned_of(self, scratch_database):
        tree(scratch_database, FOREST)
        add(scratch_database, "status varchar(20) DEFAULT 'ACTIVE'")
        assert warnings(scratch_database) == []
        execute(scratch_database, "UPDATE :folders SET status = 'TRASHED' WHERE :folders.name = 'Photos'")
        (message,) = warnings(scratch_database)
        assert 'status holds "ACTIVE" (11), "TRASHED" (1)' in message
        assert 'CLEANUP_FOLDER_LIVE = {"status": "ACTIVE"}' in message

    def test_of_a_switch_are_warned_of_where_folders_differ(self, scratch_database):
        tree(scratch_database, FOREST)
        add(scratch_database, "is_active boolean DEFAULT true")
        assert warnings(scratch_database) == []
        execute(scratch_database, "UPDATE :folders SET is_active = false WHERE :folders.name = 'Photos'")
        (message,) = warnings(scratch_database)
        assert 'CLEANUP_FOLDER_LIVE = {"is_active": True}' in message

    @pytest.mark.parametrize("setting", ["CLEANUP_IGNORED_COLUMNS", "CLEANUP_FOLDER_LIVE"])
    def test_are_passed_over_where_a_setting_says_so(self, scratch_database, settings, setting):
        tree(scratch_database, FOREST)
        add(scratch_database, "status varchar(20) DEFAULT 'deleted'")
        entry = [f"{label(scratch_database, ':folders')}.status"]
        setattr(settings, setting, None if setting == "CLEANUP_FOLDER_LIVE" else entry)
        assert warnings(scratch_database) == []

    @pytest.mark.only("postgresql")
    def test_of_a_type_are_known_by_its_labels(self, scratch_database):
        execute(scratch_database, "CREATE TYPE folder_kind AS ENUM ('live', 'archived')")
        execute(scratch_database, "CREATE DOMAIN kind_of_folder AS folder_kind")
        add(scratch_database, "kind kind_of_folder")
        (message,) = warnings(scratch_database)
        assert 'its type knows "live", "archived"' in message
