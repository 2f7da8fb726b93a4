"""What a person confirms: the applications of a cleanup that is about to start, each with its plan's hash.

Invariants: nothing is written and no row is locked. Many applications cost the statements of a batch, not of each.
Someone waits for it, so the folders examined are bounded: applications beyond that are set aside, to be confirmed by
themselves.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cleanup import backends, conf, queries
from cleanup.backends.folders import Cleanable
from cleanup.exceptions import StalePlan
from cleanup.folder_tables import folder_tables
from cleanup.references import ReferenceMap, cache
from cleanup.services.merging.decisions import USUAL, Inclusion
from cleanup.services.merging.forecast import Forecast, Forecaster

#: Applications confirmed together.
MOST = 100
#: Folders examined together.
MOST_FOLDERS = 20_000
#: Code of what is set aside beyond that.
TOO_MANY = "too_many_together"
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
    tables = folder_tables()
    keys = list(dict.fromkeys(tables.application_key.text(key) for key in applications))[:MOST]
    if not keys:
        return ()
    sizes = backends.database(using=using).reading.count_folders(tables, keys)
    examined = list(_bounded(keys, sizes))

    def forecast(references: ReferenceMap) -> list[Forecast]:
        forecaster = Forecaster(using=using, references=references, session_name="cleanup preview", include=include)
        return [one for page in forecaster.pages(examined) for one in page]

    found = {
        decision.application: MergeForecast(
            application_id=decision.application,
            plan_hash=decision.plan.digest,
            folders_removed=result.folders_removed,
            files_moved=result.files_moved,
            rows_moved=result.details.get("moved", {}),
            obstacle=decision.code,
        )
        for decision, result in cache.with_references(forecast, using=using)
    }
    return tuple(found.get(key) or MergeForecast(key, "", 0, 0, {}, TOO_MANY) for key in keys)


def is_examined(folders: int) -> bool:
    """Return whether an application with so many folders is examined while someone waits."""
    return folders <= min(MOST_FOLDERS, conf.large_application())


def _bounded(keys: Sequence[str], sizes: Mapping[str, int]) -> Iterator[str]:
    """Yield applications with so many folders as are examined together; what is very large is not read at all."""
    left = MOST_FOLDERS
    for key in keys:
        size = sizes.get(key, 0)
        read = size if size <= conf.large_application() else 0
        if read <= left:
            left -= read
            yield key


def worst(*, using: str, number: int, candidates: Sequence[str] | None = None) -> tuple[MergeForecast, ...]:
    """Return the expected outcomes for the applications with the most duplicates that can be cleaned up, worst first.

    Those on hold are not examined; those that turn out to be large or refused are replaced by the next ones, among the
    worst few hundred, or among the candidates that are known already. Raises PreflightFailed.
    """
    if candidates is None:
        candidates = queries.worst_applications(using=using, limit=CANDIDATES, cleanable=Cleanable(queued_first=False))
    found: list[MergeForecast] = []
    size = number
    while candidates and len(found) < number:
        some, candidates = candidates[:size], candidates[size:]
        examined = forecasts(using=using, applications=some)
        found += (forecast for forecast in examined if forecast.goes_ahead)
        if any(forecast.obstacle == TOO_MANY for forecast in examined):
            break
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
