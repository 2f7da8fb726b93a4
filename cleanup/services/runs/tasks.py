"""What a run does with a batch of claimed results, by the kind of the run.

A task runs inside the worker's transaction and opens none; what it returns is recorded in the same transaction.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, Self
from uuid import UUID

from django.utils import timezone

from cleanup import journal
from cleanup.backends.pinning import unpinned
from cleanup.exceptions import StalePlan
from cleanup.models import Result, Run, SnapshotSchema
from cleanup.references import ReferenceMap, schema_changes
from cleanup.services.concurrency.pipeline import ALONE, PipelineSlot
from cleanup.services.merging.apply import Merger, Point
from cleanup.services.merging.decisions import Inclusion, MergeDecision
from cleanup.services.merging.examine import Examiner
from cleanup.services.merging.targets import Targets
from cleanup.services.repair.apply import Repairer
from cleanup.services.repair.deciders import decider_of
from cleanup.services.repair.kinds import LATE
from cleanup.services.results import FolderCleanupResult
from cleanup.services.rollback.outcome import PointOutcome
from cleanup.services.rollback.undo import Undo
from cleanup.signals import Event, folders_merged, send_after_commit


@dataclass(frozen=True, slots=True)
class Claimed:
    """A result to process."""

    pk: int
    application_key: str
    point_id: int | None = None
    """Id of the point to roll back."""
    attempts: int = 1
    """Including the present one."""
    lease_token: UUID | None = None
    joined: bool = False
    """To be done in one transaction with others whose undoing needs it, or that it needs."""


#: The fields of an outcome, by those of a merge's result.
_OF_MERGE = (
    "status",
    "error_code",
    "error_message",
    "folders_removed",
    "files_moved",
    "child_folders_merged",
    "references_moved",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One application's outcome, by the names of the fields of ``Result`` that it is recorded in."""

    status: str
    error_code: str = ""
    error_class: str = ""
    error_message: str = ""
    point: int | None = None
    folders_removed: int = 0
    files_moved: int = 0
    child_folders_merged: int = 0
    references_moved: int = 0
    details: str = "{}"
    """JSON."""

    @classmethod
    def of_merge(cls, result: FolderCleanupResult, *, point: int | None) -> Self:
        """Return the outcome of a merged, refused or skipped application."""
        return cls(
            point=point,
            error_class="data" if result.status == Result.Status.FAILED else "",
            details=json.dumps(dict(result.details)),
            **{name: getattr(result, name) for name in _OF_MERGE},
        )

    def as_fields(self) -> dict[str, Any]:
        """Return the values of the result's fields."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "details": json.loads(self.details)}


def included(run: Run) -> Inclusion:
    """Return which applications that are otherwise set aside a run includes."""
    return Inclusion(held=bool(run.options.get("include_held")), large=bool(run.options.get("include_large")))


def refuse_stale(run: Run, decisions: Sequence[MergeDecision]) -> None:
    """Compare the plans, made on locked rows, with those that a person has confirmed."""
    confirmed = run.options.get("plan_hashes", {})
    of_the_only_one = run.options.get("plan_hash")  # as older versions wrote it
    for decision in decisions:
        plan_hash = confirmed.get(decision.application, of_the_only_one)
        if plan_hash and not decision.status and decision.plan_hash != plan_hash:
            stale = StalePlan(application_id=decision.application)
            decision.set_aside(Result.Status.FAILED, stale.code, str(stale))


class Task(Protocol):
    """One kind of work on claimed results."""

    def perform(self, rows: Sequence[Claimed], slot: PipelineSlot) -> list[Outcome]:
        """Do the work and return the outcomes in the order of the rows; the slot has been entered."""


class CleanupTask:
    """Merges applications."""

    def __init__(self, *, using: str, run: Run, references: ReferenceMap) -> None:
        self.run = run
        self.targets = Targets(using=using, references=references)
        self.examiner = Examiner(self.targets)
        self.merger = Merger(self.targets)
        self.include = included(run)
        self.schema: SnapshotSchema = journal.write_schema(
            using=using,
            backend=self.targets.backend,
            references=references,
            mapped=self.targets.tables,
        )

    def perform(self, rows: Sequence[Claimed], slot: PipelineSlot = ALONE) -> list[Outcome]:
        """Merge the applications of the rows. Raises SchemaChanged."""
        schema_changes.hold(self.targets.backend, self.targets.references)
        decisions = self.examiner.examine([row.application_key for row in rows], include=self.include, lock=True)
        refuse_stale(self.run, decisions)
        results, points = self.merger.apply(
            decisions,
            schema=self.schema,
            run=self.run,
            created_by=self.run.started_by,
            now=timezone.now(),
            slot=slot,
        )
        merged = (
            Event(decision.application, points[decision.application].uuid, dict(decision.plan.removed))
            for decision in decisions
            if decision.application in points
        )
        send_after_commit(
            folders_merged,
            merged,
            sender=self.targets.tables.folder,
            using=self.targets.using,
            within=unpinned,
        )
        return _outcomes(results, points)


class RepairTask:
    """Repairs what was found in applications."""

    def __init__(self, *, using: str, run: Run, references: ReferenceMap) -> None:
        self.run = run
        self.targets = Targets(using=using, references=references)
        code = run.options["repair"]
        self.decider = decider_of(code, using=using, references=references)
        self.repairer = Repairer(self.targets, self.decider.findings, code)
        self.include = included(run)
        self.schema: SnapshotSchema = journal.write_schema(
            using=using,
            backend=self.targets.backend,
            references=references,
            mapped=self.targets.tables,
            repairs=self.repairer.repairs(),
        )

    def perform(self, rows: Sequence[Claimed], slot: PipelineSlot = ALONE) -> list[Outcome]:
        """Repair the applications of the rows. Raises SchemaChanged and ProofFailed."""
        schema_changes.hold(self.targets.backend, self.targets.references)
        decisions = list[MergeDecision](self.decider.examine(self._worklist(rows), include=self.include, lock=True))
        refuse_stale(self.run, decisions)
        results, points = self.repairer.apply(
            decisions,
            schema=self.schema,
            run=self.run,
            created_by=self.run.started_by,
            now=timezone.now(),
            slot=slot,
        )
        if self.repairer.code == LATE:  # the folders that rows named were removed before
            results = [replace(result, folders_removed=0, child_folders_merged=0) for result in results]
        return _outcomes(results, points)

    def _worklist(self, rows: Sequence[Claimed]) -> dict[str, list[str]]:
        """Return the applications of the rows, each with those of the findings that it takes in."""
        stored = Result.objects.using(self.targets.using).filter(pk__in=[row.pk for row in rows])
        details = dict(stored.values_list("pk", "details"))
        return {row.application_key: details[row.pk].get("sources", [row.application_key]) for row in rows}


def _outcomes(results: Iterable[FolderCleanupResult], points: Mapping[str, Point]) -> list[Outcome]:
    """Return what is recorded of applications, with the points of those that have one."""
    point_ids = {application: point.id for application, point in points.items()}
    return [Outcome.of_merge(result, point=point_ids.get(result.application_id)) for result in results]


class RollbackTask:
    """Undoes points."""

    def __init__(self, *, using: str, run: Run, references: ReferenceMap) -> None:
        self.run = run
        self.undo = Undo(using=using, references=references)

    def perform(self, rows: Sequence[Claimed], slot: PipelineSlot = ALONE) -> list[Outcome]:
        """Undo the points of the rows."""
        points = self.undo.lock([row.point_id for row in rows if row.point_id is not None])
        now = timezone.now()
        skip, as_copies = (bool(self.run.options.get(name)) for name in ("skip_conflicts", "as_copies"))
        joined = any(row.joined for row in rows)
        outcomes = self.undo.undo(
            points, skip_conflicts=skip, as_copies=as_copies, now=now, slot=slot, latest_first=joined
        )
        self.undo.close(outcomes, reason=self.run.reason, by=self.run.started_by, now=now)
        by_point = {outcome.point.id: outcome for outcome in outcomes}
        return [self._outcome(by_point[row.point_id]) for row in rows if row.point_id is not None]

    def _outcome(self, outcome: PointOutcome) -> Outcome:
        return Outcome(
            status=Result.Status.COMPLETED,
            point=outcome.point.id,
            references_moved=outcome.references_restored,
            files_moved=outcome.files_restored,
            details=json.dumps(outcome.as_json()),
        )
