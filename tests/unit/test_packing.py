import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanup import packing
from cleanup.packing import UNKNOWN, GrowingTexts, Numbers, PackedTexts, Texts, packed_uuid, spelled_uuid

unhurried = settings(deadline=None)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=5)


@pytest.fixture(params=["fast", "packed", "growing"])
def texts(request, monkeypatch) -> Numbers:
    monkeypatch.setattr(packing, "MANY", 2)
    return {"fast": Texts, "packed": PackedTexts, "growing": lambda: GrowingTexts(PackedTexts)}[request.param]()


class TestTexts:
    def test_are_numbered_as_they_come(self, texts: Numbers) -> None:
        assert [texts.number(text) for text in ("b", "a", "", "b", "\ud800", "a")] == [0, 1, 2, 0, 3, 1]

        assert [texts[number] for number in range(len(texts))] == ["b", "a", "", "\ud800"]

    def test_that_are_not_there_are_not_found(self, texts: Numbers) -> None:
        texts.number("a")

        assert (texts.find("a"), texts.find("b"), len(texts)) == (0, UNKNOWN, 1)

    def test_are_found_among_very_many(self, texts: Numbers) -> None:
        every = [f"folder {number}" for number in range(5_000)]
        assert [texts.number(text) for text in every] == list(range(5_000))

        assert [texts.find(text) for text in every] == list(range(5_000))
        assert list(map(texts.__getitem__, range(5_000))) == every

    def test_are_numbered_many_at_once(self) -> None:
        texts = Texts(["a"])

        assert texts.numbers(["b", None, "a", "b"], none=-1) == [1, -1, 0, 1]
        assert [texts[number] for number in range(len(texts))] == ["a", "b"]

    @unhurried
    @given(st.lists(ANY_TEXT))
    def test_are_the_same_packed(self, several: list[str]) -> None:
        texts, packed = Texts(), PackedTexts()

        assert [packed.number(text) for text in several] == [texts.number(text) for text in several]
        assert [packed[number] for number in range(len(packed))] == list(dict.fromkeys(several))


class TestGrowingTexts:
    def test_are_packed_once_there_are_many(self, monkeypatch) -> None:
        monkeypatch.setattr(packing, "MANY", 2)
        packed = PackedTexts()
        texts = GrowingTexts(lambda: packed)
        texts.number("a")
        texts.number("b")
        assert len(packed) == 0

        texts.number("c")
        assert [packed[number] for number in range(len(packed))] == ["a", "b", "c"]


class TestPackedUuids:
    @given(st.uuids())
    def test_take_sixteen_bytes_and_keep_their_spelling(self, key: uuid.UUID) -> None:
        assert packed_uuid(str(key)) == key.bytes
        assert spelled_uuid(key.bytes) == str(key)

    @unhurried
    @given(st.lists(st.uuids()))
    def test_need_no_ends(self, keys: list[uuid.UUID]) -> None:
        texts = [*map(str, keys), *map(str, keys)]
        packed = PackedTexts(packed_uuid, spelled_uuid, width=16)

        assert list(map(packed.number, texts)) == list(map(Texts().number, texts))
        assert [packed[number] for number in range(len(packed))] == list(dict.fromkeys(texts))
        assert [packed.find(text) for text in texts] == list(map(packed.number, texts))
