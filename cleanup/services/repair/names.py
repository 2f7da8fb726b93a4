"""Names that differ only in case, Unicode form or blanks: proposed in groups, decided by people, merged as a repair.

Only what a person has approved is merged, with the names that were shown: if another one has come since, the group is
proposed again. A group that was dismissed is no finding.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from cleanup import backends
from cleanup.analysis import normalized, similar_groups
from cleanup.backends.forest import Scope
from cleanup.exceptions import UnknownObject
from cleanup.folder_tables import folder_tables
from cleanup.forests import Hierarchy
from cleanup.models import NameGroup
from cleanup.models.operations import NAME_LENGTH
from cleanup.packing import Texts
from cleanup.planning import FolderRow, Plan
from cleanup.references import ReferenceMap
from cleanup.repairing import Alike, Left, Reason, plan_alike
from cleanup.services.merging.decisions import Inclusion, MergeDecision
from cleanup.services.merging.examine import Examiner
from cleanup.services.merging.forecast import Forecaster
from cleanup.services.merging.targets import Targets
from cleanup.services.repair.findings import Findings
from cleanup.services.repair.worklist import Worklist
from cleanup.services.results import FolderCleanupResult, NameGroupFolder, ProposedGroup

#: A group by application, parent and what its names look like.
Group = tuple[str, str, tuple[str, ...]]


class NamesExaminer(Examiner):
    """Plans the merge of approved groups, and nothing else."""

    takes_forests = False

    def __init__(self, targets: Targets) -> None:
        super().__init__(targets)
        self.approved: Mapping[str, Sequence[NameGroup]] = {}
        self.merged: Counter[str] = Counter()
        """Groups by application."""

    def plan_of(self, application: str, rows: Sequence[FolderRow]) -> Plan:
        """Plan what becomes of an application's folders."""
        groups = list(self._alike(application, rows))
        self.merged[application] = len(groups)
        return plan_alike(rows, groups)

    def _alike(self, application: str, rows: Sequence[FolderRow]) -> Iterator[Alike]:
        within = reached((row.key, row.parent) for row in rows)
        for group in self.approved.get(application, ()):
            members = members_of(rows, group.parent_key, group.looks) if group.parent_key in within else []
            if len({row.name for row in members}) > 1 and {row.name for row in members} <= set(group.names):
                stays = group.stays_key if group.stays_key in {row.key for row in members} else self._used(members)
                yield Alike(group.parent_key, tuple(row.key for row in members), stays)

    def _used(self, members: Sequence[FolderRow]) -> str:
        """Return the first folder with the name that most rows use."""
        counts = self.targets.rows_by_folder({row.key: row for row in members}, self.references.references)
        used: Counter[str] = Counter()
        for row in members:
            used[row.name] += counts.get(row.key, Counter()).total()
        most = max(used.values())
        return next(row.key for row in members if used[row.name] == most)


class NamesDecider:
    """Decides on one database about names; created once per run."""

    def __init__(self, *, using: str, references: ReferenceMap) -> None:
        self.using = using
        self.tables = folder_tables()
        self.backend = backends.database(using=using)
        self.findings = Findings(using=using, references=references)
        self.targets = Targets(using=using, references=references)
        self.examiner = NamesExaminer(self.targets)
        self._forecaster = Forecaster(using=using, references=references, session_name="cleanup repair preview")
        self._forecaster.examiner = self.examiner
        self._expected: dict[str, FolderCleanupResult] = {}

    def worklist(self, scopes: Iterable[Scope]) -> Worklist:
        """Return the applications with approved groups; those that are undecided or out of reach are left."""
        worklist = Worklist()
        for scope in scopes:
            left = []
            groups = list(groups_within(self.findings, scope))
            decided = decisions_about(groups, using=self.using)
            decisions = [(application, parent, decided.get((parent, names))) for application, parent, names in groups]
            approved = {one for one, _, decision in decisions if decision == NameGroup.Decision.APPROVED}
            within = self._reached(approved)
            for application, parent, decision in decisions:
                if decision is None:
                    left.append(Left("folder", parent, application, Reason.NOT_APPROVED))
                elif decision == NameGroup.Decision.APPROVED:
                    if parent in within[application]:
                        worklist.sources.setdefault(application, {application})
                    else:
                        left.append(Left("folder", parent, application, Reason.UNREACHABLE))
            worklist.leave(left)
        return worklist

    def _reached(self, applications: Collection[str]) -> dict[str, set[str]]:
        """Return the folders of applications that their root folders lead to."""
        parents: dict[str, list[tuple[str, str | None]]] = {application: [] for application in applications}
        found = self.backend.reading.read_parents(self.tables, sorted(applications), lock=False)
        for application, folder, parent in found:
            if application in parents:  # it may be spelled in another way than the application itself
                parents[application].append((folder, parent))
        return {application: reached(folders) for application, folders in parents.items()}

    def examine(self, worklist: Mapping[str, Iterable[str]], *, include: Inclusion, lock: bool) -> list[MergeDecision]:
        """Decide about each application, in the order given."""
        applications = list(worklist)
        self.examiner.approved, self.examiner.merged = self._approved(applications), Counter()
        if lock:
            decisions = self.examiner.examine(applications, include=include, lock=True)
        else:
            self._forecaster.include = include
            forecasts = self._forecaster.forecast(applications)
            decisions = [decision for decision, _ in forecasts]
            self._expected = {decision.application: result for decision, result in forecasts}
        for decision in decisions:
            if decision.goes_ahead:
                decision.details["mended"] = self.examiner.merged[decision.application]
        return decisions

    def _approved(self, applications: Sequence[str]) -> dict[str, list[NameGroup]]:
        """Return the approved groups, by the application that has them now: it may be another than when decided."""
        groups = list(groups_within(self.findings, Scope(keys=tuple(sorted(applications)))))
        known = stored_groups(groups, using=self.using)
        approved: dict[str, list[NameGroup]] = {}
        for application, parent, names in groups:
            group = known.get((parent, looks_of(names[0])))
            if group is not None and group.decision == NameGroup.Decision.APPROVED:
                approved.setdefault(application, []).append(group)
        return approved

    def expected(self, decision: MergeDecision) -> FolderCleanupResult:
        """Return the expected outcome of a decision without locks."""
        result = self._expected[decision.application]
        return replace(result, details={**decision.details, **result.details})


def groups_within(findings: Findings, scope: Scope) -> Iterator[Group]:
    """Yield groups of a scope, by application and parent."""
    if scope.without_application:
        return
    sql = findings.sql
    sql.teach(normalized)
    unicode, collation = sql.abilities()
    siblings = sql.fetch(sql.names_alike(scope, unicode=unicode, collation=collation))
    for (application, parent), group in groupby(siblings, key=itemgetter(0, 1)):
        for names in similar_groups(name for _, _, name in group):
            yield str(application), str(parent), tuple(sorted(set(names)))


def decisions_about(groups: Iterable[Group], *, using: str) -> dict[tuple[str, tuple[str, ...]], str]:
    """Return what people have decided about groups with just these names or more, by parent and names."""
    several = list(groups)
    known = stored_groups(several, using=using)
    found = {}
    for _, parent, names in several:
        group = known.get((parent, looks_of(names[0])))
        if group is not None and set(names) <= set(group.names):
            found[parent, names] = group.decision
    return found


def stored_groups(groups: Iterable[Group], *, using: str) -> dict[tuple[str, str], NameGroup]:
    """Return what is stored about groups, by parent and what their names look like."""
    stored = NameGroup.objects.using(using).filter(parent_key__in={parent for _, parent, _ in groups})
    return {(group.parent_key, group.looks): group for group in stored}


def looks_of(name: str) -> str:
    """Return what a name looks like, as it is stored."""
    return normalized(name)[:NAME_LENGTH]


def reached(folders: Iterable[tuple[str, str | None]]) -> set[str]:
    """Return the folders of an application, each given with its parent, that a root folder leads to."""
    hierarchy, every = Hierarchy(Texts()), set[str]()
    for folder, parent in folders:
        hierarchy.add(folder, parent)
        every.add(folder)
    return every.difference(hierarchy.detached())


def members_of(rows: Iterable[FolderRow], parent: str, looks: str) -> list[FolderRow]:
    """Return the folders of a group, the oldest first."""
    inside = (row for row in rows if row.live and row.parent == parent and looks_of(row.name) == looks)
    return sorted(inside, key=lambda row: (row.age, row.key))


def proposed(*, using: str, references: ReferenceMap, application: str) -> list[ProposedGroup]:
    """Return an application's groups with the rows on each side, and what was decided."""
    targets = Targets(using=using, references=references)
    findings = Findings(using=using, references=references)
    groups = list(groups_within(findings, Scope(keys=(application,))))
    if not groups:
        return []
    decided = decisions_about(groups, using=using)
    read = dict(targets.backend.reading.read_folders(targets.tables, [application], lock=False))
    rows = read.get(application, [])
    members = {(parent, names): members_of(rows, parent, looks_of(names[0])) for _, parent, names in groups}
    every = {row.key: row for several in members.values() for row in several}
    counts = targets.rows_by_folder(every, references.references)
    files = str(references.file_table)
    return [
        ProposedGroup(
            application_id=application,
            parent_id=parent,
            decision=decided.get((parent, names), ""),
            folders=tuple(
                NameGroupFolder(
                    folder_id=row.key,
                    name=row.name,
                    files=counts.get(row.key, Counter())[files],
                    linked_records=counts.get(row.key, Counter()).total() - counts.get(row.key, Counter())[files],
                )
                for row in members[parent, names]
            ),
        )
        for _, parent, names in groups
    ]


def decide(
    *, using: str, references: ReferenceMap, application: str, folder: str, decision: str, stays: bool, by: str
) -> ProposedGroup:
    """Approve or dismiss the group that a folder is in; if it ``stays``, it is the one that the others go into.

    Raises UnknownObject if the folder's name looks like no other beside it.
    """
    for group in proposed(using=using, references=references, application=application):
        if folder in {member.folder_id for member in group.folders}:
            names = sorted({member.name for member in group.folders})
            NameGroup.objects.using(using).update_or_create(
                parent_key=group.parent_id,
                looks=looks_of(names[0]),
                defaults={
                    "application_key": application,
                    "names": names,
                    "decision": decision,
                    "stays_key": folder if stays else "",
                    "decided_by": by,
                },
            )
            return ProposedGroup(application, group.parent_id, decision, group.folders)
    raise UnknownObject(what="group of names with folder", key=folder)
