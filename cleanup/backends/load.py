"""How busy the database is, in one statement that reads statistics alone: what a run looks at between its batches.

Invariants: nothing is written and no row is locked; None stands for what the role may not see or what this kind of
database does not tell; our own sessions, which bear the product's name, are nobody's burden and are not counted.
"""

from dataclasses import dataclass

from cleanup.backends.base import Backend
from cleanup.backends.server import server_of


@dataclass(frozen=True, slots=True)
class Load:
    """Figures, None where they cannot be known from here."""

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


# Locks are seen in pg_locks by every role, where pg_stat_activity would show an unprivileged one no waiter at all. The
# state of other roles' sessions is hidden from such a role; then the count is unknown, not low.
_POSTGRESQL = """
SELECT (SELECT count(DISTINCT l.pid) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
        WHERE NOT l.granted AND a.datname = current_database() AND a.application_name NOT LIKE 'cleanup%%'),
       (SELECT CASE WHEN bool_or(state IS NULL) THEN NULL ELSE count(*) FILTER (WHERE state = 'active') END
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name NOT LIKE 'cleanup%%'
          AND usesysid IS NOT NULL),
       (SELECT 100.0 * count(*) / current_setting('max_connections')::integer FROM pg_stat_activity
        WHERE datid IS NOT NULL AND usesysid IS NOT NULL),
       (SELECT CASE WHEN bool_or(state IS NULL) THEN NULL
                    ELSE coalesce(extract(epoch FROM max(replay_lag)), 0) END FROM pg_stat_replication),
       (SELECT CASE WHEN bool_or(state IS NULL) THEN NULL
                    ELSE coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 0) / 1048576.0 END
        FROM pg_stat_replication),
       (SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0) / 1048576.0
        FROM pg_replication_slots)
"""

_TOLD = (
    "lock_waiters",
    "active_connections",
    "connections_percent",
    "replica_lag_seconds",
    "replica_lag_mb",
    "retained_wal_mb",
)


def load_of(backend: Backend) -> Load:
    """Return the figures of now."""
    server = server_of(backend)
    if backend.connection.vendor != "postgresql":
        free = server.free_bytes()
        return Load(free_disk_mb=None if free is None else free / 1048576)
    told = server.ask_one(_POSTGRESQL) or (None,) * len(_TOLD)
    return Load(**{name: None if figure is None else float(figure) for name, figure in zip(_TOLD, told, strict=True)})
