"""PostgreSQL: one statement changes rows and journals them.

Rows are numbered as they come, in no order, to share a snapshot row by the thousand: a window for each point would have
to be sorted.
"""

from collections.abc import Iterable, Sequence

from cleanup.backends import merging
from cleanup.backends.catalogue import Table
from cleanup.backends.changes import ROWS_PER_SNAPSHOT_ROW, Counted, Forwarding, Keys, Replaced, StructureTable, Target
from cleanup.backends.postgresql.cells import (
    array,
    cast,
    image_of,
    key_columns,
    key_condition,
    numbers,
    relation_of,
    shown,
    typed,
)
from cleanup.backends.postgresql.session import Session
from cleanup.backends.postgresql.targets import condition_of, pairs_of
from cleanup.backends.query import Query, block, joined, label, quote
from cleanup.exceptions import CountMismatch
from cleanup.folder_tables import KeyColumn


class Merging(merging.Merging):
    """Every change is one statement."""

    session: Session

    # Moves.

    def move(self, targets: Sequence[Target], *, step: int) -> list[Counted]:
        self.limit_wait()
        return _counted_moves(targets, self.fetch(self._moves(targets, step=step)))

    def _moves(self, targets: Sequence[Target], *, step: int) -> Query:
        """Change keys in tables, and journal what changed, in one statement.

        The applications and their folders are locked. Returns, by number of the table: point and rows journaled, and
        in a last line, without a point, rows changed; the caller compares.
        """
        ctes = [cte for number, target in enumerate(targets) for cte in self._move(target, number, step)]
        answers = [
            block(
                """
                SELECT {number} AS target, point_id, sum(row_count)::bigint AS row_count
                  FROM journaled{number}
                 GROUP BY point_id
                UNION ALL
                SELECT {number}, NULL, count(*) FROM moved{number}
                """,
                number=number,
            )
            for number in range(len(targets))
        ]
        return block("WITH {ctes}\n{answers}", ctes=joined(", ", ctes), answers=joined("\nUNION ALL\n", answers))

    def _move(self, target: Target, number: int, step: int) -> list[Query]:
        return [
            *([self._before(target, number)] if target.images else []),
            self._changes(target, number),
            self._moved(target, number),
            self._journaled_moves(target, number, step),
        ]

    def _before(self, target: Target, number: int) -> Query:
        return block(
            """
            before{number} AS MATERIALIZED (
                -- The whole rows before the change: triggers of the application's own fire on this table. The rows'
                -- folders are locked, and the change below compares again.
                SELECT {key}, {image} AS image
                  FROM {pairs}
                  JOIN {table} AS t
                    ON {condition}
            )
            """,
            number=number,
            key=_key_cells(target),
            image=image_of(target.table),
            pairs=pairs_of(self.session, target, number=number),
            table=self.relation(target.table.name),
            condition=condition_of(target, number=number),
        )

    def _changes(self, target: Target, number: int) -> Query:
        values = (
            f"m.{label('new', column)}::{typed(target.table.column(column))} AS {label('value', column)}"
            for column in target.columns
        )
        return block(
            """
            changes{number} AS MATERIALIZED (
                -- Old and new keys, one line a change. A new key is cast once here, not once for each row.
                SELECT m.*, row_number() OVER () AS change, {values}
                  FROM {pairs}
            )
            """,
            number=number,
            values=", ".join(values),
            pairs=pairs_of(self.session, target, number=number),
        )

    def _moved(self, target: Target, number: int) -> Query:
        return block(
            """
            moved{number} AS (
                -- If a row was changed meanwhile, READ COMMITTED evaluates the condition again on its newest version.
                UPDATE {table} AS t
                   SET {assignments}
                  FROM changes{number} AS m
                 WHERE {condition}
                RETURNING m.change, m.point, {key}{after}
            )
            """,
            number=number,
            table=self.relation(target.table.name),
            assignments=", ".join(f"{quote(column)} = m.{label('value', column)}" for column in target.columns),
            condition=condition_of(target, number=number, changes=f"changes{number}"),
            key=_key_cells(target),
            after=f", {image_of(target.table)} AS after" if target.images else "",
        )

    def _journaled_moves(self, target: Target, number: int, step: int) -> Query:
        keys = key_columns(target.key)
        lists = [f"json_agg({key}) AS {key}" for key in keys]
        images, source = "NULL", f"moved{number}"
        if target.images:
            lists.append("json_agg(json_build_array(image, after)) AS images")
            images, source = "json_agg(g.images)::text", f"moved{number} JOIN before{number} USING ({', '.join(keys)})"
        return block(
            """
            journaled{number} AS (
                -- What the UPDATE returned: of each point, by the thousand rows,
                -- [{from: [old], to: [new], keys: [[first key column], ...]}, ...].
                INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, changes, images)
                SELECT g.point, 'moved', %(step)s, %(table_{number})s, sum(g.row_count),
                       json_agg(json_build_object('from', json_build_array({olds}),
                                                  'to', json_build_array({news}),
                                                  'keys', json_build_array({keys})))::text,
                       {images}
                  FROM (SELECT point, chunk, change, count(*) AS row_count, {lists}
                          FROM (SELECT *, (row_number() OVER () - 1) / {most} AS chunk
                                  FROM {source}) AS numbered
                         GROUP BY point, chunk, change) AS g
                  JOIN changes{number} AS c USING (change)
                 GROUP BY g.point, g.chunk
                RETURNING point_id, row_count
            )
            """,
            number=number,
            olds=", ".join(label("old", column) for column in target.columns),
            news=", ".join(label("new", column) for column in target.columns),
            keys=", ".join(keys),
            images=images,
            lists=", ".join(lists),
            most=ROWS_PER_SNAPSHOT_ROW,
            source=source,
        ).bind(step=step, **{f"table_{number}": str(target.table.name)})

    # Other values for one column.

    def replace_cells(
        self, table: Table, key: tuple[str, ...], column: str, rows: Sequence[Replaced], *, step: int
    ) -> list[Counted]:
        self.limit_wait()
        return _all_counted(table, self.fetch(self._replacement(table, key, column, rows, step=step)), len(rows))

    def _replacement(
        self, table: Table, key: tuple[str, ...], column: str, rows: Sequence[Replaced], *, step: int
    ) -> Query:
        keys = key_columns(key)
        values = [
            numbers([row.point for row in rows]),
            array([row.old for row in rows]),
            array([row.new for row in rows]),
            *(array([row.key[place] for row in rows]) for place in range(len(key))),
        ]
        return block(
            """
            WITH moved AS (
                -- Only rows that still hold what was read.
                UPDATE {table} AS t
                   SET {column} = m.new::{kind}
                  FROM {rows}
                 WHERE {same_key}
                   AND {now}::text IS NOT DISTINCT FROM m.old
                RETURNING m.*
            ), changes AS (
                SELECT point, chunk, old, new, count(*) AS row_count, {lists}
                  FROM (SELECT *, (row_number() OVER () - 1) / {most} AS chunk
                          FROM moved) AS numbered
                 GROUP BY point, chunk, old, new
            ), journaled AS (
                INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, changes)
                SELECT point, 'moved', %(step)s, %(table)s, sum(row_count),
                       json_agg(json_build_object('from', json_build_array(old),
                                                  'to', json_build_array(new),
                                                  'keys', json_build_array({keys})))::text
                  FROM changes
                 GROUP BY point, chunk
                RETURNING point_id, row_count
            )
            SELECT point_id, sum(row_count)::bigint AS row_count FROM journaled GROUP BY 1
            """,
            table=self.relation(table.name),
            column=quote(column),
            kind=typed(table.column(column)),
            rows=relation_of({"point": "bigint", "old": "text", "new": "text", **keys}, values),
            same_key=key_condition(table, key),
            now=shown(table.column(column)),
            lists=", ".join(f"json_agg({name}) AS {name}" for name in keys),
            most=ROWS_PER_SNAPSHOT_ROW,
            keys=", ".join(keys),
        ).bind(step=step, table=str(table.name))

    # Removals.

    def remove(
        self,
        table: Table,
        key: tuple[str, ...],
        rows: Keys,
        *,
        step: int,
        forwarding: Forwarding | None = None,
    ) -> list[Counted]:
        self.limit_wait()
        removal = self._removal(table, key, rows, step=step, forwarding=forwarding)
        if forwarding is not None:  # with the folders a merge ends
            self.session.forget_told()
        return _all_counted(table, self.fetch(removal), len(rows))

    def _removal(
        self, table: Table, key: tuple[str, ...], rows: Keys, *, step: int, forwarding: Forwarding | None
    ) -> Query:
        """Delete rows by their keys, and journal them, in one statement.

        Nothing refers to them any more: references were moved before. Returns point and rows journaled; the caller
        compares with the keys.
        """
        columns, values = {"point": "bigint", **key_columns(key)}, [rows.points, *rows.columns]
        name, redirected = "", Query("")
        if forwarding is not None:  # a key's cell is its spelling, so that what is removed is told already
            columns["survivor"] = "text"
            values.append(forwarding.survivors)
            name = f", left(t.{quote(forwarding.name)}::text, {forwarding.longest}) AS name"
            redirected = block(
                """
                , redirected AS (
                    -- Where each folder went, for programs that still ask for it.
                    INSERT INTO cleanup_removedfolder (folder_key, survivor_key, name, point_id)
                    SELECT {key}, survivor, coalesce(name, ''), point
                      FROM deleted
                )
                """,
                key=", ".join(key_columns(key)),
            )
        return block(
            """
            WITH deleted AS (
                -- Each row leaves with its image, an array of the texts of its columns.
                DELETE FROM {table} AS t
                 USING {rows}
                 WHERE {same_key}
                RETURNING m.*{name}, {image} AS image
            ), journaled AS (
                INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, images)
                SELECT point, 'removed', %(step)s, %(table)s, count(*), json_agg(image)::text
                  FROM (SELECT *, (row_number() OVER () - 1) / {most} AS chunk
                          FROM deleted) AS numbered
                 GROUP BY point, chunk
                RETURNING point_id, row_count
            ){redirected}
            SELECT point_id, sum(row_count)::bigint AS row_count FROM journaled GROUP BY 1
            """,
            table=self.relation(table.name),
            rows=relation_of(columns, map(self.session.told_once, values)),
            same_key=key_condition(table, key),
            name=name,
            image=image_of(table),
            most=ROWS_PER_SNAPSHOT_ROW,
            redirected=redirected,
        ).bind(step=step, table=str(table.name))

    def take_structure(
        self, structure: StructureTable, *, point: int, application: str, key: KeyColumn, step: int
    ) -> int:
        ((count,),) = self.fetch(
            block(
                """
                WITH journaled AS (
                    INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, images)
                    SELECT %(point)s, 'structure', %(step)s, %(table)s, count(*), json_agg(image)::text
                      FROM (SELECT {image} AS image, (row_number() OVER () - 1) / {most} AS chunk
                              FROM {table} AS t
                             WHERE t.{owner} = %(application)s{cast}) AS numbered
                     GROUP BY chunk
                    RETURNING row_count
                )
                SELECT coalesce(sum(row_count), 0)::bigint FROM journaled
                """,
                image=image_of(structure.table),
                most=ROWS_PER_SNAPSHOT_ROW,
                table=self.relation(structure.table.name),
                owner=quote(structure.application),
                cast=cast(self.connection, key),
            ).bind(point=point, step=step, table=str(structure.table.name), application=application)
        )
        return int(count)


def _key_cells(target: Target) -> str:
    """Return the key before the change: a column that changes is not read, but known from the pair."""
    return ", ".join(
        (f"m.{label('old', column)}" if column in target.columns else f"{shown(target.table.column(column))}::text")
        + f" AS {label('key', column)}"
        for column in target.key
    )


def _counted_moves(targets: Sequence[Target], rows: Iterable[tuple[int, int | None, int]]) -> list[Counted]:
    """Return the rows moved, by point and table. Raises CountMismatch where others were journaled."""
    moved = dict.fromkeys(range(len(targets)), 0)
    journaled = dict.fromkeys(range(len(targets)), 0)
    counted = []
    for number, point, count in rows:
        if point is None:
            moved[number] += count
        else:
            journaled[number] += count
            counted.append(Counted(point, targets[number].table.name, count))
    for number, target in enumerate(targets):
        if moved[number] != journaled[number]:
            raise CountMismatch(table=str(target.table.name), moved=moved[number], journaled=journaled[number])
    return counted


def _all_counted(table: Table, counts: Sequence[tuple[int, int]], expected: int) -> list[Counted]:
    """Return the rows journaled, by point. Raises CountMismatch where they are not as many as expected."""
    total = sum(count for _, count in counts)
    if total != expected:
        raise CountMismatch(table=str(table.name), moved=expected, journaled=total)
    return [Counted(point, table.name, count) for point, count in counts]
