"""The page "Decisions": what waits for a person, and what is on hold."""

import csv
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from django.contrib.admin.utils import quote
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.translation import gettext as _

from cleanup import stored_texts
from cleanup.admin import access, approvals, refusals, titles, wording
from cleanup.admin.access import Pages, page
from cleanup.admin.chosen_decisions import MOST_CHOSEN
from cleanup.admin.selection import all_of_them
from cleanup.models import Hold
from cleanup.permissions import CLEANING, Permission
from cleanup.services.folders import applications
from cleanup.services.monitoring import pending_decisions
from cleanup.text_safety import safe

if TYPE_CHECKING:
    from cleanup.admin.holds import HoldAdmin

#: What the table has of each decision.
COLUMNS = ("label", "id", "what", "next_step", "state", "by", "since", "reason")
#: Applications in a page of either list: on a telephone, each is a card.
PER_PAGE = 20


class DecisionPages(Pages):
    """Applications that wait for a person, each with its next step, and those that a person has put on hold."""

    section = "decisions"

    def urls(self) -> list[URLPattern]:
        """Return the addresses."""
        return [
            page(self.admin_site, "decisions/", self.decisions, "decisions"),
            page(self.admin_site, "decisions.csv", self.as_csv, "decisions_csv"),
        ]

    @access.permission_required(Permission.VIEW)
    def decisions(self, request: HttpRequest) -> HttpResponse:
        """List what waits, and below it what is on hold; each in pages."""
        using = access.database()
        codes = request.GET.getlist("code")
        decisions = pending_decisions.OpenDecisions(using=using, codes=codes)
        if codes and not decisions:
            return redirect(self.url("decisions"))  # what was looked at has been decided
        waiting = Paginator(decisions, PER_PAGE).get_page(request.GET.get("page"))
        held = Paginator(pending_decisions.held(using=using), PER_PAGE).get_page(request.GET.get("held"))
        keys = [row.application_id for row in waiting] + [hold.application_key for hold in held]
        labels = applications.labels(using=using, application_ids=keys)
        register = cast("HoldAdmin", self.admin_site.get_model_admin(Hold))
        offer = register.offer(held.paginator.count, next="decisions", page=str(held.number))
        return self.render(
            request,
            "decisions",
            title=titles.of("decisions"),
            selection=offer if register.may_select(request) else None,
            scheduled=approvals.waiting(self.admin_site.name),
            may_approve=any(access.may(request, permission) for permission in CLEANING),
            waiting=waiting,
            every=all_of_them(waiting.paginator.count, most=MOST_CHOSEN),
            waiting_text=_("Open (%s)") % wording.number_text(decisions.numbers.total()),
            kinds=self._kinds(decisions.numbers, codes),
            codes=codes,
            rows=[self._decision(row, labels.get(row.application_id, "")) for row in waiting],
            held=held,
            held_open="held" in request.GET or not waiting.paginator.count,
            held_text=_("On hold (%s)") % wording.number_text(held.paginator.count),
            holds=[self._hold(hold, labels.get(hold.application_key, "")) for hold in held],
        )

    @access.permission_required(Permission.VIEW)
    def as_csv(self, request: HttpRequest) -> HttpResponse:
        """Return both lists in full for a spreadsheet; no cell is a formula, whatever an application is called."""
        response = HttpResponse(
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="decisions.csv"'},
        )
        response.write("\ufeff")  # spreadsheets recognize UTF-8 only by this
        writer = csv.writer(response, quoting=csv.QUOTE_ALL)
        writer.writerow(
            [
                _("Application"),
                _("Id"),
                _("What happened"),
                _("Next step"),
                _("Decision"),
                _("By"),
                _("Since"),
                _("Reason"),
            ]
        )
        for row in self._all_rows():
            writer.writerow([cell(row[name]) for name in COLUMNS])
        return response

    def _all_rows(self) -> Iterator[dict[str, Any]]:
        using = access.database()
        waiting, holds = pending_decisions.every_open(using=using), pending_decisions.every_hold(using=using)
        while some := list(islice(waiting, pending_decisions.PAGE)):
            labels = applications.labels(using=using, application_ids=[row.application_id for row in some])
            yield from (self._decision(row, labels.get(row.application_id, "")) for row in some)
        while held := list(islice(holds, pending_decisions.PAGE)):
            labels = applications.labels(using=using, application_ids=[hold.application_key for hold in held])
            yield from (self._hold(hold, labels.get(hold.application_key, "")) for hold in held)

    def _kinds(self, numbers: Mapping[str, int], chosen: Collection[str]) -> list[dict[str, Any]]:
        """Return what has happened, most often first, each with what lists it alone; nothing if it is all the same."""
        codes: dict[str, list[str]] = {}
        for code in numbers:
            codes.setdefault(refusals.advice(code).what, []).append(code)
        kinds = [
            {
                "what": what,
                "number": sum(numbers[code] for code in alike),
                "address": self.url("decisions", code=sorted(alike)) + "#cleanup-open",
                "is_chosen": set(alike) == set(chosen),
            }
            for what, alike in codes.items()
        ]
        return sorted(kinds, key=lambda kind: (-kind["number"], kind["what"])) if len(kinds) > 1 else []

    def _decision(self, row: pending_decisions.PendingDecision, label: str) -> dict[str, Any]:
        advice = refusals.advice(row.code)
        point = row.result.point if row.can_undo and row.result else None
        return {
            **self._application(row.application_id, label),
            "what": _("Undo: %s") % advice.what if row.undo else advice.what,
            "next_step": advice.next_step,
            "state": _("open"),
            "by": "",
            "reason": "",
            "since": wording.moment_text(row.result.ended_at, otherwise="") if row.result else "",
            "result": self.url("result_change", row.result.pk) if row.result else "",
            "undo": self.url("undo_record", point.pk) if point else "",
            "cleanup": not row.undo,
        }

    def _hold(self, hold: Hold, label: str) -> dict[str, Any]:
        advice = refusals.advice("held")
        return {
            **self._application(hold.application_key, label),
            "what": advice.what,
            "next_step": advice.next_step,
            "state": _("on hold"),
            "reason": stored_texts.shown(hold.reason),
            "by": safe(hold.created_by),
            "since": wording.moment_text(hold.created_at),
            "hold": hold.pk,
        }

    def _application(self, key: str, label: str) -> dict[str, str]:
        return {
            "key": key,
            "id": safe(key),
            "label": safe(label),
            "name": safe(label or key),
            "address": self.url("preview", quote(key)),
            "put_on_hold": self.url("hold", application=key, next="open"),
        }


def cell(text: str) -> str:
    """Return text that no spreadsheet takes as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "|", "%")) else text
