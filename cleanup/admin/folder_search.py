"""The page "Find a folder": by a part of its name, now or when it was merged, or by its id."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from cleanup.admin import access, timestamps, titles, wording
from cleanup.admin.access import Pages, page
from cleanup.permissions import Permission
from cleanup.services.folders import applications, history
from cleanup.text_safety import safe

#: Applications that are suggested.
MOST_SUGGESTED = 5
#: Digits of the number of a merge.
MOST_DIGITS = 18


class FolderPages(Pages):
    """Where a folder is, and how it came there."""

    section = "folder"

    def urls(self) -> list[URLPattern]:
        """Return the address."""
        return [page(self.admin_site, "folder/", self.folder, "folder")]

    @access.permission_required(Permission.VIEW)
    def folder(self, request: HttpRequest) -> HttpResponse:
        """Search by a part of a name, or by an id."""
        asked = {name: request.GET.get(name, "").strip() for name in ("q", "application", "after", "before")}
        asked = {name: value for name, value in asked.items() if value}
        folder, application, before = (asked.get(name, "") for name in ("q", "application", "before"))
        found = None
        if text := folder or application:  # its top folder has its name
            found = history.folder_history(
                using=access.database(),
                text=text,
                application=application if folder else "",
                after=asked.get("after", ""),
                before=int(before) if before.isdecimal() and len(before) <= MOST_DIGITS else None,
            )
        suggested = self._suggested(text, asked) if found and len(found.present) < history.MOST_FOUND else []
        labels = self._labels(found, suggested)
        return self.render(
            request,
            "folder",
            title=titles.of("folder"),
            text=folder,
            within=application,
            searched=found is not None,
            suggested=[self._application(key, labels[key]) for key in suggested if key in labels],
            **(self._found(found, labels, asked) if found else {}),
        )

    def _suggested(self, text: str, asked: dict[str, str]) -> list[str]:
        """Return the applications that have such a name; unless the search is within one, or goes on."""
        if len(asked) > 1:
            return []
        return applications.find(using=access.database(), text=text, limit=MOST_SUGGESTED)

    def _labels(self, found: history.FolderHistory | None, suggested: list[str]) -> dict[str, str]:
        keys = dict.fromkeys(suggested)
        if found:
            keys |= dict.fromkeys(event.point.application_key for event in found.events)
            keys |= dict.fromkeys(folder.application_id for folder in found.present if folder.application_id)
        return applications.labels(using=access.database(), application_ids=keys)

    def _found(self, found: history.FolderHistory, labels: dict[str, str], asked: dict[str, str]) -> dict[str, Any]:
        further = {"after": found.present_after, "before": found.events_before}
        return {
            "is_continued": found.is_continued,
            "start": self.url("folder", **{name: asked[name] for name in ("q", "application") if name in asked}),
            "present": [self._present(folder, labels) for folder in found.present],
            "events": [self._event(events, labels) for events in _alike(found.events)],
            **{
                f"further_{name}": self.url("folder", **{**asked, name: str(place)}) if place else ""
                for name, place in further.items()
            },
        }

    def _application(self, key: str, label: str) -> dict[str, str]:
        return {
            "name": safe(label),
            "address": self.url("preview", quote(key)),
            "history": self.url("rollbackpoint_changelist", q=key),
        }

    def _present(self, folder: history.LiveFolder, labels: dict[str, str]) -> dict[str, Any]:
        key = folder.application_id
        return {
            "name": wording.folder_name(folder.name),
            "place": wording.place((*folder.inside, folder.name)),
            "application": safe(labels.get(key, "") or key),
            "address": self.url("preview", quote(key)) if key else "",
        }

    def _event(self, events: Sequence[history.FolderEvent], labels: dict[str, str]) -> dict[str, Any]:
        event = events[0]
        key, run = event.point.application_key, event.point.run
        return {
            "sentence": wording.folder_event(event, number=len(events)),
            "where_now": wording.where_now(event),
            "place": wording.place((*event.now.inside, event.now.name)) if event.now else "",
            "when": timestamps.show(event.point.created_at),
            "by": wording.started(run.started_by, run.started_how) if run else "",
            "ids": ", ".join(safe(each.folder_id) for each in events),
            "application": safe(labels.get(key, "") or key),
            "address": self.url("preview", quote(key)),
            "point": self.url("rollbackpoint_change", event.point.pk),
            "can_undo": event.point.status == event.point.Status.LIVE,
            "undo": self.url("undo_record", event.point.pk),
            "undo_until": wording.point_status(event.point),
        }


def _alike(events: Iterable[history.FolderEvent]) -> Iterable[list[history.FolderEvent]]:
    """Put together what one cleanup did to folders of one name that are in the same place now."""
    groups: dict[tuple[Any, ...], list[history.FolderEvent]] = {}
    for event in events:
        groups.setdefault((event.point.pk, event.name, event.now, event.merged_again), []).append(event)
    return groups.values()
