"""SQLite: an undo as a script for its shell.

What the product's own functions do to cells is done when the script is written: its temporary tables hold the values
themselves, by storage class, and are compared by class and value. A condition that must not hold is inserted into
``cleanup_stop``, shown, and ends the script by a trigger.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing

from cleanup.backends import scripting
from cleanup.backends.catalogue import ForeignKey, TableName
from cleanup.backends.changes import Images, Restoration, RowConflict, Target, UndoTarget
from cleanup.backends.query import Query, block, label, quote
from cleanup.backends.scripting import IN_USE, STILL_INSTALLED, Forbidding, Written
from cleanup.backends.sqlite import undoing
from cleanup.backends.sqlite.cells import applied
from cleanup.backends.sqlite.literals import literal, value
from cleanup.backends.sqlite.session import Session as SqliteSession
from cleanup.backends.sqlite.session import referencing_first
from cleanup.backends.sqlite.targets import same_key
from cleanup.backends.undoing import same_columns
from cleanup.exceptions import CountMismatch, Unscriptable
from cleanup.text_safety import safe

#: Rows of one INSERT.
_CHUNK = 200


class Script(scripting.Script):
    """One script for sqlite3."""

    session: SqliteSession

    def __init__(self, session: SqliteSession, write: Callable[[str], object]) -> None:
        super().__init__(session, write)
        self.undoing = Undoing(session, self)
        self._stops = 0
        self._temporary: list[str] = []
        ((encoding,),) = session.fetch("PRAGMA encoding")
        self.encoding = {"UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}.get(encoding, "utf-8")

    def refuse(self, written: Iterable[Written]) -> None:
        ((_, _, file),) = self.session.fetch("SELECT * FROM pragma_database_list WHERE name = 'main'")
        if not file:
            raise Unscriptable(problem="the database is in memory, where no other program can open it.")
        with closing(sqlite3.connect(file)) as shell:  # which knows none of our functions, nor of the host's
            for one in written:
                try:
                    self._try(shell, one)
                except sqlite3.Error as error:
                    problem = f"sqlite3 alone cannot write to {one.table.name}: {error}."
                    raise Unscriptable(problem=problem) from error

    def _try(self, shell: sqlite3.Connection, one: Written) -> None:
        table = self.session.relation(one.table.name).replace("%%", "%")
        names = [quote(column.name).replace("%%", "%") for column in one.table.columns if not column.generated]
        columns = ", ".join(names)
        # Compiled, not executed: names the functions and collations of checks, indexes and triggers that are not known.
        shell.execute(f"EXPLAIN INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}")  # quoted
        shell.execute(f"EXPLAIN UPDATE {table} SET {', '.join(f'{name} = {name}' for name in names)}")
        shell.execute(f"EXPLAIN DELETE FROM {table}")

    def begin(self, *, written: Sequence[Written], forbidding: Sequence[Forbidding], bypass_triggers: bool) -> None:
        self._write("\n.bail on\n.mode list\n.separator ' | '\n")
        self.statement("PRAGMA foreign_keys = ON")
        self.statement("BEGIN IMMEDIATE", why="Others may read, and write when this has ended.")
        self.statement("PRAGMA defer_foreign_keys = ON", why="Nothing dangles, or COMMIT refuses.")
        self.create("cleanup_stop", "number INTEGER, shown TEXT", why="A row that is in here ends the script.")
        self.create("cleanup_undo", '"table" TEXT, what TEXT, "rows" INTEGER', why="What was done.")
        expected = [(one.table.name.name, column, kind) for one in written for column, kind in one.types()]
        rows = ",\n".join(f"    ({', '.join(map(literal, row))})" for row in expected)
        missing = (
            f"SELECT column1 AS name, column2 AS what FROM (VALUES\n{rows})\n WHERE NOT EXISTS (SELECT 1 FROM"
            " pragma_table_xinfo(column1) AS c WHERE c.name = column2"
            " AND upper(c.type || CASE WHEN c.hidden IN (2, 3) THEN ', generated' ELSE '' END) = upper(column3))"
        )
        self.stop_if(
            missing,
            shown="name || ': column ' || what || ' is gone, or is of another type'",
            message="A table was altered.",
            why="The tables must be as this script knows them.",
        )
        for guard in forbidding:
            names = ", ".join(literal(f"{guard.name}{ending}") for ending in ("", "_insert", "_update"))
            self.stop_if(
                f"SELECT name FROM main.sqlite_master WHERE name IN ({names})",
                shown="name",
                message=f"{guard.name} forbids the duplicates that would come back. Lift it first: {guard.lift}",
                why="A constraint that forbids what comes back must be lifted first.",
            )

    def copy_journal(self, points: Sequence[int]) -> None:
        pass  # each statement brings its own values

    def stop_if_used(self, references: Sequence[Target], arrays: Sequence[Target]) -> None:
        for target in references:
            name, (column,) = target.table.name, target.columns
            held = ", ".join(value(old, encoding=self.encoding) for old in dict.fromkeys(target.pairs.olds[0]))
            kind = f"\n   AND {target.condition.literal('t', vendor='sqlite')}" if target.condition else ""
            rows = (
                f"SELECT {_shown(f't.{quote(part)}' for part in target.key)} AS row_key\n"
                f"  FROM {self.session.relation(name)} AS t\n"
                f" WHERE t.{quote(column)} IN ({held.replace('%', '%%')}){kind}"
            )
            if target.of_others:
                rows += f"\n   AND t.{quote(column)} <> t.{quote(target.key[0])}"
            self.stop_if(
                plain(rows),
                shown=f"{literal(f'{name.name}, row ')} || row_key || {literal(f': in_use: {IN_USE}')}",
                message="A folder that a repair made is in use, see the row above.",
                why=f"Folders that a repair made are used no more: {name.name} ({column}).",
            )

    def end(self, own_table: str) -> None:
        self.settle(list(self._proofs))
        self.statement('SELECT "table", what, sum("rows") FROM cleanup_undo GROUP BY 1, 2 ORDER BY 1, 2 DESC')
        self.statement(
            f"SELECT {literal(STILL_INSTALLED)}\n  FROM main.sqlite_master WHERE name = {literal(own_table)}"
        )
        for table in self._temporary:
            self._write(f"DROP TABLE temp.{table};\n")
        self.statement("COMMIT")

    def fill(
        self, name: TableName, columns: Sequence[str], rows: Iterable[Sequence[str]], *, expected: int | None, why: str
    ) -> str:
        """Write a new temporary table with rows of literals, and return its name. Raises CountMismatch."""
        table = f"cleanup_undo_{len(self._temporary) - 1}"
        self.create(table, ", ".join(columns), why=why)
        number, chunk = 0, list[str]()
        for row in rows:
            chunk.append(f"({', '.join(row)})")
            number += 1
            if len(chunk) == _CHUNK:
                self._insert(table, chunk)
        if chunk:
            self._insert(table, chunk)
        if expected is not None and number != expected:
            raise CountMismatch(table=str(name), moved=expected, journaled=number)
        return table

    def create(self, table: str, columns: str, *, why: str) -> None:
        """Write a temporary table; its columns have no affinity unless they are declared with types."""
        self._temporary.append(table)
        self.statement(f"CREATE TEMPORARY TABLE {table} ({columns})", why=why)

    def _insert(self, table: str, chunk: list[str]) -> None:
        rows = ",\n".join(chunk)
        self._write(f"INSERT INTO {table} VALUES\n{rows};\n")
        chunk.clear()

    def stop_if(self, rows: str, *, shown: str, message: str, why: str = "") -> None:
        """Write statements that end the script if a query has rows, of which the first is shown."""
        self._stops += 1
        number = self._stops
        self.statement(
            f"CREATE TEMPORARY TRIGGER cleanup_stop_{number} BEFORE UPDATE ON cleanup_stop WHEN NEW.number = {number}\n"
            f"BEGIN SELECT RAISE(ROLLBACK, {_message(message)}); END",
            why=why,
        )
        self._write(
            f"INSERT INTO cleanup_stop SELECT {number}, {shown} FROM (\n{rows}\n) LIMIT 1;\n"
            "SELECT 'Conflict: ' || shown FROM cleanup_stop;\n"
            "UPDATE cleanup_stop SET number = number;\n"
        )

    def change(self, text: str) -> None:
        """Write a statement that changes a table of the host; without the transaction, it must not be executed."""
        self.statement(f"{text}\n   {_IN_TRANSACTION}")

    def log_change(self, table: TableName, source: str) -> None:
        """Write a statement that logs what the one before it changed, of the rows of a temporary table."""
        name = literal(table.name)
        self._write(
            f"INSERT INTO cleanup_undo\nSELECT {name}, 'restored', changes()\nUNION ALL\n"
            f"SELECT {name}, 'already as it was', count(*) - changes() FROM {source};\n"
        )


class Undoing(undoing.Undoing):
    """Writes down what the undo would send."""

    session: SqliteSession

    def __init__(self, session: SqliteSession, script: Script) -> None:
        super().__init__(session)
        self.script = script
        self._source = ""
        """The temporary table that the images are read from; empty: the journal."""

    # Moves.

    def restore_moved(self, targets: Sequence[UndoTarget], *, points: Sequence[int], step: int) -> Restoration:
        self.script.settle([target.table.name for target in targets])
        sources = [self._moved(target, points=points, step=step) for target in targets]
        for number in referencing_first(self.session, [target.table for target in targets]):
            self._write_moves_back(targets[number], sources[number])
        return Restoration([], [])

    def _moved(self, target: UndoTarget, *, points: Sequence[int], step: int) -> str:
        """Write what moved, and what is to become of each row; return the temporary table."""
        name, columns = target.table.name.name, ", ".join(target.columns)
        names = [label(word, column) for word in ("value", "new") for column in target.columns]
        names += [label("raw", column) for column in target.key]
        source = self.script.fill(
            target.table.name,
            [*names, "verdict"],
            ([*row, "NULL"] for row in self._moved_rows(target, points=points, step=step)),
            expected=target.rows,
            why=f"Rows that moved get their values back: {name} ({columns}).",
        )
        self.script.statement(plain(self._judgement(target, source)))
        conflicts = block(
            """
            SELECT {key} AS row_key, j.verdict, coalesce({held}, '') AS detail
              FROM {source} AS j
              LEFT JOIN {table} AS t ON {same_row}
             WHERE j.verdict NOT IN ('same', 'restore')
            """,
            key=_shown(f"j.{label('raw', column)}" for column in target.key),
            held=" || '; ' || ".join(map(_difference, target.columns)),
            source=source,
            table=self.relation(target.table.name),
            same_row=same_key(target.key, "t", "j"),
        )
        self.script.stop_if(
            plain(conflicts),
            shown=f"{literal(f'{name}, row ')} || row_key || ': ' || verdict || ': ' || detail",
            message=f"Conflict in {name} ({columns}), see the row above.",
        )
        return source

    def _moved_rows(self, target: UndoTarget, *, points: Sequence[int], step: int) -> Iterator[list[str]]:
        """Yield the literals of the old and new values and the key as it is now."""
        names = [label(word, column) for word in ("old", "new") for column in target.columns]
        names += [label("new" if column in target.columns else "key", column) for column in target.key]
        rows = block(
            """
            WITH {changes}, {journaled}
            SELECT {names} FROM journaled
            """,
            changes=self._changes(target, points, step),
            journaled=undoing.journaled(target),
            names=", ".join(names),
        )
        for cells in self.fetch_in_pieces(rows, many=True):
            yield [value(cell, encoding=self.script.encoding) for cell in cells]

    def _judgement(self, target: UndoTarget, source: str) -> Query:
        return block(
            """
            UPDATE {source} AS j
               SET verdict = coalesce((
                   SELECT CASE WHEN {done} THEN 'same'
                               {missing_target}
                               WHEN {expected} THEN 'restore'
                               ELSE 'changed' END
                     FROM {table} AS t
                    WHERE {same_row}), (
                   SELECT 'same' FROM {table} AS t WHERE {as_before} AND {done}), 'row_missing')
            """,
            source=source,
            as_before=undoing.as_before(target),
            done=_done(target),
            missing_target=self._missing_target(target),
            expected="\n AND ".join(self._expected(target, column) for column in target.columns),
            table=self.relation(target.table.name),
            same_row=same_key(target.key, "t", "j"),
        )

    def _expected(self, target: UndoTarget, column: str) -> str:
        """Return the test whether a column holds its old value or its new one, as given or as the column keeps it."""
        new = f"j.{label('new', column)}"
        kept = applied(new, target.table.column(column).type)
        values = dict.fromkeys((f"j.{label('value', column)}", new, kept))
        return f"({' OR '.join(_same(f't.{quote(column)}', known) for known in values)})"

    def _write_moves_back(self, target: UndoTarget, source: str) -> None:
        name = target.table.name
        changed = block(
            """
            UPDATE {table} AS t
               SET {assignments}
              FROM {source} AS j
             WHERE {same_row}
               AND j.verdict = 'restore'
            """,
            table=self.relation(name),
            assignments=", ".join(f"{quote(column)} = j.{label('value', column)}" for column in target.columns),
            source=source,
            same_row=same_key(target.key, "t", "j"),
        )
        self.script.change(plain(changed))
        self.script.log_change(name, source)
        before = {column: label("value" if column in target.columns else "raw", column) for column in target.key}
        differing = block(
            """
            SELECT {key} AS row_key
              FROM {source} AS j
              LEFT JOIN {table} AS t ON {same_row}
             WHERE NOT coalesce({done}, 0)
            """,
            key=_shown(f"j.{held}" for held in before.values()),
            source=source,
            table=self.relation(name),
            same_row=undoing.as_before(target),
            done=_done(target),
        )
        self._prove(name, differing, source)

    def _prove(self, table: TableName, differing: Query, source: str) -> None:
        """Have it proven later that no row is ``differing``."""
        name = table.name

        def proof() -> None:
            self.script.stop_if(
                plain(differing),
                shown=f"{literal(f'{name}, row ')} || row_key || ' is not as it was'",
                message=f"{name} is not as it was.",
                why=f"Proof: {name} is as it was.",
            )
            self.script.statement(f"INSERT INTO cleanup_undo SELECT {literal(name)}, 'proven', count(*) FROM {source}")

        self.script.prove(table, proof)

    # Removed and inserted rows.

    def restore_images(self, images: Images, *, foreign_keys: Sequence[ForeignKey]) -> Restoration:
        name = images.table.name
        self.script.settle([name])
        self._source = self._filled(images, why=f"Removed rows come back: {name.name}.")
        problems = block(
            """
            SELECT * FROM (
                WITH {found}
                SELECT key AS row_key, code, columns || ' ' || constraint_name AS detail FROM problems
            )
            """,
            found=self._found(images, foreign_keys),
        )
        self.script.stop_if(
            plain(problems),
            shown=f"{literal(f'{name.name}, row ')} || row_key || ': ' || code || ' ' || detail",
            message=f"Conflict in {name.name}, see the row above.",
        )
        self.script.change(f"{plain(self._insertion(images))}\n WHERE 1")
        self.script.log_change(name, self._source)
        differing = block(
            """
            SELECT {key} AS row_key
              FROM {source} AS i
              LEFT JOIN {table} AS t ON {same_key}
             WHERE t.{first} IS NULL OR {differs}
            """,
            key=_shown(f"i.{quote(column)}" for column in images.key),
            source=self._source,
            table=self.relation(name),
            same_key=same_columns(images.key),
            first=quote(images.key[0]),
            differs=self._differs(images),
        )
        self._prove(name, differing, self._source)
        self._source = ""
        return Restoration([], [])

    def remove_images(self, images: Images) -> list[RowConflict]:
        name = images.table.name
        self.script.settle([name])
        self._source = self._filled(images, why=f"Inserted rows go again: {name.name}.")
        there = block(
            """
            SELECT {key} AS row_key
              FROM {source} AS i
              JOIN {table} AS t ON {same_key}
            """,
            key=_shown(f"i.{quote(column)}" for column in images.key),
            source=self._source,
            table=self.relation(name),
            same_key=same_columns(images.key),
        )
        self.script.stop_if(
            plain(block("{there}\n WHERE {differs}", there=there, differs=self._differs(images))),
            shown=f"{literal(f'{name.name}, row ')} || row_key || ' was inserted by the cleanup, and changed since'",
            message=f"Conflict in {name.name}, see the row above.",
        )
        self.script.change(plain(self._deletion(images)))
        self.script.log_change(name, self._source)
        self._prove(name, there, self._source)
        self._source = ""
        return []

    def _filled(self, images: Images, *, why: str) -> str:
        cells = self.fetch_in_pieces(
            block("WITH {images}\nSELECT __image FROM images", images=super()._images(images)), many=True
        )
        encoding = self.script.encoding
        rows = ([value(cell, encoding=encoding) for cell in json.loads(image)] for (image,) in cells)
        columns = [plain(quote(name)) for name in images.columns]
        return self.script.fill(images.table.name, columns, rows, expected=images.rows, why=why)

    def _images(self, images: Images, *, wanted: Collection[str] = (), name: str = "") -> Query:
        if not self._source:
            return super()._images(images, wanted=wanted, name=name)
        return block(
            "images AS MATERIALIZED (SELECT 0 AS __point, {key} AS __key, i.* FROM {source} AS i)",
            key=_shown(f"i.{quote(column)}" for column in images.key),
            source=self._source,
        )

    def _differs(self, images: Images) -> str:
        columns = [quote(column) for column in images.columns]
        return "(" + "\n  OR ".join(f"NOT {_same(f't.{column}', f'i.{column}')}" for column in columns) + ")"


#: A table that is gone if the transaction was rolled back.
_IN_TRANSACTION = "AND NOT EXISTS (SELECT 1 FROM cleanup_stop)"


def plain(query: Query | str) -> str:
    """Return a statement as one sends it without a driver; it has no parameters."""
    return (query.text if isinstance(query, Query) else query).replace("%%", "%")


def _message(text: str) -> str:
    """Return a message as a plain literal."""
    return "'" + safe(f"{text} Nothing was restored.").replace("'", "''") + "'"


def _same(now: str, then: str) -> str:
    """Return the test whether two values are the same, storage class included."""
    return f"(typeof({now}) = typeof({then}) AND {now} IS {then} COLLATE BINARY)"


def _done(target: UndoTarget) -> str:
    """Return the test whether row ``t`` holds what it held before the cleanup."""
    return "\n AND ".join(_same(f"t.{quote(column)}", f"j.{label('value', column)}") for column in target.columns)


def _difference(column: str) -> str:
    """Return the sentence that says what entry ``j`` and row ``t`` differ in."""
    holds = literal(f"{column} holds ").replace("%", "%%")
    left, before = (f"quote(j.{label(word, column)})" for word in ("new", "value"))
    return (
        f"{holds} || quote(t.{quote(column)}) || '; the cleanup left ' || {left} || ', and before it was ' || {before}"
    )


def _shown(values: Iterable[str]) -> str:
    return " || ', ' || ".join(f"quote({held})" for held in values)
