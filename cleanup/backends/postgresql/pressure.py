"""How busy a PostgreSQL server is."""

from cleanup.backends.pressure import Load
from cleanup.backends.server import Server

# Locks are seen in pg_locks by every role, where pg_stat_activity would show an unprivileged one no waiter at all. The
# state of other roles' sessions is hidden from such a role; in that case the count is unknown, not low. They come in
# the order of ``Load``.
_FIGURES = """
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


def pressure(server: Server) -> Load:
    """Return the current figures."""
    return Load(*(None if figure is None else float(figure) for figure in server.ask_one(_FIGURES) or ()))
