"""PostgreSQL's part of foreseeing collisions."""

from collections.abc import Sequence
from typing import Any

from cleanup.backends.catalogue import UniqueKey
from cleanup.backends.collisions import Change, CollisionSql, Judged, Met
from cleanup.backends.conditions import Statement
from cleanup.backends.postgresql import PostgresBackend, _bare


class PostgresCollisionSql(CollisionSql):
    """Keys and cells are arrays of texts."""

    backend: PostgresBackend

    def _row(self, table: int, row: Sequence[Any]) -> Met:
        rule, alike, family, place, rival, point, key, moves, body, cells = row
        return Met(table, rule, alike, family, place, rival, point, tuple(key), moves, tuple(body), tuple(cells))

    def _change(self, change: Change) -> Statement:
        relation, pairs, condition, params = self.backend.matching(change.target)
        columns = [f"t.{self.backend.quote(column)} AS __k{place}" for place, column in enumerate(change.target.key)]
        for place, name in enumerate(change.columns):
            column = change.target.table.column(name)
            # A collation of the column's own, or it would be unknown which one holds.
            collation = f" COLLATE {column.collation}".replace("%", "%%") if column.collation else ""
            columns.append(f"m.n{place}::{_bare(column)}{collation} AS __n{place}")
        return (
            f"SELECT m.point AS __point, m.rank AS __rank, {', '.join(columns)}"
            f" FROM {pairs} JOIN {relation} AS t ON {condition}"
        ), params

    def _spared(self, judged: Judged) -> Statement:
        kind = _bare(judged.table.column(judged.key[0]))
        return f"SELECT s::{kind} AS __s FROM unnest(%s::text[]) AS s", [list(judged.spare)]

    def _cells(self, expressions: Sequence[str]) -> str:
        return f"ARRAY[{', '.join(f'{expression}::text' for expression in expressions)}]::text[]"

    def _greatest(self, expressions: Sequence[str]) -> str:
        return f"greatest({', '.join(expressions)})"

    def _equals(self, unique: UniqueKey, place: int, left: str, right: str) -> str:
        return f"{left} {unique.operators[place] if unique.operators else '='} {right}"

    def _ordered(self, unique: UniqueKey, place: int) -> str:
        return f"__u{place}"

    def _nested(self) -> str:
        return "JOIN"

    def _no_rival(self) -> str:
        return "NULL::bigint"
