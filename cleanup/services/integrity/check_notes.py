"""The notes that a stored check takes for the pages; see ``outlook``, which reads them."""

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError

from cleanup import backends, conf, queries
from cleanup.exceptions import CleanupError
from cleanup.folder_tables import folder_tables
from cleanup.queries import AffectedApplication
from cleanup.references import ReferenceMap, cache
from cleanup.services.merging.forecast import Forecaster

#: Folders beyond which a page relies on the latest check instead of looking at each of them.
LARGE = 150_000
#: Applications that are planned for the estimate.
SAMPLE = 100
#: Applications with the most duplicates that are kept.
WORST = 200


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
            noted = (one.duplicates, one.application_id, one.roots)
            if len(self.worst) < WORST:
                heapq.heappush(self.worst, noted)
            elif noted > self.worst[0]:
                heapq.heapreplace(self.worst, noted)
            if one.application_id not in left_alone:
                self._seen += 1
                if len(self.sample) < SAMPLE:
                    self.sample.append(one.application_id)
                elif (place := int(self._chance.random() * self._seen)) < SAMPLE:
                    self.sample[place] = one.application_id

    def as_json(self, *, using: str) -> dict[str, Any]:
        """Return what is stored with the check; without an estimate if the database allows none now."""
        noted: dict[str, Any] = {}
        with suppress(CleanupError, DatabaseError):
            noted["estimate"] = _planned(self.sample, using=using)
        if _is_large(using=using):
            noted["worst"] = [[key, roots, number] for number, key, roots in sorted(self.worst, reverse=True)]
            aside = queries.count_set_aside(using=using, most_folders=conf.large_application())
            noted["aside"] = [aside.affected, aside.held, aside.large, aside.refused]
        return noted


def _is_large(*, using: str) -> bool:
    """Return whether a page had better not look at every folder."""
    tables = folder_tables()
    with suppress(CleanupError, DatabaseError):
        return cache.with_references(lambda known: known.tables[known.folders.name].estimated_rows > LARGE, using=using)
    return tables.folder._base_manager.using(using).count() > LARGE


def _planned(sample: Sequence[str], *, using: str) -> list[Any]:
    """Plan the sample; return number of applications, folders, files and seconds."""

    def plan(references: ReferenceMap) -> Counter[str]:
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
