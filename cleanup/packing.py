"""Number texts: fast, or in little memory if there are very many. Pure.

A million keys, each a `str` in a `dict`, take two hundred megabytes; packed, a UUID takes 16 bytes and another text its
UTF-8 and four bytes, and each some eight bytes more to be found.
"""

import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

#: The number of a text that is not there.
UNKNOWN = -1

#: Texts that take a few MB however they are held.
MANY = 20_000


class Numbers(Protocol):
    """Texts, each with the number of texts that came before it."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, number: int, /) -> str:
        """Return the text of a number."""

    def number(self, text: str, /) -> int:
        """Return the number of a text, which is a new one if it was not there."""

    def find(self, text: str, /) -> int:
        """Return the number of a text, or UNKNOWN."""


class Texts:
    """Numbers of texts that are found fast."""

    __slots__ = ("_numbers", "_texts")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts = list(texts)
        self._numbers = {text: number for number, text in enumerate(self._texts)}

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> str:
        return self._texts[number]

    def number(self, text: str) -> int:
        """Return the number of a text, which is a new one if it was not there."""
        number = self._numbers.setdefault(text, len(self._texts))
        if number == len(self._texts):
            self._texts.append(text)
        return number

    def numbers(self, texts: Iterable[str | None], *, none: int) -> list[int]:
        """Return the numbers of texts, as one by one, and ``none`` for each None."""
        known = self._numbers
        return [none if text is None else known[text] if text in known else self.number(text) for text in texts]

    def find(self, text: str) -> int:
        """Return the number of a text, or UNKNOWN."""
        return self._numbers.get(text, UNKNOWN)


class GrowingTexts:
    """Texts that are found fast, and are packed as soon as there are very many."""

    __slots__ = ("_few", "_packed", "_texts")

    def __init__(self, packed: Callable[[], "PackedTexts"]) -> None:
        self._packed = packed
        self._few = Texts()
        self._texts: Numbers = self._few

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, number: int) -> str:
        return self._texts[number]

    def number(self, text: str) -> int:
        """Return the number of a text, which is a new one if it was not there."""
        number = self._texts.number(text)
        if number == MANY and self._texts is self._few:
            self._pack()
        return number

    def find(self, text: str) -> int:
        """Return the number of a text, or UNKNOWN."""
        return self._texts.find(text)

    def _pack(self) -> None:
        packed = self._packed()
        for number in range(len(self._few)):
            packed.number(self._few[number])
        self._texts, self._few = packed, Texts()


def packed_uuid(text: str) -> bytes:
    """Return a UUID in its usual spelling in 16 bytes."""
    return bytes.fromhex(text.replace("-", ""))


def spelled_uuid(packed: bytes) -> str:
    """Return the usual spelling of a packed UUID."""
    digits = packed.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def packed_text(text: str) -> bytes:
    """Return any text as bytes."""
    return text.encode("utf-8", "surrogatepass")


def spelled_text(packed: bytes) -> str:
    """Return such a text."""
    return packed.decode("utf-8", "surrogatepass")


class PackedTexts:
    """The same for very many: the texts stand one after the other, and are found by their hashes.

    ``slots`` is a hash table with open addressing: it holds numbers, beginning with 1, at the place of the text's hash
    or, if that is taken, at one of the next. ``width``: the bytes that each text takes, if that is the same for all.
    """

    __slots__ = ("_content", "_ends", "_growing_ends", "_pack", "_size", "_slots", "_spell")

    def __init__(
        self,
        pack: Callable[[str], bytes] = packed_text,
        spell: Callable[[bytes], str] = spelled_text,
        *,
        width: int | None = None,
    ) -> None:
        self._pack = pack
        self._spell = spell
        self._content = bytearray()
        self._growing_ends: array[int] | None = None
        self._ends: Sequence[int]
        if width is None:
            self._ends = self._growing_ends = array("I", [0])
        else:
            self._ends = range(0, sys.maxsize, width)
        self._slots = array("I", [0]) * 1024
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, number: int) -> str:
        return self._spell(self._packed(number))

    def number(self, text: str) -> int:
        """Return the number of a text, which is a new one if it was not there."""
        packed = self._pack(text)
        slot = self._slot(packed)
        if held := self._slots[slot]:
            return held - 1
        self._content += packed
        if self._growing_ends is not None:
            self._growing_ends.append(len(self._content))
        self._size = self._slots[slot] = number = self._size + 1
        if 3 * number > 2 * len(self._slots):
            self._enlarge()
        return number - 1

    def find(self, text: str) -> int:
        """Return the number of a text, or UNKNOWN."""
        return self._slots[self._slot(self._pack(text))] - 1

    def _packed(self, number: int) -> bytes:
        return bytes(self._content[self._ends[number] : self._ends[number + 1]])

    def _slot(self, packed: bytes) -> int:
        """Return the place of a text in the hash table, or the free one that it would take."""
        slots, content, ends = self._slots, self._content, self._ends
        last = len(slots) - 1  # their number is a power of two
        slot = hash(packed) & last
        while (held := slots[slot]) and content[ends[held - 1] : ends[held]] != packed:
            slot = (slot + 1) & last
        return slot

    def _enlarge(self) -> None:
        self._slots = slots = array("I", [0]) * (2 * len(self._slots))
        last = len(slots) - 1
        for number in range(len(self)):
            slot = hash(self._packed(number)) & last
            while slots[slot]:
                slot = (slot + 1) & last
            slots[slot] = number + 1
