"""The preview of one application: its folders before and after, what merges into what and why, and the confirmation.

Invariant: what is confirmed is what was shown; the form carries the hash of the plan.
"""

from typing import Any

from django.contrib.admin.utils import quote, unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.translation import gettext as _

from cleanup import conf
from cleanup.admin import access, obstacles, preview_wording, refusals, wording
from cleanup.admin.access import Pages, page
from cleanup.admin.tree import Drawing
from cleanup.exceptions import CleanupError, InvalidKey, UnknownObject
from cleanup.models import PreparedPreview
from cleanup.permissions import Permission
from cleanup.services.background import clusters
from cleanup.services.merging.preview import command
from cleanup.services.operations import prepared_previews, previews
from cleanup.services.operations.previews import ApplicationPreview
from cleanup.services.results import Preview
from cleanup.text_safety import safe

#: Groups of folders described in sentences.
MOST_GROUPS = 100
#: And those that are not folded.
FEW_GROUPS = 4


class PreviewPages(Pages):
    """The preview, and the parts of its trees."""

    section = "applications"

    def urls(self) -> list[URLPattern]:
        """Return the addresses."""
        site = self.admin_site
        return [
            page(site, "applications/<str:key>/part/", self.part, "preview_part"),
            page(site, "applications/<str:key>/prepare/", self.prepare, "preview_prepare"),
            page(site, "applications/<str:key>/state/", self.state, "preview_state"),
            page(site, "applications/<str:key>/", self.preview, "preview"),
        ]

    def back(self, request: HttpRequest, key: str) -> str:
        """Return the address of the preview."""
        return self.url("preview", key)

    @access.permission_required(Permission.VIEW)
    def preview(self, request: HttpRequest, key: str) -> HttpResponse:
        """Show one application's folders before and after, and what merges into what and why."""
        return self.response(request, unquote(key))

    def response(self, request: HttpRequest, key: str, *, status: int = 200) -> HttpResponse:
        """Show it; ``status`` is that of the answer to a form that is no longer valid."""
        try:
            shown = previews.of_application(using=access.database(), application_id=key)
        except (InvalidKey, UnknownObject):
            raise Http404 from None
        except CleanupError as error:
            access.refused(request, error)
            return redirect(self.url("applications"))
        found = shown.preview
        return self.render(
            request,
            "preview" if found else "preview_later",
            title=_title(shown),
            status=status,
            key=shown.application_id,
            shown_key=safe(shown.application_id),
            reason=request.POST.get("reason", request.GET.get("reason", "")),
            in_the_way=obstacles.to_cleanups(request),
            history=self.url("rollbackpoint_changelist", q=shown.application_id),
            large=preview_wording.left_alone() if shown.large else "",
            **_hold(shown),
            **(self._prepared(shown) if shown.in_background else {}),
            **(self._context(found, held=shown.hold is not None) if found else {}),
        )

    def _prepared(self, shown: ApplicationPreview) -> dict[str, Any]:
        """Return what is shown of a preview that a cluster works out, or will when it is asked to."""
        row, key = shown.prepared, quote(shown.application_id)
        return {
            "prepare": self.url("preview_prepare", key),
            "prepared": preview_wording.prepared(row) if row and shown.preview else "",
            "why": preview_wording.large(shown.folders, skipped=shown.large),
            "pending": row is not None and row.ended_at is None,
            "error": safe(row.error) if row else "",
            "state": _state(row),
            "state_address": self.url("preview_state", key),
            "cluster_alive": clusters.alive(using=access.database()),
            "command": command(shown.application_id),
        }

    @access.action(Permission.VIEW, back=back)
    def prepare(self, request: HttpRequest, key: str) -> HttpResponse:
        """Have a cluster work the preview out. It changes nothing, so it stands in no log."""
        text, using = unquote(key), access.database()
        try:
            known = previews.known_key(using=using, application_id=text)
        except (InvalidKey, UnknownObject):
            raise Http404 from None
        by = request.user.get_username()
        access.attempt(request, lambda: prepared_previews.prepare(using=using, application_id=known, by=by))
        return redirect(self.url("preview", key))

    @access.permission_required(Permission.VIEW)
    def state(self, request: HttpRequest, key: str) -> HttpResponse:
        """Return how far it is; the page polls it."""
        row = PreparedPreview.objects.using(access.database()).filter(application_key=unquote(key)).first()
        return HttpResponse(format_html('<div data-cleanup-state="{}"></div>', _state(row)))

    def _context(self, found: Preview, *, held: bool) -> dict[str, Any]:
        blocked = [obstacle.code for obstacle in found.obstacles if obstacle.code != "held"]
        before = len(found.before) + found.folders_left_out
        rule, folders = preview_wording.rule_of(found), found.by_id
        groups = [
            (preview_wording.path(group, folders), preview_wording.group(group, rule=rule))
            for group in found.groups[:MOST_GROUPS]
        ]
        return {
            "preview": found,
            "totals": preview_wording.totals(found, days=conf.rollback_days()),
            "widening": preview_wording.widening(found),
            "rule": preview_wording.rule(rule),
            "groups": sorted(groups),
            "groups_open": len(groups) <= FEW_GROUPS,
            "groups_number": preview_wording.groups(len(found.groups) + found.groups_left_out),
            "groups_left_out": max(0, len(found.groups) + found.groups_left_out - MOST_GROUPS),
            "linked": preview_wording.moving_records(found),
            "differing": preview_wording.differing(found),
            "obstacles": [refusals.obstacle(code) for code in (["held"] if held else []) + blocked],
            "held": held,
            "blocked": blocked,
            "trees": self._drawing(found).whole(),
            "outlined": preview_wording.outlined(found),
            "before_count": wording.counted(before, "folder"),
            "after_count": wording.counted(before - found.folders_removed, "folder"),
        }

    @access.permission_required(Permission.VIEW)
    def part(self, request: HttpRequest, key: str) -> HttpResponse:
        """Show a part of the trees: a fragment if a script asks for it, otherwise a page of its own."""
        folder, start, until = request.GET.get("folder", ""), _place(request, "start"), _place(request, "until")
        if start is None:
            raise Http404
        try:
            found = previews.of_application(using=access.database(), application_id=unquote(key)).preview
        except CleanupError:
            raise Http404 from None
        if found is None:
            return redirect(self.url("preview", key))
        drawing = self._drawing(found)
        if "merging" in request.GET:
            drawn = drawing.merging(folder=folder, start=start)
        else:
            drawn = drawing.part(folder=folder, start=start, until=until)
        if request.headers.get("x-requested-with") == "XMLHttpRequest":
            return HttpResponse(drawn)
        title = preview_wording.part_title(found.by_id.get(folder))
        return self.render(request, "part", title=title, drawn=drawn, back=self.url("preview", key))

    def _drawing(self, found: Preview) -> Drawing:
        def part(**parameters: Any) -> str:
            return self.url("preview_part", quote(found.application_id), **parameters)

        return Drawing(found, part)


def _place(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) <= 9 else None


def _state(row: PreparedPreview | None) -> str:
    """Return a name for what the page shows of it."""
    return f"{row.requested_at.isoformat()} {row.ended_at is None}" if row else ""


def _hold(shown: ApplicationPreview) -> dict[str, Any]:
    """Return the application's hold, and its description."""
    return {"hold": shown.hold, "held_since": wording.hold(shown.hold)} if shown.hold else {}


def _title(shown: ApplicationPreview) -> str:
    return _("Folders of %(name)s") % {"name": safe(shown.label)} if shown.label else _("Folders of an application")
