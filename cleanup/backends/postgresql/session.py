"""PostgreSQL's sessions: what a transaction sets, whom it waits for, which database it is in.

Note [Who yields]. PostgreSQL ends a deadlock by failing the session that has waited for ``deadlock_timeout``, and
checks only once during a wait. A writer may wait longer for us than we for it: since our first lock, through all our
waits and work. So that the writer does not lose, our waits must end within one and a half times CLEANUP_LOCK_TIMEOUT_MS
after the first lock, and preflight checks that ``deadlock_timeout`` is longer; a wait that begins later is very short.
The time that counts is when a statement begins: several waits in one still add up.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from cleanup import conf
from cleanup.backends import identity, session
from cleanup.backends.postgresql import digest
from cleanup.backends.postgresql.cells import Cells, array, numbers, relation_of
from cleanup.backends.postgresql.settings import beginning, pinning, settings
from cleanup.backends.query import block, quote
from cleanup.policies import TriggerPolicy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from cleanup.backends.catalogue import Table, TableName

#: The shortest time to wait for a lock; see Note [Who yields].
SHORTEST_LOCK_TIMEOUT_MS = 50

#: When the first lock of a connection's transaction was requested, by the monotonic clock.
_FIRST_LOCKS: MutableMapping[BaseDatabaseWrapper, float] = WeakKeyDictionary()


class Session(session.Session):
    """PostgreSQL 14 and newer."""

    vendor = "postgresql"
    one_writer = False
    storage_classes = False
    digests_everything = False
    alters_columns = True
    builds_concurrently = True
    bypasses_triggers = True
    has_roles = True
    write_ahead_log = True
    nested_join = "JOIN"
    seconds_per_row = 0.0001

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self.cells = Cells(connection)
        self._told: deque[tuple[Sequence[Any], str]] = deque(maxlen=16)
        """Columns of the last statements and their parameters; a merge mostly needs four."""

    def limit_patience(self, options: dict[str, Any], seconds: float) -> None:
        options.pop("pool", None)
        options["connect_timeout"] = max(1, round(seconds))
        options["tcp_user_timeout"] = round(seconds * 1000)  # the network may lose the query, too

    def begin(self) -> None:
        self._pin(self._limits())

    def pin(self, *, session_name: str = "", writing: bool = True, durable: bool = True) -> None:
        _FIRST_LOCKS.pop(self.connection, None)
        values = self._settings(session_name)
        if not durable:
            values["synchronous_commit"] = "off"
        # A table that changes in two ways by keys of each other is only consistent at the end.
        self._pin(values, "SET CONSTRAINTS ALL DEFERRED" if writing else "")

    def _pin(self, values: Mapping[str, str], *more: str) -> None:
        """Set values until the transaction ends, in one round trip; first of all its isolation, if it begins here."""
        connection: Any = self.connection.connection
        statements = [*pinning(values, version=self._version), *filter(None, more)]
        if self.between_transactions():
            statements.insert(0, beginning(read_write=self._may_write(connection)))
        # Several statements at once, which neither parameters nor prepared statements allow. Like BEGIN, it does not
        # pass through Django's instruments.
        with self.connection.wrap_database_errors, connection.cursor() as cursor:
            cursor.execute("; ".join(statements), prepare=False)

    def between_transactions(self) -> bool:
        """Return whether the next statement is the first one of a transaction."""
        connection: Any = self.connection.connection
        return bool(connection.info.transaction_status.name == "IDLE")

    def _may_write(self, connection: Any) -> bool:
        """Return whether the transaction can be READ WRITE: not on a standby, nor if the URL asks otherwise."""
        options = str(self.connection.settings_dict["OPTIONS"].get("options", ""))
        standby = connection.info.parameter_status("in_hot_standby") == "on"
        return not standby and "default_transaction_read_only" not in options

    @property
    def _version(self) -> int:
        # Of this session: the previous one may have been on a different server.
        self.connection.ensure_connection()
        connection: Any = self.connection.connection
        return int(connection.info.server_version) // 10_000

    @contextmanager
    def pinned(self, *, session_name: str = "", writing: bool = True) -> Iterator[None]:
        names = [*self._settings(session_name), "session_replication_role"]
        before = self.fetch("SELECT name, current_setting(name) FROM unnest(%(names)s::text[]) AS name", names=names)
        self.pin(session_name=session_name, writing=writing)
        yield
        # Only what differs: not every role may set some settings, not even to their current values.
        self.fetch(
            """
            SELECT set_config(name, value, true)
              FROM unnest(%(names)s::text[], %(values)s::text[]) AS before(name, value)
             WHERE current_setting(name) IS DISTINCT FROM value
            """,
            names=[name for name, _ in before],
            values=[value for _, value in before],
        )
        if not writing:
            return
        # As each constraint was declared; what the transaction itself had set cannot be known.
        self.execute("SET CONSTRAINTS ALL DEFERRED")
        immediate = self.fetch(
            """
            SELECT string_agg(DISTINCT format('%%I.%%I', n.nspname, c.conname), ', ')
              FROM pg_constraint AS c
              JOIN pg_namespace AS n ON n.oid = c.connamespace
             WHERE c.condeferrable AND NOT c.condeferred
            """
        )[0][0]
        if immediate:
            self.execute(f"SET CONSTRAINTS {immediate.replace('%', '%%')} IMMEDIATE")

    def _limits(self) -> dict[str, str]:
        """Return what every transaction sets."""
        return {
            **settings(version=self._version, batch=False),
            # The format in which Django reads times.
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
        if conf.triggers() == TriggerPolicy.BYPASS:
            values["session_replication_role"] = "replica"
        return values

    def limit_statements(self, milliseconds: int) -> None:
        self.fetch("SELECT set_config('statement_timeout', %(limit)s, true)", limit=f"{milliseconds}ms")

    def catalogue_digest(self, tables: Collection[TableName]) -> str:
        return digest.digest(self.connection, tables)

    def hold_catalogue(
        self, tables: Collection[TableName], *, written: Sequence[Table], alone: Collection[TableName] = ()
    ) -> str:
        if self.connection in _FIRST_LOCKS:  # while waiting for a first lock, nothing else is held
            self.limit_lock_wait()
        held = digest.hold(self.connection, tables, written, alone)
        _FIRST_LOCKS.setdefault(self.connection, time.monotonic())
        return held

    def serialize_numbering(self, table: Table) -> None:
        self.limit_lock_wait()
        self.fetch(
            "SELECT pg_advisory_xact_lock(hashtextextended('cleanup.hooks ' || %(table)s, 0))", table=table.name.quoted
        )

    def commit_asynchronously(self) -> None:
        if self.between_transactions():  # in the round trip that a first statement takes anyway
            self._pin({**self._limits(), "synchronous_commit": "off"})
        else:
            self.execute("SET LOCAL synchronous_commit = off")

    def check_deferred_constraints(self) -> None:
        self.limit_lock_wait()
        self.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def check_now(self, table: Table, *, apart_from: Collection[TableName] = ()) -> None:
        ((names,),) = self.fetch(
            """
            SELECT string_agg(format('%%I.%%I', n.nspname, c.conname), ', ')
              FROM pg_constraint AS c
              JOIN pg_namespace AS n ON n.oid = c.connamespace
             WHERE c.conrelid = %(table)s::regclass AND c.condeferrable
               AND (c.contype <> 'f' OR c.confrelid <> ALL(%(apart_from)s::regclass[]))
            """,
            table=table.name.quoted,
            apart_from=[name.quoted for name in apart_from],
        )
        if names:
            names = names.replace("%", "%%")
            self.execute(f"SET CONSTRAINTS {names} IMMEDIATE")
            self.execute(f"SET CONSTRAINTS {names} DEFERRED")

    def scope(self) -> list[str]:
        ((names,),) = self.fetch(
            "SELECT ARRAY[current_database(), session_user, current_user] || current_schemas(true)"
        )
        return list(names)

    def identity(self) -> str:
        # A promoted server shows it at once in the end of its recovery, and after its next checkpoint there.
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

    def limit_lock_wait(self) -> None:
        patience = conf.lock_timeout_ms()
        now = time.monotonic()
        elapsed = (now - _FIRST_LOCKS.setdefault(self.connection, now)) * 1000
        if elapsed > patience / 2:
            left = max(min(patience, SHORTEST_LOCK_TIMEOUT_MS), int(1.5 * patience - elapsed))
            self.fetch("SELECT set_config('lock_timeout', %(limit)s, true)", limit=f"{left}ms")

    def holds_lock(self) -> bool:
        """Return whether the transaction has already requested a lock."""
        return self.connection in _FIRST_LOCKS

    def note_lock(self) -> None:
        """Count the time of waits from now, if this was the first lock."""
        _FIRST_LOCKS.setdefault(self.connection, time.monotonic())

    # Own tables.

    def update_statistics(self, *tables: str) -> None:
        # If others hold a table, it is left to autovacuum, which does so anyway, but minutes later.
        self.execute(f"ANALYZE (SKIP_LOCKED) {', '.join(map(quote, tables))}")

    def update_many(
        self, table: str, key: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]], *, now: str
    ) -> None:
        kinds = {"id": "bigint", **{f"c{place}": kind for place, (_, kind) in enumerate(columns)}}
        values = (
            array([None if row[place] is None else str(row[place]) for row in rows]) for place in range(len(kinds))
        )
        self.execute(
            block(
                """
                UPDATE {table} AS t
                   SET {assignments}, {now} = {clock}
                  FROM {rows}
                 WHERE t.{key} = given.id
                """,
                table=quote(table),
                assignments=", ".join(f"{quote(column)} = given.c{place}" for place, (column, _) in enumerate(columns)),
                now=quote(now),
                clock=self.clock(),
                rows=relation_of(kinds, values),
                key=quote(key),
            )
        )

    def clock(self) -> str:
        return "clock_timestamp()"

    # Parameters.

    def cached_array(self, column: Sequence[Any]) -> str:
        """Return the text form of a column that does not change; several statements in a row get the same."""
        for told, text in self._told:
            if told is column:
                return text
        text = numbers(column) if column and isinstance(column[0], int) else array(column)
        self._told.append((column, text))
        return text

    def clear_cached_arrays(self) -> None:
        """Forget them: the next statements get different ones."""
        self._told.clear()
