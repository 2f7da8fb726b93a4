"""How two identities compare: what a server says of itself, and what only one of the two says."""

import pytest

from cleanup.backends.identity import difference, is_promoted, is_same, spelled

HERE = "postgresql:7:16384;timeline=1;port=5432;directory=aa"


class TestIdentities:
    def test_are_spelled_without_what_is_unknown(self):
        assert spelled("postgresql:7:16384", {"timeline": 1, "port": "5432", "directory": None}) == (
            "postgresql:7:16384;timeline=1;port=5432"
        )

    @pytest.mark.parametrize("other", ["postgresql:7:16384", "postgresql:7:16384;timeline=1;port=5432", HERE])
    def test_are_the_same_where_neither_side_says_otherwise(self, other):
        assert is_same(other, HERE)
        assert is_same(HERE, other)

    @pytest.mark.parametrize(
        ("other", "told"),
        [
            ("postgresql:7:16385;timeline=1;port=5432;directory=aa", "another database"),
            ("postgresql:8:16384;timeline=1;port=5432;directory=aa", "another database"),
            ("postgresql:7:16384;timeline=2;port=5432;directory=aa", "(timeline 2, it was 1)"),
            ("postgresql:7:16384;timeline=1;port=5433;directory=aa", "another port (5433, it was 5432)"),
            ("postgresql:7:16384;timeline=1;port=5432;directory=bb", "another data directory"),
            ("", "another database"),
        ],
    )
    def test_say_in_what_they_differ(self, other, told):
        assert not is_same(HERE, other)
        assert told in difference(HERE, other)

    def test_of_files_are_their_whole_text(self):
        assert is_same("sqlite:/a;b=c:1", "sqlite:/a;b=c:1")
        assert not is_same("sqlite:/a;b=c:1", "sqlite:/a;b=d:1")

    @pytest.mark.parametrize(
        ("other", "promoted"),
        [
            ("postgresql:7:16384;timeline=2;port=5432", True),
            ("postgresql:7:16384;timeline=2;port=5433;directory=bb", True),
            (HERE, False),
            ("postgresql:7:16385;timeline=2;port=5432", False),
            ("postgresql:7:16384", False),
        ],
    )
    def test_tell_a_promotion_from_other_changes(self, other, promoted):
        assert is_promoted(HERE, other) is promoted
        assert not is_promoted("", other)
