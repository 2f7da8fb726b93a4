"""The host's words for folders, and columns named after them. Pure, except for the models that it reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleanup.references.words import words_of as split

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from cleanup.folder_tables import FolderTables

_LETTERS = re.compile(r"[^\W\d_]+")

#: Words for a folder anywhere in a name, separated or not.
_ANYWHERE = ("folder", "directory", "directories")

_FOLDERS = frozenset({"folder", "directory", "dir", "fldr"})

#: A short word for a folder, if the column's name says that it holds an id ("direction" is shortened like that, too).
_SHORT = frozenset({"dir", "fldr"})

_ID = frozenset({"id", "ids", "uuid", "guid", "uid", "pk", "fk", "key", "ref", "reference", "pointer"})

#: Words of columns that count or order, and name nothing.
_AMOUNTS = frozenset(
    {"count", "total", "size", "level", "depth", "limit", "quota", "max", "min", "order", "position", "rank", "sort"}
) | {"width", "height", "version", "number"}

#: Too common to mean anything.
_COMMON = frozenset({"parent", "object", "name", "table", "model"})


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case and in the singular, whatever way it is written, without digits."""
    return tuple(_singular(part) for word in split(name) for part in _LETTERS.findall(word))


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 4 and word.endswith(("xes", "sses", "ches", "shes")):
        return word[:-2]
    is_plural = len(word) > 2 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if is_plural else word


def says_id(name: str) -> bool:
    """Return whether a column's name says that it holds an id."""
    last = words_of(name)[-1:]
    return bool(_ID.intersection(last)) or bool(re.search(r"(?:id|Id|ID|uuid|guid|_by|By)s?\d*$", name))


@dataclass(frozen=True, slots=True)
class HostWords:
    """The host's words for folders, phrases of one or more words, and for ids."""

    phrases: frozenset[tuple[str, ...]]
    id_word: str = ""
    """The last word of the folders' key, as ``no`` in ``dir_no``: other columns of ids may end in it, too."""

    @classmethod
    def read(cls, tables: FolderTables, columns: Iterable[str], beside: Iterable[str] = ()) -> HostWords:
        """Take the names of the folder model and its table, and of ``columns`` that hold folders.

        ``beside`` are tables of the same program, whose names may begin as that of the folders does.
        """
        meta = tables.folder._meta
        table = words_of(tables.folder_table.rpartition(".")[2])
        label = words_of(meta.app_label)
        others = [words_of(name.rpartition(".")[2]) for name in beside if name != tables.folder_table]
        names = {
            words_of(tables.folder.__name__),
            words_of(str(getattr(meta, "verbose_name_raw", None) or meta.verbose_name)),
            table,
            table[len(label) :] if table[: len(label)] == label else table,
            _without_prefix(table, others),
            *(_without_id(words_of(column)) for column in columns),
        }
        key = words_of(tables.folder_key.column)
        return cls(
            frozenset(name for name in names if name and not (len(name) == 1 and set(name) & (_COMMON | _ID))),
            id_word=key[-1] if len(key) > 1 and key[-1] not in _COMMON else "",
        )

    def say_id(self, column: str) -> bool:
        """Return whether a column's name says that it holds an id, in common words or in the host's."""
        return says_id(column) or (bool(self.id_word) and words_of(column)[-1:] == (self.id_word,))

    def name_it(self, column: str) -> bool:
        """Return whether a column is named after folders."""
        compact = "".join(_LETTERS.findall(column)).lower()
        if any(word in compact for word in _ANYWHERE):
            return True
        words = words_of(column)
        if _SHORT & set(words) and self.say_id(column):
            return True
        if not words or _AMOUNTS & set(words):
            return False
        return any(
            _contains(words, phrase) or _without_id((_singular(compact),)) == ("".join(phrase),)
            for phrase in self.phrases
        )

    def name_another(self, column: str) -> bool:
        """Return whether a column of the folder table is named after a folder other than its own.

        Many programs begin the names of all columns of a table with its name: ``forum_topics``, ``forum_last_post_id``.
        """
        words = _without_id(words_of(column))
        return self.name_it(column) and (words[-1] in _FOLDERS or any(words[-len(p) :] == p for p in self.phrases))

    def name_this(self, text: str) -> bool:
        """Return whether a value, such as ``dms.directory`` or ``Model::Folder``, names the host's folders."""
        words = words_of(text)
        return words[-1:] in {("folder",), ("directory",)} or any(words[-len(p) :] == p for p in self.phrases)

    @property
    def hints(self) -> Collection[str]:
        """Letters, some of which occur in every column that is named after folders."""
        return {*_ANYWHERE, *_SHORT, "director", *(_stem(phrase[0]) for phrase in self.phrases)}


def _stem(word: str) -> str:
    return word[:-1] if word.endswith("y") else word


def _without_prefix(table: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Leave out a first word that other tables have, too (``phpbb_forums``), or that is repeated (``forum_forum``)."""
    shared = len(table) > 1 and (table[0] == table[1] or any(other[:1] == table[:1] for other in others))
    return table[1:] if shared else table


def _without_id(words: tuple[str, ...]) -> tuple[str, ...]:
    if len(words) > 1 and words[-1] in _ID:
        return words[:-1]
    if len(words) == 1:
        return (re.sub(r"(?:uuid|guid|id)$", "", words[0]) or words[0],)
    return words


def _contains(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    width = len(phrase)
    return any(words[start : start + width] == phrase for start in range(len(words) - width + 1))
