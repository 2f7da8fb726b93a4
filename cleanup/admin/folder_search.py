"""The page "What happened to this folder?", which searches by an old id or by a name."""

from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cleanup.admin import access, wording
from cleanup.admin.access import Pages, page
from cleanup.permissions import Permission
from cleanup.services.folders import applications, history
from cleanup.text_safety import safe


class FolderPages(Pages):
    """Where a folder went."""

    section = "folder"

    def urls(self) -> list[URLPattern]:
        """Return the address."""
        return [page(self.admin_site, "folder/", self.folder, "folder")]

    @access.permission_required(Permission.VIEW)
    def folder(self, request: HttpRequest) -> HttpResponse:
        """Search by an old id or by a name."""
        text = request.GET.get("q", "").strip()
        within, number = request.GET.get("application", "").strip(), request.GET.get("page", "1")
        page = int(number) if number.isdecimal() and len(number) <= 3 else 1
        found = (
            history.folder_history(using=access.database(), text=text, application=within, page=page) if text else None
        )
        keys = {event.point.application_key for event in found.events} if found else set()
        if found and found.present:
            keys.add(found.present.application_id)
        labels = applications.labels(using=access.database(), application_ids=keys)
        return self.render(
            request,
            "folder",
            title="What happened to this folder?",
            text=text,
            within=within,
            **self._pages(text, within, page, found.number if found else 0),
            searched=found is not None,
            present=self._present(found.present, labels) if found and found.present else None,
            events=[self._event(event, labels) for event in found.events] if found else [],
        )

    def _pages(self, text: str, within: str, page: int, number: int) -> dict[str, Any]:
        def address(to: int) -> str:
            return self.url("folder", q=text, **({"application": within} if within else {}), page=to)

        most = "" if number < history.MOST_COUNTED else _("at least") + " "
        return {
            "number": most + ngettext("%(number)s merge", "%(number)s merges", number) % {"number": f"{number:,}"},
            "previous": address(page - 1) if page > 1 else "",
            "following": address(page + 1) if page * history.MOST_FOUND < number else "",
        }

    def _present(self, folder: history.LiveFolder, labels: dict[str, str]) -> dict[str, Any]:
        return {
            "name": wording.folder_name(folder.name),
            "application": safe(labels.get(folder.application_id, "") or folder.application_id),
            "address": self.url("preview", quote(folder.application_id)) if folder.application_id else "",
        }

    def _event(self, event: history.FolderEvent, labels: dict[str, str]) -> dict[str, Any]:
        key = event.point.application_key
        return {
            "sentence": wording.folder_event(event),
            "when": wording.moment_text(event.point.created_at),
            "by": wording.started(event.point.run.started_by, event.point.run.started_how) if event.point.run else "",
            "id": safe(event.folder_id),
            "application": safe(labels.get(key, "") or key),
            "address": self.url("preview", quote(key)),
            "point": self.url("rollbackpoint_change", event.point.pk),
            "can_undo": event.point.status == event.point.Status.LIVE,
            "undo": self.url("undo_record", event.point.pk),
            "undo_until": wording.point_status(event.point),
        }
