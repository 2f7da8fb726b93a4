"""Draw a preview's trees, before and after side by side, as nested lists, a part at a time.

Invariant: a part holds a bounded number of folders and levels, however large or deep the tree. What is left out is
folded, with the address of the part that shows it. Branches in which something happens are open, others folded.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from cleanup.admin import preview_wording, wording
from cleanup.admin.aligned import aligned
from cleanup.services.results import Fate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cleanup.admin.aligned import Node
    from cleanup.services.results import FolderPreview, Preview

#: Folders in one part.
MOST_FOLDERS = 300
#: Levels in one part.
MOST_LEVELS = 12
#: Folders of one parent that are listed at once.
MOST_SIBLINGS = 100
#: Folders that merge into one that are listed at once.
MOST_MERGING = 10
#: Neighbours in which nothing happens that become one line.
MANY_KEPT = 6
#: Folders of an unchanged branch that are sent along with it, folded.
MOST_FOLDED = 20
#: Levels that are indented.
MOST_INDENTED = 20

#: A mark beside the words, so that a glance is enough; the words alone say everything.
MARKS = {
    Fate.SURVIVOR: "●",
    Fate.MERGED: "→",
    Fate.MOVED: "↷",
    Fate.KEPT: "",
    Fate.LEFT_ALONE: "!",
}


class Drawing:
    """The trees of a preview."""

    def __init__(self, preview: Preview, address: Callable[..., str]) -> None:
        self.folders = preview.by_id
        self.rule = preview_wording.rule_of(preview)
        self.address = address
        self._trees = aligned(preview)
        self._budget = MOST_FOLDERS
        self._folds = True

    def whole(self) -> SafeString:
        """Draw the trees, unchanged branches folded."""
        return self._list(self._trees.tops, "", level=0)

    def part(self, *, folder: str, start: int = 0, until: int | None = None) -> SafeString:
        """Draw the folders in a folder, or the top folders, from the ``start``-th on, ``until`` a later one."""
        self._folds = False
        parent = self._trees.nodes.get(folder)
        siblings = parent.children if parent else [] if folder else self._trees.tops
        return format_html("<ul>{}</ul>", self._some(siblings, folder, start=start, until=until, level=0))

    def merging(self, *, folder: str, start: int = 0) -> SafeString:
        """Draw the folders that merge into a folder, from the ``start``-th on."""
        node = self._trees.nodes.get(folder)
        if node is None:
            return SafeString("<ul></ul>")
        shown = node.merging[start : start + MOST_SIBLINGS]
        rows = format_html_join("", "<li>{}</li>", ((self._gone(node, gone),) for gone in shown))
        left = len(node.merging) - start - len(shown)
        more = _more(self._others(node, start + len(shown)), left) if left > 0 else ""
        return format_html("<ul>{}{}</ul>", rows, more)

    def _list(self, nodes: Sequence[Node], folder: str, *, level: int) -> SafeString:
        """Draw siblings: many neighbours in which nothing happens as one line, the others each."""
        runs = []
        for changed, group in groupby(enumerate(nodes), key=lambda numbered: numbered[1].changed):
            places = [place for place, _node in group]
            start, until = places[0], places[-1] + 1
            if not changed and self._folds and level and until - start >= MANY_KEPT:
                runs.append(self._folded(nodes[start].depth, folder, start=start, until=until))
            else:
                runs.append(self._some(nodes, folder, start=start, until=until, level=level))
        return format_html("<ul>{}</ul>", _joined(runs))

    def _some(self, nodes: Sequence[Node], folder: str, *, start: int, until: int | None, level: int) -> SafeString:
        until = len(nodes) if until is None else min(until, len(nodes))
        shown = nodes[start : min(until, start + MOST_SIBLINGS)]
        self._budget -= sum(node.lines for node in shown)
        items = _joined(self._item(node, level) for node in shown)
        left = until - start - len(shown)
        if left <= 0:
            return items
        address = self.address(folder=folder, start=start + len(shown), until=until)
        return format_html("{}{}", items, _more(address, left))

    def _folded(self, depth: int, folder: str, *, start: int, until: int) -> SafeString:
        return format_html(
            '<li><details class="cleanup-folded"><summary><span class="cleanup-row {}">'
            '<span class="cleanup-cell quiet">{}{}</span></span></summary>'
            '<a class="cleanup-part" href="{}">{}</a></details></li>',
            _depth(depth),
            _FOLD,
            preview_wording.unchanged(until - start),
            self.address(folder=folder, start=start, until=until),
            _("Show them"),
        )

    def _item(self, node: Node, level: int) -> SafeString:
        shown = node.merging[:MOST_MERGING]
        rows = format_html("{}{}", self._row(node), _joined(self._gone(node, gone) for gone in shown))
        others = self._other_links(node, len(shown))
        if not node.children:
            return format_html("<li>{}{}</li>", rows, others)
        folder = node.folder.folder_id
        is_open = node.changed or level == 0 or not self._folds
        fits = level + 1 < MOST_LEVELS and len(node.children) <= max(self._budget, 0)
        if fits and (is_open or node.below <= MOST_FOLDED):
            inside = self._list(node.children, folder, level=level + 1)
            opened = SafeString(" open" if is_open else "")
            return format_html("<li><details{}><summary>{}</summary>{}{}</details></li>", opened, rows, others, inside)
        return format_html(
            '<li><details class="cleanup-folded"><summary>{}</summary>{}'
            '<a class="cleanup-part" href="{}">{}</a></details></li>',
            rows,
            others,
            self.address(folder=folder, start=0),
            preview_wording.show_inside(node.below),
        )

    def _row(self, node: Node) -> SafeString:
        """Draw what a folder is before, and what it is after."""
        changed = node.folder.fate in (Fate.SURVIVOR, Fate.MOVED)
        return format_html(
            '<span class="cleanup-row {}"><span class="cleanup-cell">{}{}</span>'
            '<span class="cleanup-cell cleanup-after"{}>{}</span></span>',
            _depth(node.depth),
            _FOLD if node.children else "",
            self._before(node, node.folder),
            "" if changed else SafeString(' aria-hidden="true"'),
            self._after(node, changed=changed),
        )

    def _gone(self, node: Node, folder: FolderPreview) -> SafeString:
        """Draw a folder that merges into another one."""
        row = '<span class="cleanup-row {}"><span class="cleanup-cell">{}</span></span>'
        return format_html(row, _depth(node.depth), self._before(node, folder))

    def _others(self, node: Node, start: int) -> str:
        return self.address(folder=node.folder.folder_id, start=start, merging=1)

    def _other_links(self, node: Node, shown: int) -> SafeString:
        """Offer the further folders that merge into one; outside of what is pressed to fold them."""
        left = len(node.merging) - shown
        if left <= 0:
            return _further(node)
        link = '<div><a class="cleanup-part" href="{}">{}</a></div>'
        return format_html(link, self._others(node, shown), preview_wording.show_more(left))

    def _before(self, node: Node, folder: FolderPreview) -> SafeString:
        note = preview_wording.fate_before(folder, self.folders, rule=self.rule)
        word = "" if note else preview_wording.fate_word(folder.fate)
        return format_html(
            '<span class="cleanup-folder cleanup-{}">{}{} {}<span class="cleanup-count">{}</span>{}{}</span>',
            folder.fate.value.replace("_", "-"),
            _mark(folder.fate),
            _name(folder.name),
            _chips(preview_wording.numbers(node, folder), kind="number"),
            preview_wording.content(folder, after=False),
            format_html(' <span class="cleanup-note">{}</span>', note) if note else "",
            format_html(' <span class="visually-hidden">{}</span>', word) if word else "",
        )

    def _after(self, node: Node, *, changed: bool) -> SafeString:
        folder = node.folder
        moved = changed and folder.parent_after != folder.parent_id
        return format_html(
            '{}<span class="cleanup-folder cleanup-{}">{}{} <span class="cleanup-count">{}</span> {}{}</span>',
            format_html('<span class="visually-hidden">{} </span>', _("After:")) if changed else "",
            folder.fate.value.replace("_", "-"),
            _mark(folder.fate),
            _name(folder.name),
            preview_wording.content(folder, after=True),
            _chips(preview_wording.gained(folder, merging=len(node.merging) + node.left_out), kind="gain"),
            format_html('<span class="cleanup-note">{}</span>', _("moved here")) if moved else "",
        )


def _joined(pieces: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((piece,) for piece in pieces))


def _more(address: str, left: int) -> SafeString:
    more = preview_wording.show_more(left)
    return format_html('<li><a class="cleanup-part" href="{}">{}</a></li>', address, more)


def _further(node: Node) -> SafeString:
    """Count the folders that merge into one and are not known here."""
    row = '<span class="cleanup-row {}"><span class="cleanup-cell quiet">{}</span></span>'
    text = preview_wording.further(node.left_out)
    return format_html(row, _depth(node.depth), text) if text else SafeString("")


def _chips(texts: Iterable[str], *, kind: str) -> SafeString:
    return format_html_join("", '<span class="cleanup-chip cleanup-{}">{}</span> ', ((kind, text) for text in texts))


def _mark(fate: Fate) -> SafeString:
    return format_html('<span class="cleanup-mark" aria-hidden="true">{}</span>', MARKS[fate])


_FOLD = SafeString('<span class="cleanup-fold" aria-hidden="true"></span>')


def _name(name: str) -> SafeString:
    return format_html('<bdi class="cleanup-name">{}</bdi>', wording.folder_name(name))


def _depth(depth: int) -> str:
    return f"cleanup-depth-{min(depth, MOST_INDENTED)}"
