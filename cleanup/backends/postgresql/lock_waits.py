"""The sessions of other programs that a guard's DDL would wait for, on PostgreSQL.

Read from pg_locks, where an ordinary role sees everything; pg_stat_activity adds what the role may know. Waiting is
bounded, and the session that is waited for is named.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import OperationalError, transaction

from cleanup.backends.catalogue import TableName
from cleanup.backends.session import Session as AnySession

#: Writers queue behind a lock that waits, once for each of the tables: well under a second.
LOCK_TIMEOUT_MS = 300
#: Between two attempts, for those who queued.
_PAUSE_SECONDS = 0.5
_LOCK_NOT_AVAILABLE = frozenset({"55P03", "40P01"})
#: Advisory lock of the database, so that two migrations do not drop each other's unfinished indexes.
ONE_AT_A_TIME = 0x636C65616E7570

#: Sessions that write to one of our tables or change it; optionally, those that read one, or hold a snapshot.
_SESSIONS = """
WITH held AS (
    SELECT l.pid, bool_or(%(readers)s OR l.mode NOT IN ('AccessShareLock', 'RowShareLock')) AS conflicting
      FROM pg_locks AS l
     WHERE l.locktype = 'relation' AND l.mode <> 'SIReadLock' AND l.granted AND l.pid <> pg_backend_pid()
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND l.relation IN (SELECT to_regclass(t.name) FROM unnest(%(tables)s::text[]) AS t(name))
     GROUP BY l.pid
)
SELECT v.pid, v.virtualtransaction, coalesce(a.application_name, ''), coalesce(a.state, ''),
       extract(epoch FROM clock_timestamp() - a.xact_start)::bigint
  FROM pg_locks AS v
  LEFT JOIN held AS h ON h.pid = v.pid
  LEFT JOIN pg_stat_activity AS a ON a.pid = v.pid
 WHERE v.locktype = 'virtualxid' AND v.granted AND v.mode = 'ExclusiveLock' AND v.pid <> pg_backend_pid()
   AND coalesce(a.backend_type, 'client backend') <> 'autovacuum worker'
   AND (h.conflicting OR %(snapshots)s AND a.backend_xmin IS NOT NULL AND a.datname = current_database())
 ORDER BY a.xact_start NULLS FIRST, v.pid
"""


@dataclass(frozen=True, slots=True)
class Session:
    """Another session, within a transaction."""

    pid: int
    transaction: str
    application_name: str
    state: str
    seconds: int | None
    """Age of the transaction; None if the role may not know."""

    def __str__(self) -> str:
        name = f" ({self.application_name})" if self.application_name else ""
        age = f", for {self.seconds} seconds" if self.seconds is not None else ""
        return f"pid {self.pid}{name}, {self.state or 'in a transaction'}{age}"


class StillHeld(Exception):
    """Sessions held what was needed until patience ran out."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self.sessions = tuple(sessions)
        super().__init__("; ".join(map(str, sessions)) or "a lock that another session always held")


class Sessions:
    """Waits for the other sessions on some tables."""

    def __init__(self, session: AnySession, *, tables: Sequence[TableName], seconds: float) -> None:
        self.session = session
        self.tables = tables
        self.seconds = seconds

    def _found(self, *, readers: bool, snapshots: bool) -> list[Session]:
        tables = [table.quoted for table in self.tables]
        found = self.session.fetch(_SESSIONS, tables=tables, readers=readers, snapshots=snapshots)
        return [Session(*row) for row in found]

    def wait_for_old_transactions(self, *, readers: bool = False) -> None:
        """Wait until all transactions that a concurrent build would wait for, and began before now, have ended.

        With ``readers`` those that an ALTER TABLE would wait for, too. Raises StillHeld. Later ones do not matter here:
        they are short, or the build waits, and blocks no one.
        """
        old = self._found(readers=readers, snapshots=True)
        deadline = time.monotonic() + self.seconds
        while old:
            if time.monotonic() > deadline:
                raise StillHeld(old)
            time.sleep(0.1)
            found = self._found(readers=readers, snapshots=True)
            current = {(session.pid, session.transaction): session for session in found}
            old = [current[key] for session in old if (key := (session.pid, session.transaction)) in current]

    def execute_with_retries(self, statement: str) -> None:
        """Execute DDL that needs a strong lock for a moment; no one queues behind it for long. Raises StillHeld."""
        deadline = time.monotonic() + self.seconds
        while True:
            try:
                with transaction.atomic(using=self.session.connection.alias):
                    self.session.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
                    self.session.execute("SET LOCAL statement_timeout = 0")
                    self.session.execute(statement)
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", None) not in _LOCK_NOT_AVAILABLE:
                    raise
                if time.monotonic() > deadline:
                    raise StillHeld(self._found(readers=True, snapshots=False)) from error
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def take_turn(self) -> bool:
        """Take the database's one place for such work, until ``end_turn``; return whether it was free."""
        with transaction.atomic(using=self.session.connection.alias):
            ((taken,),) = self.session.fetch("SELECT pg_try_advisory_lock(%(key)s)", key=ONE_AT_A_TIME)
            if taken:
                # A concurrent build waits as long as necessary: if interrupted, it leaves an invalid index behind.
                self.session.execute("SET lock_timeout = 0")
                self.session.execute("SET statement_timeout = 0")
        return bool(taken)

    def end_turn(self) -> None:
        """Give the place back."""
        with transaction.atomic(using=self.session.connection.alias):
            self.session.execute("RESET statement_timeout")
            self.session.execute("RESET lock_timeout")
            self.session.fetch("SELECT pg_advisory_unlock(%(key)s)", key=ONE_AT_A_TIME)
