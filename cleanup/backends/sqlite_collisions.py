"""SQLite's part of foreseeing collisions."""

import json
from collections.abc import Sequence
from typing import Any

from cleanup.backends.catalogue import UniqueKey
from cleanup.backends.collisions import Change, CollisionSql, Judged, Met
from cleanup.backends.conditions import Statement
from cleanup.backends.sqlite import SqliteBackend, _applied, _collation, _decoded, _encoded, _json_array


class SqliteCollisionSql(CollisionSql):
    """Keys and cells are JSON arrays of cells."""

    backend: SqliteBackend

    def _row(self, table: int, row: Sequence[Any]) -> Met:
        rule, alike, family, place, rival, point, key, moves, body, cells = row
        return Met(
            table,
            rule,
            alike,
            family,
            place,
            rival,
            point,
            tuple(json.loads(key)),
            moves,
            body,
            tuple(json.loads(cells)),
        )

    def _change(self, change: Change) -> Statement:
        pairs, matches, params = self.backend.matching(change.target)
        columns = [f"t.{self.backend.quote(column)} AS __k{place}" for place, column in enumerate(change.target.key)]
        for place, name in enumerate(change.columns):
            kind = change.target.table.column(name).type
            columns.append(f"{_applied(_decoded(f'm.n{place}'), kind)} AS __n{place}")
        return f"WITH {pairs} SELECT m.point AS __point, m.rank AS __rank, {', '.join(columns)} FROM {matches}", params

    def _spared(self, judged: Judged) -> Statement:
        return f"SELECT {_decoded('value')} AS __s FROM json_each(%s)", [json.dumps(list(judged.spare))]

    def _cells(self, expressions: Sequence[str]) -> str:
        return _json_array([_encoded(expression) for expression in expressions])

    def _greatest(self, expressions: Sequence[str]) -> str:
        if len(expressions) == 1:
            return expressions[0]
        return f"max({', '.join(f'coalesce({expression}, -1)' for expression in expressions)})"

    def _equals(self, unique: UniqueKey, place: int, left: str, right: str) -> str:
        return f"{left} = {right} COLLATE {_collation(unique.parts[place])}"

    def _ordered(self, unique: UniqueKey, place: int) -> str:
        return f"__u{place} COLLATE {_collation(unique.parts[place])}"

    def _nested(self) -> str:
        return "CROSS JOIN"

    def _no_rival(self) -> str:
        return "NULL"
