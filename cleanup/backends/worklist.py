"""The statements of every batch on the worklist.

As text: Django would compose them again for each batch, which takes longer than executing them.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cleanup.backends.query import block
from cleanup.backends.session import Room

if TYPE_CHECKING:
    from cleanup.backends.database import Database

#: Whether a run, ``u``, may continue.
_MAY_CONTINUE = "u.status IN ('pending', 'running') AND NOT EXISTS (SELECT 1 FROM cleanup_control WHERE frozen)"


class Worklist(Room):
    """Results and totals of runs."""

    def __init__(self, database: "Database") -> None:
        super().__init__(database)
        self._listed = database.reading.listed

    def next_pending(
        self, run: UUID, *, after: str | None, size: int, descending: bool
    ) -> list[tuple[int, str, int | None, int]]:
        """Lock results that can be claimed together: id, application, point and attempts, at most ``size``.

        In the order of the applications' keys, beyond ``after``. None, if the run must not continue.
        """
        return self.fetch(
            block(
                """
                SELECT r.id, r.application_key, r.point_id, r.attempts
                  FROM cleanup_result AS r
                 WHERE r.run_id = %(run)s AND r.status = 'pending' AND NOT r.isolated
                   {beyond}
                   AND EXISTS (
                     SELECT 1 FROM cleanup_run AS u
                      WHERE u.id = %(run)s AND {may_continue}
                   )
                 ORDER BY r.application_key {order}
                 LIMIT %(size)s
                   {locked}
                """,
                beyond="" if after is None else f"AND r.application_key {'<' if descending else '>'} %(after)s",
                may_continue=_MAY_CONTINUE,
                order="DESC" if descending else "ASC",
                locked="FOR UPDATE OF r SKIP LOCKED" if self._locks_rows else "",
            ),
            run=self._uuid(run),
            size=size,
            **({} if after is None else {"after": after}),
        )

    def lock(self, results: Sequence[int], *, token: UUID | None) -> list[bool]:
        """Lock those of the results that are claimed under a token; return for each whether its run may continue."""
        locked = self.fetch(
            block(
                """
                SELECT {may_continue}
                  FROM cleanup_result AS r
                  JOIN cleanup_run AS u ON u.id = r.run_id
                 WHERE r.id IN ({results}) AND r.lease_token = %(token)s AND r.status = 'in_progress'
                 ORDER BY r.id
                   {locked}
                """,
                may_continue=_MAY_CONTINUE,
                results=self._listed([[str(result)] for result in results], [("id", "bigint")]),
                locked="FOR UPDATE OF r" if self._locks_rows else "",
            ),
            token=self._uuid(token),
        )
        return [bool(may_continue) for (may_continue,) in locked]

    def add(self, run: UUID, numbers: Mapping[str, int]) -> None:
        """Add numbers to columns of a run, and give a sign of life."""
        self.execute(
            block(
                "UPDATE cleanup_run SET heartbeat_at = {clock}, {additions} WHERE id = %(run)s",
                clock=self.session.clock(),
                additions=", ".join(f"{column} = {column} + %({column})s" for column in numbers),
            ),
            run=self._uuid(run),
            **numbers,
        )

    @cached_property
    def _locks_rows(self) -> bool:
        return bool(self.connection.features.has_select_for_update_skip_locked)

    def _uuid(self, value: UUID | None) -> Any:
        return value if value is None or self.connection.features.has_native_uuid_field else value.hex
