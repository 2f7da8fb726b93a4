"""How much a cleanup would do: a dry run of a sample, scaled to all affected applications.

Nothing is written and no row is locked. Applications are streamed; memory holds the sample's keys and one page.

Note [Rates]. Measured with PostgreSQL 18 and SQLite 3.40, one worker on two cores that were also busy with other work:
600 of 2,000 applications affected, 12,000 folders removed, 48,000 files moved. The own tables grew by 9.8 MB on
PostgreSQL (7.7 MB on SQLite), indexes included: 60 bytes for each moved row, the rest by folder removed. The
write-ahead log takes 0.7 kB for each row, 1.0 kB where whole pages are written after checkpoints. The figures give the
order of magnitude: a different machine, longer rows or other indexes change them.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cleanup import backends, conf, queries
from cleanup.models import Result
from cleanup.references import ReferenceMap
from cleanup.services.merging.forecast import Forecaster
from cleanup.services.merging.suggested_policies import add_policies, with_those_in_force
from cleanup.services.results import Estimate, FolderCleanupResult, LargestApplication

#: Affected applications that are planned; if there are no more than these, the estimate is exact.
SAMPLE = 1000

#: Applications over the size limit that are examined.
_LARGE_LISTED = 1000

# See Note [Rates].
_JOURNAL_BYTES_PER_ROW = 60
_JOURNAL_BYTES_PER_FOLDER = 600
_WAL_BYTES_PER_ROW = 1000


@dataclass(slots=True)
class _Affected:
    """All affected applications as they stream by, and a sample of them in which each is equally likely."""

    applications: int = 0
    duplicates: int = 0
    sample: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, *, using: str, size: int) -> "_Affected":
        found = cls()
        chance = random.Random(0)  # noqa: S311  # the same sample at every call
        for application in queries.affected_applications(using=using):
            found.applications += 1
            found.duplicates += application.duplicates
            if len(found.sample) < size:
                found.sample.append(application.application_id)
            elif (place := chance.randrange(found.applications)) < size:
                found.sample[place] = application.application_id
        found.sample.sort()
        return found


@dataclass(slots=True)
class _Tally:
    """The totals of a dry run of the sample."""

    folders: int = 0
    children: int = 0
    files: int = 0
    set_aside: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    colliding: int = 0
    collisions: set[str] = field(default_factory=set)
    """The tables in which rows would collide."""
    policies: dict[str, Any] = field(default_factory=dict)

    def add(self, result: FolderCleanupResult) -> None:
        self.folders += result.folders_removed
        self.children += result.child_folders_merged
        self.files += result.files_moved
        self.set_aside += result.status != Result.Status.COMPLETED
        self.rows.update(result.details.get("moved", {}))
        collisions = result.details.get("collisions", ())
        self.colliding += bool(collisions)
        self.collisions.update(collision["table"] for collision in collisions)
        add_policies(self.policies, result.details)


def estimate(*, using: str, references: ReferenceMap, sample: int = SAMPLE) -> Estimate:
    """Return what a cleanup of all affected applications would do."""
    affected = _Affected.read(using=using, size=sample)
    tally = _plan(affected.sample, using=using, references=references)
    factor = affected.applications / len(affected.sample) if affected.sample else 1.0
    folders, rows = round(tally.folders * factor), round(tally.rows.total() * factor)
    database = backends.database(using=using)
    largest, too_large = _large_applications(using=using)
    return Estimate(
        basis="exact" if len(affected.sample) == affected.applications else "sample",
        sampled_applications=len(affected.sample),
        applications=affected.applications,
        applications_set_aside=round(tally.set_aside * factor),
        colliding_applications=tally.colliding,
        colliding_tables=tuple(sorted(tally.collisions)),
        collision_policies=with_those_in_force(tally.policies),
        duplicates=affected.duplicates,
        folders_to_remove=folders,
        child_folders_to_merge=round(tally.children * factor),
        files_to_move=round(tally.files * factor),
        rows_by_table={table: round(count * factor) for table, count in sorted(tally.rows.items())},
        journal_bytes=rows * _JOURNAL_BYTES_PER_ROW + folders * _JOURNAL_BYTES_PER_FOLDER,
        wal_bytes=(rows + folders) * _WAL_BYTES_PER_ROW if database.write_ahead_log else None,
        seconds=round((rows + folders) * database.seconds_per_row, 1),
        largest_application=largest,
        too_large_applications=too_large,
    )


def _plan(keys: Sequence[str], *, using: str, references: ReferenceMap) -> _Tally:
    forecaster = Forecaster(using=using, references=references, session_name="cleanup preflight")
    tally = _Tally()
    for page in forecaster.pages(keys):
        for _, result in page:
            tally.add(result)
    return tally


def _large_applications(*, using: str) -> tuple[LargestApplication | None, int]:
    """Return the largest application of all, and how many affected ones a run would set aside for their size."""
    limit = conf.large_application()
    counted = queries.largest_applications(using=using, limit=_LARGE_LISTED)
    beyond = [key for key, folders in counted if folders > limit]
    affected = (
        backends.database(using=using).fetch(queries.affected_sql(using=using, applications=beyond)) if beyond else ()
    )
    largest = None
    if counted:
        key, folders = counted[0]
        largest = LargestApplication(application_id=key, folders=folders, too_large=folders > limit)
    return largest, len(affected)
