"""What an undo leaves as it is, in sentences with the names of files and folders and where they are now.

Set-based: a query for each table, whatever the number of conflicts; what was deleted is looked for in undo records.
Table, key and column are for IT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _

from cleanup.admin import access, linked_records, wording
from cleanup.folder_tables import folder_tables
from cleanup.services import folders
from cleanup.text_safety import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.utils.safestring import SafeString

    from cleanup.services.folders.places import Place, Places
    from cleanup.services.folders.vanished import LastKnown


@dataclass(frozen=True, slots=True)
class Described:
    """One conflict."""

    sentence: str
    for_it: str


def described(conflicts: Sequence[Mapping[str, Any]]) -> list[Described]:
    """Describe conflicts, given in their JSON form."""
    by_kind: dict[str, list[str]] = {"folder": [], "file": [], "": []}
    for found in conflicts:
        by_kind[_kind(found)].append(found["key"])
    if not conflicts:
        return []
    known = folders.places.places(using=access.database(), folders=by_kind["folder"], files=by_kind["file"])
    gone = _last_known([found for found in conflicts if _is_gone(found, known)])
    return [Described(_sentence(found, known, gone.get(found["key"])), _for_it(found)) for found in conflicts]


def _is_gone(found: Mapping[str, Any], known: Places) -> bool:
    kind = _kind(found)
    return kind != "" and not any(found["key"] in those for those in (getattr(known, f"{kind}s"), known.merged))


def _last_known(gone: Sequence[Mapping[str, Any]]) -> Mapping[str, LastKnown]:
    """Return what undo records know of files and folders that do not exist."""
    keys: dict[str, set[str]] = {}
    for found in gone:
        keys.setdefault(found["table"], set()).add(found["key"])
    tables, kinds = folder_tables(), {found["table"]: _kind(found) for found in gone}
    wanted = [
        folders.vanished.Vanished(table, keys[table], tables.folder_key, tables.folder_parent, tables.folder_name)
        if kind == "folder" or tables.file is None
        else folders.vanished.Vanished(table, keys[table], tables.file.key, tables.file.folder, tables.file.name)
        for table, kind in kinds.items()
    ]
    applications = {found["application_id"] for found in gone if found.get("application_id")}
    if not applications:
        return {}
    return folders.vanished.last_known(using=access.database(), applications=applications, wanted=wanted)


def shown(conflicts: Sequence[Mapping[str, Any]]) -> SafeString | str:
    """Show conflicts as a list, with what is for IT folded beneath."""
    several = described(conflicts)
    if not several:
        return "—"
    return format_html(
        '<ul class="cleanup-list">{}</ul><details><summary>{}</summary><ul class="cleanup-list">{}</ul></details>',
        format_html_join("", "<li>{}</li>", ((one.sentence,) for one in several)),
        _("For IT"),
        format_html_join("", "<li><code>{}</code></li>", ((one.for_it,) for one in several)),
    )


def copies(found: Sequence[Mapping[str, Any]]) -> SafeString | str:
    """Show the folders that came back as copies, by the names that they had and those and the places they have now."""
    keys = [copy["folder_id"] for copy in found]
    if not keys:
        return "—"
    using = access.database()
    known = folders.places.places(using=using, folders=keys, files=())
    before = folders.places.merged_names(using=using, folders=keys)
    lines = ((_copy(known.folders.get(key), before.get(key, "")),) for key in keys)
    return format_html('<ul class="cleanup-list">{}</ul>', format_html_join("", "<li>{}</li>", lines))


def _copy(place: Place | None, before: str) -> str:
    if place is None:
        return _("“%s”: no longer exists.") % wording.folder_name(before) if before else _("A folder, gone since.")
    names = {"name": wording.folder_name(place.name), "before": wording.folder_name(before)}
    came = _("“%(before)s” came back as “%(name)s”") if before not in ("", place.name) else _("“%(name)s” came back")
    where = _("in %s") % wording.place(place.inside) if place.inside else ""
    return f"{came % names} {where}".rstrip() + "."


def _kind(found: Mapping[str, Any]) -> str:
    """Return whether a conflict is about a folder, a file or another record."""
    tables = folder_tables()
    table = linked_records.bare(found["table"])
    if table == linked_records.bare(tables.folder_table):
        return "folder"
    return "file" if tables.file and table == linked_records.bare(tables.file.table) else ""


def _for_it(found: Mapping[str, Any]) -> str:
    parts = (found["table"], found["key"], found.get("column"), found["code"], found.get("constraint"))
    return ", ".join(safe(part) for part in parts if part)


def _sentence(found: Mapping[str, Any], known: Places, gone: LastKnown | None) -> str:
    """Say what has become of a record, and what the undo does about it."""
    kind = _kind(found)
    if kind == "":
        noun = linked_records.noun(found["table"]) if found["table"] else _("This application")
        return f"{wording.capitalized(noun)}: {_OTHERS.get(found['code'], _stands_in_the_way)()}"
    place = (known.folders if kind == "folder" else known.files).get(found["key"])
    name = _name(found, kind, place, known, gone)
    return f"{name}: {_fate(found, place, _moving_columns(kind))}"


def _name(found: Mapping[str, Any], kind: str, place: Place | None, known: Places, gone: LastKnown | None) -> str:
    if place is not None and (place.name or kind == "folder"):
        return wording.quoted(wording.folder_name(place.name))
    if found["key"] in known.merged:
        return wording.quoted(wording.folder_name(known.merged[found["key"]]))
    if gone is not None and gone.name:
        return wording.quoted(wording.folder_name(gone.name))
    if gone is not None:
        came_from = _("A folder that was in “%s”") if kind == "folder" else _("A file that was in “%s”")
        return came_from % wording.folder_name(gone.inside)
    return _("A folder") if kind == "folder" else _("A file")


def _moving_columns(kind: str) -> tuple[str, ...]:
    tables = folder_tables()
    if kind == "folder":
        return (tables.folder_parent,)
    return (tables.file.folder,) if tables.file else ()


def _fate(found: Mapping[str, Any], place: Place | None, moving: Sequence[str]) -> str:
    """Say what has become of a file or folder."""
    code = found["code"]
    if code == "row_missing" or (code in {"changed", "missing_target"} and place is None):
        return _("deleted since. It does not come back.") if code != "missing_target" else _missing_target()
    if code == "changed" and place is not None and found.get("column") in moving:
        if not place.inside:
            return _("taken out of its folder since. It stays out.")
        return _("moved to %s since. It stays there.") % wording.place(place.inside)
    if code == "missing_target" and place is not None and place.inside:
        return _("the place it was in no longer exists. It stays in %s.") % wording.place(place.inside)
    return _OTHERS.get(code, _stands_in_the_way)()


def _stands_in_the_way() -> str:
    return _("stands in the way. It stays as it is now.")


def _missing_target() -> str:
    return _("what it belongs to no longer exists. It does not come back.")


_OTHERS: dict[str, Callable[[], str]] = {
    "changed": lambda: _("changed since. It stays as it is now."),
    "row_missing": lambda: _("deleted since. It does not come back."),
    "row_exists": lambda: _("there is already one in its place. It does not come back."),
    "missing_target": _missing_target,
    "unique_taken": lambda: _("something else has taken its place since. It stays as it is now."),
    "refused": lambda: _("the database no longer allows it as it was. It stays as it is now."),
    "in_use": lambda: _("made by the repair, and in use by now. It stays."),
    "extra": lambda: _("differs from what it was. It stays as it is now."),
}
