"""Findings of integrity verification: their form, and the tally that counts, keeps and stores them.

Invariant: the tally's memory does not grow with the database. It holds counts, up to a hundred findings and a hundred
application ids of a kind; the rest is stored or only counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cleanup import conf
from cleanup.backends.finding_kinds import BY_CODE, CODES, ERRORS
from cleanup.models import Finding
from cleanup.services.results import FindingReport, VerificationReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cleanup.models import Verification

_OBJECT_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Found:
    """One finding."""

    code: str
    table: str
    object_key: str
    """Key of the row it is about; several columns are separated by commas. For siblings, the key of their parent."""
    application: str | None
    detail: Mapping[str, Any]
    hint: str

    @property
    def severity(self) -> Finding.Severity:
        """Return its severity."""
        return Finding.Severity(BY_CODE[self.code].severity)

    def reported(self) -> FindingReport:
        """Return the form that is sent."""
        return FindingReport(
            code=self.code,
            severity=self.severity.value,
            table=self.table,
            object_key=self.object_key,
            application_id=self.application,
            detail=self.detail,
            hint=self.hint,
        )

    def as_row(self, verification: Verification) -> Finding:
        """Return the row to store."""
        return Finding(
            verification=verification,
            code=self.code,
            severity=self.severity,
            table=self.table,
            object_key=self.object_key[:_OBJECT_KEY_LENGTH],
            application_key=self.application or "",
            detail=self.detail,
            hint=self.hint,
        )


@dataclass(slots=True)
class Tally:
    """What a verification has found so far; with a ``verification``, findings are stored under it as they come."""

    using: str
    verification: Verification | None = None
    counts: Counter[str] = field(default_factory=Counter)
    """Findings by code, whether kept or not."""
    child_duplicates: int = 0
    """Same-named siblings beyond the first of each group."""
    orphans_twice: Counter[str] = field(default_factory=Counter)
    """Orphaned folders and files: counted under two codes, but as one orphan."""
    _kept: defaultdict[str, list[Found]] = field(default_factory=lambda: defaultdict(list))
    _stored: Counter[str] = field(default_factory=Counter)
    _inconsistent: list[str] = field(default_factory=list)
    _inconsistent_left_out: int = 0

    @property
    def wanted(self) -> int:
        """How many findings of a code are useful."""
        return conf.list_limit() if self.verification is None else max(conf.finding_limit(), conf.list_limit())

    def add(self, findings: Iterable[Found]) -> None:
        """Keep findings to be listed and store them, up to the limits; this does not count them."""
        rows = []
        for found in findings:
            if len(self._kept[found.code]) < conf.list_limit():
                self._kept[found.code].append(found)
            if self.verification is not None and self._stored[found.code] < conf.finding_limit():
                self._stored[found.code] += 1
                rows.append(found.as_row(self.verification))
        if rows:
            Finding.objects.using(self.using).bulk_create(rows, batch_size=500)

    def add_inconsistent(self, applications: Iterable[str]) -> None:
        """Record applications with errors; none may be passed twice."""
        for application in sorted(applications):
            if len(self._inconsistent) < conf.list_limit():
                self._inconsistent.append(application)
            else:
                self._inconsistent_left_out += 1

    def report(self) -> VerificationReport:
        """Return the verification's report."""
        listed = self._fair_share(conf.list_limit())
        counts = {code: self.counts[code] for code in CODES if self.counts[code]}
        return VerificationReport(
            verification_id=None if self.verification is None else self.verification.pk,
            verification_passed=not any(code in counts for code in ERRORS),
            duplicate_parent_folders=self.counts["several_roots"],
            duplicate_child_folders=self.child_duplicates,
            orphaned_files=self._orphans("files", "file_of_missing_folder", "file_of_missing_application"),
            orphaned_folders=self._orphans("folders", "missing_parent", "folder_of_missing_application"),
            inconsistent_applications=tuple(sorted(self._inconsistent)),
            inconsistent_applications_left_out=self._inconsistent_left_out,
            findings=tuple(found.reported() for found in listed),
            findings_left_out=sum(counts.values()) - len(listed),
            counts=counts,
        )

    def _orphans(self, what: str, *codes: str) -> int:
        return sum(self.counts[code] for code in codes) - self.orphans_twice[what]

    def _fair_share(self, limit: int) -> list[Found]:
        """Take from every code in turn, so that a frequent one does not hide the others."""
        share: Counter[str] = Counter()
        for place in range(limit):
            for code in CODES:
                if share.total() < limit and place < len(self._kept[code]):
                    share[code] += 1
        return [found for code in CODES for found in self._kept[code][: share[code]]]
