"""A preview's trees before and after as one, line by line. Pure.

It is the tree after, in which each folder has beside it what it is now, and below that the folders that merge into it:
every folder has one line, and stands where its content will be. Without recursion, because trees can be deep.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from cleanup.services.results import Fate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cleanup.services.results import FolderPreview, Preview


@dataclass
class Node:
    """A folder that stays, and those that merge into it."""

    folder: FolderPreview
    merging: Sequence[FolderPreview]
    parent: Node | None
    depth: int
    children: list[Node] = field(default_factory=list)
    below: int = 0
    """Folders below it, at any depth, those that merge included."""
    changed: bool = False
    """Something becomes of it, or of something in it."""
    left_out: int = 0
    """Further folders that merge into it."""

    @property
    def lines(self) -> int:
        """Return the number of its own lines."""
        return 1 + len(self.merging)

    @cached_property
    def ordinals(self) -> Mapping[str, int]:
        """Return the places of those that merge, from 2 on, by folder."""
        return {folder.folder_id: place for place, folder in enumerate(self.merging, 2)}

    @cached_property
    def is_numbered(self) -> bool:
        """Return whether something lies in one of those that merge, so that it must be told which."""
        inside = (folder for child in self.children for folder in (child.folder, *child.merging))
        return any(folder.parent_id in self.ordinals for folder in inside)

    def origin(self, folder: FolderPreview) -> int | None:
        """Return which of the folders that merge above a folder of this line lies in now; None: the one that stays."""
        return self.parent.ordinals.get(folder.parent_id or "") if self.parent else None


@dataclass(frozen=True, slots=True)
class Aligned:
    """Both trees."""

    tops: list[Node]
    nodes: dict[str, Node]


def aligned(preview: Preview) -> Aligned:
    """Lay the trees before and after over each other."""
    folders = preview.by_id
    groups = {group.survivor_id: group for group in preview.groups}
    found = Aligned([], {})
    path: list[Node] = []
    for line in preview.after:
        del path[line.depth :]
        parent, folder = path[-1] if path else None, folders[line.folder_id]
        group = groups.get(line.folder_id)
        gone = [folders[key] for key in group.removed] if group else []
        node = Node(folder, gone, parent, len(path), changed=folder.fate != Fate.KEPT)
        node.left_out = group.number_removed - len(gone) if group else 0
        (parent.children if parent else found.tops).append(node)
        found.nodes[line.folder_id] = node
        path.append(node)
    for node in reversed(found.nodes.values()):  # children before their parents
        if node.parent:
            node.parent.below += node.below + node.lines
            node.parent.changed |= node.changed
    return found
