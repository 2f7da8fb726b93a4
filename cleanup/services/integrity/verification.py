"""Prove the database consistent, or report exactly what is wrong with it.

Invariants: mapped tables are only read, and never locked. A finding has a stable code and a hint that can be run as it
is. A verification of the whole database is stored with up to ``CLEANUP_FINDING_LIMIT`` findings of each code; one
of a single application is not.

Note [Short statements]. Duplicates, names, folders and files are checked in ranges of applications, each range in
statements of its own. Two checks take one statement over a whole table: where the cycles are, and which rows of another
table name no folder. Memory holds one range's counts, and the folders that the walk for cycles did not reach:
those in or below a cycle, or deeper than 64 levels.

Note [Whose finding]. A finding belongs to the application of the row it is about; a late arrival without one belongs to
the application that was merged. A dangling reference belongs to none, so verifying one application leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from cleanup import backends, references
from cleanup.analysis import Edge, normalized, similar_groups
from cleanup.backends import cycles, owned_rows, tree_findings
from cleanup.backends.finding_kinds import BY_CODE, ERRORS
from cleanup.backends.findings import ORPHAN_TWICE
from cleanup.backends.forest import Scope
from cleanup.backends.hints import Hints
from cleanup.backends.shapes import root_marks
from cleanup.backends.tree_columns import ClosureTable
from cleanup.folder_tables import folder_tables
from cleanup.guards.differences import DifferenceKind, guard_differences
from cleanup.models import NameGroup, Verification
from cleanup.models.operations import NAME_LENGTH
from cleanup.queries import application_ranges, existing_application
from cleanup.references.mapped_types import refuse_unlike_types
from cleanup.services.integrity.findings import Found, Tally
from cleanup.services.results import VerificationReport

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from cleanup.backends.findings import FindingSql
    from cleanup.backends.query import Query
    from cleanup.references import ReferenceMap
    from cleanup.services.results import JSON

#: Names that a finding about names quotes.
_NAMES_QUOTED = 10


def verify(
    *,
    using: str,
    application_id: Any = None,
    progress: Callable[[int, int], None] | None = None,
    started_by: str = "",
    verification: Verification | None = None,
) -> VerificationReport:
    """Verify the whole database, or one application.

    ``verification`` is the row to store it in, if it was written beforehand.

    ``progress`` is called with the number of steps done and of all steps. Raises UnknownObject, InvalidKey,
    DatabaseUnusable.
    """
    key = None if application_id is None else existing_application(using=using, application_id=application_id)
    verifier = _Verifier(using=using, progress=progress)
    if key is not None:
        verifier.verify_application(key)
        return verifier.tally.report()
    if verification is None:
        verification = Verification.objects.using(using).create(started_by=started_by)
    verifier.tally.verification = verification
    verifier.verify_everything()
    report = verifier.tally.report()
    Verification.objects.using(using).filter(pk=verification.pk).update(
        ended_at=Now(), passed=report.verification_passed, counts=report.counts, summary=report.as_json()
    )
    verification.refresh_from_db(fields=["ended_at"])
    return replace(report, verified_at=verification.ended_at)


def latest_verification(*, using: str) -> VerificationReport | None:
    """Return the latest verification of the whole database, or None."""
    latest = Verification.objects.using(using).exclude(ended_at=None).exclude(passed=None).order_by("-id").first()
    return None if latest is None else VerificationReport.stored(latest.summary, verified_at=latest.ended_at)


@dataclass(frozen=True, slots=True, order=True)
class _Row:
    """One row of a pass's answer: a count, or an example."""

    example: int
    code: str
    number: int
    """For a count, the findings; for an example, its position among those of its code."""
    surplus: int
    application: str | None = field(compare=False)
    object_key: str | None = field(compare=False)
    target: str | None = field(compare=False)
    survivor: str | None = field(compare=False)
    name: str | None = field(compare=False)


def _answer(sql: FindingSql, parts: Sequence[Query], *, examples: int) -> list[_Row]:
    return sorted(_Row(*row) for row in sql.fetch(sql.answer(parts, examples=examples)))


@dataclass(frozen=True, slots=True)
class _Pass:
    """What the findings of a pass have in common."""

    table: str
    rows: str = ""
    """``folders`` or ``files``, if the pass searches for orphans."""
    column: str = ""
    """The column that names a folder."""
    hints: Mapping[str, str] = field(default_factory=dict)


class _Verifier:
    """Runs the queries, in order, and passes the answers to the tally."""

    def __init__(self, *, using: str, progress: Callable[[int, int], None] | None) -> None:
        self.using = using
        self.references: ReferenceMap = references.discover(using=using)
        refuse_unlike_types(self.references)
        loose = self.references.loose_files
        self.sql = backends.database(using=using).findings(folder_tables(), loose_files=loose)
        self.hints = Hints(self.sql, self.references)
        self.tally = Tally(using=using)
        self.folders = str(self.references.folders.name)
        self.root_marks = root_marks(self.sql.tables.folder_key)
        self.unicode, self.collation = self.sql.abilities()
        self._progress = progress
        self._steps_done = 0

    def verify_everything(self) -> None:
        self._verify_shape()
        cyclic = self._verify_cycles(cycles.whole(self.sql))
        scopes = list(self._scopes())
        steps = len(scopes) + len(self.references.references)
        for scope in scopes:
            inconsistent = self._verify_rows(scope)
            self.tally.add_inconsistent(inconsistent)
            cyclic -= inconsistent
            self._step(steps)
        self.tally.add_inconsistent(cyclic)
        self._verify_references(application=None, steps=steps)
        self._verify_guards()

    def verify_application(self, key: str) -> None:
        scope = Scope(keys=(key,))
        cyclic = self._verify_cycles(cycles.within(self.sql, scope))
        self.tally.add_inconsistent(self._verify_rows(scope) | cyclic)
        self._verify_references(application=key, steps=len(self.references.references))

    def _scopes(self) -> Iterator[Scope]:
        whole = False
        for scope in application_ranges(using=self.using):
            whole = scope.whole
            yield scope
        if not whole:
            yield Scope(without_application=True)

    def _step(self, steps: int) -> None:
        self._steps_done += 1
        if self._progress is not None:
            self._progress(self._steps_done, steps)

    # In ranges of applications.

    def _verify_rows(self, scope: Scope) -> set[str]:
        """Return the applications with errors."""
        sql, tables, references = self.sql, self.sql.tables, self.references
        inconsistent: set[str] = set()
        if not scope.without_application:
            inconsistent |= self._ask(sql.duplicates(scope), _Pass(self.folders))
            self._verify_names(scope)
        hints = {"late_arrival": self.hints.late(of_files=False)}
        inconsistent |= self._ask(
            owned_rows.of_folders(sql, scope, unicode=self.unicode),
            _Pass(self.folders, "folders", tables.folder_parent, hints),
        )
        if tables.file:
            hints = {"late_arrival": self.hints.late(of_files=True)}
            inconsistent |= self._ask(
                owned_rows.of_files(sql, tables.file, scope),
                _Pass(str(references.file_table), "files", tables.file.folder, hints),
            )
        for columns in references.tree_columns:
            table = str(columns.table) if isinstance(columns, ClosureTable) else self.folders
            of = _Pass(table, column="+".join(columns.columns))
            inconsistent |= self._ask(tree_findings.of_tree(sql, columns, scope), of)
        return inconsistent

    def _ask(self, parts: Sequence[Query], of: _Pass) -> set[str]:
        """Return the applications with errors."""
        inconsistent = set()
        examples = []
        for row in _answer(self.sql, parts, examples=self.tally.wanted):
            if row.example:
                examples.append(self._found(row, of))
            elif row.code == ORPHAN_TWICE:
                self.tally.orphans_twice[of.rows] += row.number
            else:
                self.tally.counts[row.code] += row.number
                if row.code == "same_named_siblings":
                    self.tally.child_duplicates += row.surplus
                if row.code in ERRORS and row.application is not None:
                    inconsistent.add(row.application)
        self.tally.add(examples)
        return inconsistent

    def _found(self, row: _Row, of: _Pass) -> Found:
        detail: JSON = {}
        if row.code in ("several_roots", "same_named_siblings"):
            detail["folders"] = row.surplus + 1
        if row.name is not None:
            detail["name"] = row.name
        if row.target is not None and BY_CODE[row.code].about_a_folder:
            detail |= {"column": of.column, "folder": row.target}
        if row.code == tree_findings.CODE:
            detail["column"] = of.column
        if row.survivor is not None:
            detail["survivor"] = row.survivor
        return Found(
            code=row.code,
            table=str(self.references.applications.name) if row.code == "several_roots" else of.table,
            object_key=row.object_key or "",
            application=row.application,
            detail=detail,
            hint=of.hints.get(row.code) or self._hint(row),
        )

    def _hint(self, row: _Row) -> str:
        if row.code == "missing_parent" and row.target in self.root_marks:
            return self.hints.roots(row.target)
        if row.code == tree_findings.CODE:
            return self.hints.recompute(row.application)
        return self.hints.of(row.code, application=row.application)

    def _verify_names(self, scope: Scope) -> None:
        self.sql.teach(normalized)
        siblings = self.sql.fetch(self.sql.names_alike(scope, unicode=self.unicode, collation=self.collation))
        findings = []
        is_dismissed = self._dismissals({parent for _, parent, _ in siblings})
        for (application, parent), group in groupby(siblings, key=itemgetter(0, 1)):
            hint = self.hints.children(parent)
            for names in similar_groups(name for _, _, name in group):
                if is_dismissed(parent, names):
                    continue
                detail = {"names": list(dict.fromkeys(names))[:_NAMES_QUOTED], "folders": len(names)}
                findings.append(Found("names_alike", self.folders, parent, application, detail, hint))
        self.tally.counts["names_alike"] += len(findings)
        self.tally.add(findings)

    def _dismissals(self, parents: Collection[str]) -> Callable[[str, Sequence[str]], bool]:
        """Return what tells whether a person wants names in a folder to stay as they are."""
        stored = NameGroup.objects.using(self.using).filter(
            parent_key__in=parents, decision=NameGroup.Decision.DISMISSED
        )
        dismissed = {(group.parent_key, group.looks): set(group.names) for group in stored}
        return lambda parent, names: set(names) <= dismissed.get((parent, normalized(names[0])[:NAME_LENGTH]), set())

    # A whole table at once.

    def _verify_shape(self) -> None:
        for fault in references.faults_of_shape(using=self.using, folders=self.references.folders):
            self._add_one(fault.code, self.folders, "", {}, fault.query)

    def _verify_cycles(self, members: Sequence[Edge]) -> set[str]:
        """Return the applications with cycles."""
        column = self.sql.tables.folder_parent
        hints = {False: self.hints.of("cycle", application=None), True: self.hints.roots("self")}
        self.tally.counts["cycle"] += len(members)
        self.tally.add(
            Found(
                "cycle",
                self.folders,
                edge.folder,
                edge.application,
                {"column": column, "folder": edge.parent},
                hints[edge.folder == edge.parent],
            )
            for edge in members
        )
        return {edge.application for edge in members if edge.application is not None}

    def _verify_references(self, *, application: str | None, steps: int) -> None:
        tables, references = self.sql.tables, self.references
        seen_in_ranges = {
            (references.folders.name, (tables.folder_parent,)),
            (references.file_table, (tables.file.folder if tables.file else "",)),
        }
        for reference in references.references:
            table = references.tables[reference.table]
            column = "+".join(reference.columns)
            if "select" not in table.privileges:
                self._add_one("not_checked", str(table.name), column, {}, self.hints.grant(table))
            elif application is not None or (reference.table, reference.columns) not in seen_in_ranges:
                hints = {
                    "dangling_reference": self.hints.dangling(reference, late=False),
                    "late_arrival": self.hints.dangling(reference, late=True),
                }
                parts = self.sql.dangling(reference, references, application=application)
                self._ask(parts, _Pass(str(table.name), column=column, hints=hints))
            self._step(steps)
        for one in references.lists:
            table = references.tables[one.table]
            if "select" not in table.privileges:
                self._add_one("not_checked", str(table.name), one.column, {}, self.hints.grant(table))
                continue
            hint = self.hints.dangling_elements(one)
            of = _Pass(str(one.table), column=one.column, hints={"dangling_reference": hint, "late_arrival": hint})
            self._ask(self.sql.dangling_elements(one, references, application=application), of)

    def _verify_guards(self) -> None:
        for one in guard_differences(using=self.using):
            detail: JSON = {"difference": one.kind}
            if one.kind == DifferenceKind.NOT_VALIDATED:
                detail["validated"] = False
            self._add_one("guards_missing", self.folders, one.guard, detail, self.hints.guards(one.command))

    def _add_one(self, code: str, table: str, object_key: str, detail: JSON, hint: str) -> None:
        self.tally.counts[code] += 1
        self.tally.add([Found(code, table, object_key, None, detail, hint)])
