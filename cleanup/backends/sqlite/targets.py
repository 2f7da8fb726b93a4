"""Which rows a change of values means: the pairs of old and new as ``given``, the rows as ``t``."""

from collections.abc import Iterable

from cleanup.backends.changes import Keys, Target
from cleanup.backends.query import Query, block, joined, label, quote
from cleanup.backends.sqlite.cells import applied, as_json, decoded, encoded, listed, member
from cleanup.backends.sqlite.session import relation


def pairs_of(target: Target, *, number: int | str) -> Query:
    """Return the query of point, rank, and for each column the ``old`` and ``new`` cell.

    ``held`` is the old value as the column would hold it.
    """
    pairs = target.pairs
    names = ["point", "rank", *(label(word, column) for word in ("old", "new") for column in target.columns)]
    olds = {column: decoded(f"cells.{label('old', column)}") for column in target.columns}
    values = (
        f"{applied(old, target.table.column(column).type)} AS {label('held', column)}" for column, old in olds.items()
    )
    rows = list(zip(pairs.points, pairs.ranks, *pairs.olds, *pairs.news, strict=True))
    return block(
        """
        -- The old value as the column would hold it, by which its index finds it.
        SELECT cells.*,
               {values}
          FROM (SELECT {cells}
                  FROM json_each(%(pairs_{number})s)) AS cells
        """,
        number=number,
        values=",\n".join(values),
        cells=", ".join(f"{member(place)} AS {name}" for place, name in enumerate(names)),
    ).bind(**{f"pairs_{number}": as_json(rows)})


def matches_of(target: Target, *, number: int | str) -> Query:
    """Return the join of the pairs ``given`` with the target's rows ``t`` that hold one of the old values.

    By the index on the column if there is one; otherwise the table is read once, and the pairs by an index that SQLite
    makes for the statement, which it can only if the column's affinity is out of the way.
    """
    pairs = block(
        """
        (
          WITH given AS MATERIALIZED (
            {pairs}
          )
          SELECT * FROM given
        ) AS given
        """,
        pairs=pairs_of(target, number=number),
    )
    rows = Query(f"{relation(target.table.name)} AS t")
    first, second = (pairs, rows) if is_indexed(target) else (rows, pairs)
    return block(
        """
        {first}
        CROSS JOIN {second}
        ON {condition}
        """,
        first=first,
        second=second,
        condition=condition_of(target, number=number),
    )


def is_indexed(target: Target) -> bool:
    """Return whether an index finds the rows by the target's columns."""
    kinds = target.condition.columns if target.condition else ()
    return any(
        index[0] in target.columns or (index[0] in kinds and len(index) > 1 and index[1] in target.columns)
        for index in target.table.indexes
    )


def condition_of(target: Target, *, number: int | str) -> Query:
    """Return the condition of the rows to change."""
    plus = "" if is_indexed(target) else "+"
    parts: list[str | Query] = [
        f"{plus}t.{quote(column)} = given.{label('held', column)} COLLATE BINARY" for column in target.columns
    ]
    if target.condition:
        parts.append(target.condition.sql("t", vendor="sqlite", name=f"kind_{number}"))
    if target.of_others:
        parts.append(f"t.{quote(target.columns[0])} <> t.{quote(target.key[0])}")
    if target.spare:
        name = f"spare_{number}"
        parts.append(Query(f"t.{quote(target.key[0])} NOT IN {listed(name)}", {name: as_json(target.spare)}))
    return joined("\n  AND ", parts)


def key_rows(key: tuple[str, ...], rows: Keys) -> Query:
    """Return the query of ``point`` and the ``raw`` values of keys."""
    values = (f"{decoded(member(place))} AS {label('raw', column)}" for place, column in enumerate(key, 1))
    return block(
        """
        SELECT {point} AS point,
               {values}
          FROM json_each(%(rows)s)
        """,
        point=member(0),
        values=",\n".join(values),
    ).bind(rows=as_json(list(zip(rows.points, *rows.columns, strict=True))))


def same_key(key: tuple[str, ...], table: str, rows: str) -> str:
    """Return the condition that a row has the ``raw`` key values of ``rows``."""
    return " AND ".join(f"{table}.{quote(column)} = {rows}.{label('raw', column)}" for column in key)


def cells_of(columns: Iterable[str], *, word: str = "key") -> str:
    """Return the cells of columns of row ``t``."""
    return ",\n".join(f"{encoded(f't.{quote(column)}')} AS {label(word, column)}" for column in columns)
