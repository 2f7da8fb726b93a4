"""How busy the database is, in one statement that only reads statistics; a run checks it between its batches.

Invariants: nothing is written and no row is locked; None stands for what the role may not see or what this kind of
database does not reveal; our own sessions, which have the product's name, are not counted.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """Figures, None if they cannot be known from here."""

    lock_waiters: float | None = None
    """Sessions that wait for a lock."""
    active_connections: float | None = None
    """Sessions of others that execute something."""
    connections_percent: float | None = None
    """Connections in use, of those that the server admits."""
    replica_lag_seconds: float | None = None
    """Of the replica that is furthest behind, as it last told; a replica that is stuck tells nothing."""
    replica_lag_mb: float | None = None
    """Log that the replica has not replayed."""
    retained_wal_mb: float | None = None
    """Log that is kept for the replication slot that is furthest behind."""
    free_disk_mb: float | None = None
