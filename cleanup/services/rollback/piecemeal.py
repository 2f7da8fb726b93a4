"""Restore as many rows as the database accepts, if it refuses some of them.

A part that is refused is halved and tried again, down to the single row, which is then a conflict. For n rows of which
k are refused, that takes about k * log2(n) attempts, each a constant number of statements.

Invariant: a row is tried after, or together with, the rows of its table that it needs; if one of them is not restored,
neither is the row, nor anything that needs it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial

from cleanup.backends.catalogue import TableName
from cleanup.backends.changes import Cell, ImageLink, Restoration, RowConflict, RowCount
from cleanup.backends.refusals import Refusal, attempted
from cleanup.journal import JournaledRow

Key = tuple[Cell, ...]


class Needs:
    """Which rows of a table need which others."""

    def __init__(self, links: Iterable[ImageLink] = ()) -> None:
        self._needing: defaultdict[Key, list[ImageLink]] = defaultdict(list)
        for link in links:
            self._needing[link.needs].append(link)

    def dependents(self, gone: Iterable[Key], *, away: Collection[Key] = ()) -> Iterator[ImageLink]:
        """Yield the rows that need one that is gone, directly or through others, once each; none that are gone.

        In time proportional to what is yielded, whatever the depth.
        """
        reached = list(gone)
        seen = {*reached, *away}
        while reached:
            for link in self._needing.get(reached.pop(), ()):
                if link.key not in seen:
                    seen.add(link.key)
                    reached.append(link.key)
                    yield link

    def in_order(self, rows: Sequence[JournaledRow]) -> list[JournaledRow]:
        """Return the rows so that each comes after those that it needs; rows in a cycle come last."""
        by_key = {row.key: row for row in rows}
        waiting_for: defaultdict[Key, int] = defaultdict(int)
        for links in self._needing.values():
            for link in links:
                waiting_for[link.key] += link.needs in by_key
        ready = [row for row in rows if not waiting_for[row.key]]
        for row in ready:  # which grows
            for link in self._needing.get(row.key, ()):
                waiting_for[link.key] -= 1
                if not waiting_for[link.key] and link.key in by_key:
                    ready.append(by_key[link.key])
        ordered = {row.key for row in ready}
        return ready + [row for row in rows if row.key not in ordered]


def missing(links: Iterable[ImageLink], table: TableName) -> Iterator[RowConflict]:
    """Yield the conflicts of rows that are not restored because others are not."""
    for link in links:
        yield RowConflict(link.point, table, "missing_target", link.key, link.column)


def restore_piecemeal(
    rows: Sequence[JournaledRow],
    restore: Callable[[Sequence[JournaledRow]], Restoration],
    *,
    using: str,
    table: TableName,
    needs: Needs,
) -> Restoration:
    """Restore the rows part by part; ``restore`` restores a part, all of it or what does not conflict."""
    restored: list[RowCount] = []
    conflicts: list[RowConflict] = []
    away: set[Key] = set()
    parts = [needs.in_order(rows)]
    while parts:
        part = [row for row in parts.pop() if row.key not in away]
        if not part:
            continue
        outcome = attempted(partial(restore, part), using=using)
        if isinstance(outcome, Refusal):
            if len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
                continue
            (row,) = part
            outcome = Restoration(
                [], [RowConflict(row.point, table, outcome.code, row.key, constraint=outcome.constraint)]
            )
        restored += outcome.restored
        conflicts += outcome.conflicts
        gone = {conflict.key for conflict in outcome.conflicts}
        below = list(needs.dependents(gone, away=away))
        conflicts += missing(below, table)
        away |= gone | {link.key for link in below}
        if gone and not outcome.restored:  # a conflicting one may have prevented the others
            parts.append(part)
    return Restoration(restored, conflicts)
