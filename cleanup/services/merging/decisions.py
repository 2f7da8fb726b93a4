"""What to do with one application, or why it is left alone."""

from dataclasses import dataclass, field
from typing import Any

from cleanup.backends.references import Reference
from cleanup.exceptions import ApplicationError
from cleanup.forests import Staying
from cleanup.models import Result
from cleanup.planning import FolderRow, Plan, plan_merge
from cleanup.services.merging.collisions import GivingWay
from cleanup.services.merging.free_values import Renumbered
from cleanup.services.results import RootFolder

#: Code of an application that does not exist.
MISSING = "application_missing"

#: Folders of a batch beyond which they are read packed, and in pieces, and their columns apart.
MOST_COMPARED = 20_000

#: The plan of an application that is left alone.
NOTHING = plan_merge(())


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Which applications that are otherwise set aside are included."""

    held: bool = False
    large: bool = False


#: Neither those on hold nor those over the size limit.
USUAL = Inclusion()


@dataclass(slots=True)
class MergeDecision:
    """What to do with one application, or why it is left alone."""

    application: str
    plan: Plan = NOTHING
    status: str = ""
    """Empty: go ahead. Otherwise the status of its result."""
    code: str = ""
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    staying: Staying = field(default_factory=NOTHING.staying)
    """The folders that stay, if they are locked; ticked off when the merge is checked."""
    roots: tuple[RootFolder, ...] = ()
    """The root folders that would take in others, the oldest first, if folders were compared."""
    folders: dict[str, FolderRow] = field(default_factory=dict)
    """Every folder, if asked for or if more than the key is copied; may be a hundred thousand."""
    unused: frozenset[Reference] = frozenset()
    """References of other tables that no row makes to its folders, and that none can make while these are locked."""
    giving_way: list[GivingWay] = field(default_factory=list)
    """Rows that give way to a twin or a survivor's row."""
    renumbered: list[Renumbered] = field(default_factory=list)
    """Rows that take another name or number."""

    @property
    def goes_ahead(self) -> bool:
        """Return whether there is something to do."""
        return not self.status and not self.plan.empty

    @property
    def plan_hash(self) -> str:
        """Return the hash by which a person confirms what is done."""
        return self.plan.digest

    def refuse(self, error: ApplicationError) -> None:
        """Leave the application untouched, with the reason."""
        self.set_aside(Result.Status.FAILED, error.code, str(error))

    def set_aside(self, status: str, code: str, message: str) -> None:
        """Leave the application for a person, or because there is nothing to do."""
        self.status, self.code, self.message = status, code, message
