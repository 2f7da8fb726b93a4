"""Rows that would break a rule of their table when folders are replaced: foreseen, settled or refused, and undone.

Each test says what a dry run announces, that the cleanup does just that, and that undoing it brings every row back.
"""

import itertools
import random
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import pytest
from django.db import IntegrityError, transaction

from cleanup import exceptions
from cleanup.numbering import free_name, free_number, loose
from cleanup.services import DatabaseCleanupService
from cleanup.services.merging import targets
from tests.support.model_roles import Application, File
from tests.support.trees import Tree, dump, execute, fetch, is_postgresql, key_type, label, named, raw, tree


@dataclass
class Outcome:
    """What became of each application, as announced and as done."""

    results: dict
    rows: dict[str, list[str]]
    """Every table after the cleanup."""

    def status(self, made) -> str:
        return self.results[made.application].status

    def details(self, made) -> dict:
        return dict(self.results[made.application].details)

    def message(self, made) -> str:
        return self.results[made.application].error_message


def _told(result) -> tuple:
    details = {name: value for name, value in result.details.items() if name != "differing_columns"}
    return result.status, result.folders_removed, result.files_moved, result.references_moved, details


def cleaned_and_undone(database: str) -> Outcome:
    """Announce, clean up, compare, undo, compare."""
    service = DatabaseCleanupService(using=database)
    before = dump(database)
    announced = service.cleanup_all_duplicate_folders(dry_run=True)
    assert dump(database) == before
    report = service.cleanup_all_duplicate_folders()
    after = dump(database)
    told, done = ({r.application_id: _told(r) for r in each.results} for each in (announced, report))
    assert told == done
    if report.successful_cleanups:
        assert service.rollback_cleanup(report.run_id).exact
        assert dump(database) == before
    return Outcome({r.application_id: r for r in report.results}, after)


def make(database: str, *statements: str) -> None:
    """Execute statements: ``$key`` is the type of a folder's key."""
    for statement in statements:
        execute(database, statement.replace("$key", key_type(database)))


def link(database: str, table: str, made, *rows: tuple) -> None:
    """Insert rows: a text that is a label is that folder's key."""
    for row in rows:
        cells = [raw(database, made[cell]) if cell in made.keys else cell for cell in row]
        execute(database, f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(cells))})", *cells)


PAIR = "source $key NOT NULL REFERENCES :folders, target $key NOT NULL REFERENCES :folders"


class TestTwoColumnsOfOneRow:
    def test_that_become_a_twin_of_a_row_that_stays_or_of_each_other(self, scratch_database):
        make(scratch_database, f"CREATE TABLE link ({PAIR}, PRIMARY KEY (source, target))")
        made, other = (
            tree(scratch_database, "stays:A, gone:A"),
            tree(scratch_database, "A/{stays:B, one:B, two:B, c:C}"),
        )
        link(scratch_database, "link", made, ("stays", "stays"), ("gone", "gone"), ("gone", "stays"))
        link(scratch_database, "link", other, ("one", "c"), ("two", "c"), ("c", "one"))
        found = cleaned_and_undone(scratch_database)
        assert len(found.rows["link"]) == 3
        table = label(scratch_database, "link")
        assert [found.details(each)["removed"] for each in (made, other)] == [{table: 2}, {table: 1}]

    def test_of_a_closure_table_leave_the_closure_of_the_tree(self, scratch_database):
        make(
            scratch_database,
            "CREATE TABLE paths (above $key NOT NULL REFERENCES :folders ON DELETE CASCADE,"
            " below $key NOT NULL REFERENCES :folders ON DELETE CASCADE, depth integer NOT NULL,"
            " PRIMARY KEY (above, below))",
        )
        made = tree(scratch_database, "A/{B/C, D}, A/{B/{C, E}, D/F}")
        closure = (
            "WITH RECURSIVE c AS (SELECT :folders.key AS a, :folders.key AS d, 0 AS depth FROM :folders UNION ALL"
            " SELECT c.a, f.:folders.key, c.depth + 1 FROM c JOIN :folders AS f ON f.:folders.parent = c.d)"
            " SELECT a, d, depth FROM c"
        )
        execute(scratch_database, f"INSERT INTO paths {closure}")
        service = DatabaseCleanupService(using=scratch_database)
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        assert sorted(fetch(scratch_database, "SELECT * FROM paths")) == sorted(fetch(scratch_database, closure))
        service.rollback_cleanup(point)
        assert sorted(fetch(scratch_database, "SELECT * FROM paths")) == sorted(fetch(scratch_database, closure))
        assert cleaned_and_undone_again(scratch_database)

    def test_do_not_meet_their_own_row_in_a_rule_of_the_other_column(self, scratch_database):
        make(scratch_database, f"CREATE TABLE link (id integer PRIMARY KEY, {PAIR}, UNIQUE (target, id))")
        made = tree(scratch_database, "A/stays:B, gone:A")
        link(scratch_database, "link", made, (1, "gone", "stays"), (2, "stays", "gone"))
        assert cleaned_and_undone(scratch_database).status(made) == "completed"

    def test_become_twins_whatever_is_computed_from_them(self, scratch_database):
        computed = "pair text GENERATED ALWAYS AS (CAST(source AS text) || CAST(target AS text)) STORED"
        make(scratch_database, f"CREATE TABLE link ({PAIR}, {computed}, PRIMARY KEY (source, target))")
        made = tree(scratch_database, "stays:A, gone:A")
        for which in ("stays", "gone"):
            key = raw(scratch_database, made[which])
            execute(scratch_database, "INSERT INTO link (source, target) VALUES (%s, %s)", key, key)
        assert cleaned_and_undone(scratch_database).details(made)["removed"] == {label(scratch_database, "link"): 1}

    def test_with_other_contents_are_refused(self, scratch_database):
        make(scratch_database, f"CREATE TABLE link ({PAIR}, since integer, PRIMARY KEY (source, target))")
        made = tree(scratch_database, "stays:A, gone:A")
        link(scratch_database, "link", made, ("stays", "stays", 1), ("gone", "gone", 2))
        found = cleaned_and_undone(scratch_database)
        assert found.status(made) == "failed"
        table = label(scratch_database, "link")
        assert f'CLEANUP_COLLISIONS = {{"{table}": "keep_survivor"}}' in found.message(made)

    def test_that_something_references_are_refused_for_good(self, scratch_database):
        make(
            scratch_database,
            f"CREATE TABLE link (id integer PRIMARY KEY, {PAIR}, UNIQUE (source, target))",
            "CREATE TABLE remark (id integer PRIMARY KEY, link_id integer REFERENCES link)",
        )
        made = tree(scratch_database, "stays:A, gone:A")
        link(scratch_database, "link", made, (1, "stays", "stays"), (2, "gone", "gone"))
        execute(scratch_database, "INSERT INTO remark VALUES (1, 2)")
        found = cleaned_and_undone(scratch_database)
        assert found.status(made) == "failed"
        assert "CLEANUP_COLLISIONS" not in found.message(made)


def cleaned_and_undone_again(database: str) -> bool:
    """Clean up what is on hold since it was undone."""
    execute(database, "DELETE FROM cleanup_hold")
    return bool(cleaned_and_undone(database))


class TestRules:
    def test_of_a_column_that_names_folders_by_another_key_which_they_do_not_have(self, scratch_database):
        make(
            scratch_database,
            "ALTER TABLE :folders ADD COLUMN code text",
            "CREATE UNIQUE INDEX one_code ON :folders (code)",
            "CREATE TABLE pin (id integer PRIMARY KEY, subject $key REFERENCES :folders,"
            " code text UNIQUE REFERENCES :folders (code))",
        )
        made = tree(scratch_database, "stays:A, gone:A")
        link(scratch_database, "pin", made, (1, "gone", None))
        assert cleaned_and_undone(scratch_database).status(made) == "completed"

    def test_a_check_between_two_columns_also_where_it_names_its_own_table(self, scratch_database):
        for table, check in (("link", "source <> target"), ("bond", "bond.source <> bond.target")):
            make(scratch_database, f"CREATE TABLE {table} ({PAIR}, PRIMARY KEY (source, target), CHECK ({check}))")
        made, bound = tree(scratch_database, "stays:A, gone:A"), tree(scratch_database, "stays:A, gone:A")
        other = tree(scratch_database, "A/{a:B, b:C}, A")
        link(scratch_database, "link", made, ("stays", "gone"))
        link(scratch_database, "bond", bound, ("stays", "gone"))
        link(scratch_database, "link", other, ("a", "b"))
        found = cleaned_and_undone(scratch_database)
        assert [found.status(each) for each in (made, bound, other)] == ["failed", "failed", "completed"]
        assert "check" in found.message(made)
        assert "check" in found.message(bound)

    @pytest.mark.only("postgresql")
    def test_a_check_that_was_never_validated(self, scratch_database):
        make(scratch_database, "CREATE TABLE pin (id integer PRIMARY KEY, subject $key REFERENCES :folders, n integer)")
        made, free = tree(scratch_database, "stays:A, gone:A"), tree(scratch_database, "stays:A, gone:A")
        link(scratch_database, "pin", made, (1, "gone", 0))
        link(scratch_database, "pin", free, (2, "stays", 0), (3, "gone", 1))
        make(scratch_database, "ALTER TABLE pin ADD CONSTRAINT positive CHECK (n > 0) NOT VALID")
        found = cleaned_and_undone(scratch_database)
        assert (found.status(made), found.status(free)) == ("failed", "completed")
        assert "1 row of public.pin would break the check positive." in found.message(made)

    def test_a_check_that_a_row_breaks_can_cost_it_its_place(self, scratch_database, settings):
        settings.CLEANUP_COLLISIONS = {"link": "keep_survivor"}
        make(scratch_database, f"CREATE TABLE link ({PAIR}, PRIMARY KEY (source, target), CHECK (source <> target))")
        made = tree(scratch_database, "stays:A, gone:A")
        link(scratch_database, "link", made, ("stays", "gone"))
        assert cleaned_and_undone(scratch_database).rows["link"] == []

    def test_a_row_that_gives_way_is_in_the_way_of_no_other(self, scratch_database, settings):
        settings.CLEANUP_COLLISIONS = {"pin": "keep_survivor"}
        columns = "subject $key REFERENCES :folders, a integer, b integer, UNIQUE (subject, a), UNIQUE (subject, b)"
        make(scratch_database, f"CREATE TABLE pin (id integer PRIMARY KEY, {columns})")
        made = tree(scratch_database, "stays:A, one:A@1, two:A@2")
        link(scratch_database, "pin", made, (1, "stays", 1, 1), (2, "one", 1, 2), (3, "two", 3, 2))
        found = cleaned_and_undone(scratch_database)
        assert [row.strip("(").split(",")[0] for row in found.rows["pin"]] == ["1", "3"]

    def test_a_unique_index_over_a_generated_column(self, scratch_database):
        self.assert_generated_column_is_seen(scratch_database, "STORED")

    @pytest.mark.only("sqlite")
    def test_a_unique_index_over_a_column_that_is_generated_when_read(self, scratch_database):
        self.assert_generated_column_is_seen(scratch_database, "VIRTUAL")

    def assert_generated_column_is_seen(self, scratch_database, kind: str) -> None:
        make(
            scratch_database,
            "CREATE TABLE pin (id integer PRIMARY KEY, subject $key REFERENCES :folders, tag text,"
            f" place text GENERATED ALWAYS AS (CAST(subject AS text) || ':' || lower(tag)) {kind})",
            "CREATE UNIQUE INDEX pin_place ON pin (place)",
        )
        made, free = tree(scratch_database, "stays:A, gone:A"), tree(scratch_database, "stays:A, gone:A")
        for number, (application, folder, tag) in enumerate(
            [(made, "stays", "x"), (made, "gone", "X"), (free, "stays", "x"), (free, "gone", "y")]
        ):
            key = raw(scratch_database, application[folder])
            execute(scratch_database, "INSERT INTO pin (id, subject, tag) VALUES (%s, %s, %s)", number, key, tag)
        found = cleaned_and_undone(scratch_database)
        assert (found.status(made), found.status(free)) == ("failed", "completed")
        assert "pin_place" in found.message(made)

    @pytest.mark.only("sqlite")
    def test_a_unique_index_over_a_column_generated_from_a_generated_one(self, scratch_database):
        make(
            scratch_database,
            "CREATE TABLE pin (id integer PRIMARY KEY, subject $key REFERENCES :folders, tag text,"
            " low text GENERATED ALWAYS AS (lower(tag)), place text GENERATED ALWAYS AS (subject || ':' || low))",
            "CREATE UNIQUE INDEX pin_place ON pin (place)",
        )
        made = tree(scratch_database, "stays:A, gone:A")
        for number, (folder, tag) in enumerate([("stays", "x"), ("gone", "X")]):
            key = raw(scratch_database, made[folder])
            execute(scratch_database, "INSERT INTO pin (id, subject, tag) VALUES (%s, %s, %s)", number, key, tag)
        assert "pin_place" in cleaned_and_undone(scratch_database).message(made)

    @pytest.mark.only("postgresql")
    def test_an_exclusion_constraint(self, scratch_database):
        make(
            scratch_database,
            "CREATE EXTENSION IF NOT EXISTS btree_gist",
            "CREATE TABLE stay (id integer PRIMARY KEY, subject $key REFERENCES :folders, during int4range,"
            " CONSTRAINT one_at_a_time EXCLUDE USING gist (CAST(subject AS text) WITH =, during WITH &&))",
        )
        made, free = tree(scratch_database, "stays:A, gone:A"), tree(scratch_database, "stays:A, gone:A")
        link(scratch_database, "stay", made, (1, "stays", "[1,5)"), (2, "gone", "[4,9)"))
        link(scratch_database, "stay", free, (3, "stays", "[1,5)"), (4, "gone", "[5,9)"))
        found = cleaned_and_undone(scratch_database)
        assert (found.status(made), found.status(free)) == ("failed", "completed")
        assert "one_at_a_time" in found.message(made)

    @pytest.mark.only("postgresql")
    def test_an_exclusion_constraint_among_rows_that_move(self, scratch_database, settings):
        settings.CLEANUP_COLLISIONS = {"stay": "keep_survivor"}
        make(
            scratch_database,
            "CREATE EXTENSION IF NOT EXISTS btree_gist",
            "CREATE TABLE stay (id integer PRIMARY KEY, subject $key REFERENCES :folders, during int4range,"
            " EXCLUDE USING gist (CAST(subject AS text) WITH =, during WITH &&))",
        )
        made = tree(scratch_database, "stays:A, one:A, two:A, three:A")
        rows = [(1, "one", "[1,5)"), (2, "two", "[4,9)"), (3, "three", "[8,12)")]
        link(scratch_database, "stay", made, *rows)
        found = cleaned_and_undone(scratch_database)
        assert [row.split(",")[0] for row in found.rows["stay"]] == ["(1", "(3"]

    @pytest.mark.only("postgresql")
    def test_a_unique_index_of_one_partition(self, scratch_database):
        make(
            scratch_database,
            "CREATE TABLE pin (id integer, kind text, subject $key REFERENCES :folders, PRIMARY KEY (id, kind))"
            " PARTITION BY LIST (kind)",
            "CREATE TABLE pin_a PARTITION OF pin FOR VALUES IN ('a')",
            "CREATE TABLE pin_rest PARTITION OF pin DEFAULT",
            "CREATE UNIQUE INDEX pin_a_once ON pin_a (subject)",
        )
        made, free = tree(scratch_database, "stays:A, gone:A"), tree(scratch_database, "stays:A, gone:A")
        link(scratch_database, "pin", made, (1, "a", "stays"), (2, "a", "gone"))
        link(scratch_database, "pin", free, (3, "b", "stays"), (4, "b", "gone"), (5, "a", "gone"))
        found = cleaned_and_undone(scratch_database)
        assert (found.status(made), found.status(free)) == ("failed", "completed")
        assert "pin_a_once" in found.message(made)

    @pytest.mark.only("postgresql")
    def test_a_check_and_a_unique_index_of_a_partition_that_rows_move_into(self, scratch_database):
        make(
            scratch_database,
            "CREATE TABLE pin (id integer, kind integer, subject $key REFERENCES :folders) PARTITION BY LIST (kind)",
            "CREATE TABLE pin_a PARTITION OF pin FOR VALUES IN (1)",
            "ALTER TABLE pin ADD PRIMARY KEY (id, kind)",
            "ALTER TABLE pin_a ADD CONSTRAINT pin_a_check CHECK (id > 10 OR CAST(subject AS text) IS NOT NULL)",
        )
        made = tree(scratch_database, "stays:A, gone:A")
        link(scratch_database, "pin", made, (1, 1, "gone"))
        assert cleaned_and_undone(scratch_database).status(made) == "completed"

    @pytest.mark.only("postgresql")
    def test_a_row_that_no_partition_would_take(self, scratch_database):
        make(
            scratch_database,
            "CREATE TABLE pin (id integer, subject $key REFERENCES :folders, PRIMARY KEY (id, subject))"
            " PARTITION BY LIST (subject)",
        )
        made, free = tree(scratch_database, "stays:A, gone:A"), tree(scratch_database, "stays:A, gone:A")
        for number, folder in enumerate((made["gone"], free["stays"], free["gone"])):
            place = f"pin_{number} PARTITION OF pin FOR VALUES IN ('{raw(scratch_database, folder)}')"
            execute(scratch_database, f"CREATE TABLE {place}")
        link(scratch_database, "pin", made, (1, "gone"))
        link(scratch_database, "pin", free, (2, "gone"))
        found = cleaned_and_undone(scratch_database)
        assert (found.status(made), found.status(free)) == ("failed", "completed")
        assert "belong to no partition" in found.message(made)
        (remedy,) = re.findall(r"CREATE TABLE [^;]+;", found.message(made))
        execute(scratch_database, remedy)
        execute(scratch_database, "DELETE FROM cleanup_hold")
        found = cleaned_and_undone(scratch_database)
        assert (found.status(made), found.status(free)) == ("completed", "completed")

    @pytest.mark.only("postgresql")
    def test_names_that_the_database_takes_for_equal(self, scratch_database):
        make(
            scratch_database,
            "CREATE EXTENSION IF NOT EXISTS citext",
            "ALTER TABLE :folders ALTER :folders.name TYPE citext",
            "ALTER TABLE :folders ADD CONSTRAINT one_name UNIQUE (:folders.parent, :folders.name)",
        )
        made = tree(scratch_database, "A/Archive, A/ARCHIVE")
        free = tree(scratch_database, "A/Notes, A/Notes")
        found = cleaned_and_undone(scratch_database)
        assert (found.status(made), found.status(free)) == ("failed", "completed")
        assert "one_name" in found.message(made)
        assert "letter by letter" in found.message(made)

    @pytest.mark.only("sqlite")
    def test_names_that_sqlite_takes_for_equal(self, scratch_database):
        make(
            scratch_database,
            "CREATE UNIQUE INDEX one_name ON :folders (:folders.parent, :folders.name COLLATE NOCASE)",
        )
        made = tree(scratch_database, "A/Archive, A/ARCHIVE")
        free = tree(scratch_database, "A/Notes, A/Notes")
        found = cleaned_and_undone(scratch_database)
        assert (found.status(made), found.status(free)) == ("failed", "completed")

    def test_nulls_that_are_distinct(self, scratch_database):
        columns = "id integer PRIMARY KEY, subject $key REFERENCES :folders, tag text, UNIQUE (subject, tag)"
        make(scratch_database, f"CREATE TABLE pin ({columns})")
        made = tree(scratch_database, "stays:A, gone:A")
        link(scratch_database, "pin", made, (1, "stays", None), (2, "gone", None), (3, "gone", None))
        assert cleaned_and_undone(scratch_database).status(made) == "completed"

    @pytest.mark.only("postgresql", since=15)
    def test_nulls_that_are_not_distinct(self, scratch_database):
        make(
            scratch_database,
            "CREATE TABLE pin (id integer PRIMARY KEY, subject $key REFERENCES :folders, tag text,"
            " UNIQUE NULLS NOT DISTINCT (subject, tag))",
        )
        made = tree(scratch_database, "stays:A, gone:A")
        link(scratch_database, "pin", made, (1, "stays", None), (2, "gone", None))
        assert cleaned_and_undone(scratch_database).status(made) == "failed"

    @pytest.mark.only("postgresql")
    def test_a_column_with_a_collation_of_its_own(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["pin.subject"]
        make(
            scratch_database,
            'CREATE TABLE pin (id integer PRIMARY KEY, subject text COLLATE "C", tag text, UNIQUE (subject, tag))',
        )
        made = tree(scratch_database, "stays:A, gone:A")
        for number, folder in enumerate(["stays", "gone"]):
            execute(scratch_database, "INSERT INTO pin VALUES (%s, %s, 'x')", number, str(made[folder]))
        assert cleaned_and_undone(scratch_database).status(made) == "failed"


class TestFoldersThatCannotMove:
    @pytest.fixture
    def beside(self, scratch_database):
        make(scratch_database, "CREATE UNIQUE INDEX one_name ON :folders (:folders.parent, :folders.name)")
        return tree(scratch_database, "A/there:B, A/stray:B")

    def disown(self, database, made, application=None) -> None:
        owner = application and raw(database, application, Application)
        where = (owner, raw(database, made["stray"]))
        execute(database, "UPDATE :folders SET :folders.application = %s WHERE :folders.key = %s", *where)

    def test_are_named_with_why(self, scratch_database, beside):
        self.disown(scratch_database, beside)
        message = cleaned_and_undone(scratch_database).message(beside)
        assert f"Folder {beside['stray']} belongs to no application" in message
        assert f"beside folder {beside['there']}" in message
        assert "keep_survivor" not in message

    def test_can_move_once_they_have_their_application(self, scratch_database, beside):
        self.disown(scratch_database, beside)
        assert cleaned_and_undone(scratch_database).status(beside) == "failed"
        self.disown(scratch_database, beside, beside.application)
        if is_postgresql(scratch_database):
            self.exclude(scratch_database, "CAST(:folders.name AS text)")
        moves = tree(scratch_database, "A, A/B, A/B")
        found = cleaned_and_undone(scratch_database)
        assert (found.status(beside), found.status(moves)) == ("completed", "completed")

    def test_take_another_name_where_the_setting_says_so(self, scratch_database, beside, settings):
        settings.CLEANUP_COLLISIONS = {named(":folders"): {"rename": named(":folders.name")}}
        self.disown(scratch_database, beside)
        found = cleaned_and_undone(scratch_database)
        assert found.details(beside)["changes"][0]["to"] == "B (2)"

    def exclude(self, database: str, part: str, *, end: str = "") -> None:
        """Let no two folders have the same part in one parent, by an exclusion constraint."""
        parts = f"CAST(:folders.parent AS text) WITH =, {part} WITH ="
        make(
            database,
            "CREATE EXTENSION IF NOT EXISTS btree_gist",
            f"ALTER TABLE :folders ADD EXCLUDE USING gist ({parts}) {end}",
        )

    def in_one_place(self, database):
        made = tree(database, "A/{B, gone:B}, A/moves:C")
        for which in ("gone", "moves"):
            key = raw(database, made[which])
            execute(database, "UPDATE :folders SET place = 7 WHERE :folders.key = %s", key)
        return made

    def test_for_a_folder_that_goes_is_in_the_way_until_then(self, scratch_database):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN place integer")
        execute(scratch_database, "CREATE UNIQUE INDEX one_place ON :folders (:folders.parent, place)")
        made = self.in_one_place(scratch_database)
        assert cleaned_and_undone(scratch_database).status(made) == "failed"

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize("kind", ["unique", "exclusion"])
    def test_also_where_the_rule_is_checked_in_the_end(self, scratch_database, kind):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN place integer")
        if kind == "unique":
            rule = "UNIQUE (:folders.parent, place) DEFERRABLE"
            execute(scratch_database, f"ALTER TABLE :folders ADD CONSTRAINT one_place {rule}")
        else:
            self.exclude(scratch_database, "place", end="DEFERRABLE")
        made = self.in_one_place(scratch_database)
        assert cleaned_and_undone(scratch_database).status(made) == "failed"


class TestRename:
    @pytest.fixture(autouse=True)
    def policy(self, settings):
        settings.CLEANUP_COLLISIONS = {named(":files"): {"rename": named(":files.name")}}

    def names(self, database) -> list[str]:
        return sorted(File.objects.using(database).values_list("filename", flat=True))

    def clean(self, database, made) -> list[str]:
        service = DatabaseCleanupService(using=database)
        result = service.consolidate_duplicate_folders(made.application)
        names = self.names(database)
        service.rollback_cleanup(result.rollback_id)
        execute(database, "DELETE FROM cleanup_hold")
        return names

    def test_gives_the_later_file_a_number(self, scratch_database):
        execute(scratch_database, "CREATE UNIQUE INDEX one_name ON :files (:files.folder, :files.name)")
        made = tree(scratch_database, 'A(scan.pdf), A(scan.pdf, "other.pdf"), A(scan.pdf)')
        assert self.clean(scratch_database, made) == ["other.pdf", "scan (2).pdf", "scan (3).pdf", "scan.pdf"]
        other = tree(scratch_database, "A(scan.pdf), A(scan.pdf)")
        found = cleaned_and_undone(scratch_database)
        renamed = [found.details(one)["renamed"] for one in (made, other)]
        assert renamed == [{label(scratch_database, ":files"): number} for number in (2, 1)]

    def test_passes_over_names_that_are_there(self, scratch_database):
        execute(scratch_database, "CREATE UNIQUE INDEX one_name ON :files (:files.folder, :files.name)")
        made = tree(scratch_database, 'A(scan.pdf, "scan (2).pdf"), A(scan.pdf, "scan (3).pdf")')
        names = ["scan (2).pdf", "scan (3).pdf", "scan (4).pdf", "scan.pdf"]
        assert self.clean(scratch_database, made) == names
        cleaned_and_undone(scratch_database)

    def test_by_a_partial_index_on_expressions(self, scratch_database):
        execute(
            scratch_database,
            "CREATE UNIQUE INDEX one_name ON :files (coalesce(CAST(:files.folder AS text), ''), lower(:files.name))"
            " WHERE file_size >= 0",
        )
        made = tree(scratch_database, 'A(Scan.pdf), A(sCAN.PDF, "SCAN (2).pdf")')
        assert self.clean(scratch_database, made) == ["SCAN (2).pdf", "Scan.pdf", "sCAN (3).PDF"]
        cleaned_and_undone(scratch_database)

    def test_keeps_to_the_length_of_the_column(self, scratch_database):
        execute(scratch_database, "CREATE UNIQUE INDEX one_name ON :files (:files.folder, :files.name)")
        name = "x" * 251 + ".pdf"
        made = tree(scratch_database, f"A({name}), A({name})")
        assert self.clean(scratch_database, made) == ["x" * 247 + " (2).pdf", name]

    def test_of_a_key_without_the_name_is_refused(self, scratch_database):
        execute(scratch_database, "CREATE UNIQUE INDEX one_size ON :files (:files.folder, file_size)")
        made = tree(scratch_database, "A(1), A(1)")
        execute(scratch_database, "UPDATE :files SET file_size = 1")
        found = cleaned_and_undone(scratch_database)
        assert found.status(made) == "failed"
        assert '"renumber": "file_size"}' in found.message(made)

    def test_is_not_offered_where_a_number_is_enough(self, scratch_database, settings):
        settings.CLEANUP_COLLISIONS = {}
        execute(scratch_database, "CREATE UNIQUE INDEX one ON :files (:files.folder, file_size, :files.name)")
        made = tree(scratch_database, "A(a.pdf), A(a.pdf)")
        execute(scratch_database, "UPDATE :files SET file_size = 1")
        (told,) = cleaned_and_undone(scratch_database).details(made)["collisions"]
        assert told["policy"] == {"renumber": "file_size"}

    def test_that_would_break_another_rule_is_refused(self, scratch_database):
        execute(scratch_database, "CREATE UNIQUE INDEX one_name ON :files (:files.folder, :files.name)")
        execute(
            scratch_database,
            "CREATE UNIQUE INDEX numbered ON :files (substr(:files.name, 1, 4)) WHERE :files.name LIKE '%%(2)%%'",
        )
        free = tree(scratch_database, "A(bbbb), A(cccc)")
        made = tree(scratch_database, 'A(aaaa), A(aaaa), B/"aaaa"("aaaa (2)")')
        found = cleaned_and_undone(scratch_database)
        assert (found.status(free), found.status(made)) == ("completed", "failed")
        told = f"1 row of {label(scratch_database, ':files')} would collide in numbered."
        assert f"{told} No other name or number makes them fit." in found.message(made)
        assert "CLEANUP_COLLISIONS" not in found.message(made)

    def test_is_not_offered_where_the_rule_has_no_name(self, scratch_database):
        execute(scratch_database, "CREATE UNIQUE INDEX one_path ON :files (:files.folder, file_path)")
        made = tree(scratch_database, "A(1), A(1)")
        execute(scratch_database, "UPDATE :files SET file_path = '/a'")
        assert "CLEANUP_COLLISIONS" not in cleaned_and_undone(scratch_database).message(made)


class TestRenumber:
    def places(self, database, *where: tuple) -> None:
        for made, places in where:
            for folder, place in places.items():
                execute(
                    database,
                    "UPDATE :folders SET place = %s WHERE :folders.key = %s",
                    place,
                    raw(database, made[folder]),
                )

    def test_gives_the_later_folder_the_next_free_number(self, scratch_database, settings):
        rule = "CREATE UNIQUE INDEX one_place ON :folders (:folders.parent, place)"
        self.assert_next_free_number_is_given(scratch_database, settings, rule)

    @pytest.mark.only("postgresql")
    def test_gives_the_next_free_number_where_the_rule_is_deferred(self, scratch_database, settings):
        unique = "UNIQUE (:folders.parent, place) DEFERRABLE INITIALLY DEFERRED"
        rule = f"ALTER TABLE :folders ADD CONSTRAINT one_place {unique}"
        self.assert_next_free_number_is_given(scratch_database, settings, rule)

    def assert_next_free_number_is_given(self, scratch_database, settings, rule: str) -> None:
        make(scratch_database, "ALTER TABLE :folders ADD COLUMN place smallint", rule)
        made = tree(scratch_database, "A/{a:A, b:B, c:C}, A/{d:D, e:E, gone:A}")
        self.places(scratch_database, (made, {"a": 1, "b": 2, "c": 4, "d": 1, "e": 2, "gone": 3}))
        refused = cleaned_and_undone(scratch_database)
        assert '{"renumber": "place"}' in refused.message(made)
        settings.CLEANUP_COLLISIONS = {named(":folders"): {"renumber": "place"}}
        found = cleaned_and_undone(scratch_database)
        changes = [(change["from"], change["to"]) for change in found.details(made)["changes"]]
        assert changes == [("1", "5"), ("2", "6")]

    def test_of_rows_of_another_table(self, scratch_database, settings):
        settings.CLEANUP_COLLISIONS = {"item": {"renumber": "place"}}
        make(
            scratch_database,
            "CREATE TABLE item (subject $key NOT NULL REFERENCES :folders, place integer NOT NULL,"
            " text text, PRIMARY KEY (subject, place))",
        )
        made = tree(scratch_database, "stays:A, gone:A, more:A")
        rows = [("stays", 1, "a"), ("gone", 1, "b"), ("gone", 2, "c"), ("more", 1, "d")]
        link(scratch_database, "item", made, *rows)
        found = cleaned_and_undone(scratch_database)
        assert found.details(made)["renumbered"] == {label(scratch_database, "item"): 2}
        assert len(found.rows["item"]) == 4

    def test_never_changes_what_a_row_is_about(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = {"bond.subject": {"level": 40}}
        make(
            scratch_database,
            "CREATE TABLE bond (id integer PRIMARY KEY, level integer NOT NULL, subject $key NOT NULL,"
            " UNIQUE (level, subject))",
        )
        made = tree(scratch_database, "stays:A, gone:A")
        for number, key in enumerate(("stays", "gone")):
            execute(scratch_database, "INSERT INTO bond VALUES (%s, 40, %s)", number, raw(scratch_database, made[key]))
        assert "renumber" not in cleaned_and_undone(scratch_database).message(made)
        settings.CLEANUP_COLLISIONS = {"bond": {"renumber": "level"}}
        execute(scratch_database, "DELETE FROM cleanup_hold")
        with pytest.raises(exceptions.PreflightFailed, match="needed to tell where the row belongs"):
            DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders(dry_run=True)

    def test_beyond_the_type_is_refused(self, scratch_database, settings):
        settings.CLEANUP_COLLISIONS = {"item": {"renumber": "place"}}
        kind = "smallint" if is_postgresql(scratch_database) else "smallint CHECK (place < 32768)"
        make(
            scratch_database,
            f"CREATE TABLE item (id integer PRIMARY KEY, subject $key REFERENCES :folders, place {kind},"
            " UNIQUE (subject, place))",
        )
        made, free = tree(scratch_database, "stays:A, gone:A"), tree(scratch_database, "stays:A, gone:A")
        link(scratch_database, "item", made, (1, "stays", 32767), (2, "gone", 32767))
        link(scratch_database, "item", free, (3, "stays", 32766), (4, "gone", 32766))
        found = cleaned_and_undone(scratch_database)
        assert (found.status(made), found.status(free)) == ("failed", "completed")
        assert "No other name or number makes them fit." in found.message(made)

    @pytest.fixture
    def items(self, scratch_database, settings) -> str:
        settings.CLEANUP_COLLISIONS = {"item": {"renumber": "place"}}
        make(
            scratch_database,
            "CREATE TABLE item (id integer PRIMARY KEY, subject $key REFERENCES :folders, place integer, shelf integer,"
            " UNIQUE (subject, place), UNIQUE (subject, shelf))",
        )
        return scratch_database

    def test_settles_no_other_rule_and_its_own_number_is_offered(self, items):
        made = tree(items, "stays:A, gone:A")
        link(items, "item", made, (1, "stays", 1, 1), (2, "gone", 2, 1), (3, "gone", 1, 3))
        (told,) = cleaned_and_undone(items).details(made)["collisions"]
        assert (told["rows"], told["policy"]) == (1, {"renumber": "shelf"})

    def test_is_offered_for_rows_that_others_reference(self, items, settings):
        settings.CLEANUP_COLLISIONS = {}
        make(items, "CREATE TABLE remark (id integer PRIMARY KEY, item_id integer REFERENCES item)")
        made = tree(items, "stays:A, gone:A")
        link(items, "item", made, (1, "stays", 1, 1), (2, "gone", 1, 2))
        execute(items, "INSERT INTO remark VALUES (1, 2)")
        (told,) = cleaned_and_undone(items).details(made)["collisions"]
        assert told["policy"] == {"renumber": "place"}

    def test_is_not_offered_for_the_key_of_another_row_nor_a_column_of_its_own(self, scratch_database):
        make(
            scratch_database,
            "CREATE TABLE tint (id integer PRIMARY KEY)",
            "INSERT INTO tint VALUES (1)",
            "CREATE TABLE owned (id integer PRIMARY KEY, subject $key REFERENCES :folders, owner_id integer,"
            " UNIQUE (subject, owner_id))",
            "CREATE TABLE tinted (id integer PRIMARY KEY, subject $key REFERENCES :folders,"
            " tint integer REFERENCES tint, UNIQUE (subject, tint))",
            "CREATE TABLE item (subject $key REFERENCES :folders, place integer, text text,"
            " PRIMARY KEY (subject, place))",
        )
        made = tree(scratch_database, "stays:A, gone:A")
        for table in ("owned", "tinted"):
            link(scratch_database, table, made, (1, "stays", 1), (2, "gone", 1))
        link(scratch_database, "item", made, ("stays", 1, "a"), ("gone", 1, "b"))
        told = cleaned_and_undone(scratch_database).details(made)["collisions"]
        tables = [label(scratch_database, table) for table in ("owned", "tinted", "item")]
        assert {one["table"]: one["policy"] for one in told} == dict.fromkeys(tables, "keep_survivor")

    def test_beside_a_twin_that_goes(self, scratch_database, settings):
        settings.CLEANUP_COLLISIONS = {"item": {"renumber": "place"}}
        make(
            scratch_database,
            "CREATE TABLE item (subject $key REFERENCES :folders, place integer, text text,"
            " PRIMARY KEY (subject, place))",
        )
        made = tree(scratch_database, "stays:A, gone:A")
        rows = [("stays", 1, "a"), ("stays", 2, "b"), ("gone", 1, "a"), ("gone", 2, "c")]
        link(scratch_database, "item", made, *rows)
        details = cleaned_and_undone(scratch_database).details(made)
        items = {label(scratch_database, "item"): 1}
        assert (details["removed"], details["renumbered"]) == (items, items)


class TestManyFolders:
    @pytest.mark.parametrize("referenced", [1, 2])
    def test_are_told_of_as_if_all_were_looked_at_at_once(self, scratch_database, monkeypatch, referenced):
        make(
            scratch_database,
            "CREATE TABLE pin (id integer PRIMARY KEY, subject $key UNIQUE REFERENCES :folders)",
            "CREATE TABLE remark (id integer PRIMARY KEY, pin_id integer REFERENCES pin)",
        )
        made = tree(scratch_database, "a:A/{b:B, x:B}, c:A")
        link(scratch_database, "pin", made, (1, "x"), (2, "c"), (3, "a"), (4, "b"))
        execute(scratch_database, "INSERT INTO remark VALUES (1, %s)", referenced)
        at_once = cleaned_and_undone(scratch_database).results[made.application]
        monkeypatch.setattr(targets, "MOST_REMOVED", 1)
        in_parts = cleaned_and_undone(scratch_database).results[made.application]
        assert in_parts == at_once
        assert [one["rows"] for one in at_once.details["collisions"]] == [2]


class TestAnotherNameAndAnotherNumber:
    def test_in_one_table_are_undone_each_in_its_column(self, scratch_database, settings):
        policy = {"rename": named(":files.name"), "renumber": "file_size"}
        settings.CLEANUP_COLLISIONS = {named(":files"): policy}
        made = tree(scratch_database, "A(a.pdf), gone:A(a.pdf, b.pdf)")
        gone = raw(scratch_database, made["gone"])
        execute(scratch_database, "UPDATE :files SET file_size = 1 WHERE :files.folder <> %s", gone)
        sizes = "CASE :files.name WHEN 'a.pdf' THEN 2 ELSE 1 END"
        execute(scratch_database, f"UPDATE :files SET file_size = {sizes} WHERE :files.folder = %s", gone)
        for column in (":files.name", "file_size"):
            name = f"one_{named(column)}"
            execute(scratch_database, f"CREATE UNIQUE INDEX {name} ON :files (:files.folder, {column})")
        details = cleaned_and_undone(scratch_database).details(made)
        files = {label(scratch_database, ":files"): 1}
        assert (details["renamed"], details["renumbered"]) == (files, files)


class TestSetting:
    @pytest.mark.parametrize(
        "value",
        [
            {"files": {}},
            {"files": {"rename": 1}},
            {"files": {"drop": "filename"}},
            {"files": "rename"},
            {"files": ["renumber"]},
            {1: "refuse"},
        ],
    )
    def test_that_is_malformed_is_refused(self, database, settings, value):
        settings.CLEANUP_COLLISIONS = value
        with pytest.raises(exceptions.MisconfiguredSetting, match="CLEANUP_COLLISIONS"):
            DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(dry_run=True)

    @pytest.mark.parametrize(
        "policy",
        [{"rename": "vanished"}, {"rename": "file_size"}, {"renumber": "filename"}, {"renumber": "folder_id"}],
    )
    def test_that_names_no_fitting_column_stops_the_run(self, database, settings, policy):
        settings.CLEANUP_COLLISIONS = {"files": policy}
        with pytest.raises(exceptions.PreflightFailed, match="CLEANUP_COLLISIONS"):
            DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(dry_run=True)


class TestRemedies:
    def test_name_all_tables_at_once(self, scratch_database):
        for table in ("pin", "star"):
            make(
                scratch_database,
                f"CREATE TABLE {table} (id integer PRIMARY KEY, subject $key UNIQUE REFERENCES :folders)",
            )
        execute(scratch_database, "CREATE UNIQUE INDEX one_name ON :files (:files.folder, :files.name)")
        made, other = tree(scratch_database, "stays:A(a), gone:A(a)"), tree(scratch_database, "stays:A, gone:A")
        link(scratch_database, "pin", made, (1, "stays"), (2, "gone"))
        link(scratch_database, "star", other, (1, "stays"), (2, "gone"))
        service = DatabaseCleanupService(using=scratch_database)
        report = service.cleanup_all_duplicate_folders(dry_run=True)
        rename = {"rename": named(":files.name")}
        expected = {":files": rename, "pin": "keep_survivor", "star": "keep_survivor"}
        assert report.as_json()["collision_policies"] == {
            label(scratch_database, table): policy for table, policy in expected.items()
        }

    @pytest.fixture
    def referenced(self, scratch_database) -> str:
        """Return a database with pins, which remarks reference, and stars."""
        make(
            scratch_database,
            "CREATE TABLE pin (id integer PRIMARY KEY, subject $key UNIQUE REFERENCES :folders)",
            "CREATE TABLE star (id integer PRIMARY KEY, subject $key UNIQUE REFERENCES :folders)",
            "CREATE TABLE remark (id integer PRIMARY KEY, pin_id integer REFERENCES pin)",
        )
        return scratch_database

    def pinned(self, database: str) -> Tree:
        made = tree(database, "stays:A, gone:A")
        for table in ("pin", "star"):
            link(database, table, made, (1, "stays"), (2, "gone"))
        execute(database, "INSERT INTO remark VALUES (1, 2)")
        return made

    def test_are_told_of_every_table_by_itself(self, referenced):
        made = self.pinned(referenced)
        told = cleaned_and_undone(referenced).details(made)["collisions"]
        policies = {label(referenced, "pin"): None, label(referenced, "star"): "keep_survivor"}
        assert {one["table"]: one["policy"] for one in told} == policies

    def test_remove_no_row_that_others_reference(self, referenced, settings):
        settings.CLEANUP_COLLISIONS = {"pin": "keep_survivor", "star": "keep_survivor"}
        made = self.pinned(referenced)
        message = cleaned_and_undone(referenced).message(made)
        assert f"Rows of {label(referenced, 'pin')} would give way to others, but rows of other tables" in message
        assert "CLEANUP_COLLISIONS" not in message

    def test_work_when_they_are_followed(self, scratch_database, settings):
        make(scratch_database, "CREATE TABLE pin (id integer PRIMARY KEY, subject $key UNIQUE REFERENCES :folders)")
        execute(scratch_database, "CREATE UNIQUE INDEX one_name ON :files (:files.folder, :files.name)")
        made = tree(scratch_database, "stays:A(a), gone:A(a)")
        link(scratch_database, "pin", made, (1, "stays"), (2, "gone"))
        service = DatabaseCleanupService(using=scratch_database)
        report = service.cleanup_all_duplicate_folders(dry_run=True)
        settings.CLEANUP_COLLISIONS = report.as_json()["collision_policies"]
        assert cleaned_and_undone(scratch_database).status(made) == "completed"


@pytest.mark.parametrize("seed", range(3))
def test_of_any_tables_are_foreseen(scratch_database, settings, seed):
    """Random trees, random rows that link their folders, and rules of every form."""
    chance = random.Random(seed)
    forms = {
        "pure": f"{PAIR}, PRIMARY KEY (source, target)",
        "paid": f"{PAIR}, n integer, PRIMARY KEY (source, target)",
        "numbered": f"id integer PRIMARY KEY, {PAIR}, n integer, UNIQUE (source, target, n)",
        "partly": f"id integer PRIMARY KEY, {PAIR}, n integer",
        "apart": f"id integer PRIMARY KEY, {PAIR}, n integer, CHECK (source <> target OR n > 1)",
    }
    for name, columns in forms.items():
        make(scratch_database, f"CREATE TABLE {name} ({columns})")
    execute(scratch_database, "CREATE UNIQUE INDEX partly_once ON partly (target, (n / 2)) WHERE n > 0")
    for _ in range(4):
        made = tree(scratch_database, _random_tree(chance))
        folders = [raw(scratch_database, key) for key in made.keys.values()]
        for name, columns in forms.items():
            for _ in range(5):
                cells = [chance.choice(folders), chance.choice(folders)]
                cells += [chance.randrange(4)] if name != "pure" else []
                cells = [chance.randrange(10**9), *cells] if columns.startswith("id") else cells
                insert = f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(cells))})"
                with suppress(IntegrityError), transaction.atomic(using=scratch_database):
                    execute(scratch_database, insert, *cells)
    found = cleaned_and_undone(scratch_database)
    statuses = Counter(result.status for result in found.results.values())
    settings.CLEANUP_COLLISIONS = {
        "paid": "keep_survivor",
        "numbered": {"renumber": "n"},
        "partly": "keep_survivor",
        "apart": "keep_survivor",
    }
    execute(scratch_database, "DELETE FROM cleanup_hold")
    found = cleaned_and_undone(scratch_database)
    assert {result.status for result in found.results.values()} == {"completed"}
    assert statuses["failed"]


def _random_tree(chance: random.Random) -> str:
    names, labels = "AB", itertools.count()

    def some(depth: int) -> str:
        below = "{" + ", ".join(some(depth - 1) for _ in range(chance.randint(1, 3))) + "}" if depth else ""
        return f"f{next(labels)}:{chance.choice(names)}" + (f"/{below}" if below else "")

    return ", ".join(some(2) for _ in range(2))


class TestNumbering:
    @pytest.mark.parametrize(
        ("name", "taken", "longest", "expected"),
        [
            ("scan.pdf", [], None, "scan (2).pdf"),
            ("scan.pdf", ["SCAN (2).PDF"], None, "scan (3).pdf"),
            ("scan", [], None, "scan (2)"),
            ("scan", ["Scän (2)"], None, "scan (3)"),
            (".profile", [], None, ".profile (2)"),
            ("a.tar.gz", [], None, "a.tar (2).gz"),
            ("Mr. Smith", [], None, "Mr. Smith (2)"),
            ("abcdefgh.pdf", [], 12, "abcd (2).pdf"),
            ("abcdefgh.extension", [], 12, "abcdefgh (2)"),
            ("abcdefgh.pdf", [], 10, "abcdef (2)"),
        ],
    )
    def test_of_names(self, name, taken, longest, expected):
        assert free_name(name, taken={loose(each) for each in taken}, longest=longest) == expected

    def test_of_numbers(self):
        assert [free_number(1, taken=taken) for taken in ({1}, {1, 2, 4})] == [2, 3]
