"""The list of applications with duplicates, and the confirmations that start a cleanup.

Invariant: nothing starts that was not shown. A confirmation carries the hash of each plan; if one has changed, the new
plans are shown and nothing is done. An application that is too large to be shown is confirmed on its own.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest

from django.contrib import messages
from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cleanup import conf, stored_texts
from cleanup.admin import access, duplicates_list, obstacles, refusals, wording
from cleanup.admin.access import Pages, page
from cleanup.admin.chosen_decisions import chosen
from cleanup.admin.preview_views import PreviewPages
from cleanup.exceptions import CleanupError, InvalidKey, StalePlan
from cleanup.permissions import FEW, Permission, to_clean_up, to_plan
from cleanup.services.merging import confirmation
from cleanup.services.operations import cleanups, previews
from cleanup.services.operations.previews import Confirmation
from cleanup.services.runs.lifecycle import Actor
from cleanup.text_safety import safe


class CleaningPages(Pages):
    """Applications with duplicates, and the two confirmations."""

    section = "applications"

    def urls(self) -> list[URLPattern]:
        """Return the addresses."""
        site = self.admin_site
        return [
            page(site, "applications/", self.applications, "applications"),
            page(site, "clean-up/", self.clean_up, "clean_up"),
            page(site, "dry-run/", self.dry_run, "dry_run"),
            page(site, "clean-up-everything/", self.clean_up_everything, "clean_up_everything"),
        ]

    # Looking.

    @access.permission_required(Permission.VIEW)
    def applications(self, request: HttpRequest) -> HttpResponse:
        """List the applications with duplicates, page by page, the worst first if asked; or what a search finds."""
        try:
            return duplicates_list.response(self, request)
        except InvalidKey:
            return redirect(self.url("applications"))

    # Confirming.

    @access.permission_required(*to_clean_up(named=True, most=None))
    def clean_up(self, request: HttpRequest) -> HttpResponse:
        """Show what a cleanup of the selected applications would do, or of the worst that can be cleaned up.

        The latter only if asked for (``first``): what was not chosen is not offered. Starts the cleanup when confirmed.
        """
        if request.method == "POST":
            return self._start(request)
        keys, first = list(dict.fromkeys(chosen(request.GET))), request.GET.get("first", "")
        if "signed_out" in request.GET:
            messages.warning(request, wording.not_done(signed_out=True))
        if not keys and first.isdecimal() and len(first) <= 3 and 1 <= int(first) <= confirmation.MOST:
            return self._worst(request, int(first))
        if request.GET.get("from") == "preview" and len(keys) == 1:
            reason = {"reason": request.GET["reason"]} if request.GET.get("reason") else {}
            return redirect(self.url("preview", quote(keys[0]), **reason))
        return self._wrong_number(request, keys) or self._chosen(request, keys)

    @access.permission_required(*to_plan(named=False, most=FEW))
    def dry_run(self, request: HttpRequest) -> HttpResponse:
        """Show what a cleanup of the worst ten that can be cleaned up would do, and nothing else."""
        return self._worst(request, FEW, dry_run=True)

    def _worst(self, request: HttpRequest, number: int, *, dry_run: bool = False) -> HttpResponse:
        using = access.database()
        found = access.attempt(request, lambda: previews.of_worst(using=using, number=number))
        if found is None:
            return redirect(self.url("applications"))
        if found.aside is not None:
            why = wording.none_to_clean_up(found.aside)
            return self.render(request, "clean_up", title=_title(dry_run=dry_run), why=why)
        return self._confirmation(request, found, dry_run=dry_run, worst=True)

    def _chosen(self, request: HttpRequest, keys: list[str], *, status: int = 200) -> HttpResponse:
        using = access.database()
        found = access.attempt(request, lambda: previews.of_applications(using=using, application_ids=keys))
        if found is None:
            return redirect(self.url("applications"))
        return self._confirmation(request, found, status=status)

    def _confirmation(
        self,
        request: HttpRequest,
        found: Confirmation,
        *,
        status: int = 200,
        dry_run: bool = False,
        worst: bool = False,
    ) -> HttpResponse:
        rows = [
            {
                "key": row.application_id,
                "id": safe(row.application_id),
                "label": safe(found.labels.get(row.application_id, "")),
                "hash": row.plan_hash,
                "goes_ahead": row.goes_ahead,
                "sentence": _forecast(row),
                "address": self.url("preview", quote(row.application_id)),
            }
            for row in found.forecasts
        ]
        ahead = [row for row in found.forecasts if row.goes_ahead]
        folders, files = sum(row.folders_removed for row in ahead), sum(row.files_moved for row in ahead)
        moved = sum((Counter(row.rows_moved) for row in ahead), Counter[str]())
        totals = [
            *([wording.worst(len(found.forecasts), found.checked_at)] if worst else []),
            _will_be_cleaned_up(len(ahead)),
            wording.to_merge(folders, files, moved),
            wording.nothing_deleted(),
            wording.undo_for(conf.rollback_days(), now=timezone.now()),
        ]
        if not ahead:
            totals = [_("None of these applications can be cleaned up now.")]
        return self.render(
            request,
            "clean_up",
            title=_title(dry_run=dry_run),
            dry_run=dry_run,
            these=self.url("clean_up", application=[row.application_id for row in ahead]),
            reason=request.POST.get("reason", request.GET.get("reason", "")),
            status=status,
            rows=rows,
            ahead=len(ahead),
            totals=" ".join(totals),
            in_the_way=obstacles.to_cleanups(request) if ahead and not dry_run else {},
        )

    def _start(self, request: HttpRequest) -> HttpResponse:
        keys, hashes = request.POST.getlist("application"), request.POST.getlist("plan_hash")
        one = request.POST.get("from") == "preview" and len(keys) == 1
        if refused := self._wrong_number(request, keys):
            return refused
        try:
            run = cleanups.start_confirmed(
                using=access.database(),
                plan_hashes=dict(zip_longest(keys, hashes[: len(keys)], fillvalue="")),
                include_held=bool(request.POST.get("include_held")),
                include_large=one and bool(request.POST.get("include_large")),
                actor=Actor(request.user.get_username(), "admin", request.POST.get("reason", "")),
            )
        except StalePlan as error:
            access.refused(request, error)
            if one:
                return PreviewPages(self.admin_site).response(request, keys[0], status=409)
            return self._chosen(request, keys, status=409)
        except CleanupError as error:
            access.refused(request, error)
            return redirect(self.url(access.OVERVIEW))
        access.log(request, run, stored_texts.in_english(stored_texts.cleanup_started, len(keys)))
        messages.success(request, _("The cleanup has started. This page follows it."))
        return redirect(self.url("run_change", run.pk))

    @access.permission_required(*to_clean_up(named=False, most=None))
    def clean_up_everything(self, request: HttpRequest) -> HttpResponse:
        """Ask for the number of applications to be typed in; start a cleanup of all if it is right."""
        found = previews.of_everything(using=access.database())
        aside = found.aside
        total = aside.affected - aside.held - aside.large  # a run tries again what was refused
        wrong = False
        if request.method == "POST":
            typed = "".join(
                character for character in request.POST.get("total", "") if character not in ",. \u202f\xa0"
            )
            wrong = typed != str(total)
            if not wrong:
                return self._start_everything(request, total)
        return self.render(
            request,
            "clean_up_everything",
            title=_("Clean up everything?"),
            total=total,
            total_text=_to_be_cleaned_up(total, found.checked_at),
            estimate=wording.estimated(found.estimate, found.estimated_at),
            aside=wording.left_aside(aside.held + aside.large),
            undo=wording.undo_for(conf.rollback_days(), now=timezone.now()),
            nothing_deleted=wording.nothing_deleted(),
            wrong=wrong,
            in_the_way=obstacles.to_cleanups(request),
            reason=request.POST.get("reason", request.GET.get("reason", "")),
            status=422 if wrong else 200,
        )

    def _start_everything(self, request: HttpRequest, total: int) -> HttpResponse:
        reason = request.POST.get("reason", "")
        run = access.attempt(request, lambda: access.service().start_cleanup(reason=reason, **access.actor(request)))
        if run is None:
            return redirect(self.url(access.OVERVIEW))
        access.log(request, run, stored_texts.in_english(stored_texts.everything_started, total))
        messages.success(request, _("The cleanup has started. This page follows it."))
        return redirect(self.url("run_change", run.pk))

    def _wrong_number(self, request: HttpRequest, keys: Sequence[str]) -> HttpResponse | None:
        """Redirect to the list if nothing was selected, or more than can be confirmed together."""
        if 1 <= len(keys) <= confirmation.MOST:
            return None
        messages.error(request, wording.wrong_number(len(keys), most=confirmation.MOST))
        if request.GET.get("next") == "open":
            return redirect(self.url("decisions", page=request.GET.get("page", "1")))
        place = {name: request.GET[name] for name in ("q", "after", "order", "page") if request.GET.get(name)}
        return redirect(self.url("applications", **place))


def _title(*, dry_run: bool) -> str:
    return _("What a cleanup would do") if dry_run else _("Clean up these applications?")


def _will_be_cleaned_up(number: int) -> str:
    text = ngettext("%(number)s application will be cleaned up.", "%(number)s applications will be cleaned up.", number)
    return text % {"number": wording.number_text(number)}


def _to_be_cleaned_up(number: int, checked_at: datetime | None) -> str:
    if checked_at is not None:
        text = ngettext(
            "%(number)s application with duplicates will be cleaned up, counted by the check of %(moment)s.",
            "%(number)s applications with duplicates will be cleaned up, counted by the check of %(moment)s.",
            number,
        )
        return text % {"number": wording.number_text(number), "moment": wording.short_moment(checked_at)}
    text = ngettext(
        "%(number)s application with duplicates will be cleaned up, counted just now.",
        "%(number)s applications with duplicates will be cleaned up, counted just now.",
        number,
    )
    return text % {"number": wording.number_text(number)}


def _forecast(row: confirmation.MergeForecast) -> str:
    if row.obstacle:
        return refusals.obstacle(row.obstacle)
    if not row.folders_removed:
        return _("There is nothing to do.")
    return wording.to_merge(row.folders_removed, row.files_moved, row.rows_moved)
