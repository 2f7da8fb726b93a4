"""PostgreSQL: one statement changes rows and journals them."""

from collections.abc import Iterable, Sequence

from cleanup.backends import merging
from cleanup.backends.catalogue import Table
from cleanup.backends.changes import Cell, Forwarding, Keys, Replaced, RowCount, Target
from cleanup.backends.merging import counted, require
from cleanup.backends.postgresql.cells import (
    array,
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


class Merging(merging.Merging):
    """Every change is one statement."""

    session: Session
    json_array = "json_build_array"
    json_object = "json_build_object"
    json_list = "json_agg"
    json_text = "::text"

    def _texts(self, name: str) -> str:
        return f"to_json(array_agg({name}))"  # faster than json_agg

    # Moves.

    def move(self, targets: Sequence[Target], *, step: int) -> list[RowCount]:
        self.limit_lock_wait()
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
            self._journaled(target, number, step),
        ]

    def _before(self, target: Target, number: int) -> Query:
        return block(
            """
            before{number} AS MATERIALIZED (
                -- The whole rows before the change: triggers of the application's own fire on this table. The rows'
                -- folders are locked, and the change below compares again.
                SELECT
                    {key},
                    {image} AS before
                  FROM {pairs}
                  JOIN {table} AS t
                    ON {condition}
            )
            """,
            number=number,
            key=_key_cells(target),
            image=self.cells.image(target.table),
            pairs=pairs_of(self.session, target, number=number),
            table=self.relation(target.table.name),
            condition=condition_of(target, number=number),
        )

    def _changes(self, target: Target, number: int) -> Query:
        values = (
            f"given.{label('new', column)}::{typed(target.table.column(column))} AS {label('value', column)}"
            for column in target.columns
        )
        return block(
            """
            changes{number} AS MATERIALIZED (
                -- Old and new keys, one line a change. A new key is cast once here, not once for each row.
                SELECT given.*, row_number() OVER () AS change,
                       {values}
                  FROM {pairs}
            )
            """,
            number=number,
            values=",\n".join(values),
            pairs=pairs_of(self.session, target, number=number),
        )

    def _moved(self, target: Target, number: int) -> Query:
        return block(
            """
            moved{number} AS (
                -- If a row was changed since, READ COMMITTED evaluates the condition again on its newest version.
                UPDATE {table} AS t
                   SET {assignments}
                  FROM changes{number} AS given
                 WHERE {condition}
                RETURNING given.change, given.point,
                          {key}{after}
            )
            """,
            number=number,
            table=self.relation(target.table.name),
            assignments=",\n".join(f"{quote(column)} = given.{label('value', column)}" for column in target.columns),
            condition=condition_of(target, number=number, changes=f"changes{number}"),
            key=_key_cells(target),
            after=f",\n{self.cells.image(target.table)} AS after" if target.images else "",
        )

    def _journaled(self, target: Target, number: int, step: int) -> Query:
        rows = f"moved{number}"
        if target.images:
            rows += f" JOIN before{number} USING ({', '.join(key_columns(target.key))})"
        return block(
            """
            journaled{number} AS (
                -- What the UPDATE returned.
                {insertion}
            )
            """,
            number=number,
            insertion=self._journaled_moves(
                rows,
                table=target.table,
                columns=target.columns,
                key=target.key,
                step=step,
                images=("before", "after") if target.images else (),
                change="change",
                changes=f"JOIN changes{number} AS c USING (change)",
                number=f"_{number}",
            ),
        )

    # New values for some columns.

    def replace_cells(
        self, table: Table, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Replaced], *, step: int
    ) -> list[RowCount]:
        self.limit_lock_wait()
        replacement = block(
            """
            WITH moved AS (
                {replaced}
            )
            {insertion}
            """,
            replaced=self._replaced(table, key, columns, rows),
            insertion=self._journaled_moves("moved", table=table, columns=columns, key=key, step=step),
        )
        return counted(table, self._journal(replacement), expected=len(rows))

    def _replacements(self, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Replaced]) -> Query:
        names = {"point": "bigint"}
        names |= {label(word, column): "text" for word in ("old", "new") for column in columns}
        values = [
            numbers([row.point for row in rows]),
            *(array([row.olds[place] for row in rows]) for place in range(len(columns))),
            *(array([row.news[place] for row in rows]) for place in range(len(columns))),
            *(array([row.key[place] for row in rows]) for place in range(len(key))),
        ]
        return relation_of(names | key_columns(key), values)

    def _replaced(
        self, table: Table, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Replaced]
    ) -> Query:
        return block(
            """
            -- Only rows that still hold what was read.
            UPDATE {table} AS t
               SET {assignments}
              FROM {rows}
             WHERE {same_key}
               AND {unchanged}
            RETURNING given.*
            """,
            table=self.relation(table.name),
            assignments=",\n".join(
                f"{quote(column)} = given.{label('new', column)}::{typed(table.column(column))}" for column in columns
            ),
            rows=self._replacements(key, columns, rows),
            same_key=key_condition(table, key),
            unchanged="\nAND ".join(
                f"{shown(table.column(column))}::text IS NOT DISTINCT FROM given.{label('old', column)}"
                for column in columns
            ),
        )

    # Insertions.

    def insert_rows(
        self,
        table: Table,
        columns: tuple[str, ...],
        rows: Sequence[tuple[int, tuple[Cell, ...]]],
        *,
        step: int | None,
    ) -> None:
        self.limit_lock_wait()
        inserted = self._inserted(table, columns, rows)
        if step is None:
            require(table, self.execute(inserted), expected=len(rows))
            return
        with_points = block(
            """
            (SELECT given.point, i.image
               FROM inserted AS i
               JOIN {rows} ON {same}) AS made
            """,
            rows=self._given(columns, rows),
            same=" AND ".join(f"given.{label('new', column)} = i.{label('new', column)}" for column in columns[:2]),
        )
        insertion = block(
            """
            WITH inserted AS (
                {inserted}
            )
            {insertion}
            """,
            inserted=inserted,
            insertion=self._journaled_images("inserted", with_points, table=table, step=step),
        )
        counted(table, self._journal(insertion), expected=len(rows))

    def _images_of(self, table: Table, key: tuple[str, ...], rows: Keys) -> Query:
        return block(
            """
            (SELECT given.point, {image} AS image
               FROM {rows}
               JOIN {table} AS t ON {same_key}) AS made
            """,
            image=self.cells.image(table),
            rows=relation_of(
                {"point": "bigint", **key_columns(key)}, [numbers(rows.points), *map(array, rows.columns)]
            ),
            table=self.relation(table.name),
            same_key=key_condition(table, key),
        )

    def _given(self, columns: tuple[str, ...], rows: Sequence[tuple[int, tuple[Cell, ...]]]) -> Query:
        values = [numbers([point for point, _ in rows])]
        values += [array([cells[place] for _, cells in rows]) for place in range(len(columns))]
        return relation_of({"point": "bigint"} | {label("new", column): "text" for column in columns}, values)

    def _inserted(self, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[int, tuple[Cell, ...]]]) -> Query:
        return block(
            """
            INSERT INTO {table} AS t ({columns})
            SELECT {values}
              FROM {rows}
            RETURNING {image} AS image, {cells}
            """,
            table=self.relation(table.name),
            columns=", ".join(map(quote, columns)),
            values=", ".join(f"given.{label('new', column)}::{typed(table.column(column))}" for column in columns),
            rows=self._given(columns, rows),
            image=self.cells.image(table),
            cells=", ".join(f"{shown(table.column(column))}::text AS {label('new', column)}" for column in columns),
        )

    # Removals.

    def drop_rows(self, table: Table, key: tuple[str, ...], rows: Keys) -> None:
        self.limit_lock_wait()
        dropping = block(
            "DELETE FROM {table} AS t USING {rows} WHERE {same_key}",
            table=self.relation(table.name),
            rows=relation_of(key_columns(key), map(array, rows.columns)),
            same_key=key_condition(table, key),
        )
        require(table, self.execute(dropping), expected=len(rows))

    def remove(
        self,
        table: Table,
        key: tuple[str, ...],
        rows: Keys,
        *,
        step: int,
        forwarding: Forwarding | None = None,
    ) -> list[RowCount]:
        self.limit_lock_wait()
        removal = self._removal(table, key, rows, step=step, forwarding=forwarding)
        if forwarding is not None:  # with the folders a merge ends
            self.session.clear_cached_arrays()
        return counted(table, self._journal(removal), expected=len(rows))

    def _removal(
        self, table: Table, key: tuple[str, ...], rows: Keys, *, step: int, forwarding: Forwarding | None
    ) -> Query:
        """Delete rows by their keys, and journal them, in one statement.

        Nothing refers to them any more: references were moved before. Returns point and number of rows of each snapshot
        row; the caller compares with the keys.
        """
        columns, values = {"point": "bigint", **key_columns(key)}, [rows.points, *rows.columns]
        name, redirected = "", Query("")
        if forwarding is not None:  # a key's cell is its spelling, so what is removed is already known
            columns["survivor"] = "text"
            values.append(forwarding.survivors)
            name = f"left(t.{quote(forwarding.name)}::text, {forwarding.longest}) AS name,"
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
                -- Each row leaves with its image, an array of the texts of its columns. An UPDATE by others
                -- is waited for and is in the image; a row that they delete is missing in the counts.
                DELETE FROM {table} AS t
                 USING {rows}
                 WHERE {same_key}
                RETURNING given.*,
                          {name}
                          {image} AS image
            ){redirected}
            {insertion}
            """,
            table=self.relation(table.name),
            rows=relation_of(columns, map(self.session.cached_array, values)),
            same_key=key_condition(table, key),
            name=name,
            image=self.cells.image(table),
            redirected=redirected,
            insertion=self._journaled_images("removed", "deleted", table=table, step=step),
        )


def _key_cells(target: Target) -> str:
    """Return the key before the change: a column that changes is not read, but known from the pair."""
    return ",\n".join(
        (f"given.{label('old', column)}" if column in target.columns else f"{shown(target.table.column(column))}::text")
        + f" AS {label('key', column)}"
        for column in target.key
    )


def _counted_moves(targets: Sequence[Target], rows: Iterable[tuple[int, int | None, int]]) -> list[RowCount]:
    """Return the rows moved, by point and table. Raises CountMismatch if others were journaled."""
    moved = dict.fromkeys(range(len(targets)), 0)
    journaled = dict.fromkeys(range(len(targets)), 0)
    counted = []
    for number, point, count in rows:
        if point is None:
            moved[number] += count
        else:
            journaled[number] += count
            counted.append(RowCount(point, targets[number].table.name, count))
    for number, target in enumerate(targets):
        if moved[number] != journaled[number]:
            raise CountMismatch(table=str(target.table.name), moved=moved[number], journaled=journaled[number])
    return counted
