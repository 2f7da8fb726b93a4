"""Which changes of a table leave the meaning of values that were read before it."""

import pytest

from cleanup.backends.catalogue import Column, Table, TableName
from cleanup.backends.retyping import alterations, widens

SAME = [
    ("text", "text"),
    ("timestamp with time zone", "timestamp with time zone"),
    ("INTEGER", "integer"),
    ("varchar( 20 )", "varchar(20)"),
    ("citext", "public.citext"),
    ("app.mood", "mood"),
    ('"Mood"', 'app."Mood"'),
    ("geometry(Point,4326)", "geometry(Point,4326)"),
    ("", ""),
]
WIDER = [
    ("character varying(20)", "character varying(30)"),
    ("varchar(20)", "text"),
    ("character varying", "text"),
    ("text", "character varying"),
    ("character(4)", "character(6)"),
    ("smallint", "integer"),
    ("integer", "bigint"),
    ("int", "bigint"),
    ("integer[]", "bigint[]"),
    ("numeric(10,2)", "numeric(12,2)"),
    ("numeric(10,2)", "numeric(12,4)"),
    ("numeric(10,2)", "numeric"),
    ("timestamp(3) with time zone", "timestamp with time zone"),
    ("time(0) without time zone", "time(3) without time zone"),
    ("interval day to second(2)", "interval day to second(4)"),
    ("bit varying(3)", "bit varying"),
    ("timestamp with time zone", "timestamp(6) with time zone"),
    ("int(11)", "integer"),
    ("varchar(20)", "text(20)"),
]
OTHER = [
    ("character varying(30)", "character varying(20)"),
    ("text", "character varying(20)"),
    ("character(4)", "text"),
    ("text", "integer"),
    ("integer", "numeric(10,2)"),
    ("integer", "text"),
    ("integer", "integer[]"),
    ("real", "double precision"),
    ("numeric(10,2)", "numeric(10,4)"),
    ("numeric", "numeric(10,2)"),
    ("numeric(10)", "numeric(11,2)"),
    ("geometry(Point,4326)", "geometry(Point,3857)"),
    ("timestamp with time zone", "timestamp without time zone"),
    ("timestamp with time zone", "timestamp(3) with time zone"),
    ("timestamp with time zone", "time with time zone"),
    ("interval day to second(2)", "interval hour to second(4)"),
    ("bit(3)", "bit(4)"),
    ("json", "jsonb"),
    ("uuid", "text"),
    ("one.mood", "two.mood"),
    ("mood", '"Mood"'),
    ("", "text"),
]


class TestWidens:
    @pytest.mark.parametrize(("then", "now"), SAME)
    def test_takes_another_spelling_for_the_same_type(self, then, now):
        assert widens(then, now)
        assert widens(now, then)

    @pytest.mark.parametrize(("then", "now"), WIDER)
    def test_accepts_a_type_that_every_value_fits(self, then, now):
        assert widens(then, now)

    @pytest.mark.parametrize(("then", "now"), OTHER)
    def test_rejects_a_type_in_which_a_value_would_be_another_one(self, then, now):
        assert not widens(then, now)


def described(*columns: Column, oid: int = 0) -> Table:
    return Table(TableName("", "folders"), columns, oid=oid)


def changed(then: Table, now: Table) -> list[str]:
    return list(alterations(then, now, [column.name for column in then.columns]))


class TestAlterations:
    def test_finds_nothing_where_columns_were_added_and_reordered(self):
        then = described(Column("a", "text", number=1), Column("b", "text", number=2))
        now = described(Column("b", "text", number=1), Column("c", "text", number=2), Column("a", "text", number=3))
        assert changed(then, now) == []

    @pytest.mark.parametrize("oid", [0, 7])
    def test_names_columns_that_swapped_names(self, oid):
        then = described(Column("a", "text", number=1), Column("b", "text", number=2), oid=oid)
        now = described(Column("b", "text", number=1), Column("a", "text", number=2), oid=oid)
        one, other = changed(then, now)
        assert ("folders.a is named b" in one, "folders.b is named a" in other) == (True, True)

    def test_names_a_column_that_took_the_name_of_one_that_was_dropped(self):
        then = described(Column("a", "text", number=1), Column("b", "text", number=2), oid=7)
        now = described(Column("b", "text", number=1), oid=7)
        one, other = changed(then, now)
        assert ("folders.a is named b" in one, "folders.b is what was a" in other) == (True, True)

    def test_sees_no_new_names_in_a_copy_whose_numbers_have_moved_up(self):
        then = described(Column("a", "text", number=2), Column("b", "text", number=3), oid=7)
        now = described(Column("a", "text", number=1), Column("b", "text", number=2), oid=8)
        assert changed(then, now) == []

    @pytest.mark.parametrize("oid", [0, 7])
    def test_tells_the_new_name_of_a_column(self, oid):
        then = described(Column("a", "text", number=1), oid=oid)
        now = described(Column("z", "text", number=1), oid=oid)
        assert changed(then, now) == ["column folders.a is named z now; rename it back"]

    def test_tells_that_a_column_of_an_old_snapshot_schema_is_gone(self):
        then = described(Column("a", "text"))
        for now in (described(Column("z", "text", number=1)), described(Column("z", "text"))):
            assert changed(then, now) == ["column folders.a is gone or was renamed"]

    def test_tells_both_types(self):
        then, now = described(Column("a", "integer")), described(Column("a", "numeric(10,2)"))
        assert changed(then, now) == ["column folders.a was of type integer and is of type numeric(10,2) now"]

    @pytest.mark.parametrize(
        ("before", "after", "same"),
        [
            ('["new", "old"]', '["new", "newer", "old"]', True),
            ('["new", "old"]', '["old", "new"]', True),
            ('["new", "old"]', '["done", "new"]', False),
            ("integer", '["new"]', False),
            ('[["x", "integer"]]', '[["y", "integer"]]', False),
            ("integer", "bigint", True),
            ("integer", "text", False),
            ("", '["new"]', True),  # an old snapshot schema does not say
        ],
    )
    def test_compares_what_types_consist_of(self, before, after, same):
        then = described(Column("a", "mood", definition=before))
        now = described(Column("a", "mood", definition=after))
        assert (changed(then, now) == []) == same
