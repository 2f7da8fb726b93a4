"""PostgreSQL: undo, by statements that compare and change at once."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from cleanup.backends import undoing
from cleanup.backends.catalogue import ForeignKey, Table, UniqueKey
from cleanup.backends.changes import (
    Cell,
    Images,
    Part,
    Restoration,
    RowConflict,
    RowCount,
    UndoTarget,
)
from cleanup.backends.postgresql.cells import (
    array,
    key_columns,
    relation_of,
    shown,
    shown_value,
    text_array,
    typed,
)
from cleanup.backends.query import Query, block, joined, label, quote
from cleanup.backends.undoing import ANSWERS, require_all, require_inserted
from cleanup.exceptions import CountMismatch


class Undoing(undoing.Undoing):
    """Moves and images of a step are undone by one statement."""

    same = "IS NOT DISTINCT FROM"

    # Moves.

    def restore_moved(self, targets: Sequence[UndoTarget], *, points: Sequence[int], step: int) -> Restoration:
        self.limit_lock_wait()
        return _restoration(targets, self.fetch(self._moves_back(targets, points=points, step=step)))

    def _moves_back(self, targets: Sequence[UndoTarget], *, points: Sequence[int], step: int) -> Query:
        """Give rows their old values back, if they hold the new ones, in one statement.

        Returns, by number of the table: point and rows ``restored``; a line for each row that was not, with the
        reason, its key and the new cells (those that hold the old values already are left out); and, without a point,
        rows ``journaled``.
        """
        ctes = [cte for number, target in enumerate(targets) for cte in self._move_back(target, number, points, step)]
        answers = [
            block(
                """
                SELECT {number} AS target, 'restored' AS verdict, point, count(*) AS row_count,
                       NULL::text[] AS key, NULL::text[] AS new
                  FROM restored{number}
                 GROUP BY point
                UNION ALL
                SELECT {number}, verdict, point, 1, {key}, {news} FROM not_restored{number} WHERE verdict <> 'same'
                UNION ALL
                SELECT {number}, 'journaled', NULL, count(*), NULL, NULL FROM journaled{number}
                """,
                number=number,
                key=f"ARRAY[{', '.join(key_columns(target.key))}]",
                news=f"ARRAY[{', '.join(label('new', column) for column in target.columns)}]",
            )
            for number, target in enumerate(targets)
        ]
        return block("WITH {ctes}\n{answers}", ctes=joined(", ", ctes), answers=joined("\nUNION ALL\n", answers))

    def _move_back(self, target: UndoTarget, number: int, points: Sequence[int], step: int) -> list[Query]:
        ctes = [
            self._journaled(target, number, points, step),
            self._restored(target, number),
            self._not_restored(target, number),
        ]
        if target.must_exist is not None and target.returned is not None:
            ctes.insert(0, self._returned(*target.must_exist, target.returned, points, number=number))
        return ctes

    def _journaled(self, target: UndoTarget, number: int, points: Sequence[int], step: int) -> Query:
        cells = (
            f'c."from"->>{place} AS {label("old", column)}, c."to"->>{place} AS {label("new", column)}'
            for place, column in enumerate(target.columns)
        )
        return block(
            """
            journaled{number} AS MATERIALIZED (
                -- One line for each row that moved: its key before the move, the old and the new cells. OFFSET 0 has
                -- the cells of a change read once, not once a row.
                SELECT s.point_id AS point, row_number() OVER () AS number, cells.*, keys.*
                  FROM cleanup_snapshotrow AS s,
                       json_to_recordset({changes}) AS c("from" json, "to" json, keys json),
                       LATERAL (SELECT {cells} OFFSET 0) AS cells,
                       {keys}
                 WHERE {of_table}
                   {part}
                {most}
            )
            """,
            number=number,
            changes=_changes_of(target, number),
            cells=", ".join(cells),
            keys=_keys_of_change(target.key),
            of_table=self._snapshots("moved", target.table.journaled_as, points=points, step=step, name=f"_{number}"),
            part=_within(target.part, {key: f"keys.{label('key', key)}" for key in target.key}, name=f"part_{number}"),
            most=_at_most(target.rows),
        )

    def _restored(self, target: UndoTarget, number: int) -> Query:
        cells = Moved(target)
        there = self._target_there(target, number)
        return block(
            """
            restored{number} AS (
                -- Each column holds its new value or its old one, and not all are old yet. Compared here, since READ
                -- COMMITTED evaluates this very WHERE again on the newest version of a row that was changed since.
                UPDATE {table} AS t
                   SET {assignments}
                  FROM journaled{number} AS j
                 WHERE {same_row}
                   AND {expected}
                   AND {not_done}
                   {target_there}
                RETURNING j.point, j.number
            )
            """,
            number=number,
            table=self.relation(target.table.name),
            assignments=",\n".join(
                f"{quote(column)} = j.{label('old', column)}::{typed(target.table.column(column))}"
                for column in target.columns
            ),
            same_row=cells.same_row,
            expected=cells.expected,
            not_done=cells.not_done,
            target_there=there and f"AND (j.{label('old', target.columns[0])} IS NULL OR {there})",
        )

    def _not_restored(self, target: UndoTarget, number: int) -> Query:
        cells = Moved(target)
        there = self._target_there(target, number)
        return block(
            """
            not_restored{number} AS (
                -- Why each other row was not, by the statement's snapshot: what the UPDATE should have changed by it
                -- was changed since by others. A key is NOT NULL, so a null one is not a row. EXCEPT, since an
                -- anti-join compares each with each if the planner expects that the UPDATE returns few; and first.
                SELECT j.*,
                       CASE WHEN t.{key} IS NULL THEN {gone}
                            WHEN {done} THEN 'same'
                            {missing_target}
                            WHEN {expected} THEN 'lost_race'
                            ELSE 'changed' END AS verdict
                  FROM (SELECT j.*
                          FROM (SELECT number FROM journaled{number}
                                EXCEPT ALL
                                SELECT number FROM restored{number}) AS others
                          JOIN journaled{number} AS j USING (number)
                        OFFSET 0) AS j
                  LEFT JOIN {table} AS t ON {same_row}
            )
            """,
            number=number,
            gone=self._gone(target),
            key=quote(target.key[0]),
            done=cells.done,
            missing_target=there
            and f"WHEN j.{label('old', target.columns[0])} IS NOT NULL AND NOT {there} THEN 'missing_target'",
            expected=cells.expected,
            table=self.relation(target.table.name),
            same_row=cells.same_row,
        )

    def _gone(self, target: UndoTarget) -> Query:
        """Return the verdict on a row that has not the key that the move gave it: it may have its old key already."""
        if not set(target.columns) & set(target.key):
            return Query("'row_missing'")
        return block(
            """
            CASE WHEN EXISTS (SELECT
                                FROM {table} AS t
                               WHERE {same_row}
                                 AND {done}) THEN 'same' ELSE 'row_missing' END
            """,
            table=self.relation(target.table.name),
            same_row=as_before(target),
            done=Moved(target).done,
        )

    def _target_there(self, target: UndoTarget, number: int) -> str:
        """Return the test whether the row that the old value names exists; empty if there is no such test."""
        if target.must_exist is None:
            return ""
        table, columns = target.must_exist
        given = ", ".join(
            f"j.{label('old', own)}::{typed(table.column(other))}"
            for own, other in zip(target.columns, columns, strict=True)
        )
        listed = ", ".join(f"f.{quote(column)}" for column in columns)
        if target.returned is None:
            return f"({given}) IN (SELECT {listed} FROM {self.relation(table.name)} AS f)"
        return f"(j.point, {given}) IN (SELECT f.__point, {listed} FROM returned{number} AS f)"

    # Removed rows.

    def restore_images(self, images: Images, *, foreign_keys: Sequence[ForeignKey]) -> Restoration:
        self.limit_lock_wait()
        *rows, (*_, inserted) = self.fetch(self._images_back(images, foreign_keys))
        restoration = self._restoration_of(images, rows)
        require_inserted(images, restoration, inserted)
        return restoration

    def _images_back(self, images: Images, foreign_keys: Sequence[ForeignKey]) -> Query:
        """Insert removed rows again, all or none, in one statement.

        Returns a line for each problem, with its code; by point, the rows ``to_insert``, which are if there is no
        problem; the number of ``images``; and last, of the rows that were ``inserted``.
        """
        return block(
            """
            WITH {inserted}
            {answers}
            UNION ALL
            SELECT 'inserted', NULL, NULL, NULL, NULL, count(*) FROM inserted
            """,
            inserted=self._inserted(images, foreign_keys),
            answers=ANSWERS,
        )

    def _inserted(self, images: Images, foreign_keys: Sequence[ForeignKey]) -> Query:
        return block(
            """
            {found}, inserted AS (
                -- All of them, or none if there is any problem; an identity column takes the value that it had.
                INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
                SELECT {columns}
                  FROM compared
                 WHERE NOT __there AND NOT EXISTS (SELECT FROM problems)
                RETURNING 1
            )
            """,
            found=self._found(images, foreign_keys),
            table=self.relation(images.table.name),
            columns=", ".join(map(quote, images.columns)),
        )

    # Fragments.

    def _images(self, images: Images, *, wanted: Collection[str] = (), name: str = "") -> Query:
        cells = {column: f"e.value->>{place}" for place, column in enumerate(images.columns)}
        key_cells = {column: f"({cells[column]})" for column in images.key}
        instead = images.instead
        others = Query("")
        if instead.cells:
            given = relation_of(
                {"key": "text", **{label("new", column): "text" for column in instead.columns}},
                [array(list(instead.cells)), *map(array, zip(*instead.cells.values(), strict=True))],
                number="instead",
            )
            own = cells[images.key[0]]
            others = block("LEFT JOIN (SELECT * FROM {given}) AS w ON w.key = {own}", given=given, own=own)
            for column in instead.columns:
                cells[column] = f"CASE WHEN w.key IS NULL THEN {cells[column]} ELSE w.{label('new', column)} END"
        values = {column: f"({cell})::{typed(images.table.column(column))}" for column, cell in cells.items()}
        return block(
            """
            images AS MATERIALIZED (
                -- The rows as they were, in the types of their columns. What begins with underscores is not theirs.
                SELECT s.point_id AS __point,
                       {key} AS __key,
                       {columns}
                  FROM cleanup_snapshotrow AS s,
                       json_array_elements(s.images::json) AS e(value)
                  {others}
                 WHERE {of_table}
                   {not_left_out}
                   {part}
                {most}
            )
            """,
            key=text_array([shown_value(values[column], images.table.column(column)) for column in images.key]),
            columns=",\n".join(
                f"{value} AS {quote(column)}" for column, value in values.items() if not wanted or column in wanted
            ),
            others=others,
            of_table=self._image_snapshots(images, name=name),
            not_left_out=_not_among(images.left_out, key_cells),
            part=_within(images.part, key_cells, name="part"),
            most=_at_most(images.rows),
        )

    def _of_points(self, points: Sequence[int]) -> Query:
        return Query("s.point_id = ANY(%(points)s)", {"points": list(points)})

    def _journaled_keys(self, key: tuple[str, ...]) -> tuple[Query, str]:
        keys = block("json_to_recordset(s.changes::json) AS c(keys json),\n{keys}", keys=_keys_of_change(key))
        return keys, f"ARRAY[{', '.join(key_columns(key))}]"

    def _differs(self, images: Images) -> str:
        columns = [images.table.column(name) for name in images.columns]
        tests = (f"{shown(column)}::text IS DISTINCT FROM {shown(column, alias='i')}::text" for column in columns)
        return "\n  OR ".join(tests)

    def _row_key(self, images: Images) -> str:
        return text_array([shown(images.table.column(column)) for column in images.key])

    def _equal(self, unique: UniqueKey, place: int) -> str:
        return f"i.__part_{place} {'=' if unique.nulls_distinct else 'IS NOT DISTINCT FROM'} other.__part_{place}"

    def _not_among_images(self, table: Table, pairs: Sequence[tuple[str, str]], *, row: str = "i") -> str:
        there = " AND ".join(f"f.{quote(other)} = {row}.{quote(own)}" for own, other in pairs)
        return f"NOT EXISTS (SELECT FROM images AS f WHERE {there})"


def _keys_of_change(key: Sequence[str]) -> str:
    """Return the relation ``keys`` of change ``c``, whose keys are an array for each column."""
    columns = key_columns(key)
    arrays = ", ".join(f"json_array_elements_text(c.keys->{place})" for place in range(len(columns)))
    return f"ROWS FROM ({arrays}) AS keys({', '.join(columns)})"


def as_before(target: UndoTarget) -> str:
    """Return the condition that row ``t`` has the key that entry ``j`` names, as it was before the move."""
    return " AND ".join(
        f"t.{quote(column)} = j.{label('key', column)}::{typed(target.table.column(column))}" for column in target.key
    )


class Moved:
    """The conditions on row ``t`` and its entry ``j`` in the journal."""

    def __init__(self, target: UndoTarget) -> None:
        now = {column: f"{shown(target.table.column(column))}::text" for column in target.columns}
        olds = ", ".join(f"j.{label('old', column)}" for column in target.columns)
        self.done, self.not_done = (
            f"({', '.join(now.values())}) {is_or_not} DISTINCT FROM ({olds})" for is_or_not in ("IS NOT", "IS")
        )
        """It holds what it held, or does not."""
        self.expected = "\nAND ".join(
            f"({cell} IS NOT DISTINCT FROM j.{label('new', column)}"
            f" OR {cell} IS NOT DISTINCT FROM j.{label('old', column)})"
            for column, cell in now.items()
        )
        """It holds what the cleanup made of it, or what it held."""
        self.same_row = " AND ".join(
            f"t.{quote(column)} = j.{label('new' if column in target.columns else 'key', column)}"
            f"::{typed(target.table.column(column))}"
            for column in target.key
        )
        """It has the key that the entry names, as that is after the move."""


def _restoration(targets: Sequence[UndoTarget], rows: Iterable[tuple[Any, ...]]) -> Restoration:
    restored, conflicts = [], []
    done, lost = Counter[int](), Counter[int]()
    for number, verdict, point, count, key, news in rows:
        table, columns = targets[number].table.name, targets[number].columns
        if verdict == "restored":
            restored.append(RowCount(point, table, count))
            done[number] += count
        elif verdict == "journaled":
            require_all(targets[number].table, count, targets[number].rows)
        elif verdict == "lost_race":  # it could have been: it was changed in the meantime
            lost[number] += count
        else:
            column = "+".join(columns) if verdict != "row_missing" else ""
            conflicts.append(RowConflict(point, table, verdict, tuple(key), column, columns, tuple(news)))
    for number, count in lost.items():
        moved = done[number]
        raise CountMismatch(table=str(targets[number].table.name), moved=moved, journaled=moved + count)
    return Restoration(restored, conflicts)


def _changes_of(target: UndoTarget, number: int) -> Query:
    """Return the JSON array of a snapshot row's changes; the first format had one change a row, by column."""
    if target.form > 1:
        return Query("s.changes::json")
    columns = {f"column_{number}_{place}": column for place, column in enumerate(target.columns)}
    keys = {f"key_{number}_{place}": column for place, column in enumerate(target.key)}
    return block(
        "json_build_array(json_build_object('from', json_build_array({olds}), 'to', json_build_array({news}),"
        " 'keys', json_build_array({keys})))",
        olds=", ".join(f"s.changes::json->%({name})s::text->0" for name in columns),
        news=", ".join(f"s.changes::json->%({name})s::text->1" for name in columns),
        keys=", ".join(f"s.keys::json->%({name})s::text" for name in keys),
    ).bind(**columns, **keys)


def _at_most(rows: int | None) -> str:
    """Return the limit of rows, one more than the journal's number."""
    if rows is None:
        return ""
    why = "-- Has the planner expect as many as the journal counts; with one more, so that too many show."
    return f"{why}\nLIMIT {rows + 1}"


def _not_among(left_out: Collection[tuple[Cell, ...]], cells: Mapping[str, str]) -> Query:
    """Return the condition that rows, known by the cells of their key, are not among those left out."""
    if not left_out:
        return Query("")
    return block(
        """
        AND NOT EXISTS (SELECT
                          FROM {keys}
                         WHERE {cells} = ARRAY[{key}])
        """,
        keys=_keys(list(left_out), list(cells), name="left_out"),
        cells=text_array(cells.values()),
        key=", ".join(f"given.{name}" for name in key_columns(list(cells))),
    )


def _within(part: Part | None, cells: Mapping[str, str], *, name: str) -> Query:
    """Return the condition that restricts rows of the journal, known by the cells of their key, to a part."""
    if part is None:
        return Query("")
    return block(
        """
        AND s.id = ANY(%({name})s)
        AND EXISTS (SELECT
                      FROM {keys}
                     WHERE {cells} = ARRAY[{key}])
        """,
        name=name,
        keys=_keys(part.keys, list(cells), name=name),
        cells=text_array(cells.values()),
        key=", ".join(f"given.{key}" for key in key_columns(list(cells))),
    ).bind(**{name: list(part.snapshots)})


def _keys(keys: Sequence[tuple[Cell, ...]], columns: Sequence[str], *, name: str) -> Query:
    cells = (array([key[place] for key in keys]) for place in range(len(columns)))
    return relation_of(key_columns(columns), cells, number=name)
