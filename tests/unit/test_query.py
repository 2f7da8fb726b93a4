import re

import pytest

from cleanup.backends.query import Query, block, compiled, joined, label, quote


class TestBlock:
    def test_is_dedented(self):
        assert (
            block("""
            SELECT 1
              FROM t
            """).text
            == "SELECT 1\n  FROM t"
        )

    def test_takes_identifiers_and_numbers_as_they_are(self):
        assert block("SELECT {column} FROM {table}{number}", column='"a b"', table="t", number=3).text == (
            'SELECT "a b" FROM t3'
        )

    def test_indents_a_block_as_the_line_is_that_it_stands_in(self):
        inner = block("SELECT 1\n  FROM t")
        assert block("a AS (\n    {inner}\n)", inner=inner).text == "a AS (\n    SELECT 1\n      FROM t\n)"

    def test_leaves_quoted_lines_as_they_are(self):
        inner = block("SELECT {column}\n  -- it's\n  FROM t\n WHERE c = 'a\nb'", column=quote("c\nd"))
        assert block("(\n  {inner}\n)", inner=inner).text == (
            """(\n  SELECT "c\nd"\n    -- it's\n    FROM t\n   WHERE c = 'a\nb'\n)"""
        )

    def test_leaves_out_a_line_with_nothing_but_empty_slots(self):
        assert block("SELECT 1\n {where}\n LIMIT 2", where="").text == "SELECT 1\n LIMIT 2"

    def test_leaves_other_braces_alone(self):
        assert block("'^[0-9]{1,18}$' {what}", what="x").text == "'^[0-9]{1,18}$' x"

    def test_brings_the_parameters_of_its_slots_along(self):
        condition = Query("a = %(a)s", {"a": 1})
        found = block("SELECT {first} OR {second}", first=condition, second=Query("b = %(b)s", {"b": 2})).bind(c=3)
        assert found.params == {"a": 1, "b": 2, "c": 3}

    def test_may_name_one_parameter_several_times(self):
        keys = ["1", "2"]
        first, second = Query("a = ANY(%(keys)s)", {"keys": keys}), Query("b = ANY(%(keys)s)", {"keys": list(keys)})
        assert joined(" OR ", (first, second)).params == {"keys": ["1", "2"]}

    def test_refuses_a_parameter_with_two_values(self):
        with pytest.raises(ValueError, match="keys"):
            joined(" OR ", (Query("%(keys)s", {"keys": 1}), Query("%(keys)s", {"keys": 2})))

    def test_needs_every_slot(self):
        with pytest.raises(KeyError, match="table"):
            block("SELECT 1 FROM {table}")


class TestCompiled:
    def test_gives_places_names(self):
        found = compiled("a = %s AND b LIKE '%%x' AND c = %s", [1, 2])
        assert found.text == "a = %(place_0)s AND b LIKE '%%x' AND c = %(place_1)s"
        assert found.params == {"place_0": 1, "place_1": 2}


def test_an_identifier_is_safe_from_the_substitution_of_parameters():
    assert quote('100%"') == '"100%%"""'


class TestLabel:
    def test_tells_the_column(self):
        assert label("old", "parent_id") == "old_parent_id"

    @pytest.mark.parametrize("column", ["x" * 63, "Parent", "100%", 'a "b"', "\u00fc", "1"])
    def test_needs_no_quotes_whatever_the_column(self, column):
        assert re.fullmatch("old_[a-z0-9_]{1,50}", label("old", column))

    def test_is_another_one_for_each_column(self):
        assert label("old", "x" * 62 + "a") != label("old", "x" * 62 + "b")
