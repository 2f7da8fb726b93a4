"""Which rows of a table a reference is about, if further columns say it: content types, kinds, model names.

Values compare as the column's own type does. In a statement they are parameters; in a hint, which has none, literals.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cleanup.backends.query import Query, quoted

Value = str | int | None


@dataclass(frozen=True, slots=True)
class ColumnIn:
    """A column that must hold one of the values; None stands for null."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Column tests, all of which must hold."""

    tests: tuple[ColumnIn, ...]

    @classmethod
    def of(cls, values: Mapping[str, Iterable[Value]]) -> "Condition":
        """Return the condition that each column holds one of its values."""
        return cls(tuple(ColumnIn(column, tuple(allowed)) for column, allowed in values.items()))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are tested."""
        return tuple(test.column for test in self.tests)

    def renamed(self, names: Mapping[str, str]) -> "Condition | None":
        """Return the condition on copies of its columns, or None if one of them has no copy."""
        if not set(self.columns) <= set(names):
            return None
        return Condition(tuple(ColumnIn(names[test.column], test.values) for test in self.tests))

    def sql(self, alias: str, *, vendor: str, name: str = "kind") -> Query:
        """Return the test of a row known by ``alias``, with parameters called ``name`` and a number."""
        params: dict[str, Any] = {}

        def parameter(value: str | int) -> str:
            # PostgreSQL treats a text of unknown type as a value of the column's type, whatever that is.
            params[f"{name}_{len(params)}"] = str(value) if vendor == "postgresql" else value
            return f"%({name}_{len(params) - 1})s"

        return Query(self._sql(alias, parameter), params)

    def literal(self, alias: str, *, vendor: str) -> str:
        """Return the test of a row known by ``alias`` as SQL without parameters, percent signs doubled."""
        return self._sql(alias, lambda value: _literal(value, vendor=vendor))

    def _sql(self, alias: str, spell: Callable[[str | int], str]) -> str:
        return " AND ".join(_test(test, alias, spell) for test in self.tests)


def _test(test: ColumnIn, alias: str, spell: Callable[[str | int], str]) -> str:
    column = f"{alias}.{quoted(test.column)}".replace("%", "%%")
    listed = ", ".join(spell(value) for value in test.values if value is not None)
    either = [f"{column} IN ({listed})"] if listed else []
    if None in test.values:
        either.append(f"{column} IS NULL")
    return f"({' OR '.join(either)})" if either else "1 = 0"


def _literal(value: str | int, *, vendor: str) -> str:
    if vendor == "sqlite" and isinstance(value, int):
        return str(int(value))
    escaped = str(value).replace("'", "''").replace("%", "%%")
    return f"'{escaped}'"
