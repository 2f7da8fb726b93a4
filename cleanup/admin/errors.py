"""Pages for what is forbidden or not there, in the frame of the admin, naming the permission that is missing.

``permission_denied`` and ``page_not_found`` are for ``handler403`` and ``handler404`` of a project, ``csrf_failure`` is
for its CSRF_FAILURE_VIEW: below the admin's address they answer in its frame, elsewhere as Django does.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views import csrf, defaults

from cleanup.admin import wording
from cleanup.permissions import DESCRIPTIONS, Permission

View = Callable[..., HttpResponseBase]


def answered(site: admin.AdminSite) -> Callable[[View], View]:
    """Have a view of the site answer with these pages when it raises."""

    def decorate(view: View) -> View:
        @wraps(view)
        def answering(*args: Any, **kwargs: Any) -> HttpResponseBase:
            request = next(one for one in args if isinstance(one, HttpRequest))
            try:
                return view(*args, **kwargs)
            except PermissionDenied as error:
                return _forbidden(site, request, error)
            except Http404:
                return _missing(site, request)

        return answering

    return decorate


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    if not _is_of_admin(request):
        return defaults.permission_denied(request, exception)
    return _forbidden(admin.site, request, exception).render()


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404; 403 for the overview, which the admin hides from people who may not see it."""
    if not _is_of_admin(request):
        return defaults.page_not_found(request, exception)
    if request.path == reverse("admin:app_list", args=["cleanup"]):
        return _forbidden(admin.site, request, PermissionDenied((Permission.VIEW,))).render()
    return _missing(admin.site, request).render()


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form that cannot be trusted, most often because it was open for too long."""
    if not _is_of_admin(request):
        return csrf.csrf_failure(request, reason=reason)
    came_from = request.headers.get("referer", "")
    known = url_has_allowed_host_and_scheme(came_from, {request.get_host()}, require_https=request.is_secure())
    return _page(
        admin.site,
        request,
        HTTPStatus.FORBIDDEN,
        title=_("Nothing was done"),
        what=_(
            "The page that you sent was open for too long, or you have signed in again since. "
            "Open it again, look at it once more, and press the button."
        ),
        back=came_from if known else "",
        codes=[reason] if reason else [],
    ).render()


def _is_of_admin(request: HttpRequest) -> bool:
    try:
        return hasattr(request, "user") and request.path.startswith(reverse("admin:index"))
    except NoReverseMatch:
        return False


def _forbidden(site: admin.AdminSite, request: HttpRequest, error: Exception) -> TemplateResponse:
    (missing,) = error.args or ((),)
    missing = missing if isinstance(missing, tuple) else ()
    names = [_(DESCRIPTIONS[Permission(permission)]) for permission in missing]
    return _page(
        site,
        request,
        HTTPStatus.FORBIDDEN,
        title=_("You may not do this"),
        what=wording.missing_permission(names),
        codes=[str(permission) for permission in missing],
    )


def _missing(site: admin.AdminSite, request: HttpRequest) -> TemplateResponse:
    return _page(
        site,
        request,
        HTTPStatus.NOT_FOUND,
        title=_("Page not found"),
        what=_("There is no such page. What it showed may no longer exist, or the address is incomplete."),
    )


def _page(site: admin.AdminSite, request: HttpRequest, status: HTTPStatus, **context: Any) -> TemplateResponse:
    context = {**site.each_context(request), "may_view": request.user.has_perm(Permission.VIEW), **context}
    return TemplateResponse(request, "admin/cleanup/error.html", context, status=status)
