"""Columns by which a host may mark folders as deleted, and the setting that says which folders are live. Pure.

A name is judged by its words: ``deletedAt``, ``is_deleted``, ``IN-TRASH`` and ``dateremoved`` are marks, while
``undeletable``, ``delete_protected`` and ``removed_count`` are not. A column of states, or of a switch such as
``is_active``, is judged by its values.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cleanup.references.host_words import words_of as singular_words_of
from cleanup.references.problem import Problem
from cleanup.references.words import split_glued, vocabulary, words_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from cleanup.backends.catalogue import Column, TableName

#: Words that alone mean that a row is deleted.
_DELETED = vocabulary(
    "deleted trashed trash removed archived discarded recycled binned purged erased expunged destroyed scrapped"
    " tombstone tombstoned trashcan recyclebin voided wiped junked obsolete obsoleted deactivated inactivated disposed"
    " geloescht gelöscht papierkorb"
)
#: Words that mean so beside a word such as "date" or "flag"; alone they may just as well mean an archive, or a right.
_DELETION = vocabulary("delete deletion del archive archival remove removal recycle bin purge discard void wipe")
_MARKING = vocabulary(
    "is in at on date datetime time timestamp tstamp ts flag flg yn mark marker marked soft pending scheduled"
)
_COMPANIONS = _MARKING | vocabulary(
    "was has been as for by when since epoch ms utc logically logical softly permanently user username id uid uuid who"
    " am im von token reason from parent state status cascade folder directory row record item object entity"
)
_NOT = frozenset({"not", "non", "un"})
_VOCABULARY = _DELETED | _DELETION | _COMPANIONS | {"not"}
#: Words that alone are marks if the column holds yes or no.
_FLAGS = frozenset({"archive", "del", "delete", "recycle"})

_STATES = vocabulary("status state stat lifecycle phase stage visibility condition disposition availability situation")
#: Other values of a column of states.
_ABBREVIATED = vocabulary("d del x inactive void")
#: Words of columns that say that a row is in use, and that it is not.
_IN_USE = vocabulary("active enabled visible live alive valid current usable")
_OUT_OF_USE = vocabulary("inactive disabled hidden invalid retired withdrawn unused dead expired")
#: Words of columns that hold the end of the time in which a row was in use (null, or a day that never comes, while it
#: is), as tables of versions have them; ``valid_until`` may just as well be a day that is set beforehand.
_UNTIL = vocabulary("to end")
_SWITCHES = _IN_USE | _OUT_OF_USE | {"effective"}
_BESIDE_SWITCHES = vocabulary("is at on date time timestamp flag flg yn since still folder directory row record item")

_DELETED_VALUES = _DELETED | frozenset({"deletion", "bin", "soft", "in", "for", "marked", "pending", "to", "be", "is"})

#: What a live folder's mark usually holds, as text.
LIVE = ("false", "f", "0", "n", "no", "")


def marks_deleted(column: str, *, table: str = "", flag: bool = False) -> bool:
    """Return whether a column is named like a mark of deleted rows; ``flag``: it holds yes or no."""
    words = _without_prefix(words_of(column), table)
    parts = list(split_glued(words, _VOCABULARY))
    if not parts or not set(parts) <= _DELETED | _DELETION | _COMPANIONS | _NOT:
        return False
    if not _DELETED.isdisjoint(parts):
        return True
    if len(parts) == 1:
        return flag and parts[0] in _FLAGS
    named = [part for part in parts if part in _DELETION]
    return len(named) > 1 or (bool(named) and parts[0] != "on" and not _MARKING.isdisjoint(parts))


def _without_prefix(words: Sequence[str], table: str) -> Sequence[str]:
    """Leave out a prefix of the name: a single letter, or the table's name or its beginning."""
    of_table = words_of(table)
    while len(words) > 1 and words[0] not in _VOCABULARY:
        if len(words[0]) > 1 and not any(word.startswith(words[0]) for word in of_table):
            break
        words = words[1:]
    return words


def lists_deleted(name: str, *, table: str, folders: Collection[str]) -> bool:
    """Return whether a table is named like one of deleted folders; ``folders`` are the host's words for these.

    ``table`` is that of the folders, whose name may begin in the same way.
    """
    return marks_deleted("_".join(word for word in singular_words_of(name) if word not in folders), table=table)


def other_table_problem(folders: TableName, table: TableName, column: str) -> Problem:
    """Report a table that says which folders are deleted, with the column by which it names them."""
    return Problem(
        "soft_delete",
        str(table),
        column,
        f"{table} says which folders are deleted ({column}), and CLEANUP_FOLDER_LIVE can only name columns of "
        f"{folders}, so that deleted folders would be merged with live ones. Restore these folders or purge them "
        f"first; or keep the mark in a column of {folders}, too, and name it in CLEANUP_FOLDER_LIVE; or set "
        f"CLEANUP_FOLDER_LIVE = None if all are live.",
    )


def holds_states(column: str) -> bool:
    """Return whether a column is named like one that holds the state of a row."""
    return not _STATES.isdisjoint(split_glued(words_of(column), _STATES))


def switches(column: str) -> bool:
    """Return whether a column is named like one that says whether a row is in use."""
    parts = _parts_of_switch(column)
    named = bool(parts & _SWITCHES) and (not parts <= _BESIDE_SWITCHES | {"effective"} or bool(parts & _UNTIL))
    return named and parts <= _SWITCHES | _UNTIL | _BESIDE_SWITCHES | _NOT


def _parts_of_switch(column: str) -> set[str]:
    return set(split_glued(words_of(column), _SWITCHES | _UNTIL | _BESIDE_SWITCHES | _NOT))


def _says_deleted(value: str) -> bool:
    """Return whether a value of a column of states says that the row is deleted."""
    words = set(words_of(value))
    return (words <= _DELETED_VALUES and bool(words & _DELETED)) or (len(words) == 1 and words <= _ABBREVIATED)


def is_flag(column: Column) -> bool:
    """Return whether a column holds yes or no, or a small number, judged by its type."""
    return _is_boolean(column.type) or _is_number(column.type)


def is_reversed(column: str) -> bool:
    """Return whether a column named like a mark says that a row is not deleted."""
    return not _NOT.isdisjoint(split_glued(words_of(column), _VOCABULARY))


def live_setting(column: str, value: object) -> str:
    """Return the sentence about the setting to decide with; ``value`` is what live folders hold."""
    return (
        f"Set which folders are live: CLEANUP_FOLDER_LIVE = {{{json.dumps(column)}: {_literal(value)}}}, "
        f"or CLEANUP_FOLDER_LIVE = None if all are."
    )


def setting_by_values(column: Column, values: Mapping[str | None, int]) -> str:
    """Return that sentence for a column that holds these values, as text, each with how often it was seen."""
    value, certain = _live_value(column, values)
    if certain:
        return live_setting(column.name, value)
    if not values:
        return (
            f"Set CLEANUP_FOLDER_LIVE to what {column.name} holds in live folders, "
            f"or set CLEANUP_FOLDER_LIVE = None if all are live."
        )
    return f"Most folders are likely to be live; it holds {_listed(values)}. {live_setting(column.name, value)}"


def _live_value(column: Column, values: Mapping[str | None, int]) -> tuple[object, bool]:
    """Return what live folders hold, and whether that is certain enough to be stated without the values."""
    reversed_mark = is_reversed(column.name)
    if _is_boolean(column.type):
        only_nulls = set(values) == {None} or (not values and not column.not_null)
        return (reversed_mark, True) if reversed_mark or not only_nulls else (None, True)
    if not reversed_mark:
        usual = [value for value in values if value is None or value.strip().lower() in LIVE]
        if usual:
            return _as_value(column, max(usual, key=lambda value: (values[value], value is None))), True
        if not values and not column.not_null:
            return None, True
        if not values and _is_number(column.type):
            return 0, True
    if not values:
        return None, False
    return _as_value(column, max(values, key=lambda value: values[value])), False


def _as_value(column: Column, value: str | None) -> object:
    return int(value) if value is not None and _is_number(column.type) and value.lstrip("-").isdigit() else value


def _is_boolean(declared: str) -> bool:
    return "bool" in declared.lower()


def _is_number(declared: str) -> bool:
    words = declared.lower().partition("(")[0]
    return ("int" in words and "interval" not in words) or words.startswith(("numeric", "decimal", "number"))


def _listed(values: Mapping[str | None, int], *, most: int = 5) -> str:
    """List values with how often each was seen, the frequent ones first."""
    ordered = sorted(values, key=lambda value: (-values[value], value is None, str(value)))
    shown = [f"{_literal(value)} ({values[value]:,})" for value in ordered[:most]]
    return ", ".join([*shown, *(["..."] if len(ordered) > most else [])])


def state_warning(
    table: TableName, column: Column, values: Mapping[str | None, int], labels: Sequence[str]
) -> Iterator[Problem]:
    """Warn of a column of states that marks, or by its type could mark, a folder as deleted.

    ``values`` are those that occur, each with how often it was seen; ``labels`` those of an enumerated type.
    """
    deleted = [value for value in dict.fromkeys([*values, *labels]) if value and _says_deleted(value)]
    if not deleted:
        return
    live = {value: number for value, number in values.items() if value is not None and value not in deleted}
    value = max(live, key=lambda value: live[value], default=next((x for x in labels if x not in deleted), None))
    holds = f"holds {_listed(values)}" if values else "holds nothing yet"
    types = f", and its type knows {', '.join(map(_literal, labels))}" if labels else ""
    several = "" if len(live) < 2 else " The setting takes one value of a column."
    yield Problem(
        "soft_delete",
        str(table),
        column.name,
        f"{table}.{column.name} {holds}{types}: folders may be marked as deleted by it, and would be merged with "
        f"others. {live_setting(column.name, value)}{several}",
    )


def switch_warning(table: TableName, column: Column, values: Mapping[str | None, int]) -> Iterator[Problem]:
    """Warn of a column that marks some folders as in use, and others as not."""
    parts = _parts_of_switch(column.name)
    in_use = parts.isdisjoint(_OUT_OF_USE | _UNTIL) == parts.isdisjoint(_NOT)
    live = [value for value in values if _is_unset(value) != in_use]
    if not live or len(live) == len(values) or (in_use and len(live) > 1):  # numbers or times of something else
        return
    usual = max(live, key=lambda value: values[value])
    value = in_use if usual is not None and _is_boolean(column.type) else _as_value(column, usual)
    yield Problem(
        "soft_delete",
        str(table),
        column.name,
        f"{table}.{column.name} holds {_listed(values)}: folders may be marked as deleted by it, and would be merged "
        f"with others. {live_setting(column.name, value)}",
    )


def _is_unset(value: str | None) -> bool:
    """Return whether a switch is off, or a time has not come: also one that never comes."""
    return value is None or value.strip().lower() in LIVE or value.startswith(("9999-", "infinity"))


def _literal(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)
