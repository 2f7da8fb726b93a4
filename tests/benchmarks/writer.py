"""A clerk who files scans while a cleanup runs: how long the clerk has to wait, and how long locks are held."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import quantiles

import psycopg

#: Seconds between two filings: forty a second, a busy office.
PACE = 0.025

_FIND = """
SELECT id FROM folders WHERE application_id = %s AND parent_id IS NULL ORDER BY created_at, id LIMIT 1
"""
_FILE = """
INSERT INTO files (id, filename, original_filename, file_path, file_size, mime_type, application_id, folder_id,
                   created_at)
VALUES (gen_random_uuid(), 'filed.pdf', 'filed.pdf', 'filed.pdf', 1, 'application/pdf', %s, %s, now())
"""
_TOUCH = "UPDATE folders SET updated_at = now() WHERE id = %s"

#: Seconds between two looks at the locks.
LOOKS = 0.01

#: Seconds since the oldest transaction began that may change folders; the clerk does not.
_HELD = """
SELECT extract(epoch FROM max(clock_timestamp() - a.xact_start))::float
  FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
 WHERE l.relation = 'folders'::regclass AND l.mode = 'RowExclusiveLock' AND l.granted
"""


@dataclass(slots=True)
class Filing:
    """What the clerk saw."""

    waits: list[float] = field(default_factory=list)
    """Seconds of each transaction: look up the root folder, file a scan there, commit."""
    failures: int = 0
    """Transactions that the database refused."""

    @property
    def p95(self) -> float:
        """Seconds that nineteen of twenty transactions did not exceed."""
        return quantiles(self.waits, n=20)[-1]


@contextlib.contextmanager
def filing(connection: psycopg.Connection, *, touching: bool = False) -> Iterator[Filing]:
    """File scans into random applications until the block ends, and write to the folder, too, if asked."""
    applications = [key for (key,) in connection.execute("SELECT id FROM customer_applications")]
    chosen = random.Random(1)
    filed = Filing()
    stop = threading.Event()

    def work() -> None:
        due = time.perf_counter()
        while not stop.is_set():
            application = chosen.choice(applications)
            started = time.perf_counter()
            try:
                with connection.transaction():
                    (folder,) = connection.execute(_FIND, [application]).fetchone()
                    connection.execute(_FILE, [application, folder])
                    if touching:
                        connection.execute(_TOUCH, [folder])
            except psycopg.Error:
                filed.failures += 1
            filed.waits.append(time.perf_counter() - started)
            # Paced by the clock, but what was missed while waiting is not made up for.
            due = max(due + PACE, time.perf_counter())
            stop.wait(due - time.perf_counter())

    thread = threading.Thread(target=work, name="clerk")
    thread.start()
    try:
        yield filed
    finally:
        stop.set()
        thread.join()


@dataclass(slots=True)
class Locks:
    """How long locks on folders were held."""

    longest: float = 0.0
    """Seconds of the longest transaction, as of the last look at it."""


@contextlib.contextmanager
def watching(connection: psycopg.Connection) -> Iterator[Locks]:
    """Look at the locks on folders until the block ends."""
    locks = Locks()
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(LOOKS):
            ((held,),) = connection.execute(_HELD).fetchall()
            locks.longest = max(locks.longest, held or 0.0)

    thread = threading.Thread(target=work, name="locks")
    thread.start()
    try:
        yield locks
    finally:
        stop.set()
        thread.join()
