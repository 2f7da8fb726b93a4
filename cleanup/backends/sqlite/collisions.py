"""SQLite's part of predicting collisions."""

import json
from collections.abc import Sequence

from cleanup.backends.catalogue import UniqueKey
from cleanup.backends.collisions import Change, CheckedTable, CollisionSql
from cleanup.backends.query import Query, block, label, quote
from cleanup.backends.sqlite.cells import applied, collation, decoded, encoded, json_array
from cleanup.backends.sqlite.targets import matches_of


class Collisions(CollisionSql):
    """Keys and cells are JSON arrays of cells."""

    def _change(self, change: Change, *, number: int | str) -> Query:
        columns = [f"t.{quote(column)} AS __k{place}" for place, column in enumerate(change.target.key)]
        for place, (name, own) in enumerate(zip(change.columns, change.target.columns, strict=False)):
            value = applied(decoded(f"given.{label('new', own)}"), change.target.table.column(name).type)
            columns.append(f"{value} AS __n{place}")
        return block(
            "SELECT given.point AS __point, given.rank AS __rank, {columns} FROM {matches}",
            columns=", ".join(columns),
            matches=matches_of(change.target, number=number),
        )

    def _spared(self, judged: CheckedTable, *, number: int) -> Query:
        return Query(
            f"SELECT {decoded('value')} AS __s FROM json_each(%(spared_{number})s)",
            {f"spared_{number}": json.dumps(list(judged.spare))},
        )

    def _cells(self, expressions: Sequence[str]) -> str:
        return json_array([encoded(expression) for expression in expressions])

    def _greatest(self, expressions: Sequence[str]) -> str:
        if len(expressions) == 1:
            return expressions[0]
        return f"max({', '.join(f'coalesce({expression}, -1)' for expression in expressions)})"

    def _equals(self, unique: UniqueKey, place: int, left: str, right: str) -> str:
        return f"{left} = {right} COLLATE {collation(unique.parts[place])}"

    def _ordered(self, unique: UniqueKey, place: int) -> str:
        return f"__u{place} COLLATE {collation(unique.parts[place])}"

    def _no_rival(self) -> str:
        return "NULL"
