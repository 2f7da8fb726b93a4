"""The dry run: what a cleanup of these applications would do now, page by page.

Invariants: nothing is written and no row is locked. A page costs the statements of a batch, and memory holds one page.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from cleanup.services.merging.consolidation import Consolidation, Decision, Inclusion
from cleanup.services.results import FolderCleanupResult

#: Applications examined together.
PAGE = 200

#: Neither those on hold nor those over the size limit.
USUAL = Inclusion()


class Foreseen(NamedTuple):
    """What would come of one application, and the plan by which it would."""

    decision: Decision
    result: FolderCleanupResult


def dry_run(
    consolidation: Consolidation,
    applications: Iterable[str],
    *,
    session_name: str,
    include: Inclusion = USUAL,
    compare: bool = False,
) -> Iterator[list[Foreseen]]:
    """Yield pages of what would come of each application, in the order given; ``compare`` as ``examine`` has it."""
    remaining = iter(applications)
    while page := list(islice(remaining, PAGE)):
        with consolidation.looking(session_name=session_name):
            decisions = consolidation.examine(page, include=include, lock=False, compare=compare)
            foreseen = [Foreseen(*pair) for pair in zip(decisions, consolidation.foresee(decisions), strict=True)]
        yield foreseen
