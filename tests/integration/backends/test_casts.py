"""Types for which the host has made casts of its own: a journal has what the type's own functions say, and reads it."""

import pytest

from cleanup.services import DatabaseCleanupService
from tests.support.trees import dump, execute, key_type, raw, tree

pytestmark = pytest.mark.only("postgresql")

TYPES = [
    "CREATE TYPE mood AS ENUM ('good', 'bad')",
    "CREATE FUNCTION shout(mood) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT upper(enum_out($1)::text) $$",
    "CREATE FUNCTION mishear(text) RETURNS mood LANGUAGE sql IMMUTABLE AS $$ SELECT 'good'::mood $$",
    "CREATE CAST (mood AS text) WITH FUNCTION shout(mood) AS ASSIGNMENT",
    "CREATE CAST (text AS mood) WITH FUNCTION mishear(text) AS ASSIGNMENT",
    "CREATE TYPE span AS (low integer, high integer)",
    "CREATE FUNCTION width(span) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT ($1.high - $1.low)::text $$",
    "CREATE CAST (span AS text) WITH FUNCTION width(span)",
    "CREATE DOMAIN outlook AS mood",
    "CREATE DOMAIN prospect AS outlook",
    "CREATE DOMAIN plain AS text",
    "CREATE DOMAIN code AS char(4)",
]

VALUES = {
    "mood": "'bad'",
    "prospect": "'bad'",
    "mood[]": "'{bad,good}'",
    "span": "'(1,5)'",
    "span[]": """'{"(1,5)","(,)"}'""",
    "plain": "' x '",
    "code": "'ab'",
    "char(4)": "'ab'",
    "char(4)[]": "'{ab}'",
    "bpchar": "'ab  '",
    "bpchar[]": "'{\"ab  \"}'",
    "varchar(9)": "'ab '",
    '"char"': "'x'",
    "inet": "'10.0.0.1'",
    "cidr": "'10.0.0.0/8'",
    "boolean": "'t'",
}


@pytest.fixture
def host(scratch_database):
    for statement in TYPES:
        execute(scratch_database, statement)
    for number, (kind, value) in enumerate(VALUES.items()):
        execute(scratch_database, f"ALTER TABLE :folders ADD COLUMN c{number} {kind} DEFAULT {value}")
    execute(scratch_database, "ALTER TABLE :folders ADD COLUMN nothing mood, ADD COLUMN nulls span DEFAULT '(,)'")
    return scratch_database


def test_a_removed_folder_comes_back_as_it_was(host):
    made = tree(host, "A/x:X, A")
    was = dump(host)
    service = DatabaseCleanupService(using=host)
    done = service.consolidate_duplicate_folders(made.application)
    assert done.folders_removed == 1
    assert service.rollback_cleanup(done.rollback_id).exact
    assert dump(host) == was


def test_a_point_taken_by_hand_finds_no_difference(host):
    made = tree(host, "A/B, A")
    service = DatabaseCleanupService(using=host)
    point = service.create_rollback_point(made.application)
    service.consolidate_duplicate_folders(made.application)
    assert service.rollback_cleanup(point).exact


def test_a_row_whose_key_is_of_such_a_type_moves_and_comes_back(host):
    made = tree(host, "A, gone:A")
    gone = raw(host, made["gone"])
    execute(
        host,
        f"CREATE TABLE memo (feeling mood, about {key_type(host)} REFERENCES :folders, PRIMARY KEY (feeling, about))",
    )
    execute(host, "INSERT INTO memo VALUES ('bad', %s), ('good', %s)", gone, gone)
    was = dump(host)
    service = DatabaseCleanupService(using=host)
    done = service.consolidate_duplicate_folders(made.application)
    assert done.details["moved"] == {"public.memo": 2}
    assert service.rollback_cleanup(done.rollback_id).exact
    assert dump(host) == was
