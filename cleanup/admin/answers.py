"""Two pages with answers: "Needs your decision", and "What happened to this folder?"."""

import csv
from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse

from cleanup.admin import doors, sentences
from cleanup.admin.doors import Pages, page
from cleanup.names import safe
from cleanup.permissions import Permission
from cleanup.services import applications, decisions, folder_history


class DecisionPages(Pages):
    """Applications that wait for a person, each with its next step."""

    section = "decisions"

    def urls(self) -> list[URLPattern]:
        """Return the addresses."""
        return [
            page(self.site, "decisions/", self.decisions, "decisions"),
            page(self.site, "decisions.csv", self.as_csv, "decisions_csv"),
        ]

    @doors.needs(Permission.LOOK)
    def decisions(self, request: HttpRequest) -> HttpResponse:
        """List what waits."""
        rows = self._rows()
        return self.render(request, "decisions", title="Needs your decision", rows=rows)

    @doors.needs(Permission.LOOK)
    def as_csv(self, request: HttpRequest) -> HttpResponse:
        """Return the list for a spreadsheet; no cell of it is a formula, whatever an application is called."""
        response = HttpResponse(
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="decisions.csv"'},
        )
        response.write("\ufeff")  # spreadsheets take the file for UTF-8 by this alone
        writer = csv.writer(response, quoting=csv.QUOTE_ALL)
        writer.writerow(["Application", "Id", "What happened", "Next step"])
        for row in self._rows():
            writer.writerow([cell(row[name]) for name in ("label", "id", "what", "next_step")])
        return response

    def _rows(self) -> list[dict[str, Any]]:
        using = doors.database()
        found = decisions.decisions(using=using)
        labels = applications.labels(using=using, keys=[row.application_id for row in found])
        return [_decision(row, labels.get(row.application_id, "")) for row in found]


def _decision(row: decisions.Decision, label: str) -> dict[str, Any]:
    advice = sentences.advice(row.code)
    result = reverse("admin:cleanup_result_change", args=[row.result.pk]) if row.result else ""
    point = row.result.point if row.undo and row.result else None
    point = point if point and point.status == point.Status.LIVE else None
    undo = reverse("admin:cleanup_undo_record", args=[point.pk]) if point else ""
    reason = safe(row.hold.reason) if row.hold and row.hold.reason else ""
    return {
        "id": safe(row.application_id),
        "label": safe(label),
        "address": reverse("admin:cleanup_preview", args=[quote(row.application_id)]),
        "what": f"{'Undo: ' if row.undo else ''}{advice.what}{f' Reason: {reason}.' if reason else ''}",
        "next_step": advice.next_step,
        "result": result,
        "undo": undo,
        "hold": row.hold.pk if row.hold else None,
    }


def cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "|", "%")) else text


class FolderPages(Pages):
    """Where a folder went."""

    section = "folder"

    def urls(self) -> list[URLPattern]:
        """Return the address."""
        return [page(self.site, "folder/", self.folder, "folder")]

    @doors.needs(Permission.LOOK)
    def folder(self, request: HttpRequest) -> HttpResponse:
        """Search by an old id or by a name."""
        text = request.GET.get("q", "").strip()
        found = folder_history.folder_history(using=doors.database(), text=text) if text else None
        keys = {event.point.application_key for event in found.events} if found else set()
        if found and found.present:
            keys.add(found.present.application_id)
        labels = applications.labels(using=doors.database(), keys=keys)
        return self.render(
            request,
            "folder",
            title="What happened to this folder?",
            text=text,
            searched=found is not None,
            present=_present(found.present, labels) if found and found.present else None,
            events=[_event(event, labels) for event in found.events] if found else [],
        )


def _present(folder: folder_history.LiveFolder, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "name": sentences.folder_name(folder.name),
        "application": safe(labels.get(folder.application_id, "") or folder.application_id),
        "address": reverse("admin:cleanup_preview", args=[quote(folder.application_id)])
        if folder.application_id
        else "",
    }


def _event(event: folder_history.FolderEvent, labels: dict[str, str]) -> dict[str, Any]:
    key = event.point.application_key
    return {
        "sentence": sentences.folder_event(event),
        "when": sentences.moment_text(event.point.created_at),
        "id": safe(event.folder_id),
        "application": safe(labels.get(key, "") or key),
        "address": reverse("admin:cleanup_preview", args=[quote(key)]),
        "point": reverse("admin:cleanup_rollbackpoint_change", args=[event.point.pk]),
        "can_undo": event.point.status == event.point.Status.LIVE,
        "undo": reverse("admin:cleanup_undo_record", args=[event.point.pk]),
        "undo_until": sentences.point_status(event.point),
    }
