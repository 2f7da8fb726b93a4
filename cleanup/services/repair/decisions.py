"""Decide what a repair does to an application, or why it is left alone; a preview does no more than this.

Runs inside the caller's transaction and opens none; reads only, and locks if asked.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cleanup import backends, conf
from cleanup.backends.forest import Scope
from cleanup.exceptions import TooLarge
from cleanup.folder_tables import folder_tables
from cleanup.models import Hold, Result
from cleanup.phrases import with_reason
from cleanup.planning import FolderRow
from cleanup.references import ReferenceMap
from cleanup.repairing import Found, Names, RepairPlan, Repairs, Surroundings
from cleanup.services.merging.decisions import Inclusion, MergeDecision
from cleanup.services.repair.findings import Findings
from cleanup.services.repair.kinds import BETWEEN_APPLICATIONS
from cleanup.services.repair.worklist import Worklist
from cleanup.services.results import FolderCleanupResult

#: Applications whose findings are read together.
PAGE = 200

NOTHING = RepairPlan()


@dataclass(slots=True)
class RepairDecision(MergeDecision):
    """What to do with one application, or why it is left alone."""

    repair: RepairPlan = NOTHING
    sources: tuple[str, ...] = ()
    """The applications whose findings it is about: its own, or others, which need not exist."""
    moved: Counter[str] = field(default_factory=Counter)
    """Of late arrivals, the rows that would move, by table."""

    @property
    def goes_ahead(self) -> bool:
        """Return whether there is something to do."""
        return not self.status and not (self.plan.empty and self.repair.empty)

    @property
    def plan_hash(self) -> str:
        """Return the hash by which a person confirms what is done."""
        return self.repair.digest if self.plan.empty else self.plan.digest

    @property
    def concerned(self) -> set[str]:
        """Return the applications that it reads or writes."""
        return {self.application, *self.sources}


class Decider:
    """Decides on one database about one kind of finding; created once per run."""

    def __init__(self, *, using: str, references: ReferenceMap, code: str) -> None:
        self.using = using
        self.code = code
        self.tables = folder_tables()
        self.backend = backends.database(using=using)
        self.findings = Findings(using=using, references=references)
        name = self.tables.folder._meta.get_field(conf.folder_fields()["name"])
        self.names = Names(
            recovered=conf.recovered_folder(),
            root=conf.root_folder(),
            unnamed=conf.unnamed_folder(),
            longest=getattr(name, "max_length", None),
        )

    # Which applications.

    def worklist(self, scopes: Iterable[Scope]) -> Worklist:
        """Return the applications of scopes, and what is left as it is."""
        worklist = Worklist()
        if self.code == "cycle":
            first, *_ = scopes
            # One may lead through applications of several ranges, so all are looked for at once.
            worklist.add(self._repairs_of_cycles(None if first.keys is None else first))
            return worklist
        for scope in scopes:
            for several in _pages(self.findings.found(self.code, scope)):
                worklist.add(self._repairs(several, lock=False))
        return worklist

    def _repairs_of_cycles(self, scope: Scope | None, *, within: set[str] | None = None, lock: bool = False) -> Repairs:
        edges = self.findings.cycles(scope)
        existing = self.findings.existing({edge.application for edge in edges if edge.application is not None})
        around = Surroundings(self._folders(existing if within is None else within, lock=lock), existing, {})
        repairs = Repairs(around, self.names)
        repairs.cycles(edges)
        return repairs

    # What to do with them.

    def examine(self, worklist: Mapping[str, Iterable[str]], *, include: Inclusion, lock: bool) -> list[RepairDecision]:
        """Decide about each application, given with those of the rows, in the order given."""
        decisions = [RepairDecision(key, sources=tuple(sorted(sources))) for key, sources in worklist.items()]
        concerned = sorted(set().union(*(decision.concerned for decision in decisions)))
        self._set_aside_held(decisions, concerned, include)
        self._set_aside_large(decisions, concerned, include)
        waiting = {decision.application: decision for decision in decisions if not decision.status}
        if not waiting:
            return decisions
        applications = set().union(*(decision.concerned for decision in waiting.values()))
        if lock:
            self.backend.reading.lock_applications(self.tables, sorted(applications))
        self.decide(waiting, applications, lock=lock)
        for decision in waiting.values():
            if decision.goes_ahead:
                decision.details |= {"mended": self.mended(decision), "made": len(decision.repair.makes)}
        for decision in decisions:
            if decision.sources != (decision.application,):
                decision.details["sources"] = list(decision.sources)
        return decisions

    def decide(self, waiting: Mapping[str, RepairDecision], applications: set[str], *, lock: bool) -> None:
        """Plan the repair of applications, with those of the rows."""
        if self.code not in BETWEEN_APPLICATIONS:
            for application, plan in self._repairs_within(applications, lock=lock).plans().items():
                if application in waiting:
                    waiting[application].repair = plan
            return
        for application, decision in waiting.items():  # few, and each takes in what was found in others
            plans = self._repairs_within(decision.concerned, lock=lock, found_in=set(decision.sources)).plans()
            decision.repair = plans.get(application, NOTHING)

    def mended(self, decision: RepairDecision) -> int:
        """Return how many findings go."""
        return len(decision.repair.mended)

    def expected(self, decision: RepairDecision) -> FolderCleanupResult:
        """Return the expected outcome of a decision."""
        rows = {(change.row, change.key) for change in decision.repair.changes}
        files = sum(row == "file" for row, _ in rows)
        references = self.findings.references
        moved = decision.moved + Counter(
            {str(references.folders.name): len(rows) - files, str(references.file_table): files}
        )
        return FolderCleanupResult(
            application_id=decision.application,
            status=decision.status or Result.Status.COMPLETED,
            files_moved=moved[str(references.file_table)],
            references_moved=moved.total(),
            error_code=decision.code,
            error_message=decision.message,
            details={**decision.details, "moved": dict(sorted(moved.items()))},
        )

    def _repairs_within(self, applications: set[str], *, lock: bool, found_in: set[str] | None = None) -> Repairs:
        scope = Scope(keys=tuple(sorted(applications if found_in is None else found_in)))
        if self.code == "cycle":
            return self._repairs_of_cycles(scope, within=applications, lock=lock)
        return self._repairs(self.findings.found(self.code, scope), within=applications, lock=lock)

    def _repairs(self, several: Sequence[Found], *, lock: bool, within: set[str] | None = None) -> Repairs:
        """Plan the repair of findings; if ``within`` some applications, what concerns others is not carried out."""
        sources = {found.application for found in several if found.application is not None}
        folders = self._folders(sources if within is None else within, lock=lock)
        owners = {} if self.code not in BETWEEN_APPLICATIONS else self.findings.owners(several)
        file_owners = {}
        if self.code in ("foreign_parent", "folder_of_missing_application"):
            file_owners = self.findings.file_owners(several, folders)
        told = {owner for several_owners in file_owners.values() for owner in several_owners}
        around = Surroundings(
            folders,
            self.findings.existing({*sources, *owners.values(), *told}),
            owners,
            file_owners,
            self.findings.paths(several) if self.code == "file_in_other_application" else {},
        )
        repairs = Repairs(around, self.names)
        {
            "missing_parent": repairs.missing_parents,
            "blank_name": repairs.blank_names,
            "foreign_parent": repairs.foreign_parents,
            "folder_of_missing_application": repairs.missing_applications,
            "file_of_missing_folder": repairs.files_without_folder,
            "file_in_other_application": repairs.foreign_files,
            "file_of_missing_application": repairs.files_of_missing_applications,
            "path_out_of_date": repairs.computed,
        }[self.code](several)
        return repairs

    def _folders(self, applications: Iterable[str], *, lock: bool) -> dict[str, Sequence[FolderRow]]:
        keys = sorted(applications)
        if not keys:
            return {}
        read = self.backend.reading.read_folders(self.tables, keys, lock=lock)
        found = {application: tuple(rows) for application, rows in read}
        return {key: found.get(key, ()) for key in keys}

    # Why not.

    def _set_aside_held(
        self, decisions: Sequence[RepairDecision], concerned: Sequence[str], include: Inclusion
    ) -> None:
        if include.held:
            return
        holds = Hold.objects.using(self.using).filter(application_key__in=concerned)
        reasons = dict(holds.values_list("application_key", "reason"))
        for decision in decisions:
            for key in sorted(decision.concerned & reasons.keys()):
                decision.set_aside(
                    Result.Status.HELD, "held", with_reason(f"Application {key} is on hold", reasons[key])
                )

    def _set_aside_large(
        self, decisions: Sequence[RepairDecision], concerned: Sequence[str], include: Inclusion
    ) -> None:
        if include.large:
            return
        sizes, limit = self.backend.reading.count_folders(self.tables, concerned), conf.large_application()
        for decision in decisions:
            folders = max(sizes.get(key, 0) for key in decision.concerned)
            if not decision.status and folders > limit:
                error = TooLarge(folders=folders, limit=limit)
                decision.set_aside(Result.Status.SKIPPED, error.code, str(error))


def _pages(several: Sequence[Found]) -> Iterable[list[Found]]:
    """Divide findings so that those of one application stay together."""
    by_application: dict[str | None, list[Found]] = {}
    for found in several:
        by_application.setdefault(found.application, []).append(found)
    page: list[Found] = []
    for number, own in enumerate(by_application.values(), 1):
        page += own
        if number % PAGE == 0:
            yield page
            page = []
    if page:
        yield page
