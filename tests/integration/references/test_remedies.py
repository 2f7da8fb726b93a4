"""Remedies can be carried out: pasted as they are told, on the very table, they end the problem."""

import re

import pytest

from cleanup.references import blocking_rows, discover
from cleanup.services import DatabaseCleanupService
from tests.integration.guards.test_migrations import create
from tests.support.trees import dump, execute, key_type, raw, tree


def told(database: str, code: str) -> str:
    (message,) = (problem.message for problem in discover(using=database).problems if problem.code == code)
    return message


def assert_ends(database: str, code: str) -> None:
    """Paste the SQL of the one problem of a code, and find it gone."""
    for statement in re.findall(r"CREATE [^;]+;", told(database, code)):
        execute(database, statement)
    assert not [problem for problem in discover(using=database).problems if problem.code == code]


class TestKeyThatNothingKeepsUnique:
    @pytest.fixture
    def loose(self, blank_database) -> str:
        create(blank_database, "customer_applications", "files")
        columns = "name text, parent_id {0}, application_id {0}, created_at {1}, updated_at {1}"
        kinds = ("char(32)", "datetime") if blank_database == "default" else ("uuid", "timestamptz")
        self.table = f"CREATE TABLE folders (id {kinds[0]} NOT NULL, {columns.format(*kinds)})"
        return blank_database

    def test_gets_an_index(self, loose):
        execute(loose, self.table)
        assert_ends(loose, "unkeyed")

    @pytest.mark.only("postgresql")
    def test_gets_an_index_whatever_names_are_taken(self, loose):
        execute(loose, self.table)
        execute(loose, "CREATE INDEX folders_id_idx ON folders (name)")
        assert_ends(loose, "unkeyed")

    @pytest.mark.only("postgresql")
    def test_gets_an_index_where_the_table_is_partitioned_by_it(self, loose):
        execute(loose, f"{self.table} PARTITION BY HASH (id)")
        execute(loose, "CREATE TABLE folders_0 PARTITION OF folders FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
        assert_ends(loose, "unkeyed")

    @pytest.mark.only("postgresql")
    def test_is_refused_without_sql_where_no_index_can_keep_it(self, loose):
        execute(loose, f"{self.table} PARTITION BY HASH (application_id)")
        execute(loose, "CREATE TABLE folders_0 PARTITION OF folders FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
        message = told(loose, "unkeyed")
        assert "public.folders.id" in message
        assert "partitioned by HASH (application_id)" in message
        assert "CREATE" not in message


@pytest.mark.only("postgresql")
class TestRowsThatNoKeyNames:
    def blocking(self, database: str) -> list[str]:
        problems = blocking_rows(using=database, references=discover(using=database))
        return [problem.message for problem in problems]

    def assert_ends(self, database: str) -> None:
        """Paste what is told, and find that the rows move and come back."""
        (message,) = self.blocking(database)
        (statement,) = re.findall(r"ALTER [^;]+;", message)
        execute(database, statement)
        assert self.blocking(database) == []
        before, service = dump(database), DatabaseCleanupService(using=database)
        report = service.cleanup_all_duplicate_folders()
        assert report.successful_cleanups == 1
        service.rollback_cleanup(report.run_id)
        assert dump(database) == before

    def fill(self, database: str) -> None:
        made = tree(database, "A, gone:A")
        execute(database, "INSERT INTO shelf (where_it_is) VALUES (%s), (%s)", *[raw(database, made["gone"])] * 2)

    def test_get_one(self, scratch_database):
        execute(scratch_database, f"CREATE TABLE shelf (where_it_is {key_type(scratch_database)} REFERENCES :folders)")
        self.fill(scratch_database)
        self.assert_ends(scratch_database)

    @pytest.mark.parametrize("by", ["LIST (where_it_is)", "HASH (where_it_is)"])
    def test_get_one_that_contains_what_the_table_is_partitioned_by(self, scratch_database, by):
        columns = f"where_it_is {key_type(scratch_database)} REFERENCES :folders"
        execute(scratch_database, f"CREATE TABLE shelf ({columns}) PARTITION BY {by}")
        bounds = "DEFAULT" if by.startswith("LIST") else "FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
        execute(scratch_database, f"CREATE TABLE shelf_all PARTITION OF shelf {bounds}")
        self.fill(scratch_database)
        self.assert_ends(scratch_database)

    def test_are_told_of_without_sql_where_no_key_is_possible(self, scratch_database):
        columns = f"where_it_is {key_type(scratch_database)} REFERENCES :folders"
        execute(scratch_database, f"CREATE TABLE shelf ({columns}) PARTITION BY LIST ((where_it_is IS NULL))")
        execute(scratch_database, "CREATE TABLE shelf_all PARTITION OF shelf DEFAULT")
        self.fill(scratch_database)
        (message,) = self.blocking(scratch_database)
        assert "LIST" in message
        assert "ALTER" not in message

    @pytest.mark.only("postgresql", since=18)
    def test_get_one_beside_a_primary_key_that_forbids_overlaps(self, scratch_database):
        execute(scratch_database, "CREATE EXTENSION IF NOT EXISTS btree_gist")
        columns = f"where_it_is {key_type(scratch_database)} REFERENCES :folders, during daterange DEFAULT '[,)'"
        execute(scratch_database, f"CREATE TABLE shelf (n int, {columns}, PRIMARY KEY (n, during WITHOUT OVERLAPS))")
        made = tree(scratch_database, "A, gone:A")
        execute(scratch_database, "INSERT INTO shelf VALUES (1, %s)", raw(scratch_database, made["gone"]))
        self.assert_ends(scratch_database)
