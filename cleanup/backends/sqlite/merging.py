"""SQLite: rows are journaled by one statement and changed by the next."""

from collections.abc import Sequence

from cleanup.backends import merging
from cleanup.backends.catalogue import Table
from cleanup.backends.changes import Cell, Forwarding, Keys, Replaced, RowCount, Target
from cleanup.backends.merging import counted, require
from cleanup.backends.query import Query, block, label, quote
from cleanup.backends.sqlite.cells import as_json, decoded, encoded, member
from cleanup.backends.sqlite.session import Session, referencing_first
from cleanup.backends.sqlite.targets import (
    cells_of,
    condition_of,
    is_indexed,
    key_rows,
    matches_of,
    pairs_of,
    same_key,
)
from cleanup.exceptions import CountMismatch, UnkeyedRows


class Merging(merging.Merging):
    """Every change is journaled before it is made."""

    session: Session
    json_array = "json_array"
    json_object = "json_object"
    json_list = "json_group_array"
    json_text = ""

    def _nested(self, json: str) -> str:
        return f"json({json})"

    def _texts(self, name: str) -> str:
        return f"json_group_array({name})"

    # Moves.

    def move(self, targets: Sequence[Target], *, step: int) -> list[RowCount]:
        for target in targets:
            self._refuse_null_keys(target)
        # All is journaled before anything changes: the key of one target may hold the columns of another.
        counts = [self._journal(self._moved(target, step)) for target in targets]
        if len(targets) > 1:
            self.session.defer_foreign_keys()
        for number in referencing_first(self.session, [target.table for target in targets]):
            target, journaled = targets[number], counts[number].total()
            moved = self.execute(self._move(target)) if journaled else 0
            if moved != journaled:
                raise CountMismatch(table=str(target.table.name), moved=moved, journaled=journaled)
        return [
            RowCount(point, target.table.name, rows)
            for target, counted in zip(targets, counts, strict=True)
            for point, rows in counted.items()
        ]

    def _refuse_null_keys(self, target: Target) -> None:
        """Refuse rows without a key: a primary key that is not the rowid may hold nulls here."""
        nullable = [column for column in target.key if not target.table.column(column).not_null]
        if not nullable:
            return
        ((count,),) = self.fetch(
            block(
                "SELECT count(*) FROM {matches} WHERE {is_null}",
                matches=matches_of(target, number=0),
                is_null=" OR ".join(f"t.{quote(column)} IS NULL" for column in nullable),
            )
        )
        if count:
            raise UnkeyedRows(count=count, table=str(target.table.name))

    def _moved(self, target: Target, step: int) -> Query:
        """Return the insertion of the snapshot rows of a move.

        The old value is the one that is there, not the one that was looked for: they may differ in their storage class.
        The row as a trigger leaves it is not read back: what is before is what counts for looking things up.
        """
        rows = block(
            """
            (
              SELECT given.point AS point,
                     {old_cells},
                     {new_cells},
                     {key_cells}{image}
                FROM {matches}
            ) AS moved
            """,
            old_cells=cells_of(target.columns, word="old"),
            new_cells=", ".join("given.{0} AS {0}".format(label("new", column)) for column in target.columns),
            key_cells=cells_of(target.key),
            image=f",\n{self.cells.image(target.table)} AS before" if target.images else "",
            matches=matches_of(target, number=0),
        )
        images = ("before", "NULL") if target.images else ()
        return self._journaled_moves(
            rows, table=target.table, columns=target.columns, key=target.key, step=step, images=images
        )

    def _move(self, target: Target) -> Query:
        """Change keys in a table, whose rows were journaled by the statement before, in the same transaction."""
        news = {column: decoded(f"given.{label('new', column)}") for column in target.columns}
        values = ",\n".join(f"{value} AS {label('value', column)}" for column, value in news.items())
        if is_indexed(target):
            rows = block(
                """
                WITH given AS MATERIALIZED (
                  {pairs}
                )
                SELECT given.*,
                       {values}
                  FROM given
                """,
                pairs=pairs_of(target, number=0),
                values=values,
            )
            same_row = condition_of(target, number=0)
        else:
            # UPDATE ... FROM cannot specify which table is read first. Without an index, that must be the target, or
            # the whole table is read for every pair; so the rows are found beforehand.
            rows = block(
                """
                SELECT
                    {keys},
                    {values}
                  FROM {matches}
                """,
                keys=",\n".join(f"t.{quote(column)} AS {label('raw', column)}" for column in target.key),
                values=values,
                matches=matches_of(target, number=0),
            )
            same_row = Query(same_key(target.key, "t", "given"))
        return block(
            """
            UPDATE {table} AS t
               SET {assignments}
              FROM (
                {rows}
              ) AS given
             WHERE {same_row}
            """,
            table=self.relation(target.table.name),
            assignments=",\n".join(f"{quote(name)} = given.{label('value', name)}" for name in target.columns),
            rows=rows,
            same_row=same_row,
        )

    # New values for some columns.

    def replace_cells(
        self, table: Table, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Replaced], *, step: int
    ) -> list[RowCount]:
        there = block(
            """
            (
              SELECT given.point AS point, {old_and_new},
                     {key_cells}
                FROM {source}
               CROSS JOIN {table} AS t ON {condition}
            ) AS moved
            """,
            old_and_new=_old_and_new(columns),
            key_cells=cells_of(key),
            source=self._replacements(key, columns, rows),
            table=self.relation(table.name),
            condition=_unchanged(key, columns),
        )
        counts = self._journal(self._journaled_moves(there, table=table, columns=columns, key=key, step=step))
        return counted(
            table, counts, expected=len(rows), changed=self.execute(self._replaced(table, key, columns, rows))
        )

    def _replacements(self, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Replaced]) -> Query:
        # Beside the cells also the new ``value``s, and the key's raw values, as the database holds them.
        changed = [label(word, column) for word in ("old", "new") for column in columns]
        names = ["point", *changed, *(label("key", column) for column in key)]
        values = [
            *(f"{decoded('cells.' + label('new', column))} AS {label('value', column)}" for column in columns),
            *(f"{decoded('cells.' + label('key', column))} AS {label('raw', column)}" for column in key),
        ]
        return block(
            """
            (
              WITH cells AS MATERIALIZED (SELECT {cells} FROM json_each(%(rows)s))
              SELECT cells.*,
                     {values}
                FROM cells
            ) AS given
            """,
            cells=", ".join(f"{member(place)} AS {name}" for place, name in enumerate(names)),
            values=",\n".join(values),
        ).bind(rows=as_json([[row.point, *row.olds, *row.news, *row.key] for row in rows]))

    def _replaced(
        self, table: Table, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Replaced]
    ) -> Query:
        return block(
            """
            UPDATE {table} AS t
               SET {assignments}
              FROM {source}
             WHERE {condition}
            """,
            table=self.relation(table.name),
            assignments=",\n".join(f"{quote(column)} = given.{label('value', column)}" for column in columns),
            source=self._replacements(key, columns, rows),
            condition=_unchanged(key, columns),
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
        given = as_json([[point, *cells] for point, cells in rows])
        values = {column: decoded(member(place)) for place, column in enumerate(columns, 1)}
        insertion = block(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM json_each(%(rows)s)",
            table=self.relation(table.name),
            columns=", ".join(map(quote, columns)),
            values=", ".join(values.values()),
        ).bind(rows=given)
        require(table, self.execute(insertion), expected=len(rows))
        if step is None:
            return
        images = block(
            """
            (
              SELECT given.point AS point, {image} AS image
                FROM (SELECT {point} AS point, {values} FROM json_each(%(rows)s)) AS given
               CROSS JOIN {table} AS t ON {same}
            ) AS inserted
            """,
            image=self.cells.image(table),
            point=member(0),
            values=", ".join(f"{values[column]} AS {label('raw', column)}" for column in columns[:2]),
            table=self.relation(table.name),
            same=same_key(columns[:2], "t", "given"),
        ).bind(rows=given)
        counted(
            table, self._journal(self._journaled_images("inserted", images, table=table, step=step)), expected=len(rows)
        )

    # Removals.

    def drop_rows(self, table: Table, key: tuple[str, ...], rows: Keys) -> None:
        dropping = block(
            "DELETE FROM {table} WHERE ({key}) IN (SELECT {values} FROM ({rows}))",
            table=self.relation(table.name),
            key=", ".join(map(quote, key)),
            values=", ".join(label("raw", column) for column in key),
            rows=key_rows(key, rows),
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
        counts = self._journal(self._removed(table, key, rows, step))
        if forwarding is not None:
            self.execute(self._forwarded(table, key, rows, forwarding))
        removed = self.execute(
            block(
                """
                DELETE FROM {table}
                 WHERE ({key}) IN (
                       SELECT {values}
                         FROM (
                           {rows}
                         ))
                """,
                table=self.relation(table.name),
                key=", ".join(map(quote, key)),
                values=", ".join(label("raw", column) for column in key),
                rows=key_rows(key, rows),
            )
        )
        return counted(table, counts, expected=len(rows), changed=removed)

    def _removed(self, table: Table, key: tuple[str, ...], rows: Keys, step: int) -> Query:
        return self._journaled_images("removed", self._images_of(table, key, rows), table=table, step=step)

    def _images_of(self, table: Table, key: tuple[str, ...], rows: Keys) -> Query:
        return block(
            """
            (
              WITH given AS MATERIALIZED (
                {rows}
              )
              SELECT given.point AS point,
                     {image} AS image
                FROM given
               CROSS JOIN {table} AS t ON {same_key}
            ) AS removed
            """,
            rows=key_rows(key, rows),
            image=self.cells.image(table),
            table=self.relation(table.name),
            same_key=same_key(key, "t", "given"),
        )

    def _forwarded(self, table: Table, key: tuple[str, ...], rows: Keys, forwarding: Forwarding) -> Query:
        addresses = zip(rows.points, *rows.columns, forwarding.removed, forwarding.survivors, strict=True)
        return block(
            """
            INSERT INTO cleanup_removedfolder (folder_key, survivor_key, name, point_id)
            -- Where each folder went, for programs that still ask for it.
            SELECT given.removed, given.survivor,
                   cleanup_name({name}, %(longest)s),
                   given.point
              FROM (SELECT {point} AS point, {removed} AS removed, {survivor} AS survivor,
                           {key}
                      FROM json_each(%(addresses)s)) AS given
             CROSS JOIN {table} AS t ON {same_key}
            """,
            name=encoded(f"t.{quote(forwarding.name)}"),
            point=member(0),
            key=",\n".join(
                f"{decoded(member(place))} AS {label('raw', column)}" for place, column in enumerate(key, 1)
            ),
            removed=member(len(key) + 1),
            survivor=member(len(key) + 2),
            table=self.relation(table.name),
            same_key=same_key(key, "t", "given"),
        ).bind(longest=forwarding.longest, addresses=as_json(list(addresses)))


def _old_and_new(columns: tuple[str, ...]) -> str:
    return ", ".join("given.{0} AS {0}".format(label(word, column)) for word in ("old", "new") for column in columns)


def _unchanged(key: tuple[str, ...], columns: tuple[str, ...]) -> str:
    """Return the condition that row ``t`` is the one that is given, and still holds what was read."""
    held = (f"{encoded(f't.{quote(column)}')} IS given.{label('old', column)}" for column in columns)
    return " AND ".join([same_key(key, "t", "given"), *held])
