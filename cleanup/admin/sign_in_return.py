"""Where people return to if their session ended before they pressed a button, so that what they chose stays chosen.

Invariant: nothing is done that was not confirmed after the sign-in. What overrules a hold or a size limit is not kept:
it has to be ticked again. The choice travels in the URL, because people without a session must not store anything.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.urls import reverse

#: The fields of a form that are kept.
KEPT = ("application", "reason", "from", "selected", "every", "filters", "next", "page")
#: Characters of a URL that every server accepts, less what the sign-in page adds by quoting it.
LONGEST = 2000

View = Callable[..., HttpResponseBase]


def keeping(site: admin.AdminSite, view: View) -> View:
    """Redirect a form sent without a session to the sign-in, and from there back to what was chosen."""

    @wraps(view)
    def kept(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST" and not site.has_permission(request):
            return redirect_to_login(_address(request), reverse("admin:login", current_app=site.name))
        return view(request, *args, **kwargs)

    return kept


def _address(request: HttpRequest) -> str:
    """Return the address that shows what was chosen."""
    query = QueryDict(mutable=True)
    query["signed_out"] = "1"
    for name in KEPT:
        if values := [value for value in request.POST.getlist(name) if value]:
            query.setlist(name, values)
    address = f"{request.path}?{query.urlencode()}"
    return address if len(address) <= LONGEST else f"{request.path}?signed_out=1"
