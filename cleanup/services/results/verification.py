"""Integrity verifications and their findings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cleanup.services.results.document import JSON, OPTIONAL, Document


@dataclass(frozen=True, slots=True)
class FindingReport(Document):
    """One thing that a verification found."""

    code: str
    severity: str
    """``error`` or ``warning``."""
    table: str
    object_key: str
    application_id: str | None
    detail: Mapping[str, Any]
    hint: str
    """A command, or the SELECT that lists all."""


@dataclass(frozen=True, slots=True)
class VerificationReport(Document):
    """An integrity verification."""

    verification_id: int | None
    """Null for one application."""
    verification_passed: bool
    duplicate_parent_folders: int
    """Applications with duplicate root folders."""
    duplicate_child_folders: int
    """Same-named folders beyond the first of each group."""
    orphaned_files: int
    orphaned_folders: int
    inconsistent_applications: tuple[str, ...]
    inconsistent_applications_left_out: int
    findings: tuple[FindingReport, ...]
    findings_left_out: int
    counts: Mapping[str, int]
    """Findings by code."""
    verified_at: datetime | None = field(default=None, metadata=OPTIONAL)
    """Of the whole database."""

    @classmethod
    def stored(cls, summary: JSON, *, verified_at: datetime | None) -> "VerificationReport":
        """Return the report of a verification that was stored as JSON."""
        stored = {
            "findings": tuple(FindingReport(**finding) for finding in summary["findings"]),
            "inconsistent_applications": tuple(summary["inconsistent_applications"]),
        }
        return cls(**{**summary, **stored, "verified_at": verified_at})
