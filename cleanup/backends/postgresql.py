"""PostgreSQL: one statement changes rows and journals them; cells are the server's own text form.

Note [Text form]. ``column::text`` under pinned DateStyle, IntervalStyle, bytea_output, extra_float_digits, TimeZone and
lc_monetary, and ``text::type`` back, is how pg_dump moves values: exact for every type, infinities, json spacing and
array bounds included. Where the host has made a cast to or from text of its own, which would be used, the type's
output and input functions are called in other ways: by concat, and by a cast from bpchar. Types are spelled by
``format_type``.

Note [Who yields]. PostgreSQL ends a deadlock by failing whoever has waited for ``deadlock_timeout``, and looks but once
in a wait. A writer may wait for us longer than we for him: since our first lock, through all our waits and work. So
that he does not lose, our waits are to end within one and a half times CLEANUP_LOCK_TIMEOUT_MS after the first lock,
for which preflight sees that ``deadlock_timeout`` is longer; one that begins later is very short. What is counted is
the time at which a statement begins: several waits in one still add up.
"""

import re
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper

from cleanup import conf
from cleanup.backends import identity, postgresql_digest
from cleanup.backends.base import (
    NO_NAME,
    NOTHING_INSTEAD,
    ROWS_PER_SNAPSHOT_ROW,
    Backend,
    Cell,
    Counted,
    Forwarding,
    ImageLink,
    Instead,
    Keys,
    Part,
    Replaced,
    Restoration,
    Returned,
    RowConflict,
    StructureTable,
    Target,
    UndoTarget,
)
from cleanup.backends.catalogue import Column, ForeignKey, Table, TableName
from cleanup.backends.conditions import Statement
from cleanup.backends.postgresql_settings import beginning, pinning, settings
from cleanup.exceptions import CountMismatch
from cleanup.folder_tables import FolderTables, KeyColumn
from cleanup.planning import FolderRow

#: The shortest time to wait for a lock; see Note [Who yields].
SHORTEST_LOCK_TIMEOUT_MS = 50

#: When the first lock of a connection's transaction was asked for, by the monotonic clock.
_FIRST_LOCKS: MutableMapping[BaseDatabaseWrapper, float] = WeakKeyDictionary()

#: Keys in most databases; a comma in one of them shows in the number of commas.
_PLAIN_ITEMS = re.compile(r"[0-9A-Za-z_-]+(?:,[0-9A-Za-z_-]+)*").fullmatch


def _array_item(value: Cell) -> str:
    if value is None:
        return "NULL"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


#: An explicit cast to these cuts or rounds a value to its length, and says nothing; an assignment refuses.
_LENGTHS = re.compile(r"^(character varying|character|numeric)\(\d+(?:,-?\d+)?\)")


def _bare(column: Column) -> str:
    """Return the type that a column's values are cast to.

    Without its length ("character" alone would mean one character). And not the domain but what it is over: its checks
    are for what is stored, and the assignment makes them; a key that is looked for may be none that it admits.
    """
    return _LENGTHS.sub(lambda match: {"character": "bpchar"}.get(match[1], match[1]), column.stored_type)


def _typed(column: Column) -> str:
    """Return what a cell is cast to so that its type's input function reads it, whatever casts the host has made."""
    bare = _bare(column)
    return f"bpchar::{bare}" if column.casts_in else bare


class PostgresBackend(Backend):
    """PostgreSQL 14 and newer."""

    encoding: ClassVar[str] = "postgresql-text"

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self._told: deque[tuple[Sequence[Any], str]] = deque(maxlen=16)
        """Columns of the last statements and the parameters that say them; four, mostly, say what a merge is to do."""

    # Transactions.

    def begin(self) -> None:
        self._pin(self._limits())

    def pin(self, *, session_name: str = "", writing: bool = True, durable: bool = True) -> None:
        _FIRST_LOCKS.pop(self.connection, None)
        values = self._settings(session_name)
        if not durable:
            values["synchronous_commit"] = "off"
        # A table that changes in two ways by keys of each other is consistent only in the end.
        self._pin(values, "SET CONSTRAINTS ALL DEFERRED" if writing else "")

    def _pin(self, values: Mapping[str, str], *more: str) -> None:
        """Set values until the transaction ends, in one round trip; first of all its isolation, if it begins here."""
        connection: Any = self.connection.connection
        statements = [*pinning(values, version=self._version), *filter(None, more)]
        if self.between_transactions():
            statements.insert(0, beginning(read_write=self._may_write(connection)))
        # Several statements at once, which neither parameters nor prepared statements allow. As little as BEGIN does it
        # pass through Django's instruments.
        with self.connection.wrap_database_errors, connection.cursor() as cursor:
            cursor.execute("; ".join(statements), prepare=False)

    def between_transactions(self) -> bool:
        """Return whether the next statement is the first one of a transaction."""
        connection: Any = self.connection.connection
        return bool(connection.info.transaction_status.name == "IDLE")

    def _may_write(self, connection: Any) -> bool:
        """Return whether the transaction can be READ WRITE: not on a standby, nor where the address asks otherwise."""
        options = str(self.connection.settings_dict["OPTIONS"].get("options", ""))
        standby = connection.info.parameter_status("in_hot_standby") == "on"
        return not standby and "default_transaction_read_only" not in options

    @property
    def _version(self) -> int:
        # Of this very session: the one before may have been of another server.
        self.connection.ensure_connection()
        connection: Any = self.connection.connection
        return int(connection.info.server_version) // 10_000

    @contextmanager
    def pinned(self, *, session_name: str = "", writing: bool = True) -> Iterator[None]:
        names = [*self._settings(session_name), "session_replication_role"]
        before = self.fetch("SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", [names])
        self.pin(session_name=session_name, writing=writing)
        yield
        # Only what differs: some settings not every role may set, not even to what they are.
        self.fetch(
            "SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS before(name, value)"
            " WHERE current_setting(name) IS DISTINCT FROM value",
            [[name for name, _ in before], [value for _, value in before]],
        )
        if not writing:
            return
        # As each constraint was declared; what the transaction itself had said of them cannot be known.
        self.execute("SET CONSTRAINTS ALL DEFERRED")
        immediate = self.fetch(
            "SELECT string_agg(DISTINCT format('%%I.%%I', nspname, conname), ', ') FROM pg_constraint AS c"
            " JOIN pg_namespace AS n ON n.oid = c.connamespace WHERE c.condeferrable AND NOT c.condeferred"
        )[0][0]
        if immediate:
            self.execute(f"SET CONSTRAINTS {immediate.replace('%', '%%')} IMMEDIATE")

    def _limits(self) -> dict[str, str]:
        """Return what every transaction sets."""
        return {
            **settings(version=self._version, batch=False),
            # As Django reads times.
            "timezone": self.connection.timezone_name,
            "idle_in_transaction_session_timeout": f"{conf.statement_timeout_ms()}ms",
        }

    def _settings(self, session_name: str) -> dict[str, str]:
        """Return what a transaction with a batch sets."""
        values = {
            **self._limits(),
            **settings(version=self._version, batch=True),
            "lock_timeout": f"{conf.lock_timeout_ms()}ms",
            "statement_timeout": f"{conf.statement_timeout_ms()}ms",
        }
        if session_name:
            values["application_name"] = session_name[:63]
        if conf.triggers() == "bypass":
            values["session_replication_role"] = "replica"
        return values

    def _set_locally(self, settings: Mapping[str, str]) -> None:
        calls = ", ".join("set_config(%s, %s, true)" for _ in settings)
        self.fetch(f"SELECT {calls}", [part for setting in settings.items() for part in setting])

    def limit_statements(self, milliseconds: int) -> None:
        self._set_locally({"statement_timeout": f"{milliseconds}ms"})

    def serialize(self, tables: FolderTables, application: str) -> None:
        # Not FOR UPDATE: two callers that have both filed something for the application, and so hold its key, would
        # wait for each other.
        key = self.quote(tables.application_key.column)
        self.execute(
            f"SELECT FROM {self.model_table(tables.application_table)}"
            f" WHERE {key} = ANY(%s{self._array_cast(tables.application_key)}) FOR NO KEY UPDATE",
            [[application]],
        )
        _FIRST_LOCKS.setdefault(self.connection, time.monotonic())
        # A lock is no change, and so escapes an older snapshot; this row does not. Whatever the isolation of this
        # transaction, that of the next one may be another.
        self.execute(
            "INSERT INTO cleanup_structurelock (application_key, taken_at) VALUES (%s, clock_timestamp())"
            " ON CONFLICT (application_key) DO UPDATE SET taken_at = excluded.taken_at",
            [application],
        )

    def catalogue_digest(self, tables: Collection[TableName]) -> str:
        return postgresql_digest.digest(self.connection, tables)

    def hold_catalogue(self, tables: Collection[TableName], *, written: Sequence[Table]) -> str:
        if self.connection in _FIRST_LOCKS:  # a first lock is waited for with nothing in hand
            self.limit_wait()
        digest = postgresql_digest.hold(self.connection, tables, written)
        _FIRST_LOCKS.setdefault(self.connection, time.monotonic())
        return digest

    def commit_lazily(self) -> None:
        self.execute("SET LOCAL synchronous_commit = off")

    def force_constraints(self) -> None:
        self.limit_wait()
        self.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def identity(self) -> str:
        # A server that was promoted says so at once in its recovery's end, and after its next checkpoint there.
        ((system, database, timeline, port, directory),) = self.fetch(
            """
            SELECT s.system_identifier,
                   d.oid,
                   greatest(c.timeline_id, r.min_recovery_end_timeline),
                   current_setting('port'),
                   CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE')
                        THEN left(md5(current_setting('data_directory')), 8)
                   END
              FROM pg_control_system() AS s,
                   pg_control_checkpoint() AS c,
                   pg_control_recovery() AS r,
                   pg_database AS d
             WHERE d.datname = current_database()
            """
        )
        marks = {"timeline": timeline, "port": port, "directory": directory}
        return identity.spelled(f"postgresql:{system}:{database}", marks)

    def limit_wait(self) -> None:
        patience = conf.lock_timeout_ms()
        now = time.monotonic()
        elapsed = (now - _FIRST_LOCKS.setdefault(self.connection, now)) * 1000
        if elapsed > patience / 2:
            left = max(min(patience, SHORTEST_LOCK_TIMEOUT_MS), int(1.5 * patience - elapsed))
            self._set_locally({"lock_timeout": f"{left}ms"})

    # Cells.

    def key_cell(self, key: KeyColumn, value: str) -> str:
        return value

    def key_cells(self, key: KeyColumn, values: Sequence[str]) -> Sequence[str]:
        return values

    def text_cell(self, text: str) -> str:
        return text

    def number_cell(self, number: int) -> str:
        return str(number)

    def cell_text(self, cell: Cell) -> str:
        return "NULL" if cell is None else cell

    # Own tables.

    def update_many(
        self, table: str, key: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]], *, now: str
    ) -> None:
        assignments = ", ".join(f"{self.quote(column)} = m.c{place}" for place, (column, _) in enumerate(columns))
        arrays = ", ".join(["%s::bigint[]", *(f"%s::{kind}[]" for _, kind in columns)])
        names = ", ".join(["id", *(f"c{place}" for place in range(len(columns)))])
        self.execute(
            f"UPDATE {self.quote(table)} AS t SET {assignments}, {self.quote(now)} = {self.clock()}"
            f" FROM unnest({arrays}) AS m({names}) WHERE t.{self.quote(key)} = m.id",
            [
                self._array([None if row[place] is None else str(row[place]) for row in rows])
                for place in range(len(columns) + 1)
            ],
        )

    def clock(self) -> str:
        return "clock_timestamp()"

    # Reading.

    def lock_applications(self, tables: FolderTables, keys: Sequence[str]) -> set[str]:
        if len(keys) > 1 or self.connection in _FIRST_LOCKS:  # a single first lock is waited for with nothing in hand
            self.limit_wait()
        # FOR UPDATE, not FOR NO KEY UPDATE: an insert of a folder or file waits at its foreign key until we are done.
        key = self.quote(tables.application_key.column)
        rows = self.fetch(
            f"SELECT {key}::text FROM {self.model_table(tables.application_table)}"
            f" WHERE {key} = ANY(%s{self._array_cast(tables.application_key)})"
            f" ORDER BY {key} FOR UPDATE",
            [self._array(keys)],
        )
        _FIRST_LOCKS.setdefault(self.connection, time.monotonic())
        return {row[0] for row in rows}

    def count_folders(self, tables: FolderTables, keys: Sequence[str]) -> dict[str, int]:
        key = self.quote(tables.application_key.column)
        return dict(
            self.fetch(
                f"SELECT a.{key}::text, count(f.{self.quote(tables.folder_key.column)})"
                f" FROM {self.model_table(tables.application_table)} AS a"
                f" LEFT JOIN {self.model_table(tables.folder_table)} AS f"
                f" ON f.{self.quote(tables.folder_application)} = a.{key}"
                f" WHERE a.{key} = ANY(%s{self._array_cast(tables.application_key)}) GROUP BY a.{key}",
                [self._array(keys)],
            )
        )

    def read_parents(
        self, tables: FolderTables, keys: Sequence[str], *, lock: bool
    ) -> Iterator[tuple[str, str, str | None]]:
        key, parent, application = (
            self.quote(column) for column in (tables.folder_key.column, tables.folder_parent, tables.folder_application)
        )
        if lock:
            self.limit_wait()
        return self.fetch_in_pieces(
            f"SELECT {application}::text, {key}::text, {parent}::text FROM {self.model_table(tables.folder_table)}"
            f" WHERE {application} = ANY(%s{self._array_cast(tables.application_key)})"
            f"{f' ORDER BY {key} FOR UPDATE' if lock else ''}",
            [self._array(keys)],
        )

    def read_folders(
        self,
        tables: FolderTables,
        keys: Sequence[str],
        *,
        lock: bool,
        columns: Sequence[str] = (),
        near: Sequence[str] | None = None,
    ) -> dict[str, list[FolderRow]]:
        # The database ranks ages: "infinity" and dates before Christ are no Python datetimes. The lock is taken in a
        # subquery since a window function may not stand beside FOR UPDATE.
        key, parent, application, name, created = (
            self.quote(column)
            for column in (
                tables.folder_key.column,
                tables.folder_parent,
                tables.folder_application,
                tables.folder_name,
                tables.folder_created,
            )
        )
        order = f'{key} COLLATE "C"' if self._is_text(tables.folder_key) else key
        live, live_params = self.live_condition(tables, prefix="")
        extra = "".join(f", {self.quote(column)}::text" for column in columns)
        within, nearby = f"{application} = ANY(%s{self._array_cast(tables.application_key)})", ""
        if near is not None:
            named = f"ANY(%s{self._array_cast(tables.folder_key)})"
            nearby = (
                f" AND ({parent} IS NULL OR {key} = {named} OR {parent} = {named} OR {parent} IN"
                f" (SELECT {key} FROM {self.model_table(tables.folder_table)} WHERE {within} AND {parent} IS NULL))"
            )
        if lock:
            self.limit_wait()
        rows = self.fetch_in_pieces(
            f"SELECT {application}::text, {key}::text, {parent}::text, {name}::text,"
            f" row_number() OVER (ORDER BY {created} NULLS LAST, {order}), {live}{extra}"
            f" FROM (SELECT * FROM {self.model_table(tables.folder_table)} WHERE {within}{nearby}"
            f" ORDER BY {key}{' FOR UPDATE' if lock else ''}) AS locked",
            [
                *live_params,
                self._array(keys),
                *([] if near is None else [self._array(near), self._array(near), self._array(keys)]),
            ],
        )
        folders: dict[str, list[FolderRow]] = {}
        known: dict[str | None, str | None] = {}  # a parent's key is read with each of its children, and kept once
        for row in rows:
            owner, folder, above, called, age, is_live = row[:6]
            called = NO_NAME if called is None else called
            described = FolderRow._make((folder, known.setdefault(above, above), called, age, is_live, row[6:]))
            folders.setdefault(owner, []).append(described)
        return folders

    def _count_rows(self, target: Target) -> Statement:
        condition, condition_params = self._condition(target)
        sql = (
            f"SELECT m.point, count(*) FROM {self._pairs(target)} JOIN {self.relation(target.table.name)} AS t"
            f" ON {condition} GROUP BY m.point"
        )
        return sql, [*self._pair_params(target), *condition_params]

    def _count_repeated(self, targets: Sequence[Target]) -> Statement:
        parts: list[str] = []
        params: list[Any] = []
        for target in targets:
            condition, condition_params = self._condition(target)
            row = self._text_array([self._shown(target.table.column(column)) for column in target.key])
            parts.append(
                f"SELECT m.point, {row} AS row FROM {self._pairs(target)}"
                f" JOIN {self.relation(target.table.name)} AS t ON {condition}"
            )
            params += [*self._pair_params(target), *condition_params]
        sql = f"""
            SELECT point, count(*) - count(DISTINCT row)
              FROM ({" UNION ALL ".join(parts)}) AS matched
             GROUP BY point HAVING count(*) > count(DISTINCT row)
            """
        return sql, params

    def count_journaled(
        self, table: Table, label: str, key: tuple[str, ...], *, points: Sequence[int]
    ) -> list[Counted]:
        cells = ", ".join(f"json_array_elements_text(c.keys->{place})" for place in range(len(key)))
        names = ", ".join(f"k{place}" for place in range(len(key)))
        rows = self.fetch(
            f"""
            SELECT s.point_id, count(DISTINCT ARRAY[{names}])
              FROM cleanup_snapshotrow AS s,
                   json_to_recordset(s.changes::json) AS c(keys json),
                   ROWS FROM ({cells}) AS k({names})
             WHERE s.kind = 'moved' AND s."table" = %s AND s.point_id = ANY(%s)
             GROUP BY s.point_id
            """,
            [label, list(points)],
        )
        return [Counted(point, table.name, count) for point, count in rows]

    def matching(self, target: Target) -> tuple[str, str, str, list[Any]]:
        """Return relation and pairs ``m`` of a target, the condition of its rows ``t``, and the parameters of both."""
        condition, params = self._condition(target)
        return self.relation(target.table.name), self._pairs(target), condition, [*self._pair_params(target), *params]

    def listed(self, rows: Sequence[Sequence[str]], columns: Sequence[tuple[str, str]]) -> Statement:
        names = [self.quote(name) for name, _ in columns]
        arrays = self._unnest([kind for _, kind in columns], names)
        return f"SELECT * FROM {arrays}", [self._array(values) for values in zip(*rows, strict=True)]

    def rows_referencing(
        self, table: Table, key: tuple[str, ...], rows: Keys, inbound: Sequence[ForeignKey]
    ) -> dict[int, int]:
        selects = []
        params: list[Any] = []
        names = ["point", *(f"k{place}" for place in range(len(key)))]
        given = self._unnest(["bigint", *("text" for _ in key)], names)
        for foreign_key in inbound:
            joined = " AND ".join(
                f"r.{self.quote(own)} = t.{self.quote(other)}"
                for own, other in zip(foreign_key.columns, foreign_key.target_columns, strict=True)
            )
            selects.append(
                f"SELECT m.point FROM {given} JOIN {self.relation(table.name)} AS t"
                f" ON {self._key_condition(table, key)} JOIN {self.relation(foreign_key.table)} AS r ON {joined}"
            )
            params += [self._numbers(rows.points), *map(self._array, rows.columns)]
        if not selects:
            return {}
        return dict(
            self.fetch(f"SELECT point, count(*) FROM ({' UNION ALL '.join(selects)}) AS r GROUP BY point", params)
        )

    def _owners(self, target: Target, column: str) -> Statement:
        condition, condition_params = self._condition(target)
        application = f"t.{self.quote(column)}"
        sql = (
            f"SELECT m.point, {application}::text, count(*) FROM {self._pairs(target)}"
            f" JOIN {self.relation(target.table.name)} AS t ON {condition}"
            f" WHERE {application} IS NOT NULL GROUP BY m.point, {application}"
        )
        return sql, [*self._pair_params(target), *condition_params]

    # Writing, journaled.

    def move(self, targets: Sequence[Target], *, step: int) -> list[Counted]:
        self.limit_wait()
        ctes: list[str] = []
        selects: list[str] = []
        params: list[Any] = []
        for number, target in enumerate(targets):
            after = ""
            if target.images:
                condition, condition_params = self._condition(target)
                ctes.append(
                    f"before{number} AS MATERIALIZED (SELECT {self._key_cells(target)}, {self._image(target)} AS image"
                    f" FROM {self._pairs(target)} JOIN {self.relation(target.table.name)} AS t ON {condition})"
                )
                params += [*self._pair_params(target), *condition_params]
                after = f", {self._image(target)} AS after"
            ctes.append(
                f"changes{number} AS MATERIALIZED (SELECT m.*, row_number() OVER () AS change, {self._values(target)}"
                f" FROM {self._pairs(target)})"
            )
            params += self._pair_params(target)
            condition, condition_params = self._condition(target, changes=f"changes{number}")
            ctes.append(
                f"moved{number} AS (UPDATE {self.relation(target.table.name)} AS t SET {self._assignments(target)}"
                f" FROM changes{number} AS m WHERE {condition}"
                f" RETURNING m.change, m.point, {self._key_cells(target)}{after})"
            )
            params += condition_params
            journal, journal_params = self._journal_moves(target, number, step)
            ctes.append(journal)
            params += journal_params
            selects.append(f"SELECT {number}, point_id, sum(row_count)::bigint FROM journaled{number} GROUP BY 2")
            selects.append(f"SELECT {number}, NULL, count(*) FROM moved{number}")
        return self._checked(targets, self.fetch(f"WITH {', '.join(ctes)} {' UNION ALL '.join(selects)}", params))

    def _journal_moves(self, target: Target, number: int, step: int) -> tuple[str, list[Any]]:
        width = range(len(target.columns))
        olds = ", ".join(f"c.o{place}" for place in width)
        news = ", ".join(f"c.n{place}" for place in width)
        keys = [f"k{place}" for place in range(len(target.key))]
        lists = ", ".join(f"json_agg({key}) AS {key}" for key in keys)
        images, source = "NULL", f"moved{number}"
        if target.images:
            lists += ", json_agg(json_build_array(image, after)) AS images"
            images = "json_agg(g.images)::text"
            source = f"moved{number} JOIN before{number} USING ({', '.join(keys)})"
        # Twice aggregated: the rows of one change, then the changes of one point. Numbered as they come, in no order:
        # a window for each point would have to be sorted.
        sql = (
            f'journaled{number} AS (INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count,'
            f" changes, images) SELECT g.point, 'moved', %s, %s, sum(g.row_count), json_agg(json_build_object("
            f"'from', json_build_array({olds}), 'to', json_build_array({news}),"
            f" 'keys', json_build_array({', '.join(f'g.{key}' for key in keys)})))::text, {images}"
            f" FROM (SELECT point, chunk, change, count(*) AS row_count, {lists} FROM (SELECT *,"
            f" (row_number() OVER () - 1) / {ROWS_PER_SNAPSHOT_ROW} AS chunk"
            f" FROM {source}) AS numbered GROUP BY point, chunk, change) AS g"
            f" JOIN changes{number} AS c USING (change) GROUP BY g.point, g.chunk RETURNING point_id, row_count)"
        )
        return sql, [step, str(target.table.name)]

    def _checked(self, targets: Sequence[Target], rows: Iterable[tuple[int, int | None, int]]) -> list[Counted]:
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

    def replace_cells(
        self, table: Table, key: tuple[str, ...], column: str, rows: Sequence[Replaced], *, step: int
    ) -> list[Counted]:
        self.limit_wait()
        keys = [f"k{place}" for place in range(len(key))]
        given = self._unnest(["bigint", "text", "text", *("text" for _ in key)], ["point", "old", "new", *keys])
        lists = ", ".join(f"json_agg({name}) AS {name}" for name in keys)
        counted = self.fetch(
            f"WITH moved AS (UPDATE {self.relation(table.name)} AS t"
            f" SET {self.quote(column)} = m.new::{_typed(table.column(column))}"
            f" FROM {given} WHERE {self._key_condition(table, key)}"
            f" AND {self._shown(table.column(column))}::text IS NOT DISTINCT FROM m.old RETURNING m.*)"
            f", changes AS (SELECT point, chunk, old, new, count(*) AS row_count, {lists} FROM (SELECT *,"
            f" (row_number() OVER () - 1) / {ROWS_PER_SNAPSHOT_ROW} AS chunk FROM moved) AS numbered"
            f" GROUP BY point, chunk, old, new)"
            f', journaled AS (INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, changes)'
            f" SELECT point, 'moved', %s, %s, sum(row_count), json_agg(json_build_object("
            f"'from', json_build_array(old), 'to', json_build_array(new),"
            f" 'keys', json_build_array({', '.join(keys)})))::text FROM changes GROUP BY point, chunk"
            f" RETURNING point_id, row_count)"
            f" SELECT point_id, sum(row_count)::bigint FROM journaled GROUP BY 1",
            [
                self._numbers([row.point for row in rows]),
                self._array([row.old for row in rows]),
                self._array([row.new for row in rows]),
                *(self._array([row.key[place] for row in rows]) for place in range(len(key))),
                step,
                str(table.name),
            ],
        )
        if sum(count for _, count in counted) != len(rows):
            raise CountMismatch(table=str(table.name), moved=len(rows), journaled=sum(count for _, count in counted))
        return [Counted(point, table.name, count) for point, count in counted]

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
        names = ["point", *(f"k{place}" for place in range(len(key)))]
        types = ["bigint", *("text" for _ in key)]
        params: list[Any] = [self._told_once(column) for column in (rows.points, *rows.columns)]
        name = forwarded = ""
        if forwarding is not None:  # a key's cell is its spelling, so that ``removed`` is told already
            names.append("survivor")
            types.append("text")
            params.append(self._told_once(forwarding.survivors))
            self._told.clear()  # with the folders a merge ends
            name = f", left(t.{self.quote(forwarding.name)}::text, {forwarding.longest}) AS name"
            forwarded = (
                ", forwarded AS (INSERT INTO cleanup_removedfolder (folder_key, survivor_key, name, point_id)"
                " SELECT k0, survivor, coalesce(name, ''), point FROM gone)"
            )
        image = self._text_array([self._shown(column) for column in table.columns if not column.generated])
        sql = (
            f"WITH gone AS (DELETE FROM {self.relation(table.name)} AS t"
            f" USING {self._unnest(types, names)}"
            f" WHERE {self._key_condition(table, key)} RETURNING m.*{name}, to_json({image}) AS image)"
            f', journaled AS (INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, images)'
            f" SELECT point, 'removed', %s, %s, count(*), json_agg(image)::text"
            f" FROM (SELECT *, (row_number() OVER () - 1) / {ROWS_PER_SNAPSHOT_ROW} AS chunk"
            f" FROM gone) AS numbered GROUP BY point, chunk RETURNING point_id, row_count){forwarded}"
            f" SELECT point_id, sum(row_count)::bigint FROM journaled GROUP BY 1"
        )
        counted = self.fetch(sql, [*params, step, str(table.name)])
        if sum(count for _, count in counted) != len(rows):
            raise CountMismatch(table=str(table.name), moved=len(rows), journaled=sum(count for _, count in counted))
        return [Counted(point, table.name, count) for point, count in counted]

    def take_structure(
        self, structure: StructureTable, *, point: int, application: str, key: KeyColumn, step: int
    ) -> int:
        table = structure.table
        image = self._text_array([self._shown(column) for column in table.columns if not column.generated])
        ((count,),) = self.fetch(
            f'WITH journaled AS (INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, images)'
            f" SELECT %s, 'structure', %s, %s, count(*), json_agg(image)::text"
            f" FROM (SELECT to_json({image}) AS image, (row_number() OVER () - 1) / {ROWS_PER_SNAPSHOT_ROW} AS chunk"
            f" FROM {self.relation(table.name)} AS t"
            f" WHERE t.{self.quote(structure.application)} = %s{self._cast(key)}) AS numbered"
            f" GROUP BY chunk RETURNING row_count) SELECT coalesce(sum(row_count), 0)::bigint FROM journaled",
            [point, step, str(table.name), application],
        )
        return int(count)

    # Undo.

    def restore_moved(self, targets: Sequence[UndoTarget], *, points: Sequence[int], step: int) -> Restoration:
        self.limit_wait()
        ctes: list[str] = []
        selects: list[str] = []
        params: list[Any] = []
        for number, target in enumerate(targets):
            columns = [self.quote(column) for column in target.columns]
            cells = ", ".join(
                f'c."from"->>{place} AS o{place}, c."to"->>{place} AS n{place}' for place in range(len(columns))
            )
            width = range(len(target.key))
            unpacked = ", ".join(f"json_array_elements_text(c.keys->{place})" for place in width)
            keys = ", ".join(f"k{place}" for place in width)
            after_key = " AND ".join(
                f"t.{self.quote(column)} = "
                + (f"j.n{target.columns.index(column)}" if column in target.columns else f"j.k{place}")
                + f"::{_typed(target.table.column(column))}"
                for place, column in enumerate(target.key)
            )
            now = [f"{self._shown(target.table.column(column))}::text" for column in target.columns]
            is_new = [f"{cell} IS NOT DISTINCT FROM j.n{place}" for place, cell in enumerate(now)]
            is_old = [f"{cell} IS NOT DISTINCT FROM j.o{place}" for place, cell in enumerate(now)]
            either = " AND ".join(f"({new} OR {old})" for new, old in zip(is_new, is_old, strict=True))
            same = " AND ".join(is_old)
            may, missing_target = f"{either} AND NOT ({same})", ""
            if target.must_exist is not None:
                folders, folder_columns = target.must_exist
                given = ", ".join(
                    f"j.o{place}::{_typed(folders.column(column))}" for place, column in enumerate(folder_columns)
                )
                listed = ", ".join(f"f.{self.quote(column)}" for column in folder_columns)
                there = f"({given}) IN (SELECT {listed} FROM {self.relation(folders.name)} AS f)"
                if target.returned is not None:
                    there = f"(j.point, {given}) IN (SELECT f.__point, {listed} FROM returned{number} AS f)"
                    back, back_params = self._returned(folders, folder_columns, target.returned, points, number)
                    ctes.append(back)
                    params += back_params
                may += f" AND (j.o0 IS NULL OR {there})"
                missing_target = f" WHEN j.o0 IS NOT NULL AND NOT {there} THEN 'missing_target'"
            relation = self.relation(target.table.name)
            changes, change_params = self._changes(target)
            part, part_params = self._within(target.part, [f"k.k{place}" for place in width])
            ctes.append(
                f"j{number} AS MATERIALIZED (SELECT s.point_id AS point, row_number() OVER () AS number, v.*, k.*"
                f' FROM cleanup_snapshotrow AS s, json_to_recordset({changes}) AS c("from" json, "to" json, keys json),'
                f" LATERAL (SELECT {cells} OFFSET 0) AS v,"  # read once for each change, not for each of its rows
                f" ROWS FROM ({unpacked}) AS k({keys}) WHERE s.kind = 'moved' AND s.step = %s"
                f' AND s."table" = %s AND s.point_id = ANY(%s){part}{self._at_most(target.rows)})'
            )
            params += [*change_params, step, target.table.journaled_as, list(points), *part_params]
            # Compared in the UPDATE itself: a concurrent change makes PostgreSQL look at the newer row.
            ctes.append(
                f"u{number} AS (UPDATE {relation} AS t SET "
                + ", ".join(
                    f"{column} = j.o{place}::{_typed(target.table.column(target.columns[place]))}"
                    for place, column in enumerate(columns)
                )
                + f" FROM j{number} AS j WHERE {after_key} AND {may} RETURNING j.point, j.number)"
            )
            # Why the others were not restored, by the rows as they were before. The key of a row that is there is
            # never null, so a null key says that the row is gone.
            ctes.append(
                f"v{number} AS (SELECT j.*, CASE WHEN t.{self.quote(target.key[0])} IS NULL THEN 'row_missing'"
                f" WHEN {same} THEN 'same'{missing_target} WHEN {either} THEN 'restore' ELSE 'changed' END AS verdict"
                f" FROM (SELECT * FROM j{number} AS j WHERE NOT EXISTS"
                f" (SELECT FROM u{number} AS u WHERE u.number = j.number)) AS j"
                f" LEFT JOIN {relation} AS t ON {after_key})"
            )
            key_array = "ARRAY[" + ", ".join(f"k{place}" for place in width) + "]"
            new_array = "ARRAY[" + ", ".join(f"n{place}" for place in range(len(columns))) + "]"
            selects += [
                f"SELECT {number}, 'restored', point, count(*), NULL::text[], NULL::text[] FROM u{number} GROUP BY 3",
                f"SELECT {number}, verdict, point, 1, {key_array}, {new_array} FROM v{number} WHERE verdict <> 'same'",
                f"SELECT {number}, 'journaled', NULL, count(*), NULL, NULL FROM j{number}",
            ]
        rows = self.fetch(f"WITH {', '.join(ctes)} {' UNION ALL '.join(selects)}", params)
        return self._restoration(targets, rows)

    def _returned(
        self, table: Table, columns: Sequence[str], returned: Returned, points: Sequence[int], number: int
    ) -> tuple[str, list[Any]]:
        """Return a CTE of the removed rows that are back, with their point."""
        images, params = self._images(
            table, returned.columns, returned.identity, points=points, step=returned.step, left_out=()
        )
        same = " AND ".join(
            f"f.{self.quote(column)} {'IS NOT DISTINCT FROM' if place else '='} i.{self.quote(column)}"
            for place, column in enumerate(returned.identity)
        )
        listed = ", ".join(f"f.{self.quote(column)}" for column in columns)
        sql = (
            f"returned{number} AS MATERIALIZED (WITH {images} SELECT i.__point, {listed} FROM images AS i"
            f" JOIN {self.relation(table.name)} AS f ON {same})"
        )
        return sql, params

    def _restoration(self, targets: Sequence[UndoTarget], rows: Iterable[tuple[Any, ...]]) -> Restoration:
        restored, conflicts = [], []
        done, lost = Counter[int](), Counter[int]()
        for number, verdict, point, count, key, news in rows:
            table, columns = targets[number].table.name, targets[number].columns
            if verdict == "restored":
                restored.append(Counted(point, table, count))
                done[number] += count
            elif verdict == "journaled":
                self._require_all(targets[number].table, count, targets[number].rows)
            elif verdict == "restore":  # it could have been: somebody changed it under our hands
                lost[number] += count
            else:
                column = "+".join(columns) if verdict != "row_missing" else ""
                conflicts.append(RowConflict(point, table, verdict, tuple(key), column, columns, tuple(news)))
        for number, count in lost.items():
            moved = done[number]
            raise CountMismatch(table=str(targets[number].table.name), moved=moved, journaled=moved + count)
        return Restoration(restored, conflicts)

    def _at_most(self, rows: int | None) -> str:
        """Tell the planner how many rows to expect: it takes every array to be of a hundred. One too many shows."""
        return "" if rows is None else f" LIMIT {rows + 1}"

    def _changes(self, target: UndoTarget) -> tuple[str, list[Any]]:
        """Return the JSON array of a snapshot row's changes; the first format had one change a row, by column."""
        if target.form > 1:
            return "s.changes::json", []
        before, after = (", ".join(f"s.changes::json->%s::text->{side}" for _ in target.columns) for side in (0, 1))
        keys = ", ".join("s.keys::json->%s::text" for _ in target.key)
        sql = (
            f"json_build_array(json_build_object('from', json_build_array({before}),"
            f" 'to', json_build_array({after}), 'keys', json_build_array({keys})))"
        )
        return sql, [*target.columns, *target.columns, *target.key]

    def restore_images(
        self,
        table: Table,
        columns: Sequence[str],
        key: tuple[str, ...],
        *,
        points: Sequence[int],
        step: int,
        foreign_keys: Sequence[ForeignKey],
        left_out: Collection[tuple[Cell, ...]],
        instead: Instead,
        rows: int | None = None,
        part: Part | None = None,
    ) -> Restoration:
        self.limit_wait()
        images, image_params = self._images(
            table, columns, key, points=points, step=step, left_out=left_out, instead=instead, rows=rows, part=part
        )
        relation, first = self.relation(table.name), self.quote(key[0])
        key_array = self._text_array([self._shown(table.column(column), alias="i") for column in key])
        same_key = " AND ".join(f"t.{self.quote(column)} = i.{self.quote(column)}" for column in key)
        differs = " OR ".join(
            f"{self._shown(table.column(column))}::text"
            f" IS DISTINCT FROM {self._shown(table.column(column), alias='i')}::text"
            for column in columns
        )
        selects = [f"SELECT i.__point, 'row_exists', {key_array}, ''::text, ''::text FROM found AS i WHERE i.__differs"]
        params: list[Any] = []
        for unique in table.uniques:
            if set(unique.columns) == set(key) or not set(unique.columns) <= set(columns):
                continue
            parts = [f"({part})".replace("%", "%%") for part in unique.parts]
            listed = ", ".join(f"{part} AS __u{place}" for place, part in enumerate(parts))
            where = f" WHERE ({unique.predicate})".replace("%", "%%") if unique.predicate else ""
            compare = "=" if unique.nulls_distinct else "IS NOT DISTINCT FROM"
            equal = " AND ".join(f"a.__u{place} {compare} b.__u{place}" for place in range(len(parts)))
            own = self._text_array([self.quote(column) for column in key])
            selects.append(
                f"SELECT a.__point, 'unique_taken', a.__key, %s::text, %s::text"
                f" FROM (SELECT __point, {own} AS __key, {listed} FROM images{where}) AS a"
                f" JOIN (SELECT {own} AS __key, {listed} FROM {relation}{where}) AS b ON {equal}"
                f" WHERE a.__key <> b.__key"
            )
            params += ["+".join(unique.columns), unique.name]
        for foreign_key in foreign_keys:
            if not set(foreign_key.columns) <= set(columns):
                continue
            pairs = list(zip(foreign_key.columns, foreign_key.target_columns, strict=True))
            there = " AND ".join(f"f.{self.quote(other)} = i.{self.quote(own)}" for own, other in pairs)
            given = " AND ".join(f"i.{self.quote(own)} IS NOT NULL" for own, _ in pairs)
            among = ""
            if foreign_key.target == table.name and {other for _, other in pairs} <= set(columns):
                among = f" AND NOT EXISTS (SELECT FROM images AS f WHERE {there})"
            selects.append(
                f"SELECT i.__point, 'missing_target', {key_array}, %s::text, %s::text FROM found AS i"
                f" WHERE NOT i.__there AND {given}"
                f" AND NOT EXISTS (SELECT FROM {self.relation(foreign_key.target)} AS f WHERE {there}){among}"
            )
            params += ["+".join(foreign_key.columns), foreign_key.name]
        listed = ", ".join(self.quote(column) for column in columns)
        found = self.fetch(
            f"WITH {images}, found AS MATERIALIZED (SELECT i.*, t.{first} IS NOT NULL AS __there,"
            f" t.{first} IS NOT NULL AND ({differs}) AS __differs FROM images AS i LEFT JOIN {relation} AS t"
            f" ON {same_key}), problems(point, code, key, columns, name) AS MATERIALIZED"
            f" ({' UNION ALL '.join(selects)})"
            f", absent AS MATERIALIZED (SELECT * FROM found WHERE NOT __there)"
            f", inserted AS (INSERT INTO {relation} ({listed}) OVERRIDING SYSTEM VALUE SELECT {listed} FROM absent"
            f" WHERE NOT EXISTS (SELECT FROM problems) RETURNING 1)"
            f" SELECT point, code, key, columns, name, 0, 0 FROM problems UNION ALL"
            f" SELECT __point, NULL, NULL, NULL, NULL, count(*), (SELECT count(*) FROM inserted)"
            f" FROM absent GROUP BY __point UNION ALL SELECT NULL, '', NULL, NULL, NULL, count(*), 0 FROM images",
            [*image_params, *params],
        )
        *found, (*_, journaled, _) = found
        self._require_all(table, journaled + len(left_out), rows)
        conflicts = [
            RowConflict(point, table.name, code, tuple(cells), column, constraint=name)
            for point, code, cells, column, name, *_ in found
            if code
        ]
        if conflicts:
            return Restoration([], conflicts)
        if found and sum(row[5] for row in found) != found[0][6]:
            raise CountMismatch(table=str(table.name), moved=found[0][6], journaled=sum(row[5] for row in found))
        return Restoration([Counted(row[0], table.name, row[5]) for row in found], [])

    def image_links(
        self,
        table: Table,
        columns: Sequence[str],
        key: tuple[str, ...],
        *,
        points: Sequence[int],
        step: int,
        foreign_key: ForeignKey,
    ) -> Iterator[ImageLink]:
        images, params = self._images(
            table,
            columns,
            key,
            points=points,
            step=step,
            left_out=(),
            wanted={*key, *foreign_key.columns, *foreign_key.target_columns},
        )
        relation = self.relation(table.name)
        own_key, other_key = (
            self._text_array([self._shown(table.column(column), alias=alias) for column in key]) for alias in "if"
        )
        same_key = " AND ".join(f"t.{self.quote(column)} = i.{self.quote(column)}" for column in key)
        pairs = list(zip(foreign_key.columns, foreign_key.target_columns, strict=True))
        needs = " AND ".join(f"f.{self.quote(other)} = i.{self.quote(own)}" for own, other in pairs)
        there = " AND ".join(f"t.{self.quote(other)} = i.{self.quote(own)}" for own, other in pairs)
        rows = self.fetch_in_pieces(
            f"""
            WITH {images}
            SELECT i.__point, {own_key}, {other_key}
              FROM images AS i
              JOIN images AS f ON {needs}
             WHERE NOT EXISTS (SELECT FROM {relation} AS t WHERE {same_key})
               AND NOT EXISTS (SELECT FROM {relation} AS t WHERE {there})
            """,
            params,
        )
        column = "+".join(foreign_key.columns)
        return (ImageLink(point, tuple(own), tuple(other), column) for point, own, other in rows)

    def check_now(self, table: Table, *, apart_from: Collection[TableName] = ()) -> None:
        ((names,),) = self.fetch(
            """
            SELECT string_agg(format('%%I.%%I', n.nspname, c.conname), ', ')
              FROM pg_constraint AS c
              JOIN pg_namespace AS n ON n.oid = c.connamespace
             WHERE c.conrelid = %s::regclass AND c.condeferrable
               AND (c.contype <> 'f' OR c.confrelid <> ALL(%s::regclass[]))
            """,
            [table.name.quoted, [name.quoted for name in apart_from]],
        )
        if names:
            names = names.replace("%", "%%")
            self.execute(f"SET CONSTRAINTS {names} IMMEDIATE")
            self.execute(f"SET CONSTRAINTS {names} DEFERRED")

    def structure_differences(
        self,
        structure: StructureTable,
        columns: Sequence[str],
        key: tuple[str, ...],
        *,
        point: int,
        application: str,
        application_key: KeyColumn,
        limit: int,
    ) -> list[RowConflict]:
        table = structure.table
        images, params = self._images(table, columns, key, points=[point], step=None, left_out=())
        same_key = " AND ".join(f"t.{self.quote(column)} = i.{self.quote(column)}" for column in key)
        differs = " OR ".join(
            f"{self._shown(table.column(column))}::text"
            f" IS DISTINCT FROM {self._shown(table.column(column), alias='i')}::text"
            for column in columns
        )
        first = self.quote(key[0])
        image_key = self._text_array([self._shown(table.column(column), alias="i") for column in key])
        row_key = self._text_array([self._shown(table.column(column)) for column in key])
        rows = self.fetch(
            f"WITH {images} SELECT CASE WHEN t.{first} IS NULL THEN 'row_missing' ELSE 'changed' END, {image_key}"
            f" FROM images AS i LEFT JOIN {self.relation(table.name)} AS t ON {same_key}"
            f" WHERE t.{first} IS NULL OR {differs}"
            f" UNION ALL SELECT 'extra', {row_key} FROM {self.relation(table.name)} AS t"
            f" WHERE t.{self.quote(structure.application)} = %s{self._cast(application_key)}"
            f" AND NOT EXISTS (SELECT FROM images AS i WHERE {same_key}) LIMIT %s",
            [*params, application, limit],
        )
        return [RowConflict(point, table.name, code, tuple(cells)) for code, cells in rows]

    # Fragments.

    def _images(
        self,
        table: Table,
        columns: Sequence[str],
        key: tuple[str, ...],
        *,
        points: Sequence[int],
        step: int | None,
        left_out: Collection[tuple[Cell, ...]],
        instead: Instead = NOTHING_INSTEAD,
        rows: int | None = None,
        part: Part | None = None,
        wanted: Collection[str] = (),
    ) -> tuple[str, list[Any]]:
        """Return the CTE ``images``: the removed rows as rows of the table again, with ``__point``.

        All their columns, or the ``wanted`` ones.
        """
        found = {column: f"e.value->>{place}" for place, column in enumerate(columns)}
        others = ""
        params: list[Any] = []
        if instead.cells:
            names = ["k", *(f"c{place}" for place in range(len(instead.columns)))]
            given = self._unnest(["text"] * len(names), names)
            others = f" LEFT JOIN (SELECT * FROM {given}) AS w ON w.k = {found[key[0]]}"
            params += [self._array(list(instead.cells)), *map(self._array, zip(*instead.cells.values(), strict=True))]
            for place, column in enumerate(instead.columns):
                found[column] = f"CASE WHEN w.k IS NULL THEN {found[column]} ELSE w.c{place} END"
        listed = ", ".join(
            f"({cell})::{_typed(table.column(column))} AS {self.quote(column)}"
            for column, cell in found.items()
            if not wanted or column in wanted
        )
        kind, step_condition = ("'structure'", "") if step is None else ("'removed'", " AND s.step = %s")
        params += [table.journaled_as, list(points)]
        if step is not None:
            params.append(step)
        where = ""
        if left_out:
            places = [columns.index(column) for column in key]
            cells = self._text_array([f"(e.value->>{place})" for place in places])
            where = f" AND NOT EXISTS (SELECT FROM {self._rows(len(key))} WHERE {cells} = ARRAY["
            where += ", ".join(f"m.k{place}" for place in range(len(key))) + "])"
            params += [self._array([cells[place] for cells in left_out]) for place in range(len(key))]
        within, part_params = self._within(part, [f"(e.value->>{columns.index(column)})" for column in key])
        where += within
        params += part_params
        sql = (
            f"images AS MATERIALIZED (SELECT s.point_id AS __point, {listed} FROM cleanup_snapshotrow AS s,"
            f" json_array_elements(s.images::json) AS e(value){others} WHERE s.kind = {kind} AND"
            f' s."table" = %s AND s.point_id = ANY(%s){step_condition}{where}{self._at_most(rows)})'
        )
        return sql, params

    def _within(self, part: Part | None, cells: Sequence[str]) -> tuple[str, list[Any]]:
        """Return the condition that restricts rows of the journal, known by the cells of their key, to a part."""
        if part is None:
            return "", []
        width = range(len(cells))
        given = ", ".join(f"m.k{place}" for place in width)
        sql = (
            f" AND s.id = ANY(%s) AND EXISTS"
            f" (SELECT FROM {self._rows(len(cells))} WHERE {self._text_array(cells)} = ARRAY[{given}])"
        )
        return sql, [list(part.snapshots), *(self._array([key[place] for key in part.keys]) for place in width)]

    def _pairs(self, target: Target) -> str:
        width = range(len(target.columns))
        names = ["point", "rank", *(f"o{place}" for place in width), *(f"n{place}" for place in width)]
        return self._unnest(("bigint", "int", *(["text"] * (2 * len(target.columns)))), names)

    def _pair_params(self, target: Target) -> list[Any]:
        pairs = target.pairs
        return [self._told_once(column) for column in (pairs.points, pairs.ranks, *pairs.olds, *pairs.news)]

    def _told_once(self, column: Sequence[Any]) -> str:
        """Return the text form of a column that does not change; several statements in a row are told the same."""
        for told, text in self._told:
            if told is column:
                return text
        text = self._numbers(column) if column and isinstance(column[0], int) else self._array(column)
        self._told.append((column, text))
        return text

    def _unnest(self, types: Sequence[str], names: Sequence[str]) -> str:
        """Return a relation m of parameters, one ``_array`` a column."""
        arrays = ", ".join(f"%s::{kind}[]" for kind in types)
        return f"unnest({arrays}) AS m({', '.join(names)})"

    def _numbers(self, values: Sequence[int]) -> str:
        return f"{{{','.join(map(str, values))}}}"

    def _array(self, values: Sequence[Cell]) -> str:
        """Return the text form of an array (PostgreSQL, 8.15.6): quoted once, many times faster than item by item."""
        present = [value for value in values if value is not None]
        joined = ",".join(present)
        plain = len(present) == len(values) and joined.count(",") == len(values) - 1
        if plain and _PLAIN_ITEMS(joined) and "null" not in joined.lower():
            return f"{{{joined}}}"
        return f"{{{','.join(map(_array_item, values))}}}"

    def _condition(self, target: Target, *, changes: str = "") -> tuple[str, list[Any]]:
        """Return the condition of the rows to change; ``changes`` is a CTE with the pairs, where there is one."""
        parts = [
            f"t.{self.quote(column)} = m.o{place}::{_typed(target.table.column(column))}"
            for place, column in enumerate(target.columns)
        ]
        params: list[Any] = []
        if target.condition:
            kind, params = target.condition.sql("t", vendor="postgresql")
            parts.append(kind)
        if target.spare:
            key = target.table.column(target.key[0])
            if changes and target.spare is target.pairs.olds[0]:  # as a rule; then they are there already
                spare = f"(SELECT o0::{_typed(key)} FROM {changes})"
            else:
                spare = f"unnest(%s::text[]::{_bare(key)}[])"
                params.append(self._array(target.spare))
            # Hashed, where "<> ALL" would compare every row with every key.
            parts.append(f"NOT EXISTS (SELECT FROM {spare} AS spare(key) WHERE spare.key = t.{self.quote(key.name)})")
        return " AND ".join(parts), params

    def _values(self, target: Target) -> str:
        """Return the new values in the columns' types: once for each change, however many rows it moves."""
        return ", ".join(
            f"m.n{place}::{_typed(target.table.column(column))} AS v{place}"
            for place, column in enumerate(target.columns)
        )

    def _assignments(self, target: Target) -> str:
        return ", ".join(f"{self.quote(column)} = m.v{place}" for place, column in enumerate(target.columns))

    def _image(self, target: Target) -> str:
        stored = [self._shown(column) for column in target.table.columns if not column.generated]
        return f"to_json({self._text_array(stored)})"

    def _key_cells(self, target: Target) -> str:
        return ", ".join(
            (
                f"m.o{target.columns.index(column)}"
                if column in target.columns
                else f"{self._shown(target.table.column(column))}::text"
            )
            + f" AS k{place}"
            for place, column in enumerate(target.key)
        )

    def _rows(self, width: int) -> str:
        return self._unnest(["text"] * width, [f"k{place}" for place in range(width)])

    def _key_condition(self, table: Table, key: tuple[str, ...]) -> str:
        return " AND ".join(
            f"t.{self.quote(column)} = m.k{place}::{_typed(table.column(column))}" for place, column in enumerate(key)
        )

    def _shown(self, column: Column, *, alias: str = "t") -> str:
        """Return a column of a row such that a cast to text gives the form of its type's output function."""
        value = f"{alias}.{self.quote(column.name)}"
        # What is null is not what is a row of nulls, which IS NULL calls null, too.
        return f"(CASE WHEN {value} IS DISTINCT FROM NULL THEN concat({value}) END)" if column.casts_out else value

    def _text_array(self, expressions: Sequence[str]) -> str:
        # ARRAY[...] rather than json_build_array(...): no limit of a hundred arguments.
        return "ARRAY[" + ", ".join(f"{expression}::text" for expression in expressions) + "]"

    def _cast(self, key: KeyColumn) -> str:
        return "::text::" + str(key.field.rel_db_type(self.connection))

    def _array_cast(self, key: KeyColumn) -> str:
        return f"::text[]::{key.field.rel_db_type(self.connection)}[]"

    def _is_text(self, key: KeyColumn) -> bool:
        return key.field.get_internal_type() in ("CharField", "TextField", "SlugField")

    def live_condition(self, tables: FolderTables, *, prefix: str) -> tuple[str, list[Any]]:
        return super().live_condition(tables, prefix=prefix) if tables.live else ("TRUE", [])
