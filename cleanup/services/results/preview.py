"""What merging one application would do, folder by folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from cleanup.services.results.document import Document
from cleanup.services.results.fates import Fate, Reason


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
    widening: Mapping[str, int]
    """People and groups that would newly see files, by table of grants."""
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
