"""The list of applications with duplicates: in key order, the worst first, or those that a search finds."""

from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cleanup.admin import access, obstacles, titles, wording
from cleanup.admin.access import Pages
from cleanup.services.folders import applications
from cleanup.text_safety import safe

#: Pages that one can go back, one by one.
MOST_BACK = 20


def response(pages: Pages, request: HttpRequest) -> HttpResponse:
    """Show a page of the list. Raises InvalidKey."""
    using, text, after = access.database(), request.GET.get("q", ""), request.GET.get("after") or None
    worst = request.GET.get("order") == "most" and not text.strip()
    if worst:
        listed = applications.worst(using=using, number=_number(request))
    else:
        listed = applications.listed(using=using, text=text, after=after)
    following, previous = _neighbours(pages, request, listed, worst=worst)
    return pages.render(
        request,
        "applications",
        title=titles.of("applications"),
        rows=[_row(pages, row.application_id, row.roots, row.duplicates, listed) for row in listed.rows],
        total="" if text.strip() else _total(request),
        text=text,
        after=after,
        worst=worst,
        as_of=_("These had the most duplicates at the check of %s.") % wording.short_moment(listed.checked_at)
        if listed.checked_at
        else "",
        page=_number(request),
        following=following,
        previous=previous,
    )


def _number(request: HttpRequest) -> int:
    page = request.GET.get("page", "1")
    return int(page) if page.isdecimal() and len(page) <= 4 else 1


def _row(pages: Pages, key: str, roots: int, duplicates: int, listed: applications.AffectedPage) -> dict[str, Any]:
    return {
        "key": key,
        "id": safe(key),
        "label": safe(listed.labels.get(key, "")),
        "name": safe(listed.labels.get(key, "") or key),
        "address": pages.url("preview", quote(key)),
        "roots": roots,
        "duplicates": duplicates,
        "held": key in listed.held,
    }


def _total(request: HttpRequest) -> str:
    """Count all of them, as far as a check knows."""
    numbers = obstacles.numbers(request)
    number = numbers.duplicates
    if number is None:
        return ""
    if numbers.counted_at is not None:
        words = ngettext(
            "%(number)s application had duplicates at the check of %(time)s. Folders have changed since.",
            "%(number)s applications had duplicates at the check of %(time)s. Folders have changed since.",
            number,
        )
        return words % {"number": wording.number_text(number), "time": wording.short_moment(numbers.counted_at)}
    words = ngettext(
        "%(number)s application had duplicates at the last check.",
        "%(number)s applications had duplicates at the last check.",
        number,
    )
    return words % {"number": wording.number_text(number)}


def _neighbours(
    pages: Pages, request: HttpRequest, listed: applications.AffectedPage, *, worst: bool
) -> tuple[str, str]:
    """Return the addresses of the next and the previous page; empty if there is none."""
    if worst:
        number = _number(request)
        following = pages.url("applications", order="most", page=listed.after) if listed.after else ""
        return following, pages.url("applications", order="most", page=number - 1) if number > 1 else ""
    after, trail = request.GET.get("after", ""), request.GET.getlist("trail")[-MOST_BACK:]
    gone = [*trail, after] if after else trail
    following = pages.url("applications", after=listed.after, trail=gone[-MOST_BACK:]) if listed.after else ""
    if not after:
        return following, ""
    back = {"after": trail[-1], "trail": trail[:-1]} if trail else {}
    return following, pages.url("applications", **back)
