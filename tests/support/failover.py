"""A server and the standby that follows it, behind one address: when it ends, the standby is promoted in its place."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests import pgserver

#: What is committed stays, whatever ends; and a standby is back soon whose server was away.
SETTINGS = {"synchronous_commit": "on", "wal_retrieve_retry_interval": "200ms"}


@dataclass(slots=True)
class Failover:
    """Two servers, of which one is reached at the address."""

    directory: Path
    """The address: a link to the socket's directory of the server that is the primary now."""
    primary: pgserver.Server
    standby: pgserver.Server
    port: str = ""

    def fail_over(self) -> None:
        """End the primary, which cuts all connections; promote the standby, and give it one of its own."""
        self.wait_for_standby()
        self.primary.stop()
        self.standby.promote()
        self.primary = self.standby
        self._lead_to_primary()
        self.standby = pgserver.copy(self.primary, follows=True, **SETTINGS)

    def crash(self) -> None:
        """End the primary without a word, and start it again."""
        self.primary.crash()
        self.primary.restart()

    def wait_for_standby(self) -> None:
        """Wait for the standby to follow, so that it gets all that is committed until its primary ends."""
        with psycopg.connect(self.primary.url, autocommit=True) as connection:
            while not connection.execute("SELECT FROM pg_stat_replication WHERE state = 'streaming'").fetchall():
                time.sleep(0.05)

    def _lead_to_primary(self) -> None:
        link = self.directory.with_name("next")
        link.symlink_to(self.primary.directory)
        link.rename(self.directory)


@contextlib.contextmanager
def failover(*, binaries: Path) -> Iterator[Failover]:
    """Start a server of these programs, and a standby."""
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cleanup-address-")))
        primary = pgserver.start(binaries=binaries, **SETTINGS)
        stack.callback(primary.stop)
        standby = pgserver.copy(primary, follows=True, **SETTINGS)
        stack.callback(standby.stop)
        both = Failover(place / "now", primary, standby)
        both._lead_to_primary()
        # Which are others by then.
        stack.callback(lambda: (both.primary.stop(), both.standby.stop()))
        yield both
