"""Published tables: what the server would refuse in the midst of a run is told before, with a remedy that works."""

import re

import pytest
from django.db import connections, transaction

from cleanup.references import discover, publication_problems
from cleanup.services import DatabaseCleanupService
from tests.support.trees import assert_tree, execute, fetch, tree

pytestmark = pytest.mark.only("postgresql")

MESS = "Loan/Docs(x.txt), Loan/Docs(y.txt)"


def problems(database: str) -> list[str]:
    references = discover(using=database)
    return [problem.message for problem in publication_problems(using=database, references=references)]


def follow(database: str, message: str) -> None:
    """Do what the message says."""
    for statement in re.findall(r"ALTER (?:TABLE|PUBLICATION) [^;]+;", message):
        execute(database, statement)


@pytest.fixture
def tags(scratch_database) -> str:
    """Add a table that names folders and has a key, but not a primary one."""
    key = fetch(
        scratch_database,
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'folders'::regclass AND attname = 'id'",
    )[0][0]
    execute(
        scratch_database,
        f"CREATE TABLE folder_tags (folder_id {key} NOT NULL REFERENCES folders, tag text NOT NULL, note text,"
        f" CONSTRAINT folder_tags_key UNIQUE (folder_id, tag))",
    )
    return scratch_database


@pytest.mark.mapped_models("names their tables")
class TestNone:
    def test_takes_one_short_statement(self, database, django_assert_num_queries):
        references = discover(using=database)
        with transaction.atomic(using=database), django_assert_num_queries(1, using=database):
            assert publication_problems(using=database, references=references) == []


class TestPublications:
    def assert_works_after(self, database: str, message: str) -> None:
        loan = tree(database, MESS)
        execute(database, "INSERT INTO folder_tags (folder_id, tag) SELECT id, md5(id::text) FROM folders")
        follow(database, message)
        assert problems(database) == []
        service = DatabaseCleanupService(using=database)
        report = service.cleanup_all_duplicate_folders()
        assert (report.successful_cleanups, report.failed_cleanups) == (1, 0)
        assert_tree(database, loan, "Loan/Docs(x.txt, y.txt)")
        assert service.rollback_cleanup(report.run_id).exact

    def test_without_a_replica_identity_stop_the_run(self, tags):
        execute(tags, "CREATE PUBLICATION feed FOR ALL TABLES")
        (told,) = problems(tags)
        assert "public.folder_tags is published by feed" in told
        assert 'REPLICA IDENTITY USING INDEX "folder_tags_key"' in told
        assert told in [problem["message"] for problem in DatabaseCleanupService(using=tags).preflight()["problems"]]
        self.assert_works_after(tags, told)

    def test_with_an_identity_of_nothing_stop_the_run(self, tags):
        execute(tags, "ALTER TABLE folder_tags DROP CONSTRAINT folder_tags_key, ALTER tag DROP NOT NULL")
        execute(tags, "ALTER TABLE folder_tags ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
        execute(tags, "ALTER TABLE folder_tags REPLICA IDENTITY NOTHING")
        execute(tags, "CREATE PUBLICATION feed FOR TABLE folder_tags")
        (told,) = problems(tags)
        self.assert_works_after(tags, told)

    @pytest.mark.only("postgresql", since=15)
    def test_with_a_row_filter_outside_of_the_identity_stop_the_run(self, tags):
        execute(tags, "ALTER TABLE folder_tags REPLICA IDENTITY USING INDEX folder_tags_key")
        execute(tags, "CREATE PUBLICATION feed FOR TABLE folder_tags WHERE (note IS NULL)")
        (told,) = problems(tags)
        assert "row filter looks at note" in told
        self.assert_works_after(tags, told)

    @pytest.mark.only("postgresql", since=15)
    def test_with_a_list_of_columns_that_lacks_the_identity_stop_the_run(self, tags):
        execute(tags, "ALTER TABLE folder_tags REPLICA IDENTITY USING INDEX folder_tags_key")
        execute(tags, "CREATE PUBLICATION feed FOR TABLE folder_tags (tag, note)")
        (told,) = problems(tags)
        self.assert_works_after(tags, told)

    def test_that_publish_inserts_alone_stop_nothing(self, tags):
        execute(tags, "CREATE PUBLICATION feed FOR ALL TABLES WITH (publish = 'insert')")
        assert problems(tags) == []

    def test_of_tables_that_a_run_leaves_alone_stop_nothing(self, tags):
        execute(tags, "CREATE TABLE elsewhere (what text)")
        execute(tags, "CREATE PUBLICATION feed FOR TABLE elsewhere")
        assert problems(tags) == []

    def test_are_told_of_the_partition_that_lacks_its_identity(self, tags):
        execute(tags, "DROP TABLE folder_tags")
        execute(
            tags,
            "CREATE TABLE folder_tags (folder_id uuid NOT NULL REFERENCES folders, tag text NOT NULL,"
            " CONSTRAINT folder_tags_key UNIQUE (folder_id, tag)) PARTITION BY HASH (tag)",
        )
        execute(tags, "CREATE TABLE folder_tags_0 PARTITION OF folder_tags FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
        execute(tags, "CREATE PUBLICATION feed FOR TABLE folder_tags")
        (told,) = problems(tags)
        assert "public.folder_tags_0 is published by feed" in told
        self.assert_works_after(tags, told)


def test_own_tables_have_primary_keys(database):
    without = """
        SELECT c.relname FROM pg_class AS c WHERE c.relkind = 'r' AND starts_with(c.relname::text, 'cleanup_')
           AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary)"""
    assert fetch(database, without) == []
    assert connections[database].vendor == "postgresql"
