"""Keys of folders in arrays, or in JSON arrays of texts (jsonb), which are re-pointed element by element.

Note [Elements]. An array stays as it is but for its elements that name a removed folder: none is dropped or moved, even
if the survivor is named twice then. What is journaled is the element, not the array: a row of the journal names a row
of the table and a position in its array, counted from 1 through all its dimensions. So merges of two applications may
change one array and be undone apart, and what people add to it since does not conflict. Elements that named the
survivor before are journaled, too, as unchanged: if one of these equals is taken out since, it cannot be known which it
was, and the undo reports a conflict, because it might leave the array without the survivor.

Note [JSON arrays]. Elements of a value that is an array count, and of these the texts; what lies deeper is no element.
jsonb has one form for each value, so that putting an array together again changes nothing else; json has not.

Only PostgreSQL has arrays.
"""

from collections.abc import Sequence
from dataclasses import replace

from cleanup.backends.catalogue import Column
from cleanup.backends.changes import Restoration, RowCount, Target, UndoTarget
from cleanup.backends.session import Room

#: What is added to a row's key: the position.
PLACE = "cleanup_place"


class Lists(Room):
    """One connection's arrays; where there are none, no method is called."""

    def move(self, targets: Sequence[Target], *, step: int) -> list[RowCount]:
        """Change elements and journal them; return rows by point. Raises CountMismatch."""
        raise NotImplementedError

    def count_rows(self, targets: Sequence[Target]) -> list[RowCount]:
        """Count the rows whose array holds an old value of their target, by point."""
        raise NotImplementedError

    def restore(self, target: UndoTarget, *, points: Sequence[int], step: int) -> Restoration:
        """Undo one step's moves, as ``Undoing.restore_moved`` does, element by element."""
        raise NotImplementedError


def element_of(column: Column) -> Column:
    """Return a column with the type of an array's elements."""
    kind = "text" if is_json(column) else column.stored_type.removesuffix("[]")
    return replace(column, type=kind, base="")


def is_array(column: Column) -> bool:
    """Return whether a column holds arrays."""
    return column.stored_type.endswith("[]") or is_json(column)


def is_json(column: Column) -> bool:
    """Return whether a column holds JSON, of which elements can be changed. See Note [JSON arrays]."""
    return column.stored_type == "jsonb"


def elements_of_json(value: str) -> str:
    """Return a relation with ``value`` (of a text, else null), ``place`` and ``member`` of each element of an array."""
    array = f"CASE jsonb_typeof({value}) WHEN 'array' THEN {value} ELSE '[]' END"
    text = "CASE jsonb_typeof(member) WHEN 'string' THEN member #>> '{}' END"
    members = f"jsonb_array_elements({array}) WITH ORDINALITY AS m(member, place)"
    return f"(SELECT {text} AS value, place, member FROM {members})"
