"""PostgreSQL's part of predicting collisions."""

from collections.abc import Sequence

from cleanup.backends.catalogue import UniqueKey
from cleanup.backends.collisions import Change, CheckedTable, CollisionSql
from cleanup.backends.postgresql.cells import bare
from cleanup.backends.postgresql.session import Session
from cleanup.backends.postgresql.targets import condition_of, pairs_of
from cleanup.backends.query import Query, block, label, quote


class Collisions(CollisionSql):
    """Keys and cells are arrays of texts."""

    session: Session

    def _change(self, change: Change, *, number: int | str) -> Query:
        columns = [f"t.{quote(column)} AS __k{place}" for place, column in enumerate(change.target.key)]
        for place, (name, own) in enumerate(zip(change.columns, change.target.columns, strict=False)):
            column = change.target.table.column(name)
            # A collation of the column's own, or it would be unknown which one holds.
            collation = f" COLLATE {column.collation}".replace("%", "%%") if column.collation else ""
            columns.append(f"given.{label('new', own)}::{bare(column)}{collation} AS __n{place}")
        return block(
            """
            SELECT given.point AS __point, given.rank AS __rank, {columns}
              FROM {pairs}
              JOIN {table} AS t ON {condition}
            """,
            columns=", ".join(columns),
            pairs=pairs_of(self.session, change.target, number=number),
            table=self.relation(change.target.table.name),
            condition=condition_of(change.target, number=number),
        )

    def _spared(self, judged: CheckedTable, *, number: int) -> Query:
        kind = bare(judged.table.column(judged.key[0]))
        return Query(
            f"SELECT s::{kind} AS __s FROM unnest(%(spared_{number})s::text[]) AS s",
            {f"spared_{number}": list(judged.spare)},
        )

    def _cells(self, expressions: Sequence[str]) -> str:
        return f"ARRAY[{', '.join(f'{expression}::text' for expression in expressions)}]::text[]"

    def _greatest(self, expressions: Sequence[str]) -> str:
        return f"greatest({', '.join(expressions)})"

    def _equals(self, unique: UniqueKey, place: int, left: str, right: str) -> str:
        return f"{left} {unique.operators[place] if unique.operators else '='} {right}"

    def _ordered(self, unique: UniqueKey, place: int) -> str:
        return f"__u{place}"

    def _no_rival(self) -> str:
        return "NULL::bigint"
