"""The words in the name of a column or table, in any spelling. Pure."""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

#: Between a small letter or digit and a capital, and between an abbreviation and the word after it.
_JOINT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")


def words_of(name: str) -> tuple[str, ...]:
    """Split camelCase, snake_case and kebab-case into words in lower case."""
    return tuple(_WORD.findall(_JOINT.sub("_", name).lower()))


def split_glued(words: Collection[str], vocabulary: frozenset[str]) -> Iterator[str]:
    """Yield the words; one that is made of words of the vocabulary, as PostgreSQL folds ``deletedAt``, in its parts."""
    for word in words:
        yield from (word,) if word in vocabulary else _parts(word, vocabulary) or (word,)


@lru_cache(maxsize=4096)
def _parts(word: str, vocabulary: frozenset[str]) -> tuple[str, ...]:
    """Return the words of the vocabulary that make up the word, the longest first, or nothing."""
    for end in range(len(word), 1, -1):
        if word[:end] in vocabulary:
            rest = _parts(word[end:], vocabulary)
            if end == len(word) or rest:
                return (word[:end], *rest)
    return ()


def vocabulary(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())
