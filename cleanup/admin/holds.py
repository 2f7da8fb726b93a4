"""The register of applications on hold, and its two actions: put on hold, and remove the hold; both for several."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext

from cleanup import stored_texts
from cleanup.admin import access, names, wording
from cleanup.admin.chosen_decisions import MOST_CHOSEN, chosen
from cleanup.admin.filters import dated
from cleanup.admin.selection import Line, Question, SelectableAdmin, ask
from cleanup.models import Hold
from cleanup.permissions import CLEANING
from cleanup.services import folders, holds
from cleanup.text_safety import safe


@admin.register(Hold)
class HoldAdmin(SelectableAdmin):
    """Applications that no cleanup touches."""

    list_display = ["who", "why", "by", "since"]
    list_display_links = ["why"]
    list_filter = [("created_at", dated(gettext_lazy("on hold since")))]
    ordering = ["-id"]
    sortable_by = ()
    application_field = "application_key"
    search_help_text = gettext_lazy("Application (its name or its id), words of the reason, or who put it on hold")
    fields = ["who", "why", "by", "since"]
    empty = gettext_lazy("No application is on hold. The preview of an application offers it.")
    selection_button = gettext_lazy("Remove selected holds …")
    selection_permissions = CLEANING

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the two actions."""
        site = self.admin_site
        return [
            access.page(site, "hold/", self.hold_view, "hold"),
            access.page(site, "<int:hold_id>/release/", self.release_view, "release"),
            *super().get_urls(),
        ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Hold], search_term: str
    ) -> tuple[QuerySet[Hold], bool]:
        """Search by the reason and the person, too: what was put on hold together is released together."""
        found, distinct = super().get_search_results(request, queryset, search_term)
        if not search_term:
            return found, distinct
        said = Q(reason__icontains=search_term) | Q(created_by__istartswith=search_term)
        return found | queryset.filter(said), distinct

    # Putting on hold.

    @access.permission_required(*CLEANING)
    def hold_view(self, request: HttpRequest) -> HttpResponse:
        """Put applications on hold; ask first, unless the page that this was sent from has."""
        sent = request.POST if request.method == "POST" else request.GET
        keys = list(dict.fromkeys(chosen(sent)))
        if refusal := self._refusal(request, sent, keys):
            messages.warning(request, refusal)
            return redirect(self.back_to(sent))
        if request.method == "GET":
            return self._ask_to_hold(request, keys)
        if request.method != "POST":
            return HttpResponseNotAllowed(["GET", "POST"])
        by, reason = request.user.get_username(), sent.get("reason", "")
        put = [
            key for key in keys if access.attempt(request, partial(self._hold, key, reason=reason, by=by)) is not None
        ]
        held = list(self.get_queryset(request).filter(application_key__in=put))
        access.log_each(request, held, gettext_noop("Put the application on hold."))
        if held:
            messages.success(request, _now_on_hold(len(held)))
        return redirect(self.back_to(sent))

    def _refusal(self, request: HttpRequest, sent: QueryDict, keys: Sequence[str]) -> str:
        if len(keys) > MOST_CHOSEN:
            return wording.wrong_number(len(keys), most=MOST_CHOSEN)
        if keys or request.method not in ("GET", "POST"):
            return ""
        return wording.wrong_number(0, most=MOST_CHOSEN) if "next" in sent else wording.not_done(signed_out=False)

    def _hold(self, key: str, *, reason: str, by: str) -> str:
        access.service().hold(key, reason=reason, created_by=by)
        return key

    def _ask_to_hold(self, request: HttpRequest, keys: Sequence[str]) -> HttpResponse:
        labels = folders.applications.labels(using=access.database(), application_ids=keys)
        hidden = [("application", key) for key in keys]
        hidden += [(name, value) for name in ("next", "page") if (value := request.GET.get(name))]
        words = ngettext(
            "No cleanup will touch this application until someone removes the hold.",
            "No cleanup will touch these %(number)s applications until someone removes the holds.",
            len(keys),
        )
        question = Question(
            title=ngettext("Put this application on hold?", "Put these applications on hold?", len(keys)),
            sentence=words % {"number": wording.number_text(len(keys))},
            button=_("Put on hold"),
            lines=[Line(safe(labels.get(key, "") or key)) for key in keys],
            asks_reason=True,
            hidden=hidden,
        )
        return ask(self, request, question, back=self.back_to(request.GET), section="hold")

    # Removing holds.

    @access.permission_required(*CLEANING)
    def release_view(self, request: HttpRequest, hold_id: int) -> HttpResponse:
        """Let cleanups touch one application again; ask first."""
        held = get_object_or_404(self.get_queryset(request), pk=hold_id)
        if request.method == "POST":
            return redirect(self.carry_out(request, [held]))
        sent = request.GET.copy()
        sent["application"] = held.application_key
        return self.ask_about(request, [held], sent=sent, back=self.back_to(sent))

    def question(self, request: HttpRequest, rows: Sequence[Any], *, number: int) -> Question:
        """Name the applications, who has put them on hold, and why."""
        words = ngettext(
            "The next cleanup may touch this application again.",
            "The next cleanup may touch these %(number)s applications again.",
            number,
        )
        title = ngettext("Remove this hold?", "Remove %(number)s holds?", number)
        return Question(
            title=title % {"number": wording.number_text(number)},
            sentence=words % {"number": wording.number_text(number)},
            button=ngettext("Remove hold", "Remove %(number)s holds", number) % {"number": wording.number_text(number)},
            lines=[Line(names.name_of(held, label=held.application_label), wording.hold(held)) for held in rows],
        )

    def carry_out(self, request: HttpRequest, rows: Sequence[Hold]) -> str:
        """Remove the holds."""
        removed = holds.release_several(using=access.database(), hold_ids=[held.pk for held in rows])
        access.log_each(request, removed, gettext_noop("Removed the hold."))
        if removed:
            messages.success(request, _no_longer_on_hold(len(removed)))
        else:
            messages.warning(request, _("The hold had been removed already."))
        sent = request.POST.copy()
        if len(rows) == 1:
            sent["application"] = rows[0].application_key
        return self.back_to(sent)

    def back_to(self, sent: QueryDict) -> str:
        """Return the page that the button was on."""
        place, page, keys = sent.get("next"), sent.get("page", ""), sent.getlist("application")
        if place == "decisions":
            return self.url("decisions", **({"held": page} if page.isdecimal() else {})) + "#cleanup-held"
        if place == "open":
            return self.url("decisions", **({"page": page} if page.isdecimal() else {}))
        if place == "duplicates":
            return self.url("applications")
        if place == "preview" and len(keys) == 1:
            return self.url("preview", quote(keys[0]))
        return super().back_to(sent)

    @admin.display(description=gettext_lazy("application"))
    def who(self, hold: Hold) -> Any:
        return self.application(hold, hold.application_key)

    @admin.display(description=gettext_lazy("reason"))
    def why(self, hold: Hold) -> str:
        return stored_texts.shown(hold.reason) or "—"

    @admin.display(description=gettext_lazy("by"))
    def by(self, hold: Hold) -> str:
        return safe(hold.created_by) or "—"

    @admin.display(description=gettext_lazy("since"))
    def since(self, hold: Hold) -> str:
        return self.time(hold.created_at)


def _now_on_hold(number: int) -> str:
    return ngettext(
        "The application is on hold: no cleanup touches it until you remove the hold.",
        "%(number)s applications are on hold: no cleanup touches them until you remove the holds.",
        number,
    ) % {"number": wording.number_text(number)}


def _no_longer_on_hold(number: int) -> str:
    return ngettext(
        "The hold was removed: cleanups may touch the application again.",
        "%(number)s holds were removed: cleanups may touch the applications again.",
        number,
    ) % {"number": wording.number_text(number)}
