"""What merging one application would do, folder by folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from cleanup.services.results.document import JSON, OPTIONAL, Document
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
    removed_left_out: int | None = field(default=None, kw_only=True, metadata=OPTIONAL)
    files_moved: int
    linked_records_moved: int
    reason: Reason
    """Why the survivor survives."""

    @property
    def number_removed(self) -> int:
        """Return how many folders merge into the survivor."""
        return len(self.removed) + (self.removed_left_out or 0)


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

    def outlined(self, limit: int) -> "Preview":
        """Return the preview with at most about ``limit`` folders: those that change, and what leads to them."""
        removed = {group.survivor_id: group.removed for group in self.groups}
        folders, kept, path = self.by_id, dict[str, None](), list[str]()
        for line in self.after:
            del path[line.depth :]
            path.append(line.folder_id)
            if folders[line.folder_id].fate == Fate.KEPT:
                continue
            kept |= dict.fromkeys([*path, *islice(removed.get(line.folder_id, ()), limit)])
            if len(kept) >= limit:
                break
        groups = [
            replace(
                group,
                removed=tuple(key for key in group.removed if key in kept),
                removed_left_out=sum(key not in kept for key in group.removed) or None,
            )
            for group in self.groups
            if group.survivor_id in kept
        ]
        return replace(
            self,
            groups=tuple(groups),
            groups_left_out=len(self.groups) - len(groups),
            folders=tuple(folder for folder in self.folders if folder.folder_id in kept),
            folders_left_out=len(self.folders) - len(kept),
            before=tuple(line for line in self.before if line.folder_id in kept),
            after=tuple(line for line in self.after if line.folder_id in kept),
        )


def stored_preview(document: JSON) -> Preview:
    """Return the preview whose JSON form was stored."""

    def folder(values: dict[str, Any]) -> FolderPreview:
        return FolderPreview(
            **{
                **values,
                "created_at": values["created_at"] and datetime.fromisoformat(values["created_at"]),
                "fate": Fate(values["fate"]),
                "reasons": tuple(map(Reason, values["reasons"])),
                "differing_columns": tuple(values["differing_columns"]),
            }
        )

    def group(values: dict[str, Any]) -> GroupPreview:
        return GroupPreview(**{**values, "removed": tuple(values["removed"]), "reason": Reason(values["reason"])})

    return Preview(
        **{
            **document,
            "made_at": datetime.fromisoformat(document["made_at"]),
            "obstacles": tuple(Obstacle(**values) for values in document["obstacles"]),
            "groups": tuple(map(group, document["groups"])),
            "folders": tuple(map(folder, document["folders"])),
            "before": tuple(Line(**values) for values in document["before"]),
            "after": tuple(Line(**values) for values in document["after"]),
        }
    )
