"""What a stored check notes for the pages, so that no page looks at every folder of a large database.

An estimate of what a cleanup of everything would do, from a sample of the affected applications. Of a large database,
also which applications have the most duplicates, and how many a cleanup would leave alone: what a page would take
seconds to find out. A page that shows this says of when it is.
"""

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError

from cleanup import backends, conf, queries
from cleanup.exceptions import CleanupError
from cleanup.folder_tables import folder_tables
from cleanup.queries import AffectedApplication, SetAside
from cleanup.services.integrity import freshness

if TYPE_CHECKING:
    from cleanup.references import ReferenceMap

#: Where it stands in the summary of a check.
NOTED = "noted"
#: Folders beyond which a page relies on the latest check instead of looking at each of them.
LARGE = 150_000
#: Applications that are planned for the estimate.
SAMPLE = 100
#: Applications with the most duplicates that are kept.
WORST = 200


@dataclass(frozen=True, slots=True)
class Estimate:
    """What cleaning up some of the applications would do."""

    applications: int
    folders: int
    files: int
    seconds: float

    def of(self, applications: int) -> "Estimate":
        """Scale it to so many applications."""
        factor = applications / self.applications if self.applications else 0.0
        return Estimate(applications, round(self.folders * factor), round(self.files * factor), self.seconds * factor)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the latest completed check noted."""

    checked_at: datetime
    outdated: bool
    """A run has changed folders since it began."""
    estimate: Estimate | None
    worst: tuple[AffectedApplication, ...] = ()
    """Empty unless the database is large."""
    aside: SetAside | None = None
    """None unless the database is large."""


@dataclass(slots=True)
class Notes:
    """Taken while a check streams the affected applications by: a sample in which each is equally likely, the worst."""

    sample: list[str] = field(default_factory=list)
    worst: list[tuple[int, str, int]] = field(default_factory=list)
    _seen: int = 0
    _chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  # the same at every check

    def add(self, applications: Iterable[AffectedApplication], left_alone: set[str]) -> None:
        """Note some applications; those that a cleanup would leave alone are not part of the sample."""
        for one in applications:
            heapq.heappush(self.worst, (one.duplicates, one.application_id, one.roots))
            if len(self.worst) > WORST:
                heapq.heappop(self.worst)
            if one.application_id not in left_alone:
                self._seen += 1
                if len(self.sample) < SAMPLE:
                    self.sample.append(one.application_id)
                elif (place := self._chance.randrange(self._seen)) < SAMPLE:
                    self.sample[place] = one.application_id

    def as_json(self, *, using: str) -> dict[str, Any]:
        """Return what is stored with the check; without an estimate if the database allows none now."""
        noted: dict[str, Any] = {}
        with suppress(CleanupError, DatabaseError):
            noted["estimate"] = _planned(self.sample, using=using)
        if is_large(using=using):
            noted["worst"] = [[key, roots, number] for number, key, roots in sorted(self.worst, reverse=True)]
            aside = queries.count_set_aside(using=using, most_folders=conf.large_application())
            noted["aside"] = [aside.affected, aside.held, aside.large, aside.refused]
        return noted


def is_large(*, using: str) -> bool:
    """Return whether a page had better not look at every folder."""
    from cleanup.references import cache  # noqa: PLC0415  # starting must not cost what planning needs

    tables = folder_tables()
    with suppress(CleanupError, DatabaseError):
        return cache.with_references(lambda known: known.tables[known.folders.name].estimated_rows > LARGE, using=using)
    return tables.folder._base_manager.using(using).count() > LARGE


def _planned(sample: Sequence[str], *, using: str) -> list[Any]:
    """Plan the sample; return number of applications, folders, files and seconds."""
    from cleanup.references import cache  # noqa: PLC0415  # as above
    from cleanup.services.merging.forecast import Forecaster  # noqa: PLC0415  # as above

    def plan(references: "ReferenceMap") -> Counter[str]:
        forecaster = Forecaster(using=using, references=references, session_name="cleanup check")
        found: Counter[str] = Counter()
        for page in forecaster.pages(sample):
            for _, result in page:
                found["folders"] += result.folders_removed
                found["files"] += result.files_moved
                found["rows"] += sum(result.details.get("moved", {}).values())
        return found

    found = cache.with_references(plan, using=using)
    seconds = (found["folders"] + found["rows"]) * backends.database(using=using).seconds_per_row
    return [len(sample), found["folders"], found["files"], round(seconds, 3)]


def latest(*, using: str) -> Outlook | None:
    """Return what the latest completed check noted, in one query; None if there was no check."""
    found = freshness.latest_answered(using=using)
    if found is None:
        return None
    check, outdated = found
    noted = check.summary.get(NOTED, {})
    estimate, aside = noted.get("estimate"), noted.get("aside")
    return Outlook(
        check.ended_at or check.started_at,
        outdated,
        Estimate(*estimate) if estimate else None,
        tuple(AffectedApplication(*one) for one in noted.get("worst", ())),
        SetAside(*aside) if aside else None,
    )
