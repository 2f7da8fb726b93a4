"""Remedies can be carried out: pasted as they are told, on the very table, they end the problem."""

import re

import pytest

from cleanup.references import discover
from tests.integration.test_migrations import create
from tests.integration.trees import execute


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
