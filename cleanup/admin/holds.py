"""The register of applications on hold, and its two actions: put on hold, and remove the hold."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.translation import gettext_lazy

from cleanup.admin import access
from cleanup.admin.base import ReadOnlyAdmin
from cleanup.models import Hold
from cleanup.permissions import CLEANING
from cleanup.text_safety import safe


def _next(site: access.OnSite, request: HttpRequest, key: str) -> str:
    """Return the page that the button is on."""
    place = request.POST.get("next")
    if place == "decisions":
        page = request.POST.get("held", "")
        return site.url("decisions", **({"held": page} if page.isdecimal() else {}))
    if place == "preview" and key:
        return site.url("preview", quote(key))
    return site.url("hold_changelist")


def _list(site: access.OnSite, _request: HttpRequest, _hold_id: int) -> str:
    return site.url("hold_changelist")


def _address(site: access.OnSite, request: HttpRequest) -> str:
    key = request.GET.get("application")
    return site.url("preview", quote(key)) if key else site.url("hold_changelist")


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    """Applications that no cleanup touches."""

    list_display = ["who", "why", "by", "since"]
    list_display_links = ["why"]
    ordering = ["-id"]
    sortable_by = ()
    application_field = "application_key"
    search_help_text = "Application: its name or its id"
    fields = ["who", "why", "by", "since"]
    empty = gettext_lazy("No application is on hold. The preview of an application offers it.")

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the two actions."""
        site = self.admin_site
        return [
            access.page(site, "hold/", self.hold_view, "hold"),
            access.page(site, "<int:hold_id>/release/", self.release_view, "release"),
            *super().get_urls(),
        ]

    @access.action(*CLEANING, back=_address)
    def hold_view(self, request: HttpRequest) -> HttpResponse:
        """Put an application on hold."""
        key = request.POST.get("application", "")
        reason = request.POST.get("reason", "")
        by = request.user.get_username()

        def hold() -> Hold:
            access.service().hold(key, reason=reason, created_by=by)
            return Hold.objects.using(access.database()).get(application_key=key)

        held = access.attempt(request, hold)
        if held is not None:
            access.log(request, held, "Put the application on hold.")
            messages.success(request, "The application is on hold: no cleanup touches it until you remove the hold.")
        return redirect(_next(self, request, key))

    @access.action(*CLEANING, back=_list)
    def release_view(self, request: HttpRequest, hold_id: int) -> HttpResponse:
        """Let cleanups touch an application again."""
        held = get_object_or_404(self.get_queryset(request), pk=hold_id)

        def release() -> bool:
            access.service().release(held.application_key)
            return True

        if access.attempt(request, release):
            access.log(request, held, "Removed the hold.")
            messages.success(request, "The hold was removed: cleanups may touch the application again.")
        return redirect(_next(self, request, held.application_key))

    @admin.display(description="application")
    def who(self, hold: Hold) -> Any:
        return self.application(hold, hold.application_key)

    @admin.display(description="reason")
    def why(self, hold: Hold) -> str:
        return safe(hold.reason) or "—"

    @admin.display(description="by")
    def by(self, hold: Hold) -> str:
        return safe(hold.created_by) or "—"

    @admin.display(description="since")
    def since(self, hold: Hold) -> str:
        return self.time(hold.created_at)
