"""The preview of one application: its folders before and after, what merges into what and why, and the confirmation.

Invariant: what is confirmed is what was shown; the form carries the hash of the plan.
"""

from typing import Any

from django.contrib.admin.utils import quote, unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext as _

from cleanup import conf
from cleanup.admin import access, obstacles, preview_wording, wording
from cleanup.admin.access import Pages, page
from cleanup.admin.tree import Drawing
from cleanup.exceptions import CleanupError, InvalidKey, UnknownObject
from cleanup.permissions import Permission
from cleanup.services.merging.preview import preview as preview_of
from cleanup.services.operations import previews
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
        return [
            page(self.admin_site, "applications/<str:key>/part/", self.part, "preview_part"),
            page(self.admin_site, "applications/<str:key>/", self.preview, "preview"),
        ]

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
        common = {
            "title": _title(shown),
            "status": status,
            "key": shown.application_id,
            "shown_key": safe(shown.application_id),
            "reason": request.POST.get("reason", request.GET.get("reason", "")),
            "in_the_way": obstacles.to_cleanups(request),
            "history": self.url("rollbackpoint_changelist", q=shown.application_id),
            **_hold(shown),
        }
        if shown.preview is None:
            return self.render(request, "too_large", **common, **_too_large(shown))
        return self.render(request, "preview", **common, **self._context(shown.preview))

    def _context(self, found: Preview) -> dict[str, Any]:
        codes = [obstacle.code for obstacle in found.obstacles]
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
            "obstacles": [wording.obstacle(code) for code in codes],
            "held": "held" in codes,
            "blocked": [code for code in codes if code != "held"],
            "trees": self._drawing(found).whole(),
            "before_count": wording.counted(len(found.before), "folder"),
            "after_count": wording.counted(len(found.after), "folder"),
        }

    @access.permission_required(Permission.VIEW)
    def part(self, request: HttpRequest, key: str) -> HttpResponse:
        """Show a part of the trees: a fragment if a script asks for it, otherwise a page of its own."""
        folder, start, until = request.GET.get("folder", ""), _place(request, "start"), _place(request, "until")
        if start is None:
            raise Http404
        try:
            found = preview_of(using=access.database(), application_id=unquote(key))
        except CleanupError:
            raise Http404 from None
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


def _too_large(shown: ApplicationPreview) -> dict[str, Any]:
    return {
        "limit": wording.counted(shown.too_large.limit, "folder") if shown.too_large else "",
        "command": safe(shown.too_large.command) if shown.too_large else "",
        "undo": wording.undo_for(conf.rollback_days(), now=timezone.now()),
    }


def _hold(shown: ApplicationPreview) -> dict[str, Any]:
    """Return the application's hold, and its description."""
    return {"hold": shown.hold, "held_since": wording.hold(shown.hold)} if shown.hold else {}


def _title(shown: ApplicationPreview) -> str:
    return _("Folders of %(name)s") % {"name": safe(shown.label)} if shown.label else _("Folders of an application")
