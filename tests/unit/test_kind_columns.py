"""Columns of kinds, and the columns of ids beside them, by their names."""

import pytest

from cleanup.references.kind_columns import is_code, stem_of_id, stem_of_kind


@pytest.mark.parametrize(
    ("column", "stem"),
    [
        ("entity_model", ("entity",)),
        ("item_type", ("item",)),
        ("itemType", ("item",)),
        ("itemtype", ("item",)),
        ("content_type_id", ("content",)),
        ("object_id_class", ("object", "id")),
        ("entity_type_name", ("entity",)),
        ("tablename", ()),
        ("contextlevel", ()),
        ("mode", ()),
        ("level", None),
        ("name", None),
        ("folder_id", None),
    ],
)
def test_of_kinds_are_known_by_their_last_word(column, stem):
    assert stem_of_kind(column) == stem


def test_of_kinds_are_obvious_where_that_word_stands_alone():
    assert [stem_of_kind(name, plain=True) for name in ("item_model", "itemtype", "type_id")] == [("item",), None, None]


@pytest.mark.parametrize(
    ("column", "stem"),
    [("item_id", ("item",)), ("itemid", ("item",)), ("recuid", ("rec",)), ("id", ()), ("grid", ("gr",))],
)
def test_of_ids_are_named_after_something(column, stem):
    assert stem_of_id(column) == stem


@pytest.mark.parametrize(("kind", "code"), [("1", True), ("D", True), ("40", True), ("Post", False), ("dms.x", False)])
def test_tells_codes_from_words(kind, code):
    assert is_code(kind) is code
