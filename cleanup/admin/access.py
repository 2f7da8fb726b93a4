"""Permissions, actions and addresses: what every page of ours goes through.

An action is a POST that checks its permission, calls one service, leaves an entry in the admin's log and redirects. A
refusal by the service becomes a sentence. The URLs are our own, because Django's change views run in a transaction.
Every link stays in the admin site that the page belongs to: there may be several.
"""

import json
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypedDict, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import translation
from django.utils.html import format_html
from django.utils.translation import gettext as _

from cleanup import conf, services
from cleanup.admin import errors, names, refusals, sign_in_return, wording
from cleanup.exceptions import CleanupError
from cleanup.manual import SECTIONS
from cleanup.permissions import CLEANING, AnyOf, Permission
from cleanup.services import folders


class Actor(TypedDict):
    """Who starts something, and how, in the form that the services take."""

    started_by: str
    started_how: str


#: The page that the app's index is.
OVERVIEW = "overview"

#: Alias of the database that the pages show.
database = conf.database

View = Callable[..., HttpResponseBase]


def service() -> "services.DatabaseCleanupService":
    """Return the service of that database."""
    return services.DatabaseCleanupService(using=database())


def may(request: HttpRequest, permission: Permission) -> bool:
    """Return whether the person may do this."""
    return request.user.is_active and request.user.has_perm(permission)


def permissions_of(request: HttpRequest) -> dict[str, bool]:
    """Return what the person may do, by the permission's codename, for templates."""
    return {permission.codename: may(request, permission) for permission in Permission} | {
        "clean": any(may(request, permission) for permission in CLEANING)
    }


def require_permission(request: HttpRequest, permissions: AnyOf) -> None:
    """Raise PermissionDenied unless the person has one of the permissions, and may look."""
    if not may(request, Permission.VIEW):
        raise PermissionDenied((Permission.VIEW,))
    if not any(may(request, permission) for permission in permissions):
        raise PermissionDenied(tuple(permissions))


def permission_required(*permissions: Permission) -> Callable[[View], View]:
    """Refuse people who have none of the permissions, or who may not look at all."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            require_permission(request, permissions)
            return view(self, request, *args, **kwargs)

        return guarded

    return decorate


def action(*permissions: Permission, back: Callable[..., str] | None = None) -> Callable[[View], View]:
    """As ``permission_required``, and change something only for a POST.

    A GET, which is where a sign-in leads after a button was pressed too late, redirects to the page with the button,
    which ``back``, a function of the view's arguments, names; without it, to the overview.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def posted(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method == "POST":
                return view(self, request, *args, **kwargs)
            if request.method != "GET":
                return HttpResponseNotAllowed(["GET", "POST"])
            messages.warning(request, wording.not_done(signed_out="signed_out" in request.GET))
            return redirect(back(self, request, *args, *kwargs.values()) if back else self.url(OVERVIEW))

        return permission_required(*permissions)(posted)

    return decorate


def attempt(request: HttpRequest, do: Callable[[], Any]) -> Any:
    """Call the service; if it refuses, show the message on the next page and return None."""
    try:
        return do()
    except CleanupError as error:
        refused(request, error)
        return None


def refused(request: HttpRequest, error: CleanupError) -> None:
    """Show on the next page why the service has refused, with a link to the run that is in the way, if there is one."""
    run = error.data.get("run_id")
    more = (
        format_html(' <a href="{}">{}</a>', address(site_of(request), "run_change", run), _("Show it")) if run else ""
    )
    command, manual = refusals.COMMANDS.get(error.code, ""), manual_link(site_of(request), error.code)
    for_it = (
        format_html("<details><summary>{}</summary><code>{}</code> {}</details>", _("For IT"), command, manual)
        if command or manual
        else ""
    )
    messages.error(request, format_html("{}{}{}", refusals.refusal(error), more, for_it))


def log(request: HttpRequest, what: models.Model, message: Any) -> None:
    """Leave an entry in the admin's log, under the name that people know the object by."""
    log_each(request, [what], message)


def log_each(request: HttpRequest, things: Sequence[models.Model], message: Any) -> None:
    """Leave an entry for each of several objects of a kind.

    Their names are in the site's language; the message is in English, whoever acts, see ``stored_texts``.
    """
    if not things:
        return
    keys = {thing.pk: getattr(thing, "application_key", "") for thing in things}
    labels = folders.applications.labels(using=database(), application_ids=filter(None, keys.values()))
    kind = ContentType.objects.get_for_model(things[0], for_concrete_model=False)
    with translation.override(settings.LANGUAGE_CODE):
        shown = {thing.pk: names.name_of(thing, label=labels.get(keys[thing.pk], "")) for thing in things}
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=cast("int", request.user.pk),
            content_type_id=kind.pk,
            object_id=str(thing.pk),
            object_repr=shown[thing.pk][:200],
            action_flag=CHANGE,
            change_message=message if isinstance(message, str) else json.dumps(message),
        )
        for thing in things
    )


def actor(request: HttpRequest) -> Actor:
    """Return who starts something, and how, for the services."""
    return {"started_by": request.user.get_username(), "started_how": "admin"}


def page(site: admin.AdminSite, route: str, view: View, name: str) -> URLPattern:
    """Return a page of the admin: signed in as staff, protected against forged requests, never cached."""
    answering = errors.answered(site)(view)
    return path(route, sign_in_return.keeping(site, site.admin_view(answering)), name=f"cleanup_{name}")


def address(site: str, name: str, *args: Any, **query: Any) -> str:
    """Return the address of one of our pages in the admin site of that name."""
    if name == OVERVIEW:
        return reverse("admin:app_list", args=["cleanup"], query=query or None, current_app=site)
    return reverse(f"admin:cleanup_{name}", args=args, query=query or None, current_app=site)


def manual_link(site: str, code: str) -> str:
    """Return a link to the part of the manual that says more about a code; empty if none does."""
    if code not in SECTIONS:
        return ""
    chapter, anchor = SECTIONS[code]
    return format_html('<a href="{}#{}">{}</a>', address(site, "manual", chapter), anchor, _("More in the manual"))


def site_of(request: HttpRequest) -> str:
    """Return the name of the admin site that a request is about."""
    match = request.resolver_match
    return getattr(request, "current_app", None) or (match.namespace if match else "") or "admin"


class OnSite:
    """What belongs to one admin site, and links to its pages."""

    admin_site: admin.AdminSite

    def url(self, name: str, *args: Any, **query: Any) -> str:
        """Return the address of one of our pages."""
        return address(self.admin_site.name, name, *args, **query)


class Pages(OnSite):
    """Pages that are not a register; their addresses are below that of ``FreezeSwitch``."""

    section = ""

    def __init__(self, site: admin.AdminSite) -> None:
        self.admin_site = site

    def urls(self) -> list[URLPattern]:
        """Return the addresses."""
        raise NotImplementedError

    def render(
        self, request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any
    ) -> TemplateResponse:
        """Render a page in the admin's frame."""
        return TemplateResponse(
            request,
            f"admin/cleanup/{template}.html",
            {
                **self.admin_site.each_context(request),
                "title": title,
                "may": permissions_of(request),
                "section": self.section,
                **context,
            },
            status=status,
        )
