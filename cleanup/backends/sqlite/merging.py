"""SQLite: rows are journaled by one statement and changed by the next."""

from collections import Counter
from collections.abc import Sequence

from cleanup.backends import merging
from cleanup.backends.catalogue import Table
from cleanup.backends.changes import ROWS_PER_SNAPSHOT_ROW, Counted, Forwarding, Keys, Replaced, StructureTable, Target
from cleanup.backends.query import Query, block, label, quote
from cleanup.backends.sqlite.cells import as_json, decoded, encoded, json_array, member
from cleanup.backends.sqlite.session import Session, referencing_first
from cleanup.backends.sqlite.targets import (
    cells_of,
    condition_of,
    image_of,
    is_indexed,
    key_rows,
    matches_of,
    pairs_of,
    same_key,
)
from cleanup.exceptions import CountMismatch, UnkeyedRows
from cleanup.folder_tables import KeyColumn


class Merging(merging.Merging):
    """Every change is journaled before it is made."""

    session: Session

    # Moves.

    def move(self, targets: Sequence[Target], *, step: int) -> list[Counted]:
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
            Counted(point, target.table.name, rows)
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

    def _journal(self, rows: Query) -> Counter[int]:
        """Insert snapshot rows, and return the rows that they speak of by point."""
        counts: Counter[int] = Counter()
        for point, count in self.fetch(
            block(
                """
                INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, changes, images)
                {rows}
                RETURNING point_id, row_count
                """,
                rows=rows,
            )
        ):
            counts[point] += count
        return counts

    def _moved(self, target: Target, step: int) -> Query:
        """Return the snapshot rows of a move.

        The old value is the one that is there, not the one that was looked for: they may differ in their storage class.
        The row as a trigger leaves it is not read back: what is before is what counts for looking things up.
        """
        olds, news = ([label(word, column) for column in target.columns] for word in ("old", "new"))
        keys = [label("key", column) for column in target.key]
        lists = [f"json_group_array({key}) AS {key}" for key in keys]
        if target.images:
            lists.append("json_group_array(json_array(json(image), NULL)) AS images")
        return block(
            """
            WITH moved AS MATERIALIZED (
                SELECT m.point AS point, {old_cells}, {new_cells}, {key_cells}{image}
                  FROM {matches}
            )
            -- Of each point, by the thousand rows: [{from: [old], to: [new], keys: [[first key column], ...]}, ...].
            SELECT point, 'moved', %(step)s, %(table)s, sum(row_count),
                   json_group_array(json_object('from', {olds}, 'to', {news}, 'keys', {keys})), {images}
              FROM (SELECT {change}, chunk, count(*) AS row_count, {lists}
                      FROM (SELECT *, (row_number() OVER (PARTITION BY point ORDER BY {change}) - 1) / {most} AS chunk
                              FROM moved)
                     GROUP BY {change}, chunk)
             GROUP BY point, chunk
            """,
            old_cells=cells_of(target.columns, word="old"),
            new_cells=", ".join(f"m.{new} AS {new}" for new in news),
            key_cells=cells_of(target.key),
            image=f", {image_of(target.table)} AS image" if target.images else "",
            matches=matches_of(target, number=0),
            olds=json_array(olds),
            news=json_array(news),
            keys=json_array([f"json({key})" for key in keys]),
            images="json_group_array(json(images))" if target.images else "NULL",
            change=", ".join(["point", *olds, *news]),
            lists=", ".join(lists),
            most=ROWS_PER_SNAPSHOT_ROW,
        ).bind(step=step, table=str(target.table.name))

    def _move(self, target: Target) -> Query:
        """Change keys in a table, whose rows were journaled by the statement before, in the same transaction."""
        news = {column: decoded(f"m.{label('new', column)}") for column in target.columns}
        values = ", ".join(f"{value} AS {label('value', column)}" for column, value in news.items())
        if is_indexed(target):
            rows = block(
                """
                WITH m AS MATERIALIZED (
                  {pairs}
                )
                SELECT m.*, {values} FROM m
                """,
                pairs=pairs_of(target, number=0),
                values=values,
            )
            same_row = condition_of(target, number=0)
        else:
            # UPDATE ... FROM lets no one say which table is read first. Without an index that must be the target, or
            # the whole table is read for every pair; so the rows are found beforehand.
            rows = block(
                "SELECT {keys}, {values} FROM {matches}",
                keys=", ".join(f"t.{quote(column)} AS {label('raw', column)}" for column in target.key),
                values=values,
                matches=matches_of(target, number=0),
            )
            same_row = Query(same_key(target.key, "t", "m"))
        return block(
            """
            UPDATE {table} AS t
               SET {assignments}
              FROM (
                {rows}
              ) AS m
             WHERE {same_row}
            """,
            table=self.relation(target.table.name),
            assignments=", ".join(f"{quote(name)} = m.{label('value', name)}" for name in target.columns),
            rows=rows,
            same_row=same_row,
        )

    # Other values for one column.

    def replace_cells(
        self, table: Table, key: tuple[str, ...], column: str, rows: Sequence[Replaced], *, step: int
    ) -> list[Counted]:
        source = _replacements(key, rows)
        condition = f"{same_key(key, 't', 'm')} AND {encoded(f't.{quote(column)}')} IS m.old"
        keys = [label("key", name) for name in key]
        counts = self._journal(
            block(
                """
                SELECT point, 'moved', %(step)s, %(table)s, sum(row_count),
                       json_group_array(json_object('from', json_array(old), 'to', json_array(new), 'keys', {keys})),
                       NULL
                  FROM (SELECT point, chunk, old, new, count(*) AS row_count, {lists}
                          FROM (SELECT m.point AS point, m.old AS old, m.new AS new, {key_cells},
                                       (row_number() OVER (PARTITION BY m.point) - 1) / {most} AS chunk
                                  FROM {source}
                                 CROSS JOIN {table} AS t ON {condition})
                         GROUP BY point, chunk, old, new)
                 GROUP BY point, chunk
                """,
                keys=json_array([f"json({name})" for name in keys]),
                lists=", ".join(f"json_group_array({name}) AS {name}" for name in keys),
                key_cells=cells_of(key),
                most=ROWS_PER_SNAPSHOT_ROW,
                source=source,
                table=self.relation(table.name),
                condition=condition,
            ).bind(step=step, table=str(table.name))
        )
        moved = self.execute(
            block(
                """
                UPDATE {table} AS t
                   SET {column} = m.value
                  FROM {source}
                 WHERE {condition}
                """,
                table=self.relation(table.name),
                column=quote(column),
                source=source,
                condition=condition,
            )
        )
        return _counted(table, counts, moved, expected=len(rows))

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
        counts = self._journal(self._removed(table, key, rows, step))
        if forwarding is not None:
            self.execute(self._forwarded(table, key, rows, forwarding))
        removed = self.execute(
            block(
                "DELETE FROM {table} WHERE ({key}) IN (SELECT {values} FROM ({rows}))",
                table=self.relation(table.name),
                key=", ".join(map(quote, key)),
                values=", ".join(label("raw", column) for column in key),
                rows=key_rows(key, rows),
            )
        )
        return _counted(table, counts, removed, expected=len(rows))

    def _removed(self, table: Table, key: tuple[str, ...], rows: Keys, step: int) -> Query:
        return block(
            """
            WITH m AS MATERIALIZED (
                {rows}
            ), deleted AS (
                SELECT m.point AS point, {image} AS image,
                       (row_number() OVER (PARTITION BY m.point) - 1) / {most} AS chunk
                  FROM m
                 CROSS JOIN {table} AS t ON {same_key}
            )
            SELECT point, 'removed', %(step)s, %(table)s, count(*), NULL, json_group_array(json(image))
              FROM deleted
             GROUP BY point, chunk
            """,
            rows=key_rows(key, rows),
            image=image_of(table),
            most=ROWS_PER_SNAPSHOT_ROW,
            table=self.relation(table.name),
            same_key=same_key(key, "t", "m"),
        ).bind(step=step, table=str(table.name))

    def _forwarded(self, table: Table, key: tuple[str, ...], rows: Keys, forwarding: Forwarding) -> Query:
        addresses = zip(rows.points, *rows.columns, forwarding.removed, forwarding.survivors, strict=True)
        return block(
            """
            INSERT INTO cleanup_removedfolder (folder_key, survivor_key, name, point_id)
            SELECT m.removed, m.survivor, cleanup_name({name}, %(longest)s), m.point
              FROM (SELECT {point} AS point, {key}, {removed} AS removed, {survivor} AS survivor
                      FROM json_each(%(addresses)s)) AS m
             CROSS JOIN {table} AS t ON {same_key}
            """,
            name=encoded(f"t.{quote(forwarding.name)}"),
            point=member(0),
            key=", ".join(f"{decoded(member(place))} AS {label('raw', column)}" for place, column in enumerate(key, 1)),
            removed=member(len(key) + 1),
            survivor=member(len(key) + 2),
            table=self.relation(table.name),
            same_key=same_key(key, "t", "m"),
        ).bind(longest=forwarding.longest, addresses=as_json(list(addresses)))

    def take_structure(
        self, structure: StructureTable, *, point: int, application: str, key: KeyColumn, step: int
    ) -> int:
        return self._journal(
            block(
                """
                SELECT %(point)s, 'structure', %(step)s, %(table)s, count(*), NULL, json_group_array(json(image))
                  FROM (SELECT {image} AS image, (row_number() OVER () - 1) / {most} AS chunk
                          FROM {table} AS t
                         WHERE t.{owner} = {application})
                 GROUP BY chunk
                """,
                image=image_of(structure.table),
                most=ROWS_PER_SNAPSHOT_ROW,
                table=self.relation(structure.table.name),
                owner=quote(structure.application),
                application=decoded("%(application)s"),
            ).bind(
                point=point,
                step=step,
                table=str(structure.table.name),
                application=self.cells.key_cell(key, application),
            )
        ).total()


def _replacements(key: tuple[str, ...], rows: Sequence[Replaced]) -> Query:
    """Return the relation ``m``: point, old and new cell, the new ``value`` and the ``raw`` values of the key."""
    names = ["point", "old", "new", *(label("key", column) for column in key)]
    raw = {column: decoded(f"q.{label('key', column)}") for column in key}
    values = [f"{decoded('q.new')} AS value", *(f"{value} AS {label('raw', column)}" for column, value in raw.items())]
    return block(
        """
        (
          WITH q AS MATERIALIZED (SELECT {cells} FROM json_each(%(rows)s))
          SELECT q.*, {values} FROM q
        ) AS m
        """,
        cells=", ".join(f"{member(place)} AS {name}" for place, name in enumerate(names)),
        values=", ".join(values),
    ).bind(rows=as_json([[row.point, row.old, row.new, *row.key] for row in rows]))


def _counted(table: Table, counts: Counter[int], changed: int, *, expected: int) -> list[Counted]:
    """Return the rows journaled, by point. Raises CountMismatch where they are not those that changed."""
    if not changed == counts.total() == expected:
        wrong = counts.total() if changed == expected else changed
        raise CountMismatch(table=str(table.name), moved=expected, journaled=wrong)
    return [Counted(point, table.name, rows) for point, rows in counts.items()]
