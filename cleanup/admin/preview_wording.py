"""The sentences of a preview: what merging an application would do, folder by folder and in all.

What is the rule is said once, and beside a folder only what is otherwise. Names in the sentences are data, with control
and direction characters escaped.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cleanup import conf
from cleanup.admin.wording import (
    counted,
    folder_name,
    linked_records,
    moment_text,
    nothing_deleted,
    number_text,
    to_merge,
    undo_for,
)
from cleanup.services.results import Fate, Reason
from cleanup.text_safety import safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cleanup.admin.aligned import Node
    from cleanup.models import PreparedPreview
    from cleanup.services.results import FolderPreview, GroupPreview, Preview

#: Folders of a path that are named, the outermost and the innermost.
MOST_NAMED = 6

_RULES = {
    Reason.OLDEST: gettext_lazy("Where folders become one, the oldest stays."),
    Reason.LOWEST_KEY: gettext_lazy("Where folders become one, the one with the lowest key stays."),
    Reason.NEWEST: gettext_lazy("Where folders become one, the newest stays."),
    Reason.FULLEST: gettext_lazy("Where folders become one, the one that holds most stays."),
    Reason.NAMED: gettext_lazy("The top folder that the application names stays."),
    Reason.CHOSEN: gettext_lazy("Where folders become one, the one that the settings prefer stays."),
    Reason.ALREADY_THERE: gettext_lazy("Where folders become one, the one that is already in the right place stays."),
}

_STAYS = {
    Reason.OLDEST: gettext_lazy("stays, because it is the oldest"),
    Reason.LOWEST_KEY: gettext_lazy("stays, because it has the lowest key"),
    Reason.NEWEST: gettext_lazy("stays, because it is the newest"),
    Reason.FULLEST: gettext_lazy("stays, because no other holds more"),
    Reason.NAMED: gettext_lazy("stays, because the application names it as its top folder"),
    Reason.CHOSEN: gettext_lazy("stays, because the settings prefer it"),
    Reason.ALREADY_THERE: gettext_lazy("stays, because it is the first one already in the right place"),
}

_FATES = {
    Fate.SURVIVOR: gettext_lazy("stays"),
    Fate.MERGED: gettext_lazy("merges"),
    Fate.MOVED: gettext_lazy("moves"),
}


def totals(found: Preview, *, days: int) -> str:
    """Summarize what merging an application would do, first of all how many folders become how many."""
    if found.empty:
        return _("There is nothing to do: this application has no duplicates.")
    before = len(found.before) + found.folders_left_out
    numbers = {"before": counted(before, "folder"), "after": number_text(before - found.folders_removed)}
    if any(obstacle.code != "held" for obstacle in found.obstacles):
        return (
            _("A cleanup changes nothing here for now. Without what is in the way, %(before)s would become %(after)s.")
            % numbers
        )
    parts = [
        _("%(before)s become %(after)s.") % numbers,
        to_merge(found.folders_removed, found.files_moved, found.references_moved),
    ]
    if found.folders_moved:
        text = ngettext(
            "%(number)s folder moves to another one.", "%(number)s folders move to another one.", found.folders_moved
        )
        parts.append(text % {"number": number_text(found.folders_moved)})
    if found.rows_removed:
        rows = sum(found.rows_removed.values())
        text = ngettext(
            "%(number)s linked record that would be a duplicate is kept in the undo record.",
            "%(number)s linked records that would be duplicates are kept in the undo record.",
            rows,
        )
        parts.append(text % {"number": number_text(rows)})
    return " ".join([*parts, nothing_deleted(), undo_for(days, now=found.made_at)])


def rule_of(found: Preview) -> Reason | None:
    """Return why mostly the one stays that does; None if nothing merges."""
    reasons = Counter(group.reason for group in found.groups)
    return reasons.most_common(1)[0][0] if reasons else None


def rule(reason: Reason | None) -> str:
    """Say why mostly the one stays that does."""
    return str(_RULES.get(reason, "")) if reason else ""


def path(found: GroupPreview, folders: Mapping[str, FolderPreview]) -> list[str]:
    """Name the folders that lead to the one that stays, and itself; of a deep one those in the middle are left out."""
    names = list(islice(_upwards(found.survivor_id, folders), len(folders)))[::-1]
    if len(names) > MOST_NAMED:
        names = [*names[:2], "…", *names[3 - MOST_NAMED :]]
    return names


def _upwards(key: str | None, folders: Mapping[str, FolderPreview]) -> Iterator[str]:
    while key is not None and key in folders:
        yield folder_name(folders[key].name)
        key = folders[key].parent_after


def group(found: GroupPreview, *, rule: Reason | None) -> str:
    """Describe what becomes of folders that become one: ``3 folders become 1. 14 files move.``"""
    number = found.number_removed + 1
    many = _("%(number)s top folders become 1.") if found.roots else _("%(number)s folders become 1.")
    parts = [many % {"number": number_text(number)}]
    if found.reason != rule:
        parts.append(_("“%(name)s” %(stays)s.") % {"name": folder_name(found.name), "stays": _STAYS[found.reason]})
    if found.files_moved:
        text = ngettext("%(number)s file moves.", "%(number)s files move.", found.files_moved)
        parts.append(text % {"number": number_text(found.files_moved)})
    if found.linked_records_moved:
        text = ngettext("%(records)s follows.", "%(records)s follow.", found.linked_records_moved)
        parts.append(text % {"records": linked_records(found.linked_records_moved)})
    return " ".join(parts)


def fate_before(folder: FolderPreview, folders: Mapping[str, FolderPreview], *, rule: Reason | None) -> str:
    """Describe what becomes of one of the folders, and why, if it is not as the marks and the rule say."""
    reason = folder.reasons[0] if folder.reasons else None
    if folder.fate == Fate.SURVIVOR:
        return str(_STAYS[reason]) if reason in _STAYS and reason != rule else ""
    if folder.fate == Fate.MERGED:
        return _merges(folder, folders.get(folder.into or ""), reason)
    if reason == Reason.NESTED:
        return _("moves, because it is a top folder with another name")
    if reason == Reason.UNREACHABLE:
        return _("is not touched, because no top folder leads to it")
    return _("is not touched, because it is in the trash") if reason == Reason.NOT_LIVE else ""


def _merges(folder: FolderPreview, into: FolderPreview | None, reason: Reason | None) -> str:
    if into is None or into.name == folder.name:
        return ""
    named = {"name": folder_name(into.name)}
    if reason == Reason.ANOTHER_ROOT:
        return _("merges into “%(name)s”, because an application may have only one top folder") % named
    return _("merges into “%(name)s”") % named


def fate_word(fate: Fate) -> str:
    """Say in a word what the mark beside a folder shows; empty if it has none."""
    return str(_FATES.get(fate, ""))


def content(folder: FolderPreview, *, after: bool) -> str:
    """Count what lies in a folder; without files only before the merge, in which linked records may become one.

    Empty if nothing does.
    """
    if conf.has_files():
        files = folder.files_after if after else folder.files
        return counted(files, "file") if files else ""
    records = sum(folder.linked_records.values())
    return counted(records, "linked record") if records and not after else ""


def gained(folder: FolderPreview, *, merging: int) -> list[str]:
    """Tell shortly what a folder gains: ``3 → 1`` and ``+5 files``."""
    parts = [_("%(number)s → 1") % {"number": number_text(merging + 1)}] if merging else []
    files = folder.files_after - folder.files
    return [*parts, f"+{counted(files, 'file')}"] if files > 0 and conf.has_files() else parts


def numbers(node: Node, folder: FolderPreview) -> list[str]:
    """Return the number of a folder that merges, and in which of those above it a folder lies."""
    origin, own = node.origin(folder), node.ordinals.get(folder.folder_id)
    return [
        *([f"#{number_text(own)}"] if own and node.is_numbered else []),
        *([_("in %(number)s") % {"number": f"#{number_text(origin)}"}] if origin else []),
    ]


def unchanged(number: int) -> str:
    """Count neighbours in which nothing happens."""
    return ngettext("%(number)s unchanged folder", "%(number)s unchanged folders", number) % {
        "number": number_text(number)
    }


def show_more(number: int) -> str:
    """Offer the neighbours that are not shown yet."""
    return ngettext("Show %(number)s more folder", "Show %(number)s more folders", number) % {
        "number": number_text(number)
    }


def show_inside(number: int) -> str:
    """Offer what lies in a folder."""
    return ngettext("Show the %(number)s folder in it", "Show the %(number)s folders in it", number) % {
        "number": number_text(number)
    }


def part_title(folder: FolderPreview | None) -> str:
    """Name a part of the trees that is a page of its own."""
    return folder_name(folder.name) if folder else _("Top folders")


def widening(found: Preview) -> str:
    """Return in a sentence how many would newly see files; empty: none."""
    number = sum(found.widening.values())
    words = ngettext(
        "%(number)s person or group would see files here that they cannot see now.",
        "%(number)s people or groups would see files here that they cannot see now.",
        number,
    )
    return words % {"number": number_text(number)} if number else ""


def differing(found: Preview) -> list[str]:
    """List the columns in which folders differ from the one they merge into, with the number of such folders."""
    columns = Counter(column for folder in found.folders for column in folder.differing_columns)
    return [f"{safe(column)}: {counted(number, 'folder')}" for column, number in sorted(columns.items())]


def moving_records(found: Preview) -> list[str]:
    """List the tables whose rows move, with their number."""
    return [f"{safe(table)}: {counted(rows, 'record')}" for table, rows in sorted(found.references_moved.items())]


def groups(number: int) -> str:
    """Count the places at which folders become one."""
    return ngettext("What merges, and where: %(number)s place", "What merges, and where: %(number)s places", number) % {
        "number": number_text(number)
    }


def further(number: int) -> str:
    """Count folders that merge and are not listed; empty if there are none."""
    text = ngettext("and %(number)s more, not listed", "and %(number)s more, not listed", number)
    return text % {"number": number_text(number)} if number else ""


# Large applications.


def prepared(row: PreparedPreview) -> str:
    """Say when a preview was worked out in the background, and for whom."""
    facts = {"moment": moment_text(row.ended_at), "person": safe(row.requested_by)}
    if row.requested_by:
        return _("Worked out in the background on %(moment)s, for %(person)s.") % facts
    return _("Worked out in the background on %(moment)s.") % facts


def outlined(found: Preview) -> str:
    """Return in a sentence what is not drawn; empty if everything is."""
    text = ngettext(
        "%(number)s folder is not drawn: nothing happens to it, or it is one of too many.",
        "%(number)s folders are not drawn: nothing happens to them, or they are too many.",
        found.folders_left_out,
    )
    return text % {"number": number_text(found.folders_left_out)} if found.folders_left_out else ""


def large(folders: int, *, skipped: bool) -> str:
    """Explain why a preview is worked out in the background."""
    text = ngettext(
        "This application has %(number)s folder, so its preview is worked out in the background.",
        "This application has %(number)s folders, so its preview is worked out in the background.",
        folders,
    ) % {"number": number_text(folders)}
    return f"{text} {left_alone()}" if skipped else text


def left_alone() -> str:
    """Say that the large are not cleaned up with the others."""
    return _("It is very large: cleanups skip it unless someone asks for it.")
