"""Addresses of earlier versions, for bookmarks and mails: include this before the admin, at the same prefix."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse


def moved(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Redirect what was below ``control/``."""
    address = f"{reverse('admin:cleanup_freezeswitch_changelist')}{rest}"
    query = request.META.get("QUERY_STRING", "")
    return redirect(f"{address}?{query}" if query else address)


urlpatterns = [path("cleanup/control/", moved), path("cleanup/control/<path:rest>", moved)]
