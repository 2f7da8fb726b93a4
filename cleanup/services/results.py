"""Every document that is sent as JSON by the command, the services and the API, each declared once.

A field's annotation and the text below it are its declaration: ``as_json`` and the API's serializers are derived from
them, and the manual is tested against them. Lists are capped; what is left out is counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum
from types import FunctionType
from typing import Annotated, Any, Literal
from uuid import UUID

from cleanup.models import RollbackPoint
from cleanup.references import Problem

JSON = dict[str, Any]

#: Keys as text; their form in the API's schema depends on your models.
ApplicationId = Annotated[str, "application"]
FolderId = Annotated[str, "folder"]

#: For what the current role may not read.
Unknown = Literal["unknown"]
UNKNOWN: Unknown = "unknown"

#: Metadata of a field that is left out of the JSON if it is None.
OPTIONAL = {"optional": True}


def plain(value: Any) -> Any:
    """Return a value in JSON form: a dataclass by its fields, a time in ISO 8601, a function by its dotted path."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if is_dataclass(value):
        values = {declared: getattr(value, declared.name) for declared in fields(value)}
        return {
            declared.name: plain(held)
            for declared, held in values.items()
            if held is not None or not declared.metadata.get("optional")
        }
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


class Document:
    """A document that is sent as JSON: a frozen dataclass."""

    __slots__ = ()

    def as_json(self) -> JSON:
        """Return the JSON form."""
        document: JSON = plain(self)
        return document


@dataclass(frozen=True, slots=True)
class RootFolder(Document):
    """A root folder that stays if an application has duplicates of it."""

    folder_id: FolderId
    name: str


@dataclass(frozen=True, slots=True)
class FolderCleanupResult(Document):
    """The outcome for one application; for a dry run, the expected outcome."""

    application_id: str
    status: str
    """``completed``, ``failed``, ``skipped``, ``held``, ``rolled_back``, ``pending`` or ``in_progress``."""
    folders_removed: int = 0
    files_moved: int = 0
    child_folders_merged: int = 0
    references_moved: int = 0
    """Rows of all tables that were re-pointed, files and child folders included."""
    error_code: str = ""
    error_message: str = ""
    rollback_id: UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """``moved`` and ``removed``: rows by table; ``differing_columns``: columns by number of folders (dry run)."""
    root_folder: RootFolder | None = None
    """For a dry run, if there are several root folders: the one that would stay; the oldest of ``root_folders``."""
    root_folders: tuple[RootFolder, ...] = ()
    """For a dry run, the root folders that would take in others; several if ``CLEANUP_DIFFERENT_ROOTS`` is ``keep``."""


@dataclass(frozen=True, slots=True)
class CleanupReport(Document):
    """A run's totals and its results (capped unless all were requested)."""

    run_id: UUID | None
    dry_run: bool
    status: str
    """The run's status; ``completed`` for a dry run."""
    status_reason: str
    total_applications: int
    successful_cleanups: int
    failed_cleanups: int
    """Failed and refused applications."""
    set_aside: int = field(init=False)
    """Held or skipped."""
    held_applications: int
    """On hold."""
    skipped_applications: int
    """Left alone: too large, or missing."""
    total_folders_removed: int
    total_files_moved: int
    total_child_folders_merged: int
    start_time: datetime
    end_time: datetime | None
    results: tuple[FolderCleanupResult, ...]
    results_left_out: int = 0
    collision_policies: Mapping[str, Any] = field(default_factory=dict)
    """What to set as CLEANUP_COLLISIONS so that applications that were refused for collisions can be cleaned up."""
    rollback_points: int = 0
    """The live points of the run, which can still be rolled back."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "set_aside", self.held_applications + self.skipped_applications)


@dataclass(frozen=True, slots=True)
class Conflict(Document):
    """One value that a rollback would have overwritten, or one row that it cannot restore."""

    code: str
    """``changed``, ``row_missing``, ``row_exists``, ``missing_target``, ``unique_taken``, ``refused`` or ``extra``."""
    application_id: str
    table: str
    key: str
    column: str = ""
    constraint: str = ""
    """What prevents it: the name of a constraint, a unique index or a trigger's function."""


@dataclass(frozen=True, slots=True)
class Copy(Document):
    """One folder that did not come back as it was, because it would have been a duplicate."""

    application_id: ApplicationId
    folder_id: FolderId
    renamed: bool
    """It has a different name than before; see the folder itself for the name."""
    parent_id: FolderId | None = None
    """The folder that it lies in, if that is a different one than before."""


@dataclass(frozen=True, slots=True)
class NotRestored(Document):
    """One application of a run whose rollback point is not rolled back with the run."""

    application_id: str
    rollback_id: UUID
    code: str
    """``expired``: it can no longer be restored. ``already_rolled_back``: it was restored before."""


@dataclass(frozen=True, slots=True)
class RollbackResult(Document):
    """What a rollback did; true unless it is a preview or it failed."""

    rollback_id: UUID
    """The requested rollback point or run."""
    status: str
    """``rolled_back``, ``preview``, ``conflict`` (preview only), or for a run the rollback run's status."""
    folders_restored: int = 0
    files_restored: int = 0
    references_restored: int = 0
    """Rows of tables other than files."""
    conflicts: tuple[Conflict, ...] = ()
    conflicts_left_out: int = 0
    copies: tuple[Copy, ...] = ()
    """Folders that came back as copies."""
    copies_left_out: int = 0
    exact: bool = True
    """Every row that the cleanup changed is as it was."""
    inexact: tuple[str, ...] = ()
    """Why not: ``conflicts``, ``copies``, ``differences``, ``triggers`` and ``hook`` (what they write is not compared),

    ``expired``, ``already_rolled_back`` (and not exactly, or cleaned again), ``failed``, ``unfinished``.
    """
    expired: int = 0
    """Applications of a run that can no longer be restored."""
    not_restored: tuple[NotRestored, ...] = ()
    """The points of a run that are left as they are."""
    not_restored_left_out: int = 0
    run_id: UUID | None = None
    """The rollback run, if a whole run was rolled back."""
    total_applications: int = 1
    successful: int = 0
    failed: int = 0

    def __bool__(self) -> bool:
        return self.status in ("rolled_back", "completed") and not self.failed


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of a run, for showing its progress."""

    run_id: UUID | None
    done: int
    total: int
    folders_removed: int
    files_moved: int
    failed: int
    held: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class RollbackData(Document):
    """A rollback point, as it was when it was read; ``rollback_cleanup(rollback_id)`` carries it out."""

    rollback_id: UUID
    application_id: str
    kind: str
    """``cleanup``, or ``manual`` if it was taken by hand."""
    status: str
    """``live``, ``rolled_back`` or ``purged``."""
    run_id: UUID | None
    created_at: datetime
    created_by: str
    reason: str
    expires_at: datetime
    verified_at: datetime | None
    ended_at: datetime | None
    ended_by: str
    ended_reason: str
    exact: bool | None
    """Of a rolled-back point: everything was restored as it was."""
    outcome: Mapping[str, Any]
    """Of a rolled-back point: counts restored, conflicts skipped."""

    @classmethod
    def of(cls, point: RollbackPoint) -> "RollbackData":
        """Return the view of a point."""
        return cls(
            rollback_id=point.uuid,
            application_id=point.application_key,
            kind=point.kind,
            status=point.status,
            run_id=point.run_id,
            created_at=point.created_at,
            created_by=point.created_by,
            reason=point.reason,
            expires_at=point.expires_at,
            verified_at=point.verified_at,
            ended_at=point.ended_at,
            ended_by=point.ended_by,
            ended_reason=point.ended_reason,
            exact=point.exact,
            outcome=point.outcome,
        )


class Fate(StrEnum):
    """What becomes of a folder."""

    SURVIVOR = "survivor"
    """Others merge into it; if ``parent_after`` differs from ``parent_id``, it moves as well."""
    MERGED = "merged"
    MOVED = "moved"
    KEPT = "kept"
    LEFT_ALONE = "left_alone"


class Reason(StrEnum):
    """Why that is its fate."""

    OLDEST = "oldest"
    LOWEST_KEY = "lowest_key"
    """The oldest where folders have no time."""
    ALREADY_THERE = "already_there"
    """Not the oldest of its group, but the oldest that already lies in the surviving parent."""
    ANOTHER_ROOT = "another_root"
    SAME_NAME = "same_name"
    PARENT_MERGED = "parent_merged"
    NESTED = "nested"
    """A root folder with a different name, moved into the surviving root (``CLEANUP_DIFFERENT_ROOTS``)."""
    UNREACHABLE = "unreachable"
    """No root folder of the application leads to it."""
    NOT_LIVE = "not_live"
    """In the host's trash."""


@dataclass(frozen=True, slots=True)
class FolderPreview(Document):
    """One folder, before and after."""

    folder_id: str
    name: str
    created_at: datetime | None
    """None also for what is not a calendar time (infinity)."""
    live: bool
    parent_id: str | None
    fate: Fate
    reasons: tuple[Reason, ...]
    into: str | None
    """For a merged folder, the survivor."""
    parent_after: str | None
    """None for a merged folder, which no longer exists."""
    files: int
    files_after: int
    linked_records: Mapping[str, int]
    """Rows of other tables that point at it, by table."""
    differing_columns: tuple[str, ...]
    """For a merged folder, the columns in which it differs from its survivor."""


@dataclass(frozen=True, slots=True)
class Line(Document):
    """A line of a drawn tree."""

    folder_id: str
    depth: int


@dataclass(frozen=True, slots=True)
class GroupPreview(Document):
    """Folders that become one."""

    survivor_id: str
    name: str
    """The survivor's."""
    roots: bool
    parent_id: str | None
    """The surviving parent."""
    removed: tuple[str, ...]
    files_moved: int
    linked_records_moved: int
    reason: Reason
    """Why the survivor survives."""


@dataclass(frozen=True, slots=True)
class Obstacle(Document):
    """Why a cleanup would leave the application alone."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Preview(Document):
    """What merging one application would do."""

    application_id: str
    plan_hash: str
    """Confirms the plan when it is carried out."""
    made_at: datetime
    obstacles: tuple[Obstacle, ...]
    """Empty: a cleanup would go ahead. ``held`` can be overruled deliberately; others cannot."""
    folders_removed: int
    child_folders_merged: int
    folders_moved: int
    """Folders that stay and get another parent."""
    files_moved: int
    references_moved: Mapping[str, int]
    """Rows that would be re-pointed, by table, including files and folders; empty if it cannot go ahead."""
    rows_removed: Mapping[str, int]
    """Rows that would give way to a twin, by table; an undo restores them."""
    groups: tuple[GroupPreview, ...]
    """Parents before children."""
    groups_left_out: int = field(default=0, kw_only=True)
    folders: tuple[FolderPreview, ...]
    """In the order of ``before``."""
    folders_left_out: int = field(default=0, kw_only=True)
    before: tuple[Line, ...]
    after: tuple[Line, ...]

    @property
    def empty(self) -> bool:
        """Return whether there is nothing to do."""
        return not self.folders_removed and not self.folders_moved

    @property
    def by_id(self) -> dict[str, FolderPreview]:
        """Return the folders by id."""
        return {folder.folder_id: folder for folder in self.folders}

    def shortened(self, limit: int) -> "Preview":
        """Return the preview with the first ``limit`` folders, lines and groups each."""
        return replace(
            self,
            groups=self.groups[:limit],
            groups_left_out=len(self.groups[limit:]),
            folders=self.folders[:limit],
            folders_left_out=len(self.folders[limit:]),
            before=self.before[:limit],
            after=self.after[:limit],
        )


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


@dataclass(frozen=True, slots=True)
class RestoredCopy(Document):
    """The notice that the database is a copy in which clusters do nothing until it is adopted."""

    message: str
    command: str
    """Adopts it."""


@dataclass(frozen=True, slots=True)
class LastCheck(Document):
    """What the latest check found, and how far that can be relied on."""

    check_time: datetime
    duplicate_applications: int
    waiting_for_decision: int
    age_seconds: int
    current: bool
    """Younger than two periods of its schedule, or than a day without one, and nothing has changed since."""
    changed_since: bool
    """A run has changed folders since it began."""


@dataclass(frozen=True, slots=True)
class ScheduleStatus(Document):
    """A schedule, in the status."""

    enabled: bool
    schedule_type: str
    last_run: datetime | None
    next_run: datetime | None
    overdue: bool
    max_applications_per_run: int | None
    alert_threshold: int
    dry_run_first: bool


@dataclass(frozen=True, slots=True)
class Statistics(Document):
    """What has been done so far."""

    total_runs: int
    successful_runs: int
    failed_runs: int
    applications_cleaned: int
    folders_removed: int
    files_moved: int
    last_run_time: datetime | None


@dataclass(frozen=True, slots=True)
class ActiveRun(Document):
    """An active run."""

    run_id: UUID
    status: str
    status_reason: str
    worked: bool
    """A worker holds a part of it."""
    silent_seconds: int | None
    """Since its last sign of life, if that is longer than half a minute."""
    total_applications: int
    done_applications: int
    """The sum of the next four."""
    successful_applications: int
    """Done, and neither failed nor left alone."""
    failed_applications: int
    held_applications: int
    """On hold."""
    skipped_applications: int
    """Left alone: too large, or missing."""
    folders_removed: int
    files_moved: int
    applications_per_second: float | None
    seconds_left: int | None
    heartbeat_at: datetime | None
    waiting_for: str
    """Why it is waiting while the database is under pressure; empty if it is not."""
    correlation_id: str


@dataclass(frozen=True, slots=True)
class HandedOver(Document):
    """A check or verification that is queued for a cluster, or was done by one."""

    kind: str
    """``check`` or ``verification``."""
    id: int
    status: str
    """``pending``, ``completed`` or ``failed``."""
    started_at: datetime
    ended_at: datetime | None
    started_by: str
    found_something: bool | None
    """Duplicates, or errors; null: there is no answer."""
    error: str
    """Why there is no answer."""


@dataclass(frozen=True, slots=True)
class StatusReport(Document):
    """What the service is doing."""

    running: bool
    """Started, a cluster is alive, and the database is not a restored copy."""
    started: bool
    restored_copy: RestoredCopy | None
    frozen: bool
    frozen_reason: str
    cluster_alive: bool
    heartbeat_at: datetime | None
    last_check: LastCheck | None
    schedules: Mapping[str, ScheduleStatus]
    """By name."""
    statistics: Statistics
    active_run: ActiveRun | None
    handed_over: tuple[HandedOver, ...]
    """Queued checks and verifications, and the latest result of each kind."""


@dataclass(frozen=True, slots=True)
class LivenessReport(Document):
    """Whether a cluster does its work."""

    alive: bool
    seconds_since_heartbeat: int | None
    """Null: there was none."""
    overdue: tuple[str, ...]
    """Schedules that should have been done a while ago."""
    unreadable_schedules: tuple[int, ...]
    """The ids of django-q2's schedules that its scheduler fails on."""
    message: str
    """The same in words."""


@dataclass(frozen=True, slots=True)
class HealthVerdict(Document):
    """Whether all is well."""

    ok: bool
    database: str
    """``ok``, or the code of what is wrong with it."""


@dataclass(frozen=True, slots=True)
class HealthReport(HealthVerdict):
    """Whether all is well, and why, from a database that answers."""

    started: bool
    running: bool
    frozen: bool
    heartbeat_at: datetime | None
    overdue: tuple[str, ...]
    critical_alerts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued(Document):
    """What was queued for the clusters: a run, a check or a verification."""

    status: str = "pending"
    run_id: UUID | None = field(default=None, metadata=OPTIONAL)
    kind: str | None = field(default=None, metadata=OPTIONAL)
    total_applications: int | None = field(default=None, metadata=OPTIONAL)
    check_id: int | None = field(default=None, metadata=OPTIONAL)
    verification_id: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class FreezeSwitch(Document):
    """Whether everything is stopped."""

    frozen: bool


@dataclass(frozen=True, slots=True)
class FolderSurvivor(Document):
    """Where a removed folder went."""

    folder_id: FolderId
    survivor_id: FolderId
    """The folder that it leads to now."""


@dataclass(frozen=True, slots=True)
class PurgedHistory(Document):
    """The history that was removed, or would be: what ended before a day, in rows."""

    before: datetime
    runs: int
    checks: int
    verifications: int
    scheduled_runs: int
    alerts: int
    request_keys: int
    """Idempotency keys, with their answers."""

    @property
    def rows(self) -> dict[str, int]:
        """Return how many rows of each kind."""
        return {declared.name: getattr(self, declared.name) for declared in fields(self)[1:]}


@dataclass(frozen=True, slots=True)
class PurgeReport(Document):
    """The expired rollback points whose snapshot rows were removed, or would be."""

    preview: bool
    points: int
    applications: int
    snapshot_rows: int
    rows_described: int
    """Rows of other tables that these could have restored."""
    kept_unverified: int
    """Expired, but the newest of an application, and no verification has passed since."""
    oldest: datetime | None
    """When it was written."""
    newest: datetime | None
    history: PurgedHistory | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class LargestApplication(Document):
    """The application with the most folders."""

    application_id: str
    folders: int
    too_large: bool
    """It has more than ``CLEANUP_LARGE_APPLICATION``."""


@dataclass(frozen=True, slots=True)
class Estimate(Document):
    """What a cleanup of all affected applications would do."""

    basis: str
    """``exact`` (every affected application was planned) or ``sample`` (of ``sampled_applications``, scaled)."""
    sampled_applications: int
    applications: int
    """All that are affected, exactly."""
    applications_set_aside: int
    colliding_applications: int
    """Of those that were planned."""
    colliding_tables: tuple[str, ...]
    collision_policies: Mapping[str, Any]
    duplicates: int
    """Folders beyond the first of each current group: exact, and a lower bound of what is removed."""
    folders_to_remove: int
    child_folders_to_merge: int
    files_to_move: int
    rows_by_table: Mapping[str, int]
    journal_bytes: int
    wal_bytes: int | None
    seconds: float
    largest_application: LargestApplication | None
    too_large_applications: int
    """Affected applications that a run would set aside because of their size, exactly."""
    free_bytes: int | Unknown = UNKNOWN
    """On the database's disk."""


@dataclass(frozen=True, slots=True)
class ForeignKeyFacts(Document):
    """A foreign key of, or to, a table that a run may write."""

    name: str
    table: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    on_delete: str
    deferrable: bool
    enforced: bool


@dataclass(frozen=True, slots=True)
class IndexFacts(Document):
    """An index that a run can use."""

    table: str
    columns: tuple[str, ...]
    unique: bool


@dataclass(frozen=True, slots=True)
class UniqueKeyFacts(IndexFacts):
    """A unique key that moved rows must keep."""

    name: str
    primary: bool
    predicate: str | None


@dataclass(frozen=True, slots=True)
class ReferenceFacts(Document):
    """A reference to folders."""

    table: str
    columns: tuple[str, ...]
    folder_columns: tuple[str, ...]
    source: str
    constraint: str | None
    on_delete: str | None
    proven: bool
    indexed: bool
    row_key: tuple[str, ...] | None
    kind: str
    estimated_rows: int
    step: int


@dataclass(frozen=True, slots=True)
class Grant(Document):
    """The privileges that the current role needs on a table, and which of them are missing."""

    table: str
    needed: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trigger(Document):
    """A trigger of your own on a table that a run may write."""

    name: str
    table: str
    events: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TriggerFacts(Document):
    """Your own triggers, and what a run does about them."""

    policy: str
    may_bypass: bool | Unknown
    found: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class SuspectedColumn(Document):
    """A column that may name folders."""

    table: str
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightReport(Document):
    """Whether a cleanup can run, and what the answer is based on: ``unknown`` for what the role may not read."""

    ok: bool
    problems: tuple[Problem, ...]
    """Why not."""
    warnings: tuple[Problem, ...]
    identity: Mapping[str, Any]
    """Server, database, and the server's settings."""
    role: Mapping[str, Any]
    """The current role and its grants."""
    foreign_keys: tuple[ForeignKeyFacts, ...] | Unknown = UNKNOWN
    indexes: tuple[IndexFacts | UniqueKeyFacts, ...] | Unknown = UNKNOWN
    references: tuple[ReferenceFacts, ...] | Unknown = UNKNOWN
    triggers: TriggerFacts | Unknown = UNKNOWN
    row_security: tuple[str, ...] | Unknown = UNKNOWN
    """Tables that hide rows from some roles."""
    collations: tuple[Mapping[str, Any], ...] | Unknown = UNKNOWN
    suspected: tuple[SuspectedColumn, ...] | Unknown = UNKNOWN
    """Columns that may name folders and are not declared."""
    settings: Mapping[str, Any]
    """The settings in force, without secrets."""
    estimate: Estimate | Unknown = UNKNOWN
