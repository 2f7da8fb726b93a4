"""Permissions, actions and addresses: what every page of ours goes through.

An action is a POST that checks its permission, calls one service, leaves an entry in the admin's log and redirects. A
refusal by the service becomes a sentence. The URLs are our own, because Django's change views run in a transaction.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypedDict, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from cleanup import conf, services
from cleanup.admin import sign_in_return, wording
from cleanup.exceptions import CleanupError
from cleanup.models import FreezeSwitch
from cleanup.permissions import CLEANING, AnyOf, Permission


class Actor(TypedDict):
    """Who starts something, and how, in the form that the services take."""

    started_by: str
    started_how: str


#: Alias of the database that the pages show.
database = conf.database

View = Callable[..., HttpResponse]


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
    if not (may(request, Permission.VIEW) and any(may(request, permission) for permission in permissions)):
        raise PermissionDenied


def permission_required(*permissions: Permission) -> Callable[[View], View]:
    """Refuse people who have none of the permissions, or who may not look at all."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            require_permission(request, permissions)
            return view(self, request, *args, **kwargs)

        return guarded

    return decorate


def _home(_request: HttpRequest) -> str:
    return reverse("admin:cleanup_freezeswitch_changelist")


def action(*permissions: Permission, back: Callable[..., str] = _home) -> Callable[[View], View]:
    """As ``permission_required``, and change something only for a POST.

    A GET, which is where a sign-in leads after a button was pressed too late, redirects to the page with the button,
    which ``back`` names.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def posted(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == "POST":
                return view(self, request, *args, **kwargs)
            if request.method != "GET":
                return HttpResponseNotAllowed(["GET", "POST"])
            messages.warning(request, wording.not_done(signed_out="signed_out" in request.GET))
            return redirect(back(request, *args, *kwargs.values()))

        return permission_required(*permissions)(posted)

    return decorate


def attempt(request: HttpRequest, do: Callable[[], Any]) -> Any:
    """Call the service; if it refuses, show the message on the next page and return None."""
    try:
        return do()
    except CleanupError as error:
        messages.error(request, wording.refusal(error))
        return None


def log(request: HttpRequest, what: models.Model, message: str) -> None:
    """Leave an entry in the admin's log."""
    LogEntry.objects.create(
        user_id=cast("int", request.user.pk),
        content_type_id=ContentType.objects.get_for_model(what, for_concrete_model=False).pk,
        object_id=str(what.pk),
        object_repr=str(what)[:200],
        action_flag=CHANGE,
        change_message=message,
    )


def actor(request: HttpRequest) -> Actor:
    """Return who starts something, and how, for the services."""
    return {"started_by": request.user.get_username(), "started_how": "admin"}


def page(site: admin.AdminSite, route: str, view: View, name: str) -> URLPattern:
    """Return a page of the admin: signed in as staff, protected against forged requests, never cached."""
    return path(route, sign_in_return.keeping(site, site.admin_view(view)), name=f"cleanup_{name}")


class Pages:
    """Pages that are not a register; their addresses are below that of ``FreezeSwitch``."""

    section = ""

    def __init__(self, site: admin.AdminSite) -> None:
        self.site = site

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
                **self.site.each_context(request),
                "title": title,
                "opts": FreezeSwitch._meta,
                "may": permissions_of(request),
                "section": self.section,
                **context,
            },
            status=status,
        )
