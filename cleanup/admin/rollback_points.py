"""Registers of undo records and of the rows in them."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cleanup import stored_texts
from cleanup.admin import badges, conflicts, wording
from cleanup.admin.base import ReadOnlyAdmin, for_it, plain
from cleanup.admin.filters import worded
from cleanup.admin.undo_several import UndoableAdmin
from cleanup.models import RollbackPoint, SnapshotRow
from cleanup.text_safety import safe

#: Characters of a snapshot row's text that a page shows.
MOST_SHOWN = 20_000

KINDS: dict[str, Any] = {
    RollbackPoint.Kind.CLEANUP: gettext_lazy("A cleanup"),
    RollbackPoint.Kind.REPAIR: gettext_lazy("A repair"),
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
    search_help_text = gettext_lazy("Application: its name or its id")
    empty = gettext_lazy("No undo records yet. Each cleanup writes one for each application.")
    not_found = gettext_lazy(
        "Nothing was cleaned up in an application of this name or id, as far as the records go back."
    )
    fieldsets = [
        (None, {"fields": ["who", "state", "what", "why", "of_run", "when", "expires", "ended", "kept", "copies"]}),
        for_it("rows", "own_id"),
    ]
    own_id = plain("uuid", gettext_lazy("id"))

    def selectable(self, rows: QuerySet[RollbackPoint]) -> QuerySet[RollbackPoint]:
        """Return those that can be undone."""
        return rows.filter(status=RollbackPoint.Status.LIVE)

    def point_of(self, row: RollbackPoint) -> RollbackPoint:
        """Return the record itself."""
        return row

    @admin.display(description=gettext_lazy("application"))
    def who(self, point: RollbackPoint) -> str:
        return self.application(point, point.application_key)

    @admin.display(description=gettext_lazy("state"))
    def state(self, point: RollbackPoint) -> Any:
        return badges.badge(badges.POINTS.get(point.status, "unknown"), wording.point_status(point))

    @admin.display(description=gettext_lazy("what"))
    def what(self, point: RollbackPoint) -> str:
        return str(KINDS.get(point.kind, KINDS[RollbackPoint.Kind.MANUAL]))

    @admin.display(description=gettext_lazy("reason"))
    def why(self, point: RollbackPoint) -> str:
        return " / ".join(filter(None, map(stored_texts.shown, [point.reason, point.ended_reason]))) or "—"

    @admin.display(description=gettext_lazy("run"))
    def of_run(self, point: RollbackPoint) -> str:
        return self.link(point.run)

    @admin.display(description=gettext_lazy("entries"))
    def rows(self, point: RollbackPoint) -> str:
        return self.list_link(SnapshotRow, _("entries of this undo record"), point__id__exact=point.pk)

    @admin.display(description=gettext_lazy("created"))
    def when(self, point: RollbackPoint) -> str:
        return self.time(point.created_at)

    @admin.display(description=gettext_lazy("expires"))
    def expires(self, point: RollbackPoint) -> str:
        return self.time(point.expires_at)

    @admin.display(description=gettext_lazy("undone"))
    def ended(self, point: RollbackPoint) -> SafeString | str:
        when = self.time(point.ended_at)
        if not point.ended_by:
            return when
        words = _("%(time)s, by %(person)s") % {"time": "{time}", "person": "{person}"}
        return format_html(words, time=when, person=safe(point.ended_by))

    @admin.display(description=gettext_lazy("left as it is now (changed by people)"))
    def kept(self, point: RollbackPoint) -> str:
        return conflicts.shown(point.outcome.get("conflicts", ()))

    @admin.display(description=gettext_lazy("came back as copies"))
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

    @admin.display(description=gettext_lazy("entry"))
    def number(self, row: SnapshotRow) -> str:
        return f"{row.pk}"

    @admin.display(description=gettext_lazy("what"))
    def what(self, row: SnapshotRow) -> str:
        return {
            SnapshotRow.Kind.MOVED: _("moved"),
            SnapshotRow.Kind.REMOVED: _("removed"),
            SnapshotRow.Kind.INSERTED: _("added"),
            SnapshotRow.Kind.STRUCTURE: _("as it was"),
        }[SnapshotRow.Kind(row.kind)]

    @admin.display(description=gettext_lazy("table"))
    def table_name(self, row: SnapshotRow) -> str:
        return safe(row.table)

    @admin.display(description=gettext_lazy("undo record"))
    def record(self, row: SnapshotRow) -> Any:
        return format_html(
            '{}<br><small class="quiet">{}</small>',
            self.link(row.point, safe(getattr(row, "application_label", "") or row.point.application_key)),
            safe(row.point.application_key),
        )

    def application_of(self, row: SnapshotRow) -> str:
        """Return the application of the undo record."""
        return row.point.application_key

    @admin.display(description=gettext_lazy("content"))
    def content(self, row: SnapshotRow) -> Any:
        text = "\n".join(filter(None, [row.changes, row.keys, row.images]))
        left_out = len(text) - MOST_SHOWN
        words = ngettext("… and %(number)s more character", "… and %(number)s more characters", left_out)
        more = f"\n{words % {'number': wording.number_text(left_out)}}" if left_out > 0 else ""
        return format_html("<pre>{}{}</pre>", safe(text[:MOST_SHOWN]), more)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the links between registers."""
        return lookup == "point__id__exact" or super().lookup_allowed(lookup, value, request)
