"""Actions on several entries of a register at once: ticks in the list, then a confirmation that names what was ticked.

Invariant: only what the confirmation named is touched. It carries the keys of the entries; "all of them", which may be
thousands, is the filters of the list up to the newest entry shown, and their number: if that has changed, the
confirmation is shown again.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cleanup.admin import access, names, wording
from cleanup.admin.base import ReadOnlyAdmin
from cleanup.permissions import AnyOf

#: Entries that one confirmation is about.
MOST = 1_000
#: Entries that it names.
MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One entry in a confirmation."""

    name: str
    note: str = ""
    left_out: bool = False
    address: str = ""
    """Where something else can be done about an entry that is left out."""


@dataclass(frozen=True, slots=True)
class Question:
    """A confirmation."""

    title: str
    sentence: str
    button: str
    lines: Sequence[Line] = ()
    more: str = ""
    """How many entries are not named."""
    asks_reason: bool = False
    danger: bool = False
    hidden: Sequence[tuple[str, str]] = ()
    """What the form carries."""
    left_out: frozenset[int] = frozenset()
    """Keys of the entries that the form does not carry."""
    in_the_way: Mapping[str, str] = field(default_factory=dict)
    possible: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """The action as a list shows it."""

    address: str
    button: str
    every: str
    """Words for all entries of the list; empty if that is not offered."""
    hidden: Sequence[tuple[str, str]]
    """What the form carries."""


def ask(site: access.OnSite, request: HttpRequest, question: Question, *, back: str, section: str) -> HttpResponse:
    """Show a confirmation; its form is sent to the page's own address."""
    if "signed_out" in request.GET:
        messages.warning(request, wording.not_done(signed_out=True))
    context = {
        **site.admin_site.each_context(request),
        "title": question.title,
        "may": access.permissions_of(request),
        "section": section,
        "question": question,
        "in_the_way": question.in_the_way,
        "action": request.path,
        "back": back,
        "reason": request.GET.get("reason", ""),
    }
    return TemplateResponse(request, "admin/cleanup/confirm.html", context)


class SelectableAdmin(ReadOnlyAdmin):
    """A register with one action for the entries that are ticked, or for all that its filters let through."""

    selection_button: ClassVar[Any]
    selection_permissions: ClassVar[AnyOf]
    selection_of_all = True
    """Offer the action for all entries on all pages."""
    most_selected = MOST

    @abstractmethod
    def question(self, request: HttpRequest, rows: Sequence[Any], *, number: int) -> Question:
        """Return the confirmation for these entries, which are the first of that number."""

    @abstractmethod
    def carry_out(self, request: HttpRequest, rows: Sequence[Any]) -> str:
        """Do it, log it, leave a message; return the address to continue at."""

    def selectable(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of the entries that the action is for."""
        return rows

    def is_selectable(self, row: Any) -> bool:
        """Return whether the action is for this entry."""
        return True

    def may_select(self, request: HttpRequest) -> bool:
        """Return whether the person may carry the action out."""
        return any(access.may(request, permission) for permission in self.selection_permissions)

    # The list.

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Add the column of ticks for people who may use them."""
        columns = list(super().get_list_display(request))
        return ["tick", *columns] if self.may_select(request) else columns

    def get_list_display_links(self, request: HttpRequest, list_display: Sequence[Any]) -> Any:
        """Link from the column that it would be without the ticks."""
        return super().get_list_display_links(request, [name for name in list_display if name != "tick"])

    @admin.display(description=gettext_lazy("select"), empty_value="")
    def tick(self, row: Model) -> SafeString | str:
        """Offer to tick the entry; the form stands outside the list's own."""
        if not self.is_selectable(row):
            return ""
        name = names.name_of(row, label=getattr(row, "application_label", ""))
        box = '<input type="checkbox" name="selected" value="{}" form="cleanup-selection" aria-label="{}">'
        return format_html(box, row.pk, _("Select: %s") % name)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the list, with the action above it."""
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", {})
        if "cl" in context and self.may_select(request):
            context["selection"] = self.offer(context["cl"].result_count, filters=request.GET.urlencode())
        return response

    def offer(self, number: int, *, filters: str = "", **sent: str) -> Offer:
        """Return the action as a list of so many entries offers it."""
        return Offer(
            address=self.url(f"{self.opts.model_name}_selected"),
            button=str(self.selection_button),
            every=all_of_them(number) if self.selection_of_all else "",
            hidden=[("filters", filters), *sent.items()],
        )

    # The confirmation.

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the confirmation."""
        name = f"{self.opts.model_name}_selected"
        return [access.page(self.admin_site, "selected/", self.selected_view, name), *super().get_urls()]

    def selected_view(self, request: HttpRequest) -> HttpResponse:
        """Show what was ticked and ask; for a POST, do it."""
        access.require_permission(request, self.selection_permissions)
        sent = request.POST if request.method == "POST" else request.GET
        back = self.back_to(sent)
        rows, every = self._selected(request, sent)
        if not rows:
            messages.error(request, _("Nothing was selected, or it is no longer there. Select at least one entry."))
            return redirect(back)
        if len(rows) > self.most_selected:
            messages.error(request, _("Select at most %s entries at a time.") % wording.number_text(self.most_selected))
            return redirect(back)
        if request.method == "POST":
            if not every or sent.get("number") == str(len(rows)):
                return redirect(self.carry_out(request, rows))
            messages.warning(request, _("The list has changed since. Please look at it again; nothing was done."))
        return self.ask_about(request, rows, every=every, sent=sent, back=back)

    def ask_about(
        self, request: HttpRequest, rows: Sequence[Any], *, back: str, sent: QueryDict, every: bool = False
    ) -> HttpResponse:
        """Show the confirmation."""
        self.name_applications(rows[:MOST_NAMED])
        question = self.question(request, rows[:MOST_NAMED], number=len(rows))
        if every:
            newest, filters = str(max(row.pk for row in rows)), sent.get("filters", "")
            hidden = [("every", "1"), ("filters", filters), ("number", str(len(rows))), ("newest", newest)]
        else:
            hidden = [("selected", str(row.pk)) for row in rows if row.pk not in question.left_out]
        hidden += [(name, value) for name in ("next", "page") if (value := sent.get(name))]
        more = len(rows) - MOST_NAMED
        question = replace(
            question,
            hidden=[*question.hidden, *hidden],
            more=_and_more(more) if more > 0 else "",
        )
        return ask(self, request, question, back=back, section=str(self.opts.model_name))

    def back_to(self, sent: QueryDict) -> str:
        """Return the address of the list that the ticks were on."""
        filters = sent.get("filters", "")
        return self.url(f"{self.opts.model_name}_changelist") + (f"?{filters}" if filters else "")

    def _selected(self, request: HttpRequest, sent: QueryDict) -> tuple[list[Any], bool]:
        """Return what was ticked, newest first, and whether that is all that the filters let through."""
        if not sent.get("every"):
            keys = [key for key in sent.getlist("selected") if key.isdecimal() and len(key) < 19]
            return list(self.selectable(self.get_queryset(request).filter(pk__in=keys)).order_by("-pk")), False
        rows = self.selectable(self._filtered(request, sent.get("filters", "")))
        if (newest := sent.get("newest", "")).isdecimal() and len(newest) < 19:
            rows = rows.filter(pk__lte=newest)
        return list(rows.order_by("-pk")[:MOST]), True

    def _filtered(self, request: HttpRequest, filters: str) -> QuerySet[Any]:
        """Return what a list with these filters shows."""
        listing = copy(request)
        listing.GET = QueryDict(filters)
        listing.method = "GET"
        try:
            return self.get_changelist_instance(listing).get_queryset(listing)
        except IncorrectLookupParameters:
            raise Http404 from None


def all_of_them(number: int, *, most: int = MOST) -> str:
    """Name all entries of a list of so many, of which at most so many can be chosen together."""
    if number > most:
        return _("The newest %s in the list") % wording.number_text(most)
    return ngettext("The one in the list", "All %(number)s in the list", number) % {
        "number": wording.number_text(number)
    }


def _and_more(number: int) -> str:
    text = ngettext("And %(number)s more.", "And %(number)s more.", number)
    return text % {"number": wording.number_text(number)}
