"""The outcome of repairs."""

from dataclasses import dataclass

from cleanup.services.results.cleanup import CleanupReport
from cleanup.services.results.document import Document


@dataclass(frozen=True, slots=True)
class RepairChange(Document):
    """One change that a repair would make, in words."""

    application_id: str
    row: str
    """``folder`` or ``file``."""
    row_id: str
    column: str
    """``parent``, ``application``, ``name`` or ``folder``."""
    sentence: str


@dataclass(frozen=True, slots=True)
class NotRepaired(Document):
    """One finding that the repair leaves as it is."""

    row: str
    """``folder`` or ``file``."""
    row_id: str
    application_id: str | None
    reason: str
    """``no_application``, ``missing_application`` or ``undecided``."""
    sentence: str
    """Why, and what would help."""


@dataclass(frozen=True, slots=True)
class RepairReport(CleanupReport):
    """A repair's totals and its results, one for each application that takes in what had no place."""

    repair: str = ""
    """The code of the findings."""
    findings_repaired: int = 0
    folders_made: int = 0
    changes: tuple[RepairChange, ...] = ()
    """For a dry run, the first changes."""
    changes_left_out: int = 0
    not_repaired: tuple[NotRepaired, ...] = ()
    not_repaired_left_out: int = 0
