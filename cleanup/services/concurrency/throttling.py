"""Throttling: what a run checks between its batches, and the reason why it waits.

Invariants: one check serves all workers of a process, and there are no more of them than the interval allows; what
cannot be measured is "unknown" and delays nothing; a host's hook that fails is logged, is "unknown", and delays nothing
either.
"""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from uuid import UUID

from cleanup import conf
from cleanup.backends import Database
from cleanup.backends.pinning import unpinned

logger = logging.getLogger(__name__)

#: The limits that make a run wait; for free disk space, the other way round.
_REASONS = {
    "lock_waiters": "sessions waiting for locks: {figure:g} (at most {limit:g})",
    "active_connections": "active connections of others: {figure:g} (at most {limit:g})",
    "connections_percent": "connections in use: {figure:g} percent (at most {limit:g})",
    "replica_lag_seconds": "lag of a replica: {figure:g} seconds (at most {limit:g})",
    "replica_lag_mb": "lag of a replica: {figure:.1f} MB (at most {limit:g})",
    "retained_wal_mb": "log kept for a replication slot: {figure:.1f} MB (at most {limit:g})",
    "free_disk_mb": "free disk space: {figure:.0f} MB (at least {limit:g})",
}
_LEAST = {"free_disk_mb"}

_HOOK = "hook"
_REASON_LENGTH = 200


class Throttle:
    """What the workers of one process know about the database's state."""

    def __init__(self, *, using: str, run_id: UUID) -> None:
        self.using = using
        self.run_id = run_id
        self.reason = ""
        """Why to wait; empty: continue."""
        self.probes: dict[str, Any] = {}
        """The latest figures, or ``"unknown"``, as the run shows them."""
        self._lock = threading.Lock()
        self._due = 0.0

    def look(self, backend: Database) -> bool:
        """Check the database unless that was done a moment ago; return whether it was checked."""
        with self._lock:
            if time.monotonic() < self._due:
                return False
            limits = {name: limit for name, limit in conf.throttle_limits().items() if limit is not None}
            self.probes = {}
            before = self.reason
            reasons = [*self._of_database(backend, limits), *self._of_host()] if limits else [*self._of_host()]
            self.reason = "; ".join(reasons)[:_REASON_LENGTH]
            if bool(before) != bool(self.reason):
                self._log()
            self._due = time.monotonic() + conf.throttle_interval().total_seconds()
            return True

    def _log(self) -> None:
        if self.reason:
            logger.info("the run is waiting: %s", self.reason, extra={"event": "waiting"})
        else:
            logger.info("the run continues", extra={"event": "going_on"})

    def _of_database(self, backend: Database, limits: dict[str, float]) -> Iterator[str]:
        for name, figure in asdict(backend.pressure()).items():
            if name not in limits:
                continue
            self.probes[name] = "unknown" if figure is None else round(figure, 1)
            if figure is not None and (figure < limits[name] if name in _LEAST else figure > limits[name]):
                yield _REASONS[name].format(figure=figure, limit=limits[name])

    def _of_host(self) -> Iterator[str]:
        hook = conf.throttle()
        if hook is None:
            return
        try:
            with unpinned(using=self.using):
                reason = hook(using=self.using, run_id=str(self.run_id))
        except Exception as error:  # noqa: BLE001  # the host's own code
            logger.warning("CLEANUP_THROTTLE failed (%s)", type(error).__name__, extra={"event": "hook_failed"})
            self.probes[_HOOK] = "unknown"
            return
        self.probes[_HOOK] = bool(reason)
        if reason:
            yield str(reason)
