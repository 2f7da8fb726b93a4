"""What a person confirms: the applications of a cleanup that is about to start, each with its plan's hash.

Invariants: nothing is written and no row is locked. Many applications cost the statements of a batch, not of each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cleanup import conf, queries
from cleanup.backends.folders import Cleanable
from cleanup.exceptions import StalePlan
from cleanup.folder_tables import folder_tables
from cleanup.references import ReferenceMap, cache
from cleanup.services.merging.consolidation import Consolidation, Inclusion
from cleanup.services.merging.dry_run import USUAL, Foreseen, dry_run

#: Applications confirmed together.
MOST = 100
#: Applications looked at for the worst ones.
CANDIDATES = 500


@dataclass(frozen=True, slots=True)
class Prospect:
    """What would come of one application."""

    application_id: str
    plan_hash: str
    folders_removed: int
    files_moved: int
    obstacle: str
    """Code of what keeps it from being cleaned up; empty where nothing does."""

    @property
    def goes_ahead(self) -> bool:
        """Tell whether the cleanup would change it."""
        return not self.obstacle and self.folders_removed > 0


def prospects(*, using: str, applications: Sequence[str], include: Inclusion = USUAL) -> tuple[Prospect, ...]:
    """Return what would come of each application, in the order given. Raises InvalidKey and PreflightFailed."""
    text = folder_tables().application_key.text
    keys = list(dict.fromkeys(text(key) for key in applications))[:MOST]
    if not keys:
        return ()

    def look(references: ReferenceMap) -> tuple[Prospect, ...]:
        consolidation = Consolidation(using=using, references=references)
        pages = dry_run(consolidation, keys, include=include, session_name="cleanup preview")
        return tuple(_prospect(foreseen) for page in pages for foreseen in page)

    return cache.with_references(look, using=using)


def _prospect(foreseen: Foreseen) -> Prospect:
    return Prospect(
        application_id=foreseen.decision.application,
        plan_hash=foreseen.decision.plan.digest,
        folders_removed=foreseen.result.folders_removed,
        files_moved=foreseen.result.files_moved,
        obstacle=foreseen.decision.code,
    )


def worst(*, using: str, number: int) -> tuple[Prospect, ...]:
    """Return what would come of the applications with the most duplicates that can be cleaned up, worst first.

    Those on hold are not looked at; those that turn out to be large or refused give way to the next ones, of the worst
    few hundred. Raises PreflightFailed.
    """
    candidates = queries.worst_applications(using=using, limit=CANDIDATES, cleanable=Cleanable(queued_first=False))
    found: list[Prospect] = []
    size = number
    while candidates and len(found) < number:
        some, candidates = candidates[:size], candidates[size:]
        found += (prospect for prospect in prospects(using=using, applications=some) if prospect.goes_ahead)
        size = min(2 * size, MOST)
    return tuple(found[:number])


def why_none(*, using: str) -> queries.SetAside:
    """Count the applications with duplicates, and those of them that a cleanup leaves alone."""
    return queries.count_set_aside(using=using, most_folders=conf.large_application())


def refuse_if_stale(*, now: Sequence[Prospect], confirmed: Mapping[str, str]) -> None:
    """Raise StalePlan where an application's plan is another than the one that was confirmed, by application."""
    for prospect in now:
        if confirmed.get(prospect.application_id) != prospect.plan_hash:
            raise StalePlan(application_id=prospect.application_id)
