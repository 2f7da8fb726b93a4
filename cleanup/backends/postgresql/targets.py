"""The rows of a change of values: the pairs of old and new as a relation ``given``, the rows as ``t``."""

from cleanup.backends.changes import Target
from cleanup.backends.postgresql.cells import array, bare, relation_of, typed
from cleanup.backends.postgresql.session import Session
from cleanup.backends.query import Query, block, joined, label, quote


def pairs_of(session: Session, target: Target, *, number: int | str) -> Query:
    """Return the relation ``given``: point, rank, and for each column the ``old`` and ``new`` cell."""
    pairs = target.pairs
    columns = {"point": "bigint", "rank": "int"}
    columns |= {label(word, column): "text" for word in ("old", "new") for column in target.columns}
    values = (pairs.points, pairs.ranks, *pairs.olds, *pairs.news)
    return relation_of(columns, map(session.cached_array, values), number=number)


def olds_of(session: Session, target: Target, *, name: str) -> Query:
    """Return a CTE with the point and, for each column, the old value; targets with the same pairs and types share it.

    ``condition_of`` reads it as ``given_olds`` names it.
    """
    pairs, columns = target.pairs, [target.table.column(column) for column in target.columns]
    cells = {f"old{place}": "text" for place in range(len(columns))}
    return block(
        """
        {name} AS MATERIALIZED (
          SELECT point, {values}
            FROM {given}
        )
        """,
        name=name,
        values=", ".join(f"{cell}::{typed(column)}" for cell, column in zip(cells, columns, strict=True)),
        given=relation_of(
            {"point": "bigint", **cells}, map(session.cached_array, (pairs.points, *pairs.olds)), number=name
        ),
    )


def given_olds(target: Target, *, olds: str) -> str:
    """Return the relation ``given`` of such a CTE."""
    return f"{olds} AS given(point, {', '.join(label('old', column) for column in target.columns)})"


def condition_of(target: Target, *, number: int | str, changes: str = "") -> Query:
    """Return the condition of the rows to change; ``changes`` is a CTE with the pairs, if there is one."""
    parts: list[str | Query] = [
        f"t.{quote(column)} = given.{label('old', column)}::{typed(target.table.column(column))}"
        for column in target.columns
    ]
    if target.condition:
        parts.append(target.condition.sql("t", vendor="postgresql", name=f"kind_{number}"))
    if target.of_others:
        parts.append(f"t.{quote(target.columns[0])} <> t.{quote(target.key[0])}")
    if target.spare:
        key = target.table.column(target.key[0])
        if changes and target.spare is target.pairs.olds[0]:  # as a rule; in that case they already exist
            spare = Query(f"(SELECT {label('old', target.columns[0])}::{typed(key)} FROM {changes})")
        else:
            spare = Query(
                f"unnest(%(spare_{number})s::text[]::{bare(key)}[])", {f"spare_{number}": array(target.spare)}
            )
        # Hashed, where "<> ALL" would compare every row with every key.
        parts.append(
            block(
                "NOT EXISTS (SELECT FROM {spare} AS spare(key) WHERE spare.key = t.{key})",
                spare=spare,
                key=quote(key.name),
            )
        )
    return joined("\n  AND ", parts)
