"""What becomes of rows that would collide, by table: CLEANUP_COLLISIONS as it applies to this database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cleanup.policies import CollisionPolicy, NewValuePolicy
from cleanup.references.key_types import kind_of

if TYPE_CHECKING:
    from cleanup.backends.catalogue import Column, Table


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of the row that has to give way; without anything its application is refused."""

    keep_survivor: bool = False
    changes: tuple[tuple[NewValuePolicy, str], ...] = ()
    """The columns that take another name or number, in the order in which they are tried."""

    @classmethod
    def of(cls, value: Any, table: Table) -> Policy:
        """Return the policy of a setting's value, with the columns as the table spells them."""
        if not isinstance(value, Mapping):
            return cls(keep_survivor=value == CollisionPolicy.KEEP_SURVIVOR)
        changes = [
            (NewValuePolicy(way), found.name) for way, name in value.items() if (found := column_of(table, name))
        ]
        return cls(changes=tuple(changes))


def column_of(table: Table, name: str) -> Column | None:
    """Return the column that a setting names, in any case if there is only one such column."""
    exact = [column for column in table.columns if column.name == name]
    alike = exact or [column for column in table.columns if column.name.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def can_take(way: NewValuePolicy, column: Column) -> bool:
    """Return whether a column can take another name, or number."""
    kind = kind_of(column)
    return not column.generated and (kind == "integer" if way == NewValuePolicy.RENUMBER else kind in {"text", "other"})


def faults(value: Mapping[str, str], table: Table, moving: set[str]) -> Iterator[tuple[str, str]]:
    """Yield (column, what is wrong) of a setting's value for a table; ``moving`` are columns that hold folders."""
    for way, name in value.items():
        column = column_of(table, name)
        if column is None:
            yield name, "the table has no such column."
        elif column.name in moving:
            yield name, "that column is needed to tell where the row belongs."
        elif not can_take(NewValuePolicy(way), column):
            kind = "integers" if way == NewValuePolicy.RENUMBER else "texts"
            yield name, f"its type {column.type} does not hold {kind} that can be written."
