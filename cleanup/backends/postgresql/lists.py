"""PostgreSQL: arrays of folder keys. See Note [Elements] in ``cleanup.backends.lists``."""

from collections.abc import Sequence
from dataclasses import replace

from cleanup.backends import lists
from cleanup.backends.catalogue import Column
from cleanup.backends.changes import Restoration, RowConflict, RowCount, Target, UndoTarget
from cleanup.backends.lists import PLACE, element_of, elements_of_json, is_json
from cleanup.backends.postgresql.cells import bare, key_columns, shown, text_array, typed
from cleanup.backends.postgresql.merging import Merging
from cleanup.backends.postgresql.session import Session
from cleanup.backends.postgresql.targets import pairs_of
from cleanup.backends.postgresql.undoing import Undoing, as_before
from cleanup.backends.query import Query, block, joined, label, quote
from cleanup.backends.undoing import require_all
from cleanup.exceptions import CountMismatch


class Lists(lists.Lists):
    """Elements are found, changed and journaled by one statement."""

    session: Session

    def count_rows(self, targets: Sequence[Target]) -> list[RowCount]:
        counted = self.fetch_each(self._count(target, number) for number, target in enumerate(targets))
        return [RowCount(point, targets[number].table.name, rows) for number, point, rows in counted]

    def _count(self, target: Target, number: int) -> Query:
        return block(
            """
            SELECT h.point, count(DISTINCT h.row)
              FROM (
                WITH {changes}
                SELECT given.point, {row} AS row
                  FROM {elements}
              ) AS h
             GROUP BY h.point
            """,
            changes=self._changes(target, number),
            row=_row(target),
            elements=self._elements(target, number),
        )

    # Moves.

    def move(self, targets: Sequence[Target], *, step: int) -> list[RowCount]:
        found: list[RowCount] = []
        for target in targets:
            self.limit_lock_wait()
            answers = self.fetch(self._move(target, step=step))
            table = str(target.table.name)
            counts = {what: count for what, point, count in answers if point is None}
            if counts["moved"] != counts["rows"]:
                raise CountMismatch(table=table, moved=counts["moved"], journaled=counts["rows"])
            if counts["journaled"] != counts["elements"]:
                raise CountMismatch(table=table, moved=counts["elements"], journaled=counts["journaled"])
            found += [RowCount(point, target.table.name, count) for _, point, count in answers if point is not None]
        return found

    def _move(self, target: Target, *, step: int) -> Query:
        (column,) = target.columns
        raw = {name: label("raw", name) for name in target.key}
        return block(
            """
            WITH {changes}, hits AS MATERIALIZED (
                -- Each element that names a removed folder, in the rows as they are.
                SELECT given.point, given.{old}, given.{new}, given.new_value,
                       {row} AS row, t.{column} AS held, e.place::text AS {place},
                       {keys}
                  FROM {elements}
            ), twins AS (
                -- Each element beside them that named the survivor before: it stays, and is journaled as it is.
                SELECT DISTINCT ON (h.point, h.row, e.place)
                       h.point, h.{new} AS {old}, h.{new}, h.new_value, h.row, h.held, e.place::text AS {place},
                       {same_keys}
                  FROM hits AS h
                  CROSS JOIN LATERAL {elements_held}
                 WHERE e.value = h.new_value
            ), elements AS (
                TABLE hits UNION ALL TABLE twins
            ), arrays AS (
                -- Each array with its elements as they will be, in their order.
                SELECT h.*, {put_together} AS elements
                  FROM (SELECT DISTINCT ON ({raw}) {raw}, held FROM hits) AS h
            ), moved AS (
                -- If it is still what was read.
                UPDATE {table} AS t
                   SET {slice} = a.elements
                  FROM arrays AS a
                 WHERE {same_row} AND t.{column} IS NOT DISTINCT FROM a.held
                RETURNING 1
            ), journaled AS (
                {insertion}
            )
            SELECT 'found', point, count(DISTINCT row) FROM hits GROUP BY point
            UNION ALL
            SELECT 'elements', NULL, count(*) FROM elements
            UNION ALL
            SELECT 'journaled', NULL, coalesce(sum(row_count), 0)::bigint FROM journaled
            UNION ALL
            SELECT 'rows', NULL, count(*) FROM arrays
            UNION ALL
            SELECT 'moved', NULL, count(*) FROM moved
            """,
            changes=self._changes(target, 0),
            row=_row(target),
            column=quote(column),
            put_together=_put_together(
                target.table.column(column),
                Query("LEFT JOIN changes0 AS c ON c.old_value = e.value"),
                changed="c.old_value IS NOT NULL",
                new="c.new_value",
            ),
            slice=_slice(target.table.column(column)),
            place=label("key", PLACE),
            old=label("old", column),
            new=label("new", column),
            elements_held=_elements_of(target.table.column(column), "h.held"),
            same_keys=", ".join(f"h.{raw[name]}, h.{label('key', name)}" for name in target.key),
            keys=",\n".join(
                f"t.{quote(name)} AS {raw[name]}, {shown(target.table.column(name))}::text AS {label('key', name)}"
                for name in target.key
            ),
            elements=self._elements(target, 0),
            raw=", ".join(raw.values()),
            table=self.relation(target.table.name),
            same_row=" AND ".join(f"t.{quote(name)} = a.{alias}" for name, alias in raw.items()),
            insertion=Merging(self.session)._journaled_moves(  # the journal has one form
                "elements", table=target.table, columns=(column,), key=(*target.key, PLACE), step=step, number="_0"
            ),
        )

    def _changes(self, target: Target, number: int) -> Query:
        (column,) = target.columns
        kind = typed(element_of(target.table.column(column)))
        return block(
            """
            changes{number} AS MATERIALIZED (
                SELECT given.*, given.{old}::{kind} AS old_value, given.{new}::{kind} AS new_value
                  FROM {pairs}
            )
            """,
            number=number,
            old=label("old", column),
            new=label("new", column),
            kind=kind,
            pairs=pairs_of(self.session, target, number=number),
        )

    def _elements(self, target: Target, number: int) -> Query:
        """Return rows ``t``, elements ``e`` and changes ``given`` that meet; an index on the array may serve."""
        (column,) = target.columns
        condition = target.condition.sql("t", vendor="postgresql", name=f"kind_{number}") if target.condition else ""
        return block(
            """
            {table} AS t
            CROSS JOIN LATERAL {elements}
            JOIN changes{number} AS given ON given.old_value = e.value
            WHERE {holds_some}
            {condition}
            """,
            table=self.relation(target.table.name),
            elements=_elements_of(target.table.column(column), f"t.{quote(column)}"),
            number=number,
            holds_some=_holds_some(target.table.column(column), f"changes{number}"),
            condition=joined("", ["AND ", condition]) if condition else "",
        )

    # Undo.

    def restore(self, target: UndoTarget, *, points: Sequence[int], step: int) -> Restoration:
        self.limit_lock_wait()
        restored: list[RowCount] = []
        conflicts: list[RowConflict] = []
        (column,), table = target.columns, target.table.name
        rows = changed = 0
        for what, point, count, key, new in self.fetch(self._restore(target, points=points, step=step)):
            if what == "restored":
                restored.append(RowCount(point, table, count))
            elif what == "journaled":
                require_all(target.table, count, target.rows)
            elif what == "rows":
                rows = count
            elif what == "changed_rows":
                changed = count
            else:
                of = column if what != "row_missing" else ""
                conflicts.append(RowConflict(point, table, what, tuple(key), of, target.columns, (new,)))
        if rows != changed:
            raise CountMismatch(table=str(table), moved=changed, journaled=rows)
        return Restoration(restored, conflicts)

    def _restore(self, target: UndoTarget, *, points: Sequence[int], step: int) -> Query:
        (column,) = target.columns
        return block(
            """
            WITH {undone}
            SELECT 'restored', j.point, count(DISTINCT ({row})), NULL::text[], NULL::text
              FROM judged AS j
             WHERE j.verdict = 'restore'
             GROUP BY j.point
            UNION ALL
            SELECT j.verdict, j.point, 1, {row}, j.{new} FROM judged AS j WHERE j.verdict NOT IN ('restore', 'same')
            UNION ALL
            SELECT 'journaled', NULL, count(*), NULL, NULL FROM judged
            UNION ALL
            SELECT 'rows', NULL, count(*), NULL, NULL FROM arrays
            UNION ALL
            SELECT 'changed_rows', NULL, count(*), NULL, NULL FROM changed
            """,
            undone=self._undone(target, points=points, step=step),
            row=text_array(f"j.{name}" for name in key_columns(target.key)),
            new=label("new", column),
        )

    def _undone(self, target: UndoTarget, *, points: Sequence[int], step: int) -> Query:
        """Return the CTEs ``judged``, an element a line, ``arrays`` to be changed, and ``changed``, those that were."""
        (column,) = target.columns
        old, new, place = label("old", column), label("new", column), f"j.{label('key', PLACE)}::int"
        keys = ", ".join(f"j.{name}" for name in key_columns(target.key))
        return block(
            """
            {journaled}, judged AS MATERIALIZED (
                -- What became of each element that was changed: it stands where it stood, or it is not ours any more.
                SELECT j.*, t.held,
                       CASE WHEN t.there IS NULL THEN 'row_missing'
                            WHEN t.now IS NOT DISTINCT FROM j.{old} THEN 'same'
                            WHEN t.now IS DISTINCT FROM j.{new} THEN 'changed'
                            {missing_target}
                            ELSE 'restore' END AS verdict
                  FROM journaled0 AS j
                  LEFT JOIN LATERAL (
                       SELECT true AS there, t.{column} AS held,
                              ({now}) AS now
                         FROM {table} AS t
                        WHERE {same_row}) AS t ON true
            ), arrays AS (
                SELECT h.*, {put_together} AS elements
                  FROM (SELECT DISTINCT ON ({keys}) {keys}, j.held FROM judged AS j WHERE j.verdict = 'restore') AS h
            ), changed AS (
                UPDATE {table} AS t
                   SET {slice} = j.elements
                  FROM arrays AS j
                 WHERE {same_row} AND t.{column} IS NOT DISTINCT FROM j.held
                RETURNING 1
            )
            """,
            journaled=self._journaled(target, points, step),
            old=old,
            new=new,
            column=quote(column),
            now=element_at(target.table.column(column), place),
            missing_target=self._missing_target(target, old),
            table=self.relation(target.table.name),
            same_row=as_before(target),
            put_together=_put_together(
                target.table.column(column),
                block(
                    """
                    LEFT JOIN (SELECT {place} AS place, j.{old}::{kind} AS value
                                 FROM judged AS j
                                WHERE j.verdict = 'restore' AND ({keys}) = ({keys_of_array})
                              ) AS r ON r.place = e.place
                    """,
                    place=place,
                    old=old,
                    kind=typed(element_of(target.table.column(column))),
                    keys=keys,
                    keys_of_array=keys.replace("j.", "h."),
                ),
                changed="r.place IS NOT NULL",
                new="r.value",
            ),
            slice=_slice(target.table.column(column)),
            keys=keys,
        )

    def _journaled(self, target: UndoTarget, points: Sequence[int], step: int) -> Query:
        # The journal has one form.
        return Undoing(self.session)._journaled(replace(target, key=(*target.key, PLACE)), 0, points, step)

    def _missing_target(self, target: UndoTarget, old: str) -> str:
        if target.must_exist is None:
            return ""
        folders, (key,) = target.must_exist
        there = f"SELECT FROM {self.relation(folders.name)} AS f WHERE lower(f.{quote(key)}::text)"
        return f"WHEN NOT EXISTS ({there} = lower(j.{old})) THEN 'missing_target'"


def _row(target: Target) -> str:
    """Return what identifies row ``t``."""
    return text_array(shown(target.table.column(name)) for name in target.key) if target.key else "t.ctid::text"


def element_at(column: Column, place: str) -> str:
    """Return the query of the element of row ``t`` at a place, whatever the dimensions of the array."""
    return f"SELECT e.value::text FROM {_elements_of(column, f't.{quote(column.name)}')} WHERE e.place = {place}"


def _elements_of(column: Column, array: str) -> str:
    """Return the elements ``e`` of an array, with ``value`` and ``place``; of JSON also the ``member`` as it is."""
    if is_json(column):
        return f"{elements_of_json(array)} AS e(value, place, member)"
    return f"unnest({array}) WITH ORDINALITY AS e(value, place)"


def _holds_some(column: Column, changes: str) -> str:
    """Test whether the array of row ``t`` has an old value among its elements, such that an index may serve."""
    held = f"t.{quote(column.name)}"
    if is_json(column):
        return f"{held} @> ANY (ARRAY(SELECT jsonb_build_array(c.old_value) FROM {changes} AS c))"
    return f"{held} && (SELECT array_agg(c.old_value) FROM {changes} AS c)::{bare(column)}"


def _put_together(column: Column, change: Query, *, changed: str, new: str) -> Query:
    """Return the array ``h.held`` with new values for its elements ``e`` that are changed, in their order."""
    former, new = ("e.member", f"to_jsonb({new})") if is_json(column) else ("e.value", new)
    return block(
        """
        (SELECT {collect}(CASE WHEN {changed} THEN {new} ELSE {former} END ORDER BY e.place)
           FROM {elements}
           {change})
        """,
        collect="jsonb_agg" if is_json(column) else "array_agg",
        changed=changed,
        new=new,
        former=former,
        elements=_elements_of(column, "h.held"),
        change=change,
    )


def _slice(column: Column) -> str:
    """Return what is set: a slice keeps the bounds of the array, and its further dimensions."""
    name = quote(column.name)
    return name if is_json(column) else f"{name}[array_lower(t.{name}, 1):array_upper(t.{name}, 1)]"
