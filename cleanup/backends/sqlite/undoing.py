"""SQLite: undo, by statements that compare first and change then."""

from collections.abc import Collection, Sequence

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
from cleanup.backends.query import Query, block, joined, label, quote
from cleanup.backends.sqlite.catalogue import affinity
from cleanup.backends.sqlite.cells import applied, as_json, collation, decoded, encoded, json_array, member
from cleanup.backends.sqlite.session import Session, referencing_first
from cleanup.backends.sqlite.targets import same_key
from cleanup.backends.undoing import ANSWERS, require_all, require_inserted, same_columns
from cleanup.exceptions import CountMismatch


class Undoing(undoing.Undoing):
    """There is one writer: what was compared is what is changed."""

    session: Session
    same = "IS"

    # Moves.

    def restore_moved(self, targets: Sequence[UndoTarget], *, points: Sequence[int], step: int) -> Restoration:
        restored: list[RowCount] = []
        conflicts: list[RowConflict] = []
        expected = []
        judged = [self._judged(target, points=points, step=step) for target in targets]
        for target, verdicts in zip(targets, judged, strict=True):
            rows = self.fetch(_counted(target, verdicts))
            require_all(target.table, sum(row[2] for row in rows), target.rows)
            expected.append(sum(count for _, verdict, count, *_ in rows if verdict == "restore"))
            for point, verdict, count, cells, given in rows:
                if verdict == "restore":
                    restored.append(RowCount(point, target.table.name, count))
                elif verdict != "same":
                    column = "+".join(target.columns) if verdict != "row_missing" else ""
                    key, new = map(self.cells.selected, (cells, given))
                    conflicts.append(RowConflict(point, target.table.name, verdict, key, column, target.columns, new))
        if len(targets) > 1:
            self.session.defer_foreign_keys()
        for number in referencing_first(self.session, [target.table for target in targets]):
            if expected[number]:
                changed = self.execute(self._move_back(targets[number], judged[number]))
                if changed != expected[number]:
                    table = str(targets[number].table.name)
                    raise CountMismatch(table=table, moved=changed, journaled=expected[number])
        return Restoration(restored, conflicts)

    def _move_back(self, target: UndoTarget, verdicts: Query) -> Query:
        return block(
            """
            UPDATE {table} AS t
               SET {assignments}
              FROM (
                WITH {verdicts}
                SELECT * FROM verdicts WHERE verdict = 'restore'
              ) AS j
             WHERE {same_row}
            """,
            table=self.relation(target.table.name),
            assignments=",\n".join(f"{quote(column)} = j.{label('value', column)}" for column in target.columns),
            verdicts=verdicts,
            same_row=same_key(target.key, "t", "j"),
        )

    def _judged(self, target: UndoTarget, *, points: Sequence[int], step: int) -> Query:
        """Return CTEs, the last of which is ``verdicts``: the moved rows, what to do with each and why.

        Of columns they have the ``old`` and ``new`` cells and the ``value`` to give back; of the key, the ``key`` cells
        as journaled and the ``raw`` values of now.
        """
        ctes = [self._changes(target, points, step), journaled(target), self._verdicts(target)]
        if target.must_exist is not None and target.returned is not None:
            ctes.insert(0, self._returned(*target.must_exist, target.returned, points))
        return joined(", ", ctes)

    def _changes(self, target: UndoTarget, points: Sequence[int], step: int) -> Query:
        cells = [
            f"json_extract(e.value, '$.{member}[{place}]') AS {label(word, column)}"
            for member, word, columns in (
                ("from", "old", target.columns),
                ("to", "new", target.columns),
                ("keys", "keys", target.key),
            )
            for place, column in enumerate(columns)
        ]
        values, held = [], []
        for column in target.columns:
            old, new = (decoded(f"cells.{label(word, column)}") for word in ("old", "new"))
            values.append(f"{old} AS {label('value', column)}")
            values.append(f"{applied(new, target.table.column(column).type)} AS {label('held', column)}")
            held.append(f"{encoded(label('held', column))} AS {label('kept', column)}")
        part = Query("")
        if target.part is not None:
            part = Query(
                "AND s.id IN (SELECT value FROM json_each(%(part)s))", {"part": as_json(list(target.part.snapshots))}
            )
        return block(
            """
            changes AS MATERIALIZED (
                -- Each change: the old and the new cells, the old value to give back, the new cell as the column keeps
                -- it, which is as much the cleanup's as the one it was given in, and the keys of its rows.
                SELECT *,
                       {held}
                  FROM (SELECT cells.*,
                               {values}
                          FROM (SELECT s.point_id AS point,
                                       {cells}
                                  FROM cleanup_snapshotrow AS s, json_each({changes}) AS e
                                 WHERE {of_table}
                                   {part}
                               ) AS cells
                       ) AS held
            )
            """,
            held=",\n".join(held),
            values=",\n".join(values),
            cells=",\n".join(cells),
            changes=_changes_of(target),
            of_table=self._snapshots("moved", target.table.journaled_as, points=points, step=step),
            part=part,
        )

    def _verdicts(self, target: UndoTarget) -> Query:
        now = {column: encoded(f"t.{quote(column)}") for column in target.columns}
        mine = {column: [f"j.{label(word, column)}" for word in ("old", "new", "kept")] for column in target.columns}
        done = "\n AND ".join(f"{cell} IS {mine[column][0]}" for column, cell in now.items())
        return block(
            """
            verdicts AS MATERIALIZED (
                -- Keys that were journaled are not null: a null key is not a row.
                SELECT j.*,
                       CASE WHEN t.{key} IS NULL THEN {gone}
                            WHEN {done} THEN 'same'
                            {missing_target}
                            WHEN {expected} THEN 'restore'
                            ELSE 'changed' END AS verdict
                  FROM journaled AS j
                  LEFT JOIN {table} AS t ON {same_row}
            )
            """,
            gone=self._gone(target, done),
            key=quote(target.key[0]),
            done=done,
            missing_target=self._missing_target(target),
            expected="\n AND ".join(
                f"(coalesce({cell} IN ({', '.join(mine[column])}), 0)"
                f" OR {cell} IS NULL AND ({mine[column][0]} IS NULL OR {mine[column][1]} IS NULL))"
                for column, cell in now.items()
            ),
            table=self.relation(target.table.name),
            same_row=same_key(target.key, "t", "j"),
        )

    def _gone(self, target: UndoTarget, done: str) -> Query:
        """Return the verdict on a row that has not the key that the move gave it: it may have its old key already."""
        if not set(target.columns) & set(target.key):
            return Query("'row_missing'")
        return block(
            """
            CASE WHEN EXISTS (SELECT 1
                                FROM {table} AS t
                               WHERE {same_row}
                                 AND {done}) THEN 'same' ELSE 'row_missing' END
            """,
            table=self.relation(target.table.name),
            same_row=as_before(target),
            done=done,
        )

    def _missing_target(self, target: UndoTarget) -> str:
        if target.must_exist is None:
            return ""
        table, columns = target.must_exist
        values = [f"j.{label('value', column)}" for column in target.columns]
        spellings = [values]
        if len(columns) == 1 and table.column(columns[0]).type.lower() in {"char(32)", "uuid"}:
            # A generic foreign key may spell it otherwise than the folder itself.
            spellings.append([f"lower(replace({values[0]}, '-', ''))"])
        keys = ", ".join(f"f.{quote(column)}" for column in columns)
        source = f"SELECT {keys} FROM {self.relation(table.name)} AS f"
        if target.returned is not None:
            source = f"SELECT f.__point, {keys} FROM returned AS f"
            spellings = [["j.point", *spelling] for spelling in spellings]
        there = " OR ".join(f"({', '.join(spelling)}) IN ({source})" for spelling in spellings)
        return f"WHEN j.{label('value', target.columns[0])} IS NOT NULL AND NOT ({there}) THEN 'missing_target'"

    # Removed rows.

    def restore_images(self, images: Images, *, foreign_keys: Sequence[ForeignKey]) -> Restoration:
        found = block("WITH {found}\n{answers}", found=self._found(images, foreign_keys), answers=ANSWERS)
        restoration = self._restoration_of(images, self.fetch(found))
        require_inserted(images, restoration, self.execute(self._insertion(images)) if restoration.restored else 0)
        return restoration

    def _insertion(self, images: Images) -> Query:
        return block(
            """
            INSERT INTO {table} ({columns})
            SELECT {columns}
              FROM (
                WITH {images}
                SELECT *
                  FROM images AS i
                 WHERE NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {same_key})
              )
            """,
            table=self.relation(images.table.name),
            columns=", ".join(map(quote, images.columns)),
            images=self._images(images),
            same_key=same_columns(images.key),
        )

    # Fragments.

    def _images(self, images: Images, *, wanted: Collection[str] = (), name: str = "") -> Query:
        key_cells = [member(images.columns.index(column), of="e.value") for column in images.key]
        instead, image, others = images.instead, "e.value", Query("")
        if instead.cells:
            cells = (
                f", '$[{images.columns.index(column)}]', {member(place + 1, of='w.value')}"
                for place, column in enumerate(instead.columns)
            )
            image = f"CASE WHEN w.value IS NULL THEN e.value ELSE json_set(e.value{''.join(cells)}) END"
            others = block(
                "LEFT JOIN json_each(%(instead)s) AS w ON {given} = {key}",
                given=member(0, of="w.value"),
                key=key_cells[0],
            ).bind(instead=as_json([[own, *cells] for own, cells in instead.cells.items()]))
        return block(
            """
            images AS MATERIALIZED (
                -- The rows as they were. What begins with underscores is not theirs.
                SELECT cells.*,
                       {columns}
                  FROM (SELECT s.point_id AS __point, {image} AS __image, {key} AS __key
                          FROM cleanup_snapshotrow AS s, json_each(s.images) AS e
                          {others}
                         WHERE {of_table}
                           {not_left_out}
                           {part}
                       ) AS cells
            )
            """,
            columns=",\n".join(
                f"{decoded(member(place, of='cells.__image'))} AS {quote(column)}"
                for place, column in enumerate(images.columns)
            ),
            image=image,
            key=json_array(key_cells),
            others=others,
            of_table=self._image_snapshots(images, name=name),
            not_left_out=_not_among(images.left_out, key_cells),
            part=_within(images.part, key_cells),
        )

    def _of_points(self, points: Sequence[int]) -> Query:
        return Query("s.point_id IN (SELECT value FROM json_each(%(points)s))", {"points": as_json(list(points))})

    def _journaled_keys(self, key: tuple[str, ...]) -> tuple[Query, str]:
        first, *others = [f"json_extract(c.value, '$.keys[{place}]')" for place in range(len(key))]
        cells = ["k.value", *(f"json_extract({keys}, '$[' || k.key || ']')" for keys in others)]
        return Query(f"json_each(s.changes) AS c, json_each({first}) AS k"), json_array(cells)

    def _differs(self, images: Images) -> str:
        return "\n  OR ".join(
            f"{encoded(f't.{quote(column)}')} IS NOT {member(place, of='i.__image')}"
            for place, column in enumerate(images.columns)
        )

    def _row_key(self, images: Images) -> str:
        return json_array([encoded(f"t.{quote(column)}") for column in images.key])

    def _equal(self, unique: UniqueKey, place: int) -> str:
        return f"other.__part_{place} = i.__part_{place} COLLATE {collation(unique.parts[place])}"

    def _not_among_images(self, table: Table, pairs: Sequence[tuple[str, str]], *, row: str = "i") -> str:
        # A column of a CTE has no affinity, so that a text '7' would not find the number 7 as a foreign key does.
        owns = ", ".join(
            f"{row}.{quote(own)}"
            if affinity(table.column(own).type) == affinity(table.column(other).type)
            else applied(f"{row}.{quote(own)}", table.column(other).type)
            for own, other in pairs
        )
        return f"({owns}) NOT IN (SELECT {', '.join(quote(other) for _, other in pairs)} FROM images)"


def as_before(target: UndoTarget) -> str:
    """Return the condition that row ``t`` has the key that entry ``j`` names, as it was before the move."""
    held = {column: label("value" if column in target.columns else "raw", column) for column in target.key}
    return " AND ".join(f"t.{quote(column)} = j.{name}" for column, name in held.items())


def _counted(target: UndoTarget, verdicts: Query) -> Query:
    """Return the query of how many rows to restore, how many to leave, and each row that is in conflict."""
    return block(
        """
        WITH {verdicts}
        SELECT point, verdict, count(*) AS row_count, NULL AS key, NULL AS new
          FROM verdicts
         WHERE verdict IN ('restore', 'same')
         GROUP BY point, verdict
         UNION ALL
        SELECT point, verdict, 1, {key}, {news}
          FROM verdicts
         WHERE verdict NOT IN ('restore', 'same')
        """,
        verdicts=verdicts,
        key=json_array([label("key", column) for column in target.key]),
        news=json_array([label("new", column) for column in target.columns]),
    )


def journaled(target: UndoTarget) -> Query:
    """Return the CTE ``journaled``: a line for each row that moved."""
    first, *others = target.key
    keys = [f"e.value AS {label('key', first)}"]
    keys += [f"json_extract(c.{label('keys', name)}, '$[' || e.key || ']') AS {label('key', name)}" for name in others]
    raw = {
        column: decoded(f"cells.{label('new' if column in target.columns else 'key', column)}") for column in target.key
    }
    values = (f"{value} AS {label('raw', column)}" for column, value in raw.items())
    changed = [label(word, column) for word in ("old", "new", "value", "kept") for column in target.columns]
    part = Query("")
    if target.part is not None:
        cells = ", ".join(f"cells.{label('key', column)}" for column in target.key)
        part = block(
            "WHERE ({cells}) IN {keys}", cells=cells, keys=_keys(target.part.keys, len(target.key), "part_keys")
        )
    return block(
        """
        journaled AS MATERIALIZED (
            -- One line for each row that moved, with the key that it has now; without the lists that its change has.
            SELECT cells.*,
                   {values}
              FROM (SELECT {changed}, {keys} FROM changes AS c, json_each(c.{first}) AS e) AS cells
             {part}
        )
        """,
        values=",\n".join(values),
        changed=", ".join(f"c.{name}" for name in ("point", *changed)),
        keys=", ".join(keys),
        first=label("keys", first),
        part=part,
    )


def _changes_of(target: UndoTarget) -> Query:
    """Return the JSON array of a snapshot row's changes; the first format had one change a row, by column."""
    if target.form > 1:
        return Query("s.changes")
    columns = {f"column_{place}": column for place, column in enumerate(target.columns)}
    keys = {f"key_{place}": column for place, column in enumerate(target.key)}
    return block(
        "json_array(json_object('from', json_array({olds}), 'to', json_array({news}), 'keys', json_array({keys})))",
        olds=", ".join(_named_member("s.changes", name, "json_extract(c.value, '$[0]')") for name in columns),
        news=", ".join(_named_member("s.changes", name, "json_extract(c.value, '$[1]')") for name in columns),
        keys=", ".join(f"json({_named_member('s.keys', name, 'c.value')})" for name in keys),
    ).bind(**columns, **keys)


def _named_member(document: str, name: str, value: str) -> str:
    """Return a member of a JSON object by a name given as parameter (a path could not hold every name)."""
    return f"(SELECT {value} FROM json_each({document}) AS c WHERE c.key = %({name})s)"


def _not_among(left_out: Collection[tuple[Cell, ...]], cells: Sequence[str]) -> Query:
    """Return the condition that rows, known by the cells of their key, are not among those left out."""
    if not left_out:
        return Query("")
    # A key that holds a null is equal to none, and so is never among them.
    return block(
        "AND coalesce(({cells}) NOT IN {keys}, 1)",
        cells=", ".join(cells),
        keys=_keys(list(left_out), len(cells), "left_out"),
    )


def _within(part: Part | None, cells: Sequence[str]) -> Query:
    """Return the condition that restricts rows of the journal, known by the cells of their key, to a part."""
    if part is None:
        return Query("")
    return block(
        "AND s.id IN (SELECT value FROM json_each(%(part)s)) AND ({cells}) IN {keys}",
        cells=", ".join(cells),
        keys=_keys(part.keys, len(cells), "part_keys"),
    ).bind(part=as_json(list(part.snapshots)))


def _keys(keys: Sequence[tuple[Cell, ...]], width: int, name: str) -> Query:
    values = ", ".join(member(place) for place in range(width))
    return Query(f"(SELECT {values} FROM json_each(%({name})s))", {name: as_json([list(key) for key in keys])})
