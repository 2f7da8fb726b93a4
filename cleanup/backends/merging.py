"""The statements that change mapped tables and journal what they change.

Invariants: every method is a constant number of statements whatever the number of rows; rows changed are rows
journaled.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import ClassVar

from cleanup.backends.catalogue import Table
from cleanup.backends.changes import (
    ROWS_PER_SNAPSHOT_ROW,
    Cell,
    Forwarding,
    Keys,
    Replaced,
    RowCount,
    StructureTable,
    Target,
)
from cleanup.backends.query import Query, block, label
from cleanup.backends.session import Room
from cleanup.exceptions import CountMismatch


class Merging(Room, ABC):
    """One connection's journaled writes."""

    @abstractmethod
    def move(self, targets: Sequence[Target], *, step: int) -> list[RowCount]:
        """Change the targets' rows and journal them, in one statement if the database can.

        Raises CountMismatch when rows moved and rows journaled differ.
        """

    def nest(
        self, table: Table, key: str, column: str, rows: Sequence[tuple[int, str, Cell, str]], *, step: int
    ) -> list[RowCount]:
        """Move root folders, given as (point, key cell, cell of the parent column, parent cell), under a parent,

        journaled. Raises CountMismatch.
        """
        replaced = [Replaced(point, (folder,), (held,), (parent,)) for point, folder, held, parent in rows]
        return self.replace_cells(table, (key,), (column,), replaced, step=step)

    @abstractmethod
    def replace_cells(
        self, table: Table, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Replaced], *, step: int
    ) -> list[RowCount]:
        """Give columns of rows other values, journaled. Raises CountMismatch if they hold other values than given."""

    def set_cells(self, table: Table, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Replaced]) -> None:
        """Give columns of rows other values, and journal nothing: what an undo leaves to be computed anew.

        Raises CountMismatch if they hold other values than given.
        """
        self.limit_lock_wait()
        require(table, self.execute(self._replaced(table, key, columns, rows)), expected=len(rows))

    def journal_cells(
        self, table: Table, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Replaced], *, step: int
    ) -> None:
        """Journal what another program has made of columns of rows, from the old to the new cells."""
        given = self._replacements(key, columns, rows)
        counts = self._journal(self._journaled_moves(given, table=table, columns=columns, key=key, step=step))
        counted(table, counts, expected=len(rows))

    @abstractmethod
    def _replaced(
        self, table: Table, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Replaced]
    ) -> Query:
        """Return the UPDATE of rows that still hold what was read."""

    @abstractmethod
    def _replacements(self, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Replaced]) -> Query:
        """Return the relation ``given``: point, key cells, and the old and new cells of columns."""

    @abstractmethod
    def insert_rows(
        self,
        table: Table,
        columns: tuple[str, ...],
        rows: Sequence[tuple[int, tuple[Cell, ...]]],
        *,
        step: int | None,
    ) -> None:
        """Insert rows, given as point and cells of columns, and journal their images; the first two identify a row.

        Without a step nothing is journaled. Raises CountMismatch.
        """

    def journal_inserted(self, table: Table, key: tuple[str, ...], rows: Keys, *, step: int) -> None:
        """Journal the images of rows that were just inserted. Raises CountMismatch."""
        insertion = self._journaled_images("inserted", self._images_of(table, key, rows), table=table, step=step)
        counted(table, self._journal(insertion), expected=len(rows))

    @abstractmethod
    def _images_of(self, table: Table, key: tuple[str, ...], rows: Keys) -> Query:
        """Return a relation of the rows that are there: their points and images."""

    @abstractmethod
    def drop_rows(self, table: Table, key: tuple[str, ...], rows: Keys) -> None:
        """Delete rows, and journal nothing. Raises CountMismatch."""

    @abstractmethod
    def remove(
        self,
        table: Table,
        key: tuple[str, ...],
        rows: Keys,
        *,
        step: int,
        forwarding: Forwarding | None = None,
    ) -> list[RowCount]:
        """Delete rows and journal their images.

        With ``forwarding``, in the order of ``rows``, the folders' forwarding addresses are recorded too. Raises
        CountMismatch.
        """

    def take_structure(self, structure: StructureTable, *, point: int, step: int) -> int:
        """Store images of the table's rows that belong to the application and return their number."""
        table = structure.table
        rows = block(
            """
            (
              SELECT %(point)s AS point,
                     {image} AS image
                FROM {table} AS t
               WHERE {belongs}
            ) AS rows_of_application
            """,
            image=self.cells.image(table),
            table=self.relation(table.name),
            belongs=structure.belongs,
        ).bind(point=point)
        return self._journal(self._journaled_images("structure", rows, table=table, step=step)).total()

    # The form of snapshot rows.

    def _journal(self, insertion: Query) -> Counter[int]:
        """Insert snapshot rows, and return the number of rows that they describe, by point."""
        counts: Counter[int] = Counter()
        for point, count in self.fetch(insertion):
            counts[point] += count
        return counts

    def _journaled_moves(
        self,
        rows: str | Query,
        *,
        table: Table,
        columns: Sequence[str],
        key: Sequence[str],
        step: int,
        images: Sequence[str] = (),
        change: str = "",
        changes: str = "",
        number: str = "",
    ) -> Query:
        """Return the insertion of the snapshot rows of moves.

        ``rows`` are a relation with ``point``, the ``key`` cells and, unless a join with ``changes`` by ``change``
        brings them, the ``old`` and ``new`` cells of ``columns``. ``images`` are the row before and after.
        """
        olds, news = ([label(word, column) for column in columns] for word in ("old", "new"))
        keys = [label("key", column) for column in key]
        by_change = change or ", ".join([*olds, *news])
        return block(
            """
            INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, changes, images)
            -- Of each point, by the thousand rows: [{from: [old], to: [new], keys: [[first key column], ...]}, ...].
            SELECT g.point, 'moved', %(step)s, %(table{number})s, sum(g.row_count),
                   {list}({object}(
                       'from', {olds},
                       'to', {news},
                       'keys', {keys})){text},
                   {images}
              FROM {chunks} AS g
              {changes}
             GROUP BY g.point, g.chunk
            RETURNING point_id, row_count
            """,
            number=number,
            list=self.json_list,
            object=self.json_object,
            olds=self._array(olds),
            news=self._array(news),
            keys=self._array(map(self._nested, keys)),
            text=self.json_text,
            images=f"{self.json_list}({self._nested('images')}){self.json_text}" if images else "NULL",
            chunks=self._chunks(rows, change=by_change, keys=keys, images=images),
            changes=changes,
        ).bind(step=step, **{f"table{number}": str(table.name)})

    def _chunks(self, rows: str | Query, *, change: str, keys: Sequence[str], images: Sequence[str]) -> Query:
        """Return a relation with a line for each change of a chunk: the lists of its rows' keys, and their images."""
        lists = [f"{self._texts(name)} AS {name}" for name in keys]
        if images:
            lists.append(f"{self.json_list}({self._array(map(self._nested, images))}) AS images")
        return block(
            """
            (SELECT point, chunk, {change}, count(*) AS row_count,
                    {lists}
               FROM (
                     -- By point, so that rows of many points that come by turns make no more chunks than need be.
                     SELECT *, (row_number() OVER (PARTITION BY point) - 1) / {most} AS chunk
                       FROM {rows}
                    ) AS numbered
              GROUP BY point, chunk, {change})
            """,
            change=change,
            lists=",\n".join(lists),
            most=ROWS_PER_SNAPSHOT_ROW,
            rows=rows,
        )

    def _journaled_images(self, kind: str, rows: str | Query, *, table: Table, step: int) -> Query:
        """Return the insertion of the snapshot rows of ``rows`` with ``point`` and ``image``."""
        return block(
            """
            INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, images)
            SELECT point, '{kind}', %(step)s, %(table)s, count(*), {list}({image}){text}
              FROM (SELECT point, image, (row_number() OVER (PARTITION BY point) - 1) / {most} AS chunk
                      FROM {rows}) AS numbered
             GROUP BY point, chunk
            RETURNING point_id, row_count
            """,
            kind=kind,
            list=self.json_list,
            image=self._nested("image"),
            text=self.json_text,
            most=ROWS_PER_SNAPSHOT_ROW,
            rows=rows,
        ).bind(step=step, table=str(table.name))

    def _array(self, values: Iterable[str]) -> str:
        return f"{self.json_array}({', '.join(values)})"

    def _nested(self, json: str) -> str:
        """Return JSON from a subquery as part of other JSON."""
        return json

    # What differs between databases.

    @abstractmethod
    def _texts(self, name: str) -> str:
        """Return the aggregate of texts to a JSON array."""

    json_array: ClassVar[str]
    json_object: ClassVar[str]
    json_list: ClassVar[str]
    """The aggregate of an array."""
    json_text: ClassVar[str]
    """The SQL that converts JSON to text."""


def require(table: Table, changed: int, *, expected: int) -> None:
    """Raise CountMismatch if a statement that journals nothing has changed another number of rows."""
    if changed != expected:
        raise CountMismatch(table=str(table.name), moved=changed, journaled=expected)


def counted(table: Table, counts: Counter[int], *, expected: int, changed: int | None = None) -> list[RowCount]:
    """Return the rows journaled, by point. Raises CountMismatch if the numbers are not as expected."""
    for count in (changed, counts.total()):
        if count is not None and count != expected:
            raise CountMismatch(table=str(table.name), moved=expected, journaled=count)
    return [RowCount(point, table.name, rows) for point, rows in counts.items()]
