"""PostgreSQL: an undo as a script for psql.

The statements are those of ``undoing`` and ``lists``, with literals for parameters. They read the journal from a
temporary table that is called as the product's own, and so stands before it. What a statement did, or what prevented
it, is a row of ``cleanup_undo``, whose trigger ends the script at the first conflict.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cleanup.backends import scripting
from cleanup.backends.catalogue import ForeignKey, TableName
from cleanup.backends.changes import Images, Restoration, RowConflict, Target, UndoTarget
from cleanup.backends.lists import PLACE
from cleanup.backends.postgresql import lists, undoing
from cleanup.backends.postgresql.cells import key_columns, shown, text_array
from cleanup.backends.postgresql.lists import element_at
from cleanup.backends.postgresql.literals import literal, rendered, value
from cleanup.backends.postgresql.session import Session
from cleanup.backends.postgresql.settings import VALUE_PINS
from cleanup.backends.postgresql.targets import condition_of, pairs_of
from cleanup.backends.query import Query, block, joined, label, quoted
from cleanup.backends.scripting import IN_USE, STILL_INSTALLED, Forbidding, Written
from cleanup.backends.undoing import same_columns

#: Over the settings that values depend on.
_SETTINGS = {"timezone": "UTC", "lock_timeout": "10s", "statement_timeout": "0", "jit": "off"}

#: Snapshot rows read together, each of which describes a thousand rows at most.
_PAGE = 20

#: How psql is to behave, and to show what the script says in the end.
_PSQL = r"""
\set ON_ERROR_STOP on
\set QUIET on
\pset format unaligned
\pset fieldsep ' | '
\pset tuples_only on
SET client_encoding = 'UTF8';
"""

_CREATE_LOG = """\
CREATE TEMPORARY TABLE cleanup_undo (
    "table" text, what text, "rows" bigint, expected bigint, checksum text, expected_checksum text,
    key text, detail text
) ON COMMIT DROP"""

_CREATE_STOP = """\
CREATE FUNCTION pg_temp.cleanup_undo_stop() RETURNS trigger LANGUAGE plpgsql AS $cleanup$
BEGIN
    IF NEW.what NOT IN ('restored', 'already as it was', 'journaled', 'proven') THEN
        RAISE EXCEPTION USING
            MESSAGE = concat_ws(' ', 'Conflict in', NEW."table" || CASE WHEN NEW.key IS NULL THEN ':' ELSE ', row' END,
                                NEW.key || ':', NEW.what || ':', NEW.detail),
            HINT = 'Nothing was changed.';
    ELSIF NEW."rows" <> NEW.expected OR NEW.checksum <> NEW.expected_checksum THEN
        RAISE EXCEPTION USING
            MESSAGE = format('%s is not as it was: %s of %s rows %s, checksum %s instead of %s',
                             NEW."table", NEW."rows", NEW.expected, NEW.what, NEW.checksum, NEW.expected_checksum),
            HINT = 'Nothing was changed.';
    END IF;
    RETURN NEW;
END
$cleanup$"""

_CREATE_TRIGGER = """\
CREATE TRIGGER cleanup_undo_stop BEFORE INSERT ON cleanup_undo
    FOR EACH ROW EXECUTE FUNCTION pg_temp.cleanup_undo_stop()"""

#: Triggers that are bypassed, or that a role skips, are not these.
_ENABLE_TRIGGER = "ALTER TABLE cleanup_undo ENABLE ALWAYS TRIGGER cleanup_undo_stop"

_CHECK_KEYS = """\
DO $cleanup$
BEGIN
    IF current_setting('session_replication_role') = 'replica' AND current_setting('is_superuser') = 'on' THEN
        SET LOCAL session_replication_role = origin;
    END IF;
END
$cleanup$"""

_CREATE_JOURNAL = """\
CREATE TEMPORARY TABLE cleanup_snapshotrow (
    id bigint, point_id bigint, kind text, step integer, "table" text, row_count bigint, changes text, keys text,
    images text
) ON COMMIT DROP"""

_SHOW = """\
SELECT "table", what, sum("rows") AS "rows", string_agg(checksum, ', ') AS checksum
  FROM cleanup_undo
 WHERE what <> 'journaled'
 GROUP BY "table", what
 ORDER BY "table", what DESC"""


class Script(scripting.Script):
    """One script for psql."""

    session: Session
    lists: "Lists"

    def __init__(self, session: Session, write: Callable[[str], object]) -> None:
        super().__init__(session, write)
        self.undoing = Undoing(session, self)
        self.lists = Lists(session, self)

    def refuse(self, written: Iterable[Written]) -> None:
        pass  # what psql sends is executed by the same server

    def begin(self, *, written: Sequence[Written], forbidding: Sequence[Forbidding], bypass_triggers: bool) -> None:
        self._write(_PSQL)
        self.statement("BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE")
        values = {pin.name: pin.value for pin in VALUE_PINS} | _SETTINGS
        if bypass_triggers:
            values["session_replication_role"] = "replica"
        ((schemas,),) = self.session.fetch("SELECT current_schemas(false)")
        path = ", ".join(quoted(schema) for schema in ["pg_temp", *schemas])
        pins = "".join(f"SET LOCAL {name} = {literal(value)};\n" for name, value in values.items())
        self._write(
            f"\n-- Text forms of values are compared, so they must not depend on the session.\n{pins}"
            f"SET LOCAL search_path = {path};\n"
        )
        if not bypass_triggers:
            self.statement(_CHECK_KEYS, why="Foreign keys are checked, even if the role skips them.")
        self.statement("SET CONSTRAINTS ALL DEFERRED", why="What refers to each other comes back one after the other.")
        self.statement(_CREATE_LOG, why="What was done; a row that says that something could not be ends the script.")
        self.statement(_CREATE_STOP)
        self.statement(_CREATE_TRIGGER)
        self.statement(_ENABLE_TRIGGER)
        relations = ", ".join(sorted(one.table.name.quoted for one in written))
        self.statement(
            f"LOCK TABLE {relations} IN SHARE ROW EXCLUSIVE MODE", why="Others may read, and write when this has ended."
        )
        self.statement(_altered(written), why="The tables must be as this script knows them.")
        for guard in forbidding:
            self.statement(_guarded(guard), why="A constraint that forbids what comes back must be lifted first.")

    def copy_journal(self, points: Sequence[int]) -> None:
        self.statement(_CREATE_JOURNAL, why="What the cleanup journaled, by the thousand rows.")
        after = 0
        while rows := self._snapshot_rows(points, after):
            for after, *cells in rows:
                values = ", ".join(map(value, (after, *cells)))
                self._write(f"INSERT INTO cleanup_snapshotrow VALUES ({values});\n")

    def _snapshot_rows(self, points: Sequence[int], after: int) -> list[tuple[Any, ...]]:
        return self.session.fetch(
            """
            SELECT id, point_id, kind, step, "table", row_count, changes, keys,
                   CASE WHEN kind <> 'moved' THEN images END
              FROM cleanup_snapshotrow
             WHERE point_id = ANY(%(points)s) AND id > %(after)s AND kind <> 'structure'
             ORDER BY id
             LIMIT %(page)s
            """,
            points=list(points),
            after=after,
            page=_PAGE,
        )

    def stop_if_used(self, references: Sequence[Target], arrays: Sequence[Target]) -> None:
        for number, target in enumerate(references):
            matches = block(
                "{pairs}\nJOIN {table} AS t ON {condition}",
                pairs=pairs_of(self.session, target, number=number),
                table=self.session.relation(target.table.name),
                condition=condition_of(target, number=number),
            )
            self._stop_if_any(target, matches)
        for number, target in enumerate(arrays):
            ctes, matches = self.lists.holding(target, number)
            self._stop_if_any(target, matches, ctes=block("WITH {ctes}", ctes=ctes))

    def _stop_if_any(self, target: Target, matches: Query, *, ctes: Query | str = "") -> None:
        found = block(
            """
            INSERT INTO cleanup_undo ("table", what, "rows", key, detail)
            {ctes}
            SELECT {name}, 'in_use', 1, {key}, {detail}
              FROM {matches}
             LIMIT 1
            """,
            ctes=ctes,
            name=_name(target.table.name),
            key=_listed(shown(target.table.column(column)) for column in target.key) if target.key else "NULL",
            detail=literal(IN_USE),
            matches=matches,
        )
        columns = ", ".join(target.columns)
        self.statement(
            rendered(found), why=f"Folders that a repair made are used no more: {target.table.name} ({columns})."
        )

    def end(self, own_table: str) -> None:
        self.settle(list(self._proofs))
        self.statement("SET CONSTRAINTS ALL IMMEDIATE", why="Nothing dangles.")
        self.statement(_SHOW)
        self._write(
            f"\nSELECT to_regclass({literal(own_table)}) IS NOT NULL AS there \\gset cleanup_\n"
            "\\if :cleanup_there\n"
            f"\\echo '{STILL_INSTALLED}'\n"
            "\\endif\n"
        )
        self.statement("DROP TABLE cleanup_undo")
        self.statement("DROP FUNCTION pg_temp.cleanup_undo_stop()")
        self.statement("COMMIT")

    def log(self, ctes: Query | str, answers: Sequence[Query], *, tables: Sequence[TableName], why: str) -> None:
        """Write a statement that logs what it did, after the proofs of the tables that it changes."""
        self.settle(tables)
        text = block(
            """
            WITH {ctes}
            INSERT INTO cleanup_undo ("table", what, "rows", expected, checksum, expected_checksum, key, detail)
            {answers}
            """,
            ctes=ctes,
            answers=joined("\nUNION ALL\n", answers),
        )
        self.statement(rendered(text), why=why)

    def prove_rows(self, table: TableName, ctes: Query, *, now: Query, then: Query) -> None:
        """Have it proven later that the rows ``now`` are those that the journal says were there ``then``.

        Each is a query of one column, the text of a row.
        """
        summed = block(
            """
            WITH {ctes}, image AS (
                {then}
            )
            SELECT count(*), md5(coalesce(string_agg(md5(r), '' ORDER BY md5(r) COLLATE "C"), ''))
              FROM image AS i(r)
            """,
            ctes=ctes,
            then=then,
        )
        ((number, checksum),) = self.session.fetch(summed)
        proof = block(
            """
            WITH {ctes}, image AS (
                {now}
            )
            INSERT INTO cleanup_undo ("table", what, "rows", expected, checksum, expected_checksum)
            SELECT %(table)s, 'proven', count(*), {number},
                   md5(coalesce(string_agg(md5(r), '' ORDER BY md5(r) COLLATE "C"), '')), '{checksum}'
              FROM image AS i(r)
            """,
            ctes=ctes,
            now=now,
            number=number,
            checksum=checksum,
        ).bind(table=str(table))
        self.prove(table, lambda: self.statement(rendered(proof), why=f"Proof: {table} is as it was."))


class Undoing(undoing.Undoing):
    """Writes down what the undo would send."""

    def __init__(self, session: Session, script: Script) -> None:
        super().__init__(session)
        self.script = script

    def restore_moved(self, targets: Sequence[UndoTarget], *, points: Sequence[int], step: int) -> Restoration:
        ctes = [cte for number, target in enumerate(targets) for cte in self._move_back(target, number, points, step)]
        tables = [target.table.name for target in targets]
        what = ", ".join(f"{target.table.name} ({', '.join(target.columns)})" for target in targets)
        self.script.log(
            joined(", ", ctes),
            [answer for number, target in enumerate(targets) for answer in self._told(target, number)],
            tables=tables,
            why=f"Rows that moved get their values back: {what}.",
        )
        for target in targets:
            self._prove_moved(target, points=points, step=step)
        return Restoration([], [])

    def _told(self, target: UndoTarget, number: int) -> list[Query]:
        cells = undoing.Moved(target)
        name, table = _name(target.table.name), self.relation(target.table.name)
        held = _listed(shown(target.table.column(column)) for column in target.columns)
        return [
            _counted(name, "restored", f"restored{number}"),
            _counted(name, "already as it was", f"not_restored{number} WHERE verdict = 'same'"),
            _counted(name, "journaled", f"journaled{number}", expected=target.rows),
            block(
                """
                (SELECT {name}, verdict, 1, NULL::bigint, NULL, NULL, {key},
                        {detail}
                   FROM not_restored{number} AS j
                  WHERE verdict <> 'same'
                  ORDER BY 7
                  LIMIT 1)
                """,
                name=name,
                key=_listed(f"j.{column}" for column in key_columns(target.key)),
                detail=_difference(target.columns, held=f"(SELECT {held} FROM {table} AS t WHERE {cells.same_row})"),
                number=number,
            ),
        ]

    def _prove_moved(self, target: UndoTarget, *, points: Sequence[int], step: int) -> None:
        columns = [target.table.column(column) for column in target.columns]
        keys = list(key_columns(target.key))
        now = block(
            "SELECT {row}\n  FROM journaled0 AS j\n  JOIN {table} AS t ON {there}",
            row=_row([*(f"j.{key}" for key in keys), *map(shown, columns)]),
            table=self.relation(target.table.name),
            there=undoing.as_before(target),
        )
        then = block(
            "SELECT {row} FROM journaled0 AS j",
            row=_row([f"j.{name}" for name in (*keys, *(label("old", column) for column in target.columns))]),
        )
        self.script.prove_rows(target.table.name, self._journaled(target, 0, points, step), now=now, then=then)

    def restore_images(self, images: Images, *, foreign_keys: Sequence[ForeignKey]) -> Restoration:
        name = _name(images.table.name)
        self.script.log(
            self._inserted(images, foreign_keys),
            [
                _counted(name, "restored", "inserted"),
                _counted(name, "already as it was", "compared WHERE __there AND NOT __differs"),
                _counted(name, "journaled", "images", expected=images.rows),
                block(
                    """
                    (SELECT {name}, code, 1, NULL::bigint, NULL, NULL, array_to_string(key, ', ', 'NULL'),
                            concat_ws(' ', nullif(columns, ''), nullif(constraint_name, ''))
                       FROM problems
                      ORDER BY 7
                      LIMIT 1)
                    """,
                    name=name,
                ),
            ],
            tables=[images.table.name],
            why=f"Removed rows come back: {images.table.name}.",
        )
        row = [shown(images.table.column(column)) for column in images.columns]
        now = block(
            "SELECT {row}\n  FROM images AS i\n  JOIN {table} AS t ON {same_key}",
            row=_row(row),
            table=self.relation(images.table.name),
            same_key=same_columns(images.key),
        )
        then = block(
            "SELECT {row} FROM images AS i",
            row=_row([shown(images.table.column(column), alias="i") for column in images.columns]),
        )
        self.script.prove_rows(images.table.name, self._images(images), now=now, then=then)
        return Restoration([], [])

    def remove_images(self, images: Images) -> list[RowConflict]:
        name = _name(images.table.name)
        ctes = block(
            """
            {images}, compared AS (
                SELECT i.__key AS row_key, ({differs}) AS differs
                  FROM images AS i
                  JOIN {table} AS t ON {same_key}
            )
            """,
            images=self._images(images),
            differs=self._differs(images),
            table=self.relation(images.table.name),
            same_key=same_columns(images.key),
        )
        self.script.log(
            ctes,
            [
                _counted(name, "restored", "compared"),
                _counted(name, "journaled", "images", expected=images.rows),
                block(
                    """
                    (SELECT {name}, 'changed', 1, NULL::bigint, NULL, NULL, array_to_string(row_key, ', ', 'NULL'),
                            'it was inserted by the cleanup and changed since'
                       FROM compared
                      WHERE differs
                      ORDER BY 7
                      LIMIT 1)
                    """,
                    name=name,
                ),
            ],
            tables=[images.table.name],
            why=f"Inserted rows go again: {images.table.name}.",
        )
        self.script.statement(rendered(self._deletion(images)))
        there = block(
            "SELECT '' FROM images AS i JOIN {table} AS t ON {same}",
            table=self.relation(images.table.name),
            same=same_columns(images.key),
        )
        self.script.prove_rows(
            images.table.name, self._images(images), now=there, then=Query("SELECT '' FROM images AS i WHERE false")
        )
        return []


class Lists(lists.Lists):
    """Writes down what the undo of arrays would send."""

    def __init__(self, session: Session, script: Script) -> None:
        super().__init__(session)
        self.script = script

    def holding(self, target: Target, number: int) -> tuple[Query, Query]:
        """Return a CTE, and the rows ``t`` whose array holds an old value."""
        return self._changes(target, number), self._elements(target, number)

    def restore(self, target: UndoTarget, *, points: Sequence[int], step: int) -> Restoration:
        (column,) = target.columns
        name = _name(target.table.name)
        keys = [f"j.{key}" for key in key_columns((*target.key, PLACE))]
        self.script.log(
            self._undone(target, points=points, step=step),
            [
                _counted(name, "restored", "judged WHERE verdict = 'restore'"),
                _counted(name, "already as it was", "judged WHERE verdict = 'same'"),
                _counted(name, "journaled", "judged", expected=target.rows),
                block(
                    "SELECT {name}, 'journaled', (SELECT count(*) FROM changed), (SELECT count(*) FROM arrays),"
                    " NULL, NULL, NULL, NULL",
                    name=name,
                ),
                block(
                    """
                    (SELECT {name}, verdict, 1, NULL::bigint, NULL, NULL, {key},
                            {detail}
                       FROM judged AS j
                      WHERE verdict NOT IN ('restore', 'same')
                      ORDER BY 7
                      LIMIT 1)
                    """,
                    name=name,
                    key=_listed(keys),
                    detail=_difference(target.columns, held="j.held::text"),
                ),
            ],
            tables=[target.table.name],
            why=f"Elements of arrays get their values back: {target.table.name} ({column}).",
        )
        now = block(
            "SELECT {row}\n  FROM journaled0 AS j\n  JOIN {table} AS t ON {same_row}",
            row=_row([*keys, f"({element_at(target.table.column(column), f'{keys[-1]}::int')})"]),
            table=self.relation(target.table.name),
            same_row=undoing.as_before(target),
        )
        then = block("SELECT {row} FROM journaled0 AS j", row=_row([*keys, f"j.{label('old', column)}"]))
        self.script.prove_rows(target.table.name, self._journaled(target, points, step), now=now, then=then)
        return Restoration([], [])


def _name(table: TableName) -> Query:
    return Query(literal(str(table)).replace("%", "%%"))


def _row(expressions: Sequence[str]) -> str:
    """Return the text of a row of expressions."""
    return f"{text_array(expressions)}::text"


def _listed(texts: Iterable[str]) -> str:
    return f"array_to_string({text_array(texts)}, ', ', 'NULL')"


def _difference(columns: Sequence[str], *, held: str) -> Query:
    """Return the sentence that says what entry ``j`` of the journal and a row differ in."""
    olds, news = (_listed(f"j.{label(word, column)}" for column in columns) for word in ("old", "new"))
    names = literal(", ".join(columns)).replace("%", "%%")
    return block(
        "format('%%s holds %%s; the cleanup left %%s, and before it was %%s',\n{names}, {held}, {news}, {olds})",
        names=names,
        held=held,
        news=news,
        olds=olds,
    )


def _counted(name: Query, what: str, rows: str, *, expected: int | None = None) -> Query:
    number = "NULL::bigint" if expected is None else f"{expected}::bigint"
    return block(
        "SELECT {name}, '{what}', count(*), {number}, NULL, NULL, NULL, NULL FROM {rows}",
        name=name,
        what=what,
        number=number,
        rows=rows,
    )


def _altered(written: Sequence[Written]) -> str:
    expected = [
        (one.table.name.quoted, str(one.table.name), column, kind) for one in written for column, kind in one.types()
    ]
    lines = ",\n".join("           (" + ", ".join(literal(text).strip() for text in row) + ")" for row in expected)
    return f"""\
INSERT INTO cleanup_undo ("table", what, key, detail)
SELECT e.name, 'altered', NULL, format('column %I is gone, or is not of type %s any more', e."column", e.type)
  FROM (VALUES
{lines}
       ) AS e("table", name, "column", type)
 WHERE NOT EXISTS (
       SELECT
         FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = pg_catalog.to_regclass(e."table") AND a.attname = e."column" AND NOT a.attisdropped
          AND pg_catalog.format_type(a.atttypid, a.atttypmod)
              || CASE a.attgenerated WHEN '' THEN '' ELSE ', generated' END = e.type)
 LIMIT 1"""


def _guarded(guard: Forbidding) -> str:
    table, name = literal(guard.table.quoted), literal(guard.name)
    return f"""\
INSERT INTO cleanup_undo ("table", what, key, detail)
SELECT {literal(str(guard.table))}, 'guarded', NULL,
       {literal(f"{guard.name} forbids the duplicates that would come back. Lift it first: {guard.lift}")}
 WHERE EXISTS (SELECT
                 FROM pg_catalog.pg_index AS i
                 JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
                WHERE i.indrelid = pg_catalog.to_regclass({table}) AND c.relname = {name})
    OR EXISTS (SELECT
                 FROM pg_catalog.pg_constraint AS c
                WHERE c.conrelid = pg_catalog.to_regclass({table}) AND c.conname = {name})"""
