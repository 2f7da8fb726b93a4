"""What the latest stored check noted for the pages, so that no page looks at every folder of a large database.

An estimate of what a cleanup of everything would do, from a sample of the affected applications. Of a large database,
also which applications have the most duplicates, and how many a cleanup would leave alone: what a page would take
seconds to find out. A page that shows this says of when it is. ``check_notes`` takes the notes.
"""

from dataclasses import dataclass
from datetime import datetime

from cleanup.queries import AffectedApplication, SetAside
from cleanup.services.integrity import freshness

#: Where it stands in the summary of a check.
NOTED = "noted"


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
