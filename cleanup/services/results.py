"""Every document that is sent as JSON by the command, the services and the API, each declared once.

A field's annotation and the text below it are its declaration: ``as_json`` and the API's serializers are derived from
them, and the manual is tested against them. Lists are capped; what is left out is counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum
from types import FunctionType
from typing import Annotated, Any
from uuid import UUID

from cleanup.models import RollbackPoint

JSON = dict[str, Any]

#: Keys as text; what they look like in the API's schema depends on your models.
ApplicationId = Annotated[str, "application"]
FolderId = Annotated[str, "folder"]

#: Metadata of a field that is left out of the JSON where it is None.
OPTIONAL = {"optional": True}


def plain(value: Any) -> Any:
    """Return a value as JSON has it: a dataclass by its fields, a time in ISO 8601, a function by its dotted path."""
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
    """What is sent as JSON: a frozen dataclass."""

    __slots__ = ()

    def as_json(self) -> JSON:
        """Return the JSON form."""
        document: JSON = plain(self)
        return document


@dataclass(frozen=True, slots=True)
class RootFolder(Document):
    """The root folder that stays where an application has several."""

    folder_id: FolderId
    name: str


@dataclass(frozen=True, slots=True)
class FolderCleanupResult(Document):
    """What came of one application; of a dry run, what would come."""

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
    """Of a dry run, where there are several root folders: the one that would stay."""


@dataclass(frozen=True, slots=True)
class CleanupReport(Document):
    """A run's totals and its results (capped unless all were asked for)."""

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
    """Left alone: too large, or not there."""
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
    """Those of the run that are live: what can still be rolled back."""

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
    """What stands in the way: the name of a constraint, a unique index or a trigger's function."""


@dataclass(frozen=True, slots=True)
class Copy(Document):
    """One folder that did not come back as it was, because it would have been a duplicate."""

    application_id: ApplicationId
    folder_id: FolderId
    renamed: bool
    """It has another name than before; which one is left to the folder itself."""
    parent_id: FolderId | None = None
    """The folder that it lies in, where that is another one than before."""


@dataclass(frozen=True, slots=True)
class NotRestored(Document):
    """One application of a run whose rollback point is not rolled back with the run."""

    application_id: str
    rollback_id: UUID
    code: str
    """``expired``: it cannot be brought back any more. ``already_rolled_back``: it was, before."""


@dataclass(frozen=True, slots=True)
class RollbackResult(Document):
    """What a rollback did; true unless it is a preview or it failed."""

    rollback_id: UUID
    """The rollback point or the run that was asked for."""
    status: str
    """``rolled_back``, ``preview``, ``conflict`` (preview only), or of a run the rollback run's status."""
    folders_restored: int = 0
    files_restored: int = 0
    references_restored: int = 0
    """Rows of other tables than files."""
    conflicts: tuple[Conflict, ...] = ()
    conflicts_left_out: int = 0
    copies: tuple[Copy, ...] = ()
    """Folders that came back as copies."""
    copies_left_out: int = 0
    exact: bool = True
    """Every row that the cleanup changed is what it was."""
    inexact: tuple[str, ...] = ()
    """Why not: ``conflicts``, ``copies``, ``differences``, ``triggers`` and ``hook`` (what they write is not compared),

    ``expired``, ``already_rolled_back`` (and not exactly, or cleaned again), ``failed``, ``unfinished``.
    """
    expired: int = 0
    """Applications of a run that cannot be brought back any more."""
    not_restored: tuple[NotRestored, ...] = ()
    """The points of a run that are left as they are."""
    not_restored_left_out: int = 0
    run_id: UUID | None = None
    """The rollback run, where a whole run was rolled back."""
    total_applications: int = 1
    successful: int = 0
    failed: int = 0

    def __bool__(self) -> bool:
        return self.status in ("rolled_back", "completed") and not self.failed


@dataclass(frozen=True, slots=True)
class Progress:
    """A sign of life from a run, for whoever shows it."""

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
    """``cleanup``, or ``manual`` where it was taken by hand."""
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
    """Others merge into it; where ``parent_after`` differs from ``parent_id``, it moves as well."""
    MERGED = "merged"
    MOVED = "moved"
    KEPT = "kept"
    LEFT_ALONE = "left_alone"


class Reason(StrEnum):
    """Why that becomes of it."""

    OLDEST = "oldest"
    ALREADY_THERE = "already_there"
    """Not the oldest of its group, but the oldest that lies in the surviving parent already."""
    ANOTHER_ROOT = "another_root"
    SAME_NAME = "same_name"
    PARENT_MERGED = "parent_merged"
    NESTED = "nested"
    """A root folder of another name, moved into the surviving root (``CLEANUP_DIFFERENT_ROOTS``)."""
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
    """None also for what is no time of a calendar (infinity)."""
    live: bool
    parent_id: str | None
    fate: Fate
    reasons: tuple[Reason, ...]
    into: str | None
    """Of a merged folder: the survivor."""
    parent_after: str | None
    """None for a merged folder, which is no more."""
    files: int
    files_after: int
    linked_records: Mapping[str, int]
    """Rows of other tables that point at it, by table."""
    differing_columns: tuple[str, ...]
    """Of a merged folder: the columns in which it differs from its survivor."""


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
    """Empty: a cleanup would go ahead. ``held`` can be overruled on purpose; others cannot."""
    folders_removed: int
    child_folders_merged: int
    folders_moved: int
    """Folders that stay and get another parent."""
    files_moved: int
    references_moved: Mapping[str, int]
    """Rows that would be pointed elsewhere, by table, files and folders among them; empty where it cannot go ahead."""
    rows_removed: Mapping[str, int]
    """Rows that would give way to a twin, by table; they come back with an undo."""
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
