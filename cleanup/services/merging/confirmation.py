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
from cleanup.services.merging.decisions import USUAL, Inclusion
from cleanup.services.merging.forecast import Forecast, Forecaster

#: Applications confirmed together.
MOST = 100
#: Applications examined for the worst ones.
CANDIDATES = 500


@dataclass(frozen=True, slots=True)
class MergeForecast:
    """The expected outcome for one application."""

    application_id: str
    plan_hash: str
    folders_removed: int
    files_moved: int
    rows_moved: Mapping[str, int]
    """By table, files and folders included."""
    obstacle: str
    """Code of what prevents the cleanup; empty if nothing does."""

    @property
    def goes_ahead(self) -> bool:
        """Return whether the cleanup would change it."""
        return not self.obstacle and self.folders_removed > 0


def forecasts(*, using: str, applications: Sequence[str], include: Inclusion = USUAL) -> tuple[MergeForecast, ...]:
    """Return the expected outcome for each application, in the order given. Raises InvalidKey and PreflightFailed."""
    text = folder_tables().application_key.text
    keys = list(dict.fromkeys(text(key) for key in applications))[:MOST]
    if not keys:
        return ()

    def forecast(references: ReferenceMap) -> list[Forecast]:
        forecaster = Forecaster(using=using, references=references, session_name="cleanup preview", include=include)
        return [one for page in forecaster.pages(keys) for one in page]

    return tuple(
        MergeForecast(
            application_id=decision.application,
            plan_hash=decision.plan.digest,
            folders_removed=result.folders_removed,
            files_moved=result.files_moved,
            rows_moved=result.details.get("moved", {}),
            obstacle=decision.code,
        )
        for decision, result in cache.with_references(forecast, using=using)
    )


def worst(*, using: str, number: int) -> tuple[MergeForecast, ...]:
    """Return the expected outcomes for the applications with the most duplicates that can be cleaned up, worst first.

    Those on hold are not examined; those that turn out to be large or refused are replaced by the next ones, among the
    worst few hundred. Raises PreflightFailed.
    """
    candidates = queries.worst_applications(using=using, limit=CANDIDATES, cleanable=Cleanable(queued_first=False))
    found: list[MergeForecast] = []
    size = number
    while candidates and len(found) < number:
        some, candidates = candidates[:size], candidates[size:]
        found += (forecast for forecast in forecasts(using=using, applications=some) if forecast.goes_ahead)
        size = min(2 * size, MOST)
    return tuple(found[:number])


def why_none(*, using: str) -> queries.SetAside:
    """Count the applications with duplicates, and those of them that a cleanup leaves alone."""
    return queries.count_set_aside(using=using, most_folders=conf.large_application())


def refuse_if_stale(
    *, using: str, applications: Sequence[str], include: Inclusion, confirmed: Mapping[str, str]
) -> None:
    """Raise StalePlan if an application's plan differs from the one that was confirmed, by application."""
    for forecast in forecasts(using=using, applications=applications, include=include):
        if confirmed.get(forecast.application_id) != forecast.plan_hash:
            raise StalePlan(application_id=forecast.application_id)
