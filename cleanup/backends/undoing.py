"""The statements that undo what a journal says.

Invariant: every method is a constant number of statements whatever the number of rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar

from cleanup.backends.catalogue import ForeignKey, Table, UniqueKey
from cleanup.backends.changes import (
    ImageLink,
    Images,
    Restoration,
    Returned,
    RowConflict,
    RowCount,
    StructureTable,
    UndoTarget,
)
from cleanup.backends.query import Query, block, joined, label, quote
from cleanup.backends.session import Room
from cleanup.exceptions import CountMismatch

#: A line for each problem; by point, the rows ``to_insert``; last the number of ``images``.
ANSWERS = block(
    """
    SELECT code, point, key, columns, constraint_name, 1 AS row_count FROM problems
    UNION ALL
    SELECT 'to_insert', __point, NULL, NULL, NULL, count(*) FROM compared WHERE NOT __there GROUP BY __point
    UNION ALL
    SELECT 'images', NULL, NULL, NULL, NULL, count(*) FROM images
    """
)


class Undoing(Room, ABC):
    """One connection's undo."""

    @abstractmethod
    def restore_moved(self, targets: Sequence[UndoTarget], *, points: Sequence[int], step: int) -> Restoration:
        """Undo one step's moves.

        A cell that is what the move made of it gets its old value back; one that is already old is left; any other
        is a conflict. Raises CountMismatch when a row changed under our hands, or the journal holds other than
        ``rows``.
        """

    def count_journaled(
        self, table: Table, label: str, key: tuple[str, ...], *, points: Sequence[int]
    ) -> list[RowCount]:
        """Count the rows of a table that a journal says have moved, each once, however many of its columns did."""
        keys, cells = self._journaled_keys(key)
        counted = self.fetch(
            block(
                """
                SELECT s.point_id, count(DISTINCT {cells}) AS row_count
                  FROM cleanup_snapshotrow AS s,
                       {keys}
                 WHERE {of_table}
                 GROUP BY s.point_id
                """,
                cells=cells,
                keys=keys,
                of_table=self._snapshots("moved", label, points=points),
            )
        )
        return [RowCount(point, table.name, count) for point, count in counted]

    @abstractmethod
    def restore_images(self, images: Images, *, foreign_keys: Sequence[ForeignKey]) -> Restoration:
        """Insert removed rows again, but those that are there already.

        Where one cannot be restored, nothing is inserted and the conflicts are returned: key or unique place taken, or
        a foreign key's target missing. Raises CountMismatch.
        """

    def remove_images(self, images: Images) -> list[RowConflict]:
        """Delete inserted rows again, but those that are gone; return those that were changed since, and stay.

        Raises CountMismatch.
        """
        rows = self.fetch(
            block(
                """
                WITH {images}, compared AS (
                    SELECT i.__point AS point, i.__key AS row_key, ({differs}) AS differs
                      FROM images AS i
                      JOIN {table} AS t ON {same_key}
                )
                SELECT 'changed', point, row_key, 1 FROM compared WHERE differs
                 UNION ALL
                SELECT 'same', NULL, NULL, count(*) FROM compared WHERE NOT differs
                 UNION ALL
                SELECT 'journaled', NULL, NULL, count(*) FROM images
                """,
                images=self._images(images),
                table=self.relation(images.table.name),
                same_key=same_columns(images.key),
                differs=self._differs(images),
            )
        )
        counts = {what: count for what, point, _, count in rows if point is None}
        require_all(images.table, counts["journaled"], images.rows)
        deleted = self.execute(self._deletion(images))
        if deleted != counts["same"]:
            raise CountMismatch(table=str(images.table.name), moved=deleted, journaled=counts["same"])
        return [
            RowConflict(point, images.table.name, "changed", self.cells.selected(key))
            for what, point, key, _ in rows
            if what == "changed"
        ]

    def _deletion(self, images: Images) -> Query:
        """Return the DELETE of inserted rows that are as they were inserted."""
        return block(
            """
            DELETE FROM {table}
             WHERE ({key}) IN (
                   WITH {images}
                   SELECT {own}
                     FROM images AS i
                     JOIN {table} AS t ON {same_key}
                    WHERE NOT ({differs}))
            """,
            key=", ".join(map(quote, images.key)),
            own=", ".join(f"t.{quote(column)}" for column in images.key),
            table=self.relation(images.table.name),
            images=self._images(images),
            same_key=same_columns(images.key),
            differs=self._differs(images),
        )

    def _found(self, images: Images, foreign_keys: Sequence[ForeignKey]) -> Query:
        """Return the CTEs ``images``, ``compared`` and ``problems``: what is in the way of images coming back."""
        problems = [
            Query("SELECT 'row_exists', i.__point, i.__key, '', '' FROM compared AS i WHERE i.__differs"),
            *(self._unique_taken(images, unique) for unique in images.uniques),
            *(self._target_missing(images, key) for key in foreign_keys if set(key.columns) <= set(images.columns)),
        ]
        return block(
            """
            {images}, compared AS MATERIALIZED (
                -- Each image beside the row that has its key now, if there is one.
                SELECT i.*,
                       t.{key} IS NOT NULL AS __there,
                       t.{key} IS NOT NULL
                       AND ({differs}) AS __differs
                  FROM images AS i
                  LEFT JOIN {table} AS t ON {same_key}
            ), problems(code, point, key, columns, constraint_name) AS MATERIALIZED (
                -- What the database would refuse, all of it and by row, where an error of its own would tell the first.
                {problems}
            )
            """,
            images=self._images(images),
            key=quote(images.key[0]),
            differs=self._differs(images),
            table=self.relation(images.table.name),
            same_key=same_columns(images.key),
            problems=joined("\nUNION ALL\n", problems),
        )

    def _unique_taken(self, images: Images, unique: UniqueKey) -> Query:
        columns = [f"{quote(column)} AS {label('__key', column)}" for column in images.key]
        columns += [f"({part}) AS __part_{place}".replace("%", "%%") for place, part in enumerate(unique.parts)]
        return block(
            """
            SELECT 'unique_taken', i.__point, i.__key, {names}
              -- In subqueries, where the index's own expressions find its columns by their bare names.
              FROM (SELECT __point, __key, {columns}
                      FROM images
                     {where}
                   ) AS i
              {nested_join} (SELECT {columns}
                      FROM {table}
                     {where}
                   ) AS other
                ON {equal}
             WHERE NOT ({itself})
            """,
            names=_named(unique),
            columns=", ".join(columns),
            where=f"WHERE ({unique.predicate})".replace("%", "%%") if unique.predicate else "",
            nested_join=self.session.nested_join,
            table=self.relation(images.table.name),
            equal=" AND ".join(self._equal(unique, place) for place in range(len(unique.parts))),
            itself=" AND ".join("other.{0} = i.{0}".format(label("__key", column)) for column in images.key),
        )

    def _target_missing(self, images: Images, foreign_key: ForeignKey) -> Query:
        pairs = list(zip(foreign_key.columns, foreign_key.target_columns, strict=True))
        among = ""
        if foreign_key.target == images.table.name and {other for _, other in pairs} <= set(images.columns):
            among = f"AND {self._not_among_images(images.table, pairs)}"
        return block(
            """
            SELECT 'missing_target', i.__point, i.__key, {names}
              FROM compared AS i
             WHERE NOT i.__there AND {given}
               AND NOT EXISTS (SELECT 1 FROM {target} AS f WHERE {there})
               {among}
            """,
            names=_named(foreign_key),
            given=" AND ".join(f"{self._not_exempt(own, foreign_key)} IS NOT NULL" for own, _ in pairs),
            target=self.relation(foreign_key.target),
            there=" AND ".join(f"f.{quote(other)} = i.{quote(own)}" for own, other in pairs),
            among=among,
        )

    def _not_exempt(self, column: str, foreign_key: ForeignKey) -> str:
        """Return what a column of image ``i`` holds; null for what names no row."""
        held = f"i.{quote(column)}"
        return f"NULLIF({held}, {foreign_key.exempt})" if foreign_key.exempt else held

    def _restoration_of(self, images: Images, answers: Sequence[tuple[Any, ...]]) -> Restoration:
        """Return what is in the way or, if nothing is, the rows to insert. Raises CountMismatch."""
        *found, (*_, journaled) = answers
        table = images.table.name
        require_all(images.table, journaled + len(images.left_out), images.rows)
        conflicts = [
            RowConflict(point, table, code, self.cells.selected(key), columns, constraint=constraint)
            for code, point, key, columns, constraint, _ in found
            if code != "to_insert"
        ]
        return Restoration([] if conflicts else [RowCount(row[1], table, row[5]) for row in found], conflicts)

    def image_links(self, images: Images, *, foreign_key: ForeignKey) -> Iterator[ImageLink]:
        """Yield which removed rows, gone still, need which others by a foreign key of their table to itself."""
        pairs = list(zip(foreign_key.columns, foreign_key.target_columns, strict=True))
        rows = self.fetch_in_pieces(
            block(
                """
                WITH {images}
                SELECT i.__point, i.__key, f.__key
                  FROM images AS i
                  JOIN images AS f ON {needs}
                   -- A root folder may name itself.
                   AND NOT ({itself})
                 WHERE NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {same_key})
                   AND NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {there})
                """,
                images=self._images(images, wanted={*images.key, *foreign_key.columns, *foreign_key.target_columns}),
                needs=" AND ".join(f"f.{quote(other)} = i.{quote(own)}" for own, other in pairs),
                itself=" AND ".join(f"f.{quote(column)} = i.{quote(column)}" for column in images.key),
                table=self.relation(images.table.name),
                same_key=same_columns(images.key),
                there=" AND ".join(f"t.{quote(other)} = i.{quote(own)}" for own, other in pairs),
            )
        )
        column = "+".join(foreign_key.columns)
        return (
            ImageLink(point, self.cells.selected(own), self.cells.selected(other), column) for point, own, other in rows
        )

    def structure_differences(self, structure: StructureTable, images: Images, *, limit: int) -> list[RowConflict]:
        """Compare a stored structure with the rows as they are: ``row_missing``, ``changed`` and ``extra``."""
        table = images.table
        rows = self.fetch(
            block(
                """
                WITH {images}
                SELECT CASE WHEN t.{key} IS NULL THEN 'row_missing' ELSE 'changed' END, i.__key
                  FROM images AS i
                  LEFT JOIN {table} AS t ON {same_key}
                 WHERE t.{key} IS NULL OR {differs}
                 UNION ALL
                SELECT 'extra', {row_key}
                  FROM {table} AS t
                 WHERE {belongs}
                   AND {is_extra}
                 LIMIT %(limit)s
                """,
                images=self._images(images),
                key=quote(images.key[0]),
                table=self.relation(table.name),
                same_key=same_columns(images.key),
                differs=self._differs(images),
                row_key=self._row_key(images),
                belongs=structure.belongs,
                is_extra=self._not_among_images(table, [(column, column) for column in images.key], row="t"),
            ).bind(limit=limit)
        )
        (point,) = images.points
        return [RowConflict(point, table.name, code, self.cells.selected(cells)) for code, cells in rows]

    def _returned(
        self, table: Table, columns: Sequence[str], returned: Returned, points: Sequence[int], *, number: int | str = ""
    ) -> Query:
        """Return the CTE ``returned``, with the number: the removed rows that are back, by point."""
        images = Images(table, returned.columns, returned.identity, points=points, step=returned.step)
        return block(
            """
            returned{number} AS MATERIALIZED (
                -- Removed rows that are back: the very rows, not others with the same values.
                WITH {images}
                SELECT i.__point, {columns}
                  FROM images AS i
                  {nested_join} {table} AS f ON {same}
            )
            """,
            number=number,
            images=self._images(images, name=f"_of_returned{number}"),
            columns=", ".join(f"f.{quote(column)}" for column in columns),
            nested_join=self.session.nested_join,
            table=self.relation(table.name),
            same=" AND ".join(
                f"f.{quote(column)} {self.same if place else '='} i.{quote(column)}"
                for place, column in enumerate(returned.identity)
            ),
        )

    def _snapshots(
        self, kind: str, label: str, *, points: Sequence[int], step: int | None = None, name: str = ""
    ) -> Query:
        """Return the condition of the snapshot rows ``s`` of a table; ``name`` ends the names of its parameters."""
        of_table = Query(f"s.kind = '{kind}' AND s.\"table\" = %(table{name})s", {f"table{name}": label})
        of_step = [] if step is None else [Query(f"s.step = %(step{name})s", {f"step{name}": step})]
        return joined("\n  AND ", [of_table, self._of_points(points), *of_step])

    def _image_snapshots(self, images: Images, *, name: str) -> Query:
        kind = "structure" if images.step is None else "inserted" if images.inserted else "removed"
        return self._snapshots(kind, images.table.journaled_as, points=images.points, step=images.step, name=name)

    # What differs between databases.

    same: ClassVar[str]
    """The comparison that takes nulls for equal."""

    @abstractmethod
    def _images(self, images: Images, *, wanted: Collection[str] = (), name: str = "") -> Query:
        """Return the CTE ``images``: the removed rows as rows of the table again.

        With ``__point``, and ``__key``, the cells of the key. All their columns, or at least the ``wanted`` ones;
        ``name`` ends the names of the parameters.
        """

    @abstractmethod
    def _of_points(self, points: Sequence[int]) -> Query:
        """Return the test whether snapshot row ``s`` is of one of the points."""

    @abstractmethod
    def _journaled_keys(self, key: tuple[str, ...]) -> tuple[Query, str]:
        """Return the relation of the keys of the rows that a snapshot row ``s`` says have moved, and one as a value."""

    @abstractmethod
    def _differs(self, images: Images) -> str:
        """Return the test whether row ``t`` is another one than its image ``i``."""

    @abstractmethod
    def _row_key(self, images: Images) -> str:
        """Return the cells of row ``t``'s key."""

    @abstractmethod
    def _equal(self, unique: UniqueKey, place: int) -> str:
        """Return the comparison of a part of the unique key in image ``i`` and in the ``other`` row."""

    @abstractmethod
    def _not_among_images(self, table: Table, pairs: Sequence[tuple[str, str]], *, row: str = "i") -> str:
        """Return the test that no image has, in the second column of each pair, what ``row`` has in the first.

        ``table``: that of the images and of the row.
        """


def require_all(table: Table, found: int, expected: int | None) -> None:
    """Raise CountMismatch if the journal's contents differ from its counts."""
    if expected is not None and expected != found:
        raise CountMismatch(table=str(table.name), moved=expected, journaled=found)


def require_inserted(images: Images, restoration: Restoration, inserted: int) -> None:
    """Raise CountMismatch unless exactly the rows to restore were inserted."""
    expected = sum(counted.rows for counted in restoration.restored)
    if inserted != expected:
        raise CountMismatch(table=str(images.table.name), moved=inserted, journaled=expected)


def same_columns(key: Sequence[str]) -> str:
    """Return the condition that row ``t`` has the key of image ``i``."""
    return " AND ".join(f"t.{quote(column)} = i.{quote(column)}" for column in key)


def _named(rule: UniqueKey | ForeignKey) -> str:
    """Return, as two literals, the columns of a rule and its name."""
    texts = (text.replace("'", "''").replace("%", "%%") for text in ("+".join(rule.columns), rule.name))
    return ", ".join(f"'{text}'" for text in texts)
