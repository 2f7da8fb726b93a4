"""Draw a preview's trees as nested lists, a part at a time.

Invariant: a part holds a bounded number of folders and levels, however large or deep the tree. What is left out is
folded, with the address of the part that shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from cleanup.admin import wording
from cleanup.services.results import Fate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cleanup.services.results import FolderPreview, Line, Preview

Side = Literal["before", "after"]

#: Folders in one part.
MOST_FOLDERS = 300
#: Levels in one part.
MOST_LEVELS = 12
#: Folders of one parent that are listed at once.
MOST_SIBLINGS = 100

#: A mark beside the words, so that a glance is enough; the words alone say everything.
MARKS = {
    Fate.SURVIVOR: "●",
    Fate.MERGED: "→",
    Fate.MOVED: "↷",
    Fate.KEPT: "",
    Fate.LEFT_ALONE: "!",
}


@dataclass(slots=True)
class _Node:
    line: Line
    children: list[_Node]
    below: int = 0
    """Folders below it, at any depth."""


class Drawing:
    """One side of a preview."""

    def __init__(self, preview: Preview, side: Side, address: Callable[..., str]) -> None:
        self.preview = preview
        self.folders = preview.by_id
        self.side: Side = side
        self.address = address
        self._budget = MOST_FOLDERS

    def part(self, *, folder: str = "", start: int = 0) -> SafeString:
        """Draw the folders in a folder, or the top folders, from the ``start``-th on."""
        tops, nodes = _forest(self.preview.before if self.side == "before" else self.preview.after)
        siblings = nodes[folder].children if folder in nodes else ([] if folder else tops)
        return self._siblings(siblings, folder=folder, start=start, level=0)

    def _siblings(self, nodes: Sequence[_Node], *, folder: str, start: int, level: int) -> SafeString:
        shown = nodes[start : start + MOST_SIBLINGS]
        left = len(nodes) - start - len(shown)
        self._budget -= len(shown)
        items = format_html_join("", "{}", ((self._item(node, level),) for node in shown))
        more = self._more(folder, start + len(shown), left) if left > 0 else ""
        return format_html("<ul>{}{}</ul>", items, more)

    def _more(self, folder: str, start: int, left: int) -> SafeString:
        return format_html(
            '<li><a class="cleanup-part" href="{}">{}</a></li>',
            self.address(side=self.side, folder=folder, start=start),
            f"Show {wording.counted(left, 'more folder')}",
        )

    def _item(self, node: _Node, level: int) -> SafeString:
        folder = self.folders[node.line.folder_id]
        label = self._label(folder)
        if not node.children:
            return format_html("<li>{}</li>", label)
        if level + 1 < MOST_LEVELS and len(node.children) <= max(self._budget, 0):
            inside = self._siblings(node.children, folder=folder.folder_id, start=0, level=level + 1)
            return format_html("<li><details open><summary>{}</summary>{}</details></li>", label, inside)
        return format_html(
            '<li><details class="cleanup-folded"><summary>{}</summary>'
            '<a class="cleanup-part" href="{}">{}</a></details></li>',
            label,
            self.address(side=self.side, folder=folder.folder_id, start=0),
            f"Show the {wording.counted(node.below, 'folder')} in it",
        )

    def _label(self, folder: FolderPreview) -> SafeString:
        count = wording.content(folder, after=self.side == "after")
        name = wording.folder_name(folder.name)
        if self.side == "after":
            changed = folder.fate in (Fate.SURVIVOR, Fate.MOVED)
            note = wording.fate_after(folder) if changed else ""
        else:
            note = wording.fate_before(folder, self.folders)
        kind = folder.fate.value.replace("_", "-")
        return format_html(
            '<span class="cleanup-folder cleanup-{}"><span class="cleanup-mark" aria-hidden="true">{}</span>'
            '<bdi class="cleanup-name">{}</bdi> <span class="cleanup-count">{}</span>{}</span>',
            kind if self.side == "before" or changed else "kept",
            MARKS[folder.fate] if self.side == "before" or changed else "",
            name,
            count,
            format_html(' <span class="cleanup-note">{}</span>', note) if note else mark_safe(""),
        )


def _forest(lines: Sequence[Line]) -> tuple[list[_Node], dict[str, _Node]]:
    """Return the top folders and all folders by id; without recursion, because trees can be deep."""
    tops: list[_Node] = []
    nodes: dict[str, _Node] = {}
    path: list[_Node] = []
    for line in lines:
        node = _Node(line, [])
        nodes[line.folder_id] = node
        for left in _leave(path, line.depth):
            if path:
                path[-1].below += left.below + 1
        (path[-1].children if path else tops).append(node)
        path.append(node)
    for left in _leave(path, 0):
        if path:
            path[-1].below += left.below + 1
    return tops, nodes


def _leave(path: list[_Node], depth: int) -> Iterator[_Node]:
    while len(path) > depth:
        yield path.pop()
