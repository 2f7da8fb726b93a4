"""Find a free name or number for rows that cannot keep their own. Pure."""

import itertools
import re
import unicodedata
from collections.abc import Collection, Iterator

#: What looks like an extension: "Mr. Smith" has none.
_EXTENSION = re.compile(r"(.*[^.])(\.\w{1,10})", re.DOTALL)


def free_name(name: str, *, taken: Collection[str], longest: int | None) -> str:
    """Return the name with the first number from 2 on, before its extension, whose ``loose`` form is not taken."""
    return next(candidate for candidate in _numbered(name, longest) if loose(candidate) not in taken)


def free_number(number: int, *, taken: Collection[int]) -> int:
    """Return the next number that is not taken."""
    return next(candidate for candidate in itertools.count(number + 1) if candidate not in taken)


def loose(name: str) -> str:
    """Return the common form of names that a database may take as equal: without case, accents or outer spaces."""
    decomposed = unicodedata.normalize("NFKD", name).casefold().strip()
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _numbered(name: str, longest: int | None) -> Iterator[str]:
    found = _EXTENSION.fullmatch(name)
    stem, extension = (found[1], found[2]) if found else (name, "")
    if longest is not None and len(extension) + len(" (999)") >= longest:
        stem, extension = name, ""
    for number in itertools.count(2):
        suffix = f" ({number}){extension}"
        yield (stem if longest is None else stem[: longest - len(suffix)]) + suffix
