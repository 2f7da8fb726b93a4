"""What the admin's templates ask for: the overview, the navigation, the status line, tables that become cards."""

from datetime import datetime
from typing import Any

from django import template
from django.apps import apps
from django.template import Context
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

from cleanup import stored_texts
from cleanup.admin import access, navigation, overview_content, timestamps, wording
from cleanup.services.monitoring.dashboard import Numbers

register = template.Library()


@register.inclusion_tag("admin/cleanup/overview.html", takes_context=True)
def cleanup_overview(context: Context) -> dict[str, Any]:
    """Show the overview."""
    request = context["request"]
    return {"request": request, **overview_content.context(request)}


@register.inclusion_tag("admin/cleanup/nav.html", takes_context=True)
def cleanup_nav(context: Context, section: str = "", numbers: Numbers | None = None) -> dict[str, Any]:
    """Show the one navigation, with its counts, the current entry lit."""
    return navigation.context(context["request"], section=section, numbers=numbers)


@register.inclusion_tag("admin/cleanup/status_line.html", takes_context=True)
def cleanup_status(context: Context) -> dict[str, Any]:
    """Show the first sentence of the overview to whoever may see it."""
    return overview_content.status_line(context["request"])


@register.simple_tag(takes_context=True)
def cleanup_manual_link(context: Context, code: str) -> str:
    """Return the link to what the manual says about a code."""
    return access.manual_link(access.site_of(context["request"]), code)


@register.simple_tag
def cleanup_has_workers() -> bool:
    """Return whether the project can have workers in the background."""
    return apps.is_installed("django_q")


@register.simple_tag
def cleanup_cells(result: Any, headers: list[dict[str, Any]]) -> SafeString:
    """Return a row's cells, each with its heading, which stands beside it where rows become cards."""
    cells = []
    for cell, header in zip(result, headers, strict=False):
        tag, rest = str(cell)[:3], str(cell)[3:]
        label = str(header["text"]).strip()
        label = label[:1].upper() + label[1:] if rest.partition(">")[2] != "</td>" else ""
        cells.append(f'{tag} data-label="{conditional_escape(label)}"{rest}')
    return mark_safe("".join(cells))  # noqa: S308  # Django's own cells, and an escaped label


@register.filter
def cleanup_time(moment: datetime | None) -> SafeString | str:
    """Show a time, short, in full where one points at it."""
    return timestamps.show(moment)


@register.filter
def cleanup_number(number: int) -> str:
    """Write a number as people do."""
    return wording.number_text(number)


@register.filter
def cleanup_logged(message: str) -> str:
    """Show a message of the admin's log."""
    return stored_texts.logged(message)
