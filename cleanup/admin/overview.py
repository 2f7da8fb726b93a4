"""The register of the freeze switch: the place of the overview, and of all pages that are not registers."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cleanup import stored_texts
from cleanup.admin import access, wording
from cleanup.admin.base import ReadOnlyAdmin
from cleanup.models import FreezeSwitch


@admin.register(FreezeSwitch)
class OverviewAdmin(ReadOnlyAdmin):
    """The freeze switch, in words, and below its address all pages that are not registers.

    The pages need most of the services. They are imported with the addresses, so only by processes that show them: the
    registers are imported by every command.
    """

    fields = ["state", "why", "since"]

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of actions and pages."""
        from cleanup.admin import pages  # noqa: PLC0415  # as above

        return [*pages.urls(self.admin_site), *super().get_urls()]

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        """Stand in the admin's own lists: for all of the app."""
        return {"view": self.has_view_permission(request)}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Lead to the overview, which is the app's index."""
        return redirect(self.url(access.OVERVIEW))

    @admin.display(description=gettext_lazy("state"))
    def state(self, switch: FreezeSwitch) -> str:
        return _("Everything is stopped.") if switch.frozen else _("Cleanups are allowed.")

    @admin.display(description=gettext_lazy("reason"))
    def why(self, switch: FreezeSwitch) -> str:
        return stored_texts.shown(switch.reason) or "—"

    @admin.display(description=gettext_lazy("last changed"))
    def since(self, switch: FreezeSwitch) -> str:
        return wording.changed(switch.changed_at, switch.changed_by)
