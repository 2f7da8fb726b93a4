"""Consistency checks."""

from dataclasses import dataclass, field
from datetime import datetime

from cleanup.services.results.document import OPTIONAL, ApplicationId, Document
from cleanup.services.results.verification import VerificationReport


@dataclass(frozen=True, slots=True)
class DuplicateApplication(Document):
    """An application with duplicates."""

    application_id: ApplicationId
    root_folders: int
    """Live root folders."""
    duplicates: int
    """Folders beyond the first of each group."""


@dataclass(frozen=True, slots=True)
class CheckedApplication(DuplicateApplication):
    """An application with duplicates, as a check lists it."""

    waiting_for_decision: bool
    """On hold, refused or too large."""


@dataclass(frozen=True, slots=True)
class CheckReport(Document):
    """A consistency check."""

    check_time: datetime
    duplicate_applications_found: int
    duplicate_applications: tuple[CheckedApplication, ...]
    duplicate_applications_left_out: int
    waiting_for_decision: int
    """Held, refused or too large: these do not count towards the threshold."""
    integrity_verification: VerificationReport
    """The latest stored one, or a fresh one."""
    needs_cleanup: bool
    """There are duplicates, or the verification did not pass."""
    alert_threshold_exceeded: bool
    late_arrivals: int | None = field(default=None, metadata=OPTIONAL)
    """Of a stored check: rows that were re-pointed."""
