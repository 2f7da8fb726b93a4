import pytest

from cleanup.admin.pending_decisions import cell
from cleanup.text_safety import fault_of_name, is_storable


class TestFaultOfName:
    @pytest.mark.parametrize("name", ["Borrower", "a b", "Caf\u00e9", "..", "a/b", "x" * 10_000, "\u202egnp"])
    def test_is_none_for_a_name(self, name):
        assert fault_of_name(name) is None

    @pytest.mark.parametrize(
        "name", ["", " ", "\u00a0", " a", "a ", "a\n", "\ta", "a\x00b", "\udfff", None, 5, b"a", ["a"], True]
    )
    def test_tells_what_is_wrong(self, name):
        assert fault_of_name(name)

    def test_does_not_repeat_the_name(self):
        assert "Smith" not in fault_of_name(" Smith")


class TestIsStorable:
    @pytest.mark.parametrize(("text", "storable"), [("a", True), ("", True), ("\x00", False), ("\ud800", False)])
    def test_tells(self, text, storable):
        assert is_storable(text) is storable


class TestCells:
    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "|a", "%a"])
    def test_are_no_formulas(self, text):
        assert cell(text) == f"'{text}"

    @pytest.mark.parametrize("text", ["", "a=1", "2026-01-02", "'=1"])
    def test_of_other_texts_are_as_they_are(self, text):
        assert cell(text) == text
