"""The place of the cleanup page, and of all pages that are not registers, among the registers."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from cleanup.admin.base import ReadOnlyAdmin
from cleanup.models import FreezeSwitch


@admin.register(FreezeSwitch)
class OverviewAdmin(ReadOnlyAdmin):
    """The cleanup page and, below its address, all pages that are not registers.

    The pages need most of the services. They are imported with the addresses, so only by processes that show them: the
    registers are imported by every command.
    """

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of actions and pages."""
        from cleanup.admin import pages  # noqa: PLC0415  # as above

        return [*pages.urls(self.admin_site), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show how things are."""
        from cleanup.admin.dashboard import DashboardPages  # noqa: PLC0415  # as above

        return DashboardPages(self.admin_site).overview(request, **(extra_context or {}))
