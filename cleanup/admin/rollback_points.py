"""Registers of undo records and of the rows in them."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy

from cleanup.admin import badges, conflicts, wording
from cleanup.admin.base import ReadOnlyAdmin, for_it
from cleanup.admin.filters import worded
from cleanup.admin.undo_several import UndoableAdmin
from cleanup.models import RollbackPoint, SnapshotRow
from cleanup.text_safety import safe

#: Characters of a snapshot row's text that a page shows.
MOST_SHOWN = 20_000

KINDS: dict[str, Any] = {
    RollbackPoint.Kind.CLEANUP: gettext_lazy("A cleanup"),
    RollbackPoint.Kind.MANUAL: gettext_lazy("Taken by hand"),
}


@admin.register(RollbackPoint)
class RollbackPointAdmin(UndoableAdmin):
    """Undo records: what one cleanup of one application changed."""

    list_display = ["who", "state", "what", "of_run", "when"]
    list_display_links = ["state"]
    list_filter = [
        worded("status", gettext_lazy("state"), wording.POINT_STATUS),
        worded("kind", gettext_lazy("what"), KINDS),
    ]
    list_select_related = ["run"]
    ordering = ["-id"]
    sortable_by = ()
    application_field = "application_key"
    search_help_text = "Application: its name or its id"
    empty = gettext_lazy("No undo records yet. Each cleanup writes one for each application.")
    fieldsets = [
        (None, {"fields": ["who", "state", "what", "why", "of_run", "when", "expires", "ended", "kept", "copies"]}),
        for_it("rows", "uuid"),
    ]

    def selectable(self, rows: QuerySet[RollbackPoint]) -> QuerySet[RollbackPoint]:
        """Return those that can be undone."""
        return rows.filter(status=RollbackPoint.Status.LIVE)

    def point_of(self, row: RollbackPoint) -> RollbackPoint:
        """Return the record itself."""
        return row

    @admin.display(description="application")
    def who(self, point: RollbackPoint) -> str:
        return self.application(point, point.application_key)

    @admin.display(description="state")
    def state(self, point: RollbackPoint) -> Any:
        return badges.badge(badges.POINTS.get(point.status, "unknown"), wording.point_status(point))

    @admin.display(description="what")
    def what(self, point: RollbackPoint) -> str:
        return str(KINDS.get(point.kind, KINDS[RollbackPoint.Kind.MANUAL]))

    @admin.display(description="reason")
    def why(self, point: RollbackPoint) -> str:
        return " / ".join(filter(None, [safe(point.reason), safe(point.ended_reason)])) or "—"

    @admin.display(description="run")
    def of_run(self, point: RollbackPoint) -> str:
        return self.link(point.run)

    @admin.display(description="entries")
    def rows(self, point: RollbackPoint) -> str:
        return self.list_link(SnapshotRow, "entries of this undo record", point__id__exact=point.pk)

    @admin.display(description="created")
    def when(self, point: RollbackPoint) -> str:
        return self.time(point.created_at)

    @admin.display(description="expires")
    def expires(self, point: RollbackPoint) -> str:
        return self.time(point.expires_at)

    @admin.display(description="undone")
    def ended(self, point: RollbackPoint) -> str:
        by = f", by {safe(point.ended_by)}" if point.ended_by else ""
        return f"{self.time(point.ended_at)}{by}"

    @admin.display(description="left as it is now (changed by people)")
    def kept(self, point: RollbackPoint) -> str:
        return conflicts.shown(point.outcome.get("conflicts", ()))

    @admin.display(description="came back as copies")
    def copies(self, point: RollbackPoint) -> str:
        return conflicts.copies(point.outcome.get("copies", ()))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the links between registers."""
        return lookup == "run__id__exact" or super().lookup_allowed(lookup, value, request)


@admin.register(SnapshotRow)
class SnapshotRowAdmin(ReadOnlyAdmin):
    """The rows in undo records: what moved and what was removed."""

    list_display = ["number", "what", "table_name", "row_count", "record"]
    list_select_related = ["point"]
    ordering = ["-id"]
    sortable_by = ()
    fields = ["what", "table_name", "row_count", "record", "content"]

    @admin.display(description="entry")
    def number(self, row: SnapshotRow) -> str:
        return f"{row.pk}"

    @admin.display(description="what")
    def what(self, row: SnapshotRow) -> str:
        return {
            SnapshotRow.Kind.MOVED: "moved",
            SnapshotRow.Kind.REMOVED: "removed",
            SnapshotRow.Kind.INSERTED: "added",
            SnapshotRow.Kind.STRUCTURE: "as it was",
        }[SnapshotRow.Kind(row.kind)]

    @admin.display(description="table")
    def table_name(self, row: SnapshotRow) -> str:
        return safe(row.table)

    @admin.display(description="undo record")
    def record(self, row: SnapshotRow) -> Any:
        return format_html(
            '{}<br><small class="quiet">{}</small>',
            self.link(row.point, safe(getattr(row, "application_label", "") or row.point.application_key)),
            safe(row.point.application_key),
        )

    def application_of(self, row: SnapshotRow) -> str:
        """Return the application of the undo record."""
        return row.point.application_key

    @admin.display(description="content")
    def content(self, row: SnapshotRow) -> Any:
        text = "\n".join(filter(None, [row.changes, row.keys, row.images]))
        left_out = len(text) - MOST_SHOWN
        more = f"\n… and {left_out:,} more characters" if left_out > 0 else ""
        return format_html("<pre>{}{}</pre>", safe(text[:MOST_SHOWN]), more)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the links between registers."""
        return lookup == "point__id__exact" or super().lookup_allowed(lookup, value, request)
