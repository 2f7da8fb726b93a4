"""Registers of verifications and of the problems they found."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Min, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cleanup import conf
from cleanup.admin import access, badges, wording
from cleanup.admin.base import ReadOnlyAdmin, for_it
from cleanup.admin.filters import worded
from cleanup.backends.finding_kinds import CODES, KINDS
from cleanup.folder_tables import folder_tables
from cleanup.models import Finding, Verification
from cleanup.services.repair.kinds import NAMES, repairable
from cleanup.text_safety import safe


@admin.register(Verification)
class VerificationAdmin(ReadOnlyAdmin):
    """Verifications of the whole database."""

    empty = gettext_lazy("The database has not been verified yet. “Verify now” on the overview does it.")
    list_display = ["when", "outcome", "found", "who"]
    ordering = ["-id"]
    sortable_by = ()
    fields = ["when", "ended", "outcome", "found", "who"]

    @admin.display(description=gettext_lazy("started"))
    def when(self, verification: Verification) -> str:
        return self.time(verification.started_at)

    @admin.display(description=gettext_lazy("ended"))
    def ended(self, verification: Verification) -> str:
        return self.time(verification.ended_at)

    @admin.display(description=gettext_lazy("outcome"))
    def outcome(self, verification: Verification) -> Any:
        if verification.ended_at is None:
            return badges.badge("unknown", _("not finished"))
        return (
            badges.badge("good", _("passed: no errors"))
            if verification.passed
            else badges.badge("attention", _("errors were found"))
        )

    @admin.display(description=gettext_lazy("problems found"))
    def found(self, verification: Verification) -> Any:
        if not any(verification.counts.values()):
            return _("none")
        return self.list_link(Finding, wording.problems(verification), verification__id__exact=verification.pk)

    @admin.display(description=gettext_lazy("started by"))
    def who(self, verification: Verification) -> str:
        return safe(verification.started_by) or "—"


class OneEntryEach(ChangeList):
    """One entry for an application; and for each problem that belongs to none."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Finding]:
        """Return the first problem of each application, of those that were asked for."""
        found: QuerySet[Finding] = super().get_queryset(request, exclude_parameters)
        ones = Q(application_key="")
        first = found.exclude(ones).order_by().values("verification", "application_key").annotate(first=Min("pk"))
        return found.filter(ones | Q(pk__in=first.values("first")))


#: Problems that a cleanup of the application takes away.
MERGEABLE = ("several_roots", "same_named_siblings")


class ProblemKind(admin.SimpleListFilter):
    """Problems by kind, in the words of the screens."""

    title = gettext_lazy("problem")
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the kinds; those of files alone only where files are mapped."""
        return [(k.code, wording.finding(k.code)) for k in KINDS if conf.has_files() or not k.only_of_files]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        """Return the problems of the chosen kind."""
        return queryset.filter(code=self.value()) if self.value() in CODES else queryset


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    """Problems found: of the latest verification, unless another one is chosen."""

    list_display = ["who", "problems", "action"]
    list_display_links = None
    list_filter = [ProblemKind, worded("severity", gettext_lazy("severity"), dict(Finding.Severity.choices))]
    ordering = ["id"]
    sortable_by = ()
    application_field = "application_key"
    search_help_text = gettext_lazy("Application: its name or its id")
    empty = gettext_lazy("The latest verification has found no problems.")
    fieldsets = [
        (None, {"fields": ["problem", "how_bad", "who", "action", "of_verification"]}),
        for_it("where", "hint_text"),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Finding]:
        """Return the latest verification's findings unless the list is filtered otherwise."""
        findings = super().get_queryset(request)
        listing = request.resolver_match is not None and request.resolver_match.url_name == "cleanup_finding_changelist"
        if not listing or "verification__id__exact" in request.GET:
            return findings
        latest = Verification.objects.using(access.database()).filter(ended_at__isnull=False).order_by("-id")
        return findings.filter(verification__in=latest.values("pk")[:1])

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """List an application once, whatever was found in it."""
        return OneEntryEach

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the list, with the other problems of each application."""
        response = super().changelist_view(request, extra_context)
        changelist = getattr(response, "context_data", {}).get("cl")
        if changelist is not None:
            self._gather(changelist.result_list)
        return response

    def _gather(self, shown: Iterable[Finding]) -> None:
        """Read how many problems of each kind each application has, with the first of each, in one query."""
        first = {(found.verification_id, found.application_key): found for found in shown if found.application_key}
        kinds = (
            Finding.objects.using(access.database())
            .filter(verification__in={of for of, _key in first}, application_key__in={key for _of, key in first})
            .values_list("verification_id", "application_key", "code", "severity")
            .annotate(first=Min("pk"), number=Count("pk"))
            .order_by("severity", "first")
        )
        for of, key, code, severity, pk, number in kinds:
            if found := first.get((of, key)):
                one = Finding(pk=pk, code=code, severity=severity, application_key=key)
                vars(found).setdefault("kinds", []).append((one, number))

    def _kinds(self, found: Finding) -> list[tuple[Finding, int]]:
        """Return the first problem of each kind in the entry's application, and how many there are."""
        return vars(found).get("kinds") or [(found, 1)]

    @admin.display(description=gettext_lazy("problems"))
    def problems(self, found: Finding) -> str:
        """Name each kind of problem once, errors first, with a link to the first one."""
        return format_html_join(
            "",
            '<p class="cleanup-line"><a href="{}">{}</a>{} <span class="quiet">{}</span></p>',
            (
                (
                    self.url("finding_change", one.pk),
                    wording.finding(one.code),
                    f" ({wording.number_text(number)})" if number > 1 else "",
                    one.get_severity_display(),
                )
                for one, number in self._kinds(found)
            ),
        )

    @admin.display(description=gettext_lazy("problem"))
    def problem(self, found: Finding) -> str:
        return wording.finding(found.code)

    @admin.display(description=gettext_lazy("severity"))
    def how_bad(self, found: Finding) -> str:
        return found.get_severity_display()

    @admin.display(description=gettext_lazy("application"))
    def who(self, found: Finding) -> str:
        return self.application(found, found.application_key)

    @admin.display(description=gettext_lazy("where"))
    def where(self, found: Finding) -> str:
        return f"{safe(found.table)} {safe(found.object_key)}"

    @admin.display(description=gettext_lazy("action"))
    def action(self, found: Finding) -> Any:
        """Offer what can be done here, each thing once."""
        steps = dict.fromkeys(self._next_step(one) for one, _number in self._kinds(found))
        offered = [(address, words) for address, words in steps if address]
        return format_html_join(mark_safe("<br>"), '<a href="{}">{}</a>', offered) or _("Ask IT")

    def _next_step(self, found: Finding) -> tuple[str, str]:
        """Return the address of what takes the problem away, and what it is called; empty if nothing does."""
        if found.code == NAMES:
            return self.url("names", admin.utils.quote(found.application_key)), _("Decide about these names")
        if found.code in repairable(folder_tables()):
            query = {"application": found.application_key} if found.application_key else {}
            return self.url("repair", found.code, **query), _("Preview and repair")
        if found.code not in MERGEABLE or not found.application_key:
            return "", ""
        return self.url("preview", admin.utils.quote(found.application_key)), _("Preview and clean up")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show a problem, with what can be done about it."""
        found = self.get_object(request, object_id)
        address, words = self._next_step(found) if found is not None else ("", "")
        step = {"preview_address": address, "preview_words": words}
        return super().change_view(request, object_id, form_url, {**step, **(extra_context or {})})

    @admin.display(description=gettext_lazy("hint"))
    def hint_text(self, found: Finding) -> str:
        return safe(found.hint)

    @admin.display(description=gettext_lazy("verification"))
    def of_verification(self, found: Finding) -> Any:
        return self.link(found.verification)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the links between registers."""
        return lookup == "verification__id__exact" or super().lookup_allowed(lookup, value, request)
