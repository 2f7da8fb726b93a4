"""The outcome of repairs."""

from dataclasses import dataclass

from cleanup.services.results.cleanup import CleanupReport
from cleanup.services.results.document import ApplicationId, Document, FolderId


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
    """``no_application``, ``missing_application``, ``undecided``, ``not_approved`` or ``unreachable``."""
    sentence: str
    """Why, and what would help."""


@dataclass(frozen=True, slots=True)
class NameGroupFolder(Document):
    """One of several folders side by side whose names look the same."""

    folder_id: FolderId
    name: str
    files: int
    linked_records: int
    """Rows of all other tables that refer to it, folders in it included."""


@dataclass(frozen=True, slots=True)
class ProposedGroup(Document):
    """Folders side by side whose names differ only in case, Unicode form or blanks."""

    application_id: ApplicationId
    parent_id: FolderId
    decision: str
    """``approved``, ``dismissed``, or empty if nobody has decided about these names."""
    folders: tuple[NameGroupFolder, ...]
    """The oldest first."""


@dataclass(frozen=True, slots=True)
class NameGroupList(Document):
    """The groups of an application."""

    results: tuple[ProposedGroup, ...]


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
