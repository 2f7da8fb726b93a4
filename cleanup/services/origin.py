"""Whether this database is the one that work was done in, or a copy of it.

Note [A copy does nothing by itself]. The service's row records which database it belongs to, and each run where it was
started. Everything automatic asks here first: the heartbeat with its schedules, every task of a cluster, every claim,
and whatever queues work for clusters. On a copy they leave everything as it is until a person adopts it. What a person
starts in a process of their own (a cleanup, a verification) is done on a copy as anywhere; but a run of the original
must be adopted for that, too.

Note [A failover under a living process]. A promoted standby looks like a copy: its server's timeline is a later one. A
process that has worked on the database before and finds it promoted behind the same address has been led there by the
people who run the servers. It takes the database to be the same; a process that starts later cannot know, and waits.
"""

import logging
from dataclasses import dataclass

from django.db import ProgrammingError, connections, transaction
from django.db.models.functions import Now

from cleanup import backends
from cleanup.backends.identity import difference, is_promoted, is_same
from cleanup.backends.server import contained
from cleanup.exceptions import ForeignDatabase, RestoredCopy
from cleanup.models import AutomationState, Run

logger = logging.getLogger(__name__)

#: The one command that adopts a copy.
ADOPT = "manage.py database_cleanup --adopt"

#: By alias: the database that this process has worked on.
_worked_on: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Copied:
    """This database is a copy that was not adopted."""

    original: str
    here: str | None
    """None: the server does not reveal it."""

    @property
    def difference(self) -> str:
        """How it differs from the original, as the second half of a sentence."""
        if self.here is None:
            return "the server no longer says which database it is"
        return difference(self.original, self.here)

    @property
    def sentence(self) -> str:
        """The message for people."""
        return (
            f"This database is a copy that was not adopted: {self.difference}. "
            "Schedules, clusters and interrupted runs do nothing here."
        )


def copied(*, using: str) -> Copied | None:
    """Return what makes this database a copy; None if it is the original."""
    return compared(recorded(using=using), using=using)


def compared(original: str, *, using: str) -> Copied | None:
    """Compare this database with the recorded one; if none was recorded, it is not known to be a copy."""
    if not original:
        return None
    here = _here(using=using)
    return None if here is not None and is_same(original, here) else Copied(original, here)


def recorded(*, using: str) -> str:
    """Return the database that the rows belong to; empty if that was not recorded yet."""
    return AutomationState.objects.using(using).filter(pk=1).values_list("database_identity", flat=True).first() or ""


def record(*, using: str) -> None:
    """Record which database this is, unless it was recorded before, here or in the original of a copy.

    A copy of a database from before there was such a record is recognised by its newest run.
    """
    states = AutomationState.objects.using(using).filter(pk=1, database_identity="")
    if not states.exists():
        return
    newest = Run.objects.using(using).order_by("-created_at").values_list("database_identity", flat=True).first()
    known, here = newest or "", _here(using=using) or ""
    states.update(database_identity=here if is_same(known or here, here) else known)


def refuse_copy(*, using: str) -> None:
    """Raise RestoredCopy if clusters do nothing here."""
    found = copied(using=using)
    if found is not None:
        raise RestoredCopy(difference=found.difference)


def is_at_rest(*, using: str) -> bool:
    """Return whether to leave everything as it is; asked by everything that clusters do automatically."""
    original = recorded(using=using)
    found = compared(original, using=using)
    if found is None:
        _worked_on[using] = original
        return False
    return found.here is None or not _follow(found.here, using=using)


def require_own(run: Run, *, using: str) -> None:
    """Raise ForeignDatabase if the run belongs to a different database; called before every claim."""
    here = backends.database(using=using).identity()
    if is_same(run.database_identity, here):
        _worked_on[using] = here
    elif _follow(here, using=using):
        run.database_identity = here
    else:
        raise ForeignDatabase(run_id=run.pk)


def interrupted(*, using: str) -> list[Run]:
    """Return the runs that clusters resume once a copy is adopted."""
    return list(Run.objects.using(using).claimable())


def adopt(*, using: str, by: str) -> None:
    """Make this the original, and all runs its own."""
    here = backends.database(using=using).identity()
    with transaction.atomic(using=using):
        AutomationState.objects.using(using).filter(pk=1).update(
            database_identity=here, adopted_at=Now(), adopted_by=by
        )
        Run.objects.using(using).exclude(database_identity=here).update(database_identity=here)
    logger.warning("this database was adopted", extra={"event": "database_adopted", "by": by})


def _follow(here: str, *, using: str) -> bool:
    """Take a promoted server to be the previous one, if this process knows that one; see the note above."""
    before = _worked_on.get(using, "")
    if not is_promoted(before, here):
        return False
    with transaction.atomic(using=using):
        for model in (AutomationState, Run):
            rows = model.objects.using(using)
            identities = rows.order_by().values_list("database_identity", flat=True).distinct()
            old = [identity for identity in identities if identity and is_same(identity, before)]
            rows.filter(database_identity__in=old).update(database_identity=here)
    _worked_on[using] = here
    logger.warning(
        "the server was promoted while this process was running, and is taken to be the same: %s",
        difference(before, here),
        extra={"event": "failover_followed"},
    )
    return True


def _here(*, using: str) -> str | None:
    """Return which database this is, if the role may know."""
    try:
        with contained(connections[using]):
            return backends.database(using=using).identity()
    except ProgrammingError:
        return None
