"""Values as they stand in scripts: the databases make the same values of them again."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanup.backends.postgresql.literals import literal as postgresql_literal
from cleanup.backends.postgresql.literals import rendered
from cleanup.backends.query import Query
from cleanup.backends.sqlite.cells import codec
from cleanup.backends.sqlite.literals import value

VALUES = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=20)
    | st.text(max_size=20)
)


@given(written=VALUES)
def test_sqlite_reads_back_every_value(written):
    with closing(sqlite3.connect(":memory:")) as connection:
        encode, _ = codec("UTF-8")
        connection.execute("CREATE TABLE t (v)")
        connection.execute("INSERT INTO t VALUES (?)", [written])
        connection.text_factory = bytes
        ((storage_class, stored),) = connection.execute("SELECT typeof(v), v FROM t")
        text = value(encode(storage_class.decode(), stored), encoding="utf-8")
        query = f"SELECT typeof({text}), {text}"
        assert connection.execute(query).fetchall() == [(storage_class, stored)]
        assert text.isprintable()


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("plain", "'plain'"),
        ("O'Brien", "'O''Brien'"),
        ("back\\slash", " E'back\\\\slash'"),
        ("two\nlines \u202e and \u00e9", " E'two\\U0000000Alines \\U0000202E and \u00e9'"),
    ],
)
def test_postgresql_literal_is_read_alike_whatever_the_setting(text, literal):
    assert postgresql_literal(text) == literal


def test_rendered_statement_has_its_parameters_in_place():
    query = Query("SELECT %(a)s, %(b)s, '100%%' = ANY(%(c)s), %(d)s", {"a": "%(b)s", "b": 1, "c": [1, 2], "d": None})
    assert rendered(query) == "SELECT '%(b)s', 1, '100%' = ANY('{1,2}'), NULL"
